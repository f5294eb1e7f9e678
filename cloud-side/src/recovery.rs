//! Recovery: which site a group's production belongs to, and the way there and back.
//!
//! [`Placement`] is the machine of one group: starts, operator's decisions, answers of commands and
//! sightings of the source go in; what to persist and the next [`Command`] come out. It leads one
//! job at a time, a failover ([`FailoverRecord`]), a failback ([`FailbackRecord`]) or a restore in
//! place ([`RestoreRecord`]), and the way out of a split brain. [`allowed`] says what may be done now, and why not.
//!
//! Invariants: one placement job per group; every change of authority, backwards too, takes a new
//! higher generation and is durable before anything relies on it; everything the machine remembers
//! is in its durable form, and the current command follows from that form alone. Sans I/O: `now` is
//! an argument, and carrying commands out is somebody else's work.

mod action;
pub mod allowed;
mod authority;
mod countdown;
mod failback;
mod failover;
mod job;
mod keep;
mod placement;
mod preview;
mod record;
mod restore;
mod step;

#[cfg(test)]
mod model;
#[cfg(test)]
pub(crate) mod testing;

pub use action::{Action, Command, Event, Probe, Serving, StepResult};
pub use allowed::{AllowedAction, Surroundings, Verb, allowed_actions};
pub use authority::{Authority, Site, Ticket};
pub use countdown::{CommitPolicy, Countdown};
pub use job::{JobRef, PlacementJob, PlacementRecord};
pub use keep::Keeping;
pub use placement::{
    Handled, Placement, PlacementState, SourceOrder, SplitBrain, SplitReason, Started, TargetSide,
};
pub use preview::{Loss, LossWindow, PointKnown, SourceKnown, UnknownLoss, loss_window};
pub use record::{
    BranchName, ConfirmedDisk, FailbackEnd, FailbackId, FailbackRecord, FailbackRequest,
    FailoverEnd, FailoverId, FailoverMode, FailoverRecord, FailoverRequest, FormNumber, HomeDisk,
    InstanceName, LadderOutcome, ParseRecordIdError, PointChoice, Refused, RestoreEnd,
    RestoreJobId, RestoreRecord, RestoreRequest, Seed, SeedMethod, TurnedBack,
};
pub use step::{Failure, Progress, Stage, Step, StepOutcome, StepRecord};
