//! The messages' bytes.
//!
//! Invariant: what decodes encodes to the same bytes again. A message begins with version and kind;
//! counts are checked against the bytes that are there before memory is taken.

use bcdr_format::{
    DecodeError, Generation, IncarnationId, IncarnationOrdinal, Position, RestoreId, Sequence,
    StreamId, VolumeId, VolumeNumber,
    codec::{Reader, Write as _},
    continuity::Held,
};
use bytes::Bytes;

use super::{
    Answer, ByteRange, Content, DIGEST_BYTES, Description, Digest, MESSAGE_BYTES_MAX, PointName,
    RESTORE_VERSION, Refusal, RefusalKind, Request, SeamHead, TEXT_BYTES_MAX, VolumeDescription,
    message::{WHAT, invalid},
};
use crate::frame::{Frame, FrameKind, Refused};

// Requests and answers share one space of numbers, so neither is ever read as the other.
const DESCRIBE: u16 = 1;
const CHANGED: u16 = 2;
const DIGESTS: u16 = 3;
const READ: u16 = 4;
const DONE: u16 = 5;
const KEEP: u16 = 6;
const SETTLE: u16 = 7;
const SEAM: u16 = 8;
pub(super) const HELLO: u16 = 0x10;
const DESCRIPTION: u16 = 0x81;
const RANGES: u16 = 0x82;
const UNKNOWN: u16 = 0x83;
const DIGESTS_ANSWER: u16 = 0x84;
const DATA: u16 = 0x85;
const DONE_ANSWER: u16 = 0x86;
const REFUSED: u16 = 0x87;
const KEPT: u16 = 0x88;
const SETTLED: u16 = 0x89;
const SEAM_ANSWER: u16 = 0x8a;

const ZERO: u16 = 1;
const STORED: u16 = 2;
const ZSTD: u16 = 3;

const VOLUME_BYTES: usize = 24;
const RANGE_BYTES: usize = 16;

impl Request {
    /// Its bytes.
    ///
    /// # Errors
    /// If it is not within the limits.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        self.check()?;
        Ok(match self {
            Self::Describe { restore } => {
                let mut out = begin(DESCRIBE);
                out.put_u128(restore.to_u128());
                out
            }
            Self::Changed {
                volume,
                since,
                from,
                limit,
            } => {
                let mut out = begin(CHANGED);
                out.put_u128(volume.to_u128());
                put_point(&mut out, since);
                out.put_u64(*from);
                out.put_u32(*limit);
                out
            }
            Self::Digests {
                volume,
                offset,
                length,
                grain,
            } => {
                let mut out = begin(DIGESTS);
                out.put_u128(volume.to_u128());
                out.put_u64(*offset);
                out.put_u64(*length);
                out.put_u32(*grain);
                out
            }
            Self::Read {
                volume,
                offset,
                length,
            } => {
                let mut out = begin(READ);
                out.put_u128(volume.to_u128());
                out.put_u64(*offset);
                out.put_u32(*length);
                out
            }
            Self::Done { volume, digest } => {
                let mut out = begin(DONE);
                out.put_u128(volume.to_u128());
                out.extend_from_slice(&digest.0);
                out
            }
            Self::Keep {
                volume,
                offset,
                content,
            } => {
                let mut out = begin(KEEP);
                out.put_u128(volume.to_u128());
                put_data(&mut out, *offset, content);
                out
            }
            Self::Settle => begin(SETTLE),
            Self::Seam {
                volume,
                from,
                limit,
            } => {
                let mut out = begin(SEAM);
                out.put_u128(volume.to_u128());
                out.put_u64(*from);
                out.put_u32(*limit);
                out
            }
        })
    }

    /// Reads the bytes of one; data is shared with `payload`, not copied.
    ///
    /// # Errors
    /// If they are of another version or kind, damaged, or over a limit.
    pub fn decode(payload: &Bytes) -> Result<Self, DecodeError> {
        let (kind, mut fields) = opened(payload)?;
        let request = match kind {
            DESCRIBE => Self::Describe {
                restore: RestoreId::from_u128(fields.u128()?),
            },
            CHANGED => Self::Changed {
                volume: VolumeId::from_u128(fields.u128()?),
                since: point(&mut fields)?,
                from: fields.u64()?,
                limit: fields.u32()?,
            },
            DIGESTS => Self::Digests {
                volume: VolumeId::from_u128(fields.u128()?),
                offset: fields.u64()?,
                length: fields.u64()?,
                grain: fields.u32()?,
            },
            READ => Self::Read {
                volume: VolumeId::from_u128(fields.u128()?),
                offset: fields.u64()?,
                length: fields.u32()?,
            },
            DONE => Self::Done {
                volume: VolumeId::from_u128(fields.u128()?),
                digest: digest(&mut fields)?,
            },
            KEEP => {
                let volume = VolumeId::from_u128(fields.u128()?);
                let (offset, content) = data(&mut fields, payload)?;
                Self::Keep {
                    volume,
                    offset,
                    content,
                }
            }
            SETTLE => Self::Settle,
            SEAM => Self::Seam {
                volume: VolumeId::from_u128(fields.u128()?),
                from: fields.u64()?,
                limit: fields.u32()?,
            },
            other => return not(other, "request"),
        };
        fields.finish()?;
        request.check()?;
        Ok(request)
    }

    /// The request in a frame.
    ///
    /// # Errors
    /// If the frame is of another kind, or its payload is no request.
    pub fn from_frame(frame: &Frame) -> Result<Self, Refused> {
        restore_payload(frame)?;
        Ok(Self::decode(&frame.payload)?)
    }
}

