//! The task that owns one stream's state.
//!
//! Its parts follow its neighbours: [`capture`], [`receiver`], [`spooled`]; [`prepare`] starts it.

mod capture;
mod prepare;
mod receiver;
mod spooled;

pub(super) use prepare::{Prepared, read_remembered, remembered, spawn};

use super::{
    Attach, FeedEvent, FeedSession, StreamSettings, StreamStatus,
    forks::Forks,
    kept::KeptBatches,
    pack::{PackedBatch, Packers},
};
use crate::{
    clock,
    intake::acceptance::Taken,
    reduce::batcher::{BatchLimits, Batcher},
    ship::{
        session::{ShipCommand, ShipEvent},
        window::{ShipmentId, Window, WindowLimits},
    },
    spool::thread::{SpoolDone, SpoolWork},
};
use bcdr_format::{DataKeyId, GroupId, Position, StreamId, Timestamp};
use bcdr_wire::{
    feed::{Acknowledged, CaptureReport, Refusal},
    order::SourceOrder,
};
use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::Weak,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// How often the capture's state is relayed to the receiver when nothing changed.
const RELAY_EVERY: Duration = Duration::from_secs(1);

/// Where the owner's events come from, besides the capture's session.
struct Inboxes {
    attachments: mpsc::Receiver<Attach>,
    ship_events: mpsc::Receiver<ShipEvent>,
    spool_done: mpsc::UnboundedReceiver<SpoolDone>,
}

/// What was remembered of the stream when the owner starts.
struct Known {
    directory: PathBuf,
    order: Option<SourceOrder>,
    bound_to: Option<String>,
}

struct Owner {
    settings: StreamSettings,
    group: GroupId,
    stream: StreamId,
    directory: PathBuf,
    /// The last order, under the highest generation met.
    order: Option<SourceOrder>,
    /// The certificate name of the only capture that may feed the stream.
    bound_to: Option<String>,
    /// Whether the order is on disk.
    order_kept: bool,
    /// Whether `taken` is what a receiver, asked in this process's life, makes of it.
    receiver_known: bool,
    receiver_refusal: Option<Refusal>,
    /// How many receivers, one after the other, said that they do not know the stream.
    unknown_to: usize,
    taken: Taken,
    batcher: Batcher,
    packers: Packers,
    window: Window,
    kept: KeptBatches,
    /// Batches to send, in order; the first may have to be read from the spool first.
    to_send: VecDeque<ShipmentId>,
    reading: Option<ShipmentId>,
    keys: HashMap<DataKeyId, Vec<u8>>,
    /// None once the owner stops.
    spool: Option<std::sync::mpsc::Sender<SpoolWork>>,
    ship: Option<mpsc::UnboundedSender<ShipCommand>>,
    /// Why this side ended the session with the receiver, until that session says that it ended.
    given_up: Option<String>,
    relayed: Weak<()>,
    feed: Option<FeedSession>,
    forks: Forks,
    published: Option<Position>,
    acknowledged: Acknowledged,
    report: Option<Box<CaptureReport>>,
    capture_since: Timestamp,
    relay_due: Instant,
    /// Since when nothing is taken from the capture, because the memory is full.
    stalled_since: Option<Instant>,
    status: StreamStatus,
    publish: watch::Sender<StreamStatus>,
}

enum Woken {
    Attach(Option<Attach>),
    Feed(Option<FeedEvent>),
    Ship(Option<ShipEvent>),
    Packed(Box<Result<PackedBatch, String>>),
    Spool(Option<SpoolDone>),
    Due,
}

impl Owner {
    fn new(
        settings: StreamSettings,
        group: GroupId,
        stream: StreamId,
        known: Known,
        spool: std::sync::mpsc::Sender<SpoolWork>,
        publish: watch::Sender<StreamStatus>,
    ) -> Self {
        let limits = BatchLimits {
            age: Duration::from_millis(settings.batch.age_milliseconds),
            ..BatchLimits::default()
        };
        let window = WindowLimits {
            spool_after: Duration::from_millis(settings.batch.spool_after_milliseconds),
            ..WindowLimits::default()
        };
        let Known {
            directory,
            order,
            bound_to,
        } = known;
        let keys = HashMap::from([(
            settings.keys.data_key_id(),
            settings.keys.wrapped_data.clone(),
        )]);
        Self {
            group,
            stream,
            directory,
            order_kept: order.is_some(),
            order,
            bound_to,
            receiver_known: false,
            receiver_refusal: None,
            unknown_to: 0,
            taken: Taken::default(),
            batcher: Batcher::new(group, stream, limits),
            packers: Packers::new(settings.keys.clone()),
            window: Window::new(window),
            kept: KeptBatches::default(),
            to_send: VecDeque::new(),
            reading: None,
            keys,
            spool: Some(spool),
            ship: None,
            given_up: None,
            relayed: Weak::new(),
            feed: None,
            forks: Forks::default(),
            published: None,
            acknowledged: Acknowledged::default(),
            report: None,
            capture_since: clock::wall(),
            relay_due: Instant::now(),
            stalled_since: None,
            status: StreamStatus {
                group: Some(group),
                ..StreamStatus::default()
            },
            publish,
            settings,
        }
    }

