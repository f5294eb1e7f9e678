//! Durable files: the Storage trait, fsync rules, atomic replace, and a simulated twin that loses power.
//!
//! Everything in this product that must outlive a crash goes through [`Storage`] and [`File`].
//! [`RealStorage`] is the production twin; [`SimulatedDisk`] is the same contract in memory with
//! power cuts, process kills, I/O errors and full disks, all decided by one seed.
//!
//! The rules both twins keep:
//! * bytes are durable after `sync_data` or `sync_all` of their file, never before;
//! * a created, renamed or removed name is durable after `sync_directory` of its directory;
//! * a failed sync is final for that file: nothing is retried, later writes and syncs are refused.
//!
//! This crate knows nothing about records, batches or formats.

mod aligned;
mod error;
mod lock;
mod mapping;
mod random;
mod real;
mod redb_backend;
mod replace;
mod simulated;
mod storage;

pub use aligned::{ALIGNMENT, AlignedBuffer};
pub use error::{DiskError, DiskErrorKind};
pub use lock::{DirectoryLock, LockError};
pub use random::SeededRandom;
pub use real::RealStorage;
pub use redb_backend::{RedbBackend, RedbOpenError, create_redb, open_redb};
pub use replace::{open_or_create, read_whole, replace_atomically};
pub use simulated::{FaultCounts, FaultPlan, SECTOR_BYTES, SimulatedDisk};
pub use storage::{Access, CreateOptions, File, Mapping, Space, Storage};
