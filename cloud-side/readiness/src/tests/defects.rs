//! Defects, one at a time: each has a check of its own that says so, and no other complains.

use super::whole::codes;
use crate::{
    CheckCode, ReadinessReport, Verdict,
    disk::field,
    testing::{self, BIOS, Image, Layout, Machine, Packing, RELEASE, ROOT_UUID, UEFI},
};
use std::collections::BTreeSet;

/// Exactly these questions were answered so, and each of those answers has a remedy.
fn assert_codes(report: &ReadinessReport, verdict: Verdict, expected: &[CheckCode]) {
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    assert_eq!(codes(report, verdict), expected, "{report:#?}");
    for check in &report.checks {
        let wanted = matches!(check.verdict, Verdict::Fail | Verdict::Warn);
        assert_eq!(check.remedy.is_some(), wanted, "{check:?}");
    }
}

/// Changes a good machine, and says what it then fails.
fn machine(layout: Layout, expected: CheckCode, change: impl FnOnce(&mut Machine)) {
    let mut machine = Machine::good(layout);
    change(&mut machine);
    let target = if layout == Layout::GptUefi {
        UEFI
    } else {
        BIOS
    };
    assert_codes(&machine.build().inspect(target), Verdict::Fail, &[expected]);
}

/// Changes a good machine's disk, and says what it then fails.
fn image(layout: Layout, expected: &[CheckCode], change: impl FnOnce(&mut Image)) {
    let mut image = Machine::good(layout).build();
    change(&mut image);
    let target = if layout == Layout::GptUefi {
        UEFI
    } else {
        BIOS
    };
    assert_codes(&image.inspect(target), Verdict::Fail, expected);
}

fn boot(file: &str) -> String {
    format!("boot/{file}-{RELEASE}")
}

#[test]
fn a_disk_without_a_table() {
    let mut image = Machine::good(Layout::Mbr).build();
    image.bytes[510] = 0;
    let failed = codes(&image.inspect(BIOS), Verdict::Fail);
    assert!(failed.contains(&CheckCode::PartitionTable), "{failed:?}");
}

#[test]
fn a_damaged_first_copy_of_the_table() {
    // A byte of the first entry: the backup still knows where everything is.
    image(Layout::GptBios, &[CheckCode::PartitionTable], |image| {
        image.bytes[1024 + 60] ^= 1
    });
    // And one of the header.
    image(Layout::GptBios, &[CheckCode::PartitionTable], |image| {
        image.bytes[512 + 40] ^= 1
    });
}

#[test]
fn a_damaged_backup_of_the_table() {
    let mut image = Machine::good(Layout::GptBios).build();
    let last = image.bytes.len() - 512;
    image.bytes[last + 20] ^= 1;
    let report = image.inspect(BIOS);
    assert_codes(&report, Verdict::Fail, &[]);
    assert_codes(&report, Verdict::Warn, &[CheckCode::PartitionTableBackup]);
}

#[test]
fn a_partition_beyond_the_end_of_the_disk() {
    image(Layout::Mbr, &[CheckCode::PartitionBounds], |image| {
        let sectors = field::le32(&image.bytes, 446 + 12) + 1;
        image.bytes[446 + 12..446 + 16].copy_from_slice(&sectors.to_le_bytes());
    });
}

#[test]
fn partitions_that_overlap() {
    image(Layout::Mbr, &[CheckCode::PartitionOverlap], |image| {
        let second = [0, 0, 0, 0, 0x83, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x08, 0, 0];
        image.bytes[462..478].copy_from_slice(&second);
    });
}

#[test]
fn a_disk_without_boot_code() {
    machine(Layout::Mbr, CheckCode::BootCode, |machine| {
        machine.boot_loader = false
    });
}

