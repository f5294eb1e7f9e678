//! What the machine that shall boot the disks is like.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What starts the boot loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReadinessFirmware)]
pub enum Firmware {
    /// Runs the boot code in the first sector of the first disk.
    Bios,
    /// Runs a program from the EFI system partition. It remembers nothing of the source's firmware.
    Uefi,
}

/// How the disks are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReadinessDiskBus)]
pub enum DiskBus {
    /// virtio-blk on PCI: `/dev/vda`, `/dev/vdb`, …
    Virtio,
    /// SATA: `/dev/sda`, `/dev/sdb`, …
    Ahci,
}

impl DiskBus {
    /// The name, without a number, that Linux gives the disk at this place.
    pub(crate) fn device(self, disk: usize) -> String {
        let letter = u8::try_from(disk)
            .ok()
            .filter(|place| *place < 26)
            .map_or('?', |place| char::from(b'a' + place));
        match self {
            Self::Virtio => format!("vd{letter}"),
            Self::Ahci => format!("sd{letter}"),
        }
    }

    /// The kernel modules without which the root file system's disk is not there.
    pub(crate) const fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Virtio => &["virtio_pci", "virtio_blk"],
            Self::Ahci => &["ahci", "sd_mod"],
        }
    }
}

/// The machine that shall boot the disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReadinessTarget)]
pub struct TargetMachine {
    /// Its firmware.
    pub firmware: Firmware,
    /// How its disks are attached.
    pub disk_bus: DiskBus,
    /// How many network cards it has. They are virtio cards.
    pub network_cards: u32,
}
