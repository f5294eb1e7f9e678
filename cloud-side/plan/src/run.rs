//! One start of a plan: its durable record, which is also all that its machine remembers.
//!
//! Events and the time go in ([`Run::handle`]); what is to be carried out now ([`Run::work`]) follows
//! from the record alone, so a record that was reloaded goes on where it was. Invariants: a step
//! begins only after everything it comes after is settled; the failure of a critical step holds the
//! run up until somebody decides; an answer to an attempt that is over changes nothing.

mod advance;
mod countdown;
mod judge;

pub use judge::{Allowed, Verb};

use crate::{Checked, Fault, NotRun, Plan, Selection, Step, StepId};
use bcdr_format::Timestamp;
use countdown::Countdown;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// How often a step that was cut short by a restart is begun again by itself.
pub const INTERRUPTIONS_MAX: u32 = 3;

/// What a run does with the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Boots them in isolation, and removes everything again.
    Drill,
    /// Stops their sources in order, and brings production to the target.
    Planned,
    /// Brings production to the target without asking the sources.
    Emergency,
}

impl Mode {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Planned => "planned",
            Self::Emergency => "emergency",
        }
    }
}

/// Somebody who may decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Operator(pub String);

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What an operator decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub by: Operator,
    /// When.
    pub at: Timestamp,
    /// Why, as it was given.
    pub reason: Option<String>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code that programs match on.
    pub code: String,
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// Why an operator's wish is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}; {remedy}")]
pub struct Refused {
    /// The stable code that programs match on.
    pub code: &'static str,
    /// What stands in the way.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// The point that a group's step took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointTaken {
    /// Its id.
    pub id: String,
    /// Its instant.
    pub time: Timestamp,
}

/// How a step of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// What it comes after is not settled yet, or there is no place free.
    Waiting,
    /// It is carried out, or its time passes.
    Running,
    /// Somebody has to say that it may go on.
    AwaitingApproval,
    /// It did what it is for.
    Done,
    /// It did not.
    Failed,
    /// An operator went on without it.
    Skipped,
    /// It was left out.
    NotRun(NotRun),
}

/// How far one step of a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRun {
    /// How it stands.
    pub state: StepState,
    /// How urgent it is.
    pub priority: u8,
    /// How often it was begun.
    pub attempt: u32,
    /// How often in a row a restart cut it short.
    pub interruptions: u32,
    /// When it was begun first.
    pub began_at: Option<Timestamp>,
    /// When it was begun last.
    pub attempt_began_at: Option<Timestamp>,
    /// When it ended; none before, or since it was begun again.
    pub ended_at: Option<Timestamp>,
    /// What carries the attempt out, such as a drill.
    pub reference: Option<String>,
    /// What carried out the attempt before.
    pub previous: Option<String>,
    /// Why the last attempt that failed did.
    pub failure: Option<Failure>,
    /// What was observed.
    pub note: Option<String>,
    /// The point that was taken.
    pub point: Option<PointTaken>,
    /// Who released or skipped it.
    pub decided: Option<Decision>,
    /// What is left of its time.
    countdown: Option<Countdown>,
}

impl StepRun {
    fn new(priority: u8, left_out: Option<NotRun>) -> Self {
        Self {
            state: left_out.map_or(StepState::Waiting, StepState::NotRun),
            priority,
            attempt: 0,
            interruptions: 0,
            began_at: None,
            attempt_began_at: None,
            ended_at: None,
            reference: None,
            previous: None,
            failure: None,
            note: None,
            point: None,
            decided: None,
            countdown: None,
        }
    }

    fn taken_up(&mut self, now: Timestamp) {
        if let Some(countdown) = &mut self.countdown {
            countdown.skip_to(now);
        }
    }

    /// What is left of a wait.
    pub fn remaining(&self) -> Option<Duration> {
        let runs = self.state == StepState::Running;
        self.countdown.filter(|_| runs).map(Countdown::remaining)
    }

    /// How long the last attempt took; none before it ended.
    pub fn took(&self) -> Option<Duration> {
        let (began, ended) = (self.attempt_began_at?, self.ended_at?);
        let passed = u64::try_from(ended.0.saturating_sub(began.0)).unwrap_or(0);
        Some(Duration::from_micros(passed))
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// Every step that was to be run did what it is for.
    Succeeded,
    /// Steps failed that are not critical, or were skipped.
    SucceededInPart,
    /// An operator gave it up.
    Cancelled,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Something is carried out.
    Running,
    /// Nothing is, and somebody has to release a step.
    AwaitingApproval,
    /// A critical step failed: nothing begins until somebody decides.
    Paused,
    /// It was cancelled, and what runs is being ended.
    Cancelling,
    /// It ended: see [`RunEnd::Succeeded`].
    Succeeded,
    /// It ended: see [`RunEnd::SucceededInPart`].
    SucceededInPart,
    /// It ended: see [`RunEnd::Cancelled`].
    Cancelled,
}

/// A plan to be run.
#[derive(Debug, Clone)]
pub struct Start {
    /// The plan, as it is now.
    pub plan: Plan,
    /// Its version.
    pub version: u32,
    /// What is done with the groups.
    pub mode: Mode,
    /// Which steps.
    pub selection: Selection,
    /// Who asked.
    pub by: Operator,
}

/// One start of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The plan as it was then.
    pub plan: Plan,
    /// Its version.
    pub version: u32,
    /// What is done with the groups.
    pub mode: Mode,
    /// Which steps were asked for.
    pub selection: Selection,
    /// Who asked.
    pub by: Operator,
    /// When.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub end: Option<RunEnd>,
    /// Who gave it up.
    pub cancelled: Option<Decision>,
    /// The steps, in the plan's order.
    steps: Vec<StepRun>,
}

