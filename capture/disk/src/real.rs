//! The production twin: files of the operating system.
//!
//! Invariant: a file whose sync failed is refused for writing and syncing for the rest of this
//! process's life, through every handle, because the kernel marks the lost pages clean and the next
//! sync would lie. It does not align buffers for direct I/O; callers do.

use std::collections::HashSet;
use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use crate::mapping::RealMapping;
use crate::{Access, CreateOptions, DiskError, File, Mapping, Space, Storage};

static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
/// The kernel's limit on buffers in one vectored write (IOV_MAX).
const MAXIMUM_PARTS: usize = 1024;

/// Files of the operating system.
#[derive(Debug, Clone, Default)]
pub struct RealStorage {
    given_up: Arc<GivenUp>,
}

impl RealStorage {
    /// A storage; clones share their knowledge of failed syncs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn open_handle(
        &self,
        path: &Path,
        options: &fs::OpenOptions,
        operation: &'static str,
    ) -> Result<RealFile, DiskError> {
        let wrap = |error| DiskError::io(operation, path, error);
        let file = options.open(path).map_err(wrap)?;
        let metadata = file.metadata().map_err(wrap)?;
        Ok(RealFile {
            path: path.to_owned(),
            identity: Identity {
                device: metadata.dev(),
                inode: metadata.ino(),
            },
            block_device: metadata.file_type().is_block_device(),
            file,
            given_up: Arc::clone(&self.given_up),
        })
    }
}

/// What stays the same for a file under all its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
}

/// The files whose sync failed.
#[derive(Debug, Default)]
struct GivenUp {
    // Read on every write; the set is only looked at once something failed.
    any: AtomicBool,
    files: Mutex<HashSet<Identity>>,
}

impl GivenUp {
    fn add(&self, identity: Identity) {
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(identity);
        self.any.store(true, Ordering::Release);
    }

    fn contains(&self, identity: Identity) -> bool {
        self.any.load(Ordering::Acquire)
            && self
                .files
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&identity)
    }

    /// A file just created is a new one, even if the file system gave it a used inode number.
    fn forget(&self, identity: Identity) {
        if self.any.load(Ordering::Acquire) {
            self.files
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&identity);
        }
    }
}

