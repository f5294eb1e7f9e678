//! The real shared mapping; the only module of this crate with `unsafe`.
//!
//! Invariant: the mapped file has all its blocks allocated before it is mapped, so a full disk
//! shows as an error of `map` and never as a fault on memory access. It does not open or lock files.
#![allow(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::MmapMut;

use crate::{DiskError, Mapping};

/// A file mapped with MAP_SHARED.
#[derive(Debug)]
pub(crate) struct RealMapping {
    path: PathBuf,
    memory: MmapMut,
    poisoned: AtomicBool,
}

impl RealMapping {
    /// Maps a file that is open for reading and writing and has exactly the wanted length.
    pub(crate) fn new(path: &Path, file: &fs::File) -> Result<Self, DiskError> {
        // SAFETY: Memory behind a mapping is undefined for Rust if someone else changes or cuts the
        // file meanwhile. The file is in a state directory of mode 0700 that one process holds by
        // its directory lock, the Storage contract forbids any other access while it is mapped,
        // and no code here shortens a file that is mapped.
        let memory =
            unsafe { MmapMut::map_mut(file) }.map_err(|error| DiskError::io("map", path, error))?;
        Ok(Self {
            path: path.to_owned(),
            memory,
            poisoned: AtomicBool::new(false),
        })
    }
}

impl Mapping for RealMapping {
    fn bytes(&self) -> &[u8] {
        &self.memory
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn sync(&self) -> Result<(), DiskError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(DiskError::Poisoned {
                operation: "sync",
                path: self.path.clone(),
            });
        }
        self.memory.flush().map_err(|error| {
            self.poisoned.store(true, Ordering::Release);
            DiskError::io("sync", &self.path, error)
        })
    }
}
