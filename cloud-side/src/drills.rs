//! Drills as the cloud side runs them: records, views, jobs, and clean-up after a crash.
//!
//! The engine in [`crate::drill`] boots and judges; this module gives it a view of the point, keeps
//! its record durable, follows its progress and closes what it opened. Invariants: a drill's record
//! is durable before anything of it exists; a group has a bounded number of drills at a time; what a
//! drill left behind is removed, with proof, before a new one of its group begins.

mod board;
mod record;
mod reporting;
mod run;

pub(crate) use board::DrillAxis;
pub(crate) use record::{DrillRecord, DrillState};

use crate::{
    catalog::{BatchRow, Catalog, CatalogError, DocumentRow},
    clock,
    drill::{
        DrillProgress, EvidenceError, LeftoverError, RungScripts, clean_up_leftover, instance_of,
    },
    groups::{Group, Groups},
    idempotency::FirstAttempt,
    jobs::{JobError, JobKind, JobRecord, JobState, Jobs, select},
    offload::offload,
    record_id::{DrillId, ViewId},
    reports::{Reports, runbook::Places},
    rpo_history::RpoHistory,
    schedules::Schedules,
    target::{InstanceRecord, LaunchSettings, LaunchSettingsError, Target},
    views::{OpenViewError, Views},
};
use bcdr_disk::Storage;
use bcdr_format::GroupId;
use board::{Board, Running};
use prometheus::HistogramVec;
use std::{
    collections::BTreeSet,
    num::NonZeroU16,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The longest time a machine may be held after its last rung, in seconds.
pub(crate) const HOLD_SECONDS_MAX: u32 = 24 * 60 * 60;

/// Why a drill is not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartDrillError {
    /// As many as may are running.
    #[error("{running} drills of this group are running or waiting, and no more may")]
    TooMany {
        /// How many.
        running: usize,
    },
    /// An earlier one left something behind that cannot be removed.
    #[error("drill {drill} of this group left something behind: {reason}")]
    Leftover {
        /// It.
        drill: DrillId,
        /// What.
        reason: String,
    },
    /// The process is stopping.
    #[error("the cloud side is stopping; try again when it runs")]
    Stopping,
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] LaunchSettingsError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why an attempt ended without the engine.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("the view could not be opened: {0}")]
    View(#[from] OpenViewError),
    #[error("{0}")]
    Catalog(#[from] CatalogError),
    #[error("a stop was asked for")]
    Stopped,
}

/// What drills work with.
pub(crate) struct DrillParts {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) views: Arc<Views>,
    pub(crate) runtime_directory: PathBuf,
    pub(crate) evidence_directory: PathBuf,
    pub(crate) reports: Arc<Reports>,
    pub(crate) rpo: Arc<RpoHistory>,
    pub(crate) schedules: Arc<Schedules>,
    /// For runbooks.
    pub(crate) places: Places,
    /// Runs the scripts that judge machines.
    pub(crate) scripts: Arc<dyn RungScripts>,
    /// A permit for each machine that may run at once.
    pub(crate) machines: Arc<Semaphore>,
    /// How many drills of one group may run or wait at once.
    pub(crate) drills_per_group: NonZeroU16,
    /// `bcdr_job_phase_duration_seconds`, by type and phase.
    pub(crate) phases: HistogramVec,
}

/// All drills.
pub(crate) struct Drills {
    parts: DrillParts,
    board: Mutex<Board>,
    starting: tokio::sync::Mutex<()>,
    /// Drills that ended and have no report yet.
    unreported: Mutex<BTreeSet<DrillId>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl std::fmt::Debug for Drills {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Drills")
            .field("evidence_directory", &self.parts.evidence_directory)
            .finish_non_exhaustive()
    }
}

