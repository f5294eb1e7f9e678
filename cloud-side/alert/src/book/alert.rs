//! One alert, and its life.

use crate::{AlertCode, AlertId, Now, Object, Severity, Since};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Entries of an alert's history that are kept, the newest.
const HISTORY_MAX: usize = 64;

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody took it on.
    Raised,
    /// Somebody did.
    Acknowledged,
    /// The condition is over.
    Cleared,
}

impl AlertState {
    /// The name that programs match on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
        }
    }
}

/// Somebody took an alert on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What was said.
    pub note: Option<String>,
}

/// A condition that cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unjudged {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: String,
}

/// What people were told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Nothing.
    Nothing,
    /// That it is there, this bad.
    Active {
        /// The worst that was told since it was raised.
        severity: Severity,
    },
    /// That it is over.
    Cleared,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// It is there.
    Raised,
    /// It got worse.
    Escalated,
    /// It came back.
    Reopened,
    /// It is over.
    Cleared,
    /// It is still there, and nobody acknowledged it.
    Reminder,
}

impl TransitionKind {
    /// The name that programs match on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Escalated => "escalated",
            Self::Reopened => "reopened",
            Self::Cleared => "cleared",
            Self::Reminder => "reminder",
        }
    }
}

/// Something that has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Of which alert.
    pub alert: AlertId,
    /// Its number among the alert's own; the first is 1.
    pub number: u32,
    /// What it is.
    pub kind: TransitionKind,
    /// The worst that was told since the alert was raised last; who heard of that hears of the rest.
    pub worst: Severity,
    /// When it came.
    pub at: Timestamp,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was raised.
    Raised,
    /// It got worse.
    Escalated,
    /// It got better without being over.
    Eased,
    /// It came back.
    Reopened,
    /// It is over.
    Cleared,
    /// It can no longer be judged.
    Unknown,
    /// It can be judged again.
    Known,
    /// Somebody took it on.
    Acknowledged,
    /// It is not told for a while.
    Muted {
        /// Until when.
        until: Timestamp,
    },
    /// It is told again.
    Unmuted,
    /// It was put into the outbox.
    Told {
        /// As what.
        kind: TransitionKind,
    },
}

impl Event {
    /// The name that programs match on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Escalated => "escalated",
            Self::Eased => "eased",
            Self::Reopened => "reopened",
            Self::Cleared => "cleared",
            Self::Unknown => "unknown",
            Self::Known => "known",
            Self::Acknowledged => "acknowledged",
            Self::Muted { .. } => "muted",
            Self::Unmuted => "unmuted",
            Self::Told { .. } => "told",
        }
    }
}

/// An entry of an alert's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// Who did it, if a person did.
    pub by: Option<String>,
    /// What was said or seen.
    pub note: Option<String>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What is wrong.
    pub code: AlertCode,
    /// With what.
    pub object: Object,
    /// How bad it is now.
    pub severity: Severity,
    /// What was seen last.
    pub detail: String,
    /// When it was raised first.
    pub raised_at: Timestamp,
    /// Since when it is over; none while it is not.
    pub cleared: Option<Since>,
    /// How often it came, the first included.
    pub occurrences: u32,
    /// Who took it on.
    pub acknowledged: Option<Acknowledgement>,
    /// Since when it cannot be judged; none while it can.
    pub unjudged: Option<Unjudged>,
    /// What people were told last, and since when.
    pub told: Told,
    told_since: Since,
    reminded: bool,
    transitions: u32,
    /// What happened to it, the oldest first; the newest entries only.
    pub history: Vec<Entry>,
}

impl Alert {
    pub(super) fn raise(
        id: AlertId,
        code: AlertCode,
        object: Object,
        severity: Severity,
        detail: &str,
        now: Now,
    ) -> Self {
        let mut alert = Self {
            id,
            code,
            object,
            severity,
            detail: detail.to_owned(),
            raised_at: now.wall,
            cleared: None,
            occurrences: 1,
            acknowledged: None,
            unjudged: None,
            told: Told::Nothing,
            told_since: Since::now(now),
            reminded: false,
            transitions: 0,
            history: Vec::new(),
        };
        alert.note(Event::Raised, None, Some(detail), now);
        alert
    }

    pub(super) fn take_up(&mut self, now: Now) {
        self.told_since.take_up(now);
        if let Some(cleared) = &mut self.cleared {
            cleared.take_up(now);
        }
    }

    /// Whether the condition is not over.
    pub fn is_active(&self) -> bool {
        self.cleared.is_none()
    }

    /// Whether it is opened again, once it is cleared, when its condition comes back.
    pub(super) fn can_come_back(&self, quiet: Duration, now: Now) -> bool {
        let soon = self
            .cleared
            .is_some_and(|cleared| cleared.elapsed(now) < quiet);
        soon || self.untold_end()
    }

