//! Whole restores over the simulated disk, with power cuts, kills, errors and sources that lie.

mod group;
mod interrupted;
mod refused;
mod runs;
pub(super) mod world;

use world::{World, point};
