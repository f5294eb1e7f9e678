//! `/restores`: the source's own disks put back to an earlier point.

use super::{
    Api, answer,
    failbacks::ConfirmedDisks,
    page::Page,
    placements::{
        self, Confirmation, SourceStandingBody, StepBody, check_typed, figures, loss, not_done,
    },
    points::PointBody,
    records::{self, Accepted, ListQuery, Shown},
};
use crate::{
    catalog::{BatchRow, CatalogError},
    clock,
    groups::Group,
    idempotency::Attempt,
    offload::offload,
    placements::obstacle,
    points::Instant,
    recovery::{
        Event, Failure, LossWindow, Placement, PointChoice, Refused, RestoreEnd, RestoreJobId,
        RestoreRecord, RestoreRequest, Stage, Step, Verb, allowed::judge,
    },
    returns::Histories,
};
use axum::{Extension, extract::State, http::HeaderMap};
use bcdr_format::{GroupId, VolumeId};
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Principal, Problem};
use bcdr_wire::{order::TaskState, restore::PointName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What a confirmation of a restore allows.
const OVERWRITES: &str = "stops writes to the group's volumes and overwrites them at the source";
/// Ranges asked for at a time when differences are counted, and how often.
const RANGES: usize = 65_536;
const COUNTED_MAX: usize = 16;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(preview))
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(confirm_disks))
        .routes(routes!(undo))
}

/// The verbs of a restore that is on its way, with the words of their routes.
const VERBS: [(Verb, &str); 2] = [(Verb::RestoreCancel, "cancel"), (Verb::Retry, "retry")];

/// A restore in place: the source's own disks put back to a point.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Restore)]
pub(crate) struct RestoreBody {
    /// Its id.
    id: String,
    /// Its group.
    group: String,
    /// The name of its group.
    group_name: String,
    /// Its job.
    job: String,
    /// Who asked.
    operator: String,
    /// The restore that it undoes, if it does.
    undoes: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    requested_at: jiff::Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<jiff::Timestamp>,
    /// How it ended; null before.
    end: Option<RestoreEnd>,
    /// Whether it is on its way back.
    turned_back: bool,
    /// Whether a failover interrupted it; it goes on if that does not become final.
    set_aside: bool,
    /// The step it is in, or ended in.
    step: Step,
    /// What it does there.
    stage: Stage,
    /// What went wrong last, also after it went on.
    failure: Option<Failure>,
    /// Every step that was begun.
    steps: Vec<StepBody>,
    /// The generation that it took last.
    generation: Option<u64>,
    /// The point that the disks are put back to.
    point: Option<String>,
    /// The time of that point.
    #[schema(value_type = Option<String>, format = DateTime)]
    point_time: Option<jiff::Timestamp>,
    /// The point with all that the source held before; the restore is undone with it.
    undo_point: Option<String>,
    /// Its label.
    undo_label: Option<String>,
    /// The time of that point.
    #[schema(value_type = Option<String>, format = DateTime)]
    undo_time: Option<jiff::Timestamp>,
    /// What was written after the point, as it was known when the restore was asked for.
    loss: Option<LossWindow>,
    /// How far the host of the disks is, while it works on them.
    progress: Option<RestoreProgress>,
    /// Bytes of content that went to the source.
    fetched_bytes: u64,
    /// Bytes written to its disks.
    written_bytes: u64,
    /// What may be done with it now.
    allowed_actions: Vec<Action>,
}

/// How far the host of the disks is.
#[derive(Debug, Serialize, ToSchema)]
struct RestoreProgress {
    /// Bytes looked at so far; each is written or compared, and then read back.
    done_bytes: u64,
    /// Bytes to look at in all.
    total_bytes: u64,
}

