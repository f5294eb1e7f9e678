//! What a capture and its gateway say to each other: one ordered QUIC stream per group.
//!
//! The capture opens the stream and sends [`FromCapture::Hello`]; the gateway answers with
//! [`ToCapture::Welcome`], from which the capture knows where to resume, or that it must open a new
//! incarnation. Then openings, records frames and reports go up; acknowledgements and commands come
//! down. Records travel in raw frames ([`crate::frame::FrameKind::Records`]), whose bytes
//! `bcdr_format::record` owns. Either side ends a session whose order it cannot explain, and the
//! next hello settles where both are.

use crate::order::{SourceOrder, Standing};
use bcdr_format::{
    GroupId, IncarnationOrdinal, Opening, Position, StreamId, Timestamp, VolumeId,
    continuity::{Fork, Held},
    position::{Generation, VolumeNumber},
    record::{Beat, Marker},
    sync::SyncReason,
};
use serde::{Deserialize, Serialize};

/// The version of the feed's messages. Peers of version N−1 are served as well, once there is one.
pub const FEED_VERSION: u16 = 2;

/// Where the acknowledgement ladder stands for a stream, as far as the sender knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Acknowledged {
    /// L2: durable at the gateway (in its spool, or at every destination).
    pub gateway: Option<Position>,
    /// L3: durable cloud-side. A capture trims its journal up to here and no further.
    pub durable: Option<Position>,
    /// L4: in a published recovery point.
    pub published: Option<Position>,
}

/// Messages from a capture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromCapture {
    /// The first message of a session.
    Hello {
        /// [`FEED_VERSION`].
        version: u16,
        /// The group.
        group: GroupId,
        /// The stream.
        stream: StreamId,
        /// The capture's current incarnation; none while it stands by and has nothing to feed.
        opening: Option<Opening>,
        /// The capture's wall clock, for the offset between the two clocks.
        now: Timestamp,
    },
    /// The records that follow belong to this incarnation. Sent before the first records of a
    /// session and wherever the incarnation changes.
    Incarnation(Opening),
    /// How the capture is; every second and at each change of state.
    Report(CaptureReport),
}

/// Messages to a capture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToCapture {
    /// Answers a hello.
    Welcome {
        /// [`FEED_VERSION`].
        version: u16,
        /// The furthest that is held between here and cloud-side: resume after it. `None` when
        /// nothing is known to be held; send from the oldest record kept.
        held: Option<Held>,
        /// A fork that is open cloud-side.
        fork: Option<Fork>,
        /// The order that the gateway knows. It may be a memory of its last session with the receiver: it
        /// was given there in the session that is up only if [`ToCapture::Order`] follows.
        order: SourceOrder,
        /// The gateway's wall clock.
        now: Timestamp,
    },
    /// The receiver gave this order in the session that the gateway has with it now; it holds from now
    /// on. Sent at each change, and also when it says what the welcome said: after a welcome in such a
    /// session, and when one begins.
    Order(SourceOrder),
    /// The session cannot go on.
    Refused(Refusal),
    /// The ladder moved.
    Acknowledged(Acknowledged),
    /// Place this marker now.
    PlaceMarker(Marker),
    /// Sequence this beat now.
    Beat(Beat),
    /// The receiver found a fork: a sync interval must close it.
    Fork(Fork),
}

/// Why a session is refused. Each says what its receiver is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The peer does not speak this version.
    #[error(
        "version {offered} is not spoken here (this side speaks {supported}): upgrade the cloud side first, then gateways, then captures"
    )]
    Version {
        /// What was offered.
        offered: u16,
        /// What is spoken.
        supported: u16,
    },
    /// The group or stream is not known cloud-side.
    #[error(
        "group {group} with stream {stream} is not known cloud-side: create it there first, or correct the configuration"
    )]
    UnknownStream {
        /// The group asked for.
        group: GroupId,
        /// The stream asked for.
        stream: StreamId,
    },
    /// The certificate does not allow this.
    #[error("the certificate of {peer} does not allow this: {reason}")]
    NotAllowed {
        /// The peer as its certificate names it.
        peer: String,
        /// What it does not allow.
        reason: String,
    },
    /// A later life of the stream is held already: open a new incarnation above `highest` and
    /// compare everything.
    #[error(
        "incarnation {highest} of this stream is held already: a new incarnation above it with a full compare is due"
    )]
    Superseded {
        /// The highest ordinal held.
        highest: IncarnationOrdinal,
    },
    /// The session's generation is older than one that was met. Final.
    #[error("generation {offered} was fenced off by generation {current}")]
    Fenced {
        /// What was offered.
        offered: Generation,
        /// What is current.
        current: Generation,
    },
    /// Another session of the same stream took over.
    #[error(
        "another session of this stream took over: two captures or gateways may be using one identity"
    )]
    Replaced,
    /// What arrived does not continue what is held; say hello again.
    #[error("what arrived does not continue what is held ({reason}): say hello again")]
    Discontinuous {
        /// What did not fit.
        reason: String,
    },
    /// No space to take more; try again later.
    #[error("no space cloud-side to take more: {reason}")]
    NoSpace {
        /// What is short.
        reason: String,
    },
    /// The peer cannot serve now; try again later.
    #[error("not ready: {reason}")]
    NotReady {
        /// What it waits for.
        reason: String,
    },
}

/// How the tracking of a group's writes stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracking {
    /// Every write is journaled in order.
    Continuous,
    /// Every write is journaled, and a sync interval is open.
    Syncing {
        /// Why.
        reason: SyncReason,
        /// Bytes compared or copied so far.
        done_bytes: u64,
        /// Bytes to compare or copy in all.
        total_bytes: u64,
    },
    /// Writes are not tracked; a full compare is due.
    Untracked {
        /// Since when, on the capture's clock.
        since: Timestamp,
        /// Why, in words.
        reason: String,
    },
    /// Volumes are not writable here, so there is nothing to track.
    Standing,
}

/// How a capture is, for people and for lag metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureReport {
    /// When, on the capture's clock.
    pub at: Timestamp,
    /// Where it stands towards its orders.
    pub standing: Standing,
    /// How tracking stands.
    pub tracking: Tracking,
    /// The last sequence given.
    pub sequenced: Position,
    /// The end of the settled prefix.
    pub settled: Option<Position>,
    /// L1: durable in the journal.
    pub journaled: Option<Position>,
    /// Journal bytes in use.
    pub journal_used_bytes: u64,
    /// Journal bytes in all.
    pub journal_capacity_bytes: u64,
    /// One entry per volume.
    pub volumes: Vec<VolumeReport>,
}

/// How one volume is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeReport {
    /// The volume.
    pub id: VolumeId,
    /// Its number in the stream.
    pub number: VolumeNumber,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Bytes written by the application since the capture started.
    pub written_bytes: u64,
    /// Writes by the application since the capture started.
    pub writes: u64,
}
