//! Receiving: what a lineage holds, what it accepts next, and which instants become points.
//!
//! Everything here is sans-I/O: pure state that takes what arrived and the time and says what it
//! means. Bytes are written by [`crate::replica`]; sockets belong to the session shell. The
//! invariants are that nothing is accepted twice or behind a gap, and that no point is published
//! at a batch end where any sync or fork interval is open.

pub mod lineage;
pub mod lineage_state;
pub mod point;
pub mod rpo;
#[cfg(test)]
pub(crate) mod sample;
pub mod unknown_ranges;

pub use lineage::{BatchNumber, Lineage};
pub use lineage_state::{Applied, Decision, LineageState, MarkerOutcome, Outcome, Refusal};
pub use point::{PointId, PublishedPoint};
pub use rpo::{ReceiverRun, RpoBasis, recovery_point_age};
pub use unknown_ranges::{UnknownRange, UnknownRanges};
