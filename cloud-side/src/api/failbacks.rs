//! `/failbacks`.

use super::{
    Api, answer,
    page::Page,
    placements::{self, Confirmation, StepBody, check_policy, not_done},
    records::{self, Accepted, ListQuery, Shown},
};
use crate::{
    catalog::CatalogError,
    clock,
    groups::Group,
    idempotency::Attempt,
    recovery::{
        CommitPolicy, ConfirmedDisk, Event, FailbackEnd, FailbackId, FailbackRecord,
        FailbackRequest, Failure, HomeDisk, Seed, SeedMethod, Stage, Step, Verb,
    },
};
use axum::{Extension, extract::State, http::HeaderMap};
use bcdr_format::GroupId;
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Principal, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Seconds between two rounds when nothing else is asked for.
const ROUND_EVERY_SECONDS: u32 = 60;
/// The longest pause between two rounds, in seconds.
pub(super) const ROUND_EVERY_SECONDS_MAX: u32 = 24 * 3600;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(confirm_disks))
        .routes(routes!(cutover))
        .routes(routes!(commit))
        .routes(routes!(rollback))
        .routes(routes!(cancel))
        .routes(routes!(retry))
}

/// A failback: production of a group brought home.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failback)]
pub(crate) struct FailbackBody {
    /// Its id.
    id: String,
    /// Its group.
    group: String,
    /// The name of its group.
    group_name: String,
    /// Its job.
    job: String,
    /// What is at home to begin with.
    seed: Seed,
    /// What happens when nobody decides.
    commit_policy: CommitPolicy,
    /// Seconds until that happens, or until the next round; null when nothing counts down.
    continues_in_seconds: Option<u64>,
    /// Who asked.
    operator: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    requested_at: jiff::Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<jiff::Timestamp>,
    /// How it ended; null before.
    end: Option<FailbackEnd>,
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
    /// The point where the two histories part.
    fork: String,
    /// The branch that production runs on.
    branch: String,
    /// The disks found at home; they are confirmed by these serials.
    disks: Vec<DiskBody>,
    /// The branch with what home wrote after the fork; null when that was nothing.
    left_behind: Option<String>,
    /// The branch with what home wrote after a cutover that was undone.
    home_writes: Option<String>,
    /// How differences are found in the next round.
    method: Option<SeedMethod>,
    /// Whether home was brought to the branch's present at least once.
    seeded: bool,
    /// Whether home was proven equal to the branch, by digest, at the cutover.
    proven_equal: bool,
    /// Bytes sent by all rounds.
    sent_bytes: u64,
    /// Bytes written at the target during the last round.
    remaining_bytes: Option<u64>,
    /// What may be done with it now.
    allowed_actions: Vec<Action>,
}

/// A disk found at home.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HomeDisk)]
struct DiskBody {
    /// The volume it is for.
    volume: String,
    /// The volume's name.
    volume_name: Option<String>,
    /// By which an operator recognises it.
    serial: String,
    /// Its size in bytes.
    size_bytes: u64,
    /// Whether it holds nothing but zeroes and holes.
    blank: bool,
    /// Whether an operator allowed it to be overwritten.
    confirmed: bool,
}

/// The verbs of a failback, with the words of their routes.
const VERBS: [(Verb, &str); 6] = [
    (Verb::FailbackConfirm, "confirm_disks"),
    (Verb::FailbackCutover, "cutover"),
    (Verb::FailbackCommit, "commit"),
    (Verb::FailbackRollback, "rollback"),
    (Verb::FailbackCancel, "cancel"),
    (Verb::Retry, "retry"),
];

impl Shown for FailbackBody {
    const NOUN: &'static str = "failback";
    const ROUTE: &'static str = "failbacks";
    type Id = FailbackId;
    type Record = FailbackRecord;

    async fn stored(service: &Api, id: FailbackId) -> Result<Option<FailbackRecord>, CatalogError> {
        service.placements.record(id).await
    }

    async fn page(
        service: &Api,
        group: Option<GroupId>,
        after: Option<FailbackId>,
        limit: usize,
    ) -> Result<Vec<FailbackRecord>, CatalogError> {
        service.placements.records(group, after, limit).await
    }

