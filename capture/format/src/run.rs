//! Runs: sorted extent tables over a span of batches, naming chunks by their place in the log.
//!
//! A run of level j covers 8^j adjacent batches. Inside it newer batches already won, so its
//! entries do not overlap. Runs are derived from the log and may be deleted and built again at any
//! time; this module owns only their bytes. Drawn in `docs/format/run.md`:
//!
//! ```text
//! header | entry pages | fence pages | footer | trailer
//! ```
//!
//! Every page is [`RUN_PAGE_BYTES`] long and carries its own checksum, so a damaged page is found
//! before any entry of it is used.

use crate::{
    GroupId, SECTOR_BYTES, StreamId, VolumeNumber,
    chunk::CHUNK_PLAIN_BYTES_MAX,
    codec::{DecodeError, Reader, Write, checked, seal_checksum},
};

const WHAT: &str = "run";

/// `RUN1` in little-endian order.
pub const RUN_MAGIC: u32 = 0x314e_5552;
/// The version this release writes and reads.
pub const RUN_VERSION: u16 = 1;
/// How many adjacent runs of one level become one run of the next.
pub const RUN_FANOUT: u64 = 8;
/// Bytes of one encoded entry.
pub const RUN_ENTRY_BYTES: usize = 32;
/// Bytes of one page of entries or fences.
pub const RUN_PAGE_BYTES: usize = 4096;
/// Bytes of the file header.
pub const RUN_HEADER_BYTES: usize = 128;
/// Bytes of the trailer, the last of the file.
pub const RUN_TRAILER_BYTES: usize = 16;
/// The longest footer, in bytes; checked before memory is taken.
pub const RUN_FOOTER_BYTES_MAX: usize = 16 << 20;
/// Entries in a full page.
pub const RUN_ENTRIES_PER_PAGE: usize = 127;
/// Fences in a full fence page.
pub const RUN_FENCES_PER_PAGE: usize = 254;
const PAGE_HEADER_BYTES: usize = 16;
const FENCE_BYTES: usize = 16;
const PAGE_MAGIC: u32 = 0x3147_5052;
const FENCE_PAGE_MAGIC: u32 = 0x3146_5052;
const FOOTER_MAGIC: u32 = 0x3154_4652;
const TRAILER_MAGIC: u32 = 0x3152_5452;

/// Where an entry's contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunContent {
    /// In a chunk of the log.
    Chunk(ChunkPlace),
    /// Zeroes.
    Zero,
    /// Unknown: the source could not read it back. Reading it is an error.
    Unknown,
}

/// A chunk's place in a lineage's log, and where in its plaintext an entry begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkPlace {
    /// The log segment's number.
    pub segment: u32,
    /// Where the chunk's header begins in the segment file, in bytes.
    pub chunk_offset: u32,
    /// Bytes of the chunk's header and sealed data.
    pub stored_length: u32,
    /// Where in the chunk's plaintext the entry begins, in bytes.
    pub inner_offset: u32,
}

/// One byte range of a volume and where its contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunEntry {
    /// The volume.
    pub volume: VolumeNumber,
    /// First byte; a multiple of [`SECTOR_BYTES`].
    pub offset: u64,
    /// Bytes; a multiple of [`SECTOR_BYTES`], never zero.
    pub length: u32,
    /// Its contents.
    pub content: RunContent,
}

impl RunEntry {
    /// The byte after the last.
    pub const fn end(&self) -> u64 {
        self.offset + self.length as u64
    }

    /// What runs are sorted by.
    pub const fn key(&self) -> (VolumeNumber, u64) {
        (self.volume, self.offset)
    }

    /// The part of the entry from byte `start` of the volume on. `start` lies inside the entry.
    #[must_use]
    pub fn from_offset(self, start: u64) -> Self {
        debug_assert!(self.offset <= start && start < self.end());
        let cut = (start - self.offset) as u32;
        let content = match self.content {
            RunContent::Chunk(place) => RunContent::Chunk(ChunkPlace {
                inner_offset: place.inner_offset + cut,
                ..place
            }),
            other => other,
        };
        Self {
            offset: start,
            length: self.length - cut,
            content,
            ..self
        }
    }

    /// The part of the entry before byte `end` of the volume. `end` lies inside the entry.
    #[must_use]
    pub fn until(self, end: u64) -> Self {
        debug_assert!(self.offset < end && end <= self.end());
        Self {
            length: (end - self.offset) as u32,
            ..self
        }
    }

