//! What a BIOS starts: the boot code of the first disk, and GRUB's core behind it.

use crate::{
    disk::{Window, field},
    partition::{Role, Scheme, Table},
    report::{CheckCode, Findings},
};

const BOOT_CODE: usize = 440;
/// Where GRUB's boot code keeps the sector of its core, and in the core's first sector the first
/// entry of the list of sectors that follow.
const CORE_SECTOR: usize = 0x5c;
const BLOCK_LIST: usize = 500;
const REMEDY: &str =
    "install the boot loader on the disk at the source: grub-install /dev/… (grub2-install)";

/// Checks the first disk.
pub(crate) fn check(disk: &Window, table: &Table, findings: &mut Findings) {
    if table.scheme == Scheme::None {
        return;
    }
    let Ok(sector) = disk.bytes::<512>(0) else {
        findings.unknown(
            CheckCode::BootCode,
            "the first sector of disk 0 cannot be read",
        );
        return;
    };
    let code = &sector[..BOOT_CODE];
    if code.iter().all(|byte| *byte == 0) {
        findings.fail(
            CheckCode::BootCode,
            "disk 0 has no boot code: the first 440 bytes are zero",
            format!(
                "{REMEDY}; or, if the source starts by UEFI, launch the target with UEFI firmware"
            ),
        );
        return;
    }
    if !code.windows(5).any(|bytes| bytes == b"GRUB ") {
        findings.pass(
            CheckCode::BootCode,
            "disk 0 has boot code that is not GRUB's",
        );
        findings.unknown(
            CheckCode::BootLoader,
            "only GRUB's boot code can be followed to its boot loader; a drill shows whether this one boots",
        );
        return;
    }
    findings.pass(CheckCode::BootCode, "disk 0 has GRUB's boot code");
    match core(disk, table, field::le64(&sector, CORE_SECTOR)) {
        Ok(evidence) => findings.pass(CheckCode::BootLoader, evidence),
        Err(evidence) => findings.fail(CheckCode::BootLoader, evidence, REMEDY),
    }
}

/// Checks that GRUB's core is whole as far as can be told, and lies where no file system does.
fn core(disk: &Window, table: &Table, first: u64) -> Result<String, String> {
    if first == 0 {
        return Err("GRUB's boot code names no core".to_owned());
    }
    let sector = disk
        .bytes::<512>(first.saturating_mul(512))
        .map_err(|error| {
            format!("GRUB's core, in sector {first} of disk 0, cannot be read: {error}")
        })?;
    if sector.iter().all(|byte| *byte == 0) {
        return Err(format!(
            "GRUB's core should be in sector {first} of disk 0, which is empty"
        ));
    }
    let mut sectors = 1;
    // The list is read backwards from the sector's end, to the entry without a length.
    for entry in (0..=BLOCK_LIST).rev().step_by(12).take(16) {
        let (start, count) = (
            field::le64(&sector, entry),
            u64::from(field::le16(&sector, entry + 8)),
        );
        if count == 0 {
            break;
        }
        sectors += count;
        in_its_place(disk, table, start, count)?;
        let mut last = [0; 512];
        let mut empty = true;
        for index in 0..count {
            disk.read((start + index) * 512, &mut last)
                .map_err(|error| format!("GRUB's core cannot be read: {error}"))?;
            empty &= last.iter().all(|byte| *byte == 0);
        }
        if empty {
            return Err(format!(
                "GRUB's core should go on in sectors {start} to {} of disk 0, which are empty",
                start + count - 1
            ));
        }
    }
    if sectors == 1 {
        return Err(format!(
            "GRUB's core in sector {first} of disk 0 does not say where it goes on"
        ));
    }
    Ok(format!(
        "GRUB's core lies in {sectors} sectors from sector {first} of disk 0 on"
    ))
}

/// Before the first partition, or inside of a BIOS boot partition.
fn in_its_place(disk: &Window, table: &Table, start: u64, count: u64) -> Result<(), String> {
    let from = start.saturating_mul(512);
    let to = from.saturating_add(count * 512);
    if to > disk.length() {
        return Err(format!(
            "GRUB's core goes on in sector {start}, beyond the end of disk 0"
        ));
    }
    let taken = table.partitions.iter().find(|partition| {
        partition.role != Role::BiosBoot
            && from < partition.start.saturating_add(partition.length)
            && partition.start < to
    });
    match taken {
        Some(partition) => Err(format!(
            "GRUB's core lies inside of partition {} of disk 0, where a file system overwrites it",
            partition.number
        )),
        None => Ok(()),
    }
}
