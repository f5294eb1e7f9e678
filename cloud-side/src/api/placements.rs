//! `/groups/{group}/placement`: which site a group's production belongs to.

use super::{Api, answer, points::PointBody};
use crate::{
    clock,
    groups::Group,
    placements::PlacementError,
    points::Instant,
    recovery::{
        AllowedAction, CommitPolicy, Event, Failure, LossWindow, Placement, PlacementJob,
        PlacementState, Refused, Site, SplitReason, Stage, Step, StepOutcome, StepRecord,
        Surroundings, Verb, allowed_actions,
    },
};
use axum::{extract::State, http::StatusCode};
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Problem};
use bcdr_wire::order::{Duty, Serving};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(preview))
        .routes(routes!(keep_source))
        .routes(routes!(keep_target))
        .routes(routes!(retry))
}

/// Which site a group's production belongs to, and what is being done about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Placement)]
pub(crate) struct PlacementBody {
    /// The group.
    group: String,
    /// Where production is.
    state: PlacementState,
    /// The site that has authority over the data.
    authority: Site,
    /// The generation under which it has it.
    generation: u64,
    /// The failover, failback or restore that is on its way.
    job: Option<PlacementJobBody>,
    /// Production at the target, after a committed failover.
    target: Option<TargetSideBody>,
    /// The suspected split brain.
    split_brain: Option<SplitBrainBody>,
    /// What the source is told to do.
    source_order: SourceOrderBody,
    /// Where the source stands; null while nothing is heard of it.
    source: Option<SourceStandingBody>,
    /// What may be done now, and why not.
    allowed_actions: Vec<Action>,
}

/// A failover, failback or restore that is on its way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlacementJob)]
struct PlacementJobBody {
    /// Its kind.
    kind: PlacementJobKind,
    /// Its id.
    id: String,
    /// The step it is in.
    step: Step,
    /// What it does there.
    stage: Stage,
    /// What went wrong last.
    failure: Option<Failure>,
}

/// The kinds of jobs that change a placement.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PlacementJobKind {
    /// To the target.
    Failover,
    /// Home.
    Failback,
    /// The source's own disks to an earlier point.
    Restore,
}

/// Production at the target.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TargetSide)]
struct TargetSideBody {
    /// The failover that brought it there.
    failover: String,
    /// The point at which it parted from the source.
    point: String,
    /// The branch it runs on.
    branch: String,
    /// The instance it runs in.
    instance: String,
}

/// Two sites may be taking writes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SplitBrain)]
struct SplitBrainBody {
    /// Why it is suspected.
    reason: SplitReason,
    /// The generation that the source knows.
    source_generation: u64,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: jiff::Timestamp,
    /// What an operator decided about it, while that is carried out.
    keeping: Option<KeepingBody>,
}

/// A decision about a suspected split brain that is being carried out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Keeping)]
struct KeepingBody {
    /// The site whose data is kept.
    site: Site,
    /// The step it is in.
    step: Step,
    /// What it does there.
    stage: Stage,
    /// What went wrong last.
    failure: Option<Failure>,
}

/// What a source is told to do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SourceOrder)]
struct SourceOrderBody {
    /// The generation of the order.
    generation: u64,
    /// The duty.
    duty: SourceDuty,
}

/// The duties of a source.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SourceDuty {
    /// Serve, and feed what is written.
    Serve,
    /// Feed nothing; whoever starts serves read-only.
    StandBy,
    /// Take no more writes, and feed until nothing is left.
    Quiesce,
    /// Take no writes and feed nothing.
    Hold,
}

impl SourceDuty {
    fn of(duty: &Duty) -> Self {
        match duty {
            Duty::Serve => Self::Serve,
            Duty::StandBy => Self::StandBy,
            Duty::Quiesce => Self::Quiesce,
            Duty::Hold { .. } => Self::Hold,
        }
    }
}