impl Storage for RealStorage {
    fn create(&self, path: &Path, options: CreateOptions) -> Result<Arc<dyn File>, DiskError> {
        let mut flags = fs::OpenOptions::new();
        flags.read(true).write(true).create_new(true).mode(0o600);
        let file = self.open_handle(path, &flags, "create")?;
        self.given_up.forget(file.identity);
        let prepared = options
            .prewritten
            .map_or(Ok(()), |bytes| file.write_zeros(0, bytes));
        if let Err(error) = prepared.and_then(|()| file.make_direct(options.direct)) {
            // A half-prepared file would make the next attempt fail as "already exists".
            if let Err(second) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), error = %second, "cannot remove an unfinished file");
            }
            return Err(error);
        }
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>, DiskError> {
        let mut flags = fs::OpenOptions::new();
        flags.read(true).write(access.write);
        let file = self.open_handle(path, &flags, "open")?;
        file.make_direct(access.direct)?;
        Ok(Arc::new(file))
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        path.try_exists()
            .map_err(|error| DiskError::io("look up", path, error))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(|error| DiskError::io("remove", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::rename(from, to).map_err(|error| DiskError::io("rename", from, error))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, DiskError> {
        let wrap = |error| DiskError::io("list", directory, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(wrap)? {
            // A name that is not UTF-8 is not one of ours; its lossy form matches none of ours.
            names.push(
                entry
                    .map_err(wrap)?
                    .file_name()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
        names.sort();
        Ok(names)
    }

    fn create_directory_all(&self, directory: &Path) -> Result<(), DiskError> {
        let mut missing = Vec::new();
        let mut existing = directory;
        while !self.exists(existing)? {
            missing.push(existing);
            existing = parent_of(existing);
        }
        // Entries are made from the top and synced one by one, so a killed predecessor left at most
        // its last one unsynced: the deepest directory that exists now. If its parent may not be
        // opened, this user cannot have made that entry.
        match self.sync_directory(parent_of(existing)) {
            Err(DiskError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
        for path in missing.into_iter().rev() {
            match fs::DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.map_err(|error| DiskError::io("create directory", path, error))?,
            }
            self.sync_directory(parent_of(path))?;
        }
        Ok(())
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        fs::File::open(directory)
            .and_then(|handle| handle.sync_all())
            .map_err(|error| DiskError::io("sync directory", directory, error))
    }

    fn space(&self, directory: &Path) -> Result<Space, DiskError> {
        let numbers = rustix::fs::statvfs(directory)
            .map_err(|error| DiskError::io("measure the space of", directory, error))?;
        Ok(Space {
            total_bytes: numbers.f_blocks.saturating_mul(numbers.f_frsize),
            available_bytes: numbers.f_bavail.saturating_mul(numbers.f_frsize),
        })
    }

    fn map(&self, path: &Path, length: u64) -> Result<Box<dyn Mapping>, DiskError> {
        let mut flags = fs::OpenOptions::new();
        flags.read(true).write(true).create(true).mode(0o600);
        let file = self.open_handle(path, &flags, "map")?;
        let present = file.length()?;
        if present > length {
            return Err(DiskError::TooLarge {
                path: path.to_owned(),
                length: present,
                limit: length,
            });
        }
        if present < length {
            file.write_zeros(present, length - present)?;
        }
        Ok(Box::new(RealMapping::new(path, &file.file)?))
    }
}

/// The directory that holds the entry of `path`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[derive(Debug)]
struct RealFile {
    path: PathBuf,
    identity: Identity,
    block_device: bool,
    file: fs::File,
    given_up: Arc<GivenUp>,
}

impl RealFile {
    fn wrap(&self, operation: &'static str) -> impl FnOnce(io::Error) -> DiskError {
        move |error| DiskError::io(operation, &self.path, error)
    }

    fn refuse_if_given_up(&self, operation: &'static str) -> Result<(), DiskError> {
        if self.given_up.contains(self.identity) {
            return Err(DiskError::Poisoned {
                operation,
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    /// Switches to O_DIRECT after opening, so that a refusal cannot leave a file half created.
    fn make_direct(&self, wanted: bool) -> Result<(), DiskError> {
        static WARNED: Once = Once::new();
        if !wanted {
            return Ok(());
        }
        let flags = rustix::fs::fcntl_getfl(&self.file).map_err(|e| self.wrap("open")(e.into()))?;
        match rustix::fs::fcntl_setfl(&self.file, flags | OFlags::DIRECT) {
            Err(Errno::INVAL) => {
                WARNED.call_once(|| {
                    tracing::warn!(
                        path = %self.path.display(),
                        "the file system refuses direct i/o; using the page cache, which is slower \
                         under load; put the directory on ext4 or XFS"
                    );
                });
                Ok(())
            }
            other => other.map_err(|errno| self.wrap("open")(errno.into())),
        }
    }

    /// Allocates and writes zeros, then syncs everything.
    fn write_zeros(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        if length > 0 {
            // Only an early answer about space; where it is unsupported the writes below tell.
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), offset, length) {
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(self.wrap("allocate")(errno.into())),
            }
        }
        let mut done = 0;
        while done < length {
            let count = (length - done).min(ZEROS.len() as u64);
            self.write_all_at(&ZEROS[..count as usize], offset + done)?;
            done += count;
        }
        self.sync_all()
    }

    fn sync(&self, how: impl FnOnce(&fs::File) -> io::Result<()>) -> Result<(), DiskError> {
        self.refuse_if_given_up("sync")?;
        how(&self.file).map_err(|error| {
            self.given_up.add(self.identity);
            self.wrap("sync")(error)
        })
    }
}

impl File for RealFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn length(&self) -> Result<u64, DiskError> {
        if self.block_device {
            // The metadata of a block device says 0; its end is its size. Nothing here uses the
            // file position, so moving it does no harm.
            return rustix::fs::seek(&self.file, rustix::fs::SeekFrom::End(0))
                .map_err(|errno| self.wrap("measure")(errno.into()));
        }
        Ok(self.file.metadata().map_err(self.wrap("measure"))?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(self.wrap("read")),
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.refuse_if_given_up("write")?;
        self.file
            .write_all_at(bytes, offset)
            .map_err(self.wrap("write"))
    }

    fn write_vectored_all_at(&self, parts: &[&[u8]], offset: u64) -> Result<(), DiskError> {
        self.refuse_if_given_up("write")?;
        let mut slices: Vec<IoSlice<'_>> = parts
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| IoSlice::new(part))
            .collect();
        let mut rest = slices.as_mut_slice();
        let mut position = offset;
        while !rest.is_empty() {
            let batch = &rest[..rest.len().min(MAXIMUM_PARTS)];
            match rustix::io::pwritev(&self.file, batch, position) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.wrap("write")(errno.into())),
                Ok(0) => return Err(self.wrap("write")(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    IoSlice::advance_slices(&mut rest, count);
                    position += count as u64;
                }
            }
        }
        Ok(())
    }

    fn set_length(&self, length: u64) -> Result<(), DiskError> {
        self.refuse_if_given_up("set the length of")?;
        self.file
            .set_len(length)
            .map_err(self.wrap("set the length of"))
    }

    fn punch_hole(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.refuse_if_given_up("punch a hole into")?;
        if length == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.file, flags, offset, length)
            .map_err(|errno| self.wrap("punch a hole into")(errno.into()))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.sync(fs::File::sync_data)
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.sync(fs::File::sync_all)
    }
}

#[cfg(test)]
mod tests;
