//! What a stamp proves about a device: a pure function.
//!
//! Invariant: a device is believed to hold a point only if its stamp names this very device, calls
//! it clean, and nobody has written to it since. A half-restored device is believed up to its
//! cursor only on the way to the same point. Everything else is compared, which is never wrong.

use std::fmt;

use bcdr_format::DecodeError;
use bcdr_wire::restore::{BLOCK_BYTES, PointName};

use super::stamp::{StampFound, StampState};
use crate::intent::BackingEvidence;

/// How the device is brought to the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It differs from this point at most where a run of ours wrote the target: the source says
    /// which ranges differ between the two.
    Known {
        /// The point.
        since: PointName,
    },
    /// Every block is compared by its digest.
    Compare,
    /// Every block is written, whatever the device gives back.
    Rewrite,
}

/// Why that is the method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The stamp proves which point the device holds.
    Proven,
    /// An interrupted run to the same point is continued.
    Continued,
    /// There is no stamp: it was never restored, or served since.
    NoStamp,
    /// What is in the stamp's place cannot be used.
    Unusable(DecodeError),
    /// The stamp is of another device, or the device has another size now.
    OtherDevice,
    /// Somebody wrote to the device since, or the machine was restarted and nobody knows.
    ChangedSince(PointName),
    /// A restore to another point was interrupted.
    OtherTarget(PointName),
    /// A sync of the device failed: what it gives back need not be what it keeps.
    DeviceFailed,
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proven => formatter.write_str("the stamp proves which point the device holds"),
            Self::Continued => formatter.write_str("an interrupted restore goes on"),
            Self::NoStamp => formatter
                .write_str("there is no stamp: the device was not restored, or was served since"),
            Self::Unusable(reason) => write!(formatter, "the stamp cannot be used: {reason}"),
            Self::OtherDevice => formatter.write_str("the stamp is of another device"),
            Self::ChangedSince(point) => write!(
                formatter,
                "the device held point {point}, and may have been written to since"
            ),
            Self::OtherTarget(point) => write!(
                formatter,
                "a restore to another point, {point}, was interrupted"
            ),
            Self::DeviceFailed => formatter.write_str(
                "a sync of the device failed, so what it gives back need not be what it keeps",
            ),
        }
    }
}

/// What to do with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How.
    pub method: Method,
    /// Everything before this byte is done.
    pub from: u64,
    /// Why.
    pub why: Why,
}

/// Weighs a stamp against the device as it is now and the point that it is to hold.
#[must_use]
pub fn judge(
    found: &StampFound,
    evidence: BackingEvidence,
    size_bytes: u64,
    target: PointName,
) -> Judgement {
    let compare = |why| Judgement {
        method: Method::Compare,
        from: 0,
        why,
    };
    let stamp = match found {
        StampFound::None => return compare(Why::NoStamp),
        StampFound::Unusable(reason) => return compare(Why::Unusable(reason.clone())),
        StampFound::Stamp(stamp) => stamp,
    };
    if stamp.identity != evidence.identity || stamp.size_bytes != size_bytes {
        return compare(Why::OtherDevice);
    }
    match stamp.state {
        StampState::Clean { point, change, .. } if change == evidence.change => Judgement {
            method: Method::Known { since: point },
            from: if point == target { size_bytes } else { 0 },
            why: Why::Proven,
        },
        StampState::Clean { point, .. } => compare(Why::ChangedSince(point)),
        StampState::Writing {
            target: other,
            cursor,
            failed: true,
            ..
        } => Judgement {
            method: Method::Rewrite,
            from: if other == target {
                whole_blocks(cursor, size_bytes)
            } else {
                0
            },
            why: Why::DeviceFailed,
        },
        StampState::Writing {
            target: other,
            base,
            cursor,
            failed: false,
        } if other == target => Judgement {
            method: base.map_or(Method::Compare, |since| Method::Known { since }),
            from: whole_blocks(cursor, size_bytes),
            why: Why::Continued,
        },
        StampState::Writing { target: other, .. } => compare(Why::OtherTarget(other)),
    }
}

/// The end of the last whole block before `cursor`: digests exist for whole blocks only.
pub(super) fn whole_blocks(cursor: u64, size_bytes: u64) -> u64 {
    if cursor >= size_bytes {
        return size_bytes;
    }
    cursor - cursor % u64::from(BLOCK_BYTES)
}

#[cfg(test)]
mod tests;
