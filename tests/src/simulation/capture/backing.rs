//! The protected disks under the capture: every I/O takes its time, in steps, and may fail.
//!
//! A write smaller than the backing's unit is a read, a change and a write of whole units, as in
//! the real shell. Whatever lands is told to the oracle; a landing that changes a sector which its
//! write does not cover is a lost update, and a violation.

use super::{CaptureHost, Life, Process};
use crate::simulation::{
    context::{Context, Host},
    oracle::OpId,
    stamp::{self, Cell, SECTOR},
    world::Event,
};
use bcdr_capture::{
    Payload,
    tap::{BackingAction, BackingError, BackingId, BackingOperation, BackingResult},
};
use std::{collections::VecDeque, ops::Range};

/// Names an I/O in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IoId(pub(crate) u64);

/// What goes wrong on the backings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackingFaults {
    /// So many writes fail, each with one chance in two.
    pub(crate) failing_writes: u32,
    /// What failing writes leave cannot be read back.
    pub(crate) unreadable: bool,
    /// Failing writes say that there is no space.
    pub(crate) no_space: bool,
    /// So many syncs fail.
    pub(crate) failing_syncs: u32,
    /// How much longer than usual everything takes.
    pub(crate) slow: u64,
}

/// A part of an I/O.
#[derive(Debug, Clone)]
enum StepKind {
    /// Read the units around the range.
    Prepare,
    /// Put these sectors of the range on the disk.
    Land(Range<u32>),
    /// Read these sectors of the range.
    Fetch(Range<u32>),
    /// Make everything durable.
    Sync,
}

/// An I/O in flight.
#[derive(Debug)]
pub(super) struct Io {
    volume: usize,
    first: u32,
    /// What is to be written: bytes of the range, all zero for a zeroing.
    bytes: Vec<u8>,
    punch: bool,
    /// The operations whose sectors these are.
    owners: Vec<OpId>,
    /// The units around the range as they were when it began.
    around: Option<(u32, Vec<u8>)>,
    fetched: Vec<u8>,
    steps: VecDeque<StepKind>,
    fails: Option<BackingError>,
    unreadable: bool,
    reads: bool,
}

impl Io {
    /// Whether it changes the disk.
    pub(super) fn writes(&self) -> bool {
        !self.bytes.is_empty()
    }

    fn sectors(&self) -> u32 {
        (self.bytes.len() / SECTOR) as u32
    }
}

/// Splits a range of sectors at a multiple of the unit, if it is long enough.
fn parts(
    cx: &mut Context,
    first: u32,
    sectors: u32,
    unit: u32,
) -> impl Iterator<Item = Range<u32>> + use<> {
    let boundary = (first / unit + 1) * unit - first;
    let mut cut = 0;
    if sectors > boundary && cx.random.coin() {
        let units = (sectors - boundary).div_ceil(unit);
        cut = boundary + cx.random.below(u64::from(units)) as u32 * unit;
    }
    let (head, tail) = (0..cut, cut..sectors);
    let both = if cx.random.coin() {
        [tail, head]
    } else {
        [head, tail]
    };
    both.into_iter().filter(|part| !part.is_empty())
}

