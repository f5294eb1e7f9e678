//! A writer whose checksums are right and whose fields are not: each codec refuses, or reads a value
//! that encodes to the very same bytes. Nothing panics.

use crate::strategies::{batch, chunk, opening, parts, record, sync_event};
use bcdr_format::{
    DecodeError, Opening, Sequence,
    batch::{BATCH_BYTES_MAX, BATCH_PREFIX_BYTES, BatchLayout, BatchPrefix, encode},
    chunk::ChunkHeader,
    codec::Reader,
    extent::Extent,
    record::{FEED_SEED, RECORD_HEADER_BYTES, assemble, decode_header},
    sync::SyncEvent,
};
use proptest::{collection::vec, prelude::*, sample::Index, strategy::ValueTree};

/// A few changed bytes.
fn edits() -> impl Strategy<Value = Vec<(Index, u8)>> {
    vec((any::<Index>(), any::<u8>()), 1..4)
}

fn edit(bytes: &mut [u8], edits: &[(Index, u8)]) {
    for (place, value) in edits {
        let index = place.index(bytes.len());
        bytes[index] = *value;
    }
}

fn fix_checksum(bytes: &mut [u8], initial: u32) {
    let end = bytes.len() - 4;
    let mut crc = crc32fast::Hasher::new_with_initial(initial);
    crc.update(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// The payload's digest stands in bytes 48 to 55 of a record's header.
fn fix_digest(header: &mut [u8], payload: &[u8]) {
    header[48..56].copy_from_slice(&blake3::hash(payload).as_bytes()[..8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn records(record in record(), edits in edits()) {
        let mut bytes = Vec::new();
        record.encode(FEED_SEED, &mut bytes);
        let (header, payload) = bytes.split_at_mut(RECORD_HEADER_BYTES);
        edit(&mut header[4..60], &edits);
        fix_digest(header, payload);
        fix_checksum(header, FEED_SEED);
        let Ok(header) = decode_header(&bytes, FEED_SEED) else { return Ok(()) };
        prop_assert!(header.payload_length() <= 16 << 20);
        let payload = bytes[RECORD_HEADER_BYTES..].to_vec();
        if let Ok(back) = assemble(&header, payload) {
            let mut again = Vec::new();
            back.encode(FEED_SEED, &mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn descriptions(record in record(), edits in edits()) {
        let mut bytes = Vec::new();
        record.encode(FEED_SEED, &mut bytes);
        let (header, payload) = bytes.split_at_mut(RECORD_HEADER_BYTES);
        if payload.is_empty() { return Ok(()) }
        edit(payload, &edits);
        fix_digest(header, payload);
        fix_checksum(header, FEED_SEED);
        let header = decode_header(&bytes, FEED_SEED).unwrap();
        if let Ok(back) = assemble(&header, bytes[RECORD_HEADER_BYTES..].to_vec()) {
            let mut again = Vec::new();
            back.encode(FEED_SEED, &mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn openings(opening in opening(), edits in edits()) {
        let mut bytes = Vec::new();
        opening.encode(&mut bytes);
        edit(&mut bytes, &edits);
        if let Ok(back) = Opening::decode(&mut Reader::new("opening", &bytes)) {
            let mut again = Vec::new();
            back.encode(&mut again);
            prop_assert_eq!(again, bytes);
            prop_assert!(back.first < Sequence::LIMIT && back.check().is_ok());
        }
    }

    #[test]
    fn sync_events(event in sync_event(), edits in edits()) {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        edit(&mut bytes, &edits);
        if let Ok(back) = SyncEvent::decode(&mut Reader::new("sync event", &bytes)) {
            let mut again = Vec::new();
            back.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn extents(batch in batch(), edits in edits()) {
        for extent in batch.1.iter().take(3) {
            let mut bytes = Vec::new();
            extent.encode(&mut bytes);
            edit(&mut bytes, &edits);
            if let Ok(back) = Extent::decode(&mut Reader::new("extent", &bytes)) {
                let mut again = Vec::new();
                back.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn chunk_headers(chunk in chunk(), edits in edits()) {
        let mut bytes = Vec::new();
        chunk.header.encode(&mut bytes);
        edit(&mut bytes, &edits);
        fix_checksum(&mut bytes, 0);
        if let Ok(back) = ChunkHeader::decode(&bytes) {
            let mut again = Vec::new();
            back.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn batches((header, extents, chunks) in batch(), edits in edits(), part in 0..4usize) {
        let mut bytes = encode(&header, &extents, &chunks).unwrap();
        let prefix = BatchPrefix::decode(&bytes).unwrap();
        let tables_end = prefix.chunk_region() - 32;
        let table_bytes = extents.len() * 24 + chunks.len() * 32 + 4;
        let tables = tables_end - table_bytes;
        let (start, end) = [
            (0, BATCH_PREFIX_BYTES),
            (BATCH_PREFIX_BYTES, tables),
            (tables, tables_end),
            (prefix.chunk_region(), bytes.len()),
        ][part];
        let section = &mut bytes[start..end];
        let body = section.len() - 4;
        if body == 0 { return Ok(()) }
        edit(&mut section[..body], &edits);
        fix_checksum(section, 0);
        if let Ok(layout) = BatchLayout::parse(&bytes) {
            let (header, extents, chunks) = parts(&bytes, &layout);
            prop_assert_eq!(encode(&header, &extents, &chunks).unwrap(), bytes);
        }
    }

    #[test]
    fn any_bytes_at_all(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(decode_header(&bytes, FEED_SEED).is_err());
        prop_assert!(BatchLayout::parse(&bytes).is_err());
        prop_assert!(ChunkHeader::decode(&bytes).is_err());
    }
}

/// A prefix with these lengths and a right checksum.
fn prefix(lengths: [u32; 4]) -> Vec<u8> {
    let mut bytes = b"BAT1\x01\x00\x00\x00".to_vec();
    lengths
        .iter()
        .for_each(|length| bytes.extend_from_slice(&length.to_le_bytes()));
    bytes.extend_from_slice(&[0; 8]);
    fix_checksum(&mut bytes, 0);
    bytes
}

#[test]
fn lengths_are_checked_before_they_are_believed() {
    for lengths in [
        [u32::MAX, 0, 0, 0],
        [(1 << 20) + 1, 0, 0, 0],
        [100, u32::MAX, 0, 0],
        [100, (1 << 17) + 1, 0, 0],
        [100, 0, u32::MAX, 24 << 20],
        [100, 0, 1, 60],
        [100, 0, 0, u32::MAX],
        [100, 0, 0, 24 << 20],
        [u32::MAX; 4],
    ] {
        let refused = BatchPrefix::decode(&prefix(lengths));
        assert!(
            matches!(refused, Err(DecodeError::Invalid { .. })),
            "{lengths:?}: {refused:?}"
        );
    }
    let largest = BatchPrefix::decode(&prefix([1 << 20, 1 << 17, 1000, 1 << 20])).unwrap();
    assert!(largest.total_bytes() <= BATCH_BYTES_MAX);
    // The tables are not allocated for a batch that is not there.
    let refused = BatchLayout::parse(&prefix([1 << 20, 1 << 17, 1000, 1 << 20]));
    assert!(matches!(refused, Err(DecodeError::Truncated { .. })));
}

#[test]
fn newer_versions_are_refused_by_name() {
    let mut bytes = prefix([100, 0, 0, 0]);
    bytes[4] = 2;
    fix_checksum(&mut bytes, 0);
    let refused = BatchPrefix::decode(&bytes);
    assert!(matches!(
        refused,
        Err(DecodeError::Version {
            found: 2,
            supported: 1,
            ..
        })
    ));

    let mut bytes = Vec::new();
    let record = bcdr_format::record::Record::<Vec<u8>> {
        sequence: Sequence(1),
        captured_at: bcdr_format::Timestamp(0),
        body: bcdr_format::record::RecordBody::SyncZero {
            range: bcdr_format::record::VolumeRange {
                volume: bcdr_format::VolumeNumber(1),
                offset: 0,
                length: 512,
            },
        },
    };
    record.encode(FEED_SEED, &mut bytes);
    bytes[56] = 2;
    let refused = decode_header(&bytes, FEED_SEED);
    assert!(
        matches!(refused, Err(DecodeError::Checksum { .. })),
        "damage is no newer release"
    );
    fix_checksum(&mut bytes, FEED_SEED);
    let refused = decode_header(&bytes, FEED_SEED);
    assert!(matches!(
        refused,
        Err(DecodeError::Version {
            found: 2,
            supported: 1,
            ..
        })
    ));
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let strategy = batch();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (header, ..) = strategy.new_tree(&mut runner).unwrap().current();
    let mut too_long = header.clone();
    too_long.marker = Some(bcdr_format::record::Marker {
        id: bcdr_format::MarkerId::from_u128(1),
        kind: bcdr_format::record::MarkerKind::Bookmark,
        label: "x".repeat(257),
    });
    assert!(encode(&too_long, &[], &[]).is_err());
    let mut too_many = header.clone();
    let event = SyncEvent::Begin {
        sync: bcdr_format::SyncId::from_u128(1),
        reason: bcdr_format::sync::SyncReason::Initial,
    };
    too_many.sync_events = vec![event; 5000];
    assert!(encode(&too_many, &[], &[]).is_err());
    let outside = Extent {
        volume: bcdr_format::VolumeNumber(0),
        offset: 0,
        length: 512,
        content: bcdr_format::extent::Content::Chunk {
            index: 0,
            offset: 0,
        },
    };
    assert!(encode(&header, &[outside], &[]).is_err());
}
