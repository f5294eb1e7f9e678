//! Removing a lineage's files.

use bcdr_disk::{DiskError, DiskErrorKind, Storage};
use std::path::Path;

/// How deep the files of runs lie: level, then a directory of many.
const RUN_DEPTH: usize = 2;

/// Removes the log and the runs of the lineage in `directory`; durable on return. Whatever an
/// earlier try removed already is no error. Nobody may have the lineage open, and after a crash it
/// must never be opened again, as any part may be gone. Empty directories stay.
pub fn remove_files(storage: &dyn Storage, directory: &Path) -> Result<(), DiskError> {
    remove_below(storage, &directory.join("runs"), RUN_DEPTH)?;
    remove_below(storage, &directory.join("log"), 0)
}

fn remove_below(storage: &dyn Storage, directory: &Path, depth: usize) -> Result<(), DiskError> {
    let names = match storage.list(directory) {
        Err(error) if error.kind() == DiskErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    for name in &names {
        let path = directory.join(name);
        if depth > 0 {
            remove_below(storage, &path, depth - 1)?;
        } else {
            storage.remove(&path)?;
        }
    }
    if depth == 0 && !names.is_empty() {
        storage.sync_directory(directory)?;
    }
    Ok(())
}