impl CaptureHost {
    pub(super) fn submit(&mut self, cx: &mut Context, life: Life, operation: BackingOperation) {
        let volume = super::index(operation.volume);
        let id = IoId(operation.id.0);
        let action = &operation.action;
        if matches!(
            action,
            BackingAction::Write { .. } | BackingAction::Zero { .. }
        ) {
            self.sight(cx, life, true);
        }
        let unit = self.settings.volumes[volume].io_unit / SECTOR as u32;
        let io = match operation.action {
            BackingAction::Read { offset, length } => {
                let (first, sectors) = ((offset / SECTOR as u64) as u32, length / SECTOR as u32);
                let steps = parts(cx, first, sectors, unit)
                    .map(StepKind::Fetch)
                    .collect();
                let fetched = vec![0; length as usize];
                Io {
                    steps,
                    fetched,
                    reads: true,
                    ..idle(volume, first, Vec::new())
                }
            }
            BackingAction::Write { offset, payload } => {
                let first = (offset / SECTOR as u64) as u32;
                self.writing(cx, volume, first, payload.to_vec(), false)
            }
            BackingAction::Zero {
                offset,
                length,
                unmap,
            } => {
                let first = (offset / SECTOR as u64) as u32;
                if self.settings.volumes[volume].zeroes {
                    self.writing(cx, volume, first, vec![0; length as usize], unmap)
                } else {
                    let fails = Some(BackingError::NotSupported);
                    Io {
                        fails,
                        ..idle(volume, first, Vec::new())
                    }
                }
            }
            BackingAction::Sync => {
                let mut io = idle(volume, 0, Vec::new());
                io.steps.push_back(StepKind::Sync);
                if self.faults.failing_syncs > 0 {
                    self.faults.failing_syncs -= 1;
                    io.steps.clear();
                    io.fails = Some(BackingError::Io);
                    cx.counters.note("flush failed");
                }
                io
            }
        };
        if let Some(process) = self.process(life) {
            process.io.insert(id, io);
        }
        self.schedule_io(cx, life, id);
    }

    fn writing(
        &mut self,
        cx: &mut Context,
        volume: usize,
        first: u32,
        bytes: Vec<u8>,
        punch: bool,
    ) -> Io {
        let mut io = idle(volume, first, bytes);
        io.punch = punch;
        let unit = self.settings.volumes[volume].io_unit / SECTOR as u32;
        let sectors = io.sectors();
        io.owners = self.owners(cx, &io);
        io.steps.push_back(StepKind::Prepare);
        io.steps
            .extend(parts(cx, first, sectors, unit).map(StepKind::Land));
        if self.faults.failing_writes > 0 && cx.random.coin() {
            self.faults.failing_writes -= 1;
            io.fails = Some(if self.faults.no_space {
                BackingError::NoSpace
            } else {
                BackingError::Io
            });
            io.unreadable = self.faults.unreadable;
            cx.counters.note("write failed");
        }
        io
    }

    /// Whose sectors a write's are: told by the stamps, and for zeroes by who asked for zeroes.
    fn owners(&self, cx: &mut Context, io: &Io) -> Vec<OpId> {
        let mut owners = Vec::with_capacity(io.sectors() as usize);
        let mut zeroing = None;
        for (index, cell) in stamp::cells(&io.bytes, io.volume, io.first)
            .into_iter()
            .enumerate()
        {
            let sector = io.first + index as u32;
            match cell {
                Cell::Stamp(number) => owners.push(OpId(number)),
                Cell::Zero => {
                    let found = zeroing.or_else(|| cx.oracle.zeroing(io.volume, sector));
                    zeroing = found;
                    match found {
                        Some(id) => owners.push(id),
                        None => {
                            let volume = io.volume;
                            cx.violated(format!(
                                "volume {volume} sector {sector} is zeroed though nobody asked for it"
                            ));
                            owners.push(OpId(0));
                        }
                    }
                }
                Cell::Garbage | Cell::Unknown => {
                    cx.violated(format!(
                        "garbage is written to volume {} sector {sector}",
                        io.volume
                    ));
                    owners.push(OpId(0));
                }
            }
        }
        owners
    }

    fn schedule_io(&mut self, cx: &mut Context, life: Life, id: IoId) {
        let slow = self.faults.slow.max(1);
        let delay = cx.delay(5, 250) * slow;
        cx.schedule.after(delay, Event::Backing { life, id });
    }

    /// The next step of an I/O happens.
    pub(crate) fn io_step(&mut self, cx: &mut Context, life: Life, id: IoId) {
        let Some(process) = self.process(life) else {
            return;
        };
        let Some(io) = process.io.get_mut(&id) else {
            return;
        };
        let Some(step) = io.steps.pop_front() else {
            return self.io_done(cx, life, id);
        };
        let last = io.steps.is_empty();
        let mut io = process.io.remove(&id).expect("it was there just now");
        self.take_step(cx, &mut io, &step, last);
        if let Some(process) = self.process(life) {
            process.io.insert(id, io);
        }
        self.schedule_io(cx, life, id);
    }

