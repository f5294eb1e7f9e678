//! Restore: a volume at home is put back to a point, forwards or backwards, only what differs.
//!
//! The restoring side pulls from a [`PointSource`]; the export is fenced while it does. Invariants:
//!
//! * nothing is written to a device without a [`ConfirmedOverwrite`] for that very device, nor
//!   before the device's stamp says durably that it is being written;
//! * a device is called clean only after its digest, read back from it, is the one that the source
//!   has for the point;
//! * a run that was interrupted anywhere, and any number of times, is continued by the next one,
//!   and a device in between is not served.
//!
//! Where is what:
//! * [`stamp`]: which point a device holds, kept outside of the device; [`proof`]: what that proves;
//! * [`plan`]: what to compare and what to read next, without I/O;
//! * [`fence`]: the right to write to a device; [`engine`]: the run itself;
//! * [`seam`]: where the stream goes on afterwards;
//! * [`source`]: where the point comes from. Its messages are [`bcdr_wire::restore`].
//!
//! It does not stop a running group, talk to the network or choose a point.

mod device;
pub mod engine;
mod error;
pub mod fence;
pub mod plan;
pub mod proof;
pub mod seam;
pub mod source;
pub mod stamp;

#[cfg(test)]
mod tests;

pub use engine::{Progress, Restore, RestoreSettings, Restored, Stage};
pub(crate) use engine::{describe, exchange};
pub use error::RestoreError;
pub use fence::{ConfirmationError, ConfirmedOverwrite, FenceError, FencedVolume};
pub use plan::{PlanLimits, RestorePlan};
pub use proof::{Judgement, Method, Why};
pub use source::{PointSource, SourceError};
pub use stamp::{ServeError, Stamp, StampBook, StampFound, StampState};

/// The unit in which a device is compared and written, in bytes: what direct I/O accepts anywhere.
const UNIT_BYTES: u64 = bcdr_disk::ALIGNMENT as u64;
