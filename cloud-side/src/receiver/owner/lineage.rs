//! What the owner of a lineage does with each piece of work.

use super::{
    super::{fault::on_the_wire, slot::SessionNumber, writer::Outlet},
    Begun, Offer, OwnerSettings, Work, stored_empty,
};
use crate::{
    catalog::GroupRecord,
    clock,
    groups::{Group, Stored},
    receive::{Decision, LineageState, ReceiverRun},
    replica::{Committed, LineageReader, LineageStore, StoreError},
};
use bcdr_disk::{DiskError, DiskErrorKind};
use bcdr_format::{
    Generation, Timestamp,
    batch::{BatchLayout, MAC_BYTES},
    record::Member,
};
use bcdr_wire::{
    feed::{Acknowledged, Refusal},
    seal::verify_batch_mac,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock, Weak, mpsc},
    time::{Duration, Instant},
};
use tokio::sync::{oneshot, watch};

/// How often the owner looks at free space, at readers and at a store that failed.
const TICK: Duration = Duration::from_secs(1);
/// The shortest and longest pause before a store that failed is opened again.
const REOPEN_FIRST: Duration = Duration::from_secs(1);
const REOPEN_LONGEST: Duration = Duration::from_secs(30);
/// Bytes after which a group of batches is synced although more is waiting.
const GROUP_BYTES_MAX: u64 = 64 << 20;

struct Current {
    number: SessionNumber,
    outlet: Outlet,
    peer: String,
    /// Whether a batch of this session was accepted.
    proven: bool,
}

pub(super) struct Owner {
    settings: OwnerSettings,
    record: GroupRecord,
    reader: watch::Sender<Option<Arc<LineageReader>>>,
    group: Arc<OnceLock<Weak<Group>>>,
    store: Option<LineageStore>,
    failure: Option<String>,
    reopen_at: Instant,
    pause: Duration,
    session: Option<Current>,
    /// The newest session that ever began, also when it was refused.
    newest: SessionNumber,
    beat_run: Option<ReceiverRun>,
    points: u64,
    ticked: Instant,
    /// Whether an offer since the last commit asks for an answer.
    answer_due: bool,
}

impl Owner {
    pub(super) fn new(
        settings: OwnerSettings,
        record: GroupRecord,
        reader: watch::Sender<Option<Arc<LineageReader>>>,
        group: Arc<OnceLock<Weak<Group>>>,
    ) -> Self {
        Self {
            settings,
            record,
            reader,
            group,
            store: None,
            failure: None,
            reopen_at: Instant::now(),
            pause: REOPEN_FIRST,
            session: None,
            newest: SessionNumber::default(),
            beat_run: None,
            points: 0,
            ticked: Instant::now(),
            answer_due: false,
        }
    }

    /// Opens the store, or notes why not, and says how things stand.
    pub(super) fn open(&mut self) -> Stored {
        let lineage = self.record.lineage();
        let opened = LineageStore::open(
            Arc::clone(&self.settings.storage),
            self.settings.replicas.join(lineage.stream.to_string()),
            lineage,
            Arc::clone(&self.settings.catalog),
            self.settings.options,
            self.record.created_at,
        );
        match opened {
            Ok((store, recovery)) => {
                tracing::info!(
                    %lineage, replayed = recovery.replayed, torn_bytes = recovery.torn_bytes,
                    "lineage opened"
                );
                self.reader.send_replace(Some(store.reader()));
                // Runs that were due when the last process ended.
                let _stopping = self.settings.committed.send(store.reader());
                self.store = Some(store);
                self.failure = None;
                self.pause = REOPEN_FIRST;
                self.count_points();
            }
            Err(error) => {
                if is_poisoned(&error) {
                    // Within this process the file stays refused; a new one reads it afresh.
                    let reason = format!("lineage {lineage} cannot be opened again: {error}");
                    self.settings.give_up.send_replace(Some(reason));
                }
                self.failed(error.to_string());
            }
        }
        self.stored()
    }

    pub(super) fn run(&mut self, inbox: &mpsc::Receiver<Work>) {
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(work) => {
                    if let Some(stopped) = self.take_all(work, inbox) {
                        self.end();
                        let _gone = stopped.send(());
                        return;
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.end(),
            }
            if self.ticked.elapsed() >= TICK {
                self.ticked = Instant::now();
                self.tick();
            }
        }
    }

