//! The one state behind all handles of a simulated disk: files, names, faults and power.
//!
//! Invariant: everything random comes from the one seed and happens in call order, so the same
//! calls with the same seed give the same disk. Returns plain `io::Error`s; the handles add
//! operation and path.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::content::{Content, PAGE_BYTES};
use super::names::{FileNumber, Names};
use super::{FaultCounts, FaultPlan};
use crate::SeededRandom;

/// What a power cut lets survive, per mille; picked anew for each file at each cut, so that
/// "nothing", "almost all" and everything between are all common.
const SURVIVAL_CHOICES: [u32; 5] = [0, 100, 500, 900, 1000];

/// How a program's use of the disk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Killed,
    PowerCut,
}

impl End {
    fn error(self) -> io::Error {
        io::Error::other(match self {
            Self::Killed => "the process was killed",
            Self::PowerCut => "power was cut",
        })
    }
}

/// Counts the lives of the programs on this disk; a handle works only in the life it was opened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life(u64);

/// Names one use of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MappingNumber(u64);

/// A failed step: the system's answer, or the file was given up earlier.
#[derive(Debug)]
pub(super) enum Refusal {
    System(io::Error),
    Poisoned,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) poisoned: bool,
    /// Bytes that the device cannot read any more.
    pub(super) unreadable: std::ops::Range<u64>,
    /// Cloned into every handle, so its count tells whether the file is open.
    open: Arc<()>,
    mapped: Option<MappingNumber>,
    /// A mapping whose program ended and whose memory was not handed back yet.
    orphan: Option<(MappingNumber, End)>,
}

#[derive(Debug)]
pub(super) struct World {
    random: SeededRandom,
    plan: FaultPlan,
    pub(super) armed: bool,
    pub(super) capacity: Option<u64>,
    pub(super) names: Names,
    files: BTreeMap<FileNumber, Node>,
    next_number: u64,
    life: Life,
    last_end: End,
    powered: bool,
    pub(super) operations: u64,
    pub(super) cut_at: Option<u64>,
    pub(super) counts: FaultCounts,
}

impl World {
    pub(super) fn new(seed: u64, plan: FaultPlan) -> Self {
        Self {
            random: SeededRandom::new(seed),
            plan,
            armed: true,
            capacity: None,
            names: Names::default(),
            files: BTreeMap::new(),
            next_number: 0,
            life: Life(0),
            last_end: End::Killed,
            powered: true,
            operations: 0,
            cut_at: None,
            counts: FaultCounts::default(),
        }
    }

    /// A copy with nothing open in it and another future.
    pub(super) fn fork(&self, seed: u64) -> Self {
        let copy = |node: &Node| Node {
            content: node.content.clone(),
            poisoned: node.poisoned,
            unreadable: node.unreadable.clone(),
            ..Node::default()
        };
        Self {
            random: SeededRandom::new(seed),
            names: self.names.clone(),
            files: self
                .files
                .iter()
                .map(|(number, node)| (*number, copy(node)))
                .collect(),
            cut_at: None,
            ..*self
        }
    }

    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// Whether a handle of this life may still be used; `None` for the disk itself.
    pub(super) fn check(&self, life: Option<Life>) -> Result<(), Refusal> {
        let alive = self.powered && life.is_none_or(|life| life == self.life);
        if alive {
            Ok(())
        } else {
            Err(Refusal::System(self.last_end.error()))
        }
    }

    /// One step that changes the disk. If the power is to go during it, a step that is only
    /// `issued` may survive in part, while a sync has not happened.
    pub(super) fn step<T>(
        &mut self,
        life: Option<Life>,
        kind: Step,
        act: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.check(life)?;
        self.operations += 1;
        if self.cut_at != Some(self.operations) {
            return act(self);
        }
        if kind == Step::Issued {
            // Its result is of no interest any more: the caller only learns of the power cut.
            drop(act(self));
        }
        self.end(End::PowerCut);
        self.powered = false;
        Err(Refusal::System(End::PowerCut.error()))
    }

    pub(super) fn power_on(&mut self) {
        self.powered = true;
        self.cut_at = None;
    }

    /// Ends the life of every handle; at a power cut, loses what was not durable.
    pub(super) fn end(&mut self, end: End) {
        self.life.0 += 1;
        self.last_end = end;
        match end {
            End::Killed => self.counts.kills += 1,
            End::PowerCut => {
                self.counts.power_cuts += 1;
                let survival = SURVIVAL_CHOICES[self.random.index(SURVIVAL_CHOICES.len())];
                self.counts.lost_names += self.names.cut_power(&mut self.random, survival);
            }
        }
        let reachable = self.names.reachable();
        self.files.retain(|number, _| reachable.contains(number));
        for node in self.files.values_mut() {
            // The next program does not know what failed in this one.
            node.poisoned = false;
            node.open = Arc::default();
            let mapping = node
                .mapped
                .take()
                .or(node.orphan.map(|(mapping, _)| mapping));
            node.orphan = mapping.map(|mapping| (mapping, end));
            if end == End::PowerCut {
                let survival = SURVIVAL_CHOICES[self.random.index(SURVIVAL_CHOICES.len())];
                self.counts.lost_sectors += node.content.cut_power(&mut self.random, survival);
            }
        }
    }

    pub(super) fn add_file(&mut self) -> FileNumber {
        let number = FileNumber(self.fresh_number());
        self.files.insert(number, Node::default());
        number
    }

    /// A token that keeps the file alive while it is open.
    pub(super) fn hold(&mut self, file: FileNumber) -> Result<Arc<()>, Refusal> {
        let node = self.node(file)?;
        // Whoever opens the file anew must not see an old program's memory arrive later.
        node.orphan = None;
        Ok(Arc::clone(&node.open))
    }