#[test]
fn a_boot_loader_whose_core_is_gone() {
    image(Layout::Mbr, &[CheckCode::BootLoader], |image| {
        image.bytes[512..1024].fill(0)
    });
    image(Layout::Mbr, &[CheckCode::BootLoader], |image| {
        image.bytes[1024..1 << 20].fill(0)
    });
    image(Layout::GptBios, &[CheckCode::BootLoader], |image| {
        image.bytes[1 << 20..2 << 20].fill(0)
    });
    // In the middle of the root file system.
    image(Layout::Mbr, &[CheckCode::BootLoader], |image| {
        image.bytes[512 + 500..512 + 508].copy_from_slice(&4096_u64.to_le_bytes());
    });
}

#[test]
fn a_bios_machine_on_uefi_firmware() {
    let report = Machine::good(Layout::Mbr).build().inspect(UEFI);
    assert_codes(&report, Verdict::Fail, &[CheckCode::EfiSystemPartition]);
}

#[test]
fn an_efi_partition_without_a_file_system() {
    image(Layout::GptUefi, &[CheckCode::EfiSystemPartition], |image| {
        image.bytes[1 << 20..2 << 20].fill(0)
    });
}

#[test]
fn a_loader_that_only_the_sources_firmware_knows() {
    machine(Layout::GptUefi, CheckCode::EfiLoader, |machine| {
        let program = machine.esp.remove("EFI/BOOT/BOOTX64.EFI").unwrap();
        machine.esp.insert("EFI/debian/grubx64.efi", program);
    });
    machine(Layout::GptUefi, CheckCode::EfiLoader, |machine| {
        machine
            .esp
            .insert("EFI/BOOT/BOOTX64.EFI", b"no program".to_vec());
    });
}

#[test]
fn a_file_system_that_remembers_errors() {
    image(Layout::Mbr, &[CheckCode::FileSystemErrors], |image| {
        image.with_root("debugfs", &["-w", "-R", "set_super_value state 3"]);
    });
}

#[test]
fn a_file_system_larger_than_its_partition() {
    let mut image = Machine::good(Layout::Mbr).build();
    image.bytes[446 + 12..446 + 16].copy_from_slice(&60_000_u32.to_le_bytes());
    let failed = codes(&image.inspect(BIOS), Verdict::Fail);
    assert!(failed.contains(&CheckCode::FileSystemSize), "{failed:?}");
}

#[test]
fn a_file_system_whose_tables_are_damaged() {
    let mut image = Machine::good(Layout::Mbr).build();
    let descriptors = image.root + 4096;
    image.bytes[descriptors..descriptors + 4096].fill(0xa5);
    let failed = codes(&image.inspect(BIOS), Verdict::Fail);
    assert!(failed.contains(&CheckCode::FileSystem), "{failed:?}");
}

#[test]
fn a_disk_without_an_operating_system() {
    let mut machine = Machine::good(Layout::Mbr);
    machine.files.retain(|path, _| path.starts_with("boot/"));
    let report = machine.build().inspect(BIOS);
    // The command line's root is a file system without a system on it.
    assert_codes(&report, Verdict::Fail, &[CheckCode::RootFileSystem]);
}

#[test]
fn no_configuration_of_the_boot_loader() {
    machine(Layout::Mbr, CheckCode::BootConfiguration, |machine| {
        machine.without("boot/grub/grub.cfg");
    });
    machine(Layout::Mbr, CheckCode::BootConfiguration, |machine| {
        machine.file("boot/grub/grub.cfg", "set default=0\n");
    });
    machine(Layout::GptUefi, CheckCode::BootConfiguration, |machine| {
        let text = String::from_utf8(machine.files["boot/grub/grub.cfg"].clone()).unwrap();
        let other = ROOT_UUID.replace("0b5d", "ffff");
        machine.file(
            "boot/grub/grub.cfg",
            &text.replace(
                &format!("set=root {ROOT_UUID}"),
                &format!("set=root {other}"),
            ),
        );
    });
}

