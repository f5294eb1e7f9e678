//! The accept loop and the life of one connection, whatever it runs over.
//!
//! Invariant: a client can hold at most one of a fixed number of connection slots, and each wait for
//! it (handshake, request headers, taking the answer) has a deadline; so silent clients never keep
//! others out for long. When told to stop, the loop takes no new connection, lets running requests
//! end, and cuts what is left at the drain deadline. HTTP/1.1 only. What happens between `accept`
//! and the first request byte belongs to the listener ([`Listen`]).

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use crate::write_deadline::WriteDeadline;

/// Bytes of request line and headers at most.
const HEADER_BYTES: usize = 64 * 1024;
/// Pause after an accept that failed for want of resources, so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Deadlines and bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the end of one request (or the handshake) to the end of the next one's headers; so also
    /// how long an idle connection is kept.
    pub header_read: Duration,
    /// How long a client may take nothing of its answer.
    pub write_stall: Duration,
    /// How long running requests may take after the order to stop.
    pub drain: Duration,
    /// Connections at a time, those in their handshake included; further ones wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header_read: Duration::from_secs(30),
            write_stall: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            connections: 256,
        }
    }
}

/// How the connections ended that were open when the listener stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Ended by themselves.
    pub finished: usize,
    /// Still busy at the drain deadline, and cut.
    pub cut: usize,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// A network client.
    Network(SocketAddr),
    /// A process of this host.
    Local {
        /// Its effective user id when it connected.
        user: u32,
        /// Its process id, where the system tells.
        process: Option<i32>,
    },
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => write!(formatter, "{address}"),
            Self::Local {
                user,
                process: Some(process),
            } => {
                write!(formatter, "local user {user} process {process}")
            }
            Self::Local {
                user,
                process: None,
            } => write!(formatter, "local user {user}"),
        }
    }
}

/// The other end of a connection; an extension of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it connects from.
    pub address: PeerAddress,
    /// The certificates it proved, its own first; empty when it presented none.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

impl Peer {
    /// The network address; `None` on a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.address {
            PeerAddress::Network(address) => Some(address.ip()),
            PeerAddress::Local { .. } => None,
        }
    }
}

/// A source of connections.
pub(crate) trait Listen: Send + Sync + 'static {
    /// A connection just accepted.
    type Raw: Send + 'static;
    /// The byte stream that HTTP runs over.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Takes the next connection. Must not lose one when dropped.
    fn accept(&self) -> impl Future<Output = std::io::Result<Self::Raw>> + Send;

    /// Does what is needed before the first request; runs beside other connections.
    fn establish(
        &self,
        raw: Self::Raw,
    ) -> impl Future<Output = std::io::Result<(Self::Io, Peer)>> + Send;
}

/// Serves `router` to every connection of `listener` until `shutdown` ends, then drains.
pub(crate) async fn run<L: Listen>(
    listener: L,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    let listener = Arc::new(listener);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let slot = Arc::clone(&slots)
                .acquire_owned()
                .await
                .expect("it is never closed");
            (slot, accept(&*listener).await)
        };
        let (slot, raw) = tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            next = next => next,
        };
        let (listener, router, stopping) =
            (Arc::clone(&listener), router.clone(), stopping.clone());
        connections.spawn(async move {
            if let Some((io, peer)) = establish(&*listener, raw, limits, stopping.clone()).await {
                // A task may hold the listener only until here, or it would outlive the loop.
                drop(listener);
                converse(io, &peer, router, limits, stopping).await;
            }
            drop(slot);
        });
    }
    // From here on the system refuses new connections.
    drop(listener);
    stop.send_replace(true);
    drain(connections, limits.drain).await
}

async fn accept<L: Listen>(listener: &L) -> L::Raw {
    loop {
        match listener.accept().await {
            Ok(raw) => return raw,
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection; check the limit of open files");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn concerns_one_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn establish<L: Listen>(
    listener: &L,
    raw: L::Raw,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) -> Option<(L::Io, Peer)> {
    let established = tokio::select! {
        // No request has been sent yet, so nothing is lost.
        () = told_to_stop(&mut stopping) => return None,
        established = tokio::time::timeout(limits.handshake, listener.establish(raw)) => established,
    };
    match established {
        Ok(Ok(established)) => Some(established),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection failed before its first request");
            None
        }
        Err(_) => {
            tracing::debug!(deadline = ?limits.handshake, "a handshake did not end in time");
            None
        }
    }
}

async fn converse<Io: AsyncRead + AsyncWrite + Unpin + Send>(
    io: Io,
    peer: &Peer,
    router: Router,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let io = TokioIo::new(WriteDeadline::new(io, limits.write_stall));
    let service = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        service.call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(io, service)
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told_to_stop(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.address, %error, "a connection ended early");
    }
}

/// Ends when the loop was told to stop, or is gone.
async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn drain(mut connections: JoinSet<()>, deadline: Duration) -> Drained {
    let mut finished = 0;
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
            finished += 1;
        }
    };
    // Running out of time is not an error: what is left is counted and cut.
    let _ = tokio::time::timeout(deadline, all).await;
    let cut = connections.len();
    if cut > 0 {
        tracing::warn!(
            cut,
            ?deadline,
            "connections were still busy when their time to end was up"
        );
    }
    connections.shutdown().await;
    Drained { finished, cut }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}
