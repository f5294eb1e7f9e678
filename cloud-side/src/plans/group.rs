//! The step of a plan that is about a group: a drill, or a failover up to its decision.
//!
//! Invariant: an attempt is begun under the key of its run, step and number, so a process that
//! repeats it finds what was begun and starts nothing a second time.

use super::{launch, points::Sought, record::PlanRunRecord};
use crate::{
    audit::{self, Deed},
    catalog::CatalogError,
    drills::{DrillRecord, DrillState, StartDrillError},
    groups::Group,
    idempotency::{Attempt, IdempotencyError},
    jobs::{JobRecord, JobState},
    offload::offload,
    placements::{PlacementError, loss_of},
    points::{Instant, resolve},
    record_id::{DrillId, JobId},
    recovery::{
        CommitPolicy, Event as Wish, FailoverEnd, FailoverId, FailoverMode, FailoverRecord,
        FailoverRequest, JobRef, LossWindow, PlacementJob, PointChoice, Stage, Step,
    },
};
use bcdr_plan::{Event, Failure, GroupStep, Mode, PointTaken, Work};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How soon a cancel that could not be kept is tried again.
const CANCEL_AGAIN: Duration = Duration::from_secs(1);

/// What carries one attempt out.
pub(super) struct GroupHands {
    pub(super) parts: Arc<super::PlanParts>,
    pub(super) record: PlanRunRecord,
    pub(super) group: GroupStep,
    pub(super) work: Work,
    pub(super) answer: mpsc::Sender<Event>,
    pub(super) stop: CancellationToken,
}

/// How an attempt ended.
enum Ended {
    Done {
        note: String,
        point: Option<PointTaken>,
    },
    /// A restart cut it short.
    Interrupted,
}

/// Why it failed.
struct StepError {
    failure: Failure,
    point: Option<PointTaken>,
}

impl StepError {
    fn new(code: &str, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            failure: Failure {
                code: code.to_owned(),
                cause: cause.into(),
                remedy: remedy.into(),
            },
            point: None,
        }
    }
}

impl From<CatalogError> for StepError {
    fn from(error: CatalogError) -> Self {
        let remedy = "look at the cloud side's log; then retry the step";
        Self::new("catalog_failed", error.to_string(), remedy)
    }
}

impl From<IdempotencyError> for StepError {
    fn from(error: IdempotencyError) -> Self {
        let remedy = "look at the cloud side's log; then retry the step";
        Self::new("not_begun", error.to_string(), remedy)
    }
}

impl From<PlacementError> for StepError {
    fn from(error: PlacementError) -> Self {
        match error {
            PlacementError::Refused(refused) => {
                Self::new(&refused.code, refused.cause, refused.remedy)
            }
            PlacementError::Catalog(error) => error.into(),
            other => Self::new("not_begun", other.to_string(), "retry the step"),
        }
    }
}

impl From<StartDrillError> for StepError {
    fn from(error: StartDrillError) -> Self {
        let cause = error.to_string();
        match error {
            StartDrillError::TooMany { .. } => Self::new(
                "too_many_drills",
                cause,
                "wait until one ends, or stop one; then retry the step",
            ),
            StartDrillError::Leftover { .. } => {
                let remedy = "remove what is named there; then retry the step";
                Self::new("cleanup_failed", cause, remedy)
            }
            StartDrillError::Settings(_) => {
                let remedy = "apply the plan with other launch settings; then start it again";
                Self::new("launch_settings", cause, remedy)
            }
            StartDrillError::Catalog(error) => error.into(),
            StartDrillError::Random(_) | StartDrillError::Stopping => {
                Self::new("not_begun", cause, "retry the step")
            }
        }
    }
}

impl GroupHands {
    /// Carries the attempt out and tells how it ended.
    pub(super) async fn carry_out(self) {
        let outcome = match self.record.run.mode {
            Mode::Drill => self.drill().await,
            Mode::Planned => self.fail_over(FailoverMode::Planned).await,
            Mode::Emergency => self.fail_over(FailoverMode::Emergency).await,
        };
        let (step, attempt) = (self.work.step.clone(), self.work.attempt);
        let event = match outcome {
            Ok(Ended::Done { note, point }) => Event::Done {
                step,
                attempt,
                note,
                point,
            },
            Ok(Ended::Interrupted) => Event::Interrupted { step, attempt },
            Err(error) => Event::Failed {
                step,
                attempt,
                failure: error.failure,
                point: error.point,
            },
        };
        self.tell(event).await;
    }

