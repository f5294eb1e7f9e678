//! What the catalog keeps of plans: each version, each run, and how long steps took. Plain data.

use crate::{catalog::Document, receive::PointId, record_id::PlanRunId, recovery::FormNumber};
use bcdr_format::{GroupId, Timestamp};
use bcdr_plan::{Plan, Run, StepId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Times that are kept of each step; older ones say little about the next.
const TIMES_KEPT: usize = 32;

/// A plan as it was applied last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanRecord {
    pub(crate) form: FormNumber,
    pub(crate) plan: Plan,
    /// The first is 1; a plan that was removed and applied again goes on counting.
    pub(crate) version: u32,
    pub(crate) applied_at: Timestamp,
    pub(crate) applied_by: String,
    /// When it was removed; its versions and runs stay.
    pub(crate) removed_at: Option<Timestamp>,
}

impl Document for PlanRecord {
    const COLLECTION: &'static str = "plans";

    fn key(&self) -> String {
        self.plan.name.clone()
    }
}

/// One version of a plan. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PlanVersion(pub(crate) PlanRecord);

impl PlanVersion {
    pub(crate) fn key_of(plan: &str, version: u32) -> String {
        format!("{plan}/{version:010}")
    }
}

impl Document for PlanVersion {
    const COLLECTION: &'static str = "plan_versions";

    fn key(&self) -> String {
        Self::key_of(&self.0.plan.name, self.0.version)
    }
}

/// The point of a group that was chosen at a run's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChosenPoint {
    pub(crate) step: StepId,
    pub(crate) group: GroupId,
    pub(crate) group_name: String,
    pub(crate) point: PointId,
    pub(crate) time: Timestamp,
}

/// A run of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanRunRecord {
    pub(crate) form: FormNumber,
    pub(crate) id: PlanRunId,
    /// The one time of all groups; none for the newest point of each.
    pub(crate) at: Option<Timestamp>,
    /// The greatest point of each group that is not after that time, as it was at the start.
    pub(crate) points: Vec<ChosenPoint>,
    /// The operator vouches that the sources are isolated.
    pub(crate) isolation_confirmed: bool,
    /// When production stopped, as the operator knows it.
    pub(crate) interrupted_at: Option<Timestamp>,
    pub(crate) run: Run,
}

impl Document for PlanRunRecord {
    const COLLECTION: &'static str = "plan_runs";

    /// Newer runs come first.
    fn key(&self) -> String {
        self.id.newest_first_key()
    }
}

/// How long an attempt of a step took that did what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepTime {
    pub(crate) run: PlanRunId,
    pub(crate) ended_at: Timestamp,
    pub(crate) milliseconds: u64,
}

/// How long a step took in runs of one mode, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepTimes {
    plan: String,
    step: StepId,
    mode: String,
    /// What the step did then: times of something else say nothing.
    kind: String,
    subject: String,
    times: Vec<StepTime>,
}

impl StepTimes {
    pub(crate) fn key_of(plan: &str, step: &StepId, mode: bcdr_plan::Mode) -> String {
        format!("{plan}/{step}/{}", mode.name())
    }

    pub(crate) fn new(plan: &str, step: &bcdr_plan::Step, mode: bcdr_plan::Mode) -> Self {
        Self {
            plan: plan.to_owned(),
            step: step.id.clone(),
            mode: mode.name().to_owned(),
            kind: step.kind.name().to_owned(),
            subject: step.kind.subject().to_owned(),
            times: Vec::new(),
        }
    }

    /// Whether these are times of what the step does now.
    pub(crate) fn fit(&self, step: &bcdr_plan::Step) -> bool {
        self.kind == step.kind.name() && self.subject == step.kind.subject()
    }

    pub(crate) fn add(&mut self, time: StepTime) {
        self.times.push(time);
        let surplus = self.times.len().saturating_sub(TIMES_KEPT);
        self.times.drain(..surplus);
    }

    pub(crate) fn durations(&self) -> Vec<Duration> {
        let times = self.times.iter();
        times
            .map(|time| Duration::from_millis(time.milliseconds))
            .collect()
    }
}

impl Document for StepTimes {
    const COLLECTION: &'static str = "plan_step_times";

    fn key(&self) -> String {
        format!("{}/{}/{}", self.plan, self.step, self.mode)
    }
}
