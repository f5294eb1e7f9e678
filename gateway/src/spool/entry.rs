//! The bytes of a spool segment: a header, then entries. Owns `docs/format/spool.md`.

use bcdr_format::{
    DataKeyId, DecodeError,
    batch::BATCH_BYTES_MAX,
    codec::{Reader, Write, checked, seal_checksum},
};

const WHAT: &str = "spool entry";
const SEGMENT_MAGIC: u32 = 0x314c_5053; // SPL1
const SEGMENT_VERSION: u16 = 1;
const ENTRY_MAGIC: u32 = 0x4e45_5053; // SPEN
const KEY_BYTES_MAX: usize = 1024;

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER_BYTES: usize = 20;
/// Bytes of an entry's header; its body follows.
pub(super) const ENTRY_HEADER_BYTES: usize = 20;

/// A wrapped data key found in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledKey {
    /// Its id.
    pub id: DataKeyId,
    /// Its bytes, wrapped under the installation key.
    pub wrapped: Vec<u8>,
}

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    Batch,
    Key,
}

/// The checked fields of an entry's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryHeader {
    pub(super) kind: EntryKind,
    pub(super) length: u32,
    crc: u32,
}

pub(super) fn segment_header(number: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    out.put_u32(SEGMENT_MAGIC);
    out.put_u16(SEGMENT_VERSION);
    out.put_u16(0);
    out.put_u64(number);
    seal_checksum(&mut out, 0);
    out
}

pub(super) fn check_segment_header(bytes: &[u8], number: u64) -> Result<(), DecodeError> {
    let mut reader = Reader::new("spool segment", bytes);
    reader.magic(SEGMENT_MAGIC)?;
    let mut checked = Reader::new("spool segment", &checked("spool segment", bytes)?[8..]);
    // Behind the checksum: a damaged version is no newer release.
    reader.version(SEGMENT_VERSION)?;
    let found = checked.u64()?;
    if found != number {
        return Err(DecodeError::invalid(
            "spool segment",
            format!("it says it is number {found}"),
        ));
    }
    Ok(())
}

pub(super) fn entry_header(kind: EntryKind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRY_HEADER_BYTES);
    out.put_u32(ENTRY_MAGIC);
    out.put_u32(match kind {
        EntryKind::Batch => 1,
        EntryKind::Key => 2,
    });
    out.put_u32(body.len() as u32);
    out.put_u32(crc32fast::hash(body));
    seal_checksum(&mut out, 0);
    out
}

impl EntryHeader {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(WHAT, checked(WHAT, bytes)?);
        reader.magic(ENTRY_MAGIC)?;
        let (kind, limit) = match reader.u32()? {
            1 => (EntryKind::Batch, BATCH_BYTES_MAX),
            2 => (EntryKind::Key, KEY_BYTES_MAX),
            other => return Err(DecodeError::invalid(WHAT, format!("kind {other}"))),
        };
        let length = reader.u32()?;
        if length as usize > limit {
            return Err(DecodeError::invalid(
                WHAT,
                format!("a body of {length} bytes"),
            ));
        }
        Ok(Self {
            kind,
            length,
            crc: reader.u32()?,
        })
    }

    pub(super) fn check_body(&self, body: &[u8]) -> Result<(), DecodeError> {
        let computed = crc32fast::hash(body);
        if computed != self.crc {
            return Err(DecodeError::Checksum {
                what: WHAT,
                stored: self.crc,
                computed,
            });
        }
        Ok(())
    }
}

pub(super) fn key_body(id: DataKeyId, wrapped: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + wrapped.len());
    out.put_u128(id.to_u128());
    out.extend_from_slice(wrapped);
    out
}

pub(super) fn decode_key(body: &[u8]) -> Result<SpooledKey, DecodeError> {
    let mut reader = Reader::new("spooled key", body);
    let id = DataKeyId::from_u128(reader.u128()?);
    Ok(SpooledKey {
        id,
        wrapped: reader.rest().to_vec(),
    })
}