    async fn read(service: &Api, stored: FailbackRecord) -> Result<Self, Problem> {
        let group = records::group_of(service, stored.group)?;
        let placement = placements::placement(service, &group)?;
        // Of the one that is on its way the driver knows more than the catalog.
        let record = records::current(&placement, stored.id)
            .cloned()
            .unwrap_or(stored);
        let allowed_actions =
            records::actions::<FailbackRecord>(&placement, record.id, Self::NOUN, &VERBS);
        let disk = |disk: &HomeDisk| DiskBody {
            volume: disk.volume.to_string(),
            volume_name: group.volume_name(disk.volume).map(str::to_owned),
            serial: disk.serial.clone(),
            size_bytes: disk.size_bytes,
            blank: disk.blank,
            confirmed: record
                .confirmed
                .iter()
                .any(|one| one.volume == disk.volume && one.serial == disk.serial),
        };
        Ok(Self {
            id: record.id.to_string(),
            group: group.id().to_string(),
            group_name: group.record().name.clone(),
            disks: record.inspected.iter().map(disk).collect(),
            job: record.request.request_id,
            seed: record.request.seed,
            commit_policy: record.request.policy,
            continues_in_seconds: record.countdown.map(|left| left.remaining().as_secs()),
            operator: record.request.operator,
            requested_at: clock::readable(record.requested_at),
            finished_at: record.finished_at.map(clock::readable),
            end: record.end,
            turned_back: record.turned_back.is_some(),
            step: record.progress.step,
            stage: record.progress.stage,
            failure: record.progress.failure,
            steps: record.progress.steps.iter().map(StepBody::of).collect(),
            generation: record.generation.map(|generation| generation.0),
            fork: record.fork.to_string(),
            branch: record.branch.0,
            left_behind: record.left_behind.map(|branch| branch.0),
            home_writes: record.home_writes.map(|branch| branch.0),
            method: record.method,
            seeded: record.seeded,
            proven_equal: record.proven_equal,
            sent_bytes: record.sent_bytes,
            remaining_bytes: record.remaining_bytes,
            allowed_actions,
        })
    }

    fn shown_id(&self) -> String {
        self.id.clone()
    }
}

/// Lists failbacks, newest first.
#[utoipa::path(
    get, path = "/failbacks", tag = "failbacks", operation_id = "list_failbacks", params(ListQuery),
    responses(
        (status = 200, body = Page<FailbackBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<FailbackBody>>, Problem> {
    records::list(State(service), query).await
}

/// A failback to be started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFailback {
    /// The group, by id or name.
    group: String,
    /// What is at home to begin with. What the original disk was written after the fork is kept
    /// first.
    seed: Seed,
    /// Seconds between two rounds of copying; 60 by default.
    #[serde(default = "round_every_seconds")]
    round_every_seconds: u32,
    /// What happens when nobody decides after the cutover; nothing by default.
    #[serde(default)]
    commit_policy: CommitPolicy,
}

fn round_every_seconds() -> u32 {
    ROUND_EVERY_SECONDS
}

/// Starts a failback. Nothing at home is overwritten before its disks were confirmed.
#[utoipa::path(
    post, path = "/failbacks", tag = "failbacks", operation_id = "start_failback",
    params(("Idempotency-Key" = Option<String>, Header, description = "A request with the same key starts nothing twice")),
    request_body = NewFailback,
    responses(
        (status = 202, description = "Started; Location names its job", body = FailbackBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key was used with another request", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn start(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewFailback>,
) -> Result<Accepted<FailbackBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &wanted.group)?;
    check_policy(wanted.commit_policy)?;
    if !(1..=ROUND_EVERY_SECONDS_MAX).contains(&wanted.round_every_seconds) {
        let detail = format!(
            "round_every_seconds is {}, and must be between 1 and {ROUND_EVERY_SECONDS_MAX}",
            wanted.round_every_seconds
        );
        return Err(Problem::invalid(detail).field("round_every_seconds"));
    }
    let attempt = records::attempt::<FailbackBody>(&service, &headers, &wanted).await?;
    let job = match attempt {
        Attempt::Repeated(job) => job,
        Attempt::First(first) => {
            let request = FailbackRequest {
                // Its job's id takes this place.
                request_id: String::new(),
                operator: principal.name,
                seed: wanted.seed,
                confirmed: Vec::new(),
                policy: wanted.commit_policy,
                round_every_seconds: wanted.round_every_seconds,
            };
            let started = service
                .placements
                .start_failback(group.id(), request, first);
            started.await.map_err(not_done)?
        }
    };
    records::accepted(&service, job).await
}

