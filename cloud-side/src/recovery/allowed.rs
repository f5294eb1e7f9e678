//! What may be done with a group's placement now, and why not: pure functions of its state.
//!
//! Invariant: the machine itself asks [`judge`] before it carries a wish out, so what is shown as
//! allowed is carried out, and nothing else is.

use super::{
    authority::Site,
    job::PlacementJob,
    placement::{Placement, PlacementState, SplitReason},
    record::Refused,
    step::{Stage, Step},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an operator may want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Boot a point in isolation.
    Drill,
    /// Begin a failover.
    FailoverStart,
    /// Make it final.
    FailoverCommit,
    /// Undo it.
    FailoverRollback,
    /// Give it up before authority moves.
    FailoverCancel,
    /// Begin a failback.
    FailbackStart,
    /// Confirm the disks that may be overwritten.
    FailbackConfirm,
    /// Bring production home now.
    FailbackCutover,
    /// Make it final.
    FailbackCommit,
    /// Undo the cutover.
    FailbackRollback,
    /// Give it up before the cutover.
    FailbackCancel,
    /// Begin to put the source's disks back to a point.
    RestoreStart,
    /// Give that up.
    RestoreCancel,
    /// Try the failed step again.
    Retry,
    /// Keep the source's data.
    KeepSource,
    /// Keep the target's data.
    KeepTarget,
}

impl Verb {
    /// All verbs, in the order of the way there and back.
    pub const ALL: [Self; 16] = [
        Self::Drill,
        Self::FailoverStart,
        Self::FailoverCommit,
        Self::FailoverRollback,
        Self::FailoverCancel,
        Self::FailbackStart,
        Self::FailbackConfirm,
        Self::FailbackCutover,
        Self::FailbackCommit,
        Self::FailbackRollback,
        Self::FailbackCancel,
        Self::RestoreStart,
        Self::RestoreCancel,
        Self::Retry,
        Self::KeepSource,
        Self::KeepTarget,
    ];
}

/// What the placement does not know and some verbs depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether the group has a recovery point.
    pub has_point: bool,
    /// Whether a drill's clean-up is not proven.
    pub drill_cleanup_failed: bool,
}

/// A verb, and why it is not allowed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllowedAction {
    /// The verb.
    pub verb: Verb,
    /// None if it is allowed.
    pub refused: Option<Refused>,
}

/// Every verb with its verdict.
pub fn allowed_actions(placement: &Placement, surroundings: Surroundings) -> Vec<AllowedAction> {
    let refusal = |verb| around(verb, surroundings).or_else(|| judge(placement, verb).err());
    Verb::ALL
        .into_iter()
        .map(|verb| AllowedAction {
            verb,
            refused: refusal(verb),
        })
        .collect()
}

/// What the surroundings have against a verb.
fn around(verb: Verb, surroundings: Surroundings) -> Option<Refused> {
    let needs_point = matches!(verb, Verb::Drill | Verb::FailoverStart | Verb::RestoreStart);
    if needs_point && !surroundings.has_point {
        return Some(Refused::new(
            "no_point",
            "the group has no recovery point yet",
            "wait until its first copy is complete",
        ));
    }
    if verb == Verb::Drill && surroundings.drill_cleanup_failed {
        return Some(Refused::new(
            "cleanup_failed",
            "the clean-up of a drill is not proven",
            "have the clean-up tried again by restarting the cloud side, then start the drill",
        ));
    }
    None
}

/// Whether the placement allows a verb.
///
/// # Errors
/// Why it does not, with a remedy.
pub fn judge(placement: &Placement, verb: Verb) -> Result<(), Refused> {
    let is_split = placement.split_brain().is_some();
    match verb {
        // A drill reads points and writes overlays; wherever production is, it is not touched.
        Verb::Drill => Ok(()),
        Verb::KeepSource => keep_source(placement),
        Verb::KeepTarget => keep_target(placement),
        Verb::Retry => retry(placement),
        _ if is_split => Err(split()),
        Verb::FailoverStart => failover_start(placement),
        Verb::FailbackStart => failback_start(placement),
        Verb::RestoreStart => restore_start(placement),
        Verb::RestoreCancel => restore_cancel(placement),
        Verb::FailoverCommit | Verb::FailoverRollback | Verb::FailoverCancel => {
            failover(placement, verb)
        }
        Verb::FailbackConfirm
        | Verb::FailbackCutover
        | Verb::FailbackCommit
        | Verb::FailbackRollback
        | Verb::FailbackCancel => failback(placement, verb),
    }
}

