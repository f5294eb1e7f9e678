//! The placement of one group: which site its production belongs to, and the job that changes it.
//!
//! Owns the group's authority, its one placement job and the suspicion of a split brain. Invariants:
//! the state is derived from what is durable and kept nowhere else; an operator's wish is carried
//! out only if [`super::allowed::judge`] allows it; while two sites may be writable nothing new is
//! begun and no timer runs until an operator says which one is kept.
//!
//! Whoever drives it persists the placement, and the job's record if one came with it, in one
//! transaction, and only then carries the command out. After a restart it asks for
//! [`Placement::command`] and carries that out again.

use super::{
    action::{Command, Event, Probe, Serving, StepResult},
    allowed::{self, Verb},
    authority::{Authority, Site, Ticket},
    job::{JobRef, PlacementJob},
    keep::Keeping,
    record::{
        BranchName, FailbackEnd, FailbackId, FailbackRecord, FailbackRequest, FailoverEnd,
        FailoverId, FailoverMode, FailoverRecord, FailoverRequest, FormNumber, InstanceName,
        PointChoice, Refused, RestoreEnd, RestoreJobId, RestoreRecord, RestoreRequest,
    },
    step::{Stage, Step},
};
use crate::{catalog::Document, receive::PointId};
use bcdr_format::{Generation, GroupId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Starts that are remembered, so that a repeated one is recognised.
const REMEMBERED_STARTS_MAX: usize = 32;

/// Where a group's production is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlacementState {
    /// At the source, in peace.
    SourceActive,
    /// At the source, whose disks are being put back to an earlier point.
    Restoring,
    /// On its way to the target.
    FailingOver,
    /// At the target; it can still be undone.
    TargetUncommitted,
    /// At the target.
    TargetActive,
    /// At the target; the way home is being prepared.
    Reversing,
    /// At the target; home follows.
    ReverseProtected,
    /// On its way home.
    FailingBack,
    /// At home; it can still be undone.
    SourceUncommitted,
    /// On its way to where it was before.
    RollingBack,
    /// Two sites may be writable; an operator has to say which one is kept.
    SplitBrainSuspected,
}

/// What is known of production at the target, once a failover was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSide {
    /// The failover that brought it there.
    pub failover: FailoverId,
    /// The point at which it parted from the source.
    pub point: PointId,
    /// The branch it runs on.
    pub branch: BranchName,
    /// The instance it runs in.
    pub instance: InstanceName,
    /// Whether the disks at home hold an unfinished copy.
    pub home_overwritten: bool,
}

/// Why a split brain is suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitReason {
    /// The source takes writes while the target is the authority.
    BothWritable,
    /// The source knows a generation that was not given here: this catalog may be an old copy.
    NewerGeneration,
}

/// A suspected split brain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitBrain {
    /// Why.
    pub reason: SplitReason,
    /// The generation the source knows.
    pub source_generation: Generation,
    /// Since when.
    pub since: Timestamp,
    /// The operator's decision, while it is carried out.
    pub keeping: Option<Keeping>,
}

/// What a source is to do when it opens a session or asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceOrder {
    /// It is the authority and may serve writable under this generation.
    Serve(Generation),
    /// It is not: one that starts, starts read-only and says so. One that serves is not cut.
    StartReadOnly(Generation),
}

/// A job that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It is new: persist, then carry the command out.
    New(Handled),
    /// It was asked for before.
    Repeated(JobRef),
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handled {
    /// Whether the placement has to be persisted before anything else.
    pub persist: bool,
    /// Records of jobs, to be persisted in the same transaction.
    pub records: Vec<PlacementJob>,
    /// What has to be carried out next, in place of anything before.
    pub command: Option<Command>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RememberedStart {
    request_id: String,
    job: JobRef,
}

/// The placement of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    form: FormNumber,
    group: GroupId,
    authority: Authority,
    target: Option<TargetSide>,
    job: Option<PlacementJob>,
    split_brain: Option<SplitBrain>,
    starts: Vec<RememberedStart>,
    /// A restore that a failover interrupted; it goes on if that does not become final.
    #[serde(default)]
    set_aside: Option<Box<RestoreRecord>>,
}

