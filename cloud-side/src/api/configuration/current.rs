//! The configuration as it is now.
//!
//! Each part is read from its owner, one after the other: a change that is made meanwhile may or may not
//! be in it, and what is changed later on its basis names the version that was read.

use super::document::{Configuration, ScheduleEntry, UserEntry, VERSION, group_entry};
use crate::{
    access::UserRecord,
    api::{Api, answer},
    groups::Group,
    plans::PlanRecord,
    schedules::Schedule,
};
use bcdr_http::Problem;
use std::{collections::BTreeMap, sync::Arc};

/// Everything that can be configured, by name.
pub(super) struct Current {
    pub(super) groups: BTreeMap<String, Arc<Group>>,
    /// By the name of the group.
    pub(super) schedules: BTreeMap<String, Schedule>,
    pub(super) plans: BTreeMap<String, PlanRecord>,
    pub(super) users: BTreeMap<String, UserRecord>,
}

impl Current {
    pub(super) async fn read(service: &Api) -> Result<Self, Problem> {
        let named = |group: Arc<Group>| (group.record().name.clone(), group);
        let groups: BTreeMap<_, _> = service.groups.all().into_iter().map(named).collect();
        let of_group = |(name, group): (&String, &Arc<Group>)| {
            Some((name.clone(), service.schedules.get(group.id())?))
        };
        let schedules = groups.iter().filter_map(of_group).collect();
        let plans = service.plans.list(None, usize::MAX).await;
        let plans = plans.map_err(answer::catalog)?.into_iter();
        let users = service.access.users().into_iter();
        Ok(Self {
            schedules,
            plans: plans.map(|plan| (plan.plan.name.clone(), plan)).collect(),
            users: users.map(|user| (user.name.clone(), user)).collect(),
            groups,
        })
    }

    /// The document of it.
    pub(super) fn document(&self) -> Configuration {
        let groups = self.groups.values();
        let schedules = self.schedules.iter();
        let users = self.users.values();
        Configuration {
            version: VERSION,
            groups: Some(
                groups
                    .filter_map(|group| group_entry(group.record()))
                    .collect(),
            ),
            drill_schedules: Some(
                schedules
                    .map(|(group, schedule)| ScheduleEntry::of(group.clone(), schedule.clone()))
                    .collect(),
            ),
            plans: Some(self.plans.values().map(|plan| plan.plan.clone()).collect()),
            users: Some(users.map(user_entry).collect()),
        }
    }
}

pub(super) fn user_entry(user: &UserRecord) -> UserEntry {
    UserEntry {
        name: user.name.clone(),
        role: user.role,
        disabled: user.disabled,
    }
}

/// The version of a configuration: a digest of its document.
pub(super) fn version(document: &Configuration) -> String {
    let bytes = serde_json::to_vec(document).expect("the document is made of plain data");
    blake3::hash(&bytes).to_hex()[..16].to_owned()
}
