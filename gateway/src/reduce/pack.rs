//! From pieces to sealed chunks and an extent table.
//!
//! Pieces are taken in order. Aligned 4 KiB units that are all zero become zero extents; the rest
//! is placed one after the other in chunks of up to 64 KiB of plaintext, which are compressed and
//! sealed as one. A chunk therefore holds neighbours where there are neighbours, and many small
//! writes share one chunk where there are none.

use super::{
    batcher::ClosedBatch,
    overlay::{Fill, Piece},
};
use bcdr_format::{
    DecodeError,
    batch::{self, SealedChunk},
    chunk::{CHUNK_PLAIN_BYTES_MAX, UNIT_BYTES},
    extent::{Content, Extent},
    position::{Generation, VolumeNumber},
};

/// Seals one chunk's plaintext. The gateway's is the wire crate's sealer; tests bring their own.
pub trait SealChunk {
    /// Why sealing may fail.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Compresses and seals `plain`, which is neither empty nor longer than a chunk may be.
    fn seal(&mut self, plain: &[u8]) -> Result<SealedChunk, Self::Error>;
}

/// Why a batch could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError<Seal: std::error::Error + 'static> {
    /// A chunk could not be sealed.
    #[error("cannot seal a chunk: {0}")]
    Seal(#[source] Seal),
    /// The batch broke one of its format's limits, which the batcher should have kept.
    #[error("cannot encode a batch: {0}")]
    Encode(#[source] DecodeError),
}

/// Packs, seals and encodes a closed batch, with its MAC left empty.
pub fn pack<S: SealChunk>(
    closed: ClosedBatch,
    generation: Generation,
    sealer: &mut S,
) -> Result<Vec<u8>, PackError<S::Error>> {
    let mut packer = Packer {
        sealer,
        plain: Vec::new(),
        extents: Vec::new(),
        chunks: Vec::new(),
    };
    for piece in closed.overlay.into_pieces() {
        packer.piece(&piece).map_err(PackError::Seal)?;
    }
    packer.flush().map_err(PackError::Seal)?;
    let mut header = closed.header;
    header.generation = generation;
    batch::encode(&header, &packer.extents, &packer.chunks).map_err(PackError::Encode)
}

struct Packer<'a, S> {
    sealer: &'a mut S,
    plain: Vec<u8>,
    extents: Vec<Extent>,
    chunks: Vec<SealedChunk>,
}