impl Document for Placement {
    const COLLECTION: &'static str = "placements";

    fn key(&self) -> String {
        self.group.to_string()
    }
}

impl Placement {
    /// A group that runs at its source, under the generation the catalog holds.
    pub fn new(group: GroupId, generation: Generation) -> Self {
        Self {
            form: FormNumber::CURRENT,
            group,
            authority: Authority::of_source(generation),
            target: None,
            job: None,
            split_brain: None,
            starts: Vec::new(),
            set_aside: None,
        }
    }

    /// The group.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Who has authority, under which generation.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The job that is on its way.
    pub fn job(&self) -> Option<&PlacementJob> {
        self.job.as_ref()
    }

    /// Production at the target, after a committed failover.
    pub fn target(&self) -> Option<&TargetSide> {
        self.target.as_ref()
    }

    /// The suspected split brain.
    pub fn split_brain(&self) -> Option<&SplitBrain> {
        self.split_brain.as_ref()
    }

    /// The restore that waits for the end of a failover which interrupted it.
    pub fn set_aside(&self) -> Option<&RestoreRecord> {
        self.set_aside.as_deref()
    }

    /// Where production is.
    pub fn state(&self) -> PlacementState {
        match (&self.split_brain, &self.job, self.authority.holder()) {
            (Some(_), _, _) => PlacementState::SplitBrainSuspected,
            (None, Some(job), _) => job.state(),
            (None, None, Site::Source) => PlacementState::SourceActive,
            (None, None, Site::Target) => PlacementState::TargetActive,
        }
    }

    /// What a source that opens a session is told.
    pub fn source_order(&self) -> SourceOrder {
        let generation = self.authority.generation();
        let is_on_its_way = match &self.job {
            // It is told by the job's own step when it may.
            Some(PlacementJob::Failback(job)) => {
                job.turned_back.is_some()
                    || matches!(job.progress.step, Step::FenceHome | Step::BootHome)
            }
            Some(PlacementJob::Failover(job)) => {
                job.fence_begun() || job.progress.begun(Step::QuiesceSource)
            }
            Some(PlacementJob::Restore(job)) => job.holds_source(),
            None => false,
        } || self.set_aside.is_some();
        match self.authority.holder() {
            Site::Source if !is_on_its_way && self.split_brain.is_none() => {
                SourceOrder::Serve(generation)
            }
            _ => SourceOrder::StartReadOnly(generation),
        }
    }

    /// The command to be carried out now. It follows from the durable form alone, so after a restart
    /// it is the one that was begun, under the same ticket.
    pub fn command(&self) -> Option<Command> {
        match &self.split_brain {
            Some(split) => split.keeping.as_ref()?.command(),
            None => self.job.as_ref()?.command(&self.authority),
        }
    }

    /// Starts a failover, or recognises one that was asked for before.
    ///
    /// # Errors
    /// Why it is not allowed now.
    pub fn start_failover(
        &mut self,
        id: FailoverId,
        request: FailoverRequest,
        now: Timestamp,
    ) -> Result<Started, Refused> {
        if let Some(job) = self.remembered(&request.request_id) {
            return Ok(Started::Repeated(job));
        }
        allowed::judge(self, Verb::FailoverStart)?;
        if request.mode == FailoverMode::Planned && request.point != PointChoice::Latest {
            return Err(Refused::new(
                "planned_takes_the_latest",
                "a planned failover loses nothing, so it boots the newest point",
                "leave the point out, or start an emergency failover at that point",
            ));
        }
        if let Some(refused) = self.newest_was_taken_back(request.point) {
            return Err(refused);
        }
        let ended = self.make_way(request.mode, now)?;
        self.remember(request.request_id.clone(), JobRef::Failover(id));
        let mut job = FailoverRecord::begin(id, self.group, request, &mut self.authority, now);
        job.leaves_source_held = self.set_aside.is_some();
        self.job = Some(PlacementJob::Failover(Box::new(job)));
        let mut handled = self.begun();
        handled.records.extend(ended);
        Ok(Started::New(handled))
    }

