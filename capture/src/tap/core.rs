//! The tap's state and its events: who holds what, and what follows from each thing that happens.
//!
//! One struct owns all of it. Every event changes state and then calls `advance`, which draws the
//! conclusions in a fixed order: feed what is settled, start writes that waited, answer flushes,
//! sync the journal if somebody waits for it, read on with the scan. The parts live beside this
//! file: `writes.rs` (a write from lock to reply), `scanning.rs`, `resume.rs` (lives of the stream).

use super::{
    action::{Action, BackingAction, BackingId, BackingOperation, BackingResult},
    flush::{Commit, Commits, SyncGate},
    ladder::{Ladder, Pressure},
    prefix::Prefix,
    range_lock::{LockId, RangeLock},
    request::{Reply, ReplyError, ReplyValue, Request, RequestId, Volume},
    scan::Scan,
    settings::TapSettings,
    writes::{Pending, Write},
};
use crate::{
    Moment, Payload, StreamBody, StreamRecord,
    feed::FeedItem,
    journal::{JournalCommand, JournalEvent, JournalUsage},
    start::{IncarnationStart, StartPlan, SyncStart},
};
use bcdr_format::{
    GroupId, Position, Sequence, VolumeNumber,
    incarnation::IncarnationOrdinal,
    record::{Beat, Marker},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

/// Why a marker cannot be placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// Writes are not journaled, so no instant can be named.
    #[error(
        "cannot place a marker: the group is untracked ({reason}); wait until it is continuous again"
    )]
    Untracked {
        /// Why it is untracked.
        reason: String,
    },
    /// The capture is stopping.
    #[error("cannot place a marker: the capture is stopping; start it again first")]
    Closing,
}

/// An I/O in flight on a backing, and what it is for.
#[derive(Debug)]
pub(super) enum InFlight {
    Read {
        request: RequestId,
        length: u32,
    },
    Sync {
        volume: VolumeNumber,
    },
    Write {
        lock: LockId,
    },
    /// Zeroes written piece by piece, where the backing cannot zero; `done` bytes of the write.
    ZeroFill {
        lock: LockId,
        done: u32,
    },
    /// The range of a failed write, read back.
    ReadBack {
        lock: LockId,
        error: super::action::BackingError,
    },
    Scan,
}

#[derive(Debug)]
pub(super) struct VolumeState {
    pub(super) volume: Volume,
    pub(super) gate: SyncGate,
    /// The highest sequence of a write that was answered.
    pub(super) replied_through: Sequence,
    pub(super) bytes_written: u64,
    /// Cleared when the backing turns out unable.
    pub(super) zeroes: bool,
}

/// What the tap knows of its journal.
#[derive(Debug, Default)]
pub(super) struct JournalSide {
    /// Records queued and not yet reported written, with their bytes.
    pub(super) queued: VecDeque<(Sequence, usize)>,
    pub(super) queued_bytes: usize,
    pub(super) written: Sequence,
    pub(super) durable: Sequence,
    /// What the sync in flight will make durable.
    pub(super) syncing: Option<Sequence>,
    pub(super) synced_at: Duration,
    pub(super) usage: JournalUsage,
    pub(super) noted: Option<Position>,
}

/// The tap of one group. See [`super`] for its contract.
pub struct TapCore {
    pub(super) settings: TapSettings,
    pub(super) group: GroupId,
    pub(super) random: Box<dyn FnMut() -> u128 + Send>,
    pub(super) volumes: BTreeMap<VolumeNumber, VolumeState>,
    pub(super) actions: VecDeque<Action>,
    pub(super) start: IncarnationStart,
    /// The interval open behind the last record given out.
    pub(super) open_sync: Option<SyncStart>,
    /// Whether the journal has taken this life's opening.
    pub(super) opened: bool,
    /// The next sequence to give.
    pub(super) next: Sequence,
    pub(super) prefix: Prefix,
    pub(super) fed: Option<Position>,
    /// Writes went untracked, so the intent ring proves nothing.
    pub(super) distrusted: bool,
    /// A life must have a higher ordinal than this, because a peer knows it already.
    pub(super) above: IncarnationOrdinal,
    pub(super) journal: JournalSide,
    pub(super) ladder: Ladder,
    pub(super) locks: RangeLock,
    pub(super) writes: BTreeMap<LockId, Write>,
    /// Writes that hold their lock and wait for room beyond the fed prefix or in the queue.
    pub(super) parked: VecDeque<LockId>,
    pub(super) requests: HashMap<RequestId, Pending>,
    pub(super) in_flight: HashMap<BackingId, InFlight>,
    pub(super) commits: Commits,
    pub(super) scan: Option<Scan>,
    /// Bytes that scans have put into the stream.
    pub(super) sync_read_bytes: u64,
    /// Writes of earlier lives or of none may still be in flight: the scan must not begin.
    pub(super) scan_barred: bool,
    pub(super) backlog_bytes: u64,
    pub(super) last_id: u64,
    pub(super) closing: bool,
}

