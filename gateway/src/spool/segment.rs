//! One segment file of the spool: appending to it, and listing it when the spool is opened.

use super::{
    Contents, Found, SpoolLocation,
    entry::{
        ENTRY_HEADER_BYTES, EntryHeader, EntryKind, SEGMENT_HEADER_BYTES, check_segment_header,
        decode_key, entry_header, key_body, segment_header,
    },
};
use bcdr_disk::{DiskError, File};
use bcdr_format::{DataKeyId, DecodeError, batch::BatchLayout};
use std::{collections::HashSet, sync::Arc};

const PREFIX: &str = "spool-";
const SUFFIX: &str = ".segment";

/// The file name of segment `number`.
pub(super) fn name(number: u64) -> String {
    format!("{PREFIX}{number:016x}{SUFFIX}")
}

/// The number in a segment's file name.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    u64::from_str_radix(digits, 16).ok()
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) length: u64,
    /// Batches in it that were not let go.
    pub(super) batches: u64,
    /// Whether it takes no more.
    pub(super) closed: bool,
    keys: HashSet<DataKeyId>,
}

impl Segment {
    pub(super) fn empty(number: u64, file: Arc<dyn File>) -> Self {
        Self {
            number,
            file,
            length: 0,
            batches: 0,
            closed: false,
            keys: HashSet::new(),
        }
    }

    /// Writes its header.
    pub(super) fn begin(&mut self) -> Result<(), DiskError> {
        let header = segment_header(self.number);
        self.file.write_all_at(&header, 0)?;
        self.length = header.len() as u64;
        Ok(())
    }

    pub(super) fn append_batch(&mut self, bytes: &[u8]) -> Result<SpoolLocation, DiskError> {
        let offset = self.append(EntryKind::Batch, bytes)?;
        Ok(SpoolLocation {
            segment: self.number,
            offset,
            length: bytes.len() as u32,
        })
    }

    pub(super) fn append_key(&mut self, id: DataKeyId, wrapped: &[u8]) -> Result<(), DiskError> {
        if self.keys.insert(id) {
            self.append(EntryKind::Key, &key_body(id, wrapped))?;
        }
        Ok(())
    }

    fn append(&mut self, kind: EntryKind, body: &[u8]) -> Result<u64, DiskError> {
        let header = entry_header(kind, body);
        self.file
            .write_vectored_all_at(&[&header, body], self.length)?;
        let offset = self.length + header.len() as u64;
        self.length = offset + body.len() as u64;
        Ok(offset)
    }
}

/// What a segment found at start is good for.
pub(super) enum Scanned {
    /// Its batches and keys are listed. It takes no more batches: what follows its last valid
    /// entry is a torn append, and appending behind that would hide new entries.
    Listed(Segment),
    /// A newer release wrote it; this one leaves it alone.
    Newer,
}

/// Lists a segment found at start.
pub(super) fn scan(number: u64, file: Arc<dyn File>, contents: &mut Contents) -> Scanned {
    let mut segment = Segment {
        number,
        length: 0,
        file,
        batches: 0,
        closed: true,
        keys: HashSet::new(),
    };
    let mut offset = 0;
    let ended = loop {
        match next_entry(&mut segment, offset, contents) {
            Ok(Some(next)) => offset = next,
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    if let Some(error) = ended {
        let path = segment.file.path().display();
        contents.remarks.push(format!(
            "spool segment {path} ends at byte {offset}: {error}"
        ));
        if let Unreadable::Format(DecodeError::Version { .. }) = error
            && offset == 0
        {
            return Scanned::Newer;
        }
    }
    Scanned::Listed(segment)
}

/// Why a segment's list ends where it does.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Format(#[from] DecodeError),
}

/// Reads the header at 0 or the entry at `offset`; returns where the next one begins.
fn next_entry(
    segment: &mut Segment,
    offset: u64,
    contents: &mut Contents,
) -> Result<Option<u64>, Unreadable> {
    if offset == 0 {
        segment.length = segment.file.length()?;
        let mut header = [0; SEGMENT_HEADER_BYTES];
        read(segment, &mut header, 0)?;
        check_segment_header(&header, segment.number)?;
        return Ok(Some(header.len() as u64));
    }
    if offset == segment.length {
        return Ok(None);
    }
    let mut header = [0; ENTRY_HEADER_BYTES];
    read(segment, &mut header, offset)?;
    let header = EntryHeader::decode(&header)?;
    let body_offset = offset + ENTRY_HEADER_BYTES as u64;
    let next = body_offset + u64::from(header.length);
    check_room(segment, body_offset, u64::from(header.length))?;
    let mut body = vec![0; header.length as usize];
    read(segment, &mut body, body_offset)?;
    header.check_body(&body)?;
    match header.kind {
        EntryKind::Key => contents.keys.push(decode_key(&body)?),
        EntryKind::Batch => {
            let layout = BatchLayout::parse(&body)?;
            segment.batches += 1;
            contents.batches.push(Found {
                location: SpoolLocation {
                    segment: segment.number,
                    offset: body_offset,
                    length: header.length,
                },
                arriving: layout.header.arriving(),
                generation: layout.header.generation,
                keys: layout.data_keys(),
                sync_events: layout.header.sync_events,
            });
        }
    }
    Ok(Some(next))
}

fn read(segment: &Segment, buffer: &mut [u8], offset: u64) -> Result<(), Unreadable> {
    check_room(segment, offset, buffer.len() as u64)?;
    Ok(segment.file.read_exact_at(buffer, offset)?)
}

fn check_room(segment: &Segment, offset: u64, length: u64) -> Result<(), DecodeError> {
    let available = segment.length.saturating_sub(offset);
    if available < length {
        return Err(DecodeError::Truncated {
            what: "spool entry",
            needed: usize::try_from(length).unwrap_or(usize::MAX),
            available: usize::try_from(available).unwrap_or(usize::MAX),
        });
    }
    Ok(())
}
