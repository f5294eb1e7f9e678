//! Which steps of a plan a start is about.

use crate::{Checked, Fault, Mode, Plan, StepId};
use serde::{Deserialize, Serialize};

/// Which steps are to be run; all of them by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selection {
    /// Only those at least as urgent: their priority is this or less.
    pub priority: Option<u8>,
    /// Only these; all when it is empty.
    pub only: Vec<StepId>,
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

    /// Why the step at this place is not run; none for one that is.
    pub fn leaves_out(
        &self,
        plan: &Plan,
        checked: &Checked,
        mode: Mode,
        at: usize,
    ) -> Option<NotRun> {
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
