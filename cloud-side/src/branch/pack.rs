//! From what writes left to a sealed batch.
//!
//! Aligned 4 KiB units that are all zero become zero extents; other data stands one after the other
//! in chunks of up to 64 KiB, compressed and sealed as one. Neighbours become one extent. The MAC
//! is chained to the batch before.

use super::{
    BranchKeys,
    extents::{Extents, Fill},
};
use bcdr_format::{
    DecodeError, RECORD_LENGTH_MAX, VolumeNumber,
    batch::{BatchHeader, BatchLayout, MAC_BYTES, SealedChunk, encode},
    chunk::{CHUNK_PLAIN_BYTES_MAX, UNIT_BYTES},
    extent::{Content, Extent},
};
use bcdr_wire::seal::{ChunkSealer, SealError, batch_mac};
use bytes::Bytes;
use thiserror::Error;

/// Why a batch could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackError {
    /// A chunk could not be sealed.
    #[error("cannot seal what was written: {0}")]
    Seal(#[from] SealError),
    /// It broke a limit of its format.
    #[error("cannot encode what was written as a batch: {0}")]
    Encode(#[from] DecodeError),
}

/// Makes the batches of one branch.
#[derive(Debug)]
pub(super) struct Packer {
    keys: BranchKeys,
    sealer: ChunkSealer,
}

impl Packer {
    pub(super) fn new(keys: BranchKeys) -> Result<Self, SealError> {
        Ok(Self {
            sealer: ChunkSealer::new(keys.data_key.clone())?,
            keys,
        })
    }

    /// Packs and seals; `chain` is the MAC of the batch before.
    pub(super) fn pack(
        &mut self,
        header: &BatchHeader,
        extents: &Extents,
        chain: &[u8; MAC_BYTES],
    ) -> Result<(Bytes, BatchLayout), PackError> {
        let mut tables = Tables {
            sealer: &mut self.sealer,
            plain: Vec::new(),
            extents: Vec::new(),
            chunks: Vec::new(),
        };
        for piece in extents.pieces() {
            match &piece.fill {
                Fill::Zero => tables.zero(piece.volume, piece.offset, piece.length),
                Fill::Data(bytes) => tables.data(piece.volume, piece.offset, bytes)?,
            }
        }
        tables.seal()?;
        let mut bytes = encode(header, &tables.extents, &tables.chunks)?;
        let layout = BatchLayout::parse(&bytes)?;
        let authenticated = layout.prefix.authenticated(&bytes);
        let mac = batch_mac(&self.keys.installation_key, chain, authenticated);
        layout.prefix.set_mac(&mut bytes, &mac);
        Ok((bytes.into(), layout))
    }
}

struct Tables<'a> {
    sealer: &'a mut ChunkSealer,
    plain: Vec<u8>,
    extents: Vec<Extent>,
    chunks: Vec<SealedChunk>,
}

