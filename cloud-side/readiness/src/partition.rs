//! Partition tables: where they lie and what they say.
//!
//! Owns the reading of MBR and GUID tables and the checks of them. What it returns has been made to
//! fit the disk; that something did not fit is in the findings.

mod gpt;
mod mbr;

use crate::{
    disk::Window,
    report::{CheckCode, Findings},
};

/// More partitions than this are not read.
pub(crate) const PARTITIONS_MAX: usize = 256;

/// What a partition is for, as far as booting is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// GRUB's core on a disk with a GUID table.
    BiosBoot,
    /// Holds the EFI programs.
    EfiSystem,
    /// Anything else.
    Other,
}

/// A partition.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    /// As in `/dev/vda1`.
    pub(crate) number: u32,
    /// First byte.
    pub(crate) start: u64,
    /// Bytes.
    pub(crate) length: u64,
    pub(crate) role: Role,
    /// As in `PARTUUID=`.
    pub(crate) uuid: String,
    /// As in `PARTLABEL=`.
    pub(crate) label: Option<String>,
}

/// Which table a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    None,
    Mbr,
    Gpt,
}

/// The partitions of a disk.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) scheme: Scheme,
    pub(crate) partitions: Vec<Partition>,
}

impl Table {
    /// A disk that is used as a whole.
    pub(crate) const NONE: Self = Self {
        scheme: Scheme::None,
        partitions: Vec::new(),
    };
}

/// Reads and checks the table of the disk at this place. Only the first disk must have one: others
/// may be used as a whole.
pub(crate) fn read(disk: &Window, place: usize, findings: &mut Findings) -> Table {
    let first = match disk.bytes::<512>(0) {
        Ok(first) => first,
        Err(error) => {
            findings.unknown(
                CheckCode::PartitionTable,
                format!("disk {place}: the first sector cannot be read: {error}"),
            );
            return Table::NONE;
        }
    };
    let table = if first[510..] != [0x55, 0xaa] {
        None
    } else if mbr::is_protective(&first) || gpt::is_at(disk, 512) {
        gpt::read(disk, place, findings).map(|partitions| (Scheme::Gpt, partitions))
    } else {
        mbr::read(disk, &first, place, findings).map(|partitions| (Scheme::Mbr, partitions))
    };
    let Some((scheme, mut partitions)) = table else {
        if place == 0 && !findings.troubled(CheckCode::PartitionTable) {
            findings.fail(
                CheckCode::PartitionTable,
                "disk 0 has no partition table: the first sector does not end with the bytes 55 aa",
                "protect the disk that the source boots from as the first volume of its group, as a whole disk and not as one partition of it",
            );
        }
        return Table::NONE;
    };
    check_bounds(disk, place, &partitions, findings);
    check_overlap(place, &partitions, findings);
    partitions.retain(|partition| partition.start < disk.length() && partition.length > 0);
    findings.pass(
        CheckCode::PartitionTable,
        format!(
            "disk {place}: {} with {} partitions",
            if scheme == Scheme::Gpt {
                "a GUID partition table"
            } else {
                "an MBR partition table"
            },
            partitions.len()
        ),
    );
    Table { scheme, partitions }
}

fn check_bounds(disk: &Window, place: usize, partitions: &[Partition], findings: &mut Findings) {
    let mut beyond = 0;
    for partition in partitions {
        let end = partition.start.saturating_add(partition.length);
        if end > disk.length() {
            beyond += 1;
            findings.fail(
                CheckCode::PartitionBounds,
                format!(
                    "disk {place}, partition {}: ends at byte {end}, the disk has {}",
                    partition.number,
                    disk.length()
                ),
                "the table was written for a larger disk; check that the whole disk is protected, then correct the table at the source (sfdisk, sgdisk)",
            );
        }
    }
    if beyond == 0 {
        findings.pass(
            CheckCode::PartitionBounds,
            format!("disk {place}: every partition lies on the disk"),
        );
    }
}

fn check_overlap(place: usize, partitions: &[Partition], findings: &mut Findings) {
    let mut sorted: Vec<_> = partitions.iter().collect();
    sorted.sort_by_key(|partition| partition.start);
    let mut overlaps = false;
    for pair in sorted.windows(2) {
        let [before, after] = pair else { continue };
        if before.start.saturating_add(before.length) > after.start {
            overlaps = true;
            findings.fail(
                CheckCode::PartitionOverlap,
                format!(
                    "disk {place}: partitions {} and {} overlap from byte {} on",
                    before.number, after.number, after.start
                ),
                "one of them overwrites the other; correct the table at the source (sfdisk --verify, sgdisk --verify) and check both file systems",
            );
        }
    }
    if !overlaps {
        findings.pass(
            CheckCode::PartitionOverlap,
            format!("disk {place}: no partition overlaps another"),
        );
    }
}
