//! The GUID partition table: both headers, their checksums, their entries.

use super::{PARTITIONS_MAX, Partition, Role};
use crate::{
    disk::{Window, field},
    report::{CheckCode, Findings},
};

const SECTOR: u64 = 512;
const SIGNATURE: &[u8; 8] = b"EFI PART";
/// The most bytes of entries that are read; the usual table has 16 KiB.
const ENTRIES_BYTES_MAX: u64 = 1 << 20;
const REMEDY_PRIMARY: &str = "repair the table at the source from its other copy (sgdisk --verify, then gdisk: r, b, w); GRUB and Linux read only the first copy";
const REMEDY_BACKUP: &str = "write the backup anew at the source: sgdisk --move-second-header (sgdisk -e), or answer fdisk's offer to correct it; it is needed when the first copy is damaged";

#[derive(Debug)]
struct Header {
    own: u64,
    other: u64,
    entries: u64,
    count: u32,
    size: u32,
    checksum: u32,
}

/// Whether a header begins at this byte.
pub(super) fn is_at(disk: &Window, offset: u64) -> bool {
    disk.bytes::<8>(offset)
        .is_ok_and(|found| found == *SIGNATURE)
}

fn header(disk: &Window, sector: u64) -> Result<Header, String> {
    let bytes = disk
        .bytes::<512>(sector.saturating_mul(SECTOR))
        .map_err(|error| error.to_string())?;
    if bytes[..8] != *SIGNATURE {
        return Err("there is no header".to_owned());
    }
    let length = field::le32(&bytes, 12) as usize;
    if !(92..=512).contains(&length) {
        return Err(format!("its header says it has {length} bytes"));
    }
    let mut checked = bytes[..length].to_vec();
    checked[16..20].fill(0);
    if crc32fast::hash(&checked) != field::le32(&bytes, 16) {
        return Err("the checksum of its header is wrong".to_owned());
    }
    let header = Header {
        own: field::le64(&bytes, 24),
        other: field::le64(&bytes, 32),
        entries: field::le64(&bytes, 72),
        count: field::le32(&bytes, 80),
        size: field::le32(&bytes, 84),
        checksum: field::le32(&bytes, 88),
    };
    if header.own != sector {
        return Err(format!("it says that it lies in sector {}", header.own));
    }
    Ok(header)
}

fn entries(disk: &Window, header: &Header) -> Result<Vec<u8>, String> {
    if header.size < 128 || !header.size.is_power_of_two() {
        return Err(format!("its entries have {} bytes each", header.size));
    }
    let length = u64::from(header.count) * u64::from(header.size);
    if length > ENTRIES_BYTES_MAX {
        return Err(format!(
            "it says that it has {} entries, more than are read",
            header.count
        ));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    disk.read(header.entries.saturating_mul(SECTOR), &mut bytes)
        .map_err(|error| error.to_string())?;
    if crc32fast::hash(&bytes) != header.checksum {
        return Err("the checksum of its entries is wrong".to_owned());
    }
    Ok(bytes)
}

fn copy(disk: &Window, sector: u64) -> Result<(Header, Vec<u8>), String> {
    let header = header(disk, sector)?;
    let entries = entries(disk, &header)?;
    Ok((header, entries))
}

/// Reads the table, from its backup when the first copy is damaged. None when neither is whole.
pub(super) fn read(disk: &Window, place: usize, findings: &mut Findings) -> Option<Vec<Partition>> {
    let last = (disk.length() / SECTOR).saturating_sub(1);
    if !is_at(disk, SECTOR) && is_at(disk, 4096) {
        findings.fail(
            CheckCode::PartitionTable,
            format!("disk {place}: the GUID table was written for sectors of 4096 bytes; the target's disks have sectors of 512"),
            "the disk cannot be read with other sectors than the source's; move the system to a disk with sectors of 512 bytes",
        );
        return None;
    }
    match copy(disk, 1) {
        Ok((header, entries)) => {
            check_backup(disk, place, &header, &entries, last, findings);
            Some(partitions(disk, &header, &entries))
        }
        Err(reason) => {
            findings.fail(
                CheckCode::PartitionTable,
                format!("disk {place}: the GUID table in sector 1 is damaged: {reason}"),
                REMEDY_PRIMARY,
            );
            let (header, entries) = copy(disk, last).ok()?;
            Some(partitions(disk, &header, &entries))
        }
    }
}

fn check_backup(
    disk: &Window,
    place: usize,
    primary: &Header,
    entries: &[u8],
    last: u64,
    findings: &mut Findings,
) {
    let code = CheckCode::PartitionTableBackup;
    if primary.other != last {
        let evidence = format!(
            "disk {place}: the backup of the GUID table is said to lie in sector {}, the disk's last is {last}",
            primary.other
        );
        findings.warn(code, evidence, REMEDY_BACKUP);
        return;
    }
    match copy(disk, last) {
        Ok((_, found)) if found == entries => findings.pass(
            code,
            format!("disk {place}: both copies of the GUID table are whole and equal"),
        ),
        Ok(_) => findings.warn(
            code,
            format!("disk {place}: the two copies of the GUID table differ"),
            REMEDY_BACKUP,
        ),
        Err(reason) => findings.warn(
            code,
            format!("disk {place}: the backup of the GUID table is damaged: {reason}"),
            REMEDY_BACKUP,
        ),
    }
}

fn partitions(disk: &Window, header: &Header, entries: &[u8]) -> Vec<Partition> {
    let used = || {
        entries
            .chunks_exact(header.size as usize)
            .zip(1_u32..)
            .filter(|(entry, _)| entry[..16].iter().any(|byte| *byte != 0))
    };
    if used().count() > PARTITIONS_MAX {
        let reason = format!("a disk has more than the {PARTITIONS_MAX} partitions that are read");
        disk.budget().hit(reason);
    }
    used()
        .take(PARTITIONS_MAX)
        .map(|(entry, number)| partition(entry, number))
        .collect()
}

fn partition(entry: &[u8], number: u32) -> Partition {
    let (first, last) = (field::le64(entry, 32), field::le64(entry, 40));
    let sectors = last
        .checked_sub(first)
        .map_or(0, |more| more.saturating_add(1));
    let name: Vec<u16> = entry[56..128]
        .chunks_exact(2)
        .map(|unit| field::le16(unit, 0))
        .take_while(|unit| *unit != 0)
        .collect();
    let name = String::from_utf16_lossy(&name);
    Partition {
        number,
        start: first.saturating_mul(SECTOR),
        length: sectors.saturating_mul(SECTOR),
        role: match guid(&entry[..16]).as_str() {
            "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" => Role::EfiSystem,
            "21686148-6449-6e6f-744e-656564454649" => Role::BiosBoot,
            _ => Role::Other,
        },
        uuid: guid(&entry[16..32]),
        label: (!name.is_empty()).then_some(name),
    }
}

/// A GUID as people write it: its first three groups lie in the other byte order.
fn guid(bytes: &[u8]) -> String {
    let mut turned = bytes.to_vec();
    turned[..4].reverse();
    turned[4..6].reverse();
    turned[6..8].reverse();
    field::uuid(&turned)
}
