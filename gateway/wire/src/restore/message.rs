//! The messages as values, and what makes one valid.
//!
//! Invariant: [`Request::check`] and [`Answer::check`] hold for every message that was decoded, and
//! encoding refuses any other. What an answer means for its request is the asker's business.

use bcdr_format::{
    DecodeError, Generation, Position, RestoreId, SECTOR_BYTES, StreamId, VolumeId, VolumeNumber,
    continuity::Held,
};
use std::fmt;

use super::{
    BLOCK_BYTES, DIGESTS_MAX, Digest, RANGES_MAX, READ_BYTES_MAX, TEXT_BYTES_MAX, VOLUMES_MAX,
    content::Content,
};

pub(super) const WHAT: &str = "restore message";

/// Names one instant of one history. A branch is a stream of its own, so its points never share a
/// name with those of the stream that it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PointName {
    /// The stream whose history it is in.
    pub stream: StreamId,
    /// Everything up to and including this record.
    pub position: Position,
}

impl fmt::Display for PointName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.position, self.stream)
    }
}

/// A range of a volume, in bytes; whole sectors, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRange {
    /// First byte.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

impl ByteRange {
    /// The first byte behind it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset + self.length
    }

    fn check(&self) -> Result<(), DecodeError> {
        let Self { offset, length } = *self;
        if length == 0 || offset.checked_add(length).is_none() {
            return invalid(format!("{length} bytes at {offset} are no range"));
        }
        if !offset.is_multiple_of(SECTOR_BYTES) || !length.is_multiple_of(SECTOR_BYTES) {
            return invalid(format!("{length} bytes at {offset} are not whole sectors"));
        }
        Ok(())
    }
}

/// What a restoring side asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which point is to be restored, onto what. The first message of a stream.
    Describe {
        /// The restore, as the control plane named it.
        restore: RestoreId,
    },
    /// Which ranges of a volume may differ between a point that the device holds and the one to be
    /// restored. Answered with [`Answer::Ranges`] or [`Answer::Unknown`].
    Changed {
        /// The volume.
        volume: VolumeId,
        /// What the device holds.
        since: PointName,
        /// Ranges before this byte are not of interest.
        from: u64,
        /// The most ranges in the answer, 1 to [`RANGES_MAX`].
        limit: u32,
    },
    /// The digests of whole blocks; of the volume's last one as long as it is.
    Digests {
        /// The volume.
        volume: VolumeId,
        /// First byte, a multiple of the grain.
        offset: u64,
        /// How many bytes; at most [`DIGESTS_MAX`] blocks.
        length: u64,
        /// Bytes per digest. This version knows [`BLOCK_BYTES`] only.
        grain: u32,
    },
    /// The bytes of a range.
    Read {
        /// The volume.
        volume: VolumeId,
        /// First byte.
        offset: u64,
        /// How many bytes, at most [`READ_BYTES_MAX`].
        length: u32,
    },
    /// The device now holds a volume of this digest. Answered with the digest that it should have.
    Done {
        /// The volume.
        volume: VolumeId,
        /// What was read back from the device.
        digest: Digest,
    },
    /// The device holds this where the point holds something else: keep it. Asked only where the
    /// description's restore is one that takes it.
    Keep {
        /// The volume.
        volume: VolumeId,
        /// First byte.
        offset: u64,
        /// What the device holds there.
        content: Content,
    },
    /// Make everything that was kept so far durable.
    Settle,
    /// Where the group's own history ends, and which ranges of a volume may differ between there and
    /// the point that is given back. Answered with [`Answer::Seam`] or [`Answer::Unknown`]. Asked
    /// after the volumes hold the point; a side that does not know this request refuses it and ends
    /// the stream, which costs nothing but a full compare later.
    Seam {
        /// The volume.
        volume: VolumeId,
        /// Ranges before this byte are not of interest.
        from: u64,
        /// The most ranges in the answer, 1 to [`RANGES_MAX`].
        limit: u32,
    },
}

/// Where a group's own history ends: what disks that were put back can join it at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeamHead {
    /// The stream whose history it is.
    pub stream: StreamId,
    /// The last that is durable of it, and whose life that belongs to. Nothing is open there: no
    /// sync interval, and no fork.
    pub held: Held,
    /// How many volumes it has.
    pub volumes: u32,
}

