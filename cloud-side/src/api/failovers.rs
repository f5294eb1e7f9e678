//! `/failovers`.

use super::{
    Api, answer,
    page::Page,
    placements::{self, Confirmation, StepBody, check_confirmed, check_policy, not_done},
    records::{self, Accepted, ListQuery, Shown},
};
use crate::{
    catalog::CatalogError,
    clock,
    drill::RungResult,
    groups::Group,
    idempotency::Attempt,
    points::Instant,
    recovery::{
        CommitPolicy, Event, FailoverEnd, FailoverId, FailoverMode, FailoverRecord,
        FailoverRequest, Failure, LossWindow, PointChoice, Stage, Step, Verb,
    },
    target::{LaunchSettings, NetworkCard},
};
use axum::{Extension, extract::State, http::HeaderMap};
use bcdr_format::GroupId;
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Principal, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(commit))
        .routes(routes!(rollback))
        .routes(routes!(cancel))
        .routes(routes!(retry))
}

/// The verbs of a failover, with the words of their routes.
const VERBS: [(Verb, &str); 4] = [
    (Verb::FailoverCommit, "commit"),
    (Verb::FailoverRollback, "rollback"),
    (Verb::FailoverCancel, "cancel"),
    (Verb::Retry, "retry"),
];

/// A failover: production of a group brought to the target.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failover)]
pub(crate) struct FailoverBody {
    /// Its id.
    id: String,
    /// Its group.
    group: String,
    /// The name of its group.
    group_name: String,
    /// Its job.
    job: String,
    /// Whether production was to be stopped in order first.
    mode: FailoverMode,
    /// What happens when nobody decides.
    commit_policy: CommitPolicy,
    /// Seconds until that happens; null when nothing counts down.
    decides_in_seconds: Option<u64>,
    /// Who asked.
    operator: String,
    /// When production stopped, as the operator knew it.
    #[schema(value_type = Option<String>, format = DateTime)]
    interrupted_at: Option<jiff::Timestamp>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    requested_at: jiff::Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<jiff::Timestamp>,
    /// How it ended; null before.
    end: Option<FailoverEnd>,
    /// Whether it is on its way back.
    turned_back: bool,
    /// The step it is in, or ended in.
    step: Step,
    /// What it does there.
    stage: Stage,
    /// What went wrong last, also after it went on.
    failure: Option<Failure>,
    /// Every step that was begun.
    steps: Vec<StepBody>,
    /// The generation of its change of authority.
    generation: Option<u64>,
    /// The pinned point.
    point: Option<String>,
    /// The time of that point.
    #[schema(value_type = Option<String>, format = DateTime)]
    point_time: Option<jiff::Timestamp>,
    /// What was to be lost, as it was known when it was asked for.
    loss: Option<LossWindow>,
    /// The branch that the machine runs on.
    branch: Option<String>,
    /// The machine.
    instance: Option<String>,
    /// What became of the verification ladder; null before it was climbed.
    ladder: Option<LadderBody>,
    /// How the machine looks.
    launch_settings: LaunchSettings,
    /// Its network cards.
    networks: Vec<NetworkCard>,
    /// What may be done with it now.
    allowed_actions: Vec<Action>,
}

/// What became of a ladder.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailoverLadder)]
struct LadderBody {
    /// Whether every awaited rung was passed.
    passed: bool,
    /// What was observed, in a sentence.
    detail: String,
    /// The rungs, lowest first; empty once the machine is gone.
    rungs: Vec<RungResult>,
}

impl Shown for FailoverBody {
    const NOUN: &'static str = "failover";
    const ROUTE: &'static str = "failovers";
    type Id = FailoverId;
    type Record = FailoverRecord;

    async fn stored(service: &Api, id: FailoverId) -> Result<Option<FailoverRecord>, CatalogError> {
        service.placements.record(id).await
    }

    async fn page(
        service: &Api,
        group: Option<GroupId>,
        after: Option<FailoverId>,
        limit: usize,
    ) -> Result<Vec<FailoverRecord>, CatalogError> {
        service.placements.records(group, after, limit).await
    }

