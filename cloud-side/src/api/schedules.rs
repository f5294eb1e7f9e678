//! `/groups/{group}/drill-schedule`.

use super::{
    Api, answer,
    etag::{Expected, changed_meanwhile, tagged, tagged_change},
};
use crate::{
    clock,
    drills::HOLD_SECONDS_MAX,
    groups::Group,
    schedules::{PointChoice, Schedule, cadence::Cadence},
    target::LaunchSettings,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use bcdr_format::GroupId;
use bcdr_http::{ApiJson, ApiPath, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The greatest age of a point that a schedule can name, in seconds: ten years.
pub(super) const AGE_SECONDS_MAX: u64 = 3653 * 86_400;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new().routes(routes!(show, set, remove))
}

/// When a group is drilled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrillSchedule)]
struct ScheduleBody {
    /// The group.
    group: String,
    /// The name of the group.
    group_name: String,
    /// Seconds from one drill to the next.
    every_seconds: u64,
    /// The time of the day, `HH:MM:SS`; null when none was set.
    #[schema(value_type = Option<String>)]
    at: Option<jiff::civil::Time>,
    /// The time zone of that.
    zone: String,
    /// Which point is booted.
    point: PointChoice,
    /// Seconds for which the machine is held after its last rung.
    hold_seconds: u32,
    /// How the machine looks; null for the defaults.
    launch_settings: Option<LaunchSettings>,
    /// When this was set.
    #[schema(value_type = String, format = DateTime)]
    set_at: jiff::Timestamp,
    /// When the next drill is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<jiff::Timestamp>,
    /// The last drill it started.
    last_drill: Option<String>,
    /// Why the last start failed; null since one succeeded.
    trouble: Option<String>,
    /// Since when a drill that passed is missing; null while it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    overdue_since: Option<jiff::Timestamp>,
}

impl ScheduleBody {
    fn read(service: &Api, group: &Group, schedule: Schedule) -> Self {
        let now = clock::wall();
        let passed = service.drills.axis(group.id()).last_passed;
        let overdue = service.schedules.overdue_since(group.id(), passed, now);
        let next = service.schedules.next(group.id(), now);
        Self {
            group: group.id().to_string(),
            group_name: group.record().name.clone(),
            every_seconds: schedule.cadence.every_seconds(),
            at: schedule.cadence.at(),
            zone: schedule.cadence.zone().to_owned(),
            point: schedule.point,
            hold_seconds: schedule.hold_seconds,
            launch_settings: schedule.settings,
            set_at: clock::readable(schedule.set_at),
            next_at: next.map(clock::readable),
            last_drill: schedule.last_drill.map(|id| id.to_string()),
            trouble: schedule.trouble,
            overdue_since: overdue.map(clock::readable),
        }
    }
}

fn found(service: &Api, group: &Group) -> Result<Schedule, Problem> {
    service.schedules.get(group.id()).ok_or_else(|| {
        let name = &group.record().name;
        Problem::new(
            StatusCode::NOT_FOUND,
            "drill_schedule_not_found",
            "Not found",
            format!("group {name} has no drill schedule"),
        )
        .remedy("set one")
    })
}

/// The version of a schedule: no two are set at one instant, and what it did since is none of it.
pub(super) fn version(schedule: &Schedule) -> i64 {
    schedule.set_at.0
}

fn is_admitted(expected: &Expected, schedule: Option<&Schedule>) -> bool {
    let version = schedule.map(version);
    expected.admits(
        version
            .as_ref()
            .map(|version| version as &dyn std::fmt::Display),
    )
}

fn not_as_read(group: &Group) -> Problem {
    let name = &group.record().name;
    changed_meanwhile(format_args!("the drill schedule of group {name}"))
}

/// Shows when a group is drilled.
#[utoipa::path(
    get, path = "/groups/{group}/drill-schedule", tag = "drills", operation_id = "show_drill_schedule",
    params(
        ("group" = String, Path, description = "The group's id or name"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of an answer that is known"),
    ),
    responses(
        (status = 200, body = ScheduleBody, headers(("ETag" = String))),
        (status = 304, description = "It is the answer that is known"),
        (status = 404, description = "There is no such group, or it has no schedule", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let schedule = found(&service, &group)?;
    let version = version(&schedule);
    let body = ScheduleBody::read(&service, &group, schedule);
    tagged(&headers, version, &body)
}

/// A schedule to be set.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSchedule {
    /// Seconds from one drill to the next: an hour to 731 days.
    pub(super) every_seconds: u64,
    /// The time of the day, `HH:MM`; goes with whole days only.
    #[schema(value_type = Option<String>)]
    pub(super) at: Option<jiff::civil::Time>,
    /// The time zone of that, such as `Asia/Shanghai`; UTC by default.
    pub(super) zone: Option<String>,
    /// Which point is booted; the latest by default.
    pub(super) point: Option<PointChoice>,
    /// Seconds for which the machine is held after its last rung; 0 by default, a day at most.
    pub(super) hold_seconds: Option<u32>,
    /// How the machine looks and how it is judged; every part has a default.
    pub(super) launch_settings: Option<LaunchSettings>,
}

/// Sets when a group is drilled, in place of what was set before. The first drill is due one cadence
/// from now, or at the next time of the day.
#[utoipa::path(
    put, path = "/groups/{group}/drill-schedule", tag = "drills", operation_id = "set_drill_schedule",
    params(
        ("group" = String, Path, description = "The group's id or name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the schedule as it was read"),
        ("If-None-Match" = Option<String>, Header, description = "* for a group that must have none yet"),
    ),
    request_body = NewSchedule,
    responses(
        (status = 200, body = ScheduleBody, headers(("ETag" = String))),
        (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It was changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn set(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewSchedule>,
) -> Result<Response, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let expected = Expected::read(&headers)?;
    let schedule = put(&service, &group, wanted, expected).await?;
    let version = version(&schedule);
    let body = ScheduleBody::read(&service, &group, schedule);
    tagged_change(version, &body)
}

/// Sets when a group is drilled.
pub(super) async fn put(
    service: &Api,
    group: &Group,
    wanted: NewSchedule,
    expected: Expected,
) -> Result<Schedule, Problem> {
    let schedule = read(group.id(), wanted)?;
    let set = schedule.clone();
    let is_as_expected = move |found: Option<&Schedule>| is_admitted(&expected, found);
    let was = service.schedules.set(set, is_as_expected).await;
    if was.map_err(answer::catalog)? {
        Ok(schedule)
    } else {
        Err(not_as_read(group))
    }
}

/// Judges a schedule to be set; what it is then.
pub(super) fn read(group: GroupId, wanted: NewSchedule) -> Result<Schedule, Problem> {
    let now = clock::wall();
    let zone = wanted.zone.as_deref().unwrap_or("UTC");
    let cadence = Cadence::new(wanted.every_seconds, wanted.at, zone, now)
        .map_err(|error| Problem::invalid(error.to_string()).field(error.field()))?;
    let hold_seconds = wanted.hold_seconds.unwrap_or(0);
    if hold_seconds > HOLD_SECONDS_MAX {
        let detail = format!("hold_seconds is {hold_seconds}, and at most {HOLD_SECONDS_MAX}");
        return Err(Problem::invalid(detail).field("hold_seconds"));
    }
    let point = wanted.point.unwrap_or(PointChoice::Latest);
    if let PointChoice::Age { seconds } = point
        && seconds > AGE_SECONDS_MAX
    {
        let detail = format!("a point's age of {seconds} s is more than {AGE_SECONDS_MAX} s");
        return Err(Problem::invalid(detail).field("point"));
    }
    if let Some(settings) = &wanted.launch_settings {
        settings
            .check()
            .map_err(|error| Problem::invalid(error.to_string()).field("launch_settings"))?;
    }
    Ok(Schedule {
        group,
        cadence,
        point,
        hold_seconds,
        settings: wanted.launch_settings,
        set_at: now,
        decided: now,
        last_drill: None,
        trouble: None,
    })
}

/// Removes a group's schedule: no drill starts by itself any more. A drill that runs goes on.
#[utoipa::path(
    delete, path = "/groups/{group}/drill-schedule", tag = "drills", operation_id = "remove_drill_schedule",
    params(
        ("group" = String, Path, description = "The group's id or name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the schedule as it was read"),
    ),
    responses(
        (status = 204, description = "It is removed"),
        (status = 412, description = "It was changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such group, or it has no schedule", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn remove(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    take_away(&service, &group, Expected::read(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a group's schedule.
pub(super) async fn take_away(
    service: &Api,
    group: &Group,
    expected: Expected,
) -> Result<(), Problem> {
    let is_as_expected = move |found: &Schedule| is_admitted(&expected, Some(found));
    let removed = service.schedules.remove(group.id(), is_as_expected).await;
    if removed.map_err(answer::catalog)? {
        return Ok(());
    }
    found(service, group)?;
    Err(not_as_read(group))
}
