//! Recovery: what a directory of segments holds after whatever happened to it.
//!
//! Invariants: the records it reports are a prefix, in order, of what was appended, and include
//! everything that a sync had reported durable. Only the newest segment may end in the middle of
//! an append, or where it cannot be read; anything else that does not check is damage and is reported as such, with its place,
//! never skipped. An older segment is not read at all where the head of the next one says all that
//! is asked here: production waits for this start, however much the journal holds. What is damaged
//! in it is met when the feed reads it.

use super::{
    Journal, JournalIdentity, JournalSettings, JournalSnapshot,
    append::{AppendError, FoundAppend, extent, read_append},
    index::{Replacement, SegmentEntry},
    segment::{SegmentHead, padded},
    space::Space,
    window::SegmentWindow,
    writer::{Predecessor, WriterSeed},
};
use crate::{
    feed::History,
    start::{IncarnationStart, SyncStart},
};
use bcdr_disk::{Access, AlignedBuffer, DiskError, DiskErrorKind, File, Storage};
use bcdr_format::{
    DecodeError, Position, Sequence,
    record::{Member, RecordBody, VolumeRange},
    sync::SyncEvent,
};
use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The directory cannot be used.
    #[error("cannot recover the journal: {0}")]
    Disk(#[from] DiskError),
    /// A segment that is needed cannot be read.
    #[error(
        "cannot recover the journal: {source}; check the device, then move the journal's directory \
         aside: the next start compares all volumes in full"
    )]
    Unreadable {
        /// What the system said, with the segment's path.
        #[source]
        source: DiskError,
    },
    /// The journal was made with another segment size.
    #[error(
        "journal segment {} has {found} bytes and {configured} are configured; set segment_bytes \
         to what it was, or move the journal's directory aside: the next start compares all \
         volumes in full",
        path.display()
    )]
    OtherSize {
        /// The segment.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The size that is configured.
        configured: u64,
    },
    /// A segment is of another format version.
    #[error("cannot recover journal segment {}: {source}", path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// Which version it is.
        #[source]
        source: DecodeError,
    },
    /// A segment belongs to another group or stream.
    #[error(
        "journal segment {} belongs to group {}, stream {}; give this stream a directory of its own",
        path.display(), found.group, found.stream
    )]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// Whose it is.
        found: JournalIdentity,
    },
    /// A segment is damaged before its end.
    #[error(
        "journal segment {} is damaged at byte {offset}: {source}; check the device, then move the \
         journal's directory aside: the next start compares all volumes in full",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong there.
        #[source]
        source: DecodeError,
    },
}

impl RecoverError {
    /// Whether the journal is best put aside: it is damaged, or of no use as configured, and will
    /// be so at the next attempt.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::Unreadable { .. } | Self::OtherSize { .. }
        )
    }
}

fn unreadable(source: DiskError) -> RecoverError {
    RecoverError::Unreadable { source }
}

/// What a journal holds.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// How the newest life began; `None` for an empty journal.
    pub newest: Option<IncarnationStart>,
    /// The settled prefix: what the feed can vouch for.
    pub settled: Option<Position>,
    /// The last sequence any life is known to have given; 0 for an empty journal.
    pub last_sequence: Sequence,
    /// Whether the newest life was closed in order.
    pub clean: bool,
    /// The interval that is open at the settled prefix, or was opened behind it.
    pub open_sync: Option<SyncStart>,
    /// The volumes as of the newest segment.
    pub members: Vec<Member>,
    /// Ranges of the newest life's records behind the settled prefix.
    pub unsettled: Vec<VolumeRange>,
    /// The lives, for the handshake with a peer.
    pub lives: History,
    /// Records found.
    pub records: u64,
}

impl Recovered {
    /// The last settled sequence of the newest life; the one before its first if none.
    #[must_use]
    pub fn settled_sequence(&self) -> Sequence {
        let Some(newest) = self.newest else {
            return Sequence::default();
        };
        match self.settled {
            Some(settled) if settled.ordinal == newest.opening.ordinal => settled.sequence,
            _ => newest.opening.first.previous(),
        }
    }
}

