//! What a gateway and a receiver say to each other: one ordered QUIC stream per replicated stream.
//!
//! The gateway opens it with [`FromGateway::Hello`]; the receiver answers with
//! [`ToGateway::Welcome`], from which the gateway knows where to resume and what MAC to chain to.
//! Batches travel in raw frames ([`crate::frame::FrameKind::Batch`]), whose bytes
//! `bcdr_format::batch` owns. A wrapped data key is sent before the first batch that holds a chunk
//! sealed under it, anew in each session.

use crate::{
    feed::{Acknowledged, CaptureReport, Refusal},
    order::SourceOrder,
};
use bcdr_format::{
    DataKeyId, GroupId, InstallationId, StreamId, Timestamp,
    batch::MAC_BYTES,
    continuity::{Fork, Held},
    record::{Beat, Marker},
};
use serde::{Deserialize, Serialize};

/// The version of the ship messages.
pub const SHIP_VERSION: u16 = 2;

/// Messages from a gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromGateway {
    /// The first message of a session.
    Hello {
        /// [`SHIP_VERSION`].
        version: u16,
        /// The installation the gateway belongs to.
        installation: InstallationId,
        /// The group.
        group: GroupId,
        /// The stream.
        stream: StreamId,
        /// The gateway's wall clock.
        now: Timestamp,
    },
    /// Answers [`ToGateway::Welcome`] when the receiver lacks the installation key, under the
    /// custody mode in which it is present there: the key itself, which the receiver stores only
    /// wrapped under its own key-encryption key.
    InstallationKey(crate::seal::InstallationKeyBytes),
    /// A data key, wrapped under the installation key.
    DataKey {
        /// Its id.
        id: DataKeyId,
        /// Its wrapped bytes.
        wrapped: Vec<u8>,
    },
    /// How the stream's capture is; relayed, with when it was heard. `None`: not connected.
    Capture {
        /// The capture's last report.
        report: Option<Box<CaptureReport>>,
        /// Since when the capture is connected or gone, on the gateway's clock.
        since: Timestamp,
        /// Bytes that wait in the gateway's spool for this destination.
        spooled_bytes: u64,
    },
}

/// Messages to a gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToGateway {
    /// Answers a hello.
    Welcome {
        /// [`SHIP_VERSION`].
        version: u16,
        /// The order that holds now. Batches carry its generation, and are taken only under a duty
        /// that takes records.
        order: SourceOrder,
        /// What the receiver holds; the next batch may begin at or before the position after it
        /// and must end beyond it.
        held: Option<Held>,
        /// A fork that is open.
        fork: Option<Fork>,
        /// The MAC of the last batch held; zeroes before the first.
        chain: [u8; MAC_BYTES],
        /// Whether the receiver lacks the installation key.
        installation_key_missing: bool,
        /// The receiver's wall clock.
        now: Timestamp,
    },
    /// This order holds from now on. Under a new generation what was sealed under the old one is
    /// not taken any more.
    Order(SourceOrder),
    /// The session cannot go on.
    Refused(Refusal),
    /// The ladder moved; the gateway adds its own rung.
    Acknowledged(Acknowledged),
    /// Place this marker now.
    PlaceMarker(Marker),
    /// Sequence this beat now.
    Beat(Beat),
    /// A fork was found.
    Fork(Fork),
}
