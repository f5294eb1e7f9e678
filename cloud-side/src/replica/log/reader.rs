//! Reading a log by place: bytes of batches and chunks, from segment files kept open.

use super::{LogError, segment::segment_path};
use crate::receive::Lineage;
use bcdr_disk::{Access, File, Storage};
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// How many segment files of one lineage are kept open for reading.
const OPEN_SEGMENTS_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("it is not zero");

/// Reads one lineage's segments; shared by all views of it.
#[derive(Debug)]
pub struct LogReader {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    lineage: Lineage,
    open: Mutex<LruCache<u32, Arc<dyn File>>>,
}

impl LogReader {
    /// A reader of the segments in `directory`.
    pub fn new(storage: Arc<dyn Storage>, directory: PathBuf, lineage: Lineage) -> Self {
        Self {
            storage,
            directory,
            lineage,
            open: Mutex::new(LruCache::new(OPEN_SEGMENTS_MAX)),
        }
    }

    /// The lineage.
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The path of a segment file.
    pub fn segment_path(&self, number: u32) -> PathBuf {
        segment_path(&self.directory, number)
    }

    /// Reads `length` bytes of a segment. The caller bounds `length`.
    pub fn read(&self, segment: u32, offset: u64, length: usize) -> Result<Vec<u8>, LogError> {
        let file = self.segment(segment)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn segment(&self, number: u32) -> Result<Arc<dyn File>, LogError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&number) {
            return Ok(Arc::clone(file));
        }
        let path = segment_path(&self.directory, number);
        let file = self.storage.open(&path, Access::read())?;
        open.put(number, Arc::clone(&file));
        Ok(file)
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}
