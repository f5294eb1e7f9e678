//! Who made a request and what that allows: the one table of roles and permissions.
//!
//! Invariant: one function, [`Role::allows`], decides; no handler has a rule of its own. Which
//! permission an operation needs is the API's to say. This module does not know how a principal is
//! proven.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a principal is trusted with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but who has access, changes nothing.
    Viewer,
    /// Protects, drills, recovers, and makes plans.
    Operator,
    /// Drills, and nothing that changes where production runs.
    DrillOperator,
    /// Releases the steps of plans that await approval, and nothing else.
    Approver,
    /// Does everything.
    Admin,
    /// Reads everything, also who has access; changes nothing.
    Auditor,
}

/// What an operation of an API needs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// What anybody who is known may do: see and end the own session, change the own password.
    Own,
    /// See groups, points, jobs, plans, reports, metrics.
    Read,
    /// Make recovery points and check whether they would boot.
    MarkPoints,
    /// Start and stop drills and drill runs of plans, and set when groups are drilled.
    Drill,
    /// Open the content of points and branches for reading.
    ReadContent,
    /// Make groups.
    Protect,
    /// Write and remove plans.
    Plan,
    /// Change where production runs, or what its disks hold.
    Recover,
    /// Release a step of a plan that awaits approval.
    Approve,
    /// Acknowledge and mute alerts, and try the channels by which they are told.
    HandleAlerts,
    /// See users and tokens, and what was done.
    Audit,
    /// Make, change and remove users and tokens.
    ManageAccess,
}

/// The table: who may do what. A permission that is not in a role's row is refused.
const TABLE: [(Role, &[Permission]); 6] = {
    use Permission::{
        Approve, Audit, Drill, HandleAlerts, MarkPoints, Own, Plan, Protect, Read, ReadContent,
        Recover,
    };
    [
        (Role::Viewer, &[Own, Read]),
        (
            Role::Operator,
            &[
                Own,
                Read,
                MarkPoints,
                Drill,
                ReadContent,
                Protect,
                Plan,
                Recover,
                HandleAlerts,
            ],
        ),
        (
            Role::DrillOperator,
            &[Own, Read, MarkPoints, Drill, HandleAlerts],
        ),
        (Role::Approver, &[Own, Read, Approve]),
        (Role::Admin, &Permission::ALL),
        (Role::Auditor, &[Own, Read, Audit]),
    ]
};

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] = [
        Self::Viewer,
        Self::Operator,
        Self::DrillOperator,
        Self::Approver,
        Self::Admin,
        Self::Auditor,
    ];

    /// What this role may do.
    pub fn permissions(self) -> &'static [Permission] {
        TABLE
            .iter()
            .find(|(role, _)| *role == self)
            .map_or(&[], |(_, permissions)| permissions)
    }

    /// Whether this role has a permission.
    pub fn allows(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// The name, as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::DrillOperator => "drill_operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 12] = [
        Self::Own,
        Self::Read,
        Self::MarkPoints,
        Self::Drill,
        Self::ReadContent,
        Self::Protect,
        Self::Plan,
        Self::Recover,
        Self::Approve,
        Self::HandleAlerts,
        Self::Audit,
        Self::ManageAccess,
    ];

    /// The name, as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Read => "read",
            Self::MarkPoints => "mark_points",
            Self::Drill => "drill",
            Self::ReadContent => "read_content",
            Self::Protect => "protect",
            Self::Plan => "plan",
            Self::Recover => "recover",
            Self::Approve => "approve",
            Self::HandleAlerts => "handle_alerts",
            Self::Audit => "audit",
            Self::ManageAccess => "manage_access",
        }
    }

    /// The roles that have it.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| role.allows(self))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no such role: it is viewer, operator, drill_operator, approver, admin or auditor"
)]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// What kind of principal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// Somebody who signed in with a password.
    User,
    /// A bearer token.
    Token,
}

/// The proven sender of a request; found in the request's extensions behind
/// [`require_principal`](crate::require_principal), and in those of every answer given there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What kind it is.
    pub kind: PrincipalKind,
    /// Its id, which no other principal ever has.
    pub id: String,
    /// The name of the user, or what the token is for; shown in logs.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When its token or session ends at the latest; `None` when it has no end.
    pub expires: Option<SystemTime>,
    /// The only objects it is for, by id; `None` when it has no such bounds. What such an object is,
    /// and which operations are about one, is for the API to say.
    pub bounds: Option<Arc<BTreeSet<String>>>,
}

impl Principal {
    /// Whether its token or session has ended.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_table_says_what_each_role_is_for() {
        use Permission as P;
        for role in Role::ALL {
            assert!(role.allows(P::Own) && role.allows(P::Read), "{role}");
            let admin = role == Role::Admin;
            assert_eq!(role.allows(P::ManageAccess), admin, "{role}");
            let recovers = admin || role == Role::Operator;
            assert_eq!(role.allows(P::Recover), recovers, "{role}");
            assert_eq!(role.allows(P::ReadContent), recovers, "{role}");
            assert_eq!(
                role.allows(P::Drill),
                recovers || role == Role::DrillOperator
            );
            assert_eq!(role.allows(P::HandleAlerts), role.allows(P::Drill));
            // Who starts something never releases it as well, but for the administrator.
            assert_eq!(role.allows(P::Approve), admin || role == Role::Approver);
            assert_eq!(role.allows(P::Audit), admin || role == Role::Auditor);
        }
        assert_eq!(P::Plan.roles().count(), 2);
    }

    #[test]
    fn names_are_those_of_json_and_read_back() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        for permission in Permission::ALL {
            let name = serde_json::to_value(permission).unwrap();
            assert_eq!(name, permission.as_str());
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }

    #[test]
    fn a_token_ends_at_its_expiry_not_after() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let mut principal = Principal {
            kind: PrincipalKind::Token,
            id: "tok-1".to_owned(),
            name: "x".to_owned(),
            role: Role::Viewer,
            expires: Some(end),
            bounds: None,
        };
        assert!(!principal.is_expired(end - Duration::from_nanos(1)));
        assert!(principal.is_expired(end));
        principal.expires = None;
        assert!(!principal.is_expired(end));
    }
}
