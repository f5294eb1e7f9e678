//! Wall-clock instants as the stream stores them.

use serde::{Deserialize, Serialize};

/// An instant: microseconds since the Unix epoch, on the clock of whoever wrote it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This instant moved by `microseconds`, held inside the representable range.
    #[must_use]
    pub const fn shifted(self, microseconds: i64) -> Self {
        Self(self.0.saturating_add(microseconds))
    }
}
