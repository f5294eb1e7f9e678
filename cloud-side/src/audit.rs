//! The audit log of the cloud side: who did what, durable before it is answered.
//!
//! Owns the handle that requests and the product's own work record through; the files belong to one
//! thread ([`owner`]). Invariant: an action that waits for its entry is carried out only after the
//! entry is durable; what could not be written is counted, and the count is itself an entry as soon
//! as writing works again. Nothing of the product's own work waits for the log longer than
//! [`PATIENCE`]. Why the log may be missing an entry, and what goes on without it:
//! `docs/adr/0009-audit-log.md`.

mod anchor;
mod condense;
mod export;
mod files;
mod gap;
mod log;
mod open;
mod owner;
mod query;
mod retention;
mod scan;

pub(crate) use anchor::{Anchor, CatalogAnchor, has_head};
pub(crate) use condense::{AUTHENTICATE, Stranger};
pub(crate) use export::Export;
pub(crate) use query::{Filter, Page};

use crate::{config::AuditConfig, offload::offload, replica::SpaceFloor};
use bcdr_audit::{Actor, ActorKind, Draft, Mark, Object, Outcome, SignedHead};
use bcdr_disk::{DiskError, Storage};
use bcdr_format::InstallationId;
use bcdr_http::{Metrics, MetricsError};
use bcdr_report::SigningKey;
use condense::Condenser;
use log::Snapshot;
use owner::{Ask, Owner};
use prometheus::{Gauge, IntCounter, IntCounterVec};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How long an action waits for its entry.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How long one waits that goes on without it.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
/// Entries that wait for the disk at once; more than the API has connections.
const WAITING_MAX: usize = 1024;

/// Why the log cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AuditError {
    /// A file could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// More waits than is kept waiting, or for too long.
    #[error("the disk of the audit log does not answer in time; look at its health and its load")]
    Busy,
    /// Its files could not be opened; that is tried again.
    #[error(
        "the audit log cannot be opened: {0}; it is tried again every second, and a file of it that stays unreadable has to be kept elsewhere and moved out of its directory"
    )]
    NotOpened(String),
    /// The process ends.
    #[error("the audit log is closed, as this process ends")]
    Closed,
}

/// What the log works with.
#[derive(Debug, Clone)]
pub(crate) struct AuditParts {
    pub(crate) storage: Arc<dyn Storage>,
    /// Where its files are.
    pub(crate) directory: PathBuf,
    pub(crate) installation: InstallationId,
    /// What heads are signed with; none while it cannot be used.
    pub(crate) key: Option<Arc<SigningKey>>,
    pub(crate) anchor: Arc<dyn Anchor>,
    pub(crate) config: AuditConfig,
    /// What is kept free on the file system that its files are on.
    pub(crate) floor: SpaceFloor,
}

/// What Prometheus is told.
#[derive(Debug, Clone)]
pub(crate) struct AuditMetrics {
    entries: IntCounterVec,
    failures: IntCounter,
    unrecorded: IntCounter,
    writable: Gauge,
    bytes: Gauge,
}

impl AuditMetrics {
    /// # Errors
    /// When the registry has these already.
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let made = Self {
            entries: metrics.counter_vec(
                "bcdr_audit_entries_total",
                "Entries written to the audit log.",
                &["outcome"],
            )?,
            failures: metrics.counter(
                "bcdr_audit_write_failures_total",
                "Attempts to write to the audit log that failed.",
            )?,
            unrecorded: metrics.counter(
                "bcdr_audit_unrecorded_total",
                "Entries that could not be written; the log holds their count.",
            )?,
            writable: metrics.gauge(
                "bcdr_audit_writable",
                "1 while the audit log can be written.",
            )?,
            bytes: metrics.gauge(
                "bcdr_audit_bytes",
                "Bytes of the audit log; it grows as long as entries are kept.",
            )?,
        };
        made.writable.set(1.0);
        Ok(made)
    }
}

/// What is known of the log now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    /// Why it could not be written last; none while it can.
    pub(crate) trouble: Option<String>,
    /// What was found wrong at the start.
    pub(crate) damage: Vec<String>,
    /// Its bytes.
    pub(crate) bytes: u64,
    /// That it takes much of the space that is kept free; none while it does not.
    pub(crate) warning: Option<String>,
}

/// What the handle and the owner share.
#[derive(Debug)]
struct Shared {
    /// None while the log cannot be opened.
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    health: Mutex<Health>,
    /// Counted here and not by the owner, so that a flood of refusals takes no place in its queue.
    refusals: Mutex<Condenser>,
    /// Entries that never reached the owner.
    lost: AtomicU64,
    metrics: AuditMetrics,
    /// Stands for a disk that takes nothing.
    #[cfg(test)]
    broken: std::sync::atomic::AtomicBool,
}