    async fn read(service: &Api, stored: FailoverRecord) -> Result<Self, Problem> {
        let group = records::group_of(service, stored.group)?;
        let placement = placements::placement(service, &group)?;
        // Of the one that is on its way the driver knows more than the catalog.
        let record = records::current(&placement, stored.id)
            .cloned()
            .unwrap_or(stored);
        let instance = service.placements.instance(record.group).await;
        let rungs = instance
            .map_err(answer::catalog)?
            .filter(|instance| Some(&instance.name) == record.instance.as_ref())
            .map(|instance| instance.rungs)
            .unwrap_or_default();
        let allowed_actions =
            records::actions::<FailoverRecord>(&placement, record.id, Self::NOUN, &VERBS);
        Ok(Self {
            id: record.id.to_string(),
            group: group.id().to_string(),
            group_name: group.record().name.clone(),
            job: record.request.request_id,
            mode: record.request.mode,
            commit_policy: record.request.policy,
            decides_in_seconds: record.countdown.map(|left| left.remaining().as_secs()),
            operator: record.request.operator,
            interrupted_at: record.request.interrupted_at.map(clock::readable),
            requested_at: clock::readable(record.requested_at),
            finished_at: record.finished_at.map(clock::readable),
            end: record.end,
            turned_back: record.turned_back.is_some(),
            step: record.progress.step,
            stage: record.progress.stage,
            failure: record.progress.failure,
            steps: record.progress.steps.iter().map(StepBody::of).collect(),
            generation: record.generation.map(|generation| generation.0),
            point: record.point.map(|point| point.to_string()),
            point_time: record.point_time.map(clock::readable),
            loss: record.request.preview,
            branch: record.branch.map(|branch| branch.0),
            instance: record.instance.map(|instance| instance.0),
            ladder: record.ladder.map(|ladder| LadderBody {
                passed: ladder.passed,
                detail: ladder.detail,
                rungs,
            }),
            launch_settings: record.request.launch,
            networks: record.request.networks,
            allowed_actions,
        })
    }

    fn shown_id(&self) -> String {
        self.id.clone()
    }
}

/// Lists failovers, newest first.
#[utoipa::path(
    get, path = "/failovers", tag = "failovers", operation_id = "list_failovers", params(ListQuery),
    responses(
        (status = 200, body = Page<FailoverBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<FailoverBody>>, Problem> {
    records::list(State(service), query).await
}

/// A failover to be started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFailover {
    /// The group, by id or name.
    group: String,
    /// The group's name, as somebody typed it.
    confirm: String,
    /// Planned: the source stops writes and nothing is lost. Emergency: the source is not asked.
    mode: FailoverMode,
    /// The instant to boot: a point id, a label, an RFC 3339 time, or latest, the default. What is
    /// latest is decided behind the fence.
    #[serde(default = "latest")]
    at: String,
    /// What happens when nobody decides; nothing by default.
    #[serde(default)]
    commit_policy: CommitPolicy,
    /// The operator vouches that the source is isolated, although it was seen serving.
    #[serde(default)]
    isolation_confirmed: bool,
    /// When production stopped, as far as the operator knows: reports count from it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    interrupted_at: Option<jiff::Timestamp>,
    /// How the machine looks and how its boot is judged.
    #[serde(default)]
    launch_settings: Option<LaunchSettings>,
    /// Its network cards; one behind the host's addresses by default.
    #[serde(default)]
    networks: Option<Vec<NetworkCard>>,
}

fn latest() -> String {
    "latest".to_owned()
}

/// Starts a failover. It stays reversible until it is committed.
#[utoipa::path(
    post, path = "/failovers", tag = "failovers", operation_id = "start_failover",
    params(("Idempotency-Key" = Option<String>, Header, description = "A request with the same key starts nothing twice")),
    request_body = NewFailover,
    responses(
        (status = 202, description = "Started; Location names its job", body = FailoverBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is not confirmed, or the key was used with another request", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn start(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewFailover>,
) -> Result<Accepted<FailoverBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &wanted.group)?;
    check_confirmed(&group, &wanted.confirm)?;
    check_policy(wanted.commit_policy)?;
    let attempt = records::attempt::<FailoverBody>(&service, &headers, &wanted).await?;
    let job = match attempt {
        Attempt::Repeated(job) => job,
        Attempt::First(first) => {
            let request = request_of(&service, &group, wanted, principal.name).await?;
            let started = service
                .placements
                .start_failover(group.id(), request, first);
            started.await.map_err(not_done)?
        }
    };
    records::accepted(&service, job).await
}

