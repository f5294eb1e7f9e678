//! The feed against a gateway that the test plays: real QUIC, a real group, scripted answers.

use bcdr_disk::RealStorage;
use bcdr_format::{
    IncarnationId, MarkerId, Position, Sequence,
    record::{Marker, MarkerKind},
};
use bcdr_wire::{
    identity::Role,
    order::Duty,
    transport::{self, CloseCode},
};
use bytes::Bytes;

use super::*;
use crate::{
    group::RunningGroup,
    ring::Engine,
    test_gateway::{Gateway, Heard, Replica, Session, order},
    test_site::{Site, TestAuthority, VOLUME_BYTES, close, is_continuous, until},
};

struct Feed {
    stop: CancellationToken,
    task: JoinHandle<()>,
    shown: watch::Receiver<FeedStatus>,
    orders: mpsc::UnboundedReceiver<HeardOrder>,
    stance: watch::Sender<Stance>,
}

fn start_feed(
    group: &mut RunningGroup,
    identity: impl Into<IdentitySource>,
    gateways: Vec<SocketAddr>,
) -> Feed {
    let input = group.feed.take().unwrap();
    let (shown, watched) = watch::channel(FeedStatus::default());
    let (told, orders) = mpsc::unbounded_channel();
    let stance = watch::Sender::new(Stance {
        order: Some(order(1, Duty::Serve)),
        ..Stance::default()
    });
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
        orders: told,
        stance: stance.subscribe(),
    });
    let stop = CancellationToken::new();
    Feed {
        task: tokio::spawn(client.run(stop.clone())),
        stop,
        shown: watched,
        orders,
        stance,
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
    assert_eq!(session.opening, session.hello);

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
    assert_eq!(session.hello.unwrap().ordinal, IncarnationOrdinal(1));
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
    assert_eq!(session.hello.unwrap().ordinal, IncarnationOrdinal(6));
    session
        .say(ToCapture::Refused(Refusal::Superseded {
            highest: IncarnationOrdinal(8),
        }))
        .await;
    let mut session = gateway.called().await;
    assert_eq!(session.hello.unwrap().ordinal, IncarnationOrdinal(9));
    session.welcome(None).await;
    let mut replica = Replica::default();
    replica.catch_up(&mut session, 0, &site.contents(0)).await;
    finish(feed, group).await;
}

/// What the gateway orders is told at once, and records wait until it is durable here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_go_out_only_under_the_order_that_is_durable() {
    let authority = TestAuthority::new();
    let (gateway, address) = Gateway::new(&authority);
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let mut feed = start_feed(&mut group, authority.identity(Role::Capture), vec![address]);
    let client = site.client(0).await;
    client
        .write(0, Bytes::from(vec![1; 4096]), true)
        .await
        .unwrap();
    let mut session = gateway.called().await;
    let told = order(2, Duty::Serve);
    session.welcome_under(told.clone(), None).await;
    let heard = HeardOrder::remembered(told.clone());
    assert_eq!(feed.orders.recv().await, Some(heard));
    // Reports come every second, records would come before the second of them.
    for _ in 0..2 {
        let Heard::Report(report) = session.hear().await else {
            panic!("fed under an order that is not durable")
        };
        assert_eq!(report.standing.generation.0, 1);
    }
    feed.stance.send_modify(|stance| stance.order = Some(told));
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
