//! A lineage's log: append-only segments of entries, drawn in `docs/format/log.md`.
//!
//! Invariants:
//! * an entry counts only after a successful sync of its segment; a segment's first entry is written
//!   only after its header and its name are durable;
//! * a process never appends to a segment that it did not create, and each segment's header says
//!   where the one before it ends, so what a crash or a failed sync left behind that end is never
//!   read, and only the last segment can have a torn tail;
//! * each entry says how much of its segment was synced when it was written, so damage to
//!   acknowledged bytes is told apart from a torn tail.
//!
//! A failed sync ends its segment: everything since the last successful one is written again, from
//! memory, into a new segment. If that fails too the log takes nothing more until it is reopened.

mod entry;
mod reader;
mod scan;
mod segment;
mod writer;

pub(crate) use entry::WRAPPED_KEY_BYTES_MAX;
pub use entry::{Entry, EntryPlace};
pub use reader::LogReader;
pub(crate) use scan::first_since;
pub use scan::{ScanEnd, Scanned, scan};
pub use segment::{SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SegmentHeader};
pub use writer::{LogOptions, LogStart, LogWriter, Ticket};

use crate::{catalog::LogPosition, receive::BatchNumber};
use bcdr_disk::DiskError;
use std::{fmt, path::PathBuf};
use thiserror::Error;

/// Why the log could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// A file failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Bytes that were acknowledged cannot be read back.
    #[error("{0}")]
    Damaged(Damage),
    /// A chunk's data key has not been told.
    #[error("the wrapped form of {0} is not known")]
    KeyMissing(bcdr_format::DataKeyId),
    /// A sync failed and so did writing its data again.
    #[error(
        "the log in {} failed earlier and takes nothing more until it is opened again; check its device",
        directory.display()
    )]
    Failed {
        /// The log's directory.
        directory: PathBuf,
    },
    /// There are more segments than numbers.
    #[error("the log in {} has used up its segment numbers", directory.display())]
    Exhausted {
        /// The log's directory.
        directory: PathBuf,
    },
}

/// Damage to bytes that were acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where in the log the damaged entry begins.
    pub position: LogPosition,
    /// The batch that is hit, as far as it is known: it or one after it.
    pub batch: Option<BatchNumber>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "log segment {} ({}) is damaged at byte {}",
            self.position.segment,
            self.path.display(),
            self.position.offset
        )?;
        if let Some(batch) = self.batch {
            write!(formatter, ", at batch {batch}")?;
        }
        write!(
            formatter,
            ": {}; points before it stay readable, restore the file from a copy or resync the group",
            self.reason
        )
    }
}

#[cfg(test)]
mod tests;
