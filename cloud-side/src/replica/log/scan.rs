//! Reading a log from a place to its end, and telling a torn tail from damage.

use super::{
    Damage, Entry, EntryPlace, LogError, LogReader,
    entry::{
        ENTRY_ALIGNMENT, ENTRY_HEADER_BYTES, ENTRY_MAGIC, EntryHeader, EntrySite, entry_bytes,
    },
    segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_number, segment_path},
};
use crate::catalog::LogPosition;
use bcdr_disk::{Access, DiskErrorKind, File};
use bcdr_format::Timestamp;
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// One entry read back.
#[derive(Debug)]
pub struct Scanned {
    /// The entry.
    pub entry: Entry,
    /// How much of its segment was synced when it was written.
    pub synced: u64,
    /// Where its body is.
    pub place: EntryPlace,
    /// Where it begins.
    pub position: LogPosition,
    /// Where the next one begins.
    pub next: LogPosition,
}

/// How a scan ended.
#[derive(Debug)]
pub struct ScanEnd {
    /// Where the log ends: the place after its last good entry.
    pub end: LogPosition,
    /// The last segment's number, and the end of it that the next segment's header must name.
    pub last_segment: Option<u32>,
    /// Bytes after the end of the last segment that a crash left behind.
    pub torn_bytes: u64,
    /// Damage to acknowledged bytes; nothing behind it was read.
    pub damage: Option<Damage>,
}

/// Reads entries from `from` on, or from the log's start, and hands each to `visit`. An entry that
/// `visit` refuses with a reason is damage.
pub fn scan(
    reader: &LogReader,
    from: Option<LogPosition>,
    mut visit: impl FnMut(Scanned) -> Result<(), String>,
) -> Result<ScanEnd, LogError> {
    let segments = open_segments(reader, from)?;
    let mut end = from.unwrap_or(LogPosition {
        segment: 0,
        offset: SEGMENT_HEADER_BYTES,
    });
    let mut doubtful_from = end.offset;
    let mut result = ScanEnd {
        end,
        last_segment: segments.files.keys().next_back().copied(),
        torn_bytes: 0,
        damage: segments.damage.clone(),
    };
    for (number, segment) in &segments.files {
        let start = match from {
            Some(from) if from.segment == *number => from.offset,
            _ => SEGMENT_HEADER_BYTES,
        };
        let next = number
            .checked_add(1)
            .and_then(|next| segments.files.get(&next));
        let stop = match next {
            Some(next) => next.header.previous_end,
            None => segment.file.length()?,
        };
        let pass = Pass {
            reader,
            number: *number,
            file: &*segment.file,
            stop,
            sealed: next.is_some(),
        };
        end = LogPosition {
            segment: *number,
            offset: start,
        };
        // Until an entry says that something before it was synced, not even the header is certain:
        // the process that began the segment may have died of the sync that failed.
        doubtful_from = if start == SEGMENT_HEADER_BYTES {
            0
        } else {
            start
        };
        let damage = pass.run(&mut end.offset, &mut |scanned| {
            doubtful_from = scanned.synced.max(start);
            visit(scanned)
        })?;
        result.end = end;
        if let Some(damage) = damage {
            result.damage = Some(damage);
            return Ok(result);
        }
        result.torn_bytes = stop.saturating_sub(end.offset);
    }
    if let (None, Some(from)) = (&result.damage, from)
        && result.end < from
    {
        result.damage = Some(missing(
            reader,
            from,
            "the log ends before what was acknowledged",
        ));
    }
    if result.damage.is_none() && result.last_segment.is_some() {
        settle_tail(reader, doubtful_from, result.end)?;
    }
    Ok(result)
}

