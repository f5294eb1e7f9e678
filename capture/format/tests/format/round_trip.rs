//! What is encoded decodes to the same value, and to nothing else.

use crate::strategies::{batch, chunk, opening, parts, record, sync_event};
use bcdr_format::{
    Opening,
    batch::{BatchLayout, BatchPrefix, encode},
    chunk::{CHUNK_HEADER_BYTES, ChunkHeader},
    codec::Reader,
    extent::{EXTENT_BYTES, Extent},
    record::{FEED_SEED, RECORD_HEADER_BYTES, assemble, decode_header},
    sync::SyncEvent,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn records(record in record(), seed in any::<u32>()) {
        let mut bytes = Vec::new();
        record.encode(seed, &mut bytes);
        prop_assert_eq!(bytes.len(), record.encoded_length());
        let header = decode_header(&bytes, seed).unwrap();
        prop_assert_eq!(header.sequence(), record.sequence);
        prop_assert_eq!(header.payload_length(), bytes.len() - RECORD_HEADER_BYTES);
        let back = assemble(&header, bytes[RECORD_HEADER_BYTES..].to_vec()).unwrap();
        prop_assert_eq!(back, record);
        // A record of another segment's use, or of the feed, is never taken for one of this.
        prop_assert!(decode_header(&bytes, seed.wrapping_add(1)).is_err());
    }

    #[test]
    fn openings(opening in opening()) {
        let mut bytes = Vec::new();
        opening.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), Opening::ENCODED_BYTES);
        let mut reader = Reader::new("opening", &bytes);
        prop_assert_eq!(Opening::decode(&mut reader).unwrap(), opening);
        reader.finish().unwrap();
    }

    #[test]
    fn sync_events(event in sync_event()) {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        let mut reader = Reader::new("sync event", &bytes);
        prop_assert_eq!(SyncEvent::decode(&mut reader).unwrap(), event);
        reader.finish().unwrap();
    }

    #[test]
    fn chunk_headers(chunk in chunk()) {
        let mut bytes = Vec::new();
        chunk.header.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), CHUNK_HEADER_BYTES);
        prop_assert_eq!(ChunkHeader::decode(&bytes).unwrap(), chunk.header);
    }

    #[test]
    fn batches(batch in batch(), mac in any::<[u8; 32]>()) {
        let (header, extents, chunks) = &batch;
        let mut bytes = encode(header, extents, chunks).unwrap();
        let prefix = BatchPrefix::decode(&bytes).unwrap();
        prop_assert_eq!(prefix.total_bytes(), bytes.len());
        let authenticated = prefix.authenticated(&bytes).to_vec();
        prefix.set_mac(&mut bytes, &mac);
        prop_assert_eq!(prefix.mac_of(&bytes), mac);
        prop_assert_eq!(prefix.authenticated(&bytes), &authenticated[..]);
        let layout = BatchLayout::parse(&bytes).unwrap();
        prop_assert_eq!(&parts(&bytes, &layout), &batch);
        let head = BatchLayout::parse_head(&bytes[..prefix.head_bytes()]).unwrap();
        prop_assert_eq!(head, layout);
    }

    #[test]
    fn extents(batch in batch()) {
        for extent in batch.1 {
            let mut bytes = Vec::new();
            extent.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), EXTENT_BYTES);
            let mut reader = Reader::new("extent", &bytes);
            prop_assert_eq!(Extent::decode(&mut reader).unwrap(), extent);
        }
    }
}

#[test]
fn a_record_on_the_feed_begins_with_its_magic() {
    let mut bytes = Vec::new();
    let record = bcdr_format::record::Record::<Vec<u8>> {
        sequence: bcdr_format::Sequence(1),
        captured_at: bcdr_format::Timestamp(0),
        body: bcdr_format::record::RecordBody::Beat(bcdr_format::record::Beat {
            run: bcdr_format::ReceiverRunId::from_u128(1),
            receiver_nanoseconds: 2,
        }),
    };
    record.encode(FEED_SEED, &mut bytes);
    assert_eq!(&bytes[..4], b"REC1");
}
