//! Files that earlier releases wrote. They are added, never edited: what can be read today must be
//! readable for ever.
//!
//! A file that is missing is written when `BCDR_ADD_GOLDEN` is set, and only then.

use bcdr_format::{
    DataKeyId, Generation, GroupId, IncarnationId, IncarnationOrdinal, MarkerId, Opening, Position,
    ReceiverRunId, Sequence, StreamId, SyncId, Timestamp, VolumeId, VolumeNumber,
    batch::{self, BatchHeader, BatchLayout, BatchPrefix, SealedChunk},
    chunk::{ChunkHeader, ChunkId, Codec},
    extent::{Content, Extent},
    record::{
        Beat, FEED_SEED, Marker, MarkerKind, Member, RECORD_HEADER_BYTES, Record, RecordBody,
        VolumeRange, assemble, decode_header,
    },
    run::{
        ChunkPlace, Coverage, Fence, RUN_HEADER_BYTES, RUN_PAGE_BYTES, RUN_TRAILER_BYTES,
        RunContent, RunEntry, RunFooter, RunHeader, decode_entry_page, decode_fence_page,
        encode_entry_page, encode_fence_page,
    },
    sync::{Heals, SyncEvent, SyncReason},
};
use std::path::Path;

fn golden(name: &str, encoded: &[u8]) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let path = directory.join(name);
    if !path.exists() && std::env::var_os("BCDR_ADD_GOLDEN").is_some() {
        std::fs::write(&path, encoded).expect("the golden file can be written");
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn range() -> VolumeRange {
    VolumeRange {
        volume: VolumeNumber(3),
        offset: 1 << 40,
        length: 1024,
    }
}

fn payload(first: u8) -> Vec<u8> {
    (0..1024u32)
        .map(|index| first.wrapping_add((index % 251) as u8))
        .collect()
}

fn position(ordinal: u32, sequence: u64) -> Position {
    Position::new(IncarnationOrdinal(ordinal), Sequence(sequence))
}

fn member() -> Member {
    Member {
        group: GroupId::from_u128(0x11),
        number: VolumeNumber(3),
        id: VolumeId::from_u128(0x33),
        size_bytes: 2 << 40,
    }
}

fn marker() -> Marker {
    Marker {
        id: MarkerId::from_u128(0x44),
        kind: MarkerKind::Bookmark,
        label: "before upgrade 升级".to_owned(),
    }
}

fn beat() -> Beat {
    Beat {
        run: ReceiverRunId::from_u128(0x55),
        receiver_nanoseconds: 123_456_789,
    }
}

fn sync_events() -> Vec<SyncEvent> {
    let sync = SyncId::from_u128(0x66);
    let opening = IncarnationOrdinal(5);
    let through = position(4, 900);
    let reasons = [
        SyncReason::Initial,
        SyncReason::Killed,
        SyncReason::PowerLoss,
        SyncReason::Untracked,
        SyncReason::Fork,
    ];
    let heals = [
        Heals::Nothing,
        Heals::Through { opening, through },
        Heals::Everything { opening },
    ];
    let begins = reasons.map(|reason| SyncEvent::Begin { sync, reason });
    let ends = heals.map(|heals| SyncEvent::End { sync, heals });
    begins.into_iter().chain(ends).collect()
}

fn records() -> Vec<Record<Vec<u8>>> {
    let range = range();
    let (amends, voids) = (Sequence(1001), Sequence(1002));
    let mut bodies = vec![
        RecordBody::Member(member()),
        RecordBody::Data {
            range,
            payload: payload(1),
        },
        RecordBody::Zero {
            range,
            unmap: false,
        },
        RecordBody::Zero { range, unmap: true },
        RecordBody::SyncData {
            range,
            payload: payload(2),
        },
        RecordBody::SyncZero { range },
        RecordBody::Marker(marker()),
        RecordBody::Beat(beat()),
        RecordBody::Amendment {
            amends,
            range,
            payload: payload(3),
        },
        RecordBody::Void { voids, range },
    ];
    bodies.extend(sync_events().into_iter().map(RecordBody::Sync));
    let numbered = bodies.into_iter().zip(1000..);
    numbered
        .map(|(body, sequence)| Record {
            sequence: Sequence(sequence),
            captured_at: Timestamp(1_700_000_000_000_000 + sequence as i64),
            body,
        })
        .collect()
}

#[test]
fn records_of_version_1() {
    let mut encoded = Vec::new();
    records()
        .iter()
        .for_each(|record| record.encode(FEED_SEED, &mut encoded));
    let file = golden("record-v1.bin", &encoded);
    let mut rest = &file[..];
    let mut read = Vec::new();
    while !rest.is_empty() {
        let header = decode_header(rest, FEED_SEED).expect("a header of version 1");
        let (record, later) = rest.split_at(RECORD_HEADER_BYTES + header.payload_length());
        read.push(assemble(&header, record[RECORD_HEADER_BYTES..].to_vec()).expect("a payload"));
        rest = later;
    }
    assert_eq!(read, records());
    assert_eq!(encoded, file, "this release writes other bytes");
}

fn batch_parts() -> (BatchHeader, Vec<Extent>, Vec<SealedChunk>) {
    let opening = Opening {
        ordinal: IncarnationOrdinal(5),
        id: IncarnationId::from_u128(0x77),
        continues: Some(position(4, 880)),
        first: Sequence(901),
    };
    let header = BatchHeader {
        group: GroupId::from_u128(0x11),
        stream: StreamId::from_u128(0x22),
        generation: Generation(6),
        ordinal: opening.ordinal,
        incarnation: opening.id,
        opening: Some(opening),
        first: Sequence(901),
        last: Sequence(950),
        captured_at: Timestamp(1_700_000_000_000_000),
        written_bytes: 1 << 20,
        members: vec![member()],
        sync_events: sync_events(),
        marker: Some(marker()),
        beat: Some(beat()),
    };
    let chunk = |counter, codec, plain_length, sealed: Vec<u8>| SealedChunk {
        header: ChunkHeader {
            id: ChunkId {
                key: DataKeyId::from_u128(0x88),
                counter,
            },
            codec,
            plain_length,
            sealed_length: sealed.len() as u32,
        },
        sealed,
    };
    let chunks = vec![
        chunk(
            1,
            Codec::Stored,
            1024,
            [payload(4), vec![0xaa; 16]].concat(),
        ),
        chunk(2, Codec::Zstd, 64 << 10, vec![0xbb; 100]),
    ];
    let extent = |volume, offset, length, content| Extent {
        volume: VolumeNumber(volume),
        offset,
        length,
        content,
    };
    let extents = vec![
        extent(
            3,
            0,
            512,
            Content::Chunk {
                index: 0,
                offset: 512,
            },
        ),
        extent(3, 512, 16 << 20, Content::Zero),
        extent(3, 1 << 30, 512, Content::Unknown),
        extent(
            4,
            0,
            64 << 10,
            Content::Chunk {
                index: 1,
                offset: 0,
            },
        ),
    ];
    (header, extents, chunks)
}

#[test]
fn batch_of_version_1() {
    let (header, extents, chunks) = batch_parts();
    let mut encoded = batch::encode(&header, &extents, &chunks).expect("a batch");
    let prefix = BatchPrefix::decode(&encoded).expect("a prefix");
    prefix.set_mac(&mut encoded, &[0xcc; 32]);
    let file = golden("batch-v1.bin", &encoded);
    let layout = BatchLayout::parse(&file).expect("a batch of version 1");
    assert_eq!(
        crate::strategies::parts(&file, &layout),
        (header, extents, chunks)
    );
    assert_eq!(layout.prefix.mac_of(&file), [0xcc; 32]);
    assert_eq!(encoded, file, "this release writes other bytes");
}

fn run_entries() -> Vec<RunEntry> {
    let place = ChunkPlace {
        segment: 7,
        chunk_offset: 4096,
        stored_length: 900,
        inner_offset: 512,
    };
    let entry = |volume, offset, length, content| RunEntry {
        volume: VolumeNumber(volume),
        offset,
        length,
        content,
    };
    vec![
        entry(3, 512, 4096, RunContent::Chunk(place)),
        entry(3, 1 << 30, 16 << 20, RunContent::Zero),
        entry(4, 1 << 40, 512, RunContent::Unknown),
    ]
}

#[test]
fn run_of_version_1() {
    let header = RunHeader {
        group: GroupId::from_u128(0x11),
        stream: StreamId::from_u128(0x22),
        level: 2,
        index: 3,
        first_batch: 192,
        last_batch: 255,
    };
    let fence = Fence {
        volume: VolumeNumber(3),
        offset: 512,
    };
    let coverage = |volume, first, end| Coverage {
        volume: VolumeNumber(volume),
        first,
        end,
    };
    let footer = RunFooter {
        entries: 3,
        entry_pages: 1,
        fence_pages: 1,
        coverage: vec![
            coverage(3, 512, (1 << 30) + (16 << 20)),
            coverage(4, 1 << 40, (1 << 40) + 512),
        ],
        roots: vec![fence],
    };
    let mut encoded = header.encode();
    encoded.extend(encode_entry_page(0, &run_entries()));
    encoded.extend(encode_fence_page(0, &[fence]));
    footer.encode(&mut encoded);
    let file = golden("run-v1.bin", &encoded);

    assert_eq!(
        RunHeader::decode(&file).expect("a header of version 1"),
        header
    );
    let (body, trailer) = file.split_at(file.len() - RUN_TRAILER_BYTES);
    let footer_bytes = RunFooter::length_from_trailer(trailer).expect("a trailer");
    let (pages, found) = body.split_at(body.len() - footer_bytes);
    assert_eq!(RunFooter::decode(found).expect("a footer"), footer);
    assert_eq!(footer.footer_offset(), pages.len() as u64);
    let (entries, fences) = pages[RUN_HEADER_BYTES..].split_at(RUN_PAGE_BYTES);
    assert_eq!(
        decode_entry_page(0, entries).expect("a page"),
        run_entries()
    );
    assert_eq!(decode_fence_page(0, fences).expect("a page"), vec![fence]);
    assert_eq!(encoded, file, "this release writes other bytes");
}
