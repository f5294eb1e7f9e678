//! Which records make a batch.
//!
//! Owns the batch that is being filled. A batch closes on the first of: its age, its size, a
//! marker, a sync-end, the end of its incarnation. Records arrive settled and contiguous; whoever
//! feeds them has checked that. Sans-I/O: time is passed in.

use super::overlay::{Fill, Overlay};
use bcdr_format::{
    GroupId, Opening, Position, Sequence, StreamId, Timestamp,
    batch::BatchHeader,
    position::Generation,
    record::{Beat, Marker, Member, Record, RecordBody, VolumeRange},
    sync::SyncEvent,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// When a batch closes.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// This long after its first record.
    pub age: Duration,
    /// Before it would hold more than this many bytes of data.
    pub data_bytes: u64,
    /// Before it would keep more than this many bytes of payloads alive. A piece of a payload keeps
    /// the whole of it, so where small writes fall on each other this is more than the data.
    pub retained_bytes: u64,
    /// Before it would hold more than this many pieces.
    pub pieces: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            age: Duration::from_millis(250),
            data_bytes: 16 << 20,
            retained_bytes: 32 << 20,
            pieces: 1 << 15,
        }
    }
}

/// A batch that will take no more records, not yet sealed.
#[derive(Debug)]
pub struct ClosedBatch {
    /// Its header; the generation is put in when it is sealed.
    pub header: BatchHeader,
    /// What its records leave behind.
    pub overlay: Overlay,
    /// Bytes of payloads that it may keep in memory.
    pub retained_bytes: u64,
}

#[derive(Debug)]
struct Filling {
    first: Sequence,
    last: Sequence,
    captured_at: Timestamp,
    written_bytes: u64,
    members: Vec<Member>,
    sync_events: Vec<SyncEvent>,
    marker: Option<Marker>,
    beat: Option<Beat>,
    overlay: Overlay,
    retained_bytes: u64,
    due: Instant,
    /// Nothing but member records so far.
    only_members: bool,
}

impl Filling {
    fn new(first: Sequence, captured_at: Timestamp, due: Instant) -> Self {
        Self {
            first,
            last: first,
            captured_at,
            written_bytes: 0,
            members: Vec::new(),
            sync_events: Vec::new(),
            marker: None,
            beat: None,
            overlay: Overlay::default(),
            retained_bytes: 0,
            due,
            only_members: true,
        }
    }
}

/// Fills batches for one stream.
#[derive(Debug)]
pub struct Batcher {
    group: GroupId,
    stream: StreamId,
    limits: BatchLimits,
    opening: Option<Opening>,
    clock_offset_microseconds: i64,
    received_at: Timestamp,
    filling: Option<Filling>,
}

impl Batcher {
    /// An empty batcher for a stream.
    pub fn new(group: GroupId, stream: StreamId, limits: BatchLimits) -> Self {
        Self {
            group,
            stream,
            limits,
            opening: None,
            clock_offset_microseconds: 0,
            received_at: Timestamp(i64::MAX),
            filling: None,
        }
    }

    /// What to add to the capture's clock to get the gateway's, in microseconds.
    pub fn set_clock_offset(&mut self, microseconds: i64) {
        self.clock_offset_microseconds = microseconds;
    }

    /// The records that follow were received at this time on the gateway's clock: none of them was
    /// captured later, whatever their capture's clock says.
    pub fn set_received_at(&mut self, now: Timestamp) {
        self.received_at = now;
    }

    /// The records that follow belong to this incarnation. Returns the batch of the one before.
    pub fn incarnation(&mut self, opening: Opening) -> Option<ClosedBatch> {
        let changed = self.opening.is_none_or(|current| current.id != opening.id);
        let closed = if changed { self.close() } else { None };
        self.opening = Some(opening);
        closed
    }

    /// Forgets what is being filled: the session it came from is over and will tell it again.
    pub fn abandon(&mut self) {
        self.filling = None;
    }

