//! How well a group is: what is known of it, and where its production is.
//!
//! Invariants: what the source does is a reason only while production is there, so that a source that
//! catches up is not taken for protection of what the target writes; each code is given once; codes are
//! part of the API (docs/operate/api.md) and are never given another meaning.

use super::{Health, HealthLevel, HealthReason, Known, Replication, ReplicationState};
use crate::recovery::PlacementState;
use HealthLevel::{Critical, Unknown, Warning};

#[derive(Default)]
struct Reasons(Vec<(HealthLevel, HealthReason)>);

impl Reasons {
    fn note(&mut self, level: HealthLevel, code: &str, detail: impl Into<String>) {
        let code = code.to_owned();
        let detail = detail.into();
        self.0.push((level, HealthReason { code, detail }));
    }

    fn health(self) -> Health {
        let level = self.0.iter().map(|(level, _)| *level).max();
        Health {
            level: level.unwrap_or(HealthLevel::Ok),
            reasons: self.0.into_iter().map(|(_, reason)| reason).collect(),
        }
    }
}

impl Known<'_> {
    /// The health of the group, given its replication and where its production is; none while that
    /// is being looked up.
    pub(crate) fn health(
        &self,
        replication: &Replication,
        placement: Option<PlacementState>,
    ) -> Health {
        let mut reasons = Reasons::default();
        match placement {
            // Until it runs at the target, what the source does says how it is protected.
            Some(
                PlacementState::SourceActive
                | PlacementState::Restoring
                | PlacementState::SourceUncommitted,
            ) => self.note_replication(replication, &mut reasons),
            Some(PlacementState::FailingOver) => {
                self.note_replication(replication, &mut reasons);
                reasons.note(
                    Warning,
                    "production_being_moved",
                    "production is being moved to the target; what is written there once it runs is unprotected until a failback",
                );
            }
            Some(state) => self.note_placement(state, replication, &mut reasons),
            None => reasons.note(
                Unknown,
                "placement_unknown",
                "where production runs is being looked up",
            ),
        }
        if !self.unfollowed.is_empty() {
            reasons.note(
                Warning,
                "volume_not_followed",
                not_followed(self.unfollowed),
            );
        }
        if let Some(unreadable) = self.unreadable {
            reasons.note(Critical, "replica_damaged", unreadable);
        }
        if self.cleanup_failed {
            let detail = "a drill's clean-up is not proven; start another drill to try it again";
            reasons.note(Warning, "cleanup_failed", detail);
        }
        reasons.health()
    }

    fn note_replication(&self, replication: &Replication, reasons: &mut Reasons) {
        let why = |code: &str| {
            replication
                .reason
                .clone()
                .unwrap_or_else(|| code.to_owned())
        };
        let (level, code) = match replication.state {
            ReplicationState::Continuous => {
                if self.age.is_none() {
                    let detail = "no point has been published yet, so its age is unknown";
                    reasons.note(Unknown, "rpo_unknown", detail);
                }
                return;
            }
            ReplicationState::Unprotected => (Critical, "unprotected"),
            ReplicationState::InitialSync => (Warning, "initial_sync"),
            ReplicationState::CatchingUp => (Warning, "catching_up"),
            ReplicationState::Disconnected if self.is_source_untold() => {
                (Unknown, "source_state_unknown")
            }
            ReplicationState::Disconnected => (Critical, "disconnected"),
            ReplicationState::Stalled => (Critical, "stalled"),
        };
        reasons.note(level, code, why(code));
    }

    /// Whether the gateway has not told yet how the source is.
    fn is_source_untold(&self) -> bool {
        self.gateway_since.is_some() && !self.capture_told
    }

    /// Production is at the target, or on its way.
    fn note_placement(
        &self,
        state: PlacementState,
        replication: &Replication,
        reasons: &mut Reasons,
    ) {
        let (level, code, detail) = match state {
            PlacementState::TargetUncommitted => (
                Warning,
                "production_at_target",
                "production runs at the target and awaits its decision; what it writes there is unprotected until it is committed and a failback brings it home",
            ),
            PlacementState::TargetActive => (
                Warning,
                "production_at_target",
                "production runs at the target, and nothing follows what it writes; it is unprotected until a failback",
            ),
            PlacementState::Reversing => (
                Warning,
                "production_at_target",
                "production runs at the target; it is unprotected until the failback has brought home a complete copy",
            ),
            PlacementState::ReverseProtected => (
                Warning,
                "production_at_target",
                "production runs at the target; what it writes is brought home by the rounds of the failback",
            ),
            PlacementState::SplitBrainSuspected => (
                Critical,
                "split_brain_suspected",
                "two sites may be taking writes; say which one is kept",
            ),
            PlacementState::FailingBack => (
                Warning,
                "production_being_moved",
                "production is being moved home",
            ),
            _ => (
                Warning,
                "production_being_moved",
                "production is being moved back to where it was",
            ),
        };
        reasons.note(level, code, detail);
        let home_follows = matches!(
            state,
            PlacementState::Reversing | PlacementState::ReverseProtected
        );
        let is_gone = replication.state == ReplicationState::Disconnected;
        if home_follows && is_gone && !self.is_source_untold() {
            let why = replication
                .reason
                .as_deref()
                .unwrap_or("it is not connected");
            let detail = format!("home cannot follow production at the target: {why}");
            reasons.note(Warning, "disconnected", detail);
        }
    }
}

fn not_followed(volumes: &[&str]) -> String {
    let names = volumes.join(", ");
    let (volumes, it) = match volumes.len() {
        1 => ("volume", "it"),
        _ => ("volumes", "them"),
    };
    format!(
        "{volumes} {names}: unprotected, since the capture of the group does not serve {it}; add {it} to the capture's configuration"
    )
}