    /// Returns whether it ended because no receiver knows the stream.
    async fn run(mut self, mut inboxes: Inboxes) -> bool {
        let unknown = loop {
            self.everything_due(Instant::now());
            match self.wait(&mut inboxes).await {
                Woken::Attach(Some(attach)) => self.attach(attach).await,
                Woken::Attach(None) | Woken::Ship(None) | Woken::Spool(None) => break false,
                Woken::Feed(Some(event)) => self.feed_event(event),
                Woken::Feed(None) => self.feed_ended("the connection ended"),
                Woken::Ship(Some(event)) => self.ship_event(event).await,
                Woken::Packed(packed) => self.packed(*packed),
                Woken::Spool(Some(done)) => self.spool_done(done),
                Woken::Due => {}
            }
            if self.is_unknown() {
                tracing::info!(stream = %self.stream, group = %self.group, "no receiver knows the stream; it is let go of until a capture asks for it again");
                break true;
            }
        };
        drop(inboxes.ship_events);
        // The spool's thread finishes what it was given, and then says no more.
        self.spool = None;
        while inboxes.spool_done.recv().await.is_some() {}
        unknown
    }

    async fn wait(&mut self, inboxes: &mut Inboxes) -> Woken {
        let due = [self.batcher.due(), self.window.due(), Some(self.relay_due)]
            .into_iter()
            .flatten()
            .min()
            .expect("the relay is always due some time");
        let takes_more = self.takes_more();
        let feed = async {
            match &mut self.feed {
                Some(session) if takes_more => session.inbox.recv().await,
                // Nothing is taken now, but the end of the session is noticed.
                Some(session) => {
                    session.outbox.closed().await;
                    None
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = inboxes.ship_events.recv() => Woken::Ship(event),
            done = inboxes.spool_done.recv() => Woken::Spool(done),
            packed = self.packers.next() => {
                Woken::Packed(Box::new(packed.map_err(|error| error.to_string())))
            }
            attach = inboxes.attachments.recv() => Woken::Attach(attach),
            event = feed => Woken::Feed(event),
            () = tokio::time::sleep_until(due.into()) => Woken::Due,
        }
    }

    /// Whether what the capture writes is taken under the order that holds.
    fn takes_records(&self) -> bool {
        self.order.as_ref().is_some_and(SourceOrder::takes_records)
    }

    fn takes_more(&self) -> bool {
        self.memory_bytes() < self.settings.batch.memory_bytes
    }

    /// Bytes of records and batches in memory.
    fn memory_bytes(&self) -> u64 {
        self.batcher.retained_bytes() + self.packers.retained_bytes() + self.window.memory_bytes()
    }

    fn everything_due(&mut self, now: Instant) {
        if let Some(closed) = self.batcher.poll(now) {
            self.pack([closed]);
        }
        match self.window.poll(now) {
            Ok(actions) => self.perform(actions),
            Err(discontinuity) => {
                let verdict = discontinuity.verdict;
                self.begin_again(format!("the receiver would answer {verdict:?}"));
            }
        }
        self.send_queued();
        self.acknowledge();
        self.relay(now);
        self.publish_status();
    }

    /// Lets go of everything between the capture and the receiver. The capture is told `refusal`
    /// and feeds it again.
    fn let_go(&mut self, refusal: Refusal) {
        self.drop_queue();
        self.end_feed(refusal);
    }

    /// Lets go of what was taken and is not at the receiver.
    fn drop_queue(&mut self) {
        let forgotten = self.window.clear();
        self.perform(forgotten);
        self.to_send.clear();
        self.batcher.abandon();
        self.packers.abandon();
        self.forks.let_go();
        self.taken = Taken::new(self.window.receiver_held());
    }

    fn publish_status(&mut self) {
        self.status.capture = self.feed.as_ref().map(|session| session.peer.to_string());
        self.status.bound_to.clone_from(&self.bound_to);
        self.status.receiver_known = self.receiver_known;
        self.stalled_since = match self.stalled_since {
            _ if self.takes_more() => None,
            since => Some(since.unwrap_or_else(Instant::now)),
        };
        let stalled = self.stalled_since.map(|since| since.elapsed().as_secs());
        self.status.stalled_seconds = stalled.unwrap_or_default();
        self.status.confirmed = self.order.is_some();
        self.status.order.clone_from(&self.order);
        self.status.receiver_connected = self.ship.is_some();
        self.status.received = self.taken.held().map(|held| held.position);
        self.status.gateway_durable = self.acknowledged.gateway;
        self.status.durable = self.acknowledged.durable;
        self.status.published = self.acknowledged.published;
        self.status.memory_bytes = self.memory_bytes();
        self.status.waiting_bytes = self.window.waiting_bytes();
        self.publish.send_replace(self.status.clone());
    }
}
