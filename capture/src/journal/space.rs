//! The segment files: which exist, which are free, and making more of them up to the capacity.
//!
//! Invariant: there are never more files than the capacity allows. Free files are used again oldest
//! first; a file that failed is removed, never used again.

use super::JournalSettings;
use bcdr_disk::{Access, CreateOptions, DiskError, DiskErrorKind, File, Storage};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

const SUFFIX: &str = ".segment";

/// Why no segment could be had.
#[derive(Debug)]
pub(super) enum NoSegment {
    Full,
    Disk(DiskError),
}

#[derive(Debug)]
pub(super) struct Space {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    settings: JournalSettings,
    free: VecDeque<PathBuf>,
    files: u32,
    next_name: u32,
    /// A file was removed, and its name may come back after a power cut.
    unsynced: bool,
}

impl Space {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        directory: &Path,
        settings: JournalSettings,
    ) -> Self {
        let directory = directory.to_owned();
        Self {
            storage,
            directory,
            settings,
            free: VecDeque::new(),
            files: 0,
            next_name: 0,
            unsynced: false,
        }
    }

    pub(super) fn settings(&self) -> &JournalSettings {
        &self.settings
    }

    /// The number in a segment file's name.
    pub(super) fn number_of(name: &str) -> Option<u32> {
        name.strip_suffix(SUFFIX)?.parse().ok()
    }

    /// Counts a file that exists and is in use.
    pub(super) fn note_used(&mut self, number: u32) {
        self.files += 1;
        self.next_name = self.next_name.max(number.saturating_add(1));
    }

    /// Counts a file that exists and is free.
    pub(super) fn note_free(&mut self, number: u32, path: PathBuf) {
        self.note_used(number);
        self.free.push_back(path);
    }

    /// A file that was in use is free.
    pub(super) fn give_back(&mut self, path: PathBuf) {
        self.free.push_back(path);
    }

    /// A file that was in use is free, and the next to be used.
    pub(super) fn give_back_first(&mut self, path: PathBuf) {
        self.free.push_front(path);
    }

    /// Removes a file for good. A file that cannot be removed keeps its place in the capacity.
    pub(super) fn discard(&mut self, path: &Path) {
        match self.storage.remove(path) {
            Ok(()) => self.files -= 1,
            Err(error) if error.kind() == DiskErrorKind::NotFound => self.files -= 1,
            Err(error) => {
                tracing::warn!(%error, "cannot remove a failed journal segment");
                return;
            }
        }
        self.unsynced = true;
        if let Err(error) = self.sync_names() {
            tracing::warn!(%error, "cannot make the removal of a journal segment durable");
        }
    }

    fn sync_names(&mut self) -> Result<(), DiskError> {
        if self.unsynced {
            self.storage.sync_directory(&self.directory)?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Opens the next free file, or makes one. Removed files are gone for good by then.
    pub(super) fn take(&mut self) -> Result<(PathBuf, Arc<dyn File>), NoSegment> {
        self.sync_names().map_err(NoSegment::Disk)?;
        if self.free.is_empty() {
            self.prepare()?;
        }
        let path = self.free.pop_front().ok_or(NoSegment::Full)?;
        let access = Access {
            write: true,
            direct: self.settings.direct,
        };
        match self.storage.open(&path, access) {
            Ok(file) => Ok((path, file)),
            Err(error) => {
                self.free.push_front(path);
                Err(NoSegment::Disk(error))
            }
        }
    }

    /// Makes a free file if there is none and the capacity allows it. A file system without space
    /// counts as a full journal.
    pub(super) fn prepare(&mut self) -> Result<(), NoSegment> {
        if !self.free.is_empty() {
            return Ok(());
        }
        if self.files >= self.settings.segments_max {
            return Err(NoSegment::Full);
        }
        let path = self
            .directory
            .join(format!("{:06}{SUFFIX}", self.next_name));
        let options = CreateOptions {
            direct: self.settings.direct,
            prewritten: Some(self.settings.segment_bytes),
        };
        let made = self
            .storage
            .create(&path, options)
            .and_then(|_| self.storage.sync_directory(&self.directory));
        match made {
            Ok(()) => {
                self.note_free(self.next_name, path);
                Ok(())
            }
            Err(error) if error.kind() == DiskErrorKind::NoSpace => Err(NoSegment::Full),
            Err(error) => {
                // The name may be taken now; the next attempt uses another.
                self.next_name += 1;
                Err(NoSegment::Disk(error))
            }
        }
    }
}
