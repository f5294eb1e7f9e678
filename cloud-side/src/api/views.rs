//! `/views`.

use super::{
    Api, answer, branches,
    page::{Page, Wanted},
    points::PointBody,
};
use crate::{
    clock,
    points::Instant,
    record_id::ViewId,
    views::{LEASE_DEFAULT, LEASE_MAX, OpenView, OpenViewError},
};
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode},
};
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, open))
        .routes(routes!(show, close))
}

/// A view: the readable image of a group's volumes at a point.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = View)]
pub(crate) struct ViewBody {
    /// Its id.
    #[schema(value_type = String)]
    id: ViewId,
    /// Its group.
    group: String,
    /// The name of its group.
    group_name: String,
    /// The branch whose history it shows; null when that is the group's own.
    branch: Option<String>,
    /// The point it shows.
    point: PointBody,
    /// Its volumes, in the order of the machine's disks.
    volumes: Vec<ViewVolumeBody>,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    opened_at: jiff::Timestamp,
    /// When it is closed by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    lease_expires: Option<jiff::Timestamp>,
    /// Whether it is being served.
    state: ViewState,
    /// Why it is not, or why a reader of it got an error.
    reason: Option<String>,
    /// The drill that it is for.
    drill: Option<String>,
    /// What may be done with it now, and why not.
    allowed_actions: Vec<Action>,
}

/// A volume of a view.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ViewVolume)]
struct ViewVolumeBody {
    /// Its id.
    id: String,
    /// Its name, which is the name of its export too.
    name: String,
    /// Its size in bytes.
    size_bytes: u64,
    /// Where it is served, on this host: `nbd+unix:///NAME?socket=PATH`.
    nbd: String,
}

/// Whether a view is being served.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ViewState {
    /// It is.
    Open,
    /// It cannot be.
    Failed,
}

impl ViewBody {
    async fn read(service: &Api, view: OpenView) -> Result<Self, Problem> {
        let lineage = view.record.lineage;
        let gone = || Problem::not_found("group", lineage.group);
        let group = service.groups.get(lineage.group).ok_or_else(gone)?;
        let (catalog, point) = (Arc::clone(&service.catalog), view.record.point);
        let found = crate::offload::offload(move || {
            let row = catalog.point_by_id(lineage, point)?;
            row.map(|row| PointBody::read_in(&catalog, lineage, row))
                .transpose()
        });
        let found = found.await.map_err(answer::catalog)?;
        let point = found.ok_or_else(|| Problem::not_found("point", view.record.point))?;
        let branch = service.branches.of_lineage(lineage);
        let drill = service.drills.of_view(group.id(), view.id).await;
        let drill = drill.map_err(answer::catalog)?.map(|id| id.to_string());
        Ok(Self {
            id: view.id,
            group: group.id().to_string(),
            group_name: group.record().name.clone(),
            branch: branch.map(|known| known.record.id.to_string()),
            point,
            volumes: view
                .volumes
                .into_iter()
                .map(|volume| ViewVolumeBody {
                    id: volume.member.id.to_string(),
                    name: volume.name,
                    size_bytes: volume.member.size_bytes,
                    nbd: volume.uri,
                })
                .collect(),
            opened_at: clock::readable(view.record.opened_at),
            lease_expires: view.record.lease_until.map(clock::readable),
            state: if view.failure.is_none() {
                ViewState::Open
            } else {
                ViewState::Failed
            },
            reason: view.failure.or_else(|| view.unreadable.get().cloned()),
            allowed_actions: vec![match in_use(view.id, drill.as_deref()) {
                Some(reason) => Action::refused("close", reason, STOP_DRILL),
                None => Action::allowed("close"),
            }],
            drill,
        })
    }
}

const STOP_DRILL: &str = "stop the drill";

/// Why a view cannot be closed; none when it can.
fn in_use(view: ViewId, drill: Option<&str>) -> Option<String> {
    drill.map(|drill| format!("view {view} is what drill {drill} boots from"))
}

/// Which views.
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

