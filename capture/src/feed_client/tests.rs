//! The feed against a gateway that the test plays: real QUIC, a real group, scripted answers.

use std::{collections::BTreeMap, net::Ipv4Addr};

use bcdr_disk::RealStorage;
use bcdr_format::{
    GroupId, IncarnationId, MarkerId, Opening, Sequence, StreamId,
    position::Generation,
    record::{
        FEED_SEED, Marker, MarkerKind, RECORD_HEADER_BYTES, Record, RecordBody, assemble,
        decode_header,
    },
};
use bcdr_wire::{
    feed::{CaptureReport, FEED_VERSION, FromCapture},
    frame::{FrameKind, FrameReader, decode_control, send_control},
    identity::Role,
    transport::{self, CloseCode, Protocol},
};
use bytes::Bytes;
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use super::*;
use crate::{
    group::RunningGroup,
    ring::Engine,
    test_site::{Site, TestAuthority, VOLUME_BYTES, close, is_continuous, until},
};

/// A gateway in the hands of a test.
struct Gateway {
    endpoint: Endpoint,
}

/// One session of a capture with it.
struct Session {
    hello: Opening,
    send: SendStream,
    reader: FrameReader<RecvStream>,
    opening: Option<Opening>,
    next: Option<Sequence>,
    connection: Connection,
}

/// What a gateway received.
enum Heard {
    Opening(Opening),
    Records(Vec<Record<Vec<u8>>>),
    Report(CaptureReport),
}

impl Gateway {
    fn new(authority: &TestAuthority) -> (Self, SocketAddr) {
        let identity = authority.identity(Role::Gateway);
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let accepted = [Role::Capture];
        let endpoint =
            transport::server_endpoint(address, &identity, &accepted, Protocol::Feed).unwrap();
        let address = endpoint.local_addr().unwrap();
        (Self { endpoint }, address)
    }

    /// The next capture's hello.
    async fn called(&self) -> Session {
        let incoming = self.endpoint.accept().await.unwrap();
        let (connection, _) = transport::accept(incoming).await.unwrap();
        let (send, receive) = connection.accept_bi().await.unwrap();
        let mut reader = FrameReader::new(receive);
        let frame = reader.read_frame().await.unwrap();
        let FromCapture::Hello {
            version,
            group,
            stream,
            opening,
            ..
        } = decode_control(&frame).unwrap()
        else {
            panic!("no hello")
        };
        assert_eq!((version, group), (FEED_VERSION, GroupId::from_u128(1)));
        assert_eq!(stream, StreamId::from_u128(2));
        Session {
            hello: opening.unwrap(),
            send,
            reader,
            opening: None,
            next: None,
            connection,
        }
    }
}

impl Session {
    async fn say(&mut self, message: ToCapture) {
        send_control(&mut self.send, &message).await.unwrap();
    }

    async fn welcome(&mut self, held: Option<Held>) {
        let (version, generation, now) = (FEED_VERSION, Generation::FIRST, clock::wall());
        self.say(ToCapture::Welcome {
            version,
            held,
            fork: None,
            order: bcdr_wire::order::SourceOrder {
                generation,
                duty: bcdr_wire::order::Duty::Serve,
            },
            now,
        })
        .await;
        // The next record follows what is held, unless another life begins.
        self.next = held.map(|held| held.position.sequence.next());
    }

    /// The next message, after checking that records follow one another.
    async fn hear(&mut self) -> Heard {
        let frame = self.reader.read_frame().await.unwrap();
        if frame.kind == FrameKind::Control {
            return match decode_control(&frame).unwrap() {
                FromCapture::Incarnation(opening) => {
                    if self.opening.is_some() || self.next.is_none() {
                        self.next = Some(opening.first);
                    }
                    self.opening = Some(opening);
                    Heard::Opening(opening)
                }
                FromCapture::Report(report) => Heard::Report(report),
                FromCapture::Hello { .. } => panic!("a second hello"),
            };
        }
        assert_eq!(frame.kind, FrameKind::Records);
        assert!(self.opening.is_some(), "records of an unknown life");
        let records = decode(&frame.payload);
        for record in &records {
            let next = self.next.replace(record.sequence.next());
            assert_eq!(next, Some(record.sequence), "a gap or a repetition");
        }
        Heard::Records(records)
    }

    fn position(&self) -> Option<Held> {
        let (opening, next) = (self.opening?, self.next?);
        let position = Position::new(opening.ordinal, next.previous());
        Some(Held {
            position,
            id: opening.id,
        })
    }
}

fn decode(mut bytes: &[u8]) -> Vec<Record<Vec<u8>>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let header = decode_header(bytes, FEED_SEED).unwrap();
        let end = RECORD_HEADER_BYTES + header.payload_length();
        let payload = bytes[RECORD_HEADER_BYTES..end].to_vec();
        records.push(assemble(&header, payload).unwrap());
        bytes = &bytes[end..];
    }
    records
}