async fn request_of(
    service: &Api,
    group: &Group,
    wanted: NewFailover,
    operator: String,
) -> Result<FailoverRequest, Problem> {
    let launch = wanted.launch_settings.unwrap_or_default();
    let wrong = |error: &dyn std::fmt::Display, field: &str| {
        Problem::invalid(error.to_string()).field(field)
    };
    launch
        .check()
        .map_err(|error| wrong(&error, "launch_settings"))?;
    let networks = wanted
        .networks
        .unwrap_or_else(|| vec![NetworkCard::default()]);
    crate::target::check_networks(&networks).map_err(|error| wrong(&error, "networks"))?;
    let instant = Instant::read(&wanted.at);
    let point = match instant {
        Instant::Latest => PointChoice::Latest,
        Instant::At(time) => PointChoice::NotAfter(clock::stored(time)),
        Instant::Id(id) => PointChoice::Point(id),
        Instant::Label(_) => {
            let row = answer::point(service, group, instant.clone()).await?;
            PointChoice::Point(row.point_id())
        }
    };
    let row = answer::point(service, group, instant).await?;
    let preview = placements::loss(service, group, &row, wanted.interrupted_at).await?;
    Ok(FailoverRequest {
        // Its job's id takes this place.
        request_id: String::new(),
        operator,
        mode: wanted.mode,
        point,
        policy: wanted.commit_policy,
        isolation_confirmed: wanted.isolation_confirmed,
        interrupted_at: wanted.interrupted_at.map(clock::stored),
        launch,
        networks,
        preview: Some(preview),
    })
}

/// Shows a failover.
#[utoipa::path(
    get, path = "/failovers/{id}", tag = "failovers", operation_id = "show_failover",
    params(("id" = String, Path, description = "The failover's id")),
    responses(
        (status = 200, body = FailoverBody),
        (status = 404, description = "There is no such failover", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<FailoverBody>, Problem> {
    records::show(State(service), &id).await
}

/// Makes a failover final: production belongs to the target from then on.
#[utoipa::path(
    post, path = "/failovers/{id}/actions/commit", tag = "failovers", operation_id = "commit_failover",
    params(("id" = String, Path, description = "The failover's id")),
    request_body = Confirmation,
    responses(
        (status = 200, body = FailoverBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn commit(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<ApiJson<FailoverBody>, Problem> {
    records::wish(State(service), &id, Some(&confirmation), Event::Commit).await
}

/// Undoes a failover: the machine at the target ends, and the source is the authority again. What
/// the machine wrote is kept as a branch.
#[utoipa::path(
    post, path = "/failovers/{id}/actions/rollback", tag = "failovers", operation_id = "rollback_failover",
    params(("id" = String, Path, description = "The failover's id")),
    request_body = Confirmation,
    responses(
        (status = 200, body = FailoverBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn rollback(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<ApiJson<FailoverBody>, Problem> {
    records::wish(State(service), &id, Some(&confirmation), Event::Rollback).await
}

/// Gives up a failover that did not change authority yet.
#[utoipa::path(
    post, path = "/failovers/{id}/actions/cancel", tag = "failovers", operation_id = "cancel_failover",
    params(("id" = String, Path, description = "The failover's id")),
    responses(
        (status = 200, body = FailoverBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn cancel(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<FailoverBody>, Problem> {
    records::wish(State(service), &id, None, Event::Cancel).await
}

/// Tries the step again in which a failover is blocked.
#[utoipa::path(
    post, path = "/failovers/{id}/actions/retry", tag = "failovers", operation_id = "retry_failover",
    params(("id" = String, Path, description = "The failover's id")),
    responses(
        (status = 200, body = FailoverBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retry(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<FailoverBody>, Problem> {
    records::wish(State(service), &id, None, Event::Retry).await
}
