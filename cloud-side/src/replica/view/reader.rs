//! Reading an image: which layer holds each byte, and fetching it.

use super::{ChunkCache, ChunkOpener, OpenChunkError, ViewError, cache::CacheKey};
use crate::{
    catalog::BatchRow,
    receive::PointId,
    replica::{
        log::LogReader,
        run::{RunError, RunSource, RunStore},
    },
};
use bcdr_format::{
    VolumeNumber,
    chunk::{CHUNK_HEADER_BYTES, CHUNK_PLAIN_BYTES_MAX, ChunkHeader, TAG_BYTES},
    record::Member,
    run::{ChunkPlace, RunContent, RunEntry},
};
use std::sync::{Arc, PoisonError, RwLock};

/// What a range of an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusKind {
    /// Bytes that were written.
    Data,
    /// Zeroes: nothing was ever written, or zeroes were.
    Zero,
    /// Unknown; reading it is an error.
    Unknown,
}

/// A range of an image and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    /// Bytes.
    pub length: u64,
    /// What they are.
    pub kind: StatusKind,
}

/// The image at one batch end. Reads block and may come from many threads.
pub struct ViewReader {
    row: BatchRow,
    members: Vec<Member>,
    runs: Arc<RunStore>,
    log: Arc<LogReader>,
    opener: Arc<dyn ChunkOpener>,
    cache: Arc<ChunkCache>,
    layers: Vec<RwLock<RunSource>>,
    base: Option<Arc<Self>>,
}

/// Which layer says what of a range.
struct Resolved {
    /// What the layers name, each byte by the newest that does.
    pieces: Vec<RunEntry>,
    /// What none names, in order.
    gaps: Vec<(u64, u64)>,
}

impl std::fmt::Debug for ViewReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ViewReader")
            .field("lineage", &self.runs.lineage())
            .field("batch", &self.row.number)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

impl ViewReader {
    pub(crate) fn open(
        row: BatchRow,
        members: Vec<Member>,
        runs: Arc<RunStore>,
        log: Arc<LogReader>,
        opener: Arc<dyn ChunkOpener>,
        cache: Arc<ChunkCache>,
        base: Option<Arc<Self>>,
    ) -> Result<Self, ViewError> {
        let layers = runs
            .layers(row.number)
            .map_err(|source| ViewError::Run {
                point: row.point_id(),
                source,
            })?
            .into_iter()
            .map(RwLock::new)
            .collect();
        Ok(Self {
            row,
            members,
            runs,
            log,
            opener,
            cache,
            layers,
            base,
        })
    }

    /// The batch whose end it shows.
    pub fn batch(&self) -> &BatchRow {
        &self.row
    }

    /// The point it shows.
    pub fn point(&self) -> PointId {
        self.row.point_id()
    }

    /// The volumes as of that batch.
    pub fn volumes(&self) -> &[Member] {
        &self.members
    }

    /// The view beneath, if its lineage lies above a base.
    pub fn base(&self) -> Option<&Arc<Self>> {
        self.base.as_ref()
    }

