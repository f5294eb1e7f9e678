//! Little-endian reading and writing of fixed fields, with every length checked before it is used.
//!
//! Owns no format of its own. A [`Reader`] never panics and never allocates more than it was given.

use thiserror::Error;

/// Why bytes could not be read as the format they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the field does.
    #[error("{what} ends after {available} bytes where {needed} are needed")]
    Truncated {
        /// The format or field being read.
        what: &'static str,
        /// Bytes the field needs.
        needed: usize,
        /// Bytes that were left.
        available: usize,
    },
    /// The first bytes are not this format's magic number.
    #[error(
        "{what} begins with {found:#010x}, not with its magic {expected:#010x}: it is another kind of file or was overwritten"
    )]
    Magic {
        /// The format being read.
        what: &'static str,
        /// What was found.
        found: u32,
        /// What belongs there.
        expected: u32,
    },
    /// The format is known, this version of it is not.
    #[error(
        "{what} has version {found}, this program reads version {supported}: it was written by a newer release, upgrade this side first"
    )]
    Version {
        /// The format being read.
        what: &'static str,
        /// What was found.
        found: u16,
        /// The version this program reads.
        supported: u16,
    },
    /// The checksum over the bytes does not match.
    #[error(
        "{what} fails its checksum (stored {stored:#010x}, computed {computed:#010x}): the bytes were damaged"
    )]
    Checksum {
        /// The format or part being read.
        what: &'static str,
        /// The checksum in the bytes.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A field has a value that the format does not allow.
    #[error("{what} is not valid: {reason}")]
    Invalid {
        /// The format or field being read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl DecodeError {
    /// An [`DecodeError::Invalid`] with its reason.
    pub fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            what,
            reason: reason.into(),
        }
    }
}

/// Reads fields off the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`; `what` names the format in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, what }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        if self.rest.len() < length {
            return Err(DecodeError::Truncated {
                what: self.what,
                needed: length,
                available: self.rest.len(),
            });
        }
        let (head, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// An unsigned byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }
    /// A 16-bit number.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }
    /// A 32-bit number.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    /// A 64-bit number.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    /// A signed 64-bit number.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_le_bytes(self.array()?))
    }
    /// A 128-bit number.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// A UTF-8 text stored as a 16-bit length and its bytes; at most `limit` bytes.
    pub fn text(&mut self, limit: usize) -> Result<String, DecodeError> {
        let length = usize::from(self.u16()?);
        if length > limit {
            return Err(DecodeError::invalid(
                self.what,
                format!("a text of {length} bytes where {limit} are allowed"),
            ));
        }
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec())
            .map_err(|_| DecodeError::invalid(self.what, "a text that is not UTF-8"))
    }

    /// Checks a magic number.
    pub fn magic(&mut self, expected: u32) -> Result<(), DecodeError> {
        let found = self.u32()?;
        if found != expected {
            return Err(DecodeError::Magic {
                what: self.what,
                found,
                expected,
            });
        }
        Ok(())
    }

    /// Checks a version number.
    pub fn version(&mut self, supported: u16) -> Result<(), DecodeError> {
        let found = self.u16()?;
        if found != supported {
            return Err(DecodeError::Version {
                what: self.what,
                found,
                supported,
            });
        }
        Ok(())
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Refuses bytes after the last field.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(DecodeError::invalid(
            self.what,
            format!("{} bytes after its end", self.rest.len()),
        ))
    }
}

/// Appends little-endian fields to a byte vector.
pub trait Write {
    /// Appends a byte.
    fn put_u8(&mut self, value: u8);
    /// Appends a 16-bit number.
    fn put_u16(&mut self, value: u16);
    /// Appends a 32-bit number.
    fn put_u32(&mut self, value: u32);
    /// Appends a 64-bit number.
    fn put_u64(&mut self, value: u64);
    /// Appends a signed 64-bit number.
    fn put_i64(&mut self, value: i64);
    /// Appends a 128-bit number.
    fn put_u128(&mut self, value: u128);
    /// Appends a text as a 16-bit length and its bytes. Texts longer than 65,535 bytes are a
    /// programming error: callers bound them where they enter.
    fn put_text(&mut self, text: &str);
}

impl Write for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u128(&mut self, value: u128) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).expect("texts are bounded where they enter");
        self.put_u16(length);
        self.extend_from_slice(text.as_bytes());
    }
}

/// Checks the CRC32 stored in the last four bytes of `bytes` against the bytes before it and
/// returns those.
pub fn checked<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let Some(split) = bytes.len().checked_sub(4) else {
        return Err(DecodeError::Truncated {
            what,
            needed: 4,
            available: bytes.len(),
        });
    };
    let (body, tail) = bytes.split_at(split);
    let stored = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    let computed = crc32fast::hash(body);
    if stored != computed {
        return Err(DecodeError::Checksum {
            what,
            stored,
            computed,
        });
    }
    Ok(body)
}

/// Appends the CRC32 of everything in `bytes` from `start` on.
pub fn seal_checksum(bytes: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&bytes[start..]);
    bytes.put_u32(crc);
}
