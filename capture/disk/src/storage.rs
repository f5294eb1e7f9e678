//! The contract for durable bytes: what a storage and a file promise, for both twins.
//!
//! Invariant: nothing is durable because it was written. File contents become durable by a sync of
//! the file, names by a sync of the directory. It does not decide when to sync: callers do.
//! All calls block; call them from threads that may.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::DiskError;

/// A place for durable files: a real file system or the simulated disk.
pub trait Storage: Send + Sync + fmt::Debug + 'static {
    /// Creates a file that must not exist yet, mode 0600, open for reading and writing.
    ///
    /// Its entry is not durable until [`Storage::sync_directory`] of the parent.
    /// Fails with kind `AlreadyExists`, `NotFound` (no such directory), `NoSpace` or `Io`.
    fn create(&self, path: &Path, options: CreateOptions) -> Result<Arc<dyn File>, DiskError>;

    /// Opens an existing file. Fails with kind `NotFound` or `Io`.
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>, DiskError>;

    /// Whether a file or directory of this name exists.
    fn exists(&self, path: &Path) -> Result<bool, DiskError>;

    /// Removes a file; durable after a sync of its directory. Open handles keep working.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// Renames a file in one step, replacing `to`; durable after a sync of the directories of both.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// The names in a directory (files and directories), sorted. Fails with kind `NotFound`.
    fn list(&self, directory: &Path) -> Result<Vec<String>, DiskError>;

    /// Makes a directory and its missing parents, mode 0700, durable on return.
    fn create_directory_all(&self, directory: &Path) -> Result<(), DiskError>;

    /// Makes every creation, rename and removal in this directory durable.
    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError>;

    /// How large the file system that holds this directory is, and how much of it is free.
    fn space(&self, directory: &Path) -> Result<Space, DiskError>;

    /// Maps a file of exactly `length` bytes for shared reading and writing.
    ///
    /// Missing files are created and short ones extended, with zeros whose space is allocated and
    /// synced; a longer file is refused. A new entry is durable after a sync of the directory.
    /// While mapped, the file must not be read or written by other means.
    fn map(&self, path: &Path, length: u64) -> Result<Box<dyn Mapping>, DiskError>;
}

/// How a file is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// Ask for O_DIRECT. Offsets, lengths and addresses must then be multiples of
    /// [`crate::ALIGNMENT`]. A file system that refuses it gives a buffered file and one warning.
    pub direct: bool,
    /// Allocate this many bytes, write them with zeros and sync them, so that later syncs of
    /// overwritten bytes need no metadata. The file is removed again if this fails.
    pub prewritten: Option<u64>,
}

impl CreateOptions {
    /// The same, with O_DIRECT.
    #[must_use]
    pub fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    /// The same, with this many bytes written with zeros and synced.
    #[must_use]
    pub fn prewritten(mut self, bytes: u64) -> Self {
        self.prewritten = Some(bytes);
        self
    }
}

/// How an existing file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Open for writing as well as reading.
    pub write: bool,
    /// Ask for O_DIRECT; see [`CreateOptions::direct`].
    pub direct: bool,
}

impl Access {
    /// Reading only, through the page cache.
    #[must_use]
    pub fn read() -> Self {
        Self {
            write: false,
            direct: false,
        }
    }

    /// Reading and writing, through the page cache.
    #[must_use]
    pub fn write() -> Self {
        Self {
            write: true,
            direct: false,
        }
    }

    /// The same, with O_DIRECT.
    #[must_use]
    pub fn direct(mut self) -> Self {
        self.direct = true;
        self
    }
}

/// Size and free space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in the whole file system.
    pub total_bytes: u64,
    /// Bytes this process may still allocate.
    pub available_bytes: u64,
}

/// An open file. All offsets and lengths are bytes.
pub trait File: Send + Sync + fmt::Debug {
    /// The path it was opened under (a later rename does not change it).
    fn path(&self) -> &Path;

    /// Its length; for a block device, the size of the device.
    fn length(&self) -> Result<u64, DiskError>;

    /// Reads at most `buffer.len()` bytes; 0 means the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError>;

    /// Fills the buffer, or fails with kind `ShortRead`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let position = offset + filled as u64;
            let count = self.read_at(&mut buffer[filled..], position)?;
            filled += count;
            // A direct read may not go on from an unaligned end of file, so a short read asks for
            // the length instead of reading once more.
            if count == 0 || (filled < buffer.len() && offset + filled as u64 >= self.length()?) {
                return Err(DiskError::ShortRead {
                    path: self.path().to_owned(),
                    offset,
                    wanted: buffer.len() as u64,
                    got: filled as u64,
                });
            }
        }
        Ok(())
    }

    /// Writes all bytes, extending the file if needed. After an error, any part may be written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;

    /// Writes the parts one after the other, as if they were one buffer.
    fn write_vectored_all_at(&self, parts: &[&[u8]], offset: u64) -> Result<(), DiskError> {
        let mut position = offset;
        for part in parts {
            self.write_all_at(part, position)?;
            position += part.len() as u64;
        }
        Ok(())
    }

    /// Cuts or extends (with zeros) the file; durable after a sync.
    fn set_length(&self, length: u64) -> Result<(), DiskError>;

    /// Makes a range read as zeros and gives its space back; the length stays.
    fn punch_hole(&self, offset: u64, length: u64) -> Result<(), DiskError>;

    /// Makes the written bytes durable, and the length as far as they need it.
    ///
    /// A failure is final: every later write and sync of this file fails with kind `Poisoned`,
    /// because the kernel forgets which pages did not reach the disk.
    fn sync_data(&self) -> Result<(), DiskError>;

    /// As [`File::sync_data`], with all metadata of the file.
    fn sync_all(&self) -> Result<(), DiskError>;
}

/// A file mapped into memory, shared with the page cache: it survives a kill of the process
/// without a sync, and a power cut page by page only after one.
pub trait Mapping: Send + fmt::Debug {
    /// The mapped bytes.
    fn bytes(&self) -> &[u8];

    /// The mapped bytes, for writing.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Makes the bytes durable. A failure is final, as for [`File::sync_data`].
    fn sync(&self) -> Result<(), DiskError>;
}

#[cfg(test)]
mod tests;
