//! Recovery points: finding the one an operator means, and making bookmarks.

use crate::{
    catalog::{BatchRow, Catalog, CatalogError, ReserveLabelError},
    clock,
    groups::{Group, status::MarkerObstacle},
    jobs::{JobError, JobKind, JobRecord, JobState, Jobs},
    offload::offload,
    receive::{Lineage, MarkerOutcome, PointId},
};
use bcdr_format::{
    GroupId, MarkerId,
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

/// Asks for a bookmark and follows it in a job of its own.
pub(crate) async fn create(
    catalog: &Arc<Catalog>,
    jobs: &Arc<Jobs>,
    group: &Arc<Group>,
    obstacle: Option<MarkerObstacle>,
    label: String,
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
    reserve(catalog, group.id(), &marker).await?;
    let mut job = JobRecord::new(JobKind::CreatePoint, group.id(), marker.label.clone())?;
    job.marker = Some(marker.id);
    job.phase = Some("placing the marker".to_owned());
    job.start();
    jobs.add(job.clone()).await?;
    let (sender, outcome) = oneshot::channel();
    group.await_marker(marker.id, sender);
    let placed = group
        .slot
        .outlet()
        .is_some_and(|outlet| outlet.place_marker(marker.clone()));
    let follow = Follow {
        catalog: Arc::clone(catalog),
        jobs: Arc::clone(jobs),
        group: Arc::clone(group),
        marker,
        job: job.clone(),
    };
    jobs.follow(async move {
        let outcome = if placed {
            tokio::time::timeout(MARKER_DEADLINE, outcome)
                .await
                .ok()
                .and_then(Result::ok)
        } else {
            None
        };
        follow.end(placed, outcome).await;
    });
    Ok(job)
}

async fn reserve(
    catalog: &Arc<Catalog>,
    group: GroupId,
    marker: &Marker,
) -> Result<(), ReserveLabelError> {
    let (catalog, marker) = (Arc::clone(catalog), marker.clone());
    offload(move || catalog.reserve_label(group, &marker.label, marker.id)).await
}

struct Follow {
    catalog: Arc<Catalog>,
    jobs: Arc<Jobs>,
    group: Arc<Group>,
    marker: Marker,
    job: JobRecord,
}

impl Follow {
    async fn end(self, placed: bool, outcome: Option<MarkerOutcome>) {
        self.group.forget_marker(self.marker.id);
        let point = outcome.as_ref().and_then(|outcome| outcome.point);
        let error = match (point, outcome) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(not_publishable()),
            (None, None) if placed => Some(lost(&self.marker.label)),
            (None, None) => Some(not_connected()),
        };
        if !placed {
            self.release().await;
        }
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
        let marker = self.marker.clone();
        let released =
            offload(move || catalog.release_label(group, &marker.label, marker.id)).await;
        if let Err(error) = released {
            tracing::warn!(%error, label = self.marker.label, "a label stays reserved");
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

/// Settles the bookmark jobs of an earlier process: what became a point meanwhile succeeded, the
/// rest was interrupted.
pub(crate) async fn settle_left_over(
    catalog: &Arc<Catalog>,
    jobs: &Jobs,
    left: &JobRecord,
) -> Result<(), CatalogError> {
    let found = {
        let (catalog, group, label) = (Arc::clone(catalog), left.group, left.subject.clone());
        offload(move || catalog.point_by_label(group, &label)).await?
    };
    let point = found
        .filter(|row| row.marker.as_ref().map(|marker| marker.id) == left.marker)
        .map(|row| row.point_id());
    if point.is_none() && left.state == JobState::Interrupted {
        return Ok(());
    }
    jobs.update(left.id, |job| match point {
        Some(point) => {
            job.point = Some(point);
            job.finish(JobState::Succeeded, None);
        }
        None => job.finish(
            JobState::Interrupted,
            Some(JobError::new(
                "interrupted",
                "the receiver was restarted before the marker came back",
                Some("list the group's points; ask again with another label if it is not there"),
            )),
        ),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

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
