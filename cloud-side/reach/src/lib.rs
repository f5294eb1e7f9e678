//! Reach: how a recovery acts on the world outside of it, and looks at it.
//!
//! [`script`] runs a command, [`probe`] asks whether a port or a page answers, [`dns`] lets a name
//! point elsewhere, [`webhook`] tells another system, [`call`] asks one to do something. None of them knows a group, a plan or a drill:
//! what to do comes in as plain data, what happened goes out as plain data.
//!
//! Invariants: everything is bounded in time and in memory, ends soon after its
//! [`CancellationToken`](tokio_util::sync::CancellationToken) or when its future is dropped, and leaves
//! no process, connection or task behind. What was not observed is never reported as done. Decisions
//! (when to try again, which address may be called, what an answer means) are pure functions in files
//! of their own.

mod http;
mod retry;
#[cfg(test)]
mod testing;

pub mod call;
pub mod destination;
pub mod dns;
pub mod probe;
pub mod script;
pub mod webhook;

pub use http::{Trust, TrustError};
pub use retry::Retry;
