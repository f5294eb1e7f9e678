//! What the capture tells about itself: the document behind `GET /status`, and the report to the
//! gateway. Pure translations of snapshots.

use bcdr_format::{
    GroupId, IncarnationOrdinal, Position, Sequence, StreamId, Timestamp, VolumeId, VolumeNumber,
};
use bcdr_wire::{
    feed::{CaptureReport, Tracking, VolumeReport},
    order::{Duty, Standing},
};
use serde::Serialize;

use crate::{
    feed_client::FeedStatus,
    group_thread::GroupStatus,
    standing::Stance,
    tap::{TapState, TapStatus},
};

/// What never changes about a group while the process lives.
#[derive(Debug, Clone)]
pub struct GroupDescription {
    /// The group.
    pub id: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// Its name.
    pub name: String,
    /// Its volumes.
    pub volumes: Vec<VolumeDescription>,
}

/// What never changes about a volume while the process lives.
#[derive(Debug, Clone)]
pub struct VolumeDescription {
    /// Its number in the stream.
    pub number: VolumeNumber,
    /// The volume.
    pub id: VolumeId,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// How a client reaches it.
    pub nbd_uri: String,
}

/// The whole document.
#[derive(Debug, Clone, Serialize)]
pub struct StatusDocument {
    /// One entry per group.
    pub groups: Vec<GroupDocument>,
}

/// One group.
#[derive(Debug, Clone, Serialize)]
pub struct GroupDocument {
    /// The group.
    pub id: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// Its name.
    pub name: String,
    /// What the source was told to do last; `None` before the first order.
    pub duty: Option<Duty>,
    /// Where it stands towards that.
    pub standing: Standing,
    /// Why the volumes of a group that stands by are not served, if so.
    pub hindrance: Option<String>,
    /// How tracking stands; `None` until the ring thread has spoken.
    pub tracking: Option<Tracking>,
    /// The furthest record given a sequence.
    pub sequenced: Option<Position>,
    /// The end of the settled prefix.
    pub settled: Option<Position>,
    /// L1: durable in the journal.
    pub journaled: Option<Position>,
    /// Handed to the feed.
    pub fed: Option<Position>,
    /// Freed in the journal.
    pub trimmed: Option<Position>,
    /// Journal bytes in use.
    pub journal_used_bytes: u64,
    /// Journal bytes in all.
    pub journal_capacity_bytes: u64,
    /// Milliseconds that the oldest unfinished write has waited for its disk.
    pub unsettled_milliseconds: u64,
    /// NBD clients connected.
    pub clients: usize,
    /// Requests not yet answered.
    pub requests: usize,
    /// The way to the gateway.
    pub feed: FeedStatus,
    /// One entry per volume.
    pub volumes: Vec<VolumeDocument>,
}

/// One volume.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeDocument {
    /// The volume.
    pub id: VolumeId,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// How a client reaches it.
    pub nbd_uri: String,
    /// Bytes written by clients since the start.
    pub written_bytes: u64,
    /// Writes by clients since the start.
    pub writes: u64,
    /// Reads by clients since the start.
    pub reads: u64,
}

