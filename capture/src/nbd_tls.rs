//! NBD over TCP: TLS 1.3 with a client certificate of our authority, or nothing.
//!
//! A client is let in here, on tokio: it must ask for `STARTTLS`, show its certificate, and enter an
//! export. Then its session moves to the ring thread of that volume's group, together with one end
//! of a socket pair through which the plain bytes go; here they are only sealed and opened. No
//! plain text ever leaves this process. The ring thread treats the client like any other.

use std::{
    io,
    net::SocketAddr,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    sync::Arc,
    time::Duration,
};

use bcdr_format::VolumeNumber;
use bcdr_nbd::{Event, ExportInfo, ServerSession, SessionEnd, TlsMode};
use bcdr_wire::identity::{
    Identity, IdentityError, IdentitySource, PeerIdentity, READ_AGAIN_EVERY, Role,
};
use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional_with_sizes,
    },
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    group_thread::{AdoptedClient, GroupCommand, GroupHandle, TapPayloads, TapSession},
};

/// From the connection to the entered export.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// An idle connection is tried this often.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Clients at a time, those that negotiate included.
const CLIENTS_MAX: usize = 256;
/// Pause after the system could not give us a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What is received at a time while negotiating.
const RECEIVE_BYTES: usize = 4096;
/// What is moved at a time while serving.
const PUMP_BYTES: usize = 128 * 1024;

/// One volume that can be entered.
#[derive(Clone)]
pub struct TlsExport {
    /// What clients are told of it; its name is unique.
    pub info: ExportInfo,
    /// Its number in its group's stream.
    pub volume: VolumeNumber,
    /// Its group.
    pub group: GroupHandle,
}

/// Why the listener could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NbdTlsError {
    /// The address cannot be had.
    #[error(
        "cannot listen for NBD clients on {address}: {source}; check nbd_tcp_listen, and that no \
         other process uses the port"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The identity does not serve.
    #[error("cannot set up TLS for NBD clients: {0}")]
    Identity(#[from] IdentityError),
}

/// Why one client was not let in.
#[derive(Debug, thiserror::Error)]
enum RefusedClient {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Session(SessionEnd),
    #[error("it left before it had entered an export")]
    Left,
    #[error("it was too slow")]
    Late,
}

/// A listener ready to serve.
pub struct NbdTls {
    listener: TcpListener,
    identity: IdentitySource,
    /// How often a renewed identity is looked for.
    look_every: Duration,
    /// What clients are shown, and what shows it.
    shown: Identity,
    acceptor: TlsAcceptor,
    /// What is served; groups may come later.
    exports: watch::Receiver<Vec<TlsExport>>,
}

