//! What failed endpoints, handshakes and connections mean.
//!
//! TLS tells a peer one alert number; here it becomes a cause and a remedy on whichever side it is
//! seen.

use crate::identity::{IdentityError, PeerIdentity, Role};
use quinn::{Connection, ConnectionError};
use std::{fmt, io, net::SocketAddr};
use thiserror::Error;

/// Codes below this are QUIC's own; TLS' alerts are added to it.
const TLS_ALERTS: u64 = 0x100;

/// Why there is no endpoint or connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// QUIC does not take the settings.
    #[error("quic does not take these settings: {reason}")]
    Settings {
        /// Why not.
        reason: String,
    },
    /// The UDP port cannot be had.
    #[error(
        "cannot bind UDP {address}: {source}; check that the address is this machine's and that no other process holds the port"
    )]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The endpoint cannot be set up.
    #[error("cannot set up QUIC on UDP {address}: {source}")]
    Endpoint {
        /// The address asked for.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// No attempt could be made.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address dialled.
        address: SocketAddr,
        /// The cause.
        source: quinn::ConnectError,
    },
    /// Nothing answered, or the peer fell silent.
    #[error(
        "no answer from {address} in time: check that the peer runs and that UDP to this port is let through"
    )]
    Silent {
        /// The peer's address.
        address: SocketAddr,
    },
    /// This side does not accept what the peer showed.
    #[error("the peer at {address} is not accepted: {fault}")]
    Untrusted {
        /// The peer's address.
        address: SocketAddr,
        /// What is wrong with it.
        fault: HandshakeFault,
    },
    /// The peer does not accept what this side showed.
    #[error("the peer at {address} does not accept us: {fault}")]
    RefusedByPeer {
        /// The peer's address.
        address: SocketAddr,
        /// What is wrong with us.
        fault: HandshakeFault,
    },
    /// The peer ended the connection and said why.
    #[error("the peer at {address} closed the connection with code {code}: {reason:?}")]
    ClosedByPeer {
        /// The peer's address.
        address: SocketAddr,
        /// A [`super::CloseCode`]'s number.
        code: u64,
        /// What the peer said.
        reason: String,
    },
    /// The connection failed otherwise.
    #[error("the connection to {address} failed: {source}")]
    Connection {
        /// The peer's address.
        address: SocketAddr,
        /// The cause.
        source: ConnectionError,
    },
    /// The peer showed no certificate.
    #[error("the peer at {address} showed no certificate")]
    NoCertificate {
        /// The peer's address.
        address: SocketAddr,
    },
    /// The peer is somebody else.
    #[error("{peer} answered where a {expected} of this installation was expected")]
    UnexpectedPeer {
        /// Who answered.
        peer: PeerIdentity,
        /// The role that was expected.
        expected: Role,
    },
}

/// What a handshake failed at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// The certificate is out of date.
    Expired,
    /// The certificate was issued by another authority.
    OtherAuthority,
    /// The certificate is for another role or installation.
    OtherRole,
    /// No certificate was shown.
    NoCertificate,
    /// The two sides speak no common protocol.
    NoCommonProtocol,
    /// Anything else, in TLS' words.
    Other(String),
}

impl HandshakeFault {
    /// `None`: the code is not a TLS alert.
    fn from_code(code: u64, reason: &str) -> Option<Self> {
        let alert = u8::try_from(code.checked_sub(TLS_ALERTS)?).ok()?;
        Some(match alert {
            45 => Self::Expired,
            48 | 51 => Self::OtherAuthority,
            42 | 49 => Self::OtherRole,
            116 => Self::NoCertificate,
            120 => Self::NoCommonProtocol,
            _ => Self::Other(format!("alert {alert}: {reason}")),
        })
    }
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Expired => {
                "the certificate is out of date: have the cloud side issue a new one, and check both clocks"
            }
            Self::OtherAuthority => {
                "the certificate was issued by another authority: both sides need certificates of one installation"
            }
            Self::OtherRole => {
                "the certificate is for another role or installation: check the address dialled and the configured certificate"
            }
            Self::NoCertificate => {
                "no certificate was shown: every role needs one of this installation"
            }
            Self::NoCommonProtocol => {
                "no common protocol: check the port dialled, or upgrade the older side"
            }
            Self::Other(reason) => return write!(formatter, "TLS failed with {reason}"),
        })
    }
}

impl TransportError {
    pub(super) fn from_connection(address: SocketAddr, error: ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut => Self::Silent { address },
            ConnectionError::TransportError(error) => {
                match HandshakeFault::from_code(error.code.into(), &error.reason) {
                    Some(fault) => Self::Untrusted { address, fault },
                    None => Self::Connection {
                        address,
                        source: error.into(),
                    },
                }
            }
            ConnectionError::ConnectionClosed(close) => {
                let reason = String::from_utf8_lossy(&close.reason);
                match HandshakeFault::from_code(close.error_code.into(), &reason) {
                    Some(fault) => Self::RefusedByPeer { address, fault },
                    None => Self::Connection {
                        address,
                        source: ConnectionError::ConnectionClosed(close),
                    },
                }
            }
            ConnectionError::ApplicationClosed(close) => Self::ClosedByPeer {
                address,
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            source => Self::Connection { address, source },
        }
    }
}

/// Why a connection ended; `None` while it is open.
pub fn explain_close(connection: &Connection) -> Option<TransportError> {
    connection
        .close_reason()
        .map(|error| TransportError::from_connection(connection.remote_address(), error))
}
