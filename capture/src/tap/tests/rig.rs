//! A tap with a disk and a journal that do nothing until told.

use crate::{
    Moment, Payload, StreamBody,
    feed::FeedItem,
    intent::Intent,
    journal::{JournalCommand, JournalEvent, JournalUsage, StopReason},
    start::{IncarnationStart, StartPlan, SyncScope, SyncStart},
    tap::{
        Action, BackingAction, BackingError, BackingOperation, Reply, ReplyError, ReplyValue,
        Request, RequestId, TapCore, TapSettings, Volume,
    },
};
use bcdr_format::{
    GroupId, IncarnationId, Opening, Sequence, SyncId, Timestamp, VolumeId, VolumeNumber,
    incarnation::IncarnationOrdinal,
    sync::{Heals, SyncReason},
};
use std::time::Duration;

pub(super) const VOLUME: VolumeNumber = VolumeNumber(1);
pub(super) const SIZE: u64 = 64 << 10;
/// Sequence of the first record that a test adds: the opening member comes before it.
pub(super) const FIRST: u64 = 2;

pub(super) struct Rig {
    pub(super) tap: TapCore,
    pub(super) now: Moment,
    /// What the disk holds: it changes when a write completes.
    pub(super) disk: Vec<u8>,
    pub(super) submitted: Vec<BackingOperation>,
    pub(super) queue: Vec<JournalCommand>,
    pub(super) replies: Vec<Reply>,
    pub(super) fed: Vec<FeedItem>,
    pub(super) intents: Vec<Intent>,
    pub(super) trusted: bool,
    next_request: u64,
    written: Sequence,
}

pub(super) fn settings() -> TapSettings {
    TapSettings {
        scan_chunk_bytes: 8 << 10,
        scan_reads: 1,
        window_records: 64,
        ..TapSettings::default()
    }
}

pub(super) fn opening(continues: Option<bcdr_format::Position>) -> Opening {
    Opening {
        ordinal: IncarnationOrdinal(2),
        id: IncarnationId::from_u128(7),
        continues,
        first: Sequence(1),
    }
}

/// A life that needs no interval.
pub(super) fn continuous() -> StartPlan {
    let start = IncarnationStart {
        opening: opening(None),
        sync: None,
    };
    StartPlan {
        start,
        scope: SyncScope::Ranges(Vec::new()),
    }
}

/// A life that reads everything first.
pub(super) fn initial() -> StartPlan {
    let heals = Heals::Everything {
        opening: IncarnationOrdinal(2),
    };
    let sync = SyncStart {
        sync: SyncId::from_u128(5),
        reason: SyncReason::Initial,
        heals,
    };
    let start = IncarnationStart {
        opening: opening(None),
        sync: Some(sync),
    };
    StartPlan {
        start,
        scope: SyncScope::Everything,
    }
}

impl Rig {
    pub(super) fn new(plan: StartPlan) -> Self {
        Self::with(settings(), plan, true)
    }

    pub(super) fn with(settings: TapSettings, plan: StartPlan, trim_zeroes: bool) -> Self {
        let now = Moment {
            monotonic: Duration::from_secs(1),
            wall: Timestamp(1_000_000),
        };
        let volume = Volume {
            number: VOLUME,
            id: VolumeId::from_u128(1),
            size_bytes: SIZE,
            io_unit_bytes: 4096,
            trim_zeroes,
        };
        let mut random = 100;
        let source = Box::new(move || {
            random += 1;
            random
        });
        let group = GroupId::from_u128(1);
        let tap = TapCore::new(settings, group, vec![volume], plan, source, now);
        let mut rig = Self {
            tap,
            now,
            disk: vec![0; SIZE as usize],
            submitted: Vec::new(),
            queue: Vec::new(),
            replies: Vec::new(),
            fed: Vec::new(),
            intents: Vec::new(),
            trusted: true,
            next_request: 0,
            written: Sequence(0),
        };
        rig.drain();
        rig.journal();
        rig
    }

    fn drain(&mut self) {
        while let Some(action) = self.tap.poll_action() {
            match action {
                Action::Intend(intent) => self.intents.push(intent),
                Action::DistrustIntents => self.trusted = false,
                Action::TrustIntents { .. } => self.trusted = true,
                Action::Submit(operation) => self.submitted.push(operation),
                Action::Journal(command) => self.queue.push(command),
                Action::Reply(reply) => self.replies.push(reply),
                Action::Feed(item) => self.fed.push(item),
            }
        }
    }

