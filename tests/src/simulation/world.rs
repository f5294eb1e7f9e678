//! The world: three hosts, two links, the applications, and time.

use super::{
    capture::{CaptureHost, ClientId, IoId, Life},
    clients::Clients,
    cloud::CloudHost,
    context::{Context, Trace},
    faults::Fault,
    gateway::{GatewayHost, SpoolDone},
    link::{SessionId, Side, Which},
    oracle::Oracle,
    schedule::Micros,
    settings::Settings,
};
use bcdr_capture::{feed::FeedStart, journal::JournalEvent, tap::Reply};
use bcdr_disk::SeededRandom;
use bcdr_format::{GroupId, InstallationId, Position, StreamId, VolumeId};
use bcdr_wire::seal::{InstallationKey, InstallationKeyBytes};
use std::sync::Arc;

/// Who everything belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(crate) installation: InstallationId,
    pub(crate) installation_key: Arc<InstallationKey>,
    pub(crate) group: GroupId,
    pub(crate) stream: StreamId,
    pub(crate) volumes: Vec<VolumeId>,
}

impl Ids {
    fn new(volumes: usize) -> Self {
        Self {
            installation: InstallationId::from_u128(1),
            installation_key: Arc::new(InstallationKey::from_bytes(&InstallationKeyBytes::new(
                [7; 32],
            ))),
            group: GroupId::from_u128(2),
            stream: StreamId::from_u128(3),
            volumes: (0..volumes)
                .map(|volume| VolumeId::from_u128(10 + volume as u128))
                .collect(),
        }
    }
}

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Event {
    Client {
        client: ClientId,
    },
    Answer {
        life: Life,
        reply: Reply,
    },
    Backing {
        life: Life,
        id: IoId,
    },
    JournalRun {
        life: Life,
    },
    JournalReport {
        life: Life,
        events: Vec<JournalEvent>,
    },
    CaptureTick {
        life: Life,
    },
    CaptureStart,
    FeedCall {
        life: Life,
    },
    FeedRead {
        life: Life,
        session: SessionId,
        from: FeedStart,
        through: Position,
    },
    Deliver {
        which: Which,
        session: SessionId,
        to: Side,
    },
    Down {
        which: Which,
        session: SessionId,
        side: Side,
    },
    Forget {
        which: Which,
        session: SessionId,
    },
    GatewayStart,
    GatewayTick {
        life: Life,
    },
    GatewayPack {
        life: Life,
        era: u64,
    },
    SpoolRun {
        life: Life,
    },
    SpoolReport {
        life: Life,
        done: SpoolDone,
    },
    ShipCall {
        life: Life,
    },
    CloudStart,
    CloudTick {
        life: Life,
    },
    CloudCommit {
        life: Life,
    },
    Marker,
    Fault,
    Heal {
        fault: Fault,
    },
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cx: Context,
    pub(crate) capture: CaptureHost,
    pub(crate) gateway: GatewayHost,
    pub(crate) cloud: CloudHost,
    pub(crate) clients: Clients,
    /// One point in so many is looked at when it is published.
    pub(crate) look_at_one_in: u64,
    /// Bookmarks are asked for, and faults happen.
    pub(crate) restless: bool,
}

impl World {
    /// A world with nothing running.
    pub(crate) fn new(settings: &Settings, mut random: SeededRandom, trace: Trace) -> Self {
        let ids = Ids::new(settings.volumes.len());
        let oracle = Oracle::new(&settings.sectors());
        let cx = Context::new(random.fork(), oracle, trace);
        Self {
            capture: CaptureHost::new(settings, ids.clone(), &mut random),
            gateway: GatewayHost::new(settings, ids.clone(), &mut random),
            cloud: CloudHost::new(settings, ids, &mut random),
            clients: Clients::new(settings, &mut random),
            cx,
            look_at_one_in: 4,
            restless: false,
        }
    }

    /// Starts all three hosts and the clients.
    pub(crate) fn begin(&mut self) {
        for event in [Event::CloudStart, Event::GatewayStart, Event::CaptureStart] {
            self.cx.schedule.after(0, event);
        }
        self.clients.begin(&mut self.cx);
    }

    /// Runs until `done` or until virtual time has passed; whether it was done.
    pub(crate) fn run_until(
        &mut self,
        patience: Micros,
        mut done: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = self.cx.schedule.now() + patience;
        while self.cx.violation().is_none() && self.cx.schedule.now() < end {
            if done(self) {
                return true;
            }
            self.step();
        }
        done(self)
    }

    /// Runs for a while.
    pub(crate) fn run_for(&mut self, time: Micros) {
        self.run_until(time, |_| false);
    }

    /// The next thing happens.
    pub(crate) fn step(&mut self) {
        let Some(event) = self.cx.schedule.pop() else {
            return;
        };
        let was_up = self.capture.is_up();
        self.happen(event);
        if was_up && !self.capture.is_up() {
            self.clients.server_died(&mut self.cx);
        }
        self.look_at_new_points();
        self.cloud.notice_power_cut(&mut self.cx);
    }

