//! The certificate that captures are shown: renewed in its files, shown without a restart.

use crate::clock;
use bcdr_wire::{
    identity::{Identity, IdentitySource, Role},
    transport::{Protocol, set_server_identity},
};
use std::{convert::Infallible, time::Duration};

/// Who is let in.
pub(crate) const ACCEPTED_ROLES: [Role; 1] = [Role::Capture];

/// Looks for a renewed identity again and again, and has connections that come from then on shown
/// it. `shown` is the one that `endpoint` shows now.
pub(crate) async fn run(
    endpoint: quinn::Endpoint,
    mut shown: Identity,
    source: IdentitySource,
    every: Duration,
) -> Infallible {
    loop {
        tokio::time::sleep(every).await;
        let found = source.renewed(clock::wall()).await;
        if found.certificates() == shown.certificates() {
            continue;
        }
        match set_server_identity(&endpoint, &found, &ACCEPTED_ROLES, Protocol::Feed) {
            Ok(()) => shown = found,
            Err(error) => tracing::error!(%error, "a renewed identity cannot be shown to captures"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::InstallationId;
    use bcdr_wire::{
        identity::{CertificateAuthority, IdentityPaths, IssueRequest, VALIDITY_MAX},
        transport::{ResetKey, accept, client_endpoint, connect, server_endpoint},
    };

    #[tokio::test]
    async fn captures_are_shown_a_renewed_certificate() {
        let authority =
            CertificateAuthority::create(InstallationId::from_u128(1), clock::wall()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let paths = IdentityPaths {
            ca: directory.path().join("ca.pem"),
            certificate: directory.path().join("gateway.pem"),
            key: directory.path().join("gateway.key"),
        };
        let put = |role, name: &str| {
            let request = IssueRequest {
                role,
                name: name.to_owned(),
                alternative_names: vec![],
                validity: VALIDITY_MAX,
            };
            let issued = authority.issue(&request, clock::wall()).unwrap();
            std::fs::write(&paths.ca, authority.certificate_pem()).unwrap();
            std::fs::write(&paths.key, &*issued.key_pem).unwrap();
            std::fs::write(&paths.certificate, &issued.certificate_pem).unwrap();
            Identity::load_from(&paths, clock::wall()).unwrap()
        };
        let capture = put(Role::Capture, "capture");
        let first = put(Role::Gateway, "first");
        let source = IdentitySource::load_from(paths.clone(), clock::wall()).unwrap();
        let loopback = "127.0.0.1:0".parse().unwrap();
        let (roles, reset) = (&ACCEPTED_ROLES, ResetKey::of(b"secret"));
        let endpoint = server_endpoint(loopback, &first, roles, Protocol::Feed, &reset).unwrap();
        let address = endpoint.local_addr().unwrap();
        let every = Duration::from_millis(1);
        let renewal = tokio::spawn(run(endpoint.clone(), first, source, every));
        put(Role::Gateway, "renewed");
        let shown = async {
            loop {
                let dialler = client_endpoint(address).unwrap();
                let (accepted, connected) = tokio::join!(
                    async { accept(endpoint.accept().await.unwrap()).await },
                    connect(&dialler, address, &capture, Protocol::Feed, Role::Gateway)
                );
                accepted.unwrap();
                if connected.unwrap().1.name == "renewed" {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), shown)
            .await
            .expect("the renewed certificate is never shown");
        renewal.abort();
    }
}
