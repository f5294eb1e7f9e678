//! Will these disks boot? Said from their bytes, before the worst day, without booting them.
//!
//! [`inspect`] looks at the disks of one machine, in boot order, the way the firmware, the boot loader
//! and the kernel of a described target would, and returns a [`ReadinessReport`]: one or more
//! [`Check`]s, each with evidence, and with a remedy for the source where something is wrong. Where a
//! defect can be put right by an edit of equal length in a file, the report carries a [`FixUp`]; who
//! has a writable copy (never the replica) applies it with [`apply`].
//!
//! Invariants: nothing is written; every length and offset read from a disk is checked before it is
//! used; all work on one machine is bounded by [`Limits`], whatever the disks say; what cannot be
//! judged is [`Verdict::Unknown`], with the reason. It does not repair, boot, or talk to anybody.

mod boot;
mod disk;
mod file_system;
mod fix_up;
mod inspect;
mod linux;
mod partition;
mod report;
mod survey;
mod target;
mod windows;

#[cfg(test)]
mod testing;

pub use disk::{Disk, Limits, WriteDisk};
pub use fix_up::{ApplyError, apply};
pub use inspect::inspect;
pub use report::{Check, CheckCode, Edit, FixUp, FixUpCode, Readiness, ReadinessReport, Verdict};
pub use target::{DiskBus, Firmware, TargetMachine};

#[cfg(test)]
mod tests;