/// Lists open views, oldest first.
#[utoipa::path(
    get, path = "/views", tag = "views", operation_id = "list_views", params(ListQuery),
    responses(
        (status = 200, body = Page<ViewBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<ViewBody>>, Problem> {
    let service = State(service);
    let group = answer::group_filter(&service, query.group.as_deref())?;
    let wanted = Wanted::<ViewId>::read(query.limit, query.cursor.as_deref())?;
    let mut bodies = Vec::new();
    for view in service.views.all() {
        let listed = wanted.after.is_none_or(|after| view.id > after)
            && group
                .as_ref()
                .is_none_or(|group| view.record.lineage.group == group.id());
        if listed && bodies.len() < wanted.fetch() {
            bodies.push(ViewBody::read(&service, view).await?);
        }
    }
    Ok(ApiJson(wanted.page(bodies, |view| view.id.to_string())))
}

/// A view to be opened.
#[derive(Debug, Deserialize, ToSchema)]
struct NewView {
    /// The group, by id or name.
    group: String,
    /// The point: its id or label, an RFC 3339 time for the newest point at or before it, or
    /// `latest`.
    at: String,
    /// A branch of the group, by id: its own history is meant then, and not the group's.
    branch: Option<String>,
    /// Seconds until the view is closed by itself; a day by default, 30 days at most.
    lease_seconds: Option<u64>,
}

/// Opens a view of a point. It stays at its address, also over a restart, until it is closed or its
/// lease is over.
#[utoipa::path(
    post, path = "/views", tag = "views", operation_id = "open_view", request_body = NewView,
    responses(
        (status = 201, description = "Open; Location names it", body = ViewBody),
        (status = 404, description = "There is no such group or point", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn open(
    State(service): Api,
    ApiJson(wanted): ApiJson<NewView>,
) -> Result<
    (
        StatusCode,
        [(HeaderName, HeaderValue); 1],
        ApiJson<ViewBody>,
    ),
    Problem,
> {
    let service = State(service);
    let lease = wanted
        .lease_seconds
        .map_or(LEASE_DEFAULT, Duration::from_secs);
    if lease.is_zero() || lease > LEASE_MAX {
        let detail = format!("a lease has 1 to {} seconds", LEASE_MAX.as_secs());
        return Err(Problem::invalid(detail).field("lease_seconds"));
    }
    let group = answer::group(&service, &wanted.group)?;
    let instant = Instant::read(&wanted.at);
    let (lineage, row) = match &wanted.branch {
        None => (
            group.lineage(),
            answer::point(&service, &group, instant).await?,
        ),
        Some(branch) => {
            let branch = branches::find(&service, branch)?.record;
            if branch.group() != group.id() {
                let detail = format!("branch {} is not one of this group's", branch.id);
                return Err(Problem::invalid(detail).field("branch"));
            }
            (
                branch.lineage,
                branches::point(&service, &branch, instant).await?,
            )
        }
    };
    let view = service
        .views
        .open(&group, lineage, &row, Some(lease))
        .await
        .map_err(not_opened)?;
    let location = answer::location(format_args!("views/{}", view.id));
    let body = ViewBody::read(&service, view).await?;
    Ok((StatusCode::CREATED, location, ApiJson(body)))
}

fn not_opened(error: OpenViewError) -> Problem {
    let detail = error.to_string();
    match error {
        OpenViewError::NoStore { .. } => Problem::unavailable("store_not_ready", detail)
            .remedy("look at the group's replication and the service's log"),
        OpenViewError::NoBranch { .. } => Problem::conflict("branch_unusable", detail)
            .remedy("look at the branch and the service's log"),
        OpenViewError::TooMany => {
            Problem::conflict("too_many_views", detail).remedy("close views that are not needed")
        }
        OpenViewError::Catalog(error) => answer::catalog(error),
        OpenViewError::Random(error) => answer::no_randomness(error),
        other => Problem::internal("opening a view", &other),
    }
}

pub(super) fn find(service: &Api, id: &str) -> Result<OpenView, Problem> {
    let view = id.parse().ok().and_then(|id| service.views.get(id));
    view.ok_or_else(|| Problem::not_found("view", format!("{id:?}")))
}

/// Shows a view.
#[utoipa::path(
    get, path = "/views/{id}", tag = "views", operation_id = "show_view",
    params(("id" = String, Path, description = "The view's id")),
    responses(
        (status = 200, body = ViewBody),
        (status = 404, description = "There is no such view", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<ViewBody>, Problem> {
    let service = State(service);
    let view = find(&service, &id)?;
    Ok(ApiJson(ViewBody::read(&service, view).await?))
}

/// Closes a view. Its readers are disconnected.
#[utoipa::path(
    delete, path = "/views/{id}", tag = "views", operation_id = "close_view",
    params(("id" = String, Path, description = "The view's id")),
    responses(
        (status = 204, description = "Closed"),
        (status = 404, description = "There is no such view", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn close(State(service): Api, ApiPath(id): ApiPath<String>) -> Result<StatusCode, Problem> {
    let service = State(service);
    let view = find(&service, &id)?;
    let body = ViewBody::read(&service, view.clone()).await?;
    if let Some(detail) = in_use(view.id, body.drill.as_deref()) {
        return Err(Problem::conflict("view_in_use", detail).remedy(STOP_DRILL));
    }
    service
        .views
        .close(view.id)
        .await
        .map_err(answer::catalog)?;
    Ok(StatusCode::NO_CONTENT)
}
