//! Bad days: a receiver that comes and goes, a full spool, a gateway that starts again.

use crate::{
    capture::Capture,
    receiver::{Receiver, Store},
    site::Site,
};
use bcdr_format::Position;
use std::collections::HashSet;

/// What was taken is contiguous: nothing twice, nothing out of order. (The store has checked the
/// MAC chain and the continuity of each batch.)
fn assert_contiguous(store: &Store) {
    let state = store.state();
    assert_eq!(state.violations, Vec::<String>::new());
    let ends: Vec<Position> = state.batches.iter().map(|batch| batch.end()).collect();
    assert!(ends.windows(2).all(|pair| pair[0] < pair[1]), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_comes_back_is_resumed_by_position() {
    let site = Site::new();
    let store = Store::new(&site);
    let mut receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 21);
    let mut feed = capture.connect(&site).await;
    for round in 0..4 {
        // In odd rounds it takes batches and dies before it says so.
        store.state().mute = round % 2 == 1;
        let before = store.state().batches.len();
        capture.work(40);
        feed.send_all(&capture).await;
        store
            .until("a batch", |state| state.batches.len() > before)
            .await;
        receiver.stop().await;
        capture.work(40);
        feed.send_all(&capture).await;
        receiver = Receiver::start(&site, &store).await;
    }
    store.state().mute = false;
    capture.work(1);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert_contiguous(&store);
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_spooled_arrives_after_a_restart_without_the_capture() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 22);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    receiver.stop().await;
    for _ in 0..5 {
        capture.work(30);
        feed.send_all(&capture).await;
        let spooled = Some(capture.last());
        feed.until("L2", |feed| feed.acknowledged.gateway >= spooled)
            .await;
    }
    assert!(
        feed.acknowledged.durable < Some(capture.last()),
        "L3 was said of a dead receiver"
    );
    assert!(site.spool_bytes() > 0);
    gateway.stop().await;
    feed.hang_up();

    // It ships what it finds, sealed under the data key of its previous life.
    let gateway = site.start_gateway().await;
    let spooled = |status: &serde_json::Value| status["waiting_bytes"].as_u64() > Some(0);
    gateway.until("the spool to be found", spooled).await;
    let refused = capture.try_connect(&site).await;
    assert!(
        matches!(
            &refused,
            Some(Err(bcdr_wire::feed::Refusal::NotReady { .. }))
        ),
        "until a receiver says what it holds, nobody knows where to resume"
    );
    let receiver = Receiver::start(&site, &store).await;
    let last = Some(capture.last());
    store
        .until("all that was spooled", |state| state.durable() == last)
        .await;
    assert_contiguous(&store);
    assert!(store.state().image == capture.model);

    // New batches, under the new data key, follow the old ones.
    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.held.map(|held| held.position), last);
    capture.work(30);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert_contiguous(&store);
    assert!(store.state().image == capture.model);
    gateway
        .until("an empty spool", |status| {
            status["spool_bytes"].as_u64() == Some(0)
        })
        .await;
    assert_eq!(site.spool_bytes(), 0);
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_spool_does_not_send_the_capture_back() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 23);
    let mut feed = capture.connect(&site).await;
    // Taken and never acknowledged: these batches are spooled although the receiver holds them.
    store.state().mute = true;
    capture.work(30);
    feed.send_all(&capture).await;
    let last = Some(capture.last());
    feed.until("L2", |feed| feed.acknowledged.gateway == last)
        .await;
    store
        .until("all of it", |state| state.durable() == last)
        .await;
    gateway.stop().await;
    store.state().mute = false;
    let gateway = site.start_gateway().await;
    let feed = capture.connect(&site).await;
    assert_eq!(feed.held.map(|held| held.position), last);
    gateway
        .until("an empty spool", |status| {
            status["waiting_bytes"].as_u64() == Some(0)
        })
        .await;
    assert_contiguous(&store);
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_receiver_down_and_spool_full_it_stops_reading_and_recovers() {
    let mut site = Site::new();
    site.config.spool.capacity_bytes = 4 << 20;
    site.config.batch.memory_bytes = 2 << 20;
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 24);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    receiver.stop().await;
    // More than spool, memory, frames under way and both ends' windows hold together.
    for place in 0..320 {
        capture.write((place % 64) << 18, 256 << 10);
    }
    let mut feeding = feed.sender;
    let (mut frames, connection) = (feed.frames, feed.connection);
    let sending = tokio::spawn(async move {
        let sent = feeding.send_all(&capture).await;
        (sent, feeding, capture)
    });
    let status = gateway
        .until("backpressure", |status| {
            status["spool_refuses"].is_string() && status["memory_bytes"].as_u64() >= Some(2 << 20)
        })
        .await;
    let memory = status["memory_bytes"].as_u64().unwrap();
    // One frame of a little over 1 MiB may still come in below the budget.
    assert!(memory < 4 << 20, "{memory} bytes in memory");
    assert!(status["spool_bytes"].as_u64() <= Some(5 << 20), "{status}");
    assert_eq!(status["receiver_connected"], false);
    assert!(!sending.is_finished(), "the gateway took everything in");

    let receiver = Receiver::start(&site, &store).await;
    let (sent, sender, capture) = crate::site::in_time("the rest", sending).await.unwrap();
    sent.unwrap();
    let last = Some(capture.last());
    store
        .until("all of it", |state| state.durable() == last)
        .await;
    assert_contiguous(&store);
    assert!(store.state().image == capture.model);
    let status = gateway
        .until("the spool to be drained", |status| {
            status["spool_bytes"].as_u64() == Some(0)
        })
        .await;
    assert!(status["spool_refuses"].is_null() || status["waiting_bytes"] == 0);
    let heard = frames.read_frame().await;
    assert!(heard.is_ok(), "the session lived through it");
    drop((sender, connection));
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_receiver_holds_l3_back_and_nothing_else() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 25);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    let durable = feed.acknowledged.durable;
    store.read_batches(false);
    // More than the connection's windows and the window of batches hold.
    for place in 0..480 {
        capture.write((place % 64) << 18, 256 << 10);
    }
    feed.send_all(&capture).await;
    let last = Some(capture.last());
    feed.until("L2", |feed| feed.acknowledged.gateway == last)
        .await;
    let status = gateway
        .until("an empty memory", |status| status["memory_bytes"] == 0)
        .await;
    assert_eq!(status["receiver_connected"], true);
    // One frame may have been half read when the reading stopped.
    assert!(feed.acknowledged.durable < last);
    assert!(feed.acknowledged.durable >= durable);
    store.read_batches(true);
    feed.until_durable(&capture).await;
    assert_contiguous(&store);
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_spool_is_fed_again() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 26);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    receiver.stop().await;
    let from = capture.last();
    capture.work(50);
    feed.send_all(&capture).await;
    let last = Some(capture.last());
    feed.until("L2", |feed| feed.acknowledged.gateway == last)
        .await;
    damage_spool(&site);
    let receiver = Receiver::start(&site, &store).await;
    let refusal = feed.refusal().await;
    assert!(
        refusal.to_string().contains("cannot be read back"),
        "{refusal}"
    );
    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.held.map(|held| held.position), Some(from));
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert_contiguous(&store);
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

