//! Placements as the cloud side runs them: one driver per group leads its machine.
//!
//! [`crate::recovery`] decides; this module persists what it decided, tells the source its order,
//! carries commands out and brings their answers back. Invariants: a placement, its job's record and
//! the request that began it are durable together, before anything is carried out; a group's
//! commands are carried out one at a time; the order that a source is given follows from the
//! placement alone.

mod branches;
mod climb;
mod climbed;
mod driver;
mod hands;
mod home;
mod in_place;
mod instance;
mod jobs;
mod kept;
mod loss;
mod machine;
mod orders;
mod reporting;
mod source;

pub(crate) use in_place::obstacle;
pub(crate) use instance::RecoveredInstance;
pub(crate) use kept::{ClimbedLadder, ComparedHome, Owed};
pub(crate) use loss::loss_of;

use crate::{
    audit::Audit,
    branches::Branches,
    catalog::{Catalog, CatalogError},
    drill::RungScripts,
    groups::{Group, Groups},
    idempotency::FirstAttempt,
    jobs::{JobKind, JobRecord, Jobs, select},
    keys::Keys,
    offload::offload,
    record_id::JobId,
    recovery::{
        Event, FailbackId, FailbackRequest, FailoverId, FailoverRequest, JobRef, Placement,
        PlacementRecord, PlacementState, Refused, RestoreJobId, RestoreRequest,
    },
    reports::Reports,
    returns::Returns,
    rpo_history::RpoHistory,
    schedules::Schedules,
    target::Target,
    views::Views,
};
use bcdr_disk::Storage;
use bcdr_format::{Generation, GroupId};
use driver::{Ask, Driver, Wanted};
use orders::SourceOrders;
use reporting::Reporter;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, mpsc, oneshot, watch};
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
    pub(crate) views: Arc<Views>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) rpo: Arc<RpoHistory>,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) runtime_directory: PathBuf,
    pub(crate) evidence_directory: PathBuf,
    pub(crate) audit: Arc<Audit>,
    /// Runs the scripts that judge machines.
    pub(crate) scripts: Arc<dyn RungScripts>,
}

struct Known {
    group: Arc<Group>,
    wishes: mpsc::Sender<Ask>,
    shown: watch::Receiver<Placement>,
}

/// All placements.
pub(crate) struct Placements {
    parts: Arc<PlacementParts>,
    machines: Arc<machine::Machines>,
    known: Arc<Mutex<HashMap<GroupId, Known>>>,
    /// Told when a report becomes due.
    owed: Arc<Notify>,
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
            known: Arc::default(),
            owed: Arc::default(),
            drivers: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<GroupId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up the placements of earlier processes and begins to drive those of all groups, makes the
    /// reports from now on that are owed, by earlier processes too, and
    /// settles the jobs of those that ended while nobody noted it.
    ///
    /// # Errors
    /// When a placement cannot be read: who the authority is must not be guessed.
    pub(crate) async fn open_all(&self, groups: &Groups) -> Result<(), CatalogError> {
        for group in groups.all() {
            self.open(group).await?;
        }
        let reporter = Reporter {
            parts: Arc::clone(&self.parts),
            known: Arc::clone(&self.known),
            owed: Arc::clone(&self.owed),
            stopping: self.stopping.clone(),
        };
        self.drivers.spawn(reporter.run());
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
        let orders =
            SourceOrders::open(Arc::clone(&self.parts.catalog), Arc::clone(&group)).await?;
        orders.give(&placement).await?;
        let (wishes, inbox) = mpsc::channel(WISHES_WAITING);
        let (show, shown) = watch::channel(placement.clone());
        let driver = Driver::new(
            Arc::clone(&self.parts),
            Arc::clone(&self.machines),
            Arc::new(orders),
            placement,
            show,
            Arc::clone(&self.owed),
            self.stopping.clone(),
        );
        let known = Known {
            group,
            wishes,
            shown,
        };
        self.known().insert(id, known);
        self.drivers.spawn(driver.run(inbox));
        Ok(())
    }

    /// A group's placement as it is durable now.
    pub(crate) fn placement(&self, group: GroupId) -> Option<Placement> {
        Some(self.known().get(&group)?.shown.borrow().clone())
    }

