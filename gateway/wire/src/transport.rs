//! QUIC endpoints and connections between the roles.
//!
//! Owns ports, windows, socket buffers and what a failed handshake means. Invariants: a connection
//! handed out here has a peer of the same installation, in a role that was asked for; each has
//! bounded memory, so its sender stops when its receiver does not read. Knows nothing of messages.
//!
//! A connection carries one busy stream: the connection's window is sized for it. Groups each have
//! a connection of their own, so that one that is not read holds no other back.

mod fault;
mod reset;
mod socket;
mod tuning;

pub use fault::{HandshakeFault, TransportError, explain_close};
pub use reset::ResetKey;

use crate::identity::{Identity, PeerIdentity, Role, server_name};
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, TokioRuntime, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls_pki_types::CertificateDer;
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A capture feeds its gateway.
    Feed,
    /// A gateway ships to a receiver.
    Ship,
}

impl Protocol {
    /// The protocol's name in the TLS handshake.
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Feed => b"bcdr-feed/1",
            Self::Ship => b"bcdr-ship/1",
        }
    }
}

/// Why a connection is ended, as its peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CloseCode {
    /// Nothing is wrong; this side is done or stops.
    Done = 0,
    /// What the peer sent cannot be explained.
    Protocol = 1,
    /// The peer may not do what it asked for.
    NotAllowed = 2,
    /// Another connection takes this one's place.
    Replaced = 3,
}

/// Ends a connection; both sides' streams fail at once. Messages that must arrive are sent, and the
/// peer's answer awaited, before.
pub fn close(connection: &Connection, code: CloseCode, reason: &str) {
    connection.close(VarInt::from_u32(code as u32), reason.as_bytes());
}

/// A server on `address` that admits clients in the `accepted` roles. Clients of a former life with the
/// same `reset` are told at their next packet that it is over. Needs a tokio runtime.
pub fn server_endpoint(
    address: SocketAddr,
    identity: &Identity,
    accepted: &[Role],
    protocol: Protocol,
    reset: &ResetKey,
) -> Result<Endpoint, TransportError> {
    let config = server_config(identity, accepted, protocol)?;
    endpoint(address, reset::endpoint_config(reset), Some(config))
}

/// Lets a server show a renewed identity to connections that come from now on; those that are
/// there go on under the old one.
pub fn set_server_identity(
    endpoint: &Endpoint,
    identity: &Identity,
    accepted: &[Role],
    protocol: Protocol,
) -> Result<(), TransportError> {
    endpoint.set_server_config(Some(server_config(identity, accepted, protocol)?));
    Ok(())
}

/// A client that can reach `remote` and every other address of its family. Needs a tokio runtime.
pub fn client_endpoint(remote: SocketAddr) -> Result<Endpoint, TransportError> {
    let local = if remote.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    endpoint(local, EndpointConfig::default(), None)
}

/// Connects to a server that must hold the role `expected` in our own installation.
///
/// The server checks our certificate after this side is done, so a refusal by it shows at the first
/// read: [`explain_close`] then tells why.
pub async fn connect(
    endpoint: &Endpoint,
    address: SocketAddr,
    identity: &Identity,
    protocol: Protocol,
    expected: Role,
) -> Result<(Connection, PeerIdentity), TransportError> {
    let tls = identity.client_config(&[protocol.alpn()])?;
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| TransportError::Settings {
        reason: error.to_string(),
    })?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(tuning::transport_config(protocol)));
    let name = server_name(expected, identity.peer().installation);
    let connection = endpoint
        .connect_with(config, address, &name)
        .map_err(|source| TransportError::Connect { address, source })?
        .await
        .map_err(|error| TransportError::from_connection(address, error))?;
    let peer = peer_identity(&connection)?;
    if peer.role != expected || peer.installation != identity.peer().installation {
        close(
            &connection,
            CloseCode::NotAllowed,
            "another role was expected",
        );
        return Err(TransportError::UnexpectedPeer { peer, expected });
    }
    Ok((connection, peer))
}

/// Completes the handshake of a client that arrived at a server endpoint.
pub async fn accept(incoming: Incoming) -> Result<(Connection, PeerIdentity), TransportError> {
    let address = incoming.remote_address();
    let connection = incoming
        .await
        .map_err(|error| TransportError::from_connection(address, error))?;
    let peer = peer_identity(&connection)?;
    Ok((connection, peer))
}

/// Who is at the other end, as its verified certificate says.
pub fn peer_identity(connection: &Connection) -> Result<PeerIdentity, TransportError> {
    let certificates = connection
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = certificates
        .as_ref()
        .and_then(|certificates| certificates.first())
        .ok_or_else(|| TransportError::NoCertificate {
            address: connection.remote_address(),
        })?;
    Ok(PeerIdentity::from_certificate(leaf)?)
}

fn server_config(
    identity: &Identity,
    accepted: &[Role],
    protocol: Protocol,
) -> Result<quinn::ServerConfig, TransportError> {
    let tls = identity.server_config(accepted, &[protocol.alpn()])?;
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| TransportError::Settings {
        reason: error.to_string(),
    })?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(tuning::transport_config(protocol)));
    Ok(config)
}

fn endpoint(
    address: SocketAddr,
    config: EndpointConfig,
    server: Option<quinn::ServerConfig>,
) -> Result<Endpoint, TransportError> {
    let socket = socket::bind(address)?;
    Endpoint::new(config, server, socket, Arc::new(TokioRuntime))
        .map_err(|source| TransportError::Endpoint { address, source })
}

#[cfg(test)]
mod tests;
