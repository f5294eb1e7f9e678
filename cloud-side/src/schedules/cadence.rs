//! When a group's next drill is due, and when it is overdue.
//!
//! Sans I/O: the time is an argument. Invariant: an occurrence is decided at most once. Those missed
//! while nobody looked become one drill, a clock set back brings none back, and a clock that jumped
//! far ahead and came home again does not silence the calendar.

use bcdr_format::Timestamp;
use jiff::{ToSpan as _, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};

const SECOND: i64 = 1_000_000;
const DAY_SECONDS: u64 = 86_400;
/// The shortest and the longest cadence, in seconds: an hour and two years.
pub(crate) const EVERY_SECONDS: (u64, u64) = (3600, 731 * DAY_SECONDS);
/// How late a drill may be before it is overdue: a quarter of its cadence, and a day at most.
const GRACE_SECONDS_MAX: u64 = DAY_SECONDS;

/// How often, and at what time of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cadence {
    every_seconds: u64,
    at: Option<civil::Time>,
    zone: String,
    /// What the occurrences count from.
    anchor: Timestamp,
}

/// Why there can be no such cadence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CadenceError {
    /// Too short or too long.
    #[error(
        "a drill every {0} s is not between every hour (3600 s) and every 731 days (63158400 s)"
    )]
    Every(u64),
    /// A time of the day needs days.
    #[error(
        "a time of the day goes with whole days only, and every {0} s is not a multiple of 86400 s"
    )]
    NotDays(u64),
    /// No such time zone.
    #[error(
        "there is no time zone {zone:?} on this system: {reason}; take UTC, or a name such as Asia/Shanghai"
    )]
    Zone {
        /// The name.
        zone: String,
        /// What is wrong.
        reason: String,
    },
}

impl CadenceError {
    /// The field of a request that is wrong.
    pub(crate) fn field(&self) -> &'static str {
        match self {
            Self::Every(_) => "every_seconds",
            Self::NotDays(_) => "at",
            Self::Zone { .. } => "zone",
        }
    }
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing before this.
    Wait { until: Timestamp },
    /// A drill, for this occurrence and all before it.
    Start { occurrence: Timestamp },
    /// What was decided last lies far ahead: the clock came back. Count from here.
    Forget { decided: Timestamp },
}

impl Cadence {
    pub(crate) fn new(
        every_seconds: u64,
        at: Option<civil::Time>,
        zone: &str,
        now: Timestamp,
    ) -> Result<Self, CadenceError> {
        if !(EVERY_SECONDS.0..=EVERY_SECONDS.1).contains(&every_seconds) {
            return Err(CadenceError::Every(every_seconds));
        }
        if at.is_some() && !every_seconds.is_multiple_of(DAY_SECONDS) {
            return Err(CadenceError::NotDays(every_seconds));
        }
        let zone_named = |error: jiff::Error| CadenceError::Zone {
            zone: zone.chars().take(64).collect(),
            reason: error.to_string(),
        };
        time_zone(zone).map_err(zone_named)?;
        Ok(Self {
            every_seconds,
            at,
            zone: zone.to_owned(),
            anchor: now,
        })
    }

    pub(crate) fn every_seconds(&self) -> u64 {
        self.every_seconds
    }

    pub(crate) fn at(&self) -> Option<civil::Time> {
        self.at
    }

    pub(crate) fn zone(&self) -> &str {
        &self.zone
    }

    fn every(&self) -> i64 {
        i64::try_from(self.every_seconds).unwrap_or(i64::MAX / SECOND) * SECOND
    }

    /// The occurrence with this number; the first is 0.
    fn occurrence(&self, number: i64) -> Timestamp {
        let plain = || {
            let from = self.anchor.0.saturating_add(self.every());
            Timestamp(from.saturating_add(self.every().saturating_mul(number)))
        };
        let Some(at) = self.at else { return plain() };
        self.on_the_day(at, number).unwrap_or_else(|_| plain())
    }

    fn on_the_day(&self, at: civil::Time, number: i64) -> Result<Timestamp, jiff::Error> {
        let zone = time_zone(&self.zone)?;
        let anchor = crate::clock::readable(self.anchor).to_zoned(zone.clone());
        let mut first = anchor.date().to_datetime(at).to_zoned(zone.clone())?;
        if first.timestamp() <= anchor.timestamp() {
            let next = anchor.date().checked_add(1.day())?;
            first = next.to_datetime(at).to_zoned(zone.clone())?;
        }
        let days = i64::try_from(self.every_seconds / DAY_SECONDS).unwrap_or(i64::MAX);
        let later = first
            .date()
            .checked_add(days.saturating_mul(number).days())?;
        let at = later.to_datetime(at).to_zoned(zone)?;
        Ok(crate::clock::stored(at.timestamp()))
    }