    /// Whether it is over, and people still think that it is there.
    pub(super) fn untold_end(&self) -> bool {
        !self.is_active() && matches!(self.told, Told::Active { .. })
    }

    /// How it stands.
    pub fn state(&self) -> AlertState {
        match (&self.cleared, &self.acknowledged) {
            (Some(_), _) => AlertState::Cleared,
            (None, Some(_)) => AlertState::Acknowledged,
            (None, None) => AlertState::Raised,
        }
    }

    pub(super) fn note(&mut self, event: Event, by: Option<&str>, note: Option<&str>, now: Now) {
        self.history.push(Entry {
            at: now.wall,
            event,
            by: by.map(str::to_owned),
            note: note.map(str::to_owned),
        });
        if self.history.len() > HISTORY_MAX {
            self.history.remove(0);
        }
    }

    /// It is still there. What was seen is shown at once, and durable with the next change only:
    /// it may count seconds.
    pub(super) fn still_is(&mut self, severity: Severity, detail: &str, now: Now) -> bool {
        detail.clone_into(&mut self.detail);
        let was = self.severity;
        let mut changed = self.can_be_judged(now);
        if severity == was {
            return changed;
        }
        changed = true;
        self.severity = severity;
        let event = if severity > was {
            // Who took on a lesser trouble may not know of this one.
            self.acknowledged = None;
            self.reminded = false;
            Event::Escalated
        } else {
            Event::Eased
        };
        self.note(event, None, Some(detail), now);
        changed
    }

    pub(super) fn reopen(&mut self, severity: Severity, detail: &str, now: Now) {
        self.cleared = None;
        self.acknowledged = None;
        self.reminded = false;
        self.severity = severity;
        detail.clone_into(&mut self.detail);
        self.occurrences = self.occurrences.saturating_add(1);
        self.note(Event::Reopened, None, Some(detail), now);
    }

    pub(super) fn clear(&mut self, note: Option<&str>, now: Now) {
        self.cleared = Some(Since::now(now));
        self.unjudged = None;
        self.note(Event::Cleared, None, note, now);
    }

    pub(super) fn cannot_be_judged(&mut self, why: &str, now: Now) -> bool {
        if self.unjudged.is_some() {
            return false;
        }
        self.unjudged = Some(Unjudged {
            since: now.wall,
            why: why.to_owned(),
        });
        self.note(Event::Unknown, None, Some(why), now);
        true
    }

    pub(super) fn can_be_judged(&mut self, now: Now) -> bool {
        if self.unjudged.take().is_none() {
            return false;
        }
        self.note(Event::Known, None, None, now);
        true
    }

    pub(super) fn acknowledge(&mut self, by: &str, note: Option<String>, now: Now) {
        self.note(Event::Acknowledged, Some(by), note.as_deref(), now);
        self.acknowledged = Some(Acknowledgement {
            by: by.to_owned(),
            at: now.wall,
            note,
        });
    }

    /// What people do not know yet and have to be told now.
    pub(super) fn untold(
        &self,
        quiet: Duration,
        remind_after: Duration,
        now: Now,
    ) -> Option<TransitionKind> {
        let since = self.told_since.elapsed(now);
        match (self.is_active(), self.told) {
            (true, Told::Nothing) => Some(TransitionKind::Raised),
            (true, Told::Cleared) => (since >= quiet).then_some(TransitionKind::Reopened),
            (true, Told::Active { severity }) if self.severity > severity => {
                Some(TransitionKind::Escalated)
            }
            (true, Told::Active { .. }) => {
                let forgotten = self.acknowledged.is_none() && !self.reminded;
                (forgotten && since >= remind_after).then_some(TransitionKind::Reminder)
            }
            (false, Told::Active { .. }) => Some(TransitionKind::Cleared),
            (false, Told::Nothing | Told::Cleared) => None,
        }
    }

    /// It is told now.
    pub(super) fn told(&mut self, kind: TransitionKind, now: Now) -> Transition {
        let worst = match self.told {
            Told::Active { severity } => self.severity.max(severity),
            _ => self.severity,
        };
        self.told = match kind {
            TransitionKind::Cleared => Told::Cleared,
            _ => Told::Active { severity: worst },
        };
        self.reminded |= kind == TransitionKind::Reminder;
        self.told_since = Since::now(now);
        self.transitions = self.transitions.saturating_add(1);
        self.note(Event::Told { kind }, None, None, now);
        Transition {
            alert: self.id,
            number: self.transitions,
            kind,
            worst,
            at: now.wall,
        }
    }
}
