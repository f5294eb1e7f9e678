//! The two clocks a decision may look at. Cores never read a clock: the shell passes a [`Moment`].

use bcdr_format::Timestamp;
use std::time::Duration;

/// An instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since an arbitrary start; never goes back. Every budget and delay is measured on it.
    pub monotonic: Duration,
    /// The wall clock, for people and for `captured_at`. Never used for ordering.
    pub wall: Timestamp,
}
