//! Reading a frame of records: whole records, one after the other, under the feed's seed.

use bcdr_format::{
    DecodeError,
    record::{FEED_SEED, RECORD_HEADER_BYTES, Record, assemble, decode_header},
};
use bytes::Bytes;

/// The records of a frame. Their payloads are slices of it; nothing is copied.
pub fn decode(mut frame: Bytes) -> Result<Vec<Record<Bytes>>, DecodeError> {
    let mut records = Vec::new();
    while !frame.is_empty() {
        let header = decode_header(&frame, FEED_SEED)?;
        let end = RECORD_HEADER_BYTES + header.payload_length();
        if frame.len() < end {
            return Err(DecodeError::Truncated {
                what: "records frame",
                needed: end,
                available: frame.len(),
            });
        }
        let record = frame.split_to(end);
        records.push(assemble(&header, record.slice(RECORD_HEADER_BYTES..))?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{
        Sequence, Timestamp,
        position::VolumeNumber,
        record::{RecordBody, VolumeRange},
    };

    fn record(sequence: u64) -> Record<Bytes> {
        let range = VolumeRange {
            volume: VolumeNumber(1),
            offset: 512 * sequence,
            length: 512,
        };
        let body = if sequence.is_multiple_of(2) {
            RecordBody::Zero { range, unmap: true }
        } else {
            RecordBody::Data {
                range,
                payload: Bytes::from(vec![sequence as u8; 512]),
            }
        };
        Record {
            sequence: Sequence(sequence),
            captured_at: Timestamp(5),
            body,
        }
    }

    fn frame() -> Vec<u8> {
        let mut bytes = Vec::new();
        (1..=4).for_each(|sequence| record(sequence).encode(FEED_SEED, &mut bytes));
        bytes
    }

    #[test]
    fn reads_back_what_was_written() {
        let expected: Vec<_> = (1..=4).map(record).collect();
        assert_eq!(decode(Bytes::from(frame())).unwrap(), expected);
    }

    #[test]
    fn refuses_every_truncation_and_every_flipped_bit() {
        let whole = frame();
        for length in 1..whole.len() {
            let cut = decode(Bytes::copy_from_slice(&whole[..length]));
            let ends_between_records = cut.as_ref().is_ok_and(|records| records.len() < 4);
            assert!(cut.is_err() || ends_between_records, "cut at {length}");
        }
        for bit in (0..whole.len() * 8).step_by(7) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(Bytes::from(flipped)).is_err(), "bit {bit}");
        }
    }
}
