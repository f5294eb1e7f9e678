//! A write's way: split, locked, sequenced and submitted, settled or amended, answered.
//!
//! Invariant: a piece of a write holds its lock from before its sequence is given until its
//! backing write has succeeded or, if it failed, until the record of what is really there is
//! queued. So nothing that overlaps it can slip between its sequence and its effect.

use super::{
    action::{Action, BackingAction, BackingError, BackingResult},
    core::{InFlight, TapCore},
    ladder::Pressure,
    range_lock::LockId,
    request::{ReplyError, ReplyValue, Request, RequestId},
};
use crate::{Moment, Payload, StreamBody, intent::Intent};
use bcdr_format::{
    Position, Sequence, VolumeNumber, incarnation::IncarnationOrdinal, record::VolumeRange,
};

impl From<BackingError> for ReplyError {
    fn from(error: BackingError) -> Self {
        match error {
            BackingError::NoSpace => Self::NoSpace,
            BackingError::NotSupported | BackingError::Io => Self::Io,
        }
    }
}

/// What a piece of a write does.
#[derive(Debug, Clone)]
pub(super) enum WriteKind {
    Data(Payload),
    Zero {
        unmap: bool,
    },
    /// As zeroing with unmapping, but it may as well be left undone.
    Trim,
}

/// How far a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its lock or for room.
    Waiting,
    /// It was submitted, with a record in the stream.
    Tracked(Position),
    /// It was submitted while nothing is journaled.
    Untracked,
}

/// One piece of a client's write.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) request: RequestId,
    pub(super) range: VolumeRange,
    pub(super) kind: WriteKind,
    pub(super) stage: Stage,
}

/// A client's write, until all its pieces are done.
#[derive(Debug)]
pub(super) struct Pending {
    volume: VolumeNumber,
    fua: bool,
    pieces_left: usize,
    error: Option<ReplyError>,
    last: Sequence,
}

impl TapCore {
    pub(super) fn write_request(&mut self, now: Moment, id: RequestId, request: Request) {
        let volume = request.volume();
        let Some((offset, length)) = request.extent() else {
            return;
        };
        let (fua, kind) = match request {
            Request::Write { payload, fua, .. } => (fua, WriteKind::Data(payload)),
            Request::WriteZeroes { may_unmap, fua, .. } => {
                (fua, WriteKind::Zero { unmap: may_unmap })
            }
            Request::Trim { fua, .. } => (fua, WriteKind::Trim),
            Request::Read { .. } | Request::Flush { .. } => return,
        };
        let ignored = matches!(kind, WriteKind::Trim) && !self.volume(volume).volume.trim_zeroes;
        if length == 0 || ignored {
            return self.reply(id, Ok(ReplyValue::Done));
        }
        let pieces = split(volume, offset, length, self.settings.record_bytes_max);
        let pending = Pending {
            volume,
            fua,
            pieces_left: pieces.len(),
            error: None,
            last: Sequence::default(),
        };
        self.requests.insert(id, pending);
        for range in pieces {
            self.lock_piece(now, id, range, part_of(&kind, offset, &range));
        }
    }

    fn lock_piece(&mut self, now: Moment, request: RequestId, range: VolumeRange, kind: WriteKind) {
        self.last_id += 1;
        let lock = LockId(self.last_id);
        let (start, end) = self
            .volume(range.volume)
            .volume
            .rounded(range.offset, u64::from(range.length));
        self.writes.insert(
            lock,
            Write {
                request,
                range,
                kind,
                stage: Stage::Waiting,
            },
        );
        if self.locks.acquire(lock, range.volume, start, end) {
            self.granted(now, lock);
        }
    }

    /// A piece holds its lock: it begins, or parks until there is room.
    fn granted(&mut self, now: Moment, lock: LockId) {
        let room = self.pressure() == Pressure::None && self.parked.is_empty();
        if self.ladder.journaling() && !room {
            self.parked.push_back(lock);
        } else {
            self.begin_piece(now, lock);
        }
    }

    /// Begins parked pieces while there is room, or all of them when nothing is journaled.
    pub(super) fn start_parked(&mut self, now: Moment) {
        while !self.parked.is_empty()
            && (!self.ladder.journaling() || self.pressure() == Pressure::None)
        {
            if let Some(lock) = self.parked.pop_front() {
                self.begin_piece(now, lock);
            }
        }
    }

