//! What clients ask of the tap, what they are told, and the volumes they ask it of.

use crate::Payload;
use bcdr_format::{SECTOR_BYTES, VolumeId, VolumeNumber};

/// Names a request; minted by the shell, unique among the requests not yet answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A client's request. Offsets and lengths are bytes and must be whole sectors inside the volume;
/// anything else is answered with [`ReplyError::Invalid`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Read a range.
    Read {
        /// The volume.
        volume: VolumeNumber,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u32,
    },
    /// Write a range.
    Write {
        /// The volume.
        volume: VolumeNumber,
        /// First byte.
        offset: u64,
        /// The bytes; they also give the length.
        payload: Payload,
        /// Answer only when it is durable.
        fua: bool,
    },
    /// Make a range read as zeroes.
    WriteZeroes {
        /// The volume.
        volume: VolumeNumber,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// Whether the space may be given back (NBD's NO_HOLE flag is not set).
        may_unmap: bool,
        /// Answer only when it is durable.
        fua: bool,
    },
    /// Give a range's space back. On a volume whose trimmed ranges would not read as zeroes it is
    /// answered and otherwise ignored.
    Trim {
        /// The volume.
        volume: VolumeNumber,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// Answer only when it is durable.
        fua: bool,
    },
    /// Make everything answered so far durable.
    Flush {
        /// The volume.
        volume: VolumeNumber,
    },
}

impl Request {
    /// The volume it is about.
    #[must_use]
    pub fn volume(&self) -> VolumeNumber {
        match self {
            Self::Read { volume, .. }
            | Self::Write { volume, .. }
            | Self::WriteZeroes { volume, .. }
            | Self::Trim { volume, .. }
            | Self::Flush { volume } => *volume,
        }
    }

    /// Its first byte and its length; a flush has neither.
    pub(super) fn extent(&self) -> Option<(u64, u64)> {
        match self {
            Self::Read { offset, length, .. } => Some((*offset, u64::from(*length))),
            Self::Write {
                offset, payload, ..
            } => Some((*offset, payload.len() as u64)),
            Self::WriteZeroes { offset, length, .. } | Self::Trim { offset, length, .. } => {
                Some((*offset, *length))
            }
            Self::Flush { .. } => None,
        }
    }
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The request.
    pub request: RequestId,
    /// What came of it.
    pub result: Result<ReplyValue, ReplyError>,
}

/// The answer to a request that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyValue {
    /// It is done.
    Done,
    /// What a read found.
    Data(Payload),
}

/// Why a request failed, in the terms of the NBD protocol's error numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyError {
    /// The backing failed.
    Io,
    /// The backing has no space left.
    NoSpace,
    /// The request is not whole sectors, or lies outside the volume.
    Invalid,
}

/// A volume of the group, as the tap knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Its number in the stream.
    pub number: VolumeNumber,
    /// Its identity.
    pub id: VolumeId,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The unit in which the backing reads and writes, a power of two. The shell may read, modify
    /// and write whole units around a request: no other write in the same unit is in flight.
    pub io_unit_bytes: u32,
    /// Whether a trimmed range reads back as zeroes.
    pub trim_zeroes: bool,
}

impl Volume {
    /// Whether a range is whole sectors inside the volume.
    pub(super) fn holds(&self, offset: u64, length: u64) -> bool {
        offset.is_multiple_of(SECTOR_BYTES)
            && length.is_multiple_of(SECTOR_BYTES)
            && offset
                .checked_add(length)
                .is_some_and(|end| end <= self.size_bytes)
    }

    /// The range rounded out to whole I/O units: what a write of it locks.
    pub(super) fn rounded(&self, offset: u64, length: u64) -> (u64, u64) {
        let unit = u64::from(self.io_unit_bytes);
        (
            offset / unit * unit,
            (offset + length).next_multiple_of(unit),
        )
    }
}
