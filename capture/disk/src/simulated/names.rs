//! The names of the simulated disk: what programs see, and what a power cut may leave of it.
//!
//! Invariant: changes of one name become durable in their order; changes of different names may
//! survive in any combination. A rename is one change of two names and survives whole or not at
//! all. Directories are durable as soon as they are made. Knows nothing about contents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::SeededRandom;
use crate::real::parent_of;

/// Stands for a file under all its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileNumber(pub(super) u64);

#[derive(Debug, Clone)]
struct Change {
    effects: Vec<(PathBuf, Option<FileNumber>)>,
    /// The directories that must still be synced before the change is durable.
    waits_for: BTreeSet<PathBuf>,
}

impl Change {
    fn touches(&self, paths: &BTreeSet<PathBuf>) -> bool {
        self.effects.iter().any(|(path, _)| paths.contains(path))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, FileNumber>) {
        for (path, file) in &self.effects {
            match file {
                Some(file) => names.insert(path.clone(), *file),
                None => names.remove(path),
            };
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    directories: BTreeSet<PathBuf>,
    current: BTreeMap<PathBuf, FileNumber>,
    durable: BTreeMap<PathBuf, FileNumber>,
    pending: Vec<Change>,
}

impl Names {
    pub(super) fn file(&self, path: &Path) -> Option<FileNumber> {
        self.current.get(path).copied()
    }

    pub(super) fn is_directory(&self, path: &Path) -> bool {
        path == Path::new("/") || path == Path::new(".") || self.directories.contains(path)
    }

    pub(super) fn add_directories(&mut self, directory: &Path) {
        let ancestors = directory
            .ancestors()
            .filter(|path| !path.as_os_str().is_empty());
        self.directories.extend(ancestors.map(Path::to_owned));
    }

    pub(super) fn list(&self, directory: &Path) -> Vec<String> {
        let files = self.current.keys();
        let mut names: Vec<String> = files
            .chain(&self.directories)
            .filter(|path| path.parent().is_some() && parent_of(path) == directory)
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names
    }

    pub(super) fn link(&mut self, path: &Path, file: FileNumber) {
        self.record(vec![(path.to_owned(), Some(file))]);
    }

    pub(super) fn unlink(&mut self, path: &Path) {
        self.record(vec![(path.to_owned(), None)]);
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, file: FileNumber) {
        // In this order, so that a rename onto itself keeps the name.
        self.record(vec![(from.to_owned(), None), (to.to_owned(), Some(file))]);
    }

    fn record(&mut self, effects: Vec<(PathBuf, Option<FileNumber>)>) {
        let waits_for = effects
            .iter()
            .map(|(path, _)| parent_of(path).to_owned())
            .collect();
        let change = Change { effects, waits_for };
        change.apply(&mut self.current);
        self.pending.push(change);
    }

    /// Makes the changes in this directory durable, and what they build on.
    pub(super) fn sync(&mut self, directory: &Path) {
        let mut needed = BTreeSet::new();
        for change in self.pending.iter_mut().rev() {
            change.waits_for.remove(directory);
            if change.waits_for.is_empty() || change.touches(&needed) {
                change.waits_for.clear();
                needed.extend(change.effects.iter().map(|(path, _)| path.clone()));
            }
        }
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let keep = !change.waits_for.is_empty();
            if !keep {
                change.apply(durable);
            }
            keep
        });
    }

    /// The power goes: a random part of the pending changes survives. Returns how many did not.
    pub(super) fn cut_power(&mut self, random: &mut SeededRandom, survival_per_mille: u32) -> u64 {
        let mut blocked = BTreeSet::new();
        let mut lost = 0;
        for change in std::mem::take(&mut self.pending) {
            if !change.touches(&blocked) && random.chance_per_mille(survival_per_mille) {
                change.apply(&mut self.durable);
            } else {
                blocked.extend(change.effects.into_iter().map(|(path, _)| path));
                lost += 1;
            }
        }
        self.current = self.durable.clone();
        lost
    }

    /// Files that have a name now.
    pub(super) fn named(&self) -> BTreeSet<FileNumber> {
        self.current.values().copied().collect()
    }

    /// Files that have a name now or may have one after a power cut.
    pub(super) fn reachable(&self) -> BTreeSet<FileNumber> {
        let pending = self.pending.iter().flat_map(|change| &change.effects);
        let mut files: BTreeSet<_> = pending.filter_map(|(_, file)| *file).collect();
        files.extend(self.current.values());
        files.extend(self.durable.values());
        files
    }
}