#[test]
fn a_kernel_that_is_not_whole() {
    machine(Layout::Mbr, CheckCode::Kernel, |machine| {
        machine.without(&boot("vmlinuz"));
    });
    for change in [
        |kernel: &mut Vec<u8>| kernel.clear(),
        |kernel: &mut Vec<u8>| kernel.truncate(8000),
        |kernel: &mut Vec<u8>| kernel.fill(0),
    ] {
        machine(Layout::Mbr, CheckCode::Kernel, |machine| {
            change(machine.files.get_mut(&boot("vmlinuz")).unwrap());
        });
    }
}

#[test]
fn an_initial_ram_disk_that_is_not_whole() {
    let failed = |change: &dyn Fn(&mut Machine)| {
        let mut machine = Machine::good(Layout::Mbr);
        change(&mut machine);
        assert_codes(
            &machine.build().inspect(BIOS),
            Verdict::Fail,
            &[CheckCode::Initrd],
        );
    };
    failed(&|machine| {
        machine.without(&boot("initrd.img"));
    });
    failed(&|machine| machine.files.get_mut(&boot("initrd.img")).unwrap().clear());
    for packing in testing::PACKINGS {
        failed(&|machine| {
            machine.initrd(&["virtio_pci", "virtio_blk", "ext4"], packing);
            let file = machine.files.get_mut(&boot("initrd.img")).unwrap();
            // Behind the microcode, which is whole.
            file.truncate(file.len() - 200 - if packing == Packing::None { 1500 } else { 0 });
        });
    }
    failed(&|machine| {
        machine
            .files
            .get_mut(&boot("initrd.img"))
            .unwrap()
            .extend(b"garbage")
    });
}

#[test]
fn an_initial_ram_disk_that_the_kernel_starts_nothing_from() {
    let modules = ["virtio_pci", "virtio_blk", "virtio_net", "ext4"];
    let with = |starts: Option<&str>, arguments: &str| {
        let mut machine = Machine::good(Layout::Mbr);
        let archive = testing::archive_of(RELEASE, starts, &modules, "");
        machine.files.insert(boot("initrd.img"), archive);
        machine.command_line(&format!("root=UUID={ROOT_UUID} ro {arguments}"));
        machine.build().inspect(BIOS)
    };
    assert_codes(&with(Some("init"), ""), Verdict::Fail, &[]);
    assert_codes(&with(None, ""), Verdict::Fail, &[CheckCode::Initrd]);
    let systemd = Some("usr/lib/systemd/systemd");
    let report = with(systemd, "");
    assert_codes(&report, Verdict::Fail, &[CheckCode::Initrd]);
    assert!(format!("{report:?}").contains("systemd is there"));
    let told = with(systemd, "rdinit=/lib/systemd/systemd");
    assert_codes(&told, Verdict::Fail, &[]);

    // Nothing but microcode is no initial RAM disk at all: a UUID is not found then.
    let mut machine = Machine::good(Layout::Mbr);
    machine
        .files
        .insert(boot("initrd.img"), testing::microcode());
    let report = machine.build().inspect(BIOS);
    assert!(codes(&report, Verdict::Fail).contains(&CheckCode::KernelRoot));
}

#[test]
fn modules_of_another_kernel_than_the_one_that_starts() {
    let mut machine = Machine::good(Layout::Mbr);
    let modules = ["virtio_pci", "virtio_blk", "virtio_net", "ext4"];
    let other = testing::archive_of("6.1.0-other", Some("init"), &modules, "");
    machine.files.insert(boot("initrd.img"), other);
    let report = machine.build().inspect(BIOS);
    let missing = [CheckCode::DiskDriver, CheckCode::FileSystemDriver];
    assert_codes(&report, Verdict::Fail, &missing);
    assert_codes(&report, Verdict::Warn, &[CheckCode::Initrd]);
    assert!(format!("{report:?}").contains("6.1.0-other"), "{report:#?}");

    // A kernel that does not say which it is: nobody knows whether the modules are its.
    let mut machine = Machine::good(Layout::Mbr);
    let mut kernel = machine.files.remove(&boot("vmlinuz")).unwrap();
    kernel[0x20e..0x210].fill(0);
    machine.files.insert("boot/kernel".to_owned(), kernel);
    let text = String::from_utf8(machine.files["boot/grub/grub.cfg"].clone()).unwrap();
    let renamed = text.replace(&boot("vmlinuz"), "boot/kernel");
    machine.file("boot/grub/grub.cfg", &renamed);
    let report = machine.build().inspect(BIOS);
    assert_codes(&report, Verdict::Fail, &[]);
    assert!(codes(&report, Verdict::Unknown).contains(&CheckCode::DiskDriver));
}

