//! The report of a drill: what `drill.json` holds and the API shows.
//!
//! Plain data. Times called `..._seconds` count from the request of the drill unless said otherwise.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    CanaryReport, EvidenceFile, PhaseReport, PointDescription, Rung, RungResult, RungVerdict,
};
use crate::target::{
    IsolationSample, IsolationVerdict, LaunchSettings, PrecheckReport, Proof, ProofItem,
};

/// The version of the report's form.
pub(super) const REPORT_VERSION: u32 = 1;

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillResult {
    /// Every awaited rung was passed, and the clean-up is proven.
    Passed,
    /// Something failed; the clean-up is proven.
    Failed,
    /// It was stopped before the last rung; the clean-up is proven.
    Cancelled,
    /// Something may be left. Whatever else happened, this is never a success.
    CleanupFailed,
}

/// Everything about one drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillReport {
    /// Version of this form.
    pub report_version: u32,
    /// The drill's id.
    pub drill: String,
    /// The protection group.
    pub group: String,
    /// The point that was booted.
    pub point: PointDescription,
    /// The target it ran on.
    pub target: String,
    /// How it ended.
    pub result: DrillResult,
    /// Why, unless it passed.
    pub reason: Option<String>,
    /// When it was requested.
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: Timestamp,
    /// When the report was written.
    #[schema(value_type = String, format = DateTime)]
    pub finished_at: Timestamp,
    /// How the machine looked; absent for a drill whose process died.
    pub launch_settings: Option<LaunchSettings>,
    /// What the precheck saw; absent when it was not reached.
    pub precheck: Option<PrecheckReport>,
    /// The phases that were entered.
    pub phases: Vec<PhaseReport>,
    /// All rungs, lowest first; empty when the instance was never started.
    pub rungs: Vec<RungResult>,
    /// How long each step of the recovery took.
    pub recovery_times: RecoveryTimes,
    /// The canary against the point; absent when none was read.
    pub canary: Option<CanaryReport>,
    /// Whether the instance could reach a network.
    pub isolation: IsolationReport,
    /// The most bytes the throw-away disks occupied.
    pub overlay_bytes: u64,
    /// The files kept, with their hashes.
    pub evidence: Vec<EvidenceFile>,
    /// The proof that nothing is left.
    pub cleanup: CleanupReport,
    /// Whether the replica stayed as it was; absent when it was not compared.
    pub replica: Option<ReplicaReport>,
}

/// Seconds from the drill's request until each rung was passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecoveryTimes {
    /// Until the target executed the instance.
    pub instance_running_seconds: Option<f64>,
    /// Until the firmware spoke.
    pub firmware_seconds: Option<f64>,
    /// Until the kernel's banner.
    pub kernel_seconds: Option<f64>,
    /// Until the root file system was mounted.
    pub root_mounted_seconds: Option<f64>,
    /// Until the login prompt: the recovery time proper.
    pub login_seconds: Option<f64>,
    /// Until the canary was shown.
    pub canary_seconds: Option<f64>,
}

impl RecoveryTimes {
    pub(super) fn from_rungs(rungs: &[RungResult]) -> Self {
        let passed_at = |rung: Rung| {
            let found = rungs.iter().find(|result| result.rung == rung)?;
            found
                .at_seconds
                .filter(|_| found.verdict == RungVerdict::Passed)
        };
        Self {
            instance_running_seconds: passed_at(Rung::InstanceRunning),
            firmware_seconds: passed_at(Rung::Firmware),
            kernel_seconds: passed_at(Rung::Kernel),
            root_mounted_seconds: passed_at(Rung::RootMounted),
            login_seconds: passed_at(Rung::Login),
            canary_seconds: passed_at(Rung::Canary),
        }
    }
}

/// Whether the instance could reach a network, from all observations together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IsolationReport {
    /// Isolated only if at least one observation said so and none said otherwise.
    pub verdict: IsolationVerdict,
    /// How many observations were made.
    pub observations: u32,
    /// The observation that decided; absent without any.
    pub decisive: Option<IsolationSample>,
}

