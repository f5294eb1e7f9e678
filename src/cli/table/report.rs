//! Reports for people.

use super::{Fields, Grid, NONE, UNKNOWN, line, or_none};
use crate::cli::{client::Items, units};
use serde::Deserialize;

/// A report in a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    id: String,
    number: u64,
    kind: String,
    #[serde(default)]
    interim: bool,
    subject: String,
    #[serde(default)]
    group_name: Option<String>,
    result: String,
    requested_at: String,
    #[serde(default)]
    rto_ms: Option<u64>,
    #[serde(default)]
    rpo_worst_ms: Option<u64>,
    #[serde(default)]
    level: Option<u8>,
}

/// A signed report, as far as people are shown it here; its page has everything.
#[derive(Debug, Deserialize)]
pub(crate) struct Signed {
    report: Report,
}

#[derive(Debug, Deserialize)]
struct Report {
    id: String,
    number: u64,
    made_at: String,
    #[serde(default)]
    previous: Option<String>,
    content: bcdr_report::Content,
}

/// The key that reports are signed with.
#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    key: String,
    pem: String,
    #[serde(default)]
    head: Option<Head>,
}

#[derive(Debug, Deserialize)]
struct Head {
    number: u64,
    digest: String,
}

/// What the verifier found.
#[derive(Debug, Deserialize)]
pub(crate) struct Verified {
    valid: bool,
    key_checked: bool,
    evidence_checked: bool,
    end_checked: bool,
    reports: Vec<VerifiedRow>,
    findings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct VerifiedRow {
    file: String,
    id: String,
    number: u64,
    subject: String,
    result: String,
}

fn time(milliseconds: Option<u64>) -> String {
    milliseconds.map_or_else(
        || UNKNOWN.to_owned(),
        |milliseconds| units::seconds(milliseconds as f64 / 1000.0),
    )
}

fn level(level: Option<u8>) -> String {
    level.map_or_else(|| NONE.to_owned(), |level| level.to_string())
}

/// `bcdr report list`
pub(crate) fn list(reports: &Items<Row>) -> Grid {
    let headers = [
        "NUMBER",
        "ID",
        "KIND",
        "OF",
        "GROUP",
        "RESULT",
        "RTO",
        "WORST RPO",
        "LEVEL",
        "REQUESTED",
    ];
    let mut grid = Grid::new(&headers, &[0, 6, 7, 8]);
    for report in &reports.items {
        grid.row([
            report.number.to_string(),
            report.id.clone(),
            if report.interim {
                format!("{} (at boot)", report.kind)
            } else {
                report.kind.clone()
            },
            report.subject.clone(),
            or_none(report.group_name.as_deref()),
            report.result.clone(),
            time(report.rto_ms),
            time(report.rpo_worst_ms),
            level(report.level),
            report.requested_at.clone(),
        ]);
    }
    grid.and_more(reports.next_cursor.as_ref())
}

/// One report.
pub(crate) fn show(signed: &Signed) -> String {
    let report = &signed.report;
    let content = &report.content;
    let mut fields = Fields::new();
    fields.field(
        "report",
        format!("{} (number {})", report.id, report.number),
    );
    fields.field("made", &report.made_at);
    fields.field("continues", or_none(report.previous.as_deref()));
    fields.field(content.subject.kind.name(), &content.subject.id);
    fields.field(
        "group",
        format!("{} ({})", content.group.name, content.group.id),
    );
    fields.field("point", &content.point.id);
    fields.field("result", content.result.name());
    fields.field_if("reason", content.reason.as_deref().map(line));
    let interruption = content.interruption.as_ref();
    fields.field(
        "interruption",
        interruption.map_or_else(
            || "none was entered".to_owned(),
            |interruption| format!("{}, entered by {}", interruption.at, interruption.by),
        ),
    );
    let times = &content.recovery_time;
    fields.field("RTO from interruption", time(times.from_interruption_ms));
    fields.field("RTO from request", time(times.from_request_ms));
    fields.field(
        "RPO of this point",
        time(content.recovery_point.this_point_ms),
    );
    let period = content.recovery_point.period.as_ref();
    fields.field("RPO worst", time(period.map(|period| period.worst_ms)));
    fields.field("RPO p95", time(period.map(|period| period.p95_ms)));
    if let Some(period) = period {
        let blind = time(Some(period.blind_ms));
        fields.field(
            "RPO period",
            format!(
                "{} to {}, {blind} without measurement",
                period.from, period.to
            ),
        );
    }
    if let Some(panel) = &content.panel {
        let consistent = match panel.level {
            Some(level) => format!("measured indicators consistent with level {level}"),
            None => "measured indicators consistent with no level".to_owned(),
        };
        fields.field(&panel.edition, consistent);
    }
    let mut grid = Grid::new(&["RUNG", "RESULT", "AFTER", "SEEN"], &[2]);
    for rung in &content.rungs {
        let verdict = match rung.verdict {
            bcdr_report::Verdict::Passed => "passed",
            bcdr_report::Verdict::Failed => "failed",
            bcdr_report::Verdict::Unknown => "unknown",
            bcdr_report::Verdict::NotRun => "not run",
        };
        let seen = rung.reason.as_deref().or(rung.observed.as_deref());
        grid.row([
            rung.name.clone(),
            verdict.to_owned(),
            rung.at_ms
                .map_or_else(|| NONE.to_owned(), |at| time(Some(at))),
            seen.map(line).unwrap_or_default(),
        ]);
    }
    format!("{fields}\n{grid}")
}

/// `bcdr report key`: text before the key does not keep anybody from reading it.
pub(crate) fn key(key: &Key) -> String {
    let head = match &key.head {
        Some(head) => format!("newest report {}, digest {}", head.number, head.digest),
        None => "no report yet".to_owned(),
    };
    format!("# key {}\n# {head}\n{}", super::plain(&key.key), key.pem)
}

/// `bcdr report trend`
pub(crate) fn trend(trend: &bcdr_report::Trend) -> String {
    let headers = [
        "NUMBER",
        "REQUESTED",
        "GROUP",
        "KIND",
        "RESULT",
        "RTO",
        "WORST RPO",
        "P95 RPO",
        "LEVEL",
    ];
    let mut grid = Grid::new(&headers, &[0, 5, 6, 7, 8]);
    for row in &trend.rows {
        grid.row([
            row.number.to_string(),
            row.requested_at.to_string(),
            row.group.clone(),
            row.kind.name().to_owned(),
            row.result.name().to_owned(),
            time(row.rto_ms),
            time(row.rpo_worst_ms),
            time(row.rpo_p95_ms),
            level(row.level),
        ]);
    }
    format!(
        "{grid}\npassed {} of {}\n",
        trend.passed(),
        trend.rows.len()
    )
}

/// `bcdr report verify`
pub(crate) fn verified(verified: &Verified) -> String {
    let mut grid = Grid::new(&["NUMBER", "ID", "OF", "RESULT", "FILE"], &[0]);
    for report in &verified.reports {
        grid.row([
            report.number.to_string(),
            report.id.clone(),
            report.subject.clone(),
            report.result.clone(),
            report.file.clone(),
        ]);
    }
    let mut text = format!("{grid}\n");
    for finding in &verified.findings {
        text.push_str(&format!("WRONG  {}\n", super::plain(finding)));
    }
    let checked =
        |checked: bool, yes: &'static str, no: &'static str| if checked { yes } else { no };
    text.push_str(&format!(
        "{}: {}; {}; {}\n",
        checked(verified.valid, "valid", "NOT VALID"),
        checked(
            verified.key_checked,
            "signed with the key given",
            "whose key it is was not checked (--key)"
        ),
        checked(
            verified.evidence_checked,
            "evidence checked",
            "evidence not checked (--evidence)"
        ),
        checked(
            verified.end_checked,
            "nothing is missing at the end",
            "whether newer ones are missing was not checked (--end)"
        ),
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_unknown() {
        let text = r#"{"items":[{"id":"rep-1","number":3,"kind":"drill","subject":"drl-1","group_name":"lab",
            "result":"failed","requested_at":"T","rto_ms":null,"rpo_worst_ms":1200,"level":null}],"next_cursor":null}"#;
        let shown = list(&serde_json::from_str(text).unwrap()).to_string();
        assert!(
            shown.contains("unknown") && shown.contains("1.20 s"),
            "{shown}"
        );
    }

    #[test]
    fn the_verifiers_words_say_what_was_not_checked() {
        let text = r#"{"valid":false,"key_checked":false,"evidence_checked":true,"end_checked":false,
            "reports":[],"findings":["1.json: it was edited"]}"#;
        let shown = verified(&serde_json::from_str(text).unwrap());
        for part in [
            "WRONG  1.json: it was edited",
            "NOT VALID",
            "--key",
            "evidence checked",
            "--end",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn a_key_is_printed_so_that_it_is_read_back() {
        let (secret, _) = bcdr_report::SigningKey::generate().unwrap();
        let public = secret.public();
        let shown = key(&Key {
            key: public.to_string(),
            pem: public.to_pem(),
            head: None,
        });
        assert_eq!(bcdr_report::PublicKey::from_pem(&shown).unwrap(), public);
    }
}
