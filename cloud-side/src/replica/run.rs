//! Runs: where every byte of a span of batches is, so that any batch end is readable at once.
//!
//! A batch's own extent table is its run of level 0. Eight adjacent runs of one level merge into one
//! of the next, index-aligned, so at most 7 of each level, newest first, cover any prefix of the
//! history. Files are derived: one that is missing or damaged is built again from its children and
//! in the end from the log. A file is complete and durable before it gets its name, and never
//! changes after that.

mod build;
mod cover;
mod cursor;
mod file;
mod merge;
mod source;
mod store;

pub use cover::{RunId, cover, cover_between};
pub use cursor::{EntryCursor, FileCursor};
pub use file::RunFile;
pub use merge::{Merge, ZeroRule};
pub(crate) use source::head_bytes;
pub use source::{BatchTable, RunSource};
pub use store::{RunStore, RunStoreParts};

use crate::{catalog::CatalogError, receive::BatchNumber, replica::log::LogError};
use bcdr_disk::DiskError;
use bcdr_format::DecodeError;
use std::path::PathBuf;
use thiserror::Error;

/// What lies beneath a lineage's first batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beneath {
    /// Zeroes: the lineage holds all that was ever written.
    Zeroes,
    /// The image of another lineage, whose bytes show wherever no batch of this one wrote.
    Base,
}

/// Why a run could not be read or built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// A run's file is damaged or missing; it is built again from what it was made of.
    #[error("run {} is damaged: {source}; it will be built again", path.display())]
    Damaged {
        /// Which run.
        run: RunId,
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// Its file failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A batch in the log is damaged.
    #[error(
        "batch {batch} in log segment {segment} at byte {offset} is damaged: {source}; restore the segment from a copy or resync the group"
    )]
    Batch {
        /// The batch.
        batch: BatchNumber,
        /// The segment.
        segment: u32,
        /// Where the batch begins.
        offset: u64,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// The index has no such batch.
    #[error("batch {batch} is not in the index")]
    NoBatch {
        /// The batch.
        batch: BatchNumber,
    },
    /// The index failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

#[cfg(test)]
mod tests;
