//! What the catalog keeps of inspections.

use crate::{
    catalog::Document,
    receive::PointId,
    target::{self, LaunchSettings},
};
use bcdr_format::{GroupId, Timestamp};
use bcdr_readiness::{DiskBus, Firmware, Readiness, ReadinessReport, TargetMachine};
use serde::{Deserialize, Serialize};

/// The machine that a point is inspected for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InspectedMachine {
    pub(crate) target: TargetMachine,
    /// Volumes in the order of its disks, as launch settings name them; the rest follows as declared.
    pub(crate) disk_order: Vec<String>,
}

impl InspectedMachine {
    /// The machine that launch settings make, with this many network cards, which they do not say.
    pub(crate) fn of(settings: &LaunchSettings, network_cards: u32) -> Self {
        Self {
            target: TargetMachine {
                firmware: match settings.firmware {
                    target::Firmware::Bios => Firmware::Bios,
                    target::Firmware::Uefi => Firmware::Uefi,
                },
                disk_bus: match settings.disk_bus {
                    target::DiskBus::Virtio => DiskBus::Virtio,
                    target::DiskBus::Ahci => DiskBus::Ahci,
                },
                network_cards,
            },
            disk_order: settings.disk_order.clone(),
        }
    }

    /// What of it is another machine than this one, for people; none where nothing is.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let (mine, others) = (self.target, other.target);
        let mut parts = Vec::new();
        if mine.firmware != others.firmware {
            parts.push("firmware");
        }
        if mine.disk_bus != others.disk_bus {
            parts.push("disk bus");
        }
        if mine.network_cards != others.network_cards {
            parts.push("network cards");
        }
        if self.disk_order != other.disk_order {
            parts.push("disk order");
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// The last inspection of a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InspectionRecord {
    pub(crate) group: GroupId,
    pub(crate) point: PointId,
    pub(crate) checked_at: Timestamp,
    /// The order of the disks, beside what the report says of the machine.
    #[serde(default)]
    pub(crate) disk_order: Vec<String>,
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
    #[serde(default)]
    pub(crate) disk_order: Vec<String>,
}

impl NewestInspection {
    pub(crate) fn of(record: &InspectionRecord) -> Self {
        Self {
            group: record.group,
            point: record.point,
            checked_at: record.checked_at,
            readiness: record.report.readiness,
            target: record.report.target,
            disk_order: record.disk_order.clone(),
        }
    }

    /// The machine that it was made for.
    pub(crate) fn machine(&self) -> InspectedMachine {
        InspectedMachine {
            target: self.target,
            disk_order: self.disk_order.clone(),
        }
    }
}

impl Document for NewestInspection {
    const COLLECTION: &'static str = "readiness_of_groups";

    fn key(&self) -> String {
        self.group.to_string()
    }
}