impl Answer {
    /// Its bytes.
    ///
    /// # Errors
    /// If it is not within the limits.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        self.check()?;
        Ok(match self {
            Self::Description(description) => encode_description(description),
            Self::Ranges { ranges, next } => {
                let mut out = begin(RANGES);
                put_ranges(&mut out, ranges, *next);
                out
            }
            Self::Unknown { reason } => {
                let mut out = begin(UNKNOWN);
                out.put_text(reason);
                out
            }
            Self::Digests { offset, digests } => {
                let mut out = begin(DIGESTS_ANSWER);
                out.put_u64(*offset);
                out.put_u32(count(digests));
                digests
                    .iter()
                    .for_each(|digest| out.extend_from_slice(&digest.0));
                out
            }
            Self::Data { offset, content } => {
                let mut out = begin(DATA);
                put_data(&mut out, *offset, content);
                out
            }
            Self::Done { digest } => {
                let mut out = begin(DONE_ANSWER);
                out.extend_from_slice(&digest.0);
                out
            }
            Self::Refused(refusal) => {
                let mut out = begin(REFUSED);
                out.put_u16(refusal.kind as u16);
                out.put_text(&refusal.reason);
                out
            }
            Self::Kept { offset } => {
                let mut out = begin(KEPT);
                out.put_u64(*offset);
                out
            }
            Self::Settled => begin(SETTLED),
            Self::Seam {
                head,
                number,
                ranges,
                next,
            } => {
                let mut out = begin(SEAM_ANSWER);
                let position = head.held.position;
                let stream = head.stream;
                put_point(&mut out, &PointName { stream, position });
                out.put_u128(head.held.id.to_u128());
                out.put_u32(head.volumes);
                out.put_u16(number.0);
                out.put_u16(0);
                put_ranges(&mut out, ranges, *next);
                out
            }
        })
    }

    /// Reads the bytes of one; data is shared with `payload`, not copied.
    ///
    /// # Errors
    /// If they are of another version or kind, damaged, or over a limit.
    pub fn decode(payload: &Bytes) -> Result<Self, DecodeError> {
        let (kind, mut fields) = opened(payload)?;
        let answer = match kind {
            DESCRIPTION => decode_description(&mut fields)?,
            RANGES => {
                let (ranges, next) = read_ranges(&mut fields)?;
                Self::Ranges { ranges, next }
            }
            UNKNOWN => Self::Unknown {
                reason: fields.text(TEXT_BYTES_MAX)?,
            },
            DIGESTS_ANSWER => {
                let offset = fields.u64()?;
                let count = counted(&mut fields, DIGEST_BYTES)?;
                Self::Digests {
                    offset,
                    digests: (0..count)
                        .map(|_| digest(&mut fields))
                        .collect::<Result<_, _>>()?,
                }
            }
            DATA => {
                let (offset, content) = data(&mut fields, payload)?;
                Self::Data { offset, content }
            }
            DONE_ANSWER => Self::Done {
                digest: digest(&mut fields)?,
            },
            REFUSED => Self::Refused(Refusal {
                kind: RefusalKind::from_number(fields.u16()?)?,
                reason: fields.text(TEXT_BYTES_MAX)?,
            }),
            KEPT => Self::Kept {
                offset: fields.u64()?,
            },
            SETTLED => Self::Settled,
            SEAM_ANSWER => decode_seam(&mut fields)?,
            other => return not(other, "answer"),
        };
        fields.finish()?;
        answer.check()?;
        Ok(answer)
    }

    /// The answer in a frame.
    ///
    /// # Errors
    /// If the frame is of another kind, or its payload is no answer.
    pub fn from_frame(frame: &Frame) -> Result<Self, Refused> {
        restore_payload(frame)?;
        Ok(Self::decode(&frame.payload)?)
    }
}

