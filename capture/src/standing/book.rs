//! The order book: the last order and the outcome of the last task, in one small file of the group.
//!
//! Invariant: what the book says is what the file holds durably; it never goes back to an older
//! order. A book that cannot be written keeps what it said before. One that is there and cannot
//! be read is no reason to believe that there was no order: its group is not served until it can.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bcdr_disk::{DiskError, DiskErrorKind, Storage, read_whole, replace_atomically};
use bcdr_wire::order::{SourceOrder, TaskReport};
use serde::{Deserialize, Serialize};

/// The file's name in the group's directory.
const FILE: &str = "orders.json";
const VERSION: u16 = 1;
/// More than a task of a group with the most volumes takes.
const BYTES_MAX: u64 = 4 << 20;

/// Why a book cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// It is there, and the storage fails.
    #[error(
        "cannot read the source's orders in {}: {source}; repair that, or, to serve the volumes \
         writable whatever was ordered, remove the file", path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the storage said.
        #[source]
        source: DiskError,
    },
    /// It is damaged, or of a newer release.
    #[error(
        "the source's orders in {} make no sense: {reason}; upgrade, or, to serve the volumes \
         writable whatever was ordered, remove the file", path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<SourceOrder>,
    /// The last task that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<TaskReport>,
}

/// Why nothing could be written into a book.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The storage fails.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The book could not be asked when it was opened, and cannot be read now.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The book could not be asked when it was opened, and turned out to hold something.
    #[error(
        "the source's earlier orders were found again; what they leave to do is looked at anew"
    )]
    FoundAgain,
}

/// A group's order book.
#[derive(Debug)]
pub struct OrderBook {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    kept: Kept,
    /// Whether it is known what the file held.
    read: bool,
}

impl OrderBook {
    /// Opens the book of a group. A state directory that cannot even be asked holds no order, so that
    /// it keeps no volume from its clients.
    ///
    /// # Errors
    /// If there is a book and it cannot be read.
    pub fn open(storage: Arc<dyn Storage>, group_directory: &Path) -> Result<Self, BookError> {
        let path = group_directory.join(FILE);
        let nothing = Kept {
            version: VERSION,
            order: None,
            task: None,
        };
        let (kept, read) = match storage.exists(&path) {
            Ok(false) => (nothing, true),
            Ok(true) => (read(&*storage, path)?, true),
            Err(error) => {
                tracing::error!(%error, "whether the source was given an order cannot be asked");
                (nothing, false)
            }
        };
        Ok(Self {
            storage,
            directory: group_directory.to_owned(),
            kept,
            read,
        })
    }

    /// The last order.
    #[must_use]
    pub fn order(&self) -> Option<&SourceOrder> {
        self.kept.order.as_ref()
    }

    /// The last task that ended, and how.
    #[must_use]
    pub fn task(&self) -> Option<&TaskReport> {
        self.kept.task.as_ref()
    }

    /// Makes an order durable. One that was given before what is remembered is left out.
    ///
    /// # Errors
    /// If the storage fails, or held an order that could not be asked for before; nothing may be done
    /// about the order then.
    pub fn remember(&mut self, order: &SourceOrder) -> Result<(), WriteError> {
        if self.order().is_some_and(|known| order.is_older_than(known)) {
            return Ok(());
        }
        self.replace(Kept {
            order: Some(order.clone()),
            ..self.kept.clone()
        })
    }

    /// Makes durable how a task ended.
    ///
    /// # Errors
    /// If the storage fails; after a restart the task is then done again.
    pub fn ended(&mut self, task: &TaskReport) -> Result<(), WriteError> {
        self.replace(Kept {
            task: Some(task.clone()),
            ..self.kept.clone()
        })
    }

    fn replace(&mut self, kept: Kept) -> Result<(), WriteError> {
        // What could not be asked is not overwritten unseen: it may hold a newer order.
        if !self.read {
            let path = self.directory.join(FILE);
            let is_there = self.storage.exists(&path)?;
            if is_there {
                self.kept = read(&*self.storage, path)?;
            }
            self.read = true;
            if is_there {
                return Err(WriteError::FoundAgain);
            }
        }
        self.storage.create_directory_all(&self.directory)?;
        let bytes = serde_json::to_vec_pretty(&kept).expect("a book has no odd keys");
        replace_atomically(&*self.storage, &self.directory.join(FILE), &bytes)?;
        self.kept = kept;
        Ok(())
    }
}

fn read(storage: &dyn Storage, path: PathBuf) -> Result<Kept, BookError> {
    #[derive(Deserialize)]
    struct Head {
        version: u16,
    }
    let bytes = match read_whole(storage, &path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == DiskErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(BookError::Unreadable { path, source }),
    };
    let unusable = |reason: String| BookError::Unusable {
        path: path.clone(),
        reason,
    };
    // The version first: a newer release may keep other things.
    let head: Head = serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
    if head.version != VERSION {
        return Err(unusable(format!("version {} is unknown", head.version)));
    }
    serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))
}

#[cfg(test)]
mod tests;
