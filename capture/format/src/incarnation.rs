//! Incarnations: one uninterrupted life of a stream each.
//!
//! A capture opens one at every start. Its [`Opening`] says which earlier position it continues;
//! a peer that is elsewhere has found a fork (see [`crate::continuity`]).

use crate::{
    IncarnationId, Position, Sequence,
    codec::{DecodeError, Reader, Write},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of an incarnation in its stream; the first is 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct IncarnationOrdinal(pub u32);

impl IncarnationOrdinal {
    /// The first life of a stream.
    pub const FIRST: Self = Self(1);

    /// The ordinal after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for IncarnationOrdinal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How an incarnation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Its number in the stream.
    pub ordinal: IncarnationOrdinal,
    /// Its random identity: two incarnations with one ordinal and two ids are a fork.
    pub id: IncarnationId,
    /// The last position of the settled prefix that the capture still vouches for; `None` when
    /// nothing came before.
    pub continues: Option<Position>,
    /// The sequence of its first record. It may lie further on than `continues`: the sequences
    /// between were never settled, are never fed, and their ranges are read again inside the sync
    /// interval that the incarnation begins with.
    pub first: Sequence,
}

impl Opening {
    /// Bytes of the encoded form.
    pub const ENCODED_BYTES: usize = 4 + 16 + 1 + 4 + 8 + 8;

    /// Refuses an opening that no capture makes, wherever it came from.
    pub fn check(&self) -> Result<(), DecodeError> {
        let numbered = self.ordinal >= IncarnationOrdinal::FIRST
            && self.ordinal < IncarnationOrdinal(u32::MAX)
            && self.first >= Sequence::FIRST
            && self.first < Sequence::LIMIT;
        if !numbered {
            return Err(DecodeError::invalid(
                "opening",
                format!("incarnation {} from record {}", self.ordinal, self.first),
            ));
        }
        if self.continues.is_some_and(|c| c.ordinal >= self.ordinal) {
            return Err(DecodeError::invalid(
                "opening",
                "it continues itself or a later life",
            ));
        }
        Ok(())
    }

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.ordinal.0);
        out.put_u128(self.id.to_u128());
        out.put_u8(u8::from(self.continues.is_some()));
        let continues = self
            .continues
            .unwrap_or(Position::new(IncarnationOrdinal(0), Sequence(0)));
        out.put_u32(continues.ordinal.0);
        out.put_u64(continues.sequence.0);
        out.put_u64(self.first.0);
    }

    /// Reads the encoded form.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ordinal = IncarnationOrdinal(reader.u32()?);
        let id = IncarnationId::from_u128(reader.u128()?);
        let present = reader.u8()?;
        let continues = Position::new(IncarnationOrdinal(reader.u32()?), Sequence(reader.u64()?));
        let first = Sequence(reader.u64()?);
        let nowhere = Position::new(IncarnationOrdinal(0), Sequence(0));
        let continues = match present {
            0 if continues == nowhere => None,
            1 => Some(continues),
            other => {
                return Err(DecodeError::invalid(
                    "opening",
                    format!("presence byte {other}"),
                ));
            }
        };
        let opening = Self {
            ordinal,
            id,
            continues,
            first,
        };
        opening.check()?;
        Ok(opening)
    }
}
