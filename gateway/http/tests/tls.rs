//! Real clients over real TLS: what a role gets when it puts this crate's parts together.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

#[path = "tls/service.rs"]
mod service;

use std::io::{Read, Write};
use std::time::Duration;

use bcdr_http::{Drained, Limits, Problem, Role, Token};
use service::{Answer, Service};
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_valid_token_reads_and_writes() {
    let service = Service::start().await;
    let got = service
        .get("/api/v1/groups/7?limit=3", Some(&service.viewer))
        .await;
    assert_eq!(
        (got.status, got.body.as_str()),
        (200, r#"{"id":7,"limit":3}"#)
    );
    assert_eq!(got.header("content-type"), "application/json");
    let body = r#"{"name":"erp","volumes":2}"#;
    let made = service.post("/api/v1/groups", &service.admin, body).await;
    assert_eq!(
        (made.status, made.body.as_str()),
        (201, r#""erp by admin""#)
    );
    assert_eq!(service.stop().await.cut, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_wrong_and_weak_tokens_are_refused() {
    let service = Service::start().await;
    let missing = service.get("/api/v1/groups/7", None).await;
    assert_eq!(missing.problem(401).code, "token_missing");
    assert_eq!(missing.header("www-authenticate"), r#"Bearer realm="bcdr""#);

    let unknown = Token::generate().unwrap();
    let wrong = service.get("/api/v1/groups/7", Some(&unknown)).await;
    assert_eq!(wrong.problem(401).code, "token_invalid");
    assert_eq!(
        wrong.header("www-authenticate"),
        r#"Bearer realm="bcdr", error="invalid_token""#
    );
    for _ in 0..5 {
        service
            .get("/api/v1/groups/7", Some(&unknown))
            .await
            .problem(401);
    }
    let throttled = service.get("/api/v1/groups/7", Some(&unknown)).await;
    assert_eq!(throttled.problem(429).code, "too_many_failures");
    assert_eq!(throttled.header("retry-after"), "1");

    let weak = service.post("/api/v1/groups", &service.viewer, "{}").await;
    let problem = weak.problem(403);
    assert_eq!(
        problem.detail,
        "viewer has the role viewer, which lacks the permission protect"
    );
    assert_eq!(Role::Viewer.to_string(), "viewer");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_requests_are_problems_that_name_field_and_request() {
    let service = Service::start().await;
    let post = async |body: &str| service.post("/api/v1/groups", &service.admin, body).await;

    let broken = post("{").await.problem(400);
    assert_eq!(broken.code, "malformed_json");
    let unknown = post(r#"{"name":"erp","volumes":2,"volume":3}"#).await;
    let problem = unknown.problem(422);
    assert_eq!(problem.field.as_deref(), Some("volume"));
    assert_eq!(problem.type_, "urn:bcdr:problem:invalid_request");
    assert_eq!(
        problem.request_id.as_deref(),
        Some(unknown.header("x-request-id"))
    );
    assert_eq!(unknown.header("content-type"), "application/problem+json");
    assert_eq!(unknown.header("x-content-type-options"), "nosniff");
    assert_eq!(unknown.header("cache-control"), "no-store");
    let wrong = post(r#"{"name":"erp","volumes":-1}"#).await.problem(422);
    assert_eq!(wrong.field.as_deref(), Some("volumes"));
    let oversize = format!(
        r#"{{"name":"{}","volumes":1}}"#,
        "x".repeat(bcdr_http::DEFAULT_BODY_LIMIT)
    );
    assert_eq!(post(&oversize).await.problem(413).code, "body_too_large");

    let get = async |path: &str| service.get(path, Some(&service.admin)).await;
    let path = get("/api/v1/groups/seven").await.problem(400);
    assert_eq!(path.field.as_deref(), Some("id"));
    assert!(path.cause.as_deref().unwrap().contains("seven"), "{path:?}");
    let query = get("/api/v1/groups/7?limit=3&ofset=1").await.problem(422);
    assert_eq!(query.field.as_deref(), Some("ofset"));
    assert_eq!(get("/nowhere").await.problem(404).code, "no_such_path");
    let method = service.post("/api/v1/groups/7", &service.admin, "{}").await;
    assert_eq!(method.problem(405).code, "method_not_allowed");
    assert_eq!(method.header("allow"), "GET,HEAD");
    let panicked = get("/api/v1/panic").await.problem(500);
    assert_eq!(
        panicked.cause.as_deref(),
        Some("the handler panicked: planned")
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_metrics_need_no_token() {
    let service = Service::start().await;
    let check = service.health.ready_check("journal");
    check.fail("/var/lib/x is full");
    assert_eq!(service.get("/livez", None).await.status, 200);
    let bad = service.get("/readyz", None).await;
    assert_eq!(
        (bad.status, bad.body.as_str()),
        (
            503,
            r#"{"ok":false,"checks":[{"name":"journal","ok":false,"reason":"shown on the local socket"}]}"#
        )
    );
    check.pass();
    let good = service.get("/readyz?verbose", None).await;
    assert_eq!(
        (good.status, good.body.as_str()),
        (
            200,
            r#"{"ok":true,"checks":[{"name":"journal","ok":true}]}"#
        )
    );
    service.get("/nowhere", None).await;
    service.get("/api/v1/groups/7", Some(&service.admin)).await;
    let metrics = service.get("/metrics", None).await;
    for line in [
        r#"bcdr_http_request_duration_seconds_count{method="GET",route="none",status="404"} 1"#,
        r#"bcdr_http_request_duration_seconds_count{method="GET",route="/api/v1/groups/{id}",status="200"} 1"#,
        r#"bcdr_build_info{role="test",version="0"} 1"#,
    ] {
        assert!(
            metrics.body.contains(line),
            "{line} is not in {}",
            metrics.body
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_shakes_hands_blocks_nobody_and_is_dropped() {
    let limits = Limits {
        handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    let service = Service::start_with(limits).await;
    let silent = std::net::TcpStream::connect(service.address).unwrap();
    let served = service.get("/api/v1/groups/7", Some(&service.admin)).await;
    assert_eq!(served.status, 200);
    // Ends only because the server closes.
    let ended = tokio::task::spawn_blocking(move || (&silent).read(&mut [0; 1]))
        .await
        .unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_never_end_are_dropped() {
    let limits = Limits {
        header_read: Duration::from_millis(300),
        ..Limits::default()
    };
    let service = Service::start_with(limits).await;
    let mut stream = service.connect().await;
    let ended = tokio::task::spawn_blocking(move || {
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n")
            .unwrap();
        stream.read(&mut [0; 1])
    });
    let ended = ended.await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_text_gets_no_answer() {
    let service = Service::start().await;
    let address = service.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    });
    let answer = answer.await.unwrap();
    assert!(!answer.windows(4).any(|part| part == b"HTTP"), "{answer:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_cap_wait_for_a_slot() {
    let service = Service::start_with(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let mut holder = service.connect().await;
    let (address, client) = (service.address, service.client.clone());
    let (connected, mut second) = oneshot::channel();
    std::thread::spawn(move || {
        let stream = service::handshake(address, &client);
        let _ = connected.send(stream);
    });
    let holder = tokio::task::spawn_blocking(move || {
        for _ in 0..50 {
            holder
                .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            let mut answer = [0; 4096];
            assert!(holder.read(&mut answer).unwrap() > 0);
        }
        holder
    });
    let holder = holder.await.unwrap();
    assert!(second.try_recv().is_err(), "the second connection got in");
    drop(holder);
    second.await.unwrap();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_lets_a_running_request_end_and_takes_no_new_connection() {
    let mut service = Service::start().await;
    let running = tokio::spawn(service.request("/api/v1/slow", Some(&service.admin)));
    service.entered().await;
    service.order_stop();
    service.refused().await;
    service.release();
    let answer: Answer = running.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    // The probes for the refusal may have been accepted too, so "at least".
    let drained = service.stop().await;
    assert!(drained.finished >= 1 && drained.cut == 0, "{drained:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_outlasts_the_drain_is_cut_and_counted() {
    let limits = Limits {
        drain: Duration::from_millis(100),
        ..Limits::default()
    };
    let service = Service::start_with(limits).await;
    let running = tokio::spawn(service.request("/api/v1/slow", Some(&service.admin)));
    service.entered().await;
    assert_eq!(
        service.stop().await,
        Drained {
            finished: 0,
            cut: 1
        }
    );
    assert!(running.await.is_err(), "the request was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_serves_new_connections() {
    let mut service = Service::start().await;
    assert_eq!(service.get("/livez", None).await.status, 200);
    service.change_certificate();
    assert_eq!(service.get("/livez", None).await.status, 200);
    service.stop().await;
}

#[test]
fn a_problem_reads_back_from_what_a_peer_sent() {
    let text = r#"{"type":"urn:bcdr:problem:x","title":"t","status":409,"code":"x","detail":"d",
        "allowed_actions":[{"name":"resume","allowed":true}]}"#;
    let problem: Problem = serde_json::from_str(text).unwrap();
    assert_eq!(problem.allowed_actions.as_ref().unwrap()[0].name, "resume");
    assert_eq!(problem.to_string(), "d");
}