    /// The last record taken.
    pub fn last(&self) -> Option<Position> {
        let opening = self.opening?;
        Some(Position::new(opening.ordinal, self.filling.as_ref()?.last))
    }

    /// Bytes of payloads that are kept in memory at most.
    pub fn retained_bytes(&self) -> u64 {
        self.filling
            .as_ref()
            .map_or(0, |filling| filling.retained_bytes)
    }

    /// Whether no batch is being filled.
    pub fn is_empty(&self) -> bool {
        self.filling.is_none()
    }

    /// When [`Self::poll`] will have something, if nothing else closes the batch first. A batch that
    /// introduces a stream's volumes is not due before the record behind the last of them: the far
    /// side takes them together or not at all.
    pub fn due(&self) -> Option<Instant> {
        let filling = self.filling.as_ref()?;
        let introduces = filling.only_members
            && self
                .opening
                .is_some_and(|opening| opening.first == filling.first);
        (!introduces).then_some(filling.due)
    }

    /// Takes the next record. Returns the batches that this closes, oldest first.
    ///
    /// Must be told an incarnation first.
    pub fn push(&mut self, record: Record<Bytes>, now: Instant) -> Vec<ClosedBatch> {
        let mut closed = Vec::new();
        let incoming = record
            .body
            .payload()
            .map_or(0, |payload| payload.len() as u64);
        if self.would_overflow(incoming) {
            closed.extend(self.close());
        }
        let captured_at = record
            .captured_at
            .shifted(self.clock_offset_microseconds)
            .min(self.received_at);
        let due = now + self.limits.age;
        let filling = self
            .filling
            .get_or_insert_with(|| Filling::new(record.sequence, captured_at, due));
        filling.last = record.sequence;
        filling.captured_at = filling.captured_at.max(captured_at);
        filling.retained_bytes += incoming;
        filling.only_members &= matches!(record.body, RecordBody::Member(_));
        if take(filling, record.body) {
            closed.extend(self.close());
        }
        closed
    }

    /// The batch whose time is up.
    pub fn poll(&mut self, now: Instant) -> Option<ClosedBatch> {
        if self.due().is_some_and(|due| due <= now) {
            self.close()
        } else {
            None
        }
    }

    fn would_overflow(&self, incoming: u64) -> bool {
        self.filling.as_ref().is_some_and(|filling| {
            filling.overlay.data_bytes() + incoming > self.limits.data_bytes
                || filling.retained_bytes + incoming > self.limits.retained_bytes
                || filling.overlay.pieces() + 2 > self.limits.pieces
                || filling.sync_events.len() + filling.members.len() >= 1024
        })
    }

    fn close(&mut self) -> Option<ClosedBatch> {
        let filling = self.filling.take()?;
        let opening = self
            .opening
            .expect("records follow the incarnation they belong to");
        Some(ClosedBatch {
            header: BatchHeader {
                group: self.group,
                stream: self.stream,
                generation: Generation(0),
                ordinal: opening.ordinal,
                incarnation: opening.id,
                opening: (opening.first == filling.first).then_some(opening),
                first: filling.first,
                last: filling.last,
                captured_at: filling.captured_at,
                written_bytes: filling.written_bytes,
                members: filling.members,
                sync_events: filling.sync_events,
                marker: filling.marker,
                beat: filling.beat,
            },
            overlay: filling.overlay,
            retained_bytes: filling.retained_bytes,
        })
    }
}