/// Flips a bit in the middle of each segment.
fn damage_spool(site: &Site) {
    let streams = site.config.state_directory.join("streams");
    let spool = streams.join(site.stream.to_string()).join("spool");
    for entry in std::fs::read_dir(spool).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 16;
        std::fs::write(&path, bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_capture_resume_from_held_and_repeats_are_skipped() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 27);
    let mut feed = capture.connect(&site).await;
    let mut resumed = HashSet::new();
    for round in 0..6 {
        capture.work(40);
        if round % 2 == 1 {
            feed.sender.rewind();
        }
        feed.send_all(&capture).await;
        if round % 3 == 0 {
            feed.until_durable(&capture).await;
        }
        feed.hang_up();
        feed = capture.connect(&site).await;
        resumed.insert(feed.held.map(|held| held.position));
        assert!(feed.held.is_some());
    }
    assert!(resumed.len() > 1);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert_contiguous(&store);
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_comes_back_is_shown_a_renewed_certificate() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let capture = Capture::new(&site, 61);
    let feed = capture.connect(&site).await;
    let called_by = |name: &'static str| {
        store.until(name, move |state| {
            state
                .callers
                .last()
                .is_some_and(|caller| caller.name == name)
        })
    };
    called_by("gateway").await;
    site.renew_gateway("renewed");
    receiver.stop().await;
    let receiver = Receiver::start(&site, &store).await;
    called_by("renewed").await;
    feed.hang_up();
    gateway.stop().await;
    receiver.stop().await;
}
