//! What the catalog keeps of inspections.

use crate::{catalog::Document, receive::PointId};
use bcdr_format::{GroupId, Timestamp};
use bcdr_readiness::{Readiness, ReadinessReport, TargetMachine};
use serde::{Deserialize, Serialize};

/// The last inspection of a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InspectionRecord {
    pub(crate) group: GroupId,
    pub(crate) point: PointId,
    pub(crate) checked_at: Timestamp,
    pub(crate) report: ReadinessReport,
}

impl InspectionRecord {
    pub(crate) fn key_of(group: GroupId, point: PointId) -> String {
        format!("{group}/{point}")
    }
}

impl Document for InspectionRecord {
    const COLLECTION: &'static str = "readiness";

    fn key(&self) -> String {
        Self::key_of(self.group, self.point)
    }
}

/// The readiness axis of a group: what its newest inspection said, without the whole report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewestInspection {
    pub(crate) group: GroupId,
    pub(crate) point: PointId,
    pub(crate) checked_at: Timestamp,
    pub(crate) readiness: Readiness,
    pub(crate) target: TargetMachine,
}

impl NewestInspection {
    pub(crate) fn of(record: &InspectionRecord) -> Self {
        Self {
            group: record.group,
            point: record.point,
            checked_at: record.checked_at,
            readiness: record.report.readiness,
            target: record.report.target,
        }
    }
}

impl Document for NewestInspection {
    const COLLECTION: &'static str = "readiness_of_groups";

    fn key(&self) -> String {
        self.group.to_string()
    }
}
