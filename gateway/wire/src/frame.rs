//! Frames: how messages, records and batches stand on a stream.
//!
//! Owns the frame's header (drawn in `docs/format/frame.md`), its limits, and reading and writing
//! it. Every length is checked against its kind's limit before memory is taken for it, and memory
//! grows only as bytes arrive, so a peer that claims much and sends little costs little. Knows
//! nothing of what a payload means.

mod codec;
mod stream;

pub use codec::{
    CONTROL_PAYLOAD_MAX, FRAME_HEADER_BYTES, FRAME_MAGIC, FRAME_VERSION, Frame, FrameDecoder,
    FrameKind, RECORDS_PAYLOAD_MAX, decode_control, encode_header,
};
pub use stream::{FrameReader, send_control, write_frame};

use bcdr_format::DecodeError;
use std::io;
use thiserror::Error;

/// Why no frame could be read or written.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The peer ended the stream between two frames.
    #[error("the peer ended the stream")]
    Closed,
    /// The stream ended inside a frame.
    #[error(
        "the stream ended {missing} bytes short of a frame: the peer or the path broke off, connect again"
    )]
    Truncated {
        /// Bytes of the header or payload that were still to come.
        missing: usize,
    },
    /// The bytes are not a frame that is spoken here.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The stream failed.
    #[error("the stream failed: {0}")]
    Io(#[source] io::Error),
}

/// Why bytes are refused as a frame, or as the message they claim to be. The session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// The header or payload is damaged, or of another version or kind of stream.
    #[error(transparent)]
    Format(#[from] DecodeError),
    /// The kind is not known.
    #[error(
        "a frame of kind {kind} is unknown to this release: upgrade this side, or the peer is no bcdr"
    )]
    Kind {
        /// The kind's number.
        kind: u16,
    },
    /// The payload would be longer than its kind allows.
    #[error("a {kind:?} frame of {length} bytes is over its limit of {limit}")]
    TooLong {
        /// The frame's kind.
        kind: FrameKind,
        /// Bytes of payload.
        length: u64,
        /// The most bytes that kind may have.
        limit: usize,
    },
    /// A frame of another kind was due.
    #[error("a {found:?} frame came where a control frame was due")]
    NotControl {
        /// What came.
        found: FrameKind,
    },
    /// A control payload is not the message that was due.
    #[error(
        "a control frame is not the message that was due ({reason}): the two sides may run releases that do not fit"
    )]
    Message {
        /// What did not fit.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
