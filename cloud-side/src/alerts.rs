//! Alerts as the cloud side keeps and tells them.
//!
//! [`bcdr_alert`] decides; this module looks at the service ([`facts`]), says what is so
//! ([`conditions`]), keeps the book in the catalog, and brings what has to be told to the channels
//! ([`courier`]). Invariants: a change and its deliveries are durable in one transaction before
//! anything of them is sent or shown; a delivery's mark is durable before it is shown as told; what
//! is being written comes to its end also when whoever asked has left; no channel, however slow,
//! holds up looking; signs of life are sent only while somebody looks.

pub(crate) mod channel;
mod conditions;
pub(crate) mod config;
mod courier;
mod facts;
mod message;
mod runner;
mod store;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use message::Message;
pub(crate) use runner::run;
pub(crate) use store::MUTES_COLLECTION;

use crate::{
    catalog::{Catalog, CatalogError, DocumentRow},
    clock::{self, RunClock},
    offload::offload,
    record_id,
};
use bcdr_alert::{
    Alert, AlertBook, AlertCode, AlertId, AlertState, Changes, ChannelRecord, Delivery,
    DeliveryState, Marked, Mute, Now, ObjectKind, Outbox, Refused, Sent, Severity, Sign,
};
use bcdr_format::{InstallationId, Timestamp};
use channel::Channel;
use config::AlertsConfig;
use prometheus::{Gauge, GaugeVec, IntCounterVec};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::Mutes;
use tokio::sync::{Notify, OwnedMutexGuard};
use watch::Watch;

/// Why a wish about an alert is not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertError {
    /// It is not allowed now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be made durable; nothing changed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// What is counted and shown of alerts.
#[derive(Debug, Clone)]
pub(crate) struct AlertMetrics {
    /// By code and severity.
    pub(crate) active: GaugeVec,
    pub(crate) muted: Gauge,
    /// By channel and result.
    pub(crate) deliveries: IntCounterVec,
}

#[derive(Debug)]
struct State {
    book: AlertBook,
    outbox: Outbox,
}

/// All alerts, and the channels that tell them.
#[derive(Debug)]
pub(crate) struct Alerts {
    catalog: Arc<Catalog>,
    installation: InstallationId,
    clock: RunClock,
    config: AlertsConfig,
    channels: BTreeMap<String, Arc<Channel>>,
    metrics: AlertMetrics,
    state: Mutex<State>,
    /// Held while the book is changed and made durable, so that changes do not overtake each other.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// The same for marks and what is known of channels.
    marking: Arc<tokio::sync::Mutex<()>>,
    /// Whether somebody looks.
    watch: Mutex<Watch>,
    /// Told when there may be something to send.
    wake: Notify,
    /// When certificates end, by name.
    certificates: Mutex<BTreeMap<String, Timestamp>>,
}

