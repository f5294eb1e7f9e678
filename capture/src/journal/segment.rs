//! The bytes of a journal segment: its head, its appends, and the seed of its checksums.
//!
//! A segment is a file of fixed size that is used again and again. Each use has a number, higher
//! than any before in this journal, and every checksum in the body is seeded with it: what an
//! earlier use left behind fails its checksum and ends the segment. All numbers little-endian; head
//! and appends begin at multiples of 4096 bytes, so that direct I/O can write them.
//!
//! ```text
//! head, padded to 4096                      append, padded to 4096
//!   0  u32  magic "JSG1"                      0  u32  magic "JAP1"
//!   4  u16  version (2)                       4  u16  1 = the stream was closed cleanly here
//!   6  u16  1 = previous segment unproven     6  u16  (zero)
//!   8  u32  bytes of the head, crc included   8  u32  records
//!  12  u32  members                          12  u32  bytes of this header, record headers and
//!  16  u128 group                                     descriptions
//!  32  u128 stream                           16  u32  bytes of the append, padding included
//!  48  u64  use number                       20  u32  settled prefix: ordinal (0 = nothing)
//!  56  u64  previous use number (0 = none)   24  u64  settled prefix: sequence
//!  64  u64  where the previous one ended     32  u64  number of the append in its segment
//!  72  u64  first sequence                   40  20 bytes (zero)
//!  80  41   opening of the incarnation       60  u32  crc of the 60 bytes before, seeded
//! 121  69   interval it began with           64  record headers, each followed by its description
//! 190  69   interval open at the head             if it carries no data
//! 259  u32  settled prefix: ordinal               (padding to 4096)
//! 263  u64  settled prefix: sequence              payloads, each padded to 4096
//! 271  u64  last sequence of the previous segment
//! 279  u32  how many of its records stand in for failed ones
//! 283  u32  marks
//! 287  42 each, members
//!      16 each, marks: u64 sequence, u64 offset in the previous segment
//!      u32  crc of everything before
//! ```
//!
//! An interval is a presence byte and, as in records, its begin event and its end event to be (34
//! bytes each, zero if there is none). Records are those of [`bcdr_format::record`] under the
//! segment's seed. Nothing here does I/O.

use super::JournalIdentity;
use crate::start::{IncarnationStart, SyncStart};
use bcdr_disk::ALIGNMENT;
use bcdr_format::{
    GroupId, Opening, Position, Sequence, StreamId,
    codec::{self, DecodeError, Reader, Write as _},
    incarnation::IncarnationOrdinal,
    record::Member,
    sync::SyncEvent,
};

const SEGMENT: &str = "journal segment head";
const APPEND: &str = "journal append";
const SEGMENT_MAGIC: u32 = u32::from_le_bytes(*b"JSG1");
const APPEND_MAGIC: u32 = u32::from_le_bytes(*b"JAP1");
const VERSION: u16 = 2;
const EVENT_BYTES: usize = 34;
const MEMBER_BYTES: usize = 42;
const MARK_BYTES: usize = 16;
const HEAD_FIXED_BYTES: usize = 287;
/// The most volumes a group may have: it bounds the head before memory is taken for it.
pub(super) const MEMBERS_MAX: usize = 1024;
/// The most marks of one segment.
pub(super) const MARKS_MAX: usize = 1024;
/// The longest a head may be.
pub(super) const HEAD_BYTES_MAX: usize = head_bytes(MEMBERS_MAX, MARKS_MAX);
/// Bytes of an append's header.
pub(super) const APPEND_HEADER_BYTES: usize = 64;

/// Bytes of a head with this many members and marks, its checksum included.
pub(super) const fn head_bytes(members: usize, marks: usize) -> usize {
    HEAD_FIXED_BYTES + members * MEMBER_BYTES + marks * MARK_BYTES + 4
}

