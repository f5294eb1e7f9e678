//! Unix sockets that only their owner may use.
//!
//! Owns the file of a listening socket: it appears with mode 0600 from its first instant, replaces
//! a file left by a killed process but never a living one's, and goes away with its owner. Paths of
//! any length work, although the kernel's own limit for a socket address is 107 bytes.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why a socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error("socket {} is in use by a running process; stop it or choose another path", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there, which we will not remove.
    #[error("{} exists and is not a socket; remove it or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot make socket {}: {source}; check its directory and permissions", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// A listening Unix socket of mode 0600. Its file is removed when this is dropped, if it is still
/// ours.
#[derive(Debug)]
pub struct PrivateSocket {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
}

impl PrivateSocket {
    /// Makes the socket and listens on it. A socket file on which nobody listens is replaced.
    ///
    /// # Errors
    /// If somebody listens there, if something else is there, or if the system refuses.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io {
            path: path.to_owned(),
            source,
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(BindError::NotASocket {
                    path: path.to_owned(),
                });
            }
            Ok(_) => match connect_unix(path) {
                // Refused means that the file has no listener; gone means that it just went.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
                    ) => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Err(failed(error));
                }
                _ => {
                    return Err(BindError::InUse {
                        path: path.to_owned(),
                    });
                }
            },
        }
        bind_and_rename(path).map_err(failed)
    }

    /// The listener, for a shell that accepts by itself.
    #[must_use]
    pub const fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        // A successor may have put its own socket here; that one stays.
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove socket");
        }
    }
}

/// Connects to a Unix socket at a path of any length.
///
/// # Errors
/// What the system says.
pub fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let (directory, name) = open_parent(path)?;
    UnixStream::connect(through(&directory, name))
}

/// Binds in a directory nobody else may enter and moves the finished socket into place, so that at
/// no instant others can connect.
fn bind_and_rename(path: &Path) -> io::Result<PrivateSocket> {
    let (directory, name) = open_parent(path)?;
    let mut nursery_name = OsStr::new(".").to_owned();
    nursery_name.push(name);
    nursery_name.push(".new");
    let nursery = through(&directory, &nursery_name);
    // Left over from a process that was killed in here.
    match fs::remove_dir_all(&nursery) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => DirBuilder::new().mode(0o700).create(&nursery)?,
    }
    let result = bind_inside(&nursery, &through(&directory, name), path);
    let cleaned = fs::remove_dir_all(&nursery);
    let socket = result?;
    cleaned?;
    Ok(socket)
}

fn bind_inside(nursery: &Path, destination: &Path, path: &Path) -> io::Result<PrivateSocket> {
    let inside = File::open(nursery)?;
    let newborn = through(&inside, OsStr::new("s"));
    let listener = UnixListener::bind(&newborn)?;
    fs::set_permissions(&newborn, Permissions::from_mode(0o600))?;
    let metadata = fs::symlink_metadata(&newborn)?;
    fs::rename(&newborn, destination)?;
    Ok(PrivateSocket {
        listener,
        path: path.to_owned(),
        identity: (metadata.dev(), metadata.ino()),
    })
}

/// The directory of a path, opened, and the name in it.
fn open_parent(path: &Path) -> io::Result<(File, &OsStr)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((File::open(parent)?, name))
}

/// A short path to a name in an open directory.
fn through(directory: &File, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_private_and_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        let socket = PrivateSocket::bind(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        connect_unix(&path).unwrap();
        drop(socket);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_a_dead_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        let living = PrivateSocket::bind(&path).unwrap();
        assert!(matches!(
            PrivateSocket::bind(&path),
            Err(BindError::InUse { .. })
        ));
        drop(living);
        // A listener that is closed without removing its file: what a killed process leaves.
        drop(UnixListener::bind(&path).unwrap());
        let socket = PrivateSocket::bind(&path).unwrap();
        connect_unix(&path).unwrap();
        drop(socket);
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            PrivateSocket::bind(&path),
            Err(BindError::NotASocket { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_successors_socket_survives_its_predecessor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        let old = PrivateSocket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let new = PrivateSocket::bind(&path).unwrap();
        drop(old);
        connect_unix(new.path()).unwrap();
    }

    #[test]
    fn long_paths_work() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let path = deep.join("s.sock");
        let socket = PrivateSocket::bind(&path).unwrap();
        let _client = connect_unix(&path).unwrap();
        socket.listener().accept().unwrap();
    }
}