/// Where a source stands, as it reported last.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SourceStanding)]
pub(super) struct SourceStandingBody {
    /// The highest generation it knows.
    generation: u64,
    /// Whether it serves its volumes.
    serving: SourceServing,
}

/// Whether a source serves its volumes.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SourceServing {
    /// It takes writes.
    Writable,
    /// Reads only.
    ReadOnly,
    /// Not at all.
    No,
}

impl SourceStandingBody {
    /// What the group's link shows; none while nothing is heard of the source.
    pub(super) fn of(group: &Group) -> Option<Self> {
        let link = group.link.borrow();
        let standing = &link.capture.as_ref()?.report.as_ref()?.standing;
        Some(Self {
            generation: standing.generation.0,
            serving: match standing.serving {
                Serving::Writable => SourceServing::Writable,
                Serving::ReadOnly => SourceServing::ReadOnly,
                Serving::No => SourceServing::No,
            },
        })
    }
}

/// One step of a failover, failback or restore.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlacementStep)]
pub(super) struct StepBody {
    /// The step.
    step: Step,
    /// How many times it was begun.
    attempts: u32,
    /// When it first began.
    #[schema(value_type = String, format = DateTime)]
    began_at: jiff::Timestamp,
    /// When it ended; null while it is on its way.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<jiff::Timestamp>,
    /// Seconds between the two.
    seconds: Option<f64>,
    /// How it ended.
    outcome: Option<StepOutcome>,
}

impl StepBody {
    pub(super) fn of(record: &StepRecord) -> Self {
        let microseconds = record
            .ended_at
            .map(|end| end.0.saturating_sub(record.began_at.0).max(0));
        Self {
            step: record.step,
            attempts: record.attempts,
            began_at: clock::readable(record.began_at),
            ended_at: record.ended_at.map(clock::readable),
            seconds: microseconds.map(|microseconds| microseconds as f64 / 1e6),
            outcome: record.outcome,
        }
    }
}

/// A group's placement.
pub(super) fn placement(service: &Api, group: &Group) -> Result<Placement, Problem> {
    let found = service.placements.placement(group.id());
    found.ok_or_else(|| {
        Problem::unavailable("not_ready", "the group's placement is being opened")
            .remedy("try again in a moment")
    })
}

/// What may be done with a group's placement now.
pub(super) fn actions(service: &Api, group: &Group, placement: &Placement) -> Vec<Action> {
    let axis = service.drills.axis(group.id());
    let surroundings = Surroundings {
        has_point: group.stored.borrow().published.is_some(),
        drill_cleanup_failed: axis.leftover.is_some(),
    };
    allowed_actions(placement, surroundings)
        .into_iter()
        // Drills have their own word for it, in the group.
        .filter(|action| action.verb != Verb::Drill)
        .map(action)
        .collect()
}

fn action(action: AllowedAction) -> Action {
    let name = match serde_json::to_value(action.verb) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{:?}", action.verb),
    };
    match action.refused {
        None => Action::allowed(name),
        Some(refused) => Action::refused(name, refused.cause, refused.remedy),
    }
}

/// A wish that was not carried out.
pub(super) fn not_done(error: PlacementError) -> Problem {
    match error {
        PlacementError::Refused(Refused {
            code,
            cause,
            remedy,
        }) => Problem::conflict(&code, cause).remedy(remedy),
        PlacementError::Catalog(error) => answer::catalog(error),
        PlacementError::Random(error) => answer::no_randomness(error),
        PlacementError::Stopping => {
            let detail = PlacementError::Stopping.to_string();
            Problem::unavailable("stopping", detail).remedy("try again when it runs")
        }
    }
}

/// Live verbs take the group's name, as somebody typed it.
pub(super) fn check_confirmed(group: &Group, typed: &str) -> Result<(), Problem> {
    let name = &group.record().name;
    let does = format!("changes where production of group {name} runs");
    check_typed(group, typed, &does)
}

