//! The book of alerts: which there are, and what people have to be told of them.
//!
//! Each condition that holds long enough has one alert, which lives from its raising to its clearing.
//! What was *told* of an alert is kept beside what *is*: whatever differs becomes a transition, as
//! soon as nothing stands against telling it. So an alert that is muted is not lost, one that flaps is
//! told once in a quiet time, and one that cleared before anybody heard of it is not told at all.
//!
//! Invariants: a pair of code and object has at most one alert that is not cleared; a condition that
//! cannot be judged neither raises nor clears; holds count only time between two looks that agree,
//! a minute at most each, so a suspended machine or a clock that jumps decides nothing.

mod alert;
mod mute;
#[cfg(test)]
mod tests;

pub use alert::{
    Acknowledgement, Alert, AlertState, Entry, Event, Told, Transition, TransitionKind, Unjudged,
};
pub use mute::{Mute, MuteScope};

use crate::{AlertCode, AlertId, Condition, Judged, Now, ObjectKind, Severity};
use bcdr_format::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// Most time that two looks that agree count for.
const PIECE_MAX: Duration = Duration::from_secs(60);

/// How long a condition holds before something follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Before its alert is raised.
    pub raise: Duration,
    /// Before its alert is cleared.
    pub clear: Duration,
}

/// How the book is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A condition that comes back this soon after it cleared reopens its alert, and is told when
    /// this much has passed since the last message.
    pub quiet: Duration,
    /// An alert that nobody acknowledged for this long is told once more.
    pub remind_after: Duration,
    /// Holds that differ from those of their codes.
    pub holds: BTreeMap<AlertCode, Hold>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(15 * 60),
            remind_after: Duration::from_secs(4 * 60 * 60),
            holds: BTreeMap::new(),
        }
    }
}

impl Settings {
    fn hold(&self, code: AlertCode) -> Hold {
        self.holds.get(&code).copied().unwrap_or(Hold {
            raise: code.raise_after(),
            clear: code.clear_after(),
        })
    }
}

/// What changed, to be made durable before it has any effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Alerts as they are now.
    pub alerts: Vec<Alert>,
    /// What is to be told, each with its alert as it is then.
    pub transitions: Vec<(Transition, Alert)>,
    /// Whether mutes changed.
    pub mutes: bool,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.transitions.is_empty() && !self.mutes
    }
}

/// Why a wish is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such alert that is not cleared.
    #[error("alert {0} is not there, or is cleared already; list the alerts that are active")]
    NotActive(AlertId),
    /// It was acknowledged before.
    #[error("alert {id} was acknowledged by {by} already")]
    Acknowledged {
        /// The alert.
        id: AlertId,
        /// By whom.
        by: String,
    },
    /// A mute has to end.
    #[error("a mute ends later than now and within 90 days; give another time")]
    MuteEnd,
    /// Nothing is muted.
    #[error("no mute applies to alert {0}")]
    NotMuted(AlertId),
}

/// The longest mute.
const MUTE_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);

type Key = (AlertCode, ObjectKind, String);

/// What is known of one condition, in this process.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    is_for: Duration,
    is_not_for: Duration,
    /// When it was looked at, and whether it held; none for not judged.
    last: Option<(Duration, bool)>,
}

impl Watched {
    fn look(&mut self, holds: bool, now: Now) {
        let piece = match self.last {
            Some((at, held)) if held == holds => now.monotonic.saturating_sub(at).min(PIECE_MAX),
            _ => Duration::ZERO,
        };
        self.last = Some((now.monotonic, holds));
        if holds {
            self.is_for += piece;
            self.is_not_for = Duration::ZERO;
        } else {
            self.is_not_for += piece;
            self.is_for = Duration::ZERO;
        }
    }
}

/// All alerts that are not cleared, or were a moment ago.
#[derive(Debug, Clone)]
pub struct AlertBook {
    settings: Settings,
    alerts: BTreeMap<Key, Alert>,
    mutes: Vec<Mute>,
    watched: BTreeMap<Key, Watched>,
}

impl AlertBook {
    /// The book as earlier processes left it. Of several alerts of one condition the active
    /// one counts, and else the newest.
    pub fn load(settings: Settings, alerts: Vec<Alert>, mutes: Vec<Mute>, now: Now) -> Self {
        let mut book = Self {
            settings,
            alerts: BTreeMap::new(),
            mutes,
            watched: BTreeMap::new(),
        };
        for mut alert in alerts {
            alert.take_up(now);
            if !alert.is_active() && !alert.can_come_back(book.settings.quiet, now) {
                continue;
            }
            let key = key_of(alert.code, &alert.object);
            // Ids sort by a wall clock that may have been set back: what is active comes first.
            let rank = |alert: &Alert| (alert.is_active(), alert.untold_end(), alert.id);
            let known = book.alerts.get(&key);
            if known.is_none_or(|known| rank(known) < rank(&alert)) {
                book.alerts.insert(key, alert);
            }
        }
        book
    }

