//! Batches: contiguous settled records of one incarnation, coalesced, applied atomically.
//!
//! Newer records overwrite older ones inside a batch, so its extents are what the volumes hold
//! after its last record wherever it touches them. The encoded bytes are the same in the gateway's
//! spool, on the wire and in the receiver's log. Drawn in `docs/format/batch.md`:
//!
//! ```text
//! prefix (32) | header + crc | extents, chunk directory + crc | MAC (32) | chunks + crc
//! ```
//!
//! The MAC authenticates prefix, header and tables, chained to the previous batch's MAC; this
//! module places it, the wire crate computes it.

use crate::{
    DataKeyId, GroupId, IncarnationId, Opening, Sequence, StreamId, Timestamp,
    chunk::{CHUNK_HEADER_BYTES, CHUNK_PLAIN_BYTES_MAX, ChunkHeader, ChunkId, TAG_BYTES},
    codec::{DecodeError, Reader, Write, checked, seal_checksum},
    continuity::Arriving,
    extent::{Content, EXTENT_BYTES, Extent, check_order},
    incarnation::IncarnationOrdinal,
    position::{Generation, Position},
    record::{Beat, LABEL_BYTES_MAX, Marker, Member},
    sync::SyncEvent,
};

const WHAT: &str = "batch";

/// `BAT1` in little-endian order.
pub const BATCH_MAGIC: u32 = 0x3154_4142;
/// The version this release writes and reads.
pub const BATCH_VERSION: u16 = 1;
/// Bytes of the prefix.
pub const BATCH_PREFIX_BYTES: usize = 32;
/// Bytes of the MAC.
pub const MAC_BYTES: usize = 32;
/// The most bytes an encoded batch has.
pub const BATCH_BYTES_MAX: usize = 24 << 20;
/// The most extents a batch has.
pub const BATCH_EXTENTS_MAX: u32 = 1 << 17;
/// Bytes of one entry in the chunk directory.
pub const CHUNK_ENTRY_BYTES: usize = 32;
const HEADER_BYTES_MAX: usize = 1 << 20;
const LIST_LENGTH_MAX: usize = 4096;

/// What a batch says besides its data. Readable without any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHeader {
    /// The group it belongs to.
    pub group: GroupId,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// The generation its gateway's session ships under.
    pub generation: Generation,
    /// Its incarnation.
    pub ordinal: IncarnationOrdinal,
    /// Its incarnation's identity.
    pub incarnation: IncarnationId,
    /// How the incarnation began; on the first batch of each.
    pub opening: Option<Opening>,
    /// Its first record.
    pub first: Sequence,
    /// Its last record.
    pub last: Sequence,
    /// When its last record was captured, moved to the gateway's clock.
    pub captured_at: Timestamp,
    /// Bytes the application and scans wrote, before newer ones replaced older ones.
    pub written_bytes: u64,
    /// Members told in it.
    pub members: Vec<Member>,
    /// Sync intervals begun and ended in it, in order.
    pub sync_events: Vec<SyncEvent>,
    /// The marker that is its last record, if it is one.
    pub marker: Option<Marker>,
    /// The newest beat in it.
    pub beat: Option<Beat>,
}

impl BatchHeader {
    /// The position it ends at.
    pub const fn end(&self) -> Position {
        Position::new(self.ordinal, self.last)
    }

