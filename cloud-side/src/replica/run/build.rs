//! Building runs: in the background as batches arrive, and again where a file is lost.

use super::{
    Beneath, EntryCursor, Merge, RunError, RunId, RunStore, ZeroRule,
    file::RunWriter,
    store::{LEVEL_MAX, is_lost},
};
use bcdr_format::run::RUN_FANOUT;
use std::{
    path::{Path, PathBuf},
    sync::PoisonError,
};

impl RunStore {
    /// Builds at most `max_steps` of the runs that are due, lowest level first, and says how many
    /// it built; fewer than `max_steps` means none is due any more.
    ///
    /// Only batches in the index count, and the index follows synced log bytes only.
    pub fn build_pending(&self, max_steps: usize) -> Result<usize, RunError> {
        let mut steps = 0;
        while steps < max_steps {
            let Some(run) = self.due()? else { break };
            let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
            self.build(run)?;
            self.note_built(run);
            steps += 1;
        }
        Ok(steps)
    }

    fn due(&self) -> Result<Option<RunId>, RunError> {
        let mut below = self.parts.catalog.batch_count(self.lineage)?;
        let built = self.built();
        for level in 1..=LEVEL_MAX {
            let index = built.get(usize::from(level)).copied().unwrap_or(0);
            if below / RUN_FANOUT > index {
                return Ok(Some(RunId { level, index }));
            }
            below = index;
            if below == 0 {
                break;
            }
        }
        Ok(None)
    }

    /// Builds a run again whose file is missing or damaged.
    pub(crate) fn rebuild(&self, run: RunId) -> Result<(), RunError> {
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        self.build(run)
    }

    /// Builds a run from its children, and children that are lost first.
    fn build(&self, run: RunId) -> Result<(), RunError> {
        // Each child can be found lost once, so this ends.
        for _ in 0..=RUN_FANOUT {
            match self.build_once(run) {
                Err(RunError::Damaged { run: child, .. }) if child != run => {
                    self.build(child)?;
                    self.forget(child);
                }
                other => return other,
            }
        }
        self.build_once(run)
    }

    fn build_once(&self, run: RunId) -> Result<(), RunError> {
        let mut cursors: Vec<Box<dyn EntryCursor>> = Vec::with_capacity(RUN_FANOUT as usize);
        for child in run.children().rev() {
            if child.level > 0 {
                self.restore_if_missing(child)?;
            }
            cursors.push(self.child_cursor(child)?);
        }
        // Only beneath the first batch of a lineage without a base is everything zero.
        let zeroes = if run.index == 0 && self.parts.beneath == Beneath::Zeroes {
            ZeroRule::Drop
        } else {
            ZeroRule::Keep
        };
        let mut merge = Merge::new(cursors, zeroes)?;
        let path = self.path(run);
        let directory = parent(&path);
        self.parts.storage.create_directory_all(directory)?;
        let temporary = temporary(&path);
        let mut writer = RunWriter::create(&*self.parts.storage, &temporary, self.lineage, run)?;
        while let Some(entry) = merge.next_entry()? {
            writer.push(entry)?;
        }
        writer.finish()?;
        self.parts.storage.rename(&temporary, &path)?;
        self.parts.storage.sync_directory(directory)?;
        self.forget(run);
        Ok(())
    }

    fn child_cursor(&self, child: RunId) -> Result<Box<dyn EntryCursor>, RunError> {
        if child.level == 0 {
            let batch = super::RunSource::Batch(crate::receive::BatchNumber(child.index));
            return batch.cursor(self);
        }
        let file = std::sync::Arc::new(self.open_file(child)?);
        super::RunSource::File(file).cursor(self)
    }

    fn restore_if_missing(&self, child: RunId) -> Result<(), RunError> {
        match self.open_file(child) {
            Err(error) if is_lost(&error) => self.build(child),
            other => other.map(|_| ()),
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension("run.incomplete")
}
