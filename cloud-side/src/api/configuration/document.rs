//! The document: everything that is set over the API and is neither a secret nor a state.
//!
//! Owns its form and its version. Invariant: what it says can be applied, so an export holds nothing
//! that an apply refuses; lists are in the order of names, so the same configuration has the same bytes.
//! Tokens and passwords are secrets. A group is its name and volumes: its ids are minted where it is
//! made.

use crate::{
    api::{
        groups::{NewGroup, NewVolumeBody},
        schedules::NewSchedule,
    },
    schedules::{PointChoice, Schedule},
    target::LaunchSettings,
};
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, Request},
    http::StatusCode,
};
use bcdr_http::{ApiJson, DEFAULT_BODY_LIMIT, Problem, Role};
use bcdr_plan::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The version of the form that this release reads and writes.
pub(in crate::api) const VERSION: u32 = 1;

/// Everything that is set over the API. A part that is left out is left alone by an apply, whatever
/// else is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Configuration {
    /// The version of this form: 1.
    pub(super) version: u32,
    /// Groups. One that is not there is made; none is changed or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) groups: Option<Vec<NewGroup>>,
    /// When groups are drilled, at most one schedule for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) drill_schedules: Option<Vec<ScheduleEntry>>,
    /// Recovery plans, as they are applied one by one.
    #[schema(value_type = Option<Vec<Object>>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plans: Option<Vec<Plan>>,
    /// Users, without their passwords. None is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) users: Option<Vec<UserEntry>>,
}

/// When a group is drilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfigurationDrillSchedule)]
pub(super) struct ScheduleEntry {
    /// The name of the group.
    pub(super) group: String,
    /// Seconds from one drill to the next: an hour to 731 days.
    every_seconds: u64,
    /// The time of the day, `HH:MM`; goes with whole days only.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<jiff::civil::Time>,
    /// The time zone of that, such as `Asia/Shanghai`; UTC by default.
    #[serde(default = "utc")]
    zone: String,
    /// Which point is booted; the latest by default.
    #[serde(default = "latest")]
    point: PointChoice,
    /// Seconds for which the machine is held after its last rung; 0 by default, a day at most.
    #[serde(default)]
    hold_seconds: u32,
    /// How the machine looks and how it is judged; every part has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    launch_settings: Option<LaunchSettings>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn latest() -> PointChoice {
    PointChoice::Latest
}

impl ScheduleEntry {
    pub(super) fn of(group: String, schedule: Schedule) -> Self {
        Self {
            group,
            every_seconds: schedule.cadence.every_seconds(),
            at: schedule.cadence.at(),
            zone: schedule.cadence.zone().to_owned(),
            point: schedule.point,
            hold_seconds: schedule.hold_seconds,
            launch_settings: schedule.settings,
        }
    }

    /// The body of a request for it.
    pub(super) fn body(&self) -> Value {
        let mut body = serde_json::to_value(self).expect("a schedule is made of plain data");
        // The path names the group.
        if let Value::Object(members) = &mut body {
            members.remove("group");
        }
        body
    }

    /// The same as that request is read.
    pub(super) fn wanted(&self) -> NewSchedule {
        NewSchedule {
            every_seconds: self.every_seconds,
            at: self.at,
            zone: Some(self.zone.clone()),
            point: Some(self.point),
            hold_seconds: Some(self.hold_seconds),
            launch_settings: self.launch_settings.clone(),
        }
    }
}

/// Somebody who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfigurationUser)]
pub(super) struct UserEntry {
    /// The name.
    pub(super) name: String,
    /// What the user may do.
    pub(super) role: Role,
    /// Whether signing in is refused; false by default.
    #[serde(default)]
    pub(super) disabled: bool,
}

/// What a group would be made of; none where that is not known.
pub(super) fn group_entry(record: &crate::catalog::GroupRecord) -> Option<NewGroup> {
    let volume = |volume: &crate::catalog::VolumeRecord| {
        Some(NewVolumeBody {
            name: volume.name.clone(),
            size_bytes: volume.size_bytes?,
        })
    };
    Some(NewGroup {
        name: record.name.clone(),
        volumes: record.volumes.iter().map(volume).collect::<Option<_>>()?,
    })
}

/// A document that came with a request. Another version is refused as such, before what is in it is
/// found to be unknown.
pub(super) struct DocumentBody(pub(super) Configuration);

#[derive(Deserialize)]
struct Head {
    version: Option<Value>,
}

impl<State: Send + Sync> FromRequest<State> for DocumentBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(body, DEFAULT_BODY_LIMIT).await.map_err(|error| {
            Problem::malformed("the body could not be read")
                .cause(error)
                .remedy("check the connection and send the request again")
        })?;
        let head = serde_json::from_slice(&bytes);
        if let Ok(Head {
            version: Some(Value::Number(version)),
        }) = head
            && version.as_f64() != Some(VERSION.into())
        {
            return Err(unknown_version(&version));
        }
        let request = Request::from_parts(parts, Body::from(bytes));
        let ApiJson(document) = ApiJson::from_request(request, state).await?;
        Ok(Self(document))
    }
}

fn unknown_version(version: &serde_json::Number) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown_configuration_version",
        "Unknown version",
        format!("the document has version {version}, and this release knows version {VERSION}"),
    )
    .field("version")
    .remedy("export the configuration from this release and carry the changes over, or use the release that wrote the document")
}
