//! The network between two hosts: ordered sessions that break.
//!
//! What QUIC gives: within a session messages arrive whole and in order; a session may end at any
//! moment, and then any number of the last messages of either direction never arrive; the two ends
//! learn of it at different times. Nothing passes from one session into another.

use super::{
    schedule::{Micros, Schedule},
    world::Event,
};
use bcdr_disk::SeededRandom;
use std::collections::{BTreeMap, VecDeque};

/// Which link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Capture to gateway.
    Feed,
    /// Gateway to cloud side.
    Ship,
}

/// An end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The end that called.
    Client,
    /// The end that was called.
    Server,
}

/// Names a session; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

#[derive(Debug)]
struct Session<Up, Down> {
    up: VecDeque<Up>,
    down: VecDeque<Down>,
    /// When the last message of each direction arrives.
    up_at: Micros,
    down_at: Micros,
    broken: bool,
}

/// A link: `Up` travels from client to server, `Down` back.
#[derive(Debug)]
pub(crate) struct Link<Up, Down> {
    which: Which,
    sessions: BTreeMap<SessionId, Session<Up, Down>>,
    made: u64,
    random: SeededRandom,
    /// No session can be made while it is cut.
    pub(crate) cut: bool,
    /// The longest a message takes, in microseconds.
    pub(crate) latency: Micros,
}

impl<Up, Down> Link<Up, Down> {
    pub(crate) fn new(which: Which, random: SeededRandom) -> Self {
        let latency = 400;
        Self {
            which,
            sessions: BTreeMap::new(),
            made: 0,
            random,
            cut: false,
            latency,
        }
    }

    /// The client calls. The server hears of it with the first message.
    pub(crate) fn connect(&mut self, schedule: &Schedule) -> Option<SessionId> {
        if self.cut {
            return None;
        }
        self.made += 1;
        let id = SessionId(self.made);
        let (up_at, down_at) = (schedule.now(), schedule.now());
        let session = Session {
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_at,
            down_at,
            broken: false,
        };
        self.sessions.insert(id, session);
        Some(id)
    }

    /// Sends from client to server. What is sent into a broken session is lost.
    pub(crate) fn send_up(&mut self, schedule: &mut Schedule, id: SessionId, message: Up) {
        let delay = self.delay();
        let which = self.which;
        let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.broken) else {
            return;
        };
        session.up.push_back(message);
        session.up_at = session.up_at.max(schedule.now() + delay);
        schedule.at(
            session.up_at,
            Event::Deliver {
                which,
                session: id,
                to: Side::Server,
            },
        );
    }

    /// Sends from server to client.
    pub(crate) fn send_down(&mut self, schedule: &mut Schedule, id: SessionId, message: Down) {
        let delay = self.delay();
        let which = self.which;
        let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.broken) else {
            return;
        };
        session.down.push_back(message);
        session.down_at = session.down_at.max(schedule.now() + delay);
        schedule.at(
            session.down_at,
            Event::Deliver {
                which,
                session: id,
                to: Side::Client,
            },
        );
    }

    fn delay(&mut self) -> Micros {
        20 + self.random.below(self.latency.max(1))
    }

    /// The message that arrives at the server now, if it was not lost.
    pub(crate) fn take_up(&mut self, id: SessionId) -> Option<Up> {
        self.sessions.get_mut(&id)?.up.pop_front()
    }

    /// The message that arrives at the client now, if it was not lost.
    pub(crate) fn take_down(&mut self, id: SessionId) -> Option<Down> {
        self.sessions.get_mut(&id)?.down.pop_front()
    }

    /// Messages on their way to the server.
    pub(crate) fn under_way(&self, id: SessionId) -> usize {
        self.sessions.get(&id).map_or(0, |session| session.up.len())
    }

    /// The session breaks: of what is under way only a beginning still arrives.
    pub(crate) fn sever(&mut self, schedule: &mut Schedule, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.broken) else {
            return;
        };
        let (up, down) = (session.up.len() + 1, session.down.len() + 1);
        session.up.truncate(self.random.index(up));
        session.down.truncate(self.random.index(down));
        self.end(schedule, id);
    }

    /// The server ends the session in order: what it said last still arrives.
    pub(crate) fn close_from_server(&mut self, schedule: &mut Schedule, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.up.clear();
        }
        self.end(schedule, id);
    }

    fn end(&mut self, schedule: &mut Schedule, id: SessionId) {
        let which = self.which;
        let (late, later) = (self.random.below(30_000), self.random.below(30_000));
        let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.broken) else {
            return;
        };
        session.broken = true;
        let to_server = session.up_at.max(schedule.now()) + 1 + late;
        let to_client = session.down_at.max(schedule.now()) + 1 + later;
        schedule.at(
            to_server,
            Event::Down {
                which,
                session: id,
                side: Side::Server,
            },
        );
        schedule.at(
            to_client,
            Event::Down {
                which,
                session: id,
                side: Side::Client,
            },
        );
        let gone = to_server.max(to_client) + 1;
        schedule.at(gone, Event::Forget { which, session: id });
    }

    /// Both ends know that it is over.
    pub(crate) fn forget(&mut self, id: SessionId) {
        self.sessions.remove(&id);
    }

    /// The sessions that are up.
    pub(crate) fn up(&self) -> Vec<SessionId> {
        let up = self.sessions.iter().filter(|(_, session)| !session.broken);
        up.map(|(id, _)| *id).collect()
    }

    /// Breaks every session.
    pub(crate) fn sever_all(&mut self, schedule: &mut Schedule) {
        for id in self.up() {
            self.sever(schedule, id);
        }
    }
}