impl NbdTls {
    /// Listens. Needs a runtime.
    ///
    /// # Errors
    /// If the address is taken or the identity is of no use.
    pub async fn bind(
        address: SocketAddr,
        identity: IdentitySource,
        exports: watch::Receiver<Vec<TlsExport>>,
    ) -> Result<Self, NbdTlsError> {
        let shown = identity.current();
        let acceptor = acceptor(&shown)?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| NbdTlsError::Bind { address, source })?;
        Ok(Self {
            listener,
            identity,
            look_every: READ_AGAIN_EVERY,
            shown,
            acceptor,
            exports,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`. Clients that were let in go on until their group closes them.
    pub async fn serve(mut self, shutdown: CancellationToken) {
        let mut clients = JoinSet::new();
        let mut look = tokio::time::interval(self.look_every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let room = clients.len() < CLIENTS_MAX;
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = clients.join_next() => {}
                _ = look.tick() => self.renew().await,
                accepted = self.listener.accept(), if room => match accepted {
                    Ok((stream, address)) => {
                        let acceptor = self.acceptor.clone();
                        let exports = Arc::new(self.exports.borrow().clone());
                        clients.spawn(client(stream, address, acceptor, exports));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept an NBD client");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        // The groups close their ends once everything is answered.
        while clients.join_next().await.is_some() {}
    }

    /// Has clients that come from now on shown a certificate that was renewed.
    async fn renew(&mut self) {
        let found = self.identity.renewed(clock::wall()).await;
        if found.certificates() == self.shown.certificates() {
            return;
        }
        match acceptor(&found) {
            Ok(acceptor) => (self.shown, self.acceptor) = (found, acceptor),
            Err(error) => {
                tracing::error!(%error, "a renewed identity cannot be shown to NBD clients")
            }
        }
    }
}

fn acceptor(identity: &Identity) -> Result<TlsAcceptor, IdentityError> {
    let config = identity.server_config(&[Role::NbdClient], &[])?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn client(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    exports: Arc<Vec<TlsExport>>,
) {
    let entered = match timeout(HANDSHAKE, let_in(stream, acceptor, &exports)).await {
        Ok(entered) => entered,
        Err(_) => Err(RefusedClient::Late),
    };
    match entered {
        Ok(Some(entered)) => {
            let (name, peer) = (entered.info.name.clone(), entered.peer.clone());
            tracing::info!(%address, volume = name, client = peer, "an NBD client entered over TLS");
            if let Err(error) = serve(entered, &exports).await {
                tracing::debug!(%address, %error, "an NBD connection broke");
            }
        }
        Ok(None) => {}
        Err(error) => tracing::info!(%address, %error, "an NBD client was not let in"),
    }
}

/// A client that has entered an export.
struct Entered<Stream> {
    stream: Stream,
    session: TapSession,
    info: ExportInfo,
    input: BytesMut,
    peer: String,
}

type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// Negotiates until the client has entered an export; `None` if it said goodbye before.
async fn let_in(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
    exports: &[TlsExport],
) -> Result<Option<Entered<TlsStream>>, RefusedClient> {
    stream.set_nodelay(true)?;
    // A peer that lost its power never says so.
    keep_alive(&stream)?;
    let directory: Vec<ExportInfo> = exports.iter().map(|export| export.info.clone()).collect();
    let mut session: TapSession = ServerSession::new(Arc::new(directory), TlsMode::Forced);
    let mut input = BytesMut::new();
    match negotiate(&mut stream, &mut session, &mut input).await? {
        Some(Event::StartTls) => {}
        _ => return Ok(None),
    }
    // Whatever came before the handshake must not count as having come under TLS.
    if !input.is_empty() {
        return Err(RefusedClient::Session(SessionEnd::PlaintextAfterStartTls));
    }
    let mut stream = acceptor.accept(stream).await?;
    let peer = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|certificates| PeerIdentity::from_certificate(certificates.first()?).ok())
        .map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    session.tls_established();
    match negotiate(&mut stream, &mut session, &mut input).await? {
        Some(Event::ExportSelected(info)) => Ok(Some(Entered {
            stream,
            session,
            info,
            input,
            peer,
        })),
        _ => Ok(None),
    }
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    rustix::net::sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
    rustix::net::sockopt::set_tcp_keepintvl(stream, KEEPALIVE)?;
    Ok(())
}

/// Serves the negotiation up to its next event, and sends what that produced. `None`: the client
/// ended it.
async fn negotiate<Stream: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut Stream,
    session: &mut TapSession,
    input: &mut BytesMut,
) -> Result<Option<Event<bcdr_disk::AlignedBuffer>>, RefusedClient> {
    loop {
        let mut bytes: &[u8] = input;
        let outcome = session.receive(&mut bytes, &mut TapPayloads);
        let consumed = input.len() - bytes.len();
        input.advance(consumed);
        while let Some(mut batch) = session.take_replies() {
            stream.write_all_buf(&mut batch).await?;
            session.recycle(batch);
        }
        stream.flush().await?;
        match outcome {
            Ok(Some(event)) => return Ok(Some(event)),
            Ok(None) => {}
            Err(SessionEnd::Aborted) => return Ok(None),
            Err(end) => return Err(RefusedClient::Session(end)),
        }
        input.reserve(RECEIVE_BYTES);
        if stream.read_buf(input).await? == 0 {
            return Err(RefusedClient::Left);
        }
    }
}

/// Hands the session over and moves bytes until either side ends.
async fn serve(entered: Entered<TlsStream>, exports: &[TlsExport]) -> io::Result<()> {
    let Entered {
        mut stream,
        session,
        info,
        input,
        ..
    } = entered;
    let Some(export) = exports.iter().find(|export| export.info.name == info.name) else {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the export is gone",
        ));
    };
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    let client = AdoptedClient {
        socket: OwnedFd::from(theirs),
        session,
        volume: export.volume,
        input: input.to_vec(),
    };
    if !export.group.send(GroupCommand::Adopt(Box::new(client))) {
        return Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "the group has stopped",
        ));
    }
    let mut plain = UnixStream::from_std(ours)?;
    copy_bidirectional_with_sizes(&mut stream, &mut plain, PUMP_BYTES, PUMP_BYTES).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
