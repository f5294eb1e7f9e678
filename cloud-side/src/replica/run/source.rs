//! What a view reads from: a run file or a batch's own table.

use super::{
    EntryCursor, RunError, RunFile, RunId, RunStore,
    cursor::{FileCursor, TableCursor},
    file::{Page, PageId, fence_before},
};
use crate::{catalog::BatchRow, receive::BatchNumber, replica::log::LogReader};
use bcdr_format::{
    DecodeError, VolumeNumber,
    batch::{BATCH_BYTES_MAX, BATCH_PREFIX_BYTES, BatchLayout, BatchPrefix},
    extent::Content,
    run::{ChunkPlace, RUN_FENCES_PER_PAGE, RunContent, RunEntry},
};
use std::sync::Arc;

/// A batch's extents as run entries.
#[derive(Debug)]
pub struct BatchTable {
    batch: BatchNumber,
    entries: Vec<RunEntry>,
}

impl BatchTable {
    /// Reads a batch's header and tables from the log; no chunk is read.
    pub fn read(log: &LogReader, row: &BatchRow) -> Result<Self, RunError> {
        let place = &row.place;
        let damaged = |source| RunError::Batch {
            batch: row.number,
            segment: place.segment,
            offset: place.offset,
            source,
        };
        let length = place.head_bytes as usize;
        if !(BATCH_PREFIX_BYTES..=BATCH_BYTES_MAX).contains(&length) {
            return Err(damaged(DecodeError::invalid(
                "batch",
                format!("a head of {length} bytes"),
            )));
        }
        let bytes = log.read(place.segment, place.offset, length)?;
        let layout = BatchLayout::parse_head(&bytes).map_err(damaged)?;
        if layout.header.end() != row.end {
            return Err(damaged(DecodeError::invalid(
                "batch",
                format!(
                    "it ends at {}, the index says {}",
                    layout.header.end(),
                    row.end
                ),
            )));
        }
        Ok(Self::new(row, &layout))
    }

    fn new(row: &BatchRow, layout: &BatchLayout) -> Self {
        let region = row.place.offset + layout.prefix.chunk_region() as u64;
        let entries = layout
            .extents
            .iter()
            .map(|extent| RunEntry {
                volume: extent.volume,
                offset: extent.offset,
                length: extent.length,
                content: match extent.content {
                    Content::Zero => RunContent::Zero,
                    Content::Unknown => RunContent::Unknown,
                    Content::Chunk { index, offset } => {
                        // The layout was checked: every index is in the directory.
                        let chunk = &layout.chunks[index as usize];
                        RunContent::Chunk(ChunkPlace {
                            segment: row.place.segment,
                            chunk_offset: (region + u64::from(chunk.offset)) as u32,
                            stored_length: chunk.stored_length,
                            inner_offset: offset,
                        })
                    }
                },
            })
            .collect();
        Self {
            batch: row.number,
            entries,
        }
    }

    /// The entries, sorted.
    pub fn entries(&self) -> &[RunEntry] {
        &self.entries
    }

    /// Memory the table takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.entries.len() * size_of::<RunEntry>() + 64
    }
}

/// The bytes of a batch's head as its prefix says.
pub(crate) fn head_bytes(prefix: &BatchPrefix) -> u32 {
    prefix.head_bytes() as u32
}

/// One layer of a view. Cheap to clone.
#[derive(Debug, Clone)]
pub enum RunSource {
    /// A run file.
    File(Arc<RunFile>),
    /// A batch; its table is read when it is first needed.
    Batch(BatchNumber),
}

impl RunSource {
    /// Which run it is.
    pub fn id(&self) -> RunId {
        match self {
            Self::File(file) => file.id(),
            Self::Batch(number) => RunId {
                level: 0,
                index: number.0,
            },
        }
    }

    pub(super) fn cursor(&self, store: &RunStore) -> Result<Box<dyn EntryCursor>, RunError> {
        Ok(match self {
            Self::File(file) => Box::new(FileCursor::new(Arc::clone(file))),
            Self::Batch(number) => Box::new(TableCursor::new(store.table(*number)?)),
        })
    }

    /// Hands every entry that overlaps `start..end` of a volume to `found`, in order.
    pub(crate) fn overlapping(
        &self,
        store: &RunStore,
        volume: VolumeNumber,
        start: u64,
        end: u64,
        found: &mut dyn FnMut(RunEntry),
    ) -> Result<(), RunError> {
        match self {
            Self::Batch(number) => {
                let table = store.table(*number)?;
                debug_assert_eq!(table.batch, *number);
                hand_over(table.entries(), volume, start, end, found);
                Ok(())
            }
            Self::File(file) => overlapping_in_file(store, file, volume, start, end, found),
        }
    }
}

fn overlapping_in_file(
    store: &RunStore,
    file: &Arc<RunFile>,
    volume: VolumeNumber,
    start: u64,
    end: u64,
    found: &mut dyn FnMut(RunEntry),
) -> Result<(), RunError> {
    let footer = file.footer();
    let touches = footer
        .coverage_of(volume)
        .is_some_and(|coverage| coverage.first < end && start < coverage.end);
    if !touches {
        return Ok(());
    }
    let fence_page = fence_before(&footer.roots, volume, start);
    let page = store.page(file, PageId::Fences(fence_page as u32))?;
    let Page::Fences(fences) = &*page else {
        return Ok(());
    };
    let first = fence_page * RUN_FENCES_PER_PAGE + fence_before(fences, volume, start);
    for number in first as u32..footer.entry_pages {
        let page = store.page(file, PageId::Entries(number))?;
        let Page::Entries(entries) = &*page else {
            return Ok(());
        };
        if !hand_over(entries, volume, start, end, found) {
            return Ok(());
        }
    }
    Ok(())
}

/// Hands over what overlaps; false if nothing later can.
fn hand_over(
    entries: &[RunEntry],
    volume: VolumeNumber,
    start: u64,
    end: u64,
    found: &mut dyn FnMut(RunEntry),
) -> bool {
    let first = entries.partition_point(|entry| (entry.volume, entry.end()) <= (volume, start));
    for entry in &entries[first..] {
        if entry.key() >= (volume, end) {
            return false;
        }
        found(*entry);
    }
    true
}