fn failover_start(placement: &Placement) -> Result<(), Refused> {
    match placement.job() {
        // A source that is lost in the middle of a restore must not keep production from going on.
        None | Some(PlacementJob::Restore(_)) => {}
        Some(_) => return Err(busy()),
    }
    match placement.authority().holder() {
        Site::Source => Ok(()),
        Site::Target => Err(Refused::new(
            "already_at_target",
            "production already runs at the target",
            "start a failback to bring it home",
        )),
    }
}

fn failback_start(placement: &Placement) -> Result<(), Refused> {
    if placement.job().is_some() {
        return Err(busy());
    }
    if placement.state() != PlacementState::TargetActive || placement.target().is_none() {
        return Err(not_at_target());
    }
    Ok(())
}

fn restore_start(placement: &Placement) -> Result<(), Refused> {
    if placement.job().is_some() {
        return Err(busy());
    }
    match placement.authority().holder() {
        Site::Source => Ok(()),
        Site::Target => Err(Refused::new(
            "production_at_target",
            "production runs at the target, not on the source's disks",
            "bring it home by a failback first",
        )),
    }
}

fn restore_cancel(placement: &Placement) -> Result<(), Refused> {
    let Some(PlacementJob::Restore(job)) = placement.job() else {
        return Err(Refused::new(
            "no_restore",
            "no restore is on its way",
            "start one",
        ));
    };
    if job.can_cancel() {
        return Ok(());
    }
    if job.turned_back.is_some() {
        return Err(turning_back());
    }
    Err(Refused::new(
        "already_restored",
        "the disks hold the point, and the source serves them or is about to",
        "wait for its end, then undo it",
    ))
}

fn failover(placement: &Placement, verb: Verb) -> Result<(), Refused> {
    let Some(PlacementJob::Failover(job)) = placement.job() else {
        return Err(Refused::new(
            "no_failover",
            "no failover is on its way",
            "start one",
        ));
    };
    if job.turned_back.is_some() {
        return Err(turning_back());
    }
    let awaits = job.progress.step == Step::AwaitCommit && job.progress.stage == Stage::Waiting;
    match verb {
        Verb::FailoverCommit if !awaits => Err(Refused::new(
            "not_awaiting_commit",
            "the failover is not at the point where it can be made final",
            "wait until the instance runs, or roll back",
        )),
        Verb::FailoverRollback if !job.fence_begun() => Err(Refused::new(
            "nothing_to_roll_back",
            "authority has not moved yet",
            "cancel the failover",
        )),
        Verb::FailoverCancel if job.fence_begun() => Err(Refused::new(
            "authority_moved",
            "authority has moved to the target, or is about to",
            "roll the failover back",
        )),
        _ => Ok(()),
    }
}

fn failback(placement: &Placement, verb: Verb) -> Result<(), Refused> {
    let Some(PlacementJob::Failback(job)) = placement.job() else {
        return Err(Refused::new(
            "no_failback",
            "no failback is on its way",
            "start one while production runs at the target",
        ));
    };
    if job.turned_back.is_some() {
        return Err(turning_back());
    }
    if job.is_committed() {
        if verb == Verb::FailbackRollback && job.is_unprotected() {
            return Ok(());
        }
        return Err(Refused::new(
            "already_committed",
            "the failback is final; forward protection is being resumed",
            "wait for it, or retry it if it failed; if home is lost before that, roll the failback back",
        ));
    }
    let waits_in = |step| job.progress.step == step && job.progress.stage == Stage::Waiting;
    let is_cut_over = !matches!(
        placement.state(),
        PlacementState::Reversing | PlacementState::ReverseProtected
    );
    match verb {
        Verb::FailbackConfirm if !waits_in(Step::AwaitSeed) => Err(Refused::new(
            "not_awaiting_seed",
            "no confirmation of disks is awaited",
            "wait until the disks at home are inspected",
        )),
        Verb::FailbackCutover if !(job.seeded && waits_in(Step::BetweenRounds)) => {
            Err(Refused::new(
                "home_not_following",
                "no round is complete, or one is on its way",
                "wait until home follows the target",
            ))
        }
        Verb::FailbackCommit if !waits_in(Step::AwaitCommit) => Err(Refused::new(
            "not_awaiting_commit",
            "the failback is not at the point where it can be made final",
            "wait until production runs at home, or roll back",
        )),
        Verb::FailbackRollback if !is_cut_over => Err(Refused::new(
            "nothing_to_roll_back",
            "production still runs at the target",
            "cancel the failback",
        )),
        Verb::FailbackCancel if is_cut_over => Err(Refused::new(
            "cutover_begun",
            "the cutover has begun",
            "roll the failback back",
        )),
        _ => Ok(()),
    }
}

