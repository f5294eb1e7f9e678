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
use std::{collections::BTreeMap, sync::Arc, time::Duration};
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

/// All groups at one look.
type Look = BTreeMap<GroupId, Seen>;

impl Seen {
    fn of(service: &Service, group: &Group) -> Self {
        let axis = service.drills.axis(group.id());
        let schedules = &service.schedules;
        let overdue = schedules.overdue_since(group.id(), axis.last_passed, clock::wall());
        let cleanup_failed = axis.leftover.is_some();
        let placement = service.placements.state(group.id());
        group.with_known(&service.clock, cleanup_failed, |known, _, link| {
            let replication = known.replication();
            let health = known.health(&replication, placement).overdue(overdue);
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
    let mut before = None;
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => break,
        }
        let groups = service.groups.all();
        let groups = groups.iter();
        let now: Look = groups
            .map(|group| (group.id(), Seen::of(&service, group)))
            .collect();
        compare(&service.events, before.as_ref(), &now);
        before = Some(now);
    }
    service.events.close();
}

/// Tells what is not as it was at the look before. A group that was not there then is told too: whoever
/// made it may have left before it was. What the first look sees lies behind the beginning of the list.
fn compare(events: &Events, before: Option<&Look>, now: &Look) {
    let Some(before) = before else {
        return;
    };
    let is_new = |(group, seen): &(&GroupId, &Seen)| before.get(*group) != Some(*seen);
    for (group, seen) in now.iter().filter(is_new) {
        events.tell(News {
            kind: EventKind::Changed,
            object: EventObject::Group,
            object_id: group.to_string(),
            group: Some(*group),
            summary: seen.summary(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Wanted, log::Order};
    use bcdr_http::Role;

    fn seen(health: HealthLevel) -> Seen {
        Seen {
            replication: ReplicationState::Unprotected,
            reason: None,
            health,
            reasons: Vec::new(),
            gateway: false,
            capture: false,
        }
    }

    fn told(events: &Events) -> Vec<Option<GroupId>> {
        let wanted = Wanted {
            group: None,
            object: Some(EventObject::Group),
            kind: Some(EventKind::Changed),
            role: Role::Viewer,
        };
        let page = events.page(Order::OldestFirst, None, 100, &wanted);
        let told = page.into_iter().filter(|event| event.object.is_some());
        told.map(|event| event.group).collect()
    }

    #[test]
    fn a_group_that_a_later_look_sees_first_is_told_once_and_what_the_first_sees_is_not() {
        let events = Events::new(1).unwrap();
        let [old, new] = [1, 2].map(GroupId::from_u128);
        let first = Look::from([(old, seen(HealthLevel::Ok))]);
        compare(&events, None, &first);
        assert_eq!(told(&events), []);
        let mut second = first.clone();
        second.insert(new, seen(HealthLevel::Critical));
        compare(&events, Some(&first), &second);
        assert_eq!(told(&events), [Some(new)]);
        compare(&events, Some(&second), &second);
        assert_eq!(told(&events), [Some(new)]);
        let third = Look::from([
            (old, seen(HealthLevel::Warning)),
            (new, seen(HealthLevel::Critical)),
        ]);
        compare(&events, Some(&second), &third);
        assert_eq!(told(&events), [Some(new), Some(old)]);
    }
}
