//! What a group shows of itself: a snapshot, sent to whoever looks.

use std::collections::BTreeMap;

use bcdr_format::{Timestamp, VolumeNumber};

use super::GroupThread;
use crate::{start::IncarnationStart, tap::TapStatus};

/// Requests of a volume's clients since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VolumeCounters {
    /// Reads.
    pub reads: u64,
    /// Writes, zeroings and trims.
    pub writes: u64,
    /// Flushes.
    pub flushes: u64,
}

/// A snapshot of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupStatus {
    /// When, on the wall clock.
    pub at: Timestamp,
    /// The tap.
    pub tap: TapStatus,
    /// The life being written.
    pub start: IncarnationStart,
    /// Requests, by volume.
    pub counters: BTreeMap<VolumeNumber, VolumeCounters>,
    /// Clients connected.
    pub clients: usize,
    /// Requests not yet answered.
    pub requests: usize,
    /// Whether no more writes are taken.
    pub quiesced: bool,
}

impl GroupThread {
    pub(super) fn publish_status(&mut self) {
        let now = self.clock.now();
        self.status.send_replace(Some(GroupStatus {
            at: now.wall,
            tap: self.tap.status(now),
            start: self.tap.start(),
            counters: self
                .counters
                .iter()
                .map(|(number, counters)| (*number, *counters))
                .collect(),
            clients: self.connections.len(),
            requests: self.requests.len(),
            quiesced: self.quiesced,
        }));
    }
}
