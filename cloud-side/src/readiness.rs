//! Readiness of points: offline inspections of their disks, asked for or on a schedule.
//!
//! `bcdr_readiness` judges; this module gives it a point's volumes, keeps what it said, and runs it
//! when it is due: after a group's first point, and then every so many hours. Invariants: inspections
//! run one at a time; a group has at most one under way; a report is durable before anybody is told;
//! an inspection is marked durably before it reads anything, so one that ends the process is not
//! repeated for ever.

mod begun;
mod disk;
mod record;

pub(crate) use record::{InspectedMachine, InspectionRecord, NewestInspection};

use crate::{
    catalog::{BatchRow, Catalog, CatalogError, Document as _, DocumentRow},
    clock,
    groups::{Group, Groups},
    idempotency::FirstAttempt,
    jobs::{JobError, JobKind, JobRecord, JobState, Jobs, select},
    offload::offload,
    receive::PointId,
    replica::{ChunkCache, ChunkOpener, ViewError},
    schedules::Schedules,
    target::{LaunchSettings, LaunchSettingsError},
    views::{OpenViewError, in_declared_order},
};
use bcdr_format::GroupId;
use bcdr_readiness::{Disk, DiskBus, Firmware, Limits, ReadinessReport, TargetMachine, inspect};
use begun::{Begin, BegunInspection};
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
    Order(#[from] LaunchSettingsError),
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
    /// They hold the launch settings of groups.
    pub(crate) schedules: Arc<Schedules>,
    /// How often each group's newest point is inspected; none for only when asked.
    pub(crate) every: Option<Duration>,
}

