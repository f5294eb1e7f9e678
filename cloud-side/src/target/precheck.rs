//! The precheck's report: what was looked at before anything was created.

use serde::{Deserialize, Serialize};

/// What came out of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrecheckVerdict {
    /// In order.
    Passed,
    /// The launch would fail.
    Failed,
    /// Could not be found out; the launch may go on.
    Unknown,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PrecheckItem {
    /// What was checked.
    pub name: String,
    /// What came out.
    pub verdict: PrecheckVerdict,
    /// What was seen.
    pub detail: String,
    /// What to do about it; absent when nothing is to be done.
    pub remedy: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PrecheckReport {
    /// The checks, in the order they were made.
    pub items: Vec<PrecheckItem>,
}

impl PrecheckReport {
    /// Notes a check that found everything in order.
    pub(crate) fn pass(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.note(name, PrecheckVerdict::Passed, detail, None);
    }

    /// Notes a check that found an obstacle.
    pub(crate) fn fail(
        &mut self,
        name: impl Into<String>,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.note(name, PrecheckVerdict::Failed, detail, Some(remedy.into()));
    }

    /// Notes a check that could not be made.
    pub(crate) fn unknown(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.note(name, PrecheckVerdict::Unknown, detail, None);
    }

    fn note(
        &mut self,
        name: impl Into<String>,
        verdict: PrecheckVerdict,
        detail: impl Into<String>,
        remedy: Option<String>,
    ) {
        let (name, detail) = (name.into(), detail.into());
        self.items.push(PrecheckItem {
            name,
            verdict,
            detail,
            remedy,
        });
    }

    /// Whether no check found an obstacle.
    pub fn passed(&self) -> bool {
        self.items
            .iter()
            .all(|item| item.verdict != PrecheckVerdict::Failed)
    }

    /// The obstacles with their remedies, as one sentence; `None` when there is none.
    pub fn obstacles(&self) -> Option<String> {
        let obstacles: Vec<String> = self
            .items
            .iter()
            .filter(|item| item.verdict == PrecheckVerdict::Failed)
            .map(|item| match &item.remedy {
                Some(remedy) => format!("{}: {}; {remedy}", item.name, item.detail),
                None => format!("{}: {}", item.name, item.detail),
            })
            .collect();
        (!obstacles.is_empty()).then(|| obstacles.join(" · "))
    }
}
