//! Whole restores over the simulated disk, with power cuts, kills, errors and sources that lie.

mod group;
mod interrupted;
mod refused;
mod runs;
mod world;

use world::{World, point};