    /// The step that fixes the order: sequence, intent, submission, journal queue.
    fn begin_piece(&mut self, now: Moment, lock: LockId) {
        let write = &self.writes[&lock];
        let (range, kind) = (write.range, write.kind.clone());
        if matches!(kind, WriteKind::Trim) && !self.volume(range.volume).volume.trim_zeroes {
            return self.finish_piece(now, lock, Ok(()));
        }
        let mut stage = Stage::Untracked;
        if self.ladder.journaling() {
            let opening = self.start.opening;
            stage = Stage::Tracked(Position::new(opening.ordinal, self.next));
            self.actions.push_back(Action::Intend(Intent {
                ordinal: opening.ordinal,
                incarnation: opening.id,
                sequence: self.next,
                range,
                fed: self.prefix.fed(),
            }));
            if let Some(scan) = &mut self.scan {
                scan.granted(&range);
            }
        }
        if let Some(write) = self.writes.get_mut(&lock) {
            write.stage = stage;
        }
        self.submit_piece(lock, &range, &kind);
        if stage != Stage::Untracked {
            self.append(now, body_of(range, kind), false);
        }
    }

    fn submit_piece(&mut self, lock: LockId, range: &VolumeRange, kind: &WriteKind) {
        let VolumeRange {
            volume,
            offset,
            length,
        } = *range;
        let action = match kind {
            WriteKind::Data(payload) => BackingAction::Write {
                offset,
                payload: payload.clone(),
            },
            WriteKind::Zero { .. } if !self.volume(volume).zeroes => {
                return self.fill_zeroes(lock, 0);
            }
            WriteKind::Zero { unmap } => BackingAction::Zero {
                offset,
                length,
                unmap: *unmap,
            },
            WriteKind::Trim => BackingAction::Zero {
                offset,
                length,
                unmap: true,
            },
        };
        self.submit(volume, action, InFlight::Write { lock });
    }

    pub(super) fn write_ended(&mut self, now: Moment, lock: LockId, result: BackingResult) {
        let Err(error) = result else {
            return self.finish_piece(now, lock, Ok(()));
        };
        let write = &self.writes[&lock];
        let volume = write.range.volume;
        if error == BackingError::NotSupported {
            match write.kind {
                WriteKind::Zero { .. } => {
                    self.volume(volume).zeroes = false;
                    return self.fill_zeroes(lock, 0);
                }
                WriteKind::Trim => self.volume(volume).volume.trim_zeroes = false,
                WriteKind::Data(_) => {}
            }
        }
        self.piece_failed(now, lock, error);
    }

    /// Writes the next zeroes of a piece whose backing cannot zero by itself.
    fn fill_zeroes(&mut self, lock: LockId, done: u32) {
        let range = self.writes[&lock].range;
        let length = (range.length - done).min(self.settings.zero_fill_bytes);
        let action = BackingAction::Write {
            offset: range.offset + u64::from(done),
            payload: Payload::zeroed(length as usize),
        };
        self.submit(
            range.volume,
            action,
            InFlight::ZeroFill {
                lock,
                done: done + length,
            },
        );
    }

    pub(super) fn zero_fill_ended(
        &mut self,
        now: Moment,
        lock: LockId,
        done: u32,
        result: BackingResult,
    ) {
        match result {
            Err(error) => self.piece_failed(now, lock, error),
            Ok(_) if done == self.writes[&lock].range.length => {
                self.finish_piece(now, lock, Ok(()));
            }
            Ok(_) => self.fill_zeroes(lock, done),
        }
    }

    /// A piece's backing write failed: what its range holds now is read back under its lock. A
    /// piece without a record in this life needs no such care: a full compare is due that begins
    /// after it.
    fn piece_failed(&mut self, now: Moment, lock: LockId, error: BackingError) {
        let write = &self.writes[&lock];
        let VolumeRange {
            volume,
            offset,
            length,
        } = write.range;
        if self.tracked_now(write).is_none() {
            return self.piece_failed_for_good(now, lock, error);
        }
        let what = InFlight::ReadBack { lock, error };
        self.submit(volume, BackingAction::Read { offset, length }, what);
    }

    pub(super) fn read_back_ended(
        &mut self,
        now: Moment,
        lock: LockId,
        error: BackingError,
        result: BackingResult,
    ) {
        let write = &self.writes[&lock];
        let range = write.range;
        if let Some(failed) = self.tracked_now(write) {
            match result {
                Ok(found) => {
                    let payload = found.unwrap_or_else(|| Payload::zeroed(range.length as usize));
                    let amendment = StreamBody::Amendment {
                        amends: failed,
                        range,
                        payload: payload.clone(),
                    };
                    let by = self.append(now, amendment, true);
                    self.prefix
                        .replace(failed, by, StreamBody::Data { range, payload });
                }
                Err(_) => {
                    let void = StreamBody::Void {
                        voids: failed,
                        range,
                    };
                    let by = self.append(now, void.clone(), true);
                    self.prefix.replace(failed, by, void);
                }
            }
        }
        self.piece_failed_for_good(now, lock, error);
    }

