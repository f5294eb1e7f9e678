//! An NBD client for Unix sockets: negotiate, then any number of requests at the same time.
//!
//! A [`Client`] is a cheap handle; clones share one connection. A writing task owns the sending
//! side and a reading task the receiving side and all requests in flight (module `driver`). The client
//! understands simple and structured replies and never trusts a length from the server. It does
//! not reconnect.

mod driver;
mod negotiation;
mod read_reply;
mod writing;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use crate::constants::{MAXIMUM_NAME_LENGTH, command_code, transmission_flag as flag};
use crate::error::NbdError;
use crate::export::{BlockSizes, Extent};
use crate::socket::connect_unix;
use driver::{Answer, Expected, Submission};
pub use negotiation::NegotiationError;

/// Requests that may wait for the writing task.
const QUEUE: usize = 64;

/// How to talk to a server.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// Ask for structured replies.
    pub structured: bool,
    /// Ask for the allocation map; needs structured replies.
    pub block_status: bool,
    /// Time for connecting and negotiating.
    pub handshake: Duration,
    /// Time for one request, from its submission to its reply.
    pub request: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            structured: true,
            block_status: true,
            handshake: Duration::from_secs(10),
            request: Duration::from_secs(60),
        }
    }
}

/// What the server told about the export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteExport {
    /// Size in bytes.
    pub size: u64,
    /// Block sizes; the protocol's defaults if the server named none.
    pub block_sizes: BlockSizes,
    pub(crate) flags: u16,
    pub(crate) structured: bool,
    /// Id of `base:allocation`, if it was selected.
    pub(crate) allocation_context: Option<u32>,
}

impl RemoteExport {
    /// Writes are refused.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.flags & flag::READ_ONLY != 0
    }

    /// `FLUSH` is served.
    #[must_use]
    pub const fn can_flush(&self) -> bool {
        self.flags & flag::FLUSH != 0
    }

    /// Force-unit-access is served.
    #[must_use]
    pub const fn can_fua(&self) -> bool {
        self.flags & flag::FUA != 0
    }

    /// `TRIM` is served.
    #[must_use]
    pub const fn can_trim(&self) -> bool {
        self.flags & flag::TRIM != 0
    }

    /// `WRITE_ZEROES` is served.
    #[must_use]
    pub const fn can_write_zeroes(&self) -> bool {
        self.flags & flag::WRITE_ZEROES != 0
    }

    /// Several connections see each other's flushed writes.
    #[must_use]
    pub const fn can_multi_connection(&self) -> bool {
        self.flags & flag::CAN_MULTI_CONN != 0
    }

    /// The allocation map can be asked for.
    #[must_use]
    pub const fn has_block_status(&self) -> bool {
        self.allocation_context.is_some()
    }

    /// Reads are answered by structured replies.
    #[must_use]
    pub const fn is_structured(&self) -> bool {
        self.structured
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error("cannot connect to NBD socket {}: {source}; check that the server runs", path.display())]
    Connect {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The negotiation failed.
    #[error("cannot enter export {name:?}: {source}")]
    Negotiation {
        /// The export.
        name: String,
        /// What went wrong.
        #[source]
        source: NegotiationError,
    },
    /// No answer in time.
    #[error("no answer from the NBD server in {0:?}; check that it is alive, then try again")]
    TimedOut(Duration),
    /// The server answered with an error. The connection is still good.
    #[error("the NBD server refused {request}: {source}")]
    Refused {
        /// What was asked.
        request: &'static str,
        /// Its answer.
        #[source]
        source: NbdError,
    },
    /// The request was not sent, because it cannot succeed.
    #[error("{request} of {length} bytes at {offset} cannot be served: {reason}")]
    Impossible {
        /// What was asked.
        request: &'static str,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// Why.
        reason: &'static str,
    },
    /// The connection is gone, and with it every request in flight.
    #[error("the connection to the NBD server is lost: {0}; connect again")]
    Lost(String),
}

/// A connection to one export. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    submissions: mpsc::Sender<Submission>,
    export: Arc<RemoteExport>,
    failure: Arc<OnceLock<String>>,
    timeout: Duration,
}

impl Client {
    /// Connects to a Unix socket, at a path of any length, and enters an export; the empty name is
    /// the default export.
    ///
    /// # Errors
    /// If nobody listens, the negotiation fails, or it takes too long.
    pub async fn connect(
        path: &Path,
        name: &str,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect {
            path: path.to_owned(),
            source,
        };
        let socket_path = path.to_owned();
        let connecting = tokio::task::spawn_blocking(move || connect_unix(&socket_path));
        let stream = tokio::time::timeout(options.handshake, connecting)
            .await
            .map_err(|_| ClientError::TimedOut(options.handshake))?
            .map_err(|error| failed(io::Error::other(error)))?
            .map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        Self::enter(UnixStream::from_std(stream).map_err(failed)?, name, options).await
    }