impl Shared {
    fn new(metrics: AuditMetrics) -> Self {
        Self {
            snapshot: Mutex::default(),
            health: Mutex::default(),
            refusals: Mutex::default(),
            lost: AtomicU64::new(0),
            metrics,
            #[cfg(test)]
            broken: false.into(),
        }
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, AuditError> {
        let snapshot = locked(&self.snapshot).clone();
        snapshot.ok_or_else(|| AuditError::NotOpened(self.health().trouble.unwrap_or_default()))
    }

    fn publish(&self, snapshot: Arc<Snapshot>) {
        *locked(&self.snapshot) = Some(snapshot);
    }

    fn refusals(&self) -> MutexGuard<'_, Condenser> {
        locked(&self.refusals)
    }

    fn health(&self) -> Health {
        locked(&self.health).clone()
    }

    fn damage(&self) -> Vec<String> {
        self.health().damage
    }

    fn add_damage(&self, found: Vec<String>) {
        for damage in &found {
            tracing::error!(damage, "the audit log is not as it was written");
        }
        locked(&self.health).damage.extend(found);
    }

    /// Notes how large the log is, and that it is too large.
    fn weighed(&self, bytes: u64, warning: Option<String>) {
        self.metrics.bytes.set(bytes as f64);
        let mut health = locked(&self.health);
        if let (Some(warning), None) = (&warning, &health.warning) {
            tracing::warn!(warning, "the audit log is large");
        }
        (health.bytes, health.warning) = (bytes, warning);
    }

    /// Notes why entries cannot be written, or that they can.
    fn trouble(&self, cause: Option<&AuditError>) {
        self.metrics
            .writable
            .set(f64::from(u8::from(cause.is_none())));
        let mut health = locked(&self.health);
        match cause {
            Some(cause) => {
                self.metrics.failures.inc();
                if health.trouble.is_none() {
                    tracing::error!(%cause, "the audit log cannot be written");
                }
            }
            None if health.trouble.is_some() => {
                tracing::info!("the audit log can be written again");
            }
            None => {}
        }
        health.trouble = cause.map(ToString::to_string);
    }
}

fn locked<Value>(mutex: &Mutex<Value>) -> MutexGuard<'_, Value> {
    // Each change is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The handle on the log. Clones of its `Arc` are given to whoever acts by himself.
#[derive(Debug)]
pub(crate) struct Audit {
    asks: mpsc::SyncSender<Ask>,
    shared: Arc<Shared>,
    storage: Arc<dyn Storage>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Audit {
    /// Opens the log, says in it what an earlier process left, and starts its owner. Blocks. A log that
    /// is damaged, full or cannot be read keeps nothing from starting: what needs it is refused.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(crate) fn start(parts: AuditParts, metrics: AuditMetrics) -> Result<Self, AuditError> {
        let storage = Arc::clone(&parts.storage);
        let shared = Arc::new(Shared::new(metrics));
        let (asks, inbox) = mpsc::sync_channel(WAITING_MAX);
        let owner = Owner::new(parts, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("audit log".to_owned())
            .spawn(move || owner.run(&inbox))
            .map_err(|error| DiskError::io("start the thread of", "audit".as_ref(), error))?;
        Ok(Self {
            asks,
            shared,
            storage,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Writes an entry; durable on return. Gives its number.
    ///
    /// # Errors
    /// When it is not durable; that it is missing is counted.
    pub(crate) async fn record(&self, draft: Draft) -> Result<u64, AuditError> {
        self.record_within(draft, false, PATIENCE).await
    }

    /// The same for what happens whether or not it can be written, and so waits for less long.
    pub(crate) async fn record_if_possible(&self, draft: Draft) -> Option<u64> {
        let recorded = self.record_within(draft, false, SHORT_PATIENCE).await;
        recorded
            .inspect_err(|error| tracing::error!(%error, "an entry is missing in the audit log"))
            .ok()
    }

    /// Writes the entry of a refusal that a client can repeat without end: from some number in a
    /// minute on, those of one actor become one entry.
    pub(crate) async fn record_refusal(&self, draft: Draft) {
        let recorded = self.record_within(draft, true, SHORT_PATIENCE).await;
        if let Err(error) = recorded {
            tracing::error!(%error, "a refusal is missing in the audit log");
        }
    }

    async fn record_within(
        &self,
        draft: Draft,
        may_condense: bool,
        patience: Duration,
    ) -> Result<u64, AuditError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Entry {
            draft: Box::new(draft),
            may_condense,
            reply: Some(reply),
        })?;
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(recorded)) => recorded,
            Ok(Err(_)) => Err(AuditError::Closed),
            // It stays in the queue, and the owner counts it if it cannot be written.
            Err(_) => Err(AuditError::Busy),
        }
    }

