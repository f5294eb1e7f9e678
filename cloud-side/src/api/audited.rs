//! What the API enters into the audit log, and when.
//!
//! Two layers: one outside of the authentication, which sees whom it refuses, and one inside, which
//! knows who asks; [`doors`] is around what is asked for before anybody is known. Invariants: the entry
//! with which an action begins is durable before its handler runs, and the entry with its outcome
//! before its answer is sent, so a kill at any moment leaves no action without an entry; a request that
//! was carried out has one of each, and what was only refused has one. What is read successfully is not
//! entered, except what [`SENSITIVE`] and [`WATCHED`] name. Of a request's body only the fields that
//! [`fields::SHORT_FIELDS`] names are kept.
//!
//! While the log cannot be written, what changes something is refused, except [`EMERGENCY`].

mod doors;
mod fields;
mod parts;

pub(super) use doors::open;
pub(super) use parts::{Part, Parts};

use super::{bounds::Hidden, document::operations};
use crate::audit::{AUTHENTICATE, Audit, AuditError, Stranger};
use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use bcdr_audit::{Actor, ActorKind, Draft, Object, Outcome};
use bcdr_http::{
    Peer, PeerAddress, Principal, PrincipalKind, Problem, ProblemCode, RequestId, Token, session_of,
};
use bcdr_report::Digest;
use fields::short_fields;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use utoipa::openapi::OpenApi;

/// What brings production back goes on without the log; the gap is entered later.
pub(super) const EMERGENCY: [&str; 7] = [
    "start_failover",
    "commit_failover",
    "rollback_failover",
    "retry_failover",
    "keep_source",
    "keep_target",
    "retry_placement",
];
/// What is entered also when it was only read.
const SENSITIVE: [&str; 3] = ["read_evidence", "list_audit", "export_audit"];
/// What does several things, each of which has entries of its own.
const IN_PARTS: [&str; 1] = ["apply_configuration"];
/// What is looked at again and again: entered when somebody begins to, and once in a while from then on.
const WATCHED: [&str; 2] = ["show_drill_screen", "show_failover_screen"];
/// How long somebody's look at something stands for those that follow.
const WATCHED_FOR: Duration = Duration::from_secs(600);

/// What the layers share.
struct Witness {
    audit: Arc<Audit>,
    /// Who looks at what, and since when that is entered.
    watching: Mutex<HashMap<(String, Option<String>), Instant>>,
    /// The operation of each method and route.
    operations: HashMap<(Method, String), String>,
}

/// Marks an answer that has its entries.
#[derive(Clone, Copy)]
struct Entered;

/// Who a principal is in the log. The one place that knows what a principal has.
pub(super) fn actor_of(principal: &Principal) -> Actor {
    Actor {
        kind: match principal.kind {
            PrincipalKind::User => ActorKind::User,
            PrincipalKind::Token => ActorKind::Token,
        },
        id: Some(principal.id.clone()),
        name: principal.name.clone(),
    }
}

/// The layers around the authentication, which `authenticate` puts around what it is given.
pub(super) fn audited(
    guarded: Router,
    document: &OpenApi,
    audit: Arc<Audit>,
    authenticate: impl FnOnce(Router) -> Router,
) -> Router {
    let witness = Arc::new(Witness::new(audit, document));
    let inside = guarded.route_layer(middleware::from_fn_with_state(Arc::clone(&witness), act));
    authenticate(inside).route_layer(middleware::from_fn_with_state(witness, watch))
}

impl Witness {
    fn new(audit: Arc<Audit>, document: &OpenApi) -> Self {
        Self {
            audit,
            watching: Mutex::default(),
            operations: operations(document)
                .map(|(method, path, id)| ((method, path.to_owned()), id.to_owned()))
                .collect(),
        }
    }

    /// Whether this look at something is one that is entered.
    fn begins_to_watch(&self, actor: &Actor, asked: &Asked) -> bool {
        let now = Instant::now();
        let object = asked.object.as_ref().and_then(|object| object.id.clone());
        let who = actor.id.clone().unwrap_or_else(|| actor.name.clone());
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        watching.retain(|_, since| now - *since < WATCHED_FOR);
        let is_known = watching.contains_key(&(who.clone(), object.clone()));
        if !is_known {
            watching.insert((who, object), now);
        }
        !is_known
    }
}

/// What stands for a session in the log: the same for all its requests, and nothing that it could be
/// looked up or taken over with.
fn session_id(session: &Token) -> String {
    let digest = Digest::of(format!("bcdr audit session v1\n{}", session.hash()).as_bytes());
    let digest = digest.to_string();
    format!("ses-{}", &digest[..32])
}

/// What a request is, before anything is done about it.
struct Asked {
    method: Method,
    action: String,
    object: Option<Object>,
    source: Option<String>,
    /// The session that its cookie names.
    session: Option<String>,
    request: Option<String>,
    idempotency: Option<Digest>,
    /// Whether it only asks what would be.
    is_rehearsal: bool,
}

