//! What a source is told about its place, and what it tells of it.
//!
//! An order is a standing one: it holds until the next, is sent at the beginning of each session
//! and at each change, and may arrive any number of times. The receiver derives it from the group's
//! placement; a gateway remembers the last one and passes it on; a capture carries it out and shows
//! in its reports how far it is. Orders of a group are numbered, so a gateway that was away and tells
//! an old one undoes nothing. Invariant: a capture persists an order before it acts on it, and
//! ignores one that is older for ever.

use bcdr_format::{RestoreId, VolumeId, position::Generation};
use serde::{Deserialize, Serialize};

/// The number of an order among those of its group: each one that says something else has a higher
/// one. Zero is the number of what was assumed before an order was heard.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct OrderNumber(pub u64);

impl OrderNumber {
    /// What was assumed before an order was heard.
    pub const ASSUMED: Self = Self(0);

    /// The number of the next order.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for OrderNumber {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What the source of a group is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceOrder {
    /// The generation under which the order was given.
    pub generation: Generation,
    /// Which of the group's orders it is.
    #[serde(default)]
    pub number: OrderNumber,
    /// What to do.
    pub duty: Duty,
}

impl SourceOrder {
    /// Whether what the source wrote is taken under this order.
    #[must_use]
    pub const fn takes_records(&self) -> bool {
        matches!(self.duty, Duty::Serve | Duty::Quiesce)
    }

    /// Whether `known` was given later.
    #[must_use]
    pub fn is_older_than(&self, known: &Self) -> bool {
        (self.generation, self.number) < (known.generation, known.number)
    }
}

/// The duties of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duty {
    /// Be production: serve, and feed what is written.
    Serve,
    /// Production is elsewhere: feed nothing. Whoever serves writable now is not cut; whoever
    /// starts serves read-only.
    StandBy,
    /// Take no more writes, and feed until nothing is left.
    Quiesce,
    /// Take no writes and feed nothing.
    Hold {
        /// What is to be done with the disks meanwhile.
        task: Option<HomeTask>,
    },
}

/// Work on the disks of a source that does not serve them writable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeTask {
    /// Names the task; what it is done with is offered under it (see [`crate::restore`]). A task
    /// that is asked for again under its id is not begun anew.
    pub id: RestoreId,
    /// What to do.
    pub work: HomeWork,
    /// The disks that an operator confirmed; empty for work that writes to none.
    pub confirmed: Vec<ConfirmedVolume>,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HomeWork {
    /// Identify the disks; nothing is read but their ends.
    Inspect,
    /// Send what differs from the offered point; nothing is written.
    SendDifferences,
    /// Bring the disks to the offered point.
    Restore,
    /// Compare the disks with the offered point by digest; nothing is written.
    Compare,
}

/// A disk that may be overwritten, as an operator typed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmedVolume {
    /// The volume it is for.
    pub volume: VolumeId,
    /// The identity of the device.
    pub identity: String,
}

/// Whether a source serves its disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Serving {
    /// It takes writes.
    Writable,
    /// It serves reads only.
    ReadOnly,
    /// It does not serve.
    No,
}

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The highest generation it met, durable there. Zero before the first.
    pub generation: Generation,
    /// The number of the order it remembers.
    pub order: OrderNumber,
    /// Whether it serves.
    pub serving: Serving,
    /// The task it was given last, and how far that is.
    pub task: Option<TaskReport>,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task.
    pub id: RestoreId,
    /// How far it is.
    pub state: TaskState,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// It works.
    Working {
        /// Bytes looked at so far.
        done_bytes: u64,
        /// Bytes to look at in all.
        total_bytes: u64,
    },
    /// It did what it is for.
    Done(TaskOutcome),
    /// It did not.
    Failed {
        /// The stable code that programs match on.
        code: String,
        /// What happened.
        cause: String,
        /// What to do about it.
        remedy: String,
    },
}

/// What a task that was done has to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskOutcome {
    /// The disks, one per volume.
    Inspected(Vec<InspectedVolume>),
    /// What differs was sent.
    Sent {
        /// How many bytes.
        bytes: u64,
    },
    /// The disks hold the point, proven by digest.
    Restored {
        /// Bytes of content that came over the wire.
        fetched_bytes: u64,
        /// Bytes written to the disks, zeroes included.
        written_bytes: u64,
    },
    /// The disks were compared with the point.
    Compared {
        /// Whether every one of them holds it.
        equal: bool,
        /// What was found, in a sentence.
        detail: String,
    },
}

/// A disk found at home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectedVolume {
    /// The volume it is for.
    pub volume: VolumeId,
    /// By which an operator recognises the device.
    pub identity: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Whether it holds nothing but zeroes and holes.
    pub blank: bool,
}