    /// This entry and `next` as one, where they are adjacent and their contents continue.
    pub fn joined(&self, next: &Self) -> Option<Self> {
        if self.volume != next.volume || self.end() != next.offset {
            return None;
        }
        let continues = match (self.content, next.content) {
            (RunContent::Zero, RunContent::Zero) | (RunContent::Unknown, RunContent::Unknown) => {
                true
            }
            (RunContent::Chunk(left), RunContent::Chunk(right)) => {
                left.segment == right.segment
                    && left.chunk_offset == right.chunk_offset
                    && left.inner_offset + self.length == right.inner_offset
            }
            _ => false,
        };
        // A joined entry stays sector aligned, so the largest length is a sector short of 4 GiB.
        let length = self
            .length
            .checked_add(next.length)
            .filter(|length| *length <= u32::MAX - (SECTOR_BYTES as u32 - 1));
        length
            .filter(|_| continues)
            .map(|length| Self { length, ..*self })
    }

    /// Appends the encoded form, [`RUN_ENTRY_BYTES`] long.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let nowhere = ChunkPlace {
            segment: 0,
            chunk_offset: 0,
            stored_length: 0,
            inner_offset: 0,
        };
        let (kind, place) = match self.content {
            RunContent::Chunk(place) => (1, place),
            RunContent::Zero => (2, nowhere),
            RunContent::Unknown => (3, nowhere),
        };
        out.put_u16(self.volume.0);
        out.put_u8(kind);
        out.put_u8(0);
        out.put_u32(self.length);
        out.put_u64(self.offset);
        out.put_u32(place.segment);
        out.put_u32(place.chunk_offset);
        out.put_u32(place.stored_length);
        out.put_u32(place.inner_offset);
    }

    /// Reads one encoded entry.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let volume = VolumeNumber(reader.u16()?);
        let kind = reader.u8()?;
        reader.u8()?;
        let length = reader.u32()?;
        let offset = reader.u64()?;
        let place = ChunkPlace {
            segment: reader.u32()?,
            chunk_offset: reader.u32()?,
            stored_length: reader.u32()?,
            inner_offset: reader.u32()?,
        };
        let content = match kind {
            1 => RunContent::Chunk(place),
            2 => RunContent::Zero,
            3 => RunContent::Unknown,
            other => return Err(DecodeError::invalid(WHAT, format!("entry kind {other}"))),
        };
        let aligned =
            offset.is_multiple_of(SECTOR_BYTES) && u64::from(length).is_multiple_of(SECTOR_BYTES);
        let placed = match content {
            RunContent::Chunk(place) => place
                .inner_offset
                .checked_add(length)
                .is_some_and(|end| end <= CHUNK_PLAIN_BYTES_MAX),
            RunContent::Zero | RunContent::Unknown => true,
        };
        let bounded = length > 0 && offset.checked_add(u64::from(length)).is_some();
        if !aligned || !bounded || !placed {
            return Err(DecodeError::invalid(
                WHAT,
                format!("range {offset}+{length}"),
            ));
        }
        Ok(Self {
            volume,
            offset,
            length,
            content,
        })
    }
}

/// What a run is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunHeader {
    /// The group.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// The level; at least 1, because a batch is its own run of level 0.
    pub level: u8,
    /// Which of its level: it covers batches `index * 8^level` and up.
    pub index: u64,
    /// Number of the first batch it covers.
    pub first_batch: u64,
    /// Number of the last batch it covers.
    pub last_batch: u64,
}

impl RunHeader {
    /// The encoded form, [`RUN_HEADER_BYTES`] long.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(RUN_HEADER_BYTES);
        out.put_u32(RUN_MAGIC);
        out.put_u16(RUN_VERSION);
        out.put_u8(self.level);
        out.put_u8(0);
        out.put_u128(self.group.to_u128());
        out.put_u128(self.stream.to_u128());
        out.put_u64(self.index);
        out.put_u64(self.first_batch);
        out.put_u64(self.last_batch);
        out.resize(RUN_HEADER_BYTES - 4, 0);
        seal_checksum(&mut out, 0);
        out
    }

    /// Reads the first [`RUN_HEADER_BYTES`] of a run.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let head = Reader::new(WHAT, bytes).take(RUN_HEADER_BYTES)?;
        let mut reader = Reader::new(WHAT, head);
        reader.magic(RUN_MAGIC)?;
        reader.version(RUN_VERSION)?;
        let mut reader = Reader::new(WHAT, &checked(WHAT, head)?[6..]);
        let level = reader.u8()?;
        reader.u8()?;
        Ok(Self {
            level,
            group: GroupId::from_u128(reader.u128()?),
            stream: StreamId::from_u128(reader.u128()?),
            index: reader.u64()?,
            first_batch: reader.u64()?,
            last_batch: reader.u64()?,
        })
    }
}

