//! Relaying what a capture asks of a point that is given back to its disks.
//!
//! A capture asks on a connection of its own, whose first frame names the group and the stream; a
//! connection to a receiver is made for it, and frames are copied both ways until either side ends.
//! Feeds and shipments have other connections, so whoever does not read here holds none of them up.
//! Invariants: a stream is relayed only for the capture that is bound to it; one frame each way is
//! held at most, so a side that does not read stops the other. It reads nothing but the hello.

use crate::{clock, stream::Streams};
use bcdr_wire::{
    frame::{Frame, FrameError, FrameKind, FrameReader, write_frame},
    identity::{IdentitySource, PeerIdentity, Role},
    restore::{Answer, Refusal, RefusalKind, ReturnHello},
    transport::{
        CloseCode, Protocol, TransportError, client_endpoint, close, connect, explain_close,
    },
};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Streams that are relayed at a time.
const RELAYED_MAX: usize = 64;
/// How long one receiver may take to answer a call.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// How long the last words may take to be read before a connection is closed over them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a relayed stream ended before its asker ended it.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// It is turned away.
    #[error("{0}")]
    Refused(Refusal),
    /// One of the two streams broke.
    #[error("the stream of the {side} broke: {source}")]
    Broke {
        /// Whose.
        side: &'static str,
        /// How.
        #[source]
        source: FrameError,
    },
    /// A frame of another kind came.
    #[error("a {kind:?} frame came from the {side}, where messages of a restore are due")]
    Foreign {
        /// From whom.
        side: &'static str,
        /// What came.
        kind: FrameKind,
    },
}

/// Relays streams to the receivers.
#[derive(Debug)]
pub struct Relay {
    streams: Arc<Streams>,
    identity: IdentitySource,
    receivers: Vec<SocketAddr>,
    room: Semaphore,
}

/// A connection to a receiver; dropped, it is closed.
struct Dialed {
    connection: Connection,
    to_receiver: SendStream,
    frames: FrameReader<RecvStream>,
    // Sends its last packets as long as it lives.
    _endpoint: Endpoint,
}

impl Drop for Dialed {
    fn drop(&mut self) {
        close(&self.connection, CloseCode::Done, "done");
    }
}

fn refusal(kind: RefusalKind, reason: impl Into<String>) -> Refusal {
    let reason = reason.into();
    Refusal { kind, reason }
}

impl Relay {
    /// Who is let through is what the streams know of their captures; receivers are tried in turn.
    #[must_use]
    pub const fn new(
        streams: Arc<Streams>,
        identity: IdentitySource,
        receivers: Vec<SocketAddr>,
    ) -> Self {
        Self {
            streams,
            identity,
            receivers,
            room: Semaphore::const_new(RELAYED_MAX),
        }
    }

    /// Relays the stream that began with `first` until either side ends it.
    ///
    /// # Errors
    /// If it is turned away, which the capture is told, or breaks.
    pub async fn serve(
        &self,
        peer: &PeerIdentity,
        mut to_capture: SendStream,
        frames: FrameReader<RecvStream>,
        first: &Frame,
    ) -> Result<(), RelayError> {
        let ended = match self.admit(peer, first).await {
            Ok((_place, dialed)) => relay(dialed, frames, &mut to_capture).await,
            Err(refused) => {
                let answer = Answer::Refused(refused.clone());
                let bytes = answer.encode().unwrap_or_default();
                // Who does not hear why hears at least that it ended.
                let _gone = write_frame(&mut to_capture, FrameKind::Restore, &[&bytes]).await;
                Err(RelayError::Refused(refused))
            }
        };
        if to_capture.finish().is_ok() {
            let _read_or_gone = tokio::time::timeout(LAST_WORDS, to_capture.stopped()).await;
        }
        ended
    }

    async fn admit(
        &self,
        peer: &PeerIdentity,
        first: &Frame,
    ) -> Result<(tokio::sync::SemaphorePermit<'_>, Dialed), Refusal> {
        let hello = ReturnHello::from_frame(first)
            .map_err(|error| refusal(RefusalKind::Version, error.to_string()))?;
        self.check(peer, &hello)?;
        let place = self.room.try_acquire().map_err(|_| {
            let reason = format!("{RELAYED_MAX} restores run through this gateway already");
            refusal(RefusalKind::NotReady, reason)
        })?;
        let dialed = self.dial(&hello).await?;
        tracing::info!(stream = %hello.stream, capture = %peer, "a restore is relayed");
        Ok((place, dialed))
    }

