//! The failback of a group, as durable steps.
//!
//! Forwards: inspect home, have its disks confirmed, hold home, keep what it left behind, plan the
//! seed, copy in rounds while the instance runs; then the cutover: quiesce the target, final delta,
//! compare digests, fence, boot home, await the commit, resume forward protection, and only then let
//! go of the instance and its branch. A cutover that does not get to its fence goes back to the
//! rounds; one that does can be rolled back to the target until home is protected
//! again: until then, also after the commit, the branch is the newest copy besides home itself.
//!
//! Invariants: nothing at home is overwritten before its disks are confirmed and what it left behind
//! is kept; home becomes the authority only when proven equal. It does no I/O.

use super::{
    action::{Action, Command, Event, StepResult},
    authority::{Authority, FenceAnswer, Site},
    countdown::{CommitPolicy, Countdown},
    failover::{not_durable, unexpected},
    placement::TargetSide,
    record::{
        ConfirmedDisk, FailbackEnd, FailbackId, FailbackRecord, FailbackRequest, FormNumber,
        Refused, Seed, SeedMethod, TurnedBack,
    },
    step::{Failure, Progress, Stage, Step},
};
use bcdr_format::{Generation, GroupId, Timestamp};
use std::time::Duration;

/// A round that failed is tried again after this time.
const FAILED_ROUND_PAUSE: Duration = Duration::from_secs(60);
/// Steps of the way back whose proof an operator may go on without.
const SKIPPABLE: [Step; 2] = [Step::StopHome, Step::KeepHomeWrites];

