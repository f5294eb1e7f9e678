//! Records: what a capture writes down about each change, in order.
//!
//! A record is a fixed header of 64 bytes and a payload. The bytes are the same in the capture's
//! journal and on the feed; only the checksum's seed differs: a journal segment seeds it with the
//! segment's use number, so that an old record in a recycled segment can never be read as a new
//! one, and the feed uses [`FEED_SEED`]. Drawn in `docs/format/record.md`.

use crate::{
    GroupId, MarkerId, RECORD_LENGTH_MAX, ReceiverRunId, SECTOR_BYTES, Sequence, Timestamp,
    VolumeId, VolumeNumber,
    codec::{DecodeError, Reader, Write},
    sync::SyncEvent,
};
use serde::{Deserialize, Serialize};

const WHAT: &str = "record";

/// The version this release writes and reads.
pub const RECORD_VERSION: u16 = 1;

/// `REC1` in little-endian order.
pub const RECORD_MAGIC: u32 = 0x3143_4552;
/// Bytes of a record's header; the payload follows.
pub const RECORD_HEADER_BYTES: usize = 64;
/// The checksum seed of records on the feed.
pub const FEED_SEED: u32 = 0x6665_6564;
/// The longest label of a marker, in bytes.
pub const LABEL_BYTES_MAX: usize = 256;
/// The longest payload of a record that describes rather than carries data, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4096;

/// A byte range of a volume, in whole sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeRange {
    /// The volume.
    pub volume: VolumeNumber,
    /// First byte.
    pub offset: u64,
    /// Bytes; never zero.
    pub length: u32,
}

impl VolumeRange {
    /// The byte after the last.
    pub const fn end(&self) -> u64 {
        self.offset + self.length as u64
    }

    /// Whether two ranges share a byte.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.volume == other.volume && self.offset < other.end() && other.offset < self.end()
    }
}

/// What a marker names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum MarkerKind {
    /// An operator's bookmark, with a label unique in its group.
    Bookmark = 1,
    /// Placed while the application was held consistent.
    Application = 2,
}

/// A named instant of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Its identity, minted by whoever asked for it.
    pub id: MarkerId,
    /// What it names.
    pub kind: MarkerKind,
    /// Its label; at most [`LABEL_BYTES_MAX`] bytes.
    pub label: String,
}

/// A receiver's clock reading, on its way around through the capture: once a point that contains
/// it is published, now minus `receiver_nanoseconds` is the recovery point's true age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The receiver's run, outside which the reading means nothing.
    pub run: ReceiverRunId,
    /// Its monotonic clock, in nanoseconds.
    pub receiver_nanoseconds: u64,
}

/// A volume of the group, as the stream names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The group, so that a record torn from its stream still says where it belongs.
    pub group: GroupId,
    /// The number the stream's records use.
    pub number: VolumeNumber,
    /// The volume.
    pub id: VolumeId,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordBody<Payload> {
    /// The application wrote these bytes.
    Data {
        /// Where.
        range: VolumeRange,
        /// What; as long as the range.
        payload: Payload,
    },
    /// The application zeroed this range.
    Zero {
        /// Where.
        range: VolumeRange,
        /// Whether it gave the space back as well.
        unmap: bool,
    },
    /// A scan read these bytes at exactly this sequence.
    SyncData {
        /// Where.
        range: VolumeRange,
        /// What; as long as the range.
        payload: Payload,
    },
    /// A scan found zeroes or a hole here at exactly this sequence.
    SyncZero {
        /// Where.
        range: VolumeRange,
    },
    /// A sync interval begins or ends.
    Sync(SyncEvent),
    /// A named instant.
    Marker(Marker),
    /// A receiver's clock reading.
    Beat(Beat),
    /// A volume of the stream; repeated at the head of each incarnation and journal segment.
    Member(Member),
    /// The write with sequence `amends` failed; this is what its range really holds. It takes the
    /// place of that record's payload there.
    Amendment {
        /// The failed record.
        amends: Sequence,
        /// The failed record's range.
        range: VolumeRange,
        /// What the range holds.
        payload: Payload,
    },
    /// The write with sequence `voids` failed and its range cannot be read back: its contents are
    /// unknown until it is written again.
    Void {
        /// The failed record.
        voids: Sequence,
        /// The failed record's range.
        range: VolumeRange,
    },
}

impl<Payload> RecordBody<Payload> {
    /// The range the record changes or describes, if it has one.
    pub fn range(&self) -> Option<VolumeRange> {
        match self {
            Self::Data { range, .. }
            | Self::Zero { range, .. }
            | Self::SyncData { range, .. }
            | Self::SyncZero { range }
            | Self::Amendment { range, .. }
            | Self::Void { range, .. } => Some(*range),
            Self::Sync(_) | Self::Marker(_) | Self::Beat(_) | Self::Member(_) => None,
        }
    }

