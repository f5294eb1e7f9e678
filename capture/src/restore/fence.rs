//! The right to write to a device: nobody serves it, and an operator said that it may be overwritten.
//!
//! A [`FencedVolume`] holds the exclusive lock that a capture holds while it serves, so while one
//! lives no capture serves the device, and none can begin to. It can be had by taking that lock and
//! in no other way. Its I/O is synchronous and ends before the process does, so whoever takes the
//! lock after a kill knows that nothing of it can still arrive. Programs that do not ask for the
//! lock are not kept out; that they wrote is found by digest.

use std::{
    fmt, io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bcdr_disk::{ALIGNMENT, Access, DiskError, File, Storage};
use bcdr_format::VolumeId;

use crate::{
    config::VolumeConfig,
    evidence,
    intent::{BackingEvidence, BootId},
    ring::backing::Backing,
    volume::{self, VolumeError},
};

/// Why a volume cannot be fenced.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// Its device cannot be had, or is served.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Its device cannot be opened a second time.
    #[error("volume {name}: {source}")]
    Open {
        /// The volume's name.
        name: String,
        /// Why.
        #[source]
        source: DiskError,
    },
    /// The system does not tell what identifies it.
    #[error(
        "volume {name}: cannot look at {}: {source}; check that /proc and /sys are mounted and \
         readable", path.display()
    )]
    Evidence {
        /// The volume's name.
        name: String,
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Looks at a device from outside, and holds its lock.
pub(super) trait Witness: Send {
    fn evidence(&self) -> io::Result<BackingEvidence>;
}

struct LockedBacking {
    backing: Arc<Backing>,
    boot: BootId,
}

impl Witness for LockedBacking {
    fn evidence(&self) -> io::Result<BackingEvidence> {
        Ok(evidence::gather([&*self.backing], self.boot)?.evidence)
    }
}

/// A volume whose device is served by nobody.
pub struct FencedVolume {
    id: VolumeId,
    name: String,
    path: PathBuf,
    size_bytes: u64,
    identity: u64,
    // The file goes before the lock does.
    file: Arc<dyn File>,
    witness: Box<dyn Witness>,
}

impl FencedVolume {
    /// Takes a volume's device, waiting up to `patience` for who has it. Blocks.
    ///
    /// # Errors
    /// If it is served, or not usable.
    pub fn take(
        config: &VolumeConfig,
        patience: Duration,
        storage: &dyn Storage,
    ) -> Result<Self, FenceError> {
        let backing = volume::open(&config.name, &config.path, patience)?;
        let evidence_error = |source| FenceError::Evidence {
            name: config.name.clone(),
            path: config.path.clone(),
            source,
        };
        let boot = evidence::boot_id().map_err(evidence_error)?;
        let access = if backing.size_bytes().is_multiple_of(ALIGNMENT as u64) {
            Access::write().direct()
        } else {
            // The last sectors could not be written directly.
            Access::write()
        };
        // Through the descriptor that has the lock: the path may name another file by now.
        let same = format!("/proc/self/fd/{}", backing.as_fd().as_raw_fd());
        let file = storage
            .open(Path::new(&same), access)
            .map_err(|source| FenceError::Open {
                name: config.name.clone(),
                source,
            })?;
        let size_bytes = backing.size_bytes();
        let witness = Box::new(LockedBacking { backing, boot });
        Self::new(config, size_bytes, file, witness).map_err(evidence_error)
    }

    pub(super) fn new(
        config: &VolumeConfig,
        size_bytes: u64,
        file: Arc<dyn File>,
        witness: Box<dyn Witness>,
    ) -> io::Result<Self> {
        Ok(Self {
            id: config.id,
            name: config.name.clone(),
            path: config.path.clone(),
            size_bytes,
            identity: witness.evidence()?.identity,
            file,
            witness,
        })
    }

    /// The volume.
    #[must_use]
    pub const fn id(&self) -> VolumeId {
        self.id
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its device is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its device's size in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// What identifies its device, as an operator is shown it and types it.
    #[must_use]
    pub fn identity(&self) -> String {
        identity_text(self.identity)
    }

    pub(super) const fn identity_number(&self) -> u64 {
        self.identity
    }

    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// The device as it looks from outside now.
    pub(super) fn evidence(&self) -> io::Result<BackingEvidence> {
        self.witness.evidence()
    }
}

impl fmt::Debug for FencedVolume {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FencedVolume")
            .field("id", &self.id)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn identity_text(identity: u64) -> String {
    format!("{identity:016x}")
}

/// An operator typed which volume, on which device, may be overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedOverwrite {
    volume: VolumeId,
    identity: u64,
}

/// What was typed does not name the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "overwriting {volume} on device {identity} is not confirmed: {typed:?} was typed for its \
     {part}; look at the device once more and type what is shown"
)]
pub struct ConfirmationError {
    volume: VolumeId,
    identity: String,
    typed: String,
    part: &'static str,
}

impl ConfirmedOverwrite {
    /// Compares what an operator typed with a volume's id and its device's identity.
    ///
    /// # Errors
    /// If either differs.
    pub fn typed(
        volume: &FencedVolume,
        volume_typed: &str,
        identity_typed: &str,
    ) -> Result<Self, ConfirmationError> {
        let refuse = |typed: &str, part| ConfirmationError {
            volume: volume.id,
            identity: volume.identity(),
            typed: typed.chars().take(64).collect(),
            part,
        };
        if volume_typed.parse() != Ok(volume.id) {
            return Err(refuse(volume_typed, "volume id"));
        }
        if identity_typed != volume.identity() {
            return Err(refuse(identity_typed, "device identity"));
        }
        Ok(Self {
            volume: volume.id,
            identity: volume.identity,
        })
    }

    /// Whether it is for this volume on this device.
    pub(super) fn allows(&self, volume: &FencedVolume) -> bool {
        self.volume == volume.id && self.identity == volume.identity
    }
}
