//! Log entries: what a segment holds after its header.
//!
//! An entry is a header of 48 bytes and a body, padded to eight bytes. The header's checksum is
//! bound to lineage, segment and offset, so bytes that ended up elsewhere are no entry there.

use crate::receive::Lineage;
use bcdr_format::{
    DataKeyId, DecodeError, Generation, IncarnationOrdinal, Position, Sequence, Timestamp,
    batch::BATCH_BYTES_MAX,
    codec::{Reader, Write},
    continuity::Fork,
};
use bytes::Bytes;

const WHAT: &str = "log entry";
/// `ENT1` in little-endian order.
pub(super) const ENTRY_MAGIC: u32 = 0x3154_4e45;
/// Bytes of an entry's header; the body follows.
pub(super) const ENTRY_HEADER_BYTES: u64 = 48;
/// Entries begin at multiples of this many bytes.
pub(super) const ENTRY_ALIGNMENT: u64 = 8;
/// The longest body.
pub(super) const ENTRY_BODY_BYTES_MAX: u32 = BATCH_BYTES_MAX as u32;
/// The longest wrapped key, in bytes.
pub(crate) const WRAPPED_KEY_BYTES_MAX: usize = 4096;

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A batch, exactly as it was received.
    Batch {
        /// When it was received, on the receiver's wall clock.
        receipt: Timestamp,
        /// Its bytes, with MAC.
        bytes: Bytes,
    },
    /// A data key in its wrapped form; before the first batch of the segment that needs it.
    WrappedKey {
        /// Its id.
        key: DataKeyId,
        /// Its wrapped bytes.
        wrapped: Bytes,
    },
    /// A fork interval was opened by the batch before this entry, or closed.
    Fork {
        /// Whether it was opened.
        opened: bool,
        /// The fork.
        fork: Fork,
    },
    /// A fence: batches of older generations are refused from here on.
    Generation(Generation),
}

/// Where an entry's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPlace {
    /// The segment's number.
    pub segment: u32,
    /// Where the body begins in the segment file, in bytes.
    pub body_offset: u64,
    /// Bytes of the body.
    pub body_bytes: u32,
}

/// What an entry's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryHeader {
    pub(super) kind: u8,
    pub(super) body_bytes: u32,
    pub(super) body_crc: u32,
    pub(super) time: Timestamp,
    /// How many bytes of the segment were synced when this was written.
    pub(super) synced: u64,
}

/// Where an entry stands; its header's checksum is bound to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntrySite {
    pub(super) lineage: Lineage,
    pub(super) segment: u32,
    pub(super) offset: u64,
}

impl EntryHeader {
    pub(super) fn encode(&self, site: &EntrySite) -> Vec<u8> {
        let mut out = Vec::with_capacity(ENTRY_HEADER_BYTES as usize);
        out.put_u32(ENTRY_MAGIC);
        out.put_u8(self.kind);
        out.extend_from_slice(&[0; 3]);
        out.put_u32(self.body_bytes);
        out.put_u32(self.body_crc);
        out.put_i64(self.time.0);
        out.put_u64(self.synced);
        out.put_u64(0);
        out.put_u32(0);
        let crc = bound_checksum(&out, site);
        out.put_u32(crc);
        out
    }

    pub(super) fn decode(bytes: &[u8], site: &EntrySite) -> Result<Self, DecodeError> {
        let head = Reader::new(WHAT, bytes).take(ENTRY_HEADER_BYTES as usize)?;
        let mut reader = Reader::new(WHAT, head);
        reader.magic(ENTRY_MAGIC)?;
        let kind = reader.u8()?;
        reader.take(3)?;
        let header = Self {
            kind,
            body_bytes: reader.u32()?,
            body_crc: reader.u32()?,
            time: Timestamp(reader.i64()?),
            synced: reader.u64()?,
        };
        reader.take(12)?;
        let stored = reader.u32()?;
        let computed = bound_checksum(&head[..head.len() - 4], site);
        if stored != computed {
            return Err(DecodeError::Checksum {
                what: WHAT,
                stored,
                computed,
            });
        }
        if header.body_bytes > ENTRY_BODY_BYTES_MAX {
            return Err(DecodeError::invalid(
                WHAT,
                format!("a body of {} bytes", header.body_bytes),
            ));
        }
        Ok(header)
    }
}

fn bound_checksum(fields: &[u8], site: &EntrySite) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(&site.lineage.to_bytes());
    hasher.update(&site.segment.to_le_bytes());
    hasher.update(&site.offset.to_le_bytes());
    hasher.finalize()
}