    /// The data it carries, if it carries any.
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Data { payload, .. }
            | Self::SyncData { payload, .. }
            | Self::Amendment { payload, .. } => Some(payload),
            _ => None,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Data { .. } => 1,
            Self::Zero { .. } => 2,
            Self::Marker(_) => 3,
            Self::Beat(_) => 4,
            Self::Member(_) => 5,
            Self::Sync(_) => 6,
            Self::SyncData { .. } => 7,
            Self::SyncZero { .. } => 8,
            Self::Amendment { .. } => 9,
            Self::Void { .. } => 10,
        }
    }
}

/// One record: its place in the stream, when it was captured, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<Payload> {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// When the capture took it, on the capture's wall clock. Never used for ordering.
    pub captured_at: Timestamp,
    /// What it says.
    pub body: RecordBody<Payload>,
}

/// A record's header as read, before its payload is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    sequence: Sequence,
    captured_at: Timestamp,
    kind: u8,
    flags: u8,
    volume: VolumeNumber,
    offset: u64,
    length: u32,
    reference: Sequence,
    payload_length: u32,
    payload_digest: u64,
}

impl RecordHeader {
    /// The record's place in the stream.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// When the capture took the record.
    pub fn captured_at(&self) -> Timestamp {
        self.captured_at
    }

    /// Whether the payload is data of the volume, as long as its range, rather than a description.
    pub fn carries_data(&self) -> bool {
        matches!(self.kind, 1 | 7 | 9)
    }

    /// The range the record changes or describes, if it has one.
    pub fn range(&self) -> Option<VolumeRange> {
        matches!(self.kind, 1 | 2 | 7..=10).then_some(VolumeRange {
            volume: self.volume,
            offset: self.offset,
            length: self.length,
        })
    }

    /// The failed record that this amendment or void stands in for.
    pub fn replaces(&self) -> Option<Sequence> {
        matches!(self.kind, 9 | 10).then_some(self.reference)
    }

    /// Bytes of payload that follow the header; at most [`RECORD_LENGTH_MAX`].
    pub fn payload_length(&self) -> usize {
        self.payload_length as usize
    }
}

impl<Payload: AsRef<[u8]>> Record<Payload> {
    /// Bytes of header and payload together.
    pub fn encoded_length(&self) -> usize {
        let payload = match &self.body {
            RecordBody::Data { payload, .. }
            | RecordBody::SyncData { payload, .. }
            | RecordBody::Amendment { payload, .. } => payload.as_ref().len(),
            other => describe(other).len(),
        };
        RECORD_HEADER_BYTES + payload
    }

    /// The encoded header under checksum seed `seed`, and the description that follows it when the
    /// record carries no data. A record that carries data is written as this header followed by
    /// that data, which is thus never copied.
    pub fn encode_header(&self, seed: u32) -> (Vec<u8>, Vec<u8>) {
        let description = describe(&self.body);
        let data = self.body.payload().map(AsRef::as_ref);
        let payload: &[u8] = data.unwrap_or(&description);
        let range = self.body.range();
        let reference = match &self.body {
            RecordBody::Amendment { amends, .. } => *amends,
            RecordBody::Void { voids, .. } => *voids,
            _ => Sequence(0),
        };
        let unmap = matches!(self.body, RecordBody::Zero { unmap: true, .. });
        let mut out = Vec::with_capacity(RECORD_HEADER_BYTES);
        out.put_u32(RECORD_MAGIC);
        out.put_u8(self.body.kind());
        out.put_u8(u8::from(unmap));
        out.put_u16(range.map_or(0, |range| range.volume.0));
        out.put_u64(self.sequence.0);
        out.put_i64(self.captured_at.0);
        out.put_u64(range.map_or(0, |range| range.offset));
        out.put_u32(range.map_or(0, |range| range.length));
        out.put_u64(reference.0);
        out.put_u32(
            u32::try_from(payload.len()).expect("payloads are bounded by the record limit"),
        );
        out.put_u64(digest(payload));
        out.put_u16(RECORD_VERSION);
        out.put_u16(0);
        debug_assert_eq!(out.len(), RECORD_HEADER_BYTES - 4);
        let mut crc = crc32fast::Hasher::new_with_initial(seed);
        crc.update(&out);
        out.put_u32(crc.finalize());
        (out, description)
    }

