//! What the application wrote, in which order it may claim to have written it.
//!
//! Each write stamps its sectors with its own number. An image is an exact prefix if it contains,
//! with any write, every write that had been answered before that one was asked for.

use std::collections::BTreeMap;

/// The stamp of a sector nobody wrote.
pub(super) const BLANK: u64 = 0;
/// The stamp of a sector whose contents are unknown.
pub(super) const UNKNOWN: u64 = u64::MAX;

#[derive(Debug, Clone)]
struct Written {
    asked: u64,
    answered: Option<u64>,
    sectors: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Oracle {
    /// Stamps of each sector in the order they were asked for; the first is what was there before.
    sectors: Vec<Vec<u64>>,
    writes: BTreeMap<u64, Written>,
    clock: u64,
}

impl Oracle {
    pub(super) fn new(image: &[u64]) -> Self {
        let sectors = image.iter().map(|stamp| vec![*stamp]).collect();
        Self {
            sectors,
            writes: BTreeMap::new(),
            clock: 0,
        }
    }

    pub(super) fn asked(&mut self, stamp: u64, sectors: std::ops::Range<usize>) {
        self.clock += 1;
        for sector in sectors.clone() {
            self.sectors[sector].push(stamp);
        }
        let written = Written {
            asked: self.clock,
            answered: None,
            sectors: sectors.collect(),
        };
        self.writes.insert(stamp, written);
    }

    pub(super) fn answered(&mut self, stamp: u64) {
        self.clock += 1;
        if let Some(written) = self.writes.get_mut(&stamp) {
            written.answered = Some(self.clock);
        }
    }

    /// The write did not reach this sector and never will.
    pub(super) fn lost(&mut self, stamp: u64, sector: usize) {
        self.sectors[sector].retain(|one| *one != stamp);
        if let Some(written) = self.writes.get_mut(&stamp) {
            written.sectors.retain(|one| *one != sector);
        }
    }

    /// Checks that an image is an exact prefix.
    pub(super) fn check(&self, image: &[u64]) -> Result<(), String> {
        let mut version = Vec::with_capacity(image.len());
        for (sector, stamp) in image.iter().enumerate() {
            if *stamp == UNKNOWN {
                version.push(usize::MAX);
                continue;
            }
            let Some(index) = self.sectors[sector].iter().position(|one| one == stamp) else {
                return Err(format!(
                    "sector {sector} holds {stamp}, which was never there"
                ));
            };
            version.push(index);
        }
        let contained = |stamp: u64, written: &Written| {
            written.sectors.iter().any(|sector| {
                let index = self.sectors[*sector].iter().position(|one| *one == stamp);
                image[*sector] != UNKNOWN && index.is_some_and(|index| version[*sector] >= index)
            })
        };
        let newest_asked = self
            .writes
            .iter()
            .filter(|(stamp, written)| contained(**stamp, written))
            .map(|(_, written)| written.asked)
            .max()
            .unwrap_or_default();
        for (stamp, written) in &self.writes {
            if written
                .answered
                .is_none_or(|answered| answered > newest_asked)
            {
                continue;
            }
            for sector in &written.sectors {
                let index = self.sectors[*sector].iter().position(|one| one == stamp);
                if index.is_some_and(|index| version[*sector] < index) {
                    return Err(format!("write {stamp} is missing in sector {sector}"));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn the_oracle_knows_a_prefix_from_another_image() {
    let mut oracle = Oracle::new(&[BLANK; 4]);
    oracle.asked(1, 0..2);
    oracle.answered(1);
    oracle.asked(2, 1..3);
    oracle.asked(3, 3..4);
    for good in [
        [0, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 2, 2, 0],
        [1, 1, 0, 3],
        [1, 2, 2, 3],
    ] {
        assert_eq!(oracle.check(&good), Ok(()), "{good:?}");
    }
    for bad in [[0, 0, 0, 3], [0, 2, 2, 0], [1, 1, 0, 9]] {
        assert!(oracle.check(&bad).is_err(), "{bad:?}");
    }
}