/// The first key of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// The volume of the page's first entry.
    pub volume: VolumeNumber,
    /// The offset of the page's first entry.
    pub offset: u64,
}

/// Encodes entry page number `number`. It holds at most [`RUN_ENTRIES_PER_PAGE`] entries.
pub fn encode_entry_page(number: u32, entries: &[RunEntry]) -> Vec<u8> {
    assert!(
        entries.len() <= RUN_ENTRIES_PER_PAGE,
        "a page is written when it is full"
    );
    let mut body = Vec::with_capacity(RUN_PAGE_BYTES);
    entries.iter().for_each(|entry| entry.encode(&mut body));
    page(PAGE_MAGIC, number, entries.len(), &body)
}

/// Reads an entry page and checks that it is page `number`, sorted and without overlap.
pub fn decode_entry_page(number: u32, bytes: &[u8]) -> Result<Vec<RunEntry>, DecodeError> {
    let (count, mut reader) = open_page(PAGE_MAGIC, number, RUN_ENTRIES_PER_PAGE, bytes)?;
    let mut entries: Vec<RunEntry> = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = RunEntry::decode(&mut reader)?;
        if let Some(last) = entries.last()
            && (last.key() >= entry.key()
                || (last.volume == entry.volume && last.end() > entry.offset))
        {
            return Err(DecodeError::invalid(WHAT, "entries out of order"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Encodes fence page number `number`. It holds at most [`RUN_FENCES_PER_PAGE`] fences.
pub fn encode_fence_page(number: u32, fences: &[Fence]) -> Vec<u8> {
    assert!(
        fences.len() <= RUN_FENCES_PER_PAGE,
        "a page is written when it is full"
    );
    let mut body = Vec::with_capacity(RUN_PAGE_BYTES);
    fences.iter().for_each(|fence| put_fence(&mut body, fence));
    page(FENCE_PAGE_MAGIC, number, fences.len(), &body)
}

/// Reads a fence page and checks that it is page `number`.
pub fn decode_fence_page(number: u32, bytes: &[u8]) -> Result<Vec<Fence>, DecodeError> {
    let (count, mut reader) = open_page(FENCE_PAGE_MAGIC, number, RUN_FENCES_PER_PAGE, bytes)?;
    (0..count).map(|_| take_fence(&mut reader)).collect()
}

fn put_fence(out: &mut Vec<u8>, fence: &Fence) {
    out.put_u16(fence.volume.0);
    out.extend_from_slice(&[0; FENCE_BYTES - 10]);
    out.put_u64(fence.offset);
}

fn take_fence(reader: &mut Reader<'_>) -> Result<Fence, DecodeError> {
    let volume = VolumeNumber(reader.u16()?);
    reader.take(FENCE_BYTES - 10)?;
    Ok(Fence {
        volume,
        offset: reader.u64()?,
    })
}

fn page(magic: u32, number: u32, count: usize, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(RUN_PAGE_BYTES);
    out.put_u32(magic);
    out.put_u32(number);
    out.put_u32(count as u32);
    out.extend_from_slice(body);
    out.resize(RUN_PAGE_BYTES - 4, 0);
    seal_checksum(&mut out, 0);
    debug_assert_eq!(out.len(), RUN_PAGE_BYTES);
    out
}

fn open_page(
    magic: u32,
    number: u32,
    limit: usize,
    bytes: &[u8],
) -> Result<(usize, Reader<'_>), DecodeError> {
    let what = "run page";
    if bytes.len() != RUN_PAGE_BYTES {
        return Err(DecodeError::Truncated {
            what,
            needed: RUN_PAGE_BYTES,
            available: bytes.len(),
        });
    }
    let mut reader = Reader::new(what, checked(what, bytes)?);
    reader.magic(magic)?;
    let found = reader.u32()?;
    let count = reader.u32()? as usize;
    if found != number || count > limit || count == 0 {
        return Err(DecodeError::invalid(
            what,
            format!("page {found} with {count} items stands where page {number} belongs"),
        ));
    }
    Ok((count, reader))
}

/// How much of a volume a run touches: nothing outside `first..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Coverage {
    /// The volume.
    pub volume: VolumeNumber,
    /// The first byte touched.
    pub first: u64,
    /// The byte after the last one touched.
    pub end: u64,
}

/// What stands at a run's end: all that must be read to open it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFooter {
    /// How many entries the run has.
    pub entries: u64,
    /// How many entry pages it has.
    pub entry_pages: u32,
    /// How many fence pages follow them.
    pub fence_pages: u32,
    /// What it touches, by volume.
    pub coverage: Vec<Coverage>,
    /// The first fence of each fence page.
    pub roots: Vec<Fence>,
}

impl RunFooter {
    /// Appends footer and trailer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u32(FOOTER_MAGIC);
        out.put_u64(self.entries);
        out.put_u32(self.entry_pages);
        out.put_u32(self.fence_pages);
        out.put_u32(self.coverage.len() as u32);
        out.put_u32(self.roots.len() as u32);
        for coverage in &self.coverage {
            out.put_u16(coverage.volume.0);
            out.put_u64(coverage.first);
            out.put_u64(coverage.end);
        }
        self.roots.iter().for_each(|fence| put_fence(out, fence));
        seal_checksum(out, start);
        let length = (out.len() - start) as u32;
        let trailer = out.len();
        out.put_u32(TRAILER_MAGIC);
        out.put_u32(length);
        out.put_u32(0);
        seal_checksum(out, trailer);
    }

    /// Reads the trailer, the last [`RUN_TRAILER_BYTES`] of a run: the footer's length in bytes.
    pub fn length_from_trailer(bytes: &[u8]) -> Result<usize, DecodeError> {
        let what = "run trailer";
        let bytes = Reader::new(what, bytes).take(RUN_TRAILER_BYTES)?;
        let mut reader = Reader::new(what, checked(what, bytes)?);
        reader.magic(TRAILER_MAGIC)?;
        let length = reader.u32()? as usize;
        if length > RUN_FOOTER_BYTES_MAX {
            return Err(DecodeError::invalid(
                what,
                format!("a footer of {length} bytes"),
            ));
        }
        Ok(length)
    }

    /// Reads a footer.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let what = "run footer";
        let mut reader = Reader::new(what, checked(what, bytes)?);
        reader.magic(FOOTER_MAGIC)?;
        let mut footer = Self {
            entries: reader.u64()?,
            entry_pages: reader.u32()?,
            fence_pages: reader.u32()?,
            ..Self::default()
        };
        let coverage = reader.u32()? as usize;
        let roots = reader.u32()? as usize;
        let plausible = coverage <= usize::from(u16::MAX) + 1
            && roots == footer.fence_pages as usize
            && coverage * 18 + roots * FENCE_BYTES == reader.rest().len();
        if !plausible {
            return Err(DecodeError::invalid(
                what,
                format!("{coverage} volumes, {roots} fence pages"),
            ));
        }
        for _ in 0..coverage {
            footer.coverage.push(Coverage {
                volume: VolumeNumber(reader.u16()?),
                first: reader.u64()?,
                end: reader.u64()?,
            });
        }
        for _ in 0..roots {
            footer.roots.push(take_fence(&mut reader)?);
        }
        reader.finish()?;
        Ok(footer)
    }

    /// What the run touches of one volume.
    pub fn coverage_of(&self, volume: VolumeNumber) -> Option<Coverage> {
        self.coverage
            .iter()
            .find(|coverage| coverage.volume == volume)
            .copied()
    }

    /// Where entry page `number` begins in the file.
    pub const fn entry_page_offset(number: u32) -> u64 {
        RUN_HEADER_BYTES as u64 + number as u64 * RUN_PAGE_BYTES as u64
    }

    /// Where fence page `number` begins in the file.
    pub const fn fence_page_offset(&self, number: u32) -> u64 {
        Self::entry_page_offset(self.entry_pages + number)
    }

    /// Where the footer begins in the file.
    pub const fn footer_offset(&self) -> u64 {
        Self::entry_page_offset(self.entry_pages + self.fence_pages)
    }
}

const _: () = assert!(
    PAGE_HEADER_BYTES + RUN_ENTRIES_PER_PAGE * RUN_ENTRY_BYTES <= RUN_PAGE_BYTES
        && PAGE_HEADER_BYTES + RUN_FENCES_PER_PAGE * FENCE_BYTES <= RUN_PAGE_BYTES
);

#[cfg(test)]
mod tests;
