//! What a run of records leaves behind on its volumes: newer ranges replace older ones.
//!
//! Invariant: pieces are disjoint and sorted by (volume, offset). Payloads are shared slices; a
//! piece that is cut keeps its part of the slice and copies nothing.

use bcdr_format::position::VolumeNumber;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What a piece holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// These bytes, as many as the piece is long.
    Data(Bytes),
    /// Zeroes.
    Zero,
    /// Nobody knows.
    Unknown,
}

impl Fill {
    fn part(&self, from: u64, to: u64) -> Self {
        match self {
            Self::Data(bytes) => Self::Data(bytes.slice(from as usize..to as usize)),
            Self::Zero => Self::Zero,
            Self::Unknown => Self::Unknown,
        }
    }

    fn data_bytes(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Zero | Self::Unknown => 0,
        }
    }
}

/// A contiguous range with one fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The volume.
    pub volume: VolumeNumber,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Contents.
    pub fill: Fill,
}

/// The pieces that a run of records leaves behind.
#[derive(Debug, Default)]
pub struct Overlay {
    pieces: BTreeMap<(VolumeNumber, u64), (u64, Fill)>,
    data_bytes: u64,
}

impl Overlay {
    /// Bytes of data held; zeroes and unknown ranges cost nothing.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// The number of pieces.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Writes `fill` over `length` bytes at `offset`. A data fill is exactly that long.
    pub fn write(&mut self, volume: VolumeNumber, offset: u64, length: u64, fill: Fill) {
        debug_assert!(fill.data_bytes() == 0 || fill.data_bytes() == length);
        self.clear(volume, offset, offset + length);
        self.insert(volume, offset, length, fill);
    }

    /// The pieces in order.
    pub fn into_pieces(self) -> impl Iterator<Item = Piece> {
        self.pieces
            .into_iter()
            .map(|((volume, offset), (length, fill))| Piece {
                volume,
                offset,
                length,
                fill,
            })
    }

    fn insert(&mut self, volume: VolumeNumber, offset: u64, length: u64, fill: Fill) {
        self.data_bytes += fill.data_bytes();
        self.pieces.insert((volume, offset), (length, fill));
    }

    /// Removes everything in `start..end`, keeping what reaches over either edge.
    fn clear(&mut self, volume: VolumeNumber, start: u64, end: u64) {
        let before = self
            .pieces
            .range(..(volume, start))
            .next_back()
            .filter(|((owner, offset), (length, _))| *owner == volume && offset + length > start)
            .map(|(key, _)| *key);
        let inside: Vec<_> = self
            .pieces
            .range((volume, start)..(volume, end))
            .map(|(key, _)| *key)
            .collect();
        for key in before.into_iter().chain(inside) {
            let Some((length, fill)) = self.pieces.remove(&key) else {
                continue;
            };
            self.data_bytes -= fill.data_bytes();
            let (offset, piece_end) = (key.1, key.1 + length);
            if offset < start {
                self.insert(volume, offset, start - offset, fill.part(0, start - offset));
            }
            if piece_end > end {
                let kept = fill.part(end - offset, length);
                self.insert(volume, end, piece_end - end, kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VOLUMES: usize = 2;
    const SPACE: usize = 64;

    fn model(pieces: impl Iterator<Item = Piece>) -> Vec<Vec<Option<Fill>>> {
        let mut cells = vec![vec![None; SPACE]; VOLUMES];
        for piece in pieces {
            for index in 0..piece.length {
                let cell = &mut cells[usize::from(piece.volume.0)][(piece.offset + index) as usize];
                assert!(cell.is_none(), "pieces overlap");
                *cell = Some(piece.fill.part(index, index + 1));
            }
        }
        cells
    }

    proptest! {
        #[test]
        fn equals_a_byte_by_byte_model(
            writes in prop::collection::vec((0u16..2, 0u64..56, 1u64..9, 0u8..8), 0..60)
        ) {
            let mut overlay = Overlay::default();
            let mut cells = vec![vec![None; SPACE]; VOLUMES];
            for (volume, offset, length, kind) in writes {
                let fill = match kind {
                    0 => Fill::Zero,
                    1 => Fill::Unknown,
                    other => Fill::Data(Bytes::from(
                        (0..length).map(|index| other * 16 + index as u8).collect::<Vec<_>>(),
                    )),
                };
                for index in 0..length {
                    cells[usize::from(volume)][(offset + index) as usize] =
                        Some(fill.part(index, index + 1));
                }
                overlay.write(VolumeNumber(volume), offset, length, fill);
            }
            let data = cells.iter().flatten().filter(|cell| matches!(cell, Some(Fill::Data(_))));
            prop_assert_eq!(overlay.data_bytes(), data.count() as u64);
            prop_assert_eq!(model(overlay.into_pieces()), cells);
        }
    }
}
