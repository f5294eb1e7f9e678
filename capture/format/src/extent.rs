//! Extents: what a batch says about byte ranges of its volumes.
//!
//! An extent table is sorted by (volume, offset) and its extents do not overlap, so that applying
//! a batch is one pass and looking a range up is a binary search.

use crate::{
    RECORD_LENGTH_MAX, SECTOR_BYTES, VolumeNumber,
    codec::{DecodeError, Reader, Write},
};

const WHAT: &str = "extent table";

/// Bytes of one encoded extent.
pub const EXTENT_BYTES: usize = 24;

/// Where an extent's contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// In a chunk of the same batch.
    Chunk {
        /// The chunk's place in the batch's chunk directory.
        index: u32,
        /// Where in the chunk's plaintext the extent begins, in bytes.
        offset: u32,
    },
    /// Zeroes.
    Zero,
    /// Unknown: the source could not read it back after a failed write. Reading it is an error.
    Unknown,
}

/// One range and where its contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The volume.
    pub volume: VolumeNumber,
    /// First byte; a multiple of [`SECTOR_BYTES`].
    pub offset: u64,
    /// Bytes; a multiple of [`SECTOR_BYTES`], never zero.
    pub length: u32,
    /// Its contents.
    pub content: Content,
}

impl Extent {
    /// The byte after the last.
    pub const fn end(&self) -> u64 {
        self.offset + self.length as u64
    }

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, index, offset) = match self.content {
            Content::Chunk { index, offset } => (1, index, offset),
            Content::Zero => (2, 0, 0),
            Content::Unknown => (3, 0, 0),
        };
        out.put_u16(self.volume.0);
        out.put_u8(kind);
        out.put_u8(0);
        out.put_u32(self.length);
        out.put_u64(self.offset);
        out.put_u32(index);
        out.put_u32(offset);
    }

    /// Reads one encoded extent.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let volume = VolumeNumber(reader.u16()?);
        let kind = reader.u8()?;
        let reserved = reader.u8()?;
        let length = reader.u32()?;
        let offset = reader.u64()?;
        let index = reader.u32()?;
        let inner = reader.u32()?;
        let content = match kind {
            1 => Content::Chunk {
                index,
                offset: inner,
            },
            2 => Content::Zero,
            3 => Content::Unknown,
            other => return Err(DecodeError::invalid(WHAT, format!("extent kind {other}"))),
        };
        // What a kind does not use is zero, so that each extent has one encoded form.
        let unused = kind != 1 && (index, inner) != (0, 0);
        if reserved != 0 || unused {
            return Err(DecodeError::invalid(
                WHAT,
                format!("extent kind {kind} with fields it does not have"),
            ));
        }
        let aligned =
            offset.is_multiple_of(SECTOR_BYTES) && u64::from(length).is_multiple_of(SECTOR_BYTES);
        let bounded = length > 0
            && length <= RECORD_LENGTH_MAX
            && offset.checked_add(u64::from(length)).is_some();
        if !aligned || !bounded {
            return Err(DecodeError::invalid(
                WHAT,
                format!("range {offset}+{length}"),
            ));
        }
        Ok(Self {
            volume,
            offset,
            length,
            content,
        })
    }
}

/// Refuses a table that is not sorted or whose extents overlap.
pub fn check_order(extents: &[Extent]) -> Result<(), DecodeError> {
    for pair in extents.windows(2) {
        let (left, right) = (&pair[0], &pair[1]);
        let ordered = left.volume < right.volume
            || (left.volume == right.volume && left.end() <= right.offset);
        if !ordered {
            return Err(DecodeError::invalid(
                WHAT,
                format!(
                    "{}+{} and {}+{} of volume {} are out of order or overlap",
                    left.offset, left.length, right.offset, right.length, right.volume
                ),
            ));
        }
    }
    Ok(())
}
