//! The device under restore: hashed by block, written where it differs.
//!
//! Invariants: what is equal already is not written; bytes whose digest is known and wrong never
//! reach the device. It syncs when it is told to.

use std::sync::Arc;

use bcdr_disk::{AlignedBuffer, DiskError, File};
use bcdr_wire::restore::{BLOCK_BYTES, ByteRange, Content, Digest, READ_BYTES_MAX, block_digest};
use rustix::io::Errno;

use super::{UNIT_BYTES, plan::Fetch};

/// Why content did not get onto the device.
#[derive(Debug)]
pub(super) enum ApplyError {
    /// The device failed.
    Device(DiskError),
    /// The content cannot be unpacked.
    Content(String),
    /// The content of this block is not what its digest says.
    Digest { offset: u64 },
}

impl From<DiskError> for ApplyError {
    fn from(error: DiskError) -> Self {
        Self::Device(error)
    }
}

/// What was done to it so far, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) fetched_bytes: u64,
    pub(super) written_bytes: u64,
    pub(super) zeroed_bytes: u64,
}

impl Done {
    /// Bytes that were changed.
    pub(super) const fn changed_bytes(&self) -> u64 {
        self.written_bytes + self.zeroed_bytes
    }
}

pub(super) struct Device {
    file: Arc<dyn File>,
    size_bytes: u64,
    /// What the device holds.
    present: AlignedBuffer,
    /// What it is to hold.
    wanted: AlignedBuffer,
    /// Whether it can make holes, as far as was tried.
    punches: bool,
    done: Done,
}

impl Device {
    pub(super) fn new(file: Arc<dyn File>, size_bytes: u64) -> Self {
        Self {
            file,
            size_bytes,
            present: AlignedBuffer::zeroed(READ_BYTES_MAX as usize),
            wanted: AlignedBuffer::zeroed(READ_BYTES_MAX as usize),
            punches: true,
            done: Done::default(),
        }
    }

    pub(super) const fn done(&self) -> Done {
        self.done
    }

    /// Reads a range of whole blocks and hands out their digests in order.
    pub(super) fn hash(
        &mut self,
        range: ByteRange,
        mut block: impl FnMut(u64, Digest),
    ) -> Result<(), DiskError> {
        let mut offset = range.offset;
        let end = range.end().min(self.size_bytes);
        while offset < end {
            let count = (end - offset).min(u64::from(READ_BYTES_MAX)) as usize;
            let bytes = &mut self.present[..count];
            self.file.read_exact_at(bytes, offset)?;
            for one in bytes.chunks(BLOCK_BYTES as usize) {
                block(offset, block_digest(one));
                offset += one.len() as u64;
            }
        }
        Ok(())
    }

    /// Makes a range hold the content, by writing the units that do not yet; all of them if what
    /// the device gives back is not `trusted`.
    pub(super) fn apply(
        &mut self,
        fetch: &Fetch,
        content: &Content,
        trusted: bool,
    ) -> Result<(), ApplyError> {
        let ByteRange { offset, length } = fetch.range;
        let length = length as usize;
        let wanted = &mut self.wanted[..length];
        content
            .unpack(wanted)
            .map_err(|error| ApplyError::Content(error.to_string()))?;
        self.done.fetched_bytes += length as u64;
        let blocks = wanted.chunks(BLOCK_BYTES as usize).zip(&fetch.digests);
        for (index, (block, digest)) in blocks.enumerate() {
            if block_digest(block) != *digest {
                return Err(ApplyError::Digest {
                    offset: offset + index as u64 * u64::from(BLOCK_BYTES),
                });
            }
        }
        if trusted {
            self.file
                .read_exact_at(&mut self.present[..length], offset)?;
        }
        let zero = matches!(content, Content::Zero { .. });
        let mut at = 0;
        while let Some((start, end)) = self.next_difference(at, length, trusted) {
            if zero {
                self.zero(offset + start as u64, (end - start) as u64, trusted)?;
            } else {
                self.file
                    .write_all_at(&self.wanted[start..end], offset + start as u64)?;
                self.done.written_bytes += (end - start) as u64;
            }
            at = end;
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), DiskError> {
        self.file.sync_all()
    }

    /// The next units that differ, as positions in the buffers; all of them without trust.
    fn next_difference(&self, from: usize, length: usize, trusted: bool) -> Option<(usize, usize)> {
        if !trusted {
            return (from < length).then_some((from, length));
        }
        let unit = UNIT_BYTES as usize;
        let differs = |start: &usize| {
            let end = (*start + unit).min(length);
            self.present[*start..end] != self.wanted[*start..end]
        };
        let start = (from..length).step_by(unit).find(differs)?;
        let end = (start..length)
            .step_by(unit)
            .find(|start| !differs(start))
            .unwrap_or(length);
        Some((start, end))
    }

    /// Makes a hole, or writes zeros where the device has none; also without trust, because what
    /// looks like a hole already would be left alone. The wanted buffer holds zeros.
    fn zero(&mut self, offset: u64, length: u64, trusted: bool) -> Result<(), DiskError> {
        if self.punches && trusted {
            match self.file.punch_hole(offset, length) {
                Err(error) if is_unsupported(&error) => self.punches = false,
                other => {
                    other?;
                    self.done.zeroed_bytes += length;
                    return Ok(());
                }
            }
        }
        self.file
            .write_all_at(&self.wanted[..length as usize], offset)?;
        self.done.zeroed_bytes += length;
        Ok(())
    }
}

fn is_unsupported(error: &DiskError) -> bool {
    let DiskError::Io { source, .. } = error else {
        return false;
    };
    source.kind() == std::io::ErrorKind::Unsupported
        || source.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error())
}

#[cfg(test)]
mod tests;
