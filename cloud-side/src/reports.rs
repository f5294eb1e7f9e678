//! Reports: made, signed, kept and shown.
//!
//! Owns the chain of the installation's reports: the catalog holds every signed text, and the files
//! in the evidence directories are copies of it. Invariants: two reports never have one number;
//! a report's text and its row are durable together before its files are written, and files that a
//! crash kept from being written are written by the next attempt. [`of_drill`] says what a drill's
//! report holds, [`of_placement`] what a failover's and a failback's does.

mod key;
pub(crate) mod of_drill;
pub(crate) mod of_placement;
pub(crate) mod point_proof;
mod record;
pub(crate) mod runbook;

pub(crate) use record::{ReportRecord, ReportStage};

use crate::{
    catalog::{Catalog, CatalogError, DocumentRow},
    clock,
    config::ReportsConfig,
    jobs::select,
    offload::offload,
    record_id::ReportId,
};
use bcdr_disk::{DiskError, Storage, read_whole, replace_atomically};
use bcdr_format::{GroupId, InstallationId};
use bcdr_report::{
    ChainHead, Content, Finding, KeyError, Language, Outcome, Rules, RulesError, SealError, Sealed,
    SigningKey, SubjectKind, Trend, TrendRow,
    html::{self, HtmlError, Screenshot},
    seal,
};
use record::ReportText;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// The signed report in an evidence directory.
pub(crate) const REPORT_JSON: &str = "report.json";
/// Its form for people.
pub(crate) const REPORT_HTML: &str = "report.html";
/// The report of a failover at the end of its ladder; the other one is of all of it.
pub(crate) const INTERIM_JSON: &str = "report-at-boot.json";
/// Its form for people.
pub(crate) const INTERIM_HTML: &str = "report-at-boot.html";
/// What to do without any system running.
pub(crate) const RUNBOOK_HTML: &str = "runbook.html";
/// The longest picture that is shown, in bytes.
const PICTURE_BYTES_MAX: u64 = 32 << 20;

