//! `/plan-runs`: plans as they are run, and what operators decide about them.

use super::{
    Api, answer,
    page::{Page, Wanted},
    plans::{ChosenPointBody, ModeName, instant, not_done},
};
use crate::{
    clock,
    idempotency::Attempt,
    plans::{PlanRunRecord, WantedRun, skew},
    record_id::PlanRunId,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Permission, Principal, Problem};
use bcdr_plan::{
    Allowed, Decision, Event, Failure, Kind, Mode, Operator, PointTaken, RunState, Selection, Step,
    StepId, StepRun, StepState,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Most characters of a reason.
pub(super) const REASON_MAX: usize = 2000;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(approve))
        .routes(routes!(retry_step))
        .routes(routes!(skip_step))
        .routes(routes!(cancel))
}

/// How a run stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlanRunState)]
enum StateName {
    /// Something is carried out.
    Running,
    /// Somebody has to release a step.
    AwaitingApproval,
    /// A critical step failed: nothing begins until somebody decides.
    Paused,
    /// It was cancelled, and what runs is being ended.
    Cancelling,
    /// Every step that was to be run did what it is for.
    Succeeded,
    /// Steps failed that are not critical, or were skipped.
    SucceededInPart,
    /// It was given up.
    Cancelled,
}

impl StateName {
    fn of(state: RunState) -> Self {
        match state {
            RunState::Running => Self::Running,
            RunState::AwaitingApproval => Self::AwaitingApproval,
            RunState::Paused => Self::Paused,
            RunState::Cancelling => Self::Cancelling,
            RunState::Succeeded => Self::Succeeded,
            RunState::SucceededInPart => Self::SucceededInPart,
            RunState::Cancelled => Self::Cancelled,
        }
    }
}

/// How a step of a run stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlanStepState)]
enum StepStateName {
    /// What it comes after is not settled yet, or there is no place free.
    Waiting,
    /// It is carried out, or its time passes.
    Running,
    /// Somebody has to release it.
    AwaitingApproval,
    /// It did what it is for.
    Done,
    /// It did not.
    Failed,
    /// An operator went on without it.
    Skipped,
    /// It was left out.
    NotRun,
}

/// A run of a plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanRun)]
pub(crate) struct RunBody {
    /// Its id.
    id: String,
    /// The plan.
    plan: String,
    /// The version of the plan that is run.
    version: u32,
    /// What is done with the groups.
    mode: ModeName,
    /// How it stands.
    state: StateName,
    /// Who asked.
    operator: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    began_at: jiff::Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<jiff::Timestamp>,
    /// The one time of all groups; null for the newest point of each.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<jiff::Timestamp>,
    /// When production stopped, as far as the operator knew.
    #[schema(value_type = Option<String>, format = DateTime)]
    interrupted_at: Option<jiff::Timestamp>,
    /// Only steps at least as urgent were asked for; null for all.
    priority: Option<u8>,
    /// Only these steps were asked for; empty for all.
    only: Vec<String>,
    /// Each group's greatest point that is not after that time, as it was at the start.
    points: Vec<ChosenPointBody>,
    /// How far the earliest of these is before the latest, in seconds; null for fewer than two.
    skew_seconds: Option<f64>,
    /// The same of the points that were really taken.
    taken_skew_seconds: Option<f64>,
    /// Who gave it up; null when nobody did.
    cancelled: Option<DecisionBody>,
    /// The steps, in the plan's order.
    steps: Vec<RunStepBody>,
    /// What may be done with the run now.
    allowed_actions: Vec<Action>,
}

/// What an operator decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanDecision)]
struct DecisionBody {
    /// Who.
    by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
    /// Why, as it was given.
    reason: Option<String>,
}

impl DecisionBody {
    fn of(decision: &Decision) -> Self {
        Self {
            by: decision.by.0.clone(),
            at: clock::readable(decision.at),
            reason: decision.reason.clone(),
        }
    }
}

