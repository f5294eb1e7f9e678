//! One append: laying records out for a single write, and reading them back.
//!
//! Invariant: an append is read back whole or not at all. Payloads that are aligned are written
//! from where they lie; others are copied once.

use super::{
    segment::{APPEND_HEADER_BYTES, AppendHeader, padded, seed_of},
    window::SegmentWindow,
};
use crate::{Payload, StreamRecord};
use bcdr_disk::{ALIGNMENT, AlignedBuffer, DiskError, File};
use bcdr_format::{
    DecodeError, Position,
    record::{self, RECORD_HEADER_BYTES, RecordHeader},
};
use std::{ops::Range, sync::Arc};

/// Bytes a record takes in an append: in its head, and behind it.
pub(super) fn footprint(record: &StreamRecord) -> (usize, usize) {
    let payload = record.body.payload().map_or(0, |payload| payload.len());
    (record.encoded_length() - payload, padded(payload))
}

/// Bytes of an append of these records, padding included.
pub(super) fn append_bytes<'a>(records: impl IntoIterator<Item = &'a StreamRecord>) -> usize {
    let (mut head, mut behind) = (APPEND_HEADER_BYTES, 0);
    for record in records {
        let (in_head, payload) = footprint(record);
        head += in_head;
        behind += payload;
    }
    padded(head) + behind
}

/// Writes one append at `offset`; returns its bytes.
pub(super) fn write_append(
    file: &dyn File,
    offset: u64,
    use_number: u64,
    number: u64,
    records: &[Arc<StreamRecord>],
    settled: Option<Position>,
    clean: bool,
) -> Result<u64, DiskError> {
    let seed = seed_of(use_number);
    let mut heads = Vec::new();
    for record in records {
        let (header, description) = record.encode_header(seed);
        heads.extend_from_slice(&header);
        if record.body.payload().is_none() {
            heads.extend_from_slice(&description);
        }
    }
    let total = append_bytes(records.iter().map(|record| &**record));
    let header = AppendHeader {
        clean,
        records: records.len() as u32,
        head_bytes: (APPEND_HEADER_BYTES + heads.len()) as u32,
        total_bytes: u32::try_from(total).expect("appends are bounded far below 4 GiB"),
        settled,
        number,
    };
    let mut head = AlignedBuffer::zeroed(padded(APPEND_HEADER_BYTES + heads.len()));
    head[..APPEND_HEADER_BYTES].copy_from_slice(&header.encode(seed));
    head[APPEND_HEADER_BYTES..APPEND_HEADER_BYTES + heads.len()].copy_from_slice(&heads);
    let copies: Vec<Payload> = records
        .iter()
        .filter_map(|record| aligned(record))
        .collect();
    let mut parts: Vec<&[u8]> = vec![&head];
    parts.extend(copies.iter().map(|payload| &**payload));
    file.write_vectored_all_at(&parts, offset)?;
    Ok(total as u64)
}

/// A record's payload, padded and aligned; shared when it is so already.
fn aligned(record: &StreamRecord) -> Option<Payload> {
    let payload = record.body.payload()?;
    if payload.is_aligned() {
        return Some(payload.clone());
    }
    let mut copy = AlignedBuffer::zeroed(padded(payload.len()));
    copy[..payload.len()].copy_from_slice(payload);
    Some(Payload::from_buffer(copy))
}

/// An append as found: its header and its records' headers.
#[derive(Debug)]
pub(super) struct FoundAppend {
    pub(super) offset: u64,
    pub(super) header: AppendHeader,
    pub(super) records: Vec<FoundRecord>,
}

/// A record as found: its header, and where its bytes are in the file.
#[derive(Debug)]
pub(super) struct FoundRecord {
    pub(super) header: RecordHeader,
    /// A description, already read; data is fetched when needed.
    description: Option<Payload>,
    data_at: u64,
}

/// Why an append could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    /// It is not there, or not whole.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
    /// The file cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Reads the header of the append at `offset` and the headers of its records; its payloads are not
/// looked at. `end` is where the segment's room ends.
pub(super) fn read_append(
    window: &mut SegmentWindow<'_>,
    offset: u64,
    end: u64,
    use_number: u64,
) -> Result<FoundAppend, AppendError> {
    let seed = seed_of(use_number);
    let room = end.saturating_sub(offset);
    if room < ALIGNMENT as u64 {
        let needed = ALIGNMENT;
        let available = room as usize;
        return Err(DecodeError::Truncated {
            what: "journal append",
            needed,
            available,
        }
        .into());
    }
    let mut head = window.take(offset, ALIGNMENT)?;
    let header = AppendHeader::decode(&head, seed, room)?;
    let head_bytes = header.head_bytes as usize;
    if head_bytes > head.len() {
        head = window.take(offset, head_bytes)?;
        // It may have been read again: what was checked must be what is used.
        if AppendHeader::decode(&head, seed, room)? != header {
            return Err(DecodeError::invalid("journal append", "it changes while read").into());
        }
    }
    let records = parse_heads(&head.slice(0..head_bytes), &header, offset, seed)?;
    Ok(FoundAppend {
        offset,
        header,
        records,
    })
}

fn parse_heads(
    head: &[u8],
    append: &AppendHeader,
    offset: u64,
    seed: u32,
) -> Result<Vec<FoundRecord>, DecodeError> {
    let mut records = Vec::new();
    let mut at = APPEND_HEADER_BYTES;
    let mut data_at = padded(head.len());
    for _ in 0..append.records {
        let header = record::decode_header(&head[at..], seed)?;
        at += RECORD_HEADER_BYTES;
        let length = header.payload_length();
        let found = if header.carries_data() {
            let found = FoundRecord {
                header,
                description: None,
                data_at: offset + data_at as u64,
            };
            data_at += padded(length);
            found
        } else {
            let bytes = head.get(at..at + length).ok_or(DecodeError::Truncated {
                what: "journal append",
                needed: length,
                available: head.len() - at,
            })?;
            at += length;
            let description = Some(Payload::copied_from(bytes));
            FoundRecord {
                header,
                description,
                data_at: offset,
            }
        };
        records.push(found);
    }
    if data_at > append.total_bytes as usize {
        return Err(DecodeError::invalid(
            "journal append",
            "payloads beyond its end",
        ));
    }
    Ok(records)
}

impl FoundRecord {
    /// Fetches and checks the record.
    pub(super) fn fetch(
        &self,
        window: &mut SegmentWindow<'_>,
    ) -> Result<StreamRecord, AppendError> {
        let payload = match &self.description {
            Some(description) => description.clone(),
            None => window.take(self.data_at, self.header.payload_length())?,
        };
        Ok(record::assemble(&self.header, payload)?)
    }

    /// The record without its data, for the kinds that carry none.
    pub(super) fn described(&self) -> Result<Option<StreamRecord>, DecodeError> {
        self.description
            .as_ref()
            .map(|description| record::assemble(&self.header, description.clone()))
            .transpose()
    }
}

/// The bytes an append takes in the file.
pub(super) fn extent(append: &FoundAppend) -> Range<u64> {
    append.offset..append.offset + u64::from(append.header.total_bytes)
}