impl FailbackRecord {
    /// A failback that was asked for at `now`.
    pub(super) fn begin(
        id: FailbackId,
        group: GroupId,
        request: FailbackRequest,
        target: &TargetSide,
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
            progress: Progress::begin(Step::InspectHome, authority, now),
            generation: None,
            fork: target.point,
            branch: target.branch.clone(),
            instance: Some(target.instance.clone()),
            inspected: Vec::new(),
            confirmed: Vec::new(),
            left_behind: None,
            home_writes: None,
            method: None,
            seeded: false,
            followed_at: None,
            proven_equal: false,
            sent_bytes: 0,
            remaining_bytes: None,
            turned_back: None,
            countdown: None,
        }
    }

    /// Whether anything at home may have been overwritten.
    pub fn overwrite_begun(&self) -> bool {
        self.progress.begun(Step::CopyRound)
    }

    /// Whether the instance at the target was told to end, and was not started again since.
    pub fn is_target_ended(&self) -> bool {
        let ended = self.progress.begun(Step::QuiesceTarget);
        ended && !(self.in_rounds() || self.progress.step == Step::RestartTarget)
    }

    /// Whether the job copies in rounds, or waits for the next one.
    pub fn in_rounds(&self) -> bool {
        matches!(self.progress.step, Step::CopyRound | Step::BetweenRounds)
    }

    /// Whether it was made final.
    pub fn is_committed(&self) -> bool {
        self.turned_back.is_none() && self.progress.begun(Step::ResumeForward)
    }

    /// Whether it was made final, and home is not protected yet: if home is lost now, the branch is
    /// the newest copy of the data that there is.
    pub fn is_unprotected(&self) -> bool {
        self.turned_back.is_none() && self.progress.step == Step::ResumeForward
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
        let disks = || self.confirmed.clone();
        let action = match self.progress.step {
            Step::InspectHome => Action::InspectHome,
            Step::HoldHome => Action::HoldHome {
                generation: authority.generation(),
            },
            Step::KeepLeftBehind => Action::KeepLeftBehind { point: self.fork },
            Step::PlanSeed => Action::PlanSeed { disks: disks() },
            Step::CopyRound => Action::CopyRound {
                generation: authority.generation(),
                disks: disks(),
                method: self.method?,
            },
            Step::QuiesceTarget => Action::QuiesceTarget { generation },
            Step::FinalDelta => Action::FinalDelta {
                generation,
                disks: disks(),
            },
            Step::CompareDigests => Action::CompareDigests { disks: disks() },
            Step::FenceHome => Action::Fence {
                generation,
                holder: Site::Source,
            },
            Step::BootHome => Action::BootHome {
                generation: authority.generation(),
            },
            Step::ResumeForward => Action::ResumeForward {
                generation: authority.generation(),
            },
            Step::StopInstance => Action::StopInstance {
                generation: authority.generation(),
            },
            Step::SealBranch => Action::SealBranch,
            Step::StopHome => Action::StopHome { generation },
            Step::KeepHomeWrites => Action::KeepHomeWrites,
            Step::FenceBack => Action::Fence {
                generation,
                holder: Site::Target,
            },
            Step::RestartTarget => Action::RestartTarget {
                generation: authority.generation(),
                branch: self.branch.clone(),
            },
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
            Event::ConfirmSeed { disks } => self.confirm(disks, authority, now),
            Event::Cutover => self.cut_over(authority, now),
            Event::Commit => self.commit(authority, now),
            Event::Rollback => self.turn_back(authority, now),
            Event::Cancel => self.finish(FailbackEnd::Cancelled, now),
            Event::Retry => self.progress.enter(self.progress.step, authority, now),
            Event::Keep(Site::Target) => {
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
        if self
            .generation
            .is_some_and(|held| held < authority.generation())
        {
            self.generation = Some(authority.take());
        }
    }

    /// Two sites served, and an operator kept the source.
    pub(super) fn overrule(&mut self, now: Timestamp) {
        self.finish(FailbackEnd::SourceKept, now);
    }

    /// Why these disks cannot be taken as confirmed; none if they can.
    pub fn seed_obstacle(&self, disks: &[ConfirmedDisk]) -> Option<Refused> {
        let fits = |disk: &ConfirmedDisk| {
            self.inspected
                .iter()
                .any(|home| home.volume == disk.volume && home.serial == disk.serial)
        };
        let is_named = |home: &super::record::HomeDisk| {
            disks
                .iter()
                .filter(|disk| disk.volume == home.volume)
                .count()
                == 1
        };
        if self.inspected.is_empty()
            || disks.len() != self.inspected.len()
            || !disks.iter().all(fits)
            || !self.inspected.iter().all(is_named)
        {
            return Some(Refused::new(
                "seed_not_confirmed",
                "the confirmed disks are not exactly the ones found at home",
                "look at the volumes and serials found at home and confirm each of them",
            ));
        }
        if self.request.seed == Seed::BlankDisk && self.inspected.iter().any(|home| !home.blank) {
            return Some(Refused::new(
                "disk_not_blank",
                "a disk at home holds data, but a blank disk was announced",
                "attach a blank disk, or cancel and choose the original disk as the seed",
            ));
        }
        None
    }

    fn confirm(&mut self, disks: &[ConfirmedDisk], authority: &mut Authority, now: Timestamp) {
        self.confirmed = disks.to_vec();
        self.go(Step::HoldHome, authority, now);
    }

    fn tick(&mut self, authority: &mut Authority, now: Timestamp) {
        if self.progress.stage != Stage::Waiting {
            return;
        }
        let is_over = self.countdown.as_mut().is_some_and(|left| left.tick(now));
        match (self.progress.step, self.request.policy) {
            _ if !is_over => {}
            (Step::BetweenRounds, _) => self.go(Step::CopyRound, authority, now),
            (Step::AwaitCommit, CommitPolicy::AutoCommit { .. }) => self.commit(authority, now),
            (Step::AwaitCommit, CommitPolicy::AutoRollback { .. }) => {
                self.turn_back(authority, now);
            }
            _ => {}
        }
    }

    fn step_done(&mut self, result: &StepResult, authority: &mut Authority, now: Timestamp) {
        match (self.progress.step, result) {
            (Step::InspectHome, StepResult::Inspected { disks }) => {
                self.inspected.clone_from(disks);
                self.await_seed(authority, now);
            }
            (Step::HoldHome, StepResult::Done) => self.held(authority, now),
            (Step::KeepLeftBehind, StepResult::LeftBehind { branch }) => {
                self.left_behind.clone_from(branch);
                self.go(Step::PlanSeed, authority, now);
            }
            (Step::PlanSeed, StepResult::SeedPlanned { method, bytes }) => {
                self.method = Some(*method);
                self.remaining_bytes = *bytes;
                self.go(Step::CopyRound, authority, now);
            }
            (Step::CopyRound, copied @ StepResult::Copied { .. }) => {
                self.copied(copied);
                self.seeded = true;
                self.method = Some(SeedMethod::ChangedRanges);
                let pause = u64::from(self.request.round_every_seconds);
                self.progress.done(now);
                self.pause(Duration::from_secs(pause), now);
            }
            (Step::QuiesceTarget, StepResult::Done) => self.go(Step::FinalDelta, authority, now),
            (Step::FinalDelta, copied @ StepResult::Copied { .. }) => {
                self.copied(copied);
                self.go(Step::CompareDigests, authority, now);
            }
            (Step::CompareDigests, StepResult::Compared { equal, detail }) => {
                self.compared(*equal, detail, authority, now);
            }
            (Step::FenceHome | Step::FenceBack, StepResult::Fenced { generation }) => {
                self.fenced(*generation, authority, now);
            }
            (Step::BootHome, StepResult::Done) => {
                self.progress.done(now);
                self.countdown = self.request.policy.countdown(now);
                self.progress.wait(Step::AwaitCommit, now);
            }
            (Step::ResumeForward, StepResult::Done) => {
                self.go(Step::StopInstance, authority, now);
            }
            (Step::StopInstance, StepResult::Done) => self.go(Step::SealBranch, authority, now),
            (Step::SealBranch, StepResult::Done) => {
                self.progress.done(now);
                self.finish(FailbackEnd::Committed, now);
            }
            (Step::StopHome, StepResult::Done) => {
                self.progress.done(now);
                self.next_back(authority, now);
            }
            (Step::KeepHomeWrites, StepResult::LeftBehind { branch }) => {
                self.home_writes.clone_from(branch);
                self.progress.done(now);
                self.next_back(authority, now);
            }
            (Step::RestartTarget, StepResult::Booted { instance }) => {
                self.instance = Some(instance.clone());
                self.progress.done(now);
                self.next_back(authority, now);
            }
            (step, _) => self.step_failed(unexpected(step), authority, now),
        }
    }

    fn go(&mut self, step: Step, authority: &mut Authority, now: Timestamp) {
        self.progress.done(now);
        self.countdown = None;
        self.progress.enter(step, authority, now);
    }

    fn await_seed(&mut self, authority: &mut Authority, now: Timestamp) {
        self.progress.done(now);
        self.progress.wait(Step::AwaitSeed, now);
        let disks = std::mem::take(&mut self.request.confirmed);
        if !disks.is_empty() && self.seed_obstacle(&disks).is_none() {
            self.confirm(&disks, authority, now);
        }
        self.request.confirmed = disks;
    }

    fn held(&mut self, authority: &mut Authority, now: Timestamp) {
        let next = match self.request.seed {
            Seed::OriginalDisk => Step::KeepLeftBehind,
            // Nothing was written there that could be left behind.
            Seed::BlankDisk | Seed::UnmodifiedImage => Step::PlanSeed,
        };
        self.go(next, authority, now);
    }

    fn copied(&mut self, copied: &StepResult) {
        if let StepResult::Copied {
            sent_bytes,
            remaining_bytes,
        } = copied
        {
            self.followed_at = self.progress.began_at(self.progress.step);
            self.sent_bytes = self.sent_bytes.saturating_add(*sent_bytes);
            self.remaining_bytes = Some(*remaining_bytes);
        }
    }

    fn pause(&mut self, length: Duration, now: Timestamp) {
        self.countdown = Some(Countdown::new(length, now));
        self.progress.wait(Step::BetweenRounds, now);
    }

    fn cut_over(&mut self, authority: &mut Authority, now: Timestamp) {
        self.turned_back = None;
        self.generation = Some(authority.take());
        self.go(Step::QuiesceTarget, authority, now);
    }

    fn compared(&mut self, equal: bool, detail: &str, authority: &mut Authority, now: Timestamp) {
        if equal {
            self.proven_equal = true;
            return self.go(Step::FenceHome, authority, now);
        }
        // What made them differ is unknown, so the ranges said to have changed prove nothing.
        self.method = Some(SeedMethod::HashCompare);
        let refused = Refused::new(
            "digest_mismatch",
            format!("the disks at home are not equal to the branch: {detail}"),
            "wait for the next round, which compares everything, then cut over again",
        );
        self.step_failed(refused.into_failure(Step::CompareDigests), authority, now);
    }

    fn fenced(&mut self, held: Generation, authority: &mut Authority, now: Timestamp) {
        let step = self.progress.step;
        let holder = if step == Step::FenceHome {
            Site::Source
        } else {
            Site::Target
        };
        let asked = self.generation.unwrap_or(authority.highest());
        match authority.fence_answered(asked, held, holder) {
            FenceAnswer::Stands if holder == Site::Source => {
                self.go(Step::BootHome, authority, now);
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

    fn commit(&mut self, authority: &mut Authority, now: Timestamp) {
        self.go(Step::ResumeForward, authority, now);
    }

    fn step_failed(&mut self, failure: Failure, authority: &mut Authority, now: Timestamp) {
        match self.progress.step {
            Step::InspectHome => {
                self.progress.failed(failure, now);
                self.finish(FailbackEnd::Failed, now);
            }
            Step::CopyRound => {
                self.progress.failed(failure, now);
                self.pause(FAILED_ROUND_PAUSE, now);
            }
            Step::QuiesceTarget | Step::FinalDelta | Step::CompareDigests => {
                self.progress.failed(failure, now);
                self.turn_back(authority, now);
            }
            _ => self.progress.block(failure, now),
        }
    }

    /// Takes the cutover back: to the rounds before its fence was begun, else to the target.
    fn turn_back(&mut self, authority: &mut Authority, now: Timestamp) {
        self.countdown = None;
        // A fence of an earlier cutover cannot be meant: behind it there is no way to the rounds.
        let is_past_fence = self.progress.begun(Step::FenceHome);
        self.turned_back = Some(if is_past_fence {
            TurnedBack::ToEnd
        } else {
            TurnedBack::ToRounds
        });
        // What was told under the old one may still arrive; only a newer one outlives it.
        self.generation = Some(authority.take());
        let first = if self.progress.begun(Step::BootHome) {
            Step::StopHome
        } else {
            Step::FenceBack
        };
        self.progress.enter(first, authority, now);
    }

    fn next_back(&mut self, authority: &mut Authority, now: Timestamp) {
        match self.progress.step {
            Step::StopHome => self.progress.enter(Step::KeepHomeWrites, authority, now),
            Step::KeepHomeWrites => self.progress.enter(Step::FenceBack, authority, now),
            Step::FenceBack => self.progress.enter(Step::RestartTarget, authority, now),
            _ if self.turned_back == Some(TurnedBack::ToRounds) => {
                self.turned_back = None;
                let pause = u64::from(self.request.round_every_seconds);
                self.pause(Duration::from_secs(pause), now);
            }
            _ => self.finish(FailbackEnd::RolledBack, now),
        }
    }

    fn finish(&mut self, end: FailbackEnd, now: Timestamp) {
        self.progress.end(now);
        self.end = Some(end);
        self.finished_at = Some(now);
        self.countdown = None;
    }
}

#[cfg(test)]
mod tests;
