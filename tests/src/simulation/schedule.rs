//! Virtual time and what is to happen when.

use super::world::Event;
use std::{
    collections::BTreeMap,
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Virtual time since the world began, in microseconds.
pub(crate) type Micros = u64;

/// Events by time; those of one instant in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    now: Micros,
    made: u64,
    events: BTreeMap<(Micros, u64), Event>,
}

impl Schedule {
    /// Virtual time.
    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// Virtual time on a monotonic clock.
    pub(crate) fn monotonic(&self) -> Duration {
        Duration::from_micros(self.now)
    }

    /// Virtual time for cores that take an [`Instant`].
    pub(crate) fn instant(&self) -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now) + self.monotonic()
    }

    /// Has `event` happen `delay` from now.
    pub(crate) fn after(&mut self, delay: Micros, event: Event) {
        self.at(self.now + delay, event);
    }

    /// Has `event` happen at `time`, or now if that is past.
    pub(crate) fn at(&mut self, time: Micros, event: Event) {
        self.made += 1;
        self.events.insert((time.max(self.now), self.made), event);
    }

    /// The next event; time moves on to it.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let ((time, _), event) = self.events.pop_first()?;
        self.now = time;
        Some(event)
    }
}
