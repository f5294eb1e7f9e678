//! What a group's state means for people: pure functions of what is known.
//!
//! Owns the words of the replication axis and of health ([`health`]). Invariant: what is unknown is
//! never shown as good, and a state is named by the worst that is true.

mod health;

use crate::receive::lineage_state::OpenSync;
use bcdr_format::{Timestamp, continuity::Fork, sync::SyncReason};
use bcdr_wire::feed::{CaptureReport, Tracking};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// With source and gateway connected, a newest point older than this means catching up.
const CATCHING_UP_AGE: Duration = Duration::from_secs(15);

/// What the replication of a group is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplicationState {
    /// Nothing was ever received, and nobody is connected.
    Unprotected,
    /// The first copy is on its way; there is no point yet.
    InitialSync,
    /// Every write follows.
    Continuous,
    /// Everything is connected, and what was missed meanwhile is being brought in.
    CatchingUp,
    /// The gateway or the source is not connected.
    Disconnected,
    /// Something keeps new data from becoming points although everything is connected.
    Stalled,
}

impl ReplicationState {
    /// All states, for state-set metrics.
    pub(crate) const ALL: [Self; 6] = [
        Self::Unprotected,
        Self::InitialSync,
        Self::Continuous,
        Self::CatchingUp,
        Self::Disconnected,
        Self::Stalled,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unprotected => "unprotected",
            Self::InitialSync => "initial_sync",
            Self::Continuous => "continuous",
            Self::CatchingUp => "catching_up",
            Self::Disconnected => "disconnected",
            Self::Stalled => "stalled",
        }
    }
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SyncProgress {
    /// Bytes compared or copied so far.
    pub(crate) done_bytes: u64,
    /// Bytes to compare or copy in all.
    pub(crate) total_bytes: u64,
}

/// The replication axis of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Replication {
    /// The state.
    pub(crate) state: ReplicationState,
    /// Why it is so, in words.
    pub(crate) reason: Option<String>,
    /// Since when, where that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) since: Option<jiff::Timestamp>,
    /// How far the copy has come, while there is one.
    pub(crate) progress: Option<SyncProgress>,
}

/// How well a group is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthLevel {
    /// Everything is known and good.
    Ok,
    /// It is not known.
    Unknown,
    /// Protection is weaker than it should be, or waits for what an operator has begun.
    Warning,
    /// New writes are not being protected.
    Critical,
}

impl HealthLevel {
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Unknown, Self::Warning, Self::Critical];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One reason for a health level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct HealthReason {
    /// The stable code that programs match on: `unprotected`, `initial_sync`, `catching_up`,
    /// `disconnected`, `source_state_unknown`, `stalled`, `rpo_unknown`, `production_at_target`,
    /// `production_being_moved`, `placement_unknown`, `split_brain_suspected`, `volume_not_followed`,
    /// `replica_damaged`, `cleanup_failed` or `drill_overdue`.
    pub(crate) code: String,
    /// The reason in words.
    pub(crate) detail: String,
}

/// How well a group is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Health {
    /// The worst of the reasons.
    pub(crate) level: HealthLevel,
    /// The reasons; none when all is well.
    pub(crate) reasons: Vec<HealthReason>,
}

impl Health {
    /// The same, with the drill that is overdue since `since`.
    pub(crate) fn overdue(mut self, since: Option<Timestamp>) -> Self {
        if let Some(since) = since {
            self.level = self.level.max(HealthLevel::Warning);
            self.reasons.push(HealthReason {
                code: "drill_overdue".to_owned(),
                detail: format!(
                    "no drill passed as its schedule asks for; overdue since {}",
                    crate::clock::readable(since)
                ),
            });
        }
        self
    }
}

/// What is known of a group at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Known<'a> {
    /// Whether anything was ever received.
    pub(crate) received_anything: bool,
    /// Since when a gateway's session is up.
    pub(crate) gateway_since: Option<Timestamp>,
    /// Since when there is none.
    pub(crate) gateway_gone_since: Timestamp,
    /// Whether the gateway has told how the capture is, in this session.
    pub(crate) capture_told: bool,
    /// Since when the capture is connected or gone, on the gateway's clock.
    pub(crate) capture_since: Option<Timestamp>,
    /// The capture's last report; none while it is not connected.
    pub(crate) report: Option<&'a CaptureReport>,
    /// The sync intervals that are open in what was received.
    pub(crate) open_syncs: &'a [OpenSync],
    /// The forks that are open.
    pub(crate) forks: &'a [Fork],
    /// Whether the first copy is complete.
    pub(crate) initial_sync_done: bool,
    /// What keeps the store from taking data, if anything does.
    pub(crate) obstacle: Option<&'a str>,
    /// The age of the newest point, if there is one.
    pub(crate) age: Option<Duration>,
    /// What could not be read of what is kept, if anything could not.
    pub(crate) unreadable: Option<&'a str>,
    /// Whether a drill left something behind.
    pub(crate) cleanup_failed: bool,
    /// The names of its volumes that the stream does not know, once anything was received.
    pub(crate) unfollowed: &'a [&'a str],
}