pub(super) fn begin(kind: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.put_u16(RESTORE_VERSION);
    out.put_u16(kind);
    out
}

pub(super) fn opened(payload: &[u8]) -> Result<(u16, Reader<'_>), DecodeError> {
    if payload.len() > MESSAGE_BYTES_MAX {
        return invalid(format!("a message of {} bytes", payload.len()));
    }
    let mut fields = Reader::new(WHAT, payload);
    fields.version(RESTORE_VERSION)?;
    Ok((fields.u16()?, fields))
}

/// A message of a kind that was not due.
pub(super) fn not<T>(kind: u16, due: &str) -> Result<T, DecodeError> {
    invalid(format!("kind {kind:#x} is no {due} of this version"))
}

pub(super) fn restore_payload(frame: &Frame) -> Result<&[u8], Refused> {
    if frame.kind != FrameKind::Restore {
        return Err(Refused::Message {
            reason: format!(
                "a {:?} frame came where a restore frame was due",
                frame.kind
            ),
        });
    }
    Ok(&frame.payload)
}

fn encode_description(description: &Description) -> Vec<u8> {
    let mut out = begin(DESCRIPTION);
    put_point(&mut out, &description.point);
    out.put_u64(description.generation.0);
    out.put_u32(count(&description.volumes));
    for volume in &description.volumes {
        out.put_u128(volume.id.to_u128());
        out.put_u64(volume.size_bytes);
    }
    out
}

fn decode_description(fields: &mut Reader<'_>) -> Result<Answer, DecodeError> {
    let point = point(fields)?;
    let generation = Generation(fields.u64()?);
    let count = counted(fields, VOLUME_BYTES)?;
    let volume = |_| {
        Ok(VolumeDescription {
            id: VolumeId::from_u128(fields.u128()?),
            size_bytes: fields.u64()?,
        })
    };
    Ok(Answer::Description(Description {
        point,
        generation,
        volumes: (0..count).map(volume).collect::<Result<_, _>>()?,
    }))
}

fn decode_seam(fields: &mut Reader<'_>) -> Result<Answer, DecodeError> {
    let PointName { stream, position } = point(fields)?;
    let id = IncarnationId::from_u128(fields.u128()?);
    let volumes = fields.u32()?;
    let number = VolumeNumber(fields.u16()?);
    let reserved = fields.u16()?;
    if reserved != 0 {
        return invalid(format!("reserved bytes {reserved:#06x}"));
    }
    let (ranges, next) = read_ranges(fields)?;
    Ok(Answer::Seam {
        head: SeamHead {
            stream,
            held: Held { position, id },
            volumes,
        },
        number,
        ranges,
        next,
    })
}

