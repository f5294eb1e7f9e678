//! Which way a group is protected: from its source to here, or from production here back home.
//!
//! Invariant: what the one way shows is never taken for a judgement of the other. That home is gone
//! while production runs at the target does not mean that the source came back.

use super::{is_this_bad, span, unknown};
use crate::recovery::{FailbackRecord, Placement, PlacementJob, PlacementState, Step};
use bcdr_alert::{Judged, Now, Severity};
use std::time::Duration;

/// Where what production writes is brought.
pub(super) enum Way<'a> {
    /// From the source to here.
    Here,
    /// Home, in the rounds of a failback.
    Home(&'a FailbackRecord),
}

/// Where what a group's production writes is brought; or why that cannot be said.
pub(super) fn of(placement: Option<&Placement>) -> Result<Way<'_>, Judged> {
    let Some(placement) = placement else {
        return Err(unknown("where production runs is being looked up"));
    };
    match (placement.state(), placement.job()) {
        (PlacementState::SourceActive, _) => Ok(Way::Here),
        (
            PlacementState::Reversing | PlacementState::ReverseProtected,
            Some(PlacementJob::Failback(job)),
        ) => Ok(Way::Home(job)),
        (PlacementState::TargetActive, _) => Err(unknown("production runs at the target")),
        (PlacementState::SplitBrainSuspected, _) => {
            Err(unknown("two sites may be taking writes; settle that first"))
        }
        _ => Err(unknown("production is being moved")),
    }
}

/// Whether a group's production is at its source, so that what the source does says how it is
/// protected; or why that is not so.
pub(super) fn at_source(placement: Option<&Placement>) -> Result<(), Judged> {
    match of(placement)? {
        Way::Here => Ok(()),
        Way::Home(_) => Err(unknown("production runs at the target")),
    }
}

/// How long ago home held what production at the target had written.
pub(super) fn home_age(job: &FailbackRecord, now: Now) -> Result<Duration, Judged> {
    if !job.seeded {
        return Err(unknown("home holds no complete copy yet"));
    }
    let Some(at) = job.followed_at else {
        return Err(unknown("no round has been complete since an older release"));
    };
    // How long ago a time is that is still to come, nobody knows: the clock was set back since.
    let microseconds = now.wall.0.saturating_sub(at.0);
    match u64::try_from(microseconds) {
        Ok(age) => Ok(Duration::from_micros(age)),
        Err(_) => Err(unknown(
            "the clock was set back since home was last complete",
        )),
    }
}

/// That home is too old. No more than a warning: without a failback it would be older.
pub(super) fn home_is_late(job: &FailbackRecord, age: Duration, target: Duration) -> Judged {
    let failure = job.progress.failure.as_ref();
    let failure = failure.filter(|_| job.progress.is_failing(Step::CopyRound));
    let why = failure.map_or(String::new(), |failure| {
        format!(
            "; the last round failed: {}; {}",
            failure.cause, failure.remedy
        )
    });
    is_this_bad(
        Severity::Warning,
        format!(
            "home is {} behind production at the target; the target is {}{why}",
            span(age),
            span(target)
        ),
    )
}

/// Whether nothing follows production at the target; none where that is no question.
pub(super) fn is_followed_by_nothing(placement: Option<&Placement>) -> Option<Judged> {
    let placement = placement?;
    let detail = match (placement.state(), placement.job()) {
        (PlacementState::TargetActive, _) => {
            "production runs at the target, and nothing follows what it writes; begin a failback"
        }
        (PlacementState::Reversing, Some(job)) if job.progress().step == Step::AwaitSeed => {
            "production runs at the target, and the failback awaits the confirmation of its disks"
        }
        (PlacementState::Reversing, _) => {
            "production runs at the target, and home holds no complete copy of it yet"
        }
        _ => return None,
    };
    Some(is_this_bad(Severity::Warning, detail))
}
