//! Recovery points: finding the one an operator means, and making bookmarks.

use crate::{
    catalog::{BatchRow, Catalog, CatalogError, DocumentRow, ReserveLabelError},
    clock,
    groups::{Group, Groups, status::MarkerObstacle},
    idempotency::FirstAttempt,
    jobs::{JobError, JobKind, JobRecord, JobState, Jobs},
    offload::offload,
    receive::{Lineage, MarkerOutcome, PointId},
};
use bcdr_format::{
    GroupId, MarkerId, Timestamp,
    record::{Marker, MarkerKind},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// How long a marker may take from the request to its published point. A capture places it at once;
/// a link that is busy with older data delivers it when that is through.
const MARKER_DEADLINE: Duration = Duration::from_secs(300);

/// What an operator calls an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Instant {
    /// The newest point.
    Latest,
    /// The point with this id.
    Id(PointId),
    /// The newest point at or before this time.
    At(jiff::Timestamp),
    /// The point with this label.
    Label(String),
}

impl Instant {
    /// Reads any of its forms. Labels cannot look like one of the others.
    pub(crate) fn read(text: &str) -> Self {
        if text == "latest" {
            return Self::Latest;
        }
        if let Ok(id) = text.parse() {
            return Self::Id(id);
        }
        text.parse()
            .map_or_else(|_| Self::Label(text.to_owned()), Self::At)
    }
}

/// The published point that an instant means. Blocks.
pub(crate) fn resolve(
    catalog: &Catalog,
    lineage: Lineage,
    instant: &Instant,
) -> Result<Option<BatchRow>, CatalogError> {
    match instant {
        Instant::Latest => catalog.latest_point(lineage),
        Instant::Id(id) => catalog.point_by_id(lineage, *id),
        Instant::At(time) => catalog.point_at(lineage, clock::stored(*time)),
        Instant::Label(label) => catalog.point_by_label(lineage.group, label),
    }
}

