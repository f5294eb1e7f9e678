//! Connections over loopback: who gets in, who does not, and what each side is told.

use super::*;
use crate::{
    frame::{FrameError, FrameKind, FrameReader, write_frame},
    identity::{CertificateAuthority, IssueRequest, VALIDITY_MAX},
};
use bcdr_format::{InstallationId, Timestamp};

const INSTALLATION: InstallationId = InstallationId::from_u128(77);
const DAY_MICROSECONDS: i64 = 24 * 60 * 60 * 1_000_000;

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

fn authority(installation: InstallationId) -> CertificateAuthority {
    CertificateAuthority::create(installation, Timestamp(now().0 - 100 * DAY_MICROSECONDS)).unwrap()
}

/// An identity issued, and loaded, at `at`: later it may be out of date.
fn identity_at(authority: &CertificateAuthority, role: Role, at: Timestamp) -> Identity {
    let request = IssueRequest {
        role,
        name: "test".to_owned(),
        alternative_names: vec![],
        validity: VALIDITY_MAX,
    };
    let issued = authority.issue(&request, at).unwrap();
    Identity::load(
        authority.certificate_pem(),
        &issued.certificate_pem,
        &issued.key_pem,
        at,
    )
    .unwrap()
}

fn identity(authority: &CertificateAuthority, role: Role) -> Identity {
    identity_at(authority, role, now())
}

fn serve(address: SocketAddr, identity: &Identity) -> Result<Endpoint, TransportError> {
    let reset = ResetKey::of(b"the gateway's secret");
    server_endpoint(address, identity, &[Role::Capture], Protocol::Feed, &reset)
}

/// A gateway's port for captures.
fn gateway(identity: &Identity) -> (Endpoint, SocketAddr) {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let endpoint = serve(loopback, identity).unwrap();
    let address = endpoint.local_addr().unwrap();
    (endpoint, address)
}

type Attempt = Result<(Connection, PeerIdentity), TransportError>;

/// Both sides' results of one attempt.
async fn attempt(server: &Identity, client: &Identity, protocol: Protocol) -> (Attempt, Attempt) {
    let (endpoint, address) = gateway(server);
    let dialler = client_endpoint(address).unwrap();
    let accepting = async { accept(endpoint.accept().await.unwrap()).await };
    let connecting = connect(&dialler, address, client, protocol, Role::Gateway);
    let (accepted, connected) = tokio::join!(accepting, connecting);
    // A server's refusal reaches a client that takes itself for connected.
    let connected = match (&accepted, connected) {
        (Err(_), Ok((connection, _))) => {
            connection.closed().await;
            Err(explain_close(&connection).unwrap())
        }
        (_, connected) => connected,
    };
    (accepted, connected)
}

#[tokio::test]
async fn a_capture_and_its_gateway_know_each_other_and_talk() {
    let authority = authority(INSTALLATION);
    let server = identity(&authority, Role::Gateway);
    let client = identity(&authority, Role::Capture);
    let (endpoint, address) = gateway(&server);
    let dialler = client_endpoint(address).unwrap();
    let payload: Vec<u8> = (0..20 << 20).map(|n: u32| (n >> 8) as u8).collect();

    let serving = async {
        let (connection, peer) = accept(endpoint.accept().await.unwrap()).await.unwrap();
        assert_eq!(&peer, client.peer());
        let (_send, receive) = connection.accept_bi().await.unwrap();
        let mut reader = FrameReader::new(receive);
        let frame = reader.read_frame().await.unwrap();
        assert_eq!(frame.kind, FrameKind::Records);
        assert!(frame.payload == payload);
        assert!(matches!(reader.read_frame().await, Err(FrameError::Closed)));
        close(&connection, CloseCode::Done, "read it all");
        endpoint.wait_idle().await;
    };
    let dialling = async {
        let (connection, peer) = connect(&dialler, address, &client, Protocol::Feed, Role::Gateway)
            .await
            .unwrap();
        assert_eq!(&peer, server.peer());
        assert!(explain_close(&connection).is_none());
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        let (head, tail) = payload.split_at(1000);
        write_frame(&mut send, FrameKind::Records, &[head, tail])
            .await
            .unwrap();
        send.finish().unwrap();
        connection.closed().await;
        let told = explain_close(&connection).unwrap().to_string();
        assert!(told.contains("read it all"), "{told}");
    };
    tokio::join!(serving, dialling);
}

