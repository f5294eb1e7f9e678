//! Jobs: work that outlasts its request, with a durable record of how it stands.
//!
//! Owns the records and lets anybody wait for a job's end. Invariant: a state is told to waiters
//! only after it is durable, and a finished job never changes, but for one that an interruption
//! ended and whose work arrived all the same. It does not do the work: each kind has an owner.

use crate::{
    catalog::{Catalog, CatalogError, Document},
    clock,
    offload::offload,
    receive::PointId,
    record_id::{DrillId, JobId},
};
use bcdr_format::{GroupId, MarkerId, Timestamp};
use prometheus::IntCounterVec;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use utoipa::ToSchema;

const PAGE: usize = 256;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobKind {
    /// Places a bookmark and waits until it is published.
    CreatePoint,
    /// Boots a point in isolation.
    Drill,
    /// Brings a group's production to the target.
    Failover,
    /// Brings it home.
    Failback,
    /// Puts its source's own disks back to a point.
    Restore,
    /// Inspects a point's disks without booting them.
    Readiness,
}

impl JobKind {
    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CreatePoint => "create_point",
            Self::Drill => "drill",
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::Restore => "restore",
            Self::Readiness => "readiness",
        }
    }
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// It has not begun.
    Queued,
    /// It is being worked on.
    Running,
    /// It did what it is for.
    Succeeded,
    /// It did not.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// The process that worked on it ended.
    Interrupted,
}

impl JobState {
    /// Whether nothing more happens in it.
    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why a job did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct JobError {
    /// The stable code that programs match on.
    pub(crate) code: String,
    /// What happened.
    pub(crate) detail: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

impl JobError {
    pub(crate) fn new(code: &str, detail: impl Into<String>, remedy: Option<&str>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
            remedy: remedy.map(str::to_owned),
        }
    }
}

/// The durable record of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    /// Its id.
    pub(crate) id: JobId,
    /// What it does.
    pub(crate) kind: JobKind,
    /// How it stands.
    pub(crate) state: JobState,
    /// The group it is about.
    pub(crate) group: GroupId,
    /// What it is about in that group: a label, a drill's id, or a point's.
    pub(crate) subject: String,
    /// What it does at the moment.
    pub(crate) phase: Option<String>,
    /// When it was asked for.
    pub(crate) created_at: Timestamp,
    /// When it began.
    pub(crate) started_at: Option<Timestamp>,
    /// When it ended.
    pub(crate) finished_at: Option<Timestamp>,
    /// Why it did not succeed.
    pub(crate) error: Option<JobError>,
    /// The marker it placed.
    pub(crate) marker: Option<MarkerId>,
    /// The point it made.
    pub(crate) point: Option<PointId>,
    /// Its drill.
    pub(crate) drill: Option<DrillId>,
}

impl JobRecord {
    /// A job that was asked for just now.
    ///
    /// # Errors
    /// When the system has no randomness for its id.
    pub(crate) fn new(
        kind: JobKind,
        group: GroupId,
        subject: String,
    ) -> Result<Self, getrandom::Error> {
        let now = clock::wall();
        Ok(Self {
            id: JobId::generate(now)?,
            kind,
            state: JobState::Queued,
            group,
            subject,
            phase: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            error: None,
            marker: None,
            point: None,
            drill: None,
        })
    }

    /// Notes that it runs.
    pub(crate) fn start(&mut self) {
        self.state = JobState::Running;
        self.started_at = Some(clock::wall());
    }

    /// Notes how it ended.
    pub(crate) fn finish(&mut self, state: JobState, error: Option<JobError>) {
        self.state = state;
        self.error = error;
        self.phase = None;
        self.finished_at = Some(clock::wall());
    }
}

impl Document for JobRecord {
    const COLLECTION: &'static str = "jobs";

    /// Newer jobs come first.
    fn key(&self) -> String {
        self.id.newest_first_key()
    }
}

/// All jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    catalog: Arc<Catalog>,
    active: Mutex<HashMap<JobId, watch::Sender<JobRecord>>>,
    ended: IntCounterVec,
    followers: TaskTracker,
    stopping: CancellationToken,
}

