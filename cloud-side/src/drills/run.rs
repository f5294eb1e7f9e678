//! One drill from its view to its job's end.

use super::{DrillRecord, DrillState, Drills, RunError};
use crate::{
    catalog::{BatchRow, CatalogError},
    clock,
    drill::{
        DrillContext, DrillProgress, DrillReport, DrillRequest, DrillResult, PointDescription,
        ReplicaDigest, run_drill,
    },
    groups::Group,
    jobs::{JobError, JobRecord, JobState},
    offload::offload,
    receive::BatchNumber,
    replica::{ChunkCache, ChunkOpener, LineageReader, ViewError},
    target::{DiskSource, InstanceId},
    views::{OpenView, digest},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Replicas with more data than this are not compared before and after: reading them would take
/// longer than the drill.
const COMPARED_BYTES_MAX: u64 = 4 << 30;
/// Plaintext that a digest keeps in memory, in bytes.
const DIGEST_CACHE_BYTES: usize = 16 << 20;
/// What a drill's view outlives the longest drill by, so that one nobody knows of goes away.
const LEASE_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);
const STEPS_WAITING: usize = 16;
/// How soon an end that could not be kept is tried again.
const KEEP_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Attempt {
    pub(super) drills: Arc<Drills>,
    pub(super) group: Arc<Group>,
    pub(super) row: BatchRow,
    pub(super) record: DrillRecord,
    /// When it was asked for, by a clock that cannot be set.
    pub(super) asked: Instant,
    pub(super) progress: watch::Sender<Option<DrillProgress>>,
    pub(super) stop: CancellationToken,
}

impl Attempt {
    pub(super) async fn run(mut self) {
        let outcome = self.attempt().await;
        self.close_view().await;
        self.end(outcome).await;
    }

    async fn attempt(&mut self) -> Result<DrillReport, RunError> {
        // Waiting for a free place comes before everything that takes up memory or the source's point.
        let _place = self.place().await?;
        let jobs = &self.drills.parts.jobs;
        jobs.update(self.record.job, JobRecord::start).await?;
        if self.stop.is_cancelled() {
            return Err(RunError::Stopped);
        }
        let view = self.open_view().await?;
        let (steps, followed) = mpsc::channel(STEPS_WAITING);
        let request = self.request(&view);
        let context = DrillContext {
            storage: self.drills.storage(),
            progress: Some(steps),
            stop: self.stop.clone(),
            scripts: Arc::clone(&self.drills.parts.scripts),
            replica_digest: self.replica_digest(&view).await,
        };
        let target = Arc::clone(&self.drills.parts.target);
        let (report, ()) = tokio::join!(
            async {
                let report = run_drill(&request, &*target, &context).await;
                // Nothing more is sent, so the follower ends.
                drop(context);
                report
            },
            self.follow(followed),
        );
        Ok(report)
    }

    /// Waits until one more machine may run. Those that wait are served in the order they came.
    async fn place(&self) -> Result<OwnedSemaphorePermit, RunError> {
        let machines = Arc::clone(&self.drills.parts.machines);
        tokio::select! {
            permit = machines.acquire_owned() => permit.map_err(|_| RunError::Stopped),
            () = self.stop.cancelled() => Err(RunError::Stopped),
        }
    }

    async fn open_view(&mut self) -> Result<OpenView, RunError> {
        let settings = &self.record.settings;
        let longest =
            u64::from(settings.boot_timeout_seconds) + u64::from(self.record.hold_seconds);
        let lease = Duration::from_secs(longest) + LEASE_MARGIN;
        let views = &self.drills.parts.views;
        let view = views
            .open(&self.group, self.group.lineage(), &self.row, Some(lease))
            .await?;
        self.record.view = Some(view.id);
        self.record.state = DrillState::Preparing;
        self.drills.store(self.record.clone()).await?;
        Ok(view)
    }

    fn request(&self, view: &OpenView) -> DrillRequest {
        let id = self.record.id;
        DrillRequest {
            drill: InstanceId::new(id.to_string())
                .expect("a drill id has only letters, digits and a hyphen"),
            group: self.group.record().name.clone(),
            requested_at: clock::readable(self.record.requested_at),
            waited: self.asked.elapsed(),
            point: PointDescription {
                id: self.row.point_id().to_string(),
                label: self.row.marker.as_ref().map(|marker| marker.label.clone()),
                time: Some(clock::readable(self.row.time)),
            },
            disks: view
                .volumes
                .iter()
                .map(|volume| DiskSource {
                    volume: volume.name.clone(),
                    uri: volume.uri.clone(),
                    size_bytes: volume.member.size_bytes,
                })
                .collect(),
            settings: self.record.settings.clone(),
            evidence_directory: self.drills.evidence_of(id),
            runtime_directory: self.drills.parts.runtime_directory.clone(),
            hold_seconds: self.record.hold_seconds,
        }
    }

    /// How the replica is compared before and after, unless it holds too much for that.
    async fn replica_digest(&self, view: &OpenView) -> Option<ReplicaDigest> {
        let reader = view.reader.clone()?;
        let small = {
            let reader = Arc::clone(&reader);
            offload(move || crate::views::written_bytes(&reader)).await
        };
        match small {
            Ok(bytes) if bytes <= COMPARED_BYTES_MAX => {
                let opener = self.drills.parts.views.opener();
                Some(digest_of(self.group.reader()?, self.row.number, opener))
            }
            Ok(_) => None,
            Err(error) => {
                // The drill itself will say what is wrong with the view.
                tracing::warn!(drill = %self.record.id, %error, "the replica cannot be measured");
                None
            }
        }
    }

