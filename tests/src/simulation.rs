//! Deterministic simulation of the product's cores: disks that lose power, networks that break,
//! clocks that step, processes that die, all from one seed; and an oracle that shares no code with
//! the product.
//!
//! [`run`] lives through one seed: a restless phase with faults, then a quiet one in which
//! everything must converge. The named scenarios are scripts over the same world.

mod capture;
mod clients;
mod cloud;
mod context;
mod counters;
mod faults;
mod gateway;
mod link;
mod oracle;
mod run;
#[cfg(test)]
mod scenarios;
mod schedule;
mod settings;
mod stamp;
mod world;

pub use context::Trace;
pub use counters::Counters;
pub use run::{Failure, Report, run};
