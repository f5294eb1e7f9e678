//! Placements as the cloud side runs them: one driver per group leads its machine.
//!
//! [`crate::recovery`] decides; this module persists what it decided, tells the source its order,
//! carries commands out and brings their answers back. Invariants: a placement, its job's record and
//! the request that began it are durable together, before anything is carried out; a group's
//! commands are carried out one at a time; the order that a source is given follows from the
//! placement alone.

mod branches;
mod climb;
mod driver;
mod hands;
mod home;
mod instance;
mod jobs;
mod machine;
mod orders;
mod source;

pub(crate) use instance::RecoveredInstance;

use crate::{
    branches::Branches,
    catalog::{Catalog, CatalogError, DocumentRow},
    groups::{Group, Groups},
    idempotency::FirstAttempt,
    jobs::{JobKind, JobRecord, Jobs, select},
    keys::Keys,
    offload::offload,
    record_id::JobId,
    recovery::{
        Event, FailbackId, FailbackRecord, FailbackRequest, FailoverId, FailoverRecord,
        FailoverRequest, Placement, Refused,
    },
    returns::Returns,
    target::Target,
};
use bcdr_disk::Storage;
use bcdr_format::{Generation, GroupId};
use driver::{Ask, Driver};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Wishes of one group that may wait.
const WISHES_WAITING: usize = 16;

/// Why a wish is not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlacementError {
    /// It is not allowed now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be made durable; nothing changed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// The process is stopping.
    #[error("the cloud side is stopping; try again when it runs")]
    Stopping,
}

/// What placements work with.
pub(crate) struct PlacementParts {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) branches: Arc<Branches>,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) returns: Arc<Returns>,
    pub(crate) runtime_directory: PathBuf,
    pub(crate) evidence_directory: PathBuf,
}

struct Known {
    wishes: mpsc::Sender<Ask>,
    shown: watch::Receiver<Placement>,
}

/// All placements.
pub(crate) struct Placements {
    parts: Arc<PlacementParts>,
    machines: Arc<machine::Machines>,
    known: Mutex<HashMap<GroupId, Known>>,
    drivers: TaskTracker,
    stopping: CancellationToken,
}

impl std::fmt::Debug for Placements {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Placements").finish_non_exhaustive()
    }
}

impl Placements {
    pub(crate) fn new(parts: PlacementParts) -> Self {
        Self {
            parts: Arc::new(parts),
            machines: Arc::default(),
            known: Mutex::new(HashMap::new()),
            drivers: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<GroupId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up the placements of earlier processes and begins to drive those of all groups; also
    /// settles the jobs of those that ended while nobody noted it.
    ///
    /// # Errors
    /// When a placement cannot be read: who the authority is must not be guessed.
    pub(crate) async fn open_all(&self, groups: &Groups) -> Result<(), CatalogError> {
        for group in groups.all() {
            self.open(group).await?;
        }
        jobs::settle_left_over(&self.parts).await
    }

    /// Begins to drive the placement of a group.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn open(&self, group: Arc<Group>) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let id = group.id();
        let placement = offload(move || stored_or_new(&catalog, id)).await?;
        orders::give(&group, &placement, &orders::HomeTaskSlot::default());
        let (wishes, inbox) = mpsc::channel(WISHES_WAITING);
        let (show, shown) = watch::channel(placement.clone());
        let driver = Driver::new(
            Arc::clone(&self.parts),
            Arc::clone(&self.machines),
            group,
            placement,
            show,
            self.stopping.clone(),
        );
        self.known().insert(id, Known { wishes, shown });
        self.drivers.spawn(driver.run(inbox));
        Ok(())
    }

    /// A group's placement as it is durable now.
    pub(crate) fn placement(&self, group: GroupId) -> Option<Placement> {
        Some(self.known().get(&group)?.shown.borrow().clone())
    }

    /// A group's placement as it becomes durable; none for a group that is not driven.
    pub(crate) fn watch(&self, group: GroupId) -> Option<watch::Receiver<Placement>> {
        Some(self.known().get(&group)?.shown.clone())
    }

    /// Starts a failover. It, its job and the request's key are durable together.
    pub(crate) async fn start_failover(
        &self,
        group: GroupId,
        mut request: FailoverRequest,
        attempt: &FirstAttempt<'_>,
    ) -> Result<(FailoverId, JobRecord), PlacementError> {
        let id = FailoverId::generate(crate::clock::wall())?;
        let job = JobRecord::new(JobKind::Failover, group, id.to_string())?;
        request.request_id = job.id.to_string();
        let rows = rows_of(&job, attempt);
        self.ask(group, |reply| Ask::StartFailover {
            id,
            request: Box::new(request),
            job: Box::new(job.clone()),
            rows,
            reply,
        })
        .await?;
        Ok((id, job))
    }

    /// Starts a failback, in the same way.
    pub(crate) async fn start_failback(
        &self,
        group: GroupId,
        mut request: FailbackRequest,
        attempt: &FirstAttempt<'_>,
    ) -> Result<(FailbackId, JobRecord), PlacementError> {
        let id = FailbackId::generate(crate::clock::wall())?;
        let job = JobRecord::new(JobKind::Failback, group, id.to_string())?;
        request.request_id = job.id.to_string();
        let rows = rows_of(&job, attempt);
        self.ask(group, |reply| Ask::StartFailback {
            id,
            request: Box::new(request),
            job: Box::new(job.clone()),
            rows,
            reply,
        })
        .await?;
        Ok((id, job))
    }

    /// Gives an operator's wish to a group's machine; durable on return.
    pub(crate) async fn wish(&self, group: GroupId, wish: Event) -> Result<(), PlacementError> {
        self.ask(group, |reply| Ask::Wish { wish, reply }).await
    }

    async fn ask(
        &self,
        group: GroupId,
        ask: impl FnOnce(oneshot::Sender<Result<(), PlacementError>>) -> Ask,
    ) -> Result<(), PlacementError> {
        let wishes = self.known().get(&group).map(|known| known.wishes.clone());
        let wishes = wishes.ok_or(PlacementError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let sent = wishes.send(ask(reply)).await;
        sent.map_err(|_| PlacementError::Stopping)?;
        answer.await.map_err(|_| PlacementError::Stopping)?
    }

    /// One failover.
    pub(crate) async fn failover(
        &self,
        id: FailoverId,
    ) -> Result<Option<FailoverRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.document(&id.newest_first_key())).await
    }

