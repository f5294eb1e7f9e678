//! `/groups/{group}/points`.

use super::{
    Api, answer,
    jobs::JobBody,
    page::{Page, Wanted},
};
use crate::{
    catalog::{
        BatchRow, Catalog, CatalogError, MarkerRow, PageOrder, PointPage, ReserveLabelError,
    },
    clock,
    groups::Group,
    idempotency::Attempt,
    offload::offload,
    points::{CreatePointError, Instant, create as create_point},
    receive::{BatchNumber, Lineage},
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use bcdr_format::{Timestamp, record::MarkerKind};
use bcdr_http::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(nearest))
        .routes(routes!(show))
}

/// What a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PointKind {
    /// What the disks held at an instant, as after a power cut.
    CrashConsistent,
    /// Taken while the application was held consistent.
    ApplicationConsistent,
    /// Named by an operator.
    Bookmark,
}

impl PointKind {
    fn of(marker: Option<&MarkerRow>) -> Self {
        match marker.map(|marker| marker.kind) {
            None => Self::CrashConsistent,
            Some(MarkerKind::Application) => Self::ApplicationConsistent,
            Some(MarkerKind::Bookmark) => Self::Bookmark,
        }
    }
}

/// A recovery point: an exact prefix of the source's write history.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Point)]
pub(crate) struct PointBody {
    /// Its id, unique in its group.
    id: String,
    /// Its group.
    group: String,
    /// What it is.
    kind: PointKind,
    /// Its label, unique in its group.
    label: Option<String>,
    /// When its last record was captured.
    #[schema(value_type = String, format = DateTime)]
    time: jiff::Timestamp,
    /// Up to when the source is known not to have written anything more.
    #[schema(value_type = String, format = DateTime)]
    covers_until: jiff::Timestamp,
    /// The position of its last record.
    position: String,
    /// Ranges whose contents nobody knows, because the source could not read them after a failed
    /// write. Reading them is an error.
    unknown_ranges: Vec<UnknownRangeBody>,
    #[serde(skip)]
    #[schema(ignore)]
    number: BatchNumber,
}

/// A range of unknown contents.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = UnknownRange)]
struct UnknownRangeBody {
    /// The volume's id.
    volume: String,
    /// First byte.
    offset: u64,
    /// Bytes.
    length: u64,
}

impl PointBody {
    /// The body of a point's row. Blocks.
    pub(super) fn read(
        catalog: &Catalog,
        group: &Group,
        row: BatchRow,
    ) -> Result<Self, CatalogError> {
        Self::read_in(catalog, group.lineage(), row)
    }

    /// The body of the row of a point in this history, a group's or a branch's. Blocks.
    pub(super) fn read_in(
        catalog: &Catalog,
        lineage: Lineage,
        row: BatchRow,
    ) -> Result<Self, CatalogError> {
        let unknown = catalog.unknown_at(lineage, row.number)?;
        let members = if unknown.is_empty() {
            Vec::new()
        } else {
            catalog.members_at(lineage, row.number)?
        };
        let unknown_ranges = unknown
            .iter()
            .filter_map(|range| {
                let member = members
                    .iter()
                    .find(|member| member.number == range.volume)?;
                Some(UnknownRangeBody {
                    volume: member.id.to_string(),
                    offset: range.offset,
                    length: range.length,
                })
            })
            .collect();
        Ok(Self {
            id: row.point_id().to_string(),
            group: lineage.group.to_string(),
            kind: PointKind::of(row.marker.as_ref()),
            label: row
                .marker
                .map(|marker| marker.label)
                .filter(|label| !label.is_empty()),
            time: clock::readable(row.time),
            covers_until: clock::readable(row.covers_until),
            position: row.end.to_string(),
            unknown_ranges,
            number: row.number,
        })
    }

    /// The body of a point's row, read away from the runtime.
    pub(super) async fn of(
        service: &Api,
        group: &Arc<Group>,
        row: BatchRow,
    ) -> Result<Self, Problem> {
        let (catalog, group) = (Arc::clone(&service.catalog), Arc::clone(group));
        offload(move || Self::read(&catalog, &group, row))
            .await
            .map_err(answer::catalog)
    }
}

