//! The order that a group's source has: it follows from its placement, and from the task of the
//! step that is being carried out.
//!
//! Invariant: an order that lets a source write carries the generation of a fence that stands; one
//! that forbids it carries the highest that was ever taken, so nothing older undoes it. While a
//! source drains it keeps the generation it writes under: what it wrote ships under no other. Each
//! order that says something else has a higher number than all before it, durable before it is
//! told, so a gateway that was away and tells an old one undoes nothing either.

use crate::{
    catalog::{Catalog, CatalogError, Document},
    groups::Group,
    offload::offload,
    recovery::{Action, Placement, PlacementJob, Site, SourceOrder as Place, Step},
};
use bcdr_format::{Generation, GroupId};
use bcdr_wire::order::{Duty, HomeTask, OrderNumber, SourceOrder};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The order that a group's source was given last.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct GivenOrder {
    group: GroupId,
    order: SourceOrder,
    /// It was given above those of the catalog, and the source was not heard since. Restarts do not change
    /// that: the catalog may be an older copy of itself, and the number given before, to another order.
    #[serde(default)]
    unheard: bool,
}

impl Document for GivenOrder {
    const COLLECTION: &'static str = "source_orders";

    fn key(&self) -> String {
        self.group.to_string()
    }
}

/// What is known of the numbers that a source knows.
#[derive(Debug, Default)]
struct Met {
    /// The highest that it told.
    number: OrderNumber,
    /// Whether it told any since this process began.
    heard: bool,
    /// What is kept of the last order, see [`GivenOrder::unheard`].
    unheard: bool,
    /// The source knows the number of the last order from before that was told: as far as can be known it
    /// was given to another order, and the source takes no other under it.
    renew: bool,
}

impl Met {
    /// The source tells a number while `held` is that of the last order. Says whether an order has to be
    /// given, or what is kept of the last one is not true any more.
    fn meet(&mut self, number: OrderNumber, held: OrderNumber) -> bool {
        self.renew |= !self.heard && self.unheard && number >= held;
        self.heard = true;
        self.number = self.number.max(number);
        held < self.number || self.renew || self.unheard
    }

    /// An order of this number is about to be told. What the source told while it was made durable is not
    /// forgotten: its number cannot be that of this order.
    fn given(&mut self, number: OrderNumber, unheard: bool) {
        self.unheard = unheard;
        self.renew = self.heard && self.number >= number;
    }
}

/// What gives a group's source its orders.
#[derive(Debug)]
pub(super) struct SourceOrders {
    catalog: Arc<Catalog>,
    group: Arc<Group>,
    /// The task that the current step has for the host of the source's disks.
    task: Mutex<Option<HomeTask>>,
    /// What the source told of its orders. The catalog may be an older copy of itself.
    met: Mutex<Met>,
    /// There were orders before this process.
    goes_on: bool,
    /// One order is given after the other.
    giving: tokio::sync::Mutex<()>,
}

