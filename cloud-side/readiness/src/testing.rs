//! Machines made for tests: disks put together with the tools that make real ones.
//!
//! The kernel is a header without a kernel behind it; everything else is what sfdisk, mke2fs,
//! mkfs.vfat and grub-mkimage write.

mod archive;
mod image;

pub(crate) use archive::{
    PACKINGS, Packing, archive, archive_of, holding, microcode, pack, small_archive,
};
pub(crate) use image::{Image, Layout, Machine, ROOT_UUID, run};

use crate::{
    disk::{Disk, WriteDisk},
    target::{DiskBus, Firmware, TargetMachine},
};
use std::{
    io,
    sync::{Mutex, PoisonError},
};

pub(crate) const RELEASE: &str = "6.1.0-test-amd64";

pub(crate) const BIOS: TargetMachine = TargetMachine {
    firmware: Firmware::Bios,
    disk_bus: DiskBus::Virtio,
    network_cards: 1,
};

pub(crate) const UEFI: TargetMachine = TargetMachine {
    firmware: Firmware::Uefi,
    ..BIOS
};

/// A disk in memory.
pub(crate) struct MemoryDisk(pub(crate) Mutex<Vec<u8>>);

impl MemoryDisk {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Mutex::new(bytes))
    }
}

impl Disk for MemoryDisk {
    fn size_bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).expect("tests have small disks");
        buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
        Ok(())
    }
}

impl WriteDisk for MemoryDisk {
    fn write_at(&self, offset: u64, written: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).expect("tests have small disks");
        bytes[start..start + written.len()].copy_from_slice(written);
        Ok(())
    }
}

/// The beginning of an x86 kernel that says it has 16 KiB.
pub(crate) fn kernel() -> Vec<u8> {
    let mut bytes = vec![0; 16 * 1024];
    bytes[0x1f1] = 3;
    let units = u32::try_from((bytes.len() - 4 * 512) / 16).expect("it is small");
    bytes[0x1f4..0x1f8].copy_from_slice(&units.to_le_bytes());
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e..0x210].copy_from_slice(&0x400_u16.to_le_bytes());
    let version = format!("{RELEASE} (builder) #1 SMP\0");
    bytes[0x600..0x600 + version.len()].copy_from_slice(version.as_bytes());
    bytes
}

/// An EFI program for x86-64 with these sections, the first of which it begins with.
pub(crate) fn efi_image(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 0x200];
    let put = |bytes: &mut Vec<u8>, at: usize, field: &[u8]| {
        bytes[at..at + field.len()].copy_from_slice(field);
    };
    put(&mut bytes, 0, b"MZ");
    put(&mut bytes, 0x3c, &[0x80]);
    put(&mut bytes, 0x80, b"PE\0\0\x64\x86");
    put(&mut bytes, 0x86, &[u8::try_from(sections.len()).unwrap()]);
    put(&mut bytes, 0x94, &[0xf0]);
    let optional = 0x98;
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    put(&mut bytes, optional, &[0x0b, 0x02]);
    put(&mut bytes, optional + 16, &number(0x1000));
    put(&mut bytes, optional + 60, &number(0x200));
    put(&mut bytes, optional + 68, &[10]);
    put(&mut bytes, optional + 108, &[16]);
    for (index, (name, contents)) in sections.iter().enumerate() {
        let header = optional + 0xf0 + index * 40;
        let length = contents.len().next_multiple_of(0x200);
        let from = bytes.len();
        put(&mut bytes, header, name.as_bytes());
        put(&mut bytes, header + 8, &number(contents.len()));
        put(&mut bytes, header + 12, &number(0x1000 * (index + 1)));
        put(&mut bytes, header + 16, &number(length));
        put(&mut bytes, header + 20, &number(from));
        bytes.extend(*contents);
        bytes.resize(from + length, 0);
    }
    put(
        &mut bytes,
        optional + 56,
        &number(0x1000 * (sections.len() + 1)),
    );
    bytes
}

/// GRUB as grub-mkimage makes it: a core, and behind it where it looks for its files and what it does
/// first.
pub(crate) fn efi_grub(prefix: &str, commands: Option<&str>) -> Vec<u8> {
    efi_grub_of(&[(2, commands), (3, Some(prefix))])
}

/// The same, with a file system of its own.
pub(crate) fn efi_grub_with_files(prefix: &str, commands: &str) -> Vec<u8> {
    efi_grub_of(&[(1, Some("files")), (2, Some(commands)), (3, Some(prefix))])
}

fn efi_grub_of(texts: &[(u32, Option<&str>)]) -> Vec<u8> {
    let mut objects = Vec::new();
    for (kind, text) in texts {
        let Some(text) = text else { continue };
        let length = (text.len() + 1).next_multiple_of(4);
        objects.extend(kind.to_le_bytes());
        objects.extend(u32::try_from(length + 8).unwrap().to_le_bytes());
        let from = objects.len();
        objects.extend(text.bytes());
        objects.resize(from + length, 0);
    }
    let mut modules = b"mimg\0\0\0\0".to_vec();
    modules.extend(24_u64.to_le_bytes());
    modules.extend((24 + objects.len() as u64).to_le_bytes());
    modules.extend(objects);
    efi_image(&[(".text", &[0x90; 512]), ("mods", &modules)])
}
