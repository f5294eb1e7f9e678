//! Plain HTTP on a Unix socket, for the operator of this host.
//!
//! Invariant: only the socket's owner and root can ever connect, from the moment the path exists;
//! that is the whole authentication, so no token is needed and nothing secret crosses a network.
//! Whether two processes of one role may run at once is not decided here.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use crate::serve::{self, Drained, Limits, Listen, Peer, PeerAddress};

/// Read and write for the owner, nothing for anybody else.
const OWNER_ONLY: u32 = 0o600;
/// Connections the system keeps for us between two accepts.
const BACKLOG: u32 = 128;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LocalSocketError {
    /// A process answers there.
    #[error("socket {} is in use by a running process; stop that process or choose another path", .0.display())]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{} exists and is not a socket; remove it or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot open socket {}: {source}; check that its directory exists and is writable, and that the path has at most 107 bytes", .path.display())]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound socket that only its owner can open. Its path is removed when this is dropped.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that a successor's socket of the same name is left alone.
    identity: (u64, u64),
}

impl LocalSocket {
    /// Binds `path` with mode 0600. A socket that a dead process left there is replaced; a live
    /// one is not. The directory must exist. Needs a runtime.
    ///
    /// # Errors
    /// When the path is taken or the system refuses.
    pub async fn bind(path: impl Into<PathBuf>) -> Result<Self, LocalSocketError> {
        let path = path.into();
        remove_stale(&path).await?;
        match Self::bind_free(&path) {
            Ok((listener, identity)) => Ok(Self {
                listener,
                path,
                identity,
            }),
            Err(source) => Err(LocalSocketError::Io { path, source }),
        }
    }

    fn bind_free(path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
        let socket = UnixSocket::new_stream()?;
        // Linux gives the path the mode that the unbound socket has, so there is no moment at
        // which others could connect, and the process's umask need not be touched.
        File::from(socket.as_fd().try_clone_to_owned()?)
            .set_permissions(PermissionsExt::from_mode(OWNER_ONLY))?;
        socket.bind(path)?;
        let metadata = std::fs::symlink_metadata(path)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            std::fs::remove_file(path)?;
            return Err(io::Error::other(
                "the file system does not keep the socket private",
            ));
        }
        // Nobody can connect before this.
        let listener = socket.listen(BACKLOG)?;
        Ok((listener, (metadata.dev(), metadata.ino())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a socket");
        }
    }
}

async fn remove_stale(path: &Path) -> Result<(), LocalSocketError> {
    let io = |source| LocalSocketError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(LocalSocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        // A full backlog means that somebody is there.
        Ok(_) => Err(LocalSocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(LocalSocketError::InUse(path.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io)
        }
        Err(error) => Err(io(error)),
    }
}

impl Listen for LocalSocket {
    type Raw = UnixStream;
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    async fn establish(&self, stream: UnixStream) -> io::Result<(UnixStream, Peer)> {
        let sender = stream.peer_cred()?;
        let address = PeerAddress::Local {
            user: sender.uid(),
            process: sender.pid(),
        };
        Ok((
            stream,
            Peer {
                address,
                certificates: [].into(),
            },
        ))
    }
}

/// Serves `router` as plain HTTP on `socket` until `shutdown` ends, then drains. The path is removed
/// as soon as no new connection is taken.
pub async fn serve_unix(
    socket: LocalSocket,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    serve::run(socket, router, limits, shutdown).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_gone_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        let socket = LocalSocket::bind(&path).await.unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(socket.path(), path);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_a_live_one_and_a_file_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        // The standard library's listener leaves its path behind, as a killed process does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let live = LocalSocket::bind(&path).await.unwrap();
        let refused = LocalSocket::bind(&path).await.unwrap_err();
        assert!(matches!(refused, LocalSocketError::InUse(_)), "{refused}");
        drop(live);
        std::fs::write(&path, "precious").unwrap();
        let refused = LocalSocket::bind(&path).await.unwrap_err();
        assert!(
            matches!(refused, LocalSocketError::NotASocket(_)),
            "{refused}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_successors_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        let first = LocalSocket::bind(&path).await.unwrap();
        std::fs::rename(&path, directory.path().join("moved")).unwrap();
        let second = LocalSocket::bind(&path).await.unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