/// A step of a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanRunStep)]
struct RunStepBody {
    /// Its id.
    id: String,
    /// What it does: group, wait, approval, script, probe, dns, webhook or call.
    kind: &'static str,
    /// What it is about: a group's name, what is asked, how long is waited, or what it reaches.
    about: String,
    /// What has to be settled before it begins.
    after: Vec<String>,
    /// Whether its failure holds the run up.
    critical: bool,
    /// How urgent it is.
    priority: u8,
    /// How it stands.
    state: StepStateName,
    /// Why it was left out or skipped; null otherwise.
    reason: Option<String>,
    /// How often it was begun.
    attempts: u32,
    /// When it was begun first.
    #[schema(value_type = Option<String>, format = DateTime)]
    began_at: Option<jiff::Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<jiff::Timestamp>,
    /// How long its last attempt took, in seconds; null before it ended.
    seconds: Option<f64>,
    /// What is left of a wait, in seconds; null when nothing is being waited for.
    remaining_seconds: Option<f64>,
    /// What carries it out, such as a drill or failover.
    reference: Option<String>,
    /// What was observed.
    note: Option<String>,
    /// Why the last attempt that failed did.
    failure: Option<StepFailureBody>,
    /// The point that was taken.
    point: Option<String>,
    /// The time of that point.
    #[schema(value_type = Option<String>, format = DateTime)]
    point_time: Option<jiff::Timestamp>,
    /// Who released or skipped it.
    decided: Option<DecisionBody>,
    /// Who may release it; empty for everybody who may change things.
    who: Vec<String>,
    /// What may be done with the step now.
    allowed_actions: Vec<Action>,
}

/// Why a step failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanStepFailure)]
struct StepFailureBody {
    /// The stable code that programs match on.
    code: String,
    /// What happened.
    cause: String,
    /// What to do about it.
    remedy: String,
}

impl RunStepBody {
    fn of(step: &Step, run: &StepRun, allowed: &[Allowed]) -> Self {
        let (state, left_out) = match run.state {
            StepState::Waiting => (StepStateName::Waiting, None),
            StepState::Running => (StepStateName::Running, None),
            StepState::AwaitingApproval => (StepStateName::AwaitingApproval, None),
            StepState::Done => (StepStateName::Done, None),
            StepState::Failed => (StepStateName::Failed, None),
            StepState::Skipped => (StepStateName::Skipped, None),
            StepState::NotRun(why) => (StepStateName::NotRun, Some(why.reason().to_owned())),
        };
        let skipped = run
            .decided
            .as_ref()
            .filter(|_| run.state == StepState::Skipped);
        let skipped = skipped.map(|decided| match &decided.reason {
            Some(reason) => reason.clone(),
            None => format!("{} cancelled the run", decided.by),
        });
        let (about, who) = match &step.kind {
            Kind::Group(group) => (group.name.clone(), Vec::new()),
            Kind::Wait(wait) => (format!("{} s", wait.seconds), Vec::new()),
            Kind::Approval(approval) => (approval.message.clone(), approval.who.clone()),
            other => (other.subject().to_owned(), Vec::new()),
        };
        let point = run.point.as_ref();
        Self {
            id: step.id.0.clone(),
            kind: step.kind.name(),
            about,
            after: step.after.iter().map(|id| id.0.clone()).collect(),
            critical: step.critical,
            priority: run.priority,
            state,
            reason: left_out.or(skipped),
            attempts: run.attempt,
            began_at: run.began_at.map(clock::readable),
            ended_at: run.ended_at.map(clock::readable),
            seconds: run.took().map(|took| took.as_secs_f64()),
            remaining_seconds: run.remaining().map(|left| left.as_secs_f64()),
            reference: run.reference.clone(),
            note: run.note.clone(),
            failure: run.failure.as_ref().map(failure),
            point: point.map(|point| point.id.clone()),
            point_time: point.map(|point: &PointTaken| clock::readable(point.time)),
            decided: run.decided.as_ref().map(DecisionBody::of),
            who,
            allowed_actions: actions(allowed, Some(&step.id)),
        }
    }
}

