//! The oracle: what really happened on the source's disks, and whether an image is a prefix of it.
//!
//! It shares no code and no notion with the product: no sequence, no incarnation, no batch. It
//! knows when each operation was issued, when its answer arrived, and which sector of the source
//! changed in which order. From that alone [`Oracle::check_image`] decides whether an image is what
//! the disks held, or could have held, at one instant.
//!
//! An image is accepted if there is a set of operations such that
//! * with an operation, everything that had ended before it was issued is in the set;
//! * with an operation, everything that changed one of its sectors before it is in the set;
//! * an operation is in it with all it changed;
//! * every sector of the image holds what the last operation of the set left there.
//!
//! Crashes that undo unsynced sectors, reverted snapshots and foreign writers are operations too.

mod cut;
mod image;

pub(crate) use image::{Bounds, Image};

use super::stamp::Cell;

/// Names an operation; also the number in its stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OpId(pub(crate) u32);

/// An instant on the oracle's own clock, which ticks with every event it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Step(pub(crate) u64);

/// What an operation does to its sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Writes its stamp.
    Stamp,
    /// Zeroes.
    Zero,
    /// Changes sectors to whatever they held later: a crash or a revert.
    Change,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The application was told that it succeeded.
    Done,
    /// The application was told that it failed.
    Failed,
    /// The application was never told.
    Lost,
}

#[derive(Debug)]
struct Operation {
    effect: Effect,
    volume: usize,
    first: u32,
    sectors: u32,
    /// It is one record of the stream, so an image has all of it or nothing.
    atomic: bool,
    issued: Step,
    ended: Option<(Step, End)>,
    /// Where it changed something: volume, sector, index in the sector's versions.
    landings: Vec<(usize, u32, u32)>,
    /// It failed and its range could not be read back.
    unreadable: bool,
}

impl Operation {
    fn covers(&self, volume: usize, sector: u32) -> bool {
        self.volume == volume && (self.first..self.first + self.sectors).contains(&sector)
    }
}

/// One value a sector of the source had.
#[derive(Debug, Clone, Copy)]
struct Version {
    operation: OpId,
    content: Cell,
}

#[derive(Debug)]
struct Volume {
    sectors: Vec<Vec<Version>>,
    /// Index of the oldest version that a power cut may bring back.
    durable: Vec<u32>,
    /// Operations that failed and could not be read back.
    unreadable: Vec<OpId>,
}

/// What a flush promises once it is answered: per sector, the oldest version that may survive.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    volume: usize,
    floors: Vec<u32>,
}

/// What a read may return: per sector, the oldest version it may show.
#[derive(Debug, Clone)]
pub(crate) struct Expectation {
    volume: usize,
    first: u32,
    floors: Vec<u32>,
}

impl Expectation {
    pub(crate) fn volume(&self) -> usize {
        self.volume
    }

    pub(crate) fn first(&self) -> u32 {
        self.first
    }
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Oracle {
    clock: Step,
    operations: Vec<Operation>,
    volumes: Vec<Volume>,
    /// Operations in the order they ended.
    ended: Vec<OpId>,
}

impl Oracle {
    /// An oracle of volumes with these many sectors, all zero.
    pub(crate) fn new(sectors: &[u32]) -> Self {
        let origin = Operation {
            effect: Effect::Change,
            volume: 0,
            first: 0,
            sectors: 0,
            atomic: true,
            issued: Step(0),
            ended: Some((Step(0), End::Done)),
            landings: Vec::new(),
            unreadable: false,
        };
        let empty = Version {
            operation: OpId(0),
            content: Cell::Zero,
        };
        let volume = |count: &u32| Volume {
            sectors: vec![vec![empty]; *count as usize],
            durable: vec![0; *count as usize],
            unreadable: Vec::new(),
        };
        Self {
            clock: Step(0),
            operations: vec![origin],
            volumes: sectors.iter().map(volume).collect(),
            ended: vec![OpId(0)],
        }
    }

    fn tick(&mut self) -> Step {
        self.clock.0 += 1;
        self.clock
    }

    /// The instant now: after everything told so far, before everything told later.
    pub(crate) fn now(&mut self) -> Step {
        self.tick()
    }

