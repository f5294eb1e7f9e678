//! What could not be written, until it can be said.

use super::system;
use bcdr_audit::{Draft, Outcome};
use jiff::Timestamp;

/// Entries that are missing.
#[derive(Debug, Default)]
pub(super) struct Gap {
    count: u64,
    since: Option<Timestamp>,
    reason: String,
}

impl Gap {
    pub(super) fn add(&mut self, count: u64, reason: &str, now: Timestamp) {
        if count == 0 {
            return;
        }
        self.count = self.count.saturating_add(count);
        if self.since.is_none() {
            self.since = Some(now);
        }
        reason.clone_into(&mut self.reason);
    }

    /// The entry about them; none while nothing is missing.
    pub(super) fn draft(&self, now: Timestamp) -> Option<Draft> {
        let since = self.since?;
        let mut draft = Draft::new(system("audit log"), "audit_gap", Outcome::Failed);
        draft.count = self.count;
        draft.detail = Some(format!(
            "{} entries from {since} to {now} could not be written: {}",
            self.count, self.reason
        ));
        Some(draft)
    }

    /// They were said.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }
}
