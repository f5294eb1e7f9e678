//! The ranges whose contents nobody knows: the source could not read them back after a failed
//! write. A point lists them; they vanish when they are written again.

use bcdr_format::{
    VolumeNumber,
    extent::{Content, Extent},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One range of unknown contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnknownRange {
    /// The volume.
    pub volume: VolumeNumber,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// A set of byte ranges; adjacent ones are one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnknownRanges {
    // Start of a range to its end, by volume and start. Ranges of a volume never touch.
    ends: BTreeMap<(VolumeNumber, u64), u64>,
}

impl UnknownRanges {
    /// Whether everything is known.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Takes in what a batch says; true if the set changed.
    pub fn apply(&mut self, extents: &[Extent]) -> bool {
        let mut changed = false;
        for extent in extents {
            let (volume, start, end) = (extent.volume, extent.offset, extent.end());
            if extent.content == Content::Unknown {
                self.insert(volume, start, end);
                changed = true;
            } else if !self.ends.is_empty() {
                changed |= self.remove(volume, start, end);
            }
        }
        changed
    }

    /// The ranges, sorted by volume and offset.
    pub fn iter(&self) -> impl Iterator<Item = UnknownRange> + '_ {
        self.ends.iter().map(|((volume, start), end)| UnknownRange {
            volume: *volume,
            offset: *start,
            length: end - start,
        })
    }

    fn touching(&self, volume: VolumeNumber, start: u64, end: u64) -> Vec<(u64, u64)> {
        // Ranges never touch each other, so walking back from `end` meets them in order.
        self.ends
            .range((volume, 0)..=(volume, end))
            .rev()
            .map(|((_, from), to)| (*from, *to))
            .take_while(|(_, to)| *to >= start)
            .collect()
    }

    fn insert(&mut self, volume: VolumeNumber, mut start: u64, mut end: u64) {
        for (from, to) in self.touching(volume, start, end) {
            self.ends.remove(&(volume, from));
            start = start.min(from);
            end = end.max(to);
        }
        self.ends.insert((volume, start), end);
    }

    fn remove(&mut self, volume: VolumeNumber, start: u64, end: u64) -> bool {
        let mut changed = false;
        for (from, to) in self.touching(volume, start, end) {
            if to <= start || from >= end {
                continue;
            }
            changed = true;
            self.ends.remove(&(volume, from));
            if from < start {
                self.ends.insert((volume, from), start);
            }
            if to > end {
                self.ends.insert((volume, end), to);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, length: u32, content: Content) -> Extent {
        Extent {
            volume: VolumeNumber(1),
            offset,
            length,
            content,
        }
    }

    fn listed(ranges: &UnknownRanges) -> Vec<(u64, u64)> {
        ranges.iter().map(|r| (r.offset, r.length)).collect()
    }

    #[test]
    fn adjacent_ranges_join_and_writes_cut_holes() {
        let mut ranges = UnknownRanges::default();
        assert!(ranges.apply(&[extent(0, 4096, Content::Unknown)]));
        assert!(ranges.apply(&[extent(4096, 4096, Content::Unknown)]));
        assert_eq!(listed(&ranges), [(0, 8192)]);
        assert!(ranges.apply(&[extent(2048, 1024, Content::Zero)]));
        assert_eq!(listed(&ranges), [(0, 2048), (3072, 5120)]);
        assert!(!ranges.apply(&[extent(8192, 512, Content::Zero)]));
        let elsewhere = Extent {
            volume: VolumeNumber(2),
            ..extent(0, 8192, Content::Zero)
        };
        assert!(!ranges.apply(&[elsewhere]));
        assert!(ranges.apply(&[extent(0, 8192, Content::Zero)]));
        assert!(ranges.is_empty());
    }
}
