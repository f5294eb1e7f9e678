//! The ring thread of a group: the one owner of its tap, sockets, backing I/O and intents.
//!
//! A thin loop: what happens outside (completions, readable sockets, journal events, commands) is
//! turned into events of the tap, and the tap's actions are executed in the order they come out.
//! Invariants: no reply leaves before the journal's commands of the same turn are queued; a request
//! of a client that is gone is still carried out, and its answer dropped; nothing a client does or
//! fails to do makes another one wait, or memory grow without bound. It decides no order and no
//! durability: the tap does.

mod closing;
mod connection;
mod handle;
mod listening;
mod quiescing;
mod serving;
mod sighting;
mod status;

#[cfg(test)]
mod tests;

pub use connection::{TapPayloads, TapSession};
pub use handle::{AdoptedClient, Closed, GroupCommand, GroupHandle};
pub use listening::{Export, export_info};
pub(crate) use quiescing::make_read_only;
pub use status::{GroupStatus, VolumeCounters};

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, mpsc},
    time::Duration,
};

use bcdr_format::VolumeNumber;
use tokio::sync::{mpsc as channel, watch};

use crate::{
    backing_queue::BackingQueue,
    clock::Clock,
    evidence::Look,
    feed::FeedItem,
    intent::{BackingEvidence, BootId, IntentRing},
    journal::{JournalCommand, JournalEvent},
    journal_thread::JournalHandle,
    metrics::GroupMetrics,
    ring::{Completion, Ring, WatchKey, backing::Backing},
    tap::{Action, BackingId, BackingResult, RequestId, TapCore},
};
use connection::{Connection, ConnectionId, Outstanding};
use listening::Listener;

/// The longest the tap goes without hearing the time.
const TICK: Duration = Duration::from_millis(50);

/// Results without I/O that are told in one turn.
const IMMEDIATE_PER_TURN: usize = 64;

/// What a watch is for.
#[derive(Debug, Clone, Copy)]
enum Watched {
    Listener(usize),
    Receive(ConnectionId),
    Send(ConnectionId),
}

/// Everything a group's thread begins with.
pub struct GroupParts {
    /// The tap, its first actions not yet polled.
    pub tap: TapCore,
    /// The volumes, their backings and their sockets.
    pub exports: Vec<Export>,
    /// The intent ring, not yet begun for this life.
    pub intents: IntentRing,
    /// What the backings looked like before the tap.
    pub look: Look,
    /// This boot of the machine.
    pub boot: BootId,
    /// The journal's thread.
    pub journal: JournalHandle,
    /// What it reports.
    pub journal_events: mpsc::Receiver<JournalEvent>,
    /// Commands from other threads.
    pub commands: mpsc::Receiver<GroupCommand>,
    /// Where the feed's items go.
    pub feed: channel::UnboundedSender<Vec<FeedItem>>,
    /// How many bytes the feed is behind.
    pub feed_backlog: Arc<std::sync::atomic::AtomicU64>,
    /// Where the status is shown.
    pub status: watch::Sender<Option<GroupStatus>>,
    /// What is counted on the way.
    pub metrics: GroupMetrics,
    /// The clock that everybody reads.
    pub clock: Clock,
}

/// The ring thread's state. See the module's description.
pub struct GroupThread {
    ring: Box<dyn Ring>,
    tap: TapCore,
    queue: BackingQueue,
    backings: Vec<(VolumeNumber, Arc<Backing>)>,
    intents: IntentRing,
    /// Whether the intent ring has begun for this process.
    intents_begun: bool,
    evidence: BackingEvidence,
    sightings: sighting::Sightings,
    boot: BootId,
    journal: JournalHandle,
    journal_events: mpsc::Receiver<JournalEvent>,
    commands: mpsc::Receiver<GroupCommand>,
    feed: channel::UnboundedSender<Vec<FeedItem>>,
    feed_backlog: Arc<std::sync::atomic::AtomicU64>,
    status: watch::Sender<Option<GroupStatus>>,
    counters: HashMap<VolumeNumber, VolumeCounters>,
    metrics: GroupMetrics,
    clock: Clock,

