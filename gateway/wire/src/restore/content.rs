//! The bytes of a range as they travel: a statement that they are zero, as they are, or compressed.
//!
//! Invariant: unpacking writes exactly the bytes of the buffer it is given, which the asker made for
//! the length it asked for, so a small message can never fill more memory than was meant for it.

use bcdr_format::{DecodeError, SECTOR_BYTES};
use bytes::Bytes;

use super::{READ_BYTES_MAX, message::invalid};

/// Fast enough not to be what a restore waits for.
const ZSTD_LEVEL: i32 = 1;
/// Compression must save at least this part of the bytes to be worth unpacking.
const GAIN_PARTS: usize = 16;

/// What a range holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Zeros: never written, or trimmed. The restoring side makes a hole of it.
    Zero {
        /// How many bytes.
        length: u32,
    },
    /// The bytes.
    Stored(Bytes),
    /// The bytes as one zstd frame.
    Zstd {
        /// How many bytes it unpacks to.
        length: u32,
        /// The frame.
        packed: Bytes,
    },
}

/// Why content is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// It is of another length.
    #[error("{found} bytes came where {wanted} were asked for")]
    Length {
        /// Bytes there are.
        found: u64,
        /// Bytes asked for.
        wanted: u64,
    },
    /// The compressed bytes are damaged, or hold more than they say.
    #[error("the compressed bytes cannot be unpacked: {reason}")]
    Damaged {
        /// What the decompressor said.
        reason: String,
    },
}

impl Content {
    /// Bytes as they travel best. Zeros that the point knows as such are [`Content::Zero`]; data
    /// that happens to be zero stays data and only compresses well.
    #[must_use]
    pub fn pack(bytes: &[u8]) -> Self {
        let compressed = zstd::bulk::compress(bytes, ZSTD_LEVEL).ok();
        match compressed.filter(|packed| packed.len() + bytes.len() / GAIN_PARTS < bytes.len()) {
            Some(packed) => Self::Zstd {
                length: u32::try_from(bytes.len()).expect("a read's answer is bounded"),
                packed: packed.into(),
            },
            None => Self::Stored(Bytes::copy_from_slice(bytes)),
        }
    }

    /// How many bytes the range has.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Zero { length } | Self::Zstd { length, .. } => u64::from(*length),
            Self::Stored(bytes) => bytes.len() as u64,
        }
    }

    /// Fills the buffer, which must be as long as the range.
    ///
    /// # Errors
    /// If it is of another length or damaged; the buffer then holds anything.
    pub fn unpack(&self, buffer: &mut [u8]) -> Result<(), UnpackError> {
        let wanted = buffer.len() as u64;
        let length = |found| UnpackError::Length { found, wanted };
        if self.length() != wanted {
            return Err(length(self.length()));
        }
        match self {
            Self::Zero { .. } => buffer.fill(0),
            Self::Stored(bytes) => buffer.copy_from_slice(bytes),
            Self::Zstd { packed, .. } => {
                let unpacked =
                    zstd::bulk::decompress_to_buffer(packed, buffer).map_err(|error| {
                        UnpackError::Damaged {
                            reason: error.to_string(),
                        }
                    })?;
                if unpacked as u64 != wanted {
                    return Err(length(unpacked as u64));
                }
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), DecodeError> {
        let length = self.length();
        if length == 0 || length > u64::from(READ_BYTES_MAX) || !length.is_multiple_of(SECTOR_BYTES)
        {
            return invalid(format!("data of {length} bytes"));
        }
        match self {
            // It would have been stored: there is one way to say each thing.
            Self::Zstd { packed, .. } if packed.is_empty() || packed.len() as u64 >= length => {
                invalid(format!("{length} bytes packed into {}", packed.len()))
            }
            _ => Ok(()),
        }
    }
}
