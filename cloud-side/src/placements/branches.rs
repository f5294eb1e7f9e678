//! Steps that make and keep the branch of a failover.

use super::hands::{Hands, StepError};
use crate::{
    branch::{BranchId, BranchReason, BranchRecord, BranchState},
    branches::BaseImage,
    offload::offload,
    receive::PointId,
    recovery::{BranchName, PointChoice, StepResult},
};
use bcdr_format::Position;
use std::{sync::Arc, time::Duration};

/// How long the points of a drained source may take to be published after their batches.
const PUBLISHED: Duration = Duration::from_secs(30);

impl Hands {
    /// Chooses the point. Behind the fence the lineage ends, so the newest one stays the newest.
    pub(super) async fn pin_point(
        &self,
        choice: PointChoice,
        not_before: Option<Position>,
    ) -> Result<StepResult, StepError> {
        if let Some(drained) = not_before {
            let mut stored = self.group.stored.subscribe();
            let published = stored.wait_for(|stored| {
                stored
                    .published
                    .as_ref()
                    .is_some_and(|point| point.id.0 >= drained)
            });
            // What is missing after it is said by the machine, which knows both positions.
            let _waited = tokio::time::timeout(PUBLISHED, published).await;
        }
        let row = self.resolve(choice).await?;
        Ok(StepResult::Pinned {
            point: row.point_id(),
            time: row.time,
        })
    }

    pub(super) async fn create_branch(&self, point: PointId) -> Result<StepResult, StepError> {
        let made_for = self.failover()?.id.to_string();
        let (branches, lineage) = (Arc::clone(&self.parts.branches), self.group.lineage());
        let reader = self.group.reader().ok_or_else(|| {
            StepError::new(
                "replica_unusable",
                "the replica of the group cannot be opened now",
                "look at the group's status for the reason, then retry",
            )
        })?;
        let catalog = Arc::clone(&self.parts.catalog);
        let made = offload(move || -> Result<BranchId, String> {
            let found = branches.made_for(&made_for).map_err(|e| e.to_string())?;
            if let Some(branch) = found {
                return Ok(branch);
            }
            let row = catalog.point_by_id(lineage, point);
            let row = row.map_err(|error| error.to_string())?;
            let row = row.ok_or_else(|| format!("point {point} is gone"))?;
            let base = BaseImage::Replica(reader);
            let reason = BranchReason::Failover;
            let branch = branches.create_for(base, row.number, reason, Some(made_for));
            branch
                .map(|branch| branch.id())
                .map_err(|error| error.to_string())
        })
        .await;
        match made {
            Ok(branch) => Ok(StepResult::BranchCreated {
                branch: BranchName(branch.to_string()),
            }),
            Err(cause) => Err(StepError::new(
                "branch_failed",
                cause,
                "make room or repair the store, then retry, or roll back",
            )),
        }
    }

    /// Keeps the group's failover branches as evidence: what is written to them is durable, and they
    /// are never served again. Production is at the source when this is asked for, so none is needed.
    pub(super) async fn seal_branch(&self) -> Result<StepResult, StepError> {
        let (branches, group) = (Arc::clone(&self.parts.branches), self.group.id());
        let sealed = offload(move || -> Result<(), String> {
            let of_failovers = |record: &BranchRecord| {
                record.group() == group && record.reason == BranchReason::Failover
            };
            for known in branches.all() {
                if of_failovers(&known.record) {
                    branches
                        .seal(known.record.id)
                        .map_err(|error| error.to_string())?;
                }
            }
            Ok(())
        })
        .await;
        sealed.map(|()| StepResult::Done).map_err(|cause| {
            StepError::new(
                "branch_not_sealed",
                cause,
                "repair the store, then retry; or keep the source without this proof",
            )
        })
    }

    /// The branch of a name, open and not sealed.
    pub(super) fn branch(
        &self,
        name: &BranchName,
    ) -> Result<Arc<crate::branch::Branch>, StepError> {
        let unusable = |cause: String| {
            StepError::new(
                "branch_unusable",
                cause,
                "look at the cloud side's log for the reason, then retry",
            )
        };
        let id: BranchId = name
            .0
            .parse()
            .map_err(|_| unusable(format!("{:?} is no branch", name.0)))?;
        let known = self.parts.branches.known_branch(id);
        let known = known.ok_or_else(|| unusable(format!("branch {id} does not exist")))?;
        if known.record.state == BranchState::Sealed {
            return Err(unusable(format!("branch {id} is kept as evidence")));
        }
        known
            .branch
            .map_err(|reason| unusable(format!("branch {id} cannot be used: {reason}")))
    }
}