impl RestoreProgress {
    fn of(group: &Group, record: &RestoreRecord) -> Option<Self> {
        let works = matches!(
            record.progress.step,
            Step::RestoreDisks | Step::PutBackDisks
        );
        let link = group.link.borrow();
        let standing = &link.capture.as_ref()?.report.as_ref()?.standing;
        match standing.task.as_ref()?.state {
            TaskState::Working {
                done_bytes,
                total_bytes,
            } if works && record.progress.stage == Stage::Working => Some(Self {
                done_bytes,
                total_bytes,
            }),
            _ => None,
        }
    }
}

impl Shown for RestoreBody {
    const NOUN: &'static str = "restore";
    const ROUTE: &'static str = "restores";
    type Id = RestoreJobId;
    type Record = RestoreRecord;

    async fn stored(
        service: &Api,
        id: RestoreJobId,
    ) -> Result<Option<RestoreRecord>, CatalogError> {
        service.placements.record(id).await
    }

    async fn page(
        service: &Api,
        group: Option<GroupId>,
        after: Option<RestoreJobId>,
        limit: usize,
    ) -> Result<Vec<RestoreRecord>, CatalogError> {
        service.placements.records(group, after, limit).await
    }

    async fn read(service: &Api, stored: RestoreRecord) -> Result<Self, Problem> {
        let group = records::group_of(service, stored.group)?;
        let placement = placements::placement(service, &group)?;
        let aside = aside(&placement, stored.id);
        let set_aside = aside.is_some();
        // Of the one that is on its way the driver knows more than the catalog.
        let known = aside.or_else(|| records::current(&placement, stored.id));
        let record = known.cloned().unwrap_or(stored);
        Ok(Self {
            id: record.id.to_string(),
            group: group.id().to_string(),
            group_name: group.record().name.clone(),
            allowed_actions: actions(&placement, &record),
            progress: RestoreProgress::of(&group, &record),
            undo_label: record.undo.map(|_| record.undo_label()),
            job: record.request.request_id,
            operator: record.request.operator,
            undoes: record.request.undoes.map(|id| id.to_string()),
            requested_at: clock::readable(record.requested_at),
            finished_at: record.finished_at.map(clock::readable),
            end: record.end,
            turned_back: record.turned_back.is_some(),
            set_aside,
            step: record.progress.step,
            stage: record.progress.stage,
            failure: record.progress.failure,
            steps: record.progress.steps.iter().map(StepBody::of).collect(),
            generation: record.generation.map(|generation| generation.0),
            point: record.point.map(|point| point.to_string()),
            point_time: record.point_time.map(clock::readable),
            undo_point: record.undo.map(|point| point.to_string()),
            undo_time: record.undo_time.map(clock::readable),
            loss: record.request.preview,
            fetched_bytes: record.fetched_bytes,
            written_bytes: record.written_bytes,
        })
    }

    fn shown_id(&self) -> String {
        self.id.clone()
    }
}

/// The restore, if a failover has set it aside.
fn aside(placement: &Placement, id: RestoreJobId) -> Option<&RestoreRecord> {
    placement.set_aside().filter(|job| job.id == id)
}

const SET_ASIDE: (&str, &str) = (
    "a failover has set the restore aside",
    "commit the failover or roll it back: after a rollback the restore can go on",
);

fn actions(placement: &Placement, record: &RestoreRecord) -> Vec<Action> {
    let mut actions = if aside(placement, record.id).is_some() {
        let refused = |(_, name): &(Verb, &str)| Action::refused(*name, SET_ASIDE.0, SET_ASIDE.1);
        VERBS.iter().map(refused).collect()
    } else {
        records::actions::<RestoreRecord>(placement, record.id, RestoreBody::NOUN, &VERBS)
    };
    let undo = undoable(record).and_then(|()| judge(placement, Verb::RestoreStart));
    actions.push(match undo {
        Ok(()) => Action::allowed("undo"),
        Err(refused) => Action::refused("undo", refused.cause, refused.remedy),
    });
    actions
}