impl Drills {
    pub(crate) fn new(parts: DrillParts) -> Self {
        Self {
            parts,
            board: Mutex::default(),
            starting: tokio::sync::Mutex::new(()),
            unreported: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The drill axis of a group.
    pub(crate) fn axis(&self, group: GroupId) -> DrillAxis {
        self.board().axis(group)
    }

    /// Whether one more drill of the group may run or wait.
    pub(crate) fn has_room(&self, group: GroupId) -> bool {
        self.axis(group).running < usize::from(self.parts.drills_per_group.get())
    }

    /// How a running drill comes along.
    pub(crate) fn progress(&self, group: GroupId, id: DrillId) -> Option<DrillProgress> {
        let shown = self.board().running(group, id)?.progress.clone();
        let progress = shown.borrow();
        progress.clone()
    }

    /// The drill of a group that runs on this view, or left it behind.
    pub(crate) async fn of_view(
        &self,
        group: GroupId,
        view: ViewId,
    ) -> Result<Option<DrillId>, CatalogError> {
        let ids: Vec<DrillId> = {
            let board = self.board();
            let left = board.leftovers_of(group);
            board.running_of(group).chain(left).collect()
        };
        for id in ids {
            if self
                .get(id)
                .await?
                .is_some_and(|drill| drill.view == Some(view))
            {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    pub(crate) fn evidence_of(&self, id: DrillId) -> PathBuf {
        self.parts.evidence_directory.join(id.to_string())
    }

    /// The instance of a drill that runs, once it was planned.
    pub(crate) async fn instance(
        &self,
        group: GroupId,
        id: DrillId,
    ) -> Result<Option<InstanceRecord>, EvidenceError> {
        if self.board().running(group, id).is_none() {
            return Ok(None);
        }
        instance_of(self.storage(), &self.evidence_of(id)).await
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.parts.storage)
    }

    pub(crate) async fn get(&self, id: DrillId) -> Result<Option<DrillRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.document(&id.newest_first_key())).await
    }

    /// A page of drills, newest first, after the one named.
    pub(crate) async fn list(
        &self,
        group: Option<GroupId>,
        after: Option<DrillId>,
        limit: usize,
    ) -> Result<Vec<DrillRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || {
            let after = after.map(DrillId::newest_first_key);
            select(&catalog, after, limit, |drill: &DrillRecord| {
                group.is_none_or(|group| drill.group == group)
            })
        })
        .await
    }

    /// Starts a drill of a point. The drill, its job and the request's key are durable together; it is
    /// run also when whoever asked is gone.
    pub(crate) async fn start(
        self: &Arc<Self>,
        group: &Arc<Group>,
        row: &BatchRow,
        settings: LaunchSettings,
        hold_seconds: u32,
        attempt: FirstAttempt,
    ) -> Result<(DrillRecord, JobRecord), StartDrillError> {
        let (drills, group, row) = (Arc::clone(self), Arc::clone(group), row.clone());
        let start = async move {
            let start = drills.start_here(&group, row, settings, hold_seconds, attempt);
            start.await
        };
        self.parts.jobs.begin(start).await
    }

