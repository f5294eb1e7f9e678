//! From drills that ended to their reports and runbooks.
//!
//! A report that could not be made keeps nobody from anything: the drill is noted, and tried again
//! every minute and at each start.

use super::{DrillRecord, DrillState, Drills};
use crate::{
    catalog::CatalogError,
    clock,
    drill::evidence::REPORT_NAME,
    groups::{Group, Groups},
    offload::offload,
    record_id::DrillId,
    reports::{
        REPORT_JSON, RUNBOOK_HTML, ReportsError,
        of_drill::{self, Surroundings},
        point_proof::PointProof,
        runbook::runbook,
    },
};
use bcdr_disk::{Access, DiskError, Storage, read_whole};
use bcdr_format::Timestamp;
use bcdr_report::{Digest, Evidence, Language, Outcome, Serial, SubjectKind, html};
use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
    sync::{Arc, MutexGuard, PoisonError},
};

/// What the target calls the console's log.
const CONSOLE_LOG: &str = "serial.log";
/// How much of its end is read, in bytes.
const CONSOLE_BYTES: u64 = 64 << 10;
/// The longest drill.json that is hashed, in bytes.
const DRILL_JSON_BYTES_MAX: u64 = 16 << 20;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

impl Drills {
    pub(super) fn unreported(&self) -> MutexGuard<'_, BTreeSet<DrillId>> {
        self.unreported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Which drills have a report of which end, with its files where there is a place for them.
    pub(super) async fn reported(&self) -> Result<HashSet<(String, DrillState)>, CatalogError> {
        let reports = match self.parts.reports.list(None, None, usize::MAX).await {
            Ok(reports) => reports,
            Err(ReportsError::Catalog(error)) => return Err(error),
            // Lists need nothing but the catalog.
            Err(error) => {
                tracing::error!(%error, "the reports cannot be listed");
                Vec::new()
            }
        };
        let state = |outcome| match outcome {
            Outcome::Passed => Some(DrillState::Passed),
            Outcome::Failed => Some(DrillState::Failed),
            Outcome::Cancelled => Some(DrillState::Cancelled),
            Outcome::CleanupFailed => Some(DrillState::CleanupFailed),
            Outcome::RolledBack => None,
        };
        let drills = reports
            .into_iter()
            .filter(|report| report.kind == SubjectKind::Drill);
        let storage = self.storage();
        let complete = move |report: &crate::reports::ReportRecord| {
            // Evidence that was put away elsewhere is not begun anew. The text is written last.
            let kept = storage.exists(&report.directory);
            let written = storage.exists(&report.directory.join(REPORT_JSON));
            !matches!(kept, Ok(true)) || !matches!(written, Ok(false))
        };
        let drills: Vec<_> = offload(move || drills.filter(complete).collect()).await;
        Ok(drills
            .into_iter()
            .filter_map(|report| Some((report.subject, state(report.trend.result)?)))
            .collect())
    }

    /// Makes the reports that are missing, the oldest drill's first.
    pub(crate) async fn make_up_reports(&self, groups: &Groups) {
        let waiting = self.unreported().clone();
        for id in waiting {
            let record = match self.get(id).await {
                Ok(record) => record,
                Err(error) => {
                    tracing::warn!(drill = %id, %error, "a drill cannot be read for its report");
                    return;
                }
            };
            let group = record.as_ref().and_then(|record| groups.get(record.group));
            let (Some(record), Some(group)) = (record, group) else {
                self.unreported().remove(&id);
                continue;
            };
            // Before the store is open, the point's MAC is not known.
            if record.state.is_final() && group.reader().is_some() {
                self.report_or_note(&record, &group).await;
            }
        }
    }

    /// Makes a drill's report, or notes that it is missing.
    pub(super) async fn report_or_note(&self, record: &DrillRecord, group: &Arc<Group>) {
        self.unreported().insert(record.id);
        match self.report(record, group).await {
            Ok(()) => {
                self.unreported().remove(&record.id);
            }
            Err(error) => {
                tracing::error!(drill = %record.id, %error, "a drill's report could not be made; it is tried again");
            }
        }
    }

