//! Drills: boot a recovery point in isolation, climb the verification ladder, prove the clean-up.
//!
//! [`Ladder`] decides (sans I/O, `now` is an argument); [`run_drill`] does: it leads a
//! [`crate::target::Target`] through the phases, feeds the ladder, keeps evidence and always ends
//! with a clean-up whose result is proven item by item. [`clean_up_leftover`] does that last part
//! for a drill whose process died.
//!
//! Invariants: a rung is passed only by what was observed in that very instance; what did not run is
//! "not run"; a drill whose clean-up is not proven is never a success. It does not choose points,
//! open views or persist jobs.

mod agent;
mod canary;
mod cleanup;
mod console_text;
mod engine;
pub(crate) mod evidence;
mod ladder;
mod passage;
mod patterns;
mod phase;
mod probe;
mod prober;
mod report;
mod request;
mod rung;
pub(crate) mod script;

#[cfg(test)]
pub(crate) mod tests;

pub use canary::CanaryReport;
pub(crate) use cleanup::instance_of;
pub use cleanup::{LeftoverError, clean_up_leftover};
pub use engine::run_drill;
pub use evidence::{EvidenceError, EvidenceFile};
pub use ladder::{Ladder, LadderState};
pub use patterns::{CompiledPatterns, PatternError};
pub use phase::{Phase, PhaseOutcome, PhaseReport};
pub(crate) use prober::Prober;
pub use report::{
    CleanupReport, DrillReport, DrillResult, IsolationReport, RecoveryTimes, ReplicaReport,
};
pub use request::{DrillContext, DrillProgress, DrillRequest, PointDescription, ReplicaDigest};
pub use rung::{ProbeResult, Rung, RungResult, RungVerdict};
pub(crate) use script::Scripts;
pub use script::{RungScripts, ScriptFuture, ScriptRun, ScriptTrouble};
