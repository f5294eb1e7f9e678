//! The head of a branch: the answered writes since the last batch, and when they become one.
//!
//! No I/O; time comes as an argument. Invariant: what a batch takes is every write answered since
//! the batch before it, so batches are contiguous pieces of the order of writes. It is bounded: a
//! write that would make it longer than a batch may be is not taken before the head was.

use super::extents::{Extents, Fill, Piece, weight_of};
use bcdr_format::{RECORD_LENGTH_MAX, Timestamp};
use std::time::{Duration, Instant};

/// The most table entries that the writes of one head may need; a batch may have a third more.
const PARTS_MAX: u64 = 96 * 1024;
/// Data that needs one table entry more at worst, where zeroes and data alternate, in bytes.
const DATA_PER_PART: u64 = 2048;
/// Entries that a write needs besides: its edges, and those of what it cuts in two.
const PARTS_PER_WRITE: u64 = 4;

/// When a head becomes a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    /// The most memory its writes take, in bytes.
    pub(super) bytes: u64,
    /// How old its first write becomes.
    pub(super) age: Duration,
}

/// When a head is to become a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// At once.
    Now,
    /// Then, unless something asks for it earlier.
    At(Instant),
    /// There is nothing in it.
    Never,
}

/// What a head was when it was taken.
#[derive(Debug)]
pub(super) struct Taken {
    /// What its writes left.
    pub(super) extents: Extents,
    /// How many writes it holds.
    pub(super) writes: u64,
    /// How many were answered since the branch was opened, this head's included.
    pub(super) through: u64,
    /// Bytes written, before newer ones replaced older ones.
    pub(super) written_bytes: u64,
    /// When the last one was answered.
    pub(super) answered_at: Timestamp,
}

/// The head.
#[derive(Debug)]
pub(super) struct Head {
    limits: HeadLimits,
    extents: Extents,
    parts: u64,
    writes: u64,
    written_bytes: u64,
    answered: u64,
    answered_at: Timestamp,
    first_at: Option<Instant>,
    asked: bool,
}

impl Head {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            extents: Extents::default(),
            parts: 0,
            writes: 0,
            written_bytes: 0,
            answered: 0,
            answered_at: Timestamp(i64::MIN),
            first_at: None,
            asked: false,
        }
    }

    /// Whether a write of this form has room. An empty head has room for any.
    pub(super) fn has_room(&self, length: u64, fill: &Fill) -> bool {
        self.is_empty()
            || (self.extents.weight() + weight_of(fill.data_bytes()) <= self.limits.bytes
                && self.parts + parts_of(length, fill) <= PARTS_MAX)
    }

    /// Takes in a write that is answered now.
    pub(super) fn write(&mut self, piece: Piece, now: Instant, wall: Timestamp) {
        self.parts += parts_of(piece.length, &piece.fill);
        self.writes += 1;
        self.answered += 1;
        self.written_bytes += piece.length;
        self.answered_at = wall.max(self.answered_at);
        self.first_at.get_or_insert(now);
        self.extents.put(piece);
    }

    /// Asks for what is in it to become a batch at once: somebody flushes or has no room.
    pub(super) fn ask(&mut self) {
        self.asked = !self.is_empty();
    }

    /// When it is to become a batch.
    pub(super) fn due(&self, now: Instant) -> Due {
        let Some(first_at) = self.first_at else {
            return Due::Never;
        };
        let ripe = first_at + self.limits.age;
        if self.asked || self.is_full() || ripe <= now {
            Due::Now
        } else {
            Due::At(ripe)
        }
    }

    /// Whether it holds as much as it may.
    pub(super) fn is_full(&self) -> bool {
        self.extents.weight() >= self.limits.bytes || self.parts >= PARTS_MAX
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> Taken {
        let next = Self {
            answered: self.answered,
            answered_at: self.answered_at,
            ..Self::new(self.limits)
        };
        let taken = std::mem::replace(self, next);
        Taken {
            extents: taken.extents,
            writes: taken.writes,
            through: taken.answered,
            written_bytes: taken.written_bytes,
            answered_at: taken.answered_at,
        }
    }

    /// How many writes were answered before those it holds.
    pub(super) fn taken(&self) -> u64 {
        self.answered - self.writes
    }

    /// How many writes were answered since the branch was opened.
    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    /// What is in it.
    pub(super) fn extents(&self) -> &Extents {
        &self.extents
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes == 0
    }
}