/// Why a report cannot be made or shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReportsError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The signing key cannot be used.
    #[error("cannot use the signing key {path}: {source}")]
    Key {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// The signing key is gone.
    #[error(
        "the signing key {path} is missing, and reports were signed with it: restore it from a backup of the state directory; until then no report can be made"
    )]
    KeyMissing {
        /// Its file.
        path: PathBuf,
    },
    /// The text has no canonical form.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What the catalog holds is not what was signed.
    #[error(
        "{0}; the catalog was edited or the signing key exchanged: restore both from one backup"
    )]
    Damaged(#[from] Finding),
    /// A page cannot be made.
    #[error(transparent)]
    Html(#[from] HtmlError),
    /// The rules cannot be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// What reports work with.
#[derive(Debug)]
pub(crate) struct ReportParts {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) installation: InstallationId,
    /// Where the signing key is.
    pub(crate) key: PathBuf,
    pub(crate) config: ReportsConfig,
}

/// All reports.
#[derive(Debug)]
pub(crate) struct Reports {
    parts: ReportParts,
    rules: Rules,
    key: OnceLock<Arc<SigningKey>>,
    // One report is put into the chain at a time.
    one: tokio::sync::Mutex<()>,
}

impl Reports {
    /// # Errors
    /// When the rules cannot be read, or operators attest what the edition does not have.
    pub(crate) fn new(parts: ReportParts) -> Result<Self, ReportsError> {
        let rules = Rules::edition_2007()?;
        rules.check(&parts.config.attested)?;
        Ok(Self {
            parts,
            rules,
            key: OnceLock::new(),
            one: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn config(&self) -> &ReportsConfig {
        &self.parts.config
    }

    /// The signing key, made at its first use.
    pub(crate) async fn key(&self) -> Result<Arc<SigningKey>, ReportsError> {
        if let Some(key) = self.key.get() {
            return Ok(Arc::clone(key));
        }
        let _one = self.one.lock().await;
        self.key_alone().await
    }

    /// The same, for who holds the lock.
    async fn key_alone(&self) -> Result<Arc<SigningKey>, ReportsError> {
        if let Some(key) = self.key.get() {
            return Ok(Arc::clone(key));
        }
        let catalog = Arc::clone(&self.parts.catalog);
        let signed_audit = offload(move || crate::audit::has_head(&catalog)).await?;
        let may_make = self.head().await?.is_none() && !signed_audit;
        let (storage, path) = (Arc::clone(&self.parts.storage), self.parts.key.clone());
        let key = offload(move || key::load(&*storage, &path, may_make)).await?;
        Ok(Arc::clone(self.key.get_or_init(|| Arc::new(key))))
    }

    /// The newest report of the chain.
    pub(crate) async fn head(&self) -> Result<Option<ChainHead>, ReportsError> {
        let newest = self.list(None, None, 1).await?;
        Ok(newest.first().map(ReportRecord::head))
    }

    /// A page of reports, newest first, after the one with this number.
    pub(crate) async fn list(
        &self,
        group: Option<GroupId>,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<ReportRecord>, ReportsError> {
        self.find(after, limit, move |report| {
            group.is_none_or(|group| report.group == group)
        })
        .await
    }

    async fn find(
        &self,
        after: Option<u64>,
        limit: usize,
        wanted: impl Fn(&ReportRecord) -> bool + Send + 'static,
    ) -> Result<Vec<ReportRecord>, ReportsError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let after = after.map(ReportRecord::key_of);
        Ok(offload(move || select(&catalog, after, limit, wanted)).await?)
    }

    /// The newest report with this id, or about this subject.
    pub(crate) async fn get(&self, id: &str) -> Result<Option<ReportRecord>, ReportsError> {
        let id = id.to_owned();
        let found = self.find(None, 1, move |report| {
            report.subject == id || report.id.to_string() == id
        });
        Ok(found.await?.pop())
    }

    /// The signed text of a report, checked against its signature.
    pub(crate) async fn sealed(&self, record: &ReportRecord) -> Result<Sealed, ReportsError> {
        let key = self.key().await?.public();
        self.sealed_by(record, &key).await
    }

    async fn sealed_by(
        &self,
        record: &ReportRecord,
        key: &bcdr_report::PublicKey,
    ) -> Result<Sealed, ReportsError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let id = record.id.to_string();
        let name = id.clone();
        let text: Option<ReportText> = offload(move || catalog.document(&id)).await?;
        let json = text.map(|text| text.json).unwrap_or_default();
        Ok(Sealed::read(&name, json, key)?)
    }

    /// The page of a report.
    pub(crate) async fn page(
        &self,
        record: &ReportRecord,
        language: Language,
    ) -> Result<String, ReportsError> {
        let sealed = self.sealed(record).await?;
        self.page_of(&sealed, &record.directory, language).await
    }

    async fn page_of(
        &self,
        sealed: &Sealed,
        directory: &Path,
        language: Language,
    ) -> Result<String, ReportsError> {
        let key = self.key.get().map(|key| key.public());
        let Some(key) = key else {
            return Err(ReportsError::KeyMissing {
                path: self.parts.key.clone(),
            });
        };
        let picture = sealed.report.content.screenshot.clone();
        let path = picture.map(|name| directory.join(name));
        let storage = Arc::clone(&self.parts.storage);
        let sealed = sealed.clone();
        offload(move || {
            let kept = match path {
                Some(path) => read_whole(&*storage, &path, PICTURE_BYTES_MAX)
                    .map_err(|error| error.to_string()),
                None => Err(String::new()),
            };
            let screenshot = Screenshot::of(&sealed.report, kept);
            Ok(html::report(&sealed, &key, &screenshot, language)?)
        })
        .await
    }

    /// The trend over the newest `limit` reports of drills. A failover is another measurement: with its
    /// interruption, its decisions and its waits it would make a line of two things.
    pub(crate) async fn trend(
        &self,
        group: Option<GroupId>,
        limit: usize,
    ) -> Result<Trend, ReportsError> {
        let drills = self.find(None, limit, move |report| {
            let of_group = group.is_none_or(|group| report.group == group);
            of_group && report.kind == SubjectKind::Drill
        });
        let reports = drills.await?;
        Ok(Trend::new(reports.into_iter().map(|report| report.trend)))
    }

    /// When the last drill of a group passed, by its report.
    pub(crate) async fn last_passed_drill(
        &self,
        group: GroupId,
    ) -> Result<Option<jiff::Timestamp>, ReportsError> {
        let passed = self.find(None, 1, move |report| {
            let of_drill = report.group == group && report.kind == SubjectKind::Drill;
            of_drill && report.trend.result == Outcome::Passed
        });
        let newest = passed.await?.pop();
        Ok(newest.map(|report| clock::readable(report.made_at)))
    }

    /// Puts a report into the chain, signs it, keeps it in the catalog and writes it into
    /// `directory` as `report.json` and `report.html`. May be repeated: what has a report with this
    /// result already gets that one, and its files again.
    pub(crate) async fn publish(
        &self,
        group: GroupId,
        content: Content,
        directory: PathBuf,
    ) -> Result<ReportRecord, ReportsError> {
        self.publish_stage(group, content, directory, ReportStage::Final)
            .await
    }

    /// Writes the files of a report again that was published before. Says whether there is one.
    pub(crate) async fn rewrite(
        &self,
        subject: &str,
        stage: ReportStage,
    ) -> Result<bool, ReportsError> {
        let _one = self.one.lock().await;
        let subject = subject.to_owned();
        let known = self.find(None, 1, move |report| {
            report.subject == subject && report.stage == stage
        });
        let Some(record) = known.await?.pop() else {
            return Ok(false);
        };
        let key = self.key_alone().await?;
        let sealed = self.sealed_by(&record, &key.public()).await?;
        self.write(&record, &sealed).await?;
        Ok(true)
    }

    /// Publishes in the same way, at this stage of the work.
    pub(crate) async fn publish_stage(
        &self,
        group: GroupId,
        content: Content,
        directory: PathBuf,
        stage: ReportStage,
    ) -> Result<ReportRecord, ReportsError> {
        let _one = self.one.lock().await;
        let key = self.key_alone().await?;
        let (subject, result) = (content.subject.id.clone(), content.result);
        let known = self.find(None, 1, move |report| {
            report.subject == subject && report.trend.result == result && report.stage == stage
        });
        if let Some(record) = known.await?.pop() {
            let sealed = self.sealed_by(&record, &key.public()).await?;
            self.write(&record, &sealed).await?;
            return Ok(record);
        }
        let made_at = clock::wall();
        let id = ReportId::generate(made_at)?;
        let installation = self.parts.installation.to_string();
        let sealed = seal(
            &id.to_string(),
            &installation,
            self.head().await?,
            clock::readable(made_at),
            content,
            &key,
        )?;
        let record = ReportRecord {
            id,
            number: sealed.head.number,
            digest: sealed.head.digest,
            group,
            kind: sealed.report.content.subject.kind,
            subject: sealed.report.content.subject.id.clone(),
            made_at,
            directory,
            stage,
            trend: TrendRow::of(&sealed.report),
        };
        let text = ReportText {
            id,
            number: record.number,
            json: sealed.json.clone(),
        };
        let rows = [DocumentRow::of(&record), DocumentRow::of(&text)];
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_documents(&rows)).await?;
        tracing::info!(report = %id, number = record.number, subject = record.subject, "a report was made");
        self.write(&record, &sealed).await?;
        Ok(record)
    }

    async fn write(&self, record: &ReportRecord, sealed: &Sealed) -> Result<(), ReportsError> {
        let directory = &record.directory;
        let (html, json) = match record.stage {
            ReportStage::Interim => (INTERIM_HTML, INTERIM_JSON),
            ReportStage::Final => (REPORT_HTML, REPORT_JSON),
        };
        let page = self
            .page_of(sealed, directory, self.parts.config.language)
            .await?;
        self.write_file(directory, html, page).await?;
        self.write_file(directory, json, sealed.json.clone()).await
    }

    /// Writes a file beside a report; durable on return.
    pub(crate) async fn write_file(
        &self,
        directory: &Path,
        name: &str,
        text: String,
    ) -> Result<(), ReportsError> {
        let storage = Arc::clone(&self.parts.storage);
        let (directory, path) = (directory.to_owned(), directory.join(name));
        offload(move || {
            storage.create_directory_all(&directory)?;
            Ok(replace_atomically(&*storage, &path, text.as_bytes())?)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
