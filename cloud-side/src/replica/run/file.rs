//! One run file: opening it, looking ranges up, and writing one.

use super::{RunError, RunId};
use crate::receive::Lineage;
use bcdr_disk::{Access, CreateOptions, DiskErrorKind, File, Storage};
use bcdr_format::{
    DecodeError, VolumeNumber,
    run::{
        Coverage, Fence, RUN_ENTRIES_PER_PAGE, RUN_FENCES_PER_PAGE, RUN_HEADER_BYTES,
        RUN_PAGE_BYTES, RUN_TRAILER_BYTES, RunEntry, RunFooter, RunHeader, decode_entry_page,
        decode_fence_page, encode_entry_page, encode_fence_page,
    },
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A run file that is open; only its footer is in memory.
#[derive(Debug)]
pub struct RunFile {
    id: RunId,
    path: PathBuf,
    file: Arc<dyn File>,
    footer: RunFooter,
}

/// A page of a run, decoded.
#[derive(Debug)]
pub(super) enum Page {
    Entries(Vec<RunEntry>),
    Fences(Vec<Fence>),
}

/// Which page of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PageId {
    Entries(u32),
    Fences(u32),
}

impl RunFile {
    /// Opens a run; reads header and footer only.
    pub fn open(
        storage: &dyn Storage,
        path: &Path,
        lineage: Lineage,
        id: RunId,
    ) -> Result<Self, RunError> {
        let damaged = |source| RunError::Damaged {
            run: id,
            path: path.to_owned(),
            source,
        };
        let file = storage.open(path, Access::read())?;
        let length = file.length()?;
        let smallest = (RUN_HEADER_BYTES + RUN_TRAILER_BYTES) as u64;
        let Some(body_end) = length.checked_sub(RUN_TRAILER_BYTES as u64) else {
            return Err(damaged(cut_off(smallest, length)));
        };
        let mut bytes = vec![0; RUN_HEADER_BYTES.min(length as usize)];
        file.read_exact_at(&mut bytes, 0)?;
        let header = RunHeader::decode(&bytes).map_err(damaged)?;
        let (first, last) = id.batches();
        let expected = RunHeader {
            group: lineage.group,
            stream: lineage.stream,
            level: id.level,
            index: id.index,
            first_batch: first.0,
            last_batch: last.0,
        };
        if header != expected {
            return Err(damaged(DecodeError::invalid(
                "run",
                format!("it is run {}/{}", header.level, header.index),
            )));
        }
        let mut trailer = [0; RUN_TRAILER_BYTES];
        file.read_exact_at(&mut trailer, body_end)?;
        let footer_bytes = RunFooter::length_from_trailer(&trailer).map_err(damaged)?;
        let Some(footer_start) = body_end.checked_sub(footer_bytes as u64) else {
            return Err(damaged(cut_off(footer_bytes as u64, length)));
        };
        let mut bytes = vec![0; footer_bytes];
        file.read_exact_at(&mut bytes, footer_start)?;
        let footer = RunFooter::decode(&bytes).map_err(damaged)?;
        if footer.footer_offset() != footer_start {
            return Err(damaged(cut_off(footer.footer_offset(), footer_start)));
        }
        Ok(Self {
            id,
            path: path.to_owned(),
            file,
            footer,
        })
    }

    /// Which run it is.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// Its footer.
    pub fn footer(&self) -> &RunFooter {
        &self.footer
    }

    pub(super) fn read_pages(&self, first: u32, count: u32) -> Result<Vec<u8>, RunError> {
        let mut bytes = vec![0; count as usize * RUN_PAGE_BYTES];
        self.fill(&mut bytes, RunFooter::entry_page_offset(first))?;
        Ok(bytes)
    }

    pub(super) fn decode_page(&self, number: u32, page: &[u8]) -> Result<Vec<RunEntry>, RunError> {
        decode_entry_page(number, page).map_err(|source| self.damaged(source))
    }

    pub(super) fn load(&self, page: PageId) -> Result<Page, RunError> {
        let mut bytes = vec![0; RUN_PAGE_BYTES];
        match page {
            PageId::Entries(number) => {
                self.fill(&mut bytes, RunFooter::entry_page_offset(number))?;
                Ok(Page::Entries(self.decode_page(number, &bytes)?))
            }
            PageId::Fences(number) => {
                self.fill(&mut bytes, self.footer.fence_page_offset(number))?;
                let fences = decode_fence_page(number, &bytes);
                Ok(Page::Fences(fences.map_err(|source| self.damaged(source))?))
            }
        }
    }