impl Asked {
    fn read(witness: &Witness, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or("", MatchedPath::as_str);
        let method = match *request.method() {
            // A route for GET answers it as well.
            Method::HEAD => Method::GET,
            _ => request.method().clone(),
        };
        let named = witness.operations.get(&(method.clone(), route.to_owned()));
        let peer = request.extensions().get::<Peer>();
        let id = request.extensions().get::<RequestId>();
        Self {
            action: named.map_or_else(|| format!("{method} {route}"), String::clone),
            object: named_in(route, request.uri().path()),
            source: peer.map(|peer| match peer.address {
                PeerAddress::Network(address) => address.ip().to_canonical().to_string(),
                PeerAddress::Local { .. } => peer.address.to_string(),
            }),
            session: session_of(request.headers()).map(|session| session_id(&session)),
            request: id.map(RequestId::to_string),
            idempotency: request
                .headers()
                .get("idempotency-key")
                .map(|key| Digest::of(key.as_bytes())),
            is_rehearsal: request
                .uri()
                .query()
                .is_some_and(|query| query.split('&').any(|pair| pair == "dry_run=true")),
            method,
        }
    }

    fn changes_nothing(&self) -> bool {
        self.method == Method::GET
    }

    fn is_one_of(&self, actions: &[&str]) -> bool {
        actions.contains(&self.action.as_str())
    }

    fn draft(&self, actor: Actor, outcome: Outcome) -> Draft {
        // A user is known by the session of the cookie, and by nothing else.
        let session = match actor.kind {
            ActorKind::User => self.session.clone(),
            ActorKind::Token => actor.id.clone(),
            ActorKind::System | ActorKind::Unknown => None,
        };
        let mut draft = Draft::new(actor, &self.action, outcome);
        draft.session = session;
        draft.source.clone_from(&self.source);
        draft.object.clone_from(&self.object);
        draft.request.clone_from(&self.request);
        draft.idempotency = self.idempotency;
        draft
    }
}

/// The object that a path names: what its first collection holds, and which one.
fn named_in(route: &str, path: &str) -> Option<Object> {
    let collection = route.strip_prefix("/api/v1/")?.split('/').next()?;
    let kind = collection.strip_suffix('s').unwrap_or(collection);
    let kind = if kind == "branche" { "branch" } else { kind };
    let named = route
        .split('/')
        .nth(4)
        .is_some_and(|part| part.starts_with('{'));
    let id = path.split('/').nth(4).filter(|_| named);
    Some(Object {
        kind: kind.to_owned(),
        id: id.map(str::to_owned),
    })
}

/// The id of what a request made, where its `Location` is of something else or it has none.
#[derive(Debug, Clone)]
pub(super) struct Made(pub(super) String);

/// The id of what a request made.
fn made(headers: &HeaderMap) -> Option<&str> {
    let location = headers.get(header::LOCATION)?.to_str().ok()?;
    location.rsplit('/').next()
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 409 | 422 | 429)
}

fn outcome_of(status: StatusCode) -> Outcome {
    if status.is_server_error() {
        Outcome::Failed
    } else if status.is_client_error() {
        Outcome::Refused
    } else {
        Outcome::Allowed
    }
}

fn answered(draft: &mut Draft, response: &Response) {
    draft.outcome = outcome_of(response.status());
    draft.status = Some(response.status().as_u16());
    draft.code = response
        .extensions()
        .get::<ProblemCode>()
        .map(|code| code.0.clone());
    let named = response.extensions().get::<Made>();
    let id = named.map_or_else(|| made(response.headers()), |made| Some(&made.0));
    if let (Some(object), Some(id)) = (&mut draft.object, id)
        && object.id.is_none()
    {
        object.id = Some(id.to_owned());
    }
}

/// The outer layer: enters whom the authentication refuses.
async fn watch(State(witness): State<Arc<Witness>>, request: Request, next: Next) -> Response {
    let asked = Asked::read(&witness, &request);
    let peer = request.extensions().get::<Peer>().cloned();
    let response = next.run(request).await;
    let is_entered = response.extensions().get::<Entered>().is_some();
    let is_hidden = response.extensions().get::<Hidden>().is_some();
    if is_entered || !(is_hidden || is_refusal(response.status())) {
        return response;
    }
    match response.extensions().get::<Principal>() {
        Some(principal) => {
            let mut draft = asked.draft(actor_of(principal), Outcome::Refused);
            answered(&mut draft, &response);
            draft.detail = is_hidden.then(|| "it is not one of the token's groups".to_owned());
            witness.audit.record_refusal(draft).await;
        }
        None => {
            witness.audit.refused_stranger(&Stranger {
                address: peer.as_ref().and_then(Peer::ip),
                action: AUTHENTICATE,
                account: None,
                code: code_of(&response),
            });
        }
    }
    response
}