impl fmt::Debug for TapCore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TapCore")
            .field("start", &self.start)
            .field("next", &self.next)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

impl TapCore {
    /// A tap that begins the life `plan` describes. `random` gives the randomness for identities
    /// of later lives and intervals (80 bits of it are used each time).
    #[must_use]
    pub fn new(
        settings: TapSettings,
        group: GroupId,
        volumes: Vec<Volume>,
        plan: StartPlan,
        random: Box<dyn FnMut() -> u128 + Send>,
        now: Moment,
    ) -> Self {
        let state = |volume: Volume| VolumeState {
            volume,
            gate: SyncGate::default(),
            replied_through: Sequence::default(),
            bytes_written: 0,
            zeroes: true,
        };
        let first = plan.start.opening.first;
        let mut tap = Self {
            ladder: Ladder::new(&settings),
            settings,
            group,
            random,
            volumes: volumes
                .into_iter()
                .map(|volume| (volume.number, state(volume)))
                .collect(),
            actions: VecDeque::new(),
            start: plan.start,
            open_sync: None,
            opened: false,
            next: first,
            prefix: Prefix::new(first),
            fed: plan.start.opening.continues,
            distrusted: false,
            above: IncarnationOrdinal::default(),
            journal: JournalSide {
                written: first.previous(),
                durable: first.previous(),
                synced_at: now.monotonic,
                ..JournalSide::default()
            },
            locks: RangeLock::default(),
            writes: BTreeMap::new(),
            parked: VecDeque::new(),
            requests: HashMap::new(),
            in_flight: HashMap::new(),
            commits: Commits::default(),
            scan: None,
            sync_read_bytes: 0,
            scan_barred: false,
            backlog_bytes: 0,
            last_id: 0,
            closing: false,
        };
        tap.begin_life(now, plan, false);
        tap.advance(now);
        tap
    }

    /// A client asks for something. Its answer comes as [`Action::Reply`].
    pub fn request(&mut self, now: Moment, id: RequestId, request: Request) {
        let valid = self.volumes.get(&request.volume()).is_some_and(|state| {
            request
                .extent()
                .is_none_or(|(offset, length)| state.volume.holds(offset, length))
        });
        if !valid {
            return self.reply(id, Err(ReplyError::Invalid));
        }
        match request {
            Request::Flush { volume } => self.commit(now, id, volume, self.flush_point(volume)),
            Request::Read { length: 0, .. } => {
                self.reply(id, Ok(ReplyValue::Data(Payload::default())));
            }
            Request::Read {
                volume,
                offset,
                length,
            } => {
                let what = InFlight::Read {
                    request: id,
                    length,
                };
                self.submit(volume, BackingAction::Read { offset, length }, what);
            }
            write => self.write_request(now, id, write),
        }
        self.advance(now);
    }

    /// An I/O on a backing ended.
    pub fn backing_done(&mut self, now: Moment, id: BackingId, result: BackingResult) {
        let Some(what) = self.in_flight.remove(&id) else {
            debug_assert!(false, "{id:?} ended twice");
            return;
        };
        match what {
            InFlight::Read { request, length } => {
                let whole = |data: Option<Payload>| {
                    ReplyValue::Data(data.unwrap_or_else(|| Payload::zeroed(length as usize)))
                };
                self.reply(request, result.map(whole).map_err(ReplyError::from));
            }
            InFlight::Sync { volume } => {
                if self.volume(volume).gate.ended(result.is_ok()) {
                    self.submit(volume, BackingAction::Sync, InFlight::Sync { volume });
                }
            }
            InFlight::Write { lock } => self.write_ended(now, lock, result),
            InFlight::ZeroFill { lock, done } => self.zero_fill_ended(now, lock, done, result),
            InFlight::ReadBack { lock, error } => self.read_back_ended(now, lock, error, result),
            InFlight::Scan => self.scan_read_ended(now, id, result),
        }
        self.advance(now);
    }