#[tokio::test]
async fn a_client_in_another_role_is_refused_and_told() {
    let authority = authority(INSTALLATION);
    let server = identity(&authority, Role::Gateway);
    for role in [Role::Gateway, Role::Cloud, Role::NbdClient] {
        let client = identity(&authority, role);
        let (accepted, connected) = attempt(&server, &client, Protocol::Feed).await;
        let fault = HandshakeFault::OtherRole;
        assert!(
            matches!(&accepted, Err(TransportError::Untrusted { fault: found, .. }) if *found == fault),
            "{accepted:?}"
        );
        assert!(
            matches!(&connected, Err(TransportError::RefusedByPeer { fault: found, .. }) if *found == fault),
            "{connected:?}"
        );
    }
}

#[tokio::test]
async fn a_server_in_another_role_is_not_trusted() {
    let authority = authority(INSTALLATION);
    for role in [Role::Capture, Role::Cloud, Role::ApiServer] {
        let server = identity(&authority, role);
        let client = identity(&authority, Role::Capture);
        let (accepted, connected) = attempt(&server, &client, Protocol::Feed).await;
        let fault = HandshakeFault::OtherRole;
        assert!(
            matches!(&connected, Err(TransportError::Untrusted { fault: found, .. }) if *found == fault),
            "{connected:?}"
        );
        assert!(
            matches!(&accepted, Err(TransportError::RefusedByPeer { fault: found, .. }) if *found == fault),
            "{accepted:?}"
        );
    }
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let server = identity(&authority(INSTALLATION), Role::Gateway);
    for installation in [INSTALLATION, InstallationId::from_u128(78)] {
        let client = identity(&authority(installation), Role::Capture);
        let (_, connected) = attempt(&server, &client, Protocol::Feed).await;
        assert!(
            matches!(
                &connected,
                Err(TransportError::Untrusted {
                    fault: HandshakeFault::OtherAuthority,
                    ..
                })
            ),
            "{connected:?}"
        );
    }
}

/// A client that would trust anyone still does not get in with another authority's certificate.
#[tokio::test]
async fn a_client_of_another_authority_is_not_let_in() {
    let ours = authority(INSTALLATION);
    let theirs = authority(INSTALLATION);
    let issue = |authority: &CertificateAuthority, role| {
        let request = IssueRequest {
            role,
            name: "test".to_owned(),
            alternative_names: vec![],
            validity: VALIDITY_MAX,
        };
        authority.issue(&request, now()).unwrap()
    };
    let server = identity(&ours, Role::Gateway);
    let stolen = issue(&theirs, Role::Capture);
    let both = format!("{}{}", ours.certificate_pem(), theirs.certificate_pem());
    let client = Identity::load(&both, &stolen.certificate_pem, &stolen.key_pem, now()).unwrap();
    let (accepted, connected) = attempt(&server, &client, Protocol::Feed).await;
    assert!(
        matches!(
            &accepted,
            Err(TransportError::Untrusted {
                fault: HandshakeFault::OtherAuthority,
                ..
            })
        ),
        "{accepted:?}"
    );
    assert!(matches!(
        connected,
        Err(TransportError::RefusedByPeer { .. })
    ));
}