/// All inspections.
pub(crate) struct Inspections {
    parts: InspectionParts,
    newest: Mutex<HashMap<GroupId, NewestInspection>>,
    running: Mutex<HashSet<GroupId>>,
    due: Mutex<HashMap<GroupId, Instant>>,
    /// The machine of the launch settings that a group was inspected for before it was due.
    early: Mutex<HashMap<GroupId, InspectedMachine>>,
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
            early: Mutex::new(HashMap::new()),
            one: Semaphore::new(1),
            stop: CancellationToken::new(),
        }
    }

    /// The newest inspection of a group; none before the first.
    pub(crate) fn newest(&self, group: GroupId) -> Option<NewestInspection> {
        lock(&self.newest).get(&group).cloned()
    }

    /// For which machine a group is inspected when nobody says: the one of its launch settings, where
    /// it has some, and else as the last time.
    pub(crate) fn usual_machine(&self, group: GroupId) -> InspectedMachine {
        let newest = self.newest(group);
        let last = newest.map_or_else(
            || InspectedMachine {
                target: DEFAULT_TARGET,
                disk_order: Vec::new(),
            },
            |newest| newest.machine(),
        );
        let schedule = self.parts.schedules.get(group);
        let settings = schedule.and_then(|schedule| schedule.settings);
        settings.map_or_else(
            || last.clone(),
            |settings| InspectedMachine::of(&settings, last.target.network_cards),
        )
    }

    /// What of the launch settings a group's newest inspection was not made for; none where it was
    /// made for all of them, and where there is none.
    pub(crate) fn outdated(&self, group: GroupId) -> Option<String> {
        let newest = self.newest(group)?.machine();
        newest.difference(&self.usual_machine(group))
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

    /// Starts the inspection of a point. Its job and the request's key are durable together; it is
    /// made also when whoever asked is gone.
    pub(crate) async fn start(
        self: &Arc<Self>,
        group: &Arc<Group>,
        row: &BatchRow,
        machine: InspectedMachine,
        attempt: FirstAttempt,
    ) -> Result<JobRecord, StartInspectionError> {
        let (inspections, group, row) = (Arc::clone(self), Arc::clone(group), row.clone());
        let start = async move { inspections.start_here(group, row, machine, attempt).await };
        self.parts.jobs.begin(start).await
    }

    async fn start_here(
        self: Arc<Self>,
        group: Arc<Group>,
        row: BatchRow,
        machine: InspectedMachine,
        attempt: FirstAttempt,
    ) -> Result<JobRecord, StartInspectionError> {
        let claim = self
            .claim(&group)
            .ok_or_else(|| StartInspectionError::Running {
                group: group.record().name.clone(),
            })?;
        let job = JobRecord::new(JobKind::Readiness, group.id(), row.point_id().to_string())?;
        let mut rows = vec![DocumentRow::of(&job)];
        rows.extend(attempt.remembers(job.id));
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_documents(&rows)).await?;
        self.parts.jobs.take_up(job.clone());
        let inspections = Arc::clone(&self);
        let id = job.id;
        // It may be for another machine than the launch settings make, which is inspected after it.
        lock(&self.early).remove(&group.id());
        self.parts.jobs.follow(async move {
            let jobs = &inspections.parts.jobs;
            let told = match jobs.update(id, JobRecord::start).await {
                Ok(()) => {
                    let made = inspections.inspect(&claim, &group, &row, machine).await;
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
            let due = now >= self.due_at(group.id(), every, now) || self.is_due_early(group.id());
            if !published || !due {
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
            let machine = self.usual_machine(group.id());
            lock(&self.early).insert(group.id(), machine);
            // Until it has ended, whatever becomes of it.
            lock(&self.due).insert(group.id(), now + AGAIN.max(every));
            let inspections = Arc::clone(self);
            self.parts.jobs.follow(async move {
                let machine = inspections.usual_machine(group.id());
                let made = inspections.inspect(&claim, &group, &row, machine).await;
                if let Err(error) = made {
                    let name = &group.record().name;
                    tracing::warn!(group = %name, %error, "the newest point could not be inspected");
                    lock(&inspections.due).insert(group.id(), Instant::now() + AGAIN);
                }
            });
        }
    }

    /// Whether the launch settings changed since the newest inspection, and that was not tried yet.
    fn is_due_early(&self, group: GroupId) -> bool {
        let tried = lock(&self.early).get(&group).cloned();
        self.outdated(group).is_some() && tried.as_ref() != Some(&self.usual_machine(group))
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
        machine: InspectedMachine,
    ) -> Result<(), InspectError> {
        debug_assert_eq!(claim.group, group.id(), "the claim is this group's");
        let Ok(_one) = self.one.acquire().await else {
            return Err(InspectError::Stopped);
        };
        let (opener, stop) = (Arc::clone(&self.parts.opener), self.stop.clone());
        let (catalog, of) = (
            Arc::clone(&self.parts.catalog),
            (Arc::clone(group), row.clone(), machine.clone()),
        );
        // Mark and end are in one piece of work, which goes on when nobody waits for it any more.
        let report = offload(move || {
            let (group, row, machine) = of;
            marked(&catalog, group.id(), row.point_id(), machine.target, || {
                judge(&group, &row, &machine, opener, &stop)
            })
        })
        .await?;
        if self.stop.is_cancelled() {
            // What it found last was that nothing could be read any more.
            return Err(InspectError::Stopped);
        }
        let record = InspectionRecord {
            group: group.id(),
            point: row.point_id(),
            checked_at: clock::wall(),
            disk_order: machine.disk_order,
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

/// Does an inspection between its durable mark and the mark's removal, or says why it is not done.
/// Blocks.
fn marked(
    catalog: &Catalog,
    group: GroupId,
    point: PointId,
    target: TargetMachine,
    work: impl FnOnce() -> Result<ReadinessReport, InspectError>,
) -> Result<ReadinessReport, InspectError> {
    let left: Option<BegunInspection> = catalog.document(&group.to_string())?;
    let mark = match begun::begin(left, group, point, clock::wall()) {
        Begin::Go(mark) => mark,
        Begin::GivenUp(mark) => {
            let times = mark.times;
            tracing::warn!(%group, times, "a group is not inspected: the process ended in earlier inspections");
            return Ok(mark.report(target));
        }
    };
    catalog.put_document(&mark)?;
    let report = work();
    // It ended, well or not: the process is still there.
    catalog.remove_document::<BegunInspection>(&mark.key())?;
    report
}

/// Opens a point and inspects its disks. Blocks.
fn judge(
    group: &Group,
    row: &BatchRow,
    machine: &InspectedMachine,
    opener: Arc<dyn ChunkOpener>,
    stop: &CancellationToken,
) -> Result<ReadinessReport, InspectError> {
    let reader = group.reader().ok_or(InspectError::NoStore)?;
    let cache = Arc::new(ChunkCache::new(CACHE_BYTES));
    let reader = Arc::new(reader.open_view(row.number, opener, cache)?);
    let volumes = in_declared_order(group.record(), reader.volumes())?;
    let settings = LaunchSettings {
        disk_order: machine.disk_order.clone(),
        ..LaunchSettings::default()
    };
    let disks: Vec<Arc<dyn Disk>> = settings
        .arrange(&volumes, |(_, name)| name)?
        .into_iter()
        .map(|(member, _)| {
            let disk = ViewDisk::new(Arc::clone(&reader), *member, stop.clone());
            Arc::new(disk) as Arc<dyn Disk>
        })
        .collect();
    Ok(inspect(&disks, machine.target, Limits::default()))
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
        InspectError::Order(_) => (
            "launch_settings_wrong",
            "correct disk_order in the launch settings of the group's drill schedule",
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

#[cfg(test)]
mod tests;
