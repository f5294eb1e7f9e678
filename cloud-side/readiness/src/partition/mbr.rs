//! The MBR partition table, with logical partitions.

use super::{PARTITIONS_MAX, Partition, Role};
use crate::{
    disk::{Window, field},
    report::{CheckCode, Findings},
};

const SECTOR: u64 = 512;
const TABLE: usize = 446;
const PROTECTIVE: u8 = 0xee;
const EFI_SYSTEM: u8 = 0xef;
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// The first number of a logical partition.
const FIRST_LOGICAL: u32 = 5;

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: u8,
    first: u64,
    sectors: u64,
}

/// The entries of a sector that are in use, with their places.
fn entries(sector: &[u8; 512]) -> impl Iterator<Item = (u32, Entry)> {
    (0_u32..4)
        .zip(sector[TABLE..TABLE + 64].chunks_exact(16))
        .map(|(place, bytes)| {
            let entry = Entry {
                kind: bytes[4],
                first: u64::from(field::le32(bytes, 8)),
                sectors: u64::from(field::le32(bytes, 12)),
            };
            (place, entry)
        })
        .filter(|(_, entry)| entry.kind != 0 && entry.sectors != 0)
}

/// Whether the table only says that there is a GUID table.
pub(super) fn is_protective(sector: &[u8; 512]) -> bool {
    entries(sector).any(|(_, entry)| entry.kind == PROTECTIVE)
}

/// Reads the table. None when there is no entry: then the sector is no table.
pub(super) fn read(
    disk: &Window,
    sector: &[u8; 512],
    place: usize,
    findings: &mut Findings,
) -> Option<Vec<Partition>> {
    let id = field::le32(sector, 440);
    let partition = |number: u32, entry: Entry| Partition {
        number,
        start: entry.first.saturating_mul(SECTOR),
        length: entry.sectors.saturating_mul(SECTOR),
        role: if entry.kind == EFI_SYSTEM {
            Role::EfiSystem
        } else {
            Role::Other
        },
        uuid: format!("{id:08x}-{number:02x}"),
        label: None,
    };
    let mut partitions = Vec::new();
    for (index, entry) in entries(sector) {
        if EXTENDED.contains(&entry.kind) {
            for logical in logical(disk, entry, place, findings) {
                let number = FIRST_LOGICAL + u32::try_from(logical.0).unwrap_or(u32::MAX - 8);
                partitions.push(partition(number, logical.1));
            }
        } else {
            partitions.push(partition(index + 1, entry));
        }
    }
    (!partitions.is_empty()).then_some(partitions)
}

/// Follows the chain of an extended partition: each link names one logical partition and the next
/// link. Links must go forwards, so the chain ends.
fn logical(
    disk: &Window,
    extended: Entry,
    place: usize,
    findings: &mut Findings,
) -> Vec<(usize, Entry)> {
    let mut found = Vec::new();
    let mut link = extended.first;
    loop {
        if found.len() >= PARTITIONS_MAX {
            let reason =
                format!("a disk has more than the {PARTITIONS_MAX} partitions that are read");
            disk.budget().hit(reason);
            break;
        }
        let sector = match disk.bytes::<512>(link.saturating_mul(SECTOR)) {
            Ok(sector) if sector[510..] == [0x55, 0xaa] => sector,
            _ => {
                findings.fail(
                    CheckCode::PartitionTable,
                    format!("disk {place}: the chain of logical partitions is broken at sector {link}"),
                    "logical partitions behind this sector are lost; correct the table at the source (sfdisk --verify)",
                );
                break;
            }
        };
        let mut next = None;
        for (_, entry) in entries(&sector) {
            if EXTENDED.contains(&entry.kind) {
                next = Some(extended.first.saturating_add(entry.first));
            } else {
                let first = link.saturating_add(entry.first);
                found.push((found.len(), Entry { first, ..entry }));
            }
        }
        match next {
            Some(next) if next > link => link = next,
            _ => break,
        }
    }
    found
}
