//! What the API enters into the audit log, and when.
//!
//! Two layers: one outside of the authentication, which sees whom it refuses, and one inside, which
//! knows who asks. Invariants: the entry with which an action begins is durable before its handler
//! runs, and the entry with its outcome before its answer is sent, so a kill at any moment leaves no
//! action without an entry; a request that was carried out has one of each, and what was only refused
//! has one. What is read successfully is not entered, except what [`SENSITIVE`] names. Of a request's
//! body only the fields that [`SHORT_FIELDS`] names are kept.
//!
//! While the log cannot be written, what changes something is refused, except [`EMERGENCY`].

use crate::audit::{Audit, AuditError};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use bcdr_audit::{Actor, ActorKind, Draft, Object, Outcome};
use bcdr_http::{Peer, PeerAddress, Principal, PrincipalKind, Problem, ProblemCode, RequestId};
use bcdr_report::Digest;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use utoipa::openapi::{HttpMethod, OpenApi};

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
/// Fields of a request that say in short what was asked for, and can hold no secret.
const SHORT_FIELDS: [&str; 10] = [
    "group", "plan", "name", "mode", "at", "point", "step", "seed", "label", "reason",
];
/// The longest body that is looked at, in bytes.
const SHORT_BODY_MAX: usize = 64 << 10;
/// How long a client may take to send such a body.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// What the layers share.
struct Witness {
    audit: Arc<Audit>,
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
    let witness = Arc::new(Witness {
        audit,
        operations: operations(document),
    });
    let inside = guarded.route_layer(middleware::from_fn_with_state(Arc::clone(&witness), act));
    authenticate(inside).route_layer(middleware::from_fn_with_state(witness, watch))
}

/// The layer around what is asked for before anybody is known: who came in is entered under the name
/// that was given and proven; who did not is counted with the other strangers.
pub(super) fn open(routes: Router, document: &OpenApi, audit: Arc<Audit>) -> Router {
    let witness = Arc::new(Witness {
        audit,
        operations: operations(document),
    });
    routes.route_layer(middleware::from_fn_with_state(witness, come_in))
}

fn operations(document: &OpenApi) -> HashMap<(Method, String), String> {
    let mut operations = HashMap::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in [
            (HttpMethod::Get, &item.get),
            (HttpMethod::Post, &item.post),
            (HttpMethod::Put, &item.put),
            (HttpMethod::Patch, &item.patch),
            (HttpMethod::Delete, &item.delete),
        ]
        .map(|(method, operation)| (method_of(&method), operation))
        {
            if let Some(id) = operation
                .as_ref()
                .and_then(|known| known.operation_id.clone())
            {
                operations.insert((method, path.clone()), id);
            }
        }
    }
    operations
}

fn method_of(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
        _ => Method::GET,
    }
}

/// What a request is, before anything is done about it.
struct Asked {
    method: Method,
    action: String,
    object: Option<Object>,
    source: Option<String>,
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
        let mut draft = Draft::new(actor, &self.action, outcome);
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
    if let (Some(object), Some(id)) = (&mut draft.object, made(response.headers()))
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
    if is_entered || !is_refusal(response.status()) {
        return response;
    }
    match response.extensions().get::<Principal>() {
        Some(principal) => {
            let mut draft = asked.draft(actor_of(principal), Outcome::Refused);
            answered(&mut draft, &response);
            witness.audit.record_refusal(draft).await;
        }
        None => {
            let code = response.extensions().get::<ProblemCode>();
            let code = code.map_or("refused", |code| code.0.as_str());
            witness
                .audit
                .refused_stranger(peer.as_ref().and_then(Peer::ip), code);
        }
    }
    response
}

/// The layer of those that are not known yet.
async fn come_in(State(witness): State<Arc<Witness>>, request: Request, next: Next) -> Response {
    let asked = Asked::read(&witness, &request);
    let peer = request.extensions().get::<Peer>().cloned();
    let (request, changes) = match short_fields(request).await {
        Ok(read) => read,
        Err(problem) => return problem.into_response(),
    };
    let response = next.run(request).await;
    if response.status().is_success() {
        let name = changes.get("name").cloned().unwrap_or_default();
        let actor = Actor {
            kind: ActorKind::User,
            id: None,
            name,
        };
        let mut draft = asked.draft(actor, Outcome::Allowed);
        answered(&mut draft, &response);
        witness.audit.record_if_possible(draft).await;
    } else if is_refusal(response.status()) {
        let code = response.extensions().get::<ProblemCode>();
        let code = code.map_or("refused", |code| code.0.as_str());
        witness
            .audit
            .refused_stranger(peer.as_ref().and_then(Peer::ip), code);
    }
    response
}