    /// The application issues an operation.
    pub(crate) fn issue(
        &mut self,
        effect: Effect,
        volume: usize,
        first: u32,
        sectors: u32,
        atomic: bool,
    ) -> OpId {
        let issued = self.tick();
        let id = OpId(self.operations.len() as u32);
        self.operations.push(Operation {
            effect,
            volume,
            first,
            sectors,
            atomic,
            issued,
            ended: None,
            landings: Vec::new(),
            unreadable: false,
        });
        id
    }

    /// A sector of the source took an operation's effect.
    pub(crate) fn landed(&mut self, operation: OpId, volume: usize, sector: u32) {
        let content = match self.operations[operation.0 as usize].effect {
            Effect::Stamp => Cell::Stamp(operation.0),
            Effect::Zero | Effect::Change => Cell::Zero,
        };
        self.push_version(operation, volume, sector, content);
    }

    fn push_version(&mut self, operation: OpId, volume: usize, sector: u32, content: Cell) {
        let versions = &mut self.volumes[volume].sectors[sector as usize];
        if versions
            .last()
            .is_some_and(|last| last.operation == operation)
        {
            return;
        }
        let index = versions.len() as u32;
        versions.push(Version { operation, content });
        self.operations[operation.0 as usize]
            .landings
            .push((volume, sector, index));
    }

    /// The application learns how an operation ended.
    pub(crate) fn ended(&mut self, operation: OpId, end: End) {
        let step = self.tick();
        let state = &mut self.operations[operation.0 as usize];
        if state.ended.is_none() {
            state.ended = Some((step, end));
            self.ended.push(operation);
        }
    }

    /// A failed operation's range could not be read back.
    pub(crate) fn unreadable(&mut self, operation: OpId) {
        let state = &mut self.operations[operation.0 as usize];
        state.unreadable = true;
        self.volumes[state.volume].unreadable.push(operation);
    }

    /// A range of the source could not be read: an operation in flight there that fails cannot be
    /// read back.
    pub(crate) fn read_failed(&mut self, volume: usize, first: u32, sectors: u32) {
        let from = self.operations.len().saturating_sub(512);
        for index in from..self.operations.len() {
            let operation = &self.operations[index];
            let overlaps = operation.volume == volume
                && operation.first < first + sectors
                && first < operation.first + operation.sectors;
            if overlaps && operation.ended.is_none() && !operation.unreadable {
                self.unreadable(OpId(index as u32));
            }
        }
    }

    /// The unended operation that zeroes `sector` and was issued first, if there is one.
    pub(crate) fn zeroing(&self, volume: usize, sector: u32) -> Option<OpId> {
        let open = |operation: &Operation| {
            operation.ended.is_none()
                && operation.effect == Effect::Zero
                && operation.covers(volume, sector)
                && !operation.landings.iter().any(|landing| landing.1 == sector)
        };
        let from = self.operations.len().saturating_sub(512);
        let found = self.operations[from..].iter().position(open)?;
        Some(OpId((from + found) as u32))
    }

    /// What the source holds at a place.
    pub(crate) fn content(&self, volume: usize, sector: u32) -> Cell {
        self.top(volume, sector).content
    }

    fn top(&self, volume: usize, sector: u32) -> Version {
        let versions = &self.volumes[volume].sectors[sector as usize];
        *versions
            .last()
            .expect("a sector has at least its first version")
    }

    /// The index of the newest version of a sector whose operation has ended well.
    fn answered(&self, volume: usize, sector: u32) -> u32 {
        let versions = &self.volumes[volume].sectors[sector as usize];
        let answered = |version: &Version| {
            let operation = &self.operations[version.operation.0 as usize];
            matches!(operation.ended, Some((_, End::Done)))
        };
        versions.iter().rposition(answered).unwrap_or(0) as u32
    }

    /// A flush of a volume is issued: what it promises if it succeeds.
    pub(crate) fn flush_issued(&self, volume: usize) -> Promise {
        let count = self.volumes[volume].sectors.len() as u32;
        let floors = (0..count)
            .map(|sector| self.answered(volume, sector))
            .collect();
        Promise { volume, floors }
    }

    /// A flush was answered well: from now on a power cut must not undo what it covers.
    pub(crate) fn flush_done(&mut self, promise: &Promise) {
        let durable = &mut self.volumes[promise.volume].durable;
        for (floor, promised) in durable.iter_mut().zip(&promise.floors) {
            *floor = (*floor).max(*promised);
        }
    }

