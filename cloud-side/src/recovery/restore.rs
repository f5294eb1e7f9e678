//! The restore of a group in place, as durable steps: its source's own disks are put back to a point.
//!
//! Forwards: precheck, which chooses the point; quiesce and drain the source; bookmark what it holds,
//! which is what the restore can be undone with; hold the source, identify its disks, bring them to
//! the point, fence, let the source serve them, resume protection. Backwards, until the disks are
//! first written to: a newer generation, and the source serves what it has. After that there is only
//! one way back, which brings the disks to the bookmark and goes on forwards.
//!
//! Invariants: nothing is written to a disk before everything it holds is published and bookmarked;
//! the source serves again only under a generation newer than the one it was held under, and only
//! what was proven to be the point or the bookmark. Authority stays with the source. It does no I/O.

use super::{
    action::{Action, Command, Event, StepResult},
    authority::{Authority, FenceAnswer, Site},
    failover::{not_durable, unexpected},
    record::{
        ConfirmedDisk, FormNumber, Refused, RestoreEnd, RestoreJobId, RestoreRecord, RestoreRequest,
    },
    step::{Failure, Progress, Stage, Step},
};
use crate::receive::PointId;
use bcdr_format::{GroupId, Timestamp};

impl RestoreRecord {
    /// A restore that was asked for at `now`.
    pub(super) fn begin(
        id: RestoreJobId,
        group: GroupId,
        request: RestoreRequest,
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
            point: None,
            point_time: None,
            drained: None,
            undo: None,
            undo_time: None,
            disks: Vec::new(),
            fetched_bytes: 0,
            written_bytes: 0,
        }
    }

    /// The label of the bookmark that it can be undone with.
    pub fn undo_label(&self) -> String {
        format!("before-{}", self.id)
    }

    /// Whether a disk of the source may have been written to.
    pub fn overwrite_begun(&self) -> bool {
        self.progress.begun(Step::RestoreDisks)
    }

    /// Whether the source is kept from serving, or is about to be.
    pub fn holds_source(&self) -> bool {
        self.progress.begun(Step::QuiesceSource)
            && self.progress.step != Step::ResumeForward
            && self.progress.stage != Stage::Ended
    }

    /// Whether it can still be given up: the source is not about to serve what was written.
    pub fn can_cancel(&self) -> bool {
        self.turned_back.is_none() && !self.progress.begun(Step::FenceHome)
    }

    /// The command of the current step; none while an operator decides.
    pub fn command(&self, authority: &Authority) -> Option<Command> {
        if self.progress.stage != Stage::Working {
            return None;
        }
        let generation = self.generation.unwrap_or(authority.generation());
        let restore = |point| Action::RestoreDisks {
            generation,
            point,
            disks: self.confirmed(),
        };
        let action = match self.progress.step {
            Step::Precheck => Action::PrecheckRestore {
                choice: self.request.point,
            },
            Step::QuiesceSource => Action::QuiesceSource { generation },
            Step::DrainSource => Action::DrainSource,
            Step::PlaceBookmark => Action::PlaceBookmark {
                label: self.undo_label(),
                not_before: self.drained?,
            },
            Step::HoldHome => Action::HoldHome { generation },
            Step::InspectHome => Action::InspectHome,
            Step::RestoreDisks => restore(self.point?),
            Step::PutBackDisks => restore(self.undo?),
            Step::FenceHome | Step::FenceBack => Action::Fence {
                generation,
                holder: Site::Source,
            },
            Step::BootHome => Action::BootHome {
                generation: authority.generation(),
            },
            Step::ResumeForward => Action::ResumeForward {
                generation: authority.generation(),
            },
            Step::ReleaseSource => Action::ReleaseSource {
                generation: authority.generation(),
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
            Event::Cancel => self.cancel(authority, now),
            Event::Retry => self.progress.enter(self.progress.step, authority, now),
            Event::ConfirmSeed { disks } => self.replaced(disks, authority, now),
            _ => {}
        }
    }

    /// A newer generation was fenced beside this job, and a source that it holds was left to it.
    pub(super) fn outlive(&mut self, authority: &mut Authority, now: Timestamp) {
        if !self.holds_source() {
            return;
        }
        if !self.overwrite_begun() {
            return self.turn_back(RestoreEnd::Cancelled, authority, now);
        }
        self.generation = Some(authority.take());
        match self.progress.step {
            // What let it serve was outrun.
            Step::BootHome => self.progress.enter(Step::FenceHome, authority, now),
            // What happened beside it may have made the disks something else than a mixture: nothing
            // is written to them again before somebody looked.
            step @ (Step::RestoreDisks | Step::PutBackDisks) => {
                let refused = Refused::new(
                    "set_aside",
                    "something else was decided about the group while disks of the source were \
                     written to, and did not become final; as far as is known here they hold a mixture",
                    "look at the disks first: if the source has served them since, everything it wrote \
                     would be lost. Then retry, which goes on with the restore, or cancel, which puts \
                     the disks back to the bookmark",
                );
                self.progress.block(refused.into_failure(step), now);
            }
            step => self.progress.enter(step, authority, now),
        }
    }

    /// A failover that had set it aside did not become final: the source is this job's again.
    pub(super) fn taken_up_again(&mut self, authority: &mut Authority, now: Timestamp) {
        self.outlive(authority, now);
    }

    /// Production was taken to the target for good, or protected differently, before this was over.
    pub(super) fn end_as(&mut self, end: RestoreEnd, now: Timestamp) {
        self.finish(end, now);
    }

    /// How it ends when it gets where it is going.
    pub(super) fn destination(&self) -> RestoreEnd {
        self.turned_back.unwrap_or(RestoreEnd::Restored)
    }

    /// Why these disks do not take the place of others now; none if they do.
    pub(super) fn replaced_obstacle(
        &self,
        disks: &[ConfirmedDisk],
        is_split: bool,
    ) -> Option<Refused> {
        let writes = matches!(self.progress.step, Step::RestoreDisks | Step::PutBackDisks);
        if is_split || !writes || self.progress.stage != Stage::Blocked {
            return Some(Refused::new(
                "no_disk_awaited",
                "no work on the source's disks is blocked",
                "wait; a restore that is blocked in another step is retried without naming disks",
            ));
        }
        let is_ours = |disk: &ConfirmedDisk| self.disks.iter().any(|it| it.volume == disk.volume);
        let is_twice = |disk: &ConfirmedDisk| {
            let same = disks.iter().filter(|other| other.volume == disk.volume);
            same.count() > 1
        };
        if disks.is_empty() || disks.iter().any(|disk| !is_ours(disk) || is_twice(disk)) {
            return Some(Refused::new(
                "disks_not_confirmed",
                "the confirmed disks are not each of another volume of this restore",
                "name each volume whose disk was replaced once, with the identity of its new disk",
            ));
        }
        None
    }

    /// Other disks are there now. Their host compares what was typed with what it finds, and a disk
    /// that it has not begun to write is compared in full.
    fn replaced(&mut self, disks: &[ConfirmedDisk], authority: &mut Authority, now: Timestamp) {
        for disk in disks {
            let known = self.disks.iter_mut().find(|it| it.volume == disk.volume);
            if let Some(known) = known {
                known.serial.clone_from(&disk.serial);
            }
        }
        self.progress.enter(self.progress.step, authority, now);
    }

    fn confirmed(&self) -> Vec<ConfirmedDisk> {
        let disks = self.disks.iter().map(|disk| ConfirmedDisk {
            volume: disk.volume,
            serial: disk.serial.clone(),
        });
        disks.collect()
    }

    fn step_done(&mut self, result: &StepResult, authority: &mut Authority, now: Timestamp) {
        match (self.progress.step, result) {
            (Step::Precheck, StepResult::Pinned { point, time }) => {
                self.point = Some(*point);
                self.point_time = Some(*time);
                self.generation = Some(authority.take());
                self.go(Step::QuiesceSource, authority, now);
            }
            (Step::QuiesceSource, StepResult::Done) => self.go(Step::DrainSource, authority, now),
            (Step::DrainSource, StepResult::Drained { position }) => {
                self.drained = Some(*position);
                self.go(Step::PlaceBookmark, authority, now);
            }
            (Step::PlaceBookmark, StepResult::Pinned { point, time }) => {
                self.bookmarked(*point, *time, authority, now);
            }
            (Step::HoldHome, StepResult::Done) => self.go(Step::InspectHome, authority, now),
            (Step::InspectHome, StepResult::Inspected { disks }) => {
                self.disks.clone_from(disks);
                self.go(Step::RestoreDisks, authority, now);
            }
            (
                Step::RestoreDisks | Step::PutBackDisks,
                StepResult::Restored {
                    fetched_bytes,
                    written_bytes,
                },
            ) => {
                self.fetched_bytes = self.fetched_bytes.saturating_add(*fetched_bytes);
                self.written_bytes = self.written_bytes.saturating_add(*written_bytes);
                // What held the source may still arrive; only a newer one outlives it.
                self.generation = Some(authority.take());
                self.go(Step::FenceHome, authority, now);
            }
            (Step::FenceHome | Step::FenceBack, StepResult::Fenced { generation }) => {
                self.fenced(*generation, authority, now);
            }
            (Step::BootHome, StepResult::Done) => self.go(Step::ResumeForward, authority, now),
            (Step::ResumeForward | Step::ReleaseSource, StepResult::Done) => {
                self.progress.done(now);
                self.finish(self.destination(), now);
            }
            (step, _) => self.step_failed(unexpected(step), authority, now),
        }
    }

    fn go(&mut self, step: Step, authority: &mut Authority, now: Timestamp) {
        self.progress.done(now);
        self.progress.enter(step, authority, now);
    }

    fn bookmarked(
        &mut self,
        point: PointId,
        time: Timestamp,
        authority: &mut Authority,
        now: Timestamp,
    ) {
        if self.drained.is_none_or(|drained| point.0 < drained) {
            let refused = Refused::new(
                "bookmark_before_the_drained_end",
                format!("bookmark {point} does not hold all that the source wrote"),
                "look at the group's replication, then start the restore again",
            );
            return self.step_failed(refused.into_failure(Step::PlaceBookmark), authority, now);
        }
        self.undo = Some(point);
        self.undo_time = Some(time);
        self.go(Step::HoldHome, authority, now);
    }

    fn fenced(&mut self, held: bcdr_format::Generation, authority: &mut Authority, now: Timestamp) {
        let step = self.progress.step;
        let asked = self.generation.unwrap_or(authority.highest());
        match authority.fence_answered(asked, held, Site::Source) {
            FenceAnswer::Stands if step == Step::FenceHome => {
                self.go(Step::BootHome, authority, now);
            }
            FenceAnswer::Stands => self.go(Step::ReleaseSource, authority, now),
            FenceAnswer::Outrun => {
                self.generation = Some(authority.take());
                self.progress.enter(step, authority, now);
            }
            FenceAnswer::NotDurable => {
                self.step_failed(not_durable(step, asked, held), authority, now);
            }
        }
    }

    fn step_failed(&mut self, failure: Failure, authority: &mut Authority, now: Timestamp) {
        match self.progress.step {
            Step::Precheck => {
                self.progress.failed(failure, now);
                self.finish(RestoreEnd::Failed, now);
            }
            Step::QuiesceSource
            | Step::DrainSource
            | Step::PlaceBookmark
            | Step::HoldHome
            | Step::InspectHome => {
                self.progress.failed(failure, now);
                self.turn_back(RestoreEnd::Failed, authority, now);
            }
            _ => self.progress.block(failure, now),
        }
    }

    fn cancel(&mut self, authority: &mut Authority, now: Timestamp) {
        if !self.overwrite_begun() {
            return self.turn_back(RestoreEnd::Cancelled, authority, now);
        }
        self.turned_back = Some(RestoreEnd::PutBack);
        // The task that is given up keeps the older one.
        self.generation = Some(authority.take());
        self.progress.enter(Step::PutBackDisks, authority, now);
    }

    /// Lets the source serve what it has, which nothing was written to.
    fn turn_back(&mut self, end: RestoreEnd, authority: &mut Authority, now: Timestamp) {
        if !self.progress.begun(Step::QuiesceSource) {
            return self.finish(end, now);
        }
        self.turned_back.get_or_insert(end);
        // What was told under the old one may still arrive; only a newer one outlives it.
        self.generation = Some(authority.take());
        self.progress.enter(Step::FenceBack, authority, now);
    }

    fn finish(&mut self, end: RestoreEnd, now: Timestamp) {
        self.progress.end(now);
        self.end = Some(end);
        self.finished_at = Some(now);
    }
}

#[cfg(test)]
mod tests;
