//! Lives and generations of a stream: forks, superseded captures, receivers that lost something.

use crate::{
    capture::Capture,
    receiver::{Receiver, Store},
    site::Site,
};
use bcdr_format::{
    IncarnationId, IncarnationOrdinal, Position, Sequence,
    continuity::Held,
    position::Generation,
    sync::{Heals, SyncReason},
};
use bcdr_wire::feed::{Refusal, ToCapture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_life_passes_and_a_fork_is_told_until_it_is_healed() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 31);
    capture.work(20);
    capture.open(2, Some(capture.last()));
    capture.work(20);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert_eq!(
        store.state().forks_found,
        vec![],
        "a life that continues is no fork"
    );
    feed.hang_up();

    // A power loss takes records that the receiver has.
    capture.lose_tail(5);
    capture.open(3, Some(capture.last()));
    capture.work(5);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    let fork = store.state().forks_found[0];
    assert_eq!(fork.opening, IncarnationOrdinal(3));
    feed.until("the fork", |feed| {
        feed.heard.contains(&ToCapture::Fork(fork))
    })
    .await;
    feed.hang_up();
    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.fork, Some(fork));
    let opening = IncarnationOrdinal(3);
    capture.sync(SyncReason::Fork, Heals::Everything { opening });
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert_eq!(store.state().fork, None);
    feed.hang_up();
    let feed = capture.connect(&site).await;
    assert_eq!(feed.fork, None, "a healed fork is not told again");
    assert_eq!(store.state().violations, Vec::<String>::new());
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_that_was_found_while_the_session_broke_is_told_in_the_next() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let capture = Capture::new(&site, 32);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    receiver.stop().await;
    let fork = bcdr_format::continuity::Fork {
        opening: IncarnationOrdinal(1),
        continues: None,
        peer: None,
    };
    store.state().fork = Some(fork);
    let receiver = Receiver::start(&site, &store).await;
    feed.until("the fork", |feed| {
        feed.heard.contains(&ToCapture::Fork(fork))
    })
    .await;
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_that_was_superseded_is_told_and_nothing_loops() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 33);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    receiver.stop().await;
    // Meanwhile a later life of the stream reached the receiver on another way.
    let later = Held {
        position: Position::new(IncarnationOrdinal(7), Sequence(1)),
        id: IncarnationId::from_u128(70),
    };
    store.state().held = Some(later);
    let hellos = store.state().hellos;
    capture.work(20);
    feed.send_all(&capture).await;
    let receiver = Receiver::start(&site, &store).await;
    let first = feed.refusal().await;
    assert!(
        matches!(
            first,
            Refusal::Superseded { .. } | Refusal::Discontinuous { .. }
        ),
        "{first}"
    );
    let highest = IncarnationOrdinal(7);
    let refused = loop {
        match capture.try_connect(&site).await {
            Some(Err(Refusal::NotReady { .. })) | None => {}
            Some(Err(refusal)) => break refusal,
            Some(Ok(_)) => panic!("a superseded life was welcomed"),
        }
    };
    assert_eq!(refused, Refusal::Superseded { highest });
    capture.open(8, None);
    let opening = IncarnationOrdinal(8);
    capture.sync(SyncReason::Fork, Heals::Everything { opening });
    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.held, Some(later));
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    {
        let state = store.state();
        assert_eq!(state.violations, Vec::<String>::new());
        assert!(
            state.hellos - hellos <= 3,
            "{} sessions for one refusal",
            state.hellos - hellos
        );
        assert_eq!((state.forks_found.len(), state.fork), (1, None));
    }
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_the_receiver_refuses_is_fed_again() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 34);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    let reason = "it cannot be opened".to_owned();
    store.state().refuse_batch = Some(Refusal::Discontinuous { reason });
    capture.work(20);
    feed.send_all(&capture).await;
    let refusal = feed.refusal().await;
    assert!(
        refusal.to_string().contains("it cannot be opened"),
        "{refusal}"
    );
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_lost_everything_is_found_out_at_once() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 35);
    let mut feed = capture.connect(&site).await;
    capture.work(20);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    receiver.stop().await;
    store.state().lose_everything();
    // Nothing is queued and nothing is written, and still the capture must hear of it.
    let receiver = Receiver::start(&site, &store).await;
    let refusal = feed.refusal().await;
    assert!(
        matches!(refusal, Refusal::Discontinuous { .. }),
        "{refusal}"
    );
    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.held, None);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sealed_under_an_older_generation_is_not_shipped() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 36);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    receiver.stop().await;
    capture.work(20);
    feed.send_all(&capture).await;
    let last = Some(capture.last());
    feed.until("L2", |feed| feed.acknowledged.gateway == last)
        .await;
    store.state().generation = Generation(2);
    // The store counts a batch of another generation as a violation.
    let receiver = Receiver::start(&site, &store).await;
    let refusal = feed.refusal().await;
    assert!(refusal.to_string().contains("generation 2"), "{refusal}");
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert!(store.state().image == capture.model);
    receiver.stop().await;

    // A receiver from a backup offers the older one again: it is never shipped to.
    gateway.stop().await;
    let (batches, hellos) = {
        let mut state = store.state();
        state.generation = Generation(1);
        (state.batches.len(), state.hellos)
    };
    let gateway = site.start_gateway().await;
    let receiver = Receiver::start(&site, &store).await;
    store
        .until("two attempts", |state| state.hellos >= hellos + 2)
        .await;
    let reason = gateway
        .until("the reason", |status| status["receiver_reason"].is_string())
        .await;
    let reason = reason["receiver_reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("fenced off"), "{reason}");
    assert_eq!(store.state().batches.len(), batches);
    let refused = capture.try_connect(&site).await;
    assert!(matches!(refused, Some(Err(Refusal::NotReady { .. }))));
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_of_an_unknown_stream_is_told_so() {
    let site = Site::new();
    let store = Store::new(&site);
    let (group, stream) = (site.group, site.stream);
    store.state().refuse_hellos = Some(Refusal::UnknownStream { group, stream });
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let capture = Capture::new(&site, 37);
    let told = loop {
        match capture.try_connect(&site).await {
            Some(Err(Refusal::NotReady { .. })) | None => {}
            Some(Err(refusal)) => break refusal,
            Some(Ok(_)) => panic!("an unknown stream was welcomed"),
        }
    };
    assert_eq!(told, Refusal::UnknownStream { group, stream });
    // Once the group exists, nobody has to start anything again.
    store.state().refuse_hellos = None;
    let welcomed = async { while !matches!(capture.try_connect(&site).await, Some(Ok(_))) {} };
    crate::site::in_time("a welcome", welcomed).await;
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_session_replaces_an_older_one() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 38);
    let mut old = capture.connect(&site).await;
    let mut new = capture.connect(&site).await;
    assert_eq!(old.refusal().await, Refusal::Replaced);
    capture.work(10);
    new.send_all(&capture).await;
    new.until_durable(&capture).await;
    gateway.stop().await;
    receiver.stop().await;
}
