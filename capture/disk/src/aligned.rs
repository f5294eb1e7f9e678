//! A byte buffer whose start is page aligned, for direct I/O.
//!
//! Invariant: the bytes never move while the buffer lives, and their address is a multiple of
//! [`ALIGNMENT`]. Made without `unsafe`: a slightly larger vector is used from its first aligned
//! byte on. The vector is never grown.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// What direct I/O needs addresses, offsets and lengths to be multiples of, in bytes.
pub const ALIGNMENT: usize = 4096;

/// A fixed buffer of bytes that starts at a page boundary.
pub struct AlignedBuffer {
    storage: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// A buffer of `length` zero bytes.
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        let storage = vec![0_u8; length + ALIGNMENT - 1];
        let address = storage.as_ptr().addr();
        let start = address.next_multiple_of(ALIGNMENT) - address;
        Self {
            storage,
            start,
            length,
        }
    }

    /// A buffer that holds a copy of these bytes.
    #[must_use]
    pub fn copied_from(bytes: &[u8]) -> Self {
        let mut buffer = Self::zeroed(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }

    /// Forgets the bytes beyond `length`; does nothing if there are none.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.length]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.length]
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for AlignedBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl Clone for AlignedBuffer {
    fn clone(&self) -> Self {
        Self::copied_from(self)
    }
}

impl Default for AlignedBuffer {
    fn default() -> Self {
        Self::zeroed(0)
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AlignedBuffer")
            .field("length", &self.length)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_keeps_its_bytes_when_moved_and_cloned() {
        for length in [0, 1, 511, 4096, 70_000] {
            let mut buffer = AlignedBuffer::zeroed(length);
            assert_eq!(buffer.len(), length);
            for (index, byte) in buffer.iter_mut().enumerate() {
                *byte = index as u8;
            }
            let moved = Box::new(buffer);
            let cloned = AlignedBuffer::clone(&moved);
            for one in [&*moved, &cloned] {
                assert_eq!(one.as_ptr().addr() % ALIGNMENT, 0);
                assert!(
                    one.iter()
                        .enumerate()
                        .all(|(index, byte)| *byte == index as u8)
                );
            }
        }
    }

    #[test]
    fn truncate_only_shortens() {
        let mut buffer = AlignedBuffer::copied_from(b"journal");
        buffer.truncate(99);
        assert_eq!(&*buffer, b"journal");
        buffer.truncate(4);
        assert_eq!(&*buffer, b"jour");
    }
}