    /// Writes an entry without waiting for it.
    pub(crate) fn record_later(&self, draft: Draft) {
        let ask = Ask::Entry {
            draft: Box::new(draft),
            may_condense: false,
            reply: None,
        };
        if let Err(error) = self.ask(ask) {
            tracing::error!(%error, "an entry is missing in the audit log");
        }
    }

    /// Counts the refusal of a client that did not prove who it is.
    pub(crate) fn refused_stranger(&self, stranger: &Stranger<'_>) {
        self.shared.refusals().stranger(stranger, Instant::now());
    }

    /// The product is about to do something by itself. Says which entry that is, if it could be
    /// written; it goes on either way.
    pub(crate) async fn system_begins(&self, deed: &Deed) -> Option<u64> {
        self.record_if_possible(deed.draft(Outcome::Begun)).await
    }

    /// It did, or could not.
    pub(crate) async fn system_ended(
        &self,
        deed: &Deed,
        began: Option<u64>,
        failure: Option<String>,
    ) {
        let outcome = match failure {
            None => Outcome::Allowed,
            Some(_) => Outcome::Failed,
        };
        let mut draft = deed.draft(outcome);
        draft.began = began;
        if failure.is_some() {
            draft.detail = failure;
        }
        self.record_if_possible(draft).await;
    }

    /// How far the log reaches, signed now; while it cannot be opened, what was signed last. None while
    /// there is no key.
    ///
    /// # Errors
    /// When the owner does not answer.
    pub(crate) async fn head(&self) -> Result<Option<SignedHead>, AuditError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Head { reply })?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(head)) => Ok(head),
            Ok(Err(_)) => Err(AuditError::Closed),
            Err(_) => Err(AuditError::Busy),
        }
    }

    /// The newest entry that is durable.
    ///
    /// # Errors
    /// While the log cannot be opened.
    pub(crate) fn newest(&self) -> Result<Mark, AuditError> {
        Ok(self.shared.snapshot()?.newest)
    }

    pub(crate) fn health(&self) -> Health {
        self.shared.health()
    }

    /// Some entries.
    ///
    /// # Errors
    /// When files cannot be read.
    pub(crate) async fn list(&self, filter: Filter) -> Result<Page, AuditError> {
        let (storage, snapshot) = (Arc::clone(&self.storage), self.shared.snapshot()?);
        offload(move || query::list(&*storage, &snapshot, &filter)).await
    }

    /// The log of a period, piece by piece, with a fresh head at its end.
    ///
    /// # Errors
    /// When the owner does not answer, or the log cannot be opened.
    pub(crate) async fn export(
        &self,
        from: Option<jiff::Timestamp>,
        to: Option<jiff::Timestamp>,
    ) -> Result<Export, AuditError> {
        let head = self.head().await?;
        let (storage, snapshot) = (Arc::clone(&self.storage), self.shared.snapshot()?);
        Ok(Export::new(storage, snapshot, head, from, to))
    }

    /// Signs a last head and ends the owner. Blocks.
    pub(crate) fn close(&self) {
        // An owner that broke has ended already.
        let _told = self.asks.send(Ask::Stop);
        let thread = locked(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the audit log broke");
        }
    }

    /// Makes writing fail, or work again.
    #[cfg(test)]
    pub(crate) fn break_for_a_while(&self, broken: bool) {
        self.shared.broken.store(broken, Ordering::Relaxed);
    }

    fn ask(&self, ask: Ask) -> Result<(), AuditError> {
        self.asks.try_send(ask).map_err(|refused| {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            match refused {
                mpsc::TrySendError::Full(_) => AuditError::Busy,
                mpsc::TrySendError::Disconnected(_) => AuditError::Closed,
            }
        })
    }
}

/// Something that the product does without being asked.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    /// Which part of the product.
    pub(crate) by: &'static str,
    /// What it does.
    pub(crate) action: &'static str,
    /// What it does it to.
    pub(crate) object: Object,
    /// Why.
    pub(crate) detail: String,
}

impl Deed {
    fn draft(&self, outcome: Outcome) -> Draft {
        let mut draft = Draft::new(system(self.by), self.action, outcome);
        draft.object = Some(self.object.clone());
        draft.detail = Some(self.detail.clone());
        draft
    }
}

/// The product as an actor.
fn system(part: &str) -> Actor {
    Actor {
        kind: ActorKind::System,
        id: None,
        name: part.to_owned(),
    }
}

/// An object with an id or name.
pub(crate) fn object(kind: &str, id: impl std::fmt::Display) -> Object {
    Object {
        kind: kind.to_owned(),
        id: Some(id.to_string()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