/// The code of the problem that was answered.
fn code_of(response: &Response) -> &str {
    let code = response.extensions().get::<ProblemCode>();
    code.map_or("refused", |code| code.0.as_str())
}

/// The inner layer: enters what a known actor does.
async fn act(State(witness): State<Arc<Witness>>, request: Request, next: Next) -> Response {
    let Some(actor) = request.extensions().get::<Principal>().map(actor_of) else {
        return next.run(request).await;
    };
    let asked = Asked::read(&witness, &request);
    let mut response = if asked.changes_nothing() {
        let response = next.run(request).await;
        let is_read = response.status().is_success()
            && (asked.is_one_of(&SENSITIVE)
                || asked.is_one_of(&WATCHED) && witness.begins_to_watch(&actor, &asked));
        if is_read || is_refusal(response.status()) {
            let mut draft = asked.draft(actor, Outcome::Allowed);
            answered(&mut draft, &response);
            if is_read {
                witness.audit.record_if_possible(draft).await;
            } else {
                witness.audit.record_refusal(draft).await;
            }
        }
        response
    } else {
        match short_fields(request).await {
            Ok((request, changes)) => change(&witness, actor, &asked, changes, request, next).await,
            Err(problem) => problem.into_response(),
        }
    };
    response.extensions_mut().insert(Entered);
    response
}

/// Carries out what changes something, between its two entries.
async fn change(
    witness: &Witness,
    actor: Actor,
    asked: &Asked,
    changes: BTreeMap<String, String>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut draft = asked.draft(actor, Outcome::Begun);
    draft.changes = changes;
    if asked.is_rehearsal {
        draft
            .changes
            .insert("dry_run".to_owned(), "true".to_owned());
    }
    // What waits for the disk outlives its request.
    let mut draft = draft.bounded();
    let mut end = End {
        audit: &witness.audit,
        draft: Some(draft.clone()),
    };
    let began = if asked.is_one_of(&EMERGENCY) {
        witness.audit.record_if_possible(draft.clone()).await
    } else {
        match witness.audit.record(draft.clone()).await {
            Ok(number) => Some(number),
            Err(error) => {
                end.draft = None;
                let problem = unavailable(&error);
                let response = problem.into_response();
                answered(&mut draft, &response);
                draft.outcome = Outcome::Refused;
                witness.audit.record_later(draft);
                return response;
            }
        }
    };
    if let Some(draft) = &mut end.draft {
        draft.began = began;
    }
    if asked.is_one_of(&IN_PARTS) {
        let parts = Parts::new(Arc::clone(&witness.audit), draft);
        request.extensions_mut().insert(parts);
    }
    let response = next.run(request).await;
    if let Some(mut draft) = end.draft.take() {
        answered(&mut draft, &response);
        witness.audit.record_if_possible(draft).await;
    }
    response
}

/// Enters that nobody knows how an action ended, when its handler is dropped before its end: the
/// client went away, or the handler broke.
struct End<'a> {
    audit: &'a Audit,
    draft: Option<Draft>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Some(mut draft) = self.draft.take() {
            draft.outcome = Outcome::Unknown;
            draft.detail = Some("the client went away, or the handler broke".to_owned());
            self.audit.record_later(draft);
        }
    }
}

fn unavailable(error: &AuditError) -> Problem {
    Problem::unavailable(
        "audit_unavailable",
        "the audit log cannot be written, so nothing is changed",
    )
    .cause(error)
    .retry_after(Duration::from_secs(5))
    .remedy("make room on the state directory's disk, or repair it; failovers and their commit, rollback and retry, and the settling of a split brain are taken all the same")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_path_names_its_object() {
        let named = |route, path| {
            let object = named_in(route, path).unwrap();
            (object.kind, object.id)
        };
        assert_eq!(
            named(
                "/api/v1/failovers/{id}/actions/commit",
                "/api/v1/failovers/fov-1/actions/commit"
            ),
            ("failover".to_owned(), Some("fov-1".to_owned()))
        );
        assert_eq!(
            named("/api/v1/branches/{id}", "/api/v1/branches/brn-1").0,
            "branch"
        );
        assert_eq!(
            named("/api/v1/drills", "/api/v1/drills"),
            ("drill".to_owned(), None)
        );
        assert_eq!(
            named("/api/v1/audit/export", "/api/v1/audit/export"),
            ("audit".to_owned(), None)
        );
        assert_eq!(named_in("/metrics", "/metrics"), None);
    }

    #[test]
    fn what_is_named_here_are_operations_of_the_document() {
        let document: Value = serde_json::from_str(&crate::api::openapi_json()).unwrap();
        let text = document.to_string();
        for action in EMERGENCY.iter().chain(&SENSITIVE).chain(&IN_PARTS) {
            let id = format!("\"operationId\":\"{action}\"");
            assert!(text.contains(&id), "{action}");
        }
    }
}
