//! The settled prefix of one life: which records may be fed, and what is fed in their place.
//!
//! Every sequence of the life passes through here in order. A record is settled when its backing
//! write succeeded, or when the amendment or void that replaces it is written to the journal. It
//! is fed when it and all before it are settled **and** written to the journal, so that whatever
//! a peer holds, the journal holds too after a kill. Invariant: records come out in sequence
//! order, each once, none before its time.

use crate::{StreamBody, StreamRecord};
use bcdr_format::Sequence;
use std::{collections::VecDeque, sync::Arc};

#[derive(Debug)]
struct Entry {
    record: Arc<StreamRecord>,
    settled: bool,
    /// What is fed in its place, once the write has failed.
    replacement: Option<Arc<StreamRecord>>,
}

/// Records sequenced and not yet fed.
#[derive(Debug)]
pub(super) struct Prefix {
    entries: VecDeque<Entry>,
    /// The sequence of the first entry.
    front: Sequence,
    /// Settled entries at the front.
    settled_count: usize,
    written: Sequence,
    /// Failed records and the record in the journal that settles each.
    awaiting: Vec<(Sequence, Sequence)>,
    bytes: usize,
}

impl Prefix {
    /// The prefix of a life whose first record is `first`.
    pub(super) fn new(first: Sequence) -> Self {
        Self {
            entries: VecDeque::new(),
            front: first,
            settled_count: 0,
            written: first.previous(),
            awaiting: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the next record in sequence.
    pub(super) fn push(&mut self, record: Arc<StreamRecord>, settled: bool) {
        assert_eq!(
            record.sequence.0,
            self.next().0,
            "sequences have no gaps within a life"
        );
        self.bytes += record.encoded_length();
        self.entries.push_back(Entry {
            record,
            settled,
            replacement: None,
        });
        self.advance();
    }

    /// The sequence of the next record.
    fn next(&self) -> Sequence {
        Sequence(self.front.0 + self.entries.len() as u64)
    }

    /// The backing write of a record succeeded. Records no longer here are ignored.
    pub(super) fn settle(&mut self, sequence: Sequence) {
        if let Some(entry) = self.entry(sequence) {
            entry.settled = true;
            self.advance();
        }
    }

    /// The backing write of a record failed; it is settled once record `by` is written, which is
    /// an amendment or a void of it, and then `fed_as` takes its place.
    pub(super) fn replace(&mut self, sequence: Sequence, by: Sequence, fed_as: StreamBody) {
        if let Some(entry) = self.entry(sequence) {
            let (sequence, captured_at) = (entry.record.sequence, entry.record.captured_at);
            entry.replacement = Some(Arc::new(StreamRecord {
                sequence,
                captured_at,
                body: fed_as,
            }));
            self.awaiting.push((sequence, by));
            self.settle_awaiting();
        }
    }

    /// The journal has written everything up to `through`.
    pub(super) fn written(&mut self, through: Sequence) {
        self.written = self.written.max(through);
        self.settle_awaiting();
    }

    /// Forgets records that the journal will never write.
    pub(super) fn forget_unwritten(&mut self) {
        while let Some(entry) = self.entries.back()
            && entry.record.sequence > self.written
        {
            self.bytes -= entry.record.encoded_length();
            self.entries.pop_back();
        }
        let written = self.written;
        self.awaiting.retain(|(_, by)| *by <= written);
        self.settled_count = self.settled_count.min(self.entries.len());
    }

    /// The next record to feed.
    pub(super) fn pop_fed(&mut self) -> Option<Arc<StreamRecord>> {
        if self.settled_count == 0 || self.front > self.written {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.front = self.front.next();
        self.settled_count -= 1;
        self.bytes -= entry.record.encoded_length();
        Some(entry.replacement.unwrap_or(entry.record))
    }

    /// Everything up to here is settled.
    pub(super) fn settled(&self) -> Sequence {
        Sequence(self.front.previous().0 + self.settled_count as u64)
    }

    /// Everything up to here was fed.
    pub(super) fn fed(&self) -> Sequence {
        self.front.previous()
    }

    /// Bytes of records not yet fed.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first record that is not settled was captured.
    pub(super) fn oldest_unsettled(&self) -> Option<&StreamRecord> {
        self.entries
            .get(self.settled_count)
            .map(|entry| &*entry.record)
    }

    /// Whether everything was fed.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn entry(&mut self, sequence: Sequence) -> Option<&mut Entry> {
        let index = sequence.0.checked_sub(self.front.0)?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }

    fn settle_awaiting(&mut self) {
        let written = self.written;
        let mut index = 0;
        while let Some((sequence, by)) = self.awaiting.get(index).copied() {
            if by <= written {
                self.awaiting.swap_remove(index);
                if let Some(entry) = self.entry(sequence) {
                    entry.settled = true;
                }
            } else {
                index += 1;
            }
        }
        self.advance();
    }

    fn advance(&mut self) {
        while self
            .entries
            .get(self.settled_count)
            .is_some_and(|entry| entry.settled)
        {
            self.settled_count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;
    use bcdr_format::{Timestamp, VolumeNumber, record::VolumeRange};
    use proptest::prelude::*;

    fn range() -> VolumeRange {
        VolumeRange {
            volume: VolumeNumber(1),
            offset: 0,
            length: 512,
        }
    }

    fn record(sequence: u64, fill: u8) -> Arc<StreamRecord> {
        let payload = Payload::copied_from(&[fill; 512]);
        Arc::new(StreamRecord {
            sequence: Sequence(sequence),
            captured_at: Timestamp(0),
            body: StreamBody::Data {
                range: range(),
                payload,
            },
        })
    }

    fn fed(prefix: &mut Prefix) -> Vec<u64> {
        std::iter::from_fn(|| prefix.pop_fed())
            .map(|record| record.sequence.0)
            .collect()
    }

    #[test]
    fn only_the_contiguous_settled_and_written_prefix_comes_out() {
        let mut prefix = Prefix::new(Sequence(5));
        for sequence in 5..9 {
            prefix.push(record(sequence, 1), false);
        }
        prefix.written(Sequence(7));
        prefix.settle(Sequence(6));
        assert_eq!(prefix.settled(), Sequence(4));
        assert!(fed(&mut prefix).is_empty());
        prefix.settle(Sequence(5));
        prefix.settle(Sequence(7));
        prefix.settle(Sequence(8));
        assert_eq!(prefix.settled(), Sequence(8));
        assert_eq!(
            fed(&mut prefix),
            [5, 6, 7],
            "record 8 is not in the journal yet"
        );
        prefix.written(Sequence(8));
        assert_eq!(fed(&mut prefix), [8]);
        assert!(prefix.is_empty() && prefix.bytes() == 0);
    }

    #[test]
    fn a_failed_record_is_settled_by_its_written_amendment_and_fed_with_its_payload() {
        let mut prefix = Prefix::new(Sequence(1));
        prefix.push(record(1, 1), false);
        let really = Payload::copied_from(&[9; 512]);
        let amendment = StreamBody::Amendment {
            amends: Sequence(1),
            range: range(),
            payload: really.clone(),
        };
        let body = StreamRecord {
            sequence: Sequence(2),
            captured_at: Timestamp(0),
            body: amendment,
        };
        prefix.push(Arc::new(body), true);
        let in_place = StreamBody::Data {
            range: range(),
            payload: really.clone(),
        };
        prefix.replace(Sequence(1), Sequence(2), in_place);
        prefix.written(Sequence(1));
        assert!(
            fed(&mut prefix).is_empty(),
            "the amendment is not in the journal yet"
        );
        prefix.written(Sequence(2));
        let first = prefix.pop_fed().unwrap();
        assert_eq!(first.sequence, Sequence(1));
        assert_eq!(first.body.payload(), Some(&really));
        assert_eq!(fed(&mut prefix), [2]);
    }

    #[test]
    fn what_the_journal_lost_is_never_fed() {
        let mut prefix = Prefix::new(Sequence(1));
        for sequence in 1..5 {
            prefix.push(record(sequence, 1), true);
        }
        prefix.written(Sequence(2));
        prefix.forget_unwritten();
        prefix.settle(Sequence(4));
        assert_eq!(fed(&mut prefix), [1, 2]);
        assert_eq!(prefix.settled(), Sequence(2));
    }

    proptest! {
        #[test]
        fn any_order_of_completion_feeds_in_sequence(
            order in Just((1_u64..40).collect::<Vec<_>>()).prop_shuffle(),
            writes in prop::collection::vec(0_u64..5, 40),
        ) {
            let mut prefix = Prefix::new(Sequence(1));
            for sequence in 1..40 {
                prefix.push(record(sequence, 1), false);
            }
            let (mut done, mut written, mut out) = (std::collections::BTreeSet::new(), 0, Vec::new());
            for (sequence, step) in order.into_iter().zip(writes) {
                prefix.settle(Sequence(sequence));
                done.insert(sequence);
                written += step;
                prefix.written(Sequence(written));
                out.extend(fed(&mut prefix));
                let contiguous = (1..40).take_while(|one| done.contains(one)).count() as u64;
                let expected: Vec<u64> = (1..=contiguous.min(written)).collect();
                prop_assert_eq!(&out, &expected);
                prop_assert_eq!(prefix.settled(), Sequence(contiguous));
            }
        }
    }
}
