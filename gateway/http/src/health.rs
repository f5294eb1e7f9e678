//! Whether this process lives and whether it can do its work: named checks that the roles keep up
//! to date, shown at `/livez` and `/readyz`.
//!
//! Invariant: nothing counts as good that nobody reported. A check is failing until its first
//! report, when its owner is gone without removing it, and, for a check with a freshness, when its
//! last report is too old. Ready means "can capture, take in or receive, *and* persist", never "the
//! cloud is reachable"; what to report is the roles' business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::ApiJson;

/// What a check is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    /// `/livez`: no means that only a restart helps.
    Live,
    /// `/readyz`: no means that the work is not being done.
    Ready,
}

#[derive(Clone, Debug)]
struct Entry {
    failure: Option<String>,
    fresh_for: Option<Duration>,
    /// When it was last reported; `None` before the first report.
    reported: Option<Instant>,
    /// Shared with the handle, to tell it from the handle of a check it replaced.
    owner: Arc<()>,
    orphaned: bool,
}

impl Entry {
    /// Why the check fails now; `None` when it is good.
    fn failure(&self, now: Instant) -> Option<String> {
        if self.orphaned {
            return Some("the part that reports this has stopped".to_owned());
        }
        let Some(reported) = self.reported else {
            return Some("not reported yet".to_owned());
        };
        let age = now.saturating_duration_since(reported);
        match self.fresh_for {
            Some(fresh_for) if age > fresh_for => Some(format!(
                "no report for {} s; expected at least every {} s",
                age.as_secs(),
                fresh_for.as_secs()
            )),
            _ => self.failure.clone(),
        }
    }
}

/// The checks of one process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<(Question, String), Entry>>>,
}

impl Health {
    /// No checks yet: live and ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check to `/readyz`, failing until it is reported. A second check of the same name
    /// replaces the first, whose handle then does nothing.
    pub fn ready_check(&self, name: impl Into<String>) -> Check {
        self.add(Question::Ready, name.into(), None)
    }

    /// Adds a check to `/readyz` that also fails when it has not been reported for `fresh_for`.
    pub fn ready_check_fresh(&self, name: impl Into<String>, fresh_for: Duration) -> Check {
        self.add(Question::Ready, name.into(), Some(fresh_for))
    }

    /// Adds a check to `/livez` that fails when it has not been reported for `fresh_for`: the
    /// heartbeat of a loop without which the process is no use.
    pub fn live_check(&self, name: impl Into<String>, fresh_for: Duration) -> Check {
        self.add(Question::Live, name.into(), Some(fresh_for))
    }

    fn add(&self, question: Question, name: String, fresh_for: Option<Duration>) -> Check {
        let owner = Arc::new(());
        let entry = Entry {
            failure: None,
            fresh_for,
            reported: None,
            owner: Arc::clone(&owner),
            orphaned: false,
        };
        self.lock().insert((question, name.clone()), entry);
        Check {
            health: self.clone(),
            question,
            name,
            owner,
            removed: false,
        }
    }

    /// The state for `/livez`.
    pub fn live(&self, now: Instant) -> HealthReport {
        self.report(Question::Live, now)
    }

    /// The state for `/readyz`.
    pub fn ready(&self, now: Instant) -> HealthReport {
        self.report(Question::Ready, now)
    }

