//! A source whose batches are made by hand.

use bcdr_format::{
    Generation, GroupId, IncarnationId, IncarnationOrdinal, MarkerId, Opening, Position, Sequence,
    StreamId, SyncId, Timestamp, VolumeId, VolumeNumber,
    batch::{BatchHeader, BatchPrefix, MAC_BYTES, encode},
    extent::{Content, Extent},
    record::{Beat, Marker, MarkerKind, Member},
    sync::{Heals, SyncEvent, SyncReason},
};
use bcdr_wire::seal::{ChunkSealer, DataKey, InstallationKey, batch_mac};
use bytes::Bytes;
use std::sync::Arc;

/// The volume's size in bytes.
pub(crate) const VOLUME_BYTES: u64 = 1 << 20;
const BLOCK: u64 = 4096;

/// What one batch changes besides the bytes it writes.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) marker: Option<Marker>,
    pub(crate) beat: Option<Beat>,
    pub(crate) sync_events: Vec<SyncEvent>,
}

/// One volume, one stream, one incarnation.
pub(crate) struct Source {
    pub(crate) group: GroupId,
    pub(crate) stream: StreamId,
    pub(crate) member: Member,
    /// The volumes that the opening tells of besides.
    pub(crate) others: Vec<Member>,
    pub(crate) key: Arc<InstallationKey>,
    pub(crate) data_key: Arc<DataKey>,
    pub(crate) generation: Generation,
    /// The MAC of the last batch.
    pub(crate) chain: [u8; MAC_BYTES],
    pub(crate) next: Sequence,
    /// What the volume holds.
    pub(crate) image: Vec<u8>,
    sealer: ChunkSealer,
    opened: bool,
}

pub(crate) fn marker(id: MarkerId, label: &str) -> Marker {
    Marker {
        id,
        kind: MarkerKind::Bookmark,
        label: label.to_owned(),
    }
}

impl Source {
    pub(crate) fn new(
        installation: bcdr_format::InstallationId,
        group: GroupId,
        stream: StreamId,
        volume: VolumeId,
    ) -> Self {
        let data_key = DataKey::generate(installation, Timestamp(1)).unwrap();
        Self {
            group,
            stream,
            member: Member {
                group,
                number: VolumeNumber(0),
                id: volume,
                size_bytes: VOLUME_BYTES,
            },
            others: Vec::new(),
            key: Arc::new(InstallationKey::generate().unwrap()),
            sealer: ChunkSealer::new(Arc::clone(&data_key)).unwrap(),
            data_key,
            generation: Generation::FIRST,
            chain: [0; MAC_BYTES],
            next: Sequence::FIRST,
            image: vec![0; VOLUME_BYTES as usize],
            opened: false,
        }
    }

    /// The position of the last batch made.
    pub(crate) fn end(&self) -> Position {
        Position::new(IncarnationOrdinal::FIRST, self.next.previous())
    }

    /// The next batch, which writes one block full of `fill`. The first one ever is also the whole
    /// initial sync.
    pub(crate) fn batch(&mut self, block: u64, fill: u8) -> Bytes {
        self.batch_with(Some((block, fill)), Extra::default())
    }

    pub(crate) fn batch_with(&mut self, write: Option<(u64, u8)>, extra: Extra) -> Bytes {
        let mut encoded = self.unauthenticated(write, extra);
        let prefix = BatchPrefix::decode(&encoded).unwrap();
        self.chain = batch_mac(&self.key, &self.chain, prefix.authenticated(&encoded));
        prefix.set_mac(&mut encoded, &self.chain);
        encoded.into()
    }

    /// A batch whose MAC is empty.
    pub(crate) fn unauthenticated(&mut self, write: Option<(u64, u8)>, extra: Extra) -> Vec<u8> {
        let incarnation = IncarnationId::from_u128(77);
        let first = self.next;
        self.next = Sequence(first.0 + 3);
        let opening = Opening {
            ordinal: IncarnationOrdinal::FIRST,
            id: incarnation,
            continues: None,
            first,
        };
        let sync = SyncId::from_u128(5);
        let mut sync_events = extra.sync_events;
        let opens = !std::mem::replace(&mut self.opened, true);
        if opens && sync_events.is_empty() {
            sync_events = vec![
                SyncEvent::Begin {
                    sync,
                    reason: SyncReason::Initial,
                },
                SyncEvent::End {
                    sync,
                    heals: Heals::Nothing,
                },
            ];
        }
        let mut members = vec![self.member];
        members.extend(&self.others);
        let header = BatchHeader {
            group: self.group,
            stream: self.stream,
            generation: self.generation,
            ordinal: IncarnationOrdinal::FIRST,
            incarnation,
            opening: opens.then_some(opening),
            first,
            last: self.next.previous(),
            captured_at: Timestamp(1_000_000 * first.0 as i64),
            written_bytes: BLOCK,
            members: if opens { members } else { Vec::new() },
            sync_events,
            marker: extra.marker,
            beat: extra.beat,
        };
        let Some((block, fill)) = write else {
            return encode(&header, &[], &[]).unwrap();
        };
        let start = (block * BLOCK) as usize;
        self.image[start..start + BLOCK as usize].fill(fill);
        let chunk = self.sealer.seal(&[fill; BLOCK as usize]).unwrap();
        let extent = Extent {
            volume: self.member.number,
            offset: block * BLOCK,
            length: BLOCK as u32,
            content: Content::Chunk {
                index: 0,
                offset: 0,
            },
        };
        encode(&header, &[extent], &[chunk]).unwrap()
    }
}