    /// One failback.
    pub(crate) async fn failback(
        &self,
        id: FailbackId,
    ) -> Result<Option<FailbackRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.document(&id.newest_first_key())).await
    }

    /// A page of failovers, newest first, after the one named.
    pub(crate) async fn failovers(
        &self,
        group: Option<GroupId>,
        after: Option<FailoverId>,
        limit: usize,
    ) -> Result<Vec<FailoverRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || {
            let after = after.map(FailoverId::newest_first_key);
            select(&catalog, after, limit, |failover: &FailoverRecord| {
                group.is_none_or(|group| failover.group == group)
            })
        })
        .await
    }

    /// A page of failbacks, newest first, after the one named.
    pub(crate) async fn failbacks(
        &self,
        group: Option<GroupId>,
        after: Option<FailbackId>,
        limit: usize,
    ) -> Result<Vec<FailbackRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || {
            let after = after.map(FailbackId::newest_first_key);
            select(&catalog, after, limit, |failback: &FailbackRecord| {
                group.is_none_or(|group| failback.group == group)
            })
        })
        .await
    }

    /// The instance that runs a group's production, or is about to; none at the source.
    pub(crate) async fn instance(
        &self,
        group: GroupId,
    ) -> Result<Option<RecoveredInstance>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.document(&group.to_string())).await
    }

    /// Ends all drivers. What they were in the middle of goes on in the next process; instances of
    /// failovers go on meanwhile, and wait for their disks.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.drivers.close();
        self.drivers.wait().await;
        self.machines.stop_serving().await;
    }
}

/// Blocks.
fn stored_or_new(catalog: &Catalog, group: GroupId) -> Result<Placement, CatalogError> {
    if let Some(placement) = catalog.placement(group)? {
        return Ok(placement);
    }
    let generation: Generation = catalog.generation(group)?;
    Ok(Placement::new(group, generation))
}

/// What makes a start durable together with the placement.
fn rows_of(job: &JobRecord, attempt: &FirstAttempt<'_>) -> Vec<DocumentRow> {
    let mut rows = vec![DocumentRow::of(job)];
    rows.extend(attempt.remembers(job.id));
    rows
}

/// The job that a request belongs to: a placement's requests are named by their jobs.
fn job_of(request_id: &str) -> Option<JobId> {
    request_id.parse().ok()
}

#[cfg(test)]
mod tests;