    /// What the continuity rule needs to know of it.
    pub const fn arriving(&self) -> Arriving {
        Arriving {
            ordinal: self.ordinal,
            id: self.incarnation,
            opening: self.opening,
            first: self.first,
            last: self.last,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u128(self.group.to_u128());
        out.put_u128(self.stream.to_u128());
        out.put_u64(self.generation.0);
        out.put_u32(self.ordinal.0);
        out.put_u128(self.incarnation.to_u128());
        out.put_u64(self.first.0);
        out.put_u64(self.last.0);
        out.put_i64(self.captured_at.0);
        out.put_u64(self.written_bytes);
        out.put_u8(u8::from(self.opening.is_some()));
        out.put_u8(u8::from(self.marker.is_some()));
        out.put_u8(u8::from(self.beat.is_some()));
        out.put_u16(self.members.len() as u16);
        out.put_u16(self.sync_events.len() as u16);
        if let Some(opening) = &self.opening {
            opening.encode(out);
        }
        if let Some(marker) = &self.marker {
            marker.encode(out);
        }
        if let Some(beat) = &self.beat {
            beat.encode(out);
        }
        self.members.iter().for_each(|member| member.encode(out));
        self.sync_events.iter().for_each(|event| event.encode(out));
        seal_checksum(out, start);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let what = "batch header";
        let mut reader = Reader::new(what, checked(what, bytes)?);
        let mut header = Self {
            group: GroupId::from_u128(reader.u128()?),
            stream: StreamId::from_u128(reader.u128()?),
            generation: Generation(reader.u64()?),
            ordinal: IncarnationOrdinal(reader.u32()?),
            incarnation: IncarnationId::from_u128(reader.u128()?),
            opening: None,
            first: Sequence(reader.u64()?),
            last: Sequence(reader.u64()?),
            captured_at: Timestamp(reader.i64()?),
            written_bytes: reader.u64()?,
            members: Vec::new(),
            sync_events: Vec::new(),
            marker: None,
            beat: None,
        };
        let flags = [reader.u8()?, reader.u8()?, reader.u8()?];
        if flags.iter().any(|flag| *flag > 1) {
            return Err(DecodeError::invalid(
                what,
                format!("presence bytes {flags:?}"),
            ));
        }
        let members = usize::from(reader.u16()?);
        let sync_events = usize::from(reader.u16()?);
        if members > LIST_LENGTH_MAX || sync_events > LIST_LENGTH_MAX {
            return Err(DecodeError::invalid(
                what,
                format!("{members} members and {sync_events} sync events"),
            ));
        }
        if flags[0] == 1 {
            header.opening = Some(Opening::decode(&mut reader)?);
        }
        if flags[1] == 1 {
            header.marker = Some(Marker::decode(&mut reader)?);
        }
        if flags[2] == 1 {
            header.beat = Some(Beat::decode(&mut reader)?);
        }
        for _ in 0..members {
            header.members.push(Member::decode(&mut reader)?);
        }
        for _ in 0..sync_events {
            header.sync_events.push(SyncEvent::decode(&mut reader)?);
        }
        reader.finish()?;
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), DecodeError> {
        let what = "batch header";
        if self.members.len() > LIST_LENGTH_MAX || self.sync_events.len() > LIST_LENGTH_MAX {
            let (members, events) = (self.members.len(), self.sync_events.len());
            return Err(DecodeError::invalid(
                what,
                format!("{members} members and {events} sync events"),
            ));
        }
        if let Some(opening) = &self.opening {
            opening.check()?;
        }
        if let Some(marker) = &self.marker
            && marker.label.len() > LABEL_BYTES_MAX
        {
            return Err(DecodeError::invalid(
                what,
                format!("a label of {} bytes", marker.label.len()),
            ));
        }
        if self.first < Sequence::FIRST || self.last < self.first || self.last == Sequence::LIMIT {
            return Err(DecodeError::invalid(
                what,
                format!("records {} to {}", self.first, self.last),
            ));
        }
        let foreign = self.opening.is_some_and(|opening| {
            opening.ordinal != self.ordinal
                || opening.id != self.incarnation
                || opening.first != self.first
        });
        if foreign {
            return Err(DecodeError::invalid(
                what,
                "it carries another incarnation's opening",
            ));
        }
        Ok(())
    }
}

/// A chunk of a batch, as the directory lists it: authenticated by the batch's MAC, so that one
/// valid chunk cannot stand in for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk's identity.
    pub id: ChunkId,
    /// Where its header begins, in bytes from the start of the chunk region.
    pub offset: u32,
    /// Bytes of header and sealed data.
    pub stored_length: u32,
}

/// A sealed chunk on its way into a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedChunk {
    /// Its header.
    pub header: ChunkHeader,
    /// Its sealed bytes, [`ChunkHeader::sealed_length`] of them.
    pub sealed: Vec<u8>,
}

/// Encodes a batch with an empty MAC. Fails where [`BatchLayout::parse`] would refuse the result.
pub fn encode(
    header: &BatchHeader,
    extents: &[Extent],
    chunks: &[SealedChunk],
) -> Result<Vec<u8>, DecodeError> {
    header.check()?;
    check_order(extents)?;
    check_chunks(extents, chunks)?;
    let chunk_bytes: usize = chunks
        .iter()
        .map(|chunk| chunk.header.stored_length())
        .sum();
    let mut header_section = Vec::with_capacity(256);
    header.encode(&mut header_section);
    let table_bytes = extents.len() * EXTENT_BYTES + chunks.len() * CHUNK_ENTRY_BYTES + 4;
    let total =
        BATCH_PREFIX_BYTES + header_section.len() + table_bytes + MAC_BYTES + chunk_bytes + 4;
    let too_large = total > BATCH_BYTES_MAX
        || header_section.len() > HEADER_BYTES_MAX
        || extents.len() > BATCH_EXTENTS_MAX as usize;
    if too_large {
        return Err(DecodeError::invalid(
            WHAT,
            format!("{total} bytes with {} extents", extents.len()),
        ));
    }
    let mut out = Vec::with_capacity(total);
    out.put_u32(BATCH_MAGIC);
    out.put_u16(BATCH_VERSION);
    out.put_u16(0);
    out.put_u32(header_section.len() as u32);
    out.put_u32(extents.len() as u32);
    out.put_u32(chunks.len() as u32);
    out.put_u32(chunk_bytes as u32);
    out.put_u32(0);
    seal_checksum(&mut out, 0);
    out.extend_from_slice(&header_section);

    let tables = out.len();
    extents.iter().for_each(|extent| extent.encode(&mut out));
    let mut offset = 0;
    for chunk in chunks {
        out.put_u128(chunk.header.id.key.to_u128());
        out.put_u64(chunk.header.id.counter);
        out.put_u32(offset);
        out.put_u32(chunk.header.stored_length() as u32);
        offset += chunk.header.stored_length() as u32;
    }
    seal_checksum(&mut out, tables);
    out.extend_from_slice(&[0; MAC_BYTES]);

    let region = out.len();
    for chunk in chunks {
        chunk.header.encode(&mut out);
        out.extend_from_slice(&chunk.sealed);
    }
    seal_checksum(&mut out, region);
    debug_assert_eq!(out.len(), total);
    Ok(out)
}

