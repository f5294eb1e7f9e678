//! The scan: reads volumes without getting in the way, and never overtakes a write.
//!
//! It reads chunks without taking locks. Invariant: what it hands out at a read's completion is
//! exactly the sectors that no write touched between the read's beginning and its completion, so
//! that the record made of it, sequenced in that same step, says what the disk holds at that
//! sequence. Zeroes and holes are handed out as zeroes, never left out. Sectors left out were
//! written meanwhile, and their write has a record of its own.
//!
//! It does no I/O and gives no sequences; [`super::TapCore`] does both.

use crate::Payload;
use bcdr_format::record::VolumeRange;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::action::BackingId;

/// Zeroes are told apart from data in steps of this many bytes.
const ZERO_GRAIN_BYTES: u64 = 32 << 10;
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanProgress {
    /// Bytes read and handed out, or overtaken by writes.
    pub done_bytes: u64,
    /// Bytes there are to read.
    pub total_bytes: u64,
    /// Bytes that could not be read so far; they hold the interval open and are tried again.
    pub unreadable_bytes: u64,
}

/// A part of a chunk as it is on the disk: bytes, or zeroes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPiece {
    /// Where.
    pub range: VolumeRange,
    /// What; `None` for zeroes.
    pub payload: Option<Payload>,
}

#[derive(Debug, Clone, Copy)]
struct Area {
    volume: bcdr_format::VolumeNumber,
    offset: u64,
    end: u64,
    /// How long to wait when reading it fails once more.
    delay: Duration,
}

#[derive(Debug)]
struct Reading {
    range: VolumeRange,
    delay: Duration,
    /// Byte ranges that writes touched since the read began.
    touched: Vec<(u64, u64)>,
}

/// One pass over volumes or ranges.
#[derive(Debug)]
pub struct Scan {
    work: VecDeque<Area>,
    reading: BTreeMap<BackingId, Reading>,
    unreadable: Vec<(Duration, Area)>,
    chunk_bytes: u64,
    unit_bytes: u64,
    retry: Duration,
    done_bytes: u64,
    total_bytes: u64,
}

impl Scan {
    /// A scan over areas of volumes, each given as (volume, first byte, byte after the last), in
    /// chunks of `chunk_bytes`. A chunk that cannot be read is halved down to `unit_bytes`; what
    /// still fails is tried again after `retry`, then after twice as long, up to a minute.
    #[must_use]
    pub fn new(
        areas: impl IntoIterator<Item = (bcdr_format::VolumeNumber, u64, u64)>,
        chunk_bytes: u32,
        unit_bytes: u32,
        retry: Duration,
    ) -> Self {
        let work: VecDeque<Area> = areas
            .into_iter()
            .filter(|(_, offset, end)| offset < end)
            .map(|(volume, offset, end)| Area {
                volume,
                offset,
                end,
                delay: retry,
            })
            .collect();
        let total_bytes = work.iter().map(|area| area.end - area.offset).sum();
        Self {
            work,
            reading: BTreeMap::new(),
            unreadable: Vec::new(),
            chunk_bytes: u64::from(chunk_bytes),
            unit_bytes: u64::from(unit_bytes),
            retry,
            done_bytes: 0,
            total_bytes,
        }
    }

    /// Takes the next range to read, if there is one at this time; it must then be begun.
    pub fn next_read(&mut self, now: Duration) -> Option<(VolumeRange, Duration)> {
        if let Some(index) = self.unreadable.iter().position(|(at, _)| *at <= now) {
            let (_, area) = self.unreadable.swap_remove(index);
            self.work.push_front(area);
        }
        let area = self.work.front_mut()?;
        // Chunks end at multiples of the chunk size, so that neighbours never share a block.
        let boundary = (area.offset / self.chunk_bytes + 1) * self.chunk_bytes;
        let end = boundary.min(area.end);
        let length = u32::try_from(end - area.offset).expect("chunks are no longer than a record");
        let range = VolumeRange {
            volume: area.volume,
            offset: area.offset,
            length,
        };
        let delay = area.delay;
        area.offset = end;
        if area.offset == area.end {
            self.work.pop_front();
        }
        Some((range, delay))
    }

    /// The read of a taken range begins now, with these writes in flight.
    pub fn begun(
        &mut self,
        id: BackingId,
        (range, delay): (VolumeRange, Duration),
        in_flight: impl Iterator<Item = VolumeRange>,
    ) {
        let touched = in_flight
            .filter(|one| one.overlaps(&range))
            .map(bounds)
            .collect();
        self.reading.insert(
            id,
            Reading {
                range,
                delay,
                touched,
            },
        );
    }

