//! The durable mark of an inspection that was begun, and when one that ends the process is given up.
//!
//! Pure. A disk may hold what makes an inspection end the whole process, which replication is a part
//! of. Invariant: the mark is durable before anything is read, and goes only when the inspection came
//! to an end; so a process that finds it did not survive the inspection, or was ended in its middle.
//! It is kept per group and not per point: each restart finds a newer point.

use crate::{catalog::Document, receive::PointId};
use bcdr_format::{GroupId, Timestamp};
use bcdr_readiness::{Check, CheckCode, Readiness, ReadinessReport, TargetMachine, Verdict};
use serde::{Deserialize, Serialize};

/// After so many inspections of a group that ended with the process, no other is made for a while.
const TIMES_MAX: u32 = 2;
/// How long that is, in microseconds: a week.
const PAUSE: i64 = 7 * 24 * 60 * 60 * 1_000_000;

/// An inspection that was begun and did not end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BegunInspection {
    pub(super) group: GroupId,
    /// The point that was inspected last.
    pub(super) point: PointId,
    /// When that was begun.
    pub(super) begun_at: Timestamp,
    /// Inspections of the group that were begun one after the other, and none of which ended.
    pub(super) times: u32,
    /// The release that begun it: another one may do better.
    pub(super) release: String,
}

impl Document for BegunInspection {
    const COLLECTION: &'static str = "readiness_begun";

    fn key(&self) -> String {
        self.group.to_string()
    }
}

/// What a mark says to an inspection that is to be begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// It is begun, with this mark.
    Go(BegunInspection),
    /// It is not: earlier ones ended with the process.
    GivenUp(BegunInspection),
}

/// Decides whether the inspection of a point may begin, by the mark that an earlier one left.
pub(super) fn begin(
    left: Option<BegunInspection>,
    group: GroupId,
    point: PointId,
    now: Timestamp,
) -> Begin {
    let release = env!("CARGO_PKG_VERSION");
    let left = left.filter(|left| left.release == release);
    let times = left.as_ref().map_or(0, |left| left.times);
    if let Some(left) = left
        && times >= TIMES_MAX
        // A clock that was set back does not end the pause, and one set forward ends it once.
        && now.0.saturating_sub(left.begun_at.0) < PAUSE
    {
        return Begin::GivenUp(left);
    }
    Begin::Go(BegunInspection {
        group,
        point,
        begun_at: now,
        times: times.saturating_add(1),
        release: release.to_owned(),
    })
}

impl BegunInspection {
    /// The answer where nothing is inspected.
    pub(super) fn report(&self, target: TargetMachine) -> ReadinessReport {
        let evidence = format!(
            "the inspection ended with the process {} times, at point {} last; it is not tried again for a week, or until another release runs",
            self.times, self.point
        );
        ReadinessReport {
            readiness: Readiness::Unknown,
            target,
            operating_system: None,
            checks: vec![Check {
                code: CheckCode::InspectionCompleted,
                verdict: Verdict::Unknown,
                evidence,
                remedy: Some(
                    "start a drill to see whether the point boots; look into the cloud side's log for how the process ended, and report it".to_owned(),
                ),
            }],
            fix_ups: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{IncarnationOrdinal, Position, Sequence};

    fn point(sequence: u64) -> PointId {
        PointId(Position {
            ordinal: IncarnationOrdinal(1),
            sequence: Sequence(sequence),
        })
    }

    fn begun(left: Option<BegunInspection>, sequence: u64, now: i64) -> Begin {
        begin(left, GroupId::from_u128(1), point(sequence), Timestamp(now))
    }

    #[test]
    fn a_third_inspection_is_not_begun_whatever_the_point_until_a_week_or_a_release_later() {
        let mut left = None;
        for time in 1..=2 {
            let Begin::Go(mark) = begun(left, u64::from(time), i64::from(time)) else {
                panic!("{time}");
            };
            assert_eq!(mark.times, time);
            left = Some(mark);
        }
        let Begin::GivenUp(mark) = begun(left.clone(), 9, 10) else {
            panic!("it was begun a third time");
        };
        let report = mark.report(super::super::DEFAULT_TARGET);
        assert_eq!(report.readiness, Readiness::Unknown);
        assert!(report.checks[0].evidence.contains("2 times"));
        // A clock set back changes nothing.
        assert!(matches!(begun(left.clone(), 9, -PAUSE), Begin::GivenUp(_)));
        let Begin::Go(again) = begun(left.clone(), 9, PAUSE + 2) else {
            panic!("it is never tried again");
        };
        assert_eq!(again.times, 3);
        assert!(matches!(
            begun(Some(again), 9, PAUSE + 3),
            Begin::GivenUp(_)
        ));
        let older = left.map(|left| BegunInspection {
            release: "0.0.0-before".to_owned(),
            ..left
        });
        assert!(matches!(begun(older, 9, 10), Begin::Go(mark) if mark.times == 1));
    }
}
