//! A role's own certificate, key and authority, checked as soon as they are loaded.

use super::{IdentityError, peer::PeerIdentity, readable, server_name, tls};
use bcdr_format::Timestamp;
use rustls::{
    CertificateError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, UnixTime,
    pem::{PemObject, SectionKind},
};
use serde::{Deserialize, Serialize};
use std::{fmt, fs, path::PathBuf, sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// Where a role's identity lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityPaths {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The role's certificate.
    pub certificate: PathBuf,
    /// The role's private key.
    pub key: PathBuf,
}

/// A role's own certificate and key, and the authority whose certificates it trusts. Clones share
/// one copy.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    peer: PeerIdentity,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

/// What the three parts are called in errors.
struct Names {
    ca: String,
    certificate: String,
    key: String,
}

impl Identity {
    /// Reads and checks the identity in these files.
    pub fn load_from(paths: &IdentityPaths, now: Timestamp) -> Result<Self, IdentityError> {
        let read = |what: &'static str, path: &PathBuf| {
            fs::read(path)
                .map(Zeroizing::new)
                .map_err(|source| IdentityError::Read {
                    what,
                    path: path.clone(),
                    source,
                })
        };
        let ca = read("the authority's certificate", &paths.ca)?;
        let certificate = read("the certificate", &paths.certificate)?;
        let key = read("the private key", &paths.key)?;
        let names = Names {
            ca: paths.ca.display().to_string(),
            certificate: paths.certificate.display().to_string(),
            key: paths.key.display().to_string(),
        };
        Self::check(&ca, &certificate, &key, now, &names)
    }

    /// Checks the identity in these texts: in date at `now`, issued by the authority for the role
    /// it names, and with the certificate's own key.
    pub fn load(
        ca_pem: &str,
        certificate_pem: &str,
        key_pem: &str,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        let names = Names {
            ca: "the authority's certificate".to_owned(),
            certificate: "the certificate".to_owned(),
            key: "the private key".to_owned(),
        };
        Self::check(
            ca_pem.as_bytes(),
            certificate_pem.as_bytes(),
            key_pem.as_bytes(),
            now,
            &names,
        )
    }

    fn check(
        ca: &[u8],
        certificate: &[u8],
        key: &[u8],
        now: Timestamp,
        names: &Names,
    ) -> Result<Self, IdentityError> {
        let mut authorities = RootCertStore::empty();
        for authority in read_certificates(ca, &names.ca)? {
            authorities
                .add(authority)
                .map_err(|source| IdentityError::Tls {
                    what: names.ca.clone(),
                    source,
                })?;
        }
        let certificates = read_certificates(certificate, &names.certificate)?;
        let peer = PeerIdentity::read(&certificates[0], &names.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| IdentityError::Pem {
            what: names.key.clone(),
            reason: error.to_string(),
        })?;
        let identity = Self {
            inner: Arc::new(Inner {
                peer,
                certificates,
                key,
                authorities: Arc::new(authorities),
                provider: tls::provider(),
            }),
        };
        identity.check_key(names)?;
        identity
            .check_chain(now)
            .map_err(|source| identity.explain(source, names))?;
        Ok(identity)
    }

    fn check_key(&self, names: &Names) -> Result<(), IdentityError> {
        let inner = &self.inner;
        CertifiedKey::from_der(
            inner.certificates.clone(),
            inner.key.clone_key(),
            &inner.provider,
        )
        .map(drop)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => IdentityError::KeyMismatch {
                key: names.key.clone(),
                certificate: names.certificate.clone(),
            },
            source => IdentityError::Tls {
                what: names.key.clone(),
                source,
            },
        })
    }

    /// Checks what peers will check, so that a bad certificate is told at the start.
    fn check_chain(&self, now: Timestamp) -> Result<(), rustls::Error> {
        let inner = &self.inner;
        let (leaf, intermediates) = (&inner.certificates[0], &inner.certificates[1..]);
        let now = Duration::from_micros(u64::try_from(now.0).unwrap_or(0));
        let now = UnixTime::since_unix_epoch(now);
        let other =
            |error: rustls::server::VerifierBuilderError| rustls::Error::General(error.to_string());
        if inner.peer.role.serves() {
            let name = server_name(inner.peer.role, inner.peer.installation);
            let name = ServerName::try_from(name)
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            WebPkiServerVerifier::builder_with_provider(
                Arc::clone(&inner.authorities),
                Arc::clone(&inner.provider),
            )
            .build()
            .map_err(other)?
            .verify_server_cert(leaf, intermediates, &name, &[], now)
            .map(drop)
        } else {
            WebPkiClientVerifier::builder_with_provider(
                Arc::clone(&inner.authorities),
                Arc::clone(&inner.provider),
            )
            .build()
            .map_err(other)?
            .verify_client_cert(leaf, intermediates, now)
            .map(drop)
        }
    }

    fn explain(&self, source: rustls::Error, names: &Names) -> IdentityError {
        use CertificateError as Fault;
        let what = names.certificate.clone();
        match source {
            rustls::Error::InvalidCertificate(Fault::Expired | Fault::ExpiredContext { .. }) => {
                IdentityError::Expired {
                    what,
                    not_after: readable(self.inner.peer.not_after),
                }
            }
            rustls::Error::InvalidCertificate(
                Fault::NotValidYet | Fault::NotValidYetContext { .. },
            ) => IdentityError::NotValidYet { what },
            rustls::Error::InvalidCertificate(Fault::UnknownIssuer | Fault::BadSignature) => {
                IdentityError::OtherAuthority {
                    what,
                    authority: names.ca.clone(),
                }
            }
            source => IdentityError::Tls { what, source },
        }
    }

    /// Who the certificate says we are.
    pub fn peer(&self) -> &PeerIdentity {
        &self.inner.peer
    }

    /// The certificate, and whatever stands between it and the authority.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.inner.certificates
    }

    /// The private key.
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        self.inner.key.clone_key()
    }

    /// The authority whose certificates are trusted.
    pub fn authorities(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.inner.authorities)
    }

    /// The cryptography all TLS here uses.
    pub fn provider(&self) -> Arc<CryptoProvider> {
        Arc::clone(&self.inner.provider)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Identity({})", self.inner.peer)
    }
}

/// Every certificate in a PEM text; at least one.
pub(super) fn read_certificates(
    pem: &[u8],
    what: &str,
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let refuse = |reason: String| IdentityError::Pem {
        what: what.to_owned(),
        reason,
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(error.to_string()))?;
    if certificates.is_empty() {
        return Err(refuse(format!(
            "it holds no {:?}",
            SectionKind::Certificate
        )));
    }
    Ok(certificates)
}