fn check_chunks(extents: &[Extent], chunks: &[SealedChunk]) -> Result<(), DecodeError> {
    for chunk in chunks {
        chunk.header.check()?;
        if chunk.sealed.len() != chunk.header.sealed_length as usize {
            return Err(DecodeError::invalid(WHAT, "a chunk of another length"));
        }
    }
    check_placement(extents, |index| {
        chunks.get(index).map(|chunk| chunk.header.plain_length)
    })
}

/// Refuses extents that lie outside their chunk's plaintext.
fn check_placement(
    extents: &[Extent],
    plain_length: impl Fn(usize) -> Option<u32>,
) -> Result<(), DecodeError> {
    for extent in extents {
        if let Content::Chunk { index, offset } = extent.content {
            let end = offset.checked_add(extent.length);
            let length = plain_length(index as usize);
            if end.zip(length).is_none_or(|(end, length)| end > length) {
                return Err(DecodeError::invalid(WHAT, "an extent outside its chunk"));
            }
        }
    }
    Ok(())
}

/// The lengths in a batch's prefix: enough to know how many bytes to read, checked against the
/// limits before any of them is trusted with memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPrefix {
    header_bytes: usize,
    extents: usize,
    chunks: usize,
    chunk_bytes: usize,
}

impl BatchPrefix {
    /// Reads the first [`BATCH_PREFIX_BYTES`] of a batch.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let head = Reader::new(WHAT, bytes).take(BATCH_PREFIX_BYTES)?;
        let mut reader = Reader::new(WHAT, head);
        reader.magic(BATCH_MAGIC)?;
        reader.version(BATCH_VERSION)?;
        let mut reader = Reader::new(WHAT, &checked(WHAT, head)?[6..]);
        let reserved = reader.u16()?;
        let prefix = Self {
            header_bytes: reader.u32()? as usize,
            extents: reader.u32()? as usize,
            chunks: reader.u32()? as usize,
            chunk_bytes: reader.u32()? as usize,
        };
        if (reserved, reader.u32()?) != (0, 0) {
            return Err(DecodeError::invalid(WHAT, "reserved bytes that are not 0"));
        }
        let chunk_bytes_min = CHUNK_HEADER_BYTES + TAG_BYTES as usize + 1;
        let plausible = prefix.header_bytes <= HEADER_BYTES_MAX
            && prefix.extents <= BATCH_EXTENTS_MAX as usize
            && prefix.chunk_bytes <= BATCH_BYTES_MAX
            && prefix.chunks <= prefix.chunk_bytes / chunk_bytes_min
            && prefix.total_bytes() <= BATCH_BYTES_MAX;
        if !plausible {
            return Err(DecodeError::invalid(WHAT, format!("lengths {prefix:?}")));
        }
        Ok(prefix)
    }

    /// Bytes of the whole batch.
    pub const fn total_bytes(&self) -> usize {
        self.chunk_region() + self.chunk_bytes + 4
    }

    const fn tables(&self) -> usize {
        BATCH_PREFIX_BYTES + self.header_bytes
    }

    const fn mac(&self) -> usize {
        self.tables() + self.extents * EXTENT_BYTES + self.chunks * CHUNK_ENTRY_BYTES + 4
    }

    /// Where the chunk region begins, in bytes from the start of the batch.
    pub const fn chunk_region(&self) -> usize {
        self.mac() + MAC_BYTES
    }

    /// The part of the batch that the MAC authenticates.
    pub fn authenticated<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[..self.mac()]
    }

    /// The MAC.
    pub fn mac_of(&self, bytes: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&bytes[self.mac()..self.chunk_region()]);
        mac
    }

    /// Puts the MAC in.
    pub fn set_mac(&self, bytes: &mut [u8], mac: &[u8; MAC_BYTES]) {
        bytes[self.mac()..self.chunk_region()].copy_from_slice(mac);
    }

    /// Bytes up to and including the tables and the MAC: what a reader of the tables needs.
    pub const fn head_bytes(&self) -> usize {
        self.chunk_region()
    }
}

