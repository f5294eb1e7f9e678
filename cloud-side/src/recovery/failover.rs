//! The failover of a group, as durable steps.
//!
//! Forwards: precheck, probe, with a planned one quiesce and drain, fence, pin, branch, boot, ladder,
//! await the commit. Backwards, from anywhere before the commit: end the instance, fence back under
//! a newer generation, keep the branch as evidence, let the source serve again.
//!
//! Invariants: the point is pinned behind a durable fence and never again; whatever the source or
//! target was told is taken back under a higher generation only; what the current command is follows
//! from the record alone, so a record that was reloaded repeats the step it was in. It does no I/O.

use super::{
    action::{Action, Command, Event, Probe, Serving, StepResult},
    authority::{Authority, FenceAnswer, Site},
    countdown::CommitPolicy,
    record::{
        FailoverEnd, FailoverId, FailoverMode, FailoverRecord, FailoverRequest, FormNumber,
        LadderOutcome, Refused,
    },
    step::{Failure, Progress, Stage, Step},
};
use crate::receive::PointId;
use bcdr_format::{Generation, GroupId, Timestamp};

/// Steps of the way back whose proof an operator may go on without.
const SKIPPABLE: [Step; 3] = [Step::StopInstance, Step::SealBranch, Step::ReleaseSource];

impl FailoverRecord {
    /// A failover that was asked for at `now`.
    pub(super) fn begin(
        id: FailoverId,
        group: GroupId,
        request: FailoverRequest,
        authority: &mut Authority,
        now: Timestamp,
    ) -> Self {
        Self {
            form: FormNumber::CURRENT,
            id,
            group,
            request,
            requested_at: now,
            finished_at: None,
            end: None,
            progress: Progress::begin(Step::Precheck, authority, now),
            generation: None,
            turned_back: None,
            drained: None,
            point: None,
            point_time: None,
            branch: None,
            instance: None,
            ladder: None,
            countdown: None,
            leaves_source_held: false,
        }
    }

    /// Whether authority may have moved, so that giving up means rolling back.
    pub fn fence_begun(&self) -> bool {
        self.progress.begun(Step::Fence)
    }

    /// Whether the way back is blocked where an operator may go on without proof.
    pub fn can_skip(&self) -> bool {
        self.turned_back.is_some() && self.progress.blocked_in(&SKIPPABLE)
    }

    /// The command of the current step; none while something is waited for.
    pub fn command(&self, authority: &Authority) -> Option<Command> {
        if self.progress.stage != Stage::Working {
            return None;
        }
        let generation = self.generation.unwrap_or(authority.generation());
        let action = match self.progress.step {
            Step::Precheck => Action::Precheck,
            Step::ProbeSource => Action::ProbeSource,
            Step::QuiesceSource => Action::QuiesceSource { generation },
            Step::DrainSource => Action::DrainSource,
            Step::Fence => Action::Fence {
                generation,
                holder: Site::Target,
            },
            Step::PinPoint => Action::PinPoint {
                choice: self.request.point,
                not_before: self.drained,
            },
            Step::CreateBranch => Action::CreateBranch { point: self.point? },
            Step::BootInstance => Action::BootInstance {
                // A way out of a split brain may have fenced a newer one meanwhile.
                generation: authority.generation(),
                branch: self.branch.clone()?,
            },
            Step::ClimbRungs => Action::ClimbRungs {
                instance: self.instance.clone()?,
            },
            Step::StopInstance => Action::StopInstance { generation },
            Step::FenceBack => Action::Fence {
                generation,
                holder: Site::Source,
            },
            Step::SealBranch => Action::SealBranch,
            Step::ReleaseSource => Action::ReleaseSource { generation },
            _ => return None,
        };
        Some(Command {
            ticket: self.progress.ticket,
            action,
        })
    }

    /// Takes an event in that the placement allowed.
    pub(super) fn handle(&mut self, event: &Event, authority: &mut Authority, now: Timestamp) {
        match event {
            Event::StepDone { ticket, result } if self.progress.awaits(*ticket) => {
                self.step_done(result, authority, now);
            }
            Event::StepFailed {
                ticket,
                code,
                cause,
                remedy,
            } if self.progress.awaits(*ticket) => {
                let failure = Refused::new(code, cause, remedy).into_failure(self.progress.step);
                self.step_failed(failure, authority, now);
            }
            Event::Commit => self.finish(FailoverEnd::Committed, now),
            Event::Rollback => self.turn_back(FailoverEnd::RolledBack, authority, now),
            Event::Cancel => self.turn_back(FailoverEnd::Cancelled, authority, now),
            Event::Retry => self.progress.enter(self.progress.step, authority, now),
            Event::Keep(Site::Source) => {
                self.progress.overridden(now);
                self.next_back(authority, now);
            }
            Event::Tick => self.tick(authority, now),
            _ => {}
        }
    }

