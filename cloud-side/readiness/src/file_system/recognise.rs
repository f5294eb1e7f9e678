//! What a partition holds, told from a few bytes at known places.

use super::{ExtState, FatTree, Format};
use crate::disk::{Window, field};

/// What was recognised.
#[derive(Debug, Clone)]
pub(crate) struct Recognised {
    pub(crate) format: Format,
    /// As in `UUID=`.
    pub(crate) uuid: Option<String>,
    /// As in `LABEL=`.
    pub(crate) label: Option<String>,
    /// Bytes that it was made for, where it says so.
    pub(crate) size: Option<u64>,
    pub(crate) ext: Option<ExtState>,
    pub(crate) fat: Option<FatTree>,
}

impl Recognised {
    fn of(format: Format) -> Self {
        Self {
            format,
            uuid: None,
            label: None,
            size: None,
            ext: None,
            fat: None,
        }
    }

    fn named(mut self, uuid: String, label: String) -> Self {
        self.uuid = Some(uuid);
        self.label = (!label.is_empty()).then_some(label);
        self
    }
}

/// Says what a partition holds. None for nothing known.
pub(crate) fn recognise(window: &Window) -> Option<Recognised> {
    // What is around a file system comes before what an earlier use may have left inside.
    encrypted_or_part(window)
        .or_else(|| ext(window))
        .or_else(|| xfs(window))
        .or_else(|| btrfs(window))
        .or_else(|| swap(window))
        .or_else(|| windows(window))
        .or_else(|| fat(window))
        .or_else(|| at(window, 32_769, b"CD001").then(|| Recognised::of(Format::Iso9660)))
}

fn at<const N: usize>(window: &Window, offset: u64, magic: &[u8; N]) -> bool {
    window.bytes::<N>(offset).is_ok_and(|found| found == *magic)
}

fn encrypted_or_part(window: &Window) -> Option<Recognised> {
    if at(window, 0, b"LUKS\xba\xbe") {
        let uuid = window.bytes::<40>(168).ok()?;
        return Some(Recognised::of(Format::Luks).named(field::text(&uuid), String::new()));
    }
    if at(window, 3, b"-FVE-FS-") {
        return Some(Recognised::of(Format::BitLocker));
    }
    for sector in 0..4_u64 {
        let label = window.bytes::<64>(sector * 512).ok()?;
        if label[..8] == *b"LABELONE" && label[24..32] == *b"LVM2 001" {
            return Some(Recognised::of(Format::LvmPhysicalVolume));
        }
    }
    let raid = [0, 4096].into_iter().any(|offset| {
        window
            .bytes::<4>(offset)
            .is_ok_and(|magic| u32::from_le_bytes(magic) == 0xa92b_4efc)
    });
    raid.then(|| Recognised::of(Format::RaidMember))
}

fn ext(window: &Window) -> Option<Recognised> {
    let state = ExtState::read(window)?;
    let mut found = Recognised::of(state.format).named(state.uuid.clone(), state.label.clone());
    found.size = Some(state.size);
    found.ext = Some(state);
    Some(found)
}

fn xfs(window: &Window) -> Option<Recognised> {
    let bytes = window.bytes::<512>(0).ok()?;
    if bytes[..4] != *b"XFSB" {
        return None;
    }
    let mut found = Recognised::of(Format::Xfs)
        .named(field::uuid(&bytes[32..48]), field::text(&bytes[108..120]));
    let blocks = field::be64(&bytes, 8);
    found.size = Some(blocks.saturating_mul(u64::from(field::be32(&bytes, 4))));
    Some(found)
}

fn btrfs(window: &Window) -> Option<Recognised> {
    let bytes = window.bytes::<1024>(65_536).ok()?;
    if bytes[64..72] != *b"_BHRfS_M" {
        return None;
    }
    // Its size is that of all its devices together; it says nothing about this partition.
    Some(Recognised::of(Format::Btrfs).named(
        field::uuid(&bytes[32..48]),
        field::text(&bytes[0x12b..0x22b]),
    ))
}

fn swap(window: &Window) -> Option<Recognised> {
    if !at(window, 4096 - 10, b"SWAPSPACE2") {
        return None;
    }
    let bytes = window.bytes::<64>(1024).ok()?;
    let mut found = Recognised::of(Format::Swap)
        .named(field::uuid(&bytes[12..28]), field::text(&bytes[28..44]));
    let pages = u64::from(field::le32(&bytes, 4)).saturating_add(1);
    found.size = Some(pages.saturating_mul(4096));
    Some(found)
}

fn windows(window: &Window) -> Option<Recognised> {
    if at(window, 3, b"EXFAT   ") {
        return Some(Recognised::of(Format::ExFat));
    }
    if !at(window, 3, b"NTFS    ") {
        return None;
    }
    let bytes = window.bytes::<512>(0).ok()?;
    let serial = format!("{:016X}", field::le64(&bytes, 0x48));
    let mut found = Recognised::of(Format::Ntfs).named(serial, String::new());
    let sectors = field::le64(&bytes, 0x28).saturating_add(1);
    found.size = Some(sectors.saturating_mul(u64::from(field::le16(&bytes, 11))));
    Some(found)
}

fn fat(window: &Window) -> Option<Recognised> {
    let tree = FatTree::open(window)?;
    let label = if tree.label == "NO NAME" {
        String::new()
    } else {
        tree.label.clone()
    };
    let mut found = Recognised::of(Format::Fat).named(tree.serial.clone(), label);
    found.size = Some(tree.size);
    found.fat = Some(tree);
    Some(found)
}
