//! What the tap asks of the journal's thread, and what it hears back.

use crate::{
    StreamRecord,
    start::{IncarnationStart, SyncStart},
};
use bcdr_format::{Position, Sequence, incarnation::IncarnationOrdinal};
use std::sync::Arc;

/// A command for the journal. They are executed in the order they were queued; a thread may take
/// any number at once, and the records among them are written together.
#[derive(Debug, Clone, PartialEq)]
pub enum JournalCommand {
    /// Begin a life in a fresh segment.
    Open {
        /// The life.
        start: IncarnationStart,
        /// Whether a journal that stopped may go on with this life. Without it a stopped journal
        /// ignores the command, as it ignores everything else.
        after_stop: bool,
    },
    /// Append a record.
    Append {
        /// The record.
        record: Arc<StreamRecord>,
        /// The settled prefix when it was queued.
        settled: Option<Position>,
        /// The sync interval open behind the record.
        open_sync: Option<SyncStart>,
    },
    /// Note the settled prefix when nothing else is appended.
    Settle(Position),
    /// Make everything before this durable.
    Sync,
    /// Free every finished segment, acknowledged or not: the only peer there is can no longer use
    /// what they hold, and their space is needed for a life that reads everything. Executed by a
    /// stopped journal too.
    Discard,
}

/// What the journal reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// A life's first segment is ready and durable.
    Opened(IncarnationOrdinal),
    /// Every record up to here is written: it survives a kill, not a power cut.
    Written(Sequence),
    /// Every record up to here is durable.
    Durable(Sequence),
    /// The journal takes no more records, until a life is opened after the stop. Records queued
    /// behind the last one reported written are not in it.
    Stopped(StopReason),
    /// How much space is used.
    Usage(JournalUsage),
}

/// Why the journal stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// Every segment holds records that are still needed.
    Full,
    /// The device failed: what happened.
    Failed(String),
}

/// The journal's space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalUsage {
    /// Bytes of segments that hold records still needed.
    pub used_bytes: u64,
    /// Bytes there may be.
    pub capacity_bytes: u64,
    /// Everything up to here was freed.
    pub trimmed: Option<Position>,
}

impl JournalUsage {
    /// Whether more than half of the space is used.
    #[must_use]
    pub fn over_half(&self) -> bool {
        self.used_bytes.saturating_mul(2) > self.capacity_bytes
    }
}
