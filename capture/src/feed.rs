//! The feed: what to send a gateway next, from where, and what to do when it is elsewhere.
//!
//! [`FeedItem`]s come out of the tap in feed order. [`FeedTail`] keeps the newest in memory;
//! [`FeedSession`] follows one peer through tail and journal, decides at the handshake with
//! [`History`] where to resume, and turns acknowledgements into trims. No I/O here: the session
//! says which part of the journal to read, the shell reads it with [`crate::journal::JournalReader`].

mod history;
mod session;
mod source;

pub use history::{Handshake, History, Life, PeerStanding};
pub use session::{FeedSession, FeedStep};
pub use source::{FeedStart, FeedTail};

use crate::{StreamRecord, start::IncarnationStart};
use bcdr_format::{Position, Sequence, incarnation::IncarnationOrdinal};
use std::sync::Arc;

/// What the feed sends, in this order: a life's opening, then its settled records without a gap,
/// then the next life's opening.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    /// A life begins.
    Opening(IncarnationStart),
    /// A settled record; failed writes already carry what is really there.
    Record {
        /// Its life.
        ordinal: IncarnationOrdinal,
        /// The record.
        record: Arc<StreamRecord>,
    },
}

impl FeedItem {
    /// The life it belongs to.
    #[must_use]
    pub fn ordinal(&self) -> IncarnationOrdinal {
        match self {
            Self::Opening(start) => start.opening.ordinal,
            Self::Record { ordinal, .. } => *ordinal,
        }
    }

    /// The record's position; an opening has none.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Opening(_) => None,
            Self::Record { ordinal, record } => Some(Position::new(*ordinal, record.sequence)),
        }
    }

    /// Bytes it takes on the feed, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Opening(_) => bcdr_format::Opening::ENCODED_BYTES,
            Self::Record { record, .. } => record.encoded_length(),
        }
    }

    /// Its place in feed order.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Opening(start) => Place {
                ordinal: start.opening.ordinal,
                sequence: None,
            },
            Self::Record { ordinal, record } => Place {
                ordinal: *ordinal,
                sequence: Some(record.sequence),
            },
        }
    }
}

/// A place in feed order: an opening comes before the records of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) ordinal: IncarnationOrdinal,
    pub(crate) sequence: Option<Sequence>,
}
