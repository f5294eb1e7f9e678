//! `/events`: what changed, as a list and as a stream of server-sent events.
//!
//! A stream holds its place in the list and one piece of text, nothing else: a client that reads slowly
//! is behind, and holds up nobody. When what it has not read is no longer kept it hears a `reset` and
//! the stream ends; when it takes nothing at all the listener's write deadline ends its connection.

use super::{
    Api, answer,
    page::{Page, Wanted as WantedPage},
};
use crate::{
    access::Access,
    clock,
    events::{
        EventKind, EventObject, Place, PlaceRefused, Wanted,
        log::{Event, EventId, Followed, Order},
    },
    groups::Groups,
};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bcdr_http::{ApiJson, ApiQuery, CurrentSession, Principal, Problem};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, fmt::Write as _, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Events in one piece of a stream.
const PIECE_MAX: usize = 100;
/// How long a stream says nothing at most, so that both ends notice when the other is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is looked whether the client may still be told.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How soon a client comes again, in milliseconds.
const RETRY_MS: u32 = 2000;
/// How soon one that found no place does.
const NO_PLACE_RETRY: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(follow))
}

/// Something changed about an object: read it again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    /// Its id; later events have greater ids, as text too.
    id: String,
    /// When it was told.
    #[schema(value_type = String, format = DateTime)]
    time: jiff::Timestamp,
    /// What happened. After a `reset`, read everything again that is shown.
    kind: EventKind,
    /// What it is about; null for a reset.
    object: Option<EventObject>,
    /// The object's id, or its name where that is what names it; null for a reset.
    object_id: Option<String>,
    /// The group it belongs to; null when it belongs to none or to several, and for an alert of a
    /// volume, whose sentence names the volume with its group.
    group: Option<String>,
    /// The name of that group.
    group_name: Option<String>,
    /// What happened, in a sentence for people.
    summary: String,
}

impl EventBody {
    fn of(groups: &Groups, event: Event) -> Self {
        let group = event.group.and_then(|id| groups.get(id));
        Self {
            id: event.id.to_string(),
            time: clock::readable(event.at),
            kind: event.kind,
            object: event.object,
            object_id: event.object_id,
            group: event.group.map(|id| id.to_string()),
            group_name: group.map(|group| group.record().name.clone()),
            summary: event.summary,
        }
    }
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EventOrder)]
enum OrderName {
    /// The newest event first.
    NewestFirst,
    /// The oldest event first.
    OldestFirst,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those of this group, named by id or name.
    group: Option<String>,
    /// Only those about this kind of object.
    #[param(inline)]
    object: Option<EventObject>,
    /// Only those of this kind. A reset is always shown.
    #[param(inline)]
    kind: Option<EventKind>,
    /// `newest_first`, which is the default, or `oldest_first`.
    #[param(inline)]
    order: Option<OrderName>,
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on; any event's id.
    cursor: Option<String>,
}

/// Lists events. They are kept in memory, the newest 10,000 since the cloud side started; a `reset`
/// stands for all before them, and for whatever lay between a cursor that is not known any more and
/// the events that are.
#[utoipa::path(
    get, path = "/events", tag = "events", operation_id = "list_events", params(ListQuery),
    responses(
        (status = 200, body = Page<EventBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<EventBody>>, Problem> {
    let service = State(service);
    let page = WantedPage::<EventId>::read(query.limit, query.cursor.as_deref())?;
    let wanted = Wanted {
        group: answer::group_filter(&service, query.group.as_deref())?.map(|group| group.id()),
        object: query.object,
        kind: query.kind,
        role: principal.role,
    };
    let order = match query.order {
        Some(OrderName::OldestFirst) => Order::OldestFirst,
        Some(OrderName::NewestFirst) | None => Order::NewestFirst,
    };
    let events = service
        .events
        .page(order, page.after, page.fetch(), &wanted);
    let bodies = events
        .into_iter()
        .map(|event| EventBody::of(&service.groups, event))
        .collect();
    Ok(ApiJson(
        page.page(bodies, |event: &EventBody| event.id.clone()),
    ))
}

/// Which events are followed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FollowQuery {
    /// Only those of this group, named by id or name.
    group: Option<String>,
    /// Only those about this kind of object.
    #[param(inline)]
    object: Option<EventObject>,
    /// Only those of this kind. A reset is always told.
    #[param(inline)]
    kind: Option<EventKind>,
    /// From after this event on, for a client that cannot send `Last-Event-ID`; that header wins.
    after: Option<String>,
}

/// Follows the events: a stream of server-sent events (`text/event-stream`), each with its id, its kind
/// as the event's type, and its JSON as data; a comment every 15 seconds while there is none. With
/// `Last-Event-ID` it goes on after that event; without, or when it is not known what followed, it
/// begins with a `reset`. It ends with the session or token, with the cloud side, and for a client that
/// is too slow.
#[utoipa::path(
    get, path = "/events/stream", tag = "events", operation_id = "follow_events",
    params(
        FollowQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received"),
    ),
    responses(
        (status = 200, description = "Server-sent events, without end", content_type = "text/event-stream", body = String),
        (status = 429, description = "Too many clients follow the events", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn follow(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    session: Option<Extension<CurrentSession>>,
    headers: HeaderMap,
    ApiQuery(query): ApiQuery<FollowQuery>,
) -> Result<Response, Problem> {
    let service = State(service);
    let group = answer::group_filter(&service, query.group.as_deref())?;
    let last = last_seen(&headers, query.after.as_deref())?;
    let place = service.events.take_place(&principal.id).map_err(no_place)?;
    let follower = Follower {
        wanted: Wanted {
            group: group.map(|group| group.id()),
            object: query.object,
            kind: query.kind,
            role: principal.role,
        },
        further: place.events().further(),
        closing: place.events().closing(),
        place,
        access: Arc::clone(&service.access),
        groups: Arc::clone(&service.groups),
        principal,
        session: session.map(|Extension(session)| session),
        at: last,
        is_begun: false,
        is_placed: false,
        is_over: false,
    };
    let pieces = futures_util::stream::unfold(follower, async |mut follower| {
        let piece = follower.next().await?;
        Some((Ok::<_, Infallible>(piece), follower))
    });
    let kind = HeaderValue::from_static("text/event-stream");
    let body = Body::from_stream(pieces);
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind)], body).into_response())
}

