//! Why a restore ended before it was complete. Whatever it is, the device's stamp says that it holds
//! a mixture, and the next run goes on from what is durable.

use std::io;

use bcdr_disk::DiskError;
use bcdr_format::{Generation, VolumeId};
use bcdr_wire::restore::{Digest, PointName};

use super::source::SourceError;

/// Why a restore ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Nobody confirmed that this device may be overwritten. Nothing was written.
    #[error(
        "{volume} on device {identity} may not be overwritten: the confirmation is for another \
         volume or device; look at the device and confirm anew"
    )]
    NotConfirmed {
        /// The volume.
        volume: VolumeId,
        /// Its device.
        identity: String,
    },
    /// A volume was given twice. Nothing was written.
    #[error("{volume} is to be restored onto two devices at once; give each volume once")]
    Twice {
        /// The volume.
        volume: VolumeId,
    },
    /// The point does not have the volume. Nothing was written.
    #[error("point {point} has no {volume}; choose a point since which the volume is protected")]
    UnknownVolume {
        /// The volume.
        volume: VolumeId,
        /// The point.
        point: PointName,
    },
    /// The device is of another size. Nothing was written.
    #[error(
        "{volume} has {wanted} bytes at the point and its device {found}; make the device exactly \
         as large (truncate -s {wanted} for a file)"
    )]
    Size {
        /// The volume.
        volume: VolumeId,
        /// Its size at the point, in bytes.
        wanted: u64,
        /// Its device's, in bytes.
        found: u64,
    },
    /// The restore was ordered before a later one that this device has already seen. Nothing was
    /// written.
    #[error(
        "{volume} was restored under generation {known} already, this restore is of generation \
         {offered}, which was fenced off; order it again from the current authority"
    )]
    OldGeneration {
        /// The volume.
        volume: VolumeId,
        /// What the stamp knows.
        known: Generation,
        /// What was offered.
        offered: Generation,
    },
    /// The source does not give what is needed.
    #[error("{volume}: {source}")]
    Source {
        /// The volume.
        volume: VolumeId,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// The source does not describe the restore. Nothing was written.
    #[error(transparent)]
    Describe(SourceError),
    /// The source's data, block digests and volume digest do not agree. Not retried.
    #[error(
        "{volume}: the source contradicts itself: {what}; the point is damaged there or changed \
         while it was read, choose another point or have the source scrubbed"
    )]
    SourceContradicts {
        /// The volume.
        volume: VolumeId,
        /// What does not agree.
        what: String,
    },
    /// The device does not give back what was written to it, or somebody else writes to it.
    #[error(
        "{volume}: its device holds {found} after a repair where the point is {wanted}: it does not \
         keep what is written, or another program writes to it; check for one, then check the device"
    )]
    StillDiffers {
        /// The volume.
        volume: VolumeId,
        /// The point's digest.
        wanted: Digest,
        /// The device's.
        found: Digest,
    },
    /// The device failed. Final for this run: what it holds beyond the cursor is unknown.
    #[error(
        "{volume}: its device failed: {source}; put the device right or replace it, then run the \
         restore again"
    )]
    Device {
        /// The volume.
        volume: VolumeId,
        /// What failed.
        #[source]
        source: DiskError,
    },
    /// The system does not tell whether the device changed.
    #[error(
        "{volume}: cannot look at its device: {source}; check that /proc and /sys are readable"
    )]
    Evidence {
        /// The volume.
        volume: VolumeId,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The stamp cannot be kept, so nothing more may be written.
    #[error("{volume}: cannot keep its stamp: {source}")]
    Stamp {
        /// The volume.
        volume: VolumeId,
        /// Why.
        #[source]
        source: DiskError,
    },
    /// The caller stopped it.
    #[error("{volume}: the restore was stopped; run it again to its end before it is served")]
    Stopped {
        /// The volume.
        volume: VolumeId,
    },
}
