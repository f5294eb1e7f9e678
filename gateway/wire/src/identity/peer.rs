//! Roles and names, and how a certificate says them.

use super::IdentityError;
use bcdr_format::{InstallationId, Timestamp};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What URIs of identities begin with.
pub(super) const SCHEME: &str = "bcdr://";
/// The end of DNS names that only this crate gives out.
pub(super) const RESERVED_DOMAIN: &str = "bcdr";
const NAME_BYTES_MAX: usize = 64;

/// What a certificate's holder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The receiver and control plane.
    Cloud,
    /// A gateway: serves captures, dials receivers.
    Gateway,
    /// A capture: dials gateways, serves block devices.
    Capture,
    /// A client of block devices over TCP.
    NbdClient,
    /// A server of the HTTP interface.
    ApiServer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Cloud,
        Self::Gateway,
        Self::Capture,
        Self::NbdClient,
        Self::ApiServer,
    ];

    /// The role's name in certificates and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Gateway => "gateway",
            Self::Capture => "capture",
            Self::NbdClient => "nbd-client",
            Self::ApiServer => "api-server",
        }
    }

    /// Whether its certificate may be shown by a server.
    pub(super) const fn serves(self) -> bool {
        !matches!(self, Self::NbdClient)
    }

    /// Whether its certificate may be shown by a client.
    pub(super) const fn dials(self) -> bool {
        !matches!(self, Self::ApiServer)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| IdentityError::Request {
                reason: format!(
                    "{text:?} is no role; roles are cloud, gateway, capture, nbd-client, api-server"
                ),
            })
    }
}

/// The DNS name under which every holder of this role is verified as a server.
pub fn server_name(role: Role, installation: InstallationId) -> String {
    format!("{role}.{installation}.{RESERVED_DOMAIN}")
}

/// Who a certificate says its holder is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    /// The installation.
    pub installation: InstallationId,
    /// The role.
    pub role: Role,
    /// The name, unique in its role where the issuer keeps it so.
    pub name: String,
    /// The last instant at which the certificate is valid.
    pub not_after: Timestamp,
}

impl PeerIdentity {
    /// Reads a leaf certificate. Says nothing about whether to trust it.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        Self::read(certificate, "the peer's certificate")
    }

    pub(super) fn read(
        certificate: &CertificateDer<'_>,
        what: &str,
    ) -> Result<Self, IdentityError> {
        let facts = Facts::read(certificate, what)?;
        let (installation, role, name) =
            parse_uri(&facts.uri).ok_or_else(|| IdentityError::Certificate {
                what: what.to_owned(),
                reason: format!("{:?} names no role of an installation", facts.uri),
            })?;
        Ok(Self {
            installation,
            role,
            name,
            not_after: facts.not_after,
        })
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&uri(self.installation, self.role, &self.name))
    }
}

/// The URI that names this holder.
pub(super) fn uri(installation: InstallationId, role: Role, name: &str) -> String {
    format!("{SCHEME}{installation}/{role}/{name}")
}

fn parse_uri(uri: &str) -> Option<(InstallationId, Role, String)> {
    let mut parts = uri.strip_prefix(SCHEME)?.split('/');
    let installation = parts.next()?.parse().ok()?;
    let role = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    (parts.next().is_none() && name_is_valid(name)).then(|| (installation, role, name.to_owned()))
}

/// Whether a holder may be called this: letters, digits, `-`, `_` and `.`, no longer than 64 bytes.
pub(super) fn name_is_valid(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// What is read out of any certificate of ours, the authority's own included.
pub(super) struct Facts {
    /// Its one `bcdr://` URI.
    pub(super) uri: String,
    /// The last instant at which it is valid.
    pub(super) not_after: Timestamp,
    /// Its public key's bits.
    pub(super) public_key: Vec<u8>,
    /// Whether it may issue others.
    pub(super) is_authority: bool,
}

impl Facts {
    pub(super) fn read(
        certificate: &CertificateDer<'_>,
        what: &str,
    ) -> Result<Self, IdentityError> {
        let refuse = |reason: String| IdentityError::Certificate {
            what: what.to_owned(),
            reason,
        };
        let (rest, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| refuse(format!("it is not X.509: {error}")))?;
        if !rest.is_empty() {
            return Err(refuse(format!("{} bytes follow it", rest.len())));
        }
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| refuse(format!("its alternative names: {error}")))?
            .ok_or_else(|| refuse("it has no alternative names".to_owned()))?;
        let mut uris = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some((*uri).to_owned()),
                _ => None,
            });
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            return Err(refuse(format!("it has not exactly one {SCHEME} name")));
        };
        let not_after = parsed.validity().not_after.timestamp();
        Ok(Self {
            uri,
            not_after: Timestamp(not_after.saturating_mul(1_000_000)),
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            is_authority: parsed.is_ca(),
        })
    }
}
