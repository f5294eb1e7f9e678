//! What is done so that the configuration is as a document says.

use super::{difference::Field, document::ScheduleEntry};
use crate::{
    access::UserChange,
    api::{etag::Expected, groups::NewGroup},
};
use bcdr_plan::Plan;
use serde::Serialize;
use utoipa::ToSchema;

/// What a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConfigurationObject)]
pub(super) enum ObjectKind {
    /// A group.
    Group,
    /// When a group is drilled; named by the group.
    DrillSchedule,
    /// A recovery plan.
    Plan,
    /// A user.
    User,
}

impl ObjectKind {
    /// As it is called in sentences.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::DrillSchedule => "drill schedule",
            Self::Plan => "plan",
            Self::User => "user",
        }
    }

    /// The part of the document that it is in.
    pub(super) fn part(self) -> &'static str {
        match self {
            Self::Group => "groups",
            Self::DrillSchedule => "drill_schedules",
            Self::Plan => "plans",
            Self::User => "users",
        }
    }
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConfigurationChangeKind)]
pub(super) enum ChangeKind {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is removed.
    Remove,
    /// It is as the document says.
    Unchanged,
}

/// What is done to an object, if it is as it was read.
pub(super) enum Deed {
    MakeGroup(NewGroup),
    SetSchedule(Box<ScheduleEntry>, Expected),
    RemoveSchedule(Expected),
    ApplyPlan(Plan, Expected),
    RemovePlan(Expected),
    ChangeUser(UserChange, Expected),
    RemoveUser(Expected),
}

/// An object of the document, or one that is to be removed because it is not there.
pub(super) struct Change {
    pub(super) object: ObjectKind,
    pub(super) name: String,
    pub(super) kind: ChangeKind,
    pub(super) fields: Vec<Field>,
    /// None where nothing has to be done.
    pub(super) deed: Option<Deed>,
}
