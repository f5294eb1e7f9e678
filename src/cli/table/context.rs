//! Contexts for people.

use super::{Fields, Grid, NONE, or_none};
use crate::cli::client::Items;
use serde::Deserialize;

/// A context, as it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Context {
    name: Option<String>,
    current: bool,
    url: String,
    token_file: String,
    ca: String,
    launch: Option<String>,
    chosen_by: Option<String>,
}

/// `bcdr context list`
pub(crate) fn list(contexts: &Items<Context>) -> Grid {
    let headers = ["NAME", "CURRENT", "URL"];
    let mut grid = Grid::new(&headers, &[]).wide(&["TOKEN FILE", "AUTHORITY", "LAUNCH"]);
    for context in &contexts.items {
        let current = if context.current { "yes" } else { NONE };
        let row = [
            or_none(context.name.as_deref()),
            current.to_owned(),
            context.url.clone(),
        ];
        let behind = [
            context.token_file.clone(),
            context.ca.clone(),
            or_none(context.launch.as_deref()),
        ];
        grid.row_wide(row, behind);
    }
    grid
}

/// `bcdr context show`
pub(crate) fn show(context: &Context) -> String {
    let mut fields = Fields::new();
    fields.field("context", or_none(context.name.as_deref()));
    fields.field_if("chosen by", context.chosen_by.as_deref());
    fields.field("current", if context.current { "yes" } else { "no" });
    fields.field("url", &context.url);
    fields.field("token file", &context.token_file);
    fields.field("authority", &context.ca);
    fields.field_if("launch", context.launch.as_deref());
    fields.to_string()
}
