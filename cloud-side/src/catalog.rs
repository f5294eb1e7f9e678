//! The catalog: what the cloud side knows besides the logs, in one redb database.
//!
//! It is the truth for groups, generations, label reservations, views, drills, their schedules, jobs,
//! signed reports, the history of the RPO, users, tokens and sessions; the
//! batch index, points and wrapped keys in it are derived from the logs and follow them: their
//! rows and the checkpoint that says how far they follow are written in one transaction. Commits
//! are two-phase. Lazy commits are seen by readers at once and become durable with the next durable
//! one; whatever they held is replayed from the log.
//!
//! Invariant: no row ever names bytes of a log that were not synced before. A catalog is made by an
//! initialisation only: where one should be and is not, it is lost, and nothing takes its place.

pub mod batches;
pub mod documents;
pub mod groups;
pub mod labels;
pub mod lineages;
pub mod placements;
pub mod receiver_runs;
mod tables;
mod watched;

pub use batches::{BatchPlace, BatchRow, MarkerRow, PageOrder, PointPage};
pub use documents::{Document, DocumentKey, DocumentRow, TokenRecord, ViewRecord};
pub(crate) use groups::check_names;
pub use groups::{CreateGroupError, GroupRecord, NewVolume, VolumeRecord};
pub use labels::ReserveLabelError;
pub use lineages::{Checkpoint, LogPosition};
pub(crate) use watched::{ChangedDocument, DocumentWatch};

use bcdr_disk::{DiskError, RedbOpenError, Storage, create_redb, open_redb};
use redb::{Builder, Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use thiserror::Error;

/// The schema this release reads and writes.
pub const CATALOG_SCHEMA: u32 = 1;
/// What to do about a catalog that is lost or damaged.
const LOST: &str = "keep what is left of the file: the catalog alone holds groups with their ids, names, \
    labels, users, tokens, generations, views, drills, schedules, reports and jobs, which the logs cannot give again; stop the \
    role and restore catalog.redb from a backup of the state directory: an older copy catches up from \
    the logs by itself, and only groups that were created after that backup are lost";

/// Why the catalog could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// It is missing, empty or damaged, or its file failed.
    #[error("cannot open the catalog: {source}{}", remedy(source))]
    Open {
        /// What is wrong with it.
        #[from]
        source: RedbOpenError,
    },
    /// It is a database in which no catalog was ever made.
    #[error("the catalog {} holds no table; {}", path.display(), LOST)]
    NotACatalog {
        /// Its file.
        path: PathBuf,
    },
    /// Its file failed.
    #[error("cannot use the catalog: {0}")]
    Disk(#[from] DiskError),
    /// redb failed.
    #[error(
        "cannot {operation} in the catalog: {source}; check the device that holds it and start again"
    )]
    Database {
        /// What was being done.
        operation: &'static str,
        /// What redb said.
        #[source]
        source: Box<redb::Error>,
    },
    /// It was written by a newer release.
    #[error(
        "the catalog has schema {found}, this release knows {supported}: start the newer release"
    )]
    NewerSchema {
        /// The schema found.
        found: u32,
        /// The schema this release knows.
        supported: u32,
    },
    /// A row cannot be read.
    #[error(
        "the catalog's {table} row {key} cannot be read: {reason}; if its file was damaged, restore it from a backup"
    )]
    Row {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// How soon a write survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// On return.
    Durable,
    /// With the next durable commit; for what the log can give again.
    Lazy,
}

/// The open catalog. One process owns its file.
#[derive(Debug)]
pub struct Catalog {
    database: Database,
    /// Who is told of documents that changed.
    watch: OnceLock<Arc<dyn DocumentWatch>>,
    /// What no document may say that is written, and how often that is refused.
    #[cfg(test)]
    refused: std::sync::Mutex<(String, u32)>,
}

impl Catalog {
    /// Opens the catalog at `path`, using at most `cache_bytes` of memory. One that is missing,
    /// empty or damaged is refused with what to do about it.
    pub fn open(
        storage: &dyn Storage,
        path: &Path,
        cache_bytes: usize,
    ) -> Result<Self, CatalogError> {
        let catalog = Self::over(open_redb(storage, path, &builder(cache_bytes))?);
        if !catalog.check_schema()? {
            let path = path.to_owned();
            return Err(CatalogError::NotACatalog { path });
        }
        Ok(catalog)
    }