/// Puts a record into the batch and says whether the batch must end with it.
fn take(filling: &mut Filling, body: RecordBody<Bytes>) -> bool {
    let (range, fill) = match body {
        RecordBody::Data { range, payload }
        | RecordBody::SyncData { range, payload }
        | RecordBody::Amendment { range, payload, .. } => (range, Fill::Data(payload)),
        RecordBody::Zero { range, .. } | RecordBody::SyncZero { range } => (range, Fill::Zero),
        RecordBody::Void { range, .. } => (range, Fill::Unknown),
        RecordBody::Member(member) => {
            filling.members.push(member);
            return false;
        }
        RecordBody::Beat(beat) => {
            filling.beat = Some(beat);
            return false;
        }
        RecordBody::Sync(event) => {
            filling.sync_events.push(event);
            return matches!(event, SyncEvent::End { .. });
        }
        RecordBody::Marker(marker) => {
            filling.marker = Some(marker);
            return true;
        }
    };
    let VolumeRange {
        volume,
        offset,
        length,
    } = range;
    filling.written_bytes += u64::from(length);
    filling
        .overlay
        .write(volume, offset, u64::from(length), fill);
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{
        IncarnationId, IncarnationOrdinal, MarkerId, SyncId,
        position::VolumeNumber,
        record::MarkerKind,
        sync::{Heals, SyncReason},
    };

    fn batcher() -> Batcher {
        let limits = BatchLimits {
            data_bytes: 4096,
            ..BatchLimits::default()
        };
        let mut batcher = Batcher::new(GroupId::from_u128(1), StreamId::from_u128(2), limits);
        assert!(batcher.incarnation(opening(1, 1)).is_none());
        batcher
    }

    fn opening(ordinal: u32, first: u64) -> Opening {
        Opening {
            ordinal: IncarnationOrdinal(ordinal),
            id: IncarnationId::from_u128(u128::from(ordinal)),
            continues: None,
            first: Sequence(first),
        }
    }

    fn record(sequence: u64, body: RecordBody<Bytes>) -> Record<Bytes> {
        Record {
            sequence: Sequence(sequence),
            captured_at: Timestamp(sequence as i64),
            body,
        }
    }

    fn data(offset: u64, length: u32) -> RecordBody<Bytes> {
        let range = VolumeRange {
            volume: VolumeNumber(0),
            offset,
            length,
        };
        RecordBody::Data {
            range,
            payload: Bytes::from(vec![1; length as usize]),
        }
    }

    #[test]
    fn closes_when_its_time_is_up_and_not_before() {
        let (mut batcher, start) = (batcher(), Instant::now());
        assert!(batcher.push(record(1, data(0, 512)), start).is_empty());
        let due = batcher.due().unwrap();
        assert_eq!(due, start + Duration::from_millis(250));
        assert!(batcher.poll(due - Duration::from_nanos(1)).is_none());
        let closed = batcher.poll(due).unwrap();
        assert_eq!(
            (closed.header.first, closed.header.last),
            (Sequence(1), Sequence(1))
        );
        assert!(closed.header.opening.is_some());
    }

    #[test]
    fn the_members_of_an_opening_stay_together() {
        let (mut batcher, start) = (batcher(), Instant::now());
        let member = |number: u16| {
            RecordBody::Member(Member {
                group: GroupId::from_u128(1),
                number: VolumeNumber(number),
                id: bcdr_format::VolumeId::from_u128(number.into()),
                size_bytes: 1 << 20,
            })
        };
        let late = start + Duration::from_secs(9);
        batcher.push(record(1, member(0)), start);
        assert!(batcher.due().is_none() && batcher.poll(late).is_none());
        batcher.push(record(2, member(1)), late);
        assert!(batcher.poll(late).is_none());
        batcher.push(record(3, data(0, 512)), late);
        let closed = batcher.poll(late).unwrap();
        assert_eq!(closed.header.members.len(), 2);
        // Members told in the middle of a life wait for nobody.
        batcher.push(record(4, member(2)), late);
        assert!(batcher.poll(late + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn closes_before_it_would_hold_too_much() {
        let (mut batcher, now) = (batcher(), Instant::now());
        assert!(batcher.push(record(1, data(0, 4096)), now).is_empty());
        let closed = batcher.push(record(2, data(8192, 512)), now);
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0].header.last, Sequence(1));
        assert_eq!(
            batcher.last(),
            Some(Position::new(IncarnationOrdinal(1), Sequence(2)))
        );
    }

    #[test]
    fn writes_that_fall_on_each_other_close_it_too() {
        let limits = BatchLimits {
            retained_bytes: 4096,
            ..BatchLimits::default()
        };
        let mut batcher = Batcher::new(GroupId::from_u128(1), StreamId::from_u128(2), limits);
        batcher.incarnation(opening(1, 1));
        let now = Instant::now();
        for sequence in 1..=8 {
            assert!(batcher.push(record(sequence, data(0, 512)), now).is_empty());
        }
        assert_eq!(batcher.retained_bytes(), 4096);
        let closed = batcher.push(record(9, data(0, 512)), now);
        assert_eq!(closed[0].header.last, Sequence(8));
        assert_eq!(closed[0].overlay.data_bytes(), 512);
    }

    #[test]
    fn no_record_was_captured_after_it_was_received() {
        let (mut batcher, now) = (batcher(), Instant::now());
        batcher.set_clock_offset(1_000);
        batcher.set_received_at(Timestamp(1_002));
        batcher.push(record(1, data(0, 512)), now);
        batcher.push(record(5, data(0, 512)), now);
        assert_eq!(
            batcher.close().unwrap().header.captured_at,
            Timestamp(1_002)
        );
    }

    #[test]
    fn a_marker_is_the_last_record_of_its_batch() {
        let (mut batcher, now) = (batcher(), Instant::now());
        batcher.push(record(1, data(0, 512)), now);
        let marker = Marker {
            id: MarkerId::from_u128(9),
            kind: MarkerKind::Bookmark,
            label: "before upgrade".into(),
        };
        let closed = batcher.push(record(2, RecordBody::Marker(marker.clone())), now);
        assert_eq!(closed[0].header.marker, Some(marker));
        assert_eq!(closed[0].header.last, Sequence(2));
    }

    #[test]
    fn a_sync_end_closes_and_a_sync_begin_does_not() {
        let (mut batcher, now) = (batcher(), Instant::now());
        let sync = SyncId::from_u128(5);
        let begin = SyncEvent::Begin {
            sync,
            reason: SyncReason::Initial,
        };
        let end = SyncEvent::End {
            sync,
            heals: Heals::Nothing,
        };
        assert!(
            batcher
                .push(record(1, RecordBody::Sync(begin)), now)
                .is_empty()
        );
        let closed = batcher.push(record(2, RecordBody::Sync(end)), now);
        assert_eq!(closed[0].header.sync_events, vec![begin, end]);
    }

    #[test]
    fn a_batch_never_spans_incarnations() {
        let (mut batcher, now) = (batcher(), Instant::now());
        batcher.push(record(1, data(0, 512)), now);
        let closed = batcher.incarnation(opening(2, 7)).unwrap();
        assert_eq!(closed.header.ordinal, IncarnationOrdinal(1));
        batcher.push(record(7, data(0, 512)), now);
        let closed = batcher.close().unwrap();
        assert_eq!(closed.header.opening, Some(opening(2, 7)));
    }

    #[test]
    fn a_batch_that_does_not_begin_its_incarnation_carries_no_opening() {
        let (mut batcher, now) = (batcher(), Instant::now());
        batcher.push(record(5, data(0, 512)), now);
        assert_eq!(batcher.close().unwrap().header.opening, None);
    }

    #[test]
    fn a_void_makes_its_range_unknown() {
        let (mut batcher, now) = (batcher(), Instant::now());
        let range = VolumeRange {
            volume: VolumeNumber(0),
            offset: 512,
            length: 512,
        };
        batcher.push(record(1, data(0, 1536)), now);
        batcher.push(
            record(
                2,
                RecordBody::Void {
                    voids: Sequence(1),
                    range,
                },
            ),
            now,
        );
        let pieces: Vec<_> = batcher.close().unwrap().overlay.into_pieces().collect();
        assert_eq!(pieces[1].fill, Fill::Unknown);
        assert_eq!(pieces.len(), 3);
    }
}
