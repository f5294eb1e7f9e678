//! Points for people.

use super::{Grid, NONE, or_none};
use crate::cli::{client::Items, table::Fields, units};
use serde::Deserialize;

/// A point, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct Point {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) label: Option<String>,
    #[serde(default)]
    pub(crate) time: Option<String>,
    #[serde(default)]
    pub(crate) covers_until: Option<String>,
    #[serde(default)]
    pub(crate) unknown_ranges: Vec<UnknownRange>,
}

/// A range of a volume whose content at the point is not known.
#[derive(Debug, Deserialize)]
pub(crate) struct UnknownRange {
    length: u64,
}

impl Point {
    /// The point in one line.
    pub(crate) fn line(&self) -> String {
        let label = self
            .label
            .as_ref()
            .map(|label| format!("  {label:?}"))
            .unwrap_or_default();
        format!(
            "{}  {}{label}",
            self.id,
            super::or_unknown(self.time.clone())
        )
    }

    fn unknown(&self) -> String {
        match self.unknown_ranges.iter().map(|range| range.length).sum() {
            0 => NONE.to_owned(),
            bytes => units::bytes(bytes),
        }
    }
}

/// `bcdr point list`
pub(crate) fn list(points: &Items<Point>) -> Grid {
    let headers = ["ID", "TIME", "COVERS UNTIL", "KIND", "LABEL", "UNKNOWN"];
    let mut grid = Grid::new(&headers, &[5]);
    for point in &points.items {
        grid.row([
            point.id.clone(),
            super::or_unknown(point.time.clone()),
            super::or_unknown(point.covers_until.clone()),
            point.kind.clone(),
            or_none(point.label.as_deref()),
            point.unknown(),
        ]);
    }
    grid.and_more(points.next_cursor.as_ref())
}

/// One point.
pub(crate) fn show(point: &Point) -> String {
    let mut fields = Fields::new();
    fields.field("point", &point.id);
    fields.field("label", or_none(point.label.as_deref()));
    fields.field("kind", &point.kind);
    fields.field("time", super::or_unknown(point.time.clone()));
    fields.field(
        "covers until",
        super::or_unknown(point.covers_until.clone()),
    );
    fields.field("unknown", point.unknown());
    fields.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const LIST: &str = r#"{"items":[
        {"id":"2-48211","group":"grp-1","kind":"bookmark","label":"before-upgrade","time":"2026-11-03T10:00:00.000001Z",
         "covers_until":"2026-11-03T10:00:01.000000Z","position":"2-48211","unknown_ranges":[]},
        {"id":"2-48000","group":"grp-1","kind":"crash_consistent","label":null,"time":"2026-11-03T09:59:59.000000Z",
         "covers_until":"2026-11-03T10:00:00.000000Z","position":"2-48000","unknown_ranges":[{"volume":"root","offset":0,"length":4096}]}
        ],"next_cursor":"x"}"#;

    #[test]
    fn a_list_shows_times_that_can_be_given_back_to_at() {
        assert_eq!(
            list(&serde_json::from_str(LIST).unwrap()).to_string(),
            "ID       TIME                         COVERS UNTIL                 KIND              LABEL           UNKNOWN\n\
             2-48211  2026-11-03T10:00:00.000001Z  2026-11-03T10:00:01.000000Z  bookmark          before-upgrade        -\n\
             2-48000  2026-11-03T09:59:59.000000Z  2026-11-03T10:00:00.000000Z  crash_consistent  -                 4 KiB\n\
             (there are more; ask for them with --limit)\n"
        );
    }
}