    fn take_step(&mut self, cx: &mut Context, io: &mut Io, step: &StepKind, last: bool) {
        match step {
            StepKind::Prepare => self.prepare(io),
            StepKind::Land(range) => {
                let whole = range.clone();
                let range = match io.fails {
                    // The step that fails leaves any part of itself.
                    Some(_) if last => {
                        let length = u64::from(whole.end - whole.start);
                        let kept = cx.random.below(length + 1) as u32;
                        whole.start..whole.start + kept
                    }
                    _ => whole,
                };
                self.land(cx, io, range);
                if last && io.unreadable {
                    self.spoil(cx, io);
                }
            }
            StepKind::Fetch(range) => self.fetch(cx, io, range.clone()),
            StepKind::Sync => {
                let file = self
                    .process
                    .as_ref()
                    .map(|process| process.files[io.volume].clone());
                if file.is_none_or(|file| file.sync_data().is_err()) {
                    io.fails = Some(BackingError::Io);
                }
            }
        }
    }

    fn prepare(&mut self, io: &mut Io) {
        let unit = self.settings.volumes[io.volume].io_unit / SECTOR as u32;
        let start = io.first / unit * unit;
        let end = (io.first + io.sectors()).next_multiple_of(unit);
        let whole = start == io.first && end == io.first + io.sectors();
        let edges = (start..io.first).chain(io.first + io.sectors()..end);
        if !whole
            && edges
                .into_iter()
                .any(|sector| self.bad.contains(&(io.volume, sector)))
        {
            // The units cannot be read, so nothing can be written into them.
            io.fails = Some(BackingError::Io);
            io.steps.clear();
            return;
        }
        io.around = Some((start, self.read(io.volume, start, end - start)));
    }

    fn read(&self, volume: usize, first: u32, sectors: u32) -> Vec<u8> {
        let mut bytes = vec![0; sectors as usize * SECTOR];
        let process = self
            .process
            .as_ref()
            .expect("I/O belongs to a running process");
        process.files[volume]
            .read_exact_at(&mut bytes, u64::from(first) * SECTOR as u64)
            .expect("the simulated backing reads what it has");
        bytes
    }

    /// Puts sectors `range` of the I/O on the disk, with the units around them.
    fn land(&mut self, cx: &mut Context, io: &Io, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let Some((around_first, around)) = &io.around else {
            return;
        };
        let unit = self.settings.volumes[io.volume].io_unit / SECTOR as u32;
        let (first, end) = (io.first + range.start, io.first + range.end);
        let whole_end = end
            .next_multiple_of(unit)
            .min(around_first + (around.len() / SECTOR) as u32);
        let (unit_first, unit_end) = (first / unit * unit, whole_end);
        let at = |sector: u32| (sector - around_first) as usize * SECTOR;
        let mut bytes = around[at(unit_first)..at(unit_end)].to_vec();
        let before = self.read(io.volume, unit_first, unit_end - unit_first);
        let place = (first - unit_first) as usize * SECTOR;
        let source = range.start as usize * SECTOR..range.end as usize * SECTOR;
        bytes[place..place + source.len()].copy_from_slice(&io.bytes[source]);
        for sector in unit_first..unit_end {
            let own = (io.first..io.first + io.sectors()).contains(&sector);
            let here = (sector - unit_first) as usize * SECTOR
                ..(sector - unit_first + 1) as usize * SECTOR;
            if !own && bytes[here.clone()] != before[here.clone()] {
                cx.violated(format!(
                    "a write of {}:{}+{} undoes a neighbour's in sector {sector}",
                    io.volume,
                    io.first,
                    io.sectors()
                ));
            }
            if own && !(first..end).contains(&sector) {
                // A later part of the same write, not its turn yet.
                bytes[here.clone()].copy_from_slice(&before[here]);
            }
        }
        self.put(cx, io, unit_first, &bytes);
        for sector in first..end {
            cx.oracle
                .landed(io.owners[(sector - io.first) as usize], io.volume, sector);
            self.bad.remove(&(io.volume, sector));
        }
        self.change += 1;
        self.changed_at = cx.wall(Host::Capture);
    }

