//! What is observed: whether something is so, of an object, at one moment.

use crate::{AlertCode, Severity};
use serde::{Deserialize, Serialize};

/// What kind of thing an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// The cloud side itself.
    Installation,
    /// A protection group.
    Group,
    /// A volume of a group.
    Volume,
    /// A certificate.
    Certificate,
    /// A channel that alerts are told by.
    Channel,
}

impl ObjectKind {
    /// The name that programs match on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Group => "group",
            Self::Volume => "volume",
            Self::Certificate => "certificate",
            Self::Channel => "channel",
        }
    }
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Object {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its id, unique among its kind.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It does.
    Is {
        /// How bad that is; the code's own severity when none is given.
        severity: Option<Severity>,
        /// What was seen.
        detail: String,
    },
    /// It does not.
    IsNot,
    /// It cannot be said.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A condition of an object, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which condition.
    pub code: AlertCode,
    /// Of what.
    pub object: Object,
    /// Whether it holds.
    pub judged: Judged,
}