    fn happen(&mut self, event: Event) {
        let cx = &mut self.cx;
        match event {
            Event::Client { client } => self.clients.wake(cx, client, &mut self.capture),
            Event::Answer { life, reply } => self.capture.answer(cx, life, reply),
            Event::Backing { life, id } => self.capture.io_step(cx, life, id),
            Event::JournalRun { life } => self.capture.journal_run(cx, life),
            Event::JournalReport { life, events } => self.capture.journal_report(cx, life, events),
            Event::CaptureTick { life } => {
                let (up, stopped) = (
                    self.capture.is_up(),
                    cx.counters.of("capture stopped in order"),
                );
                self.capture.tick(cx, life);
                if up && cx.counters.of("capture stopped in order") > stopped {
                    self.capture_stopped();
                }
            }
            Event::CaptureStart => self.capture.start(cx),
            Event::FeedCall { life } => self.capture.call(cx, life),
            Event::FeedRead {
                life,
                session,
                from,
                through,
            } => {
                self.capture.read_for_feed(cx, life, session, from, through);
            }
            Event::Deliver { which, session, to } => self.deliver(which, session, to),
            Event::Down {
                which,
                session,
                side,
            } => self.down(which, session, side),
            Event::Forget {
                which: Which::Feed,
                session,
            } => cx.feed.forget(session),
            Event::Forget {
                which: Which::Ship,
                session,
            } => cx.ship.forget(session),
            Event::GatewayStart => self.gateway.start(cx),
            Event::GatewayTick { life } => {
                self.gateway.tick(cx, life);
                self.capture.feed_has_room(cx);
            }
            Event::GatewayPack { life, era } => self.gateway.packed(cx, life, era),
            Event::SpoolRun { life } => self.gateway.spool_run(cx, life),
            Event::SpoolReport { life, done } => self.gateway.spool_report(cx, life, done),
            Event::ShipCall { life } => self.gateway.call(cx, life),
            Event::CloudStart => self.cloud.start(cx),
            Event::CloudTick { life } => self.cloud.tick(cx, life),
            Event::CloudCommit { life } => self.cloud.commit(cx, life),
            Event::Marker => {
                self.cloud.ask_for_marker(cx);
                if self.restless {
                    let next = cx.delay(30_000, 200_000);
                    cx.schedule.after(next, Event::Marker);
                }
            }
            Event::Fault => {
                if self.restless {
                    self.random_fault();
                }
            }
            // In a script what lasts is ended by the script.
            Event::Heal { fault } => {
                if self.restless {
                    self.heal(fault);
                }
            }
        }
    }

    fn deliver(&mut self, which: Which, session: SessionId, to: Side) {
        let cx = &mut self.cx;
        match (which, to) {
            (Which::Feed, Side::Server) => {
                // A gateway that is behind does not read.
                if self.gateway.waiting_frames() >= 4 {
                    let event = Event::Deliver { which, session, to };
                    return cx.schedule.after(500, event);
                }
                if let Some(message) = cx.feed.take_up(session) {
                    self.gateway.hear_capture(cx, session, message);
                    self.capture.feed_has_room(cx);
                }
            }
            (Which::Feed, Side::Client) => {
                if let Some(message) = cx.feed.take_down(session) {
                    self.capture.hear(cx, session, message);
                }
            }
            (Which::Ship, Side::Server) => {
                if let Some(message) = cx.ship.take_up(session) {
                    self.cloud.hear(cx, session, message);
                }
            }
            (Which::Ship, Side::Client) => {
                if let Some(message) = cx.ship.take_down(session) {
                    self.gateway.hear_cloud(cx, session, message);
                }
            }
        }
    }

    fn down(&mut self, which: Which, session: SessionId, side: Side) {
        let cx = &mut self.cx;
        match (which, side) {
            (Which::Feed, Side::Client) => self.capture.feed_down(cx, session),
            (Which::Feed, Side::Server) => self.gateway.capture_gone(cx, session),
            (Which::Ship, Side::Client) => self.gateway.cloud_gone(cx, session),
            (Which::Ship, Side::Server) => self.cloud.gateway_gone(session),
        }
    }

    /// The capture ended in order: a good moment for a snapshot, or for somebody else's write.
    fn capture_stopped(&mut self) {
        let cx = &mut self.cx;
        if cx.random.below(2) == 0 {
            self.capture.take_snapshot(cx);
        }
        if self.restless && cx.random.below(4) == 0 {
            cx.counters
                .note("disk changed while the capture was stopped");
            let sizes = cx.oracle.sizes();
            let volume = cx.random.index(sizes.len());
            let sector = cx.random.below(u64::from(sizes[volume])) as u32;
            self.capture.write_behind_its_back(cx, volume, sector);
        }
        let again = cx.delay(1_000, 60_000);
        cx.schedule.after(again, Event::CaptureStart);
    }

    fn look_at_new_points(&mut self) {
        for judged in self.cloud.new_points() {
            if judged.marker.is_some() || self.cx.random.below(self.look_at_one_in) == 0 {
                self.judge(&judged);
            }
        }
    }

    /// Has the oracle judge a point.
    pub(crate) fn judge(&mut self, judged: &super::cloud::Judged) {
        let capture = &self.capture;
        self.cloud.judge(
            &mut self.cx,
            judged,
            &|ordinal| capture.opened_at(ordinal),
            &capture.markers,
        );
    }
}