/// A segment whose head is valid.
struct HeadedSegment {
    number: u32,
    path: PathBuf,
    file: Arc<dyn File>,
    head: SegmentHead,
    data_start: u64,
}

/// What a walk over all records gathers.
#[derive(Default)]
struct Walk {
    replaced: BTreeMap<Position, Replacement>,
    settled: Option<Position>,
    clean: bool,
    /// Interval events in order, with their positions.
    events: Vec<(Position, SyncEvent)>,
    ranges: Vec<(Position, VolumeRange)>,
    records: u64,
}

impl Journal {
    /// Reads what is in `directory`, which is made if it does not exist, and gets ready to write.
    /// A life must be opened before anything is appended.
    ///
    /// # Errors
    /// When the directory cannot be read, belongs to another stream, or is damaged where a crash
    /// cannot have damaged it.
    pub fn recover(
        storage: Arc<dyn Storage>,
        directory: &Path,
        identity: JournalIdentity,
        settings: JournalSettings,
    ) -> Result<(Self, Recovered), RecoverError> {
        storage.create_directory_all(directory)?;
        // A segment that a process before this one removed must not come back after a power cut,
        // when its use number has been given again.
        storage.sync_directory(directory)?;
        let mut space = Space::new(Arc::clone(&storage), directory, settings);
        let mut headed = read_heads(&*storage, directory, identity, &settings, &mut space)?;
        let last_use = headed
            .iter()
            .map(|one| one.head.use_number)
            .max()
            .unwrap_or_default();
        let chain = follow_chain(&mut headed);
        for unused in headed {
            space.note_free(unused.number, unused.path);
        }
        let (mut closed, walk, suffix) = walk_chain(&chain, &settings)?;
        for segment in &chain {
            space.note_used(segment.number);
        }
        let recovered = conclude(&chain, &closed, &walk, suffix);
        let mut predecessor = Predecessor::default();
        if let Some(newest) = closed.back_mut() {
            // The process before may have died of a failed sync: then what is in memory can be read
            // and synced without complaint, and is gone after the next power cut all the same.
            Arc::make_mut(newest).abandoned = !recovered.clean;
            let unsynced = Some(newest.path.clone());
            predecessor = Predecessor {
                unsynced,
                ..Predecessor::of(newest)
            };
        }
        let members = recovered.members.clone();
        let replaced = walk.replaced;
        let seed = WriterSeed {
            storage,
            identity,
            space,
            closed,
            replaced,
            predecessor,
            last_use,
            members,
        };
        Ok((Self::from_seed(seed), recovered))
    }
}

/// Reads the head of every segment file. Blank files are free. Files whose head is not whole are
/// removed: a use number that a damaged head carried may be given again.
fn read_heads(
    storage: &dyn Storage,
    directory: &Path,
    identity: JournalIdentity,
    settings: &JournalSettings,
    space: &mut Space,
) -> Result<Vec<HeadedSegment>, RecoverError> {
    let (mut headed, mut headless) = (Vec::new(), Vec::new());
    for name in storage.list(directory)? {
        let Some(number) = Space::number_of(&name) else {
            continue;
        };
        let path = directory.join(&name);
        let access = Access {
            write: false,
            direct: settings.direct,
        };
        let file = storage.open(&path, access).map_err(unreadable)?;
        let length = file.length().map_err(unreadable)?;
        let whole = length == settings.segment_bytes;
        let head = match read_head(&*file, &path) {
            // Its creation was cut short.
            Err(RecoverError::Unreadable { source })
                if !whole && source.kind() == DiskErrorKind::ShortRead =>
            {
                None
            }
            other => other?,
        };
        match head {
            Some((head, data_start)) => {
                if head.identity != identity {
                    return Err(RecoverError::Foreign {
                        path,
                        found: head.identity,
                    });
                }
                if !whole {
                    return Err(RecoverError::OtherSize {
                        path,
                        found: length,
                        configured: settings.segment_bytes,
                    });
                }
                headed.push(HeadedSegment {
                    number,
                    path,
                    file,
                    head,
                    data_start,
                });
            }
            None => {
                space.note_used(number);
                if whole && is_blank(&*file).map_err(unreadable)? {
                    space.give_back(path);
                } else {
                    headless.push(path);
                }
            }
        }
    }
    // Only now: a journal that turns out unusable is kept as it is.
    for path in headless {
        tracing::warn!(
            segment = %path.display(),
            "a journal segment has no whole head, as a power cut leaves one, and is removed"
        );
        space.discard(&path);
    }
    headed.sort_by_key(|segment| segment.head.use_number);
    Ok(headed)
}

