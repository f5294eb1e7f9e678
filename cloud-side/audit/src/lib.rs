//! The audit log: who did what, in a form that shows every later change to it.
//!
//! Each [`Entry`] is chained to the one before it by a hash. From time to time a [`SignedHead`] says,
//! with the installation's key, how far the chain reaches. So an edit, a deletion, another order, a
//! cut and an older copy are found and named by the [`Verifier`], offline, in the files of the store
//! as well as in an export: both are lines of JSON of the same form ([`Line`]). Plain data and pure
//! functions: nothing here opens a file, asks for the time or knows what is recorded.

mod chain;
mod entry;
mod line;
mod signed;
pub mod verify;

pub use chain::{Chained, Mark};
pub use entry::{Actor, ActorKind, Draft, Entry, Object, Outcome};
pub use line::{Line, LineError, Opening};
pub use signed::{Cut, Head, SignedCut, SignedHead};
pub use verify::{Finding, Place, Verdict, Verifier};

/// The version of the form that this release writes and reads.
pub const AUDIT_VERSION: u32 = 1;

/// The longest line, in bytes, its end included. What an entry may hold is bounded so that none is
/// longer.
pub const LINE_BYTES_MAX: usize = 32 << 10;