#[tokio::test]
async fn certificates_out_of_date_are_refused_on_either_side() {
    let authority = authority(INSTALLATION);
    let long_ago = Timestamp(now().0 - 40 * DAY_MICROSECONDS);
    let old = |role| identity_at(&authority, role, long_ago);
    let expired = HandshakeFault::Expired;

    let (accepted, connected) = attempt(
        &identity(&authority, Role::Gateway),
        &old(Role::Capture),
        Protocol::Feed,
    )
    .await;
    assert!(
        matches!(&accepted, Err(TransportError::Untrusted { fault, .. }) if *fault == expired),
        "{accepted:?}"
    );
    assert!(
        matches!(&connected, Err(TransportError::RefusedByPeer { fault, .. }) if *fault == expired),
        "{connected:?}"
    );
    let (_, connected) = attempt(
        &old(Role::Gateway),
        &identity(&authority, Role::Capture),
        Protocol::Feed,
    )
    .await;
    assert!(
        matches!(&connected, Err(TransportError::Untrusted { fault, .. }) if *fault == expired),
        "{connected:?}"
    );
    let told = connected.unwrap_err().to_string();
    assert!(told.contains("issue a new one"), "{told}");
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let authority = authority(INSTALLATION);
    let (_, connected) = attempt(
        &identity(&authority, Role::Gateway),
        &identity(&authority, Role::Capture),
        Protocol::Ship,
    )
    .await;
    assert!(
        matches!(
            &connected,
            Err(TransportError::RefusedByPeer {
                fault: HandshakeFault::NoCommonProtocol,
                ..
            })
        ),
        "{connected:?}"
    );
}

#[tokio::test]
async fn a_renewed_identity_is_shown_to_new_connections() {
    let authority = authority(INSTALLATION);
    let long_ago = Timestamp(now().0 - 40 * DAY_MICROSECONDS);
    let (endpoint, address) = gateway(&identity_at(&authority, Role::Gateway, long_ago));
    let renewed = identity(&authority, Role::Gateway);
    set_server_identity(&endpoint, &renewed, &[Role::Capture], Protocol::Feed).unwrap();
    let client = identity(&authority, Role::Capture);
    let dialler = client_endpoint(address).unwrap();
    let (accepted, connected) = tokio::join!(
        async { accept(endpoint.accept().await.unwrap()).await },
        connect(&dialler, address, &client, Protocol::Feed, Role::Gateway)
    );
    accepted.unwrap();
    assert_eq!(&connected.unwrap().1, renewed.peer());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let authority = authority(INSTALLATION);
    let server = identity(&authority, Role::Gateway);
    let (_endpoint, address) = gateway(&server);
    let again = serve(address, &server);
    let told = again.unwrap_err().to_string();
    assert!(told.contains(&address.to_string()), "{told}");
}

#[tokio::test]
async fn a_server_that_was_killed_says_so_when_it_is_back() {
    let authority = authority(INSTALLATION);
    let server = identity(&authority, Role::Gateway);
    let client = identity(&authority, Role::Capture);
    let (tell, told) = tokio::sync::oneshot::channel();
    // Its runtime goes before it does, as with a process that is killed: no farewell is sent.
    let life = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (endpoint, address) = {
            let _inside = runtime.enter();
            gateway(&server)
        };
        tell.send(address).unwrap();
        let served = runtime.block_on(async {
            let (connection, _) = accept(endpoint.accept().await.unwrap()).await.unwrap();
            let stream = connection.accept_bi().await.unwrap();
            (connection, stream)
        });
        drop(runtime);
        drop((served, endpoint));
    });
    let address = told.await.unwrap();
    let dialler = client_endpoint(address).unwrap();
    let connecting = connect(&dialler, address, &client, Protocol::Feed, Role::Gateway);
    let (connection, _) = connecting.await.unwrap();
    let (mut sender, _receiver) = connection.open_bi().await.unwrap();
    sender.write_all(b"hello").await.unwrap();
    let ended = tokio::task::spawn_blocking(|| life.join());
    ended.await.unwrap().unwrap();
    assert!(connection.close_reason().is_none());

    // With another certificate even.
    let _again = serve(address, &identity(&authority, Role::Gateway)).unwrap();
    sender.write_all(b"still there?").await.unwrap();
    assert_eq!(connection.closed().await, quinn::ConnectionError::Reset);
}
