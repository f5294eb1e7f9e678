//! Alerts and their channels.

use super::{Fields, Grid, line, or_none};
use crate::cli::client::Items;
use serde::Deserialize;
use std::fmt::Write as _;

/// An alert.
#[derive(Debug, Deserialize)]
pub(crate) struct Alert {
    id: String,
    code: String,
    severity: String,
    state: String,
    object: Object,
    detail: String,
    cause: String,
    remedy: String,
    raised_at: String,
    cleared_at: Option<String>,
    occurrences: u32,
    acknowledged: Option<Acknowledged>,
    unjudged: Option<Unjudged>,
    muted: Option<Muted>,
    #[serde(default)]
    history: Vec<Entry>,
    #[serde(default)]
    deliveries: Vec<Delivery>,
}

#[derive(Debug, Deserialize)]
struct Object {
    kind: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Acknowledged {
    by: String,
    at: String,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Unjudged {
    since: String,
    why: String,
}

#[derive(Debug, Deserialize)]
struct Muted {
    scope: String,
    until: String,
    by: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Entry {
    at: String,
    event: String,
    told_as: Option<String>,
    by: Option<String>,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    channel: String,
    kind: String,
    state: String,
    attempts: u32,
    last_error: Option<String>,
}

impl Alert {
    fn standing(&self) -> String {
        let muted = if self.muted.is_some() { ", muted" } else { "" };
        let unjudged = if self.unjudged.is_some() {
            ", cannot be judged now"
        } else {
            ""
        };
        format!("{}{muted}{unjudged}", self.state)
    }
}

/// Alerts below each other.
pub(crate) fn list(alerts: &Items<Alert>) -> Grid {
    let mut grid = Grid::new(
        &[
            "ALERT", "SEVERITY", "CODE", "OBJECT", "STATE", "RAISED", "DETAIL",
        ],
        &[],
    )
    .wide(&[
        "CLEARED",
        "TIMES",
        "ACKNOWLEDGED BY",
        "MUTED UNTIL",
        "CAUSE",
    ]);
    for alert in &alerts.items {
        let row = [
            alert.id.clone(),
            alert.severity.clone(),
            alert.code.clone(),
            alert.object.name.clone(),
            alert.standing(),
            alert.raised_at.clone(),
            line(&alert.detail),
        ];
        let acknowledged = alert.acknowledged.as_ref().map(|by| by.by.as_str());
        let muted = alert.muted.as_ref().map(|muted| muted.until.as_str());
        let behind = [
            or_none(alert.cleared_at.as_deref()),
            alert.occurrences.to_string(),
            or_none(acknowledged),
            or_none(muted),
            line(&alert.cause),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(alerts.next_cursor.as_ref())
}

/// One alert.
pub(crate) fn show(alert: &Alert) -> String {
    let mut fields = Fields::new();
    fields.field("alert", &alert.id);
    fields.field("code", &alert.code);
    fields.field("severity", &alert.severity);
    fields.field("state", alert.standing());
    fields.field(
        "object",
        format!("{} {}", alert.object.kind, alert.object.name),
    );
    fields.field("seen", line(&alert.detail));
    fields.field("means", &alert.cause);
    fields.field("do", &alert.remedy);
    fields.field("raised", &alert.raised_at);
    fields.field_if("cleared", alert.cleared_at.as_deref());
    if alert.occurrences > 1 {
        fields.field("times", alert.occurrences.to_string());
    }
    if let Some(known) = &alert.acknowledged {
        let note = known.note.as_ref().map(|note| format!(": {note}"));
        let note = note.unwrap_or_default();
        fields.field(
            "acknowledged",
            format!("by {} at {}{note}", known.by, known.at),
        );
    }
    if let Some(unjudged) = &alert.unjudged {
        let text = format!("since {}: {}", unjudged.since, unjudged.why);
        fields.field("cannot be judged", text);
    }
    if let Some(mute) = &alert.muted {
        let text = format!(
            "{} until {} by {}: {}",
            mute.scope, mute.until, mute.by, mute.reason
        );
        fields.field("muted", text);
    }
    let mut text = fields.to_string();
    let mut history = Grid::new(&["AT", "EVENT", "BY", "NOTE"], &[]);
    for entry in &alert.history {
        let told = entry.told_as.as_ref().map(|kind| format!(" as {kind}"));
        history.row([
            entry.at.clone(),
            format!("{}{}", entry.event, told.unwrap_or_default()),
            or_none(entry.by.as_deref()),
            line(entry.note.as_deref().unwrap_or("-")),
        ]);
    }
    let _ = write!(text, "\n{history}");
    let mut deliveries = Grid::new(&["CHANNEL", "TOLD", "STATE", "TRIES", "LAST ERROR"], &[3]);
    for delivery in &alert.deliveries {
        deliveries.row([
            delivery.channel.clone(),
            delivery.kind.clone(),
            delivery.state.clone(),
            delivery.attempts.to_string(),
            line(delivery.last_error.as_deref().unwrap_or("-")),
        ]);
    }
    if !alert.deliveries.is_empty() {
        let _ = write!(text, "\n{deliveries}");
    }
    text
}

/// A channel.
#[derive(Debug, Deserialize)]
pub(crate) struct Channel {
    name: String,
    kind: String,
    minimum_severity: String,
    last_success_at: Option<String>,
    last_failure: Option<LastFailure>,
    failing_since: Option<String>,
    pending: u64,
    given_up: u32,
}

#[derive(Debug, Deserialize)]
struct LastFailure {
    error: String,
}

/// Channels below each other.
pub(crate) fn channels(channels: &Items<Channel>) -> Grid {
    let mut grid = Grid::new(
        &[
            "CHANNEL",
            "KIND",
            "FROM",
            "LAST TAKEN",
            "FAILING SINCE",
            "PENDING",
            "GIVEN UP",
            "LAST ERROR",
        ],
        &[5, 6],
    );
    for channel in &channels.items {
        let error = channel
            .last_failure
            .as_ref()
            .map(|last| last.error.as_str());
        grid.row([
            channel.name.clone(),
            channel.kind.clone(),
            channel.minimum_severity.clone(),
            channel
                .last_success_at
                .clone()
                .unwrap_or_else(|| "never".to_owned()),
            or_none(channel.failing_since.as_deref()),
            channel.pending.to_string(),
            channel.given_up.to_string(),
            line(error.unwrap_or("-")),
        ]);
    }
    grid
}

/// What came of a test.
#[derive(Debug, Deserialize)]
pub(crate) struct Tested {
    channel: String,
    pub(crate) error: Option<String>,
    took_ms: u64,
}

/// A test that was taken, or not.
pub(crate) fn tested(tested: &Tested) -> String {
    let end = if tested.error.is_none() {
        "taken"
    } else {
        "NOT taken"
    };
    format!("{}: {end} after {} ms\n", tested.channel, tested.took_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        serde_json::from_value(serde_json::json!({
            "id": "alr-1", "code": "disconnected", "severity": "critical", "state": "raised",
            "object": {"kind": "group", "id": "grp-1", "name": "shop"},
            "detail": "no gateway\u{1b}[31m", "cause": "c", "remedy": "r", "docs": "d",
            "raised_at": "2026-11-03T10:00:00Z", "cleared_at": null, "occurrences": 3,
            "acknowledged": null, "allowed_actions": [],
            "unjudged": {"since": "2026-11-03T10:05:00Z", "why": "unknown"},
            "muted": {"scope": "code", "until": "2026-11-03T12:00:00Z", "by": "ann", "reason": "move", "at": "x"},
            "history": [{"at": "t", "event": "told", "told_as": "raised", "by": null, "note": null}],
            "deliveries": [{"id": "i", "channel": "ops", "kind": "raised", "at": "t", "state": "pending",
                "ended_at": null, "attempts": 4, "last_error": "status 500"}],
        }))
        .unwrap()
    }

    #[test]
    fn what_an_operator_has_to_know_is_there() {
        let text = show(&alert());
        for words in [
            "raised, muted, cannot be judged now",
            "code until 2026-11-03T12:00:00Z by ann: move",
            "told as raised",
            "status 500",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        let text = list(&Items {
            items: vec![alert()],
            next_cursor: None,
        })
        .to_string();
        assert!(
            text.contains("disconnected") && text.contains("shop"),
            "{text}"
        );
    }
}
