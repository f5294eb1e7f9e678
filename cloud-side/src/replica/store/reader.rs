//! The shared side of a lineage's store: views, and building runs in the background.

use crate::{
    catalog::{BatchPlace, Catalog, CatalogError},
    receive::{BatchNumber, Lineage, PointId},
    replica::{
        log::{LogError, LogReader},
        run::{Beneath, RunError, RunStore},
        view::{ChunkCache, ChunkOpener, OpenChunkError, ViewError, ViewReader},
    },
};
use bcdr_format::{
    Position,
    batch::MAC_BYTES,
    chunk::{CHUNK_HEADER_BYTES, ChunkHeader},
    record::Member,
};
use std::sync::Arc;

/// Reads one lineage; shared by as many threads as wanted. It sees what the index holds, which
/// follows synced log bytes only.
#[derive(Debug)]
pub struct LineageReader {
    catalog: Arc<Catalog>,
    log: Arc<LogReader>,
    runs: Arc<RunStore>,
}

impl LineageReader {
    pub(super) fn new(catalog: Arc<Catalog>, log: Arc<LogReader>, runs: Arc<RunStore>) -> Self {
        Self { catalog, log, runs }
    }

    /// The lineage.
    pub fn lineage(&self) -> Lineage {
        self.log.lineage()
    }

    /// The runs.
    pub fn runs(&self) -> &RunStore {
        &self.runs
    }

    /// The batch whose end is the published point at this position, and the volumes there.
    ///
    /// # Errors
    /// If the index fails.
    pub fn point(
        &self,
        position: Position,
    ) -> Result<Option<(BatchNumber, Vec<Member>)>, CatalogError> {
        let lineage = self.lineage();
        let Some(row) = self.catalog.point_by_id(lineage, PointId(position))? else {
            return Ok(None);
        };
        let members = self.catalog.members_at(lineage, row.number)?;
        Ok(Some((row.number, members)))
    }

    /// Opens the image at the end of a batch, published or not; the history is not read.
    pub fn open_view(
        &self,
        number: BatchNumber,
        opener: Arc<dyn ChunkOpener>,
        cache: Arc<ChunkCache>,
    ) -> Result<ViewReader, ViewError> {
        self.open(number, opener, cache, None)
    }

    /// The same for a lineage above a base: what no batch wrote is read from `base`.
    pub fn open_view_above(
        &self,
        base: Arc<ViewReader>,
        number: BatchNumber,
        opener: Arc<dyn ChunkOpener>,
        cache: Arc<ChunkCache>,
    ) -> Result<ViewReader, ViewError> {
        self.open(number, opener, cache, Some(base))
    }

    fn open(
        &self,
        number: BatchNumber,
        opener: Arc<dyn ChunkOpener>,
        cache: Arc<ChunkCache>,
        base: Option<Arc<ViewReader>>,
    ) -> Result<ViewReader, ViewError> {
        // Zeroes where a base belongs, or a base where zero entries were dropped, would be served
        // as if they were the image.
        if base.is_some() != (self.runs.beneath() == Beneath::Base) {
            return Err(ViewError::OtherBase {
                lineage: self.lineage(),
            });
        }
        let row = self
            .catalog
            .batch(self.lineage(), number)?
            .ok_or(ViewError::NoBatch { batch: number })?;
        let members = self.catalog.members_at(self.lineage(), number)?;
        ViewReader::open(
            row,
            members,
            Arc::clone(&self.runs),
            Arc::clone(&self.log),
            opener,
            cache,
            base,
        )
    }

    /// Opens the chunk at a place of the log, as a view would.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open_chunk(
        &self,
        segment: u32,
        chunk_offset: u32,
        opener: &dyn ChunkOpener,
    ) -> Result<(), OpenChunkError> {
        let at = u64::from(chunk_offset);
        let head = self.log.read(segment, at, CHUNK_HEADER_BYTES)?;
        let header = ChunkHeader::decode(&head)?;
        // The header's own bounds keep this short.
        let sealed = self.log.read(
            segment,
            at + CHUNK_HEADER_BYTES as u64,
            header.stored_length() - CHUNK_HEADER_BYTES,
        )?;
        opener.open(&header, &sealed).map(drop)
    }

    /// The MAC of a batch, which is chained to those of all batches before it.
    ///
    /// # Errors
    /// When the log cannot be read there.
    pub fn batch_mac(&self, place: &BatchPlace) -> Result<[u8; MAC_BYTES], LogError> {
        let end = place.offset + u64::from(place.head_bytes);
        let start = end.saturating_sub(MAC_BYTES as u64);
        let bytes = self.log.read(place.segment, start, MAC_BYTES)?;
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&bytes);
        Ok(mac)
    }

    /// Builds at most `max_steps` of the runs that are due; call it from a background thread after
    /// commits until it returns less than that.
    pub fn build_pending(&self, max_steps: usize) -> Result<usize, RunError> {
        self.runs.build_pending(max_steps)
    }
}