/// Whether there is anything to undo.
fn undoable(record: &RestoreRecord) -> Result<(), Refused> {
    let refused = |code: &str, cause: &str, remedy: &str| {
        Err(Refused {
            code: code.to_owned(),
            cause: cause.to_owned(),
            remedy: remedy.to_owned(),
        })
    };
    match record.end {
        Some(RestoreEnd::Restored | RestoreEnd::Unprotected) if record.undo.is_some() => Ok(()),
        Some(_) => refused(
            "nothing_to_undo",
            "the volumes were not put back to the point by it",
            "look at how it ended; to go to any point, start another restore",
        ),
        None => refused(
            "restore_not_over",
            "the restore is still on its way",
            "wait for its end, or cancel it",
        ),
    }
}

/// What a restore would put back.
#[derive(Debug, Serialize, ToSchema)]
struct RestorePreview {
    /// The point that the volumes would be put back to.
    point: PointBody,
    /// What was written after it. The restore bookmarks all of it first.
    loss: LossWindow,
    /// The same in a sentence.
    summary: String,
    /// The volumes; all of a group are put back together.
    volumes: Vec<RestoreVolume>,
    /// Where the source stands; null while nothing is heard of it.
    source: Option<SourceStandingBody>,
    /// Whether a restore can be started now, and why not.
    allowed_actions: Vec<Action>,
}

/// A volume that would be put back.
#[derive(Debug, Serialize, ToSchema)]
struct RestoreVolume {
    /// Its id.
    volume: String,
    /// Its name.
    volume_name: String,
    /// Its size in bytes.
    size_bytes: Option<u64>,
    /// Bytes that were written at any time between the point and the newest one, and may differ; null
    /// when that is not known. The source's host compares all of it in any case.
    may_differ_bytes: Option<u64>,
}

/// Of which restore.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// The instant: a point id, a label, an RFC 3339 time, or latest.
    at: String,
}

