//! Steps that work with the disks at home: the source's host does the work, as a task that is part
//! of its order, and asks for the point that is offered to it.
//!
//! A task's id follows from the step's ticket: a step that is repeated after a kill names the same
//! task, which is then not begun anew; a retried one names another. What is offered is offered for
//! as long as the step lasts.

use super::{
    hands::{Hands, StepError},
    kept::ComparedHome,
    orders,
    source::report,
};
use crate::{
    branch::{Branch, BranchId, BranchReason},
    branches::BaseImage,
    catalog::BatchRow,
    offload::offload,
    receive::{BatchNumber, PointId},
    recovery::{
        BranchName, ConfirmedDisk, FailbackRecord, HomeDisk, PlacementJob, Seed, SeedMethod,
        StepResult,
    },
    replica::ViewReader,
    returns::{
        Histories, Offer,
        seam::{EndNow, end_of},
    },
};
use bcdr_format::{Generation, RestoreId, Timestamp};
use bcdr_wire::{
    feed::{CaptureReport, Tracking},
    order::{
        ConfirmedVolume, HomeTask, HomeWork, Serving, Standing, TaskOutcome, TaskReport, TaskState,
    },
    restore::PointName,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// A home that is not heard of for so long is given up; what it was doing goes on where it was when
/// the step is tried again.
const SILENCE: Duration = Duration::from_secs(120);
/// How long home may take to serve its disks after it was told to.
const SERVE: Duration = Duration::from_secs(300);

/// The code of a step that found another disk than the one that was confirmed.
pub(super) const OTHER_DISK: &str = "other_disk";

/// The code of a step that could not read the point here.
pub(super) const UNREADABLE: &str = "point_unreadable";

/// A point that is offered to home.
pub(super) struct Offered {
    pub(super) image: Arc<ViewReader>,
    pub(super) point: PointName,
    pub(super) sink: Option<Arc<Branch>>,
}

/// The newest durable state of a branch.
struct Head {
    branch: Arc<Branch>,
    batch: BatchNumber,
}

pub(super) fn wrong(cause: impl Into<String>) -> StepError {
    StepError::new(
        "home_answered_wrongly",
        cause,
        "the two sides may run releases that do not fit: upgrade the older one, then retry",
    )
}

pub(super) fn unreadable(error: &dyn std::fmt::Display) -> StepError {
    StepError::new(
        UNREADABLE,
        error.to_string(),
        "look at the cloud side's log for what is damaged, then retry",
    )
}

impl Hands {
    fn failback(&self) -> Result<&FailbackRecord, StepError> {
        match self.placement.job() {
            Some(PlacementJob::Failback(job)) => Ok(job),
            _ => Err(StepError::new(
                "no_failback",
                "the step belongs to a failback, and there is none",
                "report it with the cloud side's log",
            )),
        }
    }

    /// The id of this step's task.
    fn task_id(&self) -> RestoreId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.group.id().to_u128().to_be_bytes());
        let ticket = self.placement.ticket().map_or(0, |ticket| ticket.0);
        hasher.update(&ticket.to_be_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        RestoreId::from_u128(u128::from_be_bytes(id))
    }

    /// Has home do something with its disks, and waits for it.
    pub(super) async fn at_home(
        &self,
        work: HomeWork,
        confirmed: &[ConfirmedDisk],
        offered: Option<Offered>,
    ) -> Result<TaskOutcome, StepError> {
        let id = self.task_id();
        if let Some(Offered { image, point, sink }) = offered {
            let reader = self.replica()?;
            let offer = Offer {
                point,
                generation: orders::of_task(&self.placement),
                volumes: image.volumes().to_vec(),
                image,
                histories: Histories::new(reader, Arc::clone(&self.parts.branches)),
                sink,
                end: Some(EndNow::new({
                    let stored = self.group.stored.subscribe();
                    move || end_of(&stored.borrow())
                })),
            };
            let offered = self.parts.returns.offer(id, self.group.id(), offer);
            offered.map_err(|error| unreadable(&error))?;
        }
        let task = HomeTask {
            id,
            work,
            confirmed: confirmed
                .iter()
                .map(|disk| ConfirmedVolume {
                    volume: disk.volume,
                    identity: disk.serial.clone(),
                })
                .collect(),
        };
        if self.stop.is_cancelled() {
            self.parts.returns.withdraw(id);
            return Err(StepError::stopped());
        }
        self.orders.set_task(Some(task));
        let outcome = match self.orders.give(&self.placement).await {
            Ok(()) => self.task_ended(id).await,
            Err(error) => Err(error.into()),
        };
        self.orders.set_task(None);
        self.parts.returns.withdraw(id);
        outcome
    }

    async fn task_ended(&self, id: RestoreId) -> Result<TaskOutcome, StepError> {
        let mut link = self.group.link.subscribe();
        let mut silence = Silence::begin();
        loop {
            let state = {
                let link = link.borrow_and_update();
                let report = report(&link);
                silence.heard(report);
                report.and_then(|report| state_of(&report.standing, id))
            };
            match state {
                Some(TaskState::Done(outcome)) => return Ok(outcome),
                Some(TaskState::Failed {
                    code: told,
                    cause,
                    remedy,
                }) => {
                    // What the host calls a disk that is not the one that was confirmed, and a point that
                    // it was not given.
                    let code = match told.as_str() {
                        "wrong_disk" => OTHER_DISK,
                        "unreadable" => UNREADABLE,
                        _ => "home_failed",
                    };
                    return Err(StepError::new(
                        code,
                        format!("the host of the disks says: {cause} ({told})"),
                        remedy,
                    ));
                }
                Some(TaskState::Working { .. }) | None => {}
            }
            tokio::select! {
                _ = link.changed() => {}
                () = silence.lasts() => return Err(Silence::too_long()),
                () = self.stop.cancelled() => return Err(StepError::stopped()),
            }
        }
    }

    pub(super) fn replica(&self) -> Result<Arc<crate::replica::LineageReader>, StepError> {
        self.group.reader().ok_or_else(|| {
            StepError::new(
                "replica_unusable",
                "the replica of the group cannot be opened now",
                "look at the group's status for the reason, then retry",
            )
        })
    }

    pub(super) async fn inspect_home(&self) -> Result<StepResult, StepError> {
        let TaskOutcome::Inspected(found) = self.at_home(HomeWork::Inspect, &[], None).await?
        else {
            return Err(wrong("an inspection was answered with something else"));
        };
        let disks = found.into_iter().map(|disk| HomeDisk {
            volume: disk.volume,
            serial: disk.identity,
            size_bytes: disk.size_bytes,
            blank: disk.blank,
        });
        Ok(StepResult::Inspected {
            disks: disks.collect(),
        })
    }

    /// Keeps what home wrote after the point at which the two histories part.
    pub(super) async fn keep_left_behind(&self, point: PointId) -> Result<StepResult, StepError> {
        let name = format!("{}-left-behind", self.failback()?.id);
        let (catalog, lineage) = (Arc::clone(&self.parts.catalog), self.group.lineage());
        let row = offload(move || catalog.point_by_id(lineage, point)).await?;
        let row = row.ok_or_else(|| unreadable(&format!("point {point} is gone")))?;
        self.keep_differences(name, row).await
    }

    /// Keeps what home wrote after the last point that was received of it.
    pub(super) async fn keep_home_writes(&self) -> Result<StepResult, StepError> {
        let name = format!("{}-home-writes", self.failback()?.id);
        let row = self.resolve(crate::recovery::PointChoice::Latest).await?;
        self.keep_differences(name, row).await
    }

    async fn keep_differences(
        &self,
        made_for: String,
        row: BatchRow,
    ) -> Result<StepResult, StepError> {
        let reader = self.replica()?;
        let branches = Arc::clone(&self.parts.branches);
        let number = row.number;
        let made = offload(move || -> Result<_, String> {
            let base = BaseImage::Replica(Arc::clone(&reader));
            let found = branches.made_for(&made_for).map_err(|e| e.to_string())?;
            let branch = match found {
                Some(id) => branches.get(id).ok_or(format!("branch {id} is not open"))?,
                None => branches
                    .create_for(
                        base.clone(),
                        number,
                        BranchReason::LeftBehind,
                        Some(made_for),
                    )
                    .map_err(|error| error.to_string())?,
            };
            let image = branches.image(&base, number);
            Ok((branch, image.map_err(|error| error.to_string())?))
        })
        .await;
        let (branch, image) = made.map_err(|error| unreadable(&error))?;
        let offered = Offered {
            image,
            point: PointName {
                stream: self.group.record().stream,
                position: row.end,
            },
            sink: Some(Arc::clone(&branch)),
        };
        let outcome = self
            .at_home(HomeWork::SendDifferences, &[], Some(offered))
            .await?;
        let TaskOutcome::Sent { bytes } = outcome else {
            return Err(wrong("differences were asked for and something else came"));
        };
        let (branches, id) = (Arc::clone(&self.parts.branches), branch.id());
        let catalog = Arc::clone(&self.parts.catalog);
        let kept = offload(move || -> Result<Option<BranchId>, String> {
            let lineage = branch.record().lineage;
            branch.flush().map_err(|error| error.to_string())?;
            // What an earlier attempt sent counts as well.
            let written = catalog.written_after(lineage, BatchNumber(0));
            if bytes == 0 && written.map_err(|error| error.to_string())? == 0 {
                branches.remove(id).map_err(|error| error.to_string())?;
                return Ok(None);
            }
            branches.seal(id).map_err(|error| error.to_string())?;
            Ok(Some(id))
        })
        .await;
        let branch = kept.map_err(|cause| {
            StepError::new("branch_not_sealed", cause, "repair the store, then retry")
        })?;
        Ok(StepResult::LeftBehind {
            branch: branch.map(|id| BranchName(id.to_string())),
        })
    }

    /// How differences are found first. Home knows better, where it kept a stamp of what its disks
    /// hold: then it asks for the changed ranges by itself.
    pub(super) fn plan_seed(&self) -> Result<StepResult, StepError> {
        let method = match self.failback()?.request.seed {
            Seed::BlankDisk => SeedMethod::FullCopy,
            Seed::OriginalDisk | Seed::UnmodifiedImage => SeedMethod::HashCompare,
        };
        Ok(StepResult::SeedPlanned {
            method,
            bytes: None,
        })
    }

    /// The branch that production runs on, as it is durable now.
    async fn head(&self) -> Result<Head, StepError> {
        let branch = self.branch(&self.failback()?.branch)?;
        let (catalog, flushed) = (Arc::clone(&self.parts.catalog), Arc::clone(&branch));
        let batch = offload(move || -> Result<_, String> {
            flushed.flush().map_err(|error| error.to_string())?;
            let lineage = flushed.record().lineage;
            let point = flushed.head_point().id;
            let row = catalog.point_by_id(lineage, point);
            let row = row.map_err(|error| error.to_string())?;
            Ok(row.ok_or(format!("point {point} is gone"))?.number)
        })
        .await
        .map_err(|error| unreadable(&error))?;
        Ok(Head { branch, batch })
    }

    async fn offer_of(&self, head: &Head) -> Result<Offered, StepError> {
        let (branch, batch) = (Arc::clone(&head.branch), head.batch);
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || -> Result<_, String> {
            let lineage = branch.record().lineage;
            let row = catalog.batch(lineage, batch);
            let row = row.map_err(|error| error.to_string())?;
            let row = row.ok_or(format!("batch {batch} is gone"))?;
            Ok(Offered {
                image: branch.view(batch).map_err(|error| error.to_string())?,
                point: PointName {
                    stream: lineage.stream,
                    position: row.end,
                },
                sink: None,
            })
        })
        .await
        .map_err(|error| unreadable(&error))
    }

    /// Brings the disks at home to the branch's present.
    pub(super) async fn copy_round(
        &self,
        disks: &[ConfirmedDisk],
    ) -> Result<StepResult, StepError> {
        let head = self.head().await?;
        let offered = self.offer_of(&head).await?;
        let outcome = self
            .at_home(HomeWork::Restore, disks, Some(offered))
            .await?;
        let TaskOutcome::Restored { fetched_bytes, .. } = outcome else {
            return Err(wrong("a copy was asked for and something else came"));
        };
        let (catalog, lineage) = (
            Arc::clone(&self.parts.catalog),
            head.branch.record().lineage,
        );
        let remaining_bytes = offload(move || catalog.written_after(lineage, head.batch)).await?;
        Ok(StepResult::Copied {
            sent_bytes: fetched_bytes,
            remaining_bytes,
        })
    }

    pub(super) async fn compare_digests(
        &self,
        disks: &[ConfirmedDisk],
    ) -> Result<StepResult, StepError> {
        let head = self.head().await?;
        let offered = self.offer_of(&head).await?;
        let outcome = self
            .at_home(HomeWork::Compare, disks, Some(offered))
            .await?;
        let TaskOutcome::Compared { equal, detail } = outcome else {
            return Err(wrong("a comparison was asked for and something else came"));
        };
        let compared = ComparedHome {
            failback: self.failback()?.id,
            branch: self.failback()?.branch.clone(),
            batch: head.batch,
            point: head.branch.head_point().id,
            equal,
            detail: detail.clone(),
            at: crate::clock::wall(),
        };
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_document(&compared)).await?;
        Ok(StepResult::Compared { equal, detail })
    }

    /// Home serves its disks; unlike after a rollback it has to be seen doing so.
    pub(super) async fn boot_home(&self, generation: Generation) -> Result<StepResult, StepError> {
        let serves = self
            .until(SERVE, |report| {
                let standing = &report.standing;
                let serves = standing.serving == Serving::Writable;
                (standing.generation >= generation && serves).then_some(())
            })
            .await?;
        serves.map(|()| StepResult::Done).ok_or_else(|| {
            StepError::new(
                "home_does_not_serve",
                format!(
                    "home was not seen serving its disks within {} s",
                    SERVE.as_secs()
                ),
                "look at the capture's log, then retry, or roll back",
            )
        })
    }

    /// Waits until points of home are published again.
    pub(super) async fn until_protected(&self) -> Result<StepResult, StepError> {
        let mut stored = self.group.stored.subscribe();
        let mut link = self.group.link.subscribe();
        let mut silence = Silence::begin();
        loop {
            let is_protected = {
                let (stored, link) = (stored.borrow_and_update(), link.borrow_and_update());
                let report = report(&link);
                silence.heard(report);
                let published = stored.published.map(|point| point.id.0.ordinal);
                report.is_some_and(|report| {
                    report.tracking == Tracking::Continuous
                        && report.standing.serving == Serving::Writable
                        && published == Some(report.sequenced.ordinal)
                }) && stored.open_syncs.is_empty()
                    && stored.forks.is_empty()
            };
            if is_protected {
                return Ok(StepResult::Done);
            }
            tokio::select! {
                _ = link.changed() => {}
                _ = stored.changed() => {}
                () = silence.lasts() => return Err(Silence::too_long()),
                () = self.stop.cancelled() => return Err(StepError::stopped()),
            }
        }
    }
}

/// Since when nothing was heard of home. That its gateway lives tells nothing of it.
struct Silence {
    reported: Option<Timestamp>,
    since: Instant,
}

impl Silence {
    fn begin() -> Self {
        Self {
            reported: None,
            since: Instant::now(),
        }
    }

    fn heard(&mut self, report: Option<&CaptureReport>) {
        let at = report.map(|report| report.at);
        if at.is_some() && at != self.reported {
            self.reported = at;
            self.since = Instant::now();
        }
    }

    /// Ends when it lasted too long.
    async fn lasts(&self) {
        tokio::time::sleep_until(self.since + SILENCE).await;
    }

    fn too_long() -> StepError {
        StepError::new(
            "home_silent",
            format!(
                "nothing was heard of the host of the disks for {} s",
                SILENCE.as_secs()
            ),
            "bring the capture and its gateway up, then retry; it goes on where it was",
        )
    }
}

/// How a task stands, if it is the one of this id.
fn state_of(standing: &Standing, id: RestoreId) -> Option<TaskState> {
    let TaskReport { id: known, state } = standing.task.as_ref()?;
    (*known == id).then(|| state.clone())
}