/// Makes what was read from the last segment's end durable. Entries that a killed process wrote and
/// never synced are read from the page cache, and after a failed sync the kernel takes such pages
/// for clean: so the same bytes are written once more in place before they are synced. The last
/// segment's name may not be durable either, and from here on positions in it are relied on.
fn settle_tail(reader: &LogReader, doubtful_from: u64, end: LogPosition) -> Result<(), LogError> {
    const STEP_BYTES: u64 = 1 << 20;
    reader.storage().sync_directory(reader.directory())?;
    if doubtful_from >= end.offset {
        return Ok(());
    }
    let path = segment_path(reader.directory(), end.segment);
    let file = reader.storage().open(&path, Access::write())?;
    let mut offset = doubtful_from;
    while offset < end.offset {
        let mut bytes = vec![0; STEP_BYTES.min(end.offset - offset) as usize];
        file.read_exact_at(&mut bytes, offset)?;
        file.write_all_at(&bytes, offset)?;
        offset += bytes.len() as u64;
    }
    Ok(file.sync_all()?)
}

/// When the lineage was made, as its first segment says; none while it has no segment.
pub(crate) fn first_since(reader: &LogReader) -> Result<Option<Timestamp>, LogError> {
    let path = segment_path(reader.directory(), 1);
    if !reader.storage().exists(&path)? {
        return Ok(None);
    }
    let file = reader.storage().open(&path, Access::read())?;
    Ok(read_header(reader, 1, &*file)?
        .ok()
        .map(|header| header.since))
}

struct OpenSegment {
    file: Arc<dyn File>,
    header: SegmentHeader,
}

struct OpenSegments {
    files: BTreeMap<u32, OpenSegment>,
    damage: Option<Damage>,
}

/// Opens the segments from `from` on, in order, up to the first that is missing or unreadable. A
/// last segment that a crash interrupted before its first entry is removed.
fn open_segments(reader: &LogReader, from: Option<LogPosition>) -> Result<OpenSegments, LogError> {
    let names = match reader.storage().list(reader.directory()) {
        Err(error) if error.kind() == DiskErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| segment_number(name))
        .collect();
    numbers.sort_unstable();
    let first = from.map_or(1, |from| from.segment);
    numbers.retain(|number| *number >= first);
    let mut found = OpenSegments {
        files: BTreeMap::new(),
        damage: None,
    };
    let mut expected = first;
    for number in &numbers {
        let at = LogPosition {
            segment: expected,
            offset: 0,
        };
        if *number != expected {
            found.damage = Some(missing(reader, at, "the segment is missing"));
            return Ok(found);
        }
        let path = segment_path(reader.directory(), *number);
        let file = reader.storage().open(&path, Access::read())?;
        let last = numbers.last() == Some(number);
        match read_header(reader, *number, &*file)? {
            Ok(header) => {
                found.files.insert(*number, OpenSegment { file, header });
            }
            // Its header is synced before anything follows it: without anything it held nothing.
            Err(_) if last && file.length()? <= SEGMENT_HEADER_BYTES => {
                reader.storage().remove(&path)?;
                reader.storage().sync_directory(reader.directory())?;
            }
            Err(reason) => {
                found.damage = Some(missing(reader, at, &reason));
                return Ok(found);
            }
        }
        expected = number.saturating_add(1);
    }
    // A checkpoint taken before the first entry names the first segment's start.
    if found.files.is_empty()
        && let Some(from) = from
        && (from.segment > 1 || from.offset > SEGMENT_HEADER_BYTES)
    {
        found.damage = Some(missing(reader, from, "the segment is missing"));
    }
    Ok(found)
}

fn read_header(
    reader: &LogReader,
    number: u32,
    file: &dyn File,
) -> Result<Result<SegmentHeader, String>, LogError> {
    let mut bytes = vec![0; SEGMENT_HEADER_BYTES as usize];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == DiskErrorKind::ShortRead => {
            return Ok(Err(error.to_string()));
        }
        other => other?,
    }
    let header = match SegmentHeader::decode(&bytes) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if header.number != number || header.lineage != reader.lineage() {
        return Ok(Err(format!(
            "it says it is segment {} of {}",
            header.number, header.lineage
        )));
    }
    Ok(Ok(header))
}

fn missing(reader: &LogReader, position: LogPosition, reason: &str) -> Damage {
    Damage {
        path: segment_path(reader.directory(), position.segment),
        position,
        batch: None,
        reason: reason.to_owned(),
    }
}

struct Pass<'a> {
    reader: &'a LogReader,
    number: u32,
    file: &'a dyn File,
    stop: u64,
    /// Whether a later segment says where this one ends.
    sealed: bool,
}