/// Shows a failback.
#[utoipa::path(
    get, path = "/failbacks/{id}", tag = "failbacks", operation_id = "show_failback",
    params(("id" = String, Path, description = "The failback's id")),
    responses(
        (status = 200, body = FailbackBody),
        (status = 404, description = "There is no such failback", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<FailbackBody>, Problem> {
    records::show(State(service), &id).await
}

/// The disks at home that may be overwritten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmedDisks {
    /// One per volume of the group; of a restore one per disk that was replaced.
    disks: Vec<ConfirmedDiskBody>,
}

impl ConfirmedDisks {
    /// What was typed, with the group's volumes.
    pub(super) fn of(self, group: &Group) -> Result<Vec<ConfirmedDisk>, Problem> {
        let volumes = &group.record().volumes;
        let disk = |disk: ConfirmedDiskBody| {
            let is_meant = |id: String, name: &str| name == disk.volume || id == disk.volume;
            let mut named = volumes.iter();
            let named = named.find(|volume| is_meant(volume.id.to_string(), &volume.name));
            let unknown = || Problem::not_found("volume", format!("{:?}", disk.volume));
            Ok(ConfirmedDisk {
                volume: named.ok_or_else(unknown)?.id,
                serial: disk.serial,
            })
        };
        self.disks.into_iter().map(disk).collect()
    }
}

/// A disk that may be overwritten.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ConfirmedDisk)]
#[serde(deny_unknown_fields)]
struct ConfirmedDiskBody {
    /// The volume, by id or name.
    volume: String,
    /// The serial of the disk at home, as somebody typed it.
    serial: String,
}

/// Confirms which disks at home may be overwritten.
#[utoipa::path(
    post, path = "/failbacks/{id}/actions/confirm_disks", tag = "failbacks", operation_id = "confirm_failback_disks",
    params(("id" = String, Path, description = "The failback's id")),
    request_body = ConfirmedDisks,
    responses(
        (status = 200, body = FailbackBody),
        (status = 409, description = "It is not allowed now, or they are other disks", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn confirm_disks(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmed): ApiJson<ConfirmedDisks>,
) -> Result<ApiJson<FailbackBody>, Problem> {
    let service = State(service);
    let record = records::find::<FailbackBody>(&service, &id).await?;
    let group = records::group_of(&service, record.group)?;
    let disks = confirmed.of(&group)?;
    records::wish(service, &id, None, Event::ConfirmSeed { disks }).await
}

/// Brings production home now: the machine at the target is shut down, the last changes are sent,
/// and the disks are compared.
#[utoipa::path(
    post, path = "/failbacks/{id}/actions/cutover", tag = "failbacks", operation_id = "cut_over_failback",
    params(("id" = String, Path, description = "The failback's id")),
    request_body = Confirmation,
    responses(
        (status = 200, body = FailbackBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn cutover(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<ApiJson<FailbackBody>, Problem> {
    records::wish(State(service), &id, Some(&confirmation), Event::Cutover).await
}

/// Makes a failback final: production belongs to home from then on.
#[utoipa::path(
    post, path = "/failbacks/{id}/actions/commit", tag = "failbacks", operation_id = "commit_failback",
    params(("id" = String, Path, description = "The failback's id")),
    request_body = Confirmation,
    responses(
        (status = 200, body = FailbackBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn commit(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<ApiJson<FailbackBody>, Problem> {
    records::wish(State(service), &id, Some(&confirmation), Event::Commit).await
}

/// Undoes a failback after its cutover: home stops, and the machine at the target is started again.
/// What home wrote is kept as a branch.
#[utoipa::path(
    post, path = "/failbacks/{id}/actions/rollback", tag = "failbacks", operation_id = "rollback_failback",
    params(("id" = String, Path, description = "The failback's id")),
    request_body = Confirmation,
    responses(
        (status = 200, body = FailbackBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn rollback(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<ApiJson<FailbackBody>, Problem> {
    records::wish(State(service), &id, Some(&confirmation), Event::Rollback).await
}

/// Gives up a failback before its cutover.
#[utoipa::path(
    post, path = "/failbacks/{id}/actions/cancel", tag = "failbacks", operation_id = "cancel_failback",
    params(("id" = String, Path, description = "The failback's id")),
    responses(
        (status = 200, body = FailbackBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn cancel(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<FailbackBody>, Problem> {
    records::wish(State(service), &id, None, Event::Cancel).await
}

/// Tries the step again in which a failback is blocked.
#[utoipa::path(
    post, path = "/failbacks/{id}/actions/retry", tag = "failbacks", operation_id = "retry_failback",
    params(("id" = String, Path, description = "The failback's id")),
    responses(
        (status = 200, body = FailbackBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retry(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<FailbackBody>, Problem> {
    records::wish(State(service), &id, None, Event::Retry).await
}
