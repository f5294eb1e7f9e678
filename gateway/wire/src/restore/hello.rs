//! How a stream begins on which disks are put back: whose they are.
//!
//! Both the gateway and the receiver decide by it whether they let the stream through. It is the
//! payload of the stream's first frame, which by its kind tells such a stream from a feed or a
//! shipment.

use bcdr_format::{DecodeError, GroupId, StreamId, codec::Write as _};

use super::codec::{HELLO, begin, not, opened, restore_payload};
use crate::frame::{Frame, Refused};

/// The first message of a stream, in the place of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReturnHello {
    /// The group whose disks are worked on.
    pub group: GroupId,
    /// The stream that the asking capture feeds.
    pub stream: StreamId,
}

impl ReturnHello {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = begin(HELLO);
        out.put_u128(self.group.to_u128());
        out.put_u128(self.stream.to_u128());
        out
    }

    /// Reads the bytes of one.
    ///
    /// # Errors
    /// If they are of another version or kind, or damaged.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let (kind, mut fields) = opened(payload)?;
        if kind != HELLO {
            return not(kind, "hello");
        }
        let hello = Self {
            group: GroupId::from_u128(fields.u128()?),
            stream: StreamId::from_u128(fields.u128()?),
        };
        fields.finish()?;
        Ok(hello)
    }

    /// The hello in a frame.
    ///
    /// # Errors
    /// If the frame is of another kind, or its payload is no hello.
    pub fn from_frame(frame: &Frame) -> Result<Self, Refused> {
        Ok(Self::decode(restore_payload(frame)?)?)
    }
}