impl Jobs {
    /// The jobs of a catalog; `ended` counts those that end, by `type` and `result`.
    pub(crate) fn new(catalog: Arc<Catalog>, ended: IntCounterVec) -> Self {
        Self {
            catalog,
            active: Mutex::new(HashMap::new()),
            ended,
            followers: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Runs what follows a job until the process stops; the next process then finds it unfinished.
    pub(crate) fn follow(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.followers.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stopping.cancelled() => {}
            }
        });
    }

    /// Begins a job: runs `work`, which makes it durable and has it carried out, to its end, also when
    /// whoever asked for it stops waiting. What is durable and carried out by nobody would stay so
    /// until the next start of the process.
    pub(crate) async fn begin<Output: Send + 'static>(
        &self,
        work: impl Future<Output = Output> + Send + 'static,
    ) -> Output {
        match self.followers.spawn(work).await {
            Ok(output) => output,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that ends cancels it; whoever waits ends with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Ends what follows jobs.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.followers.close();
        self.followers.wait().await;
    }

    fn active(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<JobRecord>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many jobs of a kind have not ended.
    pub(crate) fn running(&self, kind: JobKind) -> usize {
        let active = self.active();
        active
            .values()
            .filter(|job| job.borrow().kind == kind)
            .count()
    }

    /// Takes in a job whose record is durable: a new one, or one that an earlier process left.
    pub(crate) fn take_up(&self, record: JobRecord) {
        self.active().insert(record.id, watch::Sender::new(record));
    }

    #[cfg(test)]
    async fn add(&self, record: JobRecord) -> Result<(), CatalogError> {
        self.store(record.clone()).await?;
        self.take_up(record);
        Ok(())
    }

    /// Changes a job; durable on return.
    pub(crate) async fn update(
        &self,
        id: JobId,
        change: impl FnOnce(&mut JobRecord),
    ) -> Result<(), CatalogError> {
        let held = self.active().get(&id).map(|job| job.borrow().clone());
        let Some(mut record) = (match held {
            Some(record) => Some(record),
            None => self.stored(id).await?,
        }) else {
            return Ok(());
        };
        let was_final = record.state.is_final();
        change(&mut record);
        self.store(record.clone()).await?;
        if record.state.is_final() && !was_final {
            let labels = [record.kind.name(), record.state.name()];
            self.ended.with_label_values(&labels).inc();
        }
        let is_final = record.state.is_final();
        let mut active = self.active();
        if let Some(job) = active.get(&id) {
            job.send_replace(record);
        }
        if is_final {
            active.remove(&id);
        }
        Ok(())
    }

    /// One job.
    pub(crate) async fn get(&self, id: JobId) -> Result<Option<JobRecord>, CatalogError> {
        let held = self.active().get(&id).map(|job| job.borrow().clone());
        match held {
            Some(record) => Ok(Some(record)),
            None => self.stored(id).await,
        }
    }

    /// One job, once it ended or `patience` is over.
    pub(crate) async fn wait(
        &self,
        id: JobId,
        patience: Duration,
    ) -> Result<Option<JobRecord>, CatalogError> {
        let watched = self.active().get(&id).map(watch::Sender::subscribe);
        if let Some(mut watched) = watched {
            let ended = watched.wait_for(|job| job.state.is_final());
            // Whatever it is now, at the end or at the end of patience, is the answer.
            if let Ok(Ok(record)) = tokio::time::timeout(patience, ended).await {
                return Ok(Some(record.clone()));
            }
        }
        self.get(id).await
    }

    /// A page of jobs, newest first, after the one named.
    pub(crate) async fn list(
        &self,
        group: Option<GroupId>,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<JobRecord>, CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || {
            let after = after.map(JobId::newest_first_key);
            select(&catalog, after, limit, |job: &JobRecord| {
                group.is_none_or(|group| job.group == group)
            })
        })
        .await
    }

    /// The jobs whose work this process has to take up or to give up, after a start.
    pub(crate) async fn left_over(&self) -> Result<Vec<JobRecord>, CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        let left = offload(move || {
            select(&catalog, None, usize::MAX, |job: &JobRecord| {
                !job.state.is_final() || job.state == JobState::Interrupted
            })
        })
        .await?;
        Ok(left)
    }

    async fn store(&self, record: JobRecord) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || catalog.put_document(&record)).await
    }

    async fn stored(&self, id: JobId) -> Result<Option<JobRecord>, CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || catalog.document(&id.newest_first_key())).await
    }
}

