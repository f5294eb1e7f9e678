//! The order that a group's source has: it follows from its placement, and from the task of the
//! step that is being carried out.
//!
//! Invariant: an order that lets a source write carries the generation of a fence that stands; one
//! that forbids it carries the highest that was ever taken, so nothing older undoes it. While a
//! source drains it keeps the generation it writes under: what it wrote ships under no other.

use crate::{
    groups::Group,
    recovery::{Action, Placement, PlacementJob, Site, SourceOrder as Place, Step},
};
use bcdr_format::Generation;
use bcdr_wire::order::{Duty, HomeTask, SourceOrder};
use std::sync::{Mutex, PoisonError};

/// The task that the current step has for the host of the source's disks.
#[derive(Debug, Default)]
pub(super) struct HomeTaskSlot(Mutex<Option<HomeTask>>);

impl HomeTaskSlot {
    pub(super) fn set(&self, task: Option<HomeTask>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = task;
    }

    fn get(&self) -> Option<HomeTask> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }
}

/// The generation of an order with a task.
pub(super) fn of_task(placement: &Placement) -> Generation {
    placement.authority().highest()
}

/// Whether the source was let go and only its answer is missing: a slow one is not told to stop
/// again while an operator looks.
fn is_released(placement: &Placement) -> bool {
    let is_authority = placement.authority().holder() == Site::Source;
    let is_awaited = match placement.job() {
        Some(PlacementJob::Failover(job)) => job.progress.step == Step::ReleaseSource,
        Some(PlacementJob::Failback(job)) => {
            job.progress.step == Step::BootHome && job.turned_back.is_none()
        }
        Some(PlacementJob::Restore(job)) => {
            matches!(job.progress.step, Step::BootHome | Step::ReleaseSource)
        }
        None => false,
    };
    is_authority && is_awaited && placement.split_brain().is_none()
}

/// What the source of a group is to do now.
fn standing_order(placement: &Placement, task: Option<HomeTask>) -> SourceOrder {
    let authority = placement.authority();
    let order = |generation: Generation, duty| SourceOrder { generation, duty };
    match placement.command().map(|command| command.action) {
        Some(Action::QuiesceSource { .. } | Action::DrainSource | Action::PlaceBookmark { .. }) => {
            order(authority.generation(), Duty::Quiesce)
        }
        Some(
            Action::HoldSource { generation }
            | Action::HoldHome { generation }
            | Action::StopHome { generation },
        ) => order(generation, Duty::Hold { task: None }),
        Some(
            Action::InspectHome
            | Action::KeepLeftBehind { .. }
            | Action::PlanSeed { .. }
            | Action::CopyRound { .. }
            | Action::RestoreDisks { .. }
            | Action::QuiesceTarget { .. }
            | Action::FinalDelta { .. }
            | Action::CompareDigests { .. }
            | Action::KeepHomeWrites,
        ) => order(of_task(placement), Duty::Hold { task }),
        Some(
            Action::ReleaseSource { generation }
            | Action::BootHome { generation }
            | Action::ResumeForward { generation },
        ) => order(generation, Duty::Serve),
        _ => match (placement.source_order(), is_released(placement)) {
            (Place::Serve(generation), _) => order(generation, Duty::Serve),
            (Place::StartReadOnly(_), true) => order(authority.generation(), Duty::Serve),
            (Place::StartReadOnly(_), false) => order(authority.highest(), Duty::StandBy),
        },
    }
}

/// Gives a group's source the order that it is to have now, if it is another one.
pub(super) fn give(group: &Group, placement: &Placement, task: &HomeTaskSlot) {
    let order = standing_order(placement, task.get());
    group.order.send_if_modified(|held| {
        let changed = *held != order;
        if changed {
            tracing::info!(group = %group.id(), generation = %order.generation, duty = ?order.duty, "order to the source");
            *held = order;
        }
        changed
    });
}