/// One group's part of the document.
#[must_use]
pub fn document(
    group: &GroupDescription,
    status: Option<&GroupStatus>,
    stance: &Stance,
    feed: FeedStatus,
) -> GroupDocument {
    let tap = status.map(|status| &status.tap);
    let volume = |volume: &VolumeDescription| {
        let counters = status
            .and_then(|status| status.counters.get(&volume.number))
            .copied();
        let counters = counters.unwrap_or_default();
        VolumeDocument {
            id: volume.id,
            name: volume.name.clone(),
            size_bytes: volume.size_bytes,
            nbd_uri: volume.nbd_uri.clone(),
            written_bytes: tap.map_or(0, |tap| written_bytes(tap, volume.number)),
            writes: counters.writes,
            reads: counters.reads,
        }
    };
    GroupDocument {
        id: group.id,
        stream: group.stream,
        name: group.name.clone(),
        duty: stance.order.as_ref().map(|order| order.duty.clone()),
        standing: stance.standing(status),
        hindrance: stance.hindrance.clone(),
        tracking: status.map(tracking),
        sequenced: tap.map_or(stance.sequenced, |tap| {
            Some(Position::new(tap.ordinal, tap.sequenced))
        }),
        settled: tap.map(|tap| Position::new(tap.ordinal, tap.settled)),
        journaled: tap.map(|tap| Position::new(tap.ordinal, tap.durable)),
        fed: tap.and_then(|tap| tap.fed),
        trimmed: tap.and_then(|tap| tap.trimmed),
        journal_used_bytes: tap.map_or(0, |tap| tap.journal.used_bytes),
        journal_capacity_bytes: tap.map_or(0, |tap| tap.journal.capacity_bytes),
        unsettled_milliseconds: tap.map_or(0, |tap| {
            u64::try_from(tap.unsettled_for.as_millis()).unwrap_or(u64::MAX)
        }),
        clients: status.map_or(0, |status| status.clients),
        requests: status.map_or(0, |status| status.requests),
        feed,
        volumes: group.volumes.iter().map(volume).collect(),
    }
}

/// What the gateway is told.
#[must_use]
pub fn report(
    group: &GroupDescription,
    status: &GroupStatus,
    stance: &Stance,
    now: Timestamp,
) -> CaptureReport {
    let tap = &status.tap;
    let volume = |volume: &VolumeDescription| VolumeReport {
        id: volume.id,
        number: volume.number,
        size_bytes: volume.size_bytes,
        written_bytes: written_bytes(tap, volume.number),
        writes: status
            .counters
            .get(&volume.number)
            .map_or(0, |counters| counters.writes),
    };
    CaptureReport {
        at: now,
        standing: stance.standing(Some(status)),
        tracking: tracking(status),
        sequenced: Position::new(tap.ordinal, tap.sequenced),
        settled: Some(Position::new(tap.ordinal, tap.settled)),
        journaled: Some(Position::new(tap.ordinal, tap.durable)),
        journal_used_bytes: tap.journal.used_bytes,
        journal_capacity_bytes: tap.journal.capacity_bytes,
        volumes: group.volumes.iter().map(volume).collect(),
    }
}

/// What the gateway is told of a group that has no ring thread. Its position is the last that one
/// gave, or nought if none ran in this process.
#[must_use]
pub fn standing_report(group: &GroupDescription, stance: &Stance, now: Timestamp) -> CaptureReport {
    let nowhere = Position::new(IncarnationOrdinal::default(), Sequence::default());
    let volume = |volume: &VolumeDescription| VolumeReport {
        id: volume.id,
        number: volume.number,
        size_bytes: volume.size_bytes,
        written_bytes: 0,
        writes: 0,
    };
    CaptureReport {
        at: now,
        standing: stance.standing(None),
        tracking: Tracking::Standing,
        sequenced: stance.sequenced.unwrap_or(nowhere),
        settled: None,
        journaled: None,
        journal_used_bytes: 0,
        journal_capacity_bytes: 0,
        volumes: group.volumes.iter().map(volume).collect(),
    }
}

/// How tracking stands, in the words of the feed.
#[must_use]
pub fn tracking(status: &GroupStatus) -> Tracking {
    match &status.tap.state {
        TapState::Continuous => Tracking::Continuous,
        TapState::Syncing { reason, progress } => Tracking::Syncing {
            reason: *reason,
            done_bytes: progress.done_bytes,
            total_bytes: progress.total_bytes,
        },
        TapState::Untracked { since, reason } => Tracking::Untracked {
            since: *since,
            reason: reason.to_string(),
        },
        TapState::Starting => Tracking::Untracked {
            since: status.at,
            reason: "the journal is being opened".to_owned(),
        },
    }
}

fn written_bytes(tap: &TapStatus, number: VolumeNumber) -> u64 {
    tap.volumes
        .iter()
        .find(|volume| volume.number == number)
        .map_or(0, |volume| volume.bytes_written)
}
