//! The simulated twin: a deterministic disk in memory that loses power, errs and fills up.
//!
//! What it models, and is stricter about than most file systems:
//! * a write is visible at once and durable, 512-byte sector by sector, only after a sync; at a
//!   power cut every unsynced sector becomes any value it had since the last sync, and unsynced
//!   lengths may go back too;
//! * a name change is durable only after a sync of its directory; at a power cut any combination
//!   of unsynced changes survives that keeps the order per name; syncing a file does not sync its
//!   name;
//! * a failed sync loses a random part of the data for good, even if a later sync (of the next
//!   program, as this one's file is poisoned) succeeds: only writing it again helps;
//! * a kill loses nothing, but ends all open files and mappings.
//!
//! Paths are compared as written; use absolute ones. It does not model permissions, latency, or
//! files larger than the memory. Mapped files: see `simulated/mapping.rs`.

mod content;
mod file;
mod mapping;
mod names;
mod world;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

pub use self::content::SECTOR_BYTES;
use self::file::SimulatedFile;
use self::mapping::SimulatedMapping;
use self::names::FileNumber;
use self::world::{End, Refusal, Step, World};
use crate::real::parent_of;
use crate::{Access, CreateOptions, DiskError, File, Mapping, Space, Storage};

/// What an unlimited disk says it holds.
const UNLIMITED_BYTES: u64 = 1 << 40;

/// How often the disk errs while it is armed, per thousand operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// Writes (and changes of length) that fail; a failed write leaves any beginning of itself.
    pub write_error_per_mille: u32,
    /// Syncs that fail and poison their file.
    pub sync_error_per_mille: u32,
    /// Reads that fail.
    pub read_error_per_mille: u32,
}

impl FaultPlan {
    /// No errors; power cuts, kills and full disks still happen when asked for.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }
}

/// What happened to the disk so far, so that a test can prove it was not vacuous.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Writes that failed.
    pub write_errors: u64,
    /// Syncs that failed.
    pub sync_errors: u64,
    /// Reads that failed.
    pub read_errors: u64,
    /// Writes refused for want of space.
    pub no_space: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Kills.
    pub kills: u64,
    /// Sectors that lost their latest value in power cuts.
    pub lost_sectors: u64,
    /// Creations, renames and removals undone by power cuts.
    pub lost_names: u64,
    /// Bits flipped and files cut by request.
    pub corruptions: u64,
}

/// A disk in memory whose every misfortune follows from one seed. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    world: Arc<Mutex<World>>,
}

