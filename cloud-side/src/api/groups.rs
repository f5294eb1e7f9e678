//! `/groups`.

use super::{
    Api, answer,
    page::{Page, Wanted},
    placements::SourceStandingBody,
    readiness::ReadinessAxis,
};
use crate::{
    catalog::{CreateGroupError, NewVolume, check_names},
    clock,
    drills::DrillState,
    groups::{
        Group, Link, Stored,
        status::{Health, Known, MarkerObstacle, Replication},
    },
    offload::offload,
    recovery::{Placement, PlacementState},
    service::NewGroupError,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode},
};
use bcdr_format::{GroupId, Position, SECTOR_BYTES};
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Principal, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Volumes of one group.
pub(super) const VOLUMES_MAX: usize = 64;
/// The largest volume: 1 PiB.
pub(super) const SIZE_BYTES_MAX: u64 = 1 << 50;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
}

/// A protection group: the unit of policy and consistency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub(crate) struct GroupBody {
    /// Its id.
    id: String,
    /// Its name, unique in the installation.
    name: String,
    /// The stream that its capture feeds.
    stream: String,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: jiff::Timestamp,
    /// Its fencing number.
    generation: u64,
    /// Its volumes, in the order of the machine's disks.
    volumes: Vec<GroupVolume>,
    /// What the replication does.
    replication: Replication,
    /// Where the machine runs; null while that is being looked up.
    placement: Option<PlacementState>,
    /// What its drill does.
    drill: DrillAxisBody,
    /// Whether its newest inspected point would boot.
    readiness: ReadinessAxis,
    /// How well it is.
    health: Health,
    /// The age of the newest point in seconds, measured; null when it is not known.
    rpo_seconds: Option<f64>,
    /// Whether the age of the newest point is known.
    rpo_known: bool,
    /// The positions between which lag is measured.
    positions: Positions,
    /// The newest point.
    latest_point: Option<LatestPoint>,
    /// The capture at the source.
    capture: CaptureBody,
    /// The gateway that feeds the group.
    gateway: GatewayBody,
    /// What may be done with it now, and why not.
    allowed_actions: Vec<Action>,
}

/// A volume in its group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupVolume {
    /// Its id.
    id: String,
    /// Its name, unique in its group.
    name: String,
    /// The number the stream uses; null before the capture told it.
    number: Option<u16>,
    /// Its size in bytes.
    size_bytes: Option<u64>,
    /// Bytes written by the application since the capture started; null while it is not connected.
    written_bytes: Option<u64>,
}

/// The drill axis of a group.
#[derive(Debug, Serialize, ToSchema)]
struct DrillAxisBody {
    /// The state.
    state: DrillAxisState,
    /// The newest drill that runs; without one, a drill that left something behind.
    drill: Option<String>,
    /// How many run, or wait for a free place.
    running: u32,
    /// When the last one passed; null when none did.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_passed_at: Option<jiff::Timestamp>,
    /// Since when one that passed is missing by the group's schedule; null while it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    overdue_since: Option<jiff::Timestamp>,
}

/// What the drill of a group does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DrillAxisState {
    /// There is none.
    None,
    /// Disks and network are being made.
    Preparing,
    /// The machine runs.
    Running,
    /// Everything is being removed.
    Cleaning,
    /// Something may be left of the last one.
    CleanupFailed,
}

impl DrillAxisState {
    fn of(state: Option<DrillState>) -> Self {
        match state {
            Some(DrillState::Queued | DrillState::Preparing) => Self::Preparing,
            Some(DrillState::Running) => Self::Running,
            Some(DrillState::Cleaning) => Self::Cleaning,
            Some(DrillState::CleanupFailed) => Self::CleanupFailed,
            _ => Self::None,
        }
    }
}

/// Positions in the stream (incarnation-sequence), each at or behind the one before it; null where
/// it is not known.
#[derive(Debug, Serialize, ToSchema)]
struct Positions {
    /// The last record that the capture numbered.
    sequenced: Option<String>,
    /// The end of what is settled at the capture.
    settled: Option<String>,
    /// What is durable in the capture's journal.
    journaled: Option<String>,
    /// The last record received.
    received: Option<String>,
    /// What is durable here.
    durable: Option<String>,
    /// What is in a published point.
    published: Option<String>,
}

