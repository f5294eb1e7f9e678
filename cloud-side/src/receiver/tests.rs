//! Sessions against a scripted gateway over real connections.

use crate::testing::{
    gateway::Gateway,
    site::Site,
    source::{Extra, Source, VOLUME_BYTES},
};
use bcdr_format::{
    Generation, InstallationId, StreamId, VolumeNumber,
    record::{Beat, Member},
};
use bcdr_wire::{
    feed::Refusal,
    frame::FrameKind,
    identity::Role,
    seal::InstallationKey,
    ship::{FromGateway, SHIP_VERSION, ToGateway},
    transport::{Protocol, client_endpoint, connect, explain_close},
};
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;

mod given_back;

async fn shown(site: &Site) -> serde_json::Value {
    site.get("/api/v1/groups/lab").await.expect(200)
}

#[tokio::test]
async fn batches_are_acknowledged_and_held_over_a_restart() {
    let mut site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    assert_eq!(gateway.welcome.as_ref().unwrap().held, None);
    let first = source.batch(0, 1);
    gateway.ship(&first).await;
    assert_eq!(gateway.durable(source.end()).await, Some(source.end()));
    let second = source.batch(1, 2);
    gateway.ship(&second).await;
    assert_eq!(gateway.durable(source.end()).await, Some(source.end()));
    site.stop().await;
    site.resume().await;
    let again = Gateway::connect(&site, &source).await;
    let welcome = again.welcome.clone().unwrap();
    assert_eq!(welcome.held.unwrap().position, source.end());
    assert_eq!(welcome.chain, source.chain);
    assert!(!welcome.key_missing);
}

#[tokio::test]
async fn a_replayed_batch_is_acknowledged_and_kept_once() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    let points = site.get("/api/v1/groups/lab/points").await.expect(200);
    assert_eq!(points["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_mac_is_refused_and_nothing_is_kept() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let empty = source.unauthenticated(Some((0, 1)), Extra::default());
    gateway.ship(&empty).await;
    let refusal = gateway.refusal().await;
    assert!(matches!(refusal, Refusal::NotAllowed { .. }), "{refusal}");
    assert!(shown(&site).await["positions"]["durable"].is_null());
    let (gateway, refusal) = Gateway::hello(&site, &source).await;
    assert_eq!(refusal, None);
    assert_eq!(gateway.welcome.unwrap().held, None);
}

#[tokio::test]
async fn a_broken_chain_within_a_session_asks_for_another_hello() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    let held = source.end();
    gateway.durable(held).await;
    source.chain = [9; 32];
    let batch = source.batch(1, 1);
    gateway.ship(&batch).await;
    let refusal = gateway.refusal().await;
    assert!(
        matches!(refusal, Refusal::Discontinuous { .. }),
        "{refusal}"
    );
    assert_eq!(shown(&site).await["positions"]["durable"], held.to_string());
}

#[tokio::test]
async fn a_batch_under_an_untold_data_key_is_refused() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let (mut gateway, _) = Gateway::hello(&site, &source).await;
    gateway
        .say(&FromGateway::InstallationKey(source.key.to_bytes()))
        .await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    let refusal = gateway.refusal().await;
    assert!(
        matches!(&refusal, Refusal::Discontinuous { reason } if reason.contains("key-")),
        "{refusal}"
    );
}

#[tokio::test]
async fn another_installation_key_is_refused() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    source.key = Arc::new(InstallationKey::generate().unwrap());
    let (mut other, _) = Gateway::hello(&site, &source).await;
    other.tell_key(&source).await;
    let refusal = other.refusal().await;
    assert!(
        matches!(&refusal, Refusal::NotAllowed { reason, .. } if reason.contains("installation key")),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_certificate_of_another_role_is_not_let_in() {
    let site = Site::start().await;
    let identity = site.identity(Role::Capture, "capture");
    let address = site.ship_address();
    let endpoint = client_endpoint(address).unwrap();
    let connected = connect(&endpoint, address, &identity, Protocol::Ship, Role::Cloud).await;
    // The server checks our certificate after this side is done.
    let error = match connected {
        Err(error) => error,
        Ok((connection, _)) => {
            connection.closed().await;
            explain_close(&connection).expect("the connection was refused")
        }
    };
    let told = error.to_string();
    assert!(
        told.contains("certificate") || told.contains("role"),
        "{told}"
    );
}

#[tokio::test]
async fn an_older_generation_is_fenced_off() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    source.generation = Generation(0);
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    assert_eq!(
        gateway.refusal().await,
        Refusal::Fenced {
            offered: Generation(0),
            current: Generation(1)
        }
    );
}

#[tokio::test]
async fn a_new_session_replaces_the_old_one() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut old = Gateway::connect(&site, &source).await;
    let first = source.batch(0, 1);
    old.ship(&first).await;
    let held = source.end();
    old.durable(held).await;
    let mut new = Gateway::connect(&site, &source).await;
    assert_eq!(new.welcome.as_ref().unwrap().held.unwrap().position, held);
    assert_eq!(old.refusal().await, Refusal::Replaced);
    let second = source.batch(1, 2);
    new.ship(&second).await;
    new.durable(source.end()).await;
}

#[tokio::test]
async fn a_truncated_frame_leaves_the_store_as_it_was() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let first = source.batch(0, 1);
    gateway.ship(&first).await;
    let held = source.end();
    gateway.durable(held).await;
    let second = source.batch(1, 2);
    let mut framed = Vec::new();
    bcdr_wire::frame::write_frame(&mut framed, FrameKind::Batch, &[&second])
        .await
        .unwrap();
    gateway
        .to_receiver
        .write_all(&framed[..framed.len() / 2])
        .await
        .unwrap();
    gateway.to_receiver.flush().await.unwrap();
    gateway.to_receiver.finish().unwrap();
    gateway.connection.closed().await;
    let mut again = Gateway::connect(&site, &source).await;
    assert_eq!(again.welcome.as_ref().unwrap().held.unwrap().position, held);
    again.ship(&second).await;
    again.durable(source.end()).await;
}

