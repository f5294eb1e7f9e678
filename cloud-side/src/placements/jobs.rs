//! The jobs of failovers, failbacks and restores: what a placement's record says, for those who wait for it.
//!
//! Invariant: the record is the truth; a job only repeats it, and one that a crash left behind it
//! is brought up to it at the next start.

use super::{PlacementParts, job_of};
use crate::{
    catalog::{Catalog, CatalogError},
    jobs::{JobError, JobKind, JobRecord, JobState},
    offload::offload,
    record_id::JobId,
    recovery::{
        FailbackEnd, FailbackRecord, FailoverEnd, FailoverRecord, Failure, Placement, PlacementJob,
        PlacementRecord, RestoreEnd, RestoreRecord, Stage,
    },
};
use std::sync::Arc;

/// Brings the jobs up to a placement, and to records that have just ended.
pub(super) async fn follow(parts: &PlacementParts, placement: &Placement, ended: &[PlacementJob]) {
    for record in ended.iter().chain(placement.job()) {
        if let Some(id) = id_of(record)
            && let Err(error) = tell(parts, id, record).await
        {
            // The next change, or the next start, tells it again.
            tracing::warn!(job = %id, %error, "a job could not be brought up to its record");
        }
    }
}

async fn tell(
    parts: &PlacementParts,
    id: JobId,
    record: &PlacementJob,
) -> Result<(), CatalogError> {
    let phase = record.progress().step.name();
    let end = end_of(record);
    parts
        .jobs
        .update(id, |job| {
            if job.state.is_final() {
                return;
            }
            if job.state == JobState::Queued {
                job.start();
            }
            job.phase = Some(phase);
            if let Some((state, error)) = end {
                job.finish(state, error);
            }
        })
        .await
}

fn id_of(record: &PlacementJob) -> Option<JobId> {
    match record {
        PlacementJob::Failover(job) => job_of(&job.request.request_id),
        PlacementJob::Failback(job) => job_of(&job.request.request_id),
        PlacementJob::Restore(job) => job_of(&job.request.request_id),
    }
}

fn end_of(record: &PlacementJob) -> Option<(JobState, Option<JobError>)> {
    let progress = record.progress();
    if progress.stage != Stage::Ended {
        return None;
    }
    let failure = progress.failure.as_ref().map(error_of);
    let asked_for = match record {
        PlacementJob::Failover(job) => match job.end? {
            FailoverEnd::Committed => return Some((JobState::Succeeded, None)),
            FailoverEnd::Failed => return Some((JobState::Failed, failure)),
            FailoverEnd::RolledBack => "rolled back",
            FailoverEnd::Cancelled => "cancelled",
            FailoverEnd::SourceKept => "ended because the source was kept",
        },
        PlacementJob::Failback(job) => match job.end? {
            FailbackEnd::Committed => return Some((JobState::Succeeded, None)),
            FailbackEnd::Failed => return Some((JobState::Failed, failure)),
            FailbackEnd::RolledBack => "rolled back",
            FailbackEnd::Cancelled => "cancelled",
            FailbackEnd::SourceKept => "ended because the source was kept",
        },
        PlacementJob::Restore(job) => match job.end? {
            RestoreEnd::Restored => return Some((JobState::Succeeded, None)),
            RestoreEnd::Failed => return Some((JobState::Failed, failure)),
            RestoreEnd::Unprotected => "ended before the source was protected again",
            RestoreEnd::PutBack => "put back to where it began",
            RestoreEnd::Cancelled => "cancelled",
            RestoreEnd::FailedOver => "ended because production was failed over",
        },
    };
    let error = JobError::new(
        asked_for.split(' ').next().unwrap_or(asked_for),
        format!("it was {asked_for}"),
        None,
    );
    Some((JobState::Cancelled, failure.or(Some(error))))
}

fn error_of(failure: &Failure) -> JobError {
    JobError::new(&failure.code, &failure.cause, Some(&failure.remedy))
}

/// Takes up the jobs that an earlier process left, and ends those whose record has ended.
pub(super) async fn settle_left_over(parts: &PlacementParts) -> Result<(), CatalogError> {
    for job in parts.jobs.left_over().await? {
        if !matches!(
            job.kind,
            JobKind::Failover | JobKind::Failback | JobKind::Restore
        ) {
            continue;
        }
        let (id, record) = (job.id, record_of(parts, &job).await?);
        parts.jobs.take_up(job);
        if let Some(record) = record {
            tell(parts, id, &record).await?;
        }
    }
    Ok(())
}

async fn record_of(
    parts: &PlacementParts,
    job: &JobRecord,
) -> Result<Option<PlacementJob>, CatalogError> {
    let (catalog, subject) = (Arc::clone(&parts.catalog), job.subject.clone());
    let kind = job.kind;
    offload(move || match kind {
        JobKind::Failover => read::<FailoverRecord>(&catalog, &subject),
        JobKind::Restore => read::<RestoreRecord>(&catalog, &subject),
        _ => read::<FailbackRecord>(&catalog, &subject),
    })
    .await
}

fn read<Record: PlacementRecord>(
    catalog: &Catalog,
    subject: &str,
) -> Result<Option<PlacementJob>, CatalogError> {
    let Ok(id) = subject.parse::<Record::Id>() else {
        return Ok(None);
    };
    let found: Option<Record> = catalog.document(&Record::key_of(id))?;
    Ok(found.map(Record::into_job))
}
