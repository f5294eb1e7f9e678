//! A full batch: coalescing 16 MiB of records, then compressing, sealing and encoding them, as one
//! of the gateway's workers does.

#[path = "sample/batches.rs"]
mod batches;

use batches::{Batches, Sealer};
use bcdr_format::{
    GroupId, InstallationId, StreamId, Timestamp, VolumeNumber,
    position::Generation,
    record::{RecordBody, VolumeRange},
};
use bcdr_gateway::reduce::{batcher::ClosedBatch, pack::pack};
use bcdr_tests::end_to_end::stamped::Dice;
use bcdr_wire::seal::{ChunkSealer, DataKey};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const BATCH_BYTES: u64 = 16 << 20;
const RECORD_BYTES: usize = 64 << 10;

/// Writes that fill one batch; of each 4 KiB this many bytes are random.
fn writes(random: usize) -> Vec<RecordBody<Bytes>> {
    let mut dice = Dice::new(random as u64);
    (0..BATCH_BYTES / RECORD_BYTES as u64)
        .map(|index| {
            let mut payload = vec![0x5a; RECORD_BYTES];
            for block in payload.chunks_mut(4096) {
                block[..random].fill_with(|| dice.below(256) as u8);
            }
            let range = VolumeRange {
                volume: VolumeNumber(0),
                offset: index * 2 * RECORD_BYTES as u64,
                length: RECORD_BYTES as u32,
            };
            RecordBody::Data {
                range,
                payload: Bytes::from(payload),
            }
        })
        .collect()
}

fn closed(writes: &[RecordBody<Bytes>]) -> ClosedBatch {
    Batches::new(GroupId::from_u128(1), StreamId::from_u128(2)).close(writes.iter().cloned())
}

fn batch(criterion: &mut Criterion) {
    let key = DataKey::generate(InstallationId::from_u128(1), Timestamp(0))
        .expect("the system gives randomness");
    let mut sealer = Sealer(ChunkSealer::new(key).expect("a sealer can be made"));
    let mut group = criterion.benchmark_group("batch of 16 MiB");
    group
        .throughput(Throughput::Bytes(BATCH_BYTES))
        .sample_size(10);
    for (name, random) in [("3 to 1", 4096 / 3), ("incompressible", 4096)] {
        let writes = writes(random);
        group.bench_function(BenchmarkId::new("coalesce", name), |bencher| {
            bencher.iter(|| closed(&writes).retained_bytes);
        });
        group.bench_function(BenchmarkId::new("pack and seal", name), |bencher| {
            bencher.iter_batched(
                || closed(&writes),
                |closed| {
                    pack(closed, Generation(1), &mut sealer)
                        .expect("it is packed")
                        .len()
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, batch);
criterion_main!(benches);
