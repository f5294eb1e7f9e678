//! The tokio shell for read-only exports: how views are served.
//!
//! Owns the listener and the life of its connections; module `connection` owns one connection. Data is
//! read on blocking threads, so an export may wait for disks. Everything is bounded: connections,
//! requests in flight, bytes in flight, the time a client may take to negotiate and the time a
//! shutdown waits for a client that does not read.

mod connection;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::NbdError;
use crate::export::{BlockSizes, ExportDirectory, ExportInfo, Extent, Features};
use crate::reply::ReadPart;
use crate::socket::PrivateSocket;

/// Pause after the system could not give us a connection, for example for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Something that can be read through NBD. All methods but the reading ones must answer from
/// memory.
pub trait ReadExport: Send + Sync {
    /// Its size in bytes. Never changes.
    fn size(&self) -> u64;

    /// Words for people.
    fn description(&self) -> String {
        String::new()
    }

    /// The unit of reading in bytes, a power of two. Ranges are widened to it, up to the size,
    /// before they get here; clients may ask for any range.
    fn unit(&self) -> u32 {
        1
    }

    /// Reads exactly `length` bytes. Runs on a blocking thread, several at once.
    ///
    /// # Errors
    /// What the client is to see.
    fn read(&self, offset: u64, length: u32) -> Result<Bytes, NbdError>;

    /// The same with holes, for exports that know them without looking at the data.
    ///
    /// # Errors
    /// What the client is to see.
    fn read_parts(&self, offset: u64, length: u32) -> Result<Vec<ReadPart<Bytes>>, NbdError> {
        Ok(vec![ReadPart::Data {
            buffer: self.read(offset, length)?,
            length,
        }])
    }

    /// The allocation states from `offset` on, at least one extent. It may stop before the end of
    /// the range; extents beyond `limit` are thrown away. Runs on a blocking thread.
    ///
    /// # Errors
    /// What the client is to see.
    fn block_status(&self, offset: u64, length: u32, limit: usize)
    -> Result<Vec<Extent>, NbdError>;
}

/// The exports of a listener. They may come and go; a connection keeps the one it entered.
pub trait ViewExports: Send + Sync {
    /// The names of all exports.
    fn names(&self) -> Vec<String>;

    /// An export, with its canonical name, under which it is found again. The empty name asks for
    /// the default export.
    fn find(&self, name: &str) -> Option<(String, Arc<dyn ReadExport>)>;
}

/// The bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more are closed at once.
    pub connections: usize,
    /// Requests of one connection that are worked on at a time.
    pub requests: usize,
    /// Bytes that one connection may have on their way; a single request may exceed it.
    pub bytes: usize,
    /// Time a client has for the negotiation.
    pub handshake: Duration,
    /// Time a closing connection has to finish its requests and take their replies.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            requests: 16,
            bytes: 16 * 1024 * 1024,
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves until `shutdown` is ready, then lets connections finish what they have begun. The socket
/// file goes first, so that a successor can take the path.
///
/// # Errors
/// If the listener cannot be used with this runtime.
pub async fn serve(
    socket: PrivateSocket,
    exports: Arc<dyn ViewExports>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    socket.listener().set_nonblocking(true)?;
    let listener = UnixListener::from_std(socket.listener().try_clone()?)?;
    let (stopping, stop) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < limits.connections => {
                    let exports = Arc::clone(&exports);
                    connections.spawn(connection::run(stream, exports, limits, stop.clone()));
                }
                Ok(_) => tracing::warn!(
                    path = %socket.path().display(), limit = limits.connections,
                    "too many NBD connections, closing a new one"
                ),
                Err(error) => {
                    tracing::warn!(path = %socket.path().display(), %error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    drop(socket);
    // No receiver means no connection.
    let _ = stopping.send(true);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Shows view exports to a session.
struct Directory(Arc<dyn ViewExports>);

impl ExportDirectory for Directory {
    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn find(&self, name: &str) -> Option<ExportInfo> {
        let (name, export) = self.0.find(name)?;
        Some(ExportInfo {
            name,
            description: export.description(),
            size: export.size(),
            block_sizes: BlockSizes::DEFAULT,
            features: Features::READ_ONLY_VIEW,
        })
    }
}

#[cfg(test)]
mod tests;
