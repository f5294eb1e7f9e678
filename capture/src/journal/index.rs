//! Where records are: the segments in use, and which failed records are replaced by what.
//!
//! Invariant: segments are in the order of their use, and within one life their sequences are
//! contiguous. A [`JournalSnapshot`] is a copy that readers use beside the writer; it goes stale
//! when segments are recycled, which a reader notices by their checksums.

use super::segment::{MARKS_MAX, PreviousSegment};
use crate::{
    feed::{History, Life},
    start::IncarnationStart,
};
use bcdr_format::{Position, Sequence, incarnation::IncarnationOrdinal};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// A mark in the index is made once per this many bytes of a segment.
const MARK_BYTES: u64 = 1 << 20;

/// A segment in use.
#[derive(Debug, Clone)]
pub(super) struct SegmentEntry {
    pub(super) path: PathBuf,
    pub(super) use_number: u64,
    pub(super) start: IncarnationStart,
    /// The first sequence it may hold.
    pub(super) first: Sequence,
    /// The last it holds; the one before `first` if none.
    pub(super) last: Sequence,
    /// Where its next append goes: everything before is valid.
    pub(super) end: u64,
    /// The number of its next append.
    pub(super) appends: u64,
    /// Its device failed: parts of it may be missing.
    pub(super) abandoned: bool,
    /// How many of its records stand in for failed ones.
    pub(super) replacements: u32,
    /// Offsets of some appends, with the first sequence that each or a later one holds.
    pub(super) marks: Vec<(Sequence, u64)>,
}

impl SegmentEntry {
    pub(super) fn new(
        path: PathBuf,
        use_number: u64,
        start: IncarnationStart,
        first: Sequence,
        data_start: u64,
    ) -> Self {
        Self {
            path,
            use_number,
            start,
            first,
            last: first.previous(),
            end: data_start,
            appends: 0,
            abandoned: false,
            replacements: 0,
            marks: vec![(first, data_start)],
        }
    }

    /// Takes over what the next segment's head says of this one, which then need not be read.
    pub(super) fn summarised(mut self, summary: &PreviousSegment) -> Self {
        self.last = summary.last;
        self.end = summary.end;
        self.marks.extend(&summary.marks);
        self
    }

    /// What the next segment's head will say of this one.
    pub(super) fn summary(&self) -> PreviousSegment {
        PreviousSegment {
            use_number: self.use_number,
            end: self.end,
            abandoned: self.abandoned,
            last: self.last,
            replacements: self.replacements,
            // The first is where every segment begins.
            marks: self.marks[1..].to_vec(),
        }
    }

    pub(super) fn ordinal(&self) -> IncarnationOrdinal {
        self.start.opening.ordinal
    }

    pub(super) fn last_position(&self) -> Position {
        Position::new(self.ordinal(), self.last)
    }

    /// Notes an append of `bytes` whose last record, if it has any, is `last`.
    pub(super) fn note_append(&mut self, bytes: u64, last: Option<Sequence>) {
        let marked = self.marks.last().map_or(0, |(_, offset)| *offset);
        // Segments too large for their marks are read a little longer at their ends.
        if self.end >= marked + MARK_BYTES && self.marks.len() <= MARKS_MAX {
            self.marks.push((self.last.next(), self.end));
        }
        self.end += bytes;
        self.appends += 1;
        self.last = last.unwrap_or(self.last);
    }

    /// Where to begin reading for `sequence`.
    pub(super) fn offset_for(&self, sequence: Sequence) -> u64 {
        let after = self.marks.partition_point(|(first, _)| *first <= sequence);
        self.marks[after.saturating_sub(1)].1
    }
}

/// Where the record that stands in for a failed one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replacement {
    pub(super) use_number: u64,
    /// Offset of its append.
    pub(super) append: u64,
    /// Its place in the append.
    pub(super) index: usize,
}

/// What readers need to find records.
#[derive(Debug, Clone, Default)]
pub struct JournalSnapshot {
    pub(super) segments: Vec<Arc<SegmentEntry>>,
    pub(super) replaced: BTreeMap<Position, Replacement>,
}

impl JournalSnapshot {
    /// The lives whose records are there, the newest one fed through `settled` at most.
    ///
    /// A life that ends before what was fed of it, because a device lost its end, offers nothing:
    /// what stands in for its failed records may be among what is lost.
    #[must_use]
    pub fn history(&self, settled: Option<Position>) -> History {
        let mut lives: Vec<Life> = Vec::new();
        let mut ends: Vec<Sequence> = Vec::new();
        for segment in &self.segments {
            match (lives.last(), ends.last_mut()) {
                (Some(life), Some(end)) if life.start.opening.ordinal == segment.ordinal() => {
                    *end = segment.last;
                }
                _ => {
                    lives.push(Life {
                        start: segment.start,
                        available_from: segment.first,
                        fed_through: segment.start.opening.first.previous(),
                    });
                    ends.push(segment.last);
                }
            }
        }
        let mut history = History::recovered(lives, settled);
        history.withdraw_cut_lives(&ends);
        history
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{IncarnationId, Opening};

    fn entry(
        ordinal: u32,
        continues: Option<Position>,
        first: u64,
        last: u64,
    ) -> Arc<SegmentEntry> {
        let opening = Opening {
            ordinal: IncarnationOrdinal(ordinal),
            id: IncarnationId::from_u128(u128::from(ordinal)),
            continues,
            first: Sequence(first),
        };
        let start = IncarnationStart {
            opening,
            sync: None,
        };
        let first = Sequence(first);
        let mut entry = SegmentEntry::new(PathBuf::new(), 1, start, first, 4096);
        entry.note_append(4096, Some(Sequence(last)));
        Arc::new(entry)
    }

    #[test]
    fn a_life_that_lost_its_end_offers_nothing_of_itself() {
        let continues = Some(Position::new(IncarnationOrdinal(1), Sequence(20)));
        for (last, available) in [(20, 1), (25, 1), (19, 21)] {
            let segments = vec![entry(1, None, 1, last), entry(2, continues, 30, 40)];
            let snapshot = JournalSnapshot {
                segments,
                ..JournalSnapshot::default()
            };
            let history = snapshot.history(None);
            assert_eq!(history.lives()[0].available_from, Sequence(available));
            assert_eq!(history.lives()[0].fed_through, Sequence(20));
            assert_eq!(history.lives()[1].available_from, Sequence(30));
        }
    }

    #[test]
    fn marks_lead_to_the_append_or_one_before_it() {
        let mut entry = (*entry(1, None, 1, 1)).clone();
        for last in 2..=20 {
            entry.note_append(MARK_BYTES / 2, Some(Sequence(last)));
        }
        for sequence in 1..=20 {
            // Append n begins at the head, the first append, and n - 2 halves of a mark.
            let append = match sequence {
                1 => 4096,
                other => 8192 + (other - 2) * (MARK_BYTES / 2),
            };
            let found = entry.offset_for(Sequence(sequence));
            assert!(
                found <= append && append - found <= 2 * MARK_BYTES,
                "{sequence}"
            );
        }
    }
}
