//! Machines made for tests: disks put together with the tools that make real ones.
//!
//! The kernel is a header without a kernel behind it; everything else is what sfdisk, mke2fs,
//! mkfs.vfat and grub-mkimage write.

mod archive;
mod image;

pub(crate) use archive::{PACKINGS, Packing, archive, microcode, pack};
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

/// The beginning of an EFI program for x86-64.
pub(crate) fn efi_program() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
    bytes
}