    /// Enters an export over any stream that leads to a server.
    ///
    /// # Errors
    /// If the negotiation fails or takes too long.
    pub async fn enter<S>(
        mut stream: S,
        name: &str,
        options: ClientOptions,
    ) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let failed = |source| ClientError::Negotiation {
            name: name.to_owned(),
            source,
        };
        if name.len() > MAXIMUM_NAME_LENGTH {
            return Err(failed(NegotiationError::NameTooLong));
        }
        let negotiation = negotiation::negotiate(&mut stream, name, options);
        let export = tokio::time::timeout(options.handshake, negotiation)
            .await
            .map_err(|_| ClientError::TimedOut(options.handshake))?
            .map_err(failed)?;
        let export = Arc::new(export);
        let failure = Arc::new(OnceLock::new());
        let (submissions, queue) = mpsc::channel(QUEUE);
        driver::start(stream, queue, Arc::clone(&export), Arc::clone(&failure));
        Ok(Self {
            submissions,
            export,
            failure,
            timeout: options.request,
        })
    }

    /// What the server told about the export.
    #[must_use]
    pub fn export(&self) -> &RemoteExport {
        &self.export
    }

    /// Reads a range of at most the maximum payload.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn read(&self, offset: u64, length: u32) -> Result<Bytes, ClientError> {
        let reply = self.submit_read(offset, length).await?;
        self.data(reply, offset, length).await
    }

    /// Reads several ranges, all in flight at the same time. The results are in the order of the
    /// ranges (offset and length in bytes).
    ///
    /// # Errors
    /// The first error in that order.
    pub async fn read_many(&self, ranges: &[(u64, u32)]) -> Result<Vec<Bytes>, ClientError> {
        let mut replies = Vec::with_capacity(ranges.len());
        for &(offset, length) in ranges {
            replies.push((offset, length, self.submit_read(offset, length).await?));
        }
        let mut data = Vec::with_capacity(replies.len());
        for (offset, length, reply) in replies {
            data.push(self.data(reply, offset, length).await?);
        }
        Ok(data)
    }

    /// The allocation states from `offset` on: at least one extent, perhaps not the whole range,
    /// perhaps more.
    ///
    /// # Errors
    /// See [`ClientError`]; impossible if the server has no allocation map.
    pub async fn block_status(&self, offset: u64, length: u32) -> Result<Vec<Extent>, ClientError> {
        let request = "block status";
        if !self.export.has_block_status() {
            let reason = "the server does not offer an allocation map";
            return Err(impossible(request, offset, length, reason));
        }
        if length == 0 {
            return Err(impossible(request, offset, length, "it is empty"));
        }
        self.check_range(request, offset, length)?;
        let reply = self
            .submit(Submission::new(
                command_code::BLOCK_STATUS,
                0,
                offset,
                length,
                Bytes::new(),
                Expected::Extents,
            ))
            .await?;
        match self.wait(request, reply).await? {
            Answer::Extents(extents) => Ok(extents),
            other => Err(unexpected(&other)),
        }
    }

    /// Says goodbye and waits until the server has closed the connection. Requests of other handles
    /// that are still unsent fail.
    ///
    /// # Errors
    /// If the connection was lost before, or the server does not close it.
    pub async fn disconnect(self) -> Result<(), ClientError> {
        let submission =
            Submission::new(command_code::DISC, 0, 0, 0, Bytes::new(), Expected::Goodbye);
        let reply = self.submit(submission).await?;
        self.wait("disconnect", reply).await.map(drop)
    }

    async fn submit_read(&self, offset: u64, length: u32) -> Result<Reply, ClientError> {
        self.check_payload("read", offset, length)?;
        if length == 0 {
            // A server may do as it likes with such a request.
            let (answer, reply) = oneshot::channel();
            let _ = answer.send(Ok(Answer::Data(Bytes::new())));
            return Ok(reply);
        }
        let expected = Expected::Data { offset, length };
        self.submit(Submission::new(
            command_code::READ,
            0,
            offset,
            length,
            Bytes::new(),
            expected,
        ))
        .await
    }

    async fn data(&self, reply: Reply, offset: u64, length: u32) -> Result<Bytes, ClientError> {
        match self.wait("read", reply).await? {
            Answer::Data(data) if data.len() == length as usize => Ok(data),
            other => {
                tracing::debug!(offset, length, "answer of another kind");
                Err(unexpected(&other))
            }
        }
    }

    fn check_payload(
        &self,
        request: &'static str,
        offset: u64,
        length: u32,
    ) -> Result<(), ClientError> {
        if length > self.export.block_sizes.maximum_payload() {
            let reason = "it is longer than the server's maximum payload";
            return Err(impossible(request, offset, length, reason));
        }
        self.check_range(request, offset, length)
    }

    fn check_range(
        &self,
        request: &'static str,
        offset: u64,
        length: u32,
    ) -> Result<(), ClientError> {
        match offset.checked_add(u64::from(length)) {
            Some(end) if end <= self.export.size => Ok(()),
            _ => Err(impossible(
                request,
                offset,
                length,
                "it goes past the end of the export",
            )),
        }
    }

    async fn submit(&self, (submission, reply): (Submission, Reply)) -> Result<Reply, ClientError> {
        match tokio::time::timeout(self.timeout, self.submissions.send(submission)).await {
            Ok(Ok(())) => Ok(reply),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(ClientError::TimedOut(self.timeout)),
        }
    }

    async fn wait(&self, request: &'static str, reply: Reply) -> Result<Answer, ClientError> {
        match tokio::time::timeout(self.timeout, reply).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(source))) => Err(ClientError::Refused { request, source }),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(ClientError::TimedOut(self.timeout)),
        }
    }

    fn lost(&self) -> ClientError {
        let reason = self.failure.get().map_or("it was closed", String::as_str);
        ClientError::Lost(reason.to_owned())
    }
}

type Reply = oneshot::Receiver<Result<Answer, NbdError>>;

fn impossible(
    request: &'static str,
    offset: u64,
    length: u32,
    reason: &'static str,
) -> ClientError {
    ClientError::Impossible {
        request,
        offset,
        length: u64::from(length),
        reason,
    }
}

/// The reading task only answers in kind; anything else is a mistake of ours.
fn unexpected(answer: &Answer) -> ClientError {
    ClientError::Lost(format!("answer of the wrong kind: {answer:?}"))
}

#[cfg(test)]
mod tests;
