//! A segment read forwards through a window, so that many small appends cost few reads.
//!
//! Invariant: what is taken is what the file held when the window was filled; a window is filled
//! once per pass over a region. Nothing is checked here: checksums are the callers'.

use super::segment::padded;
use crate::Payload;
use bcdr_disk::{AlignedBuffer, DiskError, File};

/// Bytes of a window: large enough that the device and not the calls sets the pace.
const WINDOW_BYTES: u64 = 1 << 20;

/// A reader of one segment file.
#[derive(Debug)]
pub(super) struct SegmentWindow<'a> {
    file: &'a dyn File,
    /// Nothing at or behind this offset is read ahead.
    end: u64,
    at: u64,
    bytes: Payload,
}

impl<'a> SegmentWindow<'a> {
    /// Reads ahead up to `end`.
    pub(super) fn ahead(file: &'a dyn File, end: u64) -> Self {
        Self {
            file,
            end,
            at: 0,
            bytes: Payload::default(),
        }
    }

    /// Reads what is asked for and no more.
    pub(super) fn exact(file: &'a dyn File) -> Self {
        Self::ahead(file, 0)
    }

    /// The bytes from `offset`, which must be aligned; they share the window's memory.
    pub(super) fn take(&mut self, offset: u64, length: usize) -> Result<Payload, DiskError> {
        let inside =
            offset >= self.at && offset + length as u64 <= self.at + self.bytes.len() as u64;
        if !inside {
            self.fill(offset, padded(length))?;
        }
        let from = (offset - self.at) as usize;
        Ok(self.bytes.slice(from..from + length))
    }

    fn fill(&mut self, offset: u64, needed: usize) -> Result<(), DiskError> {
        let ahead = self.end.saturating_sub(offset).min(WINDOW_BYTES) as usize;
        // A sector that cannot be read must cost only the bytes that are in it.
        let bytes = match self.read(offset, needed.max(ahead)) {
            Err(_) if ahead > needed => self.read(offset, needed)?,
            other => other?,
        };
        (self.at, self.bytes) = (offset, Payload::from_buffer(bytes));
        Ok(())
    }

    fn read(&self, offset: u64, length: usize) -> Result<AlignedBuffer, DiskError> {
        let mut buffer = AlignedBuffer::zeroed(length);
        self.file.read_exact_at(&mut buffer, offset)?;
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_disk::{ALIGNMENT, Access, CreateOptions, FaultPlan, SimulatedDisk, Storage};
    use std::path::Path;

    #[test]
    fn takes_what_is_there_and_reads_it_once() {
        let disk = SimulatedDisk::new(1, FaultPlan::none());
        let path = Path::new("/segment");
        let file = disk.create(path, CreateOptions::default()).unwrap();
        let bytes: Vec<u8> = (0..3 << 20)
            .map(|index: u32| (index / 4096) as u8)
            .collect();
        file.write_all_at(&bytes, 0).unwrap();
        let file = disk.open(path, Access::write()).unwrap();
        let mut window = SegmentWindow::ahead(&*file, bytes.len() as u64 - 4096);
        assert_eq!(*window.take(8192, 5000).unwrap(), bytes[8192..13192]);
        // Read ahead: a later change is not seen, and the memory is shared.
        file.write_all_at(&[0xff; ALIGNMENT], 12288).unwrap();
        assert_eq!(*window.take(12288, 4096).unwrap(), bytes[12288..16384]);
        assert!(window.take(12288, 4096).unwrap().is_aligned());
        // Larger than a window, and the last page, which is not read ahead.
        let large = window.take(16384, 2 << 20).unwrap();
        assert_eq!(*large, bytes[16384..16384 + (2 << 20)]);
        let last = bytes.len() - 4096;
        assert_eq!(*window.take(last as u64, 4096).unwrap(), bytes[last..]);
        let mut exact = SegmentWindow::exact(&*file);
        assert_eq!(exact.take(12288, 10).unwrap()[..], [0xff; 10]);
        assert_eq!(exact.bytes.len(), ALIGNMENT);
    }
}
