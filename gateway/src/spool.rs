//! The spool: sealed batches that are not durable cloud-side yet, on the gateway's own disk.
//!
//! Owns a directory of append-only segment files. A batch counts as spooled when [`Spool::append`]
//! returned, or [`Spool::open`] listed it: its segment and the segment's name are synced. A segment is removed once everything in
//! it was let go. Every segment is readable by itself: a data key is written before the first batch
//! that needs it in each. Drawn in `docs/format/spool.md`.
//!
//! Losing the spool loses nothing promised: captures trim their journals at L3 only. It does not
//! decide what is spooled, or when.

mod entry;
mod segment;
pub mod thread;

pub use entry::SpooledKey;

use bcdr_disk::{Access, CreateOptions, DiskError, DiskErrorKind, Storage};
use bcdr_format::{
    DataKeyId, DecodeError, batch::BatchLayout, continuity::Arriving, position::Generation,
    sync::SyncEvent,
};
use segment::{Scanned, Segment, name, number};
use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a spooled batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpoolLocation {
    segment: u64,
    offset: u64,
    length: u32,
}

impl SpoolLocation {
    /// Bytes of the batch there.
    pub fn length(&self) -> u32 {
        self.length
    }
}

/// Limits of a spool.
#[derive(Debug, Clone, Copy)]
pub struct SpoolLimits {
    /// Bytes it may hold in all.
    pub capacity_bytes: u64,
    /// A segment takes no more batches beyond this length.
    pub segment_bytes: u64,
    /// Bytes that stay free on the file system.
    pub free_floor_bytes: u64,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self {
            capacity_bytes: 16 << 30,
            segment_bytes: 64 << 20,
            free_floor_bytes: 256 << 20,
        }
    }
}

/// Why a batch could not be spooled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The spool is as large as it may be.
    #[error("the spool in {} is full ({used_bytes} of {capacity_bytes} bytes): captures keep their journals until the link or the receiver is back; give the spool more room with spool.capacity_bytes", directory.display())]
    Full {
        /// The spool's directory.
        directory: PathBuf,
        /// Bytes it holds.
        used_bytes: u64,
        /// Bytes it may hold.
        capacity_bytes: u64,
    },
    /// The file system is nearly full.
    #[error("the file system of the spool in {} has only {available_bytes} bytes left: free some space", directory.display())]
    NoSpace {
        /// The spool's directory.
        directory: PathBuf,
        /// Bytes left.
        available_bytes: u64,
    },
    /// The disk failed.
    #[error("the spool failed: {0}")]
    Disk(#[from] DiskError),
    /// A batch without its key could never be opened.
    #[error("the data key {0} of a batch was not told to the spool")]
    KeyUnknown(DataKeyId),
    /// A spooled batch cannot be read back.
    #[error("a batch at byte {offset} of spool segment {} cannot be read back: {source}; it is fed again from the capture's journal", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
}

/// A batch found in the spool when it was opened.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub location: SpoolLocation,
    /// Its place in the stream.
    pub arriving: Arriving,
    /// The generation that it was sealed under.
    pub generation: Generation,
    /// The data keys of its chunks.
    pub keys: Vec<DataKeyId>,
    /// The sync intervals begun and ended in it.
    pub sync_events: Vec<SyncEvent>,
}

/// What an opened spool held.
#[derive(Debug, Default)]
pub struct Contents {
    /// The batches, oldest first.
    pub batches: Vec<Found>,
    /// The wrapped data keys.
    pub keys: Vec<SpooledKey>,
    /// What was cut off or could not be read, in words, for the log.
    pub remarks: Vec<String>,
}

/// The spool of one stream.
#[derive(Debug)]
pub struct Spool {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    limits: SpoolLimits,
    segments: VecDeque<Segment>,
    next_number: u64,
    keys: HashMap<DataKeyId, Vec<u8>>,
    /// Whether the directory is there.
    directory_made: bool,
}

