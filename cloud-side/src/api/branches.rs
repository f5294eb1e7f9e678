//! `/branches`: what was written beside the group's own history, at the target or left behind at home.

use super::{
    Api, answer,
    page::{Page, Wanted},
    placements::{Confirmation, check_typed},
    points::{self, PointBody},
};
use crate::{
    branch::{BranchId, BranchReason, BranchRecord, BranchState},
    branches::{KnownBranch, RemoveBranchError},
    catalog::BatchRow,
    clock,
    offload::offload,
    points::{Instant, resolve},
    recovery::{Placement, PlacementJob},
};
use axum::{extract::State, http::StatusCode};
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(points_of_branch))
        .routes(routes!(remove))
}

/// A branch: a writable image of a point with a history of its own, or what is kept of one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Branch)]
struct BranchBody {
    /// Its id.
    id: String,
    /// Its group.
    group: String,
    /// The name of its group.
    group_name: String,
    /// What it is for.
    reason: Reason,
    /// The failover, failback or restore that it was made for.
    made_for: Option<String>,
    /// How it stands.
    state: Standing,
    /// Why it cannot be used, or takes no more writes.
    cause: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: jiff::Timestamp,
    /// The group's generation when it was made.
    generation: u64,
    /// The point it began as.
    base_point: String,
    /// The branch it lies above; null when that is the group's own history.
    base_branch: Option<String>,
    /// Its newest durable point; null when it has none that can be read.
    latest_point: Option<PointBody>,
    /// What may be done with it now, and why not.
    allowed_actions: Vec<Action>,
}

/// What a branch is for.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BranchReason)]
enum Reason {
    /// Production runs, or ran, on it at the target.
    Failover,
    /// It keeps what the source wrote beside the history that went on.
    LeftBehind,
    /// Somebody wanted a writable copy of a point.
    Copy,
}

/// How a branch stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BranchState)]
enum Standing {
    /// It can be written to.
    Ready,
    /// It is kept as it is, for good.
    Sealed,
    /// It is being removed.
    Removing,
    /// It is there and cannot be used.
    Unusable,
}

/// A branch that an id names.
pub(super) fn find(service: &Api, id: &str) -> Result<KnownBranch, Problem> {
    let parsed = id.parse::<BranchId>().ok();
    let known = parsed.and_then(|id| service.branches.known_branch(id));
    known.ok_or_else(|| Problem::not_found("branch", format!("{id:?}")))
}

/// The point that an instant means in a branch's own history. Labels are the group's.
pub(super) async fn point(
    service: &Api,
    branch: &BranchRecord,
    instant: Instant,
) -> Result<BatchRow, Problem> {
    if let Instant::Label(label) = &instant {
        let detail = format!("a branch has no labelled points, and {label:?} is a label");
        return Err(Problem::invalid(detail)
            .field("at")
            .remedy("name a time, a point id of the branch or latest"));
    }
    let (catalog, lineage) = (Arc::clone(&service.catalog), branch.lineage);
    let found = offload(move || resolve(&catalog, lineage, &instant)).await;
    found.map_err(answer::catalog)?.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "point_not_found",
            "Not found",
            format!("branch {} has no such point", branch.id),
        )
        .remedy("take latest, or a time after it was made")
    })
}

impl BranchBody {
    async fn read(service: &Api, known: KnownBranch) -> Result<Self, Problem> {
        let KnownBranch { record, branch } = known;
        let (catalog, lineage) = (Arc::clone(&service.catalog), record.lineage);
        let latest_point = offload(move || {
            let row = catalog.latest_point(lineage)?;
            row.map(|row| PointBody::read_in(&catalog, lineage, row))
                .transpose()
        });
        let latest_point = latest_point.await.map_err(answer::catalog)?;
        let group = service.groups.get(record.group());
        let (state, cause) = match (&branch, record.state) {
            (_, BranchState::Removing) => (Standing::Removing, None),
            (Err(reason), _) => (Standing::Unusable, Some(reason.to_string())),
            (Ok(_), BranchState::Sealed) => (Standing::Sealed, None),
            (Ok(branch), BranchState::Ready | BranchState::Making) => {
                let status = branch.status();
                let full = status.no_space.map(|space| space.to_string());
                let cause = status.failure.map(|reason| reason.to_string());
                (Standing::Ready, cause.or(full))
            }
        };
        let base = service.branches.of_lineage(record.base.lineage);
        let unusable = branch.as_ref().err().map(ToString::to_string);
        let allowed_actions = actions(service, &record, unusable, latest_point.is_some());
        Ok(Self {
            id: record.id.to_string(),
            group: record.group().to_string(),
            group_name: group.map_or_else(String::new, |group| group.record().name.clone()),
            reason: match record.reason {
                BranchReason::Failover => Reason::Failover,
                BranchReason::LeftBehind => Reason::LeftBehind,
                BranchReason::Copy => Reason::Copy,
            },
            made_for: record.made_for,
            state,
            cause,
            created_at: clock::readable(record.created_at),
            generation: record.generation.0,
            base_point: record.base.point.to_string(),
            base_branch: base.map(|base| base.record.id.to_string()),
            latest_point,
            allowed_actions,
        })
    }
}

/// What may be done with a branch now.
fn actions(
    service: &Api,
    record: &BranchRecord,
    unusable: Option<String>,
    has_point: bool,
) -> Vec<Action> {
    let open_view = match unusable {
        Some(reason) => Action::refused(
            "open_view",
            format!("the branch cannot be read: {reason}"),
            "look at the branch and the service's log",
        ),
        None if !has_point => Action::refused(
            "open_view",
            "the branch has no durable point yet",
            "wait until something was written to it and flushed",
        ),
        None => Action::allowed("open_view"),
    };
    let remove = match needed_by(service, record) {
        Some((reason, remedy)) => Action::refused("remove", reason, remedy),
        None => Action::allowed("remove"),
    };
    vec![open_view, remove]
}