/// The newest point of a group.
#[derive(Debug, Serialize, ToSchema)]
struct LatestPoint {
    /// Its id.
    id: String,
    /// When its last record was captured.
    #[schema(value_type = String, format = DateTime)]
    time: jiff::Timestamp,
    /// Up to when the source is known not to have written anything more.
    #[schema(value_type = String, format = DateTime)]
    covers_until: jiff::Timestamp,
    /// Its label.
    label: Option<String>,
}

/// The capture at the source, as its gateway relays it.
#[derive(Debug, Serialize, ToSchema)]
struct CaptureBody {
    /// Whether it is connected to its gateway, and that to this receiver.
    connected: bool,
    /// Since when, on the gateway's clock.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<jiff::Timestamp>,
    /// Where it stands towards its orders.
    standing: Option<SourceStandingBody>,
    /// When it reported last, on its own clock.
    #[schema(value_type = Option<String>, format = DateTime)]
    reported_at: Option<jiff::Timestamp>,
    /// Bytes of its journal that are in use.
    journal_used_bytes: Option<u64>,
    /// Bytes of its journal.
    journal_capacity_bytes: Option<u64>,
    /// Bytes that wait in the gateway's spool.
    spooled_bytes: Option<u64>,
}

/// The gateway that feeds a group.
#[derive(Debug, Serialize, ToSchema)]
struct GatewayBody {
    /// Whether its session is up.
    connected: bool,
    /// Since when that is so.
    #[schema(value_type = String, format = DateTime)]
    since: jiff::Timestamp,
    /// Who it is.
    peer: Option<String>,
}

impl GroupBody {
    async fn read(service: &Api, group: Arc<Group>) -> Result<Self, Problem> {
        let catalog = Arc::clone(&service.catalog);
        let lineage = group.lineage();
        let latest = offload(move || catalog.latest_point(lineage))
            .await
            .map_err(answer::catalog)?;
        let latest_point = latest.map(|row| LatestPoint {
            id: row.point_id().to_string(),
            time: clock::readable(row.time),
            covers_until: clock::readable(row.covers_until),
            label: row
                .marker
                .map(|marker| marker.label)
                .filter(|label| !label.is_empty()),
        });
        Ok(Self::show(service, &group, latest_point))
    }

    fn show(service: &Api, group: &Group, latest_point: Option<LatestPoint>) -> Self {
        let axis = service.drills.axis(group.id());
        let now = clock::wall();
        let overdue = service
            .schedules
            .overdue_since(group.id(), axis.last_passed, now);
        let drill = DrillAxisBody {
            overdue_since: overdue.map(clock::readable),
            last_passed_at: axis.last_passed,
            state: DrillAxisState::of(axis.state),
            drill: axis.drill.map(|id| id.to_string()),
            running: u32::try_from(axis.running).unwrap_or(u32::MAX),
        };
        let cleanup_failed = axis.leftover.is_some();
        let record = group.record();
        let placement = service.placements.placement(group.id());
        let state = placement.as_ref().map(Placement::state);
        let standing = SourceStandingBody::of(group);
        let mut placement_actions = placement
            .as_ref()
            .map(|placement| super::placements::actions(service, group, placement))
            .unwrap_or_default();
        group.with_known(&service.clock, cleanup_failed, |known, stored, link| {
            let replication = known.replication();
            Self {
                id: record.id.to_string(),
                name: record.name.clone(),
                stream: record.stream.to_string(),
                created_at: clock::readable(record.created_at),
                generation: stored.generation.0,
                volumes: volumes(group, stored, link),
                health: known.health(&replication, state).overdue(overdue),
                replication,
                placement: state,
                rpo_seconds: known.age.map(|age| age.as_secs_f64()),
                rpo_known: known.age.is_some(),
                positions: positions(known, stored, link),
                allowed_actions: {
                    let mut all = actions(
                        known,
                        latest_point.is_some(),
                        service.drills.has_room(record.id),
                    );
                    all.append(&mut placement_actions);
                    all
                },
                latest_point,
                drill,
                capture: CaptureBody {
                    standing,
                    ..capture(known, link)
                },
                readiness: ReadinessAxis::of(
                    &service.inspections,
                    record.id,
                    stored.published.as_ref().map(|point| point.id),
                ),
                gateway: GatewayBody {
                    connected: link.gateway.is_some(),
                    since: clock::readable(link.gateway_since),
                    peer: link.gateway.clone(),
                },
            }
        })
    }
}

