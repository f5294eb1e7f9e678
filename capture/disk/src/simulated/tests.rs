//! The promises and the threats of the simulated disk, against independent oracles.

mod contents;
mod faults;
mod names;

use std::path::Path;
use std::sync::Arc;

use super::*;

fn disk(seed: u64) -> SimulatedDisk {
    with_plan(seed, FaultPlan::none())
}

fn with_plan(seed: u64, plan: FaultPlan) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed, plan);
    disk.create_directory_all(Path::new("/d")).unwrap();
    disk
}

/// A file with a durable name.
fn file(disk: &SimulatedDisk) -> Arc<dyn File> {
    crate::open_or_create(disk, Path::new("/d/f"), CreateOptions::default()).unwrap()
}

fn contents(disk: &SimulatedDisk, path: &str) -> Vec<u8> {
    crate::read_whole(disk, Path::new(path), 1 << 20).unwrap()
}