/// A batch's header and tables, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLayout {
    /// The lengths of its parts.
    pub prefix: BatchPrefix,
    /// What it says besides its data.
    pub header: BatchHeader,
    /// Its extents, sorted and disjoint.
    pub extents: Vec<Extent>,
    /// Its chunks.
    pub chunks: Vec<ChunkEntry>,
}

impl BatchLayout {
    /// Reads header and tables from the first [`BatchPrefix::head_bytes`] of a batch.
    pub fn parse_head(bytes: &[u8]) -> Result<Self, DecodeError> {
        let prefix = BatchPrefix::decode(bytes)?;
        if bytes.len() < prefix.head_bytes() {
            return Err(DecodeError::Truncated {
                what: WHAT,
                needed: prefix.head_bytes(),
                available: bytes.len(),
            });
        }
        let header = BatchHeader::decode(&bytes[BATCH_PREFIX_BYTES..prefix.tables()])?;
        let tables = checked("batch tables", &bytes[prefix.tables()..prefix.mac()])?;
        let mut reader = Reader::new("batch tables", tables);
        let mut extents = Vec::with_capacity(prefix.extents);
        for _ in 0..prefix.extents {
            extents.push(Extent::decode(&mut reader)?);
        }
        let mut chunks = Vec::with_capacity(prefix.chunks);
        for _ in 0..prefix.chunks {
            chunks.push(ChunkEntry {
                id: ChunkId {
                    key: DataKeyId::from_u128(reader.u128()?),
                    counter: reader.u64()?,
                },
                offset: reader.u32()?,
                stored_length: reader.u32()?,
            });
        }
        reader.finish()?;
        check_order(&extents)?;
        check_directory(&prefix, &extents, &chunks)?;
        Ok(Self {
            prefix,
            header,
            extents,
            chunks,
        })
    }

    /// Reads and checks a whole batch: lengths, checksums, order, and that the chunk region holds
    /// exactly the chunks that the directory lists. It opens no chunk.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let layout = Self::parse_head(bytes)?;
        let prefix = &layout.prefix;
        if bytes.len() != prefix.total_bytes() {
            return Err(DecodeError::Truncated {
                what: WHAT,
                needed: prefix.total_bytes(),
                available: bytes.len(),
            });
        }
        let region = checked("batch chunks", &bytes[prefix.chunk_region()..])?;
        let mut plain_lengths = Vec::with_capacity(layout.chunks.len());
        for entry in &layout.chunks {
            let header = ChunkHeader::decode(&region[entry.offset as usize..])?;
            if header.id != entry.id || header.stored_length() != entry.stored_length as usize {
                return Err(DecodeError::invalid(
                    WHAT,
                    "a chunk that its directory does not list",
                ));
            }
            plain_lengths.push(header.plain_length);
        }
        check_placement(&layout.extents, |index| plain_lengths.get(index).copied())?;
        Ok(layout)
    }

    /// The data keys that its chunks are sealed under, each once.
    pub fn data_keys(&self) -> Vec<DataKeyId> {
        let mut keys: Vec<_> = self.chunks.iter().map(|chunk| chunk.id.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether the batch changes nothing and names nothing: it only extends the time that the
    /// point before it covers.
    pub fn is_heartbeat(&self) -> bool {
        self.extents.is_empty()
            && self.header.opening.is_none()
            && self.header.marker.is_none()
            && self.header.sync_events.is_empty()
    }
}

fn check_directory(
    prefix: &BatchPrefix,
    extents: &[Extent],
    chunks: &[ChunkEntry],
) -> Result<(), DecodeError> {
    let mut end: u64 = 0;
    for entry in chunks {
        let contiguous = u64::from(entry.offset) == end;
        let plausible = entry.stored_length as usize > CHUNK_HEADER_BYTES + TAG_BYTES as usize;
        if !contiguous || !plausible {
            return Err(DecodeError::invalid(WHAT, "a chunk directory with holes"));
        }
        end += u64::from(entry.stored_length);
    }
    if end != prefix.chunk_bytes as u64 {
        return Err(DecodeError::invalid(
            WHAT,
            "a chunk directory of another length",
        ));
    }
    // The directory does not know how long each chunk's plaintext is; the whole batch does.
    check_placement(extents, |index| {
        chunks.get(index).map(|_| CHUNK_PLAIN_BYTES_MAX)
    })
}
