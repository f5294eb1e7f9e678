//! The writer: appends, syncs and trims, one thread's own.
//!
//! Invariants: a segment's head is durable before its first append, and the segment before it is
//! durable by then; so only the newest segment can be torn. A segment whose device failed takes
//! nothing more, and the next head says so. Once stopped, nothing is appended until a life is
//! opened after the stop: a life has no holes.

use super::{
    JournalIdentity,
    append::{self, write_append},
    command::{JournalCommand, JournalEvent, JournalUsage, StopReason},
    index::{JournalSnapshot, Replacement, SegmentEntry},
    segment::{APPEND_HEADER_BYTES, PreviousSegment, SegmentHead, head_bytes, padded},
    space::{NoSegment, Space},
};
use crate::{
    StreamBody, StreamRecord,
    start::{IncarnationStart, SyncStart},
};
use bcdr_disk::{Access, AlignedBuffer, DiskError, File, Storage};
use bcdr_format::{Position, Sequence, record::Member};
use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

/// Why the journal could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Every segment holds records that are still needed.
    #[error(
        "the journal is full: all its segments hold records that the gateway has not made safe; \
         connect the gateway or raise the journal's capacity"
    )]
    Full,
    /// The device failed; the segment is given up.
    #[error("the journal cannot be written: {0}")]
    Disk(#[from] DiskError),
    /// A record does not fit into a segment.
    #[error(
        "a record of {bytes} bytes does not fit into a journal segment of {segment_bytes}; raise \
         the segment size"
    )]
    RecordTooLong {
        /// Bytes the record needs.
        bytes: u64,
        /// Bytes of a segment.
        segment_bytes: u64,
    },
    /// No life is open.
    #[error("the journal takes no records: no incarnation is open in it")]
    NotOpen,
}

impl From<NoSegment> for JournalError {
    fn from(error: NoSegment) -> Self {
        match error {
            NoSegment::Full => Self::Full,
            NoSegment::Disk(error) => Self::Disk(error),
        }
    }
}