fn volumes(group: &Group, stored: &Stored, link: &Link) -> Vec<GroupVolume> {
    let report = link.capture.as_ref().and_then(|told| told.report.as_ref());
    let volume = |record: &crate::catalog::VolumeRecord| GroupVolume {
        id: record.id.to_string(),
        name: record.name.clone(),
        number: stored
            .members
            .iter()
            .find(|member| member.id == record.id)
            .map(|member| member.number.0),
        size_bytes: record.size_bytes,
        written_bytes: report
            .and_then(|report| report.volumes.iter().find(|volume| volume.id == record.id))
            .map(|volume| volume.written_bytes),
    };
    group.record().volumes.iter().map(volume).collect()
}

fn positions(known: &Known<'_>, stored: &Stored, link: &Link) -> Positions {
    let text = |position: Option<Position>| position.map(|position| position.to_string());
    Positions {
        sequenced: text(known.report.map(|report| report.sequenced)),
        settled: text(known.report.and_then(|report| report.settled)),
        journaled: text(known.report.and_then(|report| report.journaled)),
        // Nothing is in flight without a session, and what is durable was received.
        received: text(link.received.max(stored.held)),
        durable: text(stored.held),
        published: text(stored.published.map(|point| point.id.0)),
    }
}

fn capture(known: &Known<'_>, link: &Link) -> CaptureBody {
    CaptureBody {
        connected: known.report.is_some(),
        since: known.capture_since.map(clock::readable),
        standing: None,
        reported_at: known.report.map(|report| clock::readable(report.at)),
        journal_used_bytes: known.report.map(|report| report.journal_used_bytes),
        journal_capacity_bytes: known.report.map(|report| report.journal_capacity_bytes),
        spooled_bytes: link.capture.as_ref().map(|told| told.spooled_bytes),
    }
}

fn actions(known: &Known<'_>, has_point: bool, may_drill: bool) -> Vec<Action> {
    let create_point = match known.marker_obstacle() {
        None => Action::allowed("create_point"),
        Some(MarkerObstacle::NotConnected) => Action::refused(
            "create_point",
            "the source is not connected, and it places the marker",
            "bring capture and gateway up",
        ),
        Some(MarkerObstacle::Syncing) => Action::refused(
            "create_point",
            "data is being synchronised, and no point is published until that ends",
            "wait until the replication is continuous",
        ),
    };
    let needs_point = |name: &str| {
        if has_point {
            Action::allowed(name)
        } else {
            Action::refused(
                name,
                "the group has no recovery point yet",
                "wait until the first copy is complete",
            )
        }
    };
    let start_drill = if may_drill {
        needs_point("start_drill")
    } else {
        Action::refused(
            "start_drill",
            "as many drills of the group are running or waiting as may",
            "stop one, or wait until one ends",
        )
    };
    vec![create_point, needs_point("open_view"), start_drill]
}