fn put_ranges(out: &mut Vec<u8>, ranges: &[ByteRange], next: Option<u64>) {
    out.put_u32(u32::from(next.is_some()));
    out.put_u64(next.unwrap_or(0));
    out.put_u32(count(ranges));
    for range in ranges {
        out.put_u64(range.offset);
        out.put_u64(range.length);
    }
}

fn read_ranges(fields: &mut Reader<'_>) -> Result<(Vec<ByteRange>, Option<u64>), DecodeError> {
    let next = match (fields.u32()?, fields.u64()?) {
        (0, 0) => None,
        (1, next) => Some(next),
        (flag, next) => return invalid(format!("a continuation flag {flag} with {next}")),
    };
    let count = counted(fields, RANGE_BYTES)?;
    let range = |_| {
        Ok(ByteRange {
            offset: fields.u64()?,
            length: fields.u64()?,
        })
    };
    let ranges = (0..count).map(range).collect::<Result<_, DecodeError>>()?;
    Ok((ranges, next))
}

fn put_data(out: &mut Vec<u8>, offset: u64, content: &Content) {
    let (coding, bytes): (u16, &[u8]) = match content {
        Content::Zero { .. } => (ZERO, &[]),
        Content::Stored(bytes) => (STORED, bytes),
        Content::Zstd { packed, .. } => (ZSTD, packed),
    };
    out.reserve_exact(bytes.len() + 16);
    out.put_u64(offset);
    out.put_u32(u32::try_from(content.length()).expect("checked before"));
    out.put_u16(coding);
    out.put_u16(0);
    out.extend_from_slice(bytes);
}

fn data(fields: &mut Reader<'_>, payload: &Bytes) -> Result<(u64, Content), DecodeError> {
    let offset = fields.u64()?;
    let length = fields.u32()?;
    let coding = fields.u16()?;
    let reserved = fields.u16()?;
    if reserved != 0 {
        return invalid(format!("reserved bytes {reserved:#06x}"));
    }
    let rest = fields.rest().len();
    let bytes = payload.slice(payload.len() - rest..);
    fields.take(rest)?;
    let content = match coding {
        ZERO if rest == 0 => Content::Zero { length },
        STORED if rest == length as usize => Content::Stored(bytes),
        ZSTD => Content::Zstd {
            length,
            packed: bytes,
        },
        coding => {
            return invalid(format!(
                "{length} bytes of data as {rest} bytes of coding {coding}"
            ));
        }
    };
    Ok((offset, content))
}

fn put_point(out: &mut Vec<u8>, point: &PointName) {
    out.put_u128(point.stream.to_u128());
    out.put_u32(point.position.ordinal.0);
    out.put_u64(point.position.sequence.0);
}

fn point(fields: &mut Reader<'_>) -> Result<PointName, DecodeError> {
    Ok(PointName {
        stream: StreamId::from_u128(fields.u128()?),
        position: Position::new(IncarnationOrdinal(fields.u32()?), Sequence(fields.u64()?)),
    })
}

fn digest(fields: &mut Reader<'_>) -> Result<Digest, DecodeError> {
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(fields.take(DIGEST_BYTES)?);
    Ok(Digest(digest))
}

/// The count of items to come, if there are bytes for so many of them and for nothing more.
fn counted(fields: &mut Reader<'_>, item_bytes: usize) -> Result<usize, DecodeError> {
    let count = fields.u32()? as usize;
    let rest = fields.rest().len();
    if count.checked_mul(item_bytes) != Some(rest) {
        return invalid(format!(
            "{count} items of {item_bytes} bytes in {rest} bytes"
        ));
    }
    Ok(count)
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).expect("checked before")
}