/// Rounds up to what direct I/O needs.
pub(super) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// The checksum seed of a segment in its `use_number`-th use. Any two uses within 2³² have
/// different seeds, and CRCs of equal bytes under different seeds always differ.
pub(super) fn seed_of(use_number: u64) -> u32 {
    // Every step is a bijection, so different numbers stay different.
    let mut mixed = (use_number as u32) ^ ((use_number >> 32) as u32);
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

/// What a head says of the segment in use before: enough to use it without reading it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PreviousSegment {
    /// Its use; 0 if there was none.
    pub(super) use_number: u64,
    /// Where its valid bytes end.
    pub(super) end: u64,
    /// Its device failed, or may have: it may be damaged before that end.
    pub(super) abandoned: bool,
    /// The last sequence it holds; the one before its first if none.
    pub(super) last: Sequence,
    /// How many of its records stand in for failed ones.
    pub(super) replacements: u32,
    /// Offsets of some appends, with the first sequence that each or a later one holds.
    pub(super) marks: Vec<(Sequence, u64)>,
}

/// What the head of a segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub(super) identity: JournalIdentity,
    pub(super) use_number: u64,
    pub(super) previous: PreviousSegment,
    /// The first sequence that this segment may hold.
    pub(super) first: Sequence,
    pub(super) start: IncarnationStart,
    pub(super) open_sync: Option<SyncStart>,
    pub(super) settled: Option<Position>,
    pub(super) members: Vec<Member>,
}

impl SegmentHead {
    pub(super) fn encode(&self) -> Vec<u8> {
        let length = head_bytes(self.members.len(), self.previous.marks.len());
        let mut out = Vec::with_capacity(length);
        out.put_u32(SEGMENT_MAGIC);
        out.put_u16(VERSION);
        out.put_u16(u16::from(self.previous.abandoned));
        out.put_u32(length as u32);
        out.put_u32(self.members.len() as u32);
        out.put_u128(self.identity.group.to_u128());
        out.put_u128(self.identity.stream.to_u128());
        out.put_u64(self.use_number);
        out.put_u64(self.previous.use_number);
        out.put_u64(self.previous.end);
        out.put_u64(self.first.0);
        self.start.opening.encode(&mut out);
        encode_interval(self.start.sync.as_ref(), &mut out);
        encode_interval(self.open_sync.as_ref(), &mut out);
        put_position(self.settled, &mut out);
        out.put_u64(self.previous.last.0);
        out.put_u32(self.previous.replacements);
        out.put_u32(self.previous.marks.len() as u32);
        debug_assert_eq!(out.len(), HEAD_FIXED_BYTES);
        for member in &self.members {
            member.encode(&mut out);
        }
        for (sequence, offset) in &self.previous.marks {
            out.put_u64(sequence.0);
            out.put_u64(*offset);
        }
        codec::seal_checksum(&mut out, 0);
        out
    }

    /// The length that a head beginning with these bytes claims, checked against its limit, so
    /// that the whole of it can be read. `None` if this is no head at all.
    pub(super) fn claimed_length(first_page: &[u8]) -> Result<Option<usize>, DecodeError> {
        let mut fields = Reader::new(SEGMENT, first_page);
        if fields.magic(SEGMENT_MAGIC).is_err() {
            return Ok(None);
        }
        fields.version(VERSION)?;
        fields.u16()?;
        let length = fields.u32()? as usize;
        Ok((head_bytes(0, 0)..=HEAD_BYTES_MAX)
            .contains(&length)
            .then_some(length))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Reader::new(SEGMENT, codec::checked(SEGMENT, bytes)?);
        fields.magic(SEGMENT_MAGIC)?;
        fields.version(VERSION)?;
        let flags = fields.u16()?;
        if flags > 1 {
            return Err(DecodeError::invalid(SEGMENT, "flags of a newer release"));
        }
        let abandoned = flags == 1;
        fields.u32()?;
        let count = fields.u32()? as usize;
        if count > MEMBERS_MAX {
            return Err(DecodeError::invalid(SEGMENT, format!("{count} members")));
        }
        let identity = JournalIdentity {
            group: GroupId::from_u128(fields.u128()?),
            stream: StreamId::from_u128(fields.u128()?),
        };
        let use_number = fields.u64()?;
        let (previous_use, end) = (fields.u64()?, fields.u64()?);
        let first = Sequence(fields.u64()?);
        let opening = Opening::decode(&mut fields)?;
        let sync = decode_interval(&mut fields)?;
        let open_sync = decode_interval(&mut fields)?;
        let settled = take_position(&mut fields)?;
        let (last, replacements) = (Sequence(fields.u64()?), fields.u32()?);
        let marks = fields.u32()? as usize;
        if marks > MARKS_MAX {
            return Err(DecodeError::invalid(SEGMENT, format!("{marks} marks")));
        }
        let members = (0..count)
            .map(|_| Member::decode(&mut fields))
            .collect::<Result<_, _>>()?;
        let marks = (0..marks)
            .map(|_| Ok((Sequence(fields.u64()?), fields.u64()?)))
            .collect::<Result<_, DecodeError>>()?;
        fields.finish()?;
        let previous = PreviousSegment {
            use_number: previous_use,
            end,
            abandoned,
            last,
            replacements,
            marks,
        };
        let start = IncarnationStart { opening, sync };
        Ok(Self {
            identity,
            use_number,
            previous,
            first,
            start,
            open_sync,
            settled,
            members,
        })
    }
}

