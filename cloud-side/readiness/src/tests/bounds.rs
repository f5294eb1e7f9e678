//! Disks that are larger than an inspection looks at: the answer is unknown, with the bound as its
//! reason, and never ready.

use super::whole::codes;
use crate::{
    CheckCode, Disk, Limits, Readiness, ReadinessReport, Verdict, inspect,
    testing::{self, BIOS, Layout, Machine, MemoryDisk, Packing, RELEASE, ROOT_UUID},
};
use std::{fmt::Write as _, sync::Arc};

/// The report of a machine that was changed, which nothing failed of, and the bounds it hit.
fn hit(change: impl FnOnce(&mut Machine)) -> (ReadinessReport, Vec<String>) {
    let mut machine = Machine::good(Layout::Mbr);
    change(&mut machine);
    let report = machine.build().inspect(BIOS);
    assert_eq!(report.readiness, Readiness::Unknown, "{report:#?}");
    let bounds: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.code == CheckCode::InspectionBounds)
        .map(|check| check.evidence.clone())
        .collect();
    assert!(!bounds.is_empty(), "{report:#?}");
    (report, bounds)
}

fn grub_of(machine: &Machine) -> String {
    String::from_utf8(machine.files["boot/grub/grub.cfg"].clone()).unwrap()
}

#[test]
fn a_menu_of_ten_thousand_entries() {
    let (report, bounds) = hit(|machine| {
        let mut text = grub_of(machine);
        for number in 0..10_000 {
            write!(text, "menuentry 'E{number}' {{\nlinux /v\n}}\n").unwrap();
        }
        machine.file("boot/grub/grub.cfg", &text);
    });
    assert!(bounds[0].contains("512 entries"), "{bounds:?}");
    let unknown = codes(&report, Verdict::Unknown);
    assert!(unknown.contains(&CheckCode::BootConfiguration));
}

#[test]
fn a_line_that_does_not_end() {
    // One line; one put together of many; one that variables make long.
    let (_, bounds) = hit(|machine| {
        let text = grub_of(machine) + "set a=" + &"x".repeat(70_000);
        machine.file("boot/grub/grub.cfg", &text);
    });
    assert!(bounds[0].contains("line of more than"), "{bounds:?}");
    let (_, bounds) = hit(|machine| {
        let text = grub_of(machine) + &"x\\\n".repeat(200_000);
        machine.file("boot/grub/grub.cfg", &text);
    });
    assert!(bounds[0].contains("line of more than"), "{bounds:?}");
    let (_, bounds) = hit(|machine| {
        let set = format!("set a=\"{}\"\n", "x ".repeat(2000));
        let text = set + &format!("linux {}\n", "$a".repeat(30_000)) + &grub_of(machine);
        machine.file("boot/grub/grub.cfg", &text);
    });
    assert!(bounds[0].contains("too many words"), "{bounds:?}");
    let (_, bounds) = hit(|machine| {
        let fstab = format!("UUID={ROOT_UUID} / ext4 {} 0 1\n", "o,".repeat(40_000));
        machine.file("etc/fstab", &fstab);
    });
    assert!(bounds[0].contains("/etc/fstab"), "{bounds:?}");
}

#[test]
fn files_that_are_too_large_and_too_many() {
    let (report, bounds) = hit(|machine| {
        let text = grub_of(machine) + &"#\n".repeat(600_000);
        machine.file("boot/grub/grub.cfg", &text);
    });
    assert!(bounds[0].contains("/boot/grub/grub.cfg"), "{bounds:?}");
    assert!(codes(&report, Verdict::Unknown).contains(&CheckCode::BootConfiguration));
    let (_, bounds) = hit(|machine| {
        let list = "kernel/a.ko: \n".repeat(400_000);
        machine.file(&format!("lib/modules/{RELEASE}/modules.dep"), &list);
    });
    assert!(bounds[0].contains("modules.dep"), "{bounds:?}");
    let (_, bounds) = hit(|machine| {
        let fstab = format!("UUID={ROOT_UUID} / ext4 defaults 0 1\n").repeat(2000);
        machine.file("etc/fstab", &fstab);
    });
    assert!(bounds[0].contains("1024 lines"), "{bounds:?}");
    let (_, bounds) = hit(|machine| {
        for number in 0..200 {
            machine.file(&format!("etc/netplan/{number}.yaml"), "network:\n");
        }
    });
    assert!(bounds[0].contains("/etc/netplan"), "{bounds:?}");
}