    pub(super) fn damaged(&self, source: DecodeError) -> RunError {
        RunError::Damaged {
            run: self.id,
            path: self.path.clone(),
            source,
        }
    }

    fn fill(&self, bytes: &mut [u8], offset: u64) -> Result<(), RunError> {
        match self.file.read_exact_at(bytes, offset) {
            // The file is shorter than its own footer says.
            Err(error) if error.kind() == DiskErrorKind::ShortRead => {
                Err(self.damaged(cut_off(offset + bytes.len() as u64, offset)))
            }
            other => Ok(other?),
        }
    }
}

fn cut_off(needed: u64, available: u64) -> DecodeError {
    DecodeError::Truncated {
        what: "run",
        needed: needed as usize,
        available: available as usize,
    }
}

/// Writes a run's entries as they come; two pages and the fences are in memory.
#[derive(Debug)]
pub(super) struct RunWriter {
    file: Arc<dyn File>,
    page: Vec<RunEntry>,
    fences: Vec<Fence>,
    entries: u64,
    coverage: Vec<Coverage>,
    buffer: Vec<u8>,
    offset: u64,
}

impl RunWriter {
    pub(super) fn create(
        storage: &dyn Storage,
        path: &Path,
        lineage: Lineage,
        id: RunId,
    ) -> Result<Self, RunError> {
        let (first, last) = id.batches();
        let header = RunHeader {
            group: lineage.group,
            stream: lineage.stream,
            level: id.level,
            index: id.index,
            first_batch: first.0,
            last_batch: last.0,
        };
        if storage.exists(path)? {
            // Left by a crash.
            storage.remove(path)?;
        }
        Ok(Self {
            file: storage.create(path, CreateOptions::default())?,
            page: Vec::with_capacity(RUN_ENTRIES_PER_PAGE),
            fences: Vec::new(),
            entries: 0,
            coverage: Vec::new(),
            buffer: header.encode(),
            offset: 0,
        })
    }

    pub(super) fn push(&mut self, entry: RunEntry) -> Result<(), RunError> {
        self.cover(&entry);
        self.page.push(entry);
        self.entries += 1;
        if self.page.len() == RUN_ENTRIES_PER_PAGE {
            self.end_page()?;
        }
        Ok(())
    }

    /// Entries come sorted by volume, so only the last coverage can grow.
    fn cover(&mut self, entry: &RunEntry) {
        match self.coverage.last_mut() {
            Some(last) if last.volume == entry.volume => last.end = last.end.max(entry.end()),
            _ => self.coverage.push(Coverage {
                volume: entry.volume,
                first: entry.offset,
                end: entry.end(),
            }),
        }
    }

    fn end_page(&mut self) -> Result<(), RunError> {
        let Some(first) = self.page.first() else {
            return Ok(());
        };
        let number = self.fences.len() as u32;
        self.fences.push(Fence {
            volume: first.volume,
            offset: first.offset,
        });
        self.buffer
            .extend_from_slice(&encode_entry_page(number, &self.page));
        self.page.clear();
        self.flush(false)
    }

    fn flush(&mut self, all: bool) -> Result<(), RunError> {
        const FLUSH_BYTES: usize = 1 << 20;
        if all || self.buffer.len() >= FLUSH_BYTES {
            self.file.write_all_at(&self.buffer, self.offset)?;
            self.offset += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes what is left and makes the file durable; naming it is the caller's.
    pub(super) fn finish(mut self) -> Result<(), RunError> {
        self.end_page()?;
        let mut footer = RunFooter {
            entries: self.entries,
            entry_pages: self.fences.len() as u32,
            coverage: std::mem::take(&mut self.coverage),
            ..RunFooter::default()
        };
        for (number, fences) in self.fences.chunks(RUN_FENCES_PER_PAGE).enumerate() {
            footer.roots.push(fences[0]);
            self.buffer
                .extend_from_slice(&encode_fence_page(number as u32, fences));
        }
        footer.fence_pages = footer.roots.len() as u32;
        footer.encode(&mut self.buffer);
        self.flush(true)?;
        Ok(self.file.sync_all()?)
    }
}

/// The number of the last fence at or before a key; 0 if the key lies before all of them.
pub(super) fn fence_before(fences: &[Fence], volume: VolumeNumber, offset: u64) -> usize {
    fences
        .partition_point(|fence| (fence.volume, fence.offset) <= (volume, offset))
        .saturating_sub(1)
}