fn is_blank(file: &dyn File) -> Result<bool, DiskError> {
    let mut page = AlignedBuffer::zeroed(bcdr_disk::ALIGNMENT);
    file.read_exact_at(&mut page, 0)?;
    Ok(page.iter().all(|byte| *byte == 0))
}

/// The head and where its appends begin; `None` if there is no valid head.
fn read_head(file: &dyn File, path: &Path) -> Result<Option<(SegmentHead, u64)>, RecoverError> {
    let mut page = AlignedBuffer::zeroed(bcdr_disk::ALIGNMENT);
    file.read_exact_at(&mut page, 0).map_err(unreadable)?;
    let version = |source| RecoverError::Version {
        path: path.to_owned(),
        source,
    };
    let Some(length) = SegmentHead::claimed_length(&page).map_err(version)? else {
        return Ok(None);
    };
    if length > page.len() {
        page = AlignedBuffer::zeroed(padded(length));
        file.read_exact_at(&mut page, 0).map_err(unreadable)?;
    }
    match SegmentHead::decode(&page[..length]) {
        Ok(head) => Ok(Some((head, padded(length) as u64))),
        // A head torn by a power cut, or damaged: the file is not in use as far as anyone can tell.
        // If it is missed, the chain of uses shows it.
        Err(DecodeError::Checksum { .. }) => Ok(None),
        Err(source @ DecodeError::Version { .. }) => Err(version(source)),
        // It was written like this, by a newer release or a defective one; it may hold history.
        Err(source) => Err(RecoverError::Damaged {
            path: path.to_owned(),
            offset: 0,
            source,
        }),
    }
}

/// Takes out the segments in use, oldest first: each head names the use before it. What remains
/// was freed, never came into use, or lies before a segment that is gone; the lives then begin
/// behind that, and a peer that needs more gets a full compare.
fn follow_chain(headed: &mut Vec<HeadedSegment>) -> Vec<HeadedSegment> {
    let mut chain: VecDeque<HeadedSegment> = headed.pop().into_iter().collect();
    while let Some(wanted) = chain.front().map(|oldest| oldest.head.previous.use_number)
        && let Some(index) = headed.iter().position(|one| one.head.use_number == wanted)
    {
        chain.push_front(headed.remove(index));
    }
    chain.into()
}

/// Reads the newest segment, and of those before it what the head of the next one cannot say.
/// Returns the segments as found, what was gathered, and the index of the first segment from which
/// on everything was read.
fn walk_chain(
    chain: &[HeadedSegment],
    settings: &JournalSettings,
) -> Result<(VecDeque<Arc<SegmentEntry>>, Walk, usize), RecoverError> {
    let Some((newest, older)) = chain.split_last() else {
        return Ok((VecDeque::new(), Walk::default(), 0));
    };
    let mut at_end = Walk::default();
    let newest = walk_segment(newest, None, settings, &mut at_end)?;
    // Behind the settled prefix every range and event counts; up to it, the heads say what does.
    let is_settled = |index: usize| {
        let ordinal = chain[index].head.start.opening.ordinal;
        let last = Position::new(ordinal, chain[index + 1].head.previous.last);
        Some(last) <= at_end.settled
    };
    let unsettled = (0..older.len())
        .rev()
        .take_while(|index| !is_settled(*index));
    let suffix = older.len() - unsettled.count();
    let mut walk = Walk::default();
    let mut closed = VecDeque::new();
    for (index, segment) in older.iter().enumerate() {
        let follower = &chain[index + 1].head;
        let told = !follower.previous.abandoned && follower.previous.replacements == 0;
        let entry = if index < suffix && told {
            let entry = new_entry(segment).summarised(&follower.previous);
            walk.records += (entry.last.0 + 1).saturating_sub(entry.first.0);
            entry
        } else {
            let entry = walk_segment(segment, Some(follower), settings, &mut walk)?;
            if index < suffix {
                walk.events.clear();
            }
            entry
        };
        closed.push_back(Arc::new(entry));
    }
    closed.push_back(Arc::new(newest));
    walk.replaced.append(&mut at_end.replaced);
    walk.events.append(&mut at_end.events);
    walk.ranges.append(&mut at_end.ranges);
    walk.records += at_end.records;
    (walk.settled, walk.clean) = (at_end.settled, at_end.clean);
    Ok((closed, walk, suffix))
}