/// What happened to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It is known what carries an attempt out.
    Began {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// What it is.
        reference: String,
    },
    /// An attempt did what it is for.
    Done {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// What was observed.
        note: String,
        /// The point that was taken.
        point: Option<PointTaken>,
    },
    /// An attempt did not.
    Failed {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// Why.
        failure: Failure,
        /// The point that was taken.
        point: Option<PointTaken>,
    },
    /// What a step that is done made does not hold any more.
    Undone {
        /// The step.
        step: StepId,
        /// What carried it out.
        reference: String,
        /// Why.
        failure: Failure,
    },
    /// An attempt was cut short by a restart, and left nothing.
    Interrupted {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
    },
    /// An operator releases a step.
    Approve {
        /// The step.
        step: StepId,
        /// Who.
        by: Operator,
        /// What was said about it.
        reason: Option<String>,
    },
    /// An operator wants a failed step begun again.
    Retry {
        /// The step.
        step: StepId,
    },
    /// An operator goes on without a step.
    Skip {
        /// The step.
        step: StepId,
        /// Who.
        by: Operator,
        /// Why.
        reason: String,
    },
    /// An operator gives the run up.
    Cancel {
        /// Who.
        by: Operator,
        /// Why.
        reason: Option<String>,
    },
    /// Time passed.
    Tick,
}

/// What came of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handled {
    /// Whether the run has to be made durable before anything else.
    pub persist: bool,
}

/// An attempt that is to be carried out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The step.
    pub step: StepId,
    /// The attempt.
    pub attempt: u32,
    /// What carries it out, if that is known already.
    pub reference: Option<String>,
    /// What carried out the attempt before.
    pub previous: Option<String>,
    /// Whether it is to be ended: the run was cancelled.
    pub stop: bool,
}

impl Run {
    /// Another process goes on with it at `now`: the time in between is no part of a wait.
    pub fn taken_up(&mut self, now: Timestamp) {
        for step in &mut self.steps {
            step.taken_up(now);
        }
    }

    /// Begins a run at `now`.
    ///
    /// # Errors
    /// When the selection does not fit the plan.
    pub fn start(start: Start, checked: &Checked, now: Timestamp) -> Result<Self, Fault> {
        let Start {
            plan,
            version,
            mode,
            selection,
            by,
        } = start;
        selection.check(&plan, checked, mode)?;
        let step = |at: usize| {
            let left_out = selection.leaves_out(&plan, checked, mode, at);
            StepRun::new(checked.priorities[at], left_out)
        };
        let steps = (0..plan.steps.len()).map(step).collect();
        let mut run = Self {
            plan,
            version,
            mode,
            selection,
            by,
            began_at: now,
            ended_at: None,
            end: None,
            cancelled: None,
            steps,
        };
        run.advance(now);
        Ok(run)
    }

    /// The steps with how far they are, in the plan's order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (&Step, &StepRun)> {
        self.plan.steps.iter().zip(&self.steps)
    }

    /// One step.
    pub fn step(&self, id: &StepId) -> Option<(&Step, &StepRun)> {
        self.steps().find(|(step, _)| step.id == *id)
    }

    /// How it stands.
    pub fn state(&self) -> RunState {
        match self.end {
            Some(RunEnd::Succeeded) => return RunState::Succeeded,
            Some(RunEnd::SucceededInPart) => return RunState::SucceededInPart,
            Some(RunEnd::Cancelled) => return RunState::Cancelled,
            None if self.cancelled.is_some() => return RunState::Cancelling,
            None => {}
        }
        let is_any = |state| self.steps.iter().any(|step| step.state == state);
        if self.is_held_up() {
            RunState::Paused
        } else if !is_any(StepState::Running) && is_any(StepState::AwaitingApproval) {
            RunState::AwaitingApproval
        } else {
            RunState::Running
        }
    }

    /// Whether a wait is being counted, so that time has to be told.
    pub fn counts_time(&self) -> bool {
        self.steps.iter().any(|step| step.remaining().is_some())
    }

    /// What is to be carried out now.
    pub fn work(&self) -> Vec<Work> {
        self.steps()
            .filter(|(step, run)| step.kind.is_work() && run.state == StepState::Running)
            .map(|(step, run)| Work {
                step: step.id.clone(),
                attempt: run.attempt,
                reference: run.reference.clone(),
                previous: run.previous.clone(),
                stop: self.cancelled.is_some(),
            })
            .collect()
    }

    /// Whether a critical step failed and nobody decided about it.
    fn is_held_up(&self) -> bool {
        self.steps()
            .any(|(step, run)| step.critical && run.state == StepState::Failed)
    }
}

#[cfg(test)]
mod tests;
