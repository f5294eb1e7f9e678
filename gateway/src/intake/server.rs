//! Accepting captures: one connection and one stream for each group they feed, and one for each
//! restore that is relayed. The first frame tells which it is.
//!
//! Owns the sockets and the framing. Each session's records go to the owner of its stream through
//! a bounded channel; while that owner does not take them, nothing is read from the capture, whose
//! journal then keeps what it has.

use super::records;
use crate::{
    clock,
    relay::{Relay, RelayError},
    stream::{FeedEvent, FeedSession, Streams},
};
use bcdr_format::DecodeError;
use bcdr_wire::{
    feed::{FEED_VERSION, FromCapture, Refusal, ToCapture},
    frame::{FrameError, FrameKind, FrameReader, decode_control, send_control},
    identity::PeerIdentity,
    transport::{CloseCode, accept, close},
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// How long the last packets of a stopping gateway may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);
/// Frames of records that wait between a session and the stream's owner.
const FRAMES_WAITING: usize = 2;
/// Messages that wait for a capture to read them; one that lets them pile up is let go of.
const MESSAGES_WAITING: usize = 1024;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Connection(#[from] quinn::ConnectionError),
    #[error("records cannot be read: {0}")]
    Records(#[from] DecodeError),
    #[error("it said no hello within {} s", HELLO_DEADLINE.as_secs())]
    Silent,
    #[error("it did not begin with a hello")]
    NoHello,
    #[error("its opening cannot be: {0}")]
    Opening(#[source] DecodeError),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("{0}")]
    Relayed(#[from] RelayError),
    #[error("the restore's stream ended")]
    RelayEnded,
    #[error("this gateway is stopping")]
    Stopping,
}

/// Accepts captures until `shutdown`.
pub async fn run(
    endpoint: quinn::Endpoint,
    streams: Arc<Streams>,
    relay: Arc<Relay>,
    shutdown: CancellationToken,
) {
    let sessions = TaskTracker::new();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = shutdown.cancelled() => None,
        };
        let Some(incoming) = incoming else { break };
        let (streams, relay) = (Arc::clone(&streams), Arc::clone(&relay));
        let shutdown = shutdown.clone();
        sessions.spawn(async move {
            let address = incoming.remote_address();
            match accept(incoming).await {
                Ok((connection, peer)) => {
                    let error = tokio::select! {
                        ended = serve(&connection, &peer, &streams, &relay) => match ended {
                            Ok(never) => match never {},
                            Err(error) => error,
                        },
                        error = connection.closed() => error.into(),
                        () = shutdown.cancelled() => SessionError::Stopping,
                    };
                    tracing::info!(%address, %peer, %error, "capture session ended");
                    let (code, reason) = error.farewell();
                    close(&connection, code, &reason);
                }
                Err(error) => tracing::warn!(%address, %error, "a capture was not let in"),
            }
        });
    }
    sessions.close();
    endpoint.close(0u32.into(), b"stopping");
    sessions.wait().await;
    // A peer that vanished in its handshake would hold this up until it is taken for gone.
    let _idle_or_late = tokio::time::timeout(FAREWELL, endpoint.wait_idle()).await;
}

impl SessionError {
    /// What the capture is told by the end of its connection.
    fn farewell(&self) -> (CloseCode, String) {
        match self {
            Self::Records(_) | Self::Opening(_) | Self::NoHello | Self::Silent => {
                (CloseCode::Protocol, self.to_string())
            }
            Self::Frame(FrameError::Refused(refused)) => (CloseCode::Protocol, refused.to_string()),
            Self::Relayed(RelayError::Foreign { .. }) => (CloseCode::Protocol, self.to_string()),
            Self::Frame(_)
            | Self::Connection(_)
            | Self::Refused(_)
            | Self::Relayed(_)
            | Self::RelayEnded
            | Self::Stopping => (CloseCode::Done, "session over".to_owned()),
        }
    }
}

async fn serve(
    connection: &quinn::Connection,
    peer: &PeerIdentity,
    streams: &Arc<Streams>,
    relay: &Relay,
) -> Result<Infallible, SessionError> {
    let hello = async {
        let (to_capture, from_capture) = connection.accept_bi().await?;
        let mut frames = FrameReader::new(from_capture);
        let first = frames.read_frame().await?;
        Ok::<_, SessionError>((to_capture, frames, first, clock::wall()))
    };
    let (mut to_capture, mut frames, first, received_at) =
        tokio::time::timeout(HELLO_DEADLINE, hello)
            .await
            .map_err(|_| SessionError::Silent)??;
    if first.kind == FrameKind::Restore {
        relay.serve(peer, to_capture, frames, &first).await?;
        return Err(SessionError::RelayEnded);
    }
    let FromCapture::Hello {
        version,
        group,
        stream,
        opening,
        now,
    } = decode_control(&first)?
    else {
        return Err(SessionError::NoHello);
    };
    if version != FEED_VERSION {
        let refusal = Refusal::Version {
            offered: version,
            supported: FEED_VERSION,
        };
        return refuse(&mut to_capture, refusal).await;
    }
    if let Some(opening) = &opening {
        opening.check().map_err(SessionError::Opening)?;
    }
    let (to_session, outbox) = mpsc::channel(MESSAGES_WAITING);
    let (to_owner, inbox) = mpsc::channel(FRAMES_WAITING);
    let session = FeedSession {
        peer: peer.clone(),
        opening,
        clock_offset_microseconds: received_at.0.saturating_sub(now.0),
        outbox: to_session,
        inbox,
    };
    if let Err(refusal) = streams.attach(group, stream, session).await {
        return refuse(&mut to_capture, refusal).await;
    }
    let writer = write(to_capture, outbox);
    let reader = read(&mut frames, to_owner);
    // The writer goes first: a refusal that the owner put there is sent before the session ends.
    tokio::select! {
        biased;
        ended = writer => ended,
        ended = reader => ended,
    }
}

async fn refuse(
    stream: &mut quinn::SendStream,
    refusal: Refusal,
) -> Result<Infallible, SessionError> {
    send_control(stream, &ToCapture::Refused(refusal.clone())).await?;
    finish(stream).await;
    Err(SessionError::Refused(refusal))
}

/// Lets the peer read what was sent before the connection is closed over it.
async fn finish(stream: &mut quinn::SendStream) {
    if stream.finish().is_ok() {
        let _read_or_gone = tokio::time::timeout(FAREWELL, stream.stopped()).await;
    }
}

async fn write(
    mut stream: quinn::SendStream,
    mut outbox: mpsc::Receiver<ToCapture>,
) -> Result<Infallible, SessionError> {
    while let Some(message) = outbox.recv().await {
        send_control(&mut stream, &message).await?;
        if let ToCapture::Refused(refusal) = message {
            finish(&mut stream).await;
            return Err(SessionError::Refused(refusal));
        }
    }
    Err(SessionError::Stopping)
}

async fn read(
    frames: &mut FrameReader<quinn::RecvStream>,
    owner: mpsc::Sender<FeedEvent>,
) -> Result<Infallible, SessionError> {
    loop {
        let frame = frames.read_frame().await?;
        let event = match frame.kind {
            FrameKind::Records => FeedEvent::Records(records::decode(frame.payload)?),
            FrameKind::Control | FrameKind::Batch | FrameKind::Restore => {
                match decode_control(&frame)? {
                    FromCapture::Incarnation(opening) => {
                        opening.check().map_err(SessionError::Opening)?;
                        FeedEvent::Incarnation(opening)
                    }
                    FromCapture::Report(report) => FeedEvent::Report(Box::new(report)),
                    FromCapture::Hello { .. } => return Err(SessionError::NoHello),
                }
            }
        };
        if owner.send(event).await.is_err() {
            // The owner dropped the session; what it had to say is in the outbox.
            std::future::pending::<()>().await;
        }
    }
}
