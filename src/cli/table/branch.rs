//! Branches for people.

use super::{Fields, Grid, or_none, point::Point};
use crate::cli::client::Items;
use serde::Deserialize;

/// A branch, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct Branch {
    id: String,
    group_name: String,
    reason: String,
    made_for: Option<String>,
    state: String,
    cause: Option<String>,
    created_at: String,
    generation: u64,
    base_point: String,
    base_branch: Option<String>,
    latest_point: Option<Point>,
}

impl Branch {
    fn newest(&self) -> String {
        let latest = self.latest_point.as_ref();
        super::or_unknown(latest.and_then(|point| point.time.clone()))
    }
}

/// `bcdr branch list`
pub(crate) fn list(branches: &Items<Branch>) -> Grid {
    let mut grid = Grid::new(
        &["ID", "GROUP", "REASON", "STATE", "MADE", "NEWEST POINT"],
        &[],
    )
    .wide(&["MADE FOR", "BEGAN AS POINT", "GENERATION", "CAUSE"]);
    for branch in &branches.items {
        let row = [
            branch.id.clone(),
            branch.group_name.clone(),
            branch.reason.replace('_', " "),
            branch.state.clone(),
            branch.created_at.clone(),
            branch.newest(),
        ];
        let behind = [
            or_none(branch.made_for.as_deref()),
            branch.base_point.clone(),
            branch.generation.to_string(),
            or_none(branch.cause.as_deref()),
        ];
        grid.row_wide(row, behind);
    }
    grid
}

/// `bcdr branch show`
pub(crate) fn show(branch: &Branch) -> String {
    let mut fields = Fields::new();
    fields.field("branch", &branch.id);
    fields.field("group", &branch.group_name);
    fields.field("reason", branch.reason.replace('_', " "));
    fields.field("made for", or_none(branch.made_for.as_deref()));
    fields.field("state", &branch.state);
    fields.field_if("cause", branch.cause.as_deref());
    fields.field("made", &branch.created_at);
    fields.field("generation", branch.generation.to_string());
    let above = branch.base_branch.as_ref();
    let above = above.map(|branch| format!(" of branch {branch}"));
    fields.field(
        "began as point",
        format!("{}{}", branch.base_point, above.unwrap_or_default()),
    );
    let latest = branch.latest_point.as_ref().map(Point::line);
    fields.field("newest point", super::or_unknown(latest));
    fields.to_string()
}
