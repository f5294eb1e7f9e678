//! The ladder: when production leaves the journal behind, and when journaling is tried again.
//!
//! Invariant: no write waits for the journal longer than the latency budget, none behind a hanging
//! write of another place longer than the backing budget, and no flush longer than the flush budget;
//! past that the group is untracked, visibly, and the backing alone serves.
//! It only decides; [`super::TapCore`] acts.

use super::settings::TapSettings;
use crate::{Moment, journal::StopReason};
use std::{fmt, time::Duration};

/// Why writes are not journaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UntrackedReason {
    /// Every segment of the journal holds records the gateway has not made safe yet.
    JournalFull,
    /// The journal's device failed: what happened.
    JournalFailed(String),
    /// The journal's device did not keep up within the latency budget.
    JournalSlow,
    /// A write on a backing hangs, and as much as may be in flight beyond it is in flight.
    BackingHangs,
}

impl fmt::Display for UntrackedReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JournalFull => formatter.write_str(
                "the journal is full; it resumes by itself once the gateway has caught up",
            ),
            Self::JournalFailed(what) => write!(formatter, "the journal failed: {what}"),
            Self::JournalSlow => formatter
                .write_str("the journal's device exceeded its latency budget; check that device"),
            Self::BackingHangs => formatter
                .write_str("a write on the protected disk does not finish; check that disk"),
        }
    }
}

impl From<StopReason> for UntrackedReason {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Full => Self::JournalFull,
            StopReason::Failed(what) => Self::JournalFailed(what),
        }
    }
}

/// What holds writes back at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Nothing.
    None,
    /// Too many bytes wait to be written to the journal.
    JournalQueue,
    /// Too much is sequenced beyond the fed prefix.
    Window,
}

/// A group without journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Untracked {
    pub(super) since: Moment,
    pub(super) reason: UntrackedReason,
}

/// Where on the ladder a group stands.
#[derive(Debug)]
pub(super) struct Ladder {
    untracked: Option<Untracked>,
    /// Since when writes are held back, for whatever reason.
    pressed_since: Option<Duration>,
    /// Since when the journal holds them back.
    journal_since: Option<Duration>,
    retry_at: Duration,
    delay: Duration,
    resumed_at: Duration,
}

impl Ladder {
    pub(super) fn new(settings: &TapSettings) -> Self {
        Self {
            untracked: None,
            pressed_since: None,
            journal_since: None,
            retry_at: Duration::ZERO,
            delay: settings.resume_delay,
            resumed_at: Duration::ZERO,
        }
    }

    /// Whether writes are journaled.
    pub(super) fn journaling(&self) -> bool {
        self.untracked.is_none()
    }

    pub(super) fn untracked(&self) -> Option<&Untracked> {
        self.untracked.as_ref()
    }

    /// Why to leave the journal behind now, if so. `flush_since` is when the oldest flush that
    /// waits for the journal arrived; `writes_wait` whether a write is held back by `pressure`.
    pub(super) fn weigh(
        &mut self,
        now: Moment,
        settings: &TapSettings,
        pressure: Pressure,
        writes_wait: bool,
        flush_since: Option<Duration>,
    ) -> Option<UntrackedReason> {
        if !self.journaling() {
            return None;
        }
        let pressed = pressure != Pressure::None && writes_wait;
        let by_journal = pressed && pressure == Pressure::JournalQueue;
        let since = |known: &mut Option<Duration>, holds: bool| {
            *known = holds.then(|| known.unwrap_or(now.monotonic));
            *known
        };
        let journal_since = since(&mut self.journal_since, by_journal);
        let pressed_since = since(&mut self.pressed_since, pressed);
        let over = |since: Duration, budget| now.monotonic.saturating_sub(since) > budget;
        if journal_since.is_some_and(|since| over(since, settings.latency_budget)) {
            return Some(UntrackedReason::JournalSlow);
        }
        if pressed_since.is_some_and(|since| over(since, settings.backing_budget)) {
            return Some(match pressure {
                Pressure::Window => UntrackedReason::BackingHangs,
                _ => UntrackedReason::JournalSlow,
            });
        }
        flush_since
            .is_some_and(|since| over(since, settings.flush_budget))
            .then_some(UntrackedReason::JournalSlow)
    }

