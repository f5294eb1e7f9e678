//! Drill schedules for people.

use super::{Fields, or_none};
use serde::Deserialize;
use std::time::Duration;

/// When a group is drilled.
#[derive(Debug, Deserialize)]
pub(crate) struct Schedule {
    group_name: String,
    every_seconds: u64,
    #[serde(default)]
    at: Option<String>,
    zone: String,
    point: Point,
    hold_seconds: u64,
    #[serde(default)]
    next_at: Option<String>,
    #[serde(default)]
    last_drill: Option<String>,
    #[serde(default)]
    trouble: Option<String>,
    #[serde(default)]
    overdue_since: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Point {
    Latest,
    Age { seconds: u64 },
}

fn time(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// One schedule.
pub(crate) fn show(schedule: &Schedule) -> String {
    let mut fields = Fields::new();
    fields.field("group", &schedule.group_name);
    let at = schedule.at.as_ref();
    let at = at.map(|at| format!(" at {at} {}", schedule.zone));
    let every = time(schedule.every_seconds);
    fields.field("drill every", format!("{every}{}", at.unwrap_or_default()));
    let point = match schedule.point {
        Point::Latest => "latest".to_owned(),
        Point::Age { seconds } => format!("at least {} old", time(seconds)),
    };
    fields.field("point", point);
    fields.field("hold", time(schedule.hold_seconds));
    fields.field("next", or_none(schedule.next_at.as_deref()));
    fields.field("last drill", or_none(schedule.last_drill.as_deref()));
    fields.field_if("could not start", schedule.trouble.as_deref());
    fields.field_if("OVERDUE since", schedule.overdue_since.as_deref());
    fields.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_shows_when_and_whether_it_is_overdue() {
        let text = r#"{"group":"grp-1","group_name":"lab","every_seconds":604800,"at":"02:00:00","zone":"UTC",
            "point":{"age":{"seconds":86400}},"hold_seconds":0,"launch_settings":null,"set_at":"T",
            "next_at":"N","last_drill":null,"trouble":"no point","overdue_since":"O"}"#;
        let shown = show(&serde_json::from_str(text).unwrap());
        for part in [
            "7days at 02:00:00 UTC",
            "at least 1day old",
            "no point",
            "OVERDUE since",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