/// What the header of an append says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AppendHeader {
    pub(super) clean: bool,
    pub(super) records: u32,
    /// Bytes of this header, the record headers and descriptions.
    pub(super) head_bytes: u32,
    /// Bytes of the append with its padding.
    pub(super) total_bytes: u32,
    pub(super) settled: Option<Position>,
    pub(super) number: u64,
}

impl AppendHeader {
    pub(super) fn encode(&self, seed: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(APPEND_HEADER_BYTES);
        out.put_u32(APPEND_MAGIC);
        out.put_u16(u16::from(self.clean));
        out.put_u16(0);
        out.put_u32(self.records);
        out.put_u32(self.head_bytes);
        out.put_u32(self.total_bytes);
        put_position(self.settled, &mut out);
        out.put_u64(self.number);
        out.resize(APPEND_HEADER_BYTES - 4, 0);
        let mut crc = crc32fast::Hasher::new_with_initial(seed);
        crc.update(&out);
        out.put_u32(crc.finalize());
        out
    }

    /// Reads a header and checks its lengths against `room`, the bytes left in the segment.
    pub(super) fn decode(bytes: &[u8], seed: u32, room: u64) -> Result<Self, DecodeError> {
        let head = Reader::new(APPEND, bytes).take(APPEND_HEADER_BYTES)?;
        let mut fields = Reader::new(APPEND, head);
        fields.magic(APPEND_MAGIC)?;
        let (body, stored) = head.split_at(APPEND_HEADER_BYTES - 4);
        let mut crc = crc32fast::Hasher::new_with_initial(seed);
        crc.update(body);
        let computed = crc.finalize();
        let stored = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
        if stored != computed {
            return Err(DecodeError::Checksum {
                what: APPEND,
                stored,
                computed,
            });
        }
        let (flags, reserved) = (fields.u16()?, fields.u16()?);
        let unused = body.iter().skip(40).any(|byte| *byte != 0);
        if flags > 1 || reserved != 0 || unused {
            return Err(DecodeError::invalid(APPEND, "fields of a newer release"));
        }
        let header = Self {
            clean: flags == 1,
            records: fields.u32()?,
            head_bytes: fields.u32()?,
            total_bytes: fields.u32()?,
            settled: take_position(&mut fields)?,
            number: fields.u64()?,
        };
        let (head, total) = (header.head_bytes as usize, u64::from(header.total_bytes));
        let sound = head >= APPEND_HEADER_BYTES
            && padded(head) as u64 <= total
            && total <= room
            && total.is_multiple_of(ALIGNMENT as u64);
        if !sound {
            return Err(DecodeError::invalid(
                APPEND,
                format!("lengths {head} and {total}"),
            ));
        }
        Ok(header)
    }
}

fn put_position(position: Option<Position>, out: &mut Vec<u8>) {
    let position = position.unwrap_or(Position::new(IncarnationOrdinal(0), Sequence(0)));
    out.put_u32(position.ordinal.0);
    out.put_u64(position.sequence.0);
}

fn take_position(fields: &mut Reader<'_>) -> Result<Option<Position>, DecodeError> {
    let position = Position::new(IncarnationOrdinal(fields.u32()?), Sequence(fields.u64()?));
    Ok((position.ordinal.0 > 0).then_some(position))
}

fn encode_interval(interval: Option<&SyncStart>, out: &mut Vec<u8>) {
    out.put_u8(u8::from(interval.is_some()));
    match interval {
        None => out.resize(out.len() + 2 * EVENT_BYTES, 0),
        Some(SyncStart {
            sync,
            reason,
            heals,
        }) => {
            SyncEvent::Begin {
                sync: *sync,
                reason: *reason,
            }
            .encode(out);
            SyncEvent::End {
                sync: *sync,
                heals: *heals,
            }
            .encode(out);
        }
    }
}

