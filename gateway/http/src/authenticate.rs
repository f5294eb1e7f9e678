//! The layer that lets a request through only with a valid bearer token.
//!
//! Invariant: behind [`require_token`] every request carries a [`Principal`] whose role allows the
//! request's method, and so does the answer to one whose role does not allow it, for who records
//! refusals. Where tokens are kept is the [`Authenticator`]'s business.
//!
//! A valid token is honoured even from an address that has failed too often: guessing 256 bits is
//! hopeless with or without a lock-out, and a forgotten script behind the same address must not lock
//! the operators out in an emergency. What throttling bounds is the work and the noise of failures.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::role::Principal;
use crate::serve::Peer;
use crate::throttle::FailureThrottle;
use crate::token::{Token, TokenHash};

/// Where tokens are looked up.
pub trait Authenticator: Send + Sync + 'static {
    /// The principal whose token has this hash; `None` when there is none, also when it was
    /// revoked. An expired one may still be returned: the layer checks. Called on a runtime thread
    /// for every request, so it must not wait for a disk or a lock held for long.
    ///
    /// # Errors
    /// When the store cannot say; the client is told to try again (503).
    fn principal(&self, token: &TokenHash) -> Result<Option<Principal>, LookupError>;
}

/// The store of tokens could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up a token: {0}; check the service's store")]
pub struct LookupError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

struct Gate {
    authenticator: Arc<dyn Authenticator>,
    failures: Mutex<FailureThrottle>,
}

/// Lets only requests with a valid token reach the routes added to `router` so far.
pub fn require_token<S: Clone + Send + Sync + 'static>(
    router: axum::Router<S>,
    authenticator: Arc<dyn Authenticator>,
) -> axum::Router<S> {
    let gate = Arc::new(Gate {
        authenticator,
        failures: Mutex::default(),
    });
    router.route_layer(middleware::from_fn_with_state(gate, pass))
}

async fn pass(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let address = request.extensions().get::<Peer>().and_then(Peer::ip);
    let principal = match gate.principal(request.headers(), address) {
        Ok(principal) => principal,
        Err(problem) => return problem.into_response(),
    };
    if !principal.role.allows(request.method()) {
        let Principal { name, role, .. } = &principal;
        let mut refusal = Problem::forbidden(format!(
            "{name} has the role {role}, which may not {} here",
            request.method()
        ))
        .remedy("use a token with the role admin")
        .into_response();
        refusal.extensions_mut().insert(principal);
        return refusal;
    }
    tracing::Span::current().record("principal", principal.name.as_str());
    request.extensions_mut().insert(principal);
    next.run(request).await
}

impl Gate {
    fn principal(
        &self,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<Principal, Problem> {
        let remedy = "send the header Authorization: Bearer with a token made for this API";
        let Some(text) = bearer(headers)? else {
            return Err(
                Problem::unauthorized("token_missing", "this request needs a token").remedy(remedy),
            );
        };
        let found = match Token::parse(text) {
            None => None,
            Some(token) => self
                .authenticator
                .principal(&token.hash())
                .map_err(|error| {
                    tracing::error!(%error, "token lookup failed");
                    Problem::unavailable("token_store_unavailable", "tokens cannot be checked now")
                        .retry_after(Duration::from_secs(5))
                        .remedy("try again; if it repeats, look at this service's readiness")
                })?,
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
            self.failures().succeeded(address);
        }
        Ok(principal)
    }

    /// Counts a failure; the time to wait when the address was to wait already. Peers on a Unix
    /// socket have no address and need no throttling.
    fn failed(&self, address: Option<IpAddr>) -> Option<Duration> {
        let address = address?;
        let now = Instant::now();
        let mut failures = self.failures();
        let wait = failures.wait(address, now);
        if wait.is_none() {
            failures.failed(address, now);
            tracing::warn!(%address, "a request came with an unknown token");
        }
        wait
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, FailureThrottle> {
        // The table is sound after any panic: each of its steps leaves it whole.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    use crate::role::Role;

    struct One(TokenHash, Principal);

    impl Authenticator for One {
        fn principal(&self, token: &TokenHash) -> Result<Option<Principal>, LookupError> {
            Ok((*token == self.0).then(|| self.1.clone()))
        }
    }

    struct Broken;

    impl Authenticator for Broken {
        fn principal(&self, _token: &TokenHash) -> Result<Option<Principal>, LookupError> {
            Err(LookupError("catalog closed".into()))
        }
    }

    fn gate(authenticator: impl Authenticator) -> Gate {
        Gate {
            authenticator: Arc::new(authenticator),
            failures: Mutex::default(),
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
            name: "ops".to_owned(),
            role: Role::Admin,
            expires,
        }
    }

    #[test]
    fn a_valid_token_is_honoured_while_its_address_is_throttled() {
        let (good, bad) = (Token::generate().unwrap(), Token::generate().unwrap());
        let gate = gate(One(good.hash(), principal(None)));
        let address = Some("192.0.2.1".parse().unwrap());
        let statuses: Vec<_> = (0..8)
            .map(|_| {
                gate.principal(&with_token(&bad), address)
                    .unwrap_err()
                    .status
            })
            .collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429, 429]);
        let elsewhere = Some("192.0.2.2".parse().unwrap());
        assert_eq!(
            gate.principal(&with_token(&bad), elsewhere)
                .unwrap_err()
                .status,
            401
        );
        assert_eq!(
            gate.principal(&with_token(&good), address).unwrap().name,
            "ops"
        );
        assert_eq!(
            gate.principal(&with_token(&bad), address)
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
        let code = |gate: &Gate, headers: &HeaderMap| gate.principal(headers, None).unwrap_err();
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
}