    /// Starts a failback, or recognises one that was asked for before.
    ///
    /// # Errors
    /// Why it is not allowed now.
    pub fn start_failback(
        &mut self,
        id: FailbackId,
        request: FailbackRequest,
        now: Timestamp,
    ) -> Result<Started, Refused> {
        if let Some(job) = self.remembered(&request.request_id) {
            return Ok(Started::Repeated(job));
        }
        allowed::judge(self, Verb::FailbackStart)?;
        let Some(target) = &self.target else {
            return Err(allowed::not_at_target());
        };
        let authority = &mut self.authority;
        let job = FailbackRecord::begin(id, self.group, request.clone(), target, authority, now);
        self.remember(request.request_id, JobRef::Failback(id));
        self.job = Some(PlacementJob::Failback(Box::new(job)));
        Ok(Started::New(self.begun()))
    }

    /// Starts a restore in place, or recognises one that was asked for before.
    ///
    /// # Errors
    /// Why it is not allowed now.
    pub fn start_restore(
        &mut self,
        id: RestoreJobId,
        request: RestoreRequest,
        now: Timestamp,
    ) -> Result<Started, Refused> {
        if let Some(job) = self.remembered(&request.request_id) {
            return Ok(Started::Repeated(job));
        }
        allowed::judge(self, Verb::RestoreStart)?;
        self.remember(request.request_id.clone(), JobRef::Restore(id));
        let job = RestoreRecord::begin(id, self.group, request, &mut self.authority, now);
        self.job = Some(PlacementJob::Restore(Box::new(job)));
        Ok(Started::New(self.begun()))
    }

    /// The point that the source was just put back to, and the time of the bookmark before it, until it
    /// is protected again: points after that point are what it was restored away from.
    pub fn put_back_to(&self) -> Option<(PointId, Timestamp)> {
        match &self.job {
            // One that was given up holds the newest point itself, its bookmark.
            Some(PlacementJob::Restore(job))
                if job.progress.step == Step::ResumeForward && job.turned_back.is_none() =>
            {
                // The source went on until the bookmark, however long after the request that was.
                Some((job.point?, job.undo_time.unwrap_or(job.requested_at)))
            }
            _ => None,
        }
    }

    /// The failover that production is up by, or is about to be.
    pub fn failed_over_by(&self) -> Option<FailoverId> {
        match &self.job {
            Some(PlacementJob::Failover(job)) => Some(job.id),
            // A committed one is no job any more.
            _ => self.target.as_ref().map(|target| target.failover),
        }
    }

    /// Why a failover of this mode to this point would not be started now; none if it would.
    pub fn failover_obstacle(
        &self,
        mode: FailoverMode,
        point: PointChoice,
        now: Timestamp,
    ) -> Option<Refused> {
        let allowed = allowed::judge(self, Verb::FailoverStart).err();
        let taken_back = || self.newest_was_taken_back(point);
        let blocked = || self.clone().make_way(mode, now).err();
        allowed.or_else(taken_back).or_else(blocked)
    }

    /// Until a restored source is protected again, the newest point is the very state that it was
    /// restored away from, which nobody means who says no more than "latest".
    fn newest_was_taken_back(&self, point: PointChoice) -> Option<Refused> {
        if matches!(point, PointChoice::Point(_)) {
            return None;
        }
        let (restored, _) = self.put_back_to()?;
        Some(Refused::new(
            "newest_point_was_taken_back",
            format!(
                "the source was just put back to point {restored}, and nothing newer is published than \
                 what it held before that"
            ),
            &format!(
                "name the point: {restored} is the one that was restored; or wait until the restore has \
                 ended"
            ),
        ))
    }

