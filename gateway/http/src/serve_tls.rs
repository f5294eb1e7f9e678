//! HTTP over TLS 1.3 for network clients.
//!
//! Invariant: no byte of HTTP is read or written before the handshake is complete. The certificate
//! can be changed while serving: a new handshake uses the newest, a running connection keeps its
//! own. Which certificates are trusted is decided by whoever makes the `ServerConfig`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::serve::{self, Drained, Limits, Listen, Peer, PeerAddress};

/// The protocol offered in the handshake; a client that insists on another one is refused there.
const PROTOCOL: &[u8] = b"http/1.1";

/// The certificate and key do not make a server.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve TLS with this certificate and key: {0}; check that they belong together")]
pub struct TlsConfigError(#[from] rustls::Error);

/// The TLS configuration of a listener, exchangeable while it serves. Clones share it.
#[derive(Clone, Debug)]
pub struct TlsConfig(watch::Sender<Arc<ServerConfig>>);

impl TlsConfig {
    /// Serves with `config`; its protocol list is replaced by HTTP/1.1.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(watch::Sender::new(for_http(config)))
    }

    /// Serves TLS 1.3 with this chain (own certificate first) and its key, to clients without a
    /// certificate: the APIs know their clients by token.
    ///
    /// # Errors
    /// When chain and key do not fit.
    pub fn from_certificate(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsConfigError> {
        Ok(Self::new(Arc::new(server_config(chain, key)?)))
    }

    /// Uses `config` for every handshake from now on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.0.send_replace(for_http(config));
    }

    /// Uses this chain and key for every handshake from now on.
    ///
    /// # Errors
    /// When chain and key do not fit; the former ones stay in use.
    pub fn replace_certificate(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsConfigError> {
        self.replace(Arc::new(server_config(chain, key)?));
        Ok(())
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.borrow())
    }
}

fn for_http(mut config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    Arc::make_mut(&mut config).alpn_protocols = vec![PROTOCOL.to_vec()];
    config
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsConfigError> {
    // Named, not taken from the process: a library must not depend on who installed what first.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

struct TlsListener {
    tcp: TcpListener,
    tls: TlsConfig,
}

impl Listen for TlsListener {
    type Raw = (TcpStream, SocketAddr);
    type Io = TlsStream<TcpStream>;

    async fn accept(&self) -> io::Result<Self::Raw> {
        self.tcp.accept().await
    }

    async fn establish(&self, (tcp, address): Self::Raw) -> io::Result<(Self::Io, Peer)> {
        // Answers are small; waiting to fill a segment would only delay them.
        tcp.set_nodelay(true)?;
        let stream = TlsAcceptor::from(self.tls.current()).accept(tcp).await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificates = certificates
            .iter()
            .map(|one| one.clone().into_owned())
            .collect();
        let peer = Peer {
            address: PeerAddress::Network(address),
            certificates,
        };
        Ok((stream, peer))
    }
}

/// Serves `router` over TLS on `listener` until `shutdown` ends, then drains.
///
/// Every request carries a [`Peer`] extension. Dropping the future cuts all connections.
pub async fn serve_tls(
    listener: TcpListener,
    tls: TlsConfig,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    serve::run(TlsListener { tcp: listener, tls }, router, limits, shutdown).await
}
