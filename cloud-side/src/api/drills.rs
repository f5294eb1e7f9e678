//! `/drills`.

use super::{
    Api, answer,
    page::Page,
    points::PointBody,
    records::{self, Accepted, ListQuery, Shown},
};
use crate::{
    catalog::CatalogError,
    clock,
    drill::{DrillProgress, DrillReport, EvidenceFile},
    drills::{DrillRecord, DrillState, HOLD_SECONDS_MAX, StartDrillError, is_plain_name},
    idempotency::Attempt,
    offload::offload,
    points::Instant,
    record_id::DrillId,
    target::LaunchSettings,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bcdr_disk::{DiskErrorKind, read_whole};
use bcdr_format::GroupId;
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The longest evidence file that is sent, in bytes.
const EVIDENCE_BYTES_MAX: u64 = 256 << 20;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(stop))
        .routes(routes!(evidence))
}

/// A drill: a point booted in isolation, judged, and removed again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drill)]
pub(crate) struct DrillBody {
    /// Its id.
    #[schema(value_type = String)]
    id: DrillId,
    /// Its group.
    group: String,
    /// The name of its group.
    group_name: String,
    /// The point it boots.
    point: PointBody,
    /// How it stands.
    state: DrillState,
    /// Why it did not pass.
    reason: Option<String>,
    /// Its job.
    job: String,
    /// The view it boots from, while it is open.
    view: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    requested_at: jiff::Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<jiff::Timestamp>,
    /// Seconds for which the machine is held after its last rung.
    hold_seconds: u32,
    /// Where it is; null when it does not run.
    progress: Option<DrillProgress>,
    /// Its report; null before its end.
    report: Option<DrillReport>,
    /// The files it kept; `drill.json` and what was made of it (`report.json`, `report.html`,
    /// `runbook.html`) besides.
    evidence: Vec<EvidenceFile>,
    /// What may be done with it now.
    allowed_actions: Vec<Action>,
}

impl Shown for DrillBody {
    const NOUN: &'static str = "drill";
    const ROUTE: &'static str = "drills";
    type Id = DrillId;
    type Record = DrillRecord;

    async fn stored(service: &Api, id: DrillId) -> Result<Option<DrillRecord>, CatalogError> {
        service.drills.get(id).await
    }

    async fn page(
        service: &Api,
        group: Option<GroupId>,
        after: Option<DrillId>,
        limit: usize,
    ) -> Result<Vec<DrillRecord>, CatalogError> {
        service.drills.list(group, after, limit).await
    }

    async fn read(service: &Api, record: DrillRecord) -> Result<Self, Problem> {
        let group = records::group_of(service, record.group)?;
        let row = answer::point(service, &group, Instant::Id(record.point)).await?;
        let point = PointBody::of(service, &group, row).await?;
        let progress = service.drills.progress(record.group, record.id);
        let state = if record.state.is_final() {
            record.state
        } else {
            DrillState::of_progress(progress.as_ref())
        };
        let stop = if state.is_final() {
            Action::refused("stop", "the drill has ended", "start another one")
        } else {
            Action::allowed("stop")
        };
        let evidence = record.report.as_ref().map(|report| report.evidence.clone());
        Ok(Self {
            id: record.id,
            group: group.id().to_string(),
            group_name: group.record().name.clone(),
            point,
            state,
            reason: record.reason,
            job: record.job.to_string(),
            view: record.view.map(|id| id.to_string()),
            requested_at: clock::readable(record.requested_at),
            finished_at: record.finished_at.map(clock::readable),
            hold_seconds: record.hold_seconds,
            progress,
            evidence: evidence.unwrap_or_default(),
            report: record.report,
            allowed_actions: vec![stop],
        })
    }

    fn shown_id(&self) -> String {
        self.id.to_string()
    }
}