    /// Takes one piece of work and what queued behind it, then makes it durable. A stop comes back.
    fn take_all(
        &mut self,
        first: Work,
        inbox: &mpsc::Receiver<Work>,
    ) -> Option<oneshot::Sender<()>> {
        let mut next = Some(first);
        let mut stop = None;
        while let Some(work) = next {
            match work {
                Work::Stop { stopped } => {
                    stop = Some(stopped);
                    break;
                }
                Work::Begin {
                    session,
                    outlet,
                    peer,
                    reply,
                } => {
                    self.commit();
                    // Whoever asked may be gone by now; its successor asks again.
                    let _gone = reply.send(self.begin(session, outlet, peer));
                }
                Work::Key {
                    session,
                    id,
                    wrapped,
                } => {
                    if self.is_current(session)
                        && let Some(store) = &mut self.store
                        && let Err(error) = store.add_key(id, &wrapped)
                    {
                        self.refuse(Refusal::NotReady {
                            reason: error.to_string(),
                        });
                    }
                }
                Work::Offer(offer) => self.offer(*offer),
                Work::Fence { generation, reply } => {
                    // What arrived before the fence is before it.
                    self.commit();
                    // Whoever asked may be gone by now; the fence stands all the same.
                    let _gone = reply.send(self.fence(generation));
                }
            }
            let waiting = self
                .store
                .as_ref()
                .map_or(0, LineageStore::uncommitted_bytes);
            next = if waiting < GROUP_BYTES_MAX {
                inbox.try_recv().ok()
            } else {
                None
            };
        }
        self.commit();
        stop
    }

    fn is_current(&self, session: SessionNumber) -> bool {
        self.session
            .as_ref()
            .is_some_and(|current| current.number == session)
    }

    fn begin(
        &mut self,
        session: SessionNumber,
        outlet: Outlet,
        peer: String,
    ) -> Result<Begun, Refusal> {
        // A session that was overtaken on its way here must not take the place of a newer one.
        if session < self.newest {
            return Err(Refusal::Replaced);
        }
        self.newest = session;
        self.session = None;
        let Some(store) = &self.store else {
            let failure = self.failure.as_deref().unwrap_or("it is being opened");
            let reason = format!("the store of this stream cannot be used: {failure}");
            return Err(Refusal::NotReady { reason });
        };
        if let Some(damage) = store.damage() {
            let reason = format!("the log of this stream is damaged: {damage}");
            return Err(Refusal::NotReady { reason });
        }
        store.admission().map_err(|reached| Refusal::NoSpace {
            reason: reached.to_string(),
        })?;
        let state = store.durable();
        let begun = Begun {
            held: state.held(),
            fork: state.open_forks().last().copied(),
            chain: state.chain(),
        };
        outlet.acknowledge(self.acknowledged());
        self.session = Some(Current {
            number: session,
            outlet,
            peer,
            proven: false,
        });
        Ok(begun)
    }

    fn offer(&mut self, offer: Offer) {
        if !self.is_current(offer.session) {
            // A session that waits for an answer must get one. When it was refused already, that
            // refusal is the one it hears.
            offer.outlet.refuse(if offer.session < self.newest {
                Refusal::Replaced
            } else {
                let reason = "this session has ended: say hello again".to_owned();
                Refusal::Discontinuous { reason }
            });
            return;
        }
        match self.take_in(offer) {
            Ok(()) => self.answer_due = true,
            Err(refusal) => {
                // What was appended before it counts: it is told before the refusal.
                self.commit();
                self.refuse(refusal);
            }
        }
    }

    fn take_in(&mut self, offer: Offer) -> Result<(), Refusal> {
        let Offer {
            bytes,
            layout,
            receipt,
            room,
            ..
        } = offer;
        let (Some(store), Some(session)) = (&mut self.store, &mut self.session) else {
            let reason = "the store of this stream is being opened again".to_owned();
            return Err(Refusal::NotReady { reason });
        };
        let takes_records = self
            .group
            .get()
            .and_then(Weak::upgrade)
            .is_some_and(|group| group.order.borrow().takes_records());
        if !takes_records {
            let reason = "the source is not the authority of this group now".to_owned();
            return Err(Refusal::NotReady { reason });
        }
        match store.offer(&layout) {
            Decision::Duplicate => return Ok(()),
            Decision::Refuse(refusal) => return Err(on_the_wire(refusal, &session.peer)),
            Decision::Append { .. } => {}
        }
        check_members(&self.record, store.received(), &layout, &session.peer)?;
        let Some(key) = self.settings.keys.installation_key() else {
            let reason = "the installation key has not arrived".to_owned();
            return Err(Refusal::Discontinuous { reason });
        };
        let prefix = &layout.prefix;
        let chain = store.received().chain();
        let mac = prefix.mac_of(&bytes);
        if verify_batch_mac(&key, &chain, prefix.authenticated(&bytes), &mac).is_err() {
            return Err(wrong_mac(session));
        }
        session.proven = true;
        let appended = store.append(bytes, layout, receipt);
        // Appended bytes are held by the store until its commit, which bounds them by itself.
        drop(room);
        appended.map_err(|error| {
            let reason = error.to_string();
            self.failed(reason.clone());
            Refusal::NotReady { reason }
        })
    }