    /// A restore that is on its way gives way to a failover: one that holds the source is set aside,
    /// any other has done what it can and is given back, ended.
    fn make_way(
        &mut self,
        mode: FailoverMode,
        now: Timestamp,
    ) -> Result<Option<PlacementJob>, Refused> {
        let Some(PlacementJob::Restore(job)) = &self.job else {
            return Ok(None);
        };
        if job.holds_source() && mode == FailoverMode::Planned {
            return Err(Refused::new(
                "restore_on_its_way",
                "a restore holds the source, so the source cannot be stopped in order",
                "wait for its end or cancel it; if the source is lost, start an emergency failover",
            ));
        }
        let mut job = job.clone();
        self.job = None;
        if job.holds_source() {
            self.set_aside = Some(job);
            return Ok(None);
        }
        let end = match (job.overwrite_begun(), job.destination()) {
            (false, _) => RestoreEnd::Cancelled,
            (true, RestoreEnd::Restored) => RestoreEnd::Unprotected,
            (true, end) => end,
        };
        job.end_as(end, now);
        Ok(Some(PlacementJob::Restore(job)))
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// Why an operator's wish is not allowed now; nothing changed then.
    pub fn handle(&mut self, event: &Event, now: Timestamp) -> Result<Handled, Refused> {
        if let Some(verb) = self.verb_of(event) {
            allowed::judge(self, verb)?;
        }
        if let (Event::ConfirmSeed { disks }, Some(PlacementJob::Failback(job))) =
            (event, &self.job)
            && let Some(refused) = job.seed_obstacle(disks)
        {
            return Err(refused);
        }
        if let (Event::ConfirmSeed { disks }, Some(PlacementJob::Restore(job))) = (event, &self.job)
        {
            job.replaced_obstacle(disks, self.split_brain.is_some())
                .map_or(Ok(()), Err)?;
        }
        let before = self.clone();
        let ended = match event {
            Event::SourceSeen {
                generation,
                serving,
            } => {
                self.source_seen(*generation, *serving, now);
                None
            }
            Event::Keep(site) if self.split_brain.is_some() => self.keep(*site, now),
            _ => {
                let seen = self.newer_generation_in(event);
                self.pass_on(event, now);
                if let Some((generation, serving)) = seen {
                    self.source_seen(generation, serving, now);
                }
                None
            }
        };
        let mut records = Vec::from_iter(ended);
        records.extend(self.settle(now));
        Ok(self.handled(&before, records))
    }

    fn handled(&self, before: &Self, mut records: Vec<PlacementJob>) -> Handled {
        let changed = self.changed_for_good(before);
        let command = self.command().filter(|command| {
            before.command().map(|was| (was.ticket, was.action))
                != Some((command.ticket, command.action.clone()))
        });
        let persist = changed || !records.is_empty();
        records.extend(self.job.clone().filter(|_| changed));
        Handled {
            persist,
            records,
            command,
        }
    }

    /// Whether more changed than a countdown within its minute.
    fn changed_for_good(&self, before: &Self) -> bool {
        if self == before {
            return false;
        }
        let mut was = before.clone();
        let minute = |placement: &Self| placement.countdown_minute();
        if minute(&was) != minute(self) {
            return true;
        }
        was.take_countdown(self);
        was != *self
    }

    fn countdown_minute(&self) -> Option<u64> {
        let countdown = match self.job.as_ref()? {
            PlacementJob::Failover(job) => job.countdown?,
            PlacementJob::Failback(job) => job.countdown?,
            PlacementJob::Restore(_) => return None,
        };
        Some(countdown.remaining().as_secs() / 60)
    }

    fn take_countdown(&mut self, other: &Self) {
        match (&mut self.job, &other.job) {
            (Some(PlacementJob::Failover(mine)), Some(PlacementJob::Failover(others))) => {
                mine.countdown = others.countdown;
            }
            (Some(PlacementJob::Failback(mine)), Some(PlacementJob::Failback(others))) => {
                mine.countdown = others.countdown;
            }
            _ => {}
        }
    }

    fn begun(&self) -> Handled {
        Handled {
            persist: true,
            records: Vec::from_iter(self.job.clone()),
            command: self.command(),
        }
    }

    /// The operator's verb that an event is; none for what is no operator's wish.
    fn verb_of(&self, event: &Event) -> Option<Verb> {
        let is_failback = matches!(self.job, Some(PlacementJob::Failback(_)));
        let is_restore = matches!(self.job, Some(PlacementJob::Restore(_)));
        let verb = match event {
            Event::Commit if is_failback => Verb::FailbackCommit,
            Event::Commit => Verb::FailoverCommit,
            Event::Rollback if is_failback => Verb::FailbackRollback,
            Event::Rollback => Verb::FailoverRollback,
            Event::Cancel if is_failback => Verb::FailbackCancel,
            Event::Cancel if is_restore => Verb::RestoreCancel,
            Event::Cancel => Verb::FailoverCancel,
            Event::Retry => Verb::Retry,
            Event::Keep(Site::Source) => Verb::KeepSource,
            Event::Keep(Site::Target) => Verb::KeepTarget,
            Event::ConfirmSeed { .. } if is_restore => Verb::Retry,
            Event::ConfirmSeed { .. } => Verb::FailbackConfirm,
            Event::Cutover => Verb::FailbackCutover,
            Event::StepDone { .. }
            | Event::StepFailed { .. }
            | Event::SourceSeen { .. }
            | Event::Tick => return None,
        };
        Some(verb)
    }

    fn pass_on(&mut self, event: &Event, now: Timestamp) {
        let authority = &mut self.authority;
        if let Some(split) = &mut self.split_brain {
            if let Some(keeping) = &mut split.keeping {
                keeping.handle(event, authority, now);
            }
            let is_answer = matches!(event, Event::StepDone { .. } | Event::StepFailed { .. });
            if let Some(job) = &mut self.job {
                // What was begun before the suspicion may still be answered; nothing else goes on.
                if is_answer {
                    job.handle(event, authority, now);
                }
                job.hold_time(now);
            }
        } else if let Some(job) = &mut self.job {
            job.handle(event, authority, now);
        }
    }

    /// What a probe found of a source that knows more than this placement does.
    fn newer_generation_in(&self, event: &Event) -> Option<(Generation, Serving)> {
        match event {
            Event::StepDone {
                ticket,
                result:
                    StepResult::Probed(Probe::Seen {
                        generation,
                        serving,
                    }),
            } if self.ticket() == Some(*ticket) && *generation > self.authority.highest() => {
                Some((*generation, *serving))
            }
            _ => None,
        }
    }

    fn source_seen(&mut self, generation: Generation, serving: Serving, now: Timestamp) {
        let is_newer = generation > self.authority.highest();
        self.authority.meet(generation);
        let is_writable = serving == Serving::Writable;
        let reason = if is_newer {
            SplitReason::NewerGeneration
        } else if is_writable && self.authority.holder() == Site::Target && !self.goes_to_source() {
            SplitReason::BothWritable
        } else {
            return;
        };
        if self.split_brain.is_none() {
            self.split_brain = Some(SplitBrain {
                reason,
                source_generation: generation,
                since: now,
                keeping: None,
            });
        }
    }

    /// Whether the source is about to be the authority again, on an operator's or a policy's word.
    fn goes_to_source(&self) -> bool {
        matches!(&self.job, Some(PlacementJob::Failover(job)) if job.turned_back.is_some())
    }

    /// Carries an operator's decision on; gives back a job that it ends.
    fn keep(&mut self, site: Site, now: Timestamp) -> Option<PlacementJob> {
        let split = self.split_brain.as_mut()?;
        if let Some(keeping) = &mut split.keeping
            && keeping.site == site
        {
            keeping.handle(&Event::Keep(site), &mut self.authority, now);
            return None;
        }
        let is_home_already = self.authority.holder() == Site::Source;
        let ends_job = match &self.job {
            Some(PlacementJob::Failover(_)) => site == Site::Source,
            Some(PlacementJob::Failback(_)) => site == Site::Source && !is_home_already,
            Some(PlacementJob::Restore(_)) | None => false,
        };
        let job_goes_on = self.job.is_some() && !ends_job;
        let holds_source = matches!(&self.job, Some(PlacementJob::Restore(job)) if job.holds_source())
            || self.set_aside.is_some();
        let authority = &mut self.authority;
        split.keeping = Some(Keeping::begin(
            site,
            job_goes_on,
            holds_source,
            authority,
            now,
        ));
        if !ends_job {
            return None;
        }
        let mut job = self.job.take()?;
        job.overrule(now);
        Some(job)
    }

    /// Draws the consequences of whatever is over; gives back the jobs that ended.
    fn settle(&mut self, now: Timestamp) -> Vec<PlacementJob> {
        let kept = self
            .split_brain
            .as_ref()
            .and_then(|split| split.keeping.as_ref())
            .filter(|keeping| keeping.is_over())
            .map(|keeping| keeping.site);
        if let Some(site) = kept {
            self.split_brain = None;
            match &mut self.job {
                Some(job) => job.outlive(&mut self.authority, now),
                None if site == Site::Source => self.target = None,
                None => {}
            }
        }
        let is_over = |job: &mut PlacementJob| job.progress().stage == Stage::Ended;
        let mut ended = Vec::new();
        if let Some(job) = self.job.take_if(is_over) {
            self.draw_consequences(&job);
            ended.push(job);
        }
        ended.extend(self.settle_set_aside(now));
        ended
    }

    /// What was set aside for a failover goes on when that is over, or ends with it.
    fn settle_set_aside(&mut self, now: Timestamp) -> Option<PlacementJob> {
        if self.job.is_some() || self.split_brain.is_some() {
            return None;
        }
        let mut job = self.set_aside.take()?;
        if self.authority.holder() == Site::Target {
            job.end_as(RestoreEnd::FailedOver, now);
            return Some(PlacementJob::Restore(job));
        }
        job.taken_up_again(&mut self.authority, now);
        self.job = Some(PlacementJob::Restore(job));
        None
    }

    fn draw_consequences(&mut self, job: &PlacementJob) {
        match job {
            PlacementJob::Restore(_) => {}
            PlacementJob::Failover(job) => {
                let aside = self.set_aside.as_ref();
                let home_overwritten = aside.is_some_and(|job| job.overwrite_begun());
                self.target = match (job.end, job.point, &job.branch, &job.instance) {
                    (Some(FailoverEnd::Committed), Some(point), Some(branch), Some(instance)) => {
                        Some(TargetSide {
                            failover: job.id,
                            point,
                            branch: branch.clone(),
                            instance: instance.clone(),
                            home_overwritten,
                        })
                    }
                    _ => None,
                };
            }
            PlacementJob::Failback(job) if job.end == Some(FailbackEnd::Committed) => {
                self.target = None;
            }
            PlacementJob::Failback(job) => {
                if let Some(target) = &mut self.target {
                    if let Some(instance) = &job.instance {
                        target.instance = instance.clone();
                    }
                    let is_unfinished = job.overwrite_begun() && !job.proven_equal;
                    target.home_overwritten =
                        is_unfinished || (target.home_overwritten && !job.proven_equal);
                }
            }
        }
    }

    fn remembered(&self, request_id: &str) -> Option<JobRef> {
        self.starts
            .iter()
            .find(|start| start.request_id == request_id)
            .map(|start| start.job)
    }

    fn remember(&mut self, request_id: String, job: JobRef) {
        if self.starts.len() == REMEMBERED_STARTS_MAX {
            self.starts.remove(0);
        }
        self.starts.push(RememberedStart { request_id, job });
    }

    /// The ticket of the command to be carried out now.
    pub fn ticket(&self) -> Option<Ticket> {
        Some(self.command()?.ticket)
    }
}

#[cfg(test)]
mod tests;
