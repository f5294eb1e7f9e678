//! The frame's bytes: header, checksum, and a decoder that does no I/O.
//!
//! Invariant: the decoder holds at most one unfinished frame, and never more memory than twice what
//! arrived of it plus a fixed amount.

use super::{FrameError, Refused};
use bcdr_format::{DecodeError, batch::BATCH_BYTES_MAX, codec::Reader};
use bytes::Bytes;
use serde::de::DeserializeOwned;

const WHAT: &str = "frame";

/// `bF` in little-endian order.
pub const FRAME_MAGIC: u16 = 0x4662;
/// The version this release writes and reads.
pub const FRAME_VERSION: u16 = 1;
/// Bytes of a frame's header; the payload follows.
pub const FRAME_HEADER_BYTES: usize = 16;
/// The most bytes of a control message.
pub const CONTROL_PAYLOAD_MAX: usize = 1 << 20;
/// The most bytes of a records frame: the longest record and room for more beside it.
pub const RECORDS_PAYLOAD_MAX: usize = 24 << 20;

/// Memory is taken for a payload in steps, at first of this many bytes.
const FIRST_STEP_BYTES: usize = 64 << 10;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum FrameKind {
    /// One message in postcard's encoding.
    Control = 1,
    /// Whole encoded records, one after the other.
    Records = 2,
    /// One encoded batch.
    Batch = 3,
    /// One message of [`crate::restore`].
    Restore = 4,
}

impl FrameKind {
    /// The most bytes of payload a frame of this kind has.
    pub const fn payload_max(self) -> usize {
        match self {
            Self::Control => CONTROL_PAYLOAD_MAX,
            Self::Records => RECORDS_PAYLOAD_MAX,
            Self::Batch => BATCH_BYTES_MAX,
            Self::Restore => crate::restore::MESSAGE_BYTES_MAX,
        }
    }

    fn from_number(kind: u16) -> Result<Self, Refused> {
        match kind {
            1 => Ok(Self::Control),
            2 => Ok(Self::Records),
            3 => Ok(Self::Batch),
            4 => Ok(Self::Restore),
            kind => Err(Refused::Kind { kind }),
        }
    }

    fn check_length(self, length: u64) -> Result<(), Refused> {
        let limit = self.payload_max();
        if length > limit as u64 {
            return Err(Refused::TooLong {
                kind: self,
                length,
                limit,
            });
        }
        Ok(())
    }
}

/// A frame as received; its checksum was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub kind: FrameKind,
    /// The bytes it carries.
    pub payload: Bytes,
}

/// The header of a frame whose payload is `parts`, one after the other.
pub fn encode_header(
    kind: FrameKind,
    parts: &[&[u8]],
) -> Result<[u8; FRAME_HEADER_BYTES], Refused> {
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    kind.check_length(length)?;
    let mut header = [0; FRAME_HEADER_BYTES];
    header[0..2].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
    header[2..4].copy_from_slice(&FRAME_VERSION.to_le_bytes());
    header[4..6].copy_from_slice(&(kind as u16).to_le_bytes());
    header[8..12].copy_from_slice(&(length as u32).to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[..FRAME_HEADER_BYTES - 4]);
    parts.iter().for_each(|part| crc.update(part));
    header[12..].copy_from_slice(&crc.finalize().to_le_bytes());
    Ok(header)
}

/// A header that was read and found plausible.
#[derive(Debug, Clone, Copy)]
struct Declared {
    kind: FrameKind,
    length: usize,
    checksum: u32,
}

impl Declared {
    fn decode(header: &[u8; FRAME_HEADER_BYTES]) -> Result<Self, Refused> {
        let mut reader = Reader::new(WHAT, header);
        let magic = reader.u16()?;
        if magic != FRAME_MAGIC {
            return Err(DecodeError::Magic {
                what: WHAT,
                found: magic.into(),
                expected: FRAME_MAGIC.into(),
            }
            .into());
        }
        reader.version(FRAME_VERSION)?;
        let kind = FrameKind::from_number(reader.u16()?)?;
        let reserved = reader.u16()?;
        if reserved != 0 {
            return Err(
                DecodeError::invalid(WHAT, format!("reserved bytes {reserved:#06x}")).into(),
            );
        }
        let length = reader.u32()?;
        kind.check_length(length.into())?;
        Ok(Self {
            kind,
            length: length as usize,
            checksum: reader.u32()?,
        })
    }
}