    /// A driver that is gone asks again in the next process.
    async fn tell(&self, event: Event) {
        let _gone = self.answer.send(event).await;
    }

    async fn tell_reference(&self, reference: String) {
        if self.work.reference.as_ref() != Some(&reference) {
            self.tell(Event::Began {
                step: self.work.step.clone(),
                attempt: self.work.attempt,
                reference,
            })
            .await;
        }
    }

    fn group(&self) -> Result<Arc<Group>, StepError> {
        self.parts.groups.find(&self.group.name).ok_or_else(|| {
            let cause = format!("there is no group {}", self.group.name);
            StepError::new("unknown_group", cause, "skip the step, or cancel the run")
        })
    }

    fn launch(&self) -> Result<launch::Launch, StepError> {
        launch::read(&self.work.step, &self.group).map_err(|fault| {
            let remedy = "apply the plan with other launch settings; then start it again";
            StepError::new(fault.code, fault.cause, remedy)
        })
    }

    /// The key under which this attempt is remembered.
    fn key(&self) -> String {
        let Work { step, attempt, .. } = &self.work;
        format!("{}/{step}/{attempt}", self.record.id)
    }

    fn stopped(&self) -> StepError {
        let cause = "the run was cancelled, and it was ended";
        StepError::new("stopped", cause, "start the plan again if that is wanted")
    }

    // --- drills ---

    async fn drill(&self) -> Result<Ended, StepError> {
        let group = self.group()?;
        let referred = self.work.reference.as_ref().and_then(|id| id.parse().ok());
        let (id, is_found) = match referred {
            Some(id) => (id, true),
            None if self.stop.is_cancelled() => return Err(self.stopped()),
            None => self.begin_drill(&group).await?,
        };
        self.tell_reference(id.to_string()).await;
        let drill = self.known_drill(id).await?;
        let ended_before = drill.state.is_final();
        let job = self.drill_job(&group, id, drill.job).await?;
        let drill = self.known_drill(id).await?;
        let point = self.chosen_point();
        let interrupted = job.is_some_and(|job| job.state == JobState::Interrupted)
            // What ended as stopped while nobody looked was stopped by the end of the process.
            || (is_found && ended_before && drill.state == DrillState::Cancelled);
        let cause = || {
            let reason = drill.reason.clone().unwrap_or_default();
            format!("drill {id} did not pass: {reason}")
        };
        let error = match drill.state {
            DrillState::Passed => {
                let note = format!("drill {id} passed, and everything of it was removed");
                return Ok(Ended::Done { note, point });
            }
            // Also of a run that was cancelled: something is left.
            DrillState::CleanupFailed => StepError::new(
                "cleanup_failed",
                cause(),
                format!("remove what `bcdr drill show {id}` names; then retry the step"),
            ),
            _ if self.stop.is_cancelled() => self.stopped(),
            _ if interrupted => return Ok(Ended::Interrupted),
            DrillState::Cancelled => {
                let cause = format!("somebody stopped drill {id}");
                StepError::new("drill_stopped", cause, "retry the step, or skip it")
            }
            _ => StepError::new(
                "drill_failed",
                cause(),
                format!("look at `bcdr drill show {id}`; then retry the step, or skip it"),
            ),
        };
        Err(StepError { point, ..error })
    }

