//! Who is who: an installation's own certificate authority, and mutual TLS 1.3 between its roles.
//!
//! Invariants: a leaf certificate names one role of one installation, as a URI
//! (`bcdr://<installation>/<role>/<name>`) for those who ask who is there and as a DNS name
//! (`<role>.<installation>.bcdr`) for TLS' ordinary check of a server's name; both sides of every
//! connection show one; no process-wide TLS default is used or set. Does not write files, keep
//! tokens, or decide what a role may do.

mod authority;
mod credentials;
mod peer;
mod source;
mod tls;

pub use authority::{
    AlternativeName, CertificateAuthority, IssueRequest, IssuedIdentity, VALIDITY_MAX,
};
pub use credentials::{Identity, IdentityPaths};
pub use peer::{PeerIdentity, Role, server_name};
pub use source::{IdentitySource, READ_AGAIN_EVERY};

use bcdr_format::Timestamp;
use std::{io, path::PathBuf};
use thiserror::Error;

/// Why an identity could not be made, loaded or trusted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file could not be read.
    #[error(
        "cannot read {what} {path}: {source}; check the path in the configuration and that this user may read it"
    )]
    Read {
        /// What the file is.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The text holds no certificate or key in PEM form.
    #[error("{what} is not readable as PEM: {reason}; put the file back as it was issued")]
    Pem {
        /// What was read.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is not one that a bcdr authority issues.
    #[error("{what} is not a bcdr certificate: {reason}")]
    Certificate {
        /// What was read.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// The key is not the certificate's.
    #[error("{key} does not belong to {certificate}: put both files in place from one issue")]
    KeyMismatch {
        /// The key read.
        key: String,
        /// The certificate read.
        certificate: String,
    },
    /// The certificate is out of date.
    #[error(
        "{what} was valid until {not_after}: have the cloud side issue a new one, and check this machine's clock"
    )]
    Expired {
        /// What was read.
        what: String,
        /// When it ended.
        not_after: jiff::Timestamp,
    },
    /// The certificate is not valid yet.
    #[error("{what} is not valid yet: check this machine's clock")]
    NotValidYet {
        /// What was read.
        what: String,
    },
    /// The certificate was issued by another authority.
    #[error(
        "{what} was not issued by the authority in {authority}: both must come from one installation"
    )]
    OtherAuthority {
        /// What was read.
        what: String,
        /// The authority it was checked against.
        authority: String,
    },
    /// A name or validity that no certificate is issued for.
    #[error("no certificate is issued for this: {reason}")]
    Request {
        /// What is wrong with the request.
        reason: String,
    },
    /// Certificate or key could not be made.
    #[error("cannot make a certificate: {source}")]
    Make {
        /// The cause.
        #[source]
        source: rcgen::Error,
    },
    /// TLS does not take the certificate, key or settings.
    #[error("tls does not take {what}: {source}")]
    Tls {
        /// What it was given.
        what: String,
        /// The cause.
        #[source]
        source: rustls::Error,
    },
}

/// An instant as people read it.
fn readable(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests;
