//! Sample batches for the tests of this crate: a source that writes, and the image it should have.
//!
//! The model is a plain byte array per volume with a flag per sector; it shares no code with runs,
//! the log or views.

use super::Lineage;
use crate::replica::{ChunkOpener, OpenChunkError};
use bcdr_format::{
    DataKeyId, Generation, GroupId, IncarnationId, IncarnationOrdinal, Opening, Position,
    ReceiverRunId, Sequence, StreamId, SyncId, Timestamp, VolumeId, VolumeNumber,
    batch::{BatchHeader, BatchLayout, SealedChunk, encode},
    chunk::{ChunkHeader, ChunkId, Codec, TAG_BYTES},
    extent::{Content, Extent},
    record::{Beat, Marker, MarkerKind, Member},
    sync::{Heals, SyncEvent, SyncReason},
};
use bytes::Bytes;
use std::collections::BTreeMap;

pub(crate) const SECTOR: usize = 512;
/// The sample key, already wrapped.
pub(crate) const KEY: DataKeyId = DataKeyId::from_u128(77);
pub(crate) const VOLUME_SECTORS: u64 = 64;

/// One change of a batch, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) volume: u16,
    pub(crate) sector: u64,
    pub(crate) sectors: u64,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes that follow from this stamp.
    Data(u64),
    Zero,
    Unknown,
}

/// What a volume should hold: `None` is unknown.
pub(crate) type Image = BTreeMap<u16, Vec<Option<[u8; SECTOR]>>>;

pub(crate) fn empty_image() -> Image {
    (0..2)
        .map(|volume| (volume, vec![Some([0; SECTOR]); VOLUME_SECTORS as usize]))
        .collect()
}

pub(crate) fn change_image(image: &mut Image, changes: &[Change]) {
    for change in changes {
        let volume = image.get_mut(&change.volume).expect("a sample volume");
        for sector in change.sector..(change.sector + change.sectors).min(VOLUME_SECTORS) {
            volume[sector as usize] = match change.kind {
                Kind::Data(stamp) => Some(sector_bytes(stamp, sector)),
                Kind::Zero => Some([0; SECTOR]),
                Kind::Unknown => None,
            };
        }
    }
}

fn sector_bytes(stamp: u64, sector: u64) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    for (place, word) in bytes.chunks_exact_mut(8).enumerate() {
        let mixed = (stamp + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(sector << 20 | place as u64);
        word.copy_from_slice(&mixed.to_le_bytes());
    }
    bytes
}

/// A source: one stream of one group with two volumes.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) lineage: Lineage,
    pub(crate) ordinal: IncarnationOrdinal,
    pub(crate) incarnation: u128,
    pub(crate) next: u64,
    pub(crate) clock: i64,
    pub(crate) counter: u64,
    pub(crate) key: DataKeyId,
    pub(crate) generation: Generation,
    /// The volumes that every batch tells.
    pub(crate) members: Vec<Member>,
    opening: Option<Opening>,
}

/// What else a batch says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extra {
    pub(crate) events: Vec<SyncEvent>,
    pub(crate) label: Option<String>,
    pub(crate) beat: Option<u64>,
    pub(crate) records: u64,
    /// How many records before the next one the batch repeats.
    pub(crate) repeats: u64,
}

impl Source {
    pub(crate) fn new() -> Self {
        let group = GroupId::from_u128(11);
        let mut source = Self {
            lineage: Lineage {
                group,
                stream: StreamId::from_u128(22),
            },
            members: members(group),
            ordinal: IncarnationOrdinal(0),
            incarnation: 0,
            next: 1,
            clock: 1_000_000,
            counter: 0,
            key: KEY,
            generation: Generation::FIRST,
            opening: None,
        };
        source.open(None);
        source
    }

    /// Begins another life that continues `continues`.
    pub(crate) fn open(&mut self, continues: Option<Position>) {
        self.ordinal = self.ordinal.next();
        self.incarnation += 1000;
        self.opening = Some(Opening {
            ordinal: self.ordinal,
            id: IncarnationId::from_u128(self.incarnation),
            continues,
            first: Sequence(self.next),
        });
    }

    pub(crate) fn end(&self) -> Position {
        Position::new(self.ordinal, Sequence(self.next - 1))
    }

    /// The next batch.
    pub(crate) fn batch(&mut self, changes: &[Change], extra: &Extra) -> Bytes {
        let (extents, chunks) = self.coalesce(changes);
        let first = self.next - extra.repeats;
        self.next += extra.records.max(1);
        self.clock += 1000;
        let header = BatchHeader {
            group: self.lineage.group,
            stream: self.lineage.stream,
            generation: self.generation,
            ordinal: self.ordinal,
            incarnation: IncarnationId::from_u128(self.incarnation),
            opening: self.opening.take(),
            first: Sequence(first),
            last: Sequence(self.next - 1),
            captured_at: Timestamp(self.clock),
            written_bytes: 512 * changes.iter().map(|change| change.sectors).sum::<u64>(),
            members: self.members.clone(),
            sync_events: extra.events.clone(),
            marker: extra.label.as_ref().map(|label| Marker {
                id: marker_id(label),
                kind: MarkerKind::Bookmark,
                label: label.clone(),
            }),
            beat: extra.beat.map(|at| Beat {
                run: ReceiverRunId::from_u128(5),
                receiver_nanoseconds: at,
            }),
        };
        encode(&header, &extents, &chunks)
            .expect("a sample batch is valid")
            .into()
    }

