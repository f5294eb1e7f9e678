//! Steps: the units that a placement job is made of, and how far a job is in them.
//!
//! Owns their names and the durable account of each: attempts, times, outcome. Invariant: a step is
//! noted as begun before its command exists, so after a kill nothing that may have happened is
//! unknown. Which step follows which is decided by the jobs themselves.

use super::authority::{Authority, Ticket};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One step of a failover, a failback, a restore, or the way out of a split brain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Settings, target and point are looked at; nothing is changed.
    Precheck,
    /// It is asked whether the source serves, and under which generation.
    ProbeSource,
    /// The source stops taking writes (planned failover).
    QuiesceSource,
    /// What the source still holds is received, down to zero lag (planned failover).
    DrainSource,
    /// All that the drained source wrote is bookmarked (restore).
    PlaceBookmark,
    /// The new generation becomes durable: older writes are refused from here on.
    Fence,
    /// The point is chosen and held.
    PinPoint,
    /// A writable branch is made at the point.
    CreateBranch,
    /// The instance is started on the branch.
    BootInstance,
    /// The verification ladder is climbed.
    ClimbRungs,
    /// Somebody, or a timer, decides: commit or roll back.
    AwaitCommit,
    /// The instance is ended, on the way back.
    StopInstance,
    /// A new generation gives authority back.
    FenceBack,
    /// The branch is kept, read-only, as evidence.
    SealBranch,
    /// The source may serve writable again, under the new generation.
    ReleaseSource,
    /// The disks at home are identified; nothing is changed.
    InspectHome,
    /// An operator confirms which disks may be overwritten.
    AwaitSeed,
    /// Home is kept from serving its disks.
    HoldHome,
    /// What home wrote after the fork is kept as a read-only branch.
    KeepLeftBehind,
    /// It is found out what has to be sent: changed ranges, or all by hash compare.
    PlanSeed,
    /// What changed is written to the disks at home while the instance runs.
    CopyRound,
    /// The source's own disks are brought to the point (restore).
    RestoreDisks,
    /// The source's own disks are brought back to the bookmark (restore).
    PutBackDisks,
    /// The next round is waited for.
    BetweenRounds,
    /// The instance stops taking writes.
    QuiesceTarget,
    /// The last changes are written to the disks at home.
    FinalDelta,
    /// The disks at home are compared with the branch, by digest.
    CompareDigests,
    /// A new generation makes home the authority.
    FenceHome,
    /// Home serves its disks under the new generation.
    BootHome,
    /// Forward protection goes on from what is equal on both sides.
    ResumeForward,
    /// Home stops serving, on the way back.
    StopHome,
    /// What home wrote since the cutover is kept as a read-only branch.
    KeepHomeWrites,
    /// The instance is started again on its branch.
    RestartTarget,
    /// The source is kept from serving writable, on an operator's word.
    HoldSource,
    /// Branch and instance go on under a new generation.
    AdoptGeneration,
}

impl Step {
    /// The step's name, as in JSON.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => format!("{self:?}"),
        }
    }
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// The stable code that programs match on.
    pub code: String,
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// How an attempt of a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It did what it is for.
    Done,
    /// It did not.
    Failed,
    /// The job went another way before it ended.
    Abandoned,
    /// An operator went on without its proof.
    Overridden,
}

/// The account of one step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step.
    pub step: Step,
    /// How many times it was begun; a repetition after a kill is no new attempt.
    pub attempts: u32,
    /// When its first attempt began.
    pub began_at: Timestamp,
    /// When its last attempt began; not known of records that an older release wrote.
    #[serde(default)]
    pub last_began_at: Option<Timestamp>,
    /// When its last attempt ended.
    pub ended_at: Option<Timestamp>,
    /// How its last attempt ended.
    pub outcome: Option<StepOutcome>,
}

/// What a job does in its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The step's command is to be carried out.
    Working,
    /// The step failed, and an operator decides how to go on.
    Blocked,
    /// A decision or a time is waited for.
    Waiting,
    /// The job is over.
    Ended,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The step it is in, or ended in.
    pub step: Step,
    /// What it does there.
    pub stage: Stage,
    /// The number of the attempt.
    pub ticket: Ticket,
    /// Every step that was begun, in the order of the first beginnings.
    pub steps: Vec<StepRecord>,
    /// The last thing that went wrong, also after the job went on.
    pub failure: Option<Failure>,
}

