//! Steps of a restore in place: the checks before it, the bookmark it can be undone with, and the
//! work of the source's host on its own disks.

use super::{
    hands::{Hands, StepError},
    home::{OTHER_DISK, Offered, UNREADABLE, unreadable, wrong},
    source::{SIGHTING, report},
};
use crate::{
    branches::BaseImage,
    catalog::{BatchRow, ReserveLabelError},
    groups::Group,
    offload::offload,
    receive::PointId,
    recovery::{ConfirmedDisk, PlacementJob, PointChoice, RestoreJobId, StepResult},
    replica::ViewReader,
};
use bcdr_format::{
    MarkerId, Position,
    record::{Marker, MarkerKind},
};
use bcdr_wire::{
    feed::Tracking,
    order::{HomeWork, Serving, TaskOutcome},
    restore::PointName,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// How long the bookmark of a drained source may take: nothing is before it on its way.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How often it is looked for a gateway that can be asked for it.
const ASK_EVERY: Duration = Duration::from_millis(500);

impl Hands {
    /// Looks whether the restore can be done, and chooses the point. Nothing is changed.
    pub(super) async fn precheck_restore(
        &self,
        choice: PointChoice,
    ) -> Result<StepResult, StepError> {
        if self.parts.keys.installation_key().is_none() {
            return Err(StepError::new(
                "no_installation_key",
                "the installation key is not here, so points cannot be read",
                "connect a gateway once, or import the key, then start the restore again",
            ));
        }
        let row = self.resolve(choice).await?;
        let image = self.image_of(&row).await?;
        for volume in &self.group.record().volumes {
            let member = image.volumes().iter().find(|it| it.id == volume.id);
            let is_same = |known: u64| member.is_some_and(|member| member.size_bytes == known);
            if member.is_none() || !volume.size_bytes.is_none_or(is_same) {
                return Err(StepError::new(
                    "point_lacks_volume",
                    format!(
                        "point {} does not have volume {} as it is now",
                        row.point_id(),
                        volume.name
                    ),
                    "choose a later point, at which the group had the volumes that it has now",
                ));
            }
        }
        if self.has_unknown(&row).await? {
            return Err(StepError::new(
                "point_has_unknown_ranges",
                format!("nobody knows all contents of point {}", row.point_id()),
                "choose a point without unknown ranges",
            ));
        }
        self.source_is_protected().await?;
        Ok(StepResult::Pinned {
            point: row.point_id(),
            time: row.time,
        })
    }

    /// The source is there, takes writes, and all of them are tracked. What was heard before does
    /// not count.
    async fn source_is_protected(&self) -> Result<(), StepError> {
        let heard = report(&self.group.link.borrow()).map(|report| report.at);
        let seen = self
            .until(SIGHTING, |report| {
                let standing = &report.standing;
                (Some(report.at) != heard).then(|| (report.tracking.clone(), standing.serving))
            })
            .await?;
        match obstacle(&self.group, seen.as_ref()) {
            None => Ok(()),
            Some(Obstacle {
                code,
                cause,
                remedy,
            }) => Err(StepError::new(code, cause, remedy)),
        }
    }

    async fn has_unknown(&self, row: &BatchRow) -> Result<bool, StepError> {
        let (catalog, lineage) = (Arc::clone(&self.parts.catalog), self.group.lineage());
        let number = row.number;
        Ok(!offload(move || catalog.unknown_at(lineage, number))
            .await?
            .is_empty())
    }

    /// Bookmarks what a drained source holds. The label is the restore's own, so what an earlier
    /// attempt placed is found again.
    pub(super) async fn place_bookmark(
        &self,
        label: String,
        not_before: Position,
    ) -> Result<StepResult, StepError> {
        if let Some(found) = self.bookmark(&label, not_before).await? {
            return Ok(found);
        }
        let marker = Marker {
            id: marker_of(&label),
            kind: MarkerKind::Bookmark,
            label: label.clone(),
        };
        let (catalog, group, reserved) = (
            Arc::clone(&self.parts.catalog),
            self.group.id(),
            marker.clone(),
        );
        offload(move || catalog.reserve_label(group, &reserved.label, reserved.id))
            .await
            .map_err(|error| match error {
                ReserveLabelError::Catalog(error) => error.into(),
                error => not_placed(error.to_string()),
            })?;
        let (arrived, mut outcome) = oneshot::channel();
        self.group.await_marker(marker.id, arrived);
        let asking = async {
            let mut asked = None;
            loop {
                // A gateway that is gone comes back, and what it was asked went with its session.
                let session = self.group.link.borrow().gateway_since;
                if asked != Some(session)
                    && let Some(outlet) = self.group.slot.outlet()
                    && outlet.place_marker(marker.clone())
                {
                    asked = Some(session);
                }
                if tokio::time::timeout(ASK_EVERY, &mut outcome).await.is_ok() {
                    return;
                }
            }
        };
        let ended = tokio::select! {
            _ = tokio::time::timeout(BOOKMARK, asking) => Ok(()),
            () = self.stop.cancelled() => Err(StepError::stopped()),
        };
        self.group.forget_marker(marker.id);
        ended?;
        // It may be there although nobody told: only the catalog says that it is not.
        self.bookmark(&label, not_before).await?.ok_or_else(|| {
            not_placed(format!(
                "bookmark {label} was not published within {} s",
                BOOKMARK.as_secs()
            ))
        })
    }

    async fn bookmark(
        &self,
        label: &str,
        not_before: Position,
    ) -> Result<Option<StepResult>, StepError> {
        let (catalog, group) = (Arc::clone(&self.parts.catalog), self.group.id());
        let label = label.to_owned();
        let row = offload(move || catalog.point_by_label(group, &label)).await?;
        let Some(row) = row.filter(|row| row.published && row.end >= not_before) else {
            return Ok(None);
        };
        if self.has_unknown(&row).await? {
            return Err(StepError::new(
                "bookmark_has_unknown_ranges",
                "the source holds ranges that it could not read, so nobody could put them back",
                "have them written anew at the source, then start the restore again",
            ));
        }
        Ok(Some(StepResult::Pinned {
            point: row.point_id(),
            time: row.time,
        }))
    }

    /// The source's host brings its disks to a point of the group's history.
    pub(super) async fn restore_disks(
        &self,
        point: PointId,
        disks: &[ConfirmedDisk],
    ) -> Result<StepResult, StepError> {
        let row = self.resolve(PointChoice::Point(point)).await?;
        let offered = Offered {
            image: self.image_of(&row).await?,
            point: PointName {
                stream: self.group.record().stream,
                position: row.end,
            },
            sink: None,
        };
        let outcome = self.at_home(HomeWork::Restore, disks, Some(offered));
        let outcome = outcome.await.map_err(|error| self.way_forward(error))?;
        let TaskOutcome::Restored {
            fetched_bytes,
            written_bytes,
        } = outcome
        else {
            return Err(wrong("a restore was asked for and something else came"));
        };
        Ok(StepResult::Restored {
            fetched_bytes,
            written_bytes,
        })
    }

    /// A disk that was replaced in the middle is no dead end: whoever replaced it says so. Nor is a point
    /// of which something is lost.
    fn way_forward(&self, error: StepError) -> StepError {
        let Some(PlacementJob::Restore(job)) = self.placement.job() else {
            return error;
        };
        let (id, group) = (job.id, &self.group.record().name);
        let remedy = match (error.code, job.turned_back) {
            (OTHER_DISK, _) => other_disk(id),
            (UNREADABLE, None) => format!(
                "those bytes of the point are lost here, unless its device is repaired: then retry. Else \
                 `bcdr restore cancel {id}` brings back what the disks held; if the bookmark lacks the \
                 same bytes, {}",
                recovered_elsewhere(group)
            ),
            (UNREADABLE, Some(_)) => format!(
                "those bytes of the bookmark are lost here, unless its device is repaired: then retry. \
                 Else {}",
                recovered_elsewhere(group)
            ),
            _ => return error,
        };
        StepError { remedy, ..error }
    }

    /// Identifies the disks of a source that nobody served since it was drained: what was written to
    /// one that began anew after that is in no bookmark.
    pub(super) async fn inspect_drained(&self, drained: Position) -> Result<StepResult, StepError> {
        let inspected = self.inspect_home().await?;
        let life = report(&self.group.link.borrow()).map(|report| report.sequenced.ordinal);
        if life == Some(drained.ordinal) {
            return Ok(inspected);
        }
        Err(StepError::new(
            "source_began_anew",
            "the source's capture was started anew after its disks were bookmarked, so they may hold \
             more than the bookmark",
            "start the restore again",
        ))
    }

    async fn image_of(&self, row: &BatchRow) -> Result<Arc<ViewReader>, StepError> {
        let (reader, branches) = (self.replica()?, Arc::clone(&self.parts.branches));
        let number = row.number;
        offload(move || branches.image(&BaseImage::Replica(reader), number))
            .await
            .map_err(|error| unreadable(&error))
    }
}

/// What to do about a disk that is not the one that was confirmed.
fn other_disk(id: RestoreJobId) -> String {
    format!(
        "if the disk was replaced: `bcdr restore retry {id} --disk VOLUME=IDENTITY` with the identity that \
         is shown here, after which all of it is compared; `bcdr restore cancel {id}` and then the same \
         brings the bookmark to it instead. If it was not, put back the disk that was there"
    )
}

/// The way out where neither the point nor the bookmark can be read whole.
fn recovered_elsewhere(group: &str) -> String {
    format!(
        "`bcdr failover start {group} --mode emergency --at POINT` runs production here from any point, which \
         needs the lost bytes only when they are read, and brings it home from there"
    )
}

/// What stands in the way of a restore at the source.
pub(crate) struct Obstacle {
    pub(crate) code: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) remedy: &'static str,
}