/// At most `limit` documents that are wanted, in the order of their keys. Blocks.
pub(crate) fn select<Kind: Document>(
    catalog: &Catalog,
    after: Option<String>,
    limit: usize,
    wanted: impl Fn(&Kind) -> bool,
) -> Result<Vec<Kind>, CatalogError> {
    let mut found = Vec::new();
    let mut after = after;
    loop {
        let page: Vec<Kind> = catalog.documents(after.as_deref(), PAGE)?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        after = Some(last.key());
        for document in page {
            if found.len() == limit {
                return Ok(found);
            }
            if wanted(&document) {
                found.push(document);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_disk::RealStorage;
    use prometheus::Opts;

    fn jobs(directory: &tempfile::TempDir) -> Jobs {
        let path = directory.path().join("catalog.redb");
        let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
        let ended = IntCounterVec::new(Opts::new("ended", "help"), &["type", "result"]).unwrap();
        Jobs::new(Arc::new(catalog), ended)
    }

    fn job(subject: &str) -> JobRecord {
        JobRecord::new(
            JobKind::CreatePoint,
            GroupId::from_u128(1),
            subject.to_owned(),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn a_waiter_gets_the_end_and_the_record_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let id = {
            let jobs = Arc::new(jobs(&directory));
            let record = job("one");
            let id = record.id;
            jobs.add(record).await.unwrap();
            let waiter = {
                let jobs = Arc::clone(&jobs);
                tokio::spawn(async move { jobs.wait(id, Duration::MAX).await })
            };
            jobs.update(id, JobRecord::start).await.unwrap();
            assert_eq!(jobs.running(JobKind::CreatePoint), 1);
            jobs.update(id, |job| job.finish(JobState::Succeeded, None))
                .await
                .unwrap();
            let seen = waiter.await.unwrap().unwrap().unwrap();
            assert_eq!(seen.state, JobState::Succeeded);
            assert_eq!(jobs.running(JobKind::CreatePoint), 0);
            let labels = ["create_point", "succeeded"];
            assert_eq!(jobs.ended.with_label_values(&labels).get(), 1);
            id
        };
        let reopened = jobs(&directory);
        let stored = reopened.get(id).await.unwrap().unwrap();
        assert_eq!(stored.state, JobState::Succeeded);
        assert!(stored.finished_at >= stored.started_at);
    }

    #[tokio::test]
    async fn patience_ends_without_an_end() {
        let directory = tempfile::tempdir().unwrap();
        let jobs = jobs(&directory);
        let record = job("slow");
        jobs.add(record.clone()).await.unwrap();
        let seen = jobs
            .wait(record.id, Duration::from_millis(1))
            .await
            .unwrap();
        assert_eq!(seen, Some(record));
        let unknown = JobId::generate(Timestamp(0)).unwrap();
        assert_eq!(jobs.wait(unknown, Duration::MAX).await.unwrap(), None);
    }

    #[tokio::test]
    async fn lists_are_newest_first_and_go_on_after_a_job() {
        let directory = tempfile::tempdir().unwrap();
        let jobs = jobs(&directory);
        let mut ids = Vec::new();
        for number in 0..5 {
            let mut record = job(&number.to_string());
            // Ids made within one millisecond have no order.
            record.id = JobId::generate(Timestamp(number * 1_000_000)).unwrap();
            ids.push(record.id);
            jobs.add(record).await.unwrap();
        }
        let first = jobs.list(None, None, 2).await.unwrap();
        assert_eq!(
            first.iter().map(|job| job.id).collect::<Vec<_>>(),
            [ids[4], ids[3]]
        );
        let rest = jobs.list(None, Some(ids[3]), 10).await.unwrap();
        assert_eq!(
            rest.iter().map(|job| job.id).collect::<Vec<_>>(),
            [ids[2], ids[1], ids[0]]
        );
        let other = jobs
            .list(Some(GroupId::from_u128(2)), None, 10)
            .await
            .unwrap();
        assert!(other.is_empty());
        assert_eq!(jobs.left_over().await.unwrap().len(), 5);
    }
}
