//! Orders: what a group's source is told about its place, and how it obeys.
//!
//! Invariants: the generation of an order is durable here before anything is done about it; an order
//! of an older generation than any that was met is ignored for ever; a group that begins under an
//! order other than to serve is served read-only, straight from its disks.
//!
//! * [`decide`]: what an order means for a group as it runs, without I/O;
//! * [`book`]: the last order and the last task's outcome, on disk;
//! * [`exports`]: volumes served read-only, without ring, journal or intents;
//! * [`link`]: the session with a gateway of a group that feeds nothing;
//! * [`task`]: work on the disks of a group that is not served; [`inspect`]: the one kind of it that
//!   needs nobody else.
//!
//! It runs no group: [`crate::role`] does, and changes its mode.

pub mod book;
pub mod decide;
pub(crate) mod exports;
pub mod inspect;
pub(crate) mod link;
pub mod task;

use bcdr_format::Position;
use bcdr_wire::order::{Serving, SourceOrder, Standing, TaskReport};

use crate::group_thread::GroupStatus;

/// An order as it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardOrder {
    /// The order.
    pub order: SourceOrder,
    /// Whether the cloud side gave it in the session that the gateway has with it now. Otherwise the
    /// gateway may only remember it, and another may hold by now.
    pub confirmed: bool,
}

impl HeardOrder {
    /// One that came with a welcome.
    #[must_use]
    pub const fn remembered(order: SourceOrder) -> Self {
        let confirmed = false;
        Self { order, confirmed }
    }

    /// One that came by itself.
    #[must_use]
    pub const fn confirmed(order: SourceOrder) -> Self {
        let confirmed = true;
        Self { order, confirmed }
    }
}

/// What a group was told and what came of it, for its feed, its reports and people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stance {
    /// The last order; durable here.
    pub order: Option<SourceOrder>,
    /// Whether its volumes are served read-only, without a ring thread.
    pub exported: bool,
    /// Why they are not, while they ought to be.
    pub hindrance: Option<String>,
    /// The task it was given last, and how far that is.
    pub task: Option<TaskReport>,
    /// The last position that its ring thread gave, if one ran in this process.
    pub sequenced: Option<Position>,
}

impl Stance {
    /// Where the group stands; `running` is its ring thread's last snapshot, if there is one.
    #[must_use]
    pub fn standing(&self, running: Option<&GroupStatus>) -> Standing {
        let alone = if self.exported {
            Serving::ReadOnly
        } else {
            Serving::No
        };
        Standing {
            generation: self
                .order
                .as_ref()
                .map(|order| order.generation)
                .unwrap_or_default(),
            order: self
                .order
                .as_ref()
                .map(|order| order.number)
                .unwrap_or_default(),
            serving: running.map_or(alone, GroupStatus::serving),
            task: self.task.clone(),
        }
    }
}