    pub(super) fn request(&mut self, request: Request) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.tap.request(self.now, id, request);
        self.drain();
        id
    }

    pub(super) fn write(&mut self, offset: u64, length: usize, fill: u8) -> RequestId {
        let payload = Payload::copied_from(&vec![fill; length]);
        self.request(Request::Write {
            volume: VOLUME,
            offset,
            payload,
            fua: false,
        })
    }

    pub(super) fn flush(&mut self) -> RequestId {
        self.request(Request::Flush { volume: VOLUME })
    }

    /// The journal writes everything queued, and syncs if asked to.
    pub(super) fn journal(&mut self) {
        for command in std::mem::take(&mut self.queue) {
            match command {
                JournalCommand::Open { start, .. } => {
                    self.written = start.opening.first.previous();
                    self.event(JournalEvent::Opened(start.opening.ordinal));
                }
                JournalCommand::Append { record, .. } => {
                    self.written = record.sequence;
                    self.event(JournalEvent::Written(record.sequence));
                }
                JournalCommand::Settle(_) | JournalCommand::Discard => {}
                JournalCommand::Sync => self.event(JournalEvent::Durable(self.written)),
            }
        }
        if !self.queue.is_empty() {
            self.journal();
        }
    }

    pub(super) fn event(&mut self, event: JournalEvent) {
        self.tap.journal_event(self.now, event);
        self.drain();
    }

    /// The journal stops and forgets what is queued.
    pub(super) fn stop_journal(&mut self, reason: StopReason) {
        self.queue.clear();
        self.event(JournalEvent::Stopped(reason));
    }

    pub(super) fn usage(&mut self, used_bytes: u64) {
        let usage = JournalUsage {
            used_bytes,
            capacity_bytes: 100,
            trimmed: None,
        };
        self.event(JournalEvent::Usage(usage));
    }

    pub(super) fn pass(&mut self, milliseconds: u64) {
        self.now.monotonic += Duration::from_millis(milliseconds);
        self.now.wall = self.now.wall.shifted(milliseconds as i64 * 1000);
        self.tap.tick(self.now);
        self.drain();
    }

    /// Completes the `index`-th I/O in flight.
    pub(super) fn complete(&mut self, index: usize) {
        let operation = self.submitted.remove(index);
        let result = self.apply(&operation);
        self.tap.backing_done(self.now, operation.id, Ok(result));
        self.drain();
    }

    pub(super) fn fail(&mut self, index: usize, error: BackingError) {
        let operation = self.submitted.remove(index);
        self.tap.backing_done(self.now, operation.id, Err(error));
        self.drain();
    }

    /// Completes and writes until nothing is left to do.
    pub(super) fn settle(&mut self) {
        while !self.submitted.is_empty() || !self.queue.is_empty() {
            while !self.submitted.is_empty() {
                self.complete(0);
            }
            self.journal();
        }
    }

    fn apply(&mut self, operation: &BackingOperation) -> Option<Payload> {
        match &operation.action {
            BackingAction::Read { offset, length } => {
                let start = *offset as usize;
                Some(Payload::copied_from(
                    &self.disk[start..start + *length as usize],
                ))
            }
            BackingAction::Write { offset, payload } => {
                let start = *offset as usize;
                self.disk[start..start + payload.len()].copy_from_slice(payload);
                None
            }
            BackingAction::Zero { offset, length, .. } => {
                let start = *offset as usize;
                self.disk[start..start + *length as usize].fill(0);
                None
            }
            BackingAction::Sync => None,
        }
    }

    pub(super) fn reply_of(&self, id: RequestId) -> Option<Result<ReplyValue, ReplyError>> {
        self.replies
            .iter()
            .find(|reply| reply.request == id)
            .map(|reply| reply.result.clone())
    }

    pub(super) fn is_done(&self, id: RequestId) -> bool {
        self.reply_of(id) == Some(Ok(ReplyValue::Done))
    }

    /// Sequences of the records fed so far.
    pub(super) fn fed_sequences(&self) -> Vec<u64> {
        self.fed
            .iter()
            .filter_map(|item| item.position())
            .map(|position| position.sequence.0)
            .collect()
    }

    pub(super) fn fed_body(&self, sequence: u64) -> Option<StreamBody> {
        self.fed.iter().find_map(|item| match item {
            FeedItem::Record { record, .. } if record.sequence.0 == sequence => {
                Some(record.body.clone())
            }
            _ => None,
        })
    }

    /// What a replica holds that applied everything fed.
    pub(super) fn replica(&self) -> Vec<u8> {
        let mut image = vec![0xee; SIZE as usize];
        for item in &self.fed {
            let FeedItem::Record { record, .. } = item else {
                continue;
            };
            let Some(range) = record.body.range() else {
                continue;
            };
            let place = &mut image[range.offset as usize..range.end() as usize];
            match (record.body.payload(), &record.body) {
                (Some(payload), _) => place.copy_from_slice(payload),
                (None, StreamBody::Void { .. }) => place.fill(0xdd),
                (None, _) => place.fill(0),
            }
        }
        image
    }

    /// The intents whose writes are in flight, as (sequence, offset).
    pub(super) fn writes_in_flight(&self) -> Vec<u64> {
        self.submitted
            .iter()
            .filter_map(|operation| match &operation.action {
                BackingAction::Write { offset, .. } => Some(*offset),
                _ => None,
            })
            .collect()
    }
}
