//! End to end, simulation, crash and interop tests.

pub mod demo;
pub mod end_to_end;
pub mod postgres;
pub mod simulation;
