//! Calling a gateway: QUIC, hello, welcome. And the connection that comes of it.

use std::{net::SocketAddr, time::Duration};

use bcdr_format::{
    GroupId, Opening, StreamId,
    continuity::{Fork, Held},
};
use bcdr_wire::{
    feed::{FEED_VERSION, FromCapture, Refusal, ToCapture},
    frame::{FrameError, FrameReader, decode_control, send_control},
    identity::{IdentitySource, Role},
    order::SourceOrder,
    transport::{self, CloseCode, Protocol, TransportError},
};
use quinn::{Connection, Endpoint, RecvStream};
use tokio::{sync::mpsc, time::timeout};

use super::outgoing::{self, Outgoing};
use crate::{clock, feed::PeerStanding};

/// From the first packet to the welcome.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages from the gateway that wait for the task.
const INCOMING: usize = 256;

/// Why a gateway could not be won.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot reach the gateway: {0}")]
    Transport(#[from] TransportError),
    #[error("the gateway's stream failed: {0}")]
    Frame(#[from] FrameError),
    #[error("the gateway at {0} does not answer; check that it runs and that UDP reaches it")]
    Silent(SocketAddr),
    #[error("the gateway refused: {0}")]
    Refused(Refusal),
    #[error("the gateway's answer makes no sense; check that its version is this one or one newer")]
    Unexpected,
}

/// A gateway that answered.
pub(crate) struct Dialed {
    pub(crate) peer: Peer,
    pub(super) held: Option<Held>,
    pub(super) fork: Option<Fork>,
}

/// The connection to a gateway; dropped, it is closed.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) outgoing: mpsc::Sender<Outgoing>,
    pub(crate) incoming: mpsc::Receiver<ToCapture>,
    /// Where it was when it answered.
    pub(super) standing: PeerStanding,
    /// Set while it waits for a life that suits it.
    pub(super) waiting: Option<PeerStanding>,
    /// The last order it told.
    pub(crate) order: SourceOrder,
    connection: Connection,
    // Sends its last packets as long as it lives.
    _endpoint: Endpoint,
}

impl Peer {
    /// Ends the connection, with words for the other side.
    pub(crate) fn close(&self, reason: &str) {
        transport::close(&self.connection, CloseCode::Done, reason);
    }

    /// Why the connection ended.
    pub(crate) fn why_closed(&self) -> String {
        self.connection.close_reason().map_or_else(
            || "the gateway ended the stream".to_owned(),
            |reason| format!("the connection to the gateway ended: {reason}"),
        )
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close("done");
    }
}

/// Calls a gateway and says hello.
pub(crate) async fn dial(
    address: SocketAddr,
    identity: IdentitySource,
    group: GroupId,
    stream: StreamId,
    opening: Option<Opening>,
) -> Result<Dialed, DialError> {
    let call = call(address, identity, group, stream, opening);
    timeout(PATIENCE, call)
        .await
        .unwrap_or(Err(DialError::Silent(address)))
}

async fn call(
    address: SocketAddr,
    identity: IdentitySource,
    group: GroupId,
    stream: StreamId,
    opening: Option<Opening>,
) -> Result<Dialed, DialError> {
    let endpoint = transport::client_endpoint(address)?;
    // The certificate may have been renewed since the last call.
    let identity = identity.renewed(clock::wall()).await;
    let (connection, name) =
        transport::connect(&endpoint, address, &identity, Protocol::Feed, Role::Gateway).await?;
    let broken = |error: quinn::ConnectionError| FrameError::Io(error.into());
    let (mut send, receive) = connection.open_bi().await.map_err(broken)?;
    let hello = FromCapture::Hello {
        version: FEED_VERSION,
        group,
        stream,
        opening,
        now: clock::wall(),
    };
    send_control(&mut send, &hello).await?;
    let mut reader = FrameReader::new(receive);
    let answer = match reader.read_frame().await {
        Ok(frame) => decode_control::<ToCapture>(&frame)?,
        Err(error) => return Err(explained(&connection, error)),
    };
    let (held, fork, order) = match answer {
        ToCapture::Welcome {
            version,
            held,
            fork,
            order,
            ..
        } if version == FEED_VERSION => (held, fork, order),
        ToCapture::Refused(refusal) => return Err(DialError::Refused(refusal)),
        _ => return Err(DialError::Unexpected),
    };
    let (to_send, outgoing) = mpsc::channel(1);
    let (received, incoming) = mpsc::channel(INCOMING);
    tokio::spawn(outgoing::write(send, outgoing));
    tokio::spawn(read(reader, received));
    let peer = Peer {
        name: name.to_string(),
        address,
        outgoing: to_send,
        incoming,
        standing: super::standing(held),
        waiting: None,
        order,
        connection,
        _endpoint: endpoint,
    };
    Ok(Dialed { peer, held, fork })
}

/// A refusal during the TLS handshake shows only at the first read.
fn explained(connection: &Connection, error: FrameError) -> DialError {
    match transport::explain_close(connection) {
        Some(reason) => DialError::Transport(reason),
        None => DialError::Frame(error),
    }
}

/// Reads messages until the stream ends or nobody wants them.
async fn read(mut reader: FrameReader<RecvStream>, received: mpsc::Sender<ToCapture>) {
    loop {
        let message = match reader.read_frame().await {
            Ok(frame) => decode_control::<ToCapture>(&frame),
            Err(error) => Err(error),
        };
        match message {
            Ok(message) => {
                if received.send(message).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the gateway's stream ended");
                return;
            }
        }
    }
}
