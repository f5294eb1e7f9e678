//! The one writer of a log: appends, group commits, and what happens when a sync fails.

use super::{
    Entry, EntryPlace, LogError, SegmentHeader,
    entry::{ENTRY_HEADER_BYTES, EntryHeader, EntrySite, entry_bytes},
    segment::{SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_HEADER_BYTES, segment_path},
};
use crate::{catalog::LogPosition, receive::Lineage};
use bcdr_disk::{CreateOptions, File, Storage};
use bcdr_format::{DataKeyId, Timestamp};
use bytes::Bytes;
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment that reaches this many bytes is followed by a new one; at most
    /// [`SEGMENT_BYTES_MAX`].
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
        }
    }
}

/// Where a log ended when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStart {
    /// Its last segment, if it has any.
    pub last_segment: Option<u32>,
    /// Where its last segment ends; what lies beyond is void.
    pub last_end: u64,
    /// When the lineage was made.
    pub since: Timestamp,
}

/// Names an entry until its commit: a failed sync moves it to another segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

#[derive(Debug)]
struct Current {
    number: u32,
    file: Arc<dyn File>,
    end: u64,
    synced: u64,
    keys: HashSet<DataKeyId>,
}

#[derive(Debug, Clone)]
struct Unsynced {
    ticket: Ticket,
    entry: Entry,
    keys: Vec<DataKeyId>,
}

/// The writer.
#[derive(Debug)]
pub struct LogWriter {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    lineage: Lineage,
    options: LogOptions,
    since: Timestamp,
    current: Option<Current>,
    last_segment: Option<u32>,
    last_end: u64,
    known_keys: HashMap<DataKeyId, Bytes>,
    unsynced: Vec<Unsynced>,
    places: HashMap<Ticket, EntryPlace>,
    next_ticket: u64,
    failed: bool,
    failed_syncs: u64,
}

impl LogWriter {
    /// A writer that goes on where `start` says the log ends. It writes nothing until the first
    /// append.
    pub fn new(
        storage: Arc<dyn Storage>,
        directory: PathBuf,
        lineage: Lineage,
        options: LogOptions,
        start: LogStart,
    ) -> Self {
        Self {
            storage,
            directory,
            lineage,
            options: LogOptions {
                segment_bytes: options.segment_bytes.min(SEGMENT_BYTES_MAX),
            },
            since: start.since,
            current: None,
            last_segment: start.last_segment,
            last_end: start.last_end,
            known_keys: HashMap::new(),
            unsynced: Vec::new(),
            places: HashMap::new(),
            next_ticket: 0,
            failed: false,
            failed_syncs: 0,
        }
    }

    /// Makes a wrapped key known; it is written before the first batch that needs it, in each
    /// segment.
    pub fn know_key(&mut self, key: DataKeyId, wrapped: Bytes) {
        self.known_keys.insert(key, wrapped);
    }

    /// Whether a key is known.
    pub fn knows_key(&self, key: DataKeyId) -> bool {
        self.known_keys.contains_key(&key)
    }