    /// Time in which nothing may be decided passed.
    pub(super) fn hold_time(&mut self, now: Timestamp) {
        if let Some(countdown) = &mut self.countdown {
            countdown.skip_to(now);
        }
    }

    /// A newer generation was fenced beside this job: what it still has to tell takes a newer one.
    pub(super) fn outlive(&mut self, authority: &mut Authority) {
        let is_behind = self
            .generation
            .is_some_and(|held| held < authority.generation());
        if is_behind && self.turned_back.is_some() {
            self.generation = Some(authority.take());
        }
    }

    /// Two sites served, and an operator kept the source.
    pub(super) fn overrule(&mut self, now: Timestamp) {
        self.finish(FailoverEnd::SourceKept, now);
    }

    fn tick(&mut self, authority: &mut Authority, now: Timestamp) {
        if self.progress.step != Step::AwaitCommit || self.progress.stage != Stage::Waiting {
            return;
        }
        let is_over = self.countdown.as_mut().is_some_and(|left| left.tick(now));
        if !is_over {
            return;
        }
        match self.request.policy {
            CommitPolicy::AutoCommit { .. } => self.finish(FailoverEnd::Committed, now),
            CommitPolicy::AutoRollback { .. } => {
                self.turn_back(FailoverEnd::RolledBack, authority, now);
            }
            CommitPolicy::Manual => {}
        }
    }

    fn step_done(&mut self, result: &StepResult, authority: &mut Authority, now: Timestamp) {
        match (self.progress.step, result) {
            (Step::Precheck, StepResult::Done) => self.go(Step::ProbeSource, authority, now),
            (Step::ProbeSource, StepResult::Probed(probe)) => self.probed(*probe, authority, now),
            (Step::QuiesceSource, StepResult::Done) => self.go(Step::DrainSource, authority, now),
            (Step::DrainSource, StepResult::Drained { position }) => {
                self.drained = Some(*position);
                self.go(Step::Fence, authority, now);
            }
            (Step::Fence, StepResult::Fenced { generation }) => {
                self.fenced(*generation, Site::Target, authority, now);
            }
            (Step::PinPoint, StepResult::Pinned { point, time }) => {
                self.pinned(*point, *time, authority, now);
            }
            (Step::CreateBranch, StepResult::BranchCreated { branch }) => {
                self.branch = Some(branch.clone());
                self.go(Step::BootInstance, authority, now);
            }
            (Step::BootInstance, StepResult::Booted { instance }) => {
                self.instance = Some(instance.clone());
                self.go(Step::ClimbRungs, authority, now);
            }
            (Step::ClimbRungs, StepResult::Climbed { passed, detail }) => {
                self.progress.done(now);
                self.await_commit(*passed, detail, now);
            }
            (Step::FenceBack, StepResult::Fenced { generation }) => {
                self.fenced(*generation, Site::Source, authority, now);
            }
            (Step::StopInstance | Step::SealBranch | Step::ReleaseSource, StepResult::Done) => {
                self.progress.done(now);
                self.next_back(authority, now);
            }
            (step, _) => self.step_failed(unexpected(step), authority, now),
        }
    }

    fn go(&mut self, step: Step, authority: &mut Authority, now: Timestamp) {
        self.progress.done(now);
        let takes_generation = matches!(step, Step::QuiesceSource | Step::Fence);
        if takes_generation && self.generation.is_none() {
            self.generation = Some(authority.take());
        }
        self.progress.enter(step, authority, now);
    }

    fn probed(&mut self, probe: Probe, authority: &mut Authority, now: Timestamp) {
        let planned = self.request.mode == FailoverMode::Planned;
        let refused = match probe {
            Probe::Unreachable if planned => Refused::new(
                "source_unreachable",
                "the source does not answer, so it cannot be stopped in order",
                "bring the source back, or start an emergency failover",
            ),
            Probe::Seen { generation, .. } if generation > authority.highest() => Refused::new(
                "newer_generation_known",
                format!("the source knows generation {generation}, which was not given here"),
                "find out where it was given; then keep source or keep target",
            ),
            Probe::Seen {
                serving: Serving::Writable,
                ..
            } if !planned && !self.request.isolation_confirmed => Refused::new(
                "source_still_serving",
                "the source serves and takes writes",
                "start a planned failover, or isolate the source and confirm that it is isolated",
            ),
            _ => {
                let next = if planned {
                    Step::QuiesceSource
                } else {
                    Step::Fence
                };
                return self.go(next, authority, now);
            }
        };
        self.step_failed(refused.into_failure(Step::ProbeSource), authority, now);
    }

