//! What writes leave on the volumes, in memory: newer ranges replace older ones.
//!
//! Pieces are disjoint and sorted. Data is shared slices, so a piece that is cut copies nothing but
//! keeps the whole write alive; the weight therefore counts what was written, not what is left.

use bcdr_format::VolumeNumber;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Memory that a write takes besides its data, in bytes; more rather than less.
const WRITE_WEIGHT: u64 = 128;

/// What a piece holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fill {
    /// These bytes, as many as the piece is long.
    Data(Bytes),
    /// Zeroes.
    Zero,
}

impl Fill {
    fn part(&self, from: u64, until: u64) -> Self {
        match self {
            Self::Data(bytes) => Self::Data(bytes.slice(from as usize..until as usize)),
            Self::Zero => Self::Zero,
        }
    }

    /// Bytes of data it keeps.
    pub(super) fn data_bytes(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Zero => 0,
        }
    }
}

/// A range of a volume and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) volume: VolumeNumber,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) fill: Fill,
}

impl Piece {
    fn end(&self) -> u64 {
        self.offset + self.length
    }

    fn cut(&self, from: u64, until: u64) -> Self {
        Self {
            volume: self.volume,
            offset: from,
            length: until - from,
            fill: self.fill.part(from - self.offset, until - self.offset),
        }
    }
}

/// The memory that a write with `data_bytes` of data adds.
pub(super) fn weight_of(data_bytes: u64) -> u64 {
    WRITE_WEIGHT + data_bytes
}

/// What a number of writes left.
#[derive(Debug, Clone, Default)]
pub(super) struct Extents {
    pieces: BTreeMap<(VolumeNumber, u64), Piece>,
    weight: u64,
}

impl Extents {
    /// Puts a piece over what is there.
    pub(super) fn put(&mut self, piece: Piece) {
        if piece.length == 0 {
            return;
        }
        self.weight += weight_of(piece.fill.data_bytes());
        for old in self.overlapping(piece.volume, piece.offset, piece.end()) {
            self.pieces.remove(&(old.volume, old.offset));
            if old.offset < piece.offset {
                self.keep(old.cut(old.offset, piece.offset));
            }
            if old.end() > piece.end() {
                self.keep(old.cut(piece.end(), old.end()));
            }
        }
        self.keep(piece);
    }

    /// Puts all of `newer` over what is there.
    pub(super) fn absorb(&mut self, newer: &Self) {
        for piece in newer.pieces.values() {
            self.put(piece.clone());
        }
        // The pieces may keep longer writes alive than they show.
        let shown: u64 = newer
            .pieces
            .values()
            .map(|piece| weight_of(piece.fill.data_bytes()))
            .sum();
        self.weight += newer.weight.saturating_sub(shown);
    }

    fn keep(&mut self, piece: Piece) {
        self.pieces.insert((piece.volume, piece.offset), piece);
    }

    fn overlapping(&self, volume: VolumeNumber, start: u64, end: u64) -> Vec<Piece> {
        let before = self
            .pieces
            .range((volume, 0)..(volume, start))
            .next_back()
            .map(|(_, piece)| piece)
            .filter(|piece| piece.end() > start);
        let inside = self.pieces.range((volume, start)..(volume, end));
        before
            .into_iter()
            .chain(inside.map(|(_, piece)| piece))
            .cloned()
            .collect()
    }

    /// Takes out of `gaps` what is held here, adding it to `found`, and says what remains. Gaps are
    /// sorted and do not overlap, before and after.
    pub(super) fn fill(
        &self,
        volume: VolumeNumber,
        gaps: &[(u64, u64)],
        found: &mut Vec<Piece>,
    ) -> Vec<(u64, u64)> {
        let mut remaining = Vec::with_capacity(gaps.len());
        for (start, end) in gaps {
            let mut next = *start;
            for piece in self.overlapping(volume, *start, *end) {
                let (from, until) = (piece.offset.max(*start), piece.end().min(*end));
                if from > next {
                    remaining.push((next, from));
                }
                found.push(piece.cut(from, until));
                next = until;
            }
            if next < *end {
                remaining.push((next, *end));
            }
        }
        remaining
    }

    /// The pieces, sorted.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.values()
    }

    /// Memory that may be kept alive, in bytes.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }
}