/// Turns bytes into frames as they arrive, without any I/O.
#[derive(Debug)]
pub struct FrameDecoder {
    header: [u8; FRAME_HEADER_BYTES],
    header_filled: usize,
    declared: Option<Declared>,
    payload: Vec<u8>,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

/// What a decoder wants next.
pub(super) enum Wanted<'a> {
    /// Bytes of the header, into this room.
    Header(&'a mut [u8]),
    /// At most this many bytes, appended to the payload.
    Payload(&'a mut Vec<u8>, usize),
}

impl FrameDecoder {
    /// A decoder at the start of a stream.
    pub const fn new() -> Self {
        Self {
            header: [0; FRAME_HEADER_BYTES],
            header_filled: 0,
            declared: None,
            payload: Vec::new(),
        }
    }

    /// Takes bytes off the front of `input`, up to the end of one frame, which is returned. `None`:
    /// all of `input` was taken and no frame is complete. After an error the stream is of no more
    /// use.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.complete()? {
                return Ok(Some(frame));
            }
            if input.is_empty() {
                return Ok(None);
            }
            let taken = match self.wanted() {
                Wanted::Header(room) => {
                    let taken = room.len().min(input.len());
                    room[..taken].copy_from_slice(&input[..taken]);
                    self.header_filled += taken;
                    taken
                }
                Wanted::Payload(payload, most) => {
                    let taken = most.min(input.len());
                    payload.extend_from_slice(&input[..taken]);
                    taken
                }
            };
            *input = &input[taken..];
        }
    }

    /// What the end of the stream means here: [`FrameError::Closed`] between frames, else
    /// [`FrameError::Truncated`].
    pub fn finish(&self) -> FrameError {
        match (self.header_filled, self.declared) {
            (0, None) => FrameError::Closed,
            (filled, None) => FrameError::Truncated {
                missing: FRAME_HEADER_BYTES - filled,
            },
            (_, Some(declared)) => FrameError::Truncated {
                missing: declared.length - self.payload.len(),
            },
        }
    }

    /// Bytes of memory held for an unfinished payload.
    pub fn held_bytes(&self) -> usize {
        self.payload.capacity()
    }

    /// Room for the bytes that come next; never empty, if [`Self::complete`] was asked before.
    pub(super) fn wanted(&mut self) -> Wanted<'_> {
        let Some(declared) = self.declared else {
            return Wanted::Header(&mut self.header[self.header_filled..]);
        };
        let missing = declared.length - self.payload.len();
        if self.payload.len() == self.payload.capacity() {
            let step = self.payload.len().max(FIRST_STEP_BYTES).min(missing);
            self.payload.reserve_exact(step);
        }
        let room = self.payload.capacity() - self.payload.len();
        Wanted::Payload(&mut self.payload, missing.min(room))
    }

    /// Tells how many bytes were put into the header's room.
    pub(super) fn header_received(&mut self, bytes: usize) {
        self.header_filled += bytes;
    }

    /// The frame, if all of it is here.
    pub(super) fn complete(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.header_filled < FRAME_HEADER_BYTES {
            return Ok(None);
        }
        let declared = match self.declared {
            Some(declared) => declared,
            None => *self.declared.insert(Declared::decode(&self.header)?),
        };
        if self.payload.len() < declared.length {
            return Ok(None);
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.header[..FRAME_HEADER_BYTES - 4]);
        crc.update(&self.payload);
        let computed = crc.finalize();
        if computed != declared.checksum {
            return Err(Refused::from(DecodeError::Checksum {
                what: WHAT,
                stored: declared.checksum,
                computed,
            })
            .into());
        }
        self.header_filled = 0;
        self.declared = None;
        Ok(Some(Frame {
            kind: declared.kind,
            payload: std::mem::take(&mut self.payload).into(),
        }))
    }
}

/// The message in a control frame. Refuses frames of other kinds and bytes after the message.
pub fn decode_control<T: DeserializeOwned>(frame: &Frame) -> Result<T, FrameError> {
    if frame.kind != FrameKind::Control {
        return Err(Refused::NotControl { found: frame.kind }.into());
    }
    let message = |reason| FrameError::from(Refused::Message { reason });
    let (value, rest) =
        postcard::take_from_bytes(&frame.payload).map_err(|error| message(error.to_string()))?;
    if !rest.is_empty() {
        return Err(message(format!("{} bytes follow it", rest.len())));
    }
    Ok(value)
}