    /// Appends header and payload under checksum seed `seed`.
    pub fn encode(&self, seed: u32, out: &mut Vec<u8>) {
        let (header, description) = self.encode_header(seed);
        out.extend_from_slice(&header);
        match self.body.payload() {
            Some(payload) => out.extend_from_slice(payload.as_ref()),
            None => out.extend_from_slice(&description),
        }
    }
}

fn describe<Payload>(body: &RecordBody<Payload>) -> Vec<u8> {
    let mut out = Vec::new();
    match body {
        RecordBody::Sync(event) => event.encode(&mut out),
        RecordBody::Marker(marker) => marker.encode(&mut out),
        RecordBody::Beat(beat) => beat.encode(&mut out),
        RecordBody::Member(member) => member.encode(&mut out),
        _ => {}
    }
    out
}

/// The first 64 bits of the payload's BLAKE3 hash.
///
/// A CRC would not do here. Applications end their own blocks with the CRC of the rest, which gives
/// every such block the same CRC remainder; after a torn append, a payload of several blocks with
/// one of them still old would then pass for whole.
fn digest(payload: &[u8]) -> u64 {
    let hash = blake3::hash(payload);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Reads a record's header, which is the first [`RECORD_HEADER_BYTES`] of `bytes`, and checks
/// every length in it, so that its payload length can be trusted with memory.
pub fn decode_header(bytes: &[u8], seed: u32) -> Result<RecordHeader, DecodeError> {
    let mut reader = Reader::new(WHAT, bytes);
    let head = reader.take(RECORD_HEADER_BYTES)?;
    let mut fields = Reader::new(WHAT, head);
    fields.magic(RECORD_MAGIC)?;
    let (body, stored) = head.split_at(RECORD_HEADER_BYTES - 4);
    let mut crc = crc32fast::Hasher::new_with_initial(seed);
    crc.update(body);
    let computed = crc.finalize();
    let stored = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
    if stored != computed {
        return Err(DecodeError::Checksum {
            what: WHAT,
            stored,
            computed,
        });
    }
    let header = RecordHeader {
        kind: fields.u8()?,
        flags: fields.u8()?,
        volume: VolumeNumber(fields.u16()?),
        sequence: Sequence(fields.u64()?),
        captured_at: Timestamp(fields.i64()?),
        offset: fields.u64()?,
        length: fields.u32()?,
        reference: Sequence(fields.u64()?),
        payload_length: fields.u32()?,
        payload_digest: fields.u64()?,
    };
    // Behind the checksum, because the end of a torn journal holds arbitrary bytes: those are
    // damage, not a newer release.
    fields.version(RECORD_VERSION)?;
    let reserved = fields.u16()?;
    if reserved != 0 {
        return Err(DecodeError::invalid(
            WHAT,
            format!("reserved bytes {reserved}"),
        ));
    }
    check_header(&header)?;
    Ok(header)
}

fn check_header(header: &RecordHeader) -> Result<(), DecodeError> {
    let refuse = |reason: String| Err(DecodeError::invalid(WHAT, reason));
    let carries_data = matches!(header.kind, 1 | 7 | 9);
    let has_range = carries_data || matches!(header.kind, 2 | 8 | 10);
    if !(1..=10).contains(&header.kind) {
        return refuse(format!("kind {} is unknown to this release", header.kind));
    }
    if header.sequence < Sequence::FIRST || header.sequence == Sequence::LIMIT {
        return refuse(format!("sequence {}", header.sequence));
    }
    if has_range {
        let aligned = header.offset.is_multiple_of(SECTOR_BYTES)
            && u64::from(header.length).is_multiple_of(SECTOR_BYTES);
        let bounded = header.length > 0
            && header.length <= RECORD_LENGTH_MAX
            && header
                .offset
                .checked_add(u64::from(header.length))
                .is_some();
        if !aligned || !bounded {
            return refuse(format!("range {}+{}", header.offset, header.length));
        }
    }
    // What a kind does not use is zero, so that each record has one encoded form.
    let unused_is_zero = (has_range
        || (header.volume, header.offset, header.length) == (VolumeNumber(0), 0, 0))
        && (matches!(header.kind, 9 | 10) || header.reference == Sequence(0))
        && (header.flags == 0 || (header.kind, header.flags) == (2, 1));
    if !unused_is_zero {
        return refuse(format!("kind {} with fields it does not have", header.kind));
    }
    let payload_fits = if carries_data {
        header.payload_length == header.length
    } else if has_range {
        header.payload_length == 0
    } else {
        header.payload_length as usize <= DESCRIPTION_BYTES_MAX
    };
    if !payload_fits {
        return refuse(format!("a payload of {} bytes", header.payload_length));
    }
    Ok(())
}

/// Puts a header and its payload together, after checking the payload's checksum.
pub fn assemble<Payload: AsRef<[u8]>>(
    header: &RecordHeader,
    payload: Payload,
) -> Result<Record<Payload>, DecodeError> {
    let bytes = payload.as_ref();
    if bytes.len() != header.payload_length() {
        return Err(DecodeError::Truncated {
            what: WHAT,
            needed: header.payload_length(),
            available: bytes.len(),
        });
    }
    if digest(bytes) != header.payload_digest {
        return Err(DecodeError::invalid(
            "record payload",
            "its digest does not match its header",
        ));
    }
    let range = VolumeRange {
        volume: header.volume,
        offset: header.offset,
        length: header.length,
    };
    let body = match header.kind {
        1 => RecordBody::Data { range, payload },
        2 => RecordBody::Zero {
            range,
            unmap: header.flags & 1 == 1,
        },
        7 => RecordBody::SyncData { range, payload },
        8 => RecordBody::SyncZero { range },
        9 => RecordBody::Amendment {
            amends: header.reference,
            range,
            payload,
        },
        10 => RecordBody::Void {
            voids: header.reference,
            range,
        },
        kind => description(kind, bytes)?,
    };
    Ok(Record {
        sequence: header.sequence,
        captured_at: header.captured_at,
        body,
    })
}

/// Reads what a record that carries no data says, all of it.
fn description<Payload>(kind: u8, bytes: &[u8]) -> Result<RecordBody<Payload>, DecodeError> {
    let mut reader = Reader::new(WHAT, bytes);
    let body = match kind {
        3 => RecordBody::Marker(Marker::decode(&mut reader)?),
        4 => RecordBody::Beat(Beat::decode(&mut reader)?),
        5 => RecordBody::Member(Member::decode(&mut reader)?),
        6 => RecordBody::Sync(SyncEvent::decode(&mut reader)?),
        other => return Err(DecodeError::invalid(WHAT, format!("kind {other}"))),
    };
    reader.finish()?;
    Ok(body)
}

impl Marker {
    /// Appends the encoded form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u128(self.id.to_u128());
        out.put_u8(self.kind as u8);
        out.put_text(&self.label);
    }

    /// Reads the encoded form.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = MarkerId::from_u128(reader.u128()?);
        let kind = match reader.u8()? {
            1 => MarkerKind::Bookmark,
            2 => MarkerKind::Application,
            other => return Err(DecodeError::invalid("marker", format!("kind {other}"))),
        };
        Ok(Self {
            id,
            kind,
            label: reader.text(LABEL_BYTES_MAX)?,
        })
    }
}

