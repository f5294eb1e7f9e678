//! From failovers and failbacks that came to something to their reports.
//!
//! Owed reports are durable with what makes them due; this makes them, one after the other, and tries
//! again what could not be made. Invariants: a report is owed until it and its files are durable; what
//! was published once is never made anew, only its files are written again.

use super::{
    Known, PlacementParts,
    kept::{OwedJob, OwedReport},
};
use crate::{
    catalog::{CatalogError, Document as _},
    clock,
    groups::Group,
    offload::offload,
    receive::BatchNumber,
    recovery::{BranchName, FailbackRecord, FailoverRecord},
    replica::{ChunkCache, ViewError, ViewReader},
    reports::{
        ReportsError,
        of_placement::{self, Around},
        point_proof::PointProof,
    },
    views::{digest, written_bytes},
};
use bcdr_format::{GroupId, Timestamp};
use bcdr_report::{Content, RpoPeriod};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often it is looked for reports that are owed, besides when one becomes due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How soon a report is tried again that could not be made.
const AGAIN: Duration = Duration::from_secs(5);
/// Images with more data than this are not hashed, as for drills.
const HASHED_BYTES_MAX: u64 = 4 << 30;
/// Plaintext that hashing keeps in memory, in bytes.
const CACHE_BYTES: usize = 16 << 20;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// Why a report is still owed.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("the store of its group is not open yet")]
    NotOpen,
    #[error(transparent)]
    Reports(#[from] ReportsError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Makes the reports of all groups.
pub(super) struct Reporter {
    pub(super) parts: Arc<PlacementParts>,
    pub(super) known: Arc<Mutex<HashMap<GroupId, Known>>>,
    /// Told when a report becomes due.
    pub(super) owed: Arc<Notify>,
    pub(super) stopping: CancellationToken,
}

impl Reporter {
    pub(super) async fn run(self) {
        loop {
            let pause = tokio::select! {
                // What is half made is made again by the next process.
                () = self.stopping.cancelled() => return,
                all = self.make_owed() => if all { LOOK_EVERY } else { AGAIN },
            };
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = self.owed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Makes every report that is owed. Says whether none is left.
    async fn make_owed(&self) -> bool {
        let catalog = Arc::clone(&self.parts.catalog);
        let owed = offload(move || catalog.documents::<OwedReport>(None, usize::MAX)).await;
        let owed = match owed {
            Ok(owed) => owed,
            Err(error) => {
                tracing::error!(%error, "the reports that are owed cannot be listed");
                return false;
            }
        };
        // The reports of a group are put into the chain in the order in which they became due.
        let mut waiting: HashSet<GroupId> = HashSet::new();
        for report in owed {
            if waiting.contains(&report.group) {
                continue;
            }
            let Err(error) = self.make(&report).await else {
                continue;
            };
            waiting.insert(report.group);
            if !matches!(error, ReportError::NotOpen) {
                tracing::error!(job = ?report.job, %error, "a report could not be made; it is tried again");
            }
        }
        waiting.is_empty()
    }

    async fn make(&self, owed: &OwedReport) -> Result<(), ReportError> {
        let group = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&owed.group).map(|known| Arc::clone(&known.group))
        };
        let Some(group) = group else {
            // Its group is not served by this process.
            return Err(ReportError::NotOpen);
        };
        let reports = &self.parts.reports;
        let subject = match owed.job {
            OwedJob::Failover(id) => id.to_string(),
            OwedJob::Failback(id) => id.to_string(),
        };
        let directory = self.parts.evidence_directory.join(&subject);
        if !reports.rewrite(&subject, owed.stage).await? {
            // Before the store is open, neither the point's MAC nor its image is known.
            if group.reader().is_none() {
                return Err(ReportError::NotOpen);
            }
            let content = match owed.job {
                OwedJob::Failover(id) => {
                    self.of_failover(id.newest_first_key(), owed, &group).await
                }
                OwedJob::Failback(id) => self.of_failback(id.newest_first_key(), &group).await,
            }?;
            if let Some(content) = content {
                reports
                    .publish_stage(group.id(), content, directory, owed.stage)
                    .await?;
            }
        }
        let (catalog, key) = (Arc::clone(&self.parts.catalog), owed.key());
        offload(move || catalog.remove_document::<OwedReport>(&key)).await?;
        Ok(())
    }

    async fn of_failover(
        &self,
        key: String,
        owed: &OwedReport,
        group: &Arc<Group>,
    ) -> Result<Option<Content>, ReportError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let found = offload(move || {
            let record: Option<FailoverRecord> = catalog.document(&key)?;
            Ok::<_, CatalogError>((record, catalog.document(&key)?))
        })
        .await?;
        let (Some(record), climbed) = found else {
            return Ok(None);
        };
        let proof = self.proof(group, record.point).await?;
        let image = match &proof.row {
            Some(row) => image_of_replica(&self.parts, group, row.number).await,
            None => None,
        };
        let last_passed = self.parts.reports.last_passed_drill(group.id()).await?;
        let schedules = &self.parts.schedules;
        let around = Around {
            group_name: group.record().name.clone(),
            proof,
            period: self.period(group).await?,
            image,
            target: self.parts.target.name().to_owned(),
            overdue: schedules
                .overdue_since(group.id(), last_passed, clock::wall())
                .is_some(),
            rules: self.parts.reports.rules(),
            attested: &self.parts.reports.config().attested,
        };
        Ok(of_placement::failover(
            &record,
            owed.stage,
            climbed.as_ref(),
            around,
        ))
    }

    async fn of_failback(
        &self,
        key: String,
        group: &Arc<Group>,
    ) -> Result<Option<Content>, ReportError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let found = offload(move || {
            let record: Option<FailbackRecord> = catalog.document(&key)?;
            Ok::<_, CatalogError>((record, catalog.document::<super::kept::ComparedHome>(&key)?))
        })
        .await?;
        let (Some(record), compared) = found else {
            return Ok(None);
        };
        let changed_bytes = self.written_to(&record.branch).await?;
        let image = match &compared {
            Some(compared) if compared.equal => {
                image_of_branch(&self.parts, &compared.branch, compared.batch).await
            }
            _ => None,
        };
        let around = Around {
            group_name: group.record().name.clone(),
            proof: self.proof(group, Some(record.fork)).await?,
            period: self.period(group).await?,
            image,
            target: self.parts.target.name().to_owned(),
            overdue: false,
            rules: self.parts.reports.rules(),
            attested: &self.parts.reports.config().attested,
        };
        Ok(of_placement::failback(
            &record,
            compared.as_ref(),
            changed_bytes,
            around,
        ))
    }

    async fn proof(
        &self,
        group: &Arc<Group>,
        point: Option<crate::receive::PointId>,
    ) -> Result<PointProof, CatalogError> {
        let (catalog, lineage) = (Arc::clone(&self.parts.catalog), group.lineage());
        let reader = group.reader();
        offload(move || match point {
            Some(point) => PointProof::read(&catalog, lineage, point, reader.as_deref()),
            None => Ok(PointProof::default()),
        })
        .await
    }

    async fn period(&self, group: &Group) -> Result<Option<RpoPeriod>, CatalogError> {
        let days = i64::from(self.parts.reports.config().rpo_days.get());
        let back = days.saturating_mul(DAY_MICROSECONDS);
        let from = Timestamp(clock::wall().0.saturating_sub(back));
        self.parts.rpo.period(group.id(), from).await
    }

    /// Bytes written to a branch since it was made; none where it is not known any more.
    async fn written_to(&self, branch: &BranchName) -> Result<Option<u64>, CatalogError> {
        let known = branch.0.parse().ok();
        let known = known.and_then(|id| self.parts.branches.known_branch(id));
        let Some(known) = known else { return Ok(None) };
        let (catalog, lineage) = (Arc::clone(&self.parts.catalog), known.record.lineage);
        let written = offload(move || catalog.written_after(lineage, BatchNumber(0))).await?;
        Ok(Some(written))
    }
}

/// The digest of the image at a batch of a group's replica; none if it holds too much for that.
async fn image_of_replica(
    parts: &PlacementParts,
    group: &Group,
    batch: BatchNumber,
) -> Option<String> {
    let (reader, opener) = (group.reader()?, parts.views.opener());
    hashed(move || {
        let cache = Arc::new(ChunkCache::new(CACHE_BYTES));
        reader.open_view(batch, opener, cache).map(Arc::new)
    })
    .await
}

/// The same at a batch of a branch.
async fn image_of_branch(
    parts: &PlacementParts,
    branch: &BranchName,
    batch: BatchNumber,
) -> Option<String> {
    let branch = parts.branches.get(branch.0.parse().ok()?)?;
    hashed(move || branch.view(batch)).await
}

async fn hashed(
    open: impl FnOnce() -> Result<Arc<ViewReader>, ViewError> + Send + 'static,
) -> Option<String> {
    let hashed = offload(move || {
        let view = open()?;
        if written_bytes(&view)? > HASHED_BYTES_MAX {
            return Ok(None);
        }
        digest(&view).map(Some)
    })
    .await;
    hashed.unwrap_or_else(|error: ViewError| {
        tracing::warn!(%error, "an image could not be hashed for its report");
        None
    })
}
