//! What happens when nobody decides: the commit policy and its countdown.
//!
//! Invariant: only time that passed in small pieces counts. A clock that jumps, and time in which
//! this process did not run, so that nobody could decide either, move the countdown by a minute at
//! most; a clock set back does not move it.

use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Most time that one tick counts for.
const PIECE_MAX: Duration = Duration::from_secs(60);

/// What a failover or failback does when nobody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum CommitPolicy {
    /// It waits.
    #[default]
    Manual,
    /// It is made final.
    AutoCommit {
        /// After this many seconds.
        after_seconds: u32,
    },
    /// It is undone.
    AutoRollback {
        /// After this many seconds.
        after_seconds: u32,
    },
}

impl CommitPolicy {
    /// The countdown to its decision, begun at `now`; none if it waits.
    pub(super) fn countdown(self, now: Timestamp) -> Option<Countdown> {
        match self {
            Self::Manual => None,
            Self::AutoCommit { after_seconds } | Self::AutoRollback { after_seconds } => Some(
                Countdown::new(Duration::from_secs(u64::from(after_seconds)), now),
            ),
        }
    }
}

/// Time that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Countdown {
    remaining_microseconds: u64,
    counted_to: Timestamp,
}

impl Countdown {
    /// A countdown of this length, begun at `now`.
    pub(super) fn new(length: Duration, now: Timestamp) -> Self {
        Self {
            remaining_microseconds: u64::try_from(length.as_micros()).unwrap_or(u64::MAX),
            counted_to: now,
        }
    }

    /// Time passed. Says whether the countdown is over.
    pub(super) fn tick(&mut self, now: Timestamp) -> bool {
        let passed = u64::try_from(now.0.saturating_sub(self.counted_to.0)).unwrap_or(0);
        let most = u64::try_from(PIECE_MAX.as_micros()).unwrap_or(u64::MAX);
        self.remaining_microseconds = self.remaining_microseconds.saturating_sub(passed.min(most));
        self.counted_to = now;
        self.remaining_microseconds == 0
    }

    /// Time did not count up to `now`.
    pub(super) fn skip_to(&mut self, now: Timestamp) {
        self.counted_to = now;
    }

    /// What is left.
    pub fn remaining(&self) -> Duration {
        Duration::from_micros(self.remaining_microseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn it_ends_after_its_length_and_not_before() {
        let mut countdown = Countdown::new(Duration::from_secs(90), Timestamp(0));
        assert!(!countdown.tick(Timestamp(45 * SECOND)));
        assert!(!countdown.tick(Timestamp(90 * SECOND - 1)));
        assert!(countdown.tick(Timestamp(90 * SECOND)));
    }

    #[test]
    fn a_jump_counts_for_a_minute_and_a_clock_set_back_for_nothing() {
        let ten_years = 10 * 365 * 86_400 * SECOND;
        let mut countdown = Countdown::new(Duration::from_secs(600), Timestamp(0));
        assert!(!countdown.tick(Timestamp(ten_years)));
        assert_eq!(countdown.remaining(), Duration::from_secs(540));
        assert!(!countdown.tick(Timestamp(-ten_years)));
        assert_eq!(countdown.remaining(), Duration::from_secs(540));
        assert!(!countdown.tick(Timestamp(30 * SECOND - ten_years)));
        assert_eq!(countdown.remaining(), Duration::from_secs(510));
    }

    #[test]
    fn without_a_policy_nothing_counts_down() {
        assert_eq!(CommitPolicy::Manual.countdown(Timestamp(0)), None);
    }
}
