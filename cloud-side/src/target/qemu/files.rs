//! Small file helpers of the qemu target: private files, console reading, sizes.

use std::{
    fs,
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
};

use bcdr_disk::{CreateOptions, DiskErrorKind, Storage};

use crate::target::{ConsoleChunk, ConsoleOffset, TargetError};

/// Most console output taken in one step, in bytes.
const CONSOLE_CHUNK_BYTES_MAX: u64 = 256 * 1024;

/// Creates an empty file that only its owner can read, in place of an older one.
pub(super) fn create_private(storage: &dyn Storage, path: &Path) -> Result<(), TargetError> {
    let wrap = |error: bcdr_disk::DiskError| {
        TargetError::files("create the private file", path)(error.into())
    };
    match storage.remove(path) {
        Err(error) if error.kind() != DiskErrorKind::NotFound => return Err(wrap(error)),
        _ => {}
    }
    storage
        .create(path, CreateOptions::default())
        .map(drop)
        .map_err(wrap)
}

/// Reads console output from `offset`; a log that does not exist yet is empty.
pub(super) fn read_console(
    path: &Path,
    offset: ConsoleOffset,
) -> Result<ConsoleChunk, TargetError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset.0))?;
        file.take(CONSOLE_CHUNK_BYTES_MAX).read_to_end(&mut bytes)
    });
    match read {
        Ok(count) => Ok(ConsoleChunk {
            bytes,
            next: ConsoleOffset(offset.0 + count as u64),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(ConsoleChunk {
            bytes: Vec::new(),
            next: offset,
        }),
        Err(source) => Err(TargetError::files("read the console log", path)(source)),
    }
}

/// The end of a text file, for error messages; empty when it cannot be read.
pub(super) fn last_lines(path: &Path, bytes_max: u64) -> String {
    let start = length_bytes(path).saturating_sub(bytes_max);
    let chunk = read_console(path, ConsoleOffset(start));
    let bytes = chunk.map(|chunk| chunk.bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().replace('\n', "; ")
}

/// Bytes a file occupies on its disk; 0 when it does not exist.
pub(super) fn occupied_bytes(path: &Path) -> u64 {
    // The kernel counts blocks of 512 bytes whatever the file system's own block size.
    fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

/// A file's length in bytes; 0 when it does not exist.
pub(super) fn length_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_reading_goes_on_where_it_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serial.log");
        let nothing = read_console(&path, ConsoleOffset::default()).unwrap();
        assert_eq!(
            nothing,
            ConsoleChunk {
                bytes: Vec::new(),
                next: ConsoleOffset(0)
            }
        );
        fs::write(&path, "one").unwrap();
        let first = read_console(&path, nothing.next).unwrap();
        assert_eq!(
            (first.bytes.as_slice(), first.next),
            (&b"one"[..], ConsoleOffset(3))
        );
        fs::write(&path, "one two").unwrap();
        assert_eq!(read_console(&path, first.next).unwrap().bytes, b" two");
    }

    #[test]
    fn a_private_file_replaces_a_readable_one() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        fs::write(&path, "old").unwrap();
        create_private(&bcdr_disk::RealStorage::new(), &path).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(
            (metadata.len(), metadata.permissions().mode() & 0o777),
            (0, 0o600)
        );
    }
}
