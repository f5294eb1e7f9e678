//! What every REST API here shares: accept loops, errors, tokens, health, metrics.
//!
//! A role builds its own `axum::Router`, wraps the routes that need a known sender with
//! [`require_principal`], merges [`health::routes`] and [`Metrics::routes`], hands the whole to
//! [`complete`], and serves the result with [`serve_tls`] (network) or [`serve_unix`] (this host).
//!
//! Invariants: nothing is served in plain text except on a Unix socket that only its owner can
//! open; every error a client sees is a [`Problem`]; every wait for a client has a deadline and
//! every table a client can fill has a bound. This crate knows no route of any role and keeps no
//! state on disk.

mod authenticate;
mod cookie;
mod extract;
pub mod health;
mod metrics;
mod problem;
mod rate;
mod request;
mod role;
mod serve;
mod serve_tls;
mod serve_unix;
mod throttle;
mod token;
mod unread;
mod write_deadline;

pub use authenticate::{
    Authenticator, CurrentSession, LookupError, Permissions, require_principal,
};
pub use cookie::{ended_session_cookie, from_own_pages, session_cookie, session_of};
pub use extract::{ApiJson, ApiPath, ApiQuery, query_values};
pub use health::{Check, Detail, Health};
pub use metrics::{Metrics, MetricsError};
pub use problem::{Action, Problem, ProblemCode, ProblemFault, ProblemFields};
pub use rate::{AddressLimit, Rate, RateLimit};
pub use request::{RequestId, complete};
pub use role::{Permission, Principal, PrincipalKind, Role, UnknownRole};
pub use serve::{Drained, Limits, Peer, PeerAddress};
pub use serve_tls::{TlsConfig, TlsConfigError, serve_tls};
pub use serve_unix::{LocalSocket, LocalSocketError, serve_unix};
pub use throttle::{AddressBlock, FailureThrottle};
pub use token::{Token, TokenHash, TokenHashError};

/// The largest request body accepted unless a role says otherwise, in bytes.
pub const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;

/// Limits the request bodies of all routes added to `router` so far to `bytes`; a longer body is
/// answered with 413. [`complete`] applies [`DEFAULT_BODY_LIMIT`] to everything; a route that takes
/// more (or less) is wrapped with this before.
pub fn body_limit<S: Clone + Send + Sync + 'static>(
    router: axum::Router<S>,
    bytes: usize,
) -> axum::Router<S> {
    router.layer(axum::extract::DefaultBodyLimit::max(bytes))
}
