//! The gateway as a process: what it refuses to start with, and how it ends.

use crate::{
    capture::Capture,
    receiver::{Receiver, Store},
    site::{Site, get},
};
use bcdr_format::StreamId;
use bcdr_gateway::role::GatewayError;
use bcdr_wire::feed::Refusal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_cannot_run_with_is_named_at_once() {
    let mut site = Site::new();
    let receivers = std::mem::take(&mut site.config.receivers);
    let error = site.spawn_gateway().ended().await.unwrap_err();
    assert!(matches!(error, GatewayError::NoReceiver), "{error}");
    site.config.receivers = receivers;

    let memory_bytes = std::mem::replace(&mut site.config.batch.memory_bytes, 100);
    let error = site.spawn_gateway().ended().await.unwrap_err();
    assert!(
        matches!(error, GatewayError::NoMemory { memory_bytes: 100 }),
        "{error}"
    );
    site.config.batch.memory_bytes = memory_bytes;

    let occupied = std::net::UdpSocket::bind(site.gateway_address).unwrap();
    let error = site.spawn_gateway().ended().await.unwrap_err();
    assert!(matches!(error, GatewayError::Transport(_)), "{error}");
    drop(occupied);

    let socket = site
        .config
        .local_api_socket
        .replace(site.directory.path().to_owned());
    let error = site.spawn_gateway().ended().await.unwrap_err();
    assert!(matches!(error, GatewayError::LocalApi(_)), "{error}");
    site.config.local_api_socket = socket;

    let first = site.start_gateway().await;
    let error = site.spawn_gateway().ended().await.unwrap_err();
    assert!(matches!(error, GatewayError::Lock(_)), "{error}");
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_state_is_damaged_is_named_and_left_out_and_others_go_on() {
    let mut site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let whole = site.stream;
    site.stream = StreamId::from_u128(99);
    let state = site.stream_directory().join("stream.json");
    std::fs::create_dir_all(site.stream_directory()).unwrap();
    std::fs::write(&state, "{\"group\"").unwrap();
    let damaged = site.stream.to_string();
    let gateway = site.start_gateway().await;
    let asked = Capture::new(&site, 52).try_connect(&site).await;
    assert!(matches!(asked, Some(Err(Refusal::NotReady { .. }))));

    site.stream = whole;
    let mut capture = Capture::new(&site, 53);
    capture.work(10);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    let named = |answer: &str| answer.contains(&damaged) && answer.contains("stream.json");
    site.until_answer("/readyz?verbose", named).await;
    site.until_answer("/status", named).await;
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "{\"group\"");
    gateway.stop().await;

    // With the file out of the way, what counts is whether captures are let in.
    receiver.stop().await;
    std::fs::remove_file(&state).unwrap();
    let gateway = site.start_gateway().await;
    let not_let_in = |answer: &str| answer.contains("no capture is let in");
    site.until_answer("/readyz", not_let_in).await;
    let receiver = Receiver::start(&site, &store).await;
    let ready = |answer: &str| answer.contains("\"ok\":true");
    site.until_answer("/readyz", ready).await;
    // The receiver may go again: what is taken in is kept.
    receiver.stop().await;
    let gone = |status: &serde_json::Value| status["receiver_connected"] == false;
    gateway.until("the receiver to be gone", gone).await;
    site.until_answer("/readyz", ready).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_in_the_middle_of_work_and_lets_go_of_everything() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let mut capture = Capture::new(&site, 51);
    for _ in 0..3 {
        let gateway = site.start_gateway().await;
        let mut feed = capture.connect(&site).await;
        capture.work(200);
        feed.send_all(&capture).await;
        gateway.stop().await;
        assert!(!site.config.local_api_socket.as_ref().unwrap().exists());
    }
    let gateway = site.start_gateway().await;
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert!(store.state().image == capture.model);
    assert_eq!(store.state().violations, Vec::<String>::new());

    let socket = site.config.local_api_socket.clone().unwrap();
    let metrics = get(&socket, "/metrics").await.unwrap();
    for name in ["bcdr_transport_bytes_total", "bcdr_gateway_waiting_bytes"] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
    gateway.stop().await;
    receiver.stop().await;
}