    /// Where a group's production is; none for a group that is not driven.
    pub(crate) fn state(&self, group: GroupId) -> Option<PlacementState> {
        Some(self.known().get(&group)?.shown.borrow().state())
    }

    /// A group's placement as it becomes durable; none for a group that is not driven.
    pub(crate) fn watch(&self, group: GroupId) -> Option<watch::Receiver<Placement>> {
        Some(self.known().get(&group)?.shown.clone())
    }

    /// Starts a failover. It, its job and the request's key are durable together.
    pub(crate) async fn start_failover(
        &self,
        group: GroupId,
        request: FailoverRequest,
        attempt: FirstAttempt,
    ) -> Result<JobId, PlacementError> {
        let id = FailoverId::generate(crate::clock::wall())?;
        let wanted = Wanted::Failover(id, Box::new(request));
        self.start(group, JobKind::Failover, id.to_string(), wanted, attempt)
            .await
    }

    /// Starts a failback, in the same way.
    pub(crate) async fn start_failback(
        &self,
        group: GroupId,
        request: FailbackRequest,
        attempt: FirstAttempt,
    ) -> Result<JobId, PlacementError> {
        let id = FailbackId::generate(crate::clock::wall())?;
        let wanted = Wanted::Failback(id, Box::new(request));
        self.start(group, JobKind::Failback, id.to_string(), wanted, attempt)
            .await
    }

    /// Starts a restore in place, in the same way.
    pub(crate) async fn start_restore(
        &self,
        group: GroupId,
        request: RestoreRequest,
        attempt: FirstAttempt,
    ) -> Result<JobId, PlacementError> {
        let id = RestoreJobId::generate(crate::clock::wall())?;
        let wanted = Wanted::Restore(id, Box::new(request));
        self.start(group, JobKind::Restore, id.to_string(), wanted, attempt)
            .await
    }

    async fn start(
        &self,
        group: GroupId,
        kind: JobKind,
        subject: String,
        mut wanted: Wanted,
        attempt: FirstAttempt,
    ) -> Result<JobId, PlacementError> {
        let job = JobRecord::new(kind, group, subject)?;
        let id = job.id;
        *wanted.request_id() = id.to_string();
        self.ask(group, |reply| Ask::Start {
            wanted,
            job: Box::new(job),
            attempt: Box::new(attempt),
            reply,
        })
        .await?;
        Ok(id)
    }

    /// Gives an operator's wish to a group's machine; durable on return.
    pub(crate) async fn wish(&self, group: GroupId, wish: Event) -> Result<(), PlacementError> {
        let of = None;
        self.ask(group, |reply| Ask::Wish { of, wish, reply }).await
    }

    /// The same, about one job: refused when another one is on its way by the time it is heard.
    pub(crate) async fn wish_of(
        &self,
        group: GroupId,
        job: JobRef,
        wish: Event,
    ) -> Result<(), PlacementError> {
        let of = Some(job);
        self.ask(group, |reply| Ask::Wish { of, wish, reply }).await
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

    /// One record of a placement job.
    pub(crate) async fn record<Record: PlacementRecord>(
        &self,
        id: Record::Id,
    ) -> Result<Option<Record>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.document(&Record::key_of(id))).await
    }

    /// A page of records, newest first, after the one named.
    pub(crate) async fn records<Record: PlacementRecord>(
        &self,
        group: Option<GroupId>,
        after: Option<Record::Id>,
        limit: usize,
    ) -> Result<Vec<Record>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || {
            let after = after.map(Record::key_of);
            select(&catalog, after, limit, |record: &Record| {
                group.is_none_or(|group| record.group() == group)
            })
        })
        .await
    }

    /// The reports that are due and not made yet.
    pub(crate) async fn owed_reports(&self) -> Result<Vec<Owed>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || {
            let all: Vec<kept::OwedReport> = select(&catalog, None, usize::MAX, |_| true)?;
            Ok(all.iter().map(Owed::of).collect())
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

/// The job that a request belongs to: a placement's requests are named by their jobs.
fn job_of(request_id: &str) -> Option<JobId> {
    request_id.parse().ok()
}

#[cfg(test)]
mod tests;
