//! `/plans`: recovery plans, in versions.

use super::{
    Api, answer,
    etag::{self, Expected},
    page::{Page, Wanted},
    plan_actions::{actions, actions_of_removed},
};
use crate::{
    clock,
    plans::{
        Asked, CheckItem, CheckVerdict, ChosenPoint, GroupLoss, PlanCheck, PlanRecord, PlansError,
        skew,
    },
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bcdr_format::Timestamp;
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Principal, Problem, ProblemFault};
use bcdr_plan::{Basis, Fault, Forecast, Mode, Plan, Selection, StepForecast, StepId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, apply, remove))
        .routes(routes!(check))
        .routes(routes!(forecast))
}

/// What a run does with the groups.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlanMode)]
pub(super) enum ModeName {
    /// Boots them in isolation, and removes everything again.
    Drill,
    /// Stops their sources in order, and brings production to the target.
    Planned,
    /// Brings production to the target without asking the sources.
    Emergency,
}

impl ModeName {
    pub(super) fn of(mode: Mode) -> Self {
        match mode {
            Mode::Drill => Self::Drill,
            Mode::Planned => Self::Planned,
            Mode::Emergency => Self::Emergency,
        }
    }

    pub(super) fn mode(self) -> Mode {
        match self {
            Self::Drill => Mode::Drill,
            Self::Planned => Mode::Planned,
            Self::Emergency => Mode::Emergency,
        }
    }
}

/// A recovery plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanBody {
    /// Its name.
    name: String,
    /// Its version; the first is 1.
    version: u32,
    /// When this version was applied.
    #[schema(value_type = String, format = DateTime)]
    applied_at: jiff::Timestamp,
    /// Who applied it.
    applied_by: String,
    /// The groups it recovers.
    groups: Vec<String>,
    /// The document, with every default.
    #[schema(value_type = Object)]
    document: Plan,
    /// What may be done with the plan now, and why not.
    allowed_actions: Vec<Action>,
}

impl PlanBody {
    /// The newest version of a plan, or one that it would be.
    fn of(service: &Api, record: PlanRecord) -> Self {
        let allowed_actions = actions(service, &record);
        Self::with(record, allowed_actions)
    }

    fn with(record: PlanRecord, allowed_actions: Vec<Action>) -> Self {
        let groups = record.plan.groups();
        Self {
            name: record.plan.name.clone(),
            version: record.version,
            applied_at: clock::readable(record.applied_at),
            applied_by: record.applied_by,
            groups: groups.map(|(_, group)| group.name.clone()).collect(),
            document: record.plan,
            allowed_actions,
        }
    }
}

/// Whether a version is expected; 0 stands for none, also in a tag.
pub(super) fn admitted(expected: Expected) -> impl Fn(u32) -> bool + Send {
    move |found| match found {
        0 => expected.admits(None) || expected == Expected::Versions(vec!["0".to_owned()]),
        found => expected.admits(Some(&found)),
    }
}

/// What the engine says, as a problem.
pub(super) fn not_done(error: PlansError) -> Problem {
    let detail = error.to_string();
    match error {
        PlansError::Faults(faults) => faulty(&faults),
        PlansError::UnknownPlan(name) => Problem::not_found("plan", format!("{name:?}")),
        PlansError::OtherVersion { .. } => Problem::changed_meanwhile(detail)
            .cause("it was applied or removed since its ETag was given")
            .remedy("read the plan again, see what is different, then change that"),
        PlansError::Running { .. } => {
            Problem::conflict("plan_run_running", detail).remedy("wait for its end, or cancel it")
        }
        PlansError::NoPoint { .. } => Problem::conflict("no_point", detail)
            .remedy("wait until the first copy is complete, or take a later time"),
        PlansError::PlannedAtTime => Problem::invalid(detail)
            .field("at")
            .remedy("leave the time out, or run the plan as an emergency"),
        PlansError::Future(_) => Problem::invalid(detail).field("at"),
        PlansError::Refused(refused) => {
            Problem::conflict(refused.code, refused.cause).remedy(refused.remedy)
        }
        PlansError::Catalog(error) => answer::catalog(error),
        PlansError::Random(error) => answer::no_randomness(error),
        PlansError::Stopping => Problem::unavailable("stopping", detail),
    }
}