#[test]
fn an_efi_loader_that_is_not_whole() {
    for change in [
        |file: &mut Vec<u8>| file.truncate(700),
        |file: &mut Vec<u8>| file[0x84] = 0xaa,
        |file: &mut Vec<u8>| file[0x200..].fill(0),
        |file: &mut Vec<u8>| file[0x98 + 68] = 11,
    ] {
        machine(Layout::GptUefi, CheckCode::EfiLoader, |machine| {
            change(machine.esp.get_mut("EFI/BOOT/BOOTX64.EFI").unwrap());
        });
    }
}

/// What a UEFI machine with this loader, and these files beside it, says of its configuration.
fn configured(loader: Vec<u8>, beside: &[(&'static str, &[u8])]) -> (Verdict, String) {
    let mut machine = Machine::good(Layout::GptUefi);
    machine.esp.insert("EFI/BOOT/BOOTX64.EFI", loader);
    for (path, contents) in beside {
        machine.esp.insert(path, contents.to_vec());
    }
    let report = machine.build().inspect(UEFI);
    let mut asked = report
        .checks
        .iter()
        .filter(|check| check.code == CheckCode::EfiConfiguration);
    let check = asked.next().unwrap_or_else(|| panic!("{report:#?}"));
    assert_eq!(check.remedy.is_some(), check.verdict == Verdict::Fail);
    (check.verdict, check.evidence.clone())
}

#[test]
fn an_efi_loader_that_does_not_find_its_configuration() {
    let grub = testing::efi_grub;
    let by = |verdict, loader: Vec<u8>, beside: &[(&'static str, &[u8])], word: &str| {
        let (found, evidence) = configured(loader, beside);
        assert_eq!(found, verdict, "{evidence}");
        assert!(evidence.contains(word), "{evidence}");
    };
    let here = format!("search.fs_uuid {ROOT_UUID} root\nset prefix=($root)'/boot/grub'\n");
    let gone = here.replace("0b5d", "ffff");
    let stub = format!("{here}configfile $prefix/grub.cfg\n");
    by(
        Verdict::Pass,
        grub("(,gpt2)/boot/grub", None),
        &[],
        "/boot/grub/grub.cfg",
    );
    by(
        Verdict::Fail,
        grub("(,gpt2)/grub", None),
        &[],
        "does not exist",
    );
    by(
        Verdict::Fail,
        grub("(,gpt7)/boot/grub", None),
        &[],
        "partition 7",
    );
    by(
        Verdict::Pass,
        grub("/x", Some(&here)),
        &[],
        "/boot/grub/grub.cfg",
    );
    by(
        Verdict::Fail,
        grub("/x", Some(&gone)),
        &[],
        "none of these disks",
    );
    by(
        Verdict::Fail,
        grub("/EFI/debian", None),
        &[],
        "/EFI/debian/grub.cfg",
    );
    let debian = "EFI/debian/grub.cfg";
    by(
        Verdict::Pass,
        grub("/EFI/debian", None),
        &[(debian, stub.as_bytes())],
        "partition 2",
    );
    by(
        Verdict::Fail,
        grub("/EFI/debian", None),
        &[(debian, gone.as_bytes())],
        "none of these",
    );
    by(
        Verdict::Unknown,
        grub("(lvm/root)/boot/grub", None),
        &[],
        "not known",
    );

    // As Debian and Ubuntu build it: with a script that goes on where its prefix is, or beside it.
    let debians = || testing::efi_grub_with_files("/EFI/debian", "normal (memdisk)/grub.cfg\n");
    by(
        Verdict::Pass,
        debians(),
        &[(debian, stub.as_bytes())],
        "/boot/grub/grub.cfg",
    );
    by(
        Verdict::Pass,
        debians(),
        &[("EFI/BOOT/grub.cfg", stub.as_bytes())],
        "partition 2",
    );
    by(Verdict::Fail, debians(), &[], "/EFI/debian/grub.cfg");
    let own = testing::efi_grub_with_files("(memdisk)/boot/grub", "");
    by(Verdict::Unknown, own, &[], "file system of its own");

    // A shim, alone and with what it starts.
    let shim = || testing::efi_image(&[(".text", &[0x90; 64]), (".data", b"UEFI SHIM\n")]);
    let second = grub("(,gpt2)/boot/grub", None);
    by(Verdict::Fail, shim(), &[], "grubx64.efi");
    by(
        Verdict::Pass,
        shim(),
        &[("EFI/BOOT/grubx64.efi", &second)],
        "/boot/grub/grub.cfg",
    );
    let cut = &second[..second.len() - 600];
    by(
        Verdict::Fail,
        shim(),
        &[("EFI/BOOT/grubx64.efi", cut)],
        "not whole",
    );
    let list: Vec<u8> = "\u{feff}grubx64.efi,debian,,\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let by_list: [(&'static str, &[u8]); 3] = [
        ("EFI/BOOT/fbx64.efi", b"x"),
        ("EFI/debian/BOOTX64.CSV", &list),
        ("EFI/debian/grubx64.efi", &second),
    ];
    by(Verdict::Pass, shim(), &by_list, "/boot/grub/grub.cfg");
    by(
        Verdict::Fail,
        shim(),
        &by_list[..2],
        "EFI/debian/grubx64.efi",
    );

    let systemd: &[u8] = b"#### LoaderInfo: systemd-boot 252 ####";
    let systemd = || testing::efi_image(&[(".text", &[0x90; 64]), (".sdmagic", systemd)]);
    by(Verdict::Fail, systemd(), &[], "systemd-boot");
    let entry: (&'static str, &[u8]) = ("loader/entries/a.conf", b"linux /vmlinuz\n");
    by(Verdict::Pass, systemd(), &[entry], "/loader/entries");
    by(
        Verdict::Unknown,
        systemd(),
        &[("EFI/Linux/a.efi", b"x")],
        "unified",
    );
    let other = testing::efi_image(&[(".text", &[0x90; 64])]);
    by(Verdict::Unknown, other, &[], "not known here");
}

#[test]
fn a_root_that_is_not_on_these_disks() {
    let other = ROOT_UUID.replace("0b5d", "ffff");
    machine(Layout::Mbr, CheckCode::KernelRoot, |machine| {
        machine.command_line(&format!("root=UUID={other} ro"));
    });
    for root in [
        "/dev/sda1",
        "/dev/vda7",
        "/dev/disk/by-id/ata-X-part1",
        "LABEL=none",
        "/dev/mapper/vg-root",
    ] {
        machine(Layout::Mbr, CheckCode::KernelRoot, |machine| {
            machine.command_line(&format!("root={root} ro"));
        });
    }
}

#[test]
fn drivers_that_are_not_there_early_enough() {
    machine(Layout::Mbr, CheckCode::DiskDriver, |machine| {
        machine.initrd(&["virtio_pci", "ahci", "sd_mod", "ext4"], Packing::Gzip);
    });
    machine(Layout::Mbr, CheckCode::FileSystemDriver, |machine| {
        machine.initrd(&["virtio_pci", "virtio_blk", "xfs"], Packing::Gzip);
    });
    // Built in is as good.
    let mut machine = Machine::good(Layout::Mbr);
    machine.initrd(&["virtio_blk"], Packing::Xz);
    machine.file(
        &format!("lib/modules/{RELEASE}/modules.builtin"),
        "kernel/drivers/virtio/virtio_pci.ko\nkernel/fs/ext4/ext4.ko\n",
    );
    assert_codes(&machine.build().inspect(BIOS), Verdict::Fail, &[]);
}

#[test]
fn a_kernel_without_the_network_cards_driver() {
    let mut machine = Machine::good(Layout::Mbr);
    machine.initrd(&["virtio_pci", "virtio_blk", "ext4"], Packing::Zstd);
    machine.file(
        &format!("lib/modules/{RELEASE}/modules.dep"),
        "kernel/net/e1000.ko: \n",
    );
    let report = machine.build().inspect(BIOS);
    assert_codes(&report, Verdict::Fail, &[]);
    assert_codes(&report, Verdict::Warn, &[CheckCode::NetworkDriver]);
}

#[test]
fn entries_of_fstab_that_end_a_start() {
    let other = ROOT_UUID.replace("0b5d", "ffff");
    for line in [
        format!("UUID={other} /data ext4 defaults 0 2"),
        "/dev/sdb1 /data ext4 defaults 0 2".to_owned(),
        "/dev/sda1 / ext4 defaults 0 1".to_owned(),
        "/dev/mapper/vg-data /data ext4 defaults 0 2".to_owned(),
        format!("UUID={ROOT_UUID} /data xfs defaults 0 2"),
    ] {
        machine(Layout::Mbr, CheckCode::Fstab, |machine| {
            machine.file("etc/fstab", &format!("{line}\n"));
        });
    }
    for line in [
        format!("UUID={other} /data ext4 nofail 0 2"),
        format!("UUID={other} none swap sw 0 0"),
        "server:/x /data nfs defaults 0 0".to_owned(),
    ] {
        let mut machine = Machine::good(Layout::Mbr);
        machine.file("etc/fstab", &format!("{line}\n"));
        let report = machine.build().inspect(BIOS);
        assert_codes(&report, Verdict::Fail, &[]);
        assert_codes(&report, Verdict::Warn, &[CheckCode::Fstab]);
    }
}

#[test]
fn a_network_that_is_bound_to_the_sources_card() {
    for (path, text) in [
        (
            "etc/network/interfaces",
            "auto lo\niface lo inet loopback\niface ens192 inet dhcp\n",
        ),
        (
            "etc/netplan/00.yaml",
            "network:\n  ethernets:\n    ens192:\n      dhcp4: true\n",
        ),
        (
            "etc/netplan/50.yaml",
            "network:\n  ethernets:\n    a:\n      match:\n        macaddress: 00:11:22:33:44:55\n",
        ),
        (
            "etc/systemd/network/10.network",
            "[Match]\nMACAddress=00:11:22:33:44:55\n",
        ),
        (
            "etc/NetworkManager/system-connections/a.nmconnection",
            "[connection]\ninterface-name=ens3\n",
        ),
        (
            "etc/sysconfig/network-scripts/ifcfg-eth0",
            "HWADDR=00:11:22:33:44:55\n",
        ),
        (
            "etc/udev/rules.d/70-persistent-net.rules",
            "SUBSYSTEM==\"net\", ATTR{address}==\"00:11:22:33:44:55\", NAME=\"eth0\"\n",
        ),
    ] {
        let mut machine = Machine::good(Layout::Mbr);
        machine.file(path, text);
        let report = machine.build().inspect(BIOS);
        assert_codes(&report, Verdict::Fail, &[]);
        assert_codes(&report, Verdict::Warn, &[CheckCode::NetworkConfiguration]);
    }
}