    /// Newer changes overwrite older ones, sector by sector; equal neighbours become one extent.
    fn coalesce(&mut self, changes: &[Change]) -> (Vec<Extent>, Vec<SealedChunk>) {
        let mut sectors = BTreeMap::new();
        for change in changes {
            for sector in change.sector..(change.sector + change.sectors).min(VOLUME_SECTORS) {
                sectors.insert((change.volume, sector), change.kind);
            }
        }
        let mut extents: Vec<Extent> = Vec::new();
        let mut plains: Vec<Vec<u8>> = Vec::new();
        for ((volume, sector), kind) in sectors {
            let data = match kind {
                Kind::Data(stamp) => Some(sector_bytes(stamp, sector)),
                Kind::Zero | Kind::Unknown => None,
            };
            let offset = sector * SECTOR as u64;
            let extended = extents.last_mut().filter(|last| {
                last.volume.0 == volume
                    && last.end() == offset
                    && matches!(
                        (last.content, kind),
                        (Content::Chunk { .. }, Kind::Data(_))
                            | (Content::Zero, Kind::Zero)
                            | (Content::Unknown, Kind::Unknown)
                    )
            });
            if let Some(last) = extended {
                last.length += SECTOR as u32;
                if let Some(data) = data {
                    plains.last_mut().expect("it has a chunk").extend(data);
                }
                continue;
            }
            let content = match kind {
                Kind::Zero => Content::Zero,
                Kind::Unknown => Content::Unknown,
                Kind::Data(_) => {
                    // A unit of padding in front, so that inner offsets are not all zero.
                    let mut plain = vec![0xee; SECTOR];
                    plain.extend(data.expect("data has bytes"));
                    plains.push(plain);
                    Content::Chunk {
                        index: plains.len() as u32 - 1,
                        offset: SECTOR as u32,
                    }
                }
            };
            extents.push(Extent {
                volume: VolumeNumber(volume),
                offset,
                length: SECTOR as u32,
                content,
            });
        }
        let chunks = plains.iter().map(|plain| self.seal(plain)).collect();
        (extents, chunks)
    }

    fn seal(&mut self, plain: &[u8]) -> SealedChunk {
        self.counter += 1;
        let mut sealed = plain.to_vec();
        sealed.extend_from_slice(&tag(plain));
        SealedChunk {
            header: ChunkHeader {
                id: ChunkId {
                    key: self.key,
                    counter: self.counter,
                },
                codec: Codec::Stored,
                plain_length: plain.len() as u32,
                sealed_length: sealed.len() as u32,
            },
            sealed,
        }
    }
}

fn tag(plain: &[u8]) -> [u8; TAG_BYTES as usize] {
    let mut tag = [0; TAG_BYTES as usize];
    tag.copy_from_slice(&blake3::hash(plain).as_bytes()[..TAG_BYTES as usize]);
    tag
}

/// Opens sample chunks: stored plaintext with a tag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SampleOpener;

impl ChunkOpener for SampleOpener {
    fn open(&self, header: &ChunkHeader, sealed: &[u8]) -> Result<Vec<u8>, OpenChunkError> {
        let (plain, found) = sealed.split_at(header.plain_length as usize);
        if found != tag(plain) {
            return Err("the tag does not match".into());
        }
        Ok(plain.to_vec())
    }
}

pub(crate) fn members(group: GroupId) -> Vec<Member> {
    (0..2)
        .map(|number| Member {
            group,
            number: VolumeNumber(number),
            id: VolumeId::from_u128(u128::from(number) + 1),
            size_bytes: VOLUME_SECTORS * SECTOR as u64,
        })
        .collect()
}

pub(crate) fn marker_id(label: &str) -> bcdr_format::MarkerId {
    let sum = label
        .bytes()
        .fold(0, |sum: u128, byte| sum * 251 + u128::from(byte));
    bcdr_format::MarkerId::from_u128(sum)
}

pub(crate) fn parse(bytes: &[u8]) -> BatchLayout {
    BatchLayout::parse(bytes).expect("a sample batch is valid")
}

pub(crate) fn begin(number: u128, reason: SyncReason) -> SyncEvent {
    SyncEvent::Begin {
        sync: SyncId::from_u128(number),
        reason,
    }
}

pub(crate) fn end(number: u128, heals: Heals) -> SyncEvent {
    SyncEvent::End {
        sync: SyncId::from_u128(number),
        heals,
    }
}

/// A whole initial sync in one batch.
pub(crate) fn initial_sync() -> Extra {
    let opening = IncarnationOrdinal::FIRST;
    Extra {
        events: vec![
            begin(1, SyncReason::Initial),
            end(1, Heals::Everything { opening }),
        ],
        records: 2,
        ..Extra::default()
    }
}
