//! What the routes of drills, failovers, failbacks and restores share: lists by pages, starts that may be sent
//! twice, and operators' wishes for a job that changes a placement.

use super::{
    Api, answer,
    audited::Made,
    page::{Page, Wanted},
    placements::{self, Confirmation, check_confirmed, not_done},
};
use crate::{
    catalog::CatalogError,
    groups::Group,
    idempotency::Attempt,
    record_id::JobId,
    recovery::{Event, Placement, PlacementRecord, Verb, allowed::judge},
};
use axum::{
    Extension,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use bcdr_format::GroupId;
use bcdr_http::{Action, ApiJson, Problem};
use serde::{Deserialize, Serialize};
use std::{fmt::Display, str::FromStr, sync::Arc};
use utoipa::IntoParams;

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only those of this group, named by id or name.
    group: Option<String>,
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// The answer to a start: what was started, and where its job is.
pub(super) type Accepted<Body> = (
    StatusCode,
    [(HeaderName, HeaderValue); 1],
    Extension<Made>,
    ApiJson<Body>,
);

/// A record as its routes show it.
pub(super) trait Shown: Sized + Serialize {
    /// What one is called.
    const NOUN: &'static str;
    /// The routes' name, also that of the idempotency keys.
    const ROUTE: &'static str;
    type Id: FromStr + Display;
    type Record;

    /// One record.
    async fn stored(service: &Api, id: Self::Id) -> Result<Option<Self::Record>, CatalogError>;

    /// At most `limit` of them, newest first, after the one named.
    async fn page(
        service: &Api,
        group: Option<GroupId>,
        after: Option<Self::Id>,
        limit: usize,
    ) -> Result<Vec<Self::Record>, CatalogError>;

    /// What is shown of a record.
    async fn read(service: &Api, record: Self::Record) -> Result<Self, Problem>;

    /// The id it is shown with.
    fn shown_id(&self) -> String;
}

/// A page of records.
pub(super) async fn list<Body: Shown>(
    service: Api,
    query: ListQuery,
) -> Result<ApiJson<Page<Body>>, Problem> {
    let group = answer::group_filter(&service, query.group.as_deref())?;
    let mut wanted = Wanted::<Body::Id>::read(query.limit, query.cursor.as_deref())?;
    let (group, after) = (group.map(|group| group.id()), wanted.after.take());
    let found = Body::page(&service, group, after, wanted.fetch()).await;
    let mut bodies = Vec::new();
    for record in found.map_err(answer::catalog)? {
        bodies.push(Body::read(&service, record).await?);
    }
    Ok(ApiJson(wanted.page(bodies, Body::shown_id)))
}

/// The record that a path names.
pub(super) async fn find<Body: Shown>(service: &Api, id: &str) -> Result<Body::Record, Problem> {
    let unknown = || Problem::not_found(Body::NOUN, format!("{id:?}"));
    let parsed = id.parse().map_err(|_| unknown())?;
    let found = Body::stored(service, parsed).await;
    found.map_err(answer::catalog)?.ok_or_else(unknown)
}

/// One record, shown.
pub(super) async fn show<Body: Shown>(service: Api, id: &str) -> Result<ApiJson<Body>, Problem> {
    let record = find::<Body>(&service, id).await?;
    Ok(ApiJson(Body::read(&service, record).await?))
}

/// Whether a start comes for the first time.
pub(super) async fn attempt<Body: Shown>(
    service: &Api,
    headers: &HeaderMap,
    wanted: &impl Serialize,
) -> Result<Attempt, Problem> {
    let key = answer::idempotency_key(headers)?;
    let begun = service
        .idempotency
        .begin(Body::ROUTE, key.as_deref(), wanted);
    begun.await.map_err(answer::idempotency)
}

/// What was started under this job, now or by an earlier request with the same key.
pub(super) async fn accepted<Body: Shown>(
    service: &Api,
    job: JobId,
) -> Result<Accepted<Body>, Problem> {
    let id: String = answer::subject_of(service, job).await?;
    let record = find::<Body>(service, &id).await?;
    let body = Body::read(service, record).await?;
    let location = answer::location(format_args!("jobs/{job}"));
    // The location is that of the job; what was made is the record.
    Ok((
        StatusCode::ACCEPTED,
        location,
        Extension(Made(id)),
        ApiJson(body),
    ))
}

/// The group of a record.
pub(super) fn group_of(service: &Api, group: GroupId) -> Result<Arc<Group>, Problem> {
    let gone = || Problem::not_found("group", group);
    service.groups.get(group).ok_or_else(gone)
}

/// A placement's job as it stands now; none if it is another one, or over.
pub(super) fn current<Record: PlacementRecord>(
    placement: &Placement,
    id: Record::Id,
) -> Option<&Record> {
    let job = placement.job().and_then(Record::of)?;
    (job.id() == id).then_some(job)
}

/// What may be done with a placement's job now, by the words of its routes.
pub(super) fn actions<Record: PlacementRecord>(
    placement: &Placement,
    id: Record::Id,
    noun: &str,
    verbs: &[(Verb, &str)],
) -> Vec<Action> {
    let is_current = current::<Record>(placement, id).is_some();
    let action = |(verb, name): &(Verb, &str)| {
        if !is_current {
            let ended = format!("the {noun} has ended");
            return Action::refused(*name, ended, "start another one");
        }
        match judge(placement, *verb) {
            Ok(()) => Action::allowed(*name),
            Err(refused) => Action::refused(*name, refused.cause, refused.remedy),
        }
    };
    verbs.iter().map(action).collect()
}

/// Gives an operator's wish to the placement whose job this is, and shows what came of it.
pub(super) async fn wish<Body>(
    service: Api,
    id: &str,
    confirmation: Option<&Confirmation>,
    wish: Event,
) -> Result<ApiJson<Body>, Problem>
where
    Body: Shown<Record: PlacementRecord>,
{
    let record = find::<Body>(&service, id).await?;
    let group = group_of(&service, record.group())?;
    if let Some(confirmation) = confirmation {
        check_confirmed(&group, &confirmation.confirm)?;
    }
    let placement = placements::placement(&service, &group)?;
    if current::<Body::Record>(&placement, record.id()).is_none() {
        let noun = Body::NOUN;
        let detail = format!("{noun} {id} has ended");
        return Err(Problem::conflict(&format!("{noun}_ended"), detail)
            .remedy("look at how it ended, and at the group's placement"));
    }
    let job = Body::Record::reference(record.id());
    let done = service.placements.wish_of(group.id(), job, wish).await;
    done.map_err(not_done)?;
    show(service, id).await
}
