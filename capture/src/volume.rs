//! Opening a protected volume's backing: lock, size, identity.
//!
//! Invariant: the lock is taken on the very descriptor that submits I/O. The kernel keeps a lock
//! until the last I/O through its descriptor has ended, even when the process was killed, so who
//! gets the lock knows that no write of a predecessor can still arrive. Programs that do not ask
//! for the lock are not kept out.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bcdr_format::SECTOR_BYTES;
use rustix::{fs::FlockOperation, io::Errno};

use crate::ring::backing::Backing;

/// Between two attempts to take a lock.
const RETRY: Duration = Duration::from_millis(20);

/// Why a volume cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// Nothing has this path.
    #[error(
        "volume {name}: {} does not exist; check the path in the configuration, and that the \
         device is attached",
        path.display()
    )]
    Missing {
        /// The volume's name.
        name: String,
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error(
        "volume {name}: cannot open {}: {source}; check that it is a file or block device that \
         this user may read and write",
        path.display()
    )]
    Open {
        /// The volume's name.
        name: String,
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The size is nothing that a disk can have.
    #[error(
        "volume {name}: {} holds {size_bytes} bytes, which is {}; extend it to a multiple of \
         {SECTOR_BYTES} bytes (truncate -s %{SECTOR_BYTES}), so that no tail is left unprotected",
        path.display(),
        if *size_bytes == 0 { "nothing" } else { "no whole number of sectors" }
    )]
    Size {
        /// The volume's name.
        name: String,
        /// The path.
        path: PathBuf,
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// Another process has it, or I/O of a killed one has not ended.
    #[error(
        "volume {name}: {} is locked by {}, for {} s already; stop that process, or wait until the \
         I/O of one that was killed has ended (see the kernel log if it never does)",
        path.display(),
        holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")),
        waited.as_secs()
    )]
    Locked {
        /// The volume's name.
        name: String,
        /// The path.
        path: PathBuf,
        /// Who has it, if the kernel tells.
        holder: Option<u32>,
        /// How long was waited.
        waited: Duration,
    },
}

/// Opens a volume's backing and locks it, waiting up to `patience` for a predecessor's I/O to end.
/// Blocks.
///
/// # Errors
/// If there is no such file or device, if it may not be used, or if somebody else has it.
pub fn open(name: &str, path: &Path, patience: Duration) -> Result<Arc<Backing>, VolumeError> {
    let backing = Backing::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => VolumeError::Missing {
            name: name.to_owned(),
            path: path.to_owned(),
        },
        _ => VolumeError::Open {
            name: name.to_owned(),
            path: path.to_owned(),
            source,
        },
    })?;
    lock(name, &backing, patience)?;
    let size_bytes = backing.size_bytes();
    if size_bytes == 0 || !size_bytes.is_multiple_of(SECTOR_BYTES) {
        return Err(VolumeError::Size {
            name: name.to_owned(),
            path: path.to_owned(),
            size_bytes,
        });
    }
    tracing::info!(
        volume = name,
        path = %path.display(),
        size_bytes,
        direct = backing.is_direct(),
        unit_bytes = backing.unit(),
        trims = backing.trims(),
        "volume opened"
    );
    Ok(Arc::new(backing))
}

fn lock(name: &str, backing: &Backing, patience: Duration) -> Result<(), VolumeError> {
    let begun = Instant::now();
    loop {
        match rustix::fs::flock(backing, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => {
                let waited = begun.elapsed();
                if waited >= patience {
                    return Err(VolumeError::Locked {
                        name: name.to_owned(),
                        path: backing.path().to_owned(),
                        holder: holder(backing),
                        waited,
                    });
                }
                thread::sleep(RETRY.min(patience - waited));
            }
            Err(error) => {
                return Err(VolumeError::Open {
                    name: name.to_owned(),
                    path: backing.path().to_owned(),
                    source: error.into(),
                });
            }
        }
    }
}

/// The process that holds a lock on the file, as far as the kernel tells. Nothing depends on it.
fn holder(backing: &Backing) -> Option<u32> {
    let stat = rustix::fs::fstat(backing).ok()?;
    let (major, minor) = (
        rustix::fs::major(stat.st_dev),
        rustix::fs::minor(stat.st_dev),
    );
    let file = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let kind = fields.next()?;
        let pid = fields.nth(2)?;
        (kind == "FLOCK" && fields.next()? == file).then(|| pid.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn file_of(bytes: u64) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.img");
        File::create(&path).unwrap().set_len(bytes).unwrap();
        (directory, path)
    }

    #[test]
    fn a_file_is_opened_with_its_size() {
        let (_directory, path) = file_of(3 * 512);
        let backing = open("data", &path, Duration::ZERO).unwrap();
        assert_eq!(backing.size_bytes(), 3 * 512);
        assert!(!backing.is_block_device());
    }

    #[test]
    fn a_missing_path_and_a_directory_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("none");
        let error = open("data", &missing, Duration::ZERO).unwrap_err();
        assert!(matches!(&error, VolumeError::Missing { .. }), "{error}");
        let error = open("data", directory.path(), Duration::ZERO).unwrap_err();
        assert!(matches!(&error, VolumeError::Open { .. }), "{error}");
        let error = open("data", Path::new("/dev/null"), Duration::ZERO).unwrap_err();
        assert!(matches!(&error, VolumeError::Open { .. }), "{error}");
    }

    #[test]
    fn a_tail_is_refused() {
        for bytes in [0, 1, 513, (1 << 20) + 100] {
            let (_directory, path) = file_of(bytes);
            let error = open("data", &path, Duration::ZERO).unwrap_err();
            assert!(
                matches!(&error, VolumeError::Size { size_bytes, .. } if *size_bytes == bytes),
                "{error}"
            );
        }
    }

    #[test]
    fn one_opener_at_a_time_and_the_holder_is_named() {
        let (_directory, path) = file_of(4096);
        let first = open("data", &path, Duration::ZERO).unwrap();
        let error = open("data", &path, Duration::ZERO).unwrap_err();
        let VolumeError::Locked { holder, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(*holder, Some(std::process::id()), "{error}");
        drop(first);
        open("data", &path, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_predecessor_is_waited_for() {
        let (_directory, path) = file_of(4096);
        let first = open("data", &path, Duration::ZERO).unwrap();
        let waiting = thread::spawn({
            let path = path.clone();
            move || open("data", &path, Duration::from_secs(60))
        });
        drop(first);
        waiting.join().unwrap().unwrap();
    }
}
