//! Range locks: which writes may be in flight together.
//!
//! Invariants: no two held ranges of a volume overlap; a request never overtakes an earlier one
//! that it overlaps, held or waiting. So overlapping writes reach the disk in the order they came.
//! Reads take no lock. It knows nothing of sequences or I/O.

use bcdr_format::VolumeNumber;
use std::collections::{BTreeMap, VecDeque};

/// Names a lock, held or waiting; unique for the life of a [`RangeLock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u64);

#[derive(Debug, Clone, Copy)]
struct Claim {
    id: LockId,
    volume: VolumeNumber,
    start: u64,
    end: u64,
}

impl Claim {
    fn overlaps(&self, other: &Self) -> bool {
        self.volume == other.volume && self.start < other.end && other.start < self.end
    }
}

/// The range locks of a group's volumes, first come first served.
#[derive(Debug, Default)]
pub struct RangeLock {
    /// Held ranges by their first byte; they do not overlap, so one lookup finds a conflict.
    held: BTreeMap<(VolumeNumber, u64), Claim>,
    waiting: VecDeque<Claim>,
    by_id: BTreeMap<LockId, (VolumeNumber, u64)>,
}

impl RangeLock {
    /// Asks for bytes `start..end`; `true` if it is held at once, otherwise it waits its turn.
    pub fn acquire(&mut self, id: LockId, volume: VolumeNumber, start: u64, end: u64) -> bool {
        debug_assert!(start < end, "an empty range locks nothing");
        let claim = Claim {
            id,
            volume,
            start,
            end,
        };
        if self.conflicts_with_held(&claim)
            || self.waiting.iter().any(|earlier| earlier.overlaps(&claim))
        {
            self.waiting.push_back(claim);
            return false;
        }
        self.hold(claim);
        true
    }

    /// Gives a held lock up; returns those that are held now, in the order they came.
    pub fn release(&mut self, id: LockId) -> Vec<LockId> {
        let key = self
            .by_id
            .remove(&id)
            .expect("only held locks are released");
        let released = self
            .held
            .remove(&key)
            .expect("a held lock is under its first byte");
        let mut granted = Vec::new();
        let mut still_waiting = VecDeque::with_capacity(self.waiting.len());
        for claim in std::mem::take(&mut self.waiting) {
            // Only those behind the released range can have become free.
            let free = claim.overlaps(&released)
                && !self.conflicts_with_held(&claim)
                && !still_waiting
                    .iter()
                    .any(|earlier: &Claim| earlier.overlaps(&claim));
            if free {
                self.hold(claim);
                granted.push(claim.id);
            } else {
                still_waiting.push_back(claim);
            }
        }
        self.waiting = still_waiting;
        granted
    }

    /// Locks that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn hold(&mut self, claim: Claim) {
        self.by_id.insert(claim.id, (claim.volume, claim.start));
        self.held.insert((claim.volume, claim.start), claim);
    }

    fn conflicts_with_held(&self, claim: &Claim) -> bool {
        // The last range that begins before our end is the only one that can reach into ours.
        self.held
            .range(..(claim.volume, claim.end))
            .next_back()
            .is_some_and(|(_, held)| held.overlaps(claim))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VOLUME: VolumeNumber = VolumeNumber(1);

    #[test]
    fn overlapping_claims_wait_in_arrival_order() {
        let mut lock = RangeLock::default();
        assert!(lock.acquire(LockId(1), VOLUME, 0, 8));
        assert!(!lock.acquire(LockId(2), VOLUME, 4, 12));
        // It does not touch what is held, but an earlier one waits for a part of it.
        assert!(!lock.acquire(LockId(3), VOLUME, 10, 20));
        assert!(lock.acquire(LockId(4), VOLUME, 20, 24));
        assert!(lock.acquire(LockId(5), VolumeNumber(2), 0, 8));
        assert_eq!(lock.release(LockId(1)), [LockId(2)]);
        assert_eq!(lock.release(LockId(4)), []);
        assert_eq!(lock.release(LockId(2)), [LockId(3)]);
    }

    proptest! {
        #[test]
        fn no_overlap_is_held_and_nobody_is_overtaken(
            steps in prop::collection::vec((0_u64..64, 1_u64..16, any::<bool>()), 1..120)
        ) {
            let mut lock = RangeLock::default();
            let mut held: Vec<(u64, u64, u64)> = Vec::new();
            let mut waiting: Vec<(u64, u64, u64)> = Vec::new();
            let overlap = |a: &(u64, u64, u64), b: &(u64, u64, u64)| a.1 < b.2 && b.1 < a.2;
            for (number, (start, length, release)) in steps.into_iter().enumerate() {
                if release && !held.is_empty() {
                    let (id, ..) = held.remove(start as usize % held.len());
                    for granted in lock.release(LockId(id)) {
                        let index = waiting.iter().position(|one| one.0 == granted.0).unwrap();
                        let claim = waiting.remove(index);
                        prop_assert!(waiting[..index].iter().all(|one| !overlap(one, &claim)));
                        held.push(claim);
                    }
                } else {
                    let claim = (number as u64, start, start + length);
                    let free = held.iter().chain(&waiting).all(|one| !overlap(one, &claim));
                    let granted = lock.acquire(LockId(claim.0), VOLUME, claim.1, claim.2);
                    prop_assert_eq!(granted, free);
                    if granted { held.push(claim) } else { waiting.push(claim) }
                }
                for (index, one) in held.iter().enumerate() {
                    prop_assert!(held[index + 1..].iter().all(|other| !overlap(one, other)));
                }
                // Nobody waits without a reason.
                for (index, one) in waiting.iter().enumerate() {
                    prop_assert!(
                        held.iter().chain(&waiting[..index]).any(|other| overlap(one, other))
                    );
                }
            }
        }
    }
}
