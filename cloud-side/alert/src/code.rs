//! The codes of alerts: stable names, how bad each is, and how long it is looked before it is told.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Protection is weaker than it should be, or will be.
    Warning,
    /// New writes are not protected, or somebody has to decide now.
    Critical,
}

impl Severity {
    /// Both, the lesser first.
    pub const ALL: [Self; 2] = [Self::Warning, Self::Critical];

    /// The name that programs match on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A name that is none of those known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no {kind}; take one of: {known}")]
pub struct UnknownName {
    name: String,
    kind: &'static str,
    known: String,
}

impl FromStr for Severity {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| UnknownName {
            name: text.chars().take(64).collect(),
            kind: "severity",
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident, raise $raise:literal, clear $clear:literal;)*) => {
        /// What is wrong. The names are stable: programs match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum AlertCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl AlertCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name that programs match on.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How bad it is when nothing else is said.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// How long it has to hold before an alert is raised.
            pub fn raise_after(self) -> Duration {
                Duration::from_secs(match self { $(Self::$name => $raise,)* })
            }

            /// How long it has to be gone before the alert is cleared.
            pub fn clear_after(self) -> Duration {
                Duration::from_secs(match self { $(Self::$name => $clear,)* })
            }
        }
    };
}

codes! {
    /// The newest point of a group is older than its target.
    RpoBreach = "rpo_breach", Critical, raise 10, clear 30;
    /// Everything is connected, and the store takes no data.
    Stalled = "stalled", Critical, raise 20, clear 20;
    /// The gateway or the source of a group is not connected.
    Disconnected = "disconnected", Critical, raise 30, clear 20;
    /// The capture does not track writes.
    Untracked = "untracked", Critical, raise 10, clear 20;
    /// What production writes is followed by nothing.
    Unprotected = "unprotected", Critical, raise 900, clear 20;
    /// The capture's journal is nearly full, or will be soon.
    JournalFilling = "journal_filling", Warning, raise 20, clear 60;
    /// Hardly any space is left for replicas.
    ReplicaSpaceLow = "replica_space_low", Warning, raise 30, clear 60;
    /// No drill passed as the schedule of its group asks for.
    DrillOverdue = "drill_overdue", Warning, raise 0, clear 0;
    /// A drill may have left something behind.
    CleanupPending = "cleanup_pending", Warning, raise 30, clear 0;
    /// A failover or failback awaits its decision.
    CommitPending = "commit_pending", Warning, raise 0, clear 0;
    /// Two sites may be taking writes.
    SplitBrainSuspected = "split_brain_suspected", Critical, raise 0, clear 0;
    /// A failover, failback or restore cannot go on by itself.
    PlacementBlocked = "placement_blocked", Critical, raise 0, clear 5;
    /// The newest inspected point would not boot.
    ReadinessFailed = "readiness_failed", Critical, raise 0, clear 0;
    /// Something that is kept of a group cannot be read.
    ReplicaDamaged = "replica_damaged", Critical, raise 10, clear 30;
    /// The source's clock and ours differ.
    ClockSkew = "clock_skew", Warning, raise 60, clear 60;
    /// A certificate ends soon.
    CertificateExpiring = "certificate_expiring", Warning, raise 60, clear 60;
    /// A signed report that is due could not be made.
    ReportOwed = "report_owed", Warning, raise 600, clear 0;
    /// Alerts do not arrive by a channel.
    DeliveryFailed = "delivery_failed", Critical, raise 0, clear 0;
}

impl AlertCode {
    /// Where the documentation speaks of it.
    pub fn docs(self) -> String {
        format!("docs/operate/alerts.md#{}", self.name())
    }
}

impl fmt::Display for AlertCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for AlertCode {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.iter().find(|code| code.name() == text);
        found.copied().ok_or_else(|| UnknownName {
            name: text.chars().take(64).collect(),
            kind: "alert code",
            known: Self::ALL
                .iter()
                .map(|code| code.name())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_read_back() {
        let names: BTreeSet<_> = AlertCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), AlertCode::ALL.len());
        for code in AlertCode::ALL {
            assert_eq!(code.name().parse(), Ok(*code));
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("{:?}", code.name()));
        }
        let error = "on_fire".parse::<AlertCode>().unwrap_err().to_string();
        assert!(error.contains("on_fire") && error.contains("split_brain_suspected"));
    }

    #[test]
    fn the_docs_speak_of_every_code() {
        let docs = include_str!("../../../docs/operate/alerts.md");
        for code in AlertCode::ALL {
            let heading = format!("\n### {code}\n");
            assert!(
                docs.contains(&heading),
                "{code} is not in docs/operate/alerts.md"
            );
        }
    }
}
