//! Names of things in the store: which history, and which batch of it.

use bcdr_format::{GroupId, StreamId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One history: one stream of one group. Positions and batch numbers mean something only in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lineage {
    /// The group.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
}

impl Lineage {
    /// The sortable binary form: group, then stream.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.group.to_u128().to_be_bytes());
        bytes[16..].copy_from_slice(&self.stream.to_u128().to_be_bytes());
        bytes
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.group, self.stream)
    }
}

/// The number of a batch in its lineage. The first is 0; heartbeats have none.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct BatchNumber(pub u64);

impl BatchNumber {
    /// The batch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for BatchNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
