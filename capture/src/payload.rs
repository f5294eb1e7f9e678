//! The bytes of one write, received once and shared by backing write, journal and feed.
//!
//! Invariant: the bytes never change while any handle lives. A handle is a window on a shared
//! aligned buffer, so taking a part of a payload copies nothing.

use bcdr_disk::{ALIGNMENT, AlignedBuffer};
use std::{
    fmt,
    ops::{Deref, Range},
    sync::Arc,
};

/// A cheaply cloned handle on immutable bytes.
#[derive(Clone, Default)]
pub struct Payload {
    buffer: Arc<AlignedBuffer>,
    start: usize,
    length: usize,
}

impl Payload {
    /// Takes over a filled buffer.
    #[must_use]
    pub fn from_buffer(buffer: AlignedBuffer) -> Self {
        let length = buffer.len();
        Self {
            buffer: Arc::new(buffer),
            start: 0,
            length,
        }
    }

    /// A payload that holds a copy of these bytes.
    #[must_use]
    pub fn copied_from(bytes: &[u8]) -> Self {
        Self::from_buffer(AlignedBuffer::copied_from(bytes))
    }

    /// A payload of `length` zero bytes.
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        Self::from_buffer(AlignedBuffer::zeroed(length))
    }

    /// The bytes in `range`, without a copy. Panics if the range is not within the payload.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.length,
            "slice outside the payload"
        );
        Self {
            buffer: Arc::clone(&self.buffer),
            start: self.start + range.start,
            length: range.end - range.start,
        }
    }

    /// Whether every byte is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        let mut words = self.chunks_exact(16);
        words.by_ref().all(|word| word == [0; 16])
            && words.remainder().iter().all(|byte| *byte == 0)
    }

    /// Whether direct I/O can use the bytes where they are.
    #[must_use]
    pub fn is_aligned(&self) -> bool {
        self.as_ptr().addr().is_multiple_of(ALIGNMENT) && self.length.is_multiple_of(ALIGNMENT)
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.length]
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Payload({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_shares_bytes_and_knows_whether_it_is_aligned() {
        let mut buffer = AlignedBuffer::zeroed(3 * ALIGNMENT);
        buffer[ALIGNMENT + 5] = 7;
        let whole = Payload::from_buffer(buffer);
        assert!(whole.is_aligned() && !whole.is_zero());
        let page = whole.slice(ALIGNMENT..2 * ALIGNMENT);
        assert!(page.is_aligned());
        assert_eq!(page.as_ptr(), whole[ALIGNMENT..].as_ptr());
        assert!(!page.is_zero());
        assert!(whole.slice(0..ALIGNMENT).is_zero());
        let sectors = whole.slice(512..512 + ALIGNMENT);
        assert!(!sectors.is_aligned());
        assert_eq!(sectors.slice(0..4), Payload::zeroed(4));
        let odd = Payload::copied_from(&[&[0; 16][..], &[1]].concat());
        assert!(!odd.is_zero());
    }
}