fn new_entry(segment: &HeadedSegment) -> SegmentEntry {
    let head = &segment.head;
    SegmentEntry::new(
        segment.path.clone(),
        head.use_number,
        head.start,
        head.first,
        segment.data_start,
    )
}

/// Reads a segment's appends up to its end: the one its follower vouches for or, in the newest,
/// the first append that is not whole.
fn walk_segment(
    segment: &HeadedSegment,
    follower: Option<&SegmentHead>,
    settings: &JournalSettings,
    walk: &mut Walk,
) -> Result<SegmentEntry, RecoverError> {
    let head = &segment.head;
    let mut entry = new_entry(segment);
    entry.abandoned = follower.is_some_and(|next| next.previous.abandoned);
    walk.clean = false;
    if head.first == head.start.opening.first {
        // What was noted about the life before ends where this one continues.
        walk.settled = head.start.opening.continues;
    } else {
        walk.settled = walk.settled.max(head.settled);
    }
    let end = follower.map_or(settings.segment_bytes, |next| next.previous.end);
    let mut window = SegmentWindow::ahead(&*segment.file, end);
    while entry.end < end {
        let found = read_whole_append(&mut window, &entry, end, follower.is_none());
        match found {
            Ok(found) => note_append(&found, &mut entry, walk, segment)?,
            // What cannot be read there is as good as torn: what the intents and the peer know
            // beyond it shows that it is missing.
            Err(AppendError::Disk(error)) if follower.is_none() || entry.abandoned => {
                tracing::warn!(%error, "the journal is taken to end here");
                break;
            }
            Err(AppendError::Disk(error)) => return Err(unreadable(error)),
            // It passes its checksum, so it is no torn end: a newer release wrote it.
            Err(AppendError::Invalid(source @ DecodeError::Version { .. })) => {
                return Err(RecoverError::Version {
                    path: segment.path.clone(),
                    source,
                });
            }
            Err(AppendError::Invalid(_)) if follower.is_none() || entry.abandoned => break,
            Err(AppendError::Invalid(source)) => {
                let (path, offset) = (segment.path.clone(), entry.end);
                return Err(RecoverError::Damaged {
                    path,
                    offset,
                    source,
                });
            }
        }
    }
    Ok(entry)
}

fn read_whole_append(
    window: &mut SegmentWindow<'_>,
    entry: &SegmentEntry,
    end: u64,
    newest: bool,
) -> Result<FoundAppend, AppendError> {
    let found = read_append(window, entry.end, end, entry.use_number)?;
    if newest {
        for record in &found.records {
            record.fetch(window)?;
        }
    }
    Ok(found)
}