/// Who needs a branch, so that it cannot be removed, and what is to be done first.
fn needed_by(service: &Api, record: &BranchRecord) -> Option<(String, &'static str)> {
    // A branch that takes writes is what production runs on, or is about to.
    let placement = service.placements.placement(record.group());
    if placement.is_some_and(|placement| needs(&placement, record)) {
        let id = record.id;
        let reason = format!("production, or a failover or failback on its way, needs branch {id}");
        return Some((reason, "finish it first; see the group's placement"));
    }
    let views = service.views.all();
    let mut views = views.iter();
    if let Some(view) = views.find(|view| view.record.lineage == record.lineage) {
        let reason = format!("view {} shows branch {}", view.id, record.id);
        return Some((reason, "close the view first"));
    }
    let all = service.branches.all();
    let above = all
        .iter()
        .find(|other| other.record.base.lineage == record.lineage)?;
    let (branch, above) = (record.id, above.record.id);
    let error = RemoveBranchError::IsBase { branch, above };
    Some((error.to_string(), REMOVE_ABOVE))
}

const REMOVE_ABOVE: &str = "remove the one above it first";

/// Which branches.
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

/// Lists branches, oldest first.
#[utoipa::path(
    get, path = "/branches", tag = "branches", operation_id = "list_branches", params(ListQuery),
    responses(
        (status = 200, body = Page<BranchBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<BranchBody>>, Problem> {
    let service = State(service);
    let group = answer::group_filter(&service, query.group.as_deref())?;
    let wanted = Wanted::<BranchId>::read(query.limit, query.cursor.as_deref())?;
    let mut bodies = Vec::new();
    for known in service.branches.all() {
        let id = known.record.id;
        let is_of = |group: &Arc<crate::groups::Group>| known.record.group() == group.id();
        let listed =
            wanted.after.is_none_or(|after| id > after) && group.as_ref().is_none_or(is_of);
        if listed && bodies.len() < wanted.fetch() {
            bodies.push(BranchBody::read(&service, known).await?);
        }
    }
    Ok(ApiJson(wanted.page(bodies, |branch| branch.id.clone())))
}

/// Shows a branch.
#[utoipa::path(
    get, path = "/branches/{id}", tag = "branches", operation_id = "show_branch",
    params(("id" = String, Path, description = "The branch's id")),
    responses(
        (status = 200, body = BranchBody),
        (status = 404, description = "There is no such branch", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<BranchBody>, Problem> {
    let service = State(service);
    let known = find(&service, &id)?;
    Ok(ApiJson(BranchBody::read(&service, known).await?))
}

/// Lists the points of a branch's own history, newest first. The point it began as is not among them.
#[utoipa::path(
    get, path = "/branches/{id}/points", tag = "branches", operation_id = "list_branch_points",
    params(("id" = String, Path, description = "The branch's id"), points::ListQuery),
    responses(
        (status = 200, body = Page<PointBody>),
        (status = 404, description = "There is no such branch", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn points_of_branch(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiQuery(query): ApiQuery<points::ListQuery>,
) -> Result<ApiJson<Page<PointBody>>, Problem> {
    let service = State(service);
    let lineage = find(&service, &id)?.record.lineage;
    points::list_of(&service, lineage, &query).await
}

/// Removes a branch with its history, for good. Refused while production runs on it, a job needs it, a
/// view shows it or another branch lies above it.
#[utoipa::path(
    post, path = "/branches/{id}/actions/remove", tag = "branches", operation_id = "remove_branch",
    params(("id" = String, Path, description = "The branch's id")),
    request_body = Confirmation,
    responses(
        (status = 204, description = "Nothing of it is left"),
        (status = 404, description = "There is no such branch", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is needed", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn remove(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<StatusCode, Problem> {
    let service = State(service);
    let record = find(&service, &id)?.record;
    let group = answer::group(&service, &record.group().to_string())?;
    check_typed(&group, &confirmation.confirm, "removes a branch for good")?;
    let in_use = |detail: String, remedy: &str| {
        Err(Problem::conflict("branch_in_use", detail).remedy(remedy.to_owned()))
    };
    if let Some((reason, remedy)) = needed_by(&service, &record) {
        return in_use(reason, remedy);
    }
    let branches = Arc::clone(&service.branches);
    let removed = offload(move || branches.remove(record.id)).await;
    match removed {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(error @ RemoveBranchError::IsBase { .. }) => in_use(error.to_string(), REMOVE_ABOVE),
        Err(error) => Err(Problem::internal("removing a branch", &error)),
    }
}

/// Whether a group's production runs on a branch, or the job on its way works with it.
fn needs(placement: &Placement, branch: &BranchRecord) -> bool {
    let name = branch.id.to_string();
    let at_target = placement.target().is_some_and(|side| side.branch.0 == name);
    let made_for = branch.made_for.as_deref();
    let of_job = match placement.job() {
        Some(PlacementJob::Failover(job)) => {
            let is_its = job.branch.as_ref().is_some_and(|branch| branch.0 == name);
            is_its || made_for == Some(job.id.to_string().as_str())
        }
        Some(PlacementJob::Failback(job)) => {
            let of = [
                Some(&job.branch),
                job.left_behind.as_ref(),
                job.home_writes.as_ref(),
            ];
            of.into_iter().flatten().any(|branch| branch.0 == name)
                || made_for.is_some_and(|made_for| made_for.contains(&job.id.to_string()))
        }
        Some(PlacementJob::Restore(_)) | None => false,
    };
    at_target || of_job
}
