//! The local API: plain HTTP on a Unix socket, spoken by hand.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use axum::routing::get;
use axum::{Extension, Router};
use bcdr_http::{
    Detail, Health, Limits, LocalSocket, Metrics, Peer, PeerAddress, complete, health, serve_unix,
};
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_serves_and_is_gone_after_the_drain() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    let metrics = Metrics::new(prometheus::Registry::new(), "capture", "0").unwrap();
    let health = Health::new();
    let check = health.ready_check("journal");
    check.fail("the disk is full");
    let who = get(|Extension(peer): Extension<Peer>| async move {
        assert_eq!(peer.ip(), None);
        match peer.address {
            PeerAddress::Local {
                process: Some(process),
                ..
            } => process.to_string(),
            other => other.to_string(),
        }
    });
    let router = Router::new()
        .route("/who", who)
        .merge(health::routes(health, Detail::Reasons))
        .merge(metrics.routes());
    let socket = LocalSocket::bind(&path).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = complete(router, &metrics);
    let served = tokio::spawn(serve_unix(socket, router, Limits::default(), async {
        let _ = stopped.await;
    }));

    let client = path.clone();
    let answers = tokio::task::spawn_blocking(move || {
        ["/who", "/readyz", "/metrics", "/none"].map(|what| ask(&client, what))
    });
    let [who, ready, metrics, none] = answers.await.unwrap();
    assert!(
        who.ends_with(&format!("\r\n\r\n{}", std::process::id())),
        "{who}"
    );
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("the disk is full"),
        "{ready}"
    );
    assert!(
        metrics.contains("bcdr_build_info{role=\"capture\""),
        "{metrics}"
    );
    assert!(none.contains("application/problem+json"), "{none}");

    stop.send(()).unwrap();
    assert_eq!(served.await.unwrap().cut, 0);
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_goes_on_after_a_refusal_or_is_said_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    let metrics = Metrics::new(prometheus::Registry::new(), "capture", "0").unwrap();
    let router = complete(Router::new().route("/who", get(async || "you")), &metrics);
    let socket = LocalSocket::bind(&path).await.unwrap();
    let served = tokio::spawn(serve_unix(
        socket,
        router,
        Limits::default(),
        std::future::pending(),
    ));
    let client = path.clone();
    let said = tokio::task::spawn_blocking(move || {
        // Nothing reads the body of what is refused; it comes after the refusal could have been sent.
        let mut late = UnixStream::connect(&client).unwrap();
        late.write_all(b"POST /who HTTP/1.1\r\nhost: local\r\ncontent-length: 4\r\n\r\n")
            .unwrap();
        late.write_all(b"body").unwrap();
        late.write_all(b"GET /who HTTP/1.1\r\nhost: local\r\nconnection: close\r\n\r\n")
            .unwrap();
        let goes_on = rest_of(late);
        let ends = [
            "content-length: 4",
            "content-length: 4\r\nexpect: 100-continue",
        ]
        .map(|how| {
            let mut never = UnixStream::connect(&client).unwrap();
            let request = format!("POST /who HTTP/1.1\r\nhost: local\r\n{how}\r\n\r\n");
            never.write_all(request.as_bytes()).unwrap();
            rest_of(never)
        });
        (goes_on, ends)
    });
    let (goes_on, ends) = said.await.unwrap();
    assert!(goes_on.starts_with("HTTP/1.1 405"), "{goes_on}");
    assert!(goes_on.ends_with("\r\n\r\nyou"), "{goes_on}");
    for said in ends {
        assert!(said.starts_with("HTTP/1.1 405"), "{said}");
        assert!(said.contains("connection: close"), "{said}");
    }
    served.abort();
}

fn rest_of(mut stream: UnixStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ask(path: &std::path::Path, what: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    let request = format!("GET {what} HTTP/1.1\r\nhost: local\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
