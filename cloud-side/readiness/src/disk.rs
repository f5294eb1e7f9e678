//! How disks are read: through a trait, within a budget.
//!
//! Invariant: no read goes beyond the disk's end or the window's, and all work of one inspection is
//! charged to one [`Budget`]: bytes and pieces read, bytes unpacked, bytes kept in memory. So a disk
//! whose structures lead in circles, or unpack to far more than they are, ends an inspection with the
//! reason, not never and not with the process.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
};

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
    /// Bytes that all packed files together may unpack to.
    pub unpacked_bytes: u64,
    /// Bytes of files, lists and names that are taken into memory, all together. What is let go of
    /// again counts as well, so it bounds the work on them too.
    pub kept_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_bytes: 1 << 30,
            reads: 1 << 20,
            unpacked_bytes: 2 << 30,
            kept_bytes: 128 << 20,
        }
    }
}

/// A bound was hit: what was looked at is larger than anything usual.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Bound(String);

/// So many bounds are named; one is enough for an inspection to be unknown.
const HITS_MAX: usize = 16;

/// What is left of the limits, and which bounds were hit. One for a whole inspection.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: Cell<u64>,
    reads: Cell<u64>,
    unpacked: Cell<u64>,
    kept: Cell<u64>,
    exhausted: RefCell<Option<Bound>>,
    hits: RefCell<Vec<Bound>>,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            bytes: Cell::new(limits.read_bytes),
            reads: Cell::new(limits.reads),
            unpacked: Cell::new(limits.unpacked_bytes),
            kept: Cell::new(limits.kept_bytes),
            exhausted: RefCell::default(),
            hits: RefCell::default(),
        })
    }

    /// Charges a read.
    fn take(&self, bytes: u64) -> io::Result<()> {
        let charged = spend(&self.bytes, bytes).and_then(|()| spend(&self.reads, 1));
        charged
            .ok_or_else(|| {
                self.exhaust("the inspection would have to read more than it may; the disk's structures lead in circles, or are far larger than usual")
            })
            .map_err(io::Error::other)
    }

    /// Charges what came out of a packed file.
    pub(crate) fn unpack(&self, bytes: u64) -> Result<(), Bound> {
        spend(&self.unpacked, bytes)
            .ok_or_else(|| self.exhaust("packed files unpack to more than an inspection reads"))
    }

    /// Charges what is about to be taken into memory.
    pub(crate) fn keep(&self, bytes: u64) -> Result<(), Bound> {
        spend(&self.kept, bytes).ok_or_else(|| {
            self.exhaust(
                "files and lists on the disk are larger than an inspection takes into memory",
            )
        })
    }

    /// Notes that something was not looked at whole, because it is larger than anything usual. The
    /// inspection is not ready then, whatever else it finds.
    pub(crate) fn hit(&self, reason: impl Into<String>) -> Bound {
        let bound = Bound(reason.into());
        let mut hits = self.hits.borrow_mut();
        if hits.len() < HITS_MAX && !hits.contains(&bound) {
            hits.push(bound.clone());
        }
        bound
    }

    fn exhaust(&self, reason: &str) -> Bound {
        let bound = self.hit(reason);
        self.exhausted
            .borrow_mut()
            .get_or_insert_with(|| bound.clone());
        bound
    }

    /// Why nothing more can be judged; none while there is something left of everything.
    pub(crate) fn exhausted(&self) -> Option<Bound> {
        self.exhausted.borrow().clone()
    }

    /// Every bound that was hit.
    pub(crate) fn hits(&self) -> Vec<Bound> {
        self.hits.borrow().clone()
    }
}

/// Takes so much away; none when there is not so much.
fn spend(left: &Cell<u64>, amount: u64) -> Option<()> {
    left.set(left.get().checked_sub(amount)?);
    Some(())
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