    async fn report(&self, record: &DrillRecord, group: &Arc<Group>) -> Result<(), ReportsError> {
        let reports = &self.parts.reports;
        let directory = self.evidence_of(record.id);
        let now = clock::wall();
        let days = i64::from(reports.config().rpo_days.get());
        let from = Timestamp(now.0.saturating_sub(days.saturating_mul(DAY_MICROSECONDS)));
        let period = self.parts.rpo.period(group.id(), from).await?;
        let kept = self.kept_files(&directory, record.report.is_some()).await?;
        let (catalog, lineage) = (Arc::clone(&self.parts.catalog), group.lineage());
        let (point, reader) = (record.point, group.reader());
        let proof =
            offload(move || PointProof::read(&catalog, lineage, point, reader.as_deref())).await?;
        let last_passed = self.axis(group.id()).last_passed;
        let schedules = &self.parts.schedules;
        let around = Surroundings {
            group_name: group.record().name.clone(),
            proof,
            period,
            scheduled: schedules.get(group.id()).is_some(),
            overdue_since: schedules.overdue_since(group.id(), last_passed, now),
            serial: kept.serial,
            more_evidence: kept.drill_json.into_iter().collect(),
            rules: reports.rules(),
            attested: &reports.config().attested,
        };
        let Some(content) = of_drill::content(record, around) else {
            return Ok(());
        };
        let passed = content.result == Outcome::Passed;
        reports
            .publish(group.id(), content, directory.clone())
            .await?;
        if passed {
            let page = self.page_of_runbook(group, Some(record), reports.config().language)?;
            reports.write_file(&directory, RUNBOOK_HTML, page).await?;
        }
        Ok(())
    }

    /// The runbook of a group now.
    pub(crate) async fn runbook(
        &self,
        group: &Arc<Group>,
        language: Language,
    ) -> Result<String, ReportsError> {
        let proof = self.last_passed(group).await?;
        self.page_of_runbook(group, proof.as_ref(), language)
    }

    fn page_of_runbook(
        &self,
        group: &Group,
        proof: Option<&DrillRecord>,
        language: Language,
    ) -> Result<String, ReportsError> {
        let contacts = self.parts.reports.config().contacts.as_deref();
        let now = clock::readable(clock::wall());
        let book = runbook(&self.parts.places, group, proof, contacts, now);
        Ok(html::runbook(&book, language)?)
    }

    async fn last_passed(&self, group: &Group) -> Result<Option<DrillRecord>, CatalogError> {
        let (catalog, id) = (Arc::clone(&self.parts.catalog), group.id());
        let passed =
            move |drill: &DrillRecord| drill.group == id && drill.state == DrillState::Passed;
        let mut found = offload(move || crate::jobs::select(&catalog, None, 1, passed)).await?;
        Ok(found.pop())
    }

    async fn kept_files(&self, directory: &Path, reported: bool) -> Result<Kept, DiskError> {
        if !reported {
            return Ok(Kept::default());
        }
        let (storage, directory) = (self.storage(), directory.to_owned());
        offload(move || Kept::read(&*storage, &directory)).await
    }
}

/// What a report needs of the evidence directory.
#[derive(Debug, Default)]
struct Kept {
    serial: Option<Serial>,
    drill_json: Option<Evidence>,
}

impl Kept {
    fn read(storage: &dyn Storage, directory: &Path) -> Result<Self, DiskError> {
        let console = directory.join(CONSOLE_LOG);
        let serial = if storage.exists(&console)? {
            let file = storage.open(&console, Access::read())?;
            let length = file.length()?;
            let from = length.saturating_sub(CONSOLE_BYTES);
            let mut tail = vec![0; (length - from) as usize];
            file.read_exact_at(&mut tail, from)?;
            Some(Serial::excerpt(CONSOLE_LOG, &tail))
        } else {
            None
        };
        let path = directory.join(REPORT_NAME);
        let drill_json = if storage.exists(&path)? {
            let bytes = read_whole(storage, &path, DRILL_JSON_BYTES_MAX)?;
            Some(Evidence {
                name: REPORT_NAME.to_owned(),
                bytes: bytes.len() as u64,
                blake3: Digest::of(&bytes),
            })
        } else {
            None
        };
        Ok(Self { serial, drill_json })
    }
}