/// Why the source's disks cannot be put back now, by what its host told last: how it tracks writes,
/// and how it serves. None if they can.
pub(crate) fn obstacle(group: &Group, told: Option<&(Tracking, Serving)>) -> Option<Obstacle> {
    let Some((tracking, serving)) = told else {
        return Some(Obstacle {
            code: "source_unreachable",
            cause: "nothing is heard of the source, whose host does the work",
            remedy: "bring the capture and its gateway up, then start the restore; if the source is \
                     lost, start an emergency failover at the point",
        });
    };
    if *serving != Serving::Writable {
        return Some(Obstacle {
            code: "source_not_serving",
            cause: "the source does not serve its volumes writable",
            remedy: "look at the capture's log, and start the restore when it serves",
        });
    }
    let is_whole = {
        let stored = group.stored.borrow();
        stored.open_syncs.is_empty() && stored.forks.is_empty()
    };
    (*tracking != Tracking::Continuous || !is_whole).then_some(Obstacle {
        code: "source_not_tracked",
        cause: "not every write of the source is in its history yet, so a restore could not be undone",
        remedy: "wait until the group's replication is continuous, then start the restore",
    })
}

/// The marker of a label that nobody else uses: placed twice, it is the same one.
fn marker_of(label: &str) -> MarkerId {
    let mut id = [0; 16];
    blake3::Hasher::new()
        .update(label.as_bytes())
        .finalize_xof()
        .fill(&mut id);
    MarkerId::from_u128(u128::from_be_bytes(id))
}

fn not_placed(cause: String) -> StepError {
    StepError::new(
        "bookmark_not_placed",
        cause,
        "look at the link between source and cloud side, then start the restore again",
    )
}

#[cfg(test)]
mod tests;
