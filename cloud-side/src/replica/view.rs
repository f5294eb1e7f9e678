//! Views: the readable image of a group's volumes at one batch end.
//!
//! A view is a stack of runs, newest first; a read takes each byte from the first run that names it,
//! and where none does, from the view beneath if the lineage has a base, and zeroes if it has none. It never changes, never serves a byte it cannot vouch for, and holds
//! nothing but the runs' footers: pages and opened chunks are in bounded caches.

mod cache;
mod reader;

pub use cache::ChunkCache;
pub(crate) use reader::push_status;
pub use reader::{Status, StatusKind, ViewReader};

use crate::{
    catalog::CatalogError,
    receive::{BatchNumber, Lineage, PointId},
    replica::run::RunError,
};
use bcdr_format::{VolumeNumber, chunk::ChunkHeader};
use thiserror::Error;

/// Why a chunk could not be opened; supplied by whoever holds the keys.
pub type OpenChunkError = Box<dyn std::error::Error + Send + Sync>;

/// Opens sealed chunks: unseals and decompresses. The key of a chunk is in
/// [`crate::catalog::Catalog::wrapped_key`] in its wrapped form.
pub trait ChunkOpener: Send + Sync + 'static {
    /// The plaintext of a chunk, exactly `header.plain_length` bytes.
    fn open(&self, header: &ChunkHeader, sealed: &[u8]) -> Result<Vec<u8>, OpenChunkError>;
}

/// Why a view could not be opened or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ViewError {
    /// There is no such batch.
    #[error("batch {batch} is not in the store")]
    NoBatch {
        /// The batch.
        batch: BatchNumber,
    },
    /// The lineage lies above a base and was opened without it, or the other way round.
    #[error(
        "an image of lineage {lineage} cannot be opened: it was asked for with another base than it has; open it through its branch"
    )]
    OtherBase {
        /// The lineage.
        lineage: Lineage,
    },
    /// There is no such volume at that point.
    #[error("point {point} has no volume number {volume}")]
    NoVolume {
        /// The point.
        point: PointId,
        /// The volume's number.
        volume: VolumeNumber,
    },
    /// The range ends beyond the volume.
    #[error(
        "{offset}+{length} lies outside volume number {volume} of point {point}, which has {size} bytes"
    )]
    OutsideVolume {
        /// The point.
        point: PointId,
        /// The volume's number.
        volume: VolumeNumber,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The volume's size in bytes.
        size: u64,
    },
    /// Nobody knows what the range held.
    #[error(
        "the contents of {offset}+{length} of volume number {volume} at point {point} are unknown: the source could not read them after a failed write; take a point after they were written again"
    )]
    Unknown {
        /// The point.
        point: PointId,
        /// The volume's number.
        volume: VolumeNumber,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// The chunk that holds the range cannot be used.
    #[error(
        "{offset}+{length} of volume number {volume} at point {point} cannot be read: the chunk at byte {chunk_offset} of log segment {segment} is damaged or cannot be opened: {source}"
    )]
    Chunk {
        /// The point.
        point: PointId,
        /// The volume's number.
        volume: VolumeNumber,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The log segment.
        segment: u32,
        /// Where the chunk begins in the segment.
        chunk_offset: u32,
        /// Why.
        #[source]
        source: OpenChunkError,
    },
    /// The runs could not be read.
    #[error("point {point} cannot be read: {source}")]
    Run {
        /// The point.
        point: PointId,
        /// Why.
        #[source]
        source: RunError,
    },
    /// The index failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

#[cfg(test)]
mod tests;
