//! Peers that must not be let in, and bytes that must not be believed.

use crate::{
    capture::Capture,
    receiver::{Receiver, Store},
    site::{Site, authority, identity, in_time},
};
use bcdr_format::{
    IncarnationOrdinal, InstallationId, Sequence, StreamId,
    record::{FEED_SEED, Record, RecordBody, VolumeRange},
};
use bcdr_gateway::clock;
use bcdr_wire::{
    feed::{FEED_VERSION, FromCapture, Refusal, ToCapture},
    frame::{FrameKind, FrameReader, decode_control, encode_header, send_control, write_frame},
    identity::{Identity, Role},
    transport::{Protocol, client_endpoint, connect, explain_close},
};

/// Connects and waits until the other side has ended it; says why.
async fn turned_away(site: &Site, peer: &Identity, protocol: Protocol) -> String {
    let endpoint = client_endpoint(site.gateway_address).unwrap();
    let connecting = connect(
        &endpoint,
        site.gateway_address,
        peer,
        protocol,
        Role::Gateway,
    );
    match in_time("an answer", connecting).await {
        Err(error) => error.to_string(),
        Ok((connection, _)) => {
            in_time("the end", connection.closed()).await;
            explain_close(&connection).unwrap().to_string()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_certificates_and_other_roles_are_not_let_in() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 41);
    capture.connect(&site).await.hang_up();
    for role in [Role::Gateway, Role::Cloud, Role::NbdClient, Role::ApiServer] {
        let reason = turned_away(&site, &site.identity(role), Protocol::Feed).await;
        assert!(reason.contains("does not accept us"), "{role}: {reason}");
    }
    // Another installation, and an authority that only claims to be ours.
    for installation in [InstallationId::from_u128(78), site.installation] {
        let foreign = identity(&authority(installation), Role::Capture, "intruder");
        turned_away(&site, &foreign, Protocol::Feed).await;
    }
    turned_away(&site, &site.identity(Role::Capture), Protocol::Ship).await;
    assert_eq!(store.state().batches.len(), 0);

    capture.work(10);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    gateway.stop().await;
    receiver.stop().await;
}

/// A cloned server with a good certificate of its own, or another group's capture, asks for a stream
/// that is not its own, as a later life of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_its_first_captures_until_an_operator_says_otherwise() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let mut gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 43);
    capture.work(10);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;

    let mut other = Capture::new(&site, 44);
    other.certificate = "clone".to_owned();
    other.open(9, None);
    for _ in 0..2 {
        let Some(Err(refusal @ Refusal::NotAllowed { .. })) = other.try_connect(&site).await else {
            panic!("another certificate was let in");
        };
        let text = refusal.to_string();
        for part in [
            "\"capture\"",
            "\"clone\"",
            "stream.json",
            &site.stream.to_string(),
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        // The stream's own capture notices nothing, and the binding outlives the process.
        capture.work(10);
        feed.send_all(&capture).await;
        feed.until_durable(&capture).await;
        feed.hang_up();
        gateway.stop().await;
        gateway = site.start_gateway().await;
        feed = capture.connect(&site).await;
    }
    assert!(store.state().image == capture.model);
    let status = gateway.status().await;
    assert_eq!(status["bound_to"], "capture");

    gateway.stop().await;
    feed.hang_up();
    let state = site.stream_directory().join("stream.json");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(
        &state,
        text.replace("\"capture\": \"capture\"", "\"capture\": \"clone\""),
    )
    .unwrap();
    let gateway = site.start_gateway().await;
    other.connect(&site).await.hang_up();
    let refused = capture.try_connect(&site).await;
    assert!(matches!(refused, Some(Err(Refusal::NotAllowed { .. }))));
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invented_streams_leave_nothing_behind() {
    let mut site = Site::new();
    let store = Store::new(&site);
    let (group, stream) = (site.group, site.stream);
    store.state().refuse_hellos = Some(Refusal::UnknownStream { group, stream });
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let capture = Capture::new(&site, 45);
    for number in 0..50 {
        site.stream = StreamId::from_u128(1000 + number);
        let refused = capture.try_connect(&site).await;
        assert!(matches!(refused, Some(Err(Refusal::NotReady { .. }))));
    }
    let none = |status: &serde_json::Value| status.is_null();
    gateway.until("all owners to be gone", none).await;
    let left = std::fs::read_dir(site.config.state_directory.join("streams")).unwrap();
    assert_eq!(left.count(), 0);
    gateway.stop().await;
    receiver.stop().await;
}

/// What a peer with a good certificate may send instead of what is due.
#[derive(Debug)]
enum Garbage {
    Bytes(Vec<u8>),
    Frame(FrameKind, Vec<u8>),
    Message(Box<FromCapture>),
}

fn record(sequence: u64, offset: u64) -> Vec<u8> {
    let range = VolumeRange {
        volume: bcdr_format::VolumeNumber(0),
        offset,
        length: 512,
    };
    let mut bytes = Vec::new();
    let record = Record {
        sequence: Sequence(sequence),
        captured_at: clock::wall(),
        body: RecordBody::Data {
            range,
            payload: vec![1u8; 512],
        },
    };
    record.encode(FEED_SEED, &mut bytes);
    bytes
}

fn garbage(site: &Site, capture: &Capture) -> Vec<Garbage> {
    let opening = capture.opening();
    let hello = |opening, version| FromCapture::Hello {
        version,
        group: site.group,
        stream: site.stream,
        opening: Some(opening),
        now: clock::wall(),
    };
    let mut damaged = record(1, 0);
    damaged[100] ^= 1;
    let claims_much = encode_header(FrameKind::Records, &[&vec![0; 20 << 20]]).unwrap();
    let mut nowhere = opening;
    nowhere.ordinal = IncarnationOrdinal(0);
    let mut endless = opening;
    endless.first = Sequence(u64::MAX);
    vec![
        Garbage::Bytes(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n".to_vec()),
        Garbage::Bytes(vec![0xff; 4096]),
        Garbage::Bytes(claims_much.to_vec()),
        Garbage::Frame(FrameKind::Control, vec![0xee; 100]),
        Garbage::Frame(FrameKind::Batch, vec![0; 100]),
        Garbage::Frame(FrameKind::Records, record(1, 0)),
        Garbage::Frame(FrameKind::Records, damaged),
        Garbage::Frame(FrameKind::Records, record(1, 0)[..500].to_vec()),
        Garbage::Frame(FrameKind::Records, record(u64::MAX, 0)),
        Garbage::Frame(FrameKind::Records, record(1, 7)),
        Garbage::Message(Box::new(FromCapture::Incarnation(nowhere))),
        Garbage::Message(Box::new(FromCapture::Incarnation(endless))),
        Garbage::Message(Box::new(hello(nowhere, FEED_VERSION))),
        Garbage::Message(Box::new(hello(opening, FEED_VERSION + 1))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_ends_its_session_and_nothing_else() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 42);
    capture.connect(&site).await.hang_up();
    // Before the hello, and after a good one.
    for piece in garbage(&site, &capture) {
        let endpoint = client_endpoint(site.gateway_address).unwrap();
        let peer = site.identity(Role::Capture);
        let address = site.gateway_address;
        let connecting = connect(&endpoint, address, &peer, Protocol::Feed, Role::Gateway);
        let (connection, _) = connecting.await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        throw(send, FrameReader::new(receive), &connection, &piece).await;

        let feed = capture.connect(&site).await;
        throw(feed.sender.send, feed.frames, &feed.connection, &piece).await;
    }
    assert_eq!(store.state().batches.len(), 0);
    capture.work(10);
    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.held, None);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

/// Sends it and waits for the end of the session.
async fn throw(
    mut send: quinn::SendStream,
    mut frames: FrameReader<quinn::RecvStream>,
    connection: &quinn::Connection,
    piece: &Garbage,
) {
    // The gateway may end the session while this is still being sent.
    let _sent = match piece {
        Garbage::Bytes(bytes) => send.write_all(bytes).await.is_ok(),
        Garbage::Frame(kind, payload) => write_frame(&mut send, *kind, &[payload]).await.is_ok(),
        Garbage::Message(message) => send_control(&mut send, message).await.is_ok(),
    };
    let _finished = send.finish();
    let what = format!("the end of the session after {piece:?}");
    let ended = async {
        while let Ok(frame) = frames.read_frame().await {
            let message: ToCapture = decode_control(&frame).unwrap();
            if let ToCapture::Refused(refusal) = message {
                let fits = matches!(
                    refusal,
                    Refusal::Discontinuous { .. } | Refusal::Version { .. }
                );
                assert!(fits, "{piece:?} was refused with {refusal}");
            }
        }
        connection.closed().await;
    };
    in_time(&what, ended).await;
}
