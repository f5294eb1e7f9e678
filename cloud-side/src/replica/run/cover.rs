//! Which runs make a batch end readable.

use crate::receive::BatchNumber;
use bcdr_format::run::RUN_FANOUT;
use std::fmt;

/// Which run: level 0 is a batch's own table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    /// The level.
    pub level: u8,
    /// Which of its level.
    pub index: u64,
}

impl RunId {
    /// How many batches a run of `level` covers, or none if that is beyond counting.
    pub fn span(level: u8) -> Option<u64> {
        RUN_FANOUT.checked_pow(u32::from(level))
    }

    /// The first and last batch it covers.
    pub fn batches(self) -> (BatchNumber, BatchNumber) {
        let span = Self::span(self.level).unwrap_or(u64::MAX);
        let first = self.index.saturating_mul(span);
        (
            BatchNumber(first),
            BatchNumber(first.saturating_add(span - 1)),
        )
    }

    /// The runs it is merged from, oldest first; none for level 0.
    pub fn children(self) -> impl DoubleEndedIterator<Item = Self> {
        let count = if self.level == 0 { 0 } else { RUN_FANOUT };
        (0..count).map(move |place| Self {
            level: self.level - 1,
            index: self.index * RUN_FANOUT + place,
        })
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.level, self.index)
    }
}

/// The runs that together show the end of batch `number`, newest first. `built[level]` says how
/// many runs of a level exist; level 0 always does.
///
/// With every complete run built there are at most 7 of each level.
pub fn cover(number: BatchNumber, built: &[u64]) -> Vec<RunId> {
    cover_between(BatchNumber(0), number, built)
}

/// The runs that together hold the batches from `first` to `last` and no other, newest first.
pub fn cover_between(first: BatchNumber, last: BatchNumber, built: &[u64]) -> Vec<RunId> {
    let end = last.0 + 1;
    let mut runs = Vec::new();
    let mut next = first.0;
    while next < end {
        let run = (0..built.len().max(1) as u8)
            .rev()
            .find_map(|level| fitting(level, next, end, built))
            .unwrap_or(RunId {
                level: 0,
                index: next,
            });
        next = run.batches().1.0 + 1;
        runs.push(run);
    }
    runs.reverse();
    runs
}

fn fitting(level: u8, next: u64, end: u64, built: &[u64]) -> Option<RunId> {
    let span = RunId::span(level)?;
    let index = next / span;
    let aligned = next.is_multiple_of(span) && next.checked_add(span)? <= end;
    let exists = level == 0
        || built
            .get(usize::from(level))
            .is_some_and(|count| index < *count);
    (aligned && exists).then_some(RunId { level, index })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_built(batches: u64) -> Vec<u64> {
        (0..=7).map(|level| batches / 8_u64.pow(level)).collect()
    }

    #[test]
    fn a_cover_is_exact_and_short() {
        let built = all_built(10_000);
        for number in (0..10_000).chain([9_999]) {
            let runs = cover(BatchNumber(number), &built);
            let mut next = number + 1;
            for run in &runs {
                let (first, last) = run.batches();
                assert_eq!(last.0 + 1, next, "batch {number}");
                next = first.0;
            }
            assert_eq!(next, 0);
            assert!(runs.len() <= 7 * 5, "batch {number} needs {}", runs.len());
        }
    }

    #[test]
    fn a_cover_of_a_part_is_exact_and_short() {
        let built = all_built(1000);
        for first in (0..1000).step_by(7) {
            for last in (first..1000).step_by(13) {
                let runs = cover_between(BatchNumber(first), BatchNumber(last), &built);
                let mut next = last + 1;
                for run in &runs {
                    let (from, until) = run.batches();
                    assert_eq!(until.0 + 1, next, "{first} to {last}");
                    next = from.0;
                }
                assert_eq!(next, first);
                assert!(runs.len() <= 2 * 7 * 4, "{first} to {last}: {}", runs.len());
            }
        }
    }

    #[test]
    fn what_is_not_merged_yet_is_taken_from_below() {
        let runs = cover(BatchNumber(70), &[71, 8, 0]);
        let levels: Vec<_> = runs.iter().map(|run| run.level).collect();
        assert_eq!(levels, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    }
}