fn note_append(
    found: &FoundAppend,
    entry: &mut SegmentEntry,
    walk: &mut Walk,
    segment: &HeadedSegment,
) -> Result<(), RecoverError> {
    let damaged = |source| RecoverError::Damaged {
        path: segment.path.clone(),
        offset: found.offset,
        source,
    };
    let mut expected = entry.last.next();
    let in_order = found.header.number == entry.appends
        && found.records.iter().all(|record| {
            let as_expected = record.header.sequence() == expected;
            expected = expected.next();
            as_expected
        });
    if !in_order {
        // It passes its checksums, so it is no remnant of an earlier use.
        return Err(damaged(DecodeError::invalid(
            "journal append",
            "it is out of order",
        )));
    }
    for (index, record) in found.records.iter().enumerate() {
        let position = Position::new(entry.ordinal(), record.header.sequence());
        if let Some(failed) = record.header.replaces() {
            let at = Replacement {
                use_number: entry.use_number,
                append: found.offset,
                index,
            };
            walk.replaced
                .insert(Position::new(entry.ordinal(), failed), at);
            entry.replacements += 1;
        }
        if let Some(range) = record.header.range() {
            walk.ranges.push((position, range));
        }
        if let Some(described) = record.described().map_err(damaged)?
            && let RecordBody::Sync(event) = described.body
        {
            walk.events.push((position, event));
        }
    }
    walk.records += found.records.len() as u64;
    walk.settled = walk.settled.max(found.header.settled);
    walk.clean = found.header.clean;
    // Ranges at or before the settled prefix are never asked for again.
    if walk.ranges.len() > 1 << 16 {
        let settled = walk.settled;
        walk.ranges
            .retain(|(position, _)| Some(*position) > settled);
    }
    let extent = extent(found);
    entry.note_append(
        extent.end - extent.start,
        found.records.last().map(|one| one.header.sequence()),
    );
    Ok(())
}

fn conclude(
    chain: &[HeadedSegment],
    closed: &VecDeque<Arc<SegmentEntry>>,
    walk: &Walk,
    suffix: usize,
) -> Recovered {
    let Some(newest) = chain.last() else {
        return Recovered::default();
    };
    let start = newest.head.start;
    let ordinal = start.opening.ordinal;
    // The note may be ahead of the records that survived, never of what was appended.
    let last_of = |position: &Position| {
        let in_life = closed
            .iter()
            .filter(|entry| entry.ordinal() == position.ordinal);
        in_life.map(|entry| entry.last).max()
    };
    let settled = walk.settled.map(|noted| {
        let last = last_of(&noted).unwrap_or(noted.sequence);
        Position::new(noted.ordinal, noted.sequence.min(last))
    });
    // A prefix that lost all of this life's records ends where the life continues.
    let settled = match settled {
        Some(position)
            if position.ordinal == ordinal && position.sequence < start.opening.first =>
        {
            start.opening.continues
        }
        other => other,
    };
    let last_sequence = closed
        .iter()
        .map(|entry| entry.last)
        .max()
        .unwrap_or_default();
    let unsettled = walk
        .ranges
        .iter()
        .filter(|(position, _)| position.ordinal == ordinal && Some(*position) > settled)
        .map(|(_, range)| *range)
        .collect();
    let snapshot = JournalSnapshot {
        segments: closed.iter().cloned().collect(),
        ..JournalSnapshot::default()
    };
    Recovered {
        newest: Some(start),
        settled,
        last_sequence,
        clean: walk.clean && settled == Some(Position::new(ordinal, last_sequence)),
        open_sync: open_interval(&chain[suffix..], walk, settled),
        members: newest.head.members.clone(),
        unsettled,
        lives: snapshot.history(settled),
        records: walk.records,
    }
}

/// The interval that a new life must take up again: one that was begun, and whose end is not part
/// of the settled prefix. `chain` are the segments that were read; all before them is settled.
fn open_interval(
    chain: &[HeadedSegment],
    walk: &Walk,
    settled: Option<Position>,
) -> Option<SyncStart> {
    // Each life's own interval counts from its head on, whether or not its beginning was written.
    let mut open = chain.first().and_then(|oldest| oldest.head.open_sync);
    let mut events = walk.events.iter().peekable();
    for segment in chain {
        let head = &segment.head;
        let ordinal = head.start.opening.ordinal;
        while let Some((position, event)) = events.peek()
            && position.ordinal < ordinal
        {
            open = after_event(open, *position, event, settled);
            events.next();
        }
        if head.first == head.start.opening.first
            && let Some(sync) = head.start.sync
        {
            open = Some(sync);
        }
    }
    for (position, event) in events {
        open = after_event(open, *position, event, settled);
    }
    open
}

fn after_event(
    open: Option<SyncStart>,
    position: Position,
    event: &SyncEvent,
    settled: Option<Position>,
) -> Option<SyncStart> {
    match event {
        SyncEvent::End { .. } if Some(position) <= settled => None,
        _ => open,
    }
}