/// The same, for a verb that does something else.
pub(super) fn check_typed(group: &Group, typed: &str, does: &str) -> Result<(), Problem> {
    let name = &group.record().name;
    if typed == name {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "not_confirmed",
        "Not confirmed",
        format!("this {does}, and was confirmed with {typed:?}"),
    )
    .field("confirm")
    .remedy(format!(
        "read what it does, then confirm with the group's name, {name}"
    )))
}

/// After how many seconds that may happen.
pub(super) const POLICY_SECONDS: std::ops::RangeInclusive<u32> = 60..=30 * 24 * 3600;

/// What happens when nobody decides, within limits.
pub(super) fn check_policy(policy: CommitPolicy) -> Result<(), Problem> {
    match policy {
        CommitPolicy::AutoCommit { after_seconds }
        | CommitPolicy::AutoRollback { after_seconds }
            if !POLICY_SECONDS.contains(&after_seconds) =>
        {
            let detail = format!(
                "after_seconds is {after_seconds}, and must be between {} and {}",
                POLICY_SECONDS.start(),
                POLICY_SECONDS.end()
            );
            Err(Problem::invalid(detail).field("commit_policy"))
        }
        _ => Ok(()),
    }
}

/// Gives an operator's wish to a group and shows what came of it.
pub(super) async fn wish(
    service: &Api,
    group: &Arc<Group>,
    wish: Event,
) -> Result<ApiJson<PlacementBody>, Problem> {
    let done = service.placements.wish(group.id(), wish).await;
    done.map_err(not_done)?;
    Ok(ApiJson(read(service, group)?))
}

fn read(service: &Api, group: &Group) -> Result<PlacementBody, Problem> {
    let placement = placement(service, group)?;
    let order = group.order.borrow().clone();
    Ok(PlacementBody {
        group: group.id().to_string(),
        state: placement.state(),
        authority: placement.authority().holder(),
        generation: placement.authority().generation().0,
        job: placement.job().map(job_body),
        target: placement.target().map(|side| TargetSideBody {
            failover: side.failover.to_string(),
            point: side.point.to_string(),
            branch: side.branch.0.clone(),
            instance: side.instance.0.clone(),
        }),
        split_brain: placement.split_brain().map(|split| SplitBrainBody {
            reason: split.reason,
            source_generation: split.source_generation.0,
            since: clock::readable(split.since),
            keeping: split.keeping.as_ref().map(|keeping| KeepingBody {
                site: keeping.site,
                step: keeping.progress.step,
                stage: keeping.progress.stage,
                failure: keeping.progress.failure.clone(),
            }),
        }),
        source_order: SourceOrderBody {
            generation: order.generation.0,
            duty: SourceDuty::of(&order.duty),
        },
        source: SourceStandingBody::of(group),
        allowed_actions: actions(service, group, &placement),
    })
}

fn job_body(job: &PlacementJob) -> PlacementJobBody {
    let (kind, id) = match job {
        PlacementJob::Failover(job) => (PlacementJobKind::Failover, job.id.to_string()),
        PlacementJob::Failback(job) => (PlacementJobKind::Failback, job.id.to_string()),
        PlacementJob::Restore(job) => (PlacementJobKind::Restore, job.id.to_string()),
    };
    let progress = job.progress();
    PlacementJobBody {
        kind,
        id,
        step: progress.step,
        stage: progress.stage,
        failure: progress.failure.clone(),
    }
}

/// Shows which site a group's production belongs to.
#[utoipa::path(
    get, path = "/groups/{group}/placement", tag = "placements", operation_id = "show_placement",
    params(("group" = String, Path, description = "The group's id or name")),
    responses(
        (status = 200, body = PlacementBody),
        (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
) -> Result<ApiJson<PlacementBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    Ok(ApiJson(read(&service, &group)?))
}

/// What a failover would boot and lose.
#[derive(Debug, Serialize, ToSchema)]
struct FailoverPreview {
    /// The point that would be booted.
    point: PointBody,
    /// What would be lost by it.
    loss: LossWindow,
    /// The loss in a sentence.
    summary: String,
    /// Where the source stands; null while nothing is heard of it.
    source: Option<SourceStandingBody>,
}