/// Shows, without changing anything, what a restore in place would put back.
#[utoipa::path(
    get, path = "/groups/{group}/restore-preview", tag = "restores", operation_id = "preview_restore",
    params(("group" = String, Path, description = "The group's id or name"), PreviewQuery),
    responses(
        (status = 200, body = RestorePreview),
        (status = 404, description = "There is no such group or point", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn preview(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<PreviewQuery>,
) -> Result<ApiJson<RestorePreview>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let row = answer::point(&service, &group, Instant::read(&query.at)).await?;
    let newest = answer::point(&service, &group, Instant::Latest).await?;
    let loss = loss(&service, &group, &row, None).await?;
    let placement = placements::placement(&service, &group)?;
    let volumes = volumes(&service, &group, &row, &newest).await;
    let point = PointBody::of(&service, &group, row).await?;
    Ok(ApiJson(RestorePreview {
        point,
        summary: format!("taken back would be {}", figures(&loss)),
        loss,
        volumes,
        source: SourceStandingBody::of(&group),
        allowed_actions: vec![start_action(&group, &placement)],
    }))
}

fn start_action(group: &Group, placement: &Placement) -> Action {
    if let Err(refused) = judge(placement, Verb::RestoreStart) {
        return Action::refused("start", refused.cause, refused.remedy);
    }
    let told = {
        let link = group.link.borrow();
        let report = link.capture.as_ref().and_then(|told| told.report.as_ref());
        report.map(|report| (report.tracking.clone(), report.standing.serving))
    };
    match obstacle(group, told.as_ref()) {
        None => Action::allowed("start"),
        Some(found) => Action::refused("start", found.cause, found.remedy),
    }
}

async fn volumes(
    service: &Api,
    group: &Arc<Group>,
    row: &BatchRow,
    newest: &BatchRow,
) -> Vec<RestoreVolume> {
    let stream = group.record().stream;
    let name = |row: &BatchRow| PointName {
        stream,
        position: row.end,
    };
    let (from, to) = (name(newest), name(row));
    let histories = group
        .reader()
        .map(|reader| Histories::new(reader, Arc::clone(&service.branches)));
    let group = Arc::clone(group);
    offload(move || {
        let volumes = group.record().volumes.iter();
        volumes
            .map(|volume| RestoreVolume {
                volume: volume.id.to_string(),
                volume_name: volume.name.clone(),
                size_bytes: volume.size_bytes,
                may_differ_bytes: histories
                    .as_ref()
                    .and_then(|histories| may_differ(histories, from, to, volume.id)),
            })
            .collect()
    })
    .await
}

/// Bytes named by the histories between two points; none when that is not known, or too much to
/// count while somebody waits. Blocks.
fn may_differ(
    histories: &Histories,
    from: PointName,
    to: PointName,
    volume: VolumeId,
) -> Option<u64> {
    let between = histories.between(from, to, volume).ok()?;
    let (mut bytes, mut at) = (0_u64, 0);
    for _ in 0..COUNTED_MAX {
        let changed = between.changed(at, RANGES).ok()?;
        bytes += changed.ranges.iter().map(|range| range.length).sum::<u64>();
        match changed.next {
            Some(next) => at = next,
            None => return Some(bytes),
        }
    }
    None
}

/// Lists restores, newest first.
#[utoipa::path(
    get, path = "/restores", tag = "restores", operation_id = "list_restores", params(ListQuery),
    responses(
        (status = 200, body = Page<RestoreBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<RestoreBody>>, Problem> {
    records::list(State(service), query).await
}

/// A restore to be started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRestore {
    /// The group, by id or name. All of its volumes are put back together.
    group: String,
    /// The group's name, as somebody typed it.
    confirm: String,
    /// The instant: a point id, a label, or an RFC 3339 time for the newest point at or before it.
    at: String,
}

/// Starts a restore in place: the source stops writes, all it holds is bookmarked, its disks are
/// brought to the point, and it serves them again.
#[utoipa::path(
    post, path = "/restores", tag = "restores", operation_id = "start_restore",
    params(("Idempotency-Key" = Option<String>, Header, description = "A request with the same key starts nothing twice")),
    request_body = NewRestore,
    responses(
        (status = 202, description = "Started; Location names its job", body = RestoreBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is not confirmed, or the key was used with another request", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn start(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewRestore>,
) -> Result<Accepted<RestoreBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &wanted.group)?;
    check_typed(&group, &wanted.confirm, OVERWRITES)?;
    let attempt = records::attempt::<RestoreBody>(&service, &headers, &wanted).await?;
    let job = match attempt {
        Attempt::Repeated(job) => job,
        Attempt::First(first) => {
            let row = answer::point(&service, &group, Instant::read(&wanted.at)).await?;
            let request = request_of(&service, &group, &row, principal.name, None).await?;
            let started = service.placements.start_restore(group.id(), request, first);
            started.await.map_err(not_done)?
        }
    };
    records::accepted(&service, job).await
}

async fn request_of(
    service: &Api,
    group: &Group,
    row: &BatchRow,
    operator: String,
    undoes: Option<RestoreJobId>,
) -> Result<RestoreRequest, Problem> {
    Ok(RestoreRequest {
        // Its job's id takes this place.
        request_id: String::new(),
        operator,
        point: PointChoice::Point(row.point_id()),
        undoes,
        preview: Some(loss(service, group, row, None).await?),
    })
}

/// Shows a restore.
#[utoipa::path(
    get, path = "/restores/{id}", tag = "restores", operation_id = "show_restore",
    params(("id" = String, Path, description = "The restore's id")),
    responses(
        (status = 200, body = RestoreBody),
        (status = 404, description = "There is no such restore", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<RestoreBody>, Problem> {
    records::show(State(service), &id).await
}

/// Gives up a restore that does not serve yet. If nothing was written the source serves what it has;
/// else its disks are brought back to the bookmark first.
#[utoipa::path(
    post, path = "/restores/{id}/actions/cancel", tag = "restores", operation_id = "cancel_restore",
    params(("id" = String, Path, description = "The restore's id")),
    responses(
        (status = 200, body = RestoreBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn cancel(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<RestoreBody>, Problem> {
    wish(State(service), &id, Event::Cancel).await
}

/// Tries the step again in which a restore is blocked.
#[utoipa::path(
    post, path = "/restores/{id}/actions/retry", tag = "restores", operation_id = "retry_restore",
    params(("id" = String, Path, description = "The restore's id")),
    responses(
        (status = 200, body = RestoreBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retry(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<RestoreBody>, Problem> {
    wish(State(service), &id, Event::Retry).await
}

/// Tries the step again in which a restore is blocked, on disks that took the place of others while it
/// was on its way. Their host compares what was typed with what it finds.
#[utoipa::path(
    post, path = "/restores/{id}/actions/confirm_disks", tag = "restores", operation_id = "confirm_restore_disks",
    params(("id" = String, Path, description = "The restore's id")),
    request_body = ConfirmedDisks,
    responses(
        (status = 200, body = RestoreBody),
        (status = 409, description = "It is not allowed now, or they are not its volumes", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn confirm_disks(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmed): ApiJson<ConfirmedDisks>,
) -> Result<ApiJson<RestoreBody>, Problem> {
    let service = State(service);
    let record = records::find::<RestoreBody>(&service, &id).await?;
    let group = records::group_of(&service, record.group)?;
    let disks = confirmed.of(&group)?;
    wish(service, &id, Event::ConfirmSeed { disks }).await
}

async fn wish(service: Api, id: &str, wish: Event) -> Result<ApiJson<RestoreBody>, Problem> {
    let record = records::find::<RestoreBody>(&service, id).await?;
    let group = records::group_of(&service, record.group)?;
    let placement = placements::placement(&service, &group)?;
    if aside(&placement, record.id).is_some() {
        return Err(Problem::conflict("restore_set_aside", SET_ASIDE.0).remedy(SET_ASIDE.1));
    }
    records::wish(service, id, None, wish).await
}

/// A restore that is undone, as it is remembered under a key.
#[derive(Serialize)]
struct Undo<'a> {
    undoes: &'a str,
    confirm: &'a str,
}

/// Undoes a restore: another restore, to the bookmark of what the source held before. What was
/// written since is bookmarked in turn.
#[utoipa::path(
    post, path = "/restores/{id}/actions/undo", tag = "restores", operation_id = "undo_restore",
    params(
        ("id" = String, Path, description = "The restore's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "A request with the same key starts nothing twice"),
    ),
    request_body = Confirmation,
    responses(
        (status = 202, description = "Another restore is started; Location names its job", body = RestoreBody),
        (status = 409, description = "It is not allowed now", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is not confirmed, or the key was used with another request", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn undo(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    ApiPath(id): ApiPath<String>,
    ApiJson(confirmation): ApiJson<Confirmation>,
) -> Result<Accepted<RestoreBody>, Problem> {
    let service = State(service);
    let record = records::find::<RestoreBody>(&service, &id).await?;
    let group = records::group_of(&service, record.group)?;
    check_typed(&group, &confirmation.confirm, OVERWRITES)?;
    let wanted = Undo {
        undoes: &id,
        confirm: &confirmation.confirm,
    };
    let attempt = records::attempt::<RestoreBody>(&service, &headers, &wanted).await?;
    let job = match attempt {
        Attempt::Repeated(job) => job,
        Attempt::First(first) => {
            let bookmark = undoable(&record).map(|()| record.undo);
            let bookmark = bookmark.map_err(|refused| not_done(refused.into()))?;
            let instant = bookmark.map_or(Instant::Label(record.undo_label()), Instant::Id);
            let row = answer::point(&service, &group, instant).await?;
            let undoes = Some(record.id);
            let request = request_of(&service, &group, &row, principal.name, undoes).await?;
            let started = service.placements.start_restore(group.id(), request, first);
            started.await.map_err(not_done)?
        }
    };
    records::accepted(&service, job).await
}