    /// Journaling has stopped.
    pub(super) fn leave(&mut self, now: Moment, settings: &TapSettings, reason: UntrackedReason) {
        if self.untracked.is_some() {
            return;
        }
        // A journal that held out for a while deserves a quick retry, one that fails at once not.
        let held_out = now.monotonic.saturating_sub(self.resumed_at) > settings.resume_delay_max;
        self.delay = if held_out {
            settings.resume_delay
        } else {
            self.delay
        };
        self.retry_at = now.monotonic + self.delay;
        self.delay = (self.delay * 2).min(settings.resume_delay_max);
        (self.pressed_since, self.journal_since) = (None, None);
        self.untracked = Some(Untracked { since: now, reason });
    }

    /// Whether it is time to try journaling again.
    pub(super) fn may_resume(&self, now: Moment) -> bool {
        self.untracked.is_some() && now.monotonic >= self.retry_at
    }

    /// Journaling is tried again.
    pub(super) fn resume(&mut self, now: Moment) {
        self.untracked = None;
        self.resumed_at = now.monotonic;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::Timestamp;

    fn at(milliseconds: u64) -> Moment {
        Moment {
            monotonic: Duration::from_millis(milliseconds),
            wall: Timestamp(0),
        }
    }

    #[test]
    fn only_pressure_that_lasts_leaves_the_journal_behind() {
        let settings = TapSettings::default();
        let mut ladder = Ladder::new(&settings);
        let mut weigh =
            |now, pressure, waits| ladder.weigh(at(now), &settings, pressure, waits, None);
        assert_eq!(weigh(0, Pressure::JournalQueue, true), None);
        assert_eq!(weigh(900, Pressure::JournalQueue, true), None);
        assert_eq!(
            weigh(950, Pressure::None, false),
            None,
            "it drained in between"
        );
        assert_eq!(weigh(1_500, Pressure::JournalQueue, true), None);
        assert_eq!(
            weigh(2_600, Pressure::JournalQueue, true),
            Some(UntrackedReason::JournalSlow)
        );
    }

    #[test]
    fn a_hanging_backing_has_a_longer_deadline_of_its_own() {
        let settings = TapSettings::default();
        let mut ladder = Ladder::new(&settings);
        let mut weigh =
            |now, pressure, waits| ladder.weigh(at(now), &settings, pressure, waits, None);
        assert_eq!(weigh(0, Pressure::Window, true), None);
        assert_eq!(weigh(9_900, Pressure::Window, true), None);
        assert_eq!(weigh(9_950, Pressure::JournalQueue, true), None);
        assert_eq!(
            weigh(10_100, Pressure::Window, true),
            Some(UntrackedReason::BackingHangs)
        );
        assert_eq!(weigh(20_000, Pressure::Window, false), None, "nobody waits");
    }

    #[test]
    fn a_flush_does_not_wait_for_ever() {
        let settings = TapSettings::default();
        let mut ladder = Ladder::new(&settings);
        let since = Some(Duration::ZERO);
        assert_eq!(
            ladder.weigh(at(10_000), &settings, Pressure::None, false, since),
            None
        );
        assert_eq!(
            ladder.weigh(at(10_001), &settings, Pressure::None, false, since),
            Some(UntrackedReason::JournalSlow)
        );
    }

    #[test]
    fn a_journal_that_keeps_failing_is_tried_less_and_less_often() {
        let settings = TapSettings::default();
        let mut ladder = Ladder::new(&settings);
        let mut now = 0;
        for delay in [1_000, 2_000, 4_000] {
            ladder.leave(at(now), &settings, UntrackedReason::JournalFull);
            assert!(!ladder.may_resume(at(now + delay - 1)));
            now += delay;
            assert!(ladder.may_resume(at(now)));
            ladder.resume(at(now));
        }
        now += 61_000;
        ladder.leave(at(now), &settings, UntrackedReason::JournalFull);
        assert!(ladder.may_resume(at(now + 1_000)));
    }
}
