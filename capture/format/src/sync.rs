//! Sync intervals: the bracket around data that was copied by us rather than written by the
//! application.
//!
//! While a member of a group has one open, no point of the group is published. The events travel
//! as records and, in order, in the header of the batch that holds them, so that a receiver need
//! not open the sealed data to know whether it may publish.

use crate::{
    Position, Sequence, SyncId,
    codec::{DecodeError, Reader, Write},
    incarnation::IncarnationOrdinal,
};
use serde::{Deserialize, Serialize};

/// Why a sync interval was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum SyncReason {
    /// The first copy of the volumes.
    Initial = 1,
    /// Writes were in flight when the capture was killed: exactly their ranges are read again.
    Killed = 2,
    /// The machine lost power or its history is unproven: everything is compared.
    PowerLoss = 3,
    /// The journal was full or failed and writes went untracked: everything is compared.
    Untracked = 4,
    /// A peer holds history that this capture does not know, or that its disks, which were put back,
    /// do not hold.
    Fork = 5,
}

impl SyncReason {
    fn from_u8(value: u8) -> Result<Self, DecodeError> {
        Ok(match value {
            1 => Self::Initial,
            2 => Self::Killed,
            3 => Self::PowerLoss,
            4 => Self::Untracked,
            5 => Self::Fork,
            other => {
                return Err(DecodeError::invalid(
                    "sync event",
                    format!("reason {other}"),
                ));
            }
        })
    }
}

/// What a finished sync interval puts right besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heals {
    /// Only what it copied.
    Nothing,
    /// A fork found at the opening of incarnation `opening`, by a peer that was no further than
    /// `through`: the interval read again every range written up to there.
    Through {
        /// The incarnation whose opening the fork was found at.
        opening: IncarnationOrdinal,
        /// The furthest position whose ranges were read again.
        through: Position,
    },
    /// Every fork found at the opening of incarnation `opening` or an earlier one: all volumes
    /// were compared in full since that opening.
    Everything {
        /// The incarnation in which the full compare began.
        opening: IncarnationOrdinal,
    },
}

/// The beginning or end of a sync interval, at a record's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncEvent {
    /// From here on the image is no prefix of the write history.
    Begin {
        /// The interval.
        sync: SyncId,
        /// Why it was opened.
        reason: SyncReason,
    },
    /// From here on it is one again, as far as this interval is concerned.
    End {
        /// The interval.
        sync: SyncId,
        /// What else it put right.
        heals: Heals,
    },
}

impl SyncEvent {
    /// Appends the encoded form (34 bytes).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let nowhere = Position::new(IncarnationOrdinal(0), Sequence(0));
        let (kind, sync, detail, opening, through) = match *self {
            Self::Begin { sync, reason } => (1, sync, reason as u8, IncarnationOrdinal(0), nowhere),
            Self::End { sync, heals } => match heals {
                Heals::Nothing => (2, sync, 0, IncarnationOrdinal(0), nowhere),
                Heals::Through { opening, through } => (2, sync, 1, opening, through),
                Heals::Everything { opening } => (2, sync, 2, opening, nowhere),
            },
        };
        out.put_u8(kind);
        out.put_u8(detail);
        out.put_u128(sync.to_u128());
        out.put_u32(opening.0);
        out.put_u32(through.ordinal.0);
        out.put_u64(through.sequence.0);
    }

    /// Reads the encoded form.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.u8()?;
        let detail = reader.u8()?;
        let sync = SyncId::from_u128(reader.u128()?);
        let opening = IncarnationOrdinal(reader.u32()?);
        let through = Position::new(IncarnationOrdinal(reader.u32()?), Sequence(reader.u64()?));
        // What an event does not use is zero, so that each event has one encoded form.
        let nowhere = Position::new(IncarnationOrdinal(0), Sequence(0));
        let healing_opening = (kind, detail) == (2, 1) || (kind, detail) == (2, 2);
        let unused_is_zero = (healing_opening || opening == nowhere.ordinal)
            && ((kind, detail) == (2, 1) || through == nowhere);
        if !unused_is_zero {
            return Err(DecodeError::invalid(
                "sync event",
                format!("kind {kind}/{detail} with a position"),
            ));
        }
        match (kind, detail) {
            (1, reason) => Ok(Self::Begin {
                sync,
                reason: SyncReason::from_u8(reason)?,
            }),
            (2, 0) => Ok(Self::End {
                sync,
                heals: Heals::Nothing,
            }),
            (2, 1) => Ok(Self::End {
                sync,
                heals: Heals::Through { opening, through },
            }),
            (2, 2) => Ok(Self::End {
                sync,
                heals: Heals::Everything { opening },
            }),
            _ => Err(DecodeError::invalid(
                "sync event",
                format!("kind {kind}/{detail}"),
            )),
        }
    }
}
