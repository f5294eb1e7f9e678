//! Events for people.

use super::{Grid, NONE, Shown, Width, line, or_none};
use crate::cli::client::Items;
use serde::Deserialize;

/// Widths of the columns of events that are told one by one.
const TIME: usize = 27;
const OBJECT: usize = 14;
const GROUP: usize = 12;
const OBJECT_ID: usize = 30;
const ID: usize = 31;

/// An event.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    id: String,
    time: String,
    kind: String,
    object: Option<String>,
    object_id: Option<String>,
    group_name: Option<String>,
    summary: String,
}

impl Event {
    /// What it is about; a reset is about everything.
    fn object(&self) -> String {
        match &self.object {
            Some(object) => object.replace('_', " "),
            None => self.kind.clone(),
        }
    }
}

/// `bcdr event list`
pub(crate) fn list(events: &Items<Event>) -> Grid {
    let headers = ["TIME", "OBJECT", "GROUP", "WHAT"];
    let mut grid = Grid::new(&headers, &[]).wide(&["KIND", "OBJECT'S ID", "ID"]);
    for event in &events.items {
        let row = [
            event.time.clone(),
            event.object(),
            or_none(event.group_name.as_deref()),
            line(&event.summary),
        ];
        let behind = [
            event.kind.clone(),
            or_none(event.object_id.as_deref()),
            event.id.clone(),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(events.next_cursor.as_ref())
}

/// An event in a line of its own, below the ones before it.
pub(crate) struct Row([String; 6]);

/// What stands above the first event.
pub(crate) fn header(width: Width) -> String {
    let header = ["TIME", "OBJECT", "GROUP", "OBJECT'S ID", "ID", "WHAT"];
    Row(header.map(str::to_owned)).text(width)
}

/// `bcdr event follow`
pub(crate) fn row(event: &Event) -> Row {
    Row([
        event.time.clone(),
        event.object(),
        or_none(event.group_name.as_deref()),
        event.object_id.clone().unwrap_or_else(|| NONE.to_owned()),
        event.id.clone(),
        line(&event.summary),
    ])
}

impl Shown for Row {
    fn text(&self, width: Width) -> String {
        let [time, object, group, object_id, id, what] = &self.0;
        let behind = match width {
            Width::Narrow => String::new(),
            Width::Wide => format!("{object_id:<OBJECT_ID$}  {id:<ID$}  "),
        };
        // Columns cannot be fitted to what is not there yet; a longer name pushes its own line.
        let text = format!("{time:<TIME$}  {object:<OBJECT$}  {group:<GROUP$}  {behind}{what}");
        format!("{}\n", super::plain(&text).trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRILL: &str = r#"{"id":"evt-2","time":"2026-11-03T10:00:00.000001Z","kind":"changed","object":"drill_schedule",
        "object_id":"grp-1","group":"grp-1","group_name":"lab","summary":"the\u001b[31m drill"}"#;
    const RESET: &str = r#"{"id":"evt-1","time":"2026-11-03T09:59:59.000000Z","kind":"reset","object":null,
        "object_id":null,"group":null,"group_name":null,"summary":"begin anew"}"#;

    #[test]
    fn a_reset_is_seen_among_events_and_no_name_steers_the_terminal() {
        let text = format!(r#"{{"items":[{DRILL},{RESET}],"next_cursor":null}}"#);
        let events: Items<Event> = serde_json::from_str(&text).unwrap();
        assert_eq!(
            list(&events).to_string(),
            "TIME                         OBJECT          GROUP  WHAT\n\
             2026-11-03T10:00:00.000001Z  drill schedule  lab    the [31m drill\n\
             2026-11-03T09:59:59.000000Z  reset           -      begin anew\n"
        );
        let rows: String = events
            .items
            .iter()
            .map(|event| row(event).text(Width::Narrow))
            .collect();
        assert_eq!(
            header(Width::Narrow) + &rows,
            "TIME                         OBJECT          GROUP         WHAT\n\
             2026-11-03T10:00:00.000001Z  drill schedule  lab           the [31m drill\n\
             2026-11-03T09:59:59.000000Z  reset           -             begin anew\n"
        );
        let wide = row(&events.items[0]).text(Width::Wide);
        assert!(wide.contains("grp-1") && wide.contains("evt-2"), "{wide}");
    }
}
