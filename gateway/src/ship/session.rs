//! Speaking with the receiver: one task per stream, which keeps a session up and says so.
//!
//! Owns the connection, the MAC chain of the session and which data keys it has told. It decides
//! nothing about batches; the stream's owner does, from the events this task sends it.

use crate::keys::Keys;
use bcdr_format::{
    DataKeyId, GroupId, InstallationId, Position, StreamId,
    batch::{BatchPrefix, MAC_BYTES},
};
use bcdr_wire::{
    feed::Refusal,
    frame::{FrameError, FrameKind, FrameReader, decode_control, send_control, write_frame},
    identity::{IdentitySource, Role},
    seal::batch_mac,
    ship::{FromGateway, SHIP_VERSION, ToGateway},
    transport::{
        CloseCode, Protocol, TransportError, client_endpoint, close, connect, explain_close,
    },
};
use bytes::Bytes;
use std::{
    collections::HashSet, convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration,
};
use tokio::sync::mpsc;

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LONGEST: Duration = Duration::from_secs(5);
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a receiver that takes no more may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Events that wait between the session and the stream's owner; then the receiver is not read.
pub const EVENTS_WAITING: usize = 64;

/// What a stream's owner has the session do.
#[derive(Debug)]
pub enum ShipCommand {
    /// Send this batch, after the wrapped keys that it needs and that were not told yet.
    Batch {
        /// The encoded batch, its MAC still empty.
        bytes: Bytes,
        /// The data keys of its chunks, wrapped.
        keys: Vec<(DataKeyId, Vec<u8>)>,
    },
    /// Send this message.
    Message {
        /// The message.
        message: FromGateway,
        /// Dropped when it was sent: whoever holds a weak reference knows that it still waits.
        waiting: Arc<()>,
    },
}

/// What the session tells the stream's owner.
#[derive(Debug)]
pub enum ShipEvent {
    /// A session is up; commands go to `commands` until [`ShipEvent::Down`].
    Up {
        /// The receiver's answer to the hello.
        welcome: ToGateway,
        /// Where commands go.
        commands: mpsc::UnboundedSender<ShipCommand>,
    },
    /// The receiver said something.
    Message(ToGateway),
    /// The session is over, or could not be made. Another attempt follows.
    Down {
        /// Why, in words.
        reason: String,
        /// The receiver's refusal, if it was one.
        refusal: Option<Refusal>,
    },
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("{0}")]
    Transport(#[from] TransportError),
    #[error("the connection broke: {0}")]
    Frame(#[from] FrameError),
    #[error("the connection broke: {0}")]
    Connection(#[from] quinn::ConnectionError),
    #[error("the receiver did not answer within {} s", HANDSHAKE_DEADLINE.as_secs())]
    Silent,
    #[error("the receiver refused: {0}")]
    Refused(Refusal),
    #[error("the receiver answered a hello with something else: it is of another release")]
    Unexpected,
    #[error(
        "the receiver speaks version {0}, this gateway speaks {SHIP_VERSION}: upgrade the cloud side first, then gateways"
    )]
    Version(u16),
    #[error("the session was given up here")]
    GivenUp,
    #[error("the stream's owner is gone")]
    OwnerGone,
}

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct ShipSettings {
    /// Who we are.
    pub identity: IdentitySource,
    /// The receivers, tried in turn.
    pub receivers: Vec<SocketAddr>,
    /// The installation.
    pub installation: InstallationId,
    /// The group.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// The keys.
    pub keys: Keys,
}

/// Keeps a session up until the stream's owner drops its end of `events`.
///
/// Attempts are made less and less often while they come to nothing: a session that made nothing
/// durable counts as such, so that a receiver which refuses what it is sent is not sent it again
/// and again.
pub async fn run(settings: ShipSettings, events: mpsc::Sender<ShipEvent>) {
    let mut backoff = BACKOFF_FIRST;
    for address in settings.receivers.iter().cycle() {
        let mut progress = false;
        let error = session(&settings, *address, &events, &mut progress).await;
        if matches!(error, SessionError::OwnerGone) {
            return;
        }
        let reason = format!("receiver {address}: {error}");
        let refusal = match error {
            SessionError::Refused(refusal) => Some(refusal),
            _ => None,
        };
        if events
            .send(ShipEvent::Down { reason, refusal })
            .await
            .is_err()
        {
            return;
        }
        backoff = if progress {
            BACKOFF_FIRST
        } else {
            (backoff * 2).min(BACKOFF_LONGEST)
        };
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            () = events.closed() => return,
        }
    }
}

