//! The tap, driven by hand: a disk that completes what the test says, a journal that writes when
//! the test says.

mod failures;
mod flush;
mod ladder;
mod order;
mod rig;
mod scan;
