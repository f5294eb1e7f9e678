//! The end of every drill: destroy, prove, and the same for a drill whose process died.
//!
//! Invariant: a clean-up works from the durable record alone and may be repeated.

use std::{path::Path, sync::Arc};

use bcdr_disk::Storage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    DrillReport, DrillResult, EvidenceError, PointDescription, RecoveryTimes,
    engine::{Halt, judge},
    evidence::{Evidence, RECORD_NAME, REPORT_NAME},
    report::{CleanupReport, IsolationLog, IsolationReport, REPORT_VERSION},
    script,
};
use crate::target::{InstanceRecord, Proof, Target, TargetError};

/// What a later process needs to clean up after a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrillRecord {
    /// The drill's id.
    pub(super) drill: String,
    /// The protection group.
    pub(super) group: String,
    /// The point.
    pub(super) point: PointDescription,
    /// When it was requested.
    pub(super) requested_at: Timestamp,
    /// What the target created.
    pub(super) instance: InstanceRecord,
}

/// Why a leftover drill could not be dealt with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeftoverError {
    /// Its record or report cannot be read or written.
    #[error("cannot clean up after a drill: {0}")]
    Evidence(#[from] EvidenceError),
}

/// The instance of a drill, once it was planned.
///
/// # Errors
/// When its record cannot be read.
pub(crate) async fn instance_of(
    storage: Arc<dyn Storage>,
    evidence_directory: &Path,
) -> Result<Option<InstanceRecord>, EvidenceError> {
    let evidence = Evidence::new(storage, evidence_directory.to_owned());
    let record = evidence.read_json::<DrillRecord>(RECORD_NAME).await?;
    Ok(record.map(|record| record.instance))
}

/// Destroys the instance; a failed attempt is repeated once, since its cause may have passed.
pub(super) async fn destroy(
    target: &dyn Target,
    record: &InstanceRecord,
) -> Result<(), TargetError> {
    match target.destroy(record).await {
        Ok(()) => Ok(()),
        Err(first) => {
            tracing::warn!(instance = %record.instance, error = %first, "repeating a failed clean-up");
            target.destroy(record).await
        }
    }
}

/// Proves the clean-up; a proof that cannot be made is a gap.
pub(super) async fn prove(target: &dyn Target, record: Option<&InstanceRecord>) -> Proof {
    let mut proof = Proof::default();
    let Some(record) = record else {
        proof.note("instance", true, "none was planned, so nothing was created");
        return proof;
    };
    match target.prove_destroyed(record).await {
        Ok(proof) => proof,
        Err(error) => {
            proof.note(
                "instance",
                false,
                format!("it could not be looked for: {error}"),
            );
            proof
        }
    }
}

/// Cleans up after a drill whose process died, and writes the report it could not write.
///
/// Returns `None` when the drill had not planned an instance yet, so that nothing can be left. A
/// drill that had written its report keeps it, unless something is left now. May be repeated.
///
/// # Errors
/// When the record or the report cannot be read or written. A clean-up that fails is no error but a
/// report with the result [`DrillResult::CleanupFailed`].
pub async fn clean_up_leftover(
    target: &dyn Target,
    storage: Arc<dyn Storage>,
    evidence_directory: &Path,
) -> Result<Option<DrillReport>, LeftoverError> {
    let evidence = Evidence::new(storage, evidence_directory.to_owned());
    let Some(record) = evidence.read_json::<DrillRecord>(RECORD_NAME).await? else {
        return Ok(None);
    };
    let destroyed = destroy(target, &record.instance).await;
    let mut proof = prove(target, Some(&record.instance)).await;
    if let Err(error) = destroyed {
        proof.note("destroying the instance", false, error.to_string());
    }
    script::end_all_left(&evidence, &mut proof).await;
    let finished = evidence.read_json::<DrillReport>(REPORT_NAME).await?;
    if let Some(report) = finished.filter(|report| proof.holds() && report.cleanup.complete) {
        return Ok(Some(report));
    }
    let report = leftover_report(target, record, proof, evidence.seal().await?);
    evidence.keep_json(REPORT_NAME, &report).await?;
    Ok(Some(report))
}

fn leftover_report(
    target: &dyn Target,
    record: DrillRecord,
    proof: Proof,
    evidence: Vec<super::EvidenceFile>,
) -> DrillReport {
    let halt = Halt::Failed(
        "the process that ran the drill ended before the drill did; the machine was removed when \
         it came back"
            .to_owned(),
    );
    let isolation = IsolationReport::from_log(&IsolationLog::default());
    let (result, reason) = judge(Some(&halt), &isolation, &proof);
    DrillReport {
        report_version: REPORT_VERSION,
        drill: record.drill,
        group: record.group,
        point: record.point,
        target: target.name().to_owned(),
        result,
        reason,
        requested_at: record.requested_at,
        finished_at: Timestamp::now(),
        launch_settings: None,
        precheck: None,
        phases: Vec::new(),
        rungs: Vec::new(),
        recovery_times: RecoveryTimes::default(),
        canary: None,
        isolation,
        overlay_bytes: 0,
        evidence,
        cleanup: CleanupReport::from(proof),
        replica: None,
    }
}

/// A report that could not be kept is not the report of a success.
pub(super) fn note_unkept_report(report: &mut DrillReport, error: &EvidenceError) {
    let trouble = format!("the report was not kept: {error}");
    if report.result == DrillResult::Passed {
        report.result = DrillResult::Failed;
    }
    report.reason = Some(match report.reason.take() {
        Some(reason) => format!("{reason}; {trouble}"),
        None => trouble,
    });
}
