//! Good days: what is fed arrives, in order, once.

use crate::{
    capture::Capture,
    receiver::{Receiver, Store},
    site::Site,
};
use bcdr_format::{
    MarkerId, ReceiverRunId, Sequence,
    position::Generation,
    record::{Beat, Marker, MarkerKind},
};
use bcdr_wire::{
    feed::{CaptureReport, FromCapture, ToCapture, Tracking},
    frame::send_control,
    order::{OrderNumber, Serving, Standing},
    ship::ToGateway,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_fed_arrives_and_makes_the_same_image() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 11);
    let mut feed = capture.connect(&site).await;
    assert_eq!((feed.held, feed.fork), (None, None));
    for _ in 0..20 {
        capture.work(50);
        feed.send_all(&capture).await;
    }
    feed.until_durable(&capture).await;
    let (gateway_durable, published) = (feed.acknowledged.gateway, feed.acknowledged.published);
    assert_eq!(
        (gateway_durable, published),
        (Some(capture.last()), Some(capture.last()))
    );
    {
        let state = store.state();
        assert_eq!(state.durable(), Some(capture.last()));
        assert!(state.image == capture.model, "the image is not the model");
        let mut next = Sequence::FIRST;
        for batch in &state.batches {
            assert_eq!(batch.first, next);
            next = batch.last.next();
        }
        assert!(state.batches.len() > 1);
        assert_eq!(state.batches[0].opening, Some(capture.opening()));
        assert!(
            state.batches[1..]
                .iter()
                .all(|batch| batch.opening.is_none())
        );
        assert_eq!(state.batches[0].members.len(), 1);
        let events = state.batches.iter().flat_map(|batch| &batch.sync_events);
        assert_eq!(events.count(), 2);
    }
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_ends_its_batch_and_commands_pass_down() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 12);
    let mut feed = capture.connect(&site).await;
    let asked = Marker {
        id: MarkerId::from_u128(5),
        kind: MarkerKind::Bookmark,
        label: "before upgrade".to_owned(),
    };
    store.state().say(ToGateway::PlaceMarker(asked.clone()));
    let placed = ToCapture::PlaceMarker(asked.clone());
    feed.until("the marker", |feed| feed.heard.contains(&placed))
        .await;
    capture.work(10);
    capture.marker("before upgrade");
    let at = capture.last();
    capture.work(10);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    {
        let state = store.state();
        let marked: Vec<_> = state
            .batches
            .iter()
            .filter(|one| one.marker.is_some())
            .collect();
        assert_eq!(marked.len(), 1);
        assert_eq!(
            (marked[0].marker.as_ref(), marked[0].end()),
            (Some(&asked), at)
        );
        assert!(state.image == capture.model);
    }
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beats_go_around_and_reports_are_relayed() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 13);
    let mut feed = capture.connect(&site).await;
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    let beat = Beat {
        run: ReceiverRunId::from_u128(3),
        receiver_nanoseconds: 42,
    };
    store.state().say(ToGateway::Beat(beat));
    feed.until("the beat", |feed| {
        feed.heard.contains(&ToCapture::Beat(beat))
    })
    .await;
    capture.beat(beat);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    assert_eq!(store.state().batches.last().unwrap().beat, Some(beat));

    let report = CaptureReport {
        at: bcdr_gateway::clock::wall(),
        standing: Standing {
            generation: Generation::FIRST,
            order: OrderNumber::ASSUMED,
            serving: Serving::Writable,
            task: None,
        },
        tracking: Tracking::Continuous,
        sequenced: capture.last(),
        settled: Some(capture.last()),
        journaled: None,
        journal_used_bytes: 1,
        journal_capacity_bytes: 2,
        volumes: vec![],
    };
    send_control(&mut feed.sender.send, &FromCapture::Report(report.clone()))
        .await
        .unwrap();
    let relayed = Some(Box::new(report));
    store
        .until("the report", |state| state.reports.contains(&relayed))
        .await;
    let reports = store.state().reports.len();
    feed.hang_up();
    let gone = |state: &crate::receiver::State| state.reports[reports..].contains(&None);
    store.until("word that the capture is gone", gone).await;
    gateway.stop().await;
    receiver.stop().await;
}