impl<S: SealChunk> Packer<'_, S> {
    fn piece(&mut self, piece: &Piece) -> Result<(), S::Error> {
        match &piece.fill {
            Fill::Zero => {
                self.plain_extent(piece.volume, piece.offset, piece.length, Content::Zero)
            }
            Fill::Unknown => {
                self.plain_extent(piece.volume, piece.offset, piece.length, Content::Unknown);
            }
            Fill::Data(bytes) => {
                for (start, end, zero) in zero_runs(piece.offset, bytes) {
                    let offset = piece.offset + start as u64;
                    if zero {
                        let length = (end - start) as u64;
                        self.plain_extent(piece.volume, offset, length, Content::Zero);
                    } else {
                        self.data(piece.volume, offset, &bytes[start..end])?;
                    }
                }
            }
        }
        Ok(())
    }

    fn plain_extent(&mut self, volume: VolumeNumber, offset: u64, length: u64, content: Content) {
        if let Some(last) = self.extents.last_mut() {
            let joined = u64::from(last.length) + length;
            if last.volume == volume
                && last.end() == offset
                && last.content == content
                && joined <= u64::from(bcdr_format::RECORD_LENGTH_MAX)
            {
                last.length = joined as u32;
                return;
            }
        }
        let length = length as u32;
        self.extents.push(Extent {
            volume,
            offset,
            length,
            content,
        });
    }

    fn data(
        &mut self,
        volume: VolumeNumber,
        mut offset: u64,
        mut bytes: &[u8],
    ) -> Result<(), S::Error> {
        while !bytes.is_empty() {
            let room = CHUNK_PLAIN_BYTES_MAX as usize - self.plain.len();
            let (head, rest) = bytes.split_at(room.min(bytes.len()));
            self.data_extent(volume, offset, head);
            offset += head.len() as u64;
            bytes = rest;
            if self.plain.len() == CHUNK_PLAIN_BYTES_MAX as usize {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn data_extent(&mut self, volume: VolumeNumber, offset: u64, bytes: &[u8]) {
        let index = self.chunks.len() as u32;
        let inner = self.plain.len() as u32;
        self.plain.extend_from_slice(bytes);
        if let Some(last) = self.extents.last_mut()
            && last.volume == volume
            && last.end() == offset
            && let Content::Chunk {
                index: last_index,
                offset: last_inner,
            } = last.content
            && last_index == index
            && last_inner + last.length == inner
        {
            last.length += bytes.len() as u32;
            return;
        }
        let content = Content::Chunk {
            index,
            offset: inner,
        };
        self.extents.push(Extent {
            volume,
            offset,
            length: bytes.len() as u32,
            content,
        });
    }

    fn flush(&mut self) -> Result<(), S::Error> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let chunk = self.sealer.seal(&self.plain)?;
        self.chunks.push(chunk);
        self.plain.clear();
        Ok(())
    }
}

/// Splits `bytes`, which begin at volume offset `offset`, into runs of whole zero units and the
/// rest: (start, end, whether zero), in order, together covering all of it.
fn zero_runs(offset: u64, bytes: &[u8]) -> Vec<(usize, usize, bool)> {
    let unit = UNIT_BYTES as usize;
    let mut runs: Vec<(usize, usize, bool)> = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let into_unit = ((offset + start as u64) % u64::from(UNIT_BYTES)) as usize;
        let end = (start + unit - into_unit).min(bytes.len());
        let zero = end - start == unit && is_zero(&bytes[start..end]);
        match runs.last_mut() {
            Some(last) if last.2 == zero => last.1 = end,
            _ => runs.push((start, end, zero)),
        }
        start = end;
    }
    runs
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reduce::batcher::{BatchLimits, Batcher};
    use bcdr_format::{
        DataKeyId, GroupId, IncarnationId, IncarnationOrdinal, Opening, Sequence, StreamId,
        Timestamp,
        batch::BatchLayout,
        chunk::{ChunkHeader, ChunkId, Codec, TAG_BYTES},
        record::{Record, RecordBody, VolumeRange},
    };
    use bytes::Bytes;
    use std::{convert::Infallible, time::Instant};

    /// Leaves the plaintext readable behind a tag of zeroes, so that a test can look inside.
    struct Plain(u64);

    impl SealChunk for Plain {
        type Error = Infallible;

        fn seal(&mut self, plain: &[u8]) -> Result<SealedChunk, Infallible> {
            self.0 += 1;
            let mut sealed = plain.to_vec();
            sealed.extend_from_slice(&[0; TAG_BYTES as usize]);
            let header = ChunkHeader {
                id: ChunkId {
                    key: DataKeyId::from_u128(3),
                    counter: self.0,
                },
                codec: Codec::Stored,
                plain_length: plain.len() as u32,
                sealed_length: sealed.len() as u32,
            };
            Ok(SealedChunk { header, sealed })
        }
    }

    fn packed(writes: &[(u64, Vec<u8>)]) -> (BatchLayout, Vec<u8>) {
        let limits = BatchLimits::default();
        let mut batcher = Batcher::new(GroupId::from_u128(1), StreamId::from_u128(2), limits);
        batcher.incarnation(Opening {
            ordinal: IncarnationOrdinal(1),
            id: IncarnationId::from_u128(1),
            continues: None,
            first: Sequence(1),
        });
        let now = Instant::now();
        for (index, (offset, bytes)) in writes.iter().enumerate() {
            let range = VolumeRange {
                volume: VolumeNumber(0),
                offset: *offset,
                length: bytes.len() as u32,
            };
            let payload = Bytes::from(bytes.clone());
            batcher.push(
                Record {
                    sequence: Sequence(index as u64 + 1),
                    captured_at: Timestamp(0),
                    body: RecordBody::Data { range, payload },
                },
                now,
            );
        }
        let closed = batcher.poll(now + limits.age).unwrap();
        let bytes = pack(closed, Generation(1), &mut Plain(0)).unwrap();
        (BatchLayout::parse(&bytes).unwrap(), bytes)
    }

    fn contents(layout: &BatchLayout, bytes: &[u8], extent: &Extent) -> Vec<u8> {
        let Content::Chunk { index, offset } = extent.content else {
            return vec![0; extent.length as usize];
        };
        let entry = &layout.chunks[index as usize];
        let start = layout.prefix.chunk_region()
            + entry.offset as usize
            + bcdr_format::chunk::CHUNK_HEADER_BYTES
            + offset as usize;
        bytes[start..start + extent.length as usize].to_vec()
    }

    #[test]
    fn every_byte_comes_back() {
        let pattern = |seed: usize, length: usize| -> Vec<u8> {
            (0..length)
                .map(|index| (index * 7 + seed) as u8 | 1)
                .collect()
        };
        let mut mixed = pattern(1, 4096 * 3);
        mixed[4096..8192].fill(0);
        let writes = [
            (512, pattern(2, 512)),
            (4096, mixed),
            (1 << 20, pattern(3, 200 << 10)),
        ];
        let (layout, bytes) = packed(&writes);
        for (offset, expected) in &writes {
            let mut found = Vec::new();
            for extent in &layout.extents {
                if extent.offset >= *offset && extent.end() <= offset + expected.len() as u64 {
                    found.extend(contents(&layout, &bytes, extent));
                }
            }
            assert_eq!(&found, expected, "at {offset}");
        }
        let zeroes: Vec<_> = layout
            .extents
            .iter()
            .filter(|extent| extent.content == Content::Zero)
            .collect();
        assert_eq!(
            (zeroes.len(), zeroes[0].offset, zeroes[0].length),
            (1, 8192, 4096)
        );
    }

    #[test]
    fn scattered_small_writes_share_a_chunk() {
        let writes: Vec<_> = (0..16)
            .map(|n| (n * 65_536, vec![n as u8 + 1; 4096]))
            .collect();
        let (layout, _) = packed(&writes);
        assert_eq!((layout.extents.len(), layout.chunks.len()), (16, 1));
    }

    #[test]
    fn neighbours_become_one_extent() {
        let writes: Vec<_> = (0..4)
            .map(|n| (n * 4096, vec![n as u8 + 1; 4096]))
            .collect();
        let (layout, _) = packed(&writes);
        assert_eq!(layout.extents.len(), 1);
    }
}
