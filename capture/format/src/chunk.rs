//! Chunks: pieces of volume data, compressed and sealed as one.
//!
//! A chunk's id is the data key's id and a counter under that key; the counter is the nonce. The
//! header stands before the sealed bytes wherever they are stored, so that a chunk can be checked
//! and opened without the batch it came in. This module owns the header; sealing and opening are
//! the wire crate's.

use crate::{
    DataKeyId,
    codec::{DecodeError, Reader, Write, checked, seal_checksum},
};

const WHAT: &str = "chunk";

/// `CHK1` in little-endian order.
pub const CHUNK_MAGIC: u32 = 0x314b_4843;
/// Bytes of a chunk's header; the sealed bytes follow.
pub const CHUNK_HEADER_BYTES: usize = 44;
/// The most plaintext a chunk holds, in bytes.
pub const CHUNK_PLAIN_BYTES_MAX: u32 = 64 << 10;
/// The unit in which plaintext is placed in chunks, in bytes. An extent begins at any sector.
pub const UNIT_BYTES: u32 = 4096;
/// What sealing adds to the compressed bytes.
pub const TAG_BYTES: u32 = 16;

/// The identity of a chunk, unique in an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The data key it is sealed under.
    pub key: DataKeyId,
    /// Its counter under that key, which is its nonce.
    pub counter: u64,
}

/// How the plaintext was made smaller before sealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// Not at all.
    Stored = 0,
    /// One zstd frame.
    Zstd = 1,
}

/// What stands before a chunk's sealed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkHeader {
    /// Its identity.
    pub id: ChunkId,
    /// How it was compressed.
    pub codec: Codec,
    /// Bytes of plaintext; at most [`CHUNK_PLAIN_BYTES_MAX`].
    pub plain_length: u32,
    /// Bytes of sealed data, tag included.
    pub sealed_length: u32,
}

impl ChunkHeader {
    /// Appends the encoded form, [`CHUNK_HEADER_BYTES`] long.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u32(CHUNK_MAGIC);
        out.put_u32(self.codec as u32);
        out.put_u128(self.id.key.to_u128());
        out.put_u64(self.id.counter);
        out.put_u32(self.plain_length);
        out.put_u32(self.sealed_length);
        seal_checksum(out, start);
    }

    /// Reads the encoded form from the front of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let head = Reader::new(WHAT, bytes).take(CHUNK_HEADER_BYTES)?;
        let mut reader = Reader::new(WHAT, checked(WHAT, head)?);
        reader.magic(CHUNK_MAGIC)?;
        let codec = match reader.u32()? {
            0 => Codec::Stored,
            1 => Codec::Zstd,
            other => {
                return Err(DecodeError::invalid(
                    WHAT,
                    format!("codec {other} is unknown to this release"),
                ));
            }
        };
        let id = ChunkId {
            key: DataKeyId::from_u128(reader.u128()?),
            counter: reader.u64()?,
        };
        let header = Self {
            id,
            codec,
            plain_length: reader.u32()?,
            sealed_length: reader.u32()?,
        };
        header.check()?;
        Ok(header)
    }

    /// Refuses lengths that no sealing gives.
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        let (plain_length, sealed_length) = (self.plain_length, self.sealed_length);
        let plausible = plain_length > 0
            && plain_length <= CHUNK_PLAIN_BYTES_MAX
            && sealed_length > TAG_BYTES
            && sealed_length <= plain_length + TAG_BYTES;
        if !plausible {
            return Err(DecodeError::invalid(
                WHAT,
                format!("{plain_length} bytes of plaintext in {sealed_length} sealed bytes"),
            ));
        }
        Ok(())
    }

    /// Bytes of header and sealed data together.
    pub const fn stored_length(&self) -> usize {
        CHUNK_HEADER_BYTES + self.sealed_length as usize
    }
}
