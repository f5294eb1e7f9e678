//! Orders of the cloud side: passed down, remembered, and nothing shipped that they do not allow.

use crate::{
    capture::{Capture, Feed},
    receiver::{Receiver, Store},
    site::Site,
};
use bcdr_format::position::{Generation, Position};
use bcdr_wire::{
    feed::{CaptureReport, FromCapture, ToCapture, Tracking},
    frame::{decode_control, send_control},
    order::{Duty, OrderNumber, Serving, SourceOrder, Standing},
};

fn order(generation: u64, duty: Duty) -> SourceOrder {
    SourceOrder {
        generation: Generation(generation),
        number: OrderNumber::ASSUMED,
        duty,
    }
}

/// Reports, and waits until the receiver has heard it: what was sent before was taken, or not.
async fn report(feed: &mut Feed, store: &Store, sequenced: Position) {
    let report = CaptureReport {
        at: bcdr_gateway::clock::wall(),
        standing: Standing {
            generation: Generation::FIRST,
            order: OrderNumber::ASSUMED,
            serving: Serving::ReadOnly,
            task: None,
        },
        tracking: Tracking::Standing,
        sequenced,
        settled: None,
        journaled: None,
        journal_used_bytes: 0,
        journal_capacity_bytes: 0,
        volumes: vec![],
    };
    send_control(&mut feed.sender.send, &FromCapture::Report(report.clone()))
        .await
        .unwrap();
    let relayed = Some(Box::new(report));
    store
        .until("the report", |state| state.reports.contains(&relayed))
        .await;
}

/// Reads until the newest order heard is this one: an order that is given again was heard before.
async fn until_told(feed: &mut Feed, wanted: SourceOrder) {
    let wanted = ToCapture::Order(wanted);
    let is_order = |message: &&ToCapture| matches!(message, ToCapture::Order(_));
    feed.until("the order", |feed| {
        feed.heard.iter().rev().find(is_order) == Some(&wanted)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_duty_that_takes_no_records_the_session_stays_and_nothing_ships() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 51);
    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.order, order(1, Duty::Serve));
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;

    // Quiesced sources still feed.
    store.state().command(1, Duty::Quiesce);
    until_told(&mut feed, order(1, Duty::Quiesce)).await;
    capture.work(20);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;

    store.state().command(1, Duty::StandBy);
    until_told(&mut feed, order(1, Duty::StandBy)).await;
    let batches = store.state().batches.len();
    capture.work(20);
    feed.send_all(&capture).await;
    // The store counts a batch that comes now as a violation.
    report(&mut feed, &store, capture.last()).await;
    gateway
        .until("the order to be shown", |status| {
            status["order"]["duty"] == "StandBy" && status["memory_bytes"] == 0
        })
        .await;
    assert_eq!(store.state().batches.len(), batches);

    store.state().command(1, Duty::Serve);
    until_told(&mut feed, order(1, Duty::Serve)).await;
    feed.hang_up();
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

/// A capture that knows nothing by itself serves only at the receiver's word of now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_only_remembered_is_told_apart_from_one_of_a_session_that_is_up() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 54);
    capture.stands = true;
    let mut feed = capture.connect(&site).await;
    until_told(&mut feed, order(1, Duty::Serve)).await;
    feed.hang_up();
    receiver.stop().await;
    gateway
        .until("the receiver to be missed", |status| {
            status["receiver_connected"] == false && status["capture"].is_null()
        })
        .await;

    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.order, order(1, Duty::Serve));
    // What a welcome says of the ladder follows what it says of the order.
    let frame = feed.frames.read_frame().await.unwrap();
    let next: ToCapture = decode_control(&frame).unwrap();
    assert!(matches!(next, ToCapture::Acknowledged(_)), "{next:?}");
    let receiver = Receiver::start(&site, &store).await;
    until_told(&mut feed, order(1, Duty::Serve)).await;
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_of_an_older_generation_never_ships_under_a_newer_one() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 52);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    receiver.stop().await;
    capture.work(20);
    feed.send_all(&capture).await;
    let last = Some(capture.last());
    feed.until("L2", |feed| feed.acknowledged.gateway == last)
        .await;
    gateway.stop().await;
    assert!(site.spool_bytes() > 0);
    // As a process leaves it that was killed when it had kept the newer generation, and had not
    // yet let go of what it had spooled.
    let path = site.stream_directory().join("stream.json");
    let mut state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        (&state["generation"], &state["duty"]),
        (&1.into(), &"Serve".into())
    );
    state["generation"] = 2.into();
    std::fs::write(&path, state.to_string()).unwrap();
    store.state().generation = Generation(2);
    let batches = store.state().batches.len();
    let gateway = site.start_gateway().await;
    let receiver = Receiver::start(&site, &store).await;
    gateway
        .until("an empty spool", |status| {
            status["receiver_connected"] == true && status["spool_bytes"] == 0
        })
        .await;
    // A batch of the old generation would be a violation, which the next wait finds.
    let mut feed = capture.connect(&site).await;
    assert_eq!(store.state().batches.len(), batches);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    store.until("good order", |_| true).await;
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_under_an_order_to_stand_by_ships_nothing_and_passes_it_on() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 53);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    let held = Duty::Hold { task: None };
    store.state().command(2, held.clone());
    until_told(&mut feed, order(2, held.clone())).await;
    gateway.stop().await;
    receiver.stop().await;
    let kept = std::fs::read_to_string(site.stream_directory().join("stream.json")).unwrap();
    assert!(kept.contains("\"Hold\""), "{kept}");

    let gateway = site.start_gateway().await;
    let receiver = Receiver::start(&site, &store).await;
    capture.stands = true;
    let mut feed = capture.connect(&site).await;
    assert_eq!(feed.order, order(2, held));
    report(&mut feed, &store, capture.last()).await;
    // A newer order ends the session behind it, since what is fed starts over.
    store.state().command(3, Duty::Serve);
    until_told(&mut feed, order(3, Duty::Serve)).await;
    capture.stands = false;
    capture.open(2, Some(capture.last()));
    capture.work(20);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert!(store.state().image == capture.model);
    gateway.stop().await;
    receiver.stop().await;
}