    /// Only who feeds a stream may have its points.
    fn check(&self, peer: &PeerIdentity, hello: &ReturnHello) -> Result<(), Refusal> {
        let ReturnHello { group, stream } = *hello;
        let Some(bound) = self.streams.bound_capture(group, stream) else {
            let reason = format!(
                "no capture has said hello for stream {stream} of group {group} here; one that feeds \
                 through this gateway is waited for"
            );
            return Err(refusal(RefusalKind::NotReady, reason));
        };
        if bound != peer.name {
            let reason = format!(
                "stream {stream} is the capture {bound:?}'s, and this is {:?}",
                peer.name
            );
            return Err(refusal(RefusalKind::NotAllowed, reason));
        }
        Ok(())
    }

    /// The first receiver that answers.
    async fn dial(&self, hello: &ReturnHello) -> Result<Dialed, Refusal> {
        let mut reason = "no receiver is configured".to_owned();
        for address in self.receivers.iter().copied() {
            match tokio::time::timeout(CALL_DEADLINE, self.call(address, hello)).await {
                Ok(Ok(dialed)) => return Ok(dialed),
                Ok(Err(error)) => reason = format!("receiver {address}: {error}"),
                Err(_) => reason = format!("receiver {address} does not answer"),
            }
        }
        Err(refusal(RefusalKind::NotReady, reason))
    }

    async fn call(&self, address: SocketAddr, hello: &ReturnHello) -> Result<Dialed, CallError> {
        let endpoint = client_endpoint(address)?;
        // The certificate may have been renewed since the last call.
        let identity = self.identity.renewed(clock::wall()).await;
        let (connection, _) =
            connect(&endpoint, address, &identity, Protocol::Ship, Role::Cloud).await?;
        let (mut to_receiver, from_receiver) = connection.open_bi().await?;
        let told = write_frame(&mut to_receiver, FrameKind::Restore, &[&hello.encode()]).await;
        if let Err(error) = told {
            return Err(match explain_close(&connection) {
                Some(reason) => reason.into(),
                None => error.into(),
            });
        }
        Ok(Dialed {
            connection,
            to_receiver,
            frames: FrameReader::new(from_receiver),
            _endpoint: endpoint,
        })
    }
}

/// Why a receiver could not be called.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("{0}")]
    Transport(#[from] TransportError),
    #[error("the connection broke: {0}")]
    Connection(#[from] quinn::ConnectionError),
    #[error("the connection broke: {0}")]
    Frame(#[from] FrameError),
}

/// Copies both ways. When the capture has no more questions the answers still come; when the
/// receiver has no more answers it is over.
async fn relay(
    mut dialed: Dialed,
    mut from_capture: FrameReader<RecvStream>,
    to_capture: &mut SendStream,
) -> Result<(), RelayError> {
    let Dialed {
        to_receiver,
        frames,
        ..
    } = &mut dialed;
    let up = async {
        copy("capture", &mut from_capture, "receiver", to_receiver).await?;
        // The end of the questions is told; one that cannot be told any more ended already.
        let _ended = to_receiver.finish();
        Ok(())
    };
    let down = copy("receiver", frames, "capture", to_capture);
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut down => ended,
        ended = &mut up => match ended {
            Ok(()) => down.await,
            Err(error) => Err(error),
        },
    }
}

/// Copies frames until their side ends the stream.
async fn copy(
    from: &'static str,
    frames: &mut FrameReader<RecvStream>,
    to: &'static str,
    stream: &mut SendStream,
) -> Result<(), RelayError> {
    loop {
        let frame = match frames.read_frame().await {
            Ok(frame) => frame,
            Err(FrameError::Closed) => return Ok(()),
            Err(source) => return Err(RelayError::Broke { side: from, source }),
        };
        if frame.kind != FrameKind::Restore {
            let kind = frame.kind;
            return Err(RelayError::Foreign { side: from, kind });
        }
        write_frame(stream, frame.kind, &[&frame.payload])
            .await
            .map_err(|source| RelayError::Broke { side: to, source })?;
    }
}
