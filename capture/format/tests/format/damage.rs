//! Every truncation and every flipped bit is refused, or is where another check will find it.

use crate::strategies::{batch, chunk, record};
use bcdr_format::{
    DecodeError,
    batch::{BATCH_PREFIX_BYTES, BatchLayout, BatchPrefix, encode},
    chunk::ChunkHeader,
    record::{FEED_SEED, RECORD_HEADER_BYTES, Record, assemble, decode_header},
};
use proptest::prelude::*;

fn decode(bytes: &[u8]) -> Result<Record<Vec<u8>>, DecodeError> {
    let header = decode_header(bytes, FEED_SEED)?;
    assemble(&header, bytes[RECORD_HEADER_BYTES..].to_vec())
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[bit / 8] ^= 1 << (bit % 8);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records(record in record()) {
        let mut bytes = Vec::new();
        record.encode(FEED_SEED, &mut bytes);
        for length in 0..bytes.len() {
            prop_assert!(decode(&bytes[..length]).is_err(), "cut at {}", length);
        }
        let header_bits = RECORD_HEADER_BYTES * 8;
        for bit in (0..header_bits).chain((header_bits..bytes.len() * 8).step_by(37)) {
            prop_assert!(decode(&flipped(&bytes, bit)).is_err(), "bit {}", bit);
        }
    }

    #[test]
    fn batches((header, extents, chunks) in batch()) {
        let bytes = encode(&header, &extents, &chunks).unwrap();
        let prefix = BatchPrefix::decode(&bytes).unwrap();
        for length in 0..bytes.len() {
            prop_assert!(BatchLayout::parse(&bytes[..length]).is_err(), "cut at {}", length);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert!(BatchLayout::parse(&longer).is_err());
        let mac = prefix.chunk_region() - 32..prefix.chunk_region();
        for bit in (0..BATCH_PREFIX_BYTES * 8).chain((BATCH_PREFIX_BYTES * 8..bytes.len() * 8).step_by(5)) {
            let damaged = flipped(&bytes, bit);
            let parsed = BatchLayout::parse(&damaged);
            if mac.contains(&(bit / 8)) {
                // The MAC is its own check: it changes, and nothing else does.
                prop_assert!(parsed.is_ok());
                prop_assert_ne!(prefix.mac_of(&damaged), prefix.mac_of(&bytes));
            } else {
                prop_assert!(parsed.is_err(), "bit {}", bit);
            }
        }
    }

    #[test]
    fn chunk_headers(chunk in chunk()) {
        let mut bytes = Vec::new();
        chunk.header.encode(&mut bytes);
        for length in 0..bytes.len() {
            prop_assert!(ChunkHeader::decode(&bytes[..length]).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            prop_assert!(ChunkHeader::decode(&flipped(&bytes, bit)).is_err(), "bit {}", bit);
        }
    }
}