fn faulty(faults: &[Fault]) -> Problem {
    let detail = match faults {
        [one] => one.to_string(),
        many => format!("the plan has {} faults", many.len()),
    };
    let all: Vec<_> = faults.iter().map(Fault::to_string).collect();
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "plan_faults",
        "The plan has faults",
        detail,
    );
    let listed = faults.iter().map(|fault| ProblemFault {
        part: fault.step.as_ref().map(|step| step.0.clone()),
        code: fault.code.to_owned(),
        cause: fault.cause.clone(),
        remedy: fault.remedy.clone(),
    });
    problem
        .cause(all.join(" | "))
        .remedy("put right what each of the faults names")
        .faults(listed.collect())
}

/// An instant for all groups: a time, or `latest`.
pub(super) fn instant(text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    match text {
        None | Some("latest") => Ok(None),
        Some(text) => {
            let at: jiff::Timestamp = text.parse().map_err(|_| {
                Problem::invalid(format!("{text:?} is no time"))
                    .field("at")
                    .remedy(
                        "write an RFC 3339 time, or latest: points and labels belong to one group",
                    )
            })?;
            Ok(Some(clock::stored(at)))
        }
    }
}

/// Which plans.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// Lists plans, by name.
#[utoipa::path(
    get, path = "/plans", tag = "plans", operation_id = "list_plans", params(ListQuery),
    responses(
        (status = 200, body = Page<PlanBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<PlanBody>>, Problem> {
    let wanted = Wanted::<String>::read(query.limit, query.cursor.as_deref())?;
    let plans = service.plans.list(wanted.after.clone(), wanted.fetch());
    let plans = plans.await.map_err(answer::catalog)?;
    let service = State(service);
    let bodies = plans
        .into_iter()
        .map(|plan| PlanBody::of(&service, plan))
        .collect();
    Ok(ApiJson(
        wanted.page(bodies, |plan: &PlanBody| plan.name.clone()),
    ))
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ShowQuery {
    /// The version; the newest by default.
    version: Option<u32>,
}

/// Shows a plan. Its ETag begins with its version.
#[utoipa::path(
    get, path = "/plans/{plan}", tag = "plans", operation_id = "show_plan",
    params(
        ("plan" = String, Path, description = "The plan's name"), ShowQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of an answer that is known"),
    ),
    responses(
        (status = 200, body = PlanBody, headers(("ETag" = String))),
        (status = 304, description = "It is the answer that is known"),
        (status = 404, description = "There is no such plan or version", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<ShowQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let service = State(service);
    let newest = service.plans.get(&name).await;
    let body = match query.version {
        None => PlanBody::of(&service, newest.map_err(not_done)?),
        Some(version) => {
            let found = service.plans.version(&name, version).await;
            let allowed = match newest {
                Ok(newest) => actions(&service, &newest),
                Err(PlansError::UnknownPlan(_)) => actions_of_removed(),
                Err(error) => return Err(not_done(error)),
            };
            PlanBody::with(found.map_err(not_done)?, allowed)
        }
    };
    etag::tagged(&headers, body.version, &body)
}

/// A plan to be applied: steps with what they come after.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(as = PlanDocument, value_type = Object)]
struct PlanDocument(Plan);

/// How a plan is applied.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApplyQuery {
    /// With true nothing is changed: the answer is what the plan would be, or why it would be refused.
    dry_run: Option<bool>,
}

/// Applies a plan, as its next version. The same document again changes nothing.
#[utoipa::path(
    put, path = "/plans/{plan}", tag = "plans", operation_id = "apply_plan",
    params(
        ("plan" = String, Path, description = "The plan's name, as in the document"), ApplyQuery,
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that this one follows; \"0\" for the first"),
        ("If-None-Match" = Option<String>, Header, description = "* for the first version"),
    ),
    request_body = PlanDocument,
    responses(
        (status = 200, body = PlanBody, headers(("ETag" = String))),
        (status = 412, description = "It was changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It has faults; faults lists each with its step, cause and remedy", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn apply(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<ApplyQuery>,
    headers: HeaderMap,
    ApiJson(PlanDocument(plan)): ApiJson<PlanDocument>,
) -> Result<Response, Problem> {
    if plan.name != name {
        let detail = format!(
            "the document is of plan {:?}, the path of {name:?}",
            plan.name
        );
        return Err(Problem::invalid(detail).field("name"));
    }
    let service = State(service);
    let expected = admitted(Expected::read(&headers)?);
    let by = principal.name;
    if query.dry_run == Some(true) {
        let would_be = service.plans.rehearse(plan, expected, by).await;
        // Without a tag: there is no such version yet.
        let body = PlanBody::of(&service, would_be.map_err(not_done)?);
        return Ok(ApiJson(body).into_response());
    }
    let applied = service.plans.apply(plan, expected, by).await;
    let body = PlanBody::of(&service, applied.map_err(not_done)?);
    etag::tagged_change(body.version, &body)
}

/// Removes a plan. Its versions and runs stay; one that is run is not removed.
#[utoipa::path(
    delete, path = "/plans/{plan}", tag = "plans", operation_id = "remove_plan",
    params(
        ("plan" = String, Path, description = "The plan's name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that is to be removed"),
    ),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such plan", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A run of it has not ended", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It was changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn remove(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = admitted(Expected::read(&headers)?);
    let removed = service.plans.remove(&name, expected).await;
    removed.map_err(not_done)?;
    Ok(StatusCode::NO_CONTENT)
}

/// For which run.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CheckQuery {
    /// What the run is to do; drill by default.
    #[param(inline)]
    mode: Option<ModeName>,
    /// The one time of all groups (RFC 3339), or latest, the default.
    at: Option<String>,
    /// When production stopped (RFC 3339): what an emergency would lose counts to it.
    #[param(value_type = Option<String>, format = DateTime)]
    interrupted_at: Option<jiff::Timestamp>,
    /// Only steps at least as urgent.
    priority: Option<u8>,
    /// Only these steps, separated by commas.
    only: Option<String>,
    /// Whether to look at what steps would find outside, which may take 20 seconds; true by default.
    outside: Option<bool>,
}

/// The steps that a query names; all of them by default.
fn selection(priority: Option<u8>, only: Option<&str>) -> Selection {
    let only = only.unwrap_or_default().split(',');
    Selection {
        priority,
        only: only
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .map(StepId::from)
            .collect(),
        without_approvals: false,
    }
}

/// What a look at a plan showed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanCheck)]
struct CheckBody {
    /// The plan.
    plan: String,
    /// Its version.
    version: u32,
    /// For which run.
    mode: ModeName,
    /// The worst verdict.
    verdict: CheckVerdict,
    /// The point that each group would be recovered from.
    points: Vec<ChosenPointBody>,
    /// How far the earliest of these points is before the latest, in seconds; null for fewer than two.
    skew_seconds: Option<f64>,
    /// What an emergency would lose of each group; empty for other modes.
    losses: Vec<GroupLoss>,
    /// Everything that was looked at.
    items: Vec<CheckItem>,
}

/// The point that was chosen for a group.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanPoint)]
pub(super) struct ChosenPointBody {
    /// The step that recovers it.
    step: String,
    /// The group.
    group: String,
    /// Its name.
    group_name: String,
    /// The point.
    point: String,
    /// The point's time.
    #[schema(value_type = String, format = DateTime)]
    time: jiff::Timestamp,
}

impl ChosenPointBody {
    pub(super) fn of(chosen: &ChosenPoint) -> Self {
        Self {
            step: chosen.step.0.clone(),
            group: chosen.group.to_string(),
            group_name: chosen.group_name.clone(),
            point: chosen.point.to_string(),
            time: clock::readable(chosen.time),
        }
    }
}

/// Says whether a plan could be run now, and what stands in the way. Changes nothing.
#[utoipa::path(
    get, path = "/plans/{plan}/check", tag = "plans", operation_id = "check_plan",
    params(("plan" = String, Path, description = "The plan's name"), CheckQuery),
    responses(
        (status = 200, body = CheckBody),
        (status = 404, description = "There is no such plan", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn check(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<CheckQuery>,
) -> Result<ApiJson<CheckBody>, Problem> {
    let record = service.plans.get(&name).await.map_err(not_done)?;
    let mode = query.mode.unwrap_or(ModeName::Drill);
    let asked = Asked {
        mode: mode.mode(),
        at: instant(query.at.as_deref())?,
        interrupted_at: query.interrupted_at.map(clock::stored),
        selection: selection(query.priority, query.only.as_deref()),
        outside: query.outside.unwrap_or(true),
    };
    let looked = service.plans.check(&record, &asked).await;
    let looked: PlanCheck = looked.map_err(not_done)?;
    let apart = skew(looked.points.iter().map(|point| point.time));
    Ok(ApiJson(CheckBody {
        plan: name,
        version: record.version,
        mode,
        verdict: looked.verdict(),
        points: looked.points.iter().map(ChosenPointBody::of).collect(),
        skew_seconds: apart.map(|apart| apart.as_secs_f64()),
        losses: looked.losses,
        items: looked.items,
    }))
}

/// For which run.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ForecastQuery {
    /// What the run is to do; drill by default.
    #[param(inline)]
    mode: Option<ModeName>,
    /// Only steps at least as urgent.
    priority: Option<u8>,
    /// Only these steps, separated by commas.
    only: Option<String>,
}

/// How long a run would take, as far as that is known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanForecast)]
struct ForecastBody {
    /// The plan.
    plan: String,
    /// Its version.
    version: u32,
    /// For which run.
    mode: ModeName,
    /// From the start to the end, at least, in seconds.
    at_least_seconds: f64,
    /// Whether that is all; without it there are steps whose time nobody knows.
    is_complete: bool,
    /// The steps, in the plan's order.
    steps: Vec<ForecastStepBody>,
}

/// How long a step would take.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanForecastStep)]
struct ForecastStepBody {
    /// The step.
    step: String,
    /// When it would begin after the start, at the earliest, in seconds; null when it is left out.
    begins_after_seconds: Option<f64>,
    /// How long it takes, in seconds; null when that is not known or it is left out.
    seconds: Option<f64>,
    /// How many earlier runs that is the median of; null when it is not based on runs.
    runs: Option<usize>,
    /// What the time is based on, in words.
    basis: String,
}

impl ForecastStepBody {
    fn of(step: StepForecast) -> Self {
        let (runs, basis) = match step.basis {
            Basis::Runs(1) => (Some(1), "one earlier run".to_owned()),
            Basis::Runs(runs) => (Some(runs), format!("the median of {runs} earlier runs")),
            Basis::Stated => (None, "the plan says it".to_owned()),
            Basis::Unknown => (None, "unknown: it was never run".to_owned()),
            Basis::NotRun(why) => (None, format!("not run: {}", why.reason())),
        };
        Self {
            step: step.step.0,
            begins_after_seconds: step.begins_after.map(|after| after.as_secs_f64()),
            seconds: step.takes.map(|takes| takes.as_secs_f64()),
            runs,
            basis,
        }
    }
}

/// Says how long a run of a plan would take, from what earlier runs took.
#[utoipa::path(
    get, path = "/plans/{plan}/forecast", tag = "plans", operation_id = "forecast_plan",
    params(("plan" = String, Path, description = "The plan's name"), ForecastQuery),
    responses(
        (status = 200, body = ForecastBody),
        (status = 404, description = "There is no such plan", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn forecast(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<ForecastQuery>,
) -> Result<ApiJson<ForecastBody>, Problem> {
    let record = service.plans.get(&name).await.map_err(not_done)?;
    let mode = query.mode.unwrap_or(ModeName::Drill);
    let selection = selection(query.priority, query.only.as_deref());
    let told = service
        .plans
        .forecast(&record, mode.mode(), &selection)
        .await;
    let told: Forecast = told.map_err(not_done)?;
    Ok(ApiJson(ForecastBody {
        plan: name,
        version: record.version,
        mode,
        at_least_seconds: told.at_least.as_secs_f64(),
        is_complete: told.is_complete,
        steps: told.steps.into_iter().map(ForecastStepBody::of).collect(),
    }))
}
