//! What the records of failovers, failbacks and restores have in common, for people.

use super::{Fields, Grid, NONE, line};
use crate::cli::units;
use serde::Deserialize;

/// How far a job is that changes where production runs, or what its disks hold.
#[derive(Debug, Deserialize)]
pub(crate) struct Course {
    pub(crate) id: String,
    pub(crate) group_name: Option<String>,
    pub(super) job: String,
    pub(super) requested_at: String,
    pub(super) finished_at: Option<String>,
    pub(crate) end: Option<String>,
    pub(super) turned_back: bool,
    pub(crate) step: String,
    pub(crate) stage: String,
    pub(crate) failure: Option<StepFailure>,
    pub(crate) steps: Vec<Step>,
    allowed_actions: Vec<Action>,
}

impl Course {
    /// Whether it waits in this step.
    pub(crate) fn waits_in(&self, step: &str) -> bool {
        self.step == step && self.stage == "waiting"
    }

    /// Whether nothing goes on by itself.
    pub(crate) fn is_over_or_blocked(&self) -> bool {
        self.end.is_some() || self.stage == "blocked"
    }

    /// Where it is, unless it has ended; `back` says that it is on its way back.
    pub(super) fn state(&self, back: &str) -> String {
        match (&self.end, self.turned_back) {
            (Some(end), _) => end.clone(),
            (None, true) => format!("{back}: {}, {}", self.step, self.stage),
            (None, false) => format!("{}, {}", self.step, self.stage),
        }
    }

    /// What went wrong last, if anything did.
    pub(super) fn failure(&self, fields: &mut Fields) {
        if let Some(failure) = &self.failure {
            let StepFailure {
                step,
                code,
                cause,
                remedy,
            } = failure;
            fields.field("failed", line(&format!("{step}: {cause} ({code})")));
            fields.field("remedy", line(remedy));
        }
    }

    /// The verbs that would be accepted.
    pub(super) fn allowed(&self) -> String {
        allowed(&self.allowed_actions)
    }

    /// Its steps with their times.
    pub(super) fn table(&self) -> Grid {
        let mut grid = Grid::new(&["STEP", "OUTCOME", "TOOK", "ATTEMPTS"], &[2, 3]);
        for step in &self.steps {
            grid.row([
                step.step.clone(),
                step.outcome.as_deref().unwrap_or("on its way").to_owned(),
                step.took(),
                step.attempts.to_string(),
            ]);
        }
        grid
    }
}

/// Why a step failed.
#[derive(Debug, Deserialize)]
pub(crate) struct StepFailure {
    pub(crate) step: String,
    pub(crate) code: String,
    pub(crate) cause: String,
    pub(crate) remedy: String,
}

/// One step.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    step: String,
    attempts: u32,
    seconds: Option<f64>,
    pub(crate) outcome: Option<String>,
}

impl Step {
    /// A step that ended, in one line.
    pub(crate) fn line(&self) -> String {
        line(&format!(
            "{:>9}  {:<16}  {}",
            self.took(),
            self.step,
            self.outcome.as_deref().unwrap_or("on its way")
        ))
    }

    fn took(&self) -> String {
        self.seconds.map_or_else(|| NONE.to_owned(), units::seconds)
    }
}

/// Something that may be done, or not.
#[derive(Debug, Deserialize)]
pub(crate) struct Action {
    pub(super) name: String,
    pub(super) allowed: bool,
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) remedy: Option<String>,
}

/// The verbs that would be accepted.
pub(super) fn allowed(actions: &[Action]) -> String {
    let names: Vec<&str> = actions
        .iter()
        .filter(|action| action.allowed)
        .map(|action| action.name.as_str())
        .collect();
    if names.is_empty() {
        return NONE.to_owned();
    }
    names.join(", ")
}

/// Where a source stands.
#[derive(Debug, Deserialize)]
pub(super) struct Standing {
    generation: u64,
    serving: String,
}

impl Standing {
    fn line(&self) -> String {
        let serving = match self.serving.as_str() {
            "writable" => "serves, and takes writes",
            "read_only" => "serves reads only",
            _ => "does not serve",
        };
        format!("{serving}; knows generation {}", self.generation)
    }
}

/// Where a source stands, also when nothing is heard of it.
pub(super) fn source(standing: Option<&Standing>) -> String {
    standing.map_or_else(|| "nothing is heard of it".to_owned(), Standing::line)
}
