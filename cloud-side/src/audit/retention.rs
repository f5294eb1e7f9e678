//! Whether the clock can be trusted with removing old entries.
//!
//! A machine whose clock is wrong at boot would otherwise take the whole log for old. So nothing is
//! removed in the first hour of a run, in which clocks are set, nor by a run whose clock is far beyond
//! the newest entry of the run before. It removes nothing itself.

use super::system;
use crate::clock;
use bcdr_audit::{Draft, Outcome};
use bcdr_format::Timestamp;
use std::time::{Duration, Instant};

/// How often old segments are looked for, and how long after the start first.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How far the clock may be beyond the newest entry of an earlier run, besides what passed since.
const LEAP_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// When old segments are looked for, and whether they may go.
#[derive(Debug)]
pub(super) struct Held {
    started: Instant,
    due: Instant,
    /// When the newest entry of an earlier run was written.
    earlier: Option<jiff::Timestamp>,
    is_said: bool,
}

impl Held {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            due: now + EVERY,
            earlier: None,
            is_said: false,
        }
    }

    /// What the log ended with before this run.
    pub(super) fn goes_on_after(&mut self, earlier: Option<jiff::Timestamp>) {
        self.earlier = earlier;
    }

    /// Whether it is time to look; then the next time is set.
    pub(super) fn comes_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now + EVERY;
        }
        is_due
    }

    /// Why old entries have to stay.
    pub(super) fn leap(&self, wall: Timestamp, now: Instant) -> Option<String> {
        let earlier = self.earlier?;
        let wall = clock::readable(wall);
        let passed = now.duration_since(self.started) + LEAP_MAX;
        let latest = earlier.checked_add(passed).unwrap_or(jiff::Timestamp::MAX);
        (wall > latest).then(|| {
            format!(
                "old entries stay: the clock says {wall}, and the newest entry before this start is of {earlier}; check the clock; if it is right, the run after this one removes them"
            )
        })
    }

    /// The entry that says so; one in each run.
    pub(super) fn say(&mut self, leap: String) -> Option<Draft> {
        if std::mem::replace(&mut self.is_said, true) {
            return None;
        }
        tracing::warn!(leap, "the audit log is not shortened");
        let mut draft = Draft::new(
            system("audit log"),
            "audit_retention_held",
            Outcome::Refused,
        );
        draft.detail = Some(leap);
        Some(draft)
    }
}
