//! TLS settings out of an identity: version 1.3, both sides authenticated, nothing resumed.
//!
//! A resumed session would keep the peer's certificate past its end, so every connection shows its
//! certificates anew.

use super::{Identity, IdentityError, peer::PeerIdentity, peer::Role};
use bcdr_format::InstallationId;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig,
    SignatureScheme,
    client::{Resumption, danger::HandshakeSignatureValid},
    crypto::CryptoProvider,
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::{fmt, sync::Arc};

/// The cryptography all TLS here uses, independent of any process-wide default.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Identity {
    /// What a client needs that shows this identity. The server's role is verified by connecting
    /// under [`super::server_name`].
    pub fn client_config(&self, alpn: &[&[u8]]) -> Result<ClientConfig, IdentityError> {
        let mut config = ClientConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(settings)?
            .with_root_certificates(self.authorities())
            .with_client_auth_cert(self.certificates().to_vec(), self.private_key())
            .map_err(settings)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// What a server needs that shows this identity and admits clients of its own installation in
    /// one of the `accepted` roles.
    pub fn server_config(
        &self,
        accepted: &[Role],
        alpn: &[&[u8]],
    ) -> Result<ServerConfig, IdentityError> {
        let chain =
            WebPkiClientVerifier::builder_with_provider(self.authorities(), self.provider())
                .build()
                .map_err(|error| settings(rustls::Error::General(error.to_string())))?;
        let verifier = RoleVerifier {
            chain,
            installation: self.peer().installation,
            accepted: accepted.to_vec(),
        };
        let mut config = ServerConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(settings)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(self.certificates().to_vec(), self.private_key())
            .map_err(settings)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn settings(source: rustls::Error) -> IdentityError {
    IdentityError::Tls {
        what: "these settings".to_owned(),
        source,
    }
}

/// The ordinary check of a client's certificate, and then of its installation and role.
struct RoleVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    installation: InstallationId,
    accepted: Vec<Role>,
}

impl fmt::Debug for RoleVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RoleVerifier({:?})", self.accepted)
    }
}

impl ClientCertVerifier for RoleVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        let peer = PeerIdentity::from_certificate(end_entity).map_err(|error| {
            tracing::warn!(%error, "a client's certificate names no identity");
            CertificateError::ApplicationVerificationFailure
        })?;
        if peer.installation != self.installation || !self.accepted.contains(&peer.role) {
            tracing::warn!(%peer, accepted = ?self.accepted, "a client has a role not served here");
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