impl Pass<'_> {
    fn run(
        &self,
        offset: &mut u64,
        visit: &mut impl FnMut(Scanned) -> Result<(), String>,
    ) -> Result<Option<Damage>, LogError> {
        while *offset < self.stop {
            let scanned = match self.read_entry(*offset)? {
                Ok(scanned) => scanned,
                Err(reason) => return self.explain(*offset, reason),
            };
            let next = scanned.next.offset;
            if let Err(reason) = visit(scanned) {
                return Ok(Some(self.damage(*offset, reason)));
            }
            *offset = next;
        }
        if *offset > self.stop {
            let reason = "it ends before what was acknowledged".into();
            return Ok(Some(self.damage(self.stop, reason)));
        }
        Ok(None)
    }

    fn site(&self, offset: u64) -> EntrySite {
        EntrySite {
            lineage: self.reader.lineage(),
            segment: self.number,
            offset,
        }
    }

    fn read_entry(&self, offset: u64) -> Result<Result<Scanned, String>, LogError> {
        let Some(head) = self.bytes(offset, ENTRY_HEADER_BYTES)? else {
            return Ok(Err("an entry's header is cut off".into()));
        };
        let header = match EntryHeader::decode(&head, &self.site(offset)) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let body_offset = offset + ENTRY_HEADER_BYTES;
        let next = offset + entry_bytes(u64::from(header.body_bytes));
        // Its padding belongs to it: a commit syncs it as well.
        if next > self.stop {
            return Ok(Err("an entry's body is cut off".into()));
        }
        let mut body = vec![0; header.body_bytes as usize];
        self.file.read_exact_at(&mut body, body_offset)?;
        if crc32fast::hash(&body) != header.body_crc {
            return Ok(Err("an entry's body fails its checksum".into()));
        }
        let entry = match Entry::decode(&header, Bytes::from(body)) {
            Ok(entry) => entry,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let at = |offset| LogPosition {
            segment: self.number,
            offset,
        };
        Ok(Ok(Scanned {
            entry,
            synced: header.synced,
            place: EntryPlace {
                segment: self.number,
                body_offset,
                body_bytes: header.body_bytes,
            },
            position: at(offset),
            next: at(next),
        }))
    }

    fn bytes(&self, offset: u64, length: u64) -> Result<Option<Vec<u8>>, LogError> {
        if offset.checked_add(length).is_none_or(|end| end > self.stop) {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(Some(bytes))
    }

    /// An unreadable entry in a segment that a later one sealed was acknowledged. In the last one it
    /// is a torn tail, unless a later entry says that this place was synced before it was written.
    fn explain(&self, offset: u64, reason: String) -> Result<Option<Damage>, LogError> {
        if self.sealed || self.synced_beyond(offset)? {
            return Ok(Some(self.damage(offset, reason)));
        }
        Ok(None)
    }

    fn synced_beyond(&self, offset: u64) -> Result<bool, LogError> {
        const WINDOW_BYTES: u64 = 1 << 20;
        let mut window_start = offset + ENTRY_ALIGNMENT;
        while window_start < self.stop {
            let length = WINDOW_BYTES.min(self.stop - window_start);
            let Some(window) = self.bytes(window_start, length)? else {
                return Ok(false);
            };
            for (place, word) in window.chunks_exact(ENTRY_ALIGNMENT as usize).enumerate() {
                if word[..4] != ENTRY_MAGIC.to_le_bytes() {
                    continue;
                }
                let candidate = window_start + place as u64 * ENTRY_ALIGNMENT;
                let header = self
                    .bytes(candidate, ENTRY_HEADER_BYTES)?
                    .and_then(|head| EntryHeader::decode(&head, &self.site(candidate)).ok());
                if header.is_some_and(|header| header.synced > offset) {
                    return Ok(true);
                }
            }
            window_start += WINDOW_BYTES;
        }
        Ok(false)
    }

    fn damage(&self, offset: u64, reason: String) -> Damage {
        Damage {
            path: segment_path(self.reader.directory(), self.number),
            position: LogPosition {
                segment: self.number,
                offset,
            },
            batch: None,
            reason,
        }
    }
}