    fn report(&self, question: Question, now: Instant) -> HealthReport {
        let checks: Vec<_> = self
            .lock()
            .iter()
            .filter(|((asked, _), _)| *asked == question)
            .map(|((_, name), entry)| {
                let reason = entry.failure(now);
                CheckReport {
                    name: name.clone(),
                    ok: reason.is_none(),
                    reason,
                }
            })
            .collect();
        HealthReport {
            ok: checks.iter().all(|check| check.ok),
            checks,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Question, String), Entry>> {
        // Each step leaves the table whole, and health must be told above all after a panic.
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle with which the owner of a check reports. When it is dropped without
/// [`Check::remove`], the check fails from then on: its owner must have stopped.
#[derive(Debug)]
pub struct Check {
    health: Health,
    question: Question,
    name: String,
    owner: Arc<()>,
    removed: bool,
}

impl Check {
    /// It is good now.
    pub fn pass(&self) {
        self.set(None);
    }

    /// It is bad now. `reason` says what and what to do, and holds no secret.
    pub fn fail(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    /// Reports the outcome of something that may fail.
    pub fn report<E: std::fmt::Display>(&self, outcome: &Result<(), E>) {
        self.set(outcome.as_ref().err().map(ToString::to_string));
    }

    /// Takes the check away: what it watched is no longer this process's work.
    pub fn remove(mut self) {
        self.removed = true;
        self.change(|checks, key| {
            checks.remove(key);
        });
    }

    fn set(&self, failure: Option<String>) {
        let now = Instant::now();
        self.change(|checks, key| {
            if let Some(entry) = checks.get_mut(key) {
                if entry.failure.is_some() != failure.is_some() {
                    match &failure {
                        Some(reason) => tracing::warn!(check = self.name, reason, "check fails"),
                        None => tracing::info!(check = self.name, "check is good again"),
                    }
                }
                entry.failure = failure;
                entry.reported = Some(now);
            }
        });
    }

    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<(Question, String), Entry>, &(Question, String)),
    ) {
        let key = (self.question, self.name.clone());
        let mut checks = self.health.lock();
        if checks
            .get(&key)
            .is_some_and(|entry| Arc::ptr_eq(&entry.owner, &self.owner))
        {
            change(&mut checks, &key);
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        if !self.removed {
            self.change(|checks, key| {
                if let Some(entry) = checks.get_mut(key) {
                    entry.orphaned = true;
                }
            });
        }
    }
}

/// The answer of `/livez` and `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthReport {
    /// Whether every check is good.
    pub ok: bool,
    /// The checks, by name.
    pub checks: Vec<CheckReport>,
}

/// One check in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// Whether it is good.
    pub ok: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How much these routes tell. They need no token, so that a probe can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Names and reasons: for a socket that only the operator can open.
    Reasons,
    /// Names only: for a network listener, where a reason could tell a stranger about paths.
    Names,
}

/// `/livez` and `/readyz`: 200 when good, 503 when not. Failing checks are always listed; with
/// `?verbose` the good ones too.
pub fn routes<S: Clone + Send + Sync + 'static>(health: Health, detail: Detail) -> Router<S> {
    let asked = Arc::new(health);
    let live = {
        let health = Arc::clone(&asked);
        move |RawQuery(query): RawQuery| async move {
            answer(health.live(Instant::now()), query.as_deref(), detail)
        }
    };
    let ready = move |RawQuery(query): RawQuery| async move {
        answer(asked.ready(Instant::now()), query.as_deref(), detail)
    };
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
}

fn answer(mut report: HealthReport, query: Option<&str>, detail: Detail) -> Response {
    let verbose = query.is_some_and(|query| {
        form_urlencoded::parse(query.as_bytes())
            .any(|(name, value)| name == "verbose" && value != "false" && value != "0")
    });
    if !verbose {
        report.checks.retain(|check| !check.ok);
    }
    if detail == Detail::Names {
        for check in &mut report.checks {
            check.reason = check
                .reason
                .take()
                .map(|_| "shown on the local socket".to_owned());
        }
    }
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, ApiJson(report)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(health: &Health, now: Instant) -> Option<String> {
        health
            .ready(now)
            .checks
            .into_iter()
            .next()
            .and_then(|check| check.reason)
    }

    #[test]
    fn a_check_is_bad_until_reported_and_follows_its_reports() {
        let health = Health::new();
        assert!(health.ready(Instant::now()).ok);
        let check = health.ready_check("journal");
        assert_eq!(
            reason(&health, Instant::now()).as_deref(),
            Some("not reported yet")
        );
        check.pass();
        assert!(health.ready(Instant::now()).ok);
        check.fail("the disk is full");
        assert_eq!(
            reason(&health, Instant::now()).as_deref(),
            Some("the disk is full")
        );
        check.report::<String>(&Ok(()));
        assert!(health.ready(Instant::now()).ok);
        assert!(health.live(Instant::now()).checks.is_empty());
    }

    #[test]
    fn an_old_report_no_longer_counts() {
        let health = Health::new();
        let check = health.ready_check_fresh("feed", Duration::from_secs(10));
        check.pass();
        let now = Instant::now();
        assert!(health.ready(now).ok);
        let late = reason(&health, now + Duration::from_secs(11)).unwrap();
        assert_eq!(late, "no report for 11 s; expected at least every 10 s");
    }

    #[test]
    fn a_dropped_owner_fails_the_check_and_a_removed_one_takes_it_away() {
        let health = Health::new();
        let check = health.ready_check("ring");
        check.pass();
        drop(check);
        assert!(!health.ready(Instant::now()).ok);
        health.ready_check("ring").remove();
        assert!(health.ready(Instant::now()).checks.is_empty());
    }

    #[test]
    fn a_replaced_handle_has_no_say() {
        let health = Health::new();
        let old = health.ready_check("ring");
        let new = health.ready_check("ring");
        new.pass();
        old.fail("old");
        drop(old);
        assert!(health.ready(Instant::now()).ok);
    }

    #[test]
    fn the_question_decides_what_is_listed() {
        let health = Health::new();
        let _heartbeat = health.live_check("loop", Duration::from_secs(1));
        assert!(!health.live(Instant::now()).ok);
        assert!(health.ready(Instant::now()).ok);
    }
}
