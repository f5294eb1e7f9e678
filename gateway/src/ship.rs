//! The way to a destination: which batches are in flight, which are late, where to resume.
//!
//! [`window`] decides; [`session`] speaks with the receiver.

pub mod session;
pub mod window;