/// Of which failover.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// The instant: a point id, a label, an RFC 3339 time, or latest, the default.
    at: Option<String>,
    /// When production stopped, if it is known.
    #[param(value_type = Option<String>, format = DateTime)]
    interrupted_at: Option<jiff::Timestamp>,
}

/// Shows, without changing anything, what a failover would boot and lose.
#[utoipa::path(
    get, path = "/groups/{group}/failover-preview", tag = "placements", operation_id = "preview_failover",
    params(("group" = String, Path, description = "The group's id or name"), PreviewQuery),
    responses(
        (status = 200, body = FailoverPreview),
        (status = 404, description = "There is no such group or point", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn preview(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<PreviewQuery>,
) -> Result<ApiJson<FailoverPreview>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let instant = Instant::read(query.at.as_deref().unwrap_or("latest"));
    let row = answer::point(&service, &group, instant).await?;
    let loss = loss(&service, &group, &row, query.interrupted_at).await?;
    let point = PointBody::of(&service, &group, row).await?;
    Ok(ApiJson(FailoverPreview {
        point,
        summary: summary(&loss),
        loss,
        source: SourceStandingBody::of(&group),
    }))
}

/// What booting a point would lose.
pub(super) async fn loss(
    service: &Api,
    group: &Group,
    row: &crate::catalog::BatchRow,
    interrupted_at: Option<jiff::Timestamp>,
) -> Result<LossWindow, Problem> {
    let interrupted_at = interrupted_at.map(clock::stored);
    let loss = crate::placements::loss_of(&service.catalog, group, row, interrupted_at).await;
    loss.map_err(answer::catalog)
}

/// A loss in a sentence.
fn summary(loss: &LossWindow) -> String {
    format!("lost would be {}", figures(loss))
}

/// The figures of a loss, in words.
pub(super) fn figures(loss: &LossWindow) -> String {
    loss.in_words()
}

/// The typed confirmation of a live verb.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// The group's name, as somebody typed it.
    pub(super) confirm: String,
}

/// Keeps the source's data: the target ends, and the source may serve. The way out of a suspected
/// split brain, and of a rollback whose proof cannot be had.
#[utoipa::path(
    post, path = "/groups/{group}/placement/actions/keep_source", tag = "placements", operation_id = "keep_source",
    params(("group" = String, Path, description = "The group's id or name")),
    request_body = Confirmation,
    responses(
        (status = 200, body = PlacementBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn keep_source(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<ApiJson<PlacementBody>, Problem> {
    keep(State(service), &name, &confirmation, Site::Source).await
}

/// Keeps the target's data: the source is cut. The way out of a suspected split brain.
#[utoipa::path(
    post, path = "/groups/{group}/placement/actions/keep_target", tag = "placements", operation_id = "keep_target",
    params(("group" = String, Path, description = "The group's id or name")),
    request_body = Confirmation,
    responses(
        (status = 200, body = PlacementBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn keep_target(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<ApiJson<PlacementBody>, Problem> {
    keep(State(service), &name, &confirmation, Site::Target).await
}

/// Tries the blocked step again, be it of a decision about a split brain or of the job on its way.
#[utoipa::path(
    post, path = "/groups/{group}/placement/actions/retry", tag = "placements", operation_id = "retry_placement",
    params(("group" = String, Path, description = "The group's id or name")),
    responses(
        (status = 200, body = PlacementBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retry(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
) -> Result<ApiJson<PlacementBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    wish(&service, &group, Event::Retry).await
}

async fn keep(
    service: Api,
    name: &str,
    confirmation: &Confirmation,
    site: Site,
) -> Result<ApiJson<PlacementBody>, Problem> {
    let group = answer::group(&service, name)?;
    check_confirmed(&group, &confirmation.confirm)?;
    wish(&service, &group, Event::Keep(site)).await
}