impl Alerts {
    /// The alerts of a catalog, told by these channels. Blocks.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub(crate) fn load(
        catalog: Arc<Catalog>,
        installation: InstallationId,
        clock: RunClock,
        config: AlertsConfig,
        channels: Vec<Channel>,
        metrics: AlertMetrics,
    ) -> Result<Self, CatalogError> {
        let now = now(&clock);
        let left = store::load(&catalog)?;
        let watch = Watch::begin(config.every(), now);
        let book = AlertBook::load(config.settings(), left.alerts, left.mutes, now);
        let names = channels.iter().map(|channel| channel.name.clone());
        let outbox = Outbox::load(names, left.channels, left.pending, now);
        let channels = channels
            .into_iter()
            .map(|channel| (channel.name.clone(), Arc::new(channel)))
            .collect();
        Ok(Self {
            catalog,
            installation,
            clock,
            config,
            channels,
            metrics,
            state: Mutex::new(State { book, outbox }),
            changing: Arc::default(),
            marking: Arc::default(),
            watch: Mutex::new(watch),
            wake: Notify::new(),
            certificates: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        now(&self.clock)
    }

    /// Notes when a certificate ends.
    pub(crate) fn note_certificate(&self, name: &str, ends: Timestamp) {
        let mut all = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), ends);
    }

    /// Changes the book; durable, with the deliveries that follow, on return.
    async fn change(
        self: &Arc<Self>,
        act: impl FnOnce(&mut AlertBook, Now) -> Result<Changes, Refused>,
    ) -> Result<(), AlertError> {
        let turn = self.turn().await;
        self.change_in(turn, act).await
    }

    /// The right to change the book.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    async fn change_in(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        act: impl FnOnce(&mut AlertBook, Now) -> Result<Changes, Refused>,
    ) -> Result<(), AlertError> {
        let now = self.now();
        let mut book = self.state().book.clone();
        let changes = act(&mut book, now)?;
        if changes.is_empty() {
            self.state().book = book;
            return Ok(());
        }
        let this = Arc::clone(self);
        // On a thread that nobody's leaving ends.
        Ok(offload(move || this.take_in(turn, book, &changes, now)).await?)
    }

    /// Makes changes of the book durable, and takes them in. Blocks.
    fn take_in(
        &self,
        _turn: OwnedMutexGuard<()>,
        book: AlertBook,
        changes: &Changes,
        now: Now,
    ) -> Result<(), CatalogError> {
        let made = self.deliveries(changes, now);
        let mut rows: Vec<_> = changes.alerts.iter().map(DocumentRow::of).collect();
        rows.extend(made.iter().map(DocumentRow::of));
        if changes.mutes {
            let mutes = book.mutes(now.wall);
            rows.push(DocumentRow::of(&Mutes { mutes }));
        }
        self.catalog.put_documents(&rows)?;
        let some = !made.is_empty();
        {
            let mut state = self.state();
            state.book = book;
            made.into_iter()
                .for_each(|delivery| state.outbox.add(delivery));
        }
        for (transition, alert) in &changes.transitions {
            tracing::info!(
                alert = %alert.id, code = %alert.code, object = %alert.object.name,
                kind = transition.kind.name(), detail = %alert.detail, "an alert is told"
            );
        }
        if some {
            self.wake.notify_one();
        }
        Ok(())
    }

    fn deliveries(&self, changes: &Changes, now: Now) -> Vec<Delivery> {
        let mut made = Vec::new();
        for (transition, alert) in &changes.transitions {
            let takes = |channel: &&Arc<Channel>| channel.takes(alert, transition);
            let names = self.channels.values().filter(takes);
            let names = names.map(|channel| channel.name.clone());
            made.extend(Outbox::deliveries(transition, alert, names, now));
        }
        made
    }

    /// Somebody takes an alert on; durable on return.
    pub(crate) async fn acknowledge(
        self: &Arc<Self>,
        id: AlertId,
        by: &str,
        note: Option<String>,
    ) -> Result<(), AlertError> {
        self.change(|book, now| book.acknowledge(id, by, note, now))
            .await
    }

    /// Keeps what a scope covers quiet; durable on return.
    pub(crate) async fn mute(self: &Arc<Self>, id: AlertId, mute: Mute) -> Result<(), AlertError> {
        self.change(|book, now| book.mute(id, mute, now)).await
    }

    /// Ends all mutes that cover an alert; durable on return.
    pub(crate) async fn unmute(self: &Arc<Self>, id: AlertId, by: &str) -> Result<(), AlertError> {
        let turn = self.turn().await;
        // One that the book let go long ago may be covered still, and nobody else changes it now.
        let alert = self.get(id).await?.ok_or(Refused::NotActive(id))?;
        self.change_in(turn, |book, now| book.unmute(&alert, by, now))
            .await
    }

    /// One alert, with what is known of it now.
    pub(crate) async fn get(&self, id: AlertId) -> Result<Option<Alert>, CatalogError> {
        if let Some(alert) = self.state().book.get(id) {
            return Ok(Some(alert.clone()));
        }
        let catalog = Arc::clone(&self.catalog);
        offload(move || catalog.document(&id.newest_first_key())).await
    }

    /// The mute under which an alert is quiet now.
    pub(crate) fn mute_of(&self, alert: &Alert) -> Option<Mute> {
        let state = self.state();
        state.book.mute_of(alert, clock::wall()).cloned()
    }

    /// A page of alerts that are wanted, newest first, after the one named.
    pub(crate) async fn list(
        &self,
        after: Option<AlertId>,
        limit: usize,
        wanted: impl Fn(&Alert) -> bool + Send + 'static,
    ) -> Result<Vec<Alert>, CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        let after = after.map(AlertId::newest_first_key);
        let known: BTreeMap<AlertId, Alert> = {
            let state = self.state();
            let active = state.book.active();
            active.map(|alert| (alert.id, alert.clone())).collect()
        };
        offload(move || {
            let fresh = |alert: Alert| known.get(&alert.id).cloned().unwrap_or(alert);
            let found = crate::jobs::select(&catalog, after, limit, |alert: &Alert| {
                wanted(known.get(&alert.id).unwrap_or(alert))
            })?;
            Ok(found.into_iter().map(fresh).collect())
        })
        .await
    }

    /// The deliveries of an alert, in their order.
    pub(crate) async fn deliveries_of(&self, id: AlertId) -> Result<Vec<Delivery>, CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || store::deliveries_of(&catalog, id)).await
    }

    /// How many alerts are active, by severity.
    pub(crate) fn active(&self) -> BTreeMap<Severity, usize> {
        let state = self.state();
        let mut counts = BTreeMap::from(Severity::ALL.map(|severity| (severity, 0)));
        for alert in state.book.active() {
            *counts.entry(alert.severity).or_default() += 1;
        }
        counts
    }

    /// The channels, by name, each with what is known of it and how much it has before it.
    pub(crate) fn channels(&self) -> Vec<(Arc<Channel>, ChannelRecord, usize)> {
        let state = self.state();
        let of = |channel: &Arc<Channel>| {
            let record = state.outbox.channel(&channel.name);
            let pending = state.outbox.pending(&channel.name);
            (Arc::clone(channel), record, pending)
        };
        self.channels.values().map(of).collect()
    }

    /// Sends a message to a channel now, and says what came of it; none when there is no such channel.
    /// That somebody behind it did not take it counts as a failure here: that is what a test is for.
    pub(crate) async fn test(self: &Arc<Self>, name: &str) -> Option<Result<(), String>> {
        let channel = Arc::clone(self.channels.get(name)?);
        let id = format!("test-{name}-{}", clock::wall().0);
        let message = Message::Test {
            id,
            installation: self.installation,
            at: clock::wall(),
        };
        let sent = channel.send(&message).await;
        self.tried(&channel.name, &sent, Sign::Test).await;
        Some(sent.and_then(|taken| taken.but.map_or(Ok(()), Err)))
    }

    /// Notes what came of something that is no delivery.
    async fn tried(self: &Arc<Self>, name: &str, sent: &Sent, sign: Sign) {
        let turn = Arc::clone(&self.marking).lock_owned().await;
        let kind = match sign {
            Sign::Heartbeat => "heartbeat",
            Sign::Test => "test",
        };
        self.count(name, &format!("{kind}_{}", word(sent.is_ok())));
        let record = self.state().outbox.tried(name, sign, sent, self.now());
        let this = Arc::clone(self);
        offload(move || {
            if let Err(error) = this.catalog.put_document(&record) {
                tracing::warn!(%error, channel = record.name, "how a channel is could not be kept");
            }
            this.state().outbox.note(record);
            drop(turn);
        })
        .await;
    }

    fn count(&self, channel: &str, result: &str) {
        let counter = &self.metrics.deliveries;
        counter.with_label_values(&[channel, result]).inc();
    }

    /// Marks what came of a delivery; durable before it is shown.
    async fn mark(&self, delivery: Delivery, sent: Sent) {
        let _one = self.marking.lock().await;
        let (channel, id) = (&delivery.channel, delivery.id());
        match &sent {
            Err(error) => {
                tracing::warn!(%channel, delivery = %id, %error, "an alert was not taken");
            }
            Ok(taken) => {
                if let Some(but) = &taken.but {
                    tracing::warn!(%channel, delivery = %id, %but, "not everybody took an alert");
                }
            }
        }
        let taken = sent.is_ok();
        let marked = self.state().outbox.judge(&delivery, sent, self.now());
        let given_up = matches!(marked.delivery.state, DeliveryState::GivenUp { .. });
        self.count(channel, if given_up { "given_up" } else { word(taken) });
        self.keep_marks(vec![marked]).await;
    }

    /// Tries those marks again that could not be made durable.
    async fn mark_again(&self) {
        let _one = self.marking.lock().await;
        let due = self.state().outbox.marks_due(self.now());
        if !due.is_empty() {
            self.keep_marks(due).await;
        }
    }

    /// Makes marks durable, or else keeps them for later. The caller holds `marking`.
    async fn keep_marks(&self, marks: Vec<Marked>) {
        let both = |marked: &Marked| {
            let channel = DocumentRow::of(&marked.channel);
            [DocumentRow::of(&marked.delivery), channel]
        };
        let rows: Vec<_> = marks.iter().flat_map(both).collect();
        let catalog = Arc::clone(&self.catalog);
        let kept = offload(move || catalog.put_documents(&rows)).await;
        if let Err(error) = &kept {
            let count = marks.len();
            tracing::error!(%error, count, "what came of alerts that were sent could not be kept; it is tried again, and what was taken is told once more only by another process");
        }
        let now = self.now();
        let mut state = self.state();
        for marked in marks {
            match kept {
                Ok(()) => state.outbox.mark(marked, now),
                Err(_) => state.outbox.mark_later(marked, now),
            }
        }
        drop(state);
        // What comes after it on this channel may be due now.
        self.wake.notify_one();
    }

    /// Shows what is active. Every pair of code and severity is there all the time, since whoever asks
    /// in the middle must not take what is gone for a moment for what is over.
    fn measure(&self) {
        let mut counts = BTreeMap::new();
        let mut muted = 0;
        {
            let state = self.state();
            let wall = clock::wall();
            for alert in state.book.active() {
                let count: &mut usize = counts.entry((alert.code, alert.severity)).or_default();
                *count += 1;
                muted += usize::from(state.book.mute_of(alert, wall).is_some());
            }
        }
        for &code in AlertCode::ALL {
            for severity in Severity::ALL {
                let count = counts.get(&(code, severity)).copied().unwrap_or(0);
                let labels = [code.name(), severity.name()];
                let gauge = self.metrics.active.with_label_values(&labels);
                gauge.set(count as f64);
            }
        }
        self.metrics.muted.set(muted as f64);
    }

    fn is_active(&self, code: AlertCode, kind: ObjectKind, id: &str) -> bool {
        self.state().book.is_active(code, kind, id)
    }

    async fn observe(
        self: &Arc<Self>,
        conditions: Vec<bcdr_alert::Condition>,
    ) -> Result<(), AlertError> {
        let random = record_id::random()?;
        self.change(|book, now| Ok(book.observe(&conditions, now, random)))
            .await?;
        self.watch().looked(self.now());
        self.measure();
        Ok(())
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what was cleared long ago.
    async fn prune(&self) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        let before = Timestamp(clock::wall().0.saturating_sub(KEPT_MICROSECONDS));
        offload(move || store::prune(&catalog, before)).await
    }
}

/// Cleared alerts are kept for 90 days.
const KEPT_MICROSECONDS: i64 = 90 * 86_400 * 1_000_000;

fn now(clock: &RunClock) -> Now {
    Now {
        wall: clock::wall(),
        monotonic: Duration::from_nanos(clock.now_nanoseconds()),
    }
}

fn word(taken: bool) -> &'static str {
    if taken { "delivered" } else { "failed" }
}

/// Which alerts a list shows by how they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateFilter {
    /// Those that are not cleared.
    Active,
    /// Those that nobody took on.
    Raised,
    /// Those that somebody took on.
    Acknowledged,
    /// Those that are over.
    Cleared,
}

impl StateFilter {
    pub(crate) fn takes(self, alert: &Alert) -> bool {
        match self {
            Self::Active => alert.is_active(),
            Self::Raised => alert.state() == AlertState::Raised,
            Self::Acknowledged => alert.state() == AlertState::Acknowledged,
            Self::Cleared => alert.state() == AlertState::Cleared,
        }
    }
}
