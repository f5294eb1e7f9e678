//! The documents behind the table.

use crate::{catalog::Document, record_id::UserId};
use bcdr_format::Timestamp;
use bcdr_http::{Role, TokenHash};
use serde::{Deserialize, Serialize};

/// Somebody who signs in with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    /// The id, which stays when nothing else does.
    pub(crate) id: UserId,
    /// The name to sign in with, in lower case.
    pub(crate) name: String,
    /// What the user may do.
    pub(crate) role: Role,
    /// The argon2id hash of the password, with its parameters.
    pub(crate) password: String,
    /// Whether signing in is refused.
    pub(crate) disabled: bool,
    /// When the user was made.
    pub(crate) created_at: Timestamp,
    /// When the password was set.
    pub(crate) password_set_at: Timestamp,
}

impl Document for UserRecord {
    const COLLECTION: &'static str = "users";

    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    /// The hash of its id.
    pub(crate) hash: TokenHash,
    /// Whose it is.
    pub(crate) user: UserId,
    /// When the user signed in.
    pub(crate) created_at: Timestamp,
    /// When it was used last.
    pub(crate) used_at: Timestamp,
}

impl Document for SessionRecord {
    const COLLECTION: &'static str = "sessions";

    fn key(&self) -> String {
        self.hash.to_string()
    }
}

/// The secret with which the first administrator is made, until that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetupRecord {
    /// The hash of the secret.
    pub(crate) hash: TokenHash,
}

impl SetupRecord {
    /// The key of the one there is.
    pub(crate) const KEY: &'static str = "secret";
}

impl Document for SetupRecord {
    const COLLECTION: &'static str = "setup";

    fn key(&self) -> String {
        Self::KEY.to_owned()
    }
}
