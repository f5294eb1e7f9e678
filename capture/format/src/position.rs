//! Positions in a stream, and the numbers that name things in it.
//!
//! Every lag metric is the difference of two named positions, ordered
//! `published ≤ durable ≤ received ≤ sent ≤ settled ≤ sequenced`.

use crate::incarnation::IncarnationOrdinal;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// The number of a record in its stream. The first record is 1; numbers continue across
/// incarnations and are never given twice within one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The first record of a stream.
    pub const FIRST: Self = Self(1);

    /// The last number, which no record has: there is always a next one.
    pub const LIMIT: Self = Self(u64::MAX);

    /// The sequence after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The sequence before this one; zero stays zero, which names "before the first record".
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A place in a stream's history: everything up to and including this record.
///
/// Ordered by incarnation first: whatever a later incarnation says supersedes an earlier one, even
/// where a power loss made it start again at a lower sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Which life of the stream.
    pub ordinal: IncarnationOrdinal,
    /// Which record.
    pub sequence: Sequence,
}

impl Position {
    /// The position of record `sequence` in incarnation `ordinal`.
    pub const fn new(ordinal: IncarnationOrdinal, sequence: Sequence) -> Self {
        Self { ordinal, sequence }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.ordinal, self.sequence)
    }
}

/// A text that is not a position.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a position: it looks like 2-48211 (incarnation, sequence)")]
pub struct ParsePositionError(String);

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, ParsePositionError> {
        let refuse = || ParsePositionError(text.chars().take(64).collect());
        let (ordinal, sequence) = text.split_once('-').ok_or_else(refuse)?;
        Ok(Self {
            ordinal: IncarnationOrdinal(ordinal.parse().map_err(|_| refuse())?),
            sequence: Sequence(sequence.parse().map_err(|_| refuse())?),
        })
    }
}

/// The fencing number of a group. It belongs to sessions and lineages; every party persists the
/// highest it met and refuses anything older for ever.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation a group is created with.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The number by which a stream's records name a volume; a member record maps it to the volume's
/// id and size.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct VolumeNumber(pub u16);

impl fmt::Display for VolumeNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