impl SimulatedDisk {
    /// An empty, armed, unlimited disk.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan) -> Self {
        Self {
            world: Arc::new(Mutex::new(World::new(seed, plan))),
        }
    }

    /// The power goes and comes back: unsynced state survives in part, all open files are dead.
    pub fn power_cut(&self) {
        let mut world = self.world();
        world.end(End::PowerCut);
        world.power_on();
    }

    /// The process is killed: nothing is lost, all open files are dead.
    pub fn kill(&self) {
        self.world().end(End::Killed);
    }

    /// Cuts the power during the changing operation that is this many from now; 1 is the next.
    ///
    /// A write or name change it strikes may survive in part; a sync it strikes has not happened.
    /// From then on everything fails until [`SimulatedDisk::power_on`].
    pub fn cut_power_at(&self, operations_from_now: u64) {
        let mut world = self.world();
        world.cut_at = Some(world.operations + operations_from_now.max(1));
    }

    /// Brings the disk back after a cut set by [`SimulatedDisk::cut_power_at`], and forgets one
    /// that has not struck yet.
    pub fn power_on(&self) {
        self.world().power_on();
    }

    /// Changing operations (writes, syncs, creations, renames …) so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Another disk with the same contents, synced and unsynced, nothing open, and a future of its
    /// own: to try many power cuts from one state.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self {
            world: Arc::new(Mutex::new(self.world().fork(seed))),
        }
    }

    /// Limits the disk to this many bytes (of 4 KiB pages); what is there already stays.
    pub fn set_capacity(&self, bytes: u64) {
        self.world().capacity = Some(bytes);
    }

    /// Switches the errors of the fault plan on or off.
    pub fn arm(&self, armed: bool) {
        self.world().armed = armed;
    }

    /// What happened so far.
    #[must_use]
    pub fn faults(&self) -> FaultCounts {
        self.world().counts
    }

    /// Corrupts a file: flips a random bit of the byte at `offset`, on disk and for readers.
    pub fn flip_bit(&self, path: &Path, offset: u64) -> Result<(), DiskError> {
        let mut world = self.world();
        let mask = world.random_bit();
        let length = content_length(&mut world, path)?;
        if offset >= length {
            return Err(DiskError::ShortRead {
                path: path.to_owned(),
                offset,
                wanted: 1,
                got: 0,
            });
        }
        corrupt(&mut world, path, |content| content.flip(offset, mask))
    }

    /// Corrupts a file: from now on, reads of any of these bytes fail.
    pub fn make_unreadable(&self, path: &Path, bytes: Range<u64>) -> Result<(), DiskError> {
        let mut world = self.world();
        let file = existing(&world, path).map_err(named("corrupt", path))?;
        let node = world.node(file).map_err(named("corrupt", path))?;
        node.unreadable = bytes;
        world.counts.corruptions += 1;
        Ok(())
    }

    /// Corrupts a file: cuts it to `length` bytes, on disk and for readers.
    pub fn truncate(&self, path: &Path, length: u64) -> Result<(), DiskError> {
        corrupt(&mut self.world(), path, |content| content.truncate(length))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A panicking test must not hide behind a second panic here.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step<T>(
        &self,
        operation: &'static str,
        path: &Path,
        kind: Step,
        act: impl FnOnce(&mut World) -> Result<T, Refusal>,
    ) -> Result<T, DiskError> {
        self.world()
            .step(None, kind, act)
            .map_err(named(operation, path))
    }

    fn look<T>(
        &self,
        operation: &'static str,
        path: &Path,
        act: impl FnOnce(&mut World) -> Result<T, Refusal>,
    ) -> Result<T, DiskError> {
        let mut world = self.world();
        world
            .check(None)
            .and_then(|()| act(&mut world))
            .map_err(named(operation, path))
    }

    fn handle(
        &self,
        world: &mut World,
        path: &Path,
        file: FileNumber,
        writable: bool,
    ) -> Result<SimulatedFile, Refusal> {
        Ok(SimulatedFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
            life: world.life(),
            writable,
            _open: world.hold(file)?,
        })
    }

    fn create_entry(&self, path: &Path) -> Result<SimulatedFile, DiskError> {
        self.step("create", path, Step::Issued, |world| {
            if !world.names.is_directory(parent_of(path)) {
                return Err(Errno::NOENT.into());
            }
            if world.names.file(path).is_some() || world.names.is_directory(path) {
                return Err(Errno::EXIST.into());
            }
            let file = world.add_file();
            world.names.link(path, file);
            self.handle(world, path, file, true)
        })
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimulatedDisk")
            .finish_non_exhaustive()
    }
}