    fn put(&mut self, cx: &mut Context, io: &Io, first: u32, bytes: &[u8]) {
        let process = self
            .process
            .as_ref()
            .expect("I/O belongs to a running process");
        let file = &process.files[io.volume];
        let offset = u64::from(first) * SECTOR as u64;
        let zero = bytes.iter().all(|byte| *byte == 0);
        let written = if io.punch && zero && cx.random.coin() {
            file.punch_hole(offset, bytes.len() as u64)
        } else {
            file.write_all_at(bytes, offset)
        };
        written.expect("the simulated backing takes what it is given");
    }

    fn spoil(&mut self, cx: &mut Context, io: &Io) {
        for owner in &io.owners {
            cx.oracle.unreadable(*owner);
        }
        let sectors = io.sectors();
        let from = cx.random.below(u64::from(sectors)) as u32;
        self.bad
            .extend((from..sectors).map(|sector| (io.volume, io.first + sector)));
    }

    fn fetch(&mut self, cx: &mut Context, io: &mut Io, range: Range<u32>) {
        let (first, sectors) = (io.first + range.start, range.end - range.start);
        if (first..first + sectors).any(|sector| self.bad.contains(&(io.volume, sector))) {
            io.fails = Some(BackingError::Io);
            io.steps.clear();
            cx.oracle
                .read_failed(io.volume, io.first, (io.fetched.len() / SECTOR) as u32);
            return;
        }
        let bytes = self.read(io.volume, first, sectors);
        let start = range.start as usize * SECTOR;
        io.fetched[start..start + bytes.len()].copy_from_slice(&bytes);
    }

    fn io_done(&mut self, cx: &mut Context, life: Life, id: IoId) {
        let Some(process) = self.process(life) else {
            return;
        };
        let Some(io) = process.io.remove(&id) else {
            return;
        };
        let result: BackingResult = match io.fails {
            Some(error) => Err(error),
            None if io.reads => {
                let hole = io.fetched.iter().all(|byte| *byte == 0) && cx.random.coin();
                Ok((!hole).then(|| Payload::copied_from(&io.fetched)))
            }
            None => Ok(None),
        };
        if result.is_err() {
            cx.trace(|| {
                format!(
                    "I/O {} on {}:{} failed: {result:?}",
                    id.0, io.volume, io.first
                )
            });
        }
        process
            .tap
            .backing_done(cx.moment(Host::Capture), BackingId(id.0), result);
        self.drain(cx, life);
    }

    /// The process is gone: what it had submitted lands or does not, in any part.
    pub(super) fn finish_or_lose(&mut self, cx: &mut Context, process: &Process) {
        // The files still work: the process's I/O ends before its disks see the end.
        let ids: Vec<IoId> = process.io.keys().copied().collect();
        let files = process.files.clone();
        for id in ids {
            let io = &process.io[&id];
            for step in &io.steps {
                if let StepKind::Land(range) = step
                    && io.around.is_some()
                    && cx.random.coin()
                {
                    self.land_late(cx, io, range.clone(), &files);
                }
            }
        }
    }

    fn land_late(
        &mut self,
        cx: &mut Context,
        io: &Io,
        range: Range<u32>,
        files: &[std::sync::Arc<dyn bcdr_disk::File>],
    ) {
        // Sector by sector: the drive finishes what it has, its own sectors only.
        for place in range {
            let sector = io.first + place;
            let bytes = &io.bytes[place as usize * SECTOR..(place as usize + 1) * SECTOR];
            files[io.volume]
                .write_all_at(bytes, u64::from(sector) * SECTOR as u64)
                .expect("the simulated backing takes what it is given");
            cx.oracle
                .landed(io.owners[place as usize], io.volume, sector);
            self.bad.remove(&(io.volume, sector));
            self.change += 1;
            self.changed_at = cx.wall(Host::Capture);
        }
    }
}

fn idle(volume: usize, first: u32, bytes: Vec<u8>) -> Io {
    Io {
        volume,
        first,
        bytes,
        punch: false,
        owners: Vec::new(),
        around: None,
        fetched: Vec::new(),
        steps: VecDeque::new(),
        fails: None,
        unreadable: false,
        reads: false,
    }
}