/// One session from the first packet to the last; it always ends for a reason.
async fn session(
    settings: &ShipSettings,
    address: SocketAddr,
    events: &mpsc::Sender<ShipEvent>,
    progress: &mut bool,
) -> SessionError {
    let endpoint = match client_endpoint(address) {
        Ok(endpoint) => endpoint,
        Err(error) => return error.into(),
    };
    let connecting = async {
        // The certificate may have been renewed since the last session began.
        let identity = settings.identity.renewed(crate::clock::wall()).await;
        connect(&endpoint, address, &identity, Protocol::Ship, Role::Cloud).await
    };
    let connection = tokio::select! {
        connected = connecting => match connected {
            Ok((connection, _)) => connection,
            Err(error) => return error.into(),
        },
        () = events.closed() => return SessionError::OwnerGone,
    };
    let ended = tokio::select! {
        ended = converse(settings, &connection, events, progress) => ended,
        () = events.closed() => Err(SessionError::OwnerGone),
    };
    let error = match ended {
        Ok(never) => match never {},
        // The stream only says that it broke; the connection knows why.
        Err(error @ (SessionError::Frame(_) | SessionError::Connection(_))) => {
            explain_close(&connection).map_or(error, SessionError::Transport)
        }
        Err(error) => error,
    };
    close(&connection, CloseCode::Done, "session over");
    if matches!(error, SessionError::OwnerGone) {
        // The process may be about to end: let the farewell leave first.
        let _idle_or_late = tokio::time::timeout(LAST_WORDS, endpoint.wait_idle()).await;
    }
    error
}

async fn converse(
    settings: &ShipSettings,
    connection: &quinn::Connection,
    events: &mpsc::Sender<ShipEvent>,
    progress: &mut bool,
) -> Result<Infallible, SessionError> {
    let (mut to_receiver, from_receiver) = connection.open_bi().await?;
    let mut frames = FrameReader::new(from_receiver);
    let hello = FromGateway::Hello {
        version: SHIP_VERSION,
        installation: settings.installation,
        group: settings.group,
        stream: settings.stream,
        now: crate::clock::wall(),
    };
    send_control(&mut to_receiver, &hello).await?;
    let answer = tokio::time::timeout(HANDSHAKE_DEADLINE, frames.read_frame())
        .await
        .map_err(|_| SessionError::Silent)??;
    let welcome = match decode_control::<ToGateway>(&answer)? {
        ToGateway::Refused(refusal) => return Err(SessionError::Refused(refusal)),
        other => other,
    };
    let ToGateway::Welcome {
        version,
        held,
        chain,
        installation_key_missing,
        ..
    } = welcome
    else {
        return Err(SessionError::Unexpected);
    };
    if version != SHIP_VERSION {
        return Err(SessionError::Version(version));
    }
    if installation_key_missing {
        let message = FromGateway::InstallationKey(settings.keys.installation.to_bytes());
        send_control(&mut to_receiver, &message).await?;
    }
    let (sender, commands) = mpsc::unbounded_channel();
    let up = ShipEvent::Up {
        welcome,
        commands: sender,
    };
    events.send(up).await.map_err(|_| SessionError::OwnerGone)?;
    let held = held.map(|held| held.position);
    let mut writer = pin!(write(to_receiver, commands, chain, settings.keys.clone()));
    let mut reader = pin!(read(&mut frames, events, held, progress));
    tokio::select! {
        ended = &mut reader => ended,
        ended = &mut writer => {
            if !matches!(ended, Err(SessionError::Frame(_))) {
                return ended;
            }
            // A receiver that refuses a batch stops reading before its refusal is read here.
            match tokio::time::timeout(LAST_WORDS, &mut reader).await {
                Ok(refused @ Err(SessionError::Refused(_))) => refused,
                _ => ended,
            }
        }
    }
}

async fn write(
    mut stream: quinn::SendStream,
    mut commands: mpsc::UnboundedReceiver<ShipCommand>,
    mut chain: [u8; MAC_BYTES],
    keys: Keys,
) -> Result<Infallible, SessionError> {
    let mut told = HashSet::new();
    while let Some(command) = commands.recv().await {
        match command {
            ShipCommand::Message { message, waiting } => {
                send_control(&mut stream, &message).await?;
                drop(waiting);
            }
            ShipCommand::Batch {
                bytes,
                keys: needed,
            } => {
                for (id, wrapped) in needed {
                    if told.insert(id) {
                        send_control(&mut stream, &FromGateway::DataKey { id, wrapped }).await?;
                    }
                }
                let prefix =
                    BatchPrefix::decode(&bytes).expect("batches here were made or checked here");
                let head = prefix.authenticated(&bytes);
                chain = batch_mac(&keys.installation, &chain, head);
                let rest = &bytes[prefix.chunk_region()..];
                write_frame(&mut stream, FrameKind::Batch, &[head, &chain, rest]).await?;
            }
        }
    }
    Err(SessionError::GivenUp)
}

async fn read(
    frames: &mut FrameReader<quinn::RecvStream>,
    events: &mpsc::Sender<ShipEvent>,
    held: Option<Position>,
    progress: &mut bool,
) -> Result<Infallible, SessionError> {
    loop {
        let frame = frames.read_frame().await?;
        let message = decode_control::<ToGateway>(&frame)?;
        match &message {
            ToGateway::Refused(refusal) => return Err(SessionError::Refused(refusal.clone())),
            ToGateway::Acknowledged(acknowledged) => *progress |= acknowledged.durable > held,
            _ => {}
        }
        let heard = events.send(ShipEvent::Message(message)).await;
        heard.map_err(|_| SessionError::OwnerGone)?;
    }
}
