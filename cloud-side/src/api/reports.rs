//! `/reports`, and the runbook of a group.

use super::{
    Api, answer,
    page::{Page, Wanted},
};
use crate::{
    clock,
    reports::{ReportRecord, ReportStage, ReportsError},
};
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bcdr_http::{ApiJson, ApiPath, ApiQuery, Problem};
use bcdr_report::{Language, html};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Most reports of one trend.
pub(super) const TREND_MAX: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(key))
        .routes(routes!(trend))
        .routes(routes!(trend_page))
        .routes(routes!(show))
        .routes(routes!(page))
        .routes(routes!(runbook))
}

/// A report, as lists show it; the report itself is the signed document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub(crate) struct ReportBody {
    /// Its id.
    id: String,
    /// Its number in the installation's chain; the first is 1.
    number: u64,
    /// Its BLAKE3 digest, which the next report holds.
    digest: String,
    /// What it is about: `drill`, `failover`, `failback` or `restore`.
    kind: String,
    /// Whether it is of a failover that was not over: its ladder was climbed, and it could be undone.
    interim: bool,
    /// The id of what it is about.
    subject: String,
    /// The group.
    group: String,
    /// The name of the group when it was made.
    group_name: String,
    /// When the work was asked for.
    #[schema(value_type = String, format = DateTime)]
    requested_at: jiff::Timestamp,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    made_at: jiff::Timestamp,
    /// How the work ended: `passed`, `failed`, `cancelled`, `rolled_back` or `cleanup_failed`.
    result: String,
    /// The recovery time in milliseconds; null when the machine was not usable.
    rto_ms: Option<u64>,
    /// The worst recovery point of its period in milliseconds; null when nobody measured.
    rpo_worst_ms: Option<u64>,
    /// What 95 of 100 parts of the period did not exceed, in milliseconds.
    rpo_p95_ms: Option<u64>,
    /// The level that its indicators were consistent with; null when none.
    level: Option<u8>,
}

impl From<ReportRecord> for ReportBody {
    fn from(record: ReportRecord) -> Self {
        let trend = record.trend;
        Self {
            id: record.id.to_string(),
            number: record.number,
            digest: record.digest.to_string(),
            kind: record.kind.name().to_owned(),
            interim: record.stage == ReportStage::Interim,
            subject: record.subject,
            group: record.group.to_string(),
            group_name: trend.group,
            requested_at: trend.requested_at,
            made_at: clock::readable(record.made_at),
            result: trend.result.name().to_owned(),
            rto_ms: trend.rto_ms,
            rpo_worst_ms: trend.rpo_worst_ms,
            rpo_p95_ms: trend.rpo_p95_ms,
            level: trend.level,
        }
    }
}

/// The key that reports are signed with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportKey {
    /// The Ed25519 public key, in hexadecimal.
    key: String,
    /// The same as PEM.
    pem: String,
    /// The newest report of the chain; null when there is none.
    head: Option<ReportHead>,
}

/// The newest report of the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportHead {
    /// Its number.
    number: u64,
    /// Its BLAKE3 digest.
    digest: String,
}

/// Reports that cannot be made or shown.
fn problem(error: ReportsError) -> Problem {
    match error {
        ReportsError::Catalog(error) => answer::catalog(error),
        ReportsError::Random(error) => answer::no_randomness(error),
        error @ (ReportsError::Key { .. } | ReportsError::KeyMissing { .. }) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "signing_key_unusable",
            "The signing key cannot be used",
            error.to_string(),
        )
        .remedy("restore report-signing.key from a backup of the state directory, and start again"),
        error => Problem::internal("using the reports", &error),
    }
}

/// Which reports.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those of this group, named by id or name.
    group: Option<String>,
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// Lists reports, newest first.
#[utoipa::path(
    get, path = "/reports", tag = "reports", operation_id = "list_reports", params(ListQuery),
    responses(
        (status = 200, body = Page<ReportBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<ReportBody>>, Problem> {
    let service = State(service);
    let group = answer::group_filter(&service, query.group.as_deref())?;
    let wanted = Wanted::<u64>::read(query.limit, query.cursor.as_deref())?;
    let reports = service
        .reports
        .list(group.map(|group| group.id()), wanted.after, wanted.fetch());
    let reports = reports.await.map_err(problem)?;
    let bodies = reports.into_iter().map(ReportBody::from).collect();
    Ok(ApiJson(wanted.page(bodies, |report: &ReportBody| {
        report.number.to_string()
    })))
}

/// Shows the key that reports are signed with, and where their chain ends.
#[utoipa::path(
    get, path = "/reports/key", tag = "reports", operation_id = "show_report_key",
    responses(
        (status = 200, body = ReportKey),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn key(State(service): Api) -> Result<ApiJson<ReportKey>, Problem> {
    let key = service.reports.key().await.map_err(problem)?.public();
    let head = service.reports.head().await.map_err(problem)?;
    Ok(ApiJson(ReportKey {
        key: key.to_string(),
        pem: key.to_pem(),
        head: head.map(|head| ReportHead {
            number: head.number,
            digest: head.digest.to_string(),
        }),
    }))
}

/// Which reports.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TrendQuery {
    /// Only those of this group, named by id or name.
    group: Option<String>,
    /// The newest so many, 1 to 1000; 100 by default.
    limit: Option<u32>,
}

/// Which reports, and in which language.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TrendPageQuery {
    /// Only those of this group, named by id or name.
    group: Option<String>,
    /// The newest so many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// `en` or `zh`.
    lang: Option<String>,
}

async fn trend_of(
    service: &Api,
    group: Option<&str>,
    limit: Option<u32>,
) -> Result<bcdr_report::Trend, Problem> {
    let group = answer::group_filter(service, group)?;
    let limit = limit.unwrap_or(100);
    if !(1..=TREND_MAX).contains(&limit) {
        let detail = format!("limit is {limit}, not 1 to {TREND_MAX}");
        return Err(Problem::invalid(detail).field("limit"));
    }
    let trend = service
        .reports
        .trend(group.map(|group| group.id()), limit as usize);
    trend.await.map_err(problem)
}

fn language(service: &Api, wanted: Option<&str>) -> Result<Language, Problem> {
    match wanted {
        None => Ok(service.reports.config().language),
        Some(text) => text.parse().map_err(|error: bcdr_report::UnknownLanguage| {
            Problem::invalid(error.to_string()).field("lang")
        }),
    }
}

/// A page that may load nothing and run nothing.
fn html(page: String) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
            ),
        ),
    ];
    (headers, page).into_response()
}