#[tokio::test]
async fn a_damaged_batch_and_a_gap_ask_for_another_hello() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let mut damaged = source.batch(0, 1).to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    gateway.ship(&damaged).await;
    let refusal = gateway.refusal().await;
    assert!(
        matches!(refusal, Refusal::Discontinuous { .. }),
        "{refusal}"
    );
    let mut source = Source::new(
        site.made.installation,
        source.group,
        source.stream,
        source.member.id,
    );
    // The first session's key was stored.
    let stored = Gateway::hello(&site, &source).await.0.welcome.unwrap();
    assert!(!stored.key_missing);
    let _lost = source.batch(0, 1);
    let later = source.batch(1, 1);
    let (mut gateway, _) = Gateway::hello(&site, &source).await;
    gateway.ship(&later).await;
    let refusal = gateway.refusal().await;
    assert!(
        matches!(refusal, Refusal::Discontinuous { .. }),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_volume_of_another_size_is_refused_by_name() {
    let site = Site::start().await;
    let mut source = site.group().await;
    source.member.size_bytes *= 2;
    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    let refusal = gateway.refusal().await;
    assert!(
        matches!(&refusal, Refusal::NotAllowed { reason, .. } if reason.contains("volume root has")),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_capture_that_lists_only_some_of_the_volumes_is_refused_by_name() {
    let site = Site::start().await;
    let volume = |name| serde_json::json!({"name": name, "size_bytes": VOLUME_BYTES});
    let volumes = [volume("root"), volume("data")];
    let wanted = serde_json::json!({"name": "lab", "volumes": volumes});
    let group = site.post("/api/v1/groups", wanted).await.expect(201);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let source = || {
        Source::new(
            site.made.installation,
            text(&group["id"]).parse().unwrap(),
            text(&group["stream"]).parse().unwrap(),
            text(&group["volumes"][0]["id"]).parse().unwrap(),
        )
    };
    let refused = async |mut source: Source, words: &str| {
        let mut gateway = Gateway::connect(&site, &source).await;
        let batch = source.batch(0, 1);
        gateway.ship(&batch).await;
        let refusal = gateway.refusal().await;
        let Refusal::NotAllowed { reason, .. } = &refusal else {
            panic!("{refusal}");
        };
        assert!(reason.contains(words), "{reason}");
        assert!(reason.contains("capture's configuration"), "{reason}");
        assert!(shown(&site).await["positions"]["durable"].is_null());
    };
    let mut whole = source();
    let data = Member {
        number: VolumeNumber(1),
        id: text(&group["volumes"][1]["id"]).parse().unwrap(),
        ..whole.member
    };
    let mut same = source();
    same.key = Arc::clone(&whole.key);
    same.others = vec![Member {
        number: VolumeNumber(1),
        ..same.member
    }];
    let mut some = source();
    some.key = Arc::clone(&whole.key);
    refused(some, "volume data of group lab is not among").await;
    refused(same, "volume root is told of twice").await;
    whole.others = vec![data];
    let mut gateway = Gateway::connect(&site, &whole).await;
    let batch = whole.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(whole.end()).await;
}

#[tokio::test]
async fn hellos_that_fit_nothing_are_refused() {
    let site = Site::start().await;
    let source = site.group().await;
    let hello = |version, installation, stream| FromGateway::Hello {
        version,
        installation,
        group: source.group,
        stream,
        now: crate::clock::wall(),
    };
    let ours = site.made.installation;
    let (_, refusal) = Gateway::hello_with(&site, hello(99, ours, source.stream)).await;
    assert!(matches!(
        refusal,
        Some(Refusal::Version { offered: 99, .. })
    ));
    let other = InstallationId::from_u128(1);
    let (_, refusal) = Gateway::hello_with(&site, hello(SHIP_VERSION, other, source.stream)).await;
    assert!(matches!(refusal, Some(Refusal::NotAllowed { .. })));
    let stream = StreamId::from_u128(1);
    let (_, refusal) = Gateway::hello_with(&site, hello(SHIP_VERSION, ours, stream)).await;
    assert!(matches!(refusal, Some(Refusal::UnknownStream { .. })));
}

#[tokio::test]
async fn beats_come_back_as_the_measured_age() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let before = shown(&site).await;
    assert!(before["rpo_seconds"].is_null(), "{before}");
    assert_eq!(before["rpo_known"], false);
    let beat = loop {
        if let Some(ToGateway::Beat(beat)) = gateway.hear().await {
            break beat;
        }
    };
    let extra = Extra {
        beat: Some(beat),
        ..Extra::default()
    };
    let batch = source.batch_with(Some((0, 1)), extra);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    let young = shown(&site).await["rpo_seconds"].as_f64().unwrap();
    // A heartbeat with an older beat must not make the point look younger.
    let old = Beat {
        receiver_nanoseconds: beat.receiver_nanoseconds - 3_600_000_000_000,
        ..beat
    };
    let extra = Extra {
        beat: Some(old),
        ..Extra::default()
    };
    let heartbeat = source.batch_with(None, extra);
    gateway.ship(&heartbeat).await;
    gateway.durable(source.end()).await;
    let aged = shown(&site).await["rpo_seconds"].as_f64().unwrap();
    assert!(aged >= 3600.0 && young < 3600.0, "{young} then {aged}");
}