    /// Starts the drill of this attempt, or finds the one that was started. Says whether it was found.
    async fn begin_drill(&self, group: &Arc<Group>) -> Result<(DrillId, bool), StepError> {
        let launch = self.launch()?;
        let chosen = self
            .record
            .points
            .iter()
            .find(|chosen| chosen.step == self.work.step);
        let instant = chosen.map_or(Instant::Latest, |chosen| Instant::Id(chosen.point));
        let (catalog, lineage) = (Arc::clone(&self.parts.catalog), group.lineage());
        let row = offload(move || resolve(&catalog, lineage, &instant)).await?;
        let row = row.ok_or_else(|| {
            let cause = format!("group {} has no such recovery point", self.group.name);
            StepError::new("no_point", cause, "start the plan again at another time")
        })?;
        let key = self.key();
        let begun = self.parts.idempotency.begin_step(self.record.id, &key);
        let first = match begun.await? {
            Attempt::First(first) => first,
            Attempt::Repeated(job) => {
                let job = self.parts.jobs.get(job).await?;
                let drill = job.and_then(|job| job.drill);
                let lost = || {
                    let cause = "the drill of this attempt is not known any more";
                    StepError::new("drill_lost", cause, "retry the step")
                };
                return Ok((drill.ok_or_else(lost)?, true));
            }
        };
        let settings = launch.settings.clone();
        let deed = self.deed("start_drill", group);
        let began = self.parts.audit.system_begins(&deed).await;
        let started = self.parts.drills.start(group, &row, settings, 0, first);
        let started = started.await;
        let failure = started.as_ref().err().map(ToString::to_string);
        self.parts.audit.system_ended(&deed, began, failure).await;
        Ok((started?.0.id, false))
    }

    async fn known_drill(&self, id: DrillId) -> Result<DrillRecord, StepError> {
        self.parts.drills.get(id).await?.ok_or_else(|| {
            let cause = format!("there is no drill {id}");
            StepError::new("drill_lost", cause, "retry the step")
        })
    }

    /// The drill's job at its end, which a cancelled run hastens.
    async fn drill_job(
        &self,
        group: &Group,
        id: DrillId,
        job: JobId,
    ) -> Result<Option<JobRecord>, StepError> {
        let ended = self.parts.jobs.wait(job, Duration::MAX);
        tokio::pin!(ended);
        tokio::select! {
            ended = &mut ended => return Ok(ended?),
            () = self.stop.cancelled() => {}
        }
        self.parts.drills.stop(group.id(), id);
        Ok(ended.await?)
    }

    fn chosen_point(&self) -> Option<PointTaken> {
        let mut points = self.record.points.iter();
        let chosen = points.find(|chosen| chosen.step == self.work.step)?;
        Some(PointTaken {
            id: chosen.point.to_string(),
            time: chosen.time,
        })
    }

    // --- failovers ---

    async fn fail_over(&self, mode: FailoverMode) -> Result<Ended, StepError> {
        let group = self.group()?;
        let id = match self.work.reference.as_ref().and_then(|id| id.parse().ok()) {
            Some(id) => id,
            // One that was begun and not noted is not forgotten by a cancel.
            None if self.stop.is_cancelled() => match self.begun_before().await? {
                Some(id) => id,
                None => return Err(self.stopped()),
            },
            None => match self.unblocked(&group).await? {
                Some(id) => id,
                None => self.begin_failover(&group, mode).await?,
            },
        };
        self.tell_reference(id.to_string()).await;
        self.follow(&group, id).await
    }

    /// The failover of the attempt before, if that is still on its way; one that is blocked is tried
    /// again.
    async fn unblocked(&self, group: &Group) -> Result<Option<FailoverId>, StepError> {
        let previous = self.work.previous.as_ref().and_then(|id| id.parse().ok());
        let Some(id) = previous else {
            return Ok(None);
        };
        let Some(placement) = self.parts.placements.placement(group.id()) else {
            return Ok(None);
        };
        match placement.job() {
            Some(PlacementJob::Failover(job)) if job.id == id => {
                if job.progress.stage == Stage::Blocked {
                    let job = JobRef::Failover(id);
                    self.parts
                        .placements
                        .wish_of(group.id(), job, Wish::Retry)
                        .await?;
                }
                Ok(Some(id))
            }
            // A committed one is no job any more, and production is up by it.
            None if placement.failed_over_by() == Some(id) => Ok(Some(id)),
            _ => Ok(None),
        }
    }

