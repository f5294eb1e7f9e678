//! What is entered of those that are not known yet: who came in, and who did not.
//!
//! Invariant: the first administrator is made between two entries like any other change, and not at all
//! while there is no room for them. Strangers cannot fill the log: their refusals are counted, and once
//! there is an administrator so are the attempts to make one.

use super::{
    Asked, Witness, answered, change, code_of, fields::short_fields, is_refusal, session_id,
};
use crate::{
    access::Access,
    audit::{Audit, Stranger},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use bcdr_audit::{Actor, ActorKind, Outcome};
use bcdr_http::{Peer, Problem, session_of};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use utoipa::openapi::OpenApi;

const SIGN_IN: &str = "sign_in";
const SET_UP: &str = "set_up";
/// How many attempts to make the first administrator are looked at in a window. Each has two entries,
/// and anybody can make them.
const SET_UPS_MAX: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// The longest answer to a sign-in that is looked at, in bytes.
const ANSWER_MAX: usize = 64 << 10;

/// What the layer knows.
struct Doors {
    witness: Witness,
    access: Arc<Access>,
    /// Whether there was an administrator when it was asked last; there is one from then on.
    is_set_up: AtomicBool,
    set_ups: Mutex<Window>,
}

/// How many attempts there were lately.
#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    count: u32,
}

impl Window {
    /// Counts an attempt, or says how long the next one has to wait.
    fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let since = *self.since.get_or_insert(now);
        let passed = now.duration_since(since);
        if passed >= WINDOW {
            *self = Self {
                since: Some(now),
                count: 0,
            };
        }
        if self.count >= SET_UPS_MAX {
            return Err(WINDOW.saturating_sub(passed));
        }
        self.count += 1;
        Ok(())
    }
}

/// The layer around what is asked for before anybody is known.
pub(in crate::api) fn open(
    routes: Router,
    document: &OpenApi,
    audit: Arc<Audit>,
    access: Arc<Access>,
) -> Router {
    let doors = Arc::new(Doors {
        witness: Witness::new(audit, document),
        access,
        is_set_up: AtomicBool::new(false),
        set_ups: Mutex::default(),
    });
    routes.route_layer(middleware::from_fn_with_state(doors, come_in))
}

async fn come_in(State(doors): State<Arc<Doors>>, request: Request, next: Next) -> Response {
    let asked = Asked::read(&doors.witness, &request);
    let peer = request.extensions().get::<Peer>().cloned();
    let (request, changes) = match short_fields(request).await {
        Ok(read) => read,
        Err(problem) => return problem.into_response(),
    };
    let is_set_up = asked.action == SET_UP && doors.nothing_to_set_up().await;
    let account = match asked.action.as_str() {
        SIGN_IN => doors.account(&changes),
        SET_UP if !is_set_up => {
            return doors
                .set_up(&asked, changes, peer.as_ref(), request, next)
                .await;
        }
        _ => None,
    };
    let response = next.run(request).await;
    if asked.action == SIGN_IN && response.status().is_success() {
        return doors.came_in(&asked, response).await;
    }
    if is_refusal(response.status()) {
        doors.witness.audit.refused_stranger(&Stranger {
            address: peer.as_ref().and_then(Peer::ip),
            action: &asked.action,
            account: account.as_deref(),
            code: code_of(&response),
        });
    }
    response
}

impl Doors {
    /// The account that somebody claimed to be, if there is one.
    fn account(&self, changes: &BTreeMap<String, String>) -> Option<String> {
        let name = changes.get("name")?.to_lowercase();
        let user = self.access.user(&name).ok()?;
        Some(user.name).filter(|known| *known == name)
    }

    /// Whether the secret is gone; it never comes back.
    async fn nothing_to_set_up(&self) -> bool {
        if !self.is_set_up.load(Ordering::Relaxed)
            && matches!(self.access.awaits_setup().await, Ok(false))
        {
            self.is_set_up.store(true, Ordering::Relaxed);
        }
        self.is_set_up.load(Ordering::Relaxed)
    }

    fn admit_set_up(&self) -> Result<(), Duration> {
        let mut set_ups = self.set_ups.lock().unwrap_or_else(PoisonError::into_inner);
        set_ups.admit(Instant::now())
    }

    /// Makes the first administrator, who is in nobody's name yet.
    async fn set_up(
        &self,
        asked: &Asked,
        changes: BTreeMap<String, String>,
        peer: Option<&Peer>,
        request: Request,
        next: Next,
    ) -> Response {
        if let Err(wait) = self.admit_set_up() {
            let problem = Problem::too_many(
                "too_many_failures",
                "too many attempts to make the first administrator",
                wait,
            );
            let response = problem
                .remedy("wait, then try again; with an administrator's token `bcdr user create` works as well")
                .into_response();
            self.witness.audit.refused_stranger(&Stranger {
                address: peer.and_then(Peer::ip),
                action: SET_UP,
                account: None,
                code: code_of(&response),
            });
            return response;
        }
        let actor = Actor {
            kind: ActorKind::Unknown,
            id: None,
            name: "setup".to_owned(),
        };
        change(&self.witness, actor, asked, changes, request, next).await
    }

    /// Enters who signed in, as the answer says it.
    async fn came_in(&self, asked: &Asked, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let bytes = match to_bytes(body, ANSWER_MAX).await {
            Ok(bytes) => bytes,
            Err(error) => return Problem::internal("reading an answer", &error).into_response(),
        };
        let who: Who = serde_json::from_slice(&bytes).unwrap_or_default();
        let response = Response::from_parts(parts, Body::from(bytes));
        let actor = Actor {
            kind: ActorKind::User,
            id: who.id,
            name: who.name,
        };
        let mut draft = asked.draft(actor, Outcome::Allowed);
        draft.session = begun(response.headers());
        answered(&mut draft, &response);
        self.witness.audit.record_if_possible(draft).await;
        response
    }
}

/// What an answer says of who signed in.
#[derive(Debug, Default, Deserialize)]
struct Who {
    id: Option<String>,
    name: String,
}

/// The session that an answer begins.
fn begun(headers: &HeaderMap) -> Option<String> {
    let set = headers.get(header::SET_COOKIE)?.to_str().ok()?;
    let mut sent = HeaderMap::new();
    let pair = set.split(';').next()?;
    sent.insert(header::COOKIE, pair.parse().ok()?);
    session_of(&sent).map(|session| session_id(&session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_attempts_are_bounded_and_come_back() {
        let (mut window, now) = (Window::default(), Instant::now());
        let admitted = (0..100).filter(|_| window.admit(now).is_ok()).count();
        assert_eq!(admitted as u32, SET_UPS_MAX);
        let half = now + WINDOW / 2;
        assert_eq!(window.admit(half), Err(WINDOW / 2));
        assert_eq!(window.admit(now + WINDOW), Ok(()));
    }

    #[test]
    fn a_cookie_that_is_set_names_the_session_that_it_names_when_it_is_sent() {
        let session = bcdr_http::Token::generate().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::SET_COOKIE, bcdr_http::session_cookie(&session));
        let id = session_id(&session);
        assert_eq!(begun(&headers), Some(id.clone()));
        assert!(!id.contains(&session.hash().to_string()[..16]), "{id}");
    }
}