    pub(super) fn node(&mut self, file: FileNumber) -> Result<&mut Node, Refusal> {
        self.files
            .get_mut(&file)
            .ok_or(Refusal::System(Errno::NOENT.into()))
    }

    /// The node, if the file was not given up after a failed sync.
    pub(super) fn healthy_node(&mut self, file: FileNumber) -> Result<&mut Node, Refusal> {
        let node = self.node(file)?;
        if node.poisoned {
            Err(Refusal::Poisoned)
        } else {
            Ok(node)
        }
    }

    pub(super) fn forget_unreachable(&mut self) {
        let reachable = self.names.reachable();
        self.files
            .retain(|number, node| reachable.contains(number) || Arc::strong_count(&node.open) > 1);
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.names.named();
        let counted = self
            .files
            .iter()
            .filter(|(number, node)| named.contains(number) || Arc::strong_count(&node.open) > 1);
        counted
            .map(|(_, node)| node.content.allocated_bytes())
            .sum()
    }

    pub(super) fn reserve(&mut self, growth_bytes: u64) -> Result<(), Refusal> {
        if let Some(capacity) = self.capacity
            && growth_bytes > 0
            && self.used_bytes() + growth_bytes > capacity
        {
            self.counts.no_space += 1;
            return Err(Errno::NOSPC.into());
        }
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        file: FileNumber,
        buffer: &mut [u8],
        offset: u64,
    ) -> Result<usize, Refusal> {
        if self.strikes(self.plan.read_error_per_mille) {
            self.counts.read_errors += 1;
            return Err(Errno::IO.into());
        }
        let node = self.node(file)?;
        let end = offset + buffer.len() as u64;
        if node.unreadable.start < end && offset < node.unreadable.end {
            self.counts.read_errors += 1;
            return Err(Errno::IO.into());
        }
        Ok(node.content.read(buffer, offset))
    }

    pub(super) fn write(
        &mut self,
        file: FileNumber,
        parts: &[&[u8]],
        offset: u64,
    ) -> Result<(), Refusal> {
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let growth = self
            .healthy_node(file)?
            .content
            .growth_bytes(offset, length);
        self.reserve(growth)?;
        let failed = self.strikes(self.plan.write_error_per_mille);
        // A write that fails leaves any beginning of itself.
        let mut room = if failed {
            self.random.below(length + 1)
        } else {
            length
        };
        let mut position = offset;
        let content = &mut self.node(file)?.content;
        for part in parts {
            let count = room.min(part.len() as u64);
            content.write(&part[..count as usize], position);
            position += count;
            room -= count;
        }
        if failed {
            self.counts.write_errors += 1;
            return Err(Errno::IO.into());
        }
        Ok(())
    }

    /// A change of a file's shape (length, holes), which may fail like a write, without effect.
    pub(super) fn reshape(
        &mut self,
        file: FileNumber,
        act: impl FnOnce(&mut Content),
    ) -> Result<(), Refusal> {
        self.healthy_node(file)?;
        if self.strikes(self.plan.write_error_per_mille) {
            self.counts.write_errors += 1;
            return Err(Errno::IO.into());
        }
        act(&mut self.node(file)?.content);
        Ok(())
    }

    pub(super) fn sync(&mut self, file: FileNumber) -> Result<(), Refusal> {
        self.healthy_node(file)?;
        if !self.strikes(self.plan.sync_error_per_mille) {
            self.node(file)?.content.sync();
            return Ok(());
        }
        self.counts.sync_errors += 1;
        let mut random = self.random.fork();
        let node = self.node(file)?;
        node.content.fail_sync(&mut random);
        node.poisoned = true;
        Err(Errno::IO.into())
    }

    pub(super) fn sync_names(&mut self, directory: &std::path::Path) -> Result<(), Refusal> {
        if self.strikes(self.plan.sync_error_per_mille) {
            self.counts.sync_errors += 1;
            return Err(Errno::IO.into());
        }
        self.names.sync(directory);
        self.forget_unreachable();
        Ok(())
    }

    pub(super) fn begin_mapping(&mut self, file: FileNumber) -> Result<MappingNumber, Refusal> {
        let mapping = MappingNumber(self.fresh_number());
        let node = self.node(file)?;
        if node.mapped.is_some() {
            return Err(Errno::BUSY.into());
        }
        node.mapped = Some(mapping);
        Ok(mapping)
    }

    /// Takes the memory of a mapping that is given up, or whose program has ended.
    pub(super) fn end_mapping(&mut self, file: FileNumber, mapping: MappingNumber, bytes: &[u8]) {
        let mut random = self.random.fork();
        let Some(node) = self.files.get_mut(&file) else {
            return;
        };
        let orphan = node
            .orphan
            .filter(|(number, _)| *number == mapping)
            .map(|(_, end)| end);
        // A file cut meanwhile by a test stays cut.
        let length = node.content.length().min(bytes.len() as u64);
        let bytes = &bytes[..length as usize];
        if node.mapped == Some(mapping) {
            node.mapped = None;
            node.content.write(bytes, 0);
        } else if let Some(end) = orphan {
            node.orphan = None;
            match end {
                End::Killed => node.content.write(bytes, 0),
                End::PowerCut => {
                    for (index, page) in bytes.chunks(PAGE_BYTES as usize).enumerate() {
                        if random.coin() {
                            node.content.write_durable(page, index as u64 * PAGE_BYTES);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn random_bit(&mut self) -> u8 {
        1 << self.random.below(8)
    }

    fn strikes(&mut self, per_mille: u32) -> bool {
        self.armed && self.random.chance_per_mille(per_mille)
    }

    fn fresh_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

/// What a power cut in the middle of a step leaves of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The change is under way, unsynced.
    Issued,
    /// A sync: it has not happened.
    Sync,
}
