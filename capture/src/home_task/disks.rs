//! The disks of a task: each is locked when it is first needed and stays so until the task ends; but a
//! restore lets go of them at the end of each attempt, and its stamps speak for them until the next.
//!
//! Invariant: no disk is read or written here that is not locked.

use std::{sync::Arc, time::Duration};

use bcdr_disk::Storage;
use bcdr_format::VolumeId;
use bcdr_wire::restore::Description;

use super::fault::Fault;
use crate::{
    config::VolumeConfig,
    restore::{FenceError, FencedVolume},
};

/// Gets hold of disks.
pub trait DiskOpener: Send {
    /// Locks a volume's disk. Blocks while another has it, but not for ever.
    ///
    /// # Errors
    /// If it is not to be had.
    fn take(&self, volume: &VolumeConfig) -> Result<FencedVolume, FenceError>;
}

/// The disks of this host.
pub struct LockedDisks {
    /// Through which they are read and written.
    pub storage: Arc<dyn Storage>,
    /// How long one that somebody else has is waited for.
    pub patience: Duration,
}

impl DiskOpener for LockedDisks {
    fn take(&self, volume: &VolumeConfig) -> Result<FencedVolume, FenceError> {
        FencedVolume::take(volume, self.patience, &*self.storage)
    }
}

/// The disks that a task holds.
#[derive(Default)]
pub(super) struct Disks(Vec<FencedVolume>);

impl Disks {
    /// Locks the disks that a point is given back for, and returns them in the point's order.
    pub(super) fn of_point(
        &mut self,
        opener: &dyn DiskOpener,
        volumes: &[VolumeConfig],
        description: &Description,
    ) -> Result<Vec<&FencedVolume>, Fault> {
        for described in &description.volumes {
            let volume = described.id;
            if self.get(volume).is_none() {
                let config = volumes.iter().find(|config| config.id == volume);
                let config = config.ok_or(Fault::UnknownVolume { volume })?;
                self.0.push(opener.take(config)?);
            }
        }
        let mut disks = Vec::with_capacity(description.volumes.len());
        for described in &description.volumes {
            let disk = self.get(described.id).expect("it was taken above");
            if disk.size_bytes() != described.size_bytes {
                return Err(Fault::Size {
                    volume: described.id,
                    wanted: described.size_bytes,
                    found: disk.size_bytes(),
                });
            }
            disks.push(disk);
        }
        Ok(disks)
    }

    /// Hands the disks over, for a run that gives them back.
    pub(super) fn take_all(&mut self) -> Vec<FencedVolume> {
        std::mem::take(&mut self.0)
    }

    fn get(&self, volume: VolumeId) -> Option<&FencedVolume> {
        self.0.iter().find(|disk| disk.id() == volume)
    }
}