/// Shows results, recovery times and recovery points of drills over time, the oldest first.
#[utoipa::path(
    get, path = "/reports/trend", tag = "reports", operation_id = "show_report_trend", params(TrendQuery),
    responses(
        (status = 200, description = "`rows`, one for each drill's report", body = Object),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn trend(
    State(service): Api,
    ApiQuery(query): ApiQuery<TrendQuery>,
) -> Result<ApiJson<bcdr_report::Trend>, Problem> {
    let service = State(service);
    let trend = trend_of(&service, query.group.as_deref(), query.limit).await?;
    Ok(ApiJson(trend))
}

/// Shows the trend as one HTML file.
#[utoipa::path(
    get, path = "/reports/trend/html", tag = "reports", operation_id = "read_report_trend", params(TrendPageQuery),
    responses(
        (status = 200, description = "The page", content_type = "text/html", body = String),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn trend_page(
    State(service): Api,
    ApiQuery(query): ApiQuery<TrendPageQuery>,
) -> Result<Response, Problem> {
    let service = State(service);
    let language = language(&service, query.lang.as_deref())?;
    let trend = trend_of(&service, query.group.as_deref(), query.limit).await?;
    let page = html::trend(&trend, language);
    Ok(html(page.map_err(|error| problem(error.into()))?))
}

pub(super) async fn find(service: &Api, id: &str) -> Result<ReportRecord, Problem> {
    let found = service.reports.get(id).await.map_err(problem)?;
    found.ok_or_else(|| Problem::not_found("report", format!("{id:?}")))
}

/// Shows a signed report, by its id or that of what it is about (then the newest).
#[utoipa::path(
    get, path = "/reports/{id}", tag = "reports", operation_id = "show_report",
    params(("id" = String, Path, description = "The report's id, or its drill's, failover's, failback's or restore's")),
    responses(
        (status = 200, description = "The signed document; docs/format/report.md draws it", body = Object),
        (status = 404, description = "There is no such report", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(State(service): Api, ApiPath(id): ApiPath<String>) -> Result<Response, Problem> {
    let service = State(service);
    let record = find(&service, &id).await?;
    let sealed = service.reports.sealed(&record).await.map_err(problem)?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], sealed.json).into_response())
}

/// In which language.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LanguageQuery {
    /// `en` or `zh`; by default what the configuration says.
    lang: Option<String>,
}

/// Shows a report as one HTML file.
#[utoipa::path(
    get, path = "/reports/{id}/html", tag = "reports", operation_id = "read_report",
    params(("id" = String, Path, description = "As for the report itself"), LanguageQuery),
    responses(
        (status = 200, description = "The page", content_type = "text/html", body = String),
        (status = 404, description = "There is no such report", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn page(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiQuery(query): ApiQuery<LanguageQuery>,
) -> Result<Response, Problem> {
    let service = State(service);
    let language = language(&service, query.lang.as_deref())?;
    let record = find(&service, &id).await?;
    let page = service.reports.page(&record, language).await;
    Ok(html(page.map_err(problem)?))
}

/// Shows what to do to fail a group over, as one HTML file to be kept on paper.
#[utoipa::path(
    get, path = "/groups/{group}/runbook", tag = "reports", operation_id = "read_runbook",
    params(("group" = String, Path, description = "The group's id or name"), LanguageQuery),
    responses(
        (status = 200, description = "The page", content_type = "text/html", body = String),
        (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn runbook(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<LanguageQuery>,
) -> Result<Response, Problem> {
    let service = State(service);
    let language = language(&service, query.lang.as_deref())?;
    let group = answer::group(&service, &name)?;
    let page = service.drills.runbook(&group, language).await;
    Ok(html(page.map_err(problem)?))
}
