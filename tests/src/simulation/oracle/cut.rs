//! The least set of operations that an image must contain, grown until nothing more follows.

use super::{OpId, Oracle, Step};

/// A set of operations, closed under "ended before it was issued" and "changed that sector before".
pub(super) struct Cut<'a> {
    oracle: &'a Oracle,
    member: Vec<bool>,
    whole: Vec<bool>,
    /// Per volume and sector, the newest version that the set contains.
    top: Vec<Vec<u32>>,
    /// Everything that ended before this instant is in the set.
    level: Step,
    /// How many of the ended operations, in their order, were taken in.
    taken: usize,
    work: Vec<Task>,
}

enum Task {
    Version {
        volume: usize,
        sector: u32,
        index: u32,
    },
    Operation {
        id: OpId,
        whole: bool,
    },
}

impl<'a> Cut<'a> {
    /// The set that contains everything that ended before `after`.
    pub(super) fn new(oracle: &'a Oracle, after: Step) -> Self {
        let top = oracle
            .volumes
            .iter()
            .map(|volume| vec![0; volume.sectors.len()])
            .collect();
        let mut cut = Self {
            oracle,
            member: vec![false; oracle.operations.len()],
            whole: vec![false; oracle.operations.len()],
            top,
            level: Step(0),
            taken: 0,
            work: Vec::new(),
        };
        cut.raise(after);
        cut.close();
        cut
    }

    /// The newest version of a sector in the set.
    pub(super) fn top(&self, volume: usize, sector: u32) -> u32 {
        self.top[volume][sector as usize]
    }

    /// Operations of the set.
    pub(super) fn members(&self) -> impl Iterator<Item = OpId> + '_ {
        let member = |(index, is): (usize, &bool)| is.then_some(OpId(index as u32));
        self.member.iter().enumerate().filter_map(member)
    }

    /// Takes in what left version `index` at a sector, and everything that follows from it.
    pub(super) fn include(&mut self, volume: usize, sector: u32, index: u32) {
        self.work.push(Task::Version {
            volume,
            sector,
            index,
        });
        self.close();
    }

    fn close(&mut self) {
        while let Some(task) = self.work.pop() {
            match task {
                Task::Version {
                    volume,
                    sector,
                    index,
                } => self.take_version(volume, sector, index),
                Task::Operation { id, whole } => self.take_operation(id, whole),
            }
        }
    }

    fn take_version(&mut self, volume: usize, sector: u32, index: u32) {
        let top = &mut self.top[volume][sector as usize];
        let versions = &self.oracle.volumes[volume].sectors[sector as usize];
        for version in &versions[(*top).min(index) as usize + 1..=index as usize] {
            let whole = self.oracle.operations[version.operation.0 as usize].atomic;
            self.work.push(Task::Operation {
                id: version.operation,
                whole,
            });
        }
        *top = (*top).max(index);
    }

    fn take_operation(&mut self, id: OpId, whole: bool) {
        let index = id.0 as usize;
        let operation = &self.oracle.operations[index];
        if !self.member[index] {
            self.member[index] = true;
            self.raise(operation.issued);
        }
        if whole && !self.whole[index] {
            self.whole[index] = true;
            for (volume, sector, index) in &operation.landings {
                self.work.push(Task::Version {
                    volume: *volume,
                    sector: *sector,
                    index: *index,
                });
            }
        }
    }

    fn raise(&mut self, level: Step) {
        self.level = self.level.max(level);
        while let Some(id) = self.oracle.ended.get(self.taken) {
            let ended = self.oracle.operations[id.0 as usize].ended;
            if ended.is_none_or(|(step, _)| step >= self.level) {
                break;
            }
            self.taken += 1;
            self.work.push(Task::Operation {
                id: *id,
                whole: true,
            });
        }
    }
}