    /// A write is about to be submitted.
    pub fn granted(&mut self, range: &VolumeRange) {
        for reading in self
            .reading
            .values_mut()
            .filter(|one| one.range.overlaps(range))
        {
            reading.touched.push(bounds(*range));
        }
    }

    /// A read succeeded with these bytes, or found a hole. Returns what the disk holds now.
    pub fn read_done(&mut self, id: BackingId, payload: Option<&Payload>) -> Vec<ScanPiece> {
        let Some(reading) = self.reading.remove(&id) else {
            return Vec::new();
        };
        self.done_bytes += u64::from(reading.range.length);
        let mut pieces = Vec::new();
        for (start, end) in untouched(&reading) {
            match payload {
                Some(payload) => split_zeroes(&reading.range, payload, start, end, &mut pieces),
                None => pieces.push(ScanPiece {
                    range: part(&reading.range, start, end),
                    payload: None,
                }),
            }
        }
        pieces
    }

    /// A read failed: its halves are tried next, or itself later if it is a single unit.
    pub fn read_failed(&mut self, id: BackingId, now: Duration) {
        let Some(Reading { range, delay, .. }) = self.reading.remove(&id) else {
            return;
        };
        let area = Area {
            volume: range.volume,
            offset: range.offset,
            end: range.end(),
            delay,
        };
        let units = u64::from(range.length).div_ceil(self.unit_bytes);
        if units <= 1 {
            let again = Area {
                delay: (delay * 2).clamp(self.retry, RETRY_MAX),
                ..area
            };
            self.unreadable.push((now + delay, again));
            return;
        }
        let middle =
            (area.offset + units / 2 * self.unit_bytes) / self.unit_bytes * self.unit_bytes;
        let middle = middle.clamp(area.offset + bcdr_format::SECTOR_BYTES, area.end);
        if middle < area.end {
            self.work.push_front(Area {
                offset: middle,
                ..area
            });
        }
        self.work.push_front(Area {
            end: middle,
            ..area
        });
    }

    /// Whether `id` is a read of this scan.
    #[must_use]
    pub fn reads(&self, id: BackingId) -> bool {
        self.reading.contains_key(&id)
    }

    /// Reads in flight.
    #[must_use]
    pub fn reads_in_flight(&self) -> usize {
        self.reading.len()
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.work.is_empty() && self.reading.is_empty() && self.unreadable.is_empty()
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> ScanProgress {
        ScanProgress {
            done_bytes: self.done_bytes,
            total_bytes: self.total_bytes,
            unreadable_bytes: self
                .unreadable
                .iter()
                .map(|(_, area)| area.end - area.offset)
                .sum(),
        }
    }
}

fn bounds(range: VolumeRange) -> (u64, u64) {
    (range.offset, range.end())
}

fn part(range: &VolumeRange, start: u64, end: u64) -> VolumeRange {
    let length = u32::try_from(end - start).expect("a part is no longer than its chunk");
    VolumeRange {
        volume: range.volume,
        offset: start,
        length,
    }
}

/// The byte ranges of a read that no write touched.
fn untouched(reading: &Reading) -> Vec<(u64, u64)> {
    let mut touched = reading.touched.clone();
    touched.sort_unstable();
    let (mut at, end) = bounds(reading.range);
    let mut out = Vec::new();
    for (start, stop) in touched {
        if start > at {
            out.push((at, start.min(end)));
        }
        at = at.max(stop);
        if at >= end {
            return out;
        }
    }
    out.push((at, end));
    out
}

fn split_zeroes(
    range: &VolumeRange,
    payload: &Payload,
    start: u64,
    end: u64,
    pieces: &mut Vec<ScanPiece>,
) {
    let bytes = |from: u64, to: u64| {
        payload.slice((from - range.offset) as usize..(to - range.offset) as usize)
    };
    let mut run: Option<(u64, bool)> = None;
    let mut close = |run: Option<(u64, bool)>, at: u64| {
        if let Some((from, zero)) = run {
            let payload = (!zero).then(|| bytes(from, at));
            pieces.push(ScanPiece {
                range: part(range, from, at),
                payload,
            });
        }
    };
    let mut at = start;
    while at < end {
        let stop = ((at / ZERO_GRAIN_BYTES + 1) * ZERO_GRAIN_BYTES).min(end);
        let zero = bytes(at, stop).is_zero();
        if run.is_none_or(|(_, kind)| kind != zero) {
            close(run, at);
            run = Some((at, zero));
        }
        at = stop;
    }
    close(run, end);
}

#[cfg(test)]
mod tests;