impl SourceOrders {
    /// Goes on after the order that was given last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn open(
        catalog: Arc<Catalog>,
        group: Arc<Group>,
    ) -> Result<Self, CatalogError> {
        let (shared, id) = (Arc::clone(&catalog), group.id());
        let last = offload(move || shared.document::<GivenOrder>(&id.to_string())).await?;
        let goes_on = last.is_some();
        let mut met = Met::default();
        if let Some(last) = last {
            met.unheard = last.unheard;
            group.order.send_replace(last.order);
        }
        Ok(Self {
            catalog,
            group,
            task: Mutex::default(),
            met: Mutex::new(met),
            goes_on,
            giving: tokio::sync::Mutex::default(),
        })
    }

    /// Whose source it is.
    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// The task that goes with the orders from now on.
    pub(super) fn set_task(&self, task: Option<HomeTask>) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = task;
    }

    fn task(&self) -> Option<HomeTask> {
        let held = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// The source remembers an order of this number. Says whether the source has to be given its order
    /// again: none so high was given here, or perhaps another one of the same number, so that the source
    /// would take what it is told for an earlier order.
    pub(super) fn meet(&self, number: OrderNumber) -> bool {
        let mut met = self.met();
        let held = self.group.order.borrow().number;
        let renewed = met.renew;
        let is_due = met.meet(number, held);
        if met.renew && !renewed {
            tracing::warn!(group = %self.group.id(), %number, "the source knows an order of a number that was given before the source was heard; it is told again under a higher one");
        }
        is_due
    }

    fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the source the order that it is to have now, if it is another one; durable before it is
    /// told.
    ///
    /// # Errors
    /// When it cannot be made durable; the source was told nothing.
    pub(super) async fn give(&self, placement: &Placement) -> Result<(), CatalogError> {
        let _one = self.giving.lock().await;
        let (generation, duty) = standing_order(placement, self.task());
        let (met, renew, heard, unheard) = {
            let met = self.met();
            (met.number, met.renew, met.heard, met.unheard)
        };
        let held = self.group.order.borrow().clone();
        let is_given = held.number > OrderNumber::ASSUMED && held.number >= met && !renew;
        if is_given && (held.generation, &held.duty) == (generation, &duty) {
            if unheard && heard {
                self.keep(held, false).await?;
                self.met().unheard = false;
            }
            return Ok(());
        }
        let order = SourceOrder {
            generation,
            number: held.number.max(met).next(),
            duty,
        };
        let unheard = self.goes_on && !heard;
        self.keep(order.clone(), unheard).await?;
        tracing::info!(group = %self.group.id(), %generation, number = %order.number, duty = ?order.duty, "order to the source");
        // Together: the source that tells this number afterwards has it from here.
        let mut met = self.met();
        met.given(order.number, unheard);
        self.group.order.send_replace(order);
        Ok(())
    }

    async fn keep(&self, order: SourceOrder, unheard: bool) -> Result<(), CatalogError> {
        let given = GivenOrder {
            group: self.group.id(),
            order,
            unheard,
        };
        let catalog = Arc::clone(&self.catalog);
        offload(move || catalog.put_document(&given)).await
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

/// What the source of a group is to do now, and under which generation.
fn standing_order(placement: &Placement, task: Option<HomeTask>) -> (Generation, Duty) {
    let authority = placement.authority();
    match placement.command().map(|command| command.action) {
        Some(Action::QuiesceSource { .. } | Action::DrainSource | Action::PlaceBookmark { .. }) => {
            (authority.generation(), Duty::Quiesce)
        }
        Some(
            Action::HoldSource { generation }
            | Action::HoldHome { generation }
            | Action::StopHome { generation },
        ) => (generation, Duty::Hold { task: None }),
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
        ) => (of_task(placement), Duty::Hold { task }),
        Some(
            Action::ReleaseSource { generation }
            | Action::BootHome { generation }
            | Action::ResumeForward { generation },
        ) => (generation, Duty::Serve),
        _ => match (placement.source_order(), is_released(placement)) {
            (Place::Serve(generation), _) => (generation, Duty::Serve),
            (Place::StartReadOnly(_), true) => (authority.generation(), Duty::Serve),
            (Place::StartReadOnly(_), false) => (authority.highest(), Duty::StandBy),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site::Site;

    #[tokio::test]
    async fn that_the_source_was_heard_is_written_down_once_and_the_order_stays() {
        let site = Site::start().await;
        site.group().await;
        let service = site.service();
        let group = service.groups.find("lab").unwrap();
        let mut given = group.order.subscribe();
        let is_given = |order: &SourceOrder| order.number > OrderNumber::ASSUMED;
        let order = given.wait_for(is_given).await.unwrap().clone();
        let catalog = Arc::clone(&service.catalog);
        let placement = service.placements.placement(group.id()).unwrap();
        let kept = || -> GivenOrder {
            let kept = catalog.document(&group.id().to_string());
            kept.unwrap().unwrap()
        };
        let open = || SourceOrders::open(Arc::clone(&catalog), Arc::clone(&group));
        // An earlier process gave it, and heard nothing of the source.
        let unheard = GivenOrder {
            unheard: true,
            ..kept()
        };
        catalog.put_document(&unheard).unwrap();

        let orders = open().await.unwrap();
        orders.give(&placement).await.unwrap();
        assert!(kept().unheard, "nothing was heard");
        // It is behind: what it will be told is from here.
        assert!(orders.meet(OrderNumber::ASSUMED));
        orders.give(&placement).await.unwrap();
        assert!(!kept().unheard);
        assert_eq!(kept().order, order);
        assert!(!orders.meet(order.number), "there is nothing more to do");
        orders.give(&placement).await.unwrap();
        assert_eq!(kept().order, order);
        // The next process takes the source for one that has its order from here.
        let orders = open().await.unwrap();
        assert!(!orders.meet(order.number));
    }

    #[test]
    fn a_number_that_the_source_knew_while_the_order_was_made_durable_is_renewed() {
        let mut met = Met::default();
        // Order 6 is on its way to the disk. The source knows another one of that number.
        assert!(met.meet(OrderNumber(6), OrderNumber(5)));
        met.given(OrderNumber(6), true);
        assert!(met.renew && met.meet(OrderNumber(6), OrderNumber(6)));
        met.given(OrderNumber(7), false);
        assert!(!met.renew && !met.meet(OrderNumber(7), OrderNumber(7)));
    }

    #[test]
    fn what_the_source_has_from_here_is_not_renewed() {
        let mut met = Met {
            unheard: true,
            ..Met::default()
        };
        // It is behind the last order, which it will take. That is written down, once.
        assert!(met.meet(OrderNumber(5), OrderNumber(6)) && !met.renew);
        met.unheard = false;
        assert!(!met.meet(OrderNumber(6), OrderNumber(6)) && !met.renew);
        met.given(OrderNumber(7), false);
        assert!(!met.meet(OrderNumber(6), OrderNumber(7)) && !met.renew);
    }
}
