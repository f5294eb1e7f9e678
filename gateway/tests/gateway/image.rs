//! What volumes hold: the model that a capture keeps, and what a receiver makes of its batches.

use bcdr_format::{VolumeNumber, record::VolumeRange};
use std::collections::BTreeMap;

/// The contents of all volumes, in sectors that were ever written. `None`: unknown.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    sectors: BTreeMap<(VolumeNumber, u64), Option<Vec<u8>>>,
}

const SECTOR: usize = bcdr_format::SECTOR_BYTES as usize;

impl Image {
    pub(crate) fn write(&mut self, volume: VolumeNumber, offset: u64, bytes: &[u8]) {
        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
            let place = offset / SECTOR as u64 + index as u64;
            self.sectors.insert((volume, place), Some(sector.to_vec()));
        }
    }

    pub(crate) fn zero(&mut self, range: VolumeRange) {
        let zeroes = vec![0; range.length as usize];
        self.write(range.volume, range.offset, &zeroes);
    }

    pub(crate) fn forget(&mut self, range: VolumeRange) {
        for place in range.offset / SECTOR as u64..range.end() / SECTOR as u64 {
            self.sectors.insert((range.volume, place), None);
        }
    }
}

/// A small seeded generator: the same seed gives the same test.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    /// Bytes that do not compress.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length + 8);
        while out.len() < length {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(length);
        out
    }
}
