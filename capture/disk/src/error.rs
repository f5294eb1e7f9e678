//! The one error of this crate: which operation on which path failed, why, and what to do.
//!
//! Invariant: callers decide by [`DiskError::kind`], never by text or errno. It is `Clone`, so one
//! failed group commit can be reported to everyone who waited for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why an operation on a file or directory failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiskError {
    /// The operating system (or its simulated twin) refused.
    #[error("cannot {operation} {}: {source}; {}", path.display(), remedy(source))]
    Io {
        /// What was being done, as a verb: "open", "write".
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A sync of this file failed earlier, so what it holds on disk is unknown.
    #[error(
        "cannot {operation} {}: an earlier sync of it failed, so its contents on disk are unknown; \
         put the data into a new file and check the device",
        path.display()
    )]
    Poisoned {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file ends before the bytes that were asked for.
    #[error(
        "cannot read {wanted} bytes at {offset} of {}: it ends after {got} of them; it was cut or \
         never fully written",
        path.display()
    )]
    ShortRead {
        /// The file.
        path: PathBuf,
        /// Where the read began.
        offset: u64,
        /// Bytes asked for.
        wanted: u64,
        /// Bytes there were.
        got: u64,
    },
    /// The file is larger than what its reader accepts.
    #[error(
        "cannot use {}: it holds {length} bytes and at most {limit} are expected; check that it is \
         the right file",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// The greatest accepted length in bytes.
        limit: u64,
    },
}

/// What a caller can decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskErrorKind {
    /// No such file or directory.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The disk, the quota or the largest file size is used up.
    NoSpace,
    /// An earlier sync failed; the file is given up.
    Poisoned,
    /// The file ends too early.
    ShortRead,
    /// Anything else.
    Io,
}

impl DiskError {
    /// Wraps what the system said about an operation on a path.
    pub fn io(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source: Arc::new(source.into()),
        }
    }

    /// The class of the error.
    #[must_use]
    pub fn kind(&self) -> DiskErrorKind {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => DiskErrorKind::NotFound,
                io::ErrorKind::AlreadyExists => DiskErrorKind::AlreadyExists,
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => DiskErrorKind::NoSpace,
                _ => DiskErrorKind::Io,
            },
            Self::Poisoned { .. } => DiskErrorKind::Poisoned,
            Self::ShortRead { .. } => DiskErrorKind::ShortRead,
            Self::TooLarge { .. } => DiskErrorKind::Io,
        }
    }

    /// The file or directory it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::Poisoned { path, .. }
            | Self::ShortRead { path, .. }
            | Self::TooLarge { path, .. } => path,
        }
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        let kind = match &error {
            DiskError::Io { source, .. } => source.kind(),
            DiskError::ShortRead { .. } => io::ErrorKind::UnexpectedEof,
            DiskError::Poisoned { .. } | DiskError::TooLarge { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "check that the path exists",
        io::ErrorKind::AlreadyExists => "remove it or use another name",
        io::ErrorKind::PermissionDenied => "check the owner and the mode of the path",
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system writable",
        io::ErrorKind::StorageFull => "free space on its file system or enlarge it",
        io::ErrorKind::QuotaExceeded => "raise the quota or free space within it",
        io::ErrorKind::FileTooLarge => "raise the limit on file sizes",
        _ => "check the device and the kernel log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn kinds_follow_the_errno() {
        let kind = |errno: Errno| DiskError::io("write", Path::new("/a"), errno).kind();
        assert_eq!(kind(Errno::NOENT), DiskErrorKind::NotFound);
        assert_eq!(kind(Errno::EXIST), DiskErrorKind::AlreadyExists);
        assert_eq!(kind(Errno::NOSPC), DiskErrorKind::NoSpace);
        assert_eq!(kind(Errno::DQUOT), DiskErrorKind::NoSpace);
        assert_eq!(kind(Errno::FBIG), DiskErrorKind::NoSpace);
        assert_eq!(kind(Errno::IO), DiskErrorKind::Io);
    }

    #[test]
    fn message_names_operation_path_cause_and_remedy() {
        let text = DiskError::io("write", Path::new("/state/x"), Errno::NOSPC).to_string();
        assert!(
            text.starts_with("cannot write /state/x: No space left"),
            "{text}"
        );
        assert!(
            text.ends_with("free space on its file system or enlarge it"),
            "{text}"
        );
    }
}
