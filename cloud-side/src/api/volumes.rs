//! `/volumes`.

use super::{
    Api, answer,
    page::{Page, Wanted},
};
use crate::groups::Group;
use axum::extract::State;
use bcdr_format::VolumeId;
use bcdr_http::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
}

/// A protected volume.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Volume)]
pub(crate) struct VolumeBody {
    /// Its id.
    id: String,
    /// Its group.
    group: String,
    /// The name of its group.
    group_name: String,
    /// Its name, unique in its group.
    name: String,
    /// The number the stream uses; null before the capture told it.
    number: Option<u16>,
    /// Its size in bytes.
    size_bytes: Option<u64>,
    /// Bytes written by the application since the capture started; null while it is not connected.
    written_bytes: Option<u64>,
    /// Writes by the application since the capture started; null while it is not connected.
    writes: Option<u64>,
}

fn volumes_of(group: &Group) -> Vec<VolumeBody> {
    let record = group.record();
    let link = group.link.borrow();
    let stored = group.stored.borrow();
    let report = link.capture.as_ref().and_then(|told| told.report.as_ref());
    let volume = |volume: &crate::catalog::VolumeRecord| {
        let told =
            report.and_then(|report| report.volumes.iter().find(|told| told.id == volume.id));
        let member = stored.members.iter().find(|member| member.id == volume.id);
        VolumeBody {
            id: volume.id.to_string(),
            group: record.id.to_string(),
            group_name: record.name.clone(),
            name: volume.name.clone(),
            number: member.map(|member| member.number.0),
            size_bytes: volume.size_bytes,
            written_bytes: told.map(|told| told.written_bytes),
            writes: told.map(|told| told.writes),
        }
    };
    record.volumes.iter().map(volume).collect()
}

/// Which volumes.
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

/// Lists volumes, group by group, in the order of their disks.
#[utoipa::path(
    get, path = "/volumes", tag = "groups", operation_id = "list_volumes", params(ListQuery),
    responses(
        (status = 200, body = Page<VolumeBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<VolumeBody>>, Problem> {
    let service = State(service);
    let group = answer::group_filter(&service, query.group.as_deref())?;
    let wanted = Wanted::<VolumeId>::read(query.limit, query.cursor.as_deref())?;
    let groups = group.map_or_else(|| service.groups.all(), |group| vec![group]);
    let mut all = groups.iter().flat_map(|group| volumes_of(group)).peekable();
    if let Some(after) = wanted.after.map(|id| id.to_string()) {
        // The list goes on behind this one.
        while all.next_if(|volume| volume.id != after).is_some() {}
        all.next();
    }
    let found = all.take(wanted.fetch()).collect();
    Ok(ApiJson(
        wanted.page(found, |volume: &VolumeBody| volume.id.clone()),
    ))
}

/// Shows a volume.
#[utoipa::path(
    get, path = "/volumes/{id}", tag = "groups", operation_id = "show_volume",
    params(("id" = String, Path, description = "The volume's id")),
    responses(
        (status = 200, body = VolumeBody),
        (status = 404, description = "There is no such volume", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<VolumeBody>, Problem> {
    let service = State(service);
    let group = group_of(&service, &id)?;
    let found = volumes_of(&group)
        .into_iter()
        .find(|volume| volume.id == id);
    found.map(ApiJson).ok_or_else(|| unknown(&id))
}

/// The group of the volume with this id.
pub(super) fn group_of(service: &Api, id: &str) -> Result<Arc<Group>, Problem> {
    let has = |group: &Arc<Group>| volumes_of(group).iter().any(|volume| volume.id == id);
    let found = service.groups.all().into_iter().find(has);
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Problem {
    Problem::not_found("volume", format!("{id:?}"))
}
