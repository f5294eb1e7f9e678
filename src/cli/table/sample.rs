//! How old points were, for people.

use super::{Grid, UNKNOWN};
use crate::cli::units;
use serde::Deserialize;

/// How old a group's newest point was, over a time.
#[derive(Debug, Deserialize)]
pub(crate) struct Samples {
    items: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    from: String,
    to: String,
    worst_seconds: Option<f64>,
    p95_seconds: Option<f64>,
    measured_seconds: f64,
    blind_seconds: f64,
}

/// `bcdr group samples`
pub(crate) fn list(samples: &Samples) -> Grid {
    let headers = ["FROM", "TO", "WORST RPO", "P95 RPO", "MEASURED", "BLIND"];
    let mut grid = Grid::new(&headers, &[2, 3, 4, 5]);
    let age = |seconds: Option<f64>| seconds.map_or_else(|| UNKNOWN.to_owned(), units::seconds);
    for sample in &samples.items {
        grid.row([
            sample.from.clone(),
            sample.to.clone(),
            age(sample.worst_seconds),
            age(sample.p95_seconds),
            units::seconds(sample.measured_seconds),
            units::seconds(sample.blind_seconds),
        ]);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_measured_is_unknown() {
        let text = r#"{"group":"grp-1","group_name":"lab","step_seconds":3600,"items":[
            {"from":"2026-11-03T09:00:00Z","to":"2026-11-03T10:00:00Z","worst_seconds":null,"p95_seconds":null,
             "measured_seconds":0.0,"blind_seconds":3600.0},
            {"from":"2026-11-03T10:00:00Z","to":"2026-11-03T11:00:00Z","worst_seconds":1.5,"p95_seconds":0.25,
             "measured_seconds":1800.0,"blind_seconds":0.0}]}"#;
        assert_eq!(
            list(&serde_json::from_str(text).unwrap()).to_string(),
            "FROM                  TO                    WORST RPO  P95 RPO    MEASURED      BLIND\n\
             2026-11-03T09:00:00Z  2026-11-03T10:00:00Z    unknown  unknown      0.00 s  1 h 0 min\n\
             2026-11-03T10:00:00Z  2026-11-03T11:00:00Z     1.50 s   0.25 s  30 min 0 s     0.00 s\n"
        );
    }
}
