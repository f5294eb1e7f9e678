//! An open file of the simulated disk.
//!
//! Invariant: it works only in the life it was opened in; after a kill or a power cut every call
//! fails. All state is in the world behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::names::FileNumber;
use super::world::{Life, Refusal, Step, World};
use super::{SimulatedDisk, named};
use crate::{DiskError, File};

#[derive(Debug)]
pub(super) struct SimulatedFile {
    pub(super) disk: SimulatedDisk,
    pub(super) path: PathBuf,
    pub(super) file: FileNumber,
    pub(super) life: Life,
    pub(super) writable: bool,
    /// Tells the world that the file is open.
    pub(super) _open: Arc<()>,
}

impl SimulatedFile {
    fn step(
        &self,
        operation: &'static str,
        kind: Step,
        act: impl FnOnce(&mut World) -> Result<(), Refusal>,
    ) -> Result<(), DiskError> {
        let checked = |world: &mut World| {
            if self.writable {
                act(world)
            } else {
                Err(Errno::BADF.into())
            }
        };
        self.disk
            .world()
            .step(Some(self.life), kind, checked)
            .map_err(named(operation, &self.path))
    }

    pub(super) fn extend_with_zeros(&self, length: u64) -> Result<(), DiskError> {
        self.step("write", Step::Issued, |world| {
            let content = &world.healthy_node(self.file)?.content;
            let present = content.length();
            let growth = content.growth_bytes(present, length.saturating_sub(present));
            world.reserve(growth)?;
            world.reshape(self.file, |content| content.extend_with_zeros(length))
        })
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.step("sync", Step::Sync, |world| world.sync(self.file))
    }
}

impl File for SimulatedFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn length(&self) -> Result<u64, DiskError> {
        let mut world = self.disk.world();
        let checked = world.check(Some(self.life));
        checked
            .and_then(|()| Ok(world.node(self.file)?.content.length()))
            .map_err(named("measure", &self.path))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let mut world = self.disk.world();
        let checked = world.check(Some(self.life));
        checked
            .and_then(|()| world.read(self.file, buffer, offset))
            .map_err(named("read", &self.path))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.write_vectored_all_at(&[bytes], offset)
    }

    fn write_vectored_all_at(&self, parts: &[&[u8]], offset: u64) -> Result<(), DiskError> {
        self.step("write", Step::Issued, |world| {
            world.write(self.file, parts, offset)
        })
    }

    fn set_length(&self, length: u64) -> Result<(), DiskError> {
        self.step("set the length of", Step::Issued, |world| {
            world.reshape(self.file, |content| content.set_length(length))
        })
    }

    fn punch_hole(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.step("punch a hole into", Step::Issued, |world| {
            world.reshape(self.file, |content| content.punch_hole(offset, length))
        })
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.sync()
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.sync()
    }
}