    fn fenced(
        &mut self,
        held: Generation,
        holder: Site,
        authority: &mut Authority,
        now: Timestamp,
    ) {
        let step = self.progress.step;
        let asked = self.generation.unwrap_or(authority.highest());
        match authority.fence_answered(asked, held, holder) {
            FenceAnswer::Stands if holder == Site::Target => {
                self.go(Step::PinPoint, authority, now);
            }
            FenceAnswer::Stands => {
                self.progress.done(now);
                self.next_back(authority, now);
            }
            FenceAnswer::Outrun => {
                self.generation = Some(authority.take());
                self.progress.enter(step, authority, now);
            }
            FenceAnswer::NotDurable => {
                self.step_failed(not_durable(step, asked, held), authority, now);
            }
        }
    }

    fn pinned(
        &mut self,
        point: PointId,
        time: Timestamp,
        authority: &mut Authority,
        now: Timestamp,
    ) {
        if self.drained.is_some_and(|drained| point.0 < drained) {
            let refused = Refused::new(
                "point_before_the_drained_end",
                format!("point {point} does not hold all that the source wrote"),
                "retry, or roll back and look at the group's replication",
            );
            return self.step_failed(refused.into_failure(Step::PinPoint), authority, now);
        }
        self.point = Some(point);
        self.point_time = Some(time);
        self.go(Step::CreateBranch, authority, now);
    }

    fn await_commit(&mut self, passed: bool, detail: &str, now: Timestamp) {
        self.ladder = Some(LadderOutcome {
            passed,
            detail: detail.to_owned(),
        });
        // What was not proven to run is never made final by a timer.
        let is_withheld = !passed && matches!(self.request.policy, CommitPolicy::AutoCommit { .. });
        self.countdown = if is_withheld {
            None
        } else {
            self.request.policy.countdown(now)
        };
        self.progress.wait(Step::AwaitCommit, now);
    }

    fn step_failed(&mut self, failure: Failure, authority: &mut Authority, now: Timestamp) {
        match self.progress.step {
            Step::Precheck | Step::ProbeSource => {
                self.progress.failed(failure, now);
                self.finish(FailoverEnd::Failed, now);
            }
            Step::QuiesceSource | Step::DrainSource => {
                self.progress.failed(failure, now);
                self.turn_back(FailoverEnd::Failed, authority, now);
            }
            Step::ClimbRungs => {
                let detail = failure.cause.clone();
                self.progress.failed(failure, now);
                self.await_commit(false, &detail, now);
            }
            _ => self.progress.block(failure, now),
        }
    }

    /// Begins the way back, which ends in `end`.
    fn turn_back(&mut self, end: FailoverEnd, authority: &mut Authority, now: Timestamp) {
        self.countdown = None;
        let untouched =
            !self.progress.begun(Step::QuiesceSource) && !self.progress.begun(Step::Fence);
        if untouched {
            return self.finish(end, now);
        }
        self.turned_back = Some(end);
        // What was told under the old one may still arrive; only a newer one outlives it.
        self.generation = Some(authority.take());
        let first = if self.progress.begun(Step::BootInstance) {
            Step::StopInstance
        } else {
            Step::FenceBack
        };
        self.progress.enter(first, authority, now);
    }

    fn next_back(&mut self, authority: &mut Authority, now: Timestamp) {
        let next = match self.progress.step {
            Step::StopInstance => Step::FenceBack,
            Step::FenceBack if self.progress.begun(Step::CreateBranch) => Step::SealBranch,
            Step::FenceBack | Step::SealBranch if !self.leaves_source_held => Step::ReleaseSource,
            _ => {
                let end = self.turned_back.unwrap_or(FailoverEnd::RolledBack);
                return self.finish(end, now);
            }
        };
        self.progress.enter(next, authority, now);
    }

    fn finish(&mut self, end: FailoverEnd, now: Timestamp) {
        if self.progress.stage == Stage::Waiting {
            self.progress.done(now);
        }
        self.progress.end(now);
        self.end = Some(end);
        self.finished_at = Some(now);
        self.countdown = None;
    }
}

/// A step was answered with something that another step tells.
pub(super) fn unexpected(step: Step) -> Failure {
    Refused::new(
        "unexpected_result",
        "the step was answered with another step's result",
        "retry; if it happens again, report it with the job's log",
    )
    .into_failure(step)
}

/// A fence was answered with something older.
pub(super) fn not_durable(step: Step, asked: Generation, held: Generation) -> Failure {
    Refused::new(
        "fence_not_durable",
        format!("generation {asked} was to be made durable, but {held} is what is stored"),
        "check the device that holds the catalog, then retry or roll back",
    )
    .into_failure(step)
}

#[cfg(test)]
mod tests;