impl From<&JournalError> for StopReason {
    fn from(error: &JournalError) -> Self {
        match error {
            JournalError::Full => Self::Full,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The segment in use before the next one.
#[derive(Debug, Clone, Default)]
pub(super) struct Predecessor {
    pub(super) summary: PreviousSegment,
    /// It was recovered, and may be in memory only: it must be synced before the next head.
    pub(super) unsynced: Option<PathBuf>,
}

impl Predecessor {
    pub(super) fn of(entry: &SegmentEntry) -> Self {
        Self {
            summary: entry.summary(),
            unsynced: None,
        }
    }
}

#[derive(Debug)]
struct Current {
    entry: SegmentEntry,
    file: Arc<dyn File>,
}

/// What recovery hands to the writer.
#[derive(Debug)]
pub(super) struct WriterSeed {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) identity: JournalIdentity,
    pub(super) space: Space,
    pub(super) closed: VecDeque<Arc<SegmentEntry>>,
    pub(super) replaced: BTreeMap<Position, Replacement>,
    pub(super) predecessor: Predecessor,
    pub(super) last_use: u64,
    pub(super) members: Vec<Member>,
}

/// The journal of one stream.
#[derive(Debug)]
pub struct Journal {
    storage: Arc<dyn Storage>,
    identity: JournalIdentity,
    space: Space,
    members: Vec<Member>,
    closed: VecDeque<Arc<SegmentEntry>>,
    current: Option<Current>,
    replaced: BTreeMap<Position, Replacement>,
    predecessor: Predecessor,
    /// The highest use number ever given.
    last_use: u64,
    settled: Option<Position>,
    open_sync: Option<SyncStart>,
    trimmed: Option<Position>,
    stopped: bool,
    written: Sequence,
    durable: Sequence,
}

impl Journal {
    pub(super) fn from_seed(seed: WriterSeed) -> Self {
        Self {
            storage: seed.storage,
            identity: seed.identity,
            space: seed.space,
            members: seed.members,
            closed: seed.closed,
            current: None,
            replaced: seed.replaced,
            predecessor: seed.predecessor,
            last_use: seed.last_use,
            settled: None,
            open_sync: None,
            trimmed: None,
            stopped: false,
            written: Sequence::default(),
            durable: Sequence::default(),
        }
    }

    /// The volumes of the stream; written into the head of each segment from now on.
    pub fn set_members(&mut self, members: Vec<Member>) {
        self.members = members;
    }

    /// Executes commands in order and reports what came of them, in order. Errors become
    /// [`JournalEvent::Stopped`].
    pub fn execute(&mut self, commands: &[JournalCommand]) -> Vec<JournalEvent> {
        let mut events = Vec::new();
        let mut index = 0;
        while index < commands.len() {
            let appends = commands[index..]
                .iter()
                .take_while(|command| matches!(command, JournalCommand::Append { .. }))
                .count();
            let heeded = matches!(
                commands[index],
                JournalCommand::Open {
                    after_stop: true,
                    ..
                } | JournalCommand::Discard
            );
            if self.stopped && !heeded {
                index += appends.max(1);
                continue;
            }
            let (written, durable) = (self.written, self.durable);
            let result = if appends > 0 {
                self.execute_appends(&commands[index..index + appends])
            } else {
                self.execute_one(&commands[index], &mut events)
            };
            if self.written > written {
                events.push(JournalEvent::Written(self.written));
            }
            if self.durable > durable || matches!(commands[index], JournalCommand::Sync) {
                events.push(JournalEvent::Durable(self.durable));
            }
            if let Err(error) = result {
                self.stop(&error);
                events.push(JournalEvent::Stopped(StopReason::from(&error)));
            }
            index += appends.max(1);
        }
        events.push(JournalEvent::Usage(self.usage()));
        events
    }

    fn execute_one(
        &mut self,
        command: &JournalCommand,
        events: &mut Vec<JournalEvent>,
    ) -> Result<(), JournalError> {
        match command {
            JournalCommand::Open { start, .. } => {
                self.open(*start)?;
                events.push(JournalEvent::Opened(start.opening.ordinal));
            }
            JournalCommand::Settle(position) => self.settle(*position)?,
            JournalCommand::Sync => {
                self.sync()?;
            }
            JournalCommand::Discard => {
                self.free_while(|_| true);
            }
            JournalCommand::Append { .. } => self.execute_appends(std::slice::from_ref(command))?,
        }
        Ok(())
    }

    /// Appends runs of records behind which the same interval is open: a segment that begins
    /// between two runs must say in its head which of them is behind it.
    fn execute_appends(&mut self, commands: &[JournalCommand]) -> Result<(), JournalError> {
        let mut records = Vec::with_capacity(commands.len());
        let (mut last_settled, mut last_sync) = (self.settled, None);
        for command in commands {
            let JournalCommand::Append {
                record,
                settled,
                open_sync,
            } = command
            else {
                continue;
            };
            if !records.is_empty() && last_sync != *open_sync {
                self.append(&records, last_settled, last_sync)?;
                records.clear();
            }
            records.push(Arc::clone(record));
            (last_settled, last_sync) = (*settled, *open_sync);
        }
        self.append(&records, last_settled, last_sync).map(|_| ())
    }

    fn stop(&mut self, error: &JournalError) {
        self.stopped = true;
        if let (Some(current), JournalError::Disk(_)) = (&mut self.current, error) {
            current.entry.abandoned = true;
        }
    }

    /// Begins a life in a fresh segment.
    ///
    /// # Errors
    /// When no segment is free or the device fails.
    pub fn open(&mut self, start: IncarnationStart) -> Result<(), JournalError> {
        self.settle_current()?;
        self.close_current();
        self.free_unfed(start.opening.continues);
        self.settled = start.opening.continues;
        self.open_sync = start.sync;
        self.next_segment(start, start.opening.first)?;
        self.stopped = false;
        self.written = start.opening.first.previous();
        self.durable = self.written;
        Ok(())
    }

    /// Appends records and notes the settled prefix and the interval open behind them; returns the
    /// last sequence written. They are durable after [`Self::sync`].
    ///
    /// # Errors
    /// When no segment is free or the device fails; some of the records may be written then.
    pub fn append(
        &mut self,
        records: &[Arc<StreamRecord>],
        settled: Option<Position>,
        open_sync: Option<SyncStart>,
    ) -> Result<Sequence, JournalError> {
        self.settled = settled.max(self.settled);
        let mut rest = records;
        while let Some(first) = rest.first() {
            self.make_room(append::append_bytes([&**first]) as u64)?;
            let count = self.fitting(rest);
            self.append_group(&rest[..count], false)?;
            // The first of them may have ended an interval: a segment that begins now is behind it.
            self.open_sync = open_sync;
            rest = &rest[count..];
        }
        Ok(self.written)
    }

    /// Notes the settled prefix by itself.
    ///
    /// # Errors
    /// As for [`Self::append`].
    pub fn settle(&mut self, settled: Position) -> Result<(), JournalError> {
        self.settled = Some(settled).max(self.settled);
        self.make_room(padded(APPEND_HEADER_BYTES) as u64)?;
        self.append_group(&[], false)
    }

    /// Makes everything appended durable; returns the last durable sequence.
    ///
    /// # Errors
    /// When the device fails: final for the segment, nothing appended to it since the last sync
    /// counts as durable.
    pub fn sync(&mut self) -> Result<Sequence, JournalError> {
        let current = self.current.as_mut().ok_or(JournalError::NotOpen)?;
        if let Err(error) = current.file.sync_data() {
            current.entry.abandoned = true;
            return Err(error.into());
        }
        self.durable = self.written;
        Ok(self.durable)
    }

    /// Notes that the stream ends here in order, with everything settled; durable on return.
    ///
    /// # Errors
    /// As for [`Self::append`] and [`Self::sync`].
    pub fn close_clean(&mut self, settled: Option<Position>) -> Result<(), JournalError> {
        if self.stopped {
            return Err(JournalError::NotOpen);
        }
        self.settled = settled.max(self.settled);
        let closed = self
            .make_room(padded(APPEND_HEADER_BYTES) as u64)
            .and_then(|()| self.append_group(&[], true))
            .and_then(|()| self.sync());
        closed.map(|_| ()).inspect_err(|error| self.stop(error))
    }

    /// Frees the segments that hold nothing behind `through`, which the far side has made safe.
    pub fn trim(&mut self, through: Position) -> JournalEvent {
        self.free_while(|oldest| oldest.last_position() <= through);
        JournalEvent::Usage(self.usage())
    }

    fn free_while(&mut self, free: impl Fn(&SegmentEntry) -> bool) {
        while let Some(oldest) = self.closed.pop_front_if(|oldest| free(oldest)) {
            self.trimmed = self.trimmed.max(Some(oldest.last_position()));
            if oldest.abandoned {
                self.space.discard(&oldest.path);
            } else {
                self.space.give_back(oldest.path.clone());
            }
        }
        if let Some(trimmed) = self.trimmed {
            self.replaced = self.replaced.split_off(&trimmed);
        }
    }

    /// Makes the next segment's file ahead of its need; call when idle.
    ///
    /// # Errors
    /// When the device fails. A journal at its capacity is not an error here.
    pub fn prepare_spare(&mut self) -> Result<(), JournalError> {
        match self.space.prepare() {
            Ok(()) | Err(NoSegment::Full) => Ok(()),
            Err(NoSegment::Disk(error)) => Err(error.into()),
        }
    }

    /// How much space is used.
    #[must_use]
    pub fn usage(&self) -> JournalUsage {
        let settings = self.space.settings();
        let closed = self.closed.len() as u64 * settings.segment_bytes;
        JournalUsage {
            used_bytes: closed + self.current.as_ref().map_or(0, |current| current.entry.end),
            capacity_bytes: u64::from(settings.segments_max) * settings.segment_bytes,
            trimmed: self.trimmed,
        }
    }

    /// What a reader needs; true until segments are recycled.
    #[must_use]
    pub fn snapshot(&self) -> JournalSnapshot {
        let current = self
            .current
            .iter()
            .map(|current| Arc::new(current.entry.clone()));
        JournalSnapshot {
            segments: self.closed.iter().cloned().chain(current).collect(),
            replaced: self.replaced.clone(),
        }
    }

    /// How many of these records go into the next append.
    fn fitting(&self, records: &[Arc<StreamRecord>]) -> usize {
        let settings = self.space.settings();
        let end = self.current.as_ref().map_or(0, |current| current.entry.end);
        let room = (settings.segment_bytes - end).min(settings.append_bytes_max as u64) as usize;
        let (mut head, mut behind, mut count) = (APPEND_HEADER_BYTES, 0, 0);
        for record in records {
            let (in_head, payload) = append::footprint(record);
            (head, behind) = (head + in_head, behind + payload);
            if count > 0 && padded(head) + behind > room {
                break;
            }
            count += 1;
        }
        count
    }

    /// Goes on to the next segment if `bytes` do not fit into this one.
    fn make_room(&mut self, bytes: u64) -> Result<(), JournalError> {
        let segment_bytes = self.space.settings().segment_bytes;
        let current = self.current.as_ref().ok_or(JournalError::NotOpen)?;
        if current.entry.end + bytes <= segment_bytes {
            return Ok(());
        }
        let (start, first) = (current.entry.start, current.entry.last.next());
        let marks = current.entry.marks.len();
        let head = padded(head_bytes(self.members.len(), marks)) as u64;
        if head + bytes > segment_bytes {
            return Err(JournalError::RecordTooLong {
                bytes,
                segment_bytes,
            });
        }
        self.next_segment(start, first)
    }

    fn append_group(
        &mut self,
        records: &[Arc<StreamRecord>],
        clean: bool,
    ) -> Result<(), JournalError> {
        let current = self.current.as_mut().ok_or(JournalError::NotOpen)?;
        let entry = &mut current.entry;
        let bytes = write_append(
            &*current.file,
            entry.end,
            entry.use_number,
            entry.appends,
            records,
            self.settled,
            clean,
        )?;
        for (index, record) in records.iter().enumerate() {
            if let Some(failed) = replaced_by(record) {
                let at = Replacement {
                    use_number: entry.use_number,
                    append: entry.end,
                    index,
                };
                self.replaced
                    .insert(Position::new(entry.ordinal(), failed), at);
                entry.replacements += 1;
            }
        }
        let last = records.last().map(|record| record.sequence);
        entry.note_append(bytes, last);
        self.written = last.unwrap_or(self.written);
        Ok(())
    }

    /// Closes the current segment, durably, and begins the next one, its head durable.
    fn next_segment(
        &mut self,
        start: IncarnationStart,
        first: Sequence,
    ) -> Result<(), JournalError> {
        self.settle_current()?;
        self.sync_recovered();
        let (path, file) = self.space.take()?;
        // Only now: a full journal keeps its current segment as it is.
        self.close_current();
        // Whatever becomes of this head, its number is never used again.
        self.last_use += 1;
        let encoded = self.head(start, first).encode();
        let mut page = AlignedBuffer::zeroed(padded(encoded.len()));
        page[..encoded.len()].copy_from_slice(&encoded);
        if let Err(error) = file.write_all_at(&page, 0).and_then(|()| file.sync_data()) {
            drop(file);
            self.space.discard(&path);
            return Err(error.into());
        }
        let entry = SegmentEntry::new(path, self.last_use, start, first, page.len() as u64);
        self.current = Some(Current { entry, file });
        Ok(())
    }

    /// The head of the segment whose use number was given last.
    fn head(&self, start: IncarnationStart, first: Sequence) -> SegmentHead {
        SegmentHead {
            identity: self.identity,
            use_number: self.last_use,
            previous: self.predecessor.summary.clone(),
            first,
            start,
            open_sync: self.open_sync,
            settled: self.settled,
            members: self.members.clone(),
        }
    }

    /// Makes the current segment durable, unless it is given up already.
    fn settle_current(&mut self) -> Result<(), JournalError> {
        match &self.current {
            Some(current) if !current.entry.abandoned => self.sync().map(|_| ()),
            _ => Ok(()),
        }
    }

    fn close_current(&mut self) {
        let Some(Current { entry, .. }) = self.current.take() else {
            return;
        };
        self.predecessor = Predecessor::of(&entry);
        self.closed.push_back(Arc::new(entry));
    }

    /// Frees the segments that hold nothing up to where a new life continues: their records are
    /// never fed. Without this a journal full of them would stay full for ever. One that holds what
    /// stands in for a failed record before that is kept, and so are those before it.
    fn free_unfed(&mut self, continues: Option<Position>) {
        let needed = self
            .replaced
            .iter()
            .filter(|(failed, _)| Some(**failed) <= continues)
            .map(|(_, replacement)| replacement.use_number)
            .max();
        let mut unfed = Vec::new();
        while let Some(newest) = self.closed.pop_back_if(|newest| {
            Some(Position::new(newest.ordinal(), newest.first)) > continues
                && Some(newest.use_number) > needed
        }) {
            unfed.push(newest);
        }
        if unfed.is_empty() {
            return;
        }
        self.predecessor = self
            .closed
            .back()
            .map_or_else(Predecessor::default, |entry| Predecessor::of(entry));
        self.replaced.retain(|failed, _| Some(*failed) <= continues);
        // The newest is used again first: should its new head be torn, those before it still lead
        // to the segments that are kept.
        for entry in unfed.into_iter().rev() {
            if entry.abandoned {
                self.space.discard(&entry.path);
            } else {
                self.space.give_back_first(entry.path.clone());
            }
        }
    }

    /// What recovery read may have been in memory only. The next head vouches for it, so it must
    /// be durable first; if it cannot be made so, the head says that it may be damaged.
    fn sync_recovered(&mut self) {
        let Some(path) = self.predecessor.unsynced.take() else {
            return;
        };
        let access = Access {
            write: true,
            direct: self.space.settings().direct,
        };
        if let Err(error) = self
            .storage
            .open(&path, access)
            .and_then(|file| file.sync_data())
        {
            tracing::warn!(%error, "cannot make the recovered journal durable");
            self.predecessor.summary.abandoned = true;
        }
    }
}

fn replaced_by(record: &StreamRecord) -> Option<Sequence> {
    match &record.body {
        StreamBody::Amendment { amends, .. } => Some(*amends),
        StreamBody::Void { voids, .. } => Some(*voids),
        _ => None,
    }
}