/// Volumes as the records describe them.
#[derive(Default)]
struct Replica {
    volumes: BTreeMap<u16, Vec<u8>>,
    markers: Vec<Marker>,
    syncing: bool,
}

impl Replica {
    fn apply(&mut self, records: Vec<Record<Vec<u8>>>) {
        for record in records {
            match &record.body {
                RecordBody::Marker(marker) => self.markers.push(marker.clone()),
                RecordBody::Sync(event) => {
                    self.syncing = matches!(event, bcdr_format::sync::SyncEvent::Begin { .. });
                }
                _ => {}
            }
            let Some(range) = record.body.range() else {
                continue;
            };
            let volume = self
                .volumes
                .entry(range.volume.0)
                .or_insert_with(|| vec![0xee; VOLUME_BYTES as usize]);
            let target = &mut volume[range.offset as usize..range.end() as usize];
            match record.body.payload() {
                Some(payload) => target.copy_from_slice(payload),
                None => target.fill(0),
            }
        }
    }

    /// Hears until the volume looks like this and no interval is open.
    async fn catch_up(&mut self, session: &mut Session, volume: u16, disk: &[u8]) {
        loop {
            if !self.syncing && self.volumes.get(&volume).is_some_and(|found| found == disk) {
                return;
            }
            if let Heard::Records(records) = session.hear().await {
                self.apply(records);
            }
        }
    }
}

struct Feed {
    stop: CancellationToken,
    task: JoinHandle<()>,
    shown: watch::Receiver<FeedStatus>,
}

fn start_feed(
    group: &mut RunningGroup,
    identity: impl Into<IdentitySource>,
    gateways: Vec<SocketAddr>,
) -> Feed {
    let input = group.feed.take().unwrap();
    let (shown, watched) = watch::channel(FeedStatus::default());
    let client = FeedClient::new(FeedParts {
        description: group.description.clone(),
        identity: identity.into(),
        gateways,
        history: input.history,
        items: input.items,
        backlog: input.backlog,
        group: group.handle.clone(),
        status: group.status.clone(),
        journal: input.journal,
        storage: Arc::new(RealStorage::new()),
        direct: input.direct,
        shown,
        metrics: group.metrics.clone(),
    });
    let stop = CancellationToken::new();
    Feed {
        task: tokio::spawn(client.run(stop.clone())),
        stop,
        shown: watched,
    }
}

