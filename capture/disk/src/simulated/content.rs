//! The bytes of one simulated file: what readers see, and what a power cut may leave of it.
//!
//! Invariant: a sector without history is durable as readers see it. A sector with history may, at
//! a power cut, become any value it had since the last sync that covered it. Knows no names, no
//! faults and no handles.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::SeededRandom;

/// The unit that survives a power cut as a whole, in bytes.
pub const SECTOR_BYTES: usize = 512;
pub(super) const PAGE_BYTES: u64 = 4096;
const SECTORS_PER_PAGE: u64 = PAGE_BYTES / SECTOR_BYTES as u64;
/// Values remembered per sector and for the length; of more, the synced and the latest are kept.
const LONGEST_HISTORY: usize = 16;

/// A sector's bytes; none means zeros.
type Sector = Option<Arc<[u8; SECTOR_BYTES]>>;
/// A page's bytes; none means allocated and zero. A page not in the map is a hole.
type Page = Option<Arc<[u8; PAGE_BYTES as usize]>>;

/// Earlier values, oldest (last synced) first, without the current one.
#[derive(Debug, Clone, Default)]
struct History {
    sectors: BTreeMap<u64, Vec<Sector>>,
    lengths: Vec<u64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pages: BTreeMap<u64, Page>,
    length: u64,
    /// What the next sync makes durable.
    unsynced: History,
    /// What a failed sync lost: the kernel believes it clean, so no later sync writes it. Only a
    /// new write of the same sector gets it to the disk.
    abandoned: History,
}

