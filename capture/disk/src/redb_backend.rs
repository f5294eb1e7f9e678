//! A redb database on any [`File`], real or simulated.
//!
//! Invariant: a failed sync stays final, because the file itself refuses every later write and
//! sync. It does not lock: one process owns a state directory through its
//! [`crate::DirectoryLock`], so redb's own range locks stay unsupported and unused.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, StorageBackend};

use crate::real::parent_of;
use crate::replace::temporary_of;
use crate::{Access, CreateOptions, DiskError, File, Storage};

/// Why a database could not be opened or created.
#[derive(Debug, thiserror::Error)]
pub enum RedbOpenError {
    /// Its file failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no file where a database must be.
    #[error("database {} is missing", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file has a length of 0, which no database ever has.
    #[error("database {} is an empty file", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// There is a file where a database was to be created.
    #[error("database {} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// redb refused what the file holds.
    #[error("cannot open database {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What redb said.
        #[source]
        source: Box<redb::DatabaseError>,
    },
}

/// Creates a database at `path`, where no file may be; durable on return.
///
/// redb writes a new database in several steps, and cannot open one that a crash left between
/// them. So it is created under a temporary name and gets its own only when it is complete.
pub fn create_redb(
    storage: &dyn Storage,
    path: &Path,
    builder: &Builder,
) -> Result<Database, RedbOpenError> {
    if storage.exists(path)? {
        let path = path.to_owned();
        return Err(RedbOpenError::Exists { path });
    }
    let temporary = temporary_of(path);
    if storage.exists(&temporary)? {
        storage.remove(&temporary)?;
    }
    let file = storage.create(&temporary, CreateOptions::default())?;
    drop(open_in(Arc::clone(&file), path, builder)?);
    // Closing a database has no result, so what it wrote last is synced here.
    file.sync_all()?;
    storage.rename(&temporary, path)?;
    open_redb(storage, path, builder)
}

/// Opens the database that is at `path`. It never makes one: a missing or empty file is refused,
/// because a fresh database in its place would pass for one in which nothing was ever written.
pub fn open_redb(
    storage: &dyn Storage,
    path: &Path,
    builder: &Builder,
) -> Result<Database, RedbOpenError> {
    if !storage.exists(path)? {
        let path = path.to_owned();
        return Err(RedbOpenError::Missing { path });
    }
    // Its creator may have been killed before this sync.
    storage.sync_directory(parent_of(path))?;
    let file = storage.open(path, Access::write())?;
    if file.length()? == 0 {
        let path = path.to_owned();
        return Err(RedbOpenError::Empty { path });
    }
    open_in(file, path, builder)
}

fn open_in(file: Arc<dyn File>, path: &Path, builder: &Builder) -> Result<Database, RedbOpenError> {
    builder
        .create_with_backend(RedbBackend::new(file))
        .map_err(|source| RedbOpenError::Database {
            path: path.to_owned(),
            source: Box::new(source),
        })
}

/// Hands a buffered file to `redb::Builder::create_with_backend`.
///
/// Prefer [`create_redb`], whose creation of a new database survives crashes.
#[derive(Debug)]
pub struct RedbBackend {
    file: Arc<dyn File>,
}

impl RedbBackend {
    /// A database in this file.
    #[must_use]
    pub fn new(file: Arc<dyn File>) -> Self {
        Self { file }
    }
}

impl StorageBackend for RedbBackend {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.file.length()?)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        Ok(self.file.read_exact_at(out, offset)?)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        Ok(self.file.set_length(len)?)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(self.file.sync_data()?)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        Ok(self.file.write_all_at(data, offset)?)
    }
}

#[cfg(test)]
mod tests;
