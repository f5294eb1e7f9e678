//! The capture's way to its gateway: where to resume, what to send, what to obey.
//!
//! Repeats the decisions of the real feed client with the same session core.

use super::{CaptureHost, Life, Process};
use crate::simulation::{
    context::{Context, FeedUp, Host},
    link::SessionId,
    world::Event,
};
use bcdr_capture::{
    feed::{FeedItem, FeedStart, FeedStep, Handshake, PeerStanding},
    journal::JournalReader,
};
use bcdr_disk::Storage;
use bcdr_format::{
    IncarnationOrdinal, Position,
    continuity::{Fork, Held},
    record::FEED_SEED,
};
use bcdr_wire::feed::{FEED_VERSION, FromCapture, Refusal, ToCapture};
use std::sync::Arc;

/// Frames of records that may be under way at once.
const FRAMES_UNDER_WAY: usize = 4;
const FRAME_BYTES: usize = 48 << 10;
const READ_BYTES: usize = 96 << 10;

/// The state of the way to the gateway.
#[derive(Debug, Default)]
pub(super) struct FeedLink {
    session: Option<SessionId>,
    welcomed: bool,
    /// It waits for a life that suits it.
    waiting: Option<PeerStanding>,
    standing: Option<PeerStanding>,
    announced: Option<IncarnationOrdinal>,
    /// No hello before a life above this one has begun.
    above: Option<IncarnationOrdinal>,
    /// A part of the journal is being read.
    reading: bool,
}

impl FeedLink {
    pub(super) fn session(&self) -> Option<SessionId> {
        self.session
    }
}

impl Process {
    pub(super) fn take_feed_item(&mut self, cx: &mut Context, item: FeedItem) {
        let began = matches!(item, FeedItem::Opening(_));
        self.feed.push(item);
        if began {
            self.life_began(cx);
        }
    }

    fn life_began(&mut self, cx: &mut Context) {
        let newest = self
            .feed
            .history()
            .lives()
            .last()
            .map(|life| life.start.opening.ordinal);
        if newest > self.link.above {
            self.link.above = None;
        }
        if self.link.session.is_some()
            && let Some(standing) = self.link.waiting
        {
            self.shake_hands(cx, standing);
        }
    }

    fn shake_hands(&mut self, cx: &mut Context, standing: PeerStanding) {
        let handshake = self.feed.connected(&standing);
        self.link.reading = false;
        self.follow(cx, handshake);
    }

    fn follow(&mut self, cx: &mut Context, handshake: Handshake) {
        cx.trace(|| format!("handshake: {handshake:?}"));
        match handshake {
            Handshake::ResumeFrom(_) => self.link.waiting = None,
            Handshake::OpenAbove { above, .. } => self.open_above(cx, above),
            Handshake::NotYet => {}
        }
    }

    fn open_above(&mut self, cx: &mut Context, above: IncarnationOrdinal) {
        cx.counters.note("life opened above the peer's");
        self.link.above = self.link.above.max(Some(above));
        self.tap.open_above(cx.moment(Host::Capture), above);
    }

    /// Opens a new life unless the interval of this one closes the fork anyway.
    fn close_fork(&mut self, cx: &mut Context, fork: Fork) {
        let start = self.tap.start();
        let closes = start.sync.is_some_and(|sync| fork.closed_by(&sync.heals));
        if start.opening.ordinal >= fork.opening && closes {
            return;
        }
        cx.trace(|| format!("a fork was found late: {fork:?}"));
        cx.counters.note("fork found late");
        let above = start.opening.ordinal.max(fork.opening);
        self.tap.open_above(cx.moment(Host::Capture), above);
    }
}

impl CaptureHost {
    /// Calls the gateway, unless there is no use in it yet.
    pub(crate) fn call(&mut self, cx: &mut Context, life: Life) {
        let (group, stream) = (self.ids.group, self.ids.stream);
        let now = cx.wall(Host::Capture);
        let Some(process) = self.process(life).filter(|one| one.link.session.is_none()) else {
            return;
        };
        let opening = process.tap.start().opening;
        let in_vain = process
            .link
            .above
            .is_some_and(|above| opening.ordinal <= above);
        let session = if in_vain {
            None
        } else {
            cx.feed.connect(&cx.schedule)
        };
        let Some(session) = session else {
            let again = cx.delay(5_000, 25_000);
            return cx.schedule.after(again, Event::FeedCall { life });
        };
        process.link.session = Some(session);
        let hello = FromCapture::Hello {
            version: FEED_VERSION,
            group,
            stream,
            opening: Some(opening),
            now,
        };
        cx.feed
            .send_up(&mut cx.schedule, session, FeedUp::Control(Box::new(hello)));
    }

    /// The session is over.
    pub(crate) fn feed_down(&mut self, cx: &mut Context, session: SessionId) {
        let life = self.life;
        let Some(process) = self.process(life) else {
            return;
        };
        if process.link.session != Some(session) {
            return;
        }
        process.feed.disconnected();
        process.link = FeedLink {
            above: process.link.above,
            ..FeedLink::default()
        };
        let again = cx.delay(1_000, 15_000);
        cx.schedule.after(again, Event::FeedCall { life });
    }