impl Storage for SimulatedDisk {
    fn create(&self, path: &Path, options: CreateOptions) -> Result<Arc<dyn File>, DiskError> {
        let file = self.create_entry(path)?;
        if let Some(length) = options.prewritten
            && let Err(error) = file
                .extend_with_zeros(length)
                .and_then(|()| file.sync_all())
        {
            // As the real twin does. After a power cut there is nothing to remove with.
            drop(self.remove(path));
            return Err(error);
        }
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>, DiskError> {
        let file = self.look("open", path, |world| {
            let file = existing(world, path)?;
            self.handle(world, path, file, access.write)
        })?;
        Ok(Arc::new(file))
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.look("look up", path, |world| {
            Ok(world.names.file(path).is_some() || world.names.is_directory(path))
        })
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.step("remove", path, Step::Issued, |world| {
            existing(world, path)?;
            world.names.unlink(path);
            world.forget_unreachable();
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.step("rename", from, Step::Issued, |world| {
            let file = existing(world, from)?;
            if !world.names.is_directory(parent_of(to)) {
                return Err(Errno::NOENT.into());
            }
            if world.names.is_directory(to) {
                return Err(Errno::ISDIR.into());
            }
            world.names.rename(from, to, file);
            Ok(())
        })
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, DiskError> {
        self.look("list", directory, |world| {
            existing_directory(world, directory)?;
            Ok(world.names.list(directory))
        })
    }

    fn create_directory_all(&self, directory: &Path) -> Result<(), DiskError> {
        self.step("create directory", directory, Step::Issued, |world| {
            if directory
                .ancestors()
                .any(|path| world.names.file(path).is_some())
            {
                return Err(Errno::NOTDIR.into());
            }
            world.names.add_directories(directory);
            Ok(())
        })
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        self.step("sync directory", directory, Step::Sync, |world| {
            existing_directory(world, directory)?;
            world.sync_names(directory)
        })
    }

    fn space(&self, directory: &Path) -> Result<Space, DiskError> {
        self.look("measure the space of", directory, |world| {
            existing_directory(world, directory)?;
            let total_bytes = world.capacity.unwrap_or(UNLIMITED_BYTES);
            let available_bytes = total_bytes.saturating_sub(world.used_bytes());
            Ok(Space {
                total_bytes,
                available_bytes,
            })
        })
    }

    fn map(&self, path: &Path, length: u64) -> Result<Box<dyn Mapping>, DiskError> {
        let handle = if self.exists(path)? {
            self.look("map", path, |world| {
                let file = existing(world, path)?;
                self.handle(world, path, file, true)
            })?
        } else {
            self.create_entry(path)?
        };
        let present = handle.length()?;
        if present > length {
            return Err(DiskError::TooLarge {
                path: path.to_owned(),
                length: present,
                limit: length,
            });
        }
        if present < length {
            handle.extend_with_zeros(length)?;
            handle.sync_all()?;
        }
        let mut bytes = vec![0; length as usize];
        handle.read_exact_at(&mut bytes, 0)?;
        let mapping = self.look("map", path, |world| world.begin_mapping(handle.file))?;
        Ok(Box::new(SimulatedMapping {
            disk: self.clone(),
            path: path.to_owned(),
            file: handle.file,
            mapping,
            life: handle.life,
            bytes,
            handed_over: false,
        }))
    }
}

/// Puts operation and path to what the world said.
fn named(operation: &'static str, path: &Path) -> impl FnOnce(Refusal) -> DiskError {
    move |refusal| match refusal {
        Refusal::System(source) => DiskError::io(operation, path, source),
        Refusal::Poisoned => DiskError::Poisoned {
            operation,
            path: path.to_owned(),
        },
    }
}

fn existing(world: &World, path: &Path) -> Result<FileNumber, Refusal> {
    if world.names.is_directory(path) {
        return Err(Errno::ISDIR.into());
    }
    world
        .names
        .file(path)
        .ok_or(Refusal::System(io::ErrorKind::NotFound.into()))
}

fn existing_directory(world: &World, path: &Path) -> Result<(), Refusal> {
    if world.names.is_directory(path) {
        Ok(())
    } else {
        Err(Errno::NOENT.into())
    }
}

fn content_length(world: &mut World, path: &Path) -> Result<u64, DiskError> {
    let file = existing(world, path).map_err(named("measure", path))?;
    Ok(world
        .node(file)
        .map_err(named("measure", path))?
        .content
        .length())
}

fn corrupt(
    world: &mut World,
    path: &Path,
    act: impl FnOnce(&mut content::Content),
) -> Result<(), DiskError> {
    let file = existing(world, path).map_err(named("corrupt", path))?;
    act(&mut world.node(file).map_err(named("corrupt", path))?.content);
    world.counts.corruptions += 1;
    Ok(())
}

#[cfg(test)]
mod tests;
