//! A mapped file of the simulated disk.
//!
//! Safe code cannot share plain bytes with the world, so the mapping owns them and hands them over
//! when it is synced or dropped. Invariant: what reaches the world after a kill or a power cut is
//! the memory as it was then. The dead mapping must be dropped before the file is opened again;
//! if it is not, its unsynced bytes count as lost.

use std::path::PathBuf;

use super::names::FileNumber;
use super::world::{Life, MappingNumber, Step};
use super::{SimulatedDisk, named};
use crate::{DiskError, Mapping};

#[derive(Debug)]
pub(super) struct SimulatedMapping {
    pub(super) disk: SimulatedDisk,
    pub(super) path: PathBuf,
    pub(super) file: FileNumber,
    pub(super) mapping: MappingNumber,
    pub(super) life: Life,
    pub(super) bytes: Vec<u8>,
    /// Whether the world has taken the memory over; later changes go nowhere.
    pub(super) handed_over: bool,
}

impl SimulatedMapping {
    fn hand_over(&mut self) {
        if !self.handed_over {
            self.handed_over = true;
            self.disk
                .world()
                .end_mapping(self.file, self.mapping, &self.bytes);
        }
    }
}

impl Mapping for SimulatedMapping {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        if !self.handed_over && self.disk.world().check(Some(self.life)).is_err() {
            // A dead program cannot change memory any more: keep what there was when it died.
            self.hand_over();
        }
        &mut self.bytes
    }

    fn sync(&self) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        let result = world.step(Some(self.life), Step::Sync, |world| {
            world.healthy_node(self.file)?.content.write(&self.bytes, 0);
            world.sync(self.file)
        });
        result.map_err(named("sync", &self.path))
    }
}

impl Drop for SimulatedMapping {
    fn drop(&mut self) {
        self.hand_over();
    }
}