    /// Makes a generation durable and says which one is.
    fn fence(&mut self, generation: Generation) -> Result<Generation, StoreError> {
        let group = self.record.id;
        let Some(store) = &mut self.store else {
            // A store that is opened begins with the generation of the catalog.
            let catalog = &self.settings.catalog;
            catalog.raise_generation(group, generation)?;
            return Ok(catalog.generation(group)?);
        };
        match store.fence(generation) {
            Ok(committed) => {
                let durable = store.durable().generation();
                self.committed(&committed);
                tracing::info!(%group, %durable, "fenced");
                Ok(durable)
            }
            Err(error) => {
                let reason = error.to_string();
                self.failed(reason.clone());
                self.refuse(Refusal::NotReady { reason });
                self.publish();
                Err(error)
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        if let Some(session) = self.session.take() {
            tracing::warn!(lineage = %self.record.lineage(), peer = session.peer, %refusal, "session refused");
            session.outlet.refuse(refusal);
        }
    }

    fn commit(&mut self) {
        let Some(store) = &mut self.store else { return };
        if store.uncommitted_bytes() == 0 && !self.answer_due {
            return;
        }
        match store.commit() {
            Ok(committed) => self.committed(&committed),
            Err(error) => {
                let reason = error.to_string();
                self.failed(reason.clone());
                self.refuse(Refusal::NotReady { reason });
                self.publish();
            }
        }
    }

    fn committed(&mut self, committed: &Committed) {
        let published = committed
            .outcomes
            .iter()
            .filter(|one| one.published.is_some());
        self.points += published.count() as u64;
        self.publish();
        if let Some(session) = &self.session {
            session.outlet.acknowledge(self.acknowledged());
            for outcome in &committed.outcomes {
                outcome
                    .forked
                    .iter()
                    .for_each(|fork| session.outlet.fork(*fork));
            }
        }
        self.answer_due = false;
        if let Some(group) = self.group() {
            for marker in committed
                .outcomes
                .iter()
                .filter_map(|one| one.marker.clone())
            {
                group.marker_arrived(marker);
            }
        }
        if let Some(store) = &self.store
            && !committed.outcomes.is_empty()
        {
            // Without a builder the process is stopping; runs are built after the next start.
            let _stopping = self.settings.committed.send(store.reader());
        }
    }

    fn acknowledged(&self) -> Acknowledged {
        let state = self.store.as_ref().map(LineageStore::durable);
        Acknowledged {
            gateway: None,
            durable: state.and_then(|state| state.held().map(|held| held.position)),
            published: state.and_then(|state| state.published().map(|point| point.id.0)),
        }
    }

    fn failed(&mut self, reason: String) {
        tracing::error!(lineage = %self.record.lineage(), reason, "the store failed and is opened again");
        self.store = None;
        self.answer_due = false;
        self.failure = Some(reason);
        self.reopen_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(REOPEN_LONGEST);
    }

    fn tick(&mut self) {
        match &mut self.store {
            None if Instant::now() >= self.reopen_at => {
                let stored = self.open();
                self.tell(stored);
            }
            None => {}
            Some(store) => {
                if let Err(error) = store.refresh_space() {
                    tracing::warn!(lineage = %self.record.lineage(), %error, "cannot measure free space");
                }
                self.count_points();
                self.publish();
            }
        }
    }

    fn count_points(&mut self) {
        match self.settings.catalog.point_count(self.record.lineage()) {
            Ok(points) => self.points = points,
            Err(error) => tracing::warn!(%error, "the points cannot be counted"),
        }
    }

    fn publish(&mut self) {
        let stored = self.stored();
        self.tell(stored);
    }

    fn tell(&self, stored: Stored) {
        if let Some(group) = self.group() {
            group.stored.send_replace(stored);
        }
    }

    fn group(&self) -> Option<Arc<Group>> {
        self.group.get().and_then(Weak::upgrade)
    }

    fn stored(&mut self) -> Stored {
        let Some(store) = &self.store else {
            let before = self.group().map(|group| group.stored.borrow().clone());
            let empty = || stored_empty(&self.record, Generation::FIRST);
            return Stored {
                obstacle: self.failure.clone(),
                ..before.unwrap_or_else(empty)
            };
        };
        let mut stored = Stored::of(store.durable());
        stored.points = self.points;
        stored.failed_syncs = store.failed_syncs();
        stored.obstacle = match (store.damage(), store.admission()) {
            (Some(damage), _) => Some(format!("the log is damaged: {damage}")),
            (None, Err(reached)) => Some(reached.to_string()),
            (None, Ok(())) => None,
        };
        stored.beat_run = self.run_of_beat(&stored);
        stored
    }

    /// The run that the newest published beat quotes, asked of the catalog once per run.
    fn run_of_beat(&mut self, stored: &Stored) -> Option<ReceiverRun> {
        let run = stored.rpo.beat?.run;
        if run == self.settings.clock.run().id {
            return None;
        }
        if self.beat_run.is_none_or(|known| known.id != run) {
            match self.settings.catalog.receiver_run(run) {
                Ok(found) => self.beat_run = found,
                Err(error) => tracing::warn!(%error, "an earlier run cannot be looked up"),
            }
        }
        self.beat_run.filter(|known| known.id == run)
    }

    fn end(&mut self) {
        self.commit();
        if let Some(store) = &mut self.store
            && let Err(error) = store.checkpoint()
        {
            // The next start replays the log instead.
            tracing::warn!(lineage = %self.record.lineage(), %error, "no checkpoint at the end");
        }
        tracing::info!(lineage = %self.record.lineage(), at = %clock::readable(clock::wall()), "lineage closed");
    }
}

/// Whether a file that failed earlier in this process is behind an error.
fn is_poisoned(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(disk) = error.downcast_ref::<DiskError>() {
            return disk.kind() == DiskErrorKind::Poisoned;
        }
        cause = error.source();
    }
    false
}

fn wrong_mac(session: &Current) -> Refusal {
    if session.proven {
        return Refusal::Discontinuous {
            reason: "the batch's MAC is not chained to the one before it".to_owned(),
        };
    }
    Refusal::NotAllowed {
        peer: session.peer.clone(),
        reason: "the batch's MAC does not verify: its gateway holds another installation key than this receiver, or the batch was changed on its way".to_owned(),
    }
}

/// What a stream says of its volumes must be what the group was created with, and all of it: points
/// of some of a group's volumes would pass for points of the group.
fn check_members(
    record: &GroupRecord,
    state: &LineageState,
    layout: &BatchLayout,
    peer: &str,
) -> Result<(), Refusal> {
    let told = state.members_with(&layout.header);
    let wrong = layout
        .header
        .members
        .iter()
        .find_map(|member| wrong_member(record, member));
    let reason = match wrong.or_else(|| told_twice(record, told.values())) {
        Some(reason) => reason,
        None => match missing_volume(record, told.values()) {
            // A life's first records may arrive in pieces: nothing can be a point before the rest.
            Some(_) if layout.extents.is_empty() && !publishes(state, layout) => return Ok(()),
            Some(name) => format!(
                "volume {name} of group {} is not among the capture's volumes: add it to the group in the capture's configuration, or create a group of the volumes that it has",
                record.name
            ),
            None => return Ok(()),
        },
    };
    Err(Refusal::NotAllowed {
        peer: peer.to_owned(),
        reason,
    })
}

fn wrong_member(record: &GroupRecord, member: &Member) -> Option<String> {
    let declared = record.volumes.iter().find(|volume| volume.id == member.id);
    match declared {
        _ if member.group != record.id => Some(format!(
            "volume {} belongs to group {}",
            member.id, member.group
        )),
        None => Some(format!(
            "volume {} is not declared in group {}: remove it from the group in the capture's configuration",
            member.id, record.name
        )),
        Some(volume) => match volume.size_bytes {
            Some(size) if size != member.size_bytes => Some(format!(
                "volume {} has {} bytes at the source and was declared with {size}: correct the path in the capture's configuration, or create the group with the true size",
                volume.name, member.size_bytes
            )),
            _ => None,
        },
    }
}

/// What is wrong when one volume has two numbers.
fn told_twice<'a>(record: &GroupRecord, told: impl Iterator<Item = &'a Member>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let twice = told.map(|member| member.id).find(|id| !seen.insert(*id))?;
    let declared = record.volumes.iter().find(|volume| volume.id == twice);
    let name = declared.map_or_else(|| twice.to_string(), |volume| volume.name.clone());
    Some(format!(
        "volume {name} is told of twice: name it once in the capture's configuration, and start the capture again"
    ))
}

/// The first declared volume that was not told of.
fn missing_volume<'a>(
    record: &'a GroupRecord,
    told: impl Iterator<Item = &'a Member>,
) -> Option<&'a str> {
    let told: BTreeSet<_> = told.map(|member| member.id).collect();
    let missing = record
        .volumes
        .iter()
        .find(|volume| !told.contains(&volume.id))?;
    Some(&missing.name)
}

/// Whether a batch's end could be a point.
fn publishes(state: &LineageState, layout: &BatchLayout) -> bool {
    let mut after = state.clone();
    after.applied(layout, [0; MAC_BYTES], Timestamp(i64::MAX));
    after.is_publishable()
}