/// One volume of the point to be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeDescription {
    /// The volume.
    pub id: VolumeId,
    /// Its size at that point, in bytes.
    pub size_bytes: u64,
}

/// What is to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The point.
    pub point: PointName,
    /// The generation under which the restore was ordered.
    pub generation: Generation,
    /// The volumes of the point.
    pub volumes: Vec<VolumeDescription>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum RefusalKind {
    /// The version is not spoken there.
    Version = 1,
    /// There is no such restore, or it has ended.
    UnknownRestore = 2,
    /// The point has no such volume.
    UnknownVolume = 3,
    /// The range is not within the volume.
    OutOfRange = 4,
    /// The restore was ordered under a generation that has passed.
    Fenced = 5,
    /// The source cannot answer now; ask again later.
    NotReady = 6,
    /// What the point holds there is unknown or damaged.
    Unreadable = 7,
    /// Who asks may not ask this.
    NotAllowed = 8,
    /// There is no space to keep what is sent.
    NoSpace = 9,
    /// What is sent cannot be kept any more.
    NotKept = 10,
}

impl RefusalKind {
    pub(super) fn from_number(number: u16) -> Result<Self, DecodeError> {
        Ok(match number {
            1 => Self::Version,
            2 => Self::UnknownRestore,
            3 => Self::UnknownVolume,
            4 => Self::OutOfRange,
            5 => Self::Fenced,
            6 => Self::NotReady,
            7 => Self::Unreadable,
            8 => Self::NotAllowed,
            9 => Self::NoSpace,
            10 => Self::NotKept,
            other => return invalid(format!("a refusal of unknown kind {other}")),
        })
    }

    /// Whether the same request may be granted later without anybody doing anything.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::NotReady | Self::NoSpace)
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Version => "upgrade the cloud side first, then gateways, then captures",
            Self::UnknownRestore => "start the restore again from the control plane",
            Self::UnknownVolume => "check which volumes the point has",
            Self::OutOfRange => "check that device and volume are of one size",
            Self::Fenced => "start the restore again under the current generation",
            Self::NotReady => "try again later",
            Self::Unreadable => "choose another point, or repair this one from another destination",
            Self::NotAllowed => "correct who is configured for what, or order what is meant",
            Self::NoSpace => "make room on the cloud side",
            Self::NotKept => "check the device of the cloud side, then order it again",
        }
    }
}

/// A request is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused: {reason}; {}", kind.remedy())]
pub struct Refusal {
    /// What the asker can decide on.
    pub kind: RefusalKind,
    /// In words; at most [`TEXT_BYTES_MAX`] bytes.
    pub reason: String,
}

/// What a source answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Describe`].
    Description(Description),
    /// To [`Request::Changed`]: sorted ranges that do not overlap. Outside of them, up to `next`,
    /// nothing differs.
    Ranges {
        /// The ranges.
        ranges: Vec<ByteRange>,
        /// Where to ask on from; `None`: up to the volume's end.
        next: Option<u64>,
    },
    /// To [`Request::Changed`]: everything must be compared.
    Unknown {
        /// Why, in words.
        reason: String,
    },
    /// To [`Request::Digests`]: one per block.
    Digests {
        /// The first block's first byte.
        offset: u64,
        /// The digests in order.
        digests: Vec<Digest>,
    },
    /// To [`Request::Read`].
    Data {
        /// The first byte.
        offset: u64,
        /// The bytes.
        content: Content,
    },
    /// To [`Request::Done`].
    Done {
        /// What the volume's digest is at the point.
        digest: Digest,
    },
    /// To any request.
    Refused(Refusal),
    /// To [`Request::Keep`]: it is taken, and durable after the next [`Request::Settle`].
    Kept {
        /// The first byte.
        offset: u64,
    },
    /// To [`Request::Settle`].
    Settled,
    /// To [`Request::Seam`]: sorted ranges that do not overlap. Outside of them, up to `next`, the
    /// point is what the history holds at its end.
    Seam {
        /// The end of the history.
        head: SeamHead,
        /// The volume's number there.
        number: VolumeNumber,
        /// The ranges.
        ranges: Vec<ByteRange>,
        /// Where to ask on from; `None`: up to the volume's end.
        next: Option<u64>,
    },
}