/// The inner layer: enters what a known actor does.
async fn act(State(witness): State<Arc<Witness>>, request: Request, next: Next) -> Response {
    let Some(actor) = request.extensions().get::<Principal>().map(actor_of) else {
        return next.run(request).await;
    };
    let asked = Asked::read(&witness, &request);
    let mut response = if asked.changes_nothing() {
        let response = next.run(request).await;
        let is_read = response.status().is_success() && asked.is_one_of(&SENSITIVE);
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
        change(&witness, actor, &asked, request, next).await
    };
    response.extensions_mut().insert(Entered);
    response
}

/// Carries out what changes something, between its two entries.
async fn change(
    witness: &Witness,
    actor: Actor,
    asked: &Asked,
    request: Request,
    next: Next,
) -> Response {
    let (request, changes) = match short_fields(request).await {
        Ok(read) => read,
        Err(problem) => return problem.into_response(),
    };
    let mut draft = asked.draft(actor, Outcome::Begun);
    draft.changes = changes;
    if asked.is_rehearsal {
        draft
            .changes
            .insert("dry_run".to_owned(), "true".to_owned());
    }
    let began = if asked.is_one_of(&EMERGENCY) {
        witness.audit.record_if_possible(draft.clone()).await
    } else {
        match witness.audit.record(draft.clone()).await {
            Ok(number) => Some(number),
            Err(error) => {
                let problem = unavailable(&error);
                let response = problem.into_response();
                answered(&mut draft, &response);
                draft.outcome = Outcome::Refused;
                witness.audit.record_later(draft);
                return response;
            }
        }
    };
    draft.began = began;
    let mut end = End {
        audit: &witness.audit,
        draft: Some(draft),
    };
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

/// Reads the short fields of a body, and gives the request back as it was.
async fn short_fields(request: Request) -> Result<(Request, BTreeMap<String, String>), Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length: Option<usize> = length.and_then(|value| value.to_str().ok()?.parse().ok());
    // A longer one, or one whose length nobody says, is for the handler to bound.
    if !length.is_some_and(|length| (1..=SHORT_BODY_MAX).contains(&length)) {
        return Ok((request, BTreeMap::new()));
    }
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_DEADLINE, to_bytes(body, SHORT_BODY_MAX)).await;
    let unread = |cause: String| {
        Problem::malformed("the body did not arrive")
            .cause(cause)
            .remedy("check the connection and send the request again")
    };
    let bytes = read
        .map_err(|_| unread(format!("it took more than {} s", BODY_DEADLINE.as_secs())))?
        .map_err(|error| unread(error.to_string()))?;
    let mut changes = BTreeMap::new();
    if let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(&bytes) {
        for name in SHORT_FIELDS {
            let text = match fields.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Bool(value)) => value.to_string(),
                _ => continue,
            };
            changes.insert(name.to_owned(), text);
        }
    }
    Ok((Request::from_parts(parts, Body::from(bytes)), changes))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for action in EMERGENCY.iter().chain(&SENSITIVE) {
            let id = format!("\"operationId\":\"{action}\"");
            assert!(text.contains(&id), "{action}");
        }
    }

    #[tokio::test]
    async fn only_short_fields_are_kept_and_the_body_stays() {
        let body = r#"{"group":"lab","secret":"x","launch_settings":{"password":"y"},"at":5}"#;
        let request = Request::builder()
            .header("content-length", body.len())
            .body(Body::from(body))
            .unwrap();
        let (request, changes) = short_fields(request).await.unwrap();
        let kept: Vec<_> = changes
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        assert_eq!(kept, [("at", "5"), ("group", "lab")]);
        let again = to_bytes(request.into_body(), usize::MAX).await.unwrap();
        assert_eq!(again, body.as_bytes());
    }
}