impl IsolationReport {
    /// Judges all observations: a leak outweighs everything, an open question outweighs isolation.
    pub(super) fn from_log(log: &IsolationLog) -> Self {
        let samples = &log.samples;
        let last_with = |verdict| samples.iter().rfind(|sample| sample.verdict == verdict);
        let decisive = last_with(IsolationVerdict::NotIsolated)
            .or_else(|| last_with(IsolationVerdict::Unknown))
            .or_else(|| last_with(IsolationVerdict::Isolated));
        Self {
            verdict: decisive.map_or(IsolationVerdict::Unknown, |sample| sample.verdict),
            observations: log.observations,
            decisive: decisive.cloned(),
        }
    }
}

/// All observations of an instance's isolation; a long hold makes many that are alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct IsolationLog {
    /// How many there were.
    observations: u32,
    /// Those that differ from the one before, the first of each kind in any case.
    samples: Vec<IsolationSample>,
}

/// Most different observations that are kept; beyond it only changes of the verdict are.
const ISOLATION_SAMPLES_MAX: usize = 64;

impl IsolationLog {
    pub(super) fn push(&mut self, sample: IsolationSample) {
        self.observations = self.observations.saturating_add(1);
        let known = |kept: &IsolationSample| kept.verdict == sample.verdict;
        let full = self.samples.len() >= ISOLATION_SAMPLES_MAX;
        let repeated = self.samples.last() == Some(&sample);
        if !repeated && (!full || !self.samples.iter().any(known)) {
            self.samples.push(sample);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// The clean-up and its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CleanupReport {
    /// Whether every item is proven.
    pub complete: bool,
    /// What was looked for.
    pub items: Vec<ProofItem>,
}

impl From<Proof> for CleanupReport {
    fn from(proof: Proof) -> Self {
        Self {
            complete: proof.holds(),
            items: proof.items,
        }
    }
}

/// The replica before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplicaReport {
    /// Digest of the point before the drill.
    pub digest_before: String,
    /// Digest of the point after the drill.
    pub digest_after: String,
    /// Whether they agree.
    pub unchanged: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(verdict: IsolationVerdict) -> IsolationSample {
        IsolationSample {
            verdict,
            reason: String::new(),
            sockets: Vec::new(),
            network: None,
        }
    }

    #[test]
    fn isolation_needs_an_observation_and_no_doubt() {
        use IsolationVerdict::{Isolated, NotIsolated, Unknown};
        let verdict = |verdicts: &[IsolationVerdict]| {
            let mut log = IsolationLog::default();
            for verdict in verdicts {
                log.push(sample(*verdict));
            }
            let report = IsolationReport::from_log(&log);
            assert_eq!(report.observations as usize, verdicts.len());
            report.verdict
        };
        assert_eq!(verdict(&[]), Unknown);
        assert_eq!(verdict(&[Isolated, Isolated]), Isolated);
        assert_eq!(verdict(&[Isolated, Unknown, Isolated]), Unknown);
        assert_eq!(verdict(&[NotIsolated, Isolated, Unknown]), NotIsolated);
    }

    #[test]
    fn a_long_hold_keeps_few_observations_but_never_misses_a_leak() {
        let mut log = IsolationLog::default();
        for number in 0..1000 {
            let reason = number.to_string();
            log.push(IsolationSample {
                reason,
                ..sample(IsolationVerdict::Isolated)
            });
        }
        assert_eq!(
            (log.observations, log.samples.len()),
            (1000, ISOLATION_SAMPLES_MAX)
        );
        log.push(sample(IsolationVerdict::NotIsolated));
        log.push(sample(IsolationVerdict::Isolated));
        assert_eq!(
            IsolationReport::from_log(&log).verdict,
            IsolationVerdict::NotIsolated
        );
    }
}
