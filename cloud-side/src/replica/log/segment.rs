//! Segment files: their names and headers.

use crate::receive::Lineage;
use bcdr_format::{
    DecodeError, GroupId, StreamId, Timestamp,
    codec::{Reader, Write, checked, seal_checksum},
};
use std::path::{Path, PathBuf};

const WHAT: &str = "log segment";
const SEGMENT_MAGIC: u32 = 0x3147_4553;
const SEGMENT_VERSION: u16 = 1;

/// Bytes of a segment's header; entries follow.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 128;
/// How long a segment grows before the next one is begun, in bytes.
pub const SEGMENT_BYTES_DEFAULT: u64 = 256 << 20;
/// The most that can be configured, so that every chunk's offset fits in 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 2 << 30;

/// What stands at the front of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The history it belongs to.
    pub lineage: Lineage,
    /// Its number; the first is 1.
    pub number: u32,
    /// Where the segment before it ends, in bytes; what lies beyond is void. 0 for the first.
    pub previous_end: u64,
    /// When the lineage was made.
    pub since: Timestamp,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
        out.put_u32(SEGMENT_MAGIC);
        out.put_u16(SEGMENT_VERSION);
        out.put_u16(0);
        out.put_u128(self.lineage.group.to_u128());
        out.put_u128(self.lineage.stream.to_u128());
        out.put_u32(self.number);
        out.put_u64(self.previous_end);
        out.put_i64(self.since.0);
        out.resize(SEGMENT_HEADER_BYTES as usize - 4, 0);
        seal_checksum(&mut out, 0);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let head = Reader::new(WHAT, bytes).take(SEGMENT_HEADER_BYTES as usize)?;
        let mut reader = Reader::new(WHAT, head);
        reader.magic(SEGMENT_MAGIC)?;
        reader.version(SEGMENT_VERSION)?;
        let mut reader = Reader::new(WHAT, &checked(WHAT, head)?[8..]);
        Ok(Self {
            lineage: Lineage {
                group: GroupId::from_u128(reader.u128()?),
                stream: StreamId::from_u128(reader.u128()?),
            },
            number: reader.u32()?,
            previous_end: reader.u64()?,
            since: Timestamp(reader.i64()?),
        })
    }
}

pub(super) fn segment_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:010}.segment"))
}

pub(super) fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".segment")?;
    let number = digits.parse().ok()?;
    (format!("{number:010}") == digits).then_some(number)
}