    async fn start_here(
        self: &Arc<Self>,
        group: &Arc<Group>,
        row: BatchRow,
        settings: LaunchSettings,
        hold_seconds: u32,
        attempt: FirstAttempt,
    ) -> Result<(DrillRecord, JobRecord), StartDrillError> {
        settings.check()?;
        let _starting = self.starting.lock().await;
        if self.stopping.is_cancelled() {
            return Err(StartDrillError::Stopping);
        }
        if !self.has_room(group.id()) {
            let running = self.axis(group.id()).running;
            return Err(StartDrillError::TooMany { running });
        }
        self.clear_leftovers(group.id()).await?;
        let now = clock::wall();
        let id = DrillId::generate(now)?;
        let mut job = JobRecord::new(JobKind::Drill, group.id(), id.to_string())?;
        job.drill = Some(id);
        let record = DrillRecord {
            id,
            group: group.id(),
            point: row.point_id(),
            job: job.id,
            view: None,
            settings,
            hold_seconds,
            requested_at: now,
            finished_at: None,
            state: DrillState::Queued,
            reason: None,
            report: None,
        };
        let mut rows = vec![DocumentRow::of(&record), DocumentRow::of(&job)];
        rows.extend(attempt.remembers(job.id));
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_documents(&rows)).await?;
        self.parts.jobs.take_up(job.clone());
        let (progress, followed) = watch::channel(None);
        let stop = self.stopping.child_token();
        let running = Running {
            group: group.id(),
            stop: stop.clone(),
            progress: followed,
        };
        self.board().begin(id, running);
        let drill = run::Attempt {
            drills: Arc::clone(self),
            group: Arc::clone(group),
            row,
            record: record.clone(),
            asked: std::time::Instant::now(),
            progress,
            stop,
        };
        self.tasks.spawn(drill.run());
        Ok((record, job))
    }

    /// Asks a running drill to stop. Says whether it was running.
    pub(crate) fn stop(&self, group: GroupId, id: DrillId) -> bool {
        let board = self.board();
        let Some(running) = board.running(group, id) else {
            return false;
        };
        running.stop.cancel();
        true
    }

    /// Stops all drills and waits for their clean-up.
    pub(crate) async fn stop_all(&self) {
        {
            // A start that is on its way is either refused or seen to its end below.
            let _starting = self.starting.lock().await;
            self.stopping.cancel();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Takes up what earlier processes left: cleans up after drills that died, and learns how the
    /// last ones of each group ended. Says which views belonged to those that died.
    pub(crate) async fn settle_left_over(
        &self,
        groups: &Groups,
    ) -> Result<Vec<ViewId>, CatalogError> {
        let mut views = Vec::new();
        let reported = self.reported().await?;
        for record in self.list(None, None, usize::MAX).await? {
            if !reported.contains(&(record.id.to_string(), record.state)) {
                self.unreported().insert(record.id);
            }
            if record.state.is_final() {
                self.board().learn(&record);
                self.end_job(&record).await?;
                continue;
            }
            views.extend(record.view);
            if groups.get(record.group).is_none() {
                tracing::warn!(drill = %record.id, "a drill of a group that is not in the catalog");
            }
            self.settle(record).await?;
        }
        Ok(views)
    }

    /// A process that was killed between a drill's end and its job's left the job to the next one.
    async fn end_job(&self, record: &DrillRecord) -> Result<(), CatalogError> {
        let jobs = &self.parts.jobs;
        let job = jobs.get(record.job).await?;
        if job.is_none_or(|job| job.state.is_final()) {
            return Ok(());
        }
        let (state, error) = match &record.report {
            Some(report) => run::job_end(report),
            None if record.state == DrillState::Cancelled => (JobState::Cancelled, None),
            None => {
                let reason = record.reason.clone().unwrap_or_default();
                let error = JobError::new("drill_failed", reason, None);
                (JobState::Failed, Some(error))
            }
        };
        jobs.update(record.job, |job| job.finish(state, error))
            .await
    }

    async fn settle(&self, mut record: DrillRecord) -> Result<(), CatalogError> {
        tracing::warn!(drill = %record.id, "cleaning up after a drill whose process ended");
        let died = "the receiver was restarted while the drill was running";
        match self.clean_up(record.id).await {
            Ok(Some(report)) => {
                record.state = DrillState::of_result(report.result);
                record.reason = report.reason.clone();
                record.report = Some(report);
            }
            Ok(None) => {
                record.state = DrillState::Failed;
                record.reason = Some(format!("{died}; nothing had been created yet"));
            }
            Err(error) => {
                record.state = DrillState::CleanupFailed;
                record.reason = Some(error.to_string());
            }
        }
        record.finished_at = Some(clock::wall());
        self.store(record.clone()).await?;
        self.board().learn(&record);
        let error = JobError::new("interrupted", died, Some("start the drill again"));
        let ended = |job: &mut JobRecord| {
            if !job.state.is_final() {
                job.finish(JobState::Interrupted, Some(error));
            }
        };
        self.parts.jobs.update(record.job, ended).await
    }

    async fn clean_up(
        &self,
        id: DrillId,
    ) -> Result<Option<crate::drill::DrillReport>, LeftoverError> {
        let directory = self.evidence_of(id);
        clean_up_leftover(&*self.parts.target, self.storage(), &directory).await
    }

    /// Tries again to remove what drills of the group left behind.
    async fn clear_leftovers(&self, group: GroupId) -> Result<(), StartDrillError> {
        let left = self.board().leftovers_of(group);
        for id in left {
            self.clear_leftover(group, id).await?;
        }
        Ok(())
    }

    async fn clear_leftover(&self, group: GroupId, id: DrillId) -> Result<(), StartDrillError> {
        let leftover = |reason: String| StartDrillError::Leftover { drill: id, reason };
        let report = self
            .clean_up(id)
            .await
            .map_err(|error| leftover(error.to_string()))?;
        if let Some(report) = &report
            && !report.cleanup.complete
        {
            return Err(leftover(report.reason.clone().unwrap_or_default()));
        }
        // Kept, so that the next process does not take it for a leftover again.
        if let Some(mut record) = self.get(id).await? {
            record.state = DrillState::Failed;
            record.reason = Some("its clean-up was completed later".to_owned());
            record.report = report.or(record.report);
            self.store(record).await?;
            // Another end is another report.
            self.unreported().insert(id);
        }
        self.board().is_clean(group, id);
        Ok(())
    }

    async fn store(&self, record: DrillRecord) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_document(&record)).await
    }
}

/// Whether a name can be that of a file in an evidence directory, and nothing else.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let plain = Path::new(name)
        .components()
        .map(|part| matches!(part, std::path::Component::Normal(part) if part == name))
        .collect::<Vec<_>>();
    plain == [true] && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_evidence() {
        for name in ["report.json", "console.log", "..data"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "/etc/passwd",
            "../x",
            "a\\b",
            "a/",
            "./a",
            "a\0",
        ] {
            assert!(!is_plain_name(name), "{name:?}");
        }
    }
}