/// Which points.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only those of this kind.
    #[param(inline)]
    kind: Option<PointKind>,
    /// Only those whose time is at or after this (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<jiff::Timestamp>,
    /// Only those whose time is at or before this.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<jiff::Timestamp>,
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// Lists the points of a group, newest first.
#[utoipa::path(
    get, path = "/groups/{group}/points", tag = "points", operation_id = "list_points",
    params(("group" = String, Path, description = "The group's id or name"), ListQuery),
    responses(
        (status = 200, body = Page<PointBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<PointBody>>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let lineage = group.lineage();
    list_of(&service, lineage, &query).await
}

/// A page of the points of a history, a group's or a branch's.
pub(super) async fn list_of(
    service: &Api,
    lineage: Lineage,
    query: &ListQuery,
) -> Result<ApiJson<Page<PointBody>>, Problem> {
    let wanted = Wanted::<u64>::read(query.limit, query.cursor.as_deref())?;
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from > to
    {
        let detail = format!("nothing is from {from} on and until {to}");
        return Err(Problem::invalid(detail).field("to"));
    }
    let sought = Sought {
        lineage,
        after: wanted.after.map(BatchNumber),
        limit: wanted.fetch(),
        kind: query.kind,
        from: query.from.map(clock::stored),
        to: query.to.map(clock::stored),
    };
    let catalog = Arc::clone(&service.catalog);
    let points = offload(move || points_of(&catalog, &sought)).await;
    let points = points.map_err(answer::catalog)?;
    Ok(ApiJson(
        wanted.page(points, |point| point.number.to_string()),
    ))
}

/// Which points of a history.
struct Sought {
    lineage: Lineage,
    /// Go on after this one.
    after: Option<BatchNumber>,
    limit: usize,
    kind: Option<PointKind>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// The points that are sought, newest first. Blocks.
fn points_of(catalog: &Catalog, sought: &Sought) -> Result<Vec<PointBody>, CatalogError> {
    let lineage = sought.lineage;
    let mut after = sought.after;
    if let Some(to) = sought.to {
        let Some(newest) = catalog.point_at(lineage, to)? else {
            return Ok(Vec::new());
        };
        // Times never fall in a history, so what follows the newest that early is too late.
        let bound = BatchNumber(newest.number.0.saturating_add(1));
        after = Some(after.map_or(bound, |after| after.min(bound)));
    }
    let mut page = PointPage {
        order: PageOrder::NewestFirst,
        after,
        limit: sought.limit,
        named_only: sought
            .kind
            .is_some_and(|kind| kind != PointKind::CrashConsistent),
    };
    let mut found = Vec::new();
    loop {
        let rows = catalog.points(lineage, &page)?;
        let mut at_end = rows.len() < page.limit;
        page.after = rows.last().map(|row| row.number).or(page.after);
        for row in rows {
            if sought.from.is_some_and(|from| row.time < from) {
                at_end = true;
                break;
            }
            let kind = PointKind::of(row.marker.as_ref());
            let wanted = sought.kind.is_none_or(|wanted| wanted == kind);
            if wanted && found.len() < sought.limit {
                found.push(PointBody::read_in(catalog, lineage, row)?);
            }
        }
        if at_end || found.len() == sought.limit {
            return Ok(found);
        }
    }
}

/// Which instant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct NearestQuery {
    /// The instant, in RFC 3339.
    #[param(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
}

/// Shows the newest point at or before an instant.
#[utoipa::path(
    get, path = "/groups/{group}/points:nearest", tag = "points", operation_id = "nearest_point",
    params(("group" = String, Path, description = "The group's id or name"), NearestQuery),
    responses(
        (status = 200, body = PointBody),
        (status = 404, description = "There is no point that early", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn nearest(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<NearestQuery>,
) -> Result<ApiJson<PointBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let row = answer::point(&service, &group, Instant::At(query.at)).await?;
    Ok(ApiJson(PointBody::of(&service, &group, row).await?))
}

/// Shows a point.
#[utoipa::path(
    get, path = "/groups/{group}/points/{point}", tag = "points", operation_id = "show_point",
    params(
        ("group" = String, Path, description = "The group's id or name"),
        ("point" = String, Path, description = "The point's id or label, an RFC 3339 time for the newest point at or before it, or latest"),
    ),
    responses(
        (status = 200, body = PointBody),
        (status = 404, description = "There is no such point", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath((name, instant)): ApiPath<(String, String)>,
) -> Result<ApiJson<PointBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let row = answer::point(&service, &group, Instant::read(&instant)).await?;
    Ok(ApiJson(PointBody::of(&service, &group, row).await?))
}

/// A bookmark to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct NewPoint {
    /// Its label, unique in the group.
    label: String,
}

/// Makes a bookmark: a marker is placed at the source now, and the job ends when its point is
/// published.
#[utoipa::path(
    post, path = "/groups/{group}/points", tag = "points", operation_id = "create_point",
    params(
        ("group" = String, Path, description = "The group's id or name"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request gets the same job, for a day"),
    ),
    request_body = NewPoint,
    responses(
        (status = 202, description = "Asked for; Location names the job", body = JobBody),
        (status = 409, description = "The label is taken, or no point can be made now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn create(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewPoint>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], ApiJson<JobBody>), Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let key = answer::idempotency_key(&headers)?;
    let route = format!("groups/{}/points", group.id());
    let attempt = service.idempotency.begin(&route, key.as_deref(), &wanted);
    let job = match attempt.await.map_err(answer::idempotency)? {
        Attempt::Repeated(job) => {
            let known = service.jobs.get(job).await.map_err(answer::catalog)?;
            known.ok_or_else(|| Problem::not_found("job", job))?
        }
        Attempt::First(first) => {
            let obstacle =
                group.with_known(&service.clock, false, |known, _, _| known.marker_obstacle());
            let (catalog, jobs) = (&service.catalog, &service.jobs);
            create_point(catalog, jobs, &group, obstacle, wanted.label, first)
                .await
                .map_err(not_created)?
        }
    };
    let location = answer::location(format_args!("jobs/{}", job.id));
    let body = JobBody::read(&service, job).await?;
    Ok((StatusCode::ACCEPTED, location, ApiJson(body)))
}

fn not_created(error: CreatePointError) -> Problem {
    let detail = error.to_string();
    match error {
        CreatePointError::NotConnected { .. } => Problem::conflict("capture_not_connected", detail)
            .remedy("bring capture and gateway up; see the group's replication"),
        CreatePointError::Syncing { .. } => Problem::conflict("sync_in_progress", detail)
            .remedy("wait until the group's replication is continuous"),
        CreatePointError::Label(ReserveLabelError::Taken { .. }) => {
            Problem::conflict("label_taken", detail)
                .remedy("choose another label, or use the point that has it")
        }
        CreatePointError::Label(ReserveLabelError::Invalid { .. }) => {
            Problem::invalid(detail).field("label")
        }
        CreatePointError::Label(ReserveLabelError::Catalog(error))
        | CreatePointError::Catalog(error) => answer::catalog(error),
        CreatePointError::Random(error) => answer::no_randomness(error),
    }
}
