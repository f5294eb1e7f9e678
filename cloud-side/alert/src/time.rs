//! Time as alerts count it: instants by the wall clock, spans by the monotonic one.

use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Now, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, for people.
    pub wall: Timestamp,
    /// Time since some fixed moment of this process's life. It never goes back.
    pub monotonic: Duration,
}

/// Since when something is so.
///
/// Within one process the monotonic clock counts, so that a wall clock that jumps ends no pause and
/// begins none. Over a restart only the wall clock knows; where it was set back, no time passed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Since {
    /// The instant.
    pub at: Timestamp,
    /// What had passed at a moment of this process.
    #[serde(skip)]
    counted: Option<(Duration, Duration)>,
}

impl PartialEq for Since {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Since {}

impl Since {
    /// Since now.
    pub fn now(now: Now) -> Self {
        Self {
            at: now.wall,
            counted: Some((Duration::ZERO, now.monotonic)),
        }
    }

    /// Goes on counting what an earlier process began.
    pub(crate) fn take_up(&mut self, now: Now) {
        self.counted = Some((self.by_the_wall(now), now.monotonic));
    }

    /// How long that is.
    pub fn elapsed(&self, now: Now) -> Duration {
        match self.counted {
            Some((before, from)) => before.saturating_add(now.monotonic.saturating_sub(from)),
            None => self.by_the_wall(now),
        }
    }

    fn by_the_wall(&self, now: Now) -> Duration {
        let microseconds = now.wall.0.saturating_sub(self.at.0).max(0);
        Duration::from_micros(microseconds.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, monotonic: u64) -> Now {
        Now {
            wall: Timestamp(wall * 1_000_000),
            monotonic: Duration::from_secs(monotonic),
        }
    }

    #[test]
    fn a_wall_clock_that_jumps_moves_nothing_within_a_process() {
        let since = Since::now(at(1000, 5));
        assert_eq!(since.elapsed(at(90_000, 7)), Duration::from_secs(2));
        assert_eq!(since.elapsed(at(3, 8)), Duration::from_secs(3));
    }

    #[test]
    fn over_a_restart_the_wall_clock_counts_and_never_backwards() {
        let json = serde_json::to_string(&Since::now(at(1000, 5))).unwrap();
        let mut later: Since = serde_json::from_str(&json).unwrap();
        later.take_up(at(1060, 1));
        assert_eq!(later.elapsed(at(9, 4)), Duration::from_secs(63));
        let mut back: Since = serde_json::from_str(&json).unwrap();
        back.take_up(at(900, 1));
        assert_eq!(back.elapsed(at(900, 1)), Duration::ZERO);
    }
}