    /// All alerts that are not cleared.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().filter(|alert| alert.is_active())
    }

    /// One alert, while the book knows it.
    pub fn get(&self, id: AlertId) -> Option<&Alert> {
        self.alerts.values().find(|alert| alert.id == id)
    }

    /// Whether an alert of this condition is active.
    pub fn is_active(&self, code: AlertCode, kind: ObjectKind, id: &str) -> bool {
        let alert = self.alerts.get(&(code, kind, id.to_owned()));
        alert.is_some_and(Alert::is_active)
    }

    /// The mutes, those that ended not included.
    pub fn mutes(&self, now: Timestamp) -> Vec<Mute> {
        let holds = |mute: &&Mute| mute.until > now;
        self.mutes.iter().filter(holds).cloned().collect()
    }

    /// The mute under which an alert is quiet; the one that ends last.
    pub fn mute_of(&self, alert: &Alert, now: Timestamp) -> Option<&Mute> {
        let applies = |mute: &&Mute| mute.until > now && mute.scope.covers(alert);
        self.mutes
            .iter()
            .filter(applies)
            .max_by_key(|mute| mute.until)
    }

    /// Takes in everything that was observed: an object that is not named is not there any more.
    /// `random` makes the ids of new alerts unique.
    pub fn observe(&mut self, conditions: &[Condition], now: Now, random: u128) -> Changes {
        let mut changed = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for (number, condition) in conditions.iter().enumerate() {
            let key = key_of(condition.code, &condition.object);
            if !seen.insert(key.clone()) {
                continue;
            }
            let random = random.wrapping_add(number as u128);
            if self.take_in(&key, condition, now, random) {
                changed.insert(key, ());
            }
        }
        for key in self.gone(&seen) {
            if self.is_not(&key, Some("it is not there any more"), now) {
                changed.insert(key, ());
            }
        }
        self.watched.retain(|key, _| seen.contains(key));
        let before = self.mutes.len();
        self.mutes.retain(|mute| mute.until > now.wall);
        let mut changes = Changes {
            mutes: self.mutes.len() != before,
            ..Changes::default()
        };
        for key in self.alerts.keys().cloned().collect::<Vec<_>>() {
            if let Some(transition) = self.tell(&key, now) {
                changes
                    .transitions
                    .push((transition, self.alerts[&key].clone()));
                changed.insert(key, ());
            }
        }
        changes.alerts = changed.keys().map(|key| self.alerts[key].clone()).collect();
        self.forget_cleared(now);
        changes
    }

    fn gone(&self, seen: &std::collections::BTreeSet<Key>) -> Vec<Key> {
        let is_gone = |(key, alert): &(&Key, &Alert)| alert.is_active() && !seen.contains(*key);
        let gone = self.alerts.iter().filter(is_gone);
        gone.map(|(key, _)| key.clone()).collect()
    }

    /// Says whether the alert's durable form changed.
    fn take_in(&mut self, key: &Key, condition: &Condition, now: Now, random: u128) -> bool {
        match &condition.judged {
            Judged::Is { severity, detail } => {
                let severity = severity.unwrap_or(condition.code.severity());
                self.is(key, condition, severity, detail, now, random)
            }
            Judged::IsNot => self.is_not(key, None, now),
            Judged::Unknown { why } => {
                // What was begun is neither counted nor given up.
                if let Some(watched) = self.watched.get_mut(key) {
                    watched.last = None;
                }
                let alert = self.alerts.get_mut(key).filter(|alert| alert.is_active());
                alert.is_some_and(|alert| alert.cannot_be_judged(why, now))
            }
        }
    }

    fn is(
        &mut self,
        key: &Key,
        condition: &Condition,
        severity: Severity,
        detail: &str,
        now: Now,
        random: u128,
    ) -> bool {
        let watched = self.watched.entry(key.clone()).or_default();
        watched.look(true, now);
        let holds = watched.is_for >= self.settings.hold(key.0).raise;
        if let Some(alert) = self.alerts.get_mut(key) {
            if alert.is_active() {
                alert.object.name.clone_from(&condition.object.name);
                return alert.still_is(severity, detail, now);
            }
            // One whose end was not told yet is still there, as far as people know.
            if alert.can_come_back(self.settings.quiet, now) {
                if holds {
                    alert.reopen(severity, detail, now);
                }
                return holds;
            }
        }
        if holds {
            let id = AlertId::from_parts(now.wall, random);
            let object = condition.object.clone();
            let alert = Alert::raise(id, key.0, object, severity, detail, now);
            self.alerts.insert(key.clone(), alert);
        }
        holds
    }

    fn is_not(&mut self, key: &Key, gone: Option<&str>, now: Now) -> bool {
        let watched = self.watched.entry(key.clone()).or_default();
        watched.look(false, now);
        let over = gone.is_some() || watched.is_not_for >= self.settings.hold(key.0).clear;
        let Some(alert) = self.alerts.get_mut(key).filter(|alert| alert.is_active()) else {
            return false;
        };
        if over {
            alert.clear(gone, now);
            return true;
        }
        alert.can_be_judged(now)
    }

    /// What has to be told of an alert now.
    fn tell(&mut self, key: &Key, now: Now) -> Option<Transition> {
        let alert = &self.alerts[key];
        if self.mute_of(alert, now.wall).is_some() {
            return None;
        }
        let kind = alert.untold(self.settings.quiet, self.settings.remind_after, now)?;
        let alert = self.alerts.get_mut(key)?;
        Some(alert.told(kind, now))
    }

    /// Cleared alerts stay in the book for as long as they can come back or still have to be told.
    fn forget_cleared(&mut self, now: Now) {
        let quiet = self.settings.quiet;
        self.alerts
            .retain(|_, alert| alert.is_active() || alert.can_come_back(quiet, now));
    }

    /// Somebody takes an alert on.
    ///
    /// # Errors
    /// When it is not active, or somebody did before.
    pub fn acknowledge(
        &mut self,
        id: AlertId,
        by: &str,
        note: Option<String>,
        now: Now,
    ) -> Result<Changes, Refused> {
        let found = self.alerts.values_mut().find(|alert| alert.id == id);
        let alert = found
            .filter(|alert| alert.is_active())
            .ok_or(Refused::NotActive(id))?;
        if let Some(known) = &alert.acknowledged {
            let by = known.by.clone();
            return Err(Refused::Acknowledged { id, by });
        }
        alert.acknowledge(by, note, now);
        Ok(Changes {
            alerts: vec![alert.clone()],
            ..Changes::default()
        })
    }

    /// Keeps what a scope covers quiet until a time, in place of what was said of that scope before.
    ///
    /// # Errors
    /// When the alert that is named is not active, or the time is none.
    pub fn mute(&mut self, id: AlertId, mute: Mute, now: Now) -> Result<Changes, Refused> {
        let longest = i64::try_from(MUTE_MAX.as_micros()).unwrap_or(i64::MAX);
        let in_time = mute.until > now.wall && mute.until.0.saturating_sub(now.wall.0) <= longest;
        if !in_time {
            return Err(Refused::MuteEnd);
        }
        let found = self.alerts.values_mut().find(|alert| alert.id == id);
        let alert = found
            .filter(|alert| alert.is_active())
            .ok_or(Refused::NotActive(id))?;
        let until = mute.until;
        alert.note(Event::Muted { until }, Some(&mute.by), Some(&mute.why), now);
        let alerts = vec![alert.clone()];
        self.mutes.retain(|known| known.scope != mute.scope);
        self.mutes.push(mute);
        Ok(Changes {
            alerts,
            mutes: true,
            ..Changes::default()
        })
    }

    /// Ends all mutes that cover an alert, be it in the book or one that was cleared long ago: a mute
    /// can cover more than the alert that it was made for.
    ///
    /// # Errors
    /// When nothing mutes it now.
    pub fn unmute(&mut self, alert: &Alert, by: &str, now: Now) -> Result<Changes, Refused> {
        if self.mute_of(alert, now.wall).is_none() {
            return Err(Refused::NotMuted(alert.id));
        }
        self.mutes
            .retain(|mute| mute.until > now.wall && !mute.scope.covers(alert));
        let known = self.alerts.values_mut().find(|known| known.id == alert.id);
        let mut alert = alert.clone();
        let noted = known.unwrap_or(&mut alert);
        noted.note(Event::Unmuted, Some(by), None, now);
        Ok(Changes {
            alerts: vec![noted.clone()],
            mutes: true,
            ..Changes::default()
        })
    }
}

fn key_of(code: AlertCode, object: &crate::Object) -> Key {
    (code, object.kind, object.id.clone())
}
