//! Who gets in over TCP, and that what gets in reaches the disk.

use std::sync::Arc;

use bcdr_nbd::client::{Client, ClientOptions};
use bcdr_wire::identity::server_name;
use bytes::Bytes;
use tokio::io::duplex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::*;
use crate::{
    group::RunningGroup,
    ring::Engine,
    test_site::{Site, TestAuthority, close},
};

const GREETING_BYTES: usize = 18;
const CLIENT_FLAGS: [u8; 4] = [0, 0, 0, 3];
const STARTTLS: [u8; 16] = *b"IHAVEOPT\0\0\0\x05\0\0\0\0";

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn serve(group: &RunningGroup, identity: IdentitySource) -> Server {
    let exports = group.exports.iter().map(|(volume, info)| TlsExport {
        info: info.clone(),
        volume: *volume,
        group: group.handle.clone(),
    });
    let address = "127.0.0.1:0".parse().unwrap();
    let mut server = NbdTls::bind(address, identity, watch::channel(exports.collect()).1)
        .await
        .unwrap();
    server.look_every = Duration::from_millis(1);
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let task = tokio::spawn(server.serve(stop.clone()));
    Server {
        address,
        stop,
        task,
    }
}

/// Connects and asks for TLS; the next bytes are the TLS handshake.
async fn start_tls(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.read_exact(&mut [0; GREETING_BYTES]).await.unwrap();
    stream.write_all(&CLIENT_FLAGS).await.unwrap();
    stream.write_all(&STARTTLS).await.unwrap();
    let mut reply = [0; 20];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[12..16], [0, 0, 0, 1], "the server acknowledges");
    stream
}

type ClientTls = tokio_rustls::client::TlsStream<TcpStream>;

async fn handshake(stream: TcpStream, identity: &Identity) -> io::Result<ClientTls> {
    let config = identity.client_config(&[]).unwrap();
    let name = server_name(Role::Capture, identity.peer().installation);
    let name = ServerName::try_from(name).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// A client of the library on a stream whose greeting was taken before TLS.
async fn enter(mut tls: ClientTls, export: &str) -> Client {
    let (ours, theirs) = duplex(1 << 16);
    tokio::spawn(async move {
        let mut ours = ours;
        let mut greeting = b"NBDMAGICIHAVEOPT".to_vec();
        greeting.extend_from_slice(&[0, 3]);
        ours.write_all(&greeting).await.unwrap();
        ours.read_exact(&mut [0; 4]).await.unwrap();
        // The end of either side ends the test's client too.
        let _ = tokio::io::copy_bidirectional(&mut ours, &mut tls).await;
    });
    Client::enter(theirs, export, ClientOptions::default())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_certificate_writes_and_reads() {
    let authority = TestAuthority::new();
    let site = Site::new(Engine::Auto, 2);
    let group = site.start();
    let server = serve(&group, authority.identity(Role::Capture).into()).await;
    let identity = authority.identity(Role::NbdClient);
    let stream = start_tls(server.address).await;
    let client = enter(handshake(stream, &identity).await.unwrap(), "volume1").await;
    let data = Bytes::from(vec![7; 3 << 20]);
    client.write(4096, data.clone(), true).await.unwrap();
    assert!(client.read(4096, 3 << 20).await.unwrap() == data);
    // The other way in sees the same.
    assert!(site.client(1).await.read(4096, 3 << 20).await.unwrap() == data);
    client.flush().await.unwrap();
    client.disconnect().await.unwrap();
    server.stop.cancel();
    close(group).await;
    server.task.await.unwrap();
    assert!(site.contents(1)[4096..][..3 << 20] == data);
    assert!(site.contents(0).iter().all(|byte| *byte == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_gets_in() {
    let authority = TestAuthority::new();
    let site = Site::new(Engine::Auto, 1);
    let group = site.start();
    let server = serve(&group, authority.identity(Role::Capture).into()).await;

    // Another role of the same installation, and the right role of another one.
    let mut strangers = vec![authority.identity(Role::Gateway)];
    strangers.push(TestAuthority::new().identity(Role::NbdClient));
    for identity in strangers {
        let stream = start_tls(server.address).await;
        // A refusal in TLS 1.3 may show only at the first read.
        if let Ok(mut tls) = handshake(stream, &identity).await {
            assert!(tls.read_u8().await.is_err());
        }
    }

    // Without TLS every option but STARTTLS is refused, and the old way in drops the client.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.read_exact(&mut [0; GREETING_BYTES]).await.unwrap();
    stream.write_all(&CLIENT_FLAGS).await.unwrap();
    stream
        .write_all(b"IHAVEOPT\0\0\0\x03\0\0\0\0")
        .await
        .unwrap();
    let mut reply = [0; 20];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[12..16], [0x80, 0, 0, 5], "TLS is required");
    stream
        .write_all(b"IHAVEOPT\0\0\0\x01\0\0\0\0")
        .await
        .unwrap();
    let mut rest = Vec::new();
    assert!(
        stream
            .read_to_end(&mut rest)
            .await
            .map_or(true, |count| count < 152)
    );

    // Bytes between STARTTLS and the handshake must not count as having come under TLS.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.read_exact(&mut [0; GREETING_BYTES]).await.unwrap();
    let mut injected = CLIENT_FLAGS.to_vec();
    injected.extend_from_slice(&STARTTLS);
    injected.extend_from_slice(b"IHAVEOPT\0\0\0\x02\0\0\0\0");
    stream.write_all(&injected).await.unwrap();
    // The acknowledgement of STARTTLS at most, never an answer to what was injected.
    assert!(ends(&mut stream).await <= 20);

    server.stop.cancel();
    close(group).await;
    server.task.await.unwrap();
}

/// Reads to the end, however it comes; gives the number of bytes.
async fn ends(stream: &mut TcpStream) -> usize {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest).await {
        Ok(_) | Err(_) => rest.len(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_shown_to_the_next_client() {
    let authority = TestAuthority::new();
    let site = Site::new(Engine::Auto, 1);
    let group = site.start();
    let paths = authority.write_identity(Role::Capture, site.directory.path());
    let source = IdentitySource::load_from(paths.clone(), clock::wall()).unwrap();
    let server = serve(&group, source).await;
    authority.write_identity(Role::Capture, site.directory.path());
    let renewed = Identity::load_from(&paths, clock::wall()).unwrap();
    let client = authority.identity(Role::NbdClient);
    let shown = async {
        loop {
            let stream = start_tls(server.address).await;
            let tls = handshake(stream, &client).await.unwrap();
            if tls.get_ref().1.peer_certificates() == Some(renewed.certificates()) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(60), shown)
        .await
        .expect("the renewed certificate is never shown");
    server.stop.cancel();
    close(group).await;
    server.task.await.unwrap();
}
