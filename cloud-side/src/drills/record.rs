//! The durable record of a drill.

use crate::{
    catalog::Document,
    drill::{DrillProgress, DrillReport, DrillResult, Phase},
    receive::PointId,
    record_id::{DrillId, JobId, ViewId},
    target::LaunchSettings,
};
use bcdr_format::{GroupId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a drill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DrillState {
    /// It was asked for.
    Queued,
    /// Disks and network are being made.
    Preparing,
    /// The machine runs.
    Running,
    /// Everything is being removed.
    Cleaning,
    /// Every awaited rung was passed, and the clean-up is proven.
    Passed,
    /// Something failed; the clean-up is proven.
    Failed,
    /// It was stopped; the clean-up is proven.
    Cancelled,
    /// Something may be left.
    CleanupFailed,
}

impl DrillState {
    /// Whether nothing more happens in it.
    pub(crate) fn is_final(self) -> bool {
        matches!(
            self,
            Self::Passed | Self::Failed | Self::Cancelled | Self::CleanupFailed
        )
    }

    pub(crate) fn of_result(result: DrillResult) -> Self {
        match result {
            DrillResult::Passed => Self::Passed,
            DrillResult::Failed => Self::Failed,
            DrillResult::Cancelled => Self::Cancelled,
            DrillResult::CleanupFailed => Self::CleanupFailed,
        }
    }

    pub(crate) fn of_progress(progress: Option<&DrillProgress>) -> Self {
        let Some(progress) = progress else {
            return Self::Queued;
        };
        match progress.phase {
            Phase::Precheck | Phase::PinPoint | Phase::CreateOverlays | Phase::IsolatedNetwork => {
                Self::Preparing
            }
            Phase::Boot | Phase::Probe | Phase::Hold | Phase::Evidence => Self::Running,
            Phase::Destroy | Phase::VerifyDestroyed | Phase::Report => Self::Cleaning,
        }
    }
}

/// A drill as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DrillRecord {
    pub(crate) id: DrillId,
    pub(crate) group: GroupId,
    pub(crate) point: PointId,
    pub(crate) job: JobId,
    /// The view it boots from, while it is open.
    pub(crate) view: Option<ViewId>,
    pub(crate) settings: LaunchSettings,
    pub(crate) hold_seconds: u32,
    pub(crate) requested_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    /// As it was when the record was written; a running drill's progress says more.
    pub(crate) state: DrillState,
    pub(crate) reason: Option<String>,
    pub(crate) report: Option<DrillReport>,
}

impl Document for DrillRecord {
    const COLLECTION: &'static str = "drills";

    /// Newer drills come first.
    fn key(&self) -> String {
        self.id.newest_first_key()
    }
}