impl Content {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.pages.len() as u64 * PAGE_BYTES
    }

    /// Bytes a write to this range would newly allocate.
    pub(super) fn growth_bytes(&self, offset: u64, length: u64) -> u64 {
        if length == 0 {
            return 0;
        }
        let (first, last) = (offset / PAGE_BYTES, (offset + length - 1) / PAGE_BYTES);
        let present = self.pages.range(first..=last).count() as u64;
        (last - first + 1 - present) * PAGE_BYTES
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let count = self.length.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < count {
            let position = offset + done as u64;
            let within = (position % PAGE_BYTES) as usize;
            let step = (PAGE_BYTES as usize - within).min(count - done);
            let target = &mut buffer[done..done + step];
            match self.pages.get(&(position / PAGE_BYTES)) {
                Some(Some(page)) => target.copy_from_slice(&page[within..within + step]),
                Some(None) | None => target.fill(0),
            }
            done += step;
        }
        count
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        for (position, part) in sector_parts(bytes, offset) {
            self.change(position, part);
        }
        let end = offset + bytes.len() as u64;
        if !bytes.is_empty() && end >= self.length {
            // Writing the end of the file again makes a length that a failed sync lost dirty again.
            let lost = std::mem::take(&mut self.abandoned.lengths);
            self.unsynced.lengths.splice(0..0, lost);
        }
        if !bytes.is_empty() && end > self.length {
            self.remember_length();
            self.length = end;
        }
    }

    /// Allocates zeros up to `length` behind the present end.
    pub(super) fn extend_with_zeros(&mut self, length: u64) {
        if length > self.length {
            for page in self.length / PAGE_BYTES..length.div_ceil(PAGE_BYTES) {
                self.pages.entry(page).or_insert(None);
            }
            self.remember_length();
            self.length = length;
        }
    }

    pub(super) fn set_length(&mut self, length: u64) {
        if length == self.length {
            return;
        }
        if length < self.length {
            self.clear(length, self.length.next_multiple_of(PAGE_BYTES));
        }
        self.remember_length();
        self.length = length;
    }

    pub(super) fn punch_hole(&mut self, offset: u64, length: u64) {
        let mut end = offset.saturating_add(length).min(self.length);
        if end == self.length {
            // The part of the last page behind the end holds nothing, so that page can go too.
            end = end.next_multiple_of(PAGE_BYTES);
        }
        if offset < end {
            self.clear(offset, end);
        }
    }

    /// Makes everything durable but what an earlier failed sync lost.
    pub(super) fn sync(&mut self) {
        self.unsynced = History::default();
    }

    /// A sync that failed: some sectors reached the disk, the others are lost unless rewritten.
    pub(super) fn fail_sync(&mut self, random: &mut SeededRandom) {
        let failed = std::mem::take(&mut self.unsynced);
        self.abandoned
            .sectors
            .extend(failed.sectors.into_iter().filter(|_| random.coin()));
        if !failed.lengths.is_empty() && random.coin() {
            self.abandoned.lengths = failed.lengths;
        }
    }

    /// The power goes: every sector with history becomes one of its values, likewise the length.
    /// Returns how many sectors lost their current value.
    pub(super) fn cut_power(&mut self, random: &mut SeededRandom, survival_per_mille: u32) -> u64 {
        let mut sectors = std::mem::take(&mut self.unsynced.sectors);
        sectors.append(&mut self.abandoned.sectors);
        let mut lost = 0;
        for (sector, history) in sectors {
            if !random.chance_per_mille(survival_per_mille) {
                let value = history[random.index(history.len())].clone();
                self.put(sector, value);
                lost += 1;
            }
        }
        let mut lengths = std::mem::take(&mut self.unsynced.lengths);
        lengths.append(&mut self.abandoned.lengths);
        if !lengths.is_empty() && !random.chance_per_mille(survival_per_mille) {
            self.length = lengths[random.index(lengths.len())];
        }
        self.trim_behind_end();
        lost
    }

    /// Replaces a range as if it had been written and synced.
    pub(super) fn write_durable(&mut self, bytes: &[u8], offset: u64) {
        for (position, part) in sector_parts(bytes, offset) {
            self.change(position, part);
            self.unsynced
                .sectors
                .remove(&(position / SECTOR_BYTES as u64));
        }
    }

    /// Corruption: inverts bits of one byte, on the disk and for readers.
    pub(super) fn flip(&mut self, offset: u64, mask: u8) {
        let within = (offset % PAGE_BYTES) as usize;
        self.page_for_writing(offset / PAGE_BYTES)[within] ^= mask;
    }

    /// Corruption: cuts the file, on the disk and for readers.
    pub(super) fn truncate(&mut self, length: u64) {
        self.length = self.length.min(length);
        self.unsynced.lengths.clear();
        self.abandoned.lengths.clear();
        let first_gone = self.length.div_ceil(SECTOR_BYTES as u64);
        self.unsynced.sectors.split_off(&first_gone);
        self.abandoned.sectors.split_off(&first_gone);
        self.trim_behind_end();
    }

    /// Changes bytes within one sector and remembers what they replaced.
    fn change(&mut self, position: u64, bytes: &[u8]) {
        let sector = position / SECTOR_BYTES as u64;
        let within = (position % PAGE_BYTES) as usize;
        let old = self.sector(sector);
        if let Some(history) = self.abandoned.sectors.remove(&sector) {
            self.unsynced.sectors.insert(sector, history);
        }
        let page = self.pages.entry(sector / SECTORS_PER_PAGE).or_insert(None);
        let same = match page {
            Some(data) => data[within..within + bytes.len()] == *bytes,
            None => bytes.iter().all(|byte| *byte == 0),
        };
        if !same {
            self.page_for_writing(sector / SECTORS_PER_PAGE)[within..within + bytes.len()]
                .copy_from_slice(bytes);
            remember(self.unsynced.sectors.entry(sector).or_default(), old);
        }
    }

    /// Zeros a range and gives back the pages that lie in it whole.
    fn clear(&mut self, start: u64, end: u64) {
        const ZEROS: [u8; SECTOR_BYTES] = [0; SECTOR_BYTES];
        let touched: Vec<u64> = self
            .pages
            .range(start / PAGE_BYTES..end.div_ceil(PAGE_BYTES))
            .map(|(page, _)| *page)
            .collect();
        for page in touched {
            let (from, to) = (
                start.max(page * PAGE_BYTES),
                end.min((page + 1) * PAGE_BYTES),
            );
            let mut position = from;
            while position < to {
                let room = SECTOR_BYTES as u64 - position % SECTOR_BYTES as u64;
                let step = room.min(to - position);
                self.change(position, &ZEROS[..step as usize]);
                position += step;
            }
            if to - from == PAGE_BYTES {
                self.pages.remove(&page);
            }
        }
    }

    fn sector(&self, sector: u64) -> Sector {
        let page = self.pages.get(&(sector / SECTORS_PER_PAGE))?.as_ref()?;
        let within = (sector % SECTORS_PER_PAGE) as usize * SECTOR_BYTES;
        let bytes = &page[within..within + SECTOR_BYTES];
        (bytes.iter().any(|byte| *byte != 0))
            .then(|| Arc::new(std::array::from_fn(|index| bytes[index])))
    }

    fn put(&mut self, sector: u64, value: Sector) {
        let within = (sector % SECTORS_PER_PAGE) as usize * SECTOR_BYTES;
        let target =
            &mut self.page_for_writing(sector / SECTORS_PER_PAGE)[within..within + SECTOR_BYTES];
        match value {
            Some(bytes) => target.copy_from_slice(&*bytes),
            None => target.fill(0),
        }
    }

    fn page_for_writing(&mut self, page: u64) -> &mut [u8; PAGE_BYTES as usize] {
        let slot = self.pages.entry(page).or_insert(None);
        Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; PAGE_BYTES as usize])))
    }

    fn remember_length(&mut self) {
        if !self.abandoned.lengths.is_empty() {
            self.unsynced.lengths = std::mem::take(&mut self.abandoned.lengths);
        }
        remember(&mut self.unsynced.lengths, self.length);
    }

    /// Nothing may come back from behind the end when the file grows again.
    fn trim_behind_end(&mut self) {
        self.pages.split_off(&self.length.div_ceil(PAGE_BYTES));
        let within = (self.length % PAGE_BYTES) as usize;
        if within != 0
            && let Some(Some(page)) = self.pages.get_mut(&(self.length / PAGE_BYTES))
        {
            Arc::make_mut(page)[within..].fill(0);
        }
    }
}

/// Cuts a write at sector borders.
fn sector_parts(bytes: &[u8], offset: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = bytes;
    let mut position = offset;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let room = SECTOR_BYTES - (position % SECTOR_BYTES as u64) as usize;
        let (part, after) = rest.split_at(room.min(rest.len()));
        let start = position;
        position += part.len() as u64;
        rest = after;
        Some((start, part))
    })
}

fn remember<T>(history: &mut Vec<T>, value: T) {
    if history.len() == LONGEST_HISTORY {
        history.remove(1);
    }
    history.push(value);
}