fn failure(failure: &Failure) -> StepFailureBody {
    StepFailureBody {
        code: failure.code.clone(),
        cause: failure.cause.clone(),
        remedy: failure.remedy.clone(),
    }
}

fn actions(allowed: &[Allowed], step: Option<&StepId>) -> Vec<Action> {
    allowed
        .iter()
        .filter(|one| one.step.as_ref() == step)
        .map(|one| match &one.refused {
            None => Action::allowed(one.verb.name()),
            Some(refused) => Action::refused(
                one.verb.name(),
                refused.cause.clone(),
                refused.remedy.clone(),
            ),
        })
        .collect()
}

impl RunBody {
    fn of(record: &PlanRunRecord) -> Self {
        let run = &record.run;
        let allowed = run.allowed();
        let taken = run.steps().filter_map(|(_, step)| step.point.as_ref());
        let taken: Vec<_> = taken.map(|point| point.time).collect();
        let seconds = |apart: std::time::Duration| apart.as_secs_f64();
        Self {
            id: record.id.to_string(),
            plan: run.plan.name.clone(),
            version: run.version,
            mode: ModeName::of(run.mode),
            state: StateName::of(run.state()),
            operator: run.by.0.clone(),
            began_at: clock::readable(run.began_at),
            ended_at: run.ended_at.map(clock::readable),
            at: record.at.map(clock::readable),
            interrupted_at: record.interrupted_at.map(clock::readable),
            priority: run.selection.priority,
            only: run.selection.only.iter().map(|id| id.0.clone()).collect(),
            points: record.points.iter().map(ChosenPointBody::of).collect(),
            skew_seconds: skew(record.points.iter().map(|point| point.time)).map(seconds),
            taken_skew_seconds: skew(taken.into_iter()).map(seconds),
            cancelled: run.cancelled.as_ref().map(DecisionBody::of),
            steps: run
                .steps()
                .map(|(step, state)| RunStepBody::of(step, state, &allowed))
                .collect(),
            allowed_actions: actions(&allowed, None),
        }
    }
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those of this plan.
    plan: Option<String>,
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// Lists runs of plans, newest first.
#[utoipa::path(
    get, path = "/plan-runs", tag = "plans", operation_id = "list_plan_runs", params(ListQuery),
    responses(
        (status = 200, body = Page<RunBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<RunBody>>, Problem> {
    let wanted = Wanted::<PlanRunId>::read(query.limit, query.cursor.as_deref())?;
    let runs = service.plans.runs(query.plan, wanted.after, wanted.fetch());
    let runs = runs.await.map_err(answer::catalog)?;
    let bodies = runs.iter().map(RunBody::of).collect();
    Ok(ApiJson(wanted.page(bodies, |run: &RunBody| run.id.clone())))
}

/// A run to be started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPlanRun {
    /// The plan's name.
    plan: String,
    /// What is done with the groups.
    mode: ModeName,
    /// The one time of all groups (RFC 3339): each is recovered from its greatest point that is not
    /// after it. `latest`, the default, is the newest point of each. A planned run takes that only.
    #[serde(default)]
    at: Option<String>,
    /// The plan's name, as somebody typed it; for everything that is no drill.
    #[serde(default)]
    confirm: Option<String>,
    /// Only steps at least as urgent.
    #[serde(default)]
    priority: Option<u8>,
    /// Only these steps; what they come after counts as settled, but for approvals, which are asked for.
    #[serde(default)]
    only: Vec<String>,
    /// Leave out also the approvals before those steps. Only for who could give each of them.
    #[serde(default)]
    without_approvals: bool,
    /// The operator vouches that all sources are isolated, although they were seen serving.
    #[serde(default)]
    isolation_confirmed: bool,
    /// When production stopped, as far as the operator knows: reports count from it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    interrupted_at: Option<jiff::Timestamp>,
}

/// Runs a plan.
#[utoipa::path(
    post, path = "/plan-runs", tag = "plans", operation_id = "start_plan_run",
    params(("Idempotency-Key" = Option<String>, Header, description = "A request with the same key starts nothing twice")),
    request_body = NewPlanRun,
    responses(
        (status = 202, description = "Started; Location names the run", body = RunBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is not confirmed, or the key was used with another request", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn start(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewPlanRun>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], ApiJson<RunBody>), Problem> {
    check_allowed(&principal, wanted.mode.mode())?;
    if wanted.without_approvals {
        principal.require(Permission::Approve)?;
    }
    check_confirmed(&wanted)?;
    let at = instant(wanted.at.as_deref())?;
    let key = answer::idempotency_key(&headers)?;
    let attempt = service
        .idempotency
        .begin("plan_runs", key.as_deref(), &wanted)
        .await
        .map_err(answer::idempotency)?;
    let record = match attempt {
        Attempt::Repeated(job) => find(&service, PlanRunId::of_job(job)).await?,
        Attempt::First(first) => {
            let run = WantedRun {
                plan: wanted.plan,
                mode: wanted.mode.mode(),
                at,
                selection: Selection {
                    priority: wanted.priority,
                    only: wanted.only.iter().map(|id| id.as_str().into()).collect(),
                    without_approvals: wanted.without_approvals,
                },
                isolation_confirmed: wanted.isolation_confirmed,
                interrupted_at: wanted.interrupted_at.map(clock::stored),
                by: principal.name,
            };
            let started = service.plans.start(run, first).await;
            started.map_err(not_done)?
        }
    };
    let location = answer::location(format_args!("plan-runs/{}", record.id));
    Ok((
        StatusCode::ACCEPTED,
        location,
        ApiJson(RunBody::of(&record)),
    ))
}

/// Drills need no more than the route does; the other modes change where production runs.
fn check_allowed(principal: &Principal, mode: Mode) -> Result<(), Problem> {
    match mode {
        Mode::Drill => Ok(()),
        _ => principal.require(Permission::Recover),
    }
}

/// What changes where production runs takes the plan's name, as somebody typed it.
fn check_confirmed(wanted: &NewPlanRun) -> Result<(), Problem> {
    let typed = wanted.confirm.as_deref().unwrap_or_default();
    if matches!(wanted.mode.mode(), Mode::Drill) || typed == wanted.plan {
        return Ok(());
    }
    let name = &wanted.plan;
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "not_confirmed",
        "Not confirmed",
        format!("this changes where production runs, and was confirmed with {typed:?}"),
    )
    .field("confirm")
    .remedy(format!(
        "read what it does, then confirm with the plan's name, {name}"
    )))
}

async fn find(service: &crate::service::Service, id: PlanRunId) -> Result<PlanRunRecord, Problem> {
    let found = service.plans.run(id).await.map_err(answer::catalog)?;
    found.ok_or_else(|| Problem::not_found("plan run", id))
}

fn id_of(text: &str) -> Result<PlanRunId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found("plan run", format!("{text:?}")))
}