/// The event that a client saw last. One that is no event of this product's is one that is not known.
fn last_seen(headers: &HeaderMap, after: Option<&str>) -> Result<Option<EventId>, Problem> {
    let header = headers.get("last-event-id");
    let (text, field) = match (header, after) {
        (Some(value), _) => (value.to_str().unwrap_or_default(), "Last-Event-ID"),
        (None, Some(text)) => (text, "after"),
        (None, None) => return Ok(None),
    };
    let parsed = text.parse().map_err(|error| {
        Problem::invalid(format!("{field} names no event: {error}"))
            .field(field)
            .remedy("send the id of an event as it was received, or nothing")
    });
    parsed.map(Some)
}

fn no_place(refused: PlaceRefused) -> Problem {
    Problem::too_many("too_many_streams", refused.to_string(), NO_PLACE_RETRY)
        .remedy("close streams that nobody looks at, raise api.event_streams in the configuration, or ask for /api/v1/events now and then")
}

/// A client that follows.
struct Follower {
    place: Place,
    further: watch::Receiver<u64>,
    closing: CancellationToken,
    access: Arc<Access>,
    groups: Arc<Groups>,
    principal: Principal,
    session: Option<CurrentSession>,
    wanted: Wanted,
    /// Up to where events were told, or looked over; none before the first piece.
    at: Option<EventId>,
    is_begun: bool,
    /// Whether what it named is known, or it heard that it is not.
    is_placed: bool,
    is_over: bool,
}

impl Follower {
    /// The next piece of text; none at the end.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.is_begun, true) {
            let mut piece = format!("retry: {RETRY_MS}\n\n");
            if self.at.is_none() {
                let begin = self.place.events().begin();
                self.at = Some(begin.id);
                self.write(&mut piece, begin);
            }
            return Some(piece);
        }
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if self.is_over || self.closing.is_cancelled() || !self.may_be_told() {
                return None;
            }
            // Before it is looked, so that nothing comes unnoticed in between.
            self.further.mark_unchanged();
            if let Some(piece) = self.piece() {
                return Some(piece);
            }
            let now = Instant::now();
            if now >= heartbeat {
                return Some(": alive\n\n".to_owned());
            }
            let until = heartbeat.min(now + LOOK_AGAIN);
            tokio::select! {
                // Whether something came, or only time passed, shows when it is looked again.
                _ = timeout_at(until, self.further.changed()) => {}
                () = self.closing.cancelled() => return None,
            }
        }
    }

    fn may_be_told(&self) -> bool {
        let session = self.session.as_ref().map(|session| &session.0);
        self.access.still_is(&self.principal, session)
    }

    /// What is to be told now, if anything is.
    fn piece(&mut self) -> Option<String> {
        let after = self.at?;
        let mut piece = String::new();
        let was_placed = std::mem::replace(&mut self.is_placed, true);
        match self.place.events().follow(after, PIECE_MAX, &self.wanted) {
            Followed::On(events, to) => {
                self.at = Some(to);
                for event in events {
                    self.write(&mut piece, event);
                }
            }
            Followed::Reset(reset) => {
                self.at = Some(reset.id);
                // Who fell behind while it was told comes again by itself, and goes on from there.
                self.is_over = was_placed;
                self.write(&mut piece, reset);
            }
        }
        (!piece.is_empty()).then_some(piece)
    }

    fn write(&self, piece: &mut String, event: Event) {
        let (id, kind) = (event.id, event.kind.name());
        let body = EventBody::of(&self.groups, event);
        let data = serde_json::to_string(&body).expect("an event is plain data");
        write!(piece, "id: {id}\nevent: {kind}\ndata: {data}\n\n")
            .expect("writing to a text cannot fail");
    }
}