impl Request {
    /// Whether it is within the limits.
    pub(super) fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Describe { .. } | Self::Done { .. } | Self::Settle => Ok(()),
            Self::Keep {
                offset, content, ..
            } => {
                content.check()?;
                ByteRange {
                    offset: *offset,
                    length: content.length(),
                }
                .check()
            }
            Self::Changed { limit, .. } | Self::Seam { limit, .. }
                if (1..=RANGES_MAX).contains(limit) =>
            {
                Ok(())
            }
            Self::Changed { limit, .. } | Self::Seam { limit, .. } => invalid(format!(
                "{limit} ranges where 1 to {RANGES_MAX} may be asked"
            )),
            Self::Digests {
                offset,
                length,
                grain,
                ..
            } => {
                if *grain != BLOCK_BYTES {
                    return invalid(format!(
                        "digests of {grain} bytes where this version has those of {BLOCK_BYTES}"
                    ));
                }
                let range = ByteRange {
                    offset: *offset,
                    length: *length,
                };
                range.check()?;
                let grain = u64::from(*grain);
                if !offset.is_multiple_of(grain) || length.div_ceil(grain) > u64::from(DIGESTS_MAX)
                {
                    return invalid(format!(
                        "digests of {length} bytes at {offset}, which are not up to {DIGESTS_MAX} \
                         whole blocks"
                    ));
                }
                Ok(())
            }
            Self::Read { offset, length, .. } => {
                if *length > READ_BYTES_MAX {
                    return invalid(format!(
                        "a read of {length} bytes where {READ_BYTES_MAX} are allowed"
                    ));
                }
                ByteRange {
                    offset: *offset,
                    length: u64::from(*length),
                }
                .check()
            }
        }
    }
}

impl Answer {
    /// Whether it is within the limits.
    pub(super) fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Description(description) => check_volumes(&description.volumes),
            Self::Ranges { ranges, next } => check_ranges(ranges, *next),
            Self::Seam {
                head, ranges, next, ..
            } => {
                if !(1..=VOLUMES_MAX).contains(&head.volumes) {
                    return invalid(format!("a history of {} volumes", head.volumes));
                }
                check_ranges(ranges, *next)
            }
            Self::Unknown { reason } => check_text(reason),
            Self::Refused(refusal) => check_text(&refusal.reason),
            Self::Digests { digests, .. } => {
                if digests.is_empty() || digests.len() > DIGESTS_MAX as usize {
                    return invalid(format!("{} digests", digests.len()));
                }
                Ok(())
            }
            Self::Data { content, .. } => content.check(),
            Self::Done { .. } | Self::Kept { .. } | Self::Settled => Ok(()),
        }
    }
}

fn check_volumes(volumes: &[VolumeDescription]) -> Result<(), DecodeError> {
    if volumes.is_empty() || volumes.len() > VOLUMES_MAX as usize {
        return invalid(format!("a point of {} volumes", volumes.len()));
    }
    let mut seen = std::collections::HashSet::with_capacity(volumes.len());
    for volume in volumes {
        if volume.size_bytes == 0 || !volume.size_bytes.is_multiple_of(SECTOR_BYTES) {
            return invalid(format!("{} has {} bytes", volume.id, volume.size_bytes));
        }
        if !seen.insert(volume.id) {
            return invalid(format!("{} is described twice", volume.id));
        }
    }
    Ok(())
}

fn check_ranges(ranges: &[ByteRange], next: Option<u64>) -> Result<(), DecodeError> {
    if ranges.len() > RANGES_MAX as usize {
        return invalid(format!("{} ranges", ranges.len()));
    }
    let mut behind = 0;
    for range in ranges {
        range.check()?;
        if range.offset < behind {
            return invalid(format!("a range at {} overlaps or is late", range.offset));
        }
        behind = range.end();
    }
    match next {
        Some(next) if next < behind || !next.is_multiple_of(SECTOR_BYTES) => {
            invalid(format!("ranges up to {behind} that go on at {next}"))
        }
        _ => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), DecodeError> {
    if text.len() > TEXT_BYTES_MAX {
        return invalid(format!(
            "a text of {} bytes where {TEXT_BYTES_MAX} are allowed",
            text.len()
        ));
    }
    Ok(())
}

pub(super) fn invalid<T>(reason: String) -> Result<T, DecodeError> {
    Err(DecodeError::invalid(WHAT, reason))
}
