//! Ids of what only the cloud side knows: jobs, views, drills, branches, failovers, failbacks,
//! restores, runs of plans, reports, users, tokens.
//!
//! They look like the ids of the stream's vocabulary: a prefix and a ULID in lower case.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use ulid::Ulid;

/// A text that is no id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind} id")]
pub struct ParseRecordIdError {
    kind: &'static str,
    text: String,
}

/// Fresh random bits for an id.
///
/// # Errors
/// When the system has none to give.
pub(crate) fn random() -> Result<u128, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}

macro_rules! record_id {
    ($(#[$doc:meta])* $visibility:vis $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility struct $name(Ulid);

        impl $name {
            /// A new id.
            ///
            /// # Errors
            /// When the system has no randomness to give.
            $visibility fn generate(now: bcdr_format::Timestamp) -> Result<Self, getrandom::Error> {
                let milliseconds = u64::try_from(now.0 / 1000).unwrap_or(0);
                Ok(Self(Ulid::from_parts(milliseconds, random()?)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = self.0.to_string().to_ascii_lowercase();
                write!(formatter, concat!($prefix, "-{}"), text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = ParseRecordIdError;

            fn from_str(text: &str) -> Result<Self, ParseRecordIdError> {
                text.strip_prefix(concat!($prefix, "-"))
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(Self)
                    .ok_or_else(|| ParseRecordIdError {
                        kind: $kind,
                        text: text.chars().take(64).collect(),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

record_id!(
    /// A job.
    pub(crate) JobId, "job", "job"
);
record_id!(
    /// A view.
    pub(crate) ViewId, "viw", "view"
);
record_id!(
    /// A drill.
    pub(crate) DrillId, "drl", "drill"
);
record_id!(
    /// A failover.
    pub FailoverId, "fov", "failover"
);
record_id!(
    /// A failback.
    pub FailbackId, "fbk", "failback"
);
record_id!(
    /// A restore in place.
    pub RestoreJobId, "rst", "restore"
);
record_id!(
    /// A report.
    pub(crate) ReportId, "rep", "report"
);
record_id!(
    /// A run of a recovery plan.
    pub(crate) PlanRunId, "prn", "plan run"
);
record_id!(
    /// A branch.
    pub BranchId, "brn", "branch"
);

record_id!(
    /// A user.
    pub(crate) UserId, "usr", "user"
);

/// A token. It follows from what is stored of the token, so it is never made at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenId(Ulid);

impl TokenId {
    /// The id of a token that was made then and has these bits.
    pub(crate) fn of(made: bcdr_format::Timestamp, bits: u128) -> Self {
        let milliseconds = u64::try_from(made.0 / 1000).unwrap_or(0);
        Self(Ulid::from_parts(milliseconds, bits))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "tok-{}", self.0.to_string().to_ascii_lowercase())
    }
}

impl JobId {
    /// A key under which newer jobs sort before older ones.
    pub(crate) fn newest_first_key(self) -> String {
        newest_first(self.0)
    }
}

impl DrillId {
    /// A key under which newer drills sort before older ones.
    pub(crate) fn newest_first_key(self) -> String {
        newest_first(self.0)
    }
}

impl FailoverId {
    /// A key under which newer failovers sort before older ones.
    pub(crate) fn newest_first_key(self) -> String {
        newest_first(self.0)
    }
}

impl FailbackId {
    /// A key under which newer failbacks sort before older ones.
    pub(crate) fn newest_first_key(self) -> String {
        newest_first(self.0)
    }
}

impl RestoreJobId {
    /// A key under which newer restores sort before older ones.
    pub(crate) fn newest_first_key(self) -> String {
        newest_first(self.0)
    }
}

impl PlanRunId {
    /// A key under which newer runs sort before older ones.
    pub(crate) fn newest_first_key(self) -> String {
        newest_first(self.0)
    }

    /// The id under which the request that began it is remembered: requests are remembered by jobs,
    /// and a run is none.
    pub(crate) fn as_job(self) -> JobId {
        JobId(self.0)
    }

    /// The run whose request is remembered under this id.
    pub(crate) fn of_job(job: JobId) -> Self {
        Self(job.0)
    }
}

fn newest_first(id: Ulid) -> String {
    format!("{:032x}", !id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::Timestamp;

    #[test]
    fn ids_are_read_back_and_not_taken_for_another_kind() {
        let id = JobId::generate(Timestamp(1_793_700_000_000_000)).unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().parse::<ViewId>().is_err());
        assert!("job-".parse::<JobId>().is_err());
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<JobId>(&json).unwrap(), id);
    }

    #[test]
    fn newer_ids_have_lesser_keys() {
        let older = DrillId::generate(Timestamp(1_000_000)).unwrap();
        let newer = DrillId::generate(Timestamp(2_000_000)).unwrap();
        assert!(older < newer);
        assert!(newer.newest_first_key() < older.newest_first_key());
    }
}
