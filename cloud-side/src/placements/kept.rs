//! What steps saw that a placement's record does not hold, and the reports that are owed.
//!
//! Plain data. Invariants: what a ladder or a comparison saw is durable before its step is answered; a
//! report is owed from the very transaction on that makes it due.

use crate::{
    catalog::Document,
    drill::RungResult,
    receive::{BatchNumber, PointId},
    recovery::{
        BranchName, FailbackId, FailoverId, Placement, PlacementJob, Progress, Stage, Step,
    },
    reports::ReportStage,
};
use bcdr_format::{Generation, GroupId, Timestamp};
use bcdr_report::{Evidence, Serial};
use serde::{Deserialize, Serialize};

/// What the climb of a failover's ladder saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClimbedLadder {
    pub(crate) failover: FailoverId,
    /// The generation that the machine runs under.
    pub(crate) generation: Option<Generation>,
    /// When the machine was launched; the rungs count from here.
    pub(crate) launched_at: Timestamp,
    pub(crate) rungs: Vec<RungResult>,
    /// The end of the console then.
    pub(crate) console: Option<Serial>,
    /// The files that were kept.
    pub(crate) evidence: Vec<Evidence>,
    /// Which of them is the picture of the screen.
    pub(crate) screenshot: Option<String>,
}

impl Document for ClimbedLadder {
    const COLLECTION: &'static str = "climbed_ladders";

    fn key(&self) -> String {
        self.failover.newest_first_key()
    }
}

/// What the last comparison of the disks at home with a failback's branch said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ComparedHome {
    pub(crate) failback: FailbackId,
    pub(crate) branch: BranchName,
    /// The last batch of the branch that was compared.
    pub(crate) batch: BatchNumber,
    pub(crate) point: PointId,
    pub(crate) equal: bool,
    pub(crate) detail: String,
    pub(crate) at: Timestamp,
}

impl Document for ComparedHome {
    const COLLECTION: &'static str = "compared_homes";

    fn key(&self) -> String {
        self.failback.newest_first_key()
    }
}

/// Whose report is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OwedJob {
    Failover(FailoverId),
    Failback(FailbackId),
}

/// A report that is due and not made yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwedReport {
    pub(crate) group: GroupId,
    pub(crate) job: OwedJob,
    pub(crate) stage: ReportStage,
    pub(crate) since: Timestamp,
}

impl Document for OwedReport {
    const COLLECTION: &'static str = "owed_reports";

    /// Older ones come first; the one at the end of a ladder before the final one.
    fn key(&self) -> String {
        let job = match self.job {
            OwedJob::Failover(id) => id.to_string(),
            OwedJob::Failback(id) => id.to_string(),
        };
        let stage = match self.stage {
            ReportStage::Interim => 0,
            ReportStage::Final => 1,
        };
        format!("{:020}/{stage}/{job}", self.since.0.max(0))
    }
}

/// A report that is owed, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) group: GroupId,
    /// The id of the failover or failback.
    pub(crate) job: String,
    pub(crate) since: Timestamp,
}

impl Owed {
    pub(super) fn of(report: &OwedReport) -> Self {
        Self {
            group: report.group,
            job: match report.job {
                OwedJob::Failover(id) => id.to_string(),
                OwedJob::Failback(id) => id.to_string(),
            },
            since: report.since,
        }
    }
}

/// The reports that become due when a placement changes. `records` are those of jobs that are
/// persisted with it. A restore in place has no report.
pub(super) fn owed(
    was: &Placement,
    next: &Placement,
    records: &[PlacementJob],
    now: Timestamp,
) -> Vec<OwedReport> {
    let owed = |job, stage| OwedReport {
        group: next.group(),
        job,
        stage,
        since: now,
    };
    let ladder = climbed(next).filter(|id| climbed(was) != Some(*id));
    let ladder = ladder.map(|id| owed(OwedJob::Failover(id), ReportStage::Interim));
    let ended = records
        .iter()
        .filter(|record| is_ended(record.progress()))
        .filter_map(|record| match record {
            PlacementJob::Failover(job) => Some(OwedJob::Failover(job.id)),
            PlacementJob::Failback(job) => Some(OwedJob::Failback(job.id)),
            PlacementJob::Restore(_) => None,
        });
    let ended = ended.map(|job| owed(job, ReportStage::Final));
    ladder.into_iter().chain(ended).collect()
}

/// The failover whose ladder was climbed, while it is on its way.
fn climbed(placement: &Placement) -> Option<FailoverId> {
    match placement.job() {
        Some(PlacementJob::Failover(job)) if job.progress.begun(Step::AwaitCommit) => Some(job.id),
        _ => None,
    }
}

fn is_ended(progress: &Progress) -> bool {
    progress.stage == Stage::Ended
}