    /// The journal reports. Events must arrive in the order the journal gave them.
    pub fn journal_event(&mut self, now: Moment, event: JournalEvent) {
        match event {
            JournalEvent::Opened(ordinal) => {
                if ordinal == self.start.opening.ordinal {
                    self.opened = true;
                    self.actions
                        .push_back(Action::Feed(FeedItem::Opening(self.start)));
                    self.trust_intents();
                }
            }
            JournalEvent::Written(through) => {
                self.journal.note_written(through);
                self.prefix.written(through);
            }
            JournalEvent::Durable(through) => {
                self.journal.durable = self.journal.durable.max(through);
                if self.journal.syncing.is_some_and(|wanted| wanted <= through) {
                    self.journal.syncing = None;
                }
            }
            JournalEvent::Stopped(reason) => {
                self.prefix.forget_unwritten();
                self.journal.forget_queue();
                self.leave_journal(now, reason.into());
            }
            JournalEvent::Usage(usage) => self.journal.usage = usage,
        }
        self.advance(now);
    }

    /// Time passes. Call at least every 50 ms.
    pub fn tick(&mut self, now: Moment) {
        let flush_since = self.commits.journal_awaited_since(self.journal.durable);
        let (pressure, waits) = (self.pressure(), !self.parked.is_empty());
        let verdict = self
            .ladder
            .weigh(now, &self.settings, pressure, waits, flush_since);
        if let Some(reason) = verdict {
            self.leave_journal(now, reason);
        }
        self.resume_if_possible(now);
        self.sync_journal_when_due(now);
        self.note_settled_when_idle();
        self.advance(now);
    }

    /// Gives a marker its place. It is effective once the feed passes that position.
    ///
    /// # Errors
    /// When nothing is journaled, or the capture is stopping.
    pub fn place_marker(&mut self, now: Moment, marker: Marker) -> Result<Position, MarkerError> {
        if let Some(untracked) = self.ladder.untracked() {
            return Err(MarkerError::Untracked {
                reason: untracked.reason.to_string(),
            });
        }
        if self.closing {
            return Err(MarkerError::Closing);
        }
        let sequence = self.append(now, StreamBody::Marker(marker), true);
        self.advance(now);
        Ok(Position::new(self.start.opening.ordinal, sequence))
    }

    /// Gives a receiver's beat its place; `false` if it was dropped, because nothing is journaled
    /// or because there is no room. A dropped beat only makes the measured lag grow.
    pub fn place_beat(&mut self, now: Moment, beat: Beat) -> bool {
        let room = self.pressure() == Pressure::None && self.parked.is_empty();
        if !self.ladder.journaling() || self.closing || !room {
            return false;
        }
        self.append(now, StreamBody::Beat(beat), true);
        self.advance(now);
        true
    }

    /// How many bytes the feed is behind; the scan waits while that is much.
    pub fn feed_backlog(&mut self, bytes: u64) {
        self.backlog_bytes = bytes;
    }

    /// Prepares an orderly end: the scan stops, nothing more is placed. The shell sends no more
    /// requests, and stops once [`Self::is_idle`].
    pub fn begin_close(&mut self, now: Moment) {
        self.closing = true;
        self.advance(now);
    }