fn retry(placement: &Placement) -> Result<(), Refused> {
    let progress = match placement.split_brain() {
        Some(split) => split.keeping.as_ref().map(|keeping| &keeping.progress),
        None => placement.job().map(PlacementJob::progress),
    };
    if progress.is_some_and(|progress| progress.stage == Stage::Blocked) {
        return Ok(());
    }
    Err(Refused::new(
        "nothing_failed",
        "no step is blocked",
        "wait, or choose another action",
    ))
}

fn keep_source(placement: &Placement) -> Result<(), Refused> {
    let Some(split) = placement.split_brain() else {
        return match placement.job() {
            Some(PlacementJob::Failover(job)) if job.can_skip() => Ok(()),
            _ => Err(no_split()),
        };
    };
    let is_home_unfinished = placement.authority().holder() == Site::Target
        && (placement.target().is_some_and(|side| side.home_overwritten)
            || matches!(placement.job(), Some(PlacementJob::Failback(job))
                if job.overwrite_begun()));
    if is_home_unfinished {
        return Err(Refused::new(
            "home_overwritten",
            "the disks at home hold an unfinished copy of the target's data",
            "keep the target, then bring production home by a failback",
        ));
    }
    match &split.keeping {
        Some(keeping) if keeping.site == Site::Source && !keeping.can_skip() => Err(deciding()),
        _ => Ok(()),
    }
}

fn keep_target(placement: &Placement) -> Result<(), Refused> {
    let Some(split) = placement.split_brain() else {
        return match placement.job() {
            Some(PlacementJob::Failback(job)) if job.can_skip() => Ok(()),
            _ => Err(no_split()),
        };
    };
    let is_target_running = placement.authority().holder() == Site::Target;
    if !is_target_running {
        let cause = match split.reason {
            SplitReason::NewerGeneration => "as far as is known here, production is at the source",
            SplitReason::BothWritable => "the source is the authority",
        };
        return Err(Refused::new("target_not_active", cause, "keep the source"));
    }
    match &split.keeping {
        Some(keeping) if keeping.site == Site::Source => Err(deciding()),
        Some(keeping) if !keeping.can_skip() => Err(deciding()),
        _ => Ok(()),
    }
}

pub(super) fn not_at_target() -> Refused {
    Refused::new(
        "not_at_target",
        "production does not run at the target",
        "commit a failover first",
    )
}

fn split() -> Refused {
    Refused::new(
        "split_brain_suspected",
        "two sites may be taking writes",
        "look at both, then keep source or keep target",
    )
}

fn no_split() -> Refused {
    Refused::new(
        "no_split_brain",
        "no split brain is suspected, and no way back is blocked",
        "use commit or rollback",
    )
}

fn deciding() -> Refused {
    Refused::new(
        "already_deciding",
        "an earlier decision is being carried out",
        "wait for it, or retry its failed step",
    )
}

fn busy() -> Refused {
    Refused::new(
        "placement_job_running",
        "another failover, failback or restore of the group is on its way",
        "finish it, roll it back or cancel it",
    )
}

fn turning_back() -> Refused {
    Refused::new(
        "rolling_back",
        "the job is on its way back",
        "wait for it, or retry its failed step",
    )
}

#[cfg(test)]
mod tests;
