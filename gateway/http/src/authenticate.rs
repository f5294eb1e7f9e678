//! The layer that lets a request through only from somebody known, who may do what it asks for.
//!
//! Invariant: behind [`require_principal`] every request carries a [`Principal`] whose role has the
//! permission that the operation needs; an operation that no permission was named for is refused to
//! everybody. Every answer that is given to somebody known carries the principal too, for who records
//! refusals. Where tokens and sessions are kept is the [`Authenticator`]'s business.
//!
//! A request is known by its bearer token, or, when it has none, by the cookie of a session
//! ([`crate::session_of`]).
//!
//! A valid token is honoured even from an address that has failed too often: guessing 256 bits is
//! hopeless with or without a lock-out, and a forgotten script behind the same address must not lock
//! the operators out in an emergency. What throttling bounds is the work and the noise of failures.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::cookie;
use crate::problem::Problem;
use crate::rate::{self, Rate, RateLimit};
use crate::role::{Permission, Principal};
use crate::serve::Peer;
use crate::throttle::{AddressBlock, FailureThrottle};
use crate::token::{Token, TokenHash};

/// Where tokens and sessions are looked up.
pub trait Authenticator: Send + Sync + 'static {
    /// The principal whose token has this hash; `None` when there is none, also when it was
    /// revoked. An expired one may still be returned: the layer checks. Called on a runtime thread
    /// for every request, so it must not wait for a disk or a lock held for long.
    ///
    /// # Errors
    /// When the store cannot say; the client is told to try again (503).
    fn principal(&self, token: &TokenHash) -> Result<Option<Principal>, LookupError>;

    /// The principal of the session whose id has this hash; `None` when there is none or it has
    /// ended. Asking counts as use of the session. The same restrictions hold.
    ///
    /// # Errors
    /// When the store cannot say.
    fn session(&self, session: &TokenHash) -> Result<Option<Principal>, LookupError>;
}

/// The store of tokens could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up a token: {0}; check the service's store")]
pub struct LookupError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Which permission each operation needs, by method and path as it was routed, and how often a
/// principal may ask.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    needed: HashMap<(Method, String), Permission>,
    rate: Option<Rate>,
    never_limited: HashSet<(Method, String)>,
}

impl Permissions {
    /// Says what an operation needs. `path` is as it is given to the router, with its parameters in
    /// braces. HEAD needs what GET needs.
    pub fn need(&mut self, method: Method, path: impl Into<String>, permission: Permission) {
        self.needed.insert((method, path.into()), permission);
    }

    /// Says how often a principal may ask; without it there is no limit.
    pub fn limit(&mut self, rate: Rate) {
        self.rate = Some(rate);
    }

    /// Takes an operation out of that: it is neither counted nor refused.
    pub fn never_limit(&mut self, method: Method, path: impl Into<String>) {
        self.never_limited.insert((method, path.into()));
    }

    fn of(&self, method: &Method, path: &str) -> Option<Permission> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.needed.get(&(method.clone(), path.to_owned())).copied()
    }
}

/// The session that a request came with; an extension of the request when its cookie is what it is
/// known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentSession(pub TokenHash);

struct Gate {
    authenticator: Arc<dyn Authenticator>,
    permissions: Permissions,
    failures: Mutex<FailureThrottle<AddressBlock>>,
    /// By the principal's id.
    requests: Option<Mutex<RateLimit<String>>>,
}

/// Lets only requests of principals with the permission needed reach the routes added to `router` so
/// far.
pub fn require_principal<S: Clone + Send + Sync + 'static>(
    router: axum::Router<S>,
    authenticator: Arc<dyn Authenticator>,
    permissions: Permissions,
) -> axum::Router<S> {
    let rate = permissions.rate;
    let gate = Arc::new(Gate {
        authenticator,
        permissions,
        failures: Mutex::default(),
        requests: rate.map(|rate| Mutex::new(RateLimit::new(rate))),
    });
    router.route_layer(middleware::from_fn_with_state(gate, pass))
}

async fn pass(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let address = request.extensions().get::<Peer>().and_then(Peer::ip);
    let (principal, session) = match gate.identify(request.headers(), address) {
        Ok(known) => known,
        Err(problem) => return problem.into_response(),
    };
    tracing::Span::current().record("principal", principal.name.as_str());
    let operation = operation_of(&request);
    let allowed = gate.admit(&principal, &operation, Instant::now());
    let allowed = allowed.and_then(|()| match session {
        Some(_) => cookie::check(request.method(), request.headers()),
        None => Ok(()),
    });
    let allowed = allowed.and_then(|()| gate.authorise(&principal, &operation));
    let mut response = match allowed {
        Err(problem) => problem.into_response(),
        Ok(()) => {
            let extensions = request.extensions_mut();
            extensions.insert(principal.clone());
            if let Some(session) = session {
                extensions.insert(session);
            }
            next.run(request).await
        }
    };
    response.extensions_mut().insert(principal);
    response
}

