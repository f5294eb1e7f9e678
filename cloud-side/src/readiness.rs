//! Readiness of points: offline inspections of their disks, asked for or on a schedule.
//!
//! `bcdr_readiness` judges; this module gives it a point's volumes, keeps what it said, and runs it
//! when it is due: after a group's first point, and then every so many hours. Invariants: inspections
//! run one at a time; a group has at most one under way; a report is durable before anybody is told.

mod disk;
mod record;

pub(crate) use record::{InspectionRecord, NewestInspection};

use crate::{
    catalog::{BatchRow, Catalog, CatalogError, DocumentRow},
    clock,
    groups::{Group, Groups},
    idempotency::FirstAttempt,
    jobs::{JobError, JobKind, JobRecord, JobState, Jobs, select},
    offload::offload,
    receive::PointId,
    replica::{ChunkCache, ChunkOpener, ViewError},
    views::{OpenViewError, in_declared_order},
};
use bcdr_format::GroupId;
use bcdr_readiness::{Disk, DiskBus, Firmware, Limits, ReadinessReport, TargetMachine, inspect};
use disk::ViewDisk;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

/// How soon an inspection that could not be made is tried again.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// Plaintext that an inspection keeps in memory, in bytes.
const CACHE_BYTES: usize = 16 << 20;
/// The machine that a drill launches when it is told nothing else.
const DEFAULT_TARGET: TargetMachine = TargetMachine {
    firmware: Firmware::Bios,
    disk_bus: DiskBus::Virtio,
    network_cards: 1,
};

/// Why an inspection was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartInspectionError {
    /// One is under way.
    #[error("a point of group {group} is being inspected")]
    Running {
        /// The group's name.
        group: String,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why an inspection was not made.
#[derive(Debug, thiserror::Error)]
enum InspectError {
    #[error("the store of the group cannot be used")]
    NoStore,
    #[error("the point could not be opened: {0}")]
    View(#[from] ViewError),
    #[error("the point could not be opened: {0}")]
    Volumes(#[from] OpenViewError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("the receiver is being stopped")]
    Stopped,
}

/// What inspections work with.
pub(crate) struct InspectionParts {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) opener: Arc<dyn ChunkOpener>,
    /// How often each group's newest point is inspected; none for only when asked.
    pub(crate) every: Option<Duration>,
}

/// All inspections.
pub(crate) struct Inspections {
    parts: InspectionParts,
    newest: Mutex<HashMap<GroupId, NewestInspection>>,
    running: Mutex<HashSet<GroupId>>,
    due: Mutex<HashMap<GroupId, Instant>>,
    one: Semaphore,
    stop: CancellationToken,
}

impl std::fmt::Debug for Inspections {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Inspections")
            .field("every", &self.parts.every)
            .finish_non_exhaustive()
    }
}

fn lock<Held>(mutex: &Mutex<Held>) -> MutexGuard<'_, Held> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to inspect a group; given back when dropped.
struct Claim {
    inspections: Arc<Inspections>,
    group: GroupId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.inspections.running).remove(&self.group);
    }
}

impl Inspections {
    pub(crate) fn new(parts: InspectionParts) -> Self {
        Self {
            parts,
            newest: Mutex::new(HashMap::new()),
            running: Mutex::new(HashSet::new()),
            due: Mutex::new(HashMap::new()),
            one: Semaphore::new(1),
            stop: CancellationToken::new(),
        }
    }

    /// The newest inspection of a group; none before the first.
    pub(crate) fn newest(&self, group: GroupId) -> Option<NewestInspection> {
        lock(&self.newest).get(&group).cloned()
    }

    /// For which machine a group is inspected when nobody says: as the last time.
    pub(crate) fn usual_target(&self, group: GroupId) -> TargetMachine {
        self.newest(group)
            .map_or(DEFAULT_TARGET, |newest| newest.target)
    }

