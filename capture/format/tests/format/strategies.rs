//! Generated values of each format.

use bcdr_format::{
    DataKeyId, Generation, GroupId, IncarnationId, IncarnationOrdinal, MarkerId, Opening, Position,
    ReceiverRunId, Sequence, StreamId, SyncId, Timestamp, VolumeId, VolumeNumber,
    batch::{BatchHeader, BatchLayout, SealedChunk},
    chunk::{CHUNK_HEADER_BYTES, ChunkHeader, ChunkId, Codec, TAG_BYTES},
    extent::{Content, Extent},
    record::{Beat, Marker, MarkerKind, Member, Record, RecordBody, VolumeRange},
    sync::{Heals, SyncEvent, SyncReason},
};
use proptest::{collection::vec, option, prelude::*};

pub(crate) fn position() -> impl Strategy<Value = Position> {
    (1..50u32, 1..1_000_000u64).prop_map(|(ordinal, sequence)| {
        Position::new(IncarnationOrdinal(ordinal), Sequence(sequence))
    })
}

pub(crate) fn opening() -> impl Strategy<Value = Opening> {
    (
        100..1000u32,
        any::<u128>(),
        option::of(position()),
        1..u64::MAX,
    )
        .prop_map(|(ordinal, id, continues, first)| Opening {
            ordinal: IncarnationOrdinal(ordinal),
            id: IncarnationId::from_u128(id),
            continues,
            first: Sequence(first),
        })
}

pub(crate) fn sync_event() -> impl Strategy<Value = SyncEvent> {
    let reason = prop_oneof![
        Just(SyncReason::Initial),
        Just(SyncReason::Killed),
        Just(SyncReason::PowerLoss),
        Just(SyncReason::Untracked),
        Just(SyncReason::Fork),
    ];
    let ordinal = any::<u32>().prop_map(IncarnationOrdinal);
    let heals = prop_oneof![
        Just(Heals::Nothing),
        (ordinal.clone(), position())
            .prop_map(|(opening, through)| Heals::Through { opening, through }),
        ordinal.prop_map(|opening| Heals::Everything { opening }),
    ];
    let sync = any::<u128>().prop_map(SyncId::from_u128);
    prop_oneof![
        (sync.clone(), reason).prop_map(|(sync, reason)| SyncEvent::Begin { sync, reason }),
        (sync, heals).prop_map(|(sync, heals)| SyncEvent::End { sync, heals }),
    ]
}

pub(crate) fn marker() -> impl Strategy<Value = Marker> {
    let kind = prop_oneof![Just(MarkerKind::Bookmark), Just(MarkerKind::Application)];
    (any::<u128>(), kind, "\\PC{0,60}").prop_map(|(id, kind, label)| Marker {
        id: MarkerId::from_u128(id),
        kind,
        label,
    })
}

pub(crate) fn beat() -> impl Strategy<Value = Beat> {
    (any::<u128>(), any::<u64>()).prop_map(|(run, receiver_nanoseconds)| Beat {
        run: ReceiverRunId::from_u128(run),
        receiver_nanoseconds,
    })
}

pub(crate) fn member() -> impl Strategy<Value = Member> {
    (any::<u128>(), any::<u16>(), any::<u128>(), any::<u64>()).prop_map(
        |(group, number, id, size_bytes)| Member {
            group: GroupId::from_u128(group),
            number: VolumeNumber(number),
            id: VolumeId::from_u128(id),
            size_bytes,
        },
    )
}

fn range() -> impl Strategy<Value = VolumeRange> {
    (any::<u16>(), 0..1u64 << 54, 1..=1u32 << 15).prop_map(|(volume, sector, sectors)| {
        VolumeRange {
            volume: VolumeNumber(volume),
            offset: sector * 512,
            length: sectors * 512,
        }
    })
}

fn range_with_payload() -> impl Strategy<Value = (VolumeRange, Vec<u8>)> {
    (range(), 1..4usize, any::<u8>()).prop_map(|(range, sectors, fill)| {
        let length = sectors * 512;
        let payload = (0..length)
            .map(|index| fill.wrapping_add(index as u8))
            .collect();
        (
            VolumeRange {
                length: length as u32,
                ..range
            },
            payload,
        )
    })
}

pub(crate) fn record() -> impl Strategy<Value = Record<Vec<u8>>> {
    let sequence = || (1..u64::MAX).prop_map(Sequence);
    let body = prop_oneof![
        range_with_payload().prop_map(|(range, payload)| RecordBody::Data { range, payload }),
        (range(), any::<bool>()).prop_map(|(range, unmap)| RecordBody::Zero { range, unmap }),
        range_with_payload().prop_map(|(range, payload)| RecordBody::SyncData { range, payload }),
        range().prop_map(|range| RecordBody::SyncZero { range }),
        sync_event().prop_map(RecordBody::Sync),
        marker().prop_map(RecordBody::Marker),
        beat().prop_map(RecordBody::Beat),
        member().prop_map(RecordBody::Member),
        (sequence(), range_with_payload()).prop_map(|(amends, (range, payload))| {
            RecordBody::Amendment {
                amends,
                range,
                payload,
            }
        }),
        (sequence(), range()).prop_map(|(voids, range)| RecordBody::Void { voids, range }),
    ];
    (sequence(), any::<i64>(), body).prop_map(|(sequence, captured_at, body)| Record {
        sequence,
        captured_at: Timestamp(captured_at),
        body,
    })
}