impl Tables<'_> {
    fn zero(&mut self, volume: VolumeNumber, mut offset: u64, mut length: u64) {
        while length > 0 {
            let room = self.joinable(volume, offset, |content| *content == Content::Zero);
            let piece = match room {
                Some(last) => {
                    let more = length.min(u64::from(RECORD_LENGTH_MAX - last.length));
                    last.length += more as u32;
                    more
                }
                None => {
                    let piece = length.min(u64::from(RECORD_LENGTH_MAX));
                    self.extents.push(Extent {
                        volume,
                        offset,
                        length: piece as u32,
                        content: Content::Zero,
                    });
                    piece
                }
            };
            offset += piece;
            length -= piece;
        }
    }

    /// The last extent, if it ends where another begins, has room and is of the wanted kind.
    fn joinable(
        &mut self,
        volume: VolumeNumber,
        offset: u64,
        wanted: impl Fn(&Content) -> bool,
    ) -> Option<&mut Extent> {
        self.extents.last_mut().filter(|last| {
            last.volume == volume
                && last.end() == offset
                && last.length < RECORD_LENGTH_MAX
                && wanted(&last.content)
        })
    }

    fn data(&mut self, volume: VolumeNumber, offset: u64, bytes: &[u8]) -> Result<(), SealError> {
        for (start, end, zero) in zero_runs(offset, bytes) {
            let from = offset + start as u64;
            if zero {
                self.zero(volume, from, (end - start) as u64);
            } else {
                self.stored(volume, from, &bytes[start..end])?;
            }
        }
        Ok(())
    }

    fn stored(
        &mut self,
        volume: VolumeNumber,
        mut offset: u64,
        mut bytes: &[u8],
    ) -> Result<(), SealError> {
        while !bytes.is_empty() {
            let room = CHUNK_PLAIN_BYTES_MAX as usize - self.plain.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.place(volume, offset, now);
            offset += now.len() as u64;
            bytes = later;
            if self.plain.len() == CHUNK_PLAIN_BYTES_MAX as usize {
                self.seal()?;
            }
        }
        Ok(())
    }

    /// Puts bytes into the chunk being filled, which has room for them.
    fn place(&mut self, volume: VolumeNumber, offset: u64, bytes: &[u8]) {
        let index = self.chunks.len() as u32;
        let inner = self.plain.len() as u32;
        self.plain.extend_from_slice(bytes);
        // What is next to it on the volume and in this chunk is next to it in the chunk as well,
        // since pieces come in order.
        let here =
            |content: &Content| matches!(content, Content::Chunk { index: of, .. } if *of == index);
        match self.joinable(volume, offset, here) {
            Some(last) => last.length += bytes.len() as u32,
            None => self.extents.push(Extent {
                volume,
                offset,
                length: bytes.len() as u32,
                content: Content::Chunk {
                    index,
                    offset: inner,
                },
            }),
        }
    }

    fn seal(&mut self) -> Result<(), SealError> {
        if !self.plain.is_empty() {
            self.chunks.push(self.sealer.seal(&self.plain)?);
            self.plain.clear();
        }
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
    use super::{super::extents::Piece, *};
    use bcdr_format::{
        Generation, GroupId, IncarnationId, IncarnationOrdinal, InstallationId, Sequence, StreamId,
        Timestamp,
    };
    use bcdr_wire::seal::{ChunkOpener, DataKey, InstallationKey, KeyRing, verify_batch_mac};

    fn header() -> BatchHeader {
        BatchHeader {
            group: GroupId::from_u128(1),
            stream: StreamId::from_u128(2),
            generation: Generation::FIRST,
            ordinal: IncarnationOrdinal::FIRST,
            incarnation: IncarnationId::from_u128(3),
            opening: None,
            first: Sequence(1),
            last: Sequence(9),
            captured_at: Timestamp(5),
            written_bytes: 0,
            members: Vec::new(),
            sync_events: Vec::new(),
            marker: None,
            beat: None,
        }
    }

    fn keys() -> (BranchKeys, KeyRing) {
        let installation = InstallationId::from_u128(9);
        let installation_key = InstallationKey::generate().unwrap();
        let data_key = DataKey::generate(installation, Timestamp(1)).unwrap();
        let wrapped = data_key.wrap(&installation_key).unwrap();
        let ring = KeyRing::new(installation);
        ring.insert_wrapped(data_key.id(), &wrapped, &installation_key)
            .unwrap();
        let keys = BranchKeys {
            installation_key: installation_key.into(),
            data_key,
            wrapped: wrapped.into(),
        };
        (keys, ring)
    }

    fn packed(writes: &[(u64, Vec<u8>)]) -> (Bytes, BatchLayout, KeyRing) {
        let (keys, ring) = keys();
        let mut extents = Extents::default();
        for (offset, bytes) in writes {
            extents.put(Piece {
                volume: VolumeNumber(0),
                offset: *offset,
                length: bytes.len() as u64,
                fill: Fill::Data(Bytes::from(bytes.clone())),
            });
        }
        let chain = [7; MAC_BYTES];
        let mut packer = Packer::new(keys.clone()).unwrap();
        let (bytes, layout) = packer.pack(&header(), &extents, &chain).unwrap();
        let mac = layout.prefix.mac_of(&bytes);
        let authenticated = layout.prefix.authenticated(&bytes);
        let key = &keys.installation_key;
        assert_eq!(verify_batch_mac(key, &chain, authenticated, &mac), Ok(()));
        assert!(verify_batch_mac(key, &[8; MAC_BYTES], authenticated, &mac).is_err());
        assert_eq!(BatchLayout::parse(&bytes).unwrap(), layout);
        (bytes, layout, ring)
    }

    fn contents(bytes: &[u8], layout: &BatchLayout, ring: &KeyRing, extent: &Extent) -> Vec<u8> {
        let Content::Chunk { index, offset } = extent.content else {
            return vec![0; extent.length as usize];
        };
        let entry = &layout.chunks[index as usize];
        let start = layout.prefix.chunk_region() + entry.offset as usize;
        let stored = &bytes[start..start + entry.stored_length as usize];
        let header = bcdr_format::chunk::ChunkHeader::decode(stored).unwrap();
        let sealed = &stored[bcdr_format::chunk::CHUNK_HEADER_BYTES..];
        let plain = ChunkOpener::new(ring.clone())
            .unwrap()
            .open(&header, sealed)
            .unwrap();
        plain[offset as usize..][..extent.length as usize].to_vec()
    }

    fn pattern(seed: usize, length: usize) -> Vec<u8> {
        (0..length).map(|n| (n * 7 + seed) as u8 | 1).collect()
    }

    #[test]
    fn every_byte_comes_back_and_zero_units_cost_no_chunk() {
        let mut mixed = pattern(1, 3 * 4096);
        mixed[4096..8192].fill(0);
        // Zeroes that fill no unit stay data.
        mixed[..512].fill(0);
        let writes = [
            (512, pattern(2, 512)),
            (4096, mixed),
            (1 << 20, pattern(3, 200 << 10)),
        ];
        let (bytes, layout, ring) = packed(&writes);
        for (offset, expected) in &writes {
            let mut found = Vec::new();
            for extent in &layout.extents {
                if extent.offset >= *offset && extent.end() <= offset + expected.len() as u64 {
                    found.extend(contents(&bytes, &layout, &ring, extent));
                }
            }
            assert!(&found == expected, "at {offset}");
        }
        let zero = |extent: &&Extent| extent.content == Content::Zero;
        let zeroes: Vec<_> = layout.extents.iter().filter(zero).collect();
        assert_eq!(
            (zeroes.len(), zeroes[0].offset, zeroes[0].length),
            (1, 8192, 4096)
        );
    }

    #[test]
    fn scattered_writes_share_a_chunk_and_neighbours_an_extent() {
        let scattered: Vec<_> = (0..16)
            .map(|n| (n << 20, pattern(n as usize, 4096)))
            .collect();
        let (_, layout, _) = packed(&scattered);
        assert_eq!((layout.extents.len(), layout.chunks.len()), (16, 1));
        let neighbours: Vec<_> = (0..4)
            .map(|n| (n * 4096, pattern(n as usize, 4096)))
            .collect();
        let (_, layout, _) = packed(&neighbours);
        assert_eq!((layout.extents.len(), layout.chunks.len()), (1, 1));
    }

    #[test]
    fn long_zeroes_become_entries_of_the_longest_length() {
        let (keys, _) = keys();
        let mut extents = Extents::default();
        for (offset, length) in [(0, 20_u64 << 20), (20 << 20, 13 << 20)] {
            extents.put(Piece {
                volume: VolumeNumber(0),
                offset,
                length,
                fill: Fill::Zero,
            });
        }
        let mut packer = Packer::new(keys).unwrap();
        let (_, layout) = packer.pack(&header(), &extents, &[0; MAC_BYTES]).unwrap();
        let lengths: Vec<_> = layout.extents.iter().map(|extent| extent.length).collect();
        assert_eq!(lengths, [16 << 20, 16 << 20, 1 << 20]);
        assert!(layout.chunks.is_empty());
    }
}