    fn piece_failed_for_good(&mut self, now: Moment, lock: LockId, error: BackingError) {
        let trim = matches!(self.writes[&lock].kind, WriteKind::Trim);
        // A trim is a hint: a backing that cannot follow it has still done nothing wrong.
        let refused = trim && error == BackingError::NotSupported;
        self.finish_piece(now, lock, if refused { Ok(()) } else { Err(error.into()) });
    }

    /// The sequence of a piece whose record belongs to the life being journaled.
    fn tracked_now(&self, write: &Write) -> Option<Sequence> {
        match write.stage {
            Stage::Tracked(position)
                if position.ordinal == self.start.opening.ordinal && self.ladder.journaling() =>
            {
                Some(position.sequence)
            }
            _ => None,
        }
    }

    /// A piece is done: settle it, let those behind it go on, and answer if it was the last.
    fn finish_piece(&mut self, now: Moment, lock: LockId, result: Result<(), ReplyError>) {
        let write = self.writes.remove(&lock).expect("a piece ends once");
        let current = self.start.opening.ordinal;
        let mut last = Sequence::default();
        if let Stage::Tracked(position) = write.stage {
            last = position.sequence;
            if result.is_ok() && position.ordinal == current {
                self.prefix.settle(last);
            }
        }
        if result.is_ok() && write.stage != Stage::Waiting {
            self.volume(write.range.volume).bytes_written += u64::from(write.range.length);
        }
        let done = self
            .requests
            .get_mut(&write.request)
            .is_some_and(|pending| {
                pending.pieces_left -= 1;
                pending.last = pending.last.max(last);
                pending.error = pending.error.or(result.err());
                pending.pieces_left == 0
            });
        if done {
            self.finish_request(now, write.request);
        }
        for granted in self.locks.release(lock) {
            self.granted(now, granted);
        }
    }

    fn finish_request(&mut self, now: Moment, request: RequestId) {
        let Some(pending) = self.requests.remove(&request) else {
            return;
        };
        let volume = self.volume(pending.volume);
        volume.replied_through = volume.replied_through.max(pending.last);
        if let Some(error) = pending.error {
            return self.reply(request, Err(error));
        }
        if pending.fua {
            let needed = self.ladder.journaling() && pending.last > self.journal.durable;
            return self.commit(now, request, pending.volume, needed.then_some(pending.last));
        }
        self.reply(request, Ok(ReplyValue::Done));
    }

    /// Whether a write is in flight that has no record in the current life.
    pub(super) fn foreign_writes_in_flight(&self, current: IncarnationOrdinal) -> bool {
        self.writes.values().any(|write| match write.stage {
            Stage::Waiting => false,
            Stage::Tracked(position) => position.ordinal != current,
            Stage::Untracked => true,
        })
    }

    /// The ranges of writes in flight.
    pub(super) fn ranges_in_flight(&self) -> impl Iterator<Item = VolumeRange> + '_ {
        self.writes
            .values()
            .filter(|write| write.stage != Stage::Waiting)
            .map(|write| write.range)
    }
}

/// Cuts a request at multiples of the longest record, so that equal requests make equal pieces.
fn split(
    volume: VolumeNumber,
    offset: u64,
    length: u64,
    record_bytes_max: u32,
) -> Vec<VolumeRange> {
    let (limit, end) = (u64::from(record_bytes_max), offset + length);
    let mut pieces = Vec::new();
    let mut at = offset;
    while at < end {
        let stop = end.min(at + limit);
        let length = u32::try_from(stop - at).expect("a piece is no longer than a record");
        pieces.push(VolumeRange {
            volume,
            offset: at,
            length,
        });
        at = stop;
    }
    pieces
}

fn part_of(kind: &WriteKind, offset: u64, range: &VolumeRange) -> WriteKind {
    match kind {
        WriteKind::Data(payload) => {
            let start = (range.offset - offset) as usize;
            WriteKind::Data(payload.slice(start..start + range.length as usize))
        }
        other => other.clone(),
    }
}

fn body_of(range: VolumeRange, kind: WriteKind) -> StreamBody {
    match kind {
        WriteKind::Data(payload) => StreamBody::Data { range, payload },
        WriteKind::Zero { unmap } => StreamBody::Zero { range, unmap },
        WriteKind::Trim => StreamBody::Zero { range, unmap: true },
    }
}