/// Bytes of an entry with this body, padding included.
pub(super) const fn entry_bytes(body_bytes: u64) -> u64 {
    (ENTRY_HEADER_BYTES + body_bytes).next_multiple_of(ENTRY_ALIGNMENT)
}

impl Entry {
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Batch { .. } => 1,
            Self::WrappedKey { .. } => 2,
            Self::Fork { .. } => 3,
            Self::Generation(_) => 4,
        }
    }

    pub(super) fn time(&self) -> Timestamp {
        match self {
            Self::Batch { receipt, .. } => *receipt,
            _ => Timestamp(0),
        }
    }

    pub(super) fn body(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::Batch { bytes, .. } => return bytes.clone(),
            Self::WrappedKey { key, wrapped } => {
                out.put_u128(key.to_u128());
                out.extend_from_slice(wrapped);
            }
            Self::Fork { opened, fork } => {
                out.put_u8(u8::from(*opened));
                out.put_u32(fork.opening.0);
                put_position(&mut out, fork.continues);
                put_position(&mut out, fork.peer);
            }
            Self::Generation(generation) => out.put_u64(generation.0),
        }
        out.into()
    }

    pub(super) fn decode(header: &EntryHeader, body: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(WHAT, &body);
        let entry = match header.kind {
            1 => {
                return Ok(Self::Batch {
                    receipt: header.time,
                    bytes: body,
                });
            }
            2 => {
                let key = DataKeyId::from_u128(reader.u128()?);
                return Ok(Self::WrappedKey {
                    key,
                    wrapped: body.slice(16..),
                });
            }
            3 => Self::Fork {
                opened: reader.u8()? == 1,
                fork: Fork {
                    opening: IncarnationOrdinal(reader.u32()?),
                    continues: take_position(&mut reader)?,
                    peer: take_position(&mut reader)?,
                },
            },
            4 => Self::Generation(Generation(reader.u64()?)),
            other => {
                return Err(DecodeError::invalid(
                    WHAT,
                    format!("kind {other} is unknown to this release: start the newer one"),
                ));
            }
        };
        reader.finish()?;
        Ok(entry)
    }
}

fn put_position(out: &mut Vec<u8>, position: Option<Position>) {
    let shown = position.unwrap_or(Position::new(IncarnationOrdinal(0), Sequence(0)));
    out.put_u8(u8::from(position.is_some()));
    out.put_u32(shown.ordinal.0);
    out.put_u64(shown.sequence.0);
}

fn take_position(reader: &mut Reader<'_>) -> Result<Option<Position>, DecodeError> {
    let present = reader.u8()? == 1;
    let position = Position::new(IncarnationOrdinal(reader.u32()?), Sequence(reader.u64()?));
    Ok(present.then_some(position))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{GroupId, StreamId};

    fn site() -> EntrySite {
        EntrySite {
            lineage: Lineage {
                group: GroupId::from_u128(1),
                stream: StreamId::from_u128(2),
            },
            segment: 3,
            offset: 128,
        }
    }

    #[test]
    fn bytes_that_ended_up_elsewhere_are_no_entry_there() {
        let header = EntryHeader {
            kind: 1,
            body_bytes: 40,
            body_crc: 7,
            time: Timestamp(5),
            synced: 128,
        };
        let bytes = header.encode(&site());
        assert_eq!(bytes.len() as u64, ENTRY_HEADER_BYTES);
        assert_eq!(EntryHeader::decode(&bytes, &site()).unwrap(), header);
        let mut elsewhere = [site(); 3];
        elsewhere[0].offset += 8;
        elsewhere[1].segment += 1;
        elsewhere[2].lineage.stream = StreamId::from_u128(9);
        for site in elsewhere {
            assert!(EntryHeader::decode(&bytes, &site).is_err(), "{site:?}");
        }
    }

    #[test]
    fn forks_come_back_as_they_were() {
        let fork = Fork {
            opening: IncarnationOrdinal(4),
            continues: None,
            peer: Some(Position::new(IncarnationOrdinal(3), Sequence(77))),
        };
        let entry = Entry::Fork { opened: true, fork };
        let body = entry.body();
        let header = EntryHeader {
            kind: entry.kind(),
            body_bytes: body.len() as u32,
            body_crc: 0,
            time: Timestamp(0),
            synced: 0,
        };
        assert_eq!(Entry::decode(&header, body).unwrap(), entry);
        let unknown = EntryHeader { kind: 9, ..header };
        assert!(Entry::decode(&unknown, Bytes::new()).is_err());
    }
}
