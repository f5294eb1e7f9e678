//! The order that a group's source has: a pure function of its placement.
//!
//! Invariant: an order that lets a source write carries the generation of a fence that stands; one
//! that forbids it carries the highest that was ever taken, so nothing older undoes it. While a
//! source drains it keeps the generation it writes under: what it wrote ships under no other.

use crate::{
    groups::Group,
    recovery::{Action, Placement, SourceOrder as Place},
};
use bcdr_format::Generation;
use bcdr_wire::order::{Duty, SourceOrder};

/// What the source of a group is to do now.
pub(super) fn standing_order(placement: &Placement) -> SourceOrder {
    let authority = placement.authority();
    let order = |generation: Generation, duty| SourceOrder { generation, duty };
    let held = |generation: Generation| order(generation, Duty::Hold { task: None });
    match placement.command().map(|command| command.action) {
        Some(Action::QuiesceSource { .. } | Action::DrainSource) => {
            order(authority.generation(), Duty::Quiesce)
        }
        Some(
            Action::HoldSource { generation }
            | Action::HoldHome { generation }
            | Action::StopHome { generation },
        ) => held(generation),
        Some(
            Action::ReleaseSource { generation }
            | Action::BootHome { generation }
            | Action::ResumeForward { generation },
        ) => order(generation, Duty::Serve),
        _ => match placement.source_order() {
            Place::Serve(generation) => order(generation, Duty::Serve),
            Place::StartReadOnly(_) => order(authority.highest(), Duty::StandBy),
        },
    }
}

/// Gives a group's source the order that follows from its placement, if it is another one.
pub(super) fn give(group: &Group, placement: &Placement) {
    let order = standing_order(placement);
    group.order.send_if_modified(|held| {
        let changed = *held != order;
        if changed {
            tracing::info!(group = %group.id(), generation = %order.generation, duty = ?order.duty, "order to the source");
            *held = order;
        }
        changed
    });
}
