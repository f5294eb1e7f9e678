//! `/jobs`.

use super::{
    Api, answer,
    page::{Page, Wanted},
    points::PointBody,
};
use crate::{
    catalog::{Catalog, CatalogError},
    clock,
    groups::Groups,
    jobs::{JobError, JobKind, JobRecord, JobState},
    offload::offload,
    record_id::JobId,
};
use axum::{extract::State, http::HeaderMap};
use bcdr_http::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
}

/// A job: work that outlasts its request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobBody {
    /// Its id.
    #[schema(value_type = String)]
    id: JobId,
    /// What it does.
    kind: JobKind,
    /// How it stands.
    state: JobState,
    /// The group it is about.
    group: String,
    /// What it is about in that group: a label, a drill's id, or a point's.
    subject: String,
    /// What it does at the moment.
    phase: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: jiff::Timestamp,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<jiff::Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<jiff::Timestamp>,
    /// Why it did not succeed.
    error: Option<JobError>,
    /// What came of it; null before its end and when nothing did.
    result: Option<JobResult>,
}

/// What came of a job.
#[derive(Debug, Serialize, ToSchema)]
struct JobResult {
    /// The point it made or inspected.
    point: Option<PointBody>,
    /// Its drill.
    drill: Option<String>,
}

impl JobBody {
    /// The body of a record. Blocks when the job has a point.
    fn of(record: JobRecord, catalog: &Catalog, groups: &Groups) -> Result<Self, CatalogError> {
        let row = match (record.point, groups.get(record.group)) {
            (Some(point), Some(group)) => catalog
                .point_by_id(group.lineage(), point)?
                .map(|row| PointBody::read(catalog, &group, row))
                .transpose()?,
            _ => None,
        };
        let result =
            (record.state.is_final() && (row.is_some() || record.drill.is_some())).then(|| {
                JobResult {
                    point: row,
                    drill: record.drill.map(|id| id.to_string()),
                }
            });
        Ok(Self {
            id: record.id,
            kind: record.kind,
            state: record.state,
            group: record.group.to_string(),
            subject: record.subject,
            phase: record.phase,
            created_at: clock::readable(record.created_at),
            started_at: record.started_at.map(clock::readable),
            finished_at: record.finished_at.map(clock::readable),
            error: record.error,
            result,
        })
    }

    pub(super) async fn read(service: &Api, record: JobRecord) -> Result<Self, Problem> {
        let mut bodies = Self::read_all(service, vec![record]).await?;
        Ok(bodies.remove(0))
    }

    async fn read_all(service: &Api, records: Vec<JobRecord>) -> Result<Vec<Self>, Problem> {
        let (catalog, groups) = (Arc::clone(&service.catalog), Arc::clone(&service.groups));
        offload(move || {
            let body = |record| Self::of(record, &catalog, &groups);
            records.into_iter().map(body).collect::<Result<Vec<_>, _>>()
        })
        .await
        .map_err(answer::catalog)
    }
}

/// Which jobs.
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

/// Lists jobs, newest first.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", operation_id = "list_jobs", params(ListQuery),
    responses(
        (status = 200, body = Page<JobBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<JobBody>>, Problem> {
    let service = State(service);
    let group = answer::group_filter(&service, query.group.as_deref())?;
    let wanted = Wanted::<JobId>::read(query.limit, query.cursor.as_deref())?;
    let jobs = service
        .jobs
        .list(group.map(|group| group.id()), wanted.after, wanted.fetch());
    let records = jobs.await.map_err(answer::catalog)?;
    let bodies = JobBody::read_all(&service, records).await?;
    Ok(ApiJson(wanted.page(bodies, |job| job.id.to_string())))
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ShowQuery {
    /// Answer when the job has ended, or after this many seconds, at most 60. `Prefer: wait=N` does
    /// the same.
    wait_seconds: Option<u64>,
}

/// Shows a job, now or at its end.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs", operation_id = "show_job",
    params(("id" = String, Path, description = "The job's id"), ShowQuery),
    responses(
        (status = 200, body = JobBody),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiQuery(query): ApiQuery<ShowQuery>,
    headers: HeaderMap,
) -> Result<ApiJson<JobBody>, Problem> {
    let service = State(service);
    let unknown = || Problem::not_found("job", format!("{id:?}"));
    let job: JobId = id.parse().map_err(|_| unknown())?;
    let patience = answer::patience(query.wait_seconds, &headers);
    let record = service
        .jobs
        .wait(job, patience)
        .await
        .map_err(answer::catalog)?;
    let record = record.ok_or_else(unknown)?;
    Ok(ApiJson(JobBody::read(&service, record).await?))
}
