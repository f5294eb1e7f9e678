//! What every host of the world shares: time, the network, randomness, the oracle, the trace.

use super::{
    counters::Counters,
    link::{Link, Which},
    oracle::Oracle,
    schedule::Schedule,
};
use bcdr_capture::Moment;
use bcdr_disk::SeededRandom;
use bcdr_format::Timestamp;
use bcdr_wire::{
    feed::{FromCapture, ToCapture},
    ship::{FromGateway, ToGateway},
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Wall-clock time when every world begins, in microseconds since the Unix epoch.
const EPOCH: i64 = 1_800_000_000_000_000;

/// What travels from capture to gateway.
#[derive(Debug, Clone)]
pub(crate) enum FeedUp {
    Control(Box<FromCapture>),
    Records(Bytes),
}

/// What travels from gateway to cloud side.
#[derive(Debug, Clone)]
pub(crate) enum ShipUp {
    Control(FromGateway),
    Batch(Bytes),
}

/// A host with a wall clock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    Capture = 0,
    Gateway = 1,
    Cloud = 2,
}

/// The last lines of what happened; kept only when a failing seed is run again.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    lines: Option<Arc<Mutex<VecDeque<String>>>>,
    kept: usize,
}

impl Trace {
    /// A trace that keeps so many of the last lines.
    #[must_use]
    pub fn on(kept: usize) -> Self {
        Self {
            lines: Some(Arc::default()),
            kept,
        }
    }

    /// The lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Some(lines) = &self.lines else {
            return Vec::new();
        };
        lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    fn push(&self, line: String) {
        let Some(lines) = &self.lines else { return };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= self.kept {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Shared by all hosts.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) schedule: Schedule,
    pub(crate) random: SeededRandom,
    pub(crate) oracle: Oracle,
    pub(crate) counters: Counters,
    pub(crate) feed: Link<FeedUp, ToCapture>,
    pub(crate) ship: Link<ShipUp, ToGateway>,
    trace: Trace,
    violation: Option<String>,
    /// The ordinal of the newest life of the stream that any capture began.
    pub(crate) newest_life: u32,
    offsets: [i64; 3],
}

impl Context {
    pub(crate) fn new(mut random: SeededRandom, oracle: Oracle, trace: Trace) -> Self {
        Self {
            schedule: Schedule::default(),
            feed: Link::new(Which::Feed, random.fork()),
            ship: Link::new(Which::Ship, random.fork()),
            random,
            oracle,
            counters: Counters::default(),
            trace,
            violation: None,
            newest_life: 0,
            offsets: [0; 3],
        }
    }

    /// A line for the trace; made only if somebody keeps it.
    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if self.trace.lines.is_some() {
            self.trace
                .push(format!("{:>12} {}", self.schedule.now(), line()));
        }
    }

    /// An invariant is broken: the run ends.
    pub(crate) fn violated(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.trace(|| format!("VIOLATION: {what}"));
        self.violation.get_or_insert(what);
    }

    /// Whether what was checked holds.
    pub(crate) fn check(&mut self, checked: Result<(), String>, what: &str) {
        if let Err(reason) = checked {
            self.violated(format!("{what}: {reason}"));
        }
    }

    /// The first broken invariant.
    pub(crate) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// A host's wall clock.
    pub(crate) fn wall(&self, host: Host) -> Timestamp {
        Timestamp(EPOCH + self.schedule.now() as i64 + self.offsets[host as usize])
    }

    /// Steps a host's wall clock.
    pub(crate) fn step_clock(&mut self, host: Host, microseconds: i64) {
        self.offsets[host as usize] += microseconds;
    }

    /// A host's clocks.
    pub(crate) fn moment(&self, host: Host) -> Moment {
        Moment {
            monotonic: self.schedule.monotonic(),
            wall: self.wall(host),
        }
    }

    /// The monotonic clock for cores that take an [`Instant`].
    pub(crate) fn instant(&self) -> Instant {
        self.schedule.instant()
    }

    /// A random number of microseconds in `low..high`.
    pub(crate) fn delay(&mut self, low: u64, high: u64) -> u64 {
        self.random.between(low, high)
    }

    /// 128 random bits.
    pub(crate) fn random_u128(&mut self) -> u128 {
        u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64())
    }
}
