//! A model of two sites, a receiver and the real placement machine, searched exhaustively.
//!
//! Commands are lost, their answers are lost, late copies of them arrive at any time, the process is
//! killed after a command took effect, sites crash and come back, and an operator does whatever is
//! allowed, whenever. Nothing of the product is replaced: [`Placement`] itself is the state.
//! [`Mutation`] breaks the world around it, to show that each property can fail.

use super::{testing, *};
use bcdr_format::{Generation, GroupId, Timestamp};
use stateright::{Checker, Model, Property};
use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
};

mod effects;
mod world;

use world::{Budget, World};

/// What is broken around the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    /// A fence is answered before it is durable, so the point is pinned before the fence.
    PinBeforeFence,
    /// Receiver and sites take orders and batches of an older generation.
    OldGenerationTaken,
    /// Home is written to while its disks are inspected.
    OverwriteBeforeConfirmed,
    /// Digests are said to be equal without a look.
    DigestsNotCompared,
    /// A restore is called done while the disks hold a mixture.
    RestoreNotProven,
}

/// The model, bounded by a budget.
#[derive(Debug, Clone, Copy)]
struct Recovery {
    mutation: Option<Mutation>,
    budget: Budget,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// The current command takes effect and is answered.
    Answer,
    /// It takes effect and is answered, and a copy of it stays on its way.
    AnswerAndLinger,
    /// It takes effect, but its answer is lost and it counts as failed.
    AnswerLost,
    /// It never arrives and counts as failed.
    CommandLost,
    /// It takes effect, and the process is killed before it takes the answer in.
    Killed,
    /// The late copy arrives.
    LateCopy,
    /// The source takes a write.
    Write,
    /// What the source wrote is received, if its generation is taken.
    Ship,
    /// The source dies.
    Crash,
    /// The source starts again and does what it is told.
    Return,
    /// The source's state is seen.
    Seen,
    /// Time passes.
    Tick,
    /// An operator does something.
    Operator(Wish),
}

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Start(FailoverMode),
    Restore,
    StartBack,
    Confirm,
    Cutover,
    Commit,
    Rollback,
    Cancel,
    Retry,
    Keep(Site),
}

impl Wish {
    const ALL: [Self; 11] = [
        Self::Start(FailoverMode::Planned),
        Self::Start(FailoverMode::Emergency),
        Self::StartBack,
        Self::Confirm,
        Self::Cutover,
        Self::Commit,
        Self::Rollback,
        Self::Cancel,
        Self::Retry,
        Self::Keep(Site::Source),
        Self::Keep(Site::Target),
    ];
}

