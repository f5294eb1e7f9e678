//! The durable records of reports: one row for lists, one with the signed text.

use crate::{catalog::Document, record_id::ReportId};
use bcdr_format::{GroupId, Timestamp};
use bcdr_report::{ChainHead, Digest, SubjectKind, TrendRow};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How far the work was that a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReportStage {
    /// A failover's ladder was climbed; it can still be undone.
    Interim,
    /// It was over.
    #[default]
    Final,
}

/// A report as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportRecord {
    pub(crate) id: ReportId,
    /// Its number in the chain.
    pub(crate) number: u64,
    /// Its digest.
    pub(crate) digest: Digest,
    pub(crate) group: GroupId,
    pub(crate) kind: SubjectKind,
    /// The id of what it is about.
    pub(crate) subject: String,
    pub(crate) made_at: Timestamp,
    /// Where its files and its evidence are.
    pub(crate) directory: PathBuf,
    /// How far the work was.
    #[serde(default)]
    pub(crate) stage: ReportStage,
    /// What it adds to a trend.
    pub(crate) trend: TrendRow,
}

impl ReportRecord {
    pub(crate) fn head(&self) -> ChainHead {
        ChainHead {
            number: self.number,
            digest: self.digest,
        }
    }

    /// A key under which newer reports sort before older ones.
    pub(crate) fn key_of(number: u64) -> String {
        format!("{:016x}", !number)
    }
}

impl Document for ReportRecord {
    const COLLECTION: &'static str = "reports";

    fn key(&self) -> String {
        Self::key_of(self.number)
    }
}

/// The signed text of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportText {
    pub(crate) id: ReportId,
    pub(crate) number: u64,
    pub(crate) json: String,
}

impl Document for ReportText {
    const COLLECTION: &'static str = "report_texts";

    fn key(&self) -> String {
        self.id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_reports_have_lesser_keys() {
        assert!(ReportRecord::key_of(2) < ReportRecord::key_of(1));
        assert!(ReportRecord::key_of(1 << 40) < ReportRecord::key_of(255));
    }
}
