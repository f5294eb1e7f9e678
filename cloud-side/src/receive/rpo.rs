//! The recovery point's age, measured on the receiver's own clock.
//!
//! A beat is the receiver's clock reading that went around through the capture. Once a point that
//! contains it is published, now minus the reading is the point's true age, on one clock. The
//! value is never smaller than the truth: where a clock or a record is missing it errs upwards. It
//! is absent only before the first point.

use bcdr_format::{ReceiverRunId, Timestamp, record::Beat};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One life of the receiver process, as the catalog logs it at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverRun {
    /// Its identity.
    pub id: ReceiverRunId,
    /// Its monotonic clock when it started, in nanoseconds.
    pub started_monotonic_nanoseconds: u64,
    /// The wall clock at that moment.
    pub started_wall: Timestamp,
    /// The last reading of its monotonic clock that was logged, in nanoseconds.
    pub last_monotonic_nanoseconds: u64,
}

impl ReceiverRun {
    fn wall_of(&self, monotonic_nanoseconds: u64) -> i128 {
        let elapsed =
            i128::from(monotonic_nanoseconds) - i128::from(self.started_monotonic_nanoseconds);
        i128::from(self.started_wall.0) * 1000 + elapsed
    }
}

/// What a lineage knows about the age of its newest point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpoBasis {
    /// Whether any point is published.
    pub published: bool,
    /// The newest beat that the newest point contains.
    pub beat: Option<Beat>,
    /// When the lineage was made: nothing in it is older.
    pub since: Timestamp,
}

/// How old the newest point is at `now_nanoseconds` of `current`'s monotonic clock; `beat_run` is
/// the run that the beat quotes, if the catalog still knows it.
pub fn recovery_point_age(
    basis: &RpoBasis,
    current: &ReceiverRun,
    now_nanoseconds: u64,
    beat_run: Option<&ReceiverRun>,
) -> Option<Duration> {
    if !basis.published {
        return None;
    }
    let in_this_run = now_nanoseconds.saturating_sub(current.started_monotonic_nanoseconds);
    let age = match (basis.beat, beat_run) {
        (Some(beat), _) if beat.run == current.id => {
            i128::from(now_nanoseconds) - i128::from(beat.receiver_nanoseconds)
        }
        (Some(beat), Some(run)) if beat.run == run.id => {
            let by_wall = current.wall_of(now_nanoseconds) - run.wall_of(beat.receiver_nanoseconds);
            // The wall clock may have been set back between the runs; what both runs measured
            // themselves is a lower bound that it cannot take away.
            let measured = run
                .last_monotonic_nanoseconds
                .saturating_sub(beat.receiver_nanoseconds)
                .saturating_add(in_this_run);
            by_wall.max(i128::from(measured))
        }
        // No beat was contained yet, or its run is not on record: nothing is older than the
        // lineage itself.
        _ => {
            let by_wall = current.wall_of(now_nanoseconds) - i128::from(basis.since.0) * 1000;
            by_wall.max(i128::from(in_this_run))
        }
    };
    let nanoseconds = u64::try_from(age.max(0)).unwrap_or(u64::MAX);
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn run(number: u128, started: u64, wall_seconds: i64, last: u64) -> ReceiverRun {
        ReceiverRun {
            id: ReceiverRunId::from_u128(number),
            started_monotonic_nanoseconds: started,
            started_wall: Timestamp(wall_seconds * 1_000_000),
            last_monotonic_nanoseconds: last,
        }
    }

    fn basis(run: u128, at: u64) -> RpoBasis {
        RpoBasis {
            published: true,
            beat: Some(Beat {
                run: ReceiverRunId::from_u128(run),
                receiver_nanoseconds: at,
            }),
            since: Timestamp(0),
        }
    }

    #[test]
    fn it_is_absent_before_the_first_point_and_grows_while_blind() {
        let current = run(1, 0, 1000, 0);
        let none = RpoBasis {
            published: false,
            ..basis(1, 0)
        };
        assert_eq!(recovery_point_age(&none, &current, SECOND, None), None);
        let age = |now| recovery_point_age(&basis(1, 5 * SECOND), &current, now, None);
        assert_eq!(age(6 * SECOND), Some(Duration::from_secs(1)));
        assert_eq!(age(65 * SECOND), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_beat_of_an_earlier_run_goes_through_the_wall_clock() {
        let old = run(1, 0, 1000, 20 * SECOND);
        let current = run(2, 50 * SECOND, 1100, 0);
        let age = recovery_point_age(&basis(1, 10 * SECOND), &current, 51 * SECOND, Some(&old));
        assert_eq!(age, Some(Duration::from_secs(91)));
    }

    #[test]
    fn a_wall_clock_set_back_does_not_make_it_younger_than_measured() {
        let old = run(1, 0, 1_000_000, 20 * SECOND);
        let current = run(2, 0, 1000, 0);
        let age = recovery_point_age(&basis(1, 10 * SECOND), &current, 5 * SECOND, Some(&old));
        assert_eq!(age, Some(Duration::from_secs(15)));
    }

    #[test]
    fn without_a_beat_nothing_is_younger_than_the_lineage() {
        let current = run(1, 0, 1000, 0);
        let basis = RpoBasis {
            published: true,
            beat: None,
            since: Timestamp(900 * 1_000_000),
        };
        let age = recovery_point_age(&basis, &current, 3 * SECOND, None);
        assert_eq!(age, Some(Duration::from_secs(103)));
    }
}
