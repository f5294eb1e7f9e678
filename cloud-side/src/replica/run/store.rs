//! The runs of one lineage: which exist, opening them, and the pages kept in memory.

use super::{
    BatchTable, Beneath, RunError, RunFile, RunId, RunSource, cover, cover_between,
    file::{Page, PageId},
};
use crate::{
    catalog::Catalog,
    receive::{BatchNumber, Lineage},
    replica::log::LogReader,
};
use bcdr_disk::{DiskErrorKind, Storage};
use bcdr_format::{VolumeNumber, run::RunEntry};
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many run files of one lineage are kept open.
const OPEN_RUNS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("it is not zero");
/// How many runs share a directory.
const RUNS_PER_DIRECTORY: u64 = 4096;
/// The highest level; 8^20 batches are never reached.
pub(super) const LEVEL_MAX: u8 = 20;

/// What a run store is made of.
#[derive(Debug, Clone)]
pub struct RunStoreParts {
    /// Where files are.
    pub storage: Arc<dyn Storage>,
    /// The lineage's directory of runs.
    pub directory: PathBuf,
    /// The lineage's log.
    pub log: Arc<LogReader>,
    /// The batch index.
    pub catalog: Arc<Catalog>,
    /// Memory for decoded pages and tables, in bytes.
    pub cache_bytes: usize,
    /// What lies beneath the lineage's first batch.
    pub beneath: Beneath,
}

#[derive(Debug)]
struct Caches {
    pages: LruCache<(RunId, PageId), Arc<Page>>,
    tables: LruCache<BatchNumber, Arc<BatchTable>>,
    tables_weight: usize,
    files: LruCache<RunId, Arc<RunFile>>,
}

/// The runs of one lineage; shared by its views and its builder.
#[derive(Debug)]
pub struct RunStore {
    pub(super) parts: RunStoreParts,
    pub(super) lineage: Lineage,
    caches: Mutex<Caches>,
    /// How many runs of each level exist; 0 stands for the batches and is not used.
    built: Mutex<Vec<u64>>,
    /// Held while a run is built, so that two builders never write one file.
    pub(super) building: Mutex<()>,
}

impl RunStore {
    /// Opens the runs; finds out how many of each level exist without listing them.
    pub fn open(parts: RunStoreParts) -> Result<Self, RunError> {
        let lineage = parts.log.lineage();
        // An entry takes 40 bytes in memory, so a page about 5 KiB; half of the memory is for pages.
        let pages = NonZeroUsize::new(parts.cache_bytes / 2 / 5120).unwrap_or(NonZeroUsize::MIN);
        let store = Self {
            lineage,
            caches: Mutex::new(Caches {
                pages: LruCache::new(pages),
                tables: LruCache::unbounded(),
                tables_weight: 0,
                files: LruCache::new(OPEN_RUNS_MAX),
            }),
            built: Mutex::new(Vec::new()),
            building: Mutex::new(()),
            parts,
        };
        store.count_built()?;
        Ok(store)
    }

    /// The lineage.
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// What lies beneath the lineage's first batch.
    pub fn beneath(&self) -> Beneath {
        self.parts.beneath
    }