pub(crate) fn chunk() -> impl Strategy<Value = SealedChunk> {
    (
        any::<u128>(),
        any::<u64>(),
        any::<bool>(),
        1..=16u32,
        vec(any::<u8>(), 1..40),
    )
        .prop_map(|(key, counter, stored, sectors, body)| {
            let mut sealed = body;
            sealed.resize(sealed.len() + TAG_BYTES as usize, 7);
            let header = ChunkHeader {
                id: ChunkId {
                    key: DataKeyId::from_u128(key),
                    counter,
                },
                codec: if stored { Codec::Stored } else { Codec::Zstd },
                plain_length: sectors * 512,
                sealed_length: sealed.len() as u32,
            };
            SealedChunk { header, sealed }
        })
}

/// A batch's parts: header, extents, chunks.
pub(crate) type Parts = (BatchHeader, Vec<Extent>, Vec<SealedChunk>);

/// Extents over `chunks`, sorted and disjoint by construction.
fn extents(chunks: Vec<SealedChunk>) -> impl Strategy<Value = (Vec<Extent>, Vec<SealedChunk>)> {
    let step = (0..3u16, 0..1000u64, 0..4u8, any::<prop::sample::Index>());
    vec(step, 0..20).prop_map(move |steps| {
        let (mut volume, mut offset) = (0, 0);
        let mut out = Vec::new();
        for (skip, gap, kind, pick) in steps {
            if skip == 2 {
                (volume, offset) = (volume + 1, 0);
            }
            offset += gap * 512;
            let (length, content) = match kind {
                0 => (1 << 20, Content::Zero),
                1 => (512, Content::Unknown),
                _ if chunks.is_empty() => (16 << 20, Content::Zero),
                _ => {
                    let index = pick.index(chunks.len());
                    let plain = chunks[index].header.plain_length;
                    let inner = (pick.index(plain as usize / 512) * 512) as u32;
                    (
                        plain - inner,
                        Content::Chunk {
                            index: index as u32,
                            offset: inner,
                        },
                    )
                }
            };
            out.push(Extent {
                volume: VolumeNumber(volume),
                offset,
                length,
                content,
            });
            offset += u64::from(length);
        }
        (out, chunks.clone())
    })
}

fn header() -> impl Strategy<Value = BatchHeader> {
    let numbers = (
        any::<[u128; 2]>(),
        any::<u64>(),
        any::<i64>(),
        any::<u64>(),
        0..1000u64,
    );
    let lists = (vec(member(), 0..4), vec(sync_event(), 0..4));
    let rest = (option::of(marker()), option::of(beat()), any::<bool>());
    (numbers, lists, rest, opening()).prop_map(|(numbers, lists, rest, opening)| {
        let ([group, stream], generation, captured_at, written_bytes, count) = numbers;
        let first = Sequence(opening.first.0 / 2 + 1);
        let opening = Opening { first, ..opening };
        BatchHeader {
            group: GroupId::from_u128(group),
            stream: StreamId::from_u128(stream),
            generation: Generation(generation),
            ordinal: opening.ordinal,
            incarnation: opening.id,
            opening: rest.2.then_some(opening),
            first,
            last: Sequence(first.0 + count),
            captured_at: Timestamp(captured_at),
            written_bytes,
            members: lists.0,
            sync_events: lists.1,
            marker: rest.0,
            beat: rest.1,
        }
    })
}

pub(crate) fn batch() -> impl Strategy<Value = Parts> {
    let tables = vec(chunk(), 0..5).prop_flat_map(extents);
    (header(), tables).prop_map(|(header, (extents, chunks))| (header, extents, chunks))
}

/// The parts of an encoded batch, for encoding it again.
pub(crate) fn parts(bytes: &[u8], layout: &BatchLayout) -> Parts {
    let region = &bytes[layout.prefix.chunk_region()..];
    let chunk = |entry: &bcdr_format::batch::ChunkEntry| {
        let stored = &region[entry.offset as usize..][..entry.stored_length as usize];
        SealedChunk {
            header: ChunkHeader::decode(stored).expect("the whole batch was checked"),
            sealed: stored[CHUNK_HEADER_BYTES..].to_vec(),
        }
    };
    let chunks = layout.chunks.iter().map(chunk).collect();
    (layout.header.clone(), layout.extents.clone(), chunks)
}