/// Method and path as a request was routed.
fn operation_of(request: &Request) -> (Method, String) {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str);
    (request.method().clone(), path.to_owned())
}

impl Principal {
    /// Refuses what the role does not allow: for what an operation needs besides the permission that
    /// its route was let through with.
    ///
    /// # Errors
    /// 403 `forbidden`.
    pub fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.role.allows(permission) {
            return Ok(());
        }
        let roles: Vec<_> = permission.roles().map(|role| role.as_str()).collect();
        Err(Problem::forbidden(format!(
            "{} has the role {}, which lacks the permission {permission}",
            self.name, self.role
        ))
        .remedy(format!(
            "let somebody do it whose role is {}",
            roles.join(" or ")
        )))
    }
}

impl Gate {
    /// Who sent a request, and the session that says so.
    fn identify(
        &self,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<(Principal, Option<CurrentSession>), Problem> {
        if !headers.contains_key(header::AUTHORIZATION) && cookie::is_present(headers) {
            return self.of_session(headers);
        }
        Ok((self.of_token(headers, address)?, None))
    }

    /// Refuses who asks too often, but never what must not be refused for that.
    fn admit(
        &self,
        principal: &Principal,
        operation: &(Method, String),
        now: Instant,
    ) -> Result<(), Problem> {
        let Some(requests) = &self.requests else {
            return Ok(());
        };
        if self.permissions.never_limited.contains(operation) {
            return Ok(());
        }
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = requests.take(&principal.id, now);
        taken.map_err(|wait| rate::too_many(&principal.name, wait))
    }

    fn authorise(
        &self,
        principal: &Principal,
        operation: &(Method, String),
    ) -> Result<(), Problem> {
        let (method, path) = operation;
        match self.permissions.of(method, path) {
            Some(permission) => principal.require(permission),
            None => {
                tracing::error!(%method, path, "no permission is named for this operation");
                Err(
                    Problem::forbidden("nobody may do this: no permission is named for it")
                        .remedy("report it: the program is incomplete here"),
                )
            }
        }
    }

    fn of_session(
        &self,
        headers: &HeaderMap,
    ) -> Result<(Principal, Option<CurrentSession>), Problem> {
        let hash = cookie::session_of(headers).map(|session| session.hash());
        let found = match &hash {
            None => None,
            Some(hash) => self.authenticator.session(hash).map_err(unavailable)?,
        };
        found
            .filter(|principal| !principal.is_expired(SystemTime::now()))
            .zip(hash)
            .map(|(principal, hash)| (principal, Some(CurrentSession(hash))))
            .ok_or_else(|| {
                Problem::unauthorized("session_ended", "the session has ended")
                    .remedy("sign in again")
            })
    }

    fn of_token(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Principal, Problem> {
        let remedy =
            "sign in, or send the header Authorization: Bearer with a token made for this API";
        let Some(text) = bearer(headers)? else {
            return Err(Problem::unauthorized(
                "token_missing",
                "this request needs a token or a session",
            )
            .remedy(remedy));
        };
        let found = match Token::parse(text) {
            None => None,
            Some(token) => self
                .authenticator
                .principal(&token.hash())
                .map_err(unavailable)?,
        };
        let Some(principal) = found else {
            return Err(match self.failed(address) {
                Some(wait) => Problem::too_many(
                    "too_many_failures",
                    "too many requests with an unknown token came from this address",
                    wait,
                ),
                None => Problem::unauthorized("token_invalid", "the token is not known here"),
            }
            .remedy("use a token that was made by this installation and not revoked since"));
        };
        // Its owner proved that the secret is known; an old token is no attempt at guessing.
        if principal.is_expired(SystemTime::now()) {
            return Err(Problem::unauthorized(
                "token_expired",
                format!("the token of {} has expired", principal.name),
            )
            .remedy("make a new token"));
        }
        if let Some(address) = address {
            self.failures().succeeded(&address.into());
        }
        Ok(principal)
    }

    /// Counts a failure; the time to wait when the address was to wait already. Peers on a Unix
    /// socket have no address and need no throttling.
    fn failed(&self, address: Option<IpAddr>) -> Option<Duration> {
        let address = address?;
        let block = AddressBlock::from(address);
        let now = Instant::now();
        let mut failures = self.failures();
        let wait = failures.wait(&block, now);
        if wait.is_none() {
            failures.failed(&block, now);
            tracing::warn!(%address, "a request came with an unknown token");
        }
        wait
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, FailureThrottle<AddressBlock>> {
        // The table is sound after any panic: each of its steps leaves it whole.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(error: LookupError) -> Problem {
    tracing::error!(%error, "token lookup failed");
    Problem::unavailable("token_store_unavailable", "tokens cannot be checked now")
        .retry_after(Duration::from_secs(5))
        .remedy("try again; if it repeats, look at this service's readiness")
}

/// The token in the `Authorization` header; `None` when there is no such header.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let unreadable = |cause: &str| {
        Err(
            Problem::unauthorized("token_invalid", "the Authorization header cannot be read")
                .cause(cause)
                .remedy("send one header Authorization: Bearer with the token"),
        )
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return unreadable("it is there more than once");
    }
    match value.to_str().ok().and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => unreadable("its scheme is not Bearer"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::role::{PrincipalKind, Role};

    struct One(TokenHash, Principal);

    impl Authenticator for One {
        fn principal(&self, token: &TokenHash) -> Result<Option<Principal>, LookupError> {
            Ok((*token == self.0).then(|| self.1.clone()))
        }

        fn session(&self, session: &TokenHash) -> Result<Option<Principal>, LookupError> {
            self.principal(session)
        }
    }

    struct Broken;

    impl Authenticator for Broken {
        fn principal(&self, _token: &TokenHash) -> Result<Option<Principal>, LookupError> {
            Err(LookupError("catalog closed".into()))
        }

        fn session(&self, _session: &TokenHash) -> Result<Option<Principal>, LookupError> {
            Err(LookupError("catalog closed".into()))
        }
    }

    fn gate(authenticator: impl Authenticator) -> Gate {
        Gate {
            authenticator: Arc::new(authenticator),
            permissions: Permissions::default(),
            failures: Mutex::default(),
            requests: None,
        }
    }

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    fn with_token(token: &Token) -> HeaderMap {
        headers(&format!("Bearer {}", token.expose()))
    }

    fn principal(expires: Option<SystemTime>) -> Principal {
        Principal {
            kind: PrincipalKind::Token,
            id: "tok-1".to_owned(),
            name: "ops".to_owned(),
            role: Role::Admin,
            expires,
            bounds: None,
        }
    }

    #[test]
    fn a_valid_token_is_honoured_while_its_address_is_throttled() {
        let (good, bad) = (Token::generate().unwrap(), Token::generate().unwrap());
        let gate = gate(One(good.hash(), principal(None)));
        let address = Some("192.0.2.1".parse().unwrap());
        let statuses: Vec<_> = (0..8)
            .map(|_| {
                gate.of_token(&with_token(&bad), address)
                    .unwrap_err()
                    .status
            })
            .collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429, 429]);
        let elsewhere = Some("192.0.2.2".parse().unwrap());
        assert_eq!(
            gate.of_token(&with_token(&bad), elsewhere)
                .unwrap_err()
                .status,
            401
        );
        assert_eq!(
            gate.of_token(&with_token(&good), address).unwrap().name,
            "ops"
        );
        assert_eq!(
            gate.of_token(&with_token(&bad), address)
                .unwrap_err()
                .status,
            401
        );
    }

    #[test]
    fn each_refusal_has_its_code() {
        let token = Token::generate().unwrap();
        let past = SystemTime::UNIX_EPOCH;
        let expired = gate(One(token.hash(), principal(Some(past))));
        let code = |gate: &Gate, headers: &HeaderMap| gate.of_token(headers, None).unwrap_err();
        assert_eq!(code(&expired, &with_token(&token)).code, "token_expired");
        assert_eq!(code(&expired, &HeaderMap::new()).code, "token_missing");
        assert_eq!(code(&expired, &headers("Bearer x")).code, "token_invalid");
        assert_eq!(code(&expired, &headers("Basic eDp5")).code, "token_invalid");
        let unasked = code(&gate(Broken), &with_token(&token));
        assert_eq!(
            (unasked.status, unasked.code.as_str()),
            (503, "token_store_unavailable")
        );
        let mut twice = with_token(&token);
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(code(&expired, &twice).code, "token_invalid");
    }

    #[test]
    fn a_bearer_wins_over_a_cookie_and_a_cookie_counts_only_without_one() {
        let (token, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        let gate = gate(One(token.hash(), principal(None)));
        let cookie = |token: &Token| {
            let set = cookie::session_cookie(token);
            let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            (header::COOKIE, HeaderValue::try_from(pair).unwrap())
        };
        let only = HeaderMap::from_iter([cookie(&token)]);
        let (_, session) = gate.identify(&only, None).unwrap();
        assert_eq!(session, Some(CurrentSession(token.hash())));
        let mut both = with_token(&token);
        both.extend([cookie(&other)]);
        assert_eq!(gate.identify(&both, None).unwrap().1, None);
        let mut both = with_token(&other);
        both.extend([cookie(&token)]);
        let refused = gate.identify(&both, None).unwrap_err();
        assert_eq!(refused.code, "token_invalid");
        let ended = HeaderMap::from_iter([cookie(&other)]);
        let refused = gate.identify(&ended, None).unwrap_err();
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (401, "session_ended")
        );
    }

    #[test]
    fn head_needs_what_get_needs_and_the_unnamed_has_no_permission() {
        let mut permissions = Permissions::default();
        permissions.need(Method::GET, "/a/{id}", Permission::Read);
        assert_eq!(
            permissions.of(&Method::HEAD, "/a/{id}"),
            Some(Permission::Read)
        );
        assert_eq!(permissions.of(&Method::POST, "/a/{id}"), None);
        assert_eq!(permissions.of(&Method::GET, "/a/1"), None);
    }
}
