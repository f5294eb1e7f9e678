//! The replica store: durable history of each lineage, and readable images at any batch end.
//!
//! The log ([`log`]) is the truth: batches in append-only segments, synced in group commits and only
//! then acknowledged. Runs ([`run`]) are derived tables that say where every byte of a span of
//! batches is; at most 7 per level of them make any batch end readable ([`view`]) without reading
//! the history. [`store`] ties one lineage's log, state and index together.
//!
//! Invariants: nothing is acknowledged before its sync; everything acknowledged is found again after
//! any crash; damage is located and told, never served or skipped silently. The store never opens
//! sealed data except through the [`view::ChunkOpener`] it is given.

pub mod log;
pub mod run;
pub mod space;
pub mod store;
pub mod view;

pub use log::{Damage, LogError};
pub use run::{Beneath, RunError, RunStore};
pub use space::{SpaceFloor, SpaceFloorReached};
pub use store::{
    Committed, LineageReader, LineageStore, Recovery, StoreError, StoreOptions, remove_files,
};
pub(crate) use view::push_status;
pub use view::{
    ChunkCache, ChunkOpener, OpenChunkError, Status, StatusKind, ViewError, ViewReader,
};
