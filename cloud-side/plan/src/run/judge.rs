//! What an operator may do with a run now, and why not.
//!
//! Invariant: the machine itself asks [`Run::judge`] before it carries a wish out, so what is shown as
//! allowed is carried out, and nothing else is.

use super::{Refused, Run, StepRun, StepState};
use crate::{Kind, Step, StepId};

/// What an operator may want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Release a step.
    Approve,
    /// Begin a failed step again.
    RetryStep,
    /// Go on without a step.
    SkipStep,
    /// Give the run up.
    Cancel,
}

impl Verb {
    /// What may be wanted of a step.
    pub const OF_STEPS: [Self; 3] = [Self::Approve, Self::RetryStep, Self::SkipStep];

    /// The verb in the path of its route.
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::RetryStep => "retry-step",
            Self::SkipStep => "skip-step",
            Self::Cancel => "cancel",
        }
    }
}

/// A verb, and why it is not allowed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The verb.
    pub verb: Verb,
    /// The step; none for the run.
    pub step: Option<StepId>,
    /// Why it is not allowed.
    pub refused: Option<Refused>,
}

impl Run {
    /// Every verb for the run and for each of its steps.
    pub fn allowed(&self) -> Vec<Allowed> {
        let of_run = Allowed {
            verb: Verb::Cancel,
            step: None,
            refused: self.judge_cancel().err(),
        };
        let of_steps = self.plan.steps.iter().flat_map(|step| {
            Verb::OF_STEPS.into_iter().map(|verb| Allowed {
                verb,
                step: Some(step.id.clone()),
                refused: self.judge(verb, &step.id).err(),
            })
        });
        std::iter::once(of_run).chain(of_steps).collect()
    }

    /// Whether the run may be given up.
    pub(super) fn judge_cancel(&self) -> Result<(), Refused> {
        self.judge_open()
    }

    /// Whether this may be done with a step.
    pub(super) fn judge(&self, verb: Verb, id: &StepId) -> Result<(), Refused> {
        let Some((step, run)) = self.step(id) else {
            return Err(Refused {
                code: "unknown_step",
                cause: format!("plan {} has no step {id}", self.plan.name),
                remedy: "name a step that the run shows".to_owned(),
            });
        };
        self.judge_open()?;
        match verb {
            Verb::Approve => judge_approve(step, run),
            Verb::RetryStep => judge_failed(step, run),
            Verb::SkipStep if is_counting(step, run) => Ok(()),
            Verb::SkipStep => judge_failed(step, run),
            Verb::Cancel => self.judge_cancel(),
        }
    }

    fn judge_open(&self) -> Result<(), Refused> {
        if self.end.is_some() {
            return Err(Refused {
                code: "run_ended",
                cause: "the run has ended".to_owned(),
                remedy: "look at how it ended; start the plan again if that is wanted".to_owned(),
            });
        }
        if let Some(cancelled) = &self.cancelled {
            return Err(Refused {
                code: "run_cancelling",
                cause: format!("{} cancelled the run, and it is being ended", cancelled.by),
                remedy: "wait for its end".to_owned(),
            });
        }
        Ok(())
    }
}

fn is_counting(step: &Step, run: &StepRun) -> bool {
    matches!(step.kind, Kind::Wait(_)) && run.state == StepState::Running
}

fn judge_approve(step: &Step, run: &StepRun) -> Result<(), Refused> {
    if run.state == StepState::AwaitingApproval {
        return Ok(());
    }
    let is_approval = matches!(step.kind, Kind::Approval(_));
    let cause = match (&run.decided, is_approval) {
        (_, false) => format!("step {} is no approval", step.id),
        (Some(decided), _) => format!("{} released step {} already", decided.by, step.id),
        (None, _) => format!("step {} awaits no approval now", step.id),
    };
    Err(Refused {
        code: "step_awaits_no_approval",
        cause,
        remedy: "look at the run for steps that await one".to_owned(),
    })
}

fn judge_failed(step: &Step, run: &StepRun) -> Result<(), Refused> {
    let cause = match run.state {
        StepState::Failed if step.critical => return Ok(()),
        StepState::Failed => format!(
            "step {} is not critical: the run goes on without it",
            step.id
        ),
        _ => format!("step {} has not failed", step.id),
    };
    Err(Refused {
        code: "step_does_not_hold_up",
        cause,
        remedy: "look at the run for the step that holds it up".to_owned(),
    })
}
