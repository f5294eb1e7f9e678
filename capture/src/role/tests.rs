//! The whole role on temporary files: what is missing keeps nothing else from its clients.

mod orders;

use super::*;
use crate::{
    config::{GroupConfig, JournalConfig, VolumeConfig},
    ring::Engine,
    test_site::{Site, TestAuthority, VOLUME_BYTES, close},
};
use bcdr_format::{GroupId, StreamId, VolumeId};
use bcdr_nbd::client::{Client, ClientOptions};
use bcdr_wire::identity::Role as CertificateRole;
use bytes::Bytes;
use std::{fs::File, path::Path};

/// Tries until a volume is served.
async fn entered(socket: &Path) -> Client {
    loop {
        match Client::connect(socket, "", ClientOptions::default()).await {
            Ok(client) => return client,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// What an operator does before the first start.
fn prepared(config: &CaptureConfig) {
    crate::initial::prepare(&RealStorage::new(), config).unwrap();
}

/// What the local API says is not ready.
async fn readiness(socket: &Path) -> String {
    asked(socket, "/readyz").await
}

/// What the local API answers.
async fn asked(socket: &Path, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A check, as readiness names it.
fn named(part: &str) -> String {
    format!("\"name\":\"{part}\"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_identity_nor_another_group_nor_a_listener_keeps_a_volume_from_its_clients() {
    let mut site = Site::new(Engine::Auto, 1);
    let at = |name: &str| site.directory.path().join(name);
    let (late_disk, late_socket) = (at("late.img"), at("late.sock"));
    let api = at("api.sock");
    site.config.local_api_socket = Some(api.clone());
    // An address of documentation that no machine has.
    site.config.nbd_tcp_listen = Some("192.0.2.1:10809".parse().unwrap());
    let names = |name: &str| at("identity").join(name);
    site.config.identity.ca = names("ca.pem");
    site.config.identity.certificate = names("role.pem");
    site.config.identity.key = names("role.key");
    let late = GroupConfig {
        id: GroupId::from_u128(8),
        stream: StreamId::from_u128(9),
        name: "late".to_owned(),
        journal: JournalConfig {
            directory: None,
            segment_bytes: 24 << 20,
            segments: 16,
        },
        volumes: vec![VolumeConfig {
            id: VolumeId::from_u128(10),
            name: "late".to_owned(),
            path: late_disk.clone(),
            nbd_socket: late_socket.clone(),
        }],
    };
    site.config.groups.insert(0, late);
    let served = site.config.groups[1].volumes[0].nbd_socket.clone();
    let stop = CancellationToken::new();
    prepared(&site.config);
    let role = tokio::spawn(run(site.config.clone(), stop.clone()));

    let client = entered(&served).await;
    let bytes = Bytes::from(vec![5; 4096]);
    client.write(0, bytes, true).await.unwrap();
    let said = readiness(&api).await;
    for part in ["group late", "identity", "NBD over TLS"] {
        assert!(said.contains(&named(part)), "{part}: {said}");
    }

    let authority = TestAuthority::new();
    std::fs::create_dir(at("identity")).unwrap();
    authority.write_identity(CertificateRole::Capture, &at("identity"));
    File::create(&late_disk)
        .unwrap()
        .set_len(VOLUME_BYTES)
        .unwrap();
    let late = entered(&late_socket).await;
    assert_eq!(late.read(0, 512).await.unwrap()[..], [0; 512]);
    loop {
        let said = readiness(&api).await;
        assert!(said.contains(&named("NBD over TLS")), "{said}");
        if !said.contains(&named("identity")) && !said.contains(&named("group late")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop((client, late));
    stop.cancel();
    role.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_any_group_there_is_nothing_to_run() {
    let site = Site::new(Engine::Auto, 1);
    std::fs::remove_file(&site.config.groups[0].volumes[0].path).unwrap();
    prepared(&site.config);
    let error = run(site.config.clone(), CancellationToken::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("0.img"), "{error}");
}

/// The lock is let go only once the other group's volume was entered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_is_held_lets_no_other_group_wait() {
    let mut site = Site::new(Engine::Auto, 2);
    let group = site.config.groups[0].clone();
    let (mut held, mut other) = (group.clone(), group);
    held.volumes.truncate(1);
    other.volumes.remove(0);
    (other.id, other.stream) = (GroupId::from_u128(8), StreamId::from_u128(9));
    other.name = "other".to_owned();
    let lock = File::open(&held.volumes[0].path).unwrap();
    lock.lock().unwrap();
    let socket = other.volumes[0].nbd_socket.clone();
    site.config.groups = vec![held, other];
    prepared(&site.config);
    let config = site.config.clone();
    let starting = tokio::task::spawn_blocking(move || {
        let metrics = Metrics::new(Registry::new(), "capture", "test").unwrap();
        let context = GroupContext {
            storage: Arc::new(RealStorage::new()),
            clock: Clock::start(),
            metrics: CaptureMetrics::new(&metrics).unwrap(),
            lock_patience: group::LOCK_PATIENCE,
        };
        start_groups(&config, &context).unwrap()
    });
    drop(entered(&socket).await);
    lock.unlock().unwrap();
    let (_lock, started) = starting.await.unwrap();
    for (_, begun) in started {
        let Begun::Serving(group) = begun else {
            panic!("a group is not served")
        };
        close(*group).await;
    }
}