/// Why a bookmark is not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CreatePointError {
    /// The way to the source is down.
    #[error("group {group} has no connection to its source, which places the marker")]
    NotConnected {
        /// The group's name.
        group: String,
    },
    /// No point is published at present.
    #[error("group {group} is being synchronised: no point can be published until that ends")]
    Syncing {
        /// The group's name.
        group: String,
    },
    /// The label cannot be had.
    #[error(transparent)]
    Label(#[from] ReserveLabelError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Asks for a bookmark and follows it in a job of its own. The label, the job and the request's key
/// are durable together, before the marker is placed; it is placed also when whoever asked is gone.
pub(crate) async fn create(
    catalog: &Arc<Catalog>,
    jobs: &Arc<Jobs>,
    group: &Arc<Group>,
    obstacle: Option<MarkerObstacle>,
    label: String,
    attempt: FirstAttempt,
) -> Result<JobRecord, CreatePointError> {
    let (catalog, of, group) = (Arc::clone(catalog), Arc::clone(jobs), Arc::clone(group));
    jobs.begin(async move { create_here(&catalog, &of, &group, obstacle, label, attempt).await })
        .await
}

async fn create_here(
    catalog: &Arc<Catalog>,
    jobs: &Arc<Jobs>,
    group: &Arc<Group>,
    obstacle: Option<MarkerObstacle>,
    label: String,
    attempt: FirstAttempt,
) -> Result<JobRecord, CreatePointError> {
    let name = || group.record().name.clone();
    match obstacle {
        Some(MarkerObstacle::NotConnected) => {
            return Err(CreatePointError::NotConnected { group: name() });
        }
        Some(MarkerObstacle::Syncing) => return Err(CreatePointError::Syncing { group: name() }),
        None => {}
    }
    let milliseconds = u64::try_from(clock::wall().0 / 1000).unwrap_or(0);
    let marker = Marker {
        id: MarkerId::from_parts(milliseconds, crate::record_id::random()?),
        kind: MarkerKind::Bookmark,
        label,
    };
    let mut job = JobRecord::new(JobKind::CreatePoint, group.id(), marker.label.clone())?;
    job.marker = Some(marker.id);
    job.phase = Some("placing the marker".to_owned());
    job.start();
    reserve(catalog, group.id(), &marker, &job, &attempt).await?;
    jobs.take_up(job.clone());
    let outcome = awaited(group, marker.id);
    let placed = group
        .slot
        .outlet()
        .is_some_and(|outlet| outlet.place_marker(marker.clone()));
    let follow = Follow {
        catalog: Arc::clone(catalog),
        jobs: Arc::clone(jobs),
        group: Arc::clone(group),
        marker: marker.id,
        label: marker.label,
        job: job.clone(),
    };
    jobs.follow(async move {
        if placed {
            follow.wait(outcome, MARKER_DEADLINE).await;
        } else {
            follow.give_up().await;
        }
    });
    Ok(job)
}

fn awaited(group: &Group, marker: MarkerId) -> oneshot::Receiver<MarkerOutcome> {
    let (sender, outcome) = oneshot::channel();
    group.await_marker(marker, sender);
    outcome
}

async fn reserve(
    catalog: &Arc<Catalog>,
    group: GroupId,
    marker: &Marker,
    job: &JobRecord,
    attempt: &FirstAttempt,
) -> Result<(), ReserveLabelError> {
    let (catalog, marker) = (Arc::clone(catalog), marker.clone());
    let mut rows = vec![DocumentRow::of(job)];
    rows.extend(attempt.remembers(job.id));
    offload(move || catalog.reserve_label_with(group, &marker.label, marker.id, &rows)).await
}

/// What the catalog knows of a marker that was sent.
enum Sought {
    /// It is this point.
    Point(PointId),
    /// It arrived where no point is published, and its label is free again.
    Unpublished,
    /// Nothing.
    Unseen,
}

async fn seek(
    catalog: &Arc<Catalog>,
    group: GroupId,
    label: &str,
    marker: MarkerId,
) -> Result<Sought, CatalogError> {
    let (catalog, label) = (Arc::clone(catalog), label.to_owned());
    offload(move || {
        let row = catalog.point_by_label(group, &label)?;
        let is_ours = |row: &BatchRow| row.marker.as_ref().is_some_and(|one| one.id == marker);
        Ok(match row.filter(is_ours) {
            Some(row) => Sought::Point(row.point_id()),
            None if catalog.label_is_free(group, &label)? => Sought::Unpublished,
            None => Sought::Unseen,
        })
    })
    .await
}

struct Follow {
    catalog: Arc<Catalog>,
    jobs: Arc<Jobs>,
    group: Arc<Group>,
    marker: MarkerId,
    label: String,
    job: JobRecord,
}

impl Follow {
    /// Waits for the marker that was sent, and ends the job.
    async fn wait(self, outcome: oneshot::Receiver<MarkerOutcome>, patience: Duration) {
        let arrived = tokio::time::timeout(patience, outcome).await;
        self.group.forget_marker(self.marker);
        let (point, error) = match arrived.ok().and_then(Result::ok) {
            Some(MarkerOutcome { point, .. }) if point.is_some() => (point, None),
            Some(_) => (None, Some(not_publishable())),
            // It may be there although nobody told: only the catalog says that it is not.
            None => match seek(&self.catalog, self.group.id(), &self.label, self.marker).await {
                Ok(Sought::Point(point)) => (Some(point), None),
                Ok(Sought::Unpublished) => (None, Some(not_publishable())),
                Ok(Sought::Unseen) => (None, Some(lost(&self.label))),
                Err(error) => {
                    tracing::error!(job = %self.job.id, %error, "a marker cannot be looked up");
                    (None, Some(lost(&self.label)))
                }
            },
        };
        self.end(point, error).await;
    }

    /// Ends the job of a marker that was never sent.
    async fn give_up(self) {
        self.group.forget_marker(self.marker);
        self.release().await;
        self.end(None, Some(not_connected())).await;
    }

    async fn end(self, point: Option<PointId>, error: Option<JobError>) {
        let ended = self.jobs.update(self.job.id, |job| {
            job.point = point;
            let state = if error.is_none() {
                JobState::Succeeded
            } else {
                JobState::Failed
            };
            job.finish(state, error);
        });
        if let Err(error) = ended.await {
            tracing::error!(job = %self.job.id, %error, "a job's end could not be kept");
        }
    }

    async fn release(&self) {
        let (catalog, group) = (Arc::clone(&self.catalog), self.group.id());
        let (label, marker) = (self.label.clone(), self.marker);
        let released = offload(move || catalog.release_label(group, &label, marker)).await;
        if let Err(error) = released {
            tracing::warn!(%error, label = self.label, "a label stays reserved");
        }
    }
}

fn not_publishable() -> JobError {
    JobError::new(
        "sync_in_progress",
        "the marker arrived while data was being synchronised, where no point is published",
        Some("wait until the group is continuous and ask again; the label is free"),
    )
}

fn lost(label: &str) -> JobError {
    let detail = format!(
        "the marker {label:?} did not come back within {} s: the connection to the source broke, or its data is far behind",
        MARKER_DEADLINE.as_secs()
    );
    JobError::new(
        "marker_not_seen",
        detail,
        Some(
            "look at the group's replication; list its points before asking again with another label",
        ),
    )
}

fn not_connected() -> JobError {
    JobError::new(
        "capture_not_connected",
        "the connection to the source ended before the marker could be sent",
        Some("wait until the group is continuous and ask again; the label is free"),
    )
}

/// Takes up a bookmark job of an earlier process, before any gateway is let in: what became a point
/// meanwhile succeeded, a marker that may be under way is followed for the rest of its time, and
/// only then the job is interrupted.
pub(crate) async fn settle_left_over(
    catalog: &Arc<Catalog>,
    jobs: &Arc<Jobs>,
    groups: &Groups,
    left: JobRecord,
) -> Result<(), CatalogError> {
    let sought = match left.marker {
        Some(marker) => seek(catalog, left.group, &left.subject, marker).await?,
        None => Sought::Unseen,
    };
    let error = match sought {
        Sought::Point(point) => {
            let found = |job: &mut JobRecord| {
                job.point = Some(point);
                job.finish(JobState::Succeeded, None);
            };
            return jobs.update(left.id, found).await;
        }
        _ if left.state.is_final() => return Ok(()),
        Sought::Unpublished => {
            let ended = |job: &mut JobRecord| job.finish(JobState::Failed, Some(not_publishable()));
            return jobs.update(left.id, ended).await;
        }
        Sought::Unseen => JobError::new(
            "interrupted",
            "the receiver was restarted before the marker came back",
            Some("list the group's points; ask again with another label if it is not there"),
        ),
    };
    let patience = remaining(left.created_at, clock::wall());
    let (Some(marker), Some(group), false) =
        (left.marker, groups.get(left.group), patience.is_zero())
    else {
        let ended = |job: &mut JobRecord| job.finish(JobState::Interrupted, Some(error));
        return jobs.update(left.id, ended).await;
    };
    jobs.take_up(left.clone());
    let outcome = awaited(&group, marker);
    let follow = Follow {
        catalog: Arc::clone(catalog),
        jobs: Arc::clone(jobs),
        group,
        marker,
        label: left.subject.clone(),
        job: left,
    };
    jobs.follow(follow.wait(outcome, patience));
    Ok(())
}

/// What is left of a marker's time. A clock that was set back does not make it longer.
fn remaining(asked_at: Timestamp, now: Timestamp) -> Duration {
    let passed = now.0.saturating_sub(asked_at.0);
    MARKER_DEADLINE.saturating_sub(Duration::from_micros(u64::try_from(passed).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_has_one_time_over_all_restarts() {
        let asked_at = Timestamp(1_000_000_000);
        let after = |seconds: i64| remaining(asked_at, Timestamp(asked_at.0 + seconds * 1_000_000));
        assert_eq!(after(0), MARKER_DEADLINE);
        assert_eq!(after(100), MARKER_DEADLINE - Duration::from_secs(100));
        assert_eq!(after(3000), Duration::ZERO);
        assert_eq!(after(-3000), MARKER_DEADLINE);
    }

    #[test]
    fn instants_are_told_apart() {
        assert_eq!(Instant::read("latest"), Instant::Latest);
        assert_eq!(
            Instant::read("2-48211"),
            Instant::Id("2-48211".parse().unwrap())
        );
        let time = "2026-11-22T21:00:00.25Z";
        assert_eq!(Instant::read(time), Instant::At(time.parse().unwrap()));
        assert_eq!(
            Instant::read("2026-11-22"),
            Instant::Label("2026-11-22".to_owned())
        );
        assert_eq!(
            Instant::read("before upgrade"),
            Instant::Label("before upgrade".to_owned())
        );
    }
}
