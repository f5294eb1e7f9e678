//! Results, recovery times and recovery points over several reports.

use crate::{Outcome, Report, SubjectKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One report in a trend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrendRow {
    /// The report's id.
    pub report: String,
    /// Its number in the chain.
    pub number: u64,
    /// What it is about.
    pub kind: SubjectKind,
    /// The group's name.
    pub group: String,
    /// When the work was asked for.
    pub requested_at: Timestamp,
    /// How it ended.
    pub result: Outcome,
    /// The recovery time that counts; absent when the machine was not usable.
    pub rto_ms: Option<u64>,
    /// The worst recovery point of the report's period; absent when nobody measured.
    pub rpo_worst_ms: Option<u64>,
    /// The recovery point that 95 of 100 parts of the period did not exceed.
    pub rpo_p95_ms: Option<u64>,
    /// The level that the indicators were consistent with.
    pub level: Option<u8>,
}

/// Reports over time, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trend {
    /// The reports.
    pub rows: Vec<TrendRow>,
}

impl TrendRow {
    /// What a report adds to a trend.
    pub fn of(report: &Report) -> Self {
        let content = &report.content;
        let period = content.recovery_point.period.as_ref();
        Self {
            report: report.id.clone(),
            number: report.number,
            kind: content.subject.kind,
            group: content.group.name.clone(),
            requested_at: content.requested_at,
            result: content.result,
            rto_ms: content.recovery_time.total_ms(),
            rpo_worst_ms: period.map(|period| period.worst_ms),
            rpo_p95_ms: period.map(|period| period.p95_ms),
            level: content.panel.as_ref().and_then(|panel| panel.level),
        }
    }
}

impl Trend {
    /// The trend of these rows, in the chain's order.
    pub fn new(rows: impl IntoIterator<Item = TrendRow>) -> Self {
        let mut rows: Vec<TrendRow> = rows.into_iter().collect();
        rows.sort_by_key(|row| row.number);
        Self { rows }
    }

    /// How many of them passed.
    pub fn passed(&self) -> usize {
        let passed = |row: &&TrendRow| row.result == Outcome::Passed;
        self.rows.iter().filter(passed).count()
    }
}
