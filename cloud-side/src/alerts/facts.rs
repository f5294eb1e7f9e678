//! What is known of the service at one moment, for alerts: plain data, copied out of its owners.

use crate::{
    drills::DrillAxis,
    groups::{Group, status::Replication},
    placements::Owed,
    recovery::Placement,
    service::Service,
};
use bcdr_alert::{ChannelRecord, Now};
use bcdr_disk::Space;
use bcdr_format::{GroupId, Timestamp};
use bcdr_readiness::Readiness;
use bcdr_wire::feed::CaptureReport;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A volume of a group.
#[derive(Debug, Clone)]
pub(super) struct VolumeFacts {
    pub(super) id: String,
    pub(super) name: String,
    /// Whether the stream knows it.
    pub(super) is_followed: bool,
}

/// One group.
#[derive(Debug, Clone)]
pub(super) struct GroupFacts {
    pub(super) id: GroupId,
    pub(super) name: String,
    pub(super) received_anything: bool,
    pub(super) replication: Replication,
    /// What keeps the store from taking data.
    pub(super) obstacle: Option<String>,
    /// Whether a gateway is there and has told how the capture is.
    pub(super) gateway_connected: bool,
    pub(super) capture_told: bool,
    pub(super) report: Option<CaptureReport>,
    pub(super) age: Option<Duration>,
    pub(super) volumes: Vec<VolumeFacts>,
    pub(super) unreadable: Option<String>,
    pub(super) overdue_since: Option<Timestamp>,
    pub(super) cleanup_failed: bool,
    pub(super) placement: Option<Placement>,
    /// What the newest inspection said; none before the first, and when it is out of date.
    pub(super) readiness: Option<Readiness>,
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) now: Now,
    pub(super) groups: Vec<GroupFacts>,
    /// The free space and the floor, or why it is not known.
    pub(super) space: Result<(Space, u64), String>,
    /// When certificates end.
    pub(super) certificates: BTreeMap<String, Timestamp>,
    /// Reports that are owed, or why that is not known.
    pub(super) owed: Result<Vec<Owed>, String>,
    pub(super) channels: Vec<ChannelRecord>,
}

/// Looks at everything once.
pub(super) async fn gather(service: &Arc<Service>) -> Facts {
    let alerts = &service.alerts;
    let space = service.space().await.map_err(|error| error.to_string());
    let floor = service.space_floor();
    let owed = service.placements.owed_reports().await;
    let groups = service.groups.all();
    let groups = groups.iter().map(|group| of_group(service, group));
    Facts {
        groups: groups.collect(),
        space: space.map(|space| (space, floor.floor_bytes(space.total_bytes))),
        certificates: alerts
            .certificates
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone(),
        owed: owed.map_err(|error| error.to_string()),
        channels: alerts.state().outbox.channels().cloned().collect(),
        now: alerts.now(),
    }
}

fn of_group(service: &Service, group: &Group) -> GroupFacts {
    let id = group.id();
    let axis = service.drills.axis(id);
    let cleanup_failed = is_clean_up_owed(&axis);
    let overdue_since = service
        .schedules
        .overdue_since(id, axis.last_passed, crate::clock::wall());
    let inspected = service.inspections.newest(id);
    let readiness = inspected
        .filter(|_| service.inspections.outdated(id).is_none())
        .map(|newest| newest.readiness);
    group.with_known(&service.clock, cleanup_failed, |known, stored, link| {
        let volume = |volume: &crate::catalog::VolumeRecord| VolumeFacts {
            id: volume.id.to_string(),
            name: volume.name.clone(),
            is_followed: stored.follows(volume.id),
        };
        GroupFacts {
            id,
            name: group.record().name.clone(),
            received_anything: known.received_anything,
            replication: known.replication(),
            obstacle: stored.obstacle.clone(),
            gateway_connected: link.gateway.is_some(),
            capture_told: known.capture_told,
            report: known.report.cloned(),
            age: known.age,
            volumes: group.record().volumes.iter().map(volume).collect(),
            unreadable: known.unreadable.map(str::to_owned),
            overdue_since,
            cleanup_failed,
            placement: service.placements.placement(id),
            readiness,
        }
    })
}

/// Whether a drill left something behind; also while another one of the group runs, whose state the
/// axis shows then.
fn is_clean_up_owed(axis: &DrillAxis) -> bool {
    axis.leftover.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{drills::DrillState, record_id::DrillId};

    #[test]
    fn a_drill_that_runs_hides_no_other_that_left_something_behind() {
        let [left, runs] = [1, 2].map(|at| DrillId::generate(Timestamp(at)).unwrap());
        let axis = DrillAxis {
            drill: Some(runs),
            state: Some(DrillState::Running),
            running: 1,
            leftover: Some(left),
            ..DrillAxis::default()
        };
        assert!(is_clean_up_owed(&axis));
        let clean = DrillAxis {
            leftover: None,
            ..axis
        };
        assert!(!is_clean_up_owed(&clean));
    }
}