    /// Makes a catalog at `path`, where nothing may be, using at most `cache_bytes` of memory.
    pub fn create(
        storage: &dyn Storage,
        path: &Path,
        cache_bytes: usize,
    ) -> Result<Self, CatalogError> {
        let catalog = Self::over(create_redb(storage, path, &builder(cache_bytes))?);
        catalog.create_tables()?;
        Ok(catalog)
    }

    /// Opens the catalog at `path`, or makes it, or finishes making it. Only for who has nothing
    /// that says whether it was made before, as a simulated host: never for an installation.
    pub fn open_or_create(
        storage: &dyn Storage,
        path: &Path,
        cache_bytes: usize,
    ) -> Result<Self, CatalogError> {
        if !storage.exists(path).map_err(RedbOpenError::from)? {
            return Self::create(storage, path, cache_bytes);
        }
        let catalog = Self::over(open_redb(storage, path, &builder(cache_bytes))?);
        if !catalog.check_schema()? {
            catalog.create_tables()?;
        }
        Ok(catalog)
    }

    fn over(database: Database) -> Self {
        Self {
            database,
            watch: OnceLock::new(),
            #[cfg(test)]
            refused: std::sync::Mutex::default(),
        }
    }

    fn create_tables(&self) -> Result<(), CatalogError> {
        self.write("create the tables", Commit::Durable, |transaction| {
            tables::create_all(transaction, CATALOG_SCHEMA)
        })
    }

    /// Whether there is a schema, which must not be newer than what this release knows.
    fn check_schema(&self) -> Result<bool, CatalogError> {
        match self.read_schema()? {
            Some(found) if found > CATALOG_SCHEMA => Err(CatalogError::NewerSchema {
                found,
                supported: CATALOG_SCHEMA,
            }),
            found => Ok(found.is_some()),
        }
    }

    fn read_schema(&self) -> Result<Option<u32>, CatalogError> {
        let operation = "read the schema";
        let transaction = self
            .database
            .begin_read()
            .map_err(|error| failed(operation, error))?;
        tables::schema(&transaction).map_err(|source| database(operation, source))
    }

    pub(crate) fn read<Value>(
        &self,
        operation: &'static str,
        body: impl FnOnce(&ReadTransaction) -> Result<Value, redb::Error>,
    ) -> Result<Value, CatalogError> {
        let transaction = self
            .database
            .begin_read()
            .map_err(|error| failed(operation, error))?;
        body(&transaction).map_err(|source| database(operation, source))
    }

    pub(crate) fn write<Value>(
        &self,
        operation: &'static str,
        commit: Commit,
        body: impl FnOnce(&WriteTransaction) -> Result<Value, redb::Error>,
    ) -> Result<Value, CatalogError> {
        let mut transaction = self
            .database
            .begin_write()
            .map_err(|error| failed(operation, error))?;
        transaction
            .set_durability(match commit {
                Commit::Durable => Durability::Immediate,
                Commit::Lazy => Durability::None,
            })
            .map_err(|error| failed(operation, error))?;
        transaction.set_two_phase_commit(true);
        let value = body(&transaction).map_err(|source| database(operation, source))?;
        transaction
            .commit()
            .map_err(|error| failed(operation, error))?;
        Ok(value)
    }
}

fn builder(cache_bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder
}

/// What the message of a catalog that cannot be opened ends with.
fn remedy(error: &RedbOpenError) -> String {
    match error {
        RedbOpenError::Missing { .. }
        | RedbOpenError::Empty { .. }
        | RedbOpenError::Database { .. } => format!("; {LOST}"),
        // These say themselves what to do.
        RedbOpenError::Disk(_) | RedbOpenError::Exists { .. } => String::new(),
    }
}

fn failed(operation: &'static str, error: impl Into<redb::Error>) -> CatalogError {
    database(operation, error.into())
}

fn database(operation: &'static str, source: redb::Error) -> CatalogError {
    CatalogError::Database {
        operation,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests;
