//! The clocks of this process: wall time, and the monotonic time that beats quote.
//!
//! The monotonic clock also counts while the machine is suspended, so that a recovery point's age
//! is never under-stated after a resume.

use crate::receive::ReceiverRun;
use bcdr_format::{ReceiverRunId, Timestamp, record::Beat};
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, by the wall clock. A clock before the Unix epoch reads as the epoch.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// An instant as APIs and logs show it.
pub(crate) fn readable(at: Timestamp) -> jiff::Timestamp {
    let limit = if at.0 < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    };
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(limit)
}

/// An instant that a client named, as the stream stores it.
pub(crate) fn stored(at: jiff::Timestamp) -> Timestamp {
    Timestamp(at.as_microsecond())
}

/// The monotonic clock of one run of the receiver process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunClock {
    run: ReceiverRunId,
    started_nanoseconds: u64,
    started_wall: Timestamp,
}

impl RunClock {
    /// A clock for the run that starts now.
    ///
    /// # Errors
    /// When the system has no randomness for the run's id.
    pub(crate) fn start() -> Result<Self, getrandom::Error> {
        let started_wall = wall();
        let milliseconds = u64::try_from(started_wall.0 / 1000).unwrap_or(0);
        Ok(Self {
            run: ReceiverRunId::from_parts(milliseconds, crate::record_id::random()?),
            started_nanoseconds: monotonic_nanoseconds(),
            started_wall,
        })
    }

    /// Now, in nanoseconds of this run's clock.
    pub(crate) fn now_nanoseconds(&self) -> u64 {
        monotonic_nanoseconds()
    }

    /// A beat that quotes the clock now.
    pub(crate) fn beat(&self) -> Beat {
        Beat {
            run: self.run,
            receiver_nanoseconds: self.now_nanoseconds(),
        }
    }

    /// The run as the catalog logs it now.
    pub(crate) fn run(&self) -> ReceiverRun {
        ReceiverRun {
            id: self.run,
            started_monotonic_nanoseconds: self.started_nanoseconds,
            started_wall: self.started_wall,
            last_monotonic_nanoseconds: self.now_nanoseconds(),
        }
    }

    /// When the run started.
    pub(crate) fn started_wall(&self) -> Timestamp {
        self.started_wall
    }
}

fn monotonic_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_way_to_a_client_and_back() {
        for microseconds in [0, 1, 1_793_700_000_123_456, -5] {
            let at = Timestamp(microseconds);
            assert_eq!(stored(readable(at)), at);
        }
        assert_eq!(readable(Timestamp(i64::MAX)), jiff::Timestamp::MAX);
        assert_eq!(readable(Timestamp(i64::MIN)), jiff::Timestamp::MIN);
    }

    #[test]
    fn beats_name_their_run_and_never_go_back() {
        let clock = RunClock::start().unwrap();
        let (first, second) = (clock.beat(), clock.beat());
        assert_eq!(first.run, clock.run().id);
        assert!(first.receiver_nanoseconds <= second.receiver_nanoseconds);
        assert!(clock.run().started_monotonic_nanoseconds <= first.receiver_nanoseconds);
    }
}