async fn finish(feed: Feed, group: RunningGroup) {
    feed.stop.cancel();
    feed.task.await.unwrap();
    close(group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_fed_and_its_commands_are_obeyed() {
    let authority = TestAuthority::new();
    let (gateway, address) = Gateway::new(&authority);
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    // The first gateway of the list does not answer at all.
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let gateways = vec![address, dead.local_addr().unwrap()];
    let mut feed = start_feed(&mut group, authority.identity(Role::Capture), gateways);
    let mut session = gateway.called().await;
    session.welcome(None).await;
    let mut replica = Replica::default();
    let client = site.client(0).await;
    client
        .write(0, Bytes::from(vec![1; 5 << 20]), false)
        .await
        .unwrap();
    client
        .write(512, Bytes::from(vec![2; 1024]), true)
        .await
        .unwrap();
    let disk = site.contents(0);
    replica.catch_up(&mut session, 0, &disk).await;
    assert_eq!(session.opening, Some(session.hello));

    let marker = Marker {
        id: MarkerId::from_u128(9),
        kind: MarkerKind::Bookmark,
        label: "before".to_owned(),
    };
    session.say(ToCapture::PlaceMarker(marker.clone())).await;
    while replica.markers.is_empty() {
        match session.hear().await {
            Heard::Records(records) => replica.apply(records),
            Heard::Report(report) => assert_eq!(report.volumes[0].size_bytes, VOLUME_BYTES),
            Heard::Opening(opening) => panic!("{opening:?}"),
        }
    }
    assert_eq!(replica.markers, [marker]);

    // L3 frees the journal as far as whole segments go, and is shown.
    let durable = session.position().map(|held| held.position);
    let acknowledged = Acknowledged {
        durable,
        ..Acknowledged::default()
    };
    session.say(ToCapture::Acknowledged(acknowledged)).await;
    feed.shown
        .wait_for(|shown| shown.acknowledged == acknowledged)
        .await
        .unwrap();
    finish(feed, group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_gateway_is_called_again_and_gets_what_it_lacks() {
    let authority = TestAuthority::new();
    let (gateway, address) = Gateway::new(&authority);
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let feed = start_feed(&mut group, authority.identity(Role::Capture), vec![address]);
    let client = site.client(0).await;
    let mut replica = Replica::default();
    let mut held = None;
    for round in 0..4_u8 {
        let mut session = gateway.called().await;
        session.welcome(held).await;
        let data = Bytes::from(vec![round + 1; 1 << 20]);
        client
            .write(u64::from(round) << 20, data, false)
            .await
            .unwrap();
        replica.catch_up(&mut session, 0, &site.contents(0)).await;
        held = session.position();
        // Either side may be the one that goes.
        session.connection.close(0_u32.into(), b"gone");
    }
    // Held is older than what the tail in memory covers: more than it holds is written meanwhile.
    for round in 0..48_u64 {
        let data = Bytes::from(vec![round as u8 + 100; 1 << 20]);
        client.write((round % 8) << 20, data, false).await.unwrap();
    }
    until(&mut group, |status| {
        status.tap.settled == status.tap.sequenced
    })
    .await;
    let mut session = gateway.called().await;
    session.welcome(held).await;
    replica.catch_up(&mut session, 0, &site.contents(0)).await;
    finish(feed, group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_with_another_history_gets_everything_in_a_new_life() {
    let authority = TestAuthority::new();
    let (gateway, address) = Gateway::new(&authority);
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let client = site.client(0).await;
    client
        .write(0, Bytes::from(vec![1; 1 << 20]), false)
        .await
        .unwrap();
    until(&mut group, is_continuous).await;
    let feed = start_feed(&mut group, authority.identity(Role::Capture), vec![address]);
    let mut session = gateway.called().await;
    assert_eq!(session.hello.ordinal, IncarnationOrdinal(1));
    let foreign = Held {
        position: Position::new(IncarnationOrdinal(5), Sequence(1000)),
        id: IncarnationId::from_u128(5),
    };
    session.welcome(Some(foreign)).await;
    session.next = None;
    let mut replica = Replica::default();
    replica.catch_up(&mut session, 0, &site.contents(0)).await;
    assert_eq!(
        session.opening.map(|opening| opening.ordinal),
        Some(IncarnationOrdinal(6))
    );

    // The same, told by a refusal: the next hello comes from a life above.
    session.connection.close(0_u32.into(), b"gone");
    let mut session = gateway.called().await;
    assert_eq!(session.hello.ordinal, IncarnationOrdinal(6));
    session
        .say(ToCapture::Refused(Refusal::Superseded {
            highest: IncarnationOrdinal(8),
        }))
        .await;
    let mut session = gateway.called().await;
    assert_eq!(session.hello.ordinal, IncarnationOrdinal(9));
    session.welcome(None).await;
    let mut replica = Replica::default();
    replica.catch_up(&mut session, 0, &site.contents(0)).await;
    finish(feed, group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_are_served_while_no_gateway_answers_or_all_refuse() {
    let authority = TestAuthority::new();
    let (gateway, address) = Gateway::new(&authority);
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let mut feed = start_feed(&mut group, authority.identity(Role::Capture), vec![address]);
    let mut session = gateway.called().await;
    let reason = "the spool is full".to_owned();
    session
        .say(ToCapture::Refused(Refusal::NotReady {
            reason: reason.clone(),
        }))
        .await;
    let client = site.client(0).await;
    client
        .write(0, Bytes::from(vec![1; 4096]), true)
        .await
        .unwrap();
    let told = |shown: &FeedStatus| {
        shown
            .last_error
            .as_ref()
            .is_some_and(|why| why.contains(&reason))
    };
    feed.shown.wait_for(told).await.unwrap();
    assert!(!feed.shown.borrow().connected);
    let mut session = gateway.called().await;
    session.welcome(None).await;
    feed.shown.wait_for(|shown| shown.connected).await.unwrap();
    finish(feed, group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_called_again_is_shown_a_renewed_certificate() {
    let authority = TestAuthority::new();
    let (gateway, address) = Gateway::new(&authority);
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let paths = authority.write_identity(Role::Capture, site.directory.path());
    let source = IdentitySource::load_from(paths, clock::wall()).unwrap();
    let first = source.current();
    let feed = start_feed(&mut group, source.clone(), vec![address]);
    let shown = |session: &Session| {
        let shown = session.connection.peer_identity().unwrap();
        shown
            .downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>()
            .unwrap()
    };
    let session = gateway.called().await;
    assert_eq!(*shown(&session), first.certificates());
    authority.write_identity(Role::Capture, site.directory.path());
    transport::close(&session.connection, CloseCode::Done, "over");
    let session = gateway.called().await;
    assert_ne!(*shown(&session), first.certificates());
    assert_eq!(*shown(&session), source.current().certificates());
    finish(feed, group).await;
}
