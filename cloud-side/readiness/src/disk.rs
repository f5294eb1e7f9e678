//! How disks are read: through a trait, within a budget.
//!
//! Invariant: no read goes beyond the disk's end or the window's, and all reads of one inspection
//! together take no more than [`Limits::read_bytes`], in no more than [`Limits::reads`] pieces. So a
//! disk whose structures lead in circles ends an inspection with an error, not never.

use std::{cell::Cell, io, rc::Rc, sync::Arc};

/// A disk that can be read anywhere.
pub trait Disk {
    /// Its size in bytes.
    fn size_bytes(&self) -> u64;

    /// Fills the buffer from this byte on, all of it or an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// A disk that can be written to: a branch, never a replica.
pub trait WriteDisk: Disk {
    /// Writes all of the bytes from this byte on.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// How much work one inspection may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes read from all disks together.
    pub read_bytes: u64,
    /// Reads of all disks together.
    pub reads: u64,
    /// Bytes that an initial RAM disk may unpack to.
    pub unpacked_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_bytes: 2 << 30,
            reads: 1 << 20,
            unpacked_bytes: 2 << 30,
        }
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: Cell<u64>,
    reads: Cell<u64>,
    pub(crate) unpacked_bytes: u64,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            bytes: Cell::new(limits.read_bytes),
            reads: Cell::new(limits.reads),
            unpacked_bytes: limits.unpacked_bytes,
        })
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        match (
            self.bytes.get().checked_sub(bytes),
            self.reads.get().checked_sub(1),
        ) {
            (Some(bytes), Some(reads)) => {
                self.bytes.set(bytes);
                self.reads.set(reads);
                Ok(())
            }
            _ => Err(io::Error::other(
                "the inspection would have to read more than it may; the disk's structures lead in circles, or are far larger than usual",
            )),
        }
    }
}

/// A part of a disk, or all of it.
#[derive(Clone)]
pub(crate) struct Window {
    disk: Arc<dyn Disk>,
    budget: Rc<Budget>,
    start: u64,
    length: u64,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Window")
            .field("start", &self.start)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Window {
    /// All of a disk.
    pub(crate) fn of(disk: Arc<dyn Disk>, budget: Rc<Budget>) -> Self {
        let length = disk.size_bytes();
        Self {
            disk,
            budget,
            start: 0,
            length,
        }
    }

    /// A part of this window; what lies beyond its end is cut off.
    pub(crate) fn part(&self, start: u64, length: u64) -> Self {
        let start = start.min(self.length);
        Self {
            start: self.start.saturating_add(start),
            length: length.min(self.length - start),
            ..self.clone()
        }
    }

    /// Its first byte, from the start of the disk.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn budget(&self) -> &Rc<Budget> {
        &self.budget
    }

    /// Fills the buffer from this byte of the window on.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let length = buffer.len() as u64;
        let inside = offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length);
        if !inside {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "{length} bytes at {offset} lie beyond the end, which is at {}",
                    self.length
                ),
            ));
        }
        self.budget.take(length)?;
        self.disk.read_at(self.start + offset, buffer)
    }

    /// So many bytes of the window.
    pub(crate) fn bytes<const N: usize>(&self, offset: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }
}

/// Numbers out of bytes whose length was checked by who holds them.
pub(crate) mod field {
    fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
        let mut field = [0; N];
        if let Some(found) = bytes.get(at..at + N) {
            field.copy_from_slice(found);
        }
        field
    }

    pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
        u16::from_le_bytes(take(bytes, at))
    }

    pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(take(bytes, at))
    }

    pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(take(bytes, at))
    }

    pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(take(bytes, at))
    }

    pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
        u64::from_be_bytes(take(bytes, at))
    }

    /// Text up to the first NUL, without what is not text.
    pub(crate) fn text(bytes: &[u8]) -> String {
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end])
            .trim_end()
            .chars()
            .filter(|character| !character.is_control())
            .collect()
    }

    /// A UUID as Linux writes it.
    pub(crate) fn uuid(bytes: &[u8]) -> String {
        let mut text = String::with_capacity(36);
        for (index, byte) in bytes.iter().take(16).enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}