    /// Shows each step, and keeps the phase in the job.
    async fn follow(&self, mut steps: mpsc::Receiver<DrillProgress>) {
        let mut phase = None;
        while let Some(step) = steps.recv().await {
            if phase != Some(step.phase) {
                phase = Some(step.phase);
                let name = phase_name(step.phase);
                let noted = self.drills.parts.jobs.update(self.record.job, |job| {
                    job.phase = Some(name);
                });
                if let Err(error) = noted.await {
                    tracing::warn!(drill = %self.record.id, %error, "a phase could not be kept");
                }
            }
            self.progress.send_replace(Some(step));
        }
    }

    async fn close_view(&mut self) {
        if let Some(view) = self.record.view.take()
            && let Err(error) = self.drills.parts.views.close(view).await
        {
            tracing::error!(%view, %error, "a drill's view could not be closed");
        }
    }

    async fn end(mut self, outcome: Result<DrillReport, RunError>) {
        self.record.finished_at = Some(clock::wall());
        let (state, error) = match outcome {
            Ok(report) => {
                self.measure(&report);
                self.record.state = DrillState::of_result(report.result);
                self.record.reason = report.reason.clone();
                let ended = job_end(&report);
                self.record.report = Some(report);
                ended
            }
            Err(RunError::Stopped) => {
                self.record.state = DrillState::Cancelled;
                (JobState::Cancelled, None)
            }
            Err(error) => {
                self.record.state = DrillState::Failed;
                self.record.reason = Some(error.to_string());
                let error = JobError::new("drill_failed", error.to_string(), None);
                (JobState::Failed, Some(error))
            }
        };
        self.drills.board().learn(&self.record);
        self.keep(state, error).await;
        self.drills.board().end(self.record.id);
    }

    /// Keeps the drill's end, then its job's. Whoever waits for the job would wait for ever for one that
    /// was lost, so what cannot be kept is tried again until it is, or until the process stops: the
    /// next one finds the evidence, and ends it.
    async fn keep(&self, state: JobState, error: Option<JobError>) {
        while let Err(error) = self.drills.store(self.record.clone()).await {
            if !self.waits_to_keep(&error).await {
                return;
            }
        }
        // Before the job ends, so that whoever waited for it finds the report.
        self.drills.report_or_note(&self.record, &self.group).await;
        let jobs = &self.drills.parts.jobs;
        let ended = |job: &mut JobRecord| job.finish(state, error.clone());
        while let Err(error) = jobs.update(self.record.job, ended).await {
            if !self.waits_to_keep(&error).await {
                return;
            }
        }
    }

    /// Waits before the next try; says whether there is one.
    async fn waits_to_keep(&self, error: &CatalogError) -> bool {
        tracing::error!(drill = %self.record.id, %error, "a drill's end cannot be kept; it is tried again");
        tokio::select! {
            () = tokio::time::sleep(KEEP_AGAIN) => true,
            () = self.drills.stopping.cancelled() => false,
        }
    }

    fn measure(&self, report: &DrillReport) {
        for phase in &report.phases {
            let name = phase_name(phase.phase);
            let labels = ["drill", name.as_str()];
            let seconds = self.drills.parts.phases.with_label_values(&labels);
            seconds.observe(phase.duration_seconds);
        }
    }
}

/// The digest of a batch's image, each time of what the store holds then: chunks that earlier reads
/// left in memory would hide a change below them, so it begins with none.
fn digest_of(
    reader: Arc<LineageReader>,
    batch: BatchNumber,
    opener: Arc<dyn ChunkOpener>,
) -> ReplicaDigest {
    Arc::new(move || {
        let (reader, opener) = (Arc::clone(&reader), Arc::clone(&opener));
        Box::pin(async move {
            offload(move || {
                let cache = Arc::new(ChunkCache::new(DIGEST_CACHE_BYTES));
                digest(&reader.open_view(batch, opener, cache)?)
            })
            .await
            .map_err(|error: ViewError| error.to_string())
        })
    })
}

/// The name of a phase, as in JSON.
fn phase_name(phase: crate::drill::Phase) -> String {
    match serde_json::to_value(phase) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{phase:?}"),
    }
}

pub(super) fn job_end(report: &DrillReport) -> (JobState, Option<JobError>) {
    let error = |code: &str, remedy| {
        let reason = report.reason.clone().unwrap_or_default();
        Some(JobError::new(code, reason, Some(remedy)))
    };
    let look = "look at the drill's report and evidence";
    match report.result {
        DrillResult::Passed => (JobState::Succeeded, None),
        DrillResult::Cancelled => (JobState::Cancelled, None),
        DrillResult::Failed => (JobState::Failed, error("drill_failed", look)),
        DrillResult::CleanupFailed => (
            JobState::Failed,
            error(
                "cleanup_failed",
                "remove what the report names; the next drill of the group checks it again",
            ),
        ),
    }
}