/// Shows a run of a plan.
#[utoipa::path(
    get, path = "/plan-runs/{id}", tag = "plans", operation_id = "show_plan_run",
    params(("id" = String, Path, description = "The run's id")),
    responses(
        (status = 200, body = RunBody),
        (status = 404, description = "There is no such run", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<RunBody>, Problem> {
    let record = find(&service, id_of(&id)?).await?;
    Ok(ApiJson(RunBody::of(&record)))
}

/// Which step is released.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanStepApproval)]
struct Approval {
    /// The step's id.
    step: String,
    /// What is said about it.
    #[serde(default)]
    reason: Option<String>,
}

/// Which step is begun again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanStepRetry)]
struct Repetition {
    /// The step's id.
    step: String,
}

/// Which step, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanStepSkip)]
struct Omission {
    /// The step's id.
    step: String,
    /// Why the run goes on without it.
    reason: String,
}

/// Why the run is given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanRunCancellation)]
struct Cancellation {
    /// Why.
    #[serde(default)]
    reason: Option<String>,
}

/// A reason, within limits.
fn reason(text: Option<String>) -> Result<Option<String>, Problem> {
    if let Some(text) = &text {
        answer::legible(text, "reason", REASON_MAX)?;
    }
    Ok(text)
}

/// Releases a step that awaits approval.
#[utoipa::path(
    post, path = "/plan-runs/{id}/actions/approve", tag = "plans", operation_id = "approve_plan_step",
    params(("id" = String, Path, description = "The run's id")),
    request_body = Approval,
    responses(
        (status = 200, body = RunBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn approve(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(id): ApiPath<String>,
    ApiJson(wish): ApiJson<Approval>,
) -> Result<ApiJson<RunBody>, Problem> {
    let event = Event::Approve {
        step: wish.step.as_str().into(),
        by: Operator(principal.name.clone()),
        reason: reason(wish.reason)?,
    };
    take(State(service), &principal, &id, event).await
}

/// Begins a failed step again that holds the run up.
#[utoipa::path(
    post, path = "/plan-runs/{id}/actions/retry-step", tag = "plans", operation_id = "retry_plan_step",
    params(("id" = String, Path, description = "The run's id")),
    request_body = Repetition,
    responses(
        (status = 200, body = RunBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retry_step(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(id): ApiPath<String>,
    ApiJson(wish): ApiJson<Repetition>,
) -> Result<ApiJson<RunBody>, Problem> {
    let event = Event::Retry {
        step: wish.step.as_str().into(),
    };
    take(State(service), &principal, &id, event).await
}

/// Goes on without a step that failed, or cuts a wait short.
#[utoipa::path(
    post, path = "/plan-runs/{id}/actions/skip-step", tag = "plans", operation_id = "skip_plan_step",
    params(("id" = String, Path, description = "The run's id")),
    request_body = Omission,
    responses(
        (status = 200, body = RunBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn skip_step(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(id): ApiPath<String>,
    ApiJson(wish): ApiJson<Omission>,
) -> Result<ApiJson<RunBody>, Problem> {
    let event = Event::Skip {
        step: wish.step.as_str().into(),
        by: Operator(principal.name.clone()),
        reason: reason(Some(wish.reason))?.unwrap_or_default(),
    };
    take(State(service), &principal, &id, event).await
}

/// Gives a run up: nothing more begins, drills are stopped and cleaned, failovers before their fence
/// are cancelled. Failovers behind it stay, and await their own decision.
#[utoipa::path(
    post, path = "/plan-runs/{id}/actions/cancel", tag = "plans", operation_id = "cancel_plan_run",
    params(("id" = String, Path, description = "The run's id")),
    request_body = Cancellation,
    responses(
        (status = 200, body = RunBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn cancel(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(id): ApiPath<String>,
    ApiJson(wish): ApiJson<Cancellation>,
) -> Result<ApiJson<RunBody>, Problem> {
    let event = Event::Cancel {
        by: Operator(principal.name.clone()),
        reason: reason(wish.reason)?,
    };
    take(State(service), &principal, &id, event).await
}

async fn take(
    service: Api,
    principal: &Principal,
    id: &str,
    event: Event,
) -> Result<ApiJson<RunBody>, Problem> {
    let id = id_of(id)?;
    // One that ended is shown as ended, one that never was as not found.
    let found = find(&service, id).await?;
    if !matches!(event, Event::Approve { .. }) {
        check_allowed(principal, found.run.mode)?;
    }
    let record = service.plans.wish(id, event).await.map_err(not_done)?;
    Ok(ApiJson(RunBody::of(&record)))
}
