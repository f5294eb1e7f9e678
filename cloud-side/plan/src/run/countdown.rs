//! The time that is left of a wait.
//!
//! Invariant: only time that passed in small pieces counts. A clock that jumps moves the countdown by a
//! minute at most, and one that is set back not at all; nor does time in which no process ran.

use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most time that one tick counts for, in microseconds.
const PIECE_MAX: u64 = 60_000_000;
/// How much of a wait a restart may cost again, in microseconds: what is left is kept this often.
const KEPT_EVERY: u64 = 10_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Countdown {
    remaining_microseconds: u64,
    counted_to: Timestamp,
}

/// What came of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticked {
    /// Time is left.
    Left,
    /// Time is left, and enough passed for it to be kept.
    LeftToKeep,
    /// It is over.
    Over,
}

impl Countdown {
    pub(super) fn new(seconds: u32, now: Timestamp) -> Self {
        Self {
            remaining_microseconds: u64::from(seconds) * 1_000_000,
            counted_to: now,
        }
    }

    /// Time in which nobody counted passed.
    pub(super) fn skip_to(&mut self, now: Timestamp) {
        self.counted_to = now;
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> Ticked {
        let before = self.remaining_microseconds;
        let passed = u64::try_from(now.0.saturating_sub(self.counted_to.0)).unwrap_or(0);
        self.remaining_microseconds = before.saturating_sub(passed.min(PIECE_MAX));
        self.counted_to = now;
        if self.remaining_microseconds == 0 {
            Ticked::Over
        } else if before / KEPT_EVERY != self.remaining_microseconds / KEPT_EVERY {
            Ticked::LeftToKeep
        } else {
            Ticked::Left
        }
    }

    pub(super) fn remaining(self) -> Duration {
        Duration::from_micros(self.remaining_microseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_jump_counts_for_a_minute_and_a_clock_set_back_for_nothing() {
        let ten_years = 10 * 365 * 86_400 * SECOND;
        let mut countdown = Countdown::new(600, Timestamp(0));
        assert_eq!(countdown.tick(Timestamp(ten_years)), Ticked::LeftToKeep);
        assert_eq!(countdown.remaining(), Duration::from_secs(540));
        assert_eq!(countdown.tick(Timestamp(-ten_years)), Ticked::Left);
        assert_eq!(countdown.remaining(), Duration::from_secs(540));
        countdown.tick(Timestamp(30 * SECOND - ten_years));
        assert_eq!(countdown.remaining(), Duration::from_secs(510));
    }

    #[test]
    fn time_in_which_nobody_counted_is_waited_again() {
        let mut countdown = Countdown::new(30, Timestamp(0));
        countdown.tick(Timestamp(5 * SECOND));
        countdown.skip_to(Timestamp(600 * SECOND));
        assert_eq!(countdown.tick(Timestamp(601 * SECOND)), Ticked::Left);
        assert_eq!(countdown.remaining(), Duration::from_secs(24));
    }

    #[test]
    fn it_is_over_after_its_length_and_not_before() {
        let mut countdown = Countdown::new(15, Timestamp(0));
        assert_eq!(countdown.tick(Timestamp(4 * SECOND)), Ticked::Left);
        assert_eq!(countdown.tick(Timestamp(6 * SECOND)), Ticked::LeftToKeep);
        assert_eq!(countdown.tick(Timestamp(15 * SECOND - 1)), Ticked::Left);
        assert_eq!(countdown.tick(Timestamp(15 * SECOND)), Ticked::Over);
    }
}