impl Progress {
    /// A job that begins with `step`.
    pub(super) fn begin(step: Step, authority: &mut Authority, now: Timestamp) -> Self {
        let mut progress = Self {
            step,
            stage: Stage::Working,
            ticket: Ticket::default(),
            steps: Vec::new(),
            failure: None,
        };
        progress.enter(step, authority, now);
        progress
    }

    /// Begins an attempt of a step.
    pub(super) fn enter(&mut self, step: Step, authority: &mut Authority, now: Timestamp) {
        self.close(StepOutcome::Abandoned, now);
        self.step = step;
        self.stage = Stage::Working;
        self.ticket = authority.ticket();
        self.open(step, now);
    }

    /// Begins to wait in a step that has no command.
    pub(super) fn wait(&mut self, step: Step, now: Timestamp) {
        self.close(StepOutcome::Abandoned, now);
        self.step = step;
        self.stage = Stage::Waiting;
        self.open(step, now);
    }

    /// The current attempt did what it is for.
    pub(super) fn done(&mut self, now: Timestamp) {
        self.close(StepOutcome::Done, now);
    }

    /// The current attempt failed; what follows is up to the job.
    pub(super) fn failed(&mut self, failure: Failure, now: Timestamp) {
        self.close(StepOutcome::Failed, now);
        self.failure = Some(failure);
    }

    /// The current attempt failed, and an operator decides how to go on.
    pub(super) fn block(&mut self, failure: Failure, now: Timestamp) {
        self.failed(failure, now);
        self.stage = Stage::Blocked;
    }

    /// An operator goes on without this step's proof.
    pub(super) fn overridden(&mut self, now: Timestamp) {
        let step = self.step;
        if let Some(record) = self.record_mut(step) {
            record.outcome = Some(StepOutcome::Overridden);
            record.ended_at = Some(now);
        }
    }

    /// The job is over.
    pub(super) fn end(&mut self, now: Timestamp) {
        self.close(StepOutcome::Abandoned, now);
        self.stage = Stage::Ended;
    }

    /// Whether a step was ever begun, and may therefore have had effects.
    pub fn begun(&self, step: Step) -> bool {
        self.steps.iter().any(|record| record.step == step)
    }

    /// When the last attempt of a step began.
    pub(super) fn began_at(&self, step: Step) -> Option<Timestamp> {
        let record = self.steps.iter().find(|record| record.step == step)?;
        record.last_began_at
    }

    /// Whether the last attempt of a step failed, and nothing came of it since.
    pub fn is_failing(&self, step: Step) -> bool {
        let failed = |record: &StepRecord| record.outcome == Some(StepOutcome::Failed);
        self.steps
            .iter()
            .any(|record| record.step == step && failed(record))
    }

    /// Whether an answer with this ticket is awaited.
    pub(super) fn awaits(&self, ticket: Ticket) -> bool {
        self.stage == Stage::Working && self.ticket == ticket
    }

    /// Whether the job is blocked in this step.
    pub(super) fn blocked_in(&self, steps: &[Step]) -> bool {
        self.stage == Stage::Blocked && steps.contains(&self.step)
    }

    fn open(&mut self, step: Step, now: Timestamp) {
        if let Some(record) = self.record_mut(step) {
            record.attempts = record.attempts.saturating_add(1);
            record.last_began_at = Some(now);
            record.ended_at = None;
            record.outcome = None;
            return;
        }
        self.steps.push(StepRecord {
            step,
            attempts: 1,
            began_at: now,
            last_began_at: Some(now),
            ended_at: None,
            outcome: None,
        });
    }

    fn close(&mut self, outcome: StepOutcome, now: Timestamp) {
        let step = self.step;
        if let Some(record) = self.record_mut(step)
            && record.outcome.is_none()
        {
            record.outcome = Some(outcome);
            record.ended_at = Some(now);
        }
    }

    fn record_mut(&mut self, step: Step) -> Option<&mut StepRecord> {
        self.steps.iter_mut().find(|record| record.step == step)
    }
}