    /// The failover of this attempt, if a process before this one began it.
    async fn begun_before(&self) -> Result<Option<FailoverId>, StepError> {
        let key = self.key();
        let begun = self.parts.idempotency.begin_step(self.record.id, &key);
        let Attempt::Repeated(job) = begun.await? else {
            return Ok(None);
        };
        let job = self.parts.jobs.get(job).await?;
        Ok(job.and_then(|job| job.subject.parse().ok()))
    }

    async fn begin_failover(
        &self,
        group: &Arc<Group>,
        mode: FailoverMode,
    ) -> Result<FailoverId, StepError> {
        let launch = self.launch()?;
        let key = self.key();
        let begun = self.parts.idempotency.begin_step(self.record.id, &key);
        let job = match begun.await? {
            Attempt::First(first) => {
                let (point, preview) = self.point_now(group, mode).await?;
                let request = FailoverRequest {
                    // Its job's id takes this place.
                    request_id: String::new(),
                    operator: self.record.run.by.0.clone(),
                    mode,
                    point,
                    policy: CommitPolicy::Manual,
                    isolation_confirmed: self.record.isolation_confirmed,
                    interrupted_at: self.record.interrupted_at,
                    launch: launch.settings,
                    networks: launch.networks,
                    preview,
                };
                let placements = &self.parts.placements;
                let deed = self.deed("start_failover", group);
                let began = self.parts.audit.system_begins(&deed).await;
                let started = placements.start_failover(group.id(), request, first).await;
                let failure = started.as_ref().err().map(ToString::to_string);
                self.parts.audit.system_ended(&deed, began, failure).await;
                started?
            }
            Attempt::Repeated(job) => job,
        };
        let job = self.parts.jobs.get(job).await?;
        let id = job.and_then(|job| job.subject.parse().ok());
        id.ok_or_else(|| {
            let cause = "the failover of this attempt is not known any more";
            StepError::new("failover_lost", cause, "retry the step")
        })
    }

    /// What the step does in the run's name.
    fn deed(&self, action: &'static str, group: &Group) -> Deed {
        Deed {
            by: "plan run",
            action,
            object: audit::object("group", &group.record().name),
            detail: format!("attempt {}", self.key()),
        }
    }

    /// Which point a failover is to take, and what would be lost with the one that this is now: it
    /// chooses behind its fence. Only where the source was just put back the point is chosen here.
    async fn point_now(
        &self,
        group: &Arc<Group>,
        mode: FailoverMode,
    ) -> Result<(PointChoice, Option<LossWindow>), StepError> {
        let at = self.record.at;
        let (sought, of) = (Sought::of(&self.parts, at), Arc::clone(group));
        let found = offload(move || sought.point_of(&of)).await?;
        let usual = at.map_or(PointChoice::Latest, PointChoice::NotAfter);
        let Some(found) = found.filter(|_| mode == FailoverMode::Emergency) else {
            return Ok((usual, None));
        };
        let interrupted_at = self.record.interrupted_at;
        let loss = loss_of(&self.parts.catalog, group, &found.row, interrupted_at).await?;
        let point = match found.is_put_back {
            true => PointChoice::Point(found.row.point_id()),
            false => usual,
        };
        Ok((point, Some(loss)))
    }

    /// Follows a failover until a decision is awaited, it is blocked, or it has ended.
    async fn follow(&self, group: &Group, id: FailoverId) -> Result<Ended, StepError> {
        let placements = &self.parts.placements;
        let mut shown = placements.watch(group.id()).ok_or_else(|| {
            let cause = format!("the placement of group {} is not known", self.group.name);
            StepError::new(
                "no_placement",
                cause,
                "look at the cloud side's log; then retry the step",
            )
        })?;
        let mut is_cancelled = false;
        loop {
            let placement = shown.borrow_and_update().clone();
            let current = match placement.job() {
                Some(PlacementJob::Failover(job)) if job.id == id => Some(job.as_ref().clone()),
                _ => None,
            };
            let stands = match current {
                _ if placement.split_brain().is_some()
                    && placement.failed_over_by() == Some(id) =>
                {
                    Some(Err(split_brain(&self.group.name, id)))
                }
                Some(job) => judge(&job),
                None => Some(self.ended(id).await?),
            };
            if let Some(outcome) = stands {
                return outcome;
            }
            tokio::select! {
                changed = shown.changed() => if changed.is_err() {
                    // The process stops; the next one follows it.
                    std::future::pending::<()>().await;
                },
                () = self.stop.cancelled(), if !is_cancelled => {
                    let job = JobRef::Failover(id);
                    match placements.wish_of(group.id(), job, Wish::Cancel).await {
                        Ok(()) => is_cancelled = true,
                        // Behind its fence it goes on to where an operator decides; and a process that
                        // stops leaves the cancel to the next one.
                        Err(error @ (PlacementError::Refused(_) | PlacementError::Stopping)) => {
                            is_cancelled = true;
                            tracing::info!(failover = %id, %error, "a failover goes on although its plan was cancelled");
                        }
                        // Nothing changed: it was not heard, so it is said again.
                        Err(error) => {
                            tracing::warn!(failover = %id, %error, "a failover could not be cancelled; it is tried again");
                            tokio::time::sleep(CANCEL_AGAIN).await;
                        }
                    }
                }
            }
        }
    }