impl Spool {
    /// Opens the spool in `directory` and lists what it holds. The directory is made when there is
    /// something to spool, so that a stream which comes to nothing leaves nothing. A torn end of a segment,
    /// which a crash leaves, was never acknowledged and is passed over; so is what cannot be read,
    /// with a remark, because captures have all of it. A segment of a newer release stays, and so
    /// does one that cannot be synced. What is listed is durable.
    pub fn open(
        storage: Arc<dyn Storage>,
        directory: &Path,
        limits: SpoolLimits,
    ) -> Result<(Self, Contents), SpoolError> {
        let listed = storage.list(directory);
        let absent = matches!(&listed, Err(error) if error.kind() == DiskErrorKind::NotFound);
        let file_names = if absent { Vec::new() } else { listed? };
        let mut spool = Self {
            storage: Arc::clone(&storage),
            directory: directory.to_owned(),
            limits,
            segments: VecDeque::new(),
            next_number: 0,
            keys: HashMap::new(),
            directory_made: !absent,
        };
        let mut contents = Contents::default();
        for file_name in file_names {
            let Some(number) = number(&file_name) else {
                continue;
            };
            spool.next_number = spool.next_number.max(number.saturating_add(1));
            let path = directory.join(&file_name);
            // A process that was killed leaves batches that only the page cache has; what is listed
            // counts as durable from now on. Where the sync fails nothing does.
            let synced = storage.open(&path, Access::write()).and_then(|file| {
                file.sync_data()?;
                Ok(file)
            });
            match synced {
                Ok(file) => spool.take_in(segment::scan(number, file, &mut contents))?,
                Err(error) => contents.remarks.push(error.to_string()),
            }
        }
        for key in &contents.keys {
            spool.keys.insert(key.id, key.wrapped.clone());
        }
        Ok((spool, contents))
    }

    fn take_in(&mut self, scanned: Scanned) -> Result<(), SpoolError> {
        match scanned {
            Scanned::Listed(segment) if segment.batches == 0 => self.remove(&segment),
            Scanned::Listed(segment) => {
                self.segments.push_back(segment);
                Ok(())
            }
            Scanned::Newer => Ok(()),
        }
    }

    /// Remembers a wrapped data key, so that batches sealed under it can be spooled.
    pub fn learn_key(&mut self, id: DataKeyId, wrapped: Vec<u8>) {
        self.keys.insert(id, wrapped);
    }

