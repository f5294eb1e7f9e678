//! The clocks, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bcdr_format::Timestamp;

use crate::Moment;

/// Both clocks, from one start. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Now, on both clocks.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment {
            monotonic: self.monotonic(),
            wall: wall(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The wall clock. One before the Unix epoch reads as the epoch.
#[must_use]
pub fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// When the machine started, by the wall clock as it is set now: it moves exactly when that clock
/// is set, because the time since the start is never set.
#[must_use]
pub fn boot_at() -> Timestamp {
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let micros = up.tv_sec * 1_000_000 + up.tv_nsec / 1000;
    Timestamp(wall().0 - micros)
}