    listeners: Vec<Listener>,
    connections: HashMap<ConnectionId, Connection>,
    watches: HashMap<WatchKey, Watched>,
    next_watch: u64,
    next_connection: u64,
    next_request: u64,
    requests: HashMap<RequestId, Outstanding>,
    /// Connections to look after before the next wait.
    dirty: VecDeque<ConnectionId>,

    journal_batch: Vec<JournalCommand>,
    feed_batch: Vec<FeedItem>,
    /// Backing results that needed no I/O.
    immediate: VecDeque<(BackingId, BackingResult)>,
    ticked: Duration,
    /// No more writes are taken.
    quiesced: bool,
    closing: Option<closing::Closing>,
}

/// Why a group's thread ended without being asked.
#[derive(Debug, thiserror::Error)]
pub enum GroupThreadError {
    /// A backing could not be given to the ring.
    #[error("cannot use the backing of volume {name}: {source}")]
    Register {
        /// The volume.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The ring broke.
    #[error("the I/O ring failed: {source}; check the kernel log, or set engine = \"syscall\"")]
    Ring {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl GroupThread {
    /// Puts the parts together. `ring` was made on the calling thread, which then calls
    /// [`Self::run`].
    ///
    /// # Errors
    /// If the ring does not take the backings.
    pub fn new(mut ring: Box<dyn Ring>, parts: GroupParts) -> Result<Self, GroupThreadError> {
        let mut queue = BackingQueue::default();
        let mut backings = Vec::new();
        let mut listeners = Vec::new();
        let mut counters = HashMap::new();
        for export in parts.exports {
            let Export {
                number,
                info,
                backing,
                socket,
            } = export;
            queue
                .add(&mut *ring, number, Arc::clone(&backing))
                .map_err(|source| GroupThreadError::Register {
                    name: info.name.clone(),
                    source,
                })?;
            backings.push((number, backing));
            counters.insert(number, VolumeCounters::default());
            listeners.push(
                Listener::new(number, info, socket)
                    .map_err(|source| GroupThreadError::Ring { source })?,
            );
        }
        let mut thread = Self {
            ring,
            tap: parts.tap,
            queue,
            backings,
            intents: parts.intents,
            intents_begun: false,
            evidence: parts.look.evidence,
            sightings: sighting::Sightings::new(parts.look.activity.sectors_written),
            boot: parts.boot,
            journal: parts.journal,
            journal_events: parts.journal_events,
            commands: parts.commands,
            feed: parts.feed,
            feed_backlog: parts.feed_backlog,
            status: parts.status,
            counters,
            metrics: parts.metrics,
            clock: parts.clock,
            listeners,
            connections: HashMap::new(),
            watches: HashMap::new(),
            next_watch: 0,
            next_connection: 0,
            next_request: 0,
            requests: HashMap::new(),
            dirty: VecDeque::new(),
            journal_batch: Vec::new(),
            feed_batch: Vec::new(),
            immediate: VecDeque::new(),
            ticked: parts.clock.monotonic(),
            quiesced: false,
            closing: None,
        };
        thread.act();
        thread.hand_over();
        thread.publish_status();
        Ok(thread)
    }

    /// Serves until a close is asked for and done.
    ///
    /// # Errors
    /// If the ring fails.
    pub fn run(mut self) -> Result<Closed, GroupThreadError> {
        let mut completions = Vec::new();
        self.listen();
        loop {
            let timeout = if self.immediate.is_empty() {
                (self.ticked + TICK).saturating_sub(self.clock.monotonic())
            } else {
                Duration::ZERO
            };
            self.ring
                .wait(Some(timeout), &mut completions)
                .map_err(|source| GroupThreadError::Ring { source })?;
            for completion in completions.drain(..) {
                self.complete(completion);
            }
            if self.clock.monotonic() >= self.ticked + TICK {
                self.tick();
            }
            self.finish_turn();
            if let Some(closed) = self.try_close() {
                return Ok(closed);
            }
        }
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Operation { token, result } => {
                if let Some((id, result)) = self.queue.complete(&mut *self.ring, token, result) {
                    self.sightings.ended(id);
                    self.tap.backing_done(self.clock.now(), id, result);
                    self.act();
                }
            }
            Completion::Ready(key) => match self.watches.remove(&key) {
                Some(Watched::Listener(index)) => self.accept(index),
                Some(Watched::Receive(id)) => self.receive(id),
                Some(Watched::Send(id)) => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.send_watch = None;
                    }
                    self.mark(id);
                }
                None => {}
            },
            Completion::Woken => {
                self.hear_journal();
                self.hear_commands();
            }
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        self.ticked = now.monotonic;
        // A wake that was lost would otherwise be lost for good.
        self.hear_journal();
        self.hear_commands();
        self.tap
            .feed_backlog(self.feed_backlog.load(std::sync::atomic::Ordering::Relaxed));
        self.tap.tick(now);
        self.act();
        self.sight_tick();
        self.drop_late_clients(now.monotonic);
        self.listen();
        self.publish_status();
    }

    /// Executes what the tap wants, until it wants nothing.
    fn act(&mut self) {
        while let Some(action) = self.tap.poll_action() {
            match action {
                Action::Intend(intent) => {
                    self.begin_intents();
                    self.intents.write(&intent);
                }
                Action::DistrustIntents => self.intents.distrust(),
                Action::TrustIntents {
                    ordinal,
                    incarnation,
                } => {
                    self.intents.trust(ordinal, incarnation);
                }
                Action::Submit(operation) => {
                    self.sight_submission(&operation);
                    let done = self.queue.begin(&mut *self.ring, operation);
                    self.immediate.extend(done);
                }
                Action::Journal(command) => self.journal_batch.push(command),
                Action::Reply(reply) => self.answer(reply),
                Action::Feed(item) => self.feed_batch.push(item),
            }
        }
    }

    /// Tells the tap what needed no I/O. A scan of a thin volume lives on these, so only so many
    /// are told in one turn.
    fn tell_immediate(&mut self) {
        for _ in 0..IMMEDIATE_PER_TURN {
            let Some((id, result)) = self.immediate.pop_front() else {
                return;
            };
            self.sightings.ended(id);
            self.tap.backing_done(self.clock.now(), id, result);
            self.act();
        }
    }

    /// Begins the intent ring for this process. Called when the journal has taken the opening, or
    /// before the first intent if writes come earlier; then the ring names a life that the journal
    /// may not hold, which proves nothing and costs a full compare.
    fn begin_intents(&mut self) {
        if !self.intents_begun {
            self.intents_begun = true;
            let opening = self.tap.start().opening;
            self.intents
                .begin(self.boot, opening.ordinal, opening.id, self.evidence);
        }
    }

    fn hear_journal(&mut self) {
        while let Ok(event) = self.journal_events.try_recv() {
            if matches!(event, JournalEvent::Opened(_)) {
                self.begin_intents();
            }
            self.tap.journal_event(self.clock.now(), event);
            self.act();
        }
    }

    /// Hands journal commands and feed items to their threads.
    fn hand_over(&mut self) {
        if !self.journal_batch.is_empty() {
            self.journal
                .execute(std::mem::take(&mut self.journal_batch));
        }
        if !self.feed_batch.is_empty()
            && self
                .feed
                .send(std::mem::take(&mut self.feed_batch))
                .is_err()
        {
            tracing::debug!("the feed is gone");
        }
    }

    /// The end of a turn: the journal first, then the clients.
    fn finish_turn(&mut self) {
        self.tell_immediate();
        self.hand_over();
        while let Some(id) = self.dirty.pop_front() {
            self.look_after(id);
            // What a client's next requests produced goes out in the same order.
            self.hand_over();
        }
    }
}