impl Model for Recovery {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.budget)]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        use Move::*;
        let left = world.budget;
        if world.placement.command().is_some() {
            moves.push(Answer);
            if left.late > 0 && world.late.is_none() {
                moves.push(AnswerAndLinger);
            }
            if left.failures > 0 {
                moves.extend([AnswerLost, CommandLost]);
            }
            if left.kills > 0 {
                moves.push(Killed);
            }
        }
        if world.late.is_some() {
            moves.push(LateCopy);
        }
        if world.source.serving.is_some() && left.writes > 0 {
            moves.push(Write);
        }
        if world.source.alive {
            moves.extend([Ship, Seen]);
            if left.crashes > 0 {
                moves.push(Crash);
            }
        } else {
            moves.push(Return);
        }
        if world.placement.job().is_some() {
            moves.push(Tick);
        }
        if left.wishes > 0 {
            moves.extend(Wish::ALL.map(Operator));
            if left.restores {
                moves.push(Operator(Wish::Restore));
            }
        }
    }

    fn next_state(&self, last: &World, happens: Move) -> Option<World> {
        let mut world = last.clone();
        world.happen(happens, self.mutation)?;
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "one site writable under the newest generation",
                |_: &Self, world: &World| {
                    !(world.serves_newest(Site::Source) && world.serves_newest(Site::Target))
                },
            ),
            Property::always(
                "no site serves under a generation that is not fenced",
                |_: &Self, world: &World| {
                    let above = |serving: Option<Generation>| {
                        serving.is_some_and(|generation| generation > world.receiver)
                    };
                    !above(world.source.serving) && !above(world.target.serving)
                },
            ),
            Property::always(
                "no site serves under less than it knows",
                |_: &Self, world: &World| {
                    let below =
                        |party: &world::Party| party.serving.is_some_and(|held| held < party.met);
                    !below(&world.source) && !below(&world.target)
                },
            ),
            Property::always("the pinned point never moves", |_: &Self, world: &World| {
                !world.pin_moved
            }),
            Property::always(
                "a planned failover loses nothing",
                |_: &Self, world: &World| world.lost_by_planned_failover() == 0,
            ),
            Property::always(
                "home is overwritten only after a confirmed seed",
                |_: &Self, world: &World| !world.home.overwritten_unconfirmed,
            ),
            Property::always(
                "home serves under the newest generation only when whole",
                |_: &Self, world: &World| world.home.whole || !world.serves_newest(Site::Source),
            ),
            Property::always(
                "rollback is possible until commit",
                |_: &Self, world: &World| {
                    let verb = match world.placement.state() {
                        PlacementState::TargetUncommitted => Verb::FailoverRollback,
                        PlacementState::SourceUncommitted => Verb::FailbackRollback,
                        _ => return true,
                    };
                    allowed::judge(&world.placement, verb).is_ok()
                },
            ),
            Property::always(
                "a stable state can be reached",
                |_: &Self, world: &World| world.comes_to_rest(),
            ),
            Property::sometimes(
                "production at the target for good",
                |_: &Self, world: &World| world.placement.state() == PlacementState::TargetActive,
            ),
            Property::sometimes("two sites writable at once", |_: &Self, world: &World| {
                world.source.serving.is_some() && world.target.serving.is_some()
            }),
            Property::sometimes("a late copy that is refused", |_: &Self, world: &World| {
                world.late_refused
            }),
        ]
    }
}

fn search(mutation: Option<Mutation>, budget: Budget) -> impl Checker<Recovery> {
    Recovery { mutation, budget }
        .checker()
        .threads(2)
        .spawn_bfs()
        .join()
}

const CALM: Budget = Budget {
    wishes: 3,
    failures: 1,
    kills: 1,
    crashes: 1,
    writes: 1,
    late: 1,
    restores: false,
};

/// A restore, and what may get in its way.
const IN_PLACE: Budget = Budget {
    kills: 0,
    restores: true,
    ..CALM
};

/// A failover for good, and all the way home.
const THERE_AND_BACK: Budget = Budget {
    wishes: 6,
    failures: 0,
    kills: 1,
    crashes: 0,
    writes: 1,
    late: 1,
    restores: false,
};

#[test]
fn authority_is_one_and_every_state_has_a_way_out() {
    let found = search(None, CALM);
    println!("{} states", found.unique_state_count());
    found.assert_properties();
}

#[test]
fn a_restore_in_place_never_lets_a_mixture_be_served() {
    let found = search(None, IN_PLACE);
    println!("{} states", found.unique_state_count());
    found.assert_properties();
}

#[test]
fn the_way_there_and_back_keeps_authority_one() {
    let found = search(None, THERE_AND_BACK);
    println!("{} states", found.unique_state_count());
    found.assert_properties();
}

#[test]
fn each_property_can_fail() {
    let table = [
        (
            Mutation::PinBeforeFence,
            CALM,
            "the pinned point never moves",
        ),
        (
            Mutation::OldGenerationTaken,
            CALM,
            "no site serves under less than it knows",
        ),
        (
            Mutation::OverwriteBeforeConfirmed,
            THERE_AND_BACK,
            "home is overwritten only after a confirmed seed",
        ),
        (
            Mutation::DigestsNotCompared,
            THERE_AND_BACK,
            "home serves under the newest generation only when whole",
        ),
        (
            Mutation::RestoreNotProven,
            IN_PLACE,
            "home serves under the newest generation only when whole",
        ),
    ];
    for (mutation, budget, property) in table {
        let found = search(Some(mutation), budget);
        assert!(
            found.discovery(property).is_some(),
            "{mutation:?} was not seen"
        );
    }
}
