//! The way out of a split brain: an operator said which site's data is kept, and this carries it out.
//!
//! Keep source: end the instance, fence in favour of the source, keep the branch as evidence, let
//! the source serve. Keep target: hold the source, fence in favour of the target, let branch and
//! instance go on under the new generation. Invariant: a generation of its own, higher than every
//! one before, whichever site is kept. It does not decide whether there is a split brain.

use super::{
    action::{Action, Command, Event, StepResult},
    authority::{Authority, FenceAnswer, Site},
    failover::{not_durable, unexpected},
    record::Refused,
    step::{Progress, Stage, Step},
};
use bcdr_format::{Generation, Timestamp};
use serde::{Deserialize, Serialize};

/// Steps whose proof the operator may go on without: the fence cuts what could not be reached.
const SKIPPABLE: [Step; 4] = [
    Step::StopInstance,
    Step::HoldSource,
    Step::SealBranch,
    Step::ReleaseSource,
];

/// A decision that is being carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// The site whose data is kept.
    pub site: Site,
    /// The generation of the decision.
    pub generation: Generation,
    /// Whether the job that is on its way goes on afterwards, and needs its branch.
    pub job_goes_on: bool,
    /// Whether the source's disks belong to a restore, which lets the source serve by itself.
    #[serde(default)]
    pub leaves_source_held: bool,
    /// How far it is.
    pub progress: Progress,
}

impl Keeping {
    /// Begins to keep a site.
    pub(super) fn begin(
        site: Site,
        job_goes_on: bool,
        leaves_source_held: bool,
        authority: &mut Authority,
        now: Timestamp,
    ) -> Self {
        let generation = authority.take();
        let first = match site {
            Site::Source => Step::StopInstance,
            Site::Target => Step::HoldSource,
        };
        Self {
            site,
            generation,
            job_goes_on,
            leaves_source_held,
            progress: Progress::begin(first, authority, now),
        }
    }

    /// Whether it is blocked where the operator may go on without proof.
    pub fn can_skip(&self) -> bool {
        self.progress.blocked_in(&SKIPPABLE)
    }

    /// Whether it is carried out.
    pub(super) fn is_over(&self) -> bool {
        self.progress.stage == Stage::Ended
    }

    /// The command of the current step.
    pub fn command(&self) -> Option<Command> {
        if self.progress.stage != Stage::Working {
            return None;
        }
        let generation = self.generation;
        let action = match self.progress.step {
            Step::StopInstance => Action::StopInstance { generation },
            Step::HoldSource => Action::HoldSource { generation },
            Step::Fence => Action::Fence {
                generation,
                holder: self.site,
            },
            Step::SealBranch => Action::SealBranch,
            Step::ReleaseSource => Action::ReleaseSource { generation },
            Step::AdoptGeneration => Action::AdoptGeneration { generation },
            _ => return None,
        };
        Some(Command {
            ticket: self.progress.ticket,
            action,
        })
    }

    /// Takes an event in.
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
                self.progress.block(failure, now);
            }
            Event::Retry => self.progress.enter(self.progress.step, authority, now),
            Event::Keep(_) => {
                self.progress.overridden(now);
                self.next(authority, now);
            }
            _ => {}
        }
    }

    fn step_done(&mut self, result: &StepResult, authority: &mut Authority, now: Timestamp) {
        let step = self.progress.step;
        match (step, result) {
            (Step::Fence, StepResult::Fenced { generation }) => {
                match authority.fence_answered(self.generation, *generation, self.site) {
                    FenceAnswer::Stands => {}
                    FenceAnswer::Outrun => {
                        self.generation = authority.take();
                        return self.progress.enter(step, authority, now);
                    }
                    FenceAnswer::NotDurable => {
                        let failure = not_durable(step, self.generation, *generation);
                        return self.progress.block(failure, now);
                    }
                }
            }
            (Step::Fence, _) => return self.progress.block(unexpected(step), now),
            (_, StepResult::Done) => {}
            _ => return self.progress.block(unexpected(step), now),
        }
        self.progress.done(now);
        self.next(authority, now);
    }

    fn next(&mut self, authority: &mut Authority, now: Timestamp) {
        let next = match (self.progress.step, self.site) {
            (Step::StopInstance | Step::HoldSource, _) => Step::Fence,
            (Step::Fence, Site::Source) if self.job_goes_on && !self.leaves_source_held => {
                Step::ReleaseSource
            }
            (Step::Fence, Site::Source) if !self.job_goes_on => Step::SealBranch,
            (Step::Fence, Site::Target) => Step::AdoptGeneration,
            (Step::SealBranch, _) if !self.leaves_source_held => Step::ReleaseSource,
            _ => return self.progress.end(now),
        };
        self.progress.enter(next, authority, now);
    }
}