fn decode_interval(fields: &mut Reader<'_>) -> Result<Option<SyncStart>, DecodeError> {
    let present = fields.u8()?;
    let mut events = Reader::new(SEGMENT, fields.take(2 * EVENT_BYTES)?);
    if present == 0 {
        return Ok(None);
    }
    let begin = SyncEvent::decode(&mut events)?;
    let end = SyncEvent::decode(&mut events)?;
    match (begin, end) {
        (SyncEvent::Begin { sync, reason }, SyncEvent::End { sync: same, heals })
            if sync == same =>
        {
            Ok(Some(SyncStart {
                sync,
                reason,
                heals,
            }))
        }
        _ => Err(DecodeError::invalid(
            SEGMENT,
            "an interval that does not begin and end",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{
        IncarnationId, SyncId, VolumeId, VolumeNumber,
        sync::{Heals, SyncReason},
    };

    fn head() -> SegmentHead {
        let ordinal = IncarnationOrdinal(2);
        let sync = SyncStart {
            sync: SyncId::from_u128(5),
            reason: SyncReason::Untracked,
            heals: Heals::Everything { opening: ordinal },
        };
        let group = GroupId::from_u128(1);
        SegmentHead {
            identity: JournalIdentity {
                group,
                stream: StreamId::from_u128(2),
            },
            use_number: 7,
            previous: PreviousSegment {
                use_number: 6,
                end: 8192,
                abandoned: true,
                last: Sequence(11),
                replacements: 2,
                marks: vec![(Sequence(5), 4096), (Sequence(9), 8192)],
            },
            first: Sequence(12),
            start: IncarnationStart {
                opening: Opening {
                    ordinal,
                    id: IncarnationId::from_u128(3),
                    continues: Some(Position::new(IncarnationOrdinal(1), Sequence(9))),
                    first: Sequence(12),
                },
                sync: Some(sync),
            },
            open_sync: Some(sync),
            settled: Some(Position::new(IncarnationOrdinal(1), Sequence(9))),
            members: vec![Member {
                group,
                number: VolumeNumber(1),
                id: VolumeId::from_u128(4),
                size_bytes: 1 << 30,
            }],
        }
    }

    #[test]
    fn a_head_reads_back_and_every_flipped_bit_is_noticed() {
        let encoded = head().encode();
        assert_eq!(
            SegmentHead::claimed_length(&encoded),
            Ok(Some(encoded.len()))
        );
        assert_eq!(SegmentHead::decode(&encoded), Ok(head()));
        let plain = SegmentHead {
            open_sync: None,
            settled: None,
            ..head()
        };
        assert_eq!(SegmentHead::decode(&plain.encode()), Ok(plain));
        for bit in 0..encoded.len() * 8 {
            let mut damaged = encoded.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHead::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn any_other_version_is_refused_by_name() {
        for found in [1, 9] {
            let mut encoded = head().encode();
            encoded[4] = found;
            let error = SegmentHead::claimed_length(&encoded).unwrap_err();
            assert_eq!(
                error,
                DecodeError::Version {
                    what: SEGMENT,
                    found: u16::from(found),
                    supported: VERSION
                }
            );
        }
    }

    #[test]
    fn an_append_header_of_another_use_fails_its_checksum() {
        let header = AppendHeader {
            clean: true,
            records: 3,
            head_bytes: 300,
            total_bytes: 8192,
            settled: Some(Position::new(IncarnationOrdinal(1), Sequence(4))),
            number: 9,
        };
        let encoded = header.encode(seed_of(7));
        assert_eq!(AppendHeader::decode(&encoded, seed_of(7), 8192), Ok(header));
        assert!(
            AppendHeader::decode(&encoded, seed_of(7), 4096).is_err(),
            "beyond the segment"
        );
        for other in [0, 1, 6, 8, 7 + (1 << 16), u64::from(u32::MAX)] {
            let error = AppendHeader::decode(&encoded, seed_of(other), 8192).unwrap_err();
            assert!(matches!(error, DecodeError::Checksum { .. }), "{error}");
        }
    }
}