    /// Bytes of all segments.
    pub fn used_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// Makes `batches` durable, in order, with one sync. Returns where they are, and why there are
    /// fewer places than batches: the first ones may fit where all of them do not.
    ///
    /// After a disk error none of them counts as spooled; the segment is given up and the next
    /// call begins a new one.
    pub fn append(
        &mut self,
        batches: &[(&[u8], &[DataKeyId])],
    ) -> (Vec<SpoolLocation>, Option<SpoolError>) {
        let admitted = self.make_directory().and_then(|()| self.admit(batches));
        let (fit, refused) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return (Vec::new(), Some(error)),
        };
        if fit == 0 {
            return (Vec::new(), refused);
        }
        match self.append_to_current(&batches[..fit]) {
            Ok(locations) => (locations, refused),
            Err(error) => {
                self.give_up_current();
                (Vec::new(), Some(error))
            }
        }
    }

    fn make_directory(&mut self) -> Result<(), SpoolError> {
        if !self.directory_made {
            self.storage.create_directory_all(&self.directory)?;
            self.directory_made = true;
        }
        Ok(())
    }

    /// How many of `batches`, from the first on, there is room for, and what refuses the next.
    fn admit(
        &self,
        batches: &[(&[u8], &[DataKeyId])],
    ) -> Result<(usize, Option<SpoolError>), SpoolError> {
        let used_bytes = self.used_bytes();
        let available_bytes = self.storage.space(&self.directory)?.available_bytes;
        let mut incoming = 0;
        for (index, (bytes, _)) in batches.iter().enumerate() {
            incoming += bytes.len() as u64;
            if used_bytes + incoming > self.limits.capacity_bytes {
                let full = SpoolError::Full {
                    directory: self.directory.clone(),
                    used_bytes,
                    capacity_bytes: self.limits.capacity_bytes,
                };
                return Ok((index, Some(full)));
            }
            if available_bytes < self.limits.free_floor_bytes + incoming {
                let no_space = SpoolError::NoSpace {
                    directory: self.directory.clone(),
                    available_bytes,
                };
                return Ok((index, Some(no_space)));
            }
        }
        Ok((batches.len(), None))
    }

    /// Ends the segment whose disk failed. One that holds nothing goes at once, or each attempt on
    /// a failing disk would leave a file behind.
    fn give_up_current(&mut self) {
        let Some(last) = self.segments.back_mut() else {
            return;
        };
        last.closed = true;
        if last.batches == 0
            && let Some(empty) = self.segments.pop_back()
            && let Err(error) = self.remove(&empty)
        {
            tracing::debug!(%error, "an empty spool segment stays until the next start");
        }
    }

    fn append_to_current(
        &mut self,
        batches: &[(&[u8], &[DataKeyId])],
    ) -> Result<Vec<SpoolLocation>, SpoolError> {
        let limit = self.limits.segment_bytes;
        let roomy = self
            .segments
            .back()
            .is_some_and(|segment| !segment.closed && segment.length < limit);
        if !roomy {
            self.begin_segment()?;
        }
        let segment = self.segments.back_mut().expect("a segment was begun");
        let mut locations = Vec::with_capacity(batches.len());
        for (bytes, keys) in batches {
            for id in *keys {
                let wrapped = self.keys.get(id).ok_or(SpoolError::KeyUnknown(*id))?;
                segment.append_key(*id, wrapped)?;
            }
            locations.push(segment.append_batch(bytes)?);
        }
        segment.file.sync_data()?;
        segment.batches += batches.len() as u64;
        Ok(locations)
    }

    fn begin_segment(&mut self) -> Result<(), SpoolError> {
        if let Some(last) = self.segments.back_mut() {
            last.closed = true;
        }
        let number = self.next_number;
        self.next_number += 1;
        let path = self.directory.join(name(number));
        let file = self.storage.create(&path, CreateOptions::default())?;
        // In the list first: a segment whose beginning fails is given up like any other.
        self.segments.push_back(Segment::empty(number, file));
        let segment = self.segments.back_mut().expect("it was pushed just now");
        segment.begin()?;
        segment.file.sync_all()?;
        self.storage.sync_directory(&self.directory)?;
        Ok(())
    }

    /// Reads a batch back and checks it.
    pub fn read(&self, location: SpoolLocation) -> Result<Vec<u8>, SpoolError> {
        let Some(segment) = self
            .segments
            .iter()
            .find(|segment| segment.number == location.segment)
        else {
            return Err(SpoolError::Damaged {
                path: self.directory.join(name(location.segment)),
                offset: location.offset,
                source: DecodeError::invalid("spool segment", "it is gone"),
            });
        };
        let mut bytes = vec![0; location.length as usize];
        segment.file.read_exact_at(&mut bytes, location.offset)?;
        BatchLayout::parse(&bytes).map_err(|source| SpoolError::Damaged {
            path: segment.file.path().to_owned(),
            offset: location.offset,
            source,
        })?;
        Ok(bytes)
    }

    /// Lets go of a batch. The segment's file goes with its last batch.
    pub fn forget(&mut self, location: SpoolLocation) -> Result<(), SpoolError> {
        let Some(index) = self
            .segments
            .iter()
            .position(|segment| segment.number == location.segment)
        else {
            return Ok(());
        };
        let segment = &mut self.segments[index];
        segment.batches = segment.batches.saturating_sub(1);
        if segment.batches > 0 {
            return Ok(());
        }
        if let Some(segment) = self.segments.remove(index) {
            self.remove(&segment)?;
        }
        Ok(())
    }

    fn remove(&self, segment: &Segment) -> Result<(), SpoolError> {
        match self.storage.remove(segment.file.path()) {
            Err(error) if error.kind() != DiskErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        self.storage.sync_directory(&self.directory)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