/// Which groups.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// Lists groups, oldest first; to a token that is for some groups only those.
#[utoipa::path(
    get, path = "/groups", tag = "groups", operation_id = "list_groups", params(ListQuery),
    responses(
        (status = 200, body = Page<GroupBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<GroupBody>>, Problem> {
    let service = State(service);
    let wanted = Wanted::<GroupId>::read(query.limit, query.cursor.as_deref())?;
    let bounds = principal.bounds.as_deref();
    let mut bodies = Vec::new();
    for group in service.groups.all() {
        let listed = wanted.after.is_none_or(|after| group.id() > after)
            && bounds.is_none_or(|bounds| bounds.contains(&group.id().to_string()));
        if listed && bodies.len() < wanted.fetch() {
            bodies.push(GroupBody::read(&service, group).await?);
        }
    }
    Ok(ApiJson(wanted.page(bodies, |group| group.id.clone())))
}

/// A group to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct NewGroup {
    /// Its name: 1 to 63 letters, digits, hyphens and underscores.
    pub(super) name: String,
    /// Its volumes, in the order of the machine's disks.
    pub(super) volumes: Vec<NewVolumeBody>,
}

/// A volume of a group to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NewVolume)]
pub(super) struct NewVolumeBody {
    /// Its name, unique in the group.
    pub(super) name: String,
    /// Its size in bytes, a multiple of 512.
    pub(super) size_bytes: u64,
}

impl NewGroup {
    /// What the catalog is told of its volumes.
    fn volumes(&self) -> Vec<NewVolume> {
        let volume = |volume: &NewVolumeBody| NewVolume {
            name: volume.name.clone(),
            size_bytes: Some(volume.size_bytes),
        };
        self.volumes.iter().map(volume).collect()
    }

    /// Judges it, whatever other groups there are.
    pub(super) fn check(&self) -> Result<(), Problem> {
        check_volumes(&self.volumes)?;
        check_names(&self.name, &self.volumes()).map_err(|error| not_created(error.into()))
    }
}

/// Makes a group.
pub(super) async fn make(service: &Api, wanted: NewGroup) -> Result<Arc<Group>, Problem> {
    check_volumes(&wanted.volumes)?;
    let volumes = wanted.volumes();
    let making = Arc::clone(service);
    // Whoever leaves meanwhile leaves a group that is served, and not only a name that is taken.
    let made = async move { making.create_group(wanted.name, volumes).await };
    service.jobs.begin(made).await.map_err(not_created)
}

/// Makes a group. Its id, stream and volume ids go into the capture's configuration.
#[utoipa::path(
    post, path = "/groups", tag = "groups", operation_id = "create_group",
    request_body = NewGroup,
    responses(
        (status = 201, description = "Made; Location names it", body = GroupBody),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn create(
    State(service): Api,
    ApiJson(wanted): ApiJson<NewGroup>,
) -> Result<
    (
        StatusCode,
        [(HeaderName, HeaderValue); 1],
        ApiJson<GroupBody>,
    ),
    Problem,
> {
    let service = State(service);
    let group = make(&service, wanted).await?;
    let location = answer::location(format_args!("groups/{}", group.id()));
    let body = GroupBody::read(&service, group).await?;
    Ok((StatusCode::CREATED, location, ApiJson(body)))
}

fn check_volumes(volumes: &[NewVolumeBody]) -> Result<(), Problem> {
    if volumes.len() > VOLUMES_MAX {
        let detail = format!(
            "{} volumes, where at most {VOLUMES_MAX} form a group",
            volumes.len()
        );
        return Err(Problem::invalid(detail).field("volumes"));
    }
    for (index, volume) in volumes.iter().enumerate() {
        let size = volume.size_bytes;
        if size == 0 || size > SIZE_BYTES_MAX || !size.is_multiple_of(SECTOR_BYTES) {
            let detail = format!(
                "volume {:?} has {size} bytes, which is not a multiple of {SECTOR_BYTES} between {SECTOR_BYTES} and {SIZE_BYTES_MAX}",
                volume.name
            );
            return Err(Problem::invalid(detail).field(format!("volumes.{index}.size_bytes")));
        }
    }
    Ok(())
}

fn not_created(error: NewGroupError) -> Problem {
    let detail = error.to_string();
    match error {
        NewGroupError::Create(CreateGroupError::NameTaken { .. }) => {
            Problem::conflict("group_exists", detail).remedy("use that group, or another name")
        }
        NewGroupError::Create(CreateGroupError::InvalidName { .. }) => {
            Problem::invalid(detail).field("name")
        }
        NewGroupError::Create(CreateGroupError::Volumes) => {
            Problem::invalid(detail).field("volumes")
        }
        NewGroupError::Create(CreateGroupError::Catalog(error)) => answer::catalog(error),
        NewGroupError::Random(error) => answer::no_randomness(error),
        other => Problem::internal("making a group", &other),
    }
}

/// Shows a group.
#[utoipa::path(
    get, path = "/groups/{group}", tag = "groups", operation_id = "show_group",
    params(("group" = String, Path, description = "The group's id or name")),
    responses(
        (status = 200, body = GroupBody),
        (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
) -> Result<ApiJson<GroupBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    Ok(ApiJson(GroupBody::read(&service, group).await?))
}
