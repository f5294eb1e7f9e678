//! How much is measured: the sizes of the loads and the number of rounds.
//!
//! Loads that write through the capture are bounded in bytes, not in time: the journal of a lab
//! holds 1 GiB, and a load that outran it would measure something else.

use serde_json::{Value, json};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Sizes and counts of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Times each pair is measured; the median counts.
    pub(crate) rounds: usize,
    /// Bytes of the protected disk and of its peer.
    pub(crate) disk_bytes: u64,
    /// Bytes of one random load of 4 KiB blocks at queue depth 32.
    pub(crate) random_bytes: u64,
    /// Bytes of one load of 4 KiB blocks at queue depth 1.
    pub(crate) single_bytes: u64,
    /// Bytes of one sequential load.
    pub(crate) sequential_bytes: u64,
    /// Bytes of one load that is followed until it is durable cloud-side.
    pub(crate) delivery_bytes: u64,
    /// How long the recovery point objective is watched.
    pub(crate) rpo_watch: Duration,
    /// Points made before views are opened.
    pub(crate) view_points: usize,
    /// Views opened of each volume.
    pub(crate) view_opens: usize,
    /// Bytes that are written at the target and brought home.
    pub(crate) home_bytes: u64,
    quick: bool,
}

impl Plan {
    /// The whole run, or a quick look.
    pub(crate) const fn new(quick: bool) -> Self {
        if quick {
            Self {
                rounds: 1,
                disk_bytes: 512 * MIB,
                random_bytes: 160 * MIB,
                single_bytes: 24 * MIB,
                sequential_bytes: 256 * MIB,
                delivery_bytes: 256 * MIB,
                rpo_watch: Duration::from_secs(6),
                view_points: 100,
                view_opens: 5,
                home_bytes: 128 * MIB,
                quick,
            }
        } else {
            Self {
                rounds: 3,
                disk_bytes: 1024 * MIB,
                random_bytes: 320 * MIB,
                single_bytes: 48 * MIB,
                sequential_bytes: 512 * MIB,
                delivery_bytes: 512 * MIB,
                rpo_watch: Duration::from_secs(15),
                view_points: 300,
                view_opens: 5,
                home_bytes: 512 * MIB,
                quick,
            }
        }
    }

    /// Bytes of disk that a run may need at its height, with the copies that replication makes.
    pub(crate) const fn space_bytes(&self) -> u64 {
        let loads = 4 * self.random_bytes + self.sequential_bytes + 4 * self.delivery_bytes;
        4 * self.disk_bytes + self.rounds as u64 * loads + 4 * self.home_bytes + 4096 * MIB
    }

    /// One line for people.
    pub(crate) fn text(&self) -> String {
        let round = if self.rounds == 1 {
            "1 round"
        } else {
            "3 rounds, medians"
        };
        let kind = if self.quick {
            " (quick: a look, not a result)"
        } else {
            ""
        };
        format!(
            "{round}{kind}, peer and ours in turn, a disk of {} MiB",
            self.disk_bytes / MIB
        )
    }

    /// The same for machines.
    pub(crate) fn json(&self) -> Value {
        json!({
            "quick": self.quick,
            "rounds": self.rounds,
            "disk_bytes": self.disk_bytes,
            "random_bytes": self.random_bytes,
            "sequential_bytes": self.sequential_bytes,
            "delivery_bytes": self.delivery_bytes,
            "view_points": self.view_points,
            "home_bytes": self.home_bytes,
        })
    }
}
