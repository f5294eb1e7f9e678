//! The audit log, for people.

use super::{Fields, Grid, NONE, line, or_none};
use crate::cli::client::Items;
use serde::Deserialize;

/// An entry, as far as it is shown in a table.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    sequence: u64,
    at: String,
    actor: Actor,
    #[serde(default)]
    source: Option<String>,
    action: String,
    #[serde(default)]
    object_kind: Option<String>,
    #[serde(default)]
    object: Option<String>,
    outcome: String,
    #[serde(default)]
    code: Option<String>,
    count: u64,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    request: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    kind: String,
    name: String,
}

/// How far the log reaches.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    sequence: u64,
    hash: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    trouble: Option<String>,
    damage: Vec<String>,
    #[serde(default)]
    warning: Option<String>,
}

/// What the verifier found.
#[derive(Debug, Deserialize)]
pub(crate) struct Verified {
    valid: bool,
    installation: Option<String>,
    entries: u64,
    first: Option<u64>,
    newest: Option<u64>,
    signed_through: Option<u64>,
    removed_through: Option<u64>,
    key_checked: bool,
    head_checked: bool,
    findings: Vec<String>,
    more_findings: u64,
}

/// `bcdr audit list`
pub(crate) fn list(entries: &Items<Row>) -> Grid {
    let headers = [
        "NUMBER", "AT", "WHO", "FROM", "ACTION", "OBJECT", "OUTCOME", "CODE", "COUNT",
    ];
    let wide = ["STATUS", "REQUEST", "SESSION", "DETAIL"];
    let mut grid = Grid::new(&headers, &[0, 8]).wide(&wide);
    for entry in &entries.items {
        let object = match (&entry.object_kind, &entry.object) {
            (Some(kind), Some(object)) => format!("{kind} {object}"),
            (kind, object) => or_none(kind.as_deref().or(object.as_deref())),
        };
        let row = [
            entry.sequence.to_string(),
            entry.at.clone(),
            line(&format!("{} ({})", entry.actor.name, entry.actor.kind)),
            or_none(entry.source.as_deref()),
            entry.action.clone(),
            line(&object),
            entry.outcome.clone(),
            or_none(entry.code.as_deref()),
            entry.count.to_string(),
        ];
        let status = entry.status.map(|status| status.to_string());
        let behind = [
            or_none(status.as_deref()),
            or_none(entry.request.as_deref()),
            or_none(entry.session.as_deref()),
            entry
                .detail
                .as_deref()
                .map_or_else(|| NONE.to_owned(), line),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(entries.next_cursor.as_ref())
}

/// `bcdr audit head`: what is to be kept is in a line of its own.
pub(crate) fn head(head: &Head) -> String {
    let mut text = format!("{}:{}\n", head.sequence, super::plain(&head.hash));
    if head.key.is_none() {
        text.push_str("NOT SIGNED: the installation's key cannot be used\n");
    }
    if let Some(trouble) = &head.trouble {
        text.push_str(&format!("NOT WRITABLE: {}\n", super::plain(trouble)));
    }
    if let Some(warning) = &head.warning {
        text.push_str(&format!("LARGE: {}\n", super::plain(warning)));
    }
    for damage in &head.damage {
        text.push_str(&format!("DAMAGED: {}\n", super::plain(damage)));
    }
    text
}

/// `bcdr audit verify`
pub(crate) fn verified(verified: &Verified) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| NONE.to_owned(), |n| n.to_string());
    let mut fields = Fields::new();
    fields.field("installation", or_none(verified.installation.as_deref()));
    fields.field("entries", verified.entries.to_string());
    fields.field("first", number(verified.first));
    fields.field("newest", number(verified.newest));
    fields.field("signed through", number(verified.signed_through));
    fields.field_if(
        "removed in order through",
        verified.removed_through.map(|n| n.to_string()),
    );
    let mut text = format!("{fields}\n");
    for finding in &verified.findings {
        text.push_str(&format!("WRONG  {}\n", super::plain(finding)));
    }
    if verified.more_findings > 0 {
        text.push_str(&format!("and {} more\n", verified.more_findings));
    }
    let said = |is: bool, yes: &'static str, no: &'static str| if is { yes } else { no };
    text.push_str(&format!(
        "{}: {}; {}\n",
        said(verified.valid, "valid", "NOT VALID"),
        said(
            verified.key_checked,
            "signed with the key given",
            "whose key it is was not checked (--key)"
        ),
        said(
            verified.head_checked,
            "it has the head given",
            "whether newer entries are missing was not checked (--head)"
        ),
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_printed_so_that_it_can_be_given_back() {
        let text = r#"{"sequence":152,"hash":"ab","signed":null,"key":null,"trouble":"full","damage":["x"],"warning":"it has 9 bytes"}"#;
        let shown = head(&serde_json::from_str(text).unwrap());
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[0], "152:ab");
        assert!(
            shown.contains("NOT SIGNED")
                && shown.contains("NOT WRITABLE")
                && shown.contains("DAMAGED")
                && shown.contains("LARGE")
        );
    }

    #[test]
    fn what_was_not_checked_is_said_and_names_cannot_steer_the_terminal() {
        let text = r#"{"valid":false,"installation":null,"entries":3,"first":1,"newest":3,"signed_through":null,
            "removed_through":null,"key_checked":false,"head_checked":false,"findings":["f:2: edited"],"more_findings":4}"#;
        let shown = verified(&serde_json::from_str(text).unwrap());
        for part in [
            "WRONG  f:2: edited",
            "and 4 more",
            "NOT VALID",
            "--key",
            "--head",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let text = r#"{"items":[{"sequence":1,"at":"T","actor":{"kind":"unknown","name":"a\u001b[31m"},
            "action":"authenticate","outcome":"refused","count":30}],"next_cursor":null}"#;
        let shown = list(&serde_json::from_str(text).unwrap()).to_string();
        assert!(shown.contains("30") && !shown.contains('\u{1b}'), "{shown}");
    }
}
