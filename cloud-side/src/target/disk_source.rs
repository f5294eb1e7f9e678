//! Disk sources: the read-only NBD exports an instance is launched from.
//!
//! Owns the parsing of `nbd+unix:///NAME?socket=PATH`. It does not connect to anything.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The longest path a unix socket address can hold on Linux, without its closing zero byte.
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = 107;

/// One disk of the machine to launch; the order of a list of sources is the order of the disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskSource {
    /// The protected volume's name.
    pub volume: String,
    /// A read-only NBD export on a unix socket: `nbd+unix:///NAME?socket=PATH`.
    pub uri: String,
    /// Size of the disk in bytes.
    pub size_bytes: u64,
}

/// Where an NBD export is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NbdAddress {
    /// The unix socket the server listens on.
    pub socket: PathBuf,
    /// The export's name.
    pub export: String,
}

/// Why a disk source cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskSourceError {
    /// The address is of another form.
    #[error("disk source {uri:?} is not of the form nbd+unix:///NAME?socket=PATH: {reason}")]
    Form {
        /// The address as given.
        uri: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The socket's path does not fit into a socket address.
    #[error(
        "the NBD socket path {socket} has {bytes} bytes and the system allows {SOCKET_PATH_BYTES_MAX}; \
         serve the view from a shorter directory"
    )]
    SocketPathTooLong {
        /// The socket's path.
        socket: String,
        /// Its length in bytes.
        bytes: usize,
    },
}

impl DiskSource {
    /// Takes the address apart.
    ///
    /// # Errors
    /// When the address has another form or its socket path is too long for the system.
    pub fn address(&self) -> Result<NbdAddress, DiskSourceError> {
        let form = |reason| DiskSourceError::Form {
            uri: self.uri.clone(),
            reason,
        };
        let rest = self
            .uri
            .strip_prefix("nbd+unix:///")
            .ok_or_else(|| form("another scheme or a host name"))?;
        let (export, query) = rest
            .split_once('?')
            .ok_or_else(|| form("no socket is named"))?;
        let socket = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("socket="))
            .ok_or_else(|| form("no socket is named"))?;
        let socket = percent_decode(socket).ok_or_else(|| form("a wrong percent escape"))?;
        let export = percent_decode(export).ok_or_else(|| form("a wrong percent escape"))?;
        if !Path::new(&socket).is_absolute() {
            return Err(form("the socket path is not absolute"));
        }
        if socket.len() > SOCKET_PATH_BYTES_MAX {
            let bytes = socket.len();
            return Err(DiskSourceError::SocketPathTooLong { socket, bytes });
        }
        Ok(NbdAddress {
            socket: PathBuf::from(socket),
            export,
        })
    }
}

/// Undoes percent escapes; `None` for a broken escape or bytes that are not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str) -> DiskSource {
        DiskSource {
            volume: "root".into(),
            uri: uri.into(),
            size_bytes: 1 << 20,
        }
    }

    #[test]
    fn an_address_is_taken_apart_and_unescaped() {
        let address = source("nbd+unix:///group%20one/root?socket=/run/a%2Cb.sock").address();
        assert_eq!(
            address.unwrap(),
            NbdAddress {
                socket: "/run/a,b.sock".into(),
                export: "group one/root".into()
            }
        );
    }

    #[test]
    fn other_forms_are_refused_with_the_reason() {
        for uri in [
            "nbd://host/root",
            "nbd+unix:///root",
            "nbd+unix:///root?tls=no",
            "nbd+unix:///root?socket=relative.sock",
            "nbd+unix:///ro%zt?socket=/run/a.sock",
        ] {
            let error = source(uri).address().unwrap_err();
            assert!(error.to_string().contains(uri), "{error}");
        }
    }

    #[test]
    fn a_socket_path_beyond_the_system_limit_is_refused() {
        let uri = format!(
            "nbd+unix:///root?socket=/{}",
            "d".repeat(SOCKET_PATH_BYTES_MAX)
        );
        assert!(matches!(
            source(&uri).address(),
            Err(DiskSourceError::SocketPathTooLong { bytes: 108, .. })
        ));
    }
}