    /// The last inspection of a point.
    pub(crate) async fn get(
        &self,
        group: GroupId,
        point: PointId,
    ) -> Result<Option<InspectionRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.document(&InspectionRecord::key_of(group, point))).await
    }

    /// Learns what earlier processes found.
    pub(crate) async fn load(&self) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let all: Vec<NewestInspection> =
            offload(move || select(&catalog, None, usize::MAX, |_| true)).await?;
        lock(&self.newest).extend(all.into_iter().map(|newest| (newest.group, newest)));
        Ok(())
    }

    /// Ends a job whose process died; it is started again by whoever wants it.
    pub(crate) async fn settle_left_over(&self, job: JobRecord) -> Result<(), CatalogError> {
        let error = JobError::new(
            "interrupted",
            "the receiver was restarted while the point was being inspected",
            Some("ask for the inspection again"),
        );
        let end = |job: &mut JobRecord| job.finish(JobState::Interrupted, Some(error));
        self.parts.jobs.update(job.id, end).await
    }

    /// Lets an inspection that runs end at its next read.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    fn claim(self: &Arc<Self>, group: &Group) -> Option<Claim> {
        lock(&self.running).insert(group.id()).then(|| Claim {
            inspections: Arc::clone(self),
            group: group.id(),
        })
    }

    /// Starts the inspection of a point. Its job and the request's key are durable together.
    pub(crate) async fn start(
        self: &Arc<Self>,
        group: &Arc<Group>,
        row: &BatchRow,
        target: TargetMachine,
        attempt: &FirstAttempt<'_>,
    ) -> Result<JobRecord, StartInspectionError> {
        let claim = self
            .claim(group)
            .ok_or_else(|| StartInspectionError::Running {
                group: group.record().name.clone(),
            })?;
        let job = JobRecord::new(JobKind::Readiness, group.id(), row.point_id().to_string())?;
        let mut rows = vec![DocumentRow::of(&job)];
        rows.extend(attempt.remembers(job.id));
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_documents(&rows)).await?;
        self.parts.jobs.take_up(job.clone());
        let (inspections, group, row) = (Arc::clone(self), Arc::clone(group), row.clone());
        let id = job.id;
        self.parts.jobs.follow(async move {
            let jobs = &inspections.parts.jobs;
            let told = match jobs.update(id, JobRecord::start).await {
                Ok(()) => {
                    let made = inspections.inspect(&claim, &group, &row, target).await;
                    let end = |job: &mut JobRecord| finish(job, &row, made.err());
                    jobs.update(id, end).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                tracing::error!(job = %id, %error, "an inspection's job could not be kept");
            }
        });
        Ok(job)
    }

    /// Starts those inspections that are due. Blocks for nothing longer than a look into the catalog.
    pub(crate) async fn run_due(self: &Arc<Self>, groups: &Groups, now: Instant) {
        let Some(every) = self.parts.every else {
            return;
        };
        for group in groups.all() {
            let published = group.stored.borrow().published.is_some();
            if !published || now < self.due_at(group.id(), every, now) {
                continue;
            }
            let catalog = Arc::clone(&self.parts.catalog);
            let lineage = group.lineage();
            let row = match offload(move || catalog.latest_point(lineage)).await {
                Ok(Some(row)) => row,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%error, "a point that is due cannot be inspected");
                    continue;
                }
            };
            let Some(claim) = self.claim(&group) else {
                continue;
            };
            // Until it has ended, whatever becomes of it.
            lock(&self.due).insert(group.id(), now + AGAIN.max(every));
            let inspections = Arc::clone(self);
            self.parts.jobs.follow(async move {
                let target = inspections.usual_target(group.id());
                let made = inspections.inspect(&claim, &group, &row, target).await;
                if let Err(error) = made {
                    let name = &group.record().name;
                    tracing::warn!(group = %name, %error, "the newest point could not be inspected");
                    lock(&inspections.due).insert(group.id(), Instant::now() + AGAIN);
                }
            });
        }
    }

    /// When a group is due. After a start that follows from when it was inspected last; a wall clock
    /// that was set back meanwhile makes it no later than a full interval from now.
    fn due_at(&self, group: GroupId, every: Duration, now: Instant) -> Instant {
        let newest = self.newest(group);
        *lock(&self.due).entry(group).or_insert_with(|| {
            let Some(newest) = newest else { return now };
            let micros = clock::wall().0.saturating_sub(newest.checked_at.0);
            let age = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
            now + every.saturating_sub(age)
        })
    }

    async fn inspect(
        &self,
        claim: &Claim,
        group: &Arc<Group>,
        row: &BatchRow,
        target: TargetMachine,
    ) -> Result<(), InspectError> {
        debug_assert_eq!(claim.group, group.id(), "the claim is this group's");
        let Ok(_one) = self.one.acquire().await else {
            return Err(InspectError::Stopped);
        };
        let (opener, stop) = (Arc::clone(&self.parts.opener), self.stop.clone());
        let of = (Arc::clone(group), row.clone());
        let report = offload(move || judge(&of.0, &of.1, target, opener, &stop)).await?;
        if self.stop.is_cancelled() {
            // What it found last was that nothing could be read any more.
            return Err(InspectError::Stopped);
        }
        let record = InspectionRecord {
            group: group.id(),
            point: row.point_id(),
            checked_at: clock::wall(),
            report,
        };
        let newest = NewestInspection::of(&record);
        let rows = [DocumentRow::of(&record), DocumentRow::of(&newest)];
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_documents(&rows)).await?;
        lock(&self.newest).insert(group.id(), newest);
        if let Some(every) = self.parts.every {
            lock(&self.due).insert(group.id(), Instant::now() + every);
        }
        Ok(())
    }
}

/// Opens a point and inspects its disks. Blocks.
fn judge(
    group: &Group,
    row: &BatchRow,
    target: TargetMachine,
    opener: Arc<dyn ChunkOpener>,
    stop: &CancellationToken,
) -> Result<ReadinessReport, InspectError> {
    let reader = group.reader().ok_or(InspectError::NoStore)?;
    let cache = Arc::new(ChunkCache::new(CACHE_BYTES));
    let reader = Arc::new(reader.open_view(row.number, opener, cache)?);
    let volumes = in_declared_order(group.record(), reader.volumes())?;
    let disks: Vec<Arc<dyn Disk>> = volumes
        .into_iter()
        .map(|(member, _)| {
            let disk = ViewDisk::new(Arc::clone(&reader), member, stop.clone());
            Arc::new(disk) as Arc<dyn Disk>
        })
        .collect();
    Ok(inspect(&disks, target, Limits::default()))
}

fn finish(job: &mut JobRecord, row: &BatchRow, error: Option<InspectError>) {
    let Some(error) = error else {
        job.point = Some(row.point_id());
        job.finish(JobState::Succeeded, None);
        return;
    };
    let (code, remedy) = match &error {
        InspectError::Stopped => ("interrupted", "ask for the inspection again"),
        InspectError::NoStore => ("store_unavailable", "see the group's health"),
        InspectError::View(_) | InspectError::Volumes(_) => (
            "point_unreadable",
            "see the group's health; try another point",
        ),
        InspectError::Catalog(_) => ("catalog_failed", "see the cloud side's log"),
    };
    let state = match error {
        InspectError::Stopped => JobState::Interrupted,
        _ => JobState::Failed,
    };
    job.finish(
        state,
        Some(JobError::new(code, error.to_string(), Some(remedy))),
    );
}