    /// Whether nothing is in flight or unanswered, and everything settled was fed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let quiet = self.writes.is_empty() && self.requests.is_empty() && self.in_flight.is_empty();
        quiet && self.prefix.is_empty() && self.journal.queued.is_empty() && self.commits.is_empty()
    }

    /// The position at which the journal may be closed as clean: everything is settled and fed, and
    /// nothing is left to read again. `None` if the next start must look for itself.
    #[must_use]
    pub fn clean_position(&self) -> Option<Position> {
        let clean = self.is_idle() && self.ladder.journaling() && self.open_sync.is_none();
        if clean && self.opened { self.fed } else { None }
    }

    /// The next thing to do. Drain after every event.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The life being written.
    #[must_use]
    pub fn start(&self) -> IncarnationStart {
        self.start
    }

    /// The last position handed to the feed.
    #[must_use]
    pub fn fed(&self) -> Option<Position> {
        self.fed
    }

    /// Draws the conclusions of an event.
    pub(super) fn advance(&mut self, now: Moment) {
        while let Some(record) = self.prefix.pop_fed() {
            let ordinal = self.start.opening.ordinal;
            self.fed = Some(Position::new(ordinal, record.sequence));
            self.actions
                .push_back(Action::Feed(FeedItem::Record { ordinal, record }));
        }
        self.start_parked(now);
        let volumes = &self.volumes;
        let released = self
            .commits
            .release(self.journal.durable, |number| &volumes[&number].gate);
        for (request, synced) in released {
            let done = if synced {
                Ok(ReplyValue::Done)
            } else {
                Err(ReplyError::Io)
            };
            self.reply(request, done);
        }
        if let Some(wanted) = self.commits.wanted_durable()
            && wanted > self.journal.durable
        {
            self.sync_journal(now);
        }
        self.scan_on(now);
    }

    /// Gives a record its sequence and queues it to the journal, in one step.
    pub(super) fn append(&mut self, now: Moment, body: StreamBody, settled: bool) -> Sequence {
        let sequence = self.next;
        self.next = sequence.next();
        let record = Arc::new(StreamRecord {
            sequence,
            captured_at: now.wall,
            body,
        });
        let bytes = record.encoded_length();
        self.journal.queued.push_back((sequence, bytes));
        self.journal.queued_bytes += bytes;
        self.prefix.push(Arc::clone(&record), settled);
        let settled = self.settled();
        self.journal.noted = settled;
        let open_sync = self.open_sync;
        let command = JournalCommand::Append {
            record,
            settled,
            open_sync,
        };
        self.actions.push_back(Action::Journal(command));
        sequence
    }

    /// The settled prefix as a position; before this life's first record it is where it continues.
    pub(super) fn settled(&self) -> Option<Position> {
        let settled = self.prefix.settled();
        if settled >= self.start.opening.first {
            return Some(Position::new(self.start.opening.ordinal, settled));
        }
        self.start.opening.continues
    }

    /// What holds new writes back.
    pub(super) fn pressure(&self) -> Pressure {
        let window = self.prefix.fed().0 + self.settings.window_records;
        if self.next.0 > window || self.prefix.bytes() >= self.settings.window_bytes {
            // A journal that does not write keeps the prefix from being fed as well.
            let hangs = self.prefix.settled() < self.journal.written;
            return if hangs {
                Pressure::Window
            } else {
                Pressure::JournalQueue
            };
        }
        if self.journal.queued_bytes >= self.settings.journal_queue_bytes {
            return Pressure::JournalQueue;
        }
        Pressure::None
    }

    pub(super) fn submit(&mut self, volume: VolumeNumber, action: BackingAction, what: InFlight) {
        self.last_id += 1;
        let id = BackingId(self.last_id);
        self.in_flight.insert(id, what);
        self.actions
            .push_back(Action::Submit(BackingOperation { id, volume, action }));
    }

    pub(super) fn reply(&mut self, request: RequestId, result: Result<ReplyValue, ReplyError>) {
        self.actions
            .push_back(Action::Reply(Reply { request, result }));
    }

    pub(super) fn volume(&mut self, number: VolumeNumber) -> &mut VolumeState {
        self.volumes
            .get_mut(&number)
            .expect("requests were checked to name a volume")
    }

    /// The record that must be durable before a flush of `volume` that arrives now is answered.
    fn flush_point(&self, volume: VolumeNumber) -> Option<Sequence> {
        let replied = self.volumes[&volume].replied_through;
        (self.ladder.journaling() && replied > self.journal.durable).then_some(replied)
    }

    /// Answers a request once the backing is synced and the journal is durable through `durable`.
    pub(super) fn commit(
        &mut self,
        now: Moment,
        request: RequestId,
        volume: VolumeNumber,
        durable: Option<Sequence>,
    ) {
        let (generation, begin) = self.volume(volume).gate.join();
        if begin {
            self.submit(volume, BackingAction::Sync, InFlight::Sync { volume });
        }
        let since = now.monotonic;
        self.commits.push(Commit {
            request,
            volume,
            generation,
            durable,
            since,
        });
    }

    fn sync_journal(&mut self, now: Moment) {
        if self.journal.syncing.is_some() || !self.ladder.journaling() {
            return;
        }
        self.journal.syncing = Some(self.next.previous());
        self.journal.synced_at = now.monotonic;
        self.actions
            .push_back(Action::Journal(JournalCommand::Sync));
    }

    fn sync_journal_when_due(&mut self, now: Moment) {
        let due = self.journal.synced_at + self.settings.journal_sync_interval;
        if self.journal.durable < self.next.previous() && now.monotonic >= due {
            self.sync_journal(now);
        }
    }

    /// A record appended later carries the settled prefix; without one it is noted by itself.
    fn note_settled_when_idle(&mut self) {
        let settled = self.settled();
        let idle = self.ladder.journaling() && self.journal.queued.is_empty() && self.opened;
        if let Some(position) = settled
            && idle
            && settled != self.journal.noted
        {
            self.journal.noted = settled;
            self.actions
                .push_back(Action::Journal(JournalCommand::Settle(position)));
        }
    }
}

impl JournalSide {
    fn note_written(&mut self, through: Sequence) {
        self.written = self.written.max(through);
        while let Some((sequence, bytes)) = self.queued.front()
            && *sequence <= through
        {
            self.queued_bytes -= bytes;
            self.queued.pop_front();
        }
    }

    fn forget_queue(&mut self) {
        self.queued.clear();
        self.queued_bytes = 0;
        self.syncing = None;
    }
}
