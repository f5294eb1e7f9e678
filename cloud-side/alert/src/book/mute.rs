//! Mutes: what is not to be told for a while, by whom and why.

use super::Alert;
use crate::{AlertCode, ObjectKind};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};

/// What a mute covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MuteScope {
    /// One condition of one object.
    Alert {
        /// The condition.
        code: AlertCode,
        /// The object's kind.
        kind: ObjectKind,
        /// The object's id.
        object: String,
    },
    /// One condition, of whatever object.
    Code {
        /// The condition.
        code: AlertCode,
    },
    /// All conditions of one object.
    Object {
        /// The object's kind.
        kind: ObjectKind,
        /// The object's id.
        object: String,
    },
}

impl MuteScope {
    /// Whether an alert is in it.
    pub fn covers(&self, alert: &Alert) -> bool {
        let is = |kind: ObjectKind, id: &str| alert.object.kind == kind && alert.object.id == id;
        match self {
            Self::Alert { code, kind, object } => alert.code == *code && is(*kind, object),
            Self::Code { code } => alert.code == *code,
            Self::Object { kind, object } => is(*kind, object),
        }
    }

    /// The name that programs match on.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Alert { .. } => "alert",
            Self::Code { .. } => "code",
            Self::Object { .. } => "object",
        }
    }
}

/// What is not told until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// What it covers.
    pub scope: MuteScope,
    /// When it ends.
    pub until: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub why: String,
    /// When it was asked for.
    pub at: Timestamp,
}
