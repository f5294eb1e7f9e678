//! Whole small files: replaced in one step, read with a limit, opened or created durably.
//!
//! Invariant: after a crash at any point of [`replace_atomically`] the path holds the complete old
//! or the complete new bytes. Each path has one writer; two at once would share a temporary file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::real::parent_of;
use crate::{Access, CreateOptions, DiskError, DiskErrorKind, File, Storage};

/// Ends the name of a replacement that is not complete yet; such a file may always be removed.
const TEMPORARY_SUFFIX: &str = ".incomplete";

/// Puts `bytes` at `path`, durable on return, never half visible.
///
/// After an error the path holds the old or the new bytes; which of them is only unknown if the
/// last step, the sync of the directory, failed.
pub fn replace_atomically(
    storage: &dyn Storage,
    path: &Path,
    bytes: &[u8],
) -> Result<(), DiskError> {
    let temporary = temporary_of(path);
    if storage.exists(&temporary)? {
        // Left by a crash or a failed attempt.
        storage.remove(&temporary)?;
    }
    let written =
        write_new(storage, &temporary, bytes).and_then(|()| storage.rename(&temporary, path));
    if let Err(error) = written {
        // Only saves space: the next attempt removes it as well.
        if let Err(second) = storage.remove(&temporary)
            && second.kind() != DiskErrorKind::NotFound
        {
            tracing::debug!(error = %second, "cannot remove an incomplete replacement");
        }
        return Err(error);
    }
    storage.sync_directory(parent_of(path))
}

/// Reads a whole file of at most `limit_bytes`; a larger one is refused before memory is taken.
pub fn read_whole(
    storage: &dyn Storage,
    path: &Path,
    limit_bytes: u64,
) -> Result<Vec<u8>, DiskError> {
    let file = storage.open(path, Access::read())?;
    let length = file.length()?;
    if length > limit_bytes {
        return Err(DiskError::TooLarge {
            path: path.to_owned(),
            length,
            limit: limit_bytes,
        });
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Opens a file for reading and writing, or creates it; its entry is durable on return.
///
/// `options.prewritten` applies to a new file only: an existing one keeps its length.
pub fn open_or_create(
    storage: &dyn Storage,
    path: &Path,
    options: CreateOptions,
) -> Result<Arc<dyn File>, DiskError> {
    let access = Access {
        write: true,
        direct: options.direct,
    };
    let file = match storage.open(path, access) {
        Err(error) if error.kind() == DiskErrorKind::NotFound => storage.create(path, options)?,
        other => other?,
    };
    // Also for a file that was there: whoever created it may have been killed before its sync.
    storage.sync_directory(parent_of(path))?;
    Ok(file)
}

fn write_new(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let file = storage.create(path, CreateOptions::default())?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()
}

/// Where the successor of `path` is prepared, in the same directory.
pub(crate) fn temporary_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(TEMPORARY_SUFFIX);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
