//! Whom a TLS client believes.

use super::ExchangeError;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use serde::{Deserialize, Serialize};
use std::{error::Error, io, net::IpAddr, sync::Arc};
use tokio_rustls::TlsConnector;
use url::{Host, Url};
use utoipa::ToSchema;

/// Whose certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Those of the authorities that the system knows.
    #[default]
    System,
    /// Those of these authorities alone: certificates in PEM form.
    Authorities(String),
    /// Anybody's. What answers may be somebody else: results say so.
    Insecure,
}

impl Trust {
    /// Reads the authorities' certificates, without asking anybody.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub fn check(&self) -> Result<(), TrustError> {
        Tls::new(self).map(|_| ())
    }
}

/// Why nobody could be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The system knows no authority.
    #[error(
        "the system knows no certificate authority{cause}; install its package ca-certificates, or give \
         the authorities' certificates"
    )]
    NoSystem {
        /// What was wrong, as an addition to the sentence.
        cause: String,
    },
    /// The authorities' certificates cannot be read.
    #[error(
        "the authorities' certificates cannot be read: {cause}; give certificates in PEM form \
         (-----BEGIN CERTIFICATE-----)"
    )]
    Authorities {
        /// What is wrong.
        cause: String,
    },
}

/// A TLS client's side, ready to connect.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Reads the authorities.
    pub(crate) fn new(trust: &Trust) -> Result<Self, TrustError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for both versions");
        let mut config = match trust {
            Trust::System => builder.with_root_certificates(system()?),
            Trust::Authorities(pem) => builder.with_root_certificates(given(pem)?),
            Trust::Insecure => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody::new(&provider))),
        }
        .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(super) fn connector(&self) -> &TlsConnector {
        &self.0
    }
}

fn system() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let cause = found
            .errors
            .first()
            .map_or(String::new(), |error| format!(": {error}"));
        return Err(TrustError::NoSystem { cause });
    }
    Ok(store)
}

fn given(pem: &str) -> Result<RootCertStore, TrustError> {
    let wrong = |cause: String| TrustError::Authorities { cause };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        store
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(wrong("there is none in the text".to_owned()));
    }
    Ok(store)
}

/// The name by which the server must be known to its certificate.
pub(super) fn server_name(url: &Url) -> Result<ServerName<'static>, ExchangeError> {
    let unknown = || ExchangeError::ServerName {
        host: url.host_str().unwrap_or_default().to_owned(),
    };
    match url.host().ok_or_else(unknown)? {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).map_err(|_| unknown()),
        Host::Ipv4(address) => Ok(ServerName::IpAddress(IpAddr::V4(address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress(IpAddr::V6(address).into())),
    }
}

/// Whether a failed handshake failed because of whom we believe.
pub(super) fn is_about_trust(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// An error with its causes, which many libraries leave out of their text.
pub(crate) fn text_of(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

/// Believes any certificate, but still asks for proof that the server has its key.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl Anybody {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