    /// How many runs of each level exist; the first number stands for level 0 and is 0.
    pub fn built(&self) -> Vec<u64> {
        self.built
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The layers of batch `number`, newest first: opens at most 7 files of each level.
    pub fn layers(&self, number: BatchNumber) -> Result<Vec<RunSource>, RunError> {
        cover(number, &self.built())
            .into_iter()
            .map(|run| self.source(run))
            .collect()
    }

    /// Hands over what the batches from `first` to `last` say of a range of a volume, a run at a
    /// time: entries of one run are sorted, and those of several overlap. A run that merged batches
    /// says what they left; none of them is left out, except zeroes in a run that begins with the
    /// first batch of all.
    pub fn named_between(
        &self,
        first: BatchNumber,
        last: BatchNumber,
        volume: VolumeNumber,
        range: std::ops::Range<u64>,
        found: &mut dyn FnMut(RunEntry),
    ) -> Result<(), RunError> {
        for run in cover_between(first, last, &self.built()) {
            let source = self.source(run)?;
            let looked = source.overlapping(self, volume, range.start, range.end, found);
            if let Err(RunError::Damaged { run, .. }) = &looked {
                let run = *run;
                tracing::warn!(%run, lineage = %self.lineage, "a run is damaged and is built again");
                self.rebuild(run)?;
                self.forget(run);
                // What it said already is said again, which does no harm to who collects ranges.
                self.source(run)?
                    .overlapping(self, volume, range.start, range.end, found)?;
            } else {
                looked?;
            }
        }
        Ok(())
    }

    /// A run, built again if it is missing or damaged.
    pub fn source(&self, run: RunId) -> Result<RunSource, RunError> {
        if run.level == 0 {
            return Ok(RunSource::Batch(BatchNumber(run.index)));
        }
        if let Some(file) = self.caches().files.get(&run) {
            return Ok(RunSource::File(Arc::clone(file)));
        }
        let file = match self.open_file(run) {
            Ok(file) => file,
            Err(error) if is_lost(&error) => {
                tracing::warn!(%run, lineage = %self.lineage, %error, "a run is lost and is built again");
                self.rebuild(run)?;
                self.open_file(run)?
            }
            Err(error) => return Err(error),
        };
        let file = Arc::new(file);
        self.caches().files.put(run, Arc::clone(&file));
        Ok(RunSource::File(file))
    }

    pub(super) fn open_file(&self, run: RunId) -> Result<RunFile, RunError> {
        RunFile::open(&*self.parts.storage, &self.path(run), self.lineage, run)
    }

    /// The file of a run.
    pub fn path(&self, run: RunId) -> PathBuf {
        self.parts
            .directory
            .join(format!("level-{:02}", run.level))
            .join(format!("{:010}", run.index / RUNS_PER_DIRECTORY))
            .join(format!("{:016}.run", run.index))
    }

    pub(super) fn table(&self, number: BatchNumber) -> Result<Arc<BatchTable>, RunError> {
        if let Some(table) = self.caches().tables.get(&number) {
            return Ok(Arc::clone(table));
        }
        let row = self
            .parts
            .catalog
            .batch(self.lineage, number)?
            .ok_or(RunError::NoBatch { batch: number })?;
        let table = Arc::new(BatchTable::read(&self.parts.log, &row)?);
        let mut caches = self.caches();
        caches.tables_weight += table.weight();
        if let Some(before) = caches.tables.put(number, Arc::clone(&table)) {
            caches.tables_weight -= before.weight();
        }
        while caches.tables_weight > self.parts.cache_bytes / 2
            && let Some((_, oldest)) = caches.tables.pop_lru()
        {
            caches.tables_weight -= oldest.weight();
        }
        Ok(table)
    }

    pub(super) fn page(&self, file: &RunFile, page: PageId) -> Result<Arc<Page>, RunError> {
        let key = (file.id(), page);
        if let Some(page) = self.caches().pages.get(&key) {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(file.load(page)?);
        self.caches().pages.put(key, Arc::clone(&page));
        Ok(page)
    }

    /// Forgets an open file, so that the next use opens what stands there now.
    pub(super) fn forget(&self, run: RunId) {
        self.caches().files.pop(&run);
    }

    pub(super) fn note_built(&self, run: RunId) {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let level = usize::from(run.level);
        if built.len() <= level {
            built.resize(level + 1, 0);
        }
        built[level] = built[level].max(run.index + 1);
    }

    fn caches(&self) -> MutexGuard<'_, Caches> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs of a level are built in order, so the first missing one is found by halving.
    fn count_built(&self) -> Result<(), RunError> {
        let batches = self.parts.catalog.batch_count(self.lineage)?;
        for level in 1..=LEVEL_MAX {
            let possible = RunId::span(level).map_or(0, |span| batches / span);
            if possible == 0 {
                break;
            }
            let (mut low, mut high) = (0, possible);
            while low < high {
                let middle = low + (high - low) / 2;
                let path = self.path(RunId {
                    level,
                    index: middle,
                });
                if self.parts.storage.exists(&path)? {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            if low > 0 {
                self.note_built(RunId {
                    level,
                    index: low - 1,
                });
            }
        }
        Ok(())
    }
}

/// Whether an error means that a run's file is of no use, and building it again helps.
pub(super) fn is_lost(error: &RunError) -> bool {
    match error {
        RunError::Damaged { .. } => true,
        RunError::Disk(error) => error.kind() == DiskErrorKind::NotFound,
        _ => false,
    }
}
