//! The journal: a stream's records on disk, in order, in recycled segments of fixed size.
//!
//! Invariants: what [`Journal::sync`] reported durable survives a power cut; recovery returns a
//! prefix of what was appended, in order; an old record of a recycled segment is never read as a
//! new one, because every checksum is seeded with the number of the segment's use.
//!
//! One thread owns the [`Journal`] and executes the [`JournalCommand`]s of the tap in order;
//! [`JournalReader`]s read finished appends beside it from a [`JournalSnapshot`]. The bytes are
//! owned by `segment.rs` and drawn in `docs/format/journal.md`.

mod append;
mod command;
mod index;
mod reader;
mod recover;
mod segment;
mod space;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub use command::{JournalCommand, JournalEvent, JournalUsage, StopReason};
pub use index::JournalSnapshot;
pub use reader::{JournalReader, ReadError};
pub use recover::{RecoverError, Recovered};
pub use writer::{Journal, JournalError};

use bcdr_format::{GroupId, StreamId};

/// Which stream's journal it is; one of another stream is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalIdentity {
    /// The group.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
}

/// Size and shape of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalSettings {
    /// Bytes of one segment file; a multiple of 4096, and room for the longest record.
    pub segment_bytes: u64,
    /// The most segments there may be; with the segment size it is the capacity. At least 3.
    pub segments_max: u32,
    /// Use direct I/O.
    pub direct: bool,
    /// The most bytes written in one append, unless a single record is longer.
    pub append_bytes_max: usize,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segments_max: 16,
            direct: true,
            append_bytes_max: 8 << 20,
        }
    }
}
