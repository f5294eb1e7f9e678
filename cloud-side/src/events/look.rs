//! A look at every group each second: what of it is in no document.

use super::{EventKind, EventObject, Events, News};
use crate::{
    clock,
    groups::{
        Group,
        status::{HealthLevel, ReplicationState},
    },
    service::Service,
};
use bcdr_format::GroupId;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    replication: ReplicationState,
    reason: Option<String>,
    health: HealthLevel,
    reasons: Vec<String>,
    gateway: bool,
    capture: bool,
}

impl Seen {
    fn of(service: &Service, group: &Group) -> Self {
        let axis = service.drills.axis(group.id());
        let schedules = &service.schedules;
        let overdue = schedules.overdue_since(group.id(), axis.last_passed, clock::wall());
        let cleanup_failed = axis.leftover.is_some();
        group.with_known(&service.clock, cleanup_failed, |known, _, link| {
            let replication = known.replication();
            let health = known.health(&replication).overdue(overdue);
            Self {
                replication: replication.state,
                reason: replication.reason,
                health: health.level,
                reasons: health.reasons.into_iter().map(|one| one.code).collect(),
                gateway: link.gateway.is_some(),
                capture: known.report.is_some(),
            }
        })
    }

    fn summary(&self) -> String {
        let connected = |is: bool| if is { "connected" } else { "not connected" };
        let mut text = format!(
            "replication is {}, health {}; gateway {}, capture {}",
            self.replication.name().replace('_', " "),
            self.health.name(),
            connected(self.gateway),
            connected(self.capture),
        );
        if let Some(reason) = &self.reason {
            text.push_str(": ");
            text.push_str(reason);
        }
        text
    }
}

/// Looks until `shutdown`, and then sends away who follows the events.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut known = HashMap::new();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => break,
        }
        for group in service.groups.all() {
            let seen = Seen::of(&service, &group);
            compare(&service.events, &mut known, group.id(), seen);
        }
    }
    service.events.close();
}

fn compare(events: &Events, known: &mut HashMap<GroupId, Seen>, group: GroupId, seen: Seen) {
    let summary = seen.summary();
    // One that is seen first was told of when it was made, or lies behind the beginning of the list.
    let is_changed = match known.insert(group, seen.clone()) {
        Some(before) => before != seen,
        None => false,
    };
    if is_changed {
        events.tell(News {
            kind: EventKind::Changed,
            object: EventObject::Group,
            object_id: group.to_string(),
            group: Some(group),
            summary,
        });
    }
}
