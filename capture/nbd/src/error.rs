//! The errors that exist on the NBD wire, and how local errors become one of them.
//!
//! Nothing else may be sent to a client: an error number outside this list means nothing to it.

use std::io;

/// An error as an NBD client sees it. There is deliberately no "out of memory": a server that
/// bounds its memory waits instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NbdError {
    /// The export does not permit this (`EPERM`), for example a write to a read-only export.
    #[error("operation not permitted on this export")]
    Perm,
    /// The device failed (`EIO`).
    #[error("input/output error")]
    Io,
    /// The peer ran out of memory (`ENOMEM`). Only ever received, never sent by us.
    #[error("the peer is out of memory")]
    NoMemory,
    /// The request itself is wrong (`EINVAL`).
    #[error("invalid request")]
    Invalid,
    /// No space is left, or a write goes past the end (`ENOSPC`).
    #[error("no space left on the export")]
    NoSpace,
    /// The request is too long to be served in one piece (`EOVERFLOW`).
    #[error("request too long")]
    Overflow,
    /// A fast zero is not possible here (`ENOTSUP`).
    #[error("operation not supported here")]
    NotSupported,
    /// The server is going away (`ESHUTDOWN`).
    #[error("the server is shutting down")]
    Shutdown,
}

impl NbdError {
    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u32 {
        match self {
            Self::Perm => 1,
            Self::Io => 5,
            Self::NoMemory => 12,
            Self::Invalid => 22,
            Self::NoSpace => 28,
            Self::Overflow => 75,
            Self::NotSupported => 95,
            Self::Shutdown => 108,
        }
    }

    /// The error behind a number from the wire. Unknown numbers count as invalid, as the
    /// specification asks. Zero is no error and must not be passed.
    #[must_use]
    pub const fn from_wire(number: u32) -> Self {
        match number {
            1 => Self::Perm,
            5 => Self::Io,
            12 => Self::NoMemory,
            28 => Self::NoSpace,
            75 => Self::Overflow,
            95 => Self::NotSupported,
            108 => Self::Shutdown,
            _ => Self::Invalid,
        }
    }

    /// The NBD error for a Linux error number, as a completion of an I/O ring carries it
    /// (positive).
    #[must_use]
    pub const fn from_errno(errno: i32) -> Self {
        match errno {
            // EPERM, EACCES, EROFS
            1 | 13 | 30 => Self::Perm,
            // EINVAL
            22 => Self::Invalid,
            // EFBIG, ENOSPC, EDQUOT
            27 | 28 | 122 => Self::NoSpace,
            // EOVERFLOW
            75 => Self::Overflow,
            // EOPNOTSUPP, which is ENOTSUP on Linux
            95 => Self::NotSupported,
            // ESHUTDOWN
            108 => Self::Shutdown,
            _ => Self::Io,
        }
    }
}

impl From<io::ErrorKind> for NbdError {
    fn from(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Perm,
            io::ErrorKind::InvalidInput => Self::Invalid,
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoSpace,
            io::ErrorKind::Unsupported => Self::NotSupported,
            _ => Self::Io,
        }
    }
}

impl From<&io::Error> for NbdError {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::from_errno(errno),
            None => error.kind().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [NbdError; 8] = [
        NbdError::Perm,
        NbdError::Io,
        NbdError::NoMemory,
        NbdError::Invalid,
        NbdError::NoSpace,
        NbdError::Overflow,
        NbdError::NotSupported,
        NbdError::Shutdown,
    ];

    #[test]
    fn every_error_survives_the_wire() {
        for error in ALL {
            assert_eq!(NbdError::from_wire(error.to_wire()), error);
        }
        assert_eq!(NbdError::from_wire(4711), NbdError::Invalid);
    }

    #[test]
    fn local_errors_map_to_the_eight_that_exist() {
        // (errno, expected): EDQUOT and EFBIG are "no space", EROFS is "not permitted".
        for (errno, expected) in [
            (1, NbdError::Perm),
            (30, NbdError::Perm),
            (27, NbdError::NoSpace),
            (28, NbdError::NoSpace),
            (122, NbdError::NoSpace),
            (5, NbdError::Io),
            (12, NbdError::Io),
            (110, NbdError::Io),
            (22, NbdError::Invalid),
        ] {
            assert_eq!(
                NbdError::from(&io::Error::from_raw_os_error(errno)),
                expected,
                "{errno}"
            );
        }
        assert_eq!(NbdError::from(io::ErrorKind::TimedOut), NbdError::Io);
        assert_eq!(
            NbdError::from(io::ErrorKind::QuotaExceeded),
            NbdError::NoSpace
        );
    }
}
