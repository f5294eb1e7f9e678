//! The way to a point: a QUIC connection of its own to a gateway, which relays it.
//!
//! [`QuicPath`] calls the gateways in turn. What it opens is a [`PointSource`] for one thread; two
//! tasks of the runtime write and read beside it, so requests are under way while answers are waited
//! for. Invariant: every wait ends when the task is cancelled. It has a connection of its own because
//! a stream that is not read for a while fills its connection's window, and must not hold up a feed.

use std::{net::SocketAddr, time::Duration};

use bcdr_format::{GroupId, StreamId};
use bcdr_wire::{
    frame::{FrameError, FrameKind, FrameReader, write_frame},
    identity::{IdentitySource, Role},
    restore::{Answer, Request, ReturnHello},
    transport::{self, CloseCode, Protocol, TransportError},
};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    restore::{PointSource, SourceError},
};

/// From the first packet to the stream.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that wait for the writer.
const OUTGOING: usize = 2;
/// Answers that wait for the thread; an asker has fewer requests under way than this, so the far side
/// never waits for it while it waits for the far side.
const INCOMING: usize = 64;

/// Opens ways to points. Calls block.
pub trait ReturnPath: Send {
    /// A new way, on which nothing was asked yet.
    ///
    /// # Errors
    /// If nobody is reached.
    fn open(&mut self, cancel: &CancellationToken) -> Result<Box<dyn PointSource>, SourceError>;
}

/// The way through the gateways.
#[derive(Debug)]
pub struct QuicPath {
    /// Who we are.
    pub identity: IdentitySource,
    /// The gateways, tried in turn.
    pub gateways: Vec<SocketAddr>,
    /// The group whose disks are worked on.
    pub group: GroupId,
    /// The stream that this capture feeds.
    pub stream: StreamId,
    /// Where the connection's tasks run.
    pub runtime: Handle,
}

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("{0}")]
    Transport(#[from] TransportError),
    #[error("{0}")]
    Connection(#[from] quinn::ConnectionError),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("it does not answer; check that it runs and that UDP reaches it")]
    Silent,
}

impl ReturnPath for QuicPath {
    fn open(&mut self, cancel: &CancellationToken) -> Result<Box<dyn PointSource>, SourceError> {
        let mut reason = "no gateway is configured".to_owned();
        for _ in 0..self.gateways.len() {
            let address = self.gateways[0];
            let call = async {
                let call = timeout(PATIENCE, self.call(address));
                call.await.unwrap_or(Err(CallError::Silent))
            };
            let called = self.runtime.block_on(async {
                tokio::select! {
                    called = call => Some(called),
                    () = cancel.cancelled() => None,
                }
            });
            match called {
                Some(Ok(mut source)) => {
                    // Should it refuse, another one may be the one that has the group's session.
                    self.gateways.rotate_left(1);
                    source.cancel = cancel.clone();
                    return Ok(Box::new(source));
                }
                Some(Err(error)) => reason = format!("gateway {address}: {error}"),
                None => return Err(cancelled()),
            }
            self.gateways.rotate_left(1);
        }
        Err(SourceError::Lost { reason })
    }
}

impl QuicPath {
    async fn call(&self, address: SocketAddr) -> Result<QuicSource, CallError> {
        let endpoint = transport::client_endpoint(address)?;
        // The certificate may have been renewed since the last call.
        let identity = self.identity.renewed(clock::wall()).await;
        let (connection, _) =
            transport::connect(&endpoint, address, &identity, Protocol::Feed, Role::Gateway)
                .await?;
        let (mut send, receive) = connection.open_bi().await?;
        let hello = ReturnHello {
            group: self.group,
            stream: self.stream,
        };
        write_frame(&mut send, FrameKind::Restore, &[&hello.encode()]).await?;
        let (requests, outgoing) = mpsc::channel(OUTGOING);
        let (received, answers) = mpsc::channel(INCOMING);
        self.runtime.spawn(write(send, outgoing));
        self.runtime
            .spawn(read(connection.clone(), receive, received));
        Ok(QuicSource {
            requests,
            answers,
            runtime: self.runtime.clone(),
            cancel: CancellationToken::new(),
            connection,
            _endpoint: endpoint,
        })
    }
}

fn cancelled() -> SourceError {
    let reason = "the task was cancelled".to_owned();
    SourceError::Lost { reason }
}

/// Dropped, it closes its connection.
struct QuicSource {
    requests: mpsc::Sender<Vec<u8>>,
    answers: mpsc::Receiver<Result<Answer, SourceError>>,
    runtime: Handle,
    cancel: CancellationToken,
    connection: Connection,
    // Sends its last packets as long as it lives.
    _endpoint: Endpoint,
}

impl Drop for QuicSource {
    fn drop(&mut self) {
        transport::close(&self.connection, CloseCode::Done, "done");
    }
}

impl PointSource for QuicSource {
    fn ask(&mut self, request: &Request) -> Result<(), SourceError> {
        let bytes = request.encode().map_err(|error| SourceError::Nonsense {
            reason: error.to_string(),
        })?;
        let sent = self.runtime.block_on(async {
            tokio::select! {
                sent = self.requests.send(bytes) => Some(sent.is_ok()),
                () = self.cancel.cancelled() => None,
            }
        });
        match sent {
            Some(true) => Ok(()),
            // The reader knows more, and what was refused is among the answers.
            Some(false) => loop {
                match self.answer() {
                    Ok(Answer::Refused(refusal)) => return Err(refusal.into()),
                    Ok(_) => {}
                    Err(error) => return Err(error),
                }
            },
            None => Err(cancelled()),
        }
    }

    fn answer(&mut self) -> Result<Answer, SourceError> {
        let received = self.runtime.block_on(async {
            tokio::select! {
                answer = self.answers.recv() => Some(answer),
                () = self.cancel.cancelled() => None,
            }
        });
        match received {
            Some(Some(answer)) => answer,
            Some(None) => Err(SourceError::Lost {
                reason: "the connection ended".to_owned(),
            }),
            None => Err(cancelled()),
        }
    }
}

/// Writes requests until there are no more, or nobody reads them.
async fn write(mut stream: SendStream, mut requests: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = requests.recv().await {
        if let Err(error) = write_frame(&mut stream, FrameKind::Restore, &[&bytes]).await {
            tracing::debug!(%error, "the stream to the point takes no more");
            return;
        }
    }
    // One that ended already needs no end.
    let _ended = stream.finish();
}

/// Reads answers until the stream ends or nobody wants them.
async fn read(
    connection: Connection,
    stream: RecvStream,
    received: mpsc::Sender<Result<Answer, SourceError>>,
) {
    let mut frames = FrameReader::new(stream);
    loop {
        let answer = match frames.read_frame().await {
            Ok(frame) => Answer::from_frame(&frame).map_err(|error| SourceError::Nonsense {
                reason: error.to_string(),
            }),
            Err(error) => Err(SourceError::Lost {
                reason: transport::explain_close(&connection)
                    .map_or_else(|| error.to_string(), |why| why.to_string()),
            }),
        };
        let over = answer.is_err();
        if received.send(answer).await.is_err() || over {
            return;
        }
    }
}
