//! What could not be written, until it can be said.
//!
//! Invariant: the first entry that is missing is noted in the catalog before anybody is told that it
//! is missing, and those after it soon; so a kill loses the count of the last moment at most.

use super::system;
use bcdr_audit::{Draft, Outcome};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How often a count that grows is noted; each note is a transaction of the catalog.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Entries that are missing, as the catalog remembers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptGap {
    /// How many.
    pub(super) count: u64,
    /// Since when.
    pub(super) since: Timestamp,
    /// Why.
    pub(super) reason: String,
    /// The newest entry before them: the next one tells of them. None while the log is not open.
    pub(super) behind: Option<u64>,
}

/// Entries that are missing.
#[derive(Debug, Default)]
pub(super) struct Gap {
    missing: Option<KeptGap>,
    /// Whether the catalog has it as it is.
    is_noted: bool,
    /// Whether the catalog has any.
    has_note: bool,
    tried: Option<Instant>,
}

impl Gap {
    /// Goes on with what an earlier process could not say.
    pub(super) fn take_up(&mut self, kept: KeptGap) {
        (self.is_noted, self.has_note) = (true, true);
        self.missing = Some(kept);
    }

    /// Counts what is missing behind an entry.
    pub(super) fn add(&mut self, count: u64, reason: &str, now: Timestamp, behind: Option<u64>) {
        if count == 0 {
            return;
        }
        let missing = self.missing.get_or_insert_with(|| KeptGap {
            count: 0,
            since: now,
            reason: String::new(),
            behind,
        });
        missing.count = missing.count.saturating_add(count);
        missing.behind = behind;
        reason.clone_into(&mut missing.reason);
        self.is_noted = false;
    }

    /// What is missing, as it is noted.
    pub(super) fn kept(&self) -> Option<&KeptGap> {
        self.missing.as_ref()
    }

    pub(super) fn is_open(&self) -> bool {
        self.missing.is_some()
    }

    /// The entry about them; none while nothing is missing.
    pub(super) fn draft(&self, now: Timestamp) -> Option<Draft> {
        let missing = self.missing.as_ref()?;
        let mut draft = Draft::new(system("audit log"), "audit_gap", Outcome::Failed);
        draft.count = missing.count;
        draft.detail = Some(format!(
            "{} entries from {} to {now} could not be written: {}",
            missing.count, missing.since, missing.reason
        ));
        Some(draft)
    }

    /// What is to be noted now.
    pub(super) fn to_note(&self, now: Instant, at_once: bool) -> Option<&KeptGap> {
        let is_due = self
            .tried
            .is_none_or(|tried| now.duration_since(tried) >= NOTE_EVERY);
        self.missing
            .as_ref()
            .filter(|_| !self.is_noted && (at_once || is_due))
    }

    pub(super) fn noted(&mut self, now: Instant, is_noted: bool) {
        self.tried = Some(now);
        self.is_noted = is_noted;
        self.has_note |= is_noted;
    }

    /// They were said. Whether there is a note to be removed.
    pub(super) fn close(&mut self) -> bool {
        std::mem::take(self).has_note
    }
}
