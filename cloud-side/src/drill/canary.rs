//! The canary: a stamped line that the workload wrote at the source and the clone shows.
//!
//! Owns reading the stamp and comparing it with the point's time.

use jiff::Timestamp;
use regex::Captures;
use serde::{Deserialize, Serialize};

/// A canary as the machine showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Canary {
    /// When it was written, on the source's clock.
    pub(super) time: Timestamp,
    /// Its number.
    pub(super) sequence: u64,
    /// The line.
    pub(super) line: String,
}

/// The canary against the point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CanaryReport {
    /// When the canary was written, on the source's clock.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// The canary's number.
    pub sequence: u64,
    /// The line the machine showed.
    pub line: String,
    /// How much older than the point it is, in seconds on the source's and the point's clocks;
    /// negative when the canary bears the later time. Absent when the point's time is unknown.
    pub behind_point_seconds: Option<f64>,
}

impl Canary {
    /// Reads a matched line.
    pub(super) fn read(captures: &Captures<'_>, line: &str) -> Result<Self, String> {
        let group = |name: &str| captures.name(name).map_or("", |found| found.as_str());
        let time = read_time(group("time"))
            .ok_or_else(|| format!("the canary's time {:?} cannot be read", group("time")))?;
        let sequence = group("sequence").parse().map_err(|_| {
            format!(
                "the canary's sequence {:?} cannot be read",
                group("sequence")
            )
        })?;
        Ok(Self {
            time,
            sequence,
            line: line.to_owned(),
        })
    }

    /// Compares with the point's time.
    pub(super) fn report(&self, point_time: Option<Timestamp>) -> CanaryReport {
        let behind = |point: Timestamp| {
            (point.as_microsecond() - self.time.as_microsecond()) as f64 / 1_000_000.0
        };
        CanaryReport {
            time: self.time,
            sequence: self.sequence,
            line: self.line.clone(),
            behind_point_seconds: point_time.map(behind),
        }
    }
}

/// Reads RFC 3339, or seconds since 1970 with an optional fraction.
fn read_time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Timestamp::new(whole.parse().ok()?, nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_notations() {
        let expected: Timestamp = "2026-11-03T10:00:00.25Z".parse().unwrap();
        for text in [
            "2026-11-03T10:00:00.25Z",
            "2026-11-03T12:00:00.25+02:00",
            "1793700000.25",
        ] {
            assert_eq!(read_time(text), Some(expected), "{text}");
        }
        for text in ["", ".5", "yesterday", "-5", "1.2.3", "99999999999999999999"] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }

    #[test]
    fn the_distance_to_the_point_has_a_sign() {
        let canary = Canary {
            time: "2026-11-03T10:00:00Z".parse().unwrap(),
            sequence: 7,
            line: String::new(),
        };
        let behind = |point: &str| canary.report(point.parse().ok()).behind_point_seconds;
        assert_eq!(behind("2026-11-03T10:00:01.5Z"), Some(1.5));
        assert_eq!(behind("2026-11-03T09:59:59Z"), Some(-1.0));
        assert_eq!(canary.report(None).behind_point_seconds, None);
    }
}
