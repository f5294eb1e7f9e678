//! Who made a request and what that allows.
//!
//! Invariant: one function, [`Role::allows`], decides; no handler has a rule of its own. This module
//! does not know how a principal is proven.

use std::fmt;
use std::time::SystemTime;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a principal may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything, changes nothing.
    Viewer,
    /// Does everything.
    Admin,
}

impl Role {
    /// Whether this role may use `method`. Routes keep GET and HEAD free of effects, so the method
    /// decides.
    pub fn allows(self, method: &Method) -> bool {
        match self {
            Self::Admin => true,
            Self::Viewer => method == Method::GET || method == Method::HEAD,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        })
    }
}

/// The proven sender of a request; found in the request's extensions behind
/// [`require_token`](crate::require_token).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name the token was made for; shown in logs.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When its token ends; `None` when it has no end.
    pub expires: Option<SystemTime>,
}

impl Principal {
    /// Whether the token has ended.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_viewer_only_reads() {
        for method in [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ] {
            assert!(!Role::Viewer.allows(&method), "{method}");
            assert!(Role::Admin.allows(&method), "{method}");
        }
        assert!(Role::Viewer.allows(&Method::GET) && Role::Viewer.allows(&Method::HEAD));
    }

    #[test]
    fn a_token_ends_at_its_expiry_not_after() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let mut principal = Principal {
            name: "x".to_owned(),
            role: Role::Viewer,
            expires: Some(end),
        };
        assert!(!principal.is_expired(end - Duration::from_nanos(1)));
        assert!(principal.is_expired(end));
        principal.expires = None;
        assert!(!principal.is_expired(end));
    }
}