/// Lists drills, newest first.
#[utoipa::path(
    get, path = "/drills", tag = "drills", operation_id = "list_drills", params(ListQuery),
    responses(
        (status = 200, body = Page<DrillBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<DrillBody>>, Problem> {
    records::list(State(service), query).await
}

/// A drill to be started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct NewDrill {
    /// The group, by id or name.
    group: String,
    /// The point: its id or label, an RFC 3339 time for the newest point at or before it, or
    /// `latest`.
    at: String,
    /// Seconds for which the machine is held after its last rung; 0 by default, a day at most.
    hold_seconds: Option<u32>,
    /// How the machine looks and how it is judged; every part has a default.
    launch_settings: Option<LaunchSettings>,
}

/// Starts a drill: boots a point in isolation and judges how far it comes.
#[utoipa::path(
    post, path = "/drills", tag = "drills", operation_id = "start_drill",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request gets the same drill, for a day")),
    request_body = NewDrill,
    responses(
        (status = 202, description = "Asked for; Location names its job", body = DrillBody),
        (status = 409, description = "A drill of the group is running", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn start(
    State(service): Api,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewDrill>,
) -> Result<Accepted<DrillBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &wanted.group)?;
    let hold = wanted.hold_seconds.unwrap_or(0);
    if hold > HOLD_SECONDS_MAX {
        let detail = format!("hold_seconds is {hold}, and at most {HOLD_SECONDS_MAX}");
        return Err(Problem::invalid(detail).field("hold_seconds"));
    }
    let attempt = records::attempt::<DrillBody>(&service, &headers, &wanted).await?;
    let job = match attempt {
        Attempt::Repeated(job) => job,
        Attempt::First(first) => {
            let row = answer::point(&service, &group, Instant::read(&wanted.at)).await?;
            let settings = wanted.launch_settings.unwrap_or_default();
            let started = service
                .drills
                .start(&group, &row, settings, hold, first)
                .await;
            let (_, job) = started.map_err(not_started)?;
            job.id
        }
    };
    records::accepted(&service, job).await
}

fn not_started(error: StartDrillError) -> Problem {
    let detail = error.to_string();
    match error {
        StartDrillError::TooMany { .. } => Problem::conflict("too_many_drills", detail).remedy(
            "wait until one ends, or stop one; drills_per_group in the configuration says how many",
        ),
        StartDrillError::Leftover { .. } => Problem::conflict("cleanup_failed", detail)
            .remedy("remove what is named there, then start the drill again"),
        StartDrillError::Settings(error) => {
            Problem::invalid(error.to_string()).field("launch_settings")
        }
        StartDrillError::Catalog(error) => answer::catalog(error),
        StartDrillError::Random(error) => answer::no_randomness(error),
        StartDrillError::Stopping => Problem::unavailable("stopping", detail),
    }
}

/// Shows a drill.
#[utoipa::path(
    get, path = "/drills/{id}", tag = "drills", operation_id = "show_drill",
    params(("id" = String, Path, description = "The drill's id")),
    responses(
        (status = 200, body = DrillBody),
        (status = 404, description = "There is no such drill", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<DrillBody>, Problem> {
    records::show(State(service), &id).await
}

/// Stops a drill. Its clean-up follows at once; the job ends when that is proven.
#[utoipa::path(
    post, path = "/drills/{id}/actions/stop", tag = "drills", operation_id = "stop_drill",
    params(("id" = String, Path, description = "The drill's id")),
    responses(
        (status = 202, description = "Being stopped", body = DrillBody),
        (status = 404, description = "There is no such drill", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has ended", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn stop(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<(StatusCode, ApiJson<DrillBody>), Problem> {
    let service = State(service);
    let record = records::find::<DrillBody>(&service, &id).await?;
    if !service.drills.stop(record.group, record.id) {
        let detail = format!("drill {} has ended", record.id);
        return Err(Problem::conflict("drill_ended", detail).remedy("look at its report"));
    }
    let body = DrillBody::read(&service, record).await?;
    Ok((StatusCode::ACCEPTED, ApiJson(body)))
}

/// Sends a file that a drill kept.
#[utoipa::path(
    get, path = "/drills/{id}/evidence/{file}", tag = "drills", operation_id = "read_evidence",
    params(
        ("id" = String, Path, description = "The drill's id"),
        ("file" = String, Path, description = "The file's name, as the drill lists it, or drill.json, report.json, report.html, runbook.html"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 404, description = "There is no such drill or file", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn evidence(
    State(service): Api,
    ApiPath((id, file)): ApiPath<(String, String)>,
) -> Result<Response, Problem> {
    let service = State(service);
    let record = records::find::<DrillBody>(&service, &id).await?;
    let unknown =
        || Problem::not_found("evidence file", format!("{file:?} of drill {}", record.id));
    if !is_plain_name(&file) {
        return Err(unknown());
    }
    let path = service.drills.evidence_of(record.id).join(&file);
    let storage = service.drills.storage();
    let read = offload(move || read_whole(&*storage, &path, EVIDENCE_BYTES_MAX)).await;
    match read {
        Ok(bytes) => {
            let kind = HeaderValue::from_static(content_type(&file));
            // Evidence is shown, never run.
            let sniff = (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
            let policy = (
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(
                    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
                ),
            );
            Ok(([(header::CONTENT_TYPE, kind), sniff, policy], bytes).into_response())
        }
        Err(error) if error.kind() == DiskErrorKind::NotFound => Err(unknown()),
        Err(error) => Err(Problem::internal("reading an evidence file", &error)),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => "application/json",
        Some("html") => "text/html; charset=utf-8",
        Some("png") => "image/png",
        Some("log" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