impl Known<'_> {
    /// The replication axis.
    pub(crate) fn replication(&self) -> Replication {
        let plain = |state, reason: Option<String>, since: Option<Timestamp>| Replication {
            state,
            reason,
            since: since.map(crate::clock::readable),
            progress: None,
        };
        // First, because whoever cannot deliver is sent away and then seems to be missing.
        if let Some(obstacle) = self.obstacle {
            return plain(ReplicationState::Stalled, Some(obstacle.to_owned()), None);
        }
        if self.gateway_since.is_none() {
            return self.without_gateway(plain);
        }
        let Some(report) = self.report else {
            let reason = if self.capture_told {
                "the gateway has no connection to the source's capture"
            } else {
                "the gateway has just connected and has not told yet how the source is"
            };
            return plain(
                ReplicationState::Disconnected,
                Some(reason.to_owned()),
                self.capture_since.or(self.gateway_since),
            );
        };
        if let Tracking::Untracked { since, reason } = &report.tracking {
            let reason = format!("writes are not being tracked: {reason}; a full compare follows");
            return plain(ReplicationState::Stalled, Some(reason), Some(*since));
        }
        self.while_connected(report, plain)
    }

    fn without_gateway(
        &self,
        plain: impl Fn(ReplicationState, Option<String>, Option<Timestamp>) -> Replication,
    ) -> Replication {
        if self.received_anything {
            plain(
                ReplicationState::Disconnected,
                Some("no gateway is connected for this group".to_owned()),
                Some(self.gateway_gone_since),
            )
        } else {
            plain(
                ReplicationState::Unprotected,
                Some("no gateway has delivered anything for this group yet".to_owned()),
                None,
            )
        }
    }

    fn while_connected(
        &self,
        report: &CaptureReport,
        plain: impl Fn(ReplicationState, Option<String>, Option<Timestamp>) -> Replication,
    ) -> Replication {
        let progress = match report.tracking {
            Tracking::Syncing {
                done_bytes,
                total_bytes,
                ..
            } => Some(SyncProgress {
                done_bytes,
                total_bytes,
            }),
            _ => None,
        };
        if !self.initial_sync_done {
            return Replication {
                progress,
                ..plain(
                    ReplicationState::InitialSync,
                    Some("the first copy is on its way; there is no point yet".to_owned()),
                    None,
                )
            };
        }
        if let Some(why) = self.sync_in_words(report) {
            return Replication {
                progress,
                ..plain(ReplicationState::CatchingUp, Some(why), None)
            };
        }
        match self.age {
            Some(age) if age > CATCHING_UP_AGE => plain(
                ReplicationState::CatchingUp,
                Some(format!("the newest point is {} s old", age.as_secs())),
                None,
            ),
            _ => plain(ReplicationState::Continuous, None, None),
        }
    }

    /// Why no point can be published at the moment, while everything is connected.
    fn sync_in_words(&self, report: &CaptureReport) -> Option<String> {
        let told = match report.tracking {
            Tracking::Syncing { reason, .. } => Some(reason),
            _ => None,
        };
        let reason = self.open_syncs.first().map(|open| open.reason).or(told);
        match reason {
            Some(reason) => Some(sync_reason(reason).to_owned()),
            None if !self.forks.is_empty() => Some(
                "the source's history differs from what was received; it is being compared"
                    .to_owned(),
            ),
            None => None,
        }
    }

    /// Why a marker placed now could not become a point; none if it can.
    pub(crate) fn marker_obstacle(&self) -> Option<MarkerObstacle> {
        if self.gateway_since.is_none() || self.report.is_none() {
            return Some(MarkerObstacle::NotConnected);
        }
        let publishable =
            self.initial_sync_done && self.open_syncs.is_empty() && self.forks.is_empty();
        let tracked = self
            .report
            .is_some_and(|report| report.tracking == Tracking::Continuous);
        (!publishable || !tracked).then_some(MarkerObstacle::Syncing)
    }
}

/// Why a bookmark cannot be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkerObstacle {
    /// The way to the source is down.
    NotConnected,
    /// Data is being copied, and no point is published until that ends.
    Syncing,
}

fn sync_reason(reason: SyncReason) -> &'static str {
    match reason {
        SyncReason::Initial => "the first copy is on its way",
        SyncReason::Killed => "the capture was killed; the ranges it was writing are read again",
        SyncReason::PowerLoss => "the source's history is unproven; its volumes are compared",
        SyncReason::Untracked => "writes went untracked for a while; the volumes are compared",
        SyncReason::Fork => {
            "the source's history differs from what was received; it is being compared"
        }
    }
}

#[cfg(test)]
mod tests;