#[test]
fn initial_ram_disks_that_are_too_many_or_too_full() {
    let (report, bounds) = hit(|machine| {
        let initrd = format!("/boot/initrd.img-{RELEASE}");
        let many = format!("initrd {}", [initrd.as_str(); 100].join(" "));
        let text = grub_of(machine).replace(&format!("initrd\t{initrd}"), &many);
        assert!(text.contains(&many));
        machine.file("boot/grub/grub.cfg", &text);
    });
    assert!(bounds[0].contains("100 initial RAM disks"), "{bounds:?}");
    assert!(codes(&report, Verdict::Unknown).contains(&CheckCode::Initrd));

    let (_, bounds) = hit(|machine| {
        let names: Vec<String> = (0..40_000).map(|number| format!("m{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let packed = testing::pack(&testing::small_archive(&names), Packing::Zstd);
        assert!(packed.len() < 4 << 20);
        let path = format!("boot/initrd.img-{RELEASE}");
        machine.files.insert(path, packed);
    });
    assert!(bounds[0].contains("names"), "{bounds:?}");
}

/// Each unpacks to less than the limit, and all together to more: one budget serves all.
#[test]
fn several_bombs_share_one_budget() {
    let mut machine = Machine::good(Layout::Mbr);
    let bomb = testing::holding("bin/bomb", &vec![0; 3 << 20]);
    let bomb = testing::pack(&bomb, Packing::Zstd);
    assert!(bomb.len() < 64 << 10);
    machine.files.insert("boot/a".to_owned(), bomb.clone());
    machine.files.insert("boot/b".to_owned(), bomb);
    let initrd = format!("initrd\t/boot/initrd.img-{RELEASE}");
    let text = grub_of(&machine).replace(&initrd, &format!("{initrd} /boot/a /boot/b"));
    machine.file("boot/grub/grub.cfg", &text);
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(machine.build().bytes));
    let with = |unpacked_bytes| {
        let limits = Limits {
            unpacked_bytes,
            ..Limits::default()
        };
        inspect(&[Arc::clone(&disk)], BIOS, limits)
    };
    let enough = with(16 << 20);
    assert_eq!(enough.readiness, Readiness::Ready, "{enough:#?}");
    let report = with(4 << 20);
    assert_eq!(report.readiness, Readiness::Unknown, "{report:#?}");
    let bounds = codes(&report, Verdict::Unknown);
    assert!(bounds.contains(&CheckCode::InspectionBounds), "{report:#?}");
}

/// Whatever is left out of an inspection by a limit, it is never ready and never blames the disk.
#[test]
fn a_limit_that_is_reached_is_never_ready_and_never_a_defect() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(Machine::good(Layout::Mbr).build().bytes));
    let with = |limits| inspect(&[Arc::clone(&disk)], BIOS, limits);
    let whole = Limits::default();
    for part in [0, 1, 100, 2000, 10_000, 40_000] {
        for limits in [
            Limits {
                read_bytes: part,
                ..whole
            },
            Limits {
                reads: part / 200,
                ..whole
            },
            Limits {
                unpacked_bytes: part / 10,
                ..whole
            },
            Limits {
                kept_bytes: part / 40,
                ..whole
            },
        ] {
            let report = with(limits);
            assert_eq!(
                report.readiness,
                Readiness::Unknown,
                "{limits:?} {report:#?}"
            );
            let last = report.checks.last().unwrap();
            assert_eq!(last.code, CheckCode::InspectionBounds, "{report:#?}");
        }
    }
}

#[test]
fn links_of_any_length_and_in_circles_are_not_followed() {
    let mut machine = Machine::good(Layout::Mbr);
    machine.without("etc/os-release");
    let mut image = machine.build();
    let long = format!("/{}", "a".repeat(300));
    for command in [
        "symlink /etc/os-release /etc/os-release".to_owned(),
        format!("symlink /usr/lib/os-release {long}"),
        "set_inode_field /usr/lib/os-release size 0x7fffffffffff".to_owned(),
    ] {
        let _made_first = image.with_root("debugfs", &["-w", "-R", "mkdir /usr/lib"]);
        image.with_root("debugfs", &["-w", "-R", &command]);
    }
    let report = image.inspect(BIOS);
    assert_eq!(report.operating_system, None);
    assert_eq!(report.readiness, Readiness::Ready, "{report:#?}");
}

/// A file's holes cost no reads: its size alone must not make an inspection endless.
#[test]
fn an_initial_ram_disk_of_nothing_but_holes() {
    let mut image = Machine::good(Layout::Mbr).build();
    let command = format!("set_inode_field /boot/initrd.img-{RELEASE} size 0xfffffffffff");
    image.with_root("debugfs", &["-w", "-R", &command]);
    let report = image.inspect(BIOS);
    assert_ne!(report.readiness, Readiness::Ready, "{report:#?}");
}

#[test]
fn evidence_is_short_whatever_the_disk_says() {
    let mut machine = Machine::good(Layout::Mbr);
    let long = "x".repeat(30_000);
    machine.command_line(&format!("root=UUID={ROOT_UUID} ro a={long}"));
    machine.file(
        "etc/fstab",
        &format!("UUID={long} /data ext4 defaults 0 2\n").repeat(2),
    );
    let report = machine.build().inspect(BIOS);
    assert_eq!(report.readiness, Readiness::NotReady);
    let longest = report.checks.iter().map(|check| check.evidence.len());
    assert!(longest.max().unwrap() < 1100);
}