    /// How many runs it reads from, those of its base not counted.
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// Reads a range of a volume.
    pub fn read(
        &self,
        volume: VolumeNumber,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, ViewError> {
        self.check_range(volume, offset, length as u64)?;
        let mut out = vec![0; length];
        self.read_into(volume, offset, &mut out)?;
        Ok(out)
    }

    /// Fills `out` with the bytes of a volume from `offset` on.
    pub fn read_into(
        &self,
        volume: VolumeNumber,
        offset: u64,
        out: &mut [u8],
    ) -> Result<(), ViewError> {
        self.check_range(volume, offset, out.len() as u64)?;
        out.fill(0);
        let Resolved { pieces, gaps } = self.resolve(volume, offset, offset + out.len() as u64)?;
        for (from, until) in gaps {
            let (start, end) = ((from - offset) as usize, (until - offset) as usize);
            self.read_beneath(volume, from, &mut out[start..end])?;
        }
        for piece in pieces {
            let start = (piece.offset - offset) as usize;
            let part = &mut out[start..start + piece.length as usize];
            match piece.content {
                RunContent::Zero => {}
                RunContent::Unknown => {
                    return Err(ViewError::Unknown {
                        point: self.point(),
                        volume,
                        offset: piece.offset,
                        length: u64::from(piece.length),
                    });
                }
                RunContent::Chunk(place) => self
                    .copy_chunk(&place, part)
                    .map_err(|source| self.chunk_error(&piece, &place, source))?,
            }
        }
        Ok(())
    }

    /// What a range of a volume is, in order; neighbours differ in kind.
    pub fn block_status(
        &self,
        volume: VolumeNumber,
        offset: u64,
        length: u64,
    ) -> Result<Vec<Status>, ViewError> {
        self.check_range(volume, offset, length)?;
        let Resolved { mut pieces, gaps } = self.resolve(volume, offset, offset + length)?;
        pieces.sort_unstable_by_key(|piece| piece.offset);
        let mut gaps = gaps.into_iter().peekable();
        let mut found = Vec::new();
        for piece in &pieces {
            while let Some((from, until)) = gaps.next_if(|(from, _)| *from < piece.offset) {
                self.status_beneath(volume, from, until, &mut found)?;
            }
            let kind = match piece.content {
                RunContent::Chunk(_) => StatusKind::Data,
                RunContent::Zero => StatusKind::Zero,
                RunContent::Unknown => StatusKind::Unknown,
            };
            push_status(&mut found, u64::from(piece.length), kind);
        }
        for (from, until) in gaps {
            self.status_beneath(volume, from, until, &mut found)?;
        }
        Ok(found)
    }

    /// The view beneath and where its part of `from..until` ends: beyond its volume all is zero.
    fn beneath(&self, volume: VolumeNumber, from: u64, until: u64) -> Option<(&Self, u64)> {
        let base = self.base.as_deref()?;
        let member = base.members.iter().find(|member| member.number == volume)?;
        let until = until.min(member.size_bytes);
        (from < until).then_some((base, until))
    }

    /// Fills `out`, which is all zero, with what lies beneath this lineage's batches.
    fn read_beneath(
        &self,
        volume: VolumeNumber,
        from: u64,
        out: &mut [u8],
    ) -> Result<(), ViewError> {
        match self.beneath(volume, from, from + out.len() as u64) {
            Some((base, until)) => {
                base.read_into(volume, from, &mut out[..(until - from) as usize])
            }
            None => Ok(()),
        }
    }

    fn status_beneath(
        &self,
        volume: VolumeNumber,
        from: u64,
        until: u64,
        found: &mut Vec<Status>,
    ) -> Result<(), ViewError> {
        let mut next = from;
        if let Some((base, end)) = self.beneath(volume, from, until) {
            for status in base.block_status(volume, from, end - from)? {
                push_status(found, status.length, status.kind);
            }
            next = end;
        }
        push_status(found, until - next, StatusKind::Zero);
        Ok(())
    }

    fn check_range(&self, number: VolumeNumber, offset: u64, length: u64) -> Result<(), ViewError> {
        let volume = self
            .members
            .iter()
            .find(|member| member.number == number)
            .ok_or(ViewError::NoVolume {
                point: self.point(),
                volume: number,
            })?;
        let inside = offset
            .checked_add(length)
            .is_some_and(|end| end <= volume.size_bytes);
        if !inside {
            return Err(ViewError::OutsideVolume {
                point: self.point(),
                volume: number,
                offset,
                length,
                size: volume.size_bytes,
            });
        }
        Ok(())
    }

    /// The pieces that cover a range, each from the newest layer that names it, and the gaps.
    fn resolve(&self, volume: VolumeNumber, start: u64, end: u64) -> Result<Resolved, ViewError> {
        let mut pieces = Vec::new();
        let mut open = vec![(start, end)];
        for layer in &self.layers {
            let (Some((from, _)), Some((_, until))) = (open.first(), open.last()) else {
                break;
            };
            let found = self.look_up(layer, volume, *from, *until)?;
            open = fill_gaps(&open, &found, &mut pieces);
        }
        Ok(Resolved { pieces, gaps: open })
    }

    /// What one layer says of a range, in order. A damaged run is built again, once.
    fn look_up(
        &self,
        layer: &RwLock<RunSource>,
        volume: VolumeNumber,
        start: u64,
        end: u64,
    ) -> Result<Vec<RunEntry>, ViewError> {
        let source = layer.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = Vec::new();
        let mut attempt = self.look_up_in(&source, volume, start, end, &mut found);
        if let Err(RunError::Damaged { run, .. }) = &attempt {
            let run = *run;
            tracing::warn!(%run, lineage = %self.runs.lineage(), "a run is damaged and is built again");
            attempt = self
                .runs
                .rebuild(run)
                .and_then(|()| self.runs.source(run))
                .and_then(|fresh| {
                    *layer.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
                    found.clear();
                    self.look_up_in(&fresh, volume, start, end, &mut found)
                });
        }
        attempt.map_err(|source| ViewError::Run {
            point: self.point(),
            source,
        })?;
        Ok(found)
    }

    fn look_up_in(
        &self,
        source: &RunSource,
        volume: VolumeNumber,
        start: u64,
        end: u64,
        found: &mut Vec<RunEntry>,
    ) -> Result<(), RunError> {
        source.overlapping(&self.runs, volume, start, end, &mut |entry| {
            found.push(entry)
        })
    }

    fn copy_chunk(&self, place: &ChunkPlace, out: &mut [u8]) -> Result<(), OpenChunkError> {
        let key = CacheKey {
            lineage: self.runs.lineage(),
            segment: place.segment,
            chunk_offset: place.chunk_offset,
        };
        let plain = match self.cache.get(&key) {
            Some(plain) => plain,
            None => {
                let plain = self.open_chunk(place)?;
                self.cache.put(key, Arc::clone(&plain));
                plain
            }
        };
        let start = place.inner_offset as usize;
        let part = plain
            .get(start..start + out.len())
            .ok_or_else(|| format!("it holds {} bytes of plaintext", plain.len()))?;
        out.copy_from_slice(part);
        Ok(())
    }

    fn open_chunk(&self, place: &ChunkPlace) -> Result<Arc<[u8]>, OpenChunkError> {
        let stored = place.stored_length as usize;
        let longest = CHUNK_HEADER_BYTES + (CHUNK_PLAIN_BYTES_MAX + TAG_BYTES) as usize;
        if !(CHUNK_HEADER_BYTES..=longest).contains(&stored) {
            return Err(format!("its entry says it has {stored} bytes").into());
        }
        let bytes = self
            .log
            .read(place.segment, u64::from(place.chunk_offset), stored)?;
        let header = ChunkHeader::decode(&bytes)?;
        if header.stored_length() != stored {
            return Err(format!(
                "its header says {} bytes, its entry {stored}",
                header.stored_length()
            )
            .into());
        }
        let plain = self.opener.open(&header, &bytes[CHUNK_HEADER_BYTES..])?;
        if plain.len() != header.plain_length as usize {
            return Err(format!("it opened to {} bytes", plain.len()).into());
        }
        Ok(plain.into())
    }

    fn chunk_error(
        &self,
        piece: &RunEntry,
        place: &ChunkPlace,
        source: OpenChunkError,
    ) -> ViewError {
        ViewError::Chunk {
            point: self.point(),
            volume: piece.volume,
            offset: piece.offset,
            length: u64::from(piece.length),
            segment: place.segment,
            chunk_offset: place.chunk_offset,
            source,
        }
    }
}

/// Cuts what a layer says to the gaps that newer layers left, and says which gaps remain. Gaps and
/// entries are sorted and do not overlap, so one pass over both is enough.
fn fill_gaps(
    gaps: &[(u64, u64)],
    entries: &[RunEntry],
    pieces: &mut Vec<RunEntry>,
) -> Vec<(u64, u64)> {
    let mut remaining = Vec::with_capacity(gaps.len());
    let mut first = 0;
    for (start, end) in gaps {
        while entries
            .get(first)
            .is_some_and(|entry| entry.end() <= *start)
        {
            first += 1;
        }
        let mut next = *start;
        for entry in entries[first..]
            .iter()
            .take_while(|entry| entry.offset < *end)
        {
            let from = entry.offset.max(next);
            let until = entry.end().min(*end);
            if from > next {
                remaining.push((next, from));
            }
            pieces.push(entry.from_offset(from).until(until));
            next = until;
        }
        if next < *end {
            remaining.push((next, *end));
        }
    }
    remaining
}

pub(crate) fn push_status(found: &mut Vec<Status>, length: u64, kind: StatusKind) {
    match found.last_mut() {
        _ if length == 0 => {}
        Some(last) if last.kind == kind => last.length += length,
        _ => found.push(Status { length, kind }),
    }
}
