//! Which steps of a plan a start is about.

use crate::{Checked, Fault, Kind, Mode, Operator, Plan, Refused, STEPS_MAX, Step, StepId};
use serde::{Deserialize, Serialize};

/// Which steps are to be run; all of them by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selection {
    /// Only those at least as urgent: their priority is this or less.
    pub priority: Option<u8>,
    /// Only these; all when it is empty. Approvals that stand before what is run are asked for all the
    /// same.
    pub only: Vec<StepId>,
    /// Leave out also those approvals. Only for who could give each of them.
    #[serde(default)]
    pub without_approvals: bool,
}

/// Why a step is not run. It counts as settled for those that come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotRun {
    /// The start named other steps.
    NotSelected,
    /// It is less urgent than what was asked for.
    LessUrgent,
    /// It reaches out of what a drill isolates.
    Drill,
    /// The run was cancelled before it began.
    Cancelled,
}

impl NotRun {
    /// In words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotSelected => "it was not named at the start",
            Self::LessUrgent => "it is less urgent than what was started",
            Self::Drill => "this is a drill",
            Self::Cancelled => "the run was cancelled before it began",
        }
    }
}

impl Selection {
    /// Judges the selection of a plan.
    ///
    /// # Errors
    /// When it names a step that the plan does not have, or leaves nothing to do.
    pub fn check(&self, plan: &Plan, checked: &Checked, mode: Mode) -> Result<(), Fault> {
        if self.only.len() > STEPS_MAX {
            return Err(Fault {
                step: None,
                code: "too_many_steps",
                cause: format!("{} steps are named", self.only.len()),
                remedy: format!("name at most {STEPS_MAX}, each once"),
            });
        }
        let unknown = self.only.iter().find(|id| plan.step(id).is_none());
        if let Some(step) = unknown {
            return Err(Fault {
                step: Some(step.clone()),
                code: "unknown_step",
                cause: format!("plan {} has no such step", plan.name),
                remedy: "name steps that the plan has".to_owned(),
            });
        }
        let places = 0..plan.steps.len();
        if places
            .clone()
            .all(|at| self.leaves_out(plan, checked, mode, at).is_some())
        {
            return Err(Fault {
                step: None,
                code: "nothing_selected",
                cause: "no step is left to run".to_owned(),
                remedy: "take a greater priority, or name other steps".to_owned(),
            });
        }
        Ok(())
    }

    /// Why the step at this place is not run; none for one that is. An approval that was not asked for
    /// is run where it stands before a step that is: a start of some steps is no way around it.
    pub fn leaves_out(
        &self,
        plan: &Plan,
        checked: &Checked,
        mode: Mode,
        at: usize,
    ) -> Option<NotRun> {
        let why = self.passes_over(plan, checked, mode, at)?;
        let is_asked = !self.without_approvals && self.is_gate(plan, checked, mode, at);
        (!is_asked).then_some(why)
    }

    /// Whether who starts a run may leave out the approvals that this leaves out.
    ///
    /// # Errors
    /// When they could not give one of them.
    pub fn judge_starter(
        &self,
        plan: &Plan,
        checked: &Checked,
        mode: Mode,
        by: &Operator,
    ) -> Result<(), Refused> {
        let is_left_out = |at: &usize| {
            self.passes_over(plan, checked, mode, *at).is_some()
                && self.is_gate(plan, checked, mode, *at)
        };
        let mut left_out = (0..plan.steps.len()).filter(is_left_out);
        let missing = left_out.find_map(|at| plan.steps[at].approvers_without(by));
        match missing.filter(|_| self.without_approvals) {
            None => Ok(()),
            Some((step, who)) => Err(Refused {
                code: "not_an_approver",
                cause: format!("{by} may not release step {step}, and so not leave it out"),
                remedy: format!(
                    "start it with its approvals, or let one of these start it: {}",
                    who.join(", ")
                ),
            }),
        }
    }

    /// Whether the step at this place is an approval before one that is run.
    fn is_gate(&self, plan: &Plan, checked: &Checked, mode: Mode, at: usize) -> bool {
        if !matches!(plan.steps[at].kind, Kind::Approval(_)) {
            return false;
        }
        let after = plan.edges(&plan.places());
        let mut behind = vec![false; plan.steps.len()];
        let mut open = vec![at];
        while let Some(gate) = open.pop() {
            for step in 0..plan.steps.len() {
                if !behind[step] && after[step].contains(&gate) {
                    behind[step] = true;
                    open.push(step);
                }
            }
        }
        let is_run = |step: usize| self.passes_over(plan, checked, mode, step).is_none();
        (0..plan.steps.len()).any(|step| behind[step] && is_run(step))
    }

    /// The same as [`Self::leaves_out`], for the step by itself.
    fn passes_over(&self, plan: &Plan, checked: &Checked, mode: Mode, at: usize) -> Option<NotRun> {
        let left_out = plan.steps[at].kind.is_left_out_of_drills();
        let is_named = self.only.is_empty() || self.only.contains(&plan.steps[at].id);
        let is_urgent = self
            .priority
            .is_none_or(|least| checked.priorities[at] <= least);
        if !is_named {
            Some(NotRun::NotSelected)
        } else if !is_urgent {
            Some(NotRun::LessUrgent)
        } else if left_out && mode == Mode::Drill {
            Some(NotRun::Drill)
        } else {
            None
        }
    }
}

impl Step {
    /// Who may give this approval, where that is not everybody and not `by`.
    fn approvers_without(&self, by: &Operator) -> Option<(&StepId, &[String])> {
        match &self.kind {
            Kind::Approval(approval)
                if !approval.who.is_empty() && !approval.who.contains(&by.0) =>
            {
                Some((&self.id, &approval.who))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