    /// Appends an entry whose chunks are sealed under `keys`. It counts only after
    /// [`Self::commit`].
    ///
    /// An error is final: the file may hold half an entry, so the log must be opened again.
    pub fn append(&mut self, entry: Entry, keys: Vec<DataKeyId>) -> Result<Ticket, LogError> {
        self.check_failed()?;
        if let Some(missing) = keys.iter().find(|key| !self.knows_key(**key)) {
            return Err(LogError::KeyMissing(*missing));
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let unsynced = Unsynced {
            ticket,
            entry,
            keys,
        };
        let written = self.roll_if_full().and_then(|()| self.write(&unsynced));
        self.failed = written.is_err();
        written?;
        self.unsynced.push(unsynced);
        Ok(ticket)
    }

    /// Makes everything appended durable and says where each entry since the last commit is.
    pub fn commit(&mut self) -> Result<HashMap<Ticket, EntryPlace>, LogError> {
        self.check_failed()?;
        let synced = self.sync();
        self.failed = synced.is_err();
        synced?;
        Ok(std::mem::take(&mut self.places))
    }

    /// The place after the last entry.
    pub fn end(&self) -> LogPosition {
        match &self.current {
            Some(current) => LogPosition {
                segment: current.number,
                offset: current.end,
            },
            None => LogPosition {
                segment: self.last_segment.unwrap_or(1),
                offset: self.last_end.max(SEGMENT_HEADER_BYTES),
            },
        }
    }

    /// How many syncs failed; their segments were left behind.
    pub fn failed_syncs(&self) -> u64 {
        self.failed_syncs
    }

    /// Bytes appended and not committed.
    pub fn uncommitted_bytes(&self) -> u64 {
        self.current
            .as_ref()
            .map_or(0, |current| current.end - current.synced)
    }

    fn check_failed(&self) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Failed {
                directory: self.directory.clone(),
            });
        }
        Ok(())
    }

    fn roll_if_full(&mut self) -> Result<(), LogError> {
        match &self.current {
            Some(current) if current.end >= self.options.segment_bytes => {
                self.sync()?;
                self.begin_segment()
            }
            Some(_) => Ok(()),
            None => self.begin_segment(),
        }
    }

    /// Header and name of a new segment are durable before its first entry is written.
    fn begin_segment(&mut self) -> Result<(), LogError> {
        if let Some(current) = self.current.take() {
            self.last_segment = Some(current.number);
            self.last_end = current.synced;
        }
        let exhausted = || LogError::Exhausted {
            directory: self.directory.clone(),
        };
        let number = match self.last_segment {
            None => 1,
            Some(last) => last.checked_add(1).ok_or_else(exhausted)?,
        };
        let path = segment_path(&self.directory, number);
        let file = self.storage.create(&path, CreateOptions::default())?;
        let header = SegmentHeader {
            lineage: self.lineage,
            number,
            previous_end: self.last_end,
            since: self.since,
        };
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()?;
        self.storage.sync_directory(&self.directory)?;
        self.current = Some(Current {
            number,
            file,
            end: SEGMENT_HEADER_BYTES,
            synced: SEGMENT_HEADER_BYTES,
            keys: HashSet::new(),
        });
        Ok(())
    }

    fn write(&mut self, unsynced: &Unsynced) -> Result<(), LogError> {
        let lineage = self.lineage;
        let current = self
            .current
            .as_mut()
            .expect("a segment is begun before anything is written");
        for key in &unsynced.keys {
            if !current.keys.contains(key) {
                let wrapped = self.known_keys.get(key).cloned().unwrap_or_default();
                let entry = Entry::WrappedKey { key: *key, wrapped };
                write_entry(lineage, current, &entry)?;
                current.keys.insert(*key);
            }
        }
        let place = write_entry(lineage, current, &unsynced.entry)?;
        self.places.insert(unsynced.ticket, place);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        let Some(current) = self
            .current
            .as_mut()
            .filter(|current| current.end > current.synced)
        else {
            return Ok(());
        };
        let result = current.file.sync_data();
        match result {
            Ok(()) => {
                current.synced = current.end;
                self.unsynced.clear();
                Ok(())
            }
            Err(error) => {
                tracing::error!(
                    segment = current.number,
                    %error,
                    "a log segment failed its sync and is left behind"
                );
                self.failed_syncs += 1;
                self.rewrite()
            }
        }
    }

    /// What the kernel holds of the failed segment's tail is worth nothing: it is written again from
    /// memory into a new segment, whose header ends the failed one where its last sync left it.
    fn rewrite(&mut self) -> Result<(), LogError> {
        self.begin_segment()?;
        let unsynced = std::mem::take(&mut self.unsynced);
        for entry in &unsynced {
            self.write(entry)?;
        }
        let current = self.current.as_mut().expect("a segment was begun just now");
        current.file.sync_data()?;
        current.synced = current.end;
        Ok(())
    }
}

fn write_entry(
    lineage: Lineage,
    current: &mut Current,
    entry: &Entry,
) -> Result<EntryPlace, LogError> {
    const PADDING: [u8; 8] = [0; 8];
    let body = entry.body();
    let header = EntryHeader {
        kind: entry.kind(),
        body_bytes: body.len() as u32,
        body_crc: crc32fast::hash(&body),
        time: entry.time(),
        synced: current.synced,
    };
    let site = EntrySite {
        lineage,
        segment: current.number,
        offset: current.end,
    };
    let total = entry_bytes(body.len() as u64);
    let padding = (total - ENTRY_HEADER_BYTES - body.len() as u64) as usize;
    let head = header.encode(&site);
    current
        .file
        .write_vectored_all_at(&[&head, &body, &PADDING[..padding]], current.end)?;
    let place = EntryPlace {
        segment: current.number,
        body_offset: current.end + ENTRY_HEADER_BYTES,
        body_bytes: body.len() as u32,
    };
    current.end += total;
    Ok(place)
}
