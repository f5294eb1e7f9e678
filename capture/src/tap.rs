//! The tap: every write of a group's volumes passes through one state machine that fixes its order.
//!
//! [`TapCore`] does no I/O. Events go in (`request`, `backing_done`, `journal_event`, `tick`),
//! [`Action`]s come out of `poll_action`, and the shell executes them **in the order they come
//! out**. Then these hold, whatever completes when:
//!
//! * if write A completed before write B was issued, A's sequence is lower;
//! * overlapping writes reach backing and journal in sequence order;
//! * only the contiguous settled and journaled prefix is fed, failed writes with what is really on
//!   the disk in their place;
//! * a flush is answered when backing and journal are durable, or while visibly untracked.
//!
//! What it does not do: talk NBD, open files, or decide what a peer lacks (that is [`crate::feed`]).

mod action;
mod core;
mod flush;
mod ladder;
mod prefix;
mod range_lock;
mod request;
mod resume;
mod scan;
mod scanning;
mod settings;
mod status;
mod writes;

#[cfg(test)]
mod tests;

pub use action::{Action, BackingAction, BackingError, BackingId, BackingOperation, BackingResult};
pub use core::{MarkerError, TapCore};
pub use ladder::UntrackedReason;
pub use range_lock::{LockId, RangeLock};
pub use request::{Reply, ReplyError, ReplyValue, Request, RequestId, Volume};
pub use scan::{Scan, ScanProgress};
pub use settings::TapSettings;
pub use status::{TapState, TapStatus, VolumeStatus};
