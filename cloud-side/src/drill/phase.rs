//! The phases of a drill. Plain data.

use serde::{Deserialize, Serialize};

/// One phase; the order of the variants is the order of the drill.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Settings, programs, memory and disk sources are looked at; nothing is created.
    Precheck,
    /// The replica's digest at the point is taken, if it is to be compared afterwards.
    PinPoint,
    /// Throw-away disks are made.
    CreateOverlays,
    /// The network without a way out is made.
    IsolatedNetwork,
    /// The instance is started.
    Boot,
    /// The verification ladder is climbed.
    Probe,
    /// The instance is left running for people to look at, for a limited time.
    Hold,
    /// Screen, console, commands and observations are kept.
    Evidence,
    /// The instance is ended and its files are removed.
    Destroy,
    /// Every removed thing is looked for; the replica's digest is compared.
    VerifyDestroyed,
    /// Evidence is hashed and the report is written.
    Report,
}

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseOutcome {
    /// It did what it is for.
    Done,
    /// It did not.
    Failed,
    /// A stop was asked for while it ran.
    Stopped,
}

/// A phase that was entered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PhaseReport {
    /// The phase.
    pub phase: Phase,
    /// How it ended.
    pub outcome: PhaseOutcome,
    /// When it began, in seconds since the drill was requested.
    pub began_seconds: f64,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// What came out, in a sentence; empty when there is nothing to say.
    pub detail: String,
}
