//! What the tap says about itself, for people and metrics. A snapshot; nothing decides on it.

use super::{
    core::{TapCore, VolumeState},
    ladder::UntrackedReason,
    scan::{Scan, ScanProgress},
};
use crate::{Moment, journal::JournalUsage};
use bcdr_format::{
    IncarnationId, Position, Sequence, Timestamp, VolumeNumber, incarnation::IncarnationOrdinal,
    sync::SyncReason,
};
use std::time::Duration;

/// What the tap is doing for the group's protection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TapState {
    /// The journal has not yet taken the opening of this incarnation.
    Starting,
    /// Writes reach the backing only; a full compare is due.
    Untracked {
        /// When journaling stopped.
        since: Timestamp,
        /// Why.
        reason: UntrackedReason,
    },
    /// Journaling, and copying inside a sync interval: no points are published.
    Syncing {
        /// Why the interval is open.
        reason: SyncReason,
        /// How far it is.
        progress: ScanProgress,
    },
    /// Journaling, every record a possible point.
    Continuous,
}

/// One volume's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeStatus {
    /// Its number in the stream.
    pub number: VolumeNumber,
    /// Bytes clients wrote or zeroed since the tap started.
    pub bytes_written: u64,
    /// Whether the backing turned out unable to trim so that ranges read as zeroes.
    pub trims: bool,
}

/// A snapshot of the tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapStatus {
    /// What it is doing.
    pub state: TapState,
    /// The incarnation it writes.
    pub ordinal: IncarnationOrdinal,
    /// That incarnation's identity.
    pub incarnation: IncarnationId,
    /// The last sequence given.
    pub sequenced: Sequence,
    /// Everything up to here is settled.
    pub settled: Sequence,
    /// Everything up to here is written to the journal.
    pub written: Sequence,
    /// Everything up to here is durable in the journal.
    pub durable: Sequence,
    /// The last position handed to the feed; `None` before the first.
    pub fed: Option<Position>,
    /// Everything up to here was freed in the journal.
    pub trimmed: Option<Position>,
    /// The journal's space.
    pub journal: JournalUsage,
    /// How long the oldest record has been unsettled.
    pub unsettled_for: Duration,
    /// Writes that were begun, or wait, and are not done.
    pub writes: usize,
    /// Writes that wait for the journal or for the window.
    pub waiting_writes: usize,
    /// Bytes of records waiting to be written to the journal.
    pub journal_queue_bytes: usize,
    /// Bytes that sync intervals have read and put into the stream since the tap started.
    pub sync_read_bytes: u64,
    /// One entry per volume.
    pub volumes: Vec<VolumeStatus>,
}

impl TapCore {
    /// A snapshot for people and metrics.
    #[must_use]
    pub fn status(&self, now: Moment) -> TapStatus {
        let state = match (self.ladder.untracked(), self.open_sync) {
            (Some(untracked), _) => TapState::Untracked {
                since: untracked.since.wall,
                reason: untracked.reason.clone(),
            },
            (None, _) if !self.opened => TapState::Starting,
            (None, Some(sync)) => TapState::Syncing {
                reason: sync.reason,
                progress: self.scan.as_ref().map(Scan::progress).unwrap_or_default(),
            },
            (None, None) => TapState::Continuous,
        };
        let unsettled_for = self
            .prefix
            .oldest_unsettled()
            .map_or(Duration::ZERO, |record| {
                let age = now.wall.0.saturating_sub(record.captured_at.0);
                Duration::from_micros(u64::try_from(age).unwrap_or_default())
            });
        let volume = |state: &VolumeState| VolumeStatus {
            number: state.volume.number,
            bytes_written: state.bytes_written,
            trims: state.volume.trim_zeroes,
        };
        TapStatus {
            state,
            ordinal: self.start.opening.ordinal,
            incarnation: self.start.opening.id,
            sequenced: self.next.previous(),
            settled: self.prefix.settled(),
            written: self.journal.written,
            durable: self.journal.durable,
            fed: self.fed,
            trimmed: self.journal.usage.trimmed,
            journal: self.journal.usage,
            unsettled_for,
            writes: self.writes.len(),
            waiting_writes: self.parked.len() + self.locks.waiting(),
            journal_queue_bytes: self.journal.queued_bytes,
            sync_read_bytes: self.sync_read_bytes,
            volumes: self.volumes.values().map(volume).collect(),
        }
    }
}