    /// The number of the first occurrence after an instant.
    fn number_after(&self, instant: Timestamp) -> i64 {
        let since = instant.0.saturating_sub(self.occurrence(0).0);
        // A time zone moves an occurrence by hours at most.
        let mut number = (since / self.every() - 1).max(0);
        while self.occurrence(number) <= instant && number < i64::MAX {
            number += 1;
        }
        number
    }

    /// The first occurrence after an instant.
    pub(crate) fn next_after(&self, instant: Timestamp) -> Timestamp {
        self.occurrence(self.number_after(instant))
    }

    /// What is to be done at `now`, when everything up to `decided` was decided and a failed start
    /// is not repeated before `retry_at`.
    pub(crate) fn decide(
        &self,
        decided: Timestamp,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Decision {
        if decided.0
            > now
                .0
                .saturating_add(self.every().saturating_add(2 * DAY_SECONDS as i64 * SECOND))
        {
            return Decision::Forget { decided: now };
        }
        let next = self.next_after(decided);
        if next > now {
            return Decision::Wait { until: next };
        }
        // A time that lies further ahead than any was set to was set by another clock.
        let sane =
            |at: &Timestamp| *at > now && at.0 - now.0 <= super::RETRY_MAX.as_micros() as i64;
        if let Some(until) = retry_at.filter(sane) {
            return Decision::Wait { until };
        }
        let occurrence = self.occurrence(self.number_after(now) - 1);
        Decision::Start { occurrence }
    }

    /// Since when a drill that passed is missing; none while it is not.
    pub(crate) fn overdue_since(
        &self,
        last_passed: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let grace = (self.every_seconds / 4).min(GRACE_SECONDS_MAX) as i64 * SECOND;
        let first = self.occurrence(0);
        let passed = last_passed.map(|at| Timestamp(at.0.saturating_add(self.every())));
        let due = passed.map_or(first, |at| at.max(first));
        let since = Timestamp(due.0.saturating_add(grace));
        (now > since).then_some(since)
    }
}

fn time_zone(name: &str) -> Result<TimeZone, jiff::Error> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        crate::clock::stored(text.parse().unwrap())
    }

    fn weekly() -> Cadence {
        let time = civil::time(2, 0, 0, 0);
        Cadence::new(
            7 * DAY_SECONDS,
            Some(time),
            "UTC",
            at("2026-11-02T10:00:00Z"),
        )
        .unwrap()
    }

    #[test]
    fn occurrences_come_at_their_time_of_the_day() {
        let cadence = weekly();
        assert_eq!(
            cadence.next_after(at("2026-11-02T10:00:00Z")),
            at("2026-11-03T02:00:00Z")
        );
        assert_eq!(
            cadence.next_after(at("2026-11-03T02:00:00Z")),
            at("2026-11-10T02:00:00Z")
        );
        assert_eq!(
            cadence.next_after(at("2029-11-03T02:00:00Z")),
            at("2029-11-06T02:00:00Z")
        );
        let hourly = Cadence::new(3600, None, "UTC", at("2026-11-02T10:30:00Z")).unwrap();
        assert_eq!(
            hourly.next_after(at("2026-11-02T10:30:00Z")),
            at("2026-11-02T11:30:00Z")
        );
    }

    #[test]
    fn a_time_zone_keeps_its_wall_time_over_the_change_of_the_clocks() {
        let time = civil::time(3, 30, 0, 0);
        let zone = "Europe/Berlin";
        let cadence =
            Cadence::new(DAY_SECONDS, Some(time), zone, at("2026-10-23T10:00:00Z")).unwrap();
        let mut last = at("2026-10-23T10:00:00Z");
        for expected in [
            "2026-10-24T01:30:00Z",
            "2026-10-25T02:30:00Z",
            "2026-10-26T02:30:00Z",
        ] {
            last = cadence.next_after(last);
            assert_eq!(last, at(expected));
        }
    }

    #[test]
    fn an_occurrence_is_started_once_and_missed_ones_become_one() {
        let cadence = weekly();
        let mut decided = cadence.anchor;
        let early = cadence.decide(decided, None, at("2026-11-03T01:59:59Z"));
        assert_eq!(
            early,
            Decision::Wait {
                until: at("2026-11-03T02:00:00Z")
            }
        );
        // Away for a month.
        let now = at("2026-12-02T12:00:00Z");
        let Decision::Start { occurrence } = cadence.decide(decided, None, now) else {
            panic!("it is due");
        };
        assert_eq!(occurrence, at("2026-12-01T02:00:00Z"));
        decided = occurrence;
        let next = Decision::Wait {
            until: at("2026-12-08T02:00:00Z"),
        };
        assert_eq!(cadence.decide(decided, None, now), next);
        // Set back by a day, and by an hour.
        for text in ["2026-12-01T12:00:00Z", "2026-12-01T01:00:00Z"] {
            assert_eq!(cadence.decide(decided, None, at(text)), next, "{text}");
        }
    }

    #[test]
    fn a_clock_that_jumped_ten_years_and_back_decides_nothing_twice_and_goes_on() {
        let cadence = weekly();
        let mut decided = cadence.anchor;
        let mut starts = 0;
        let mut look = |now: &str| match cadence.decide(decided, None, at(now)) {
            Decision::Start { occurrence } => {
                starts += 1;
                decided = occurrence;
                starts
            }
            Decision::Forget { decided: from } => {
                decided = from;
                starts
            }
            Decision::Wait { .. } => starts,
        };
        assert_eq!(look("2026-11-03T02:00:01Z"), 1);
        assert_eq!(look("2036-11-03T02:00:01Z"), 2);
        assert_eq!(look("2036-11-03T02:00:02Z"), 2);
        // Home again: what was decided for the future is forgotten, what is past stays decided.
        assert_eq!(look("2026-11-03T02:05:00Z"), 2);
        assert_eq!(look("2026-11-03T02:05:01Z"), 2);
        assert_eq!(look("2026-11-10T01:59:59Z"), 2);
        assert_eq!(look("2026-11-10T02:00:00Z"), 3);
    }

    #[test]
    fn a_failed_start_waits_and_a_wait_of_another_clock_does_not_count() {
        let cadence = weekly();
        let now = at("2026-11-03T02:00:01Z");
        let soon = at("2026-11-03T02:01:00Z");
        let waiting = cadence.decide(cadence.anchor, Some(soon), now);
        assert_eq!(waiting, Decision::Wait { until: soon });
        for other in ["2026-11-03T02:00:00Z", "2036-11-03T02:00:00Z"] {
            let decision = cadence.decide(cadence.anchor, Some(at(other)), now);
            assert!(matches!(decision, Decision::Start { .. }), "{other}");
        }
    }

    #[test]
    fn it_is_overdue_a_day_after_it_should_have_passed() {
        let cadence = weekly();
        let overdue =
            |passed: Option<&str>, now: &str| cadence.overdue_since(passed.map(at), at(now));
        assert_eq!(overdue(None, "2026-11-04T02:00:00Z"), None);
        assert_eq!(
            overdue(None, "2026-11-04T02:00:01Z"),
            Some(at("2026-11-04T02:00:00Z"))
        );
        let passed = Some("2026-11-05T00:00:00Z");
        assert_eq!(overdue(passed, "2026-11-12T23:00:00Z"), None);
        assert_eq!(
            overdue(passed, "2026-11-13T00:00:01Z"),
            Some(at("2026-11-13T00:00:00Z"))
        );
        // One that passed long before there was a schedule does not make it overdue at once.
        assert_eq!(
            overdue(Some("2020-01-01T00:00:00Z"), "2026-11-03T10:00:00Z"),
            None
        );
    }

    #[test]
    fn cadences_that_cannot_be_are_refused() {
        let now = at("2026-11-02T10:00:00Z");
        let noon = Some(civil::time(12, 0, 0, 0));
        for (every, at, zone) in [
            (3599, None, "UTC"),
            (EVERY_SECONDS.1 + 1, None, "UTC"),
            (5400, noon, "UTC"),
            (DAY_SECONDS, noon, "Nowhere/Land"),
        ] {
            assert!(
                Cadence::new(every, at, zone, now).is_err(),
                "{every} {zone}"
            );
        }
    }
}