fn parts_of(length: u64, fill: &Fill) -> u64 {
    let inner = match fill {
        Fill::Data(bytes) => bytes.len() as u64 / DATA_PER_PART,
        Fill::Zero => length / u64::from(RECORD_LENGTH_MAX),
    };
    inner + PARTS_PER_WRITE
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::VolumeNumber;
    use bytes::Bytes;
    use proptest::prelude::*;

    const LIMITS: HeadLimits = HeadLimits {
        bytes: 4096,
        age: Duration::from_millis(250),
    };

    fn piece(offset: u64, length: u64, data: Option<u8>) -> Piece {
        let fill = match data {
            Some(byte) => Fill::Data(Bytes::from(vec![byte; length as usize])),
            None => Fill::Zero,
        };
        Piece {
            volume: VolumeNumber(0),
            offset,
            length,
            fill,
        }
    }

    #[test]
    fn it_is_due_on_the_first_of_flush_age_and_fullness() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut head = Head::new(LIMITS);
        head.ask();
        assert_eq!(head.due(after(1000)), Due::Never);
        head.write(piece(0, 512, Some(1)), start, Timestamp(1));
        head.write(piece(0, 512, Some(2)), after(200), Timestamp(2));
        assert_eq!(head.due(after(249)), Due::At(after(250)));
        assert_eq!(head.due(after(250)), Due::Now);
        let taken = head.take();
        assert_eq!(
            (taken.writes, taken.through, taken.written_bytes),
            (2, 2, 1024)
        );
        assert_eq!(head.due(after(1000)), Due::Never);

        head.write(piece(0, 512, Some(1)), after(300), Timestamp(3));
        assert_eq!(head.due(after(300)), Due::At(after(550)));
        head.ask();
        assert_eq!(head.due(after(300)), Due::Now);
        assert_eq!(head.take().through, 3);

        let long = piece(0, 4096, Some(1));
        assert!(
            head.has_room(long.length, &long.fill),
            "an empty head takes any write"
        );
        head.write(long.clone(), after(600), Timestamp(4));
        assert!(!head.has_room(long.length, &long.fill));
        assert_eq!(head.due(after(600)), Due::Now);
    }

    #[test]
    fn a_head_never_needs_more_table_entries_than_a_batch_has() {
        let mut head = Head::new(HeadLimits {
            bytes: u64::MAX,
            ..LIMITS
        });
        let now = Instant::now();
        let mut offset = 0;
        loop {
            let next = piece(offset, 512, Some(1));
            if !head.has_room(next.length, &next.fill) {
                break;
            }
            head.write(next, now, Timestamp(1));
            offset += 1024;
        }
        assert!(head.is_full() || head.parts + PARTS_PER_WRITE > PARTS_MAX);
        assert!(PARTS_MAX < u64::from(bcdr_format::batch::BATCH_EXTENTS_MAX));
        let vast = piece(0, 1 << 40, None);
        assert!(!head.has_room(vast.length, &vast.fill));
        assert!(parts_of(1 << 40, &Fill::Zero) < PARTS_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn newer_writes_lie_over_older_ones(
            writes in prop::collection::vec((0_u64..48, 1_u64..16, prop::option::of(1_u8..250)), 1..40),
            split in 0_usize..40,
            (from, length) in (0_u64..48, 1_u64..16),
        ) {
            // `None` is what was never written.
            let mut model = [None; 64];
            let (mut older, mut newer) = (Extents::default(), Extents::default());
            for (place, (offset, length, data)) in writes.iter().enumerate() {
                model[*offset as usize..(offset + length) as usize].fill(Some(data.unwrap_or(0)));
                let extents = if place < split { &mut older } else { &mut newer };
                extents.put(piece(*offset, *length, *data));
            }
            let mut found = Vec::new();
            let gaps = newer.fill(VolumeNumber(0), &[(from, from + length)], &mut found);
            let gaps = older.fill(VolumeNumber(0), &gaps, &mut found);
            let mut seen = [None; 64];
            for piece in &found {
                for place in piece.offset..piece.offset + piece.length {
                    let byte = match &piece.fill {
                        Fill::Data(bytes) => bytes[(place - piece.offset) as usize],
                        Fill::Zero => 0,
                    };
                    prop_assert_eq!(seen[place as usize].replace(byte), None, "pieces overlap");
                }
            }
            for (start, end) in gaps {
                prop_assert!(start < end);
                prop_assert!(model[start as usize..end as usize].iter().all(Option::is_none));
            }
            prop_assert_eq!(&seen[from as usize..(from + length) as usize], &model[from as usize..(from + length) as usize]);
            // One over the other is the same as both.
            let weight = older.weight() + newer.weight();
            older.absorb(&newer);
            prop_assert!(older.weight() >= weight);
            let mut merged = Vec::new();
            older.fill(VolumeNumber(0), &[(0, 64)], &mut merged);
            let bytes: u64 = merged.iter().map(|piece| piece.length).sum();
            prop_assert_eq!(bytes, model.iter().flatten().count() as u64);
        }
    }
}
