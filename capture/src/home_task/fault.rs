//! Why an attempt at a task ended, and what becomes of the task then.

use bcdr_disk::DiskError;
use bcdr_format::VolumeId;
use bcdr_wire::{
    order::TaskState,
    restore::{Digest, RefusalKind},
};

use crate::restore::{ConfirmationError, FenceError, RestoreError, SourceError};

/// Why an attempt ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("it was cancelled")]
    Cancelled,
    #[error("this work asks nothing of a point")]
    NotHere,
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error(transparent)]
    Disk(#[from] FenceError),
    #[error(transparent)]
    Confirmation(#[from] ConfirmationError),
    #[error("{volume} is not confirmed to be overwritten, and the point is given back for it")]
    NotConfirmed { volume: VolumeId },
    #[error("{volume} is confirmed, and the point is not given back for it")]
    NotGivenBack { volume: VolumeId },
    #[error("{volume} is confirmed twice")]
    Twice { volume: VolumeId },
    #[error("{volume} is not a volume of this group on this host")]
    UnknownVolume { volume: VolumeId },
    #[error("{volume} has {wanted} bytes at the point, and its disk {found}")]
    Size {
        volume: VolumeId,
        wanted: u64,
        found: u64,
    },
    #[error("{volume}: its disk failed: {source}")]
    Device {
        volume: VolumeId,
        #[source]
        source: DiskError,
    },
    #[error("{volume}: what is kept of its disk is {kept}, and the disk is {found}")]
    NotKept {
        volume: VolumeId,
        kept: Digest,
        found: Digest,
    },
}

impl Fault {
    /// Whether the same may go well later without anybody changing the task or the disks.
    pub(super) const fn is_worth_another_try(&self) -> bool {
        let (Self::Source(source)
        | Self::Restore(RestoreError::Source { source, .. } | RestoreError::Describe(source))) =
            self
        else {
            return false;
        };
        match source {
            SourceError::Lost { .. } => true,
            // What is ordered is offered soon, also after a start of the cloud side.
            SourceError::Refused(refusal) => {
                refusal.kind.is_transient() || matches!(refusal.kind, RefusalKind::UnknownRestore)
            }
            SourceError::Nonsense { .. } => false,
        }
    }

    /// How a task stands that ended with this.
    pub(super) fn state(&self) -> TaskState {
        let (code, remedy) = self.code_and_remedy();
        TaskState::Failed {
            code: code.to_owned(),
            cause: self.to_string(),
            remedy: remedy.to_owned(),
        }
    }

    const fn code_and_remedy(&self) -> (&'static str, &'static str) {
        const ANEW: &str = "look at the disks, confirm those that may be overwritten, and order it \
                            anew";
        match self {
            Self::Cancelled => ("cancelled", "order it anew"),
            Self::NotHere => ("unsupported_work", "upgrade this capture"),
            Self::Source(source) => of_source(source),
            Self::Restore(error) => of_restore(error),
            Self::Disk(_) => (
                "disk_unusable",
                "make the disk usable, stop who uses it, and order it anew",
            ),
            Self::Confirmation(_) => ("wrong_disk", ANEW),
            Self::NotConfirmed { .. } | Self::NotGivenBack { .. } | Self::Twice { .. } => {
                ("not_confirmed", ANEW)
            }
            Self::UnknownVolume { .. } => (
                "unknown_volume",
                "add the volume to this capture's configuration, or order what it has",
            ),
            Self::Size { .. } => (
                "size_mismatch",
                "make the disk exactly as large as the volume is at the point",
            ),
            Self::Device { .. } => (
                "disk_failed",
                "put the disk right or replace it, then order it anew",
            ),
            Self::NotKept { .. } => (
                "disk_changed",
                "find the program that writes to the disk and stop it, then order it anew",
            ),
        }
    }
}

const fn of_restore(error: &RestoreError) -> (&'static str, &'static str) {
    match error {
        RestoreError::Source { source, .. } | RestoreError::Describe(source) => of_source(source),
        RestoreError::NotConfirmed { .. } | RestoreError::Twice { .. } => (
            "not_confirmed",
            "look at the disks and confirm those that may be overwritten",
        ),
        RestoreError::UnknownVolume { .. } => (
            "unknown_volume",
            "choose a point since which the volume is protected",
        ),
        RestoreError::Size { .. } => (
            "size_mismatch",
            "make the disk exactly as large as the volume is at the point",
        ),
        RestoreError::OldGeneration { .. } => {
            ("fenced", "order it again under the current generation")
        }
        RestoreError::SourceContradicts { .. } => (
            "source_contradicts",
            "choose another point, or have the cloud side's store scrubbed",
        ),
        RestoreError::StillDiffers { .. } => (
            "disk_differs",
            "look for another program that writes to the disk, then check the disk",
        ),
        RestoreError::Device { .. } | RestoreError::Evidence { .. } => (
            "disk_failed",
            "put the disk right or replace it, then order it anew",
        ),
        RestoreError::Stamp { .. } => (
            "state_unusable",
            "repair the state directory, then order it anew",
        ),
        RestoreError::Stopped { .. } => ("cancelled", "order it anew"),
    }
}

const fn of_source(source: &SourceError) -> (&'static str, &'static str) {
    match source {
        SourceError::Lost { .. } => ("source_lost", "repair the way to the cloud side"),
        SourceError::Nonsense { .. } => (
            "source_nonsense",
            "upgrade the older one of capture and cloud side",
        ),
        SourceError::Refused(refusal) => match refusal.kind {
            RefusalKind::Fenced => ("fenced", "order it again under the current generation"),
            RefusalKind::NotAllowed => (
                "not_allowed",
                "correct which capture feeds which stream, or order what is meant",
            ),
            RefusalKind::Unreadable => ("unreadable", "choose another point"),
            RefusalKind::NotKept => (
                "not_kept",
                "check the cloud side's device, then order it anew",
            ),
            RefusalKind::Version => (
                "version",
                "upgrade the cloud side first, then gateways, then captures",
            ),
            _ => ("refused", "order it anew"),
        },
    }
}
