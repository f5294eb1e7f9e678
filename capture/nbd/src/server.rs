//! The tokio shell: how views are served, those that can only be read and those that can be written.
//!
//! Owns the listener and the life of its connections; module `connection` owns one connection,
//! `request` what a request asks of an export, `room` the bytes a connection may hold. Exports are
//! called on blocking threads, so they may wait for disks. Everything is bounded: connections,
//! requests in flight, bytes in flight, the time a client may take to negotiate and the time a
//! shutdown waits for a client that does not read. The shell keeps no data and decides no order:
//! what is durable, and which of two overlapping writes is the later one, is the export's business.

mod connection;
mod request;
mod room;

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

/// Something that can be written through NBD besides. All methods run on blocking threads, several
/// at once, from all connections to the export. Ranges are inside the export and not empty, and are
/// what the client asked for to the byte: they are not widened to the unit of reading. A call is
/// never taken back: a client that goes away while its request is carried out does not stop it.
pub trait WriteExport: ReadExport {
    /// Takes these bytes. When it returns, every later read and every later write sees them done.
    ///
    /// # Errors
    /// What the client is to see. The range may then hold any mixture of old and new bytes.
    fn write(&self, offset: u64, data: Bytes) -> Result<(), NbdError>;

    /// Makes a range read as zeroes, whatever its length. `may_unmap`: its space may be given back.
    /// When it returns, every later read and every later write sees it done.
    ///
    /// # Errors
    /// What the client is to see. The range may then hold any mixture of old bytes and zeroes.
    fn write_zeroes(&self, offset: u64, length: u64, may_unmap: bool) -> Result<(), NbdError>;

    /// Makes everything durable that was answered before the call, on whatever connection. What is
    /// still being written need not be covered.
    ///
    /// # Errors
    /// What the client is to see. Nothing is then known to be durable that was not before.
    fn flush(&self) -> Result<(), NbdError>;
}

/// An export as it is served.
#[derive(Clone)]
pub enum ServedExport {
    /// Writes of every kind are refused with "not permitted".
    ReadOnly(Arc<dyn ReadExport>),
    /// Can be read and written.
    Writable(Arc<dyn WriteExport>),
}

impl ServedExport {
    /// Its reading side, which both kinds have.
    #[must_use]
    pub fn reading(&self) -> &dyn ReadExport {
        match self {
            Self::ReadOnly(export) => &**export,
            Self::Writable(export) => &**export,
        }
    }

    /// What clients are told that it can do.
    #[must_use]
    pub const fn features(&self) -> Features {
        match self {
            Self::ReadOnly(_) => Features::READ_ONLY_VIEW,
            Self::Writable(_) => Features::WRITABLE_VIEW,
        }
    }
}

/// The exports of a listener. They may come and go; a connection keeps the one it entered. All
/// connections that enter a name get the same export: clients are told that a flush on one of them
/// is good for the others.
pub trait ViewExports: Send + Sync {
    /// The names of all exports.
    fn names(&self) -> Vec<String>;

    /// An export, with its canonical name, under which it is found again. The empty name asks for
    /// the default export.
    fn find(&self, name: &str) -> Option<(String, ServedExport)>;
}

/// The bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more are closed at once.
    pub connections: usize,
    /// Requests of one connection that are worked on at a time.
    pub requests: usize,
    /// Bytes that one connection may have on their way, read or to be written; a single request may
    /// exceed it. A write counts before its data is received.
    pub bytes: usize,
    /// Time a client has for the negotiation.
    pub handshake: Duration,
    /// Time a closing connection has to finish its requests and take their replies. A call into a
    /// writable export that takes longer is waited for all the same, only without its reply.
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
/// file goes first, so that a successor can take the path. When this returns, no call into a
/// writable export is under way and none will begin: whoever owns it may flush and close it.
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
            description: export.reading().description(),
            size: export.reading().size(),
            block_sizes: BlockSizes::DEFAULT,
            features: export.features(),
        })
    }
}

#[cfg(test)]
mod tests;