    async fn ended(&self, id: FailoverId) -> Result<Result<Ended, StepError>, StepError> {
        let found = self.parts.placements.record::<FailoverRecord>(id).await?;
        let record = found.ok_or_else(|| {
            let cause = format!("there is no failover {id}");
            StepError::new("failover_lost", cause, "retry the step")
        })?;
        let point = point_of(&record);
        let error = match record.end {
            Some(FailoverEnd::Committed) => {
                let note = format!("failover {id} was committed");
                return Ok(Ok(Ended::Done { note, point }));
            }
            Some(FailoverEnd::Failed) => failure_of(&record),
            _ if self.stop.is_cancelled() => self.stopped(),
            _ => StepError::new(
                "failover_undone",
                format!("failover {id} was undone"),
                "retry the step to fail over again, or skip it",
            ),
        };
        Ok(Err(StepError { point, ..error }))
    }
}

/// How a failover stands that is on its way; none while it goes on by itself.
fn judge(job: &FailoverRecord) -> Option<Result<Ended, StepError>> {
    if job.turned_back.is_some() && job.progress.stage != Stage::Blocked {
        return None;
    }
    let point = point_of(job);
    if job.progress.stage == Stage::Blocked {
        let error = failure_of(job);
        return Some(Err(StepError { point, ..error }));
    }
    if job.progress.step != Step::AwaitCommit {
        return None;
    }
    let ladder = job.ladder.as_ref()?;
    let id = job.id;
    if ladder.passed {
        let note = format!("failover {id} awaits commit or rollback: {}", ladder.detail);
        return Some(Ok(Ended::Done { note, point }));
    }
    let error = StepError::new(
        "ladder_failed",
        format!(
            "the machine of failover {id} did not come up: {}",
            ladder.detail
        ),
        format!(
            "look at the machine and skip the step if it is well; or `bcdr failover rollback {id}`, then retry the step"
        ),
    );
    Some(Err(StepError { point, ..error }))
}

/// Nothing of a failover goes on while two sites may be taking writes, and nothing of it counts as done.
pub(super) fn split_brain_failure(group: &str, id: FailoverId) -> Failure {
    Failure {
        code: "split_brain_suspected".to_owned(),
        cause: format!("failover {id}: both sites of group {group} may be taking writes"),
        remedy: format!(
            "look at `bcdr placement show {group}` and decide there which site is kept; then retry the step"
        ),
    }
}

fn split_brain(group: &str, id: FailoverId) -> StepError {
    StepError {
        failure: split_brain_failure(group, id),
        point: None,
    }
}

fn failure_of(job: &FailoverRecord) -> StepError {
    match &job.progress.failure {
        Some(failure) => StepError::new(
            &failure.code,
            format!("failover {}: {}", job.id, failure.cause),
            failure.remedy.clone(),
        ),
        None => StepError::new(
            "failover_failed",
            format!("failover {} failed", job.id),
            "look at it; then retry the step",
        ),
    }
}

fn point_of(job: &FailoverRecord) -> Option<PointTaken> {
    Some(PointTaken {
        id: job.point?.to_string(),
        time: job.point_time?,
    })
}
