//! One process per state directory.
//!
//! Invariant: while a [`DirectoryLock`] lives, no other process that asks for one on the same
//! directory gets it. The kernel releases it when the process ends, however it ends; the file
//! itself stays. It protects nothing against programs that do not ask.

use std::fs::{self, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "LOCK";
/// More than the decimal digits of any process id and its line end.
const LONGEST_HOLDER_BYTES: u64 = 16;

/// Holds a state directory until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    path: PathBuf,
    // The open description carries the lock; closing it releases.
    _file: fs::File,
}

/// Why a state directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "state directory {} is in use by {}; stop it or choose another directory",
        directory.display(),
        holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The directory.
        directory: PathBuf,
        /// The process id written in the lock file, if it could be read.
        holder: Option<u32>,
    },
    /// The lock file could not be opened or written.
    #[error(
        "cannot lock state directory {}: {source}; check that it exists and its owner and mode",
        directory.display()
    )]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Takes the directory, which must exist, or says at once who has it.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let wrap = |source| LockError::Io {
            directory: directory.to_owned(),
            source,
        };
        let path = directory.join(FILE_NAME);
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(wrap)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&file);
                return Err(LockError::Held {
                    directory: directory.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(wrap(error)),
        }
        file.set_len(0).map_err(wrap)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())
            .map_err(wrap)?;
        Ok(Self { path, _file: file })
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn read_holder(file: &fs::File) -> Option<u32> {
    let mut text = String::new();
    file.take(LONGEST_HOLDER_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_a_second_holder_until_dropped_and_names_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        // flock belongs to the open description, so a second one in this process is excluded too.
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        let LockError::Held { holder, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(*holder, Some(std::process::id()));
        assert!(
            error
                .to_string()
                .contains(&format!("process {}", std::process::id()))
        );
        drop(first);
        DirectoryLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let error = DirectoryLock::acquire(&missing).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
