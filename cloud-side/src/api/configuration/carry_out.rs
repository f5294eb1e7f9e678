//! Doing what was found to be done.
//!
//! Invariant: each change is made by what its own route makes it with, between audit entries of its own.

use super::change::{Change, Deed};
use crate::api::{
    Api, answer,
    audited::{Part, Parts},
    groups,
    plans::{admitted as plan_admitted, not_done},
    schedules,
    session::refused,
    users::admitted as user_admitted,
};
use axum::http::StatusCode;
use bcdr_http::Problem;
use serde_json::{Value, json};

/// Who carries changes out, and where.
pub(super) struct Hands<'a> {
    pub(super) service: &'a Api,
    pub(super) parts: &'a Parts,
    /// Whose changes they are.
    pub(super) by: &'a str,
}

impl Hands<'_> {
    /// Does what a change is about. One without a deed is none.
    ///
    /// # Errors
    /// Why it was not done.
    pub(super) async fn carry_out(&self, change: &Change) -> Result<(), Problem> {
        let Some(deed) = &change.deed else {
            return Ok(());
        };
        let name = &change.name;
        let part = part_of(deed, name);
        self.parts.carry_out(part, self.work(name, deed)).await
    }

    async fn work(&self, name: &str, deed: &Deed) -> Result<Option<String>, Problem> {
        let service = self.service;
        match deed {
            Deed::MakeGroup(group) => {
                let made = groups::make(service, group.clone()).await?;
                return Ok(Some(made.id().to_string()));
            }
            Deed::SetSchedule(entry, expected) => {
                let group = answer::group(service, name)?;
                let wanted = entry.wanted();
                schedules::put(service, &group, wanted, expected.clone()).await?;
            }
            Deed::RemoveSchedule(expected) => {
                let group = answer::group(service, name)?;
                schedules::take_away(service, &group, expected.clone()).await?;
            }
            Deed::ApplyPlan(plan, expected) => {
                let (plan, by) = (plan.clone(), self.by.to_owned());
                let expected = plan_admitted(expected.clone());
                let applied = service.plans.apply(plan, expected, by).await;
                applied.map_err(not_done)?;
            }
            Deed::RemovePlan(expected) => {
                let expected = plan_admitted(expected.clone());
                let removed = service.plans.remove(name, expected).await;
                removed.map_err(not_done)?;
            }
            Deed::ChangeUser(change, expected) => {
                let expected = user_admitted(expected.clone());
                let changed = service.access.change_user(name, *change, expected).await;
                changed.map_err(refused)?;
            }
            Deed::RemoveUser(expected) => {
                let expected = user_admitted(expected.clone());
                let removed = service.access.remove_user(name, expected).await;
                removed.map_err(refused)?;
            }
        }
        Ok(None)
    }
}

/// What a change is in the audit log: what a request for it would be.
fn part_of<'a>(deed: &Deed, name: &'a str) -> Part<'a> {
    let json = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
    let (action, kind, id, body, done) = match deed {
        Deed::MakeGroup(group) => (
            "create_group",
            "group",
            None,
            json(serde_json::to_value(group)),
            StatusCode::CREATED,
        ),
        Deed::SetSchedule(entry, _) => (
            "set_drill_schedule",
            "group",
            Some(name),
            entry.body(),
            StatusCode::OK,
        ),
        Deed::RemoveSchedule(_) => (
            "remove_drill_schedule",
            "group",
            Some(name),
            Value::Null,
            StatusCode::NO_CONTENT,
        ),
        Deed::ApplyPlan(plan, _) => (
            "apply_plan",
            "plan",
            Some(name),
            json(serde_json::to_value(plan)),
            StatusCode::OK,
        ),
        Deed::RemovePlan(_) => (
            "remove_plan",
            "plan",
            Some(name),
            Value::Null,
            StatusCode::NO_CONTENT,
        ),
        Deed::ChangeUser(change, _) => (
            "change_user",
            "user",
            Some(name),
            json!({ "role": change.role, "disabled": change.disabled }),
            StatusCode::OK,
        ),
        Deed::RemoveUser(_) => (
            "remove_user",
            "user",
            Some(name),
            Value::Null,
            StatusCode::NO_CONTENT,
        ),
    };
    Part {
        action,
        kind,
        id,
        body,
        done,
    }
}