    /// A write with FUA was answered well.
    pub(crate) fn forced(&mut self, operation: OpId) {
        let landings = self.operations[operation.0 as usize].landings.clone();
        for (volume, sector, index) in landings {
            let floor = &mut self.volumes[volume].durable[sector as usize];
            *floor = (*floor).max(index);
        }
    }

    /// A read is issued: what it may return.
    pub(crate) fn read_issued(&self, volume: usize, first: u32, sectors: u32) -> Expectation {
        let floors = (first..first + sectors)
            .map(|sector| self.answered(volume, sector))
            .collect();
        Expectation {
            volume,
            first,
            floors,
        }
    }

    /// Whether a read returned what the disk held at some time since it was issued.
    pub(crate) fn check_read(&self, expected: &Expectation, found: &[Cell]) -> Result<(), String> {
        for (index, cell) in found.iter().enumerate() {
            let sector = expected.first + index as u32;
            let versions = &self.volumes[expected.volume].sectors[sector as usize];
            let allowed = &versions[expected.floors[index] as usize..];
            if !allowed.iter().any(|version| version.content == *cell) {
                return Err(format!(
                    "a read of volume {} sector {sector} returned {cell:?}, the disk held {allowed:?}",
                    expected.volume
                ));
            }
        }
        Ok(())
    }

    fn end_all(&mut self) {
        let open: Vec<OpId> = (0..self.operations.len() as u32)
            .map(OpId)
            .filter(|id| self.operations[id.0 as usize].ended.is_none())
            .collect();
        for id in open {
            self.ended(id, End::Lost);
        }
    }

    /// The process that served the disks ended: what was in flight is over. The disks hold
    /// `actual`, which must be what landed on them.
    pub(crate) fn process_ended(&mut self, actual: &[Vec<Cell>]) -> Result<(), String> {
        self.end_all();
        if self.source().is(actual) {
            return Ok(());
        }
        Err("the disks hold something that no operation put there".to_owned())
    }

    /// The source host ended: what was in flight is over, and the disks hold `actual`. After a
    /// power cut every flushed sector must hold what was flushed or something newer; after a
    /// revert (`promises` false) anything goes.
    pub(crate) fn host_ended(
        &mut self,
        actual: &[Vec<Cell>],
        promises: bool,
    ) -> Result<(), String> {
        self.end_all();
        let change = self.issue(Effect::Change, 0, 0, 0, true);
        let mut broken = None;
        for (volume, cells) in actual.iter().enumerate() {
            for (sector, cell) in cells.iter().enumerate() {
                let floor = self.volumes[volume].durable[sector] as usize;
                let versions = &self.volumes[volume].sectors[sector];
                if promises && !versions[floor..].iter().any(|known| known.content == *cell) {
                    broken.get_or_insert(format!(
                        "volume {volume} sector {sector} holds {cell:?} after a power cut; a flush had \
                         promised one of {:?}",
                        &versions[floor..]
                    ));
                }
                if *cell != self.content(volume, sector as u32) {
                    self.push_version(change, volume, sector as u32, *cell);
                }
                let top = self.volumes[volume].sectors[sector].len() - 1;
                self.volumes[volume].durable[sector] = top as u32;
            }
        }
        self.ended(change, End::Done);
        broken.map_or(Ok(()), Err)
    }

    /// Whether every operation has ended.
    pub(crate) fn is_quiet(&self) -> bool {
        self.ended.len() == self.operations.len()
    }

    /// Sectors per volume.
    pub(crate) fn sizes(&self) -> Vec<u32> {
        self.volumes
            .iter()
            .map(|volume| volume.sectors.len() as u32)
            .collect()
    }

    /// The ranges of failed operations that could not be read back: volume, first, sectors.
    pub(crate) fn voids(&self) -> Vec<(usize, u32, u32)> {
        let unreadable = self.volumes.iter().flat_map(|volume| &volume.unreadable);
        unreadable
            .map(|id| {
                let operation = &self.operations[id.0 as usize];
                (operation.volume, operation.first, operation.sectors)
            })
            .collect()
    }

    fn describe(&self, id: OpId) -> String {
        let operation = &self.operations[id.0 as usize];
        format!(
            "operation {} ({:?} of {}:{}+{}, issued {}, ended {:?})",
            id.0,
            operation.effect,
            operation.volume,
            operation.first,
            operation.sectors,
            operation.issued.0,
            operation.ended,
        )
    }
}

#[cfg(test)]
mod tests;
