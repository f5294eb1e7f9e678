//! `/groups/{group}/points/{point}/readiness`.

use super::{Api, answer, jobs::JobBody};
use crate::{
    clock,
    idempotency::Attempt,
    points::Instant,
    readiness::{InspectedMachine, InspectionRecord, Inspections, StartInspectionError},
    receive::PointId,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use bcdr_format::GroupId;
use bcdr_http::{ApiJson, ApiPath, Problem};
use bcdr_readiness::{DiskBus, Firmware, Readiness, ReadinessReport, TargetMachine};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// More cards than this no target has.
pub(super) const NETWORK_CARDS_MAX: u32 = 8;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new().routes(routes!(show, check))
}

/// The readiness axis of a group: whether its newest inspected point would boot.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadinessAxis {
    /// What the newest inspection said; unknown before the first, and when the launch settings
    /// changed since.
    state: Readiness,
    /// Why it is unknown although a point was inspected; null otherwise.
    reason: Option<String>,
    /// The point that was inspected.
    point: Option<String>,
    /// Whether that is the newest point still; null before the first inspection.
    is_newest_point: Option<bool>,
    /// The machine that it was inspected for.
    target: Option<TargetMachine>,
    /// The order of that machine's disks, as launch settings give it.
    disk_order: Vec<String>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    checked_at: Option<jiff::Timestamp>,
}

impl ReadinessAxis {
    /// `latest` is the group's newest point.
    pub(super) fn of(inspections: &Inspections, group: GroupId, latest: Option<PointId>) -> Self {
        let newest = inspections.newest(group);
        let outdated = inspections.outdated(group);
        let said = newest.as_ref().map(|newest| newest.readiness);
        Self {
            state: said
                .filter(|_| outdated.is_none())
                .unwrap_or(Readiness::Unknown),
            reason: outdated.map(|parts| {
                format!("the launch settings changed since ({parts}); it is inspected anew soon")
            }),
            point: newest.as_ref().map(|newest| newest.point.to_string()),
            is_newest_point: newest.as_ref().map(|newest| Some(newest.point) == latest),
            target: newest.as_ref().map(|newest| newest.target),
            disk_order: newest
                .as_ref()
                .map(|newest| newest.disk_order.clone())
                .unwrap_or_default(),
            checked_at: newest.map(|newest| clock::readable(newest.checked_at)),
        }
    }
}

/// Whether a point would boot, said from its disks without booting them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PointReadiness)]
struct PointReadinessBody {
    /// The group.
    group: String,
    /// The point.
    point: String,
    /// When it was inspected.
    #[schema(value_type = String, format = DateTime)]
    checked_at: jiff::Timestamp,
    /// The order of the machine's disks, as launch settings give it; empty for the declared one.
    disk_order: Vec<String>,
    /// What was found.
    report: ReadinessReport,
}

impl PointReadinessBody {
    fn of(record: InspectionRecord) -> Self {
        Self {
            group: record.group.to_string(),
            point: record.point.to_string(),
            checked_at: clock::readable(record.checked_at),
            disk_order: record.disk_order,
            report: record.report,
        }
    }
}

/// Shows what the last inspection of a point said.
#[utoipa::path(
    get, path = "/groups/{group}/points/{point}/readiness", tag = "points", operation_id = "show_point_readiness",
    params(
        ("group" = String, Path, description = "The group's id or name"),
        ("point" = String, Path, description = "The point's id or label, an RFC 3339 time for the newest point at or before it, or latest"),
    ),
    responses(
        (status = 200, body = PointReadinessBody),
        (status = 404, description = "There is no such point, or it was not inspected", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath((name, instant)): ApiPath<(String, String)>,
) -> Result<ApiJson<PointReadinessBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let row = answer::point(&service, &group, Instant::read(&instant)).await?;
    let found = service.inspections.get(group.id(), row.point_id()).await;
    let record = found.map_err(answer::catalog)?.ok_or_else(|| {
        let newest = service.inspections.newest(group.id());
        let remedy = match newest {
            Some(newest) => format!(
                "ask for an inspection (POST), or look at point {}, which was inspected last",
                newest.point
            ),
            None => "ask for an inspection (POST)".to_owned(),
        };
        Problem::not_found("inspection", format!("of point {}", row.point_id())).remedy(remedy)
    })?;
    Ok(ApiJson(PointReadinessBody::of(record)))
}

/// For which machine a point is inspected. What is not said is as in the launch settings of the group's
/// drill schedule; without those as the last time, and at first a BIOS machine with virtio disks and one
/// network card.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct NewInspection {
    /// Its firmware.
    firmware: Option<Firmware>,
    /// How its disks are attached.
    disk_bus: Option<DiskBus>,
    /// How many network cards it has; at most 8.
    network_cards: Option<u32>,
}

/// Inspects a point now.
#[utoipa::path(
    post, path = "/groups/{group}/points/{point}/readiness", tag = "points", operation_id = "check_point_readiness",
    params(
        ("group" = String, Path, description = "The group's id or name"),
        ("point" = String, Path, description = "The point's id or label, an RFC 3339 time for the newest point at or before it, or latest"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request gets the same job, for a day"),
    ),
    request_body = NewInspection,
    responses(
        (status = 202, description = "Asked for; Location names the job", body = JobBody),
        (status = 409, description = "A point of the group is being inspected", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn check(
    State(service): Api,
    ApiPath((name, instant)): ApiPath<(String, String)>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewInspection>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], ApiJson<JobBody>), Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let usual = service.inspections.usual_machine(group.id());
    let target = TargetMachine {
        firmware: wanted.firmware.unwrap_or(usual.target.firmware),
        disk_bus: wanted.disk_bus.unwrap_or(usual.target.disk_bus),
        network_cards: wanted.network_cards.unwrap_or(usual.target.network_cards),
    };
    let machine = InspectedMachine {
        target,
        disk_order: usual.disk_order,
    };
    if target.network_cards > NETWORK_CARDS_MAX {
        let detail = format!(
            "network_cards is {}, and at most {NETWORK_CARDS_MAX}",
            target.network_cards
        );
        return Err(Problem::invalid(detail).field("network_cards"));
    }
    let key = answer::idempotency_key(&headers)?;
    let route = format!("groups/{}/points/{instant}/readiness", group.id());
    let attempt = service.idempotency.begin(&route, key.as_deref(), &wanted);
    let job = match attempt.await.map_err(answer::idempotency)? {
        Attempt::Repeated(job) => {
            let known = service.jobs.get(job).await.map_err(answer::catalog)?;
            known.ok_or_else(|| Problem::not_found("job", job))?
        }
        Attempt::First(first) => {
            let row = answer::point(&service, &group, Instant::read(&instant)).await?;
            let started = service.inspections.start(&group, &row, machine, first);
            started.await.map_err(not_started)?
        }
    };
    let location = answer::location(format_args!("jobs/{}", job.id));
    let body = JobBody::read(&service, job).await?;
    Ok((StatusCode::ACCEPTED, location, ApiJson(body)))
}

fn not_started(error: StartInspectionError) -> Problem {
    let detail = error.to_string();
    match error {
        StartInspectionError::Running { .. } => Problem::conflict("readiness_running", detail)
            .remedy("wait for its end, then ask again"),
        StartInspectionError::Catalog(error) => answer::catalog(error),
        StartInspectionError::Random(error) => answer::no_randomness(error),
    }
}