    /// The gateway says something.
    pub(crate) fn hear(&mut self, cx: &mut Context, session: SessionId, message: ToCapture) {
        let life = self.life;
        let now = cx.moment(Host::Capture);
        let marked = cx.oracle.now();
        let Some(process) = self.process(life) else {
            return;
        };
        if process.link.session != Some(session) {
            return;
        }
        match message {
            ToCapture::Welcome { held, fork, .. } => {
                cx.trace(|| format!("the gateway holds {held:?}, fork {fork:?}"));
                let standing = standing(held);
                process.link.welcomed = true;
                process.link.waiting = Some(standing);
                process.link.standing = Some(standing);
                if let Some(fork) = fork {
                    process.close_fork(cx, fork);
                }
                process.shake_hands(cx, standing);
            }
            ToCapture::Refused(refusal) => {
                cx.trace(|| format!("the gateway refuses: {refusal}"));
                if let Refusal::Superseded { highest } = refusal {
                    process.open_above(cx, highest);
                }
            }
            ToCapture::Acknowledged(acknowledged) => {
                cx.trace(|| format!("the capture hears {acknowledged:?}"));
                if let Some(durable) = acknowledged.durable
                    && let Some(through) = process.feed.acknowledged(durable)
                {
                    self.acknowledged = self.acknowledged.max(Some(through));
                    self.trim(cx, life, through);
                }
            }
            ToCapture::PlaceMarker(marker) => {
                let id = marker.id;
                if process.tap.place_marker(now, marker).is_ok() {
                    self.markers.insert(id, marked);
                }
            }
            ToCapture::Beat(beat) => {
                process.tap.place_beat(now, beat);
            }
            // Here the source always serves.
            ToCapture::Order(_) => {}
            ToCapture::Fork(fork) => process.close_fork(cx, fork),
        }
        self.drain(cx, life);
    }

    /// Sends what there is to send, as long as there is room on the way.
    pub(super) fn pump_feed(&mut self, cx: &mut Context, life: Life) {
        let Some(process) = self.process(life) else {
            return;
        };
        let Some(session) = process.link.session.filter(|_| process.link.welcomed) else {
            return;
        };
        while process.link.waiting.is_none()
            && !process.link.reading
            && cx.feed.under_way(session) < FRAMES_UNDER_WAY
        {
            match process.feed.next(FRAME_BYTES) {
                FeedStep::Items(items) => process.send(cx, session, items),
                FeedStep::ReadJournal { from, through, .. } => {
                    process.link.reading = true;
                    cx.counters.note("journal: read for a peer that lags");
                    let delay = cx.delay(50, 2_000);
                    let event = Event::FeedRead {
                        life,
                        session,
                        from,
                        through,
                    };
                    cx.schedule.after(delay, event);
                }
                FeedStep::Idle => return,
            }
        }
    }

    /// The part of the journal that the feed asked for is read.
    pub(crate) fn read_for_feed(
        &mut self,
        cx: &mut Context,
        life: Life,
        session: SessionId,
        from: FeedStart,
        through: Position,
    ) {
        let storage: Arc<dyn Storage> = Arc::new(self.state.clone());
        let Some(process) = self.process(life) else {
            return;
        };
        if process.link.session != Some(session) || !process.link.reading {
            return;
        }
        let read = || {
            let snapshot = process.journal.snapshot();
            JournalReader::new(Arc::clone(&storage), snapshot, false)
                .read(from, through, READ_BYTES)
        };
        let result = read().or_else(|_| read());
        process.link.reading = false;
        match result {
            Ok(items) => process.feed.supply(items),
            Err(error) => {
                cx.trace(|| format!("the feed cannot be read: {error}"));
                let handshake = process.feed.cannot_read();
                process.link.waiting = process.link.standing;
                process.follow(cx, handshake);
            }
        }
        self.drain(cx, life);
    }

    /// A frame was taken off the link: there may be room for the next.
    pub(crate) fn feed_has_room(&mut self, cx: &mut Context) {
        let life = self.life;
        self.pump_feed(cx, life);
    }
}

impl Process {
    fn send(&mut self, cx: &mut Context, session: SessionId, items: Vec<FeedItem>) {
        let mut frame = Vec::new();
        let ordinal = items.first().map(FeedItem::ordinal);
        let lives = self.feed.history().lives();
        let opening = lives
            .iter()
            .map(|life| life.start.opening)
            .find(|opening| Some(opening.ordinal) == ordinal);
        if let Some(opening) = opening
            && self.link.announced != Some(opening.ordinal)
        {
            self.link.announced = Some(opening.ordinal);
            let control = FeedUp::Control(Box::new(FromCapture::Incarnation(opening)));
            cx.feed.send_up(&mut cx.schedule, session, control);
        }
        for item in items {
            match item {
                FeedItem::Record { record, .. } => record.encode(FEED_SEED, &mut frame),
                FeedItem::Opening(start) => {
                    flush(cx, session, &mut frame);
                    if self.link.announced != Some(start.opening.ordinal) {
                        self.link.announced = Some(start.opening.ordinal);
                        let control =
                            FeedUp::Control(Box::new(FromCapture::Incarnation(start.opening)));
                        cx.feed.send_up(&mut cx.schedule, session, control);
                    }
                }
            }
        }
        flush(cx, session, &mut frame);
    }
}

fn flush(cx: &mut Context, session: SessionId, frame: &mut Vec<u8>) {
    if !frame.is_empty() {
        let records = FeedUp::Records(std::mem::take(frame).into());
        cx.feed.send_up(&mut cx.schedule, session, records);
    }
}

fn standing(held: Option<Held>) -> PeerStanding {
    PeerStanding {
        held,
        highest: held.map(|held| (held.position.ordinal, held.id)),
    }
}