impl Beat {
    /// Appends the encoded form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u128(self.run.to_u128());
        out.put_u64(self.receiver_nanoseconds);
    }

    /// Reads the encoded form.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            run: ReceiverRunId::from_u128(reader.u128()?),
            receiver_nanoseconds: reader.u64()?,
        })
    }
}

impl Member {
    /// Appends the encoded form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u128(self.group.to_u128());
        out.put_u16(self.number.0);
        out.put_u128(self.id.to_u128());
        out.put_u64(self.size_bytes);
    }

    /// Reads the encoded form.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: GroupId::from_u128(reader.u128()?),
            number: VolumeNumber(reader.u16()?),
            id: VolumeId::from_u128(reader.u128()?),
            size_bytes: reader.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block that ends in the CRC32 of its own other bytes, as file systems and databases write.
    fn self_checked_block(fill: u8) -> Vec<u8> {
        let mut block = vec![fill; 508];
        block.extend_from_slice(&crc32fast::hash(&block).to_le_bytes());
        block
    }

    #[test]
    fn a_payload_with_one_block_of_another_age_is_not_taken_for_whole() {
        let range = VolumeRange {
            volume: VolumeNumber(0),
            offset: 0,
            length: 1024,
        };
        let payload = [self_checked_block(1), self_checked_block(2)].concat();
        let record = Record {
            sequence: Sequence(1),
            captured_at: Timestamp(0),
            body: RecordBody::Data {
                range,
                payload: payload.clone(),
            },
        };
        let (header, _) = record.encode_header(FEED_SEED);
        let header = decode_header(&header, FEED_SEED).unwrap();
        assert_eq!(assemble(&header, payload.clone()).unwrap(), record);
        let torn = [self_checked_block(1), self_checked_block(3)].concat();
        assert_eq!(
            crc32fast::hash(&torn),
            crc32fast::hash(&payload),
            "a CRC cannot tell"
        );
        assert!(assemble(&header, torn).is_err());
    }
}
