//! Disks that were made to harm: an inspection ends, in bounds, with a report.

use crate::{
    CheckCode, Disk, Limits, Verdict, inspect,
    testing::{self, BIOS, Image, Layout, Machine, MemoryDisk, Packing, RELEASE, UEFI},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use std::sync::Arc;

/// The places of bytes that mean something: those of blocks that are not all zero, outside of the
/// kernel and the initial RAM disk, which have tests of their own.
fn meaningful(image: &Image) -> Vec<usize> {
    let mut places = Vec::new();
    for (index, block) in image.bytes.chunks(512).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            places.extend(index * 512..index * 512 + block.len());
        }
    }
    places
}

fn flip(layout: Layout, cases: u32) {
    let mut machine = Machine::good(layout);
    // So that the paths of the fix-ups are taken too.
    machine.file("etc/fstab", "# a comment that is long enough to make place for a longer name\n/dev/sda1 / ext4 defaults 0 1\n");
    let image = machine.build();
    let target = if layout == Layout::GptUefi {
        UEFI
    } else {
        BIOS
    };
    let places = meaningful(&image);
    let flips = proptest::collection::vec((0..places.len(), any::<u8>()), 1..24);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let limits = Limits {
        read_bytes: 256 << 20,
        reads: 100_000,
        unpacked_bytes: 64 << 20,
        kept_bytes: 64 << 20,
    };
    let disk = Arc::new(MemoryDisk::new(image.bytes.clone()));
    TestRunner::new(config)
        .run(&flips, |flips| {
            let mut changed = Vec::new();
            for (place, value) in flips {
                let mut bytes = disk.0.lock().unwrap();
                changed.push((places[place], bytes[places[place]]));
                bytes[places[place]] = value;
            }
            let shared: Arc<dyn Disk> = disk.clone();
            let report = inspect(&[shared], target, limits);
            prop_assert!(!report.checks.is_empty());
            for (place, before) in changed.into_iter().rev() {
                disk.0.lock().unwrap()[place] = before;
            }
            Ok(())
        })
        .unwrap();
    assert!(*disk.0.lock().unwrap() == image.bytes);
}

#[test]
fn bytes_that_are_not_what_they_were_on_a_bios_machine() {
    flip(Layout::Mbr, 256);
}

#[test]
fn bytes_that_are_not_what_they_were_on_a_uefi_machine() {
    flip(Layout::GptUefi, 256);
}

#[test]
fn a_chain_of_clusters_that_leads_in_a_circle_ends() {
    let mut machine = Machine::good(Layout::GptUefi);
    let program = machine.esp.remove("EFI/BOOT/BOOTX64.EFI").unwrap();
    machine.esp.insert("EFI/debian/grubx64.efi", program);
    let mut image = machine.build();
    let esp = 1 << 20;
    assert_eq!(image.bytes[esp + 54..esp + 59], *b"FAT16");
    let table = esp + usize::from(image.bytes[esp + 14]) * 512;
    // The directory's first cluster is followed by a full one, which is followed by itself.
    let root =
        esp + usize::from(crate::disk::field::le16(&image.bytes, esp + 22)) * 2 * 512 + table - esp;
    let entry = (root..root + 512)
        .step_by(32)
        .find(|at| image.bytes[*at..].starts_with(b"EFI "))
        .unwrap();
    let first = usize::from(crate::disk::field::le16(&image.bytes, entry + 26));
    let cluster_bytes = usize::from(image.bytes[esp + 13]) * 512;
    let data = root + usize::from(crate::disk::field::le16(&image.bytes, esp + 17)) * 32;
    for (number, next) in [(first, 5000_u16), (5000, 5000)] {
        image.bytes[table + number * 2..table + number * 2 + 2]
            .copy_from_slice(&next.to_le_bytes());
        let at = data + (number - 2) * cluster_bytes;
        let full = [*b"NAME    TXT\x20", [0; 12], [0; 12]];
        for slot in (at..at + cluster_bytes).step_by(32) {
            if image.bytes[slot] == 0 {
                image.bytes[slot..slot + 32].copy_from_slice(&full.concat()[..32]);
            }
        }
    }
    let report = image.inspect(UEFI);
    let loader = report
        .checks
        .iter()
        .find(|check| check.code == CheckCode::EfiLoader)
        .unwrap();
    assert!(
        loader.evidence.contains("/EFI/debian/grubx64.efi"),
        "{loader:?}"
    );
}

#[test]
fn an_initial_ram_disk_that_unpacks_without_end_is_unknown() {
    for packing in [Packing::Gzip, Packing::Xz, Packing::Zstd, Packing::Lz4] {
        let mut machine = Machine::good(Layout::Mbr);
        let packed = testing::pack(&vec![0; 8 << 20], packing);
        assert!(packed.len() < 1 << 20);
        machine
            .files
            .insert(format!("boot/initrd.img-{RELEASE}"), packed);
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(machine.build().bytes));
        let limits = Limits {
            unpacked_bytes: 4 << 20,
            ..Limits::default()
        };
        let report = inspect(&[disk], BIOS, limits);
        let unknown = report
            .checks
            .iter()
            .find(|check| check.code == CheckCode::Initrd)
            .unwrap();
        assert_eq!(
            unknown.verdict,
            Verdict::Unknown,
            "{packing:?}: {report:#?}"
        );
    }
}

#[test]
fn a_disk_that_is_more_work_than_allowed_ends_the_inspection() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(Machine::good(Layout::Mbr).build().bytes));
    for reads in [0, 1, 10, 20, 30, 60] {
        let limits = Limits {
            reads,
            ..Limits::default()
        };
        let report = inspect(&[Arc::clone(&disk)], BIOS, limits);
        let good = report
            .checks
            .iter()
            .all(|check| check.verdict == Verdict::Pass);
        assert!(!good, "{reads}: {report:#?}");
    }
}

#[test]
fn disks_of_any_small_size_are_no_trouble() {
    for size in [0, 1, 511, 512, 513, 1024, 4096, 70_000] {
        for fill in [0, 0x55, 0xff] {
            let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(vec![fill; size]));
            for target in [BIOS, UEFI] {
                let report = inspect(
                    &[Arc::clone(&disk), Arc::clone(&disk)],
                    target,
                    Limits::default(),
                );
                assert!(
                    report
                        .checks
                        .iter()
                        .any(|check| check.verdict != Verdict::Pass)
                );
            }
        }
    }
    assert_ne!(inspect(&[], BIOS, Limits::default()).checks, []);
}
