//! One backing file or block device as a ring sees it: descriptor, size, units, capabilities.
//!
//! Invariants: whole units at page-aligned memory are always accepted; the size is fixed for the
//! life of the object; a sync that failed once is never tried again, because the kernel forgets
//! what did not reach the disk. It does not lock the file: [`crate::volume`] does, on this very
//! descriptor.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use bcdr_disk::AlignedBuffer;
use rustix::{
    fs::{FallocateFlags, Mode, OFlags},
    io::Errno,
};

/// The units of direct I/O that are tried, in bytes.
const UNITS: [u32; 4] = [512, 1024, 2048, 4096];

/// Device and inode, which stay the same under every name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackingIdentity {
    /// The file system's device, or for a block device its own number.
    pub device: u64,
    /// The inode; 0 for a block device.
    pub inode: u64,
}

/// An open backing.
#[derive(Debug)]
pub struct Backing {
    file: File,
    path: PathBuf,
    identity: BackingIdentity,
    size_bytes: u64,
    direct: bool,
    unit: u32,
    block_device: bool,
    trims: bool,
    sync_failed: AtomicBool,
}

impl Backing {
    /// Opens an existing file or block device for reading and writing, around the page cache where
    /// that is possible.
    ///
    /// # Errors
    /// What the system says. A path that is neither a file nor a block device is invalid input.
    pub fn open(path: &Path) -> io::Result<Self> {
        let base = OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(path, base | OFlags::DIRECT, Mode::empty()) {
            Ok(descriptor) => match Self::examine(File::from(descriptor), path, true)? {
                Some(backing) => Ok(backing),
                None => Self::open_buffered(path, base),
            },
            // tmpfs of older kernels, and some network file systems.
            Err(Errno::INVAL) => Self::open_buffered(path, base),
            Err(error) => Err(error.into()),
        }
    }

    fn open_buffered(path: &Path, base: OFlags) -> io::Result<Self> {
        tracing::warn!(path = %path.display(), "direct I/O is not possible; the page cache is used");
        let file = File::from(rustix::fs::open(path, base, Mode::empty())?);
        Self::examine(file, path, false)?
            .ok_or_else(|| io::Error::other("the file cannot be read through the page cache"))
    }

    /// `None` if direct I/O does not suit this file.
    fn examine(file: File, path: &Path, direct: bool) -> io::Result<Option<Self>> {
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is neither a regular file nor a block device",
            ));
        }
        let block_device = kind.is_block_device();
        // A block device says its size as the place of its end.
        let size_bytes = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
        let unit = if direct {
            match direct_unit(&file, size_bytes)? {
                Some(unit) if size_bytes.is_multiple_of(u64::from(unit)) => unit,
                _ => return Ok(None),
            }
        } else {
            512
        };
        let identity = if block_device {
            BackingIdentity {
                device: metadata.rdev(),
                inode: 0,
            }
        } else {
            BackingIdentity {
                device: metadata.dev(),
                inode: metadata.ino(),
            }
        };
        let trims = if block_device {
            device_zeroes(metadata.rdev())
        } else {
            can_punch(path)
        };
        Ok(Some(Self {
            file,
            path: path.to_owned(),
            identity,
            size_bytes,
            direct,
            unit,
            block_device,
            trims,
            sync_failed: AtomicBool::new(false),
        }))
    }

    /// The path it was opened under.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode.
    #[must_use]
    pub const fn identity(&self) -> BackingIdentity {
        self.identity
    }

    /// Its size in bytes when it was opened.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The unit of every offset and length, in bytes, a power of two.
    #[must_use]
    pub const fn unit(&self) -> u32 {
        self.unit
    }

    /// Whether the page cache is bypassed.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.direct
    }

    /// Whether it is a block device.
    #[must_use]
    pub const fn is_block_device(&self) -> bool {
        self.block_device
    }

    /// Whether its space can be given back, after which it reads as zeroes.
    #[must_use]
    pub const fn trims(&self) -> bool {
        self.trims
    }

    /// Whether the whole range is a hole now, as far as that can be known without reading it.
    #[must_use]
    pub fn is_hole(&self, offset: u64, length: u64) -> bool {
        if self.block_device {
            return false;
        }
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => data >= offset + length,
            // No data from here to the end.
            Err(Errno::NXIO) => offset + length <= self.size_bytes,
            Err(_) => false,
        }
    }

    /// The same backing with larger units, as if its device had them.
    #[cfg(test)]
    pub(crate) fn with_unit(self, unit: u32) -> Self {
        Self {
            unit: unit.max(self.unit),
            ..self
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How a range is zeroed here.
    pub(super) fn zero_mode(unmap: bool) -> FallocateFlags {
        let how = if unmap {
            FallocateFlags::PUNCH_HOLE
        } else {
            FallocateFlags::ZERO_RANGE
        };
        how | FallocateFlags::KEEP_SIZE
    }

    /// Refuses a sync after one that failed.
    pub(super) fn may_sync(&self) -> io::Result<()> {
        if self.sync_failed.load(Ordering::Acquire) {
            return Err(io::Error::other(
                "an earlier sync of this backing failed, so what it holds is unknown",
            ));
        }
        Ok(())
    }

    /// Notes that a sync failed.
    pub(super) fn note_failed_sync(&self, error: &io::Error) {
        if !self.sync_failed.swap(true, Ordering::AcqRel) {
            tracing::error!(path = %self.path.display(), %error, "a sync of a backing failed; every later one is refused");
        }
    }
}

impl AsFd for Backing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The smallest unit in which this descriptor reads directly; found by reading, because what the
/// system tells about it differs between kernels.
fn direct_unit(file: &File, size_bytes: u64) -> io::Result<Option<u32>> {
    for unit in UNITS {
        if size_bytes < u64::from(unit) {
            break;
        }
        let mut buffer = AlignedBuffer::zeroed(unit as usize);
        match file.read_at(&mut buffer, 0) {
            Ok(_) => return Ok(Some(unit)),
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
            // A bad first sector is no reason to refuse the device: it says so to who reads it.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                return Ok(Some(4096));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether a block device gives space back so that it reads as zeroes. The kernel unmaps or uses the
/// device's own zeroing, and refuses a hole that it would have to write out.
fn device_zeroes(device: u64) -> bool {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let queue = |base: &str| {
        std::fs::read_to_string(format!(
            "/sys/dev/block/{major}:{minor}/{base}queue/write_zeroes_max_bytes"
        ))
    };
    // A partition has no queue of its own; its disk is the directory above.
    queue("")
        .or_else(|_| queue("../"))
        .is_ok_and(|text| text.trim().parse::<u64>().is_ok_and(|bytes| bytes > 0))
}

/// Whether the file system of a file makes holes. Tried on a nameless file beside it: on the file
/// itself it would change the time stamps by which a foreign write is noticed.
fn can_punch(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let Some(directory) = path.parent() else {
        return false;
    };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR).is_ok_and(|file| {
        rustix::fs::ftruncate(&file, 8192).is_ok()
            && rustix::fs::fallocate(&file, Backing::zero_mode(true), 0, 4096).is_ok()
    })
}
