//! Branches: writable images that begin as a point and have a history of their own.
//!
//! A branch is a lineage like any other, in a log of its own, that lies above the point it began
//! as: what was never written in it is read from there, so making one costs the same whatever the
//! volumes' size, and the base never changes. Writes are answered from memory and become batches;
//! a flush returns when the batch that holds everything answered before it is durable. Answered
//! writes that no flush followed may be lost with the process, the newest ones first; they are
//! never reordered. Every batch end is an instant of the branch that can be read later.
//!
//! One thread per branch owns its store. After that store fails, writes and flushes are errors until
//! the branch is opened by a new process, and what is durable is read on. It decides nothing about
//! when a branch is wanted: [`crate::branches`] keeps them all.

pub mod exports;
mod extents;
mod head;
mod layers;
mod pack;
mod record;
mod store;
mod writer;

pub use crate::{
    keys::KeysError,
    record_id::{BranchId, ParseRecordIdError},
};
pub use pack::PackError;
pub use record::{BranchBase, BranchReason, BranchRecord, BranchState};
pub use store::CommitError;
pub use writer::{Branch, BranchStatus};

use crate::{
    catalog::{Catalog, CatalogError},
    replica::{
        ChunkCache, ChunkOpener, LineageReader, SpaceFloorReached, StoreError, StoreOptions,
        ViewError,
    },
};
use bcdr_disk::Storage;
use bcdr_format::VolumeNumber;
use bcdr_wire::seal::{DataKey, InstallationKey, SealError};
use bytes::Bytes;
use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};
use thiserror::Error;

/// What branches are sealed with.
#[derive(Debug, Clone)]
pub struct BranchKeys {
    /// Authenticates batches.
    pub installation_key: Arc<InstallationKey>,
    /// Seals chunks; made by this process.
    pub data_key: Arc<DataKey>,
    /// The data key, wrapped under the installation key.
    pub wrapped: Bytes,
}

/// Where the keys come from. They may arrive after the process started.
pub trait BranchKeySource: Send + Sync + 'static {
    /// The keys, the same for the whole life of the process.
    ///
    /// # Errors
    /// While there is no installation key.
    fn keys(&self) -> Result<BranchKeys, KeysError>;
}

/// When a branch writes batches and how much it keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchLimits {
    /// A batch is written when its writes take this much memory, in bytes. At most 16 MiB.
    pub batch_bytes: u64,
    /// A batch is written when its first write is this old.
    pub batch_age: Duration,
    /// Durable writes are kept in memory up to this many bytes before they are read from the log.
    pub view_bytes: u64,
    /// The same, in batches.
    pub view_batches: u64,
}

/// The most memory that the writes of one batch may take, so that it fits its format.
const BATCH_BYTES_MAX: u64 = 16 << 20;
/// A longer write becomes several that may be lost apart from each other, in bytes.
const WRITE_BYTES_MAX: u64 = 4 << 20;
/// The same for zeroes, which need a table entry every 16 MiB only.
const ZERO_BYTES_MAX: u64 = 1 << 40;

impl Default for BranchLimits {
    fn default() -> Self {
        Self {
            batch_bytes: BATCH_BYTES_MAX,
            batch_age: Duration::from_millis(250),
            view_bytes: 32 << 20,
            view_batches: 256,
        }
    }
}

/// What all branches share.
#[derive(Clone)]
pub struct BranchSettings {
    /// Where files are.
    pub storage: Arc<dyn Storage>,
    /// The directory of all lineages.
    pub replicas: PathBuf,
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// How their logs are stored.
    pub store: StoreOptions,
    /// What they are sealed with.
    pub keys: Arc<dyn BranchKeySource>,
    /// Opens chunks for reading.
    pub opener: Arc<dyn ChunkOpener>,
    /// Keeps opened chunks.
    pub cache: Arc<ChunkCache>,
    /// When they write.
    pub limits: BranchLimits,
    /// Is told after each commit, for the run builder.
    pub committed: mpsc::Sender<Arc<LineageReader>>,
}

impl std::fmt::Debug for BranchSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BranchSettings")
            .field("replicas", &self.replicas)
            .field("store", &self.store)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why a branch could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenBranchError {
    /// There is nothing to seal with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The sealer could not be set up.
    #[error("cannot seal the writes of a branch: {0}")]
    Seal(#[from] SealError),
    /// Its store could not be opened.
    #[error("the store of branch {branch} cannot be opened: {source}")]
    Store {
        /// The branch.
        branch: BranchId,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Its first batch could not be written.
    #[error("branch {branch} cannot be begun: {source}")]
    Begin {
        /// The branch.
        branch: BranchId,
        /// Why.
        #[source]
        source: CommitError,
    },
    /// Its log is damaged before its first point.
    #[error("branch {branch} has no readable point: {reason}")]
    NoPoint {
        /// The branch.
        branch: BranchId,
        /// Why.
        reason: String,
    },
    /// Its image could not be opened.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Its thread could not be started.
    #[error("the thread of branch {branch} cannot be started: {source}")]
    Thread {
        /// The branch.
        branch: BranchId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why a branch did not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BranchError {
    /// It has no such volume.
    #[error("branch {branch} has no volume number {volume}")]
    NoVolume {
        /// The branch.
        branch: BranchId,
        /// The volume's number.
        volume: VolumeNumber,
    },
    /// The range ends beyond the volume.
    #[error(
        "{offset}+{length} lies outside volume number {volume} of branch {branch}, which has {size} bytes"
    )]
    OutsideVolume {
        /// The branch.
        branch: BranchId,
        /// The volume's number.
        volume: VolumeNumber,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The volume's size in bytes.
        size: u64,
    },
    /// A write does not begin and end at a sector.
    #[error("{offset}+{length} is not made of whole sectors of 512 bytes: align writes to them")]
    Unaligned {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// The space floor is reached; nothing was written. Writes work again when there is space.
    #[error(transparent)]
    NoSpace(#[from] SpaceFloorReached),
    /// Its store failed earlier, for good in this process.
    #[error(
        "branch {branch} takes no more writes since its store failed: {reason}; what was flushed before is kept and can be read; check the device and start the cloud side again"
    )]
    Failed {
        /// The branch.
        branch: BranchId,
        /// What failed.
        reason: Arc<str>,
    },
    /// It was closed.
    #[error("branch {branch} is closed")]
    Closed {
        /// The branch.
        branch: BranchId,
    },
    /// It could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
}

#[cfg(test)]
mod tests;
