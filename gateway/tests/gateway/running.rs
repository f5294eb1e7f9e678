//! The gateway as a process: what it refuses to start with, and how it ends.

use crate::{
    capture::Capture,
    receiver::{Receiver, Store},
    site::{Site, get},
};
use bcdr_gateway::role::GatewayError;

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

    let streams = site
        .config
        .state_directory
        .join("streams")
        .join(site.stream.to_string());
    std::fs::create_dir_all(&streams).unwrap();
    std::fs::write(streams.join("stream.json"), "{\"group\"").unwrap();
    let error = site.spawn_gateway().ended().await.unwrap_err().to_string();
    assert!(error.contains("stream.json"), "{error}");
    std::fs::remove_file(streams.join("stream.json")).unwrap();

    let first = site.start_gateway().await;
    let error = site.spawn_gateway().ended().await.unwrap_err();
    assert!(matches!(error, GatewayError::Lock(_)), "{error}");
    first.stop().await;
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
