//! Records: encoding with both checksums, and reading back, as capture and gateway do per write.

use bcdr_format::{
    Sequence, Timestamp, VolumeNumber,
    record::{
        FEED_SEED, RECORD_HEADER_BYTES, Record, RecordBody, VolumeRange, assemble, decode_header,
    },
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn record(length: usize) -> Record<Vec<u8>> {
    let range = VolumeRange {
        volume: VolumeNumber(0),
        offset: 1 << 20,
        length: length as u32,
    };
    let payload = (0..length).map(|index| (index * 31) as u8).collect();
    Record {
        sequence: Sequence(7),
        captured_at: Timestamp(1),
        body: RecordBody::Data { range, payload },
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for length in [4096, 64 << 10] {
        let record = record(length);
        let mut encoded = Vec::new();
        record.encode(FEED_SEED, &mut encoded);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("encode", length), |bencher| {
            let mut out = Vec::with_capacity(encoded.len());
            bencher.iter(|| {
                out.clear();
                black_box(&record).encode(FEED_SEED, &mut out);
                out.len()
            });
        });
        group.bench_function(BenchmarkId::new("decode", length), |bencher| {
            bencher.iter(|| {
                let header = decode_header(black_box(&encoded), FEED_SEED).expect("it was encoded");
                let read = assemble(&header, &encoded[RECORD_HEADER_BYTES..]);
                read.expect("it was encoded").sequence
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
