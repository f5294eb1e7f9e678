//! Machines that boot, and what cannot be judged.

use crate::{
    CheckCode, Disk, Limits, Readiness, ReadinessReport, Verdict, inspect,
    testing::{self, BIOS, Image, Layout, Machine, MemoryDisk, PACKINGS, UEFI},
};
use std::{
    collections::BTreeSet, fs::File, os::unix::fs::FileExt as _, path::PathBuf, process::Command,
    sync::Arc,
};

/// The codes of all answers with this verdict.
pub(super) fn codes(report: &ReadinessReport, verdict: Verdict) -> BTreeSet<CheckCode> {
    report
        .checks
        .iter()
        .filter(|check| check.verdict == verdict)
        .map(|check| check.code)
        .collect()
}

#[test]
fn a_machine_that_boots_passes_every_check() {
    for (layout, target) in [
        (Layout::Mbr, BIOS),
        (Layout::GptBios, BIOS),
        (Layout::GptUefi, UEFI),
    ] {
        let report = Machine::good(layout).build().inspect(target);
        assert_eq!(report.readiness, Readiness::Ready, "{report:#?}");
        let all_pass = report
            .checks
            .iter()
            .all(|check| check.verdict == Verdict::Pass);
        assert!(all_pass, "{report:#?}");
        assert!(report.checks.iter().all(|check| check.remedy.is_none()));
        assert_eq!(report.operating_system.as_deref(), Some("Test Linux 1"));
        assert!(report.fix_ups.is_empty(), "{report:#?}");
        let asked = codes(&report, Verdict::Pass);
        let expected = match layout {
            Layout::Mbr => 17,
            Layout::GptBios => 18,
            Layout::GptUefi => 19,
        };
        assert_eq!(asked.len(), expected, "{asked:?}");
    }
}

#[test]
fn every_compression_of_an_initial_ram_disk_is_read() {
    for packing in PACKINGS {
        let mut machine = Machine::good(Layout::Mbr);
        machine.initrd(&["virtio_pci", "virtio_blk", "ext4"], packing);
        let report = machine.build().inspect(BIOS);
        assert_eq!(
            report.readiness,
            Readiness::Ready,
            "{packing:?}: {report:#?}"
        );
    }
}

#[test]
fn a_report_is_the_same_after_a_journey_as_json() {
    let report = Machine::good(Layout::Mbr).build().inspect(BIOS);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(
        serde_json::from_str::<ReadinessReport>(&text).unwrap(),
        report
    );
}

/// What a point of a running machine looks like: the newest `/etc/fstab` is in the journal only.
#[test]
fn a_file_system_that_was_in_use_is_read_through_its_journal() {
    let mut machine = Machine::good(Layout::Mbr);
    machine.file("etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n");
    let mut image = machine.build();
    let failed = codes(&image.clone().inspect(BIOS), Verdict::Fail);
    assert_eq!(failed, BTreeSet::from([CheckCode::Fstab]));

    let work = tempfile::tempdir().unwrap();
    let (block, script) = (work.path().join("block"), work.path().join("script"));
    let mut newest = b"LABEL=x /x ext4 nofail 0 2\n#\n".to_vec();
    newest.resize(4096, 0);
    std::fs::write(&block, newest).unwrap();
    let number = image.with_root("debugfs", &["-R", "blocks /etc/fstab"]);
    let commands = format!(
        "jo -c -v 3\njw -b {} {}\njc\n",
        number.trim(),
        block.display()
    );
    std::fs::write(&script, commands).unwrap();
    image.with_root("debugfs", &["-w", "-f", script.to_str().unwrap()]);

    let report = image.inspect(BIOS);
    assert_eq!(report.readiness, Readiness::Ready, "{report:#?}");
    let text = format!("{report:?}");
    assert!(
        text.contains("its journal is replayed at the start"),
        "{text}"
    );
}

#[test]
fn a_journal_of_an_older_kind_is_unknown() {
    let mut image = Machine::good(Layout::Mbr).build();
    image.with_root("debugfs", &["-w", "-R", "feature +needs_recovery"]);
    let report = image.inspect(BIOS);
    assert_eq!(report.readiness, Readiness::Unknown, "{report:#?}");
    assert!(codes(&report, Verdict::Unknown).contains(&CheckCode::FileSystem));
}

#[test]
fn a_data_disk_without_a_table_is_found() {
    let mut machine = Machine::good(Layout::Mbr);
    let fstab = String::from_utf8(machine.files["etc/fstab"].clone()).unwrap();
    machine.file(
        "etc/fstab",
        &format!("{fstab}LABEL=swap none swap sw 0 0\n"),
    );
    let swap = tempfile::NamedTempFile::new().unwrap();
    swap.as_file().set_len(8 << 20).unwrap();
    testing::run("mkswap", &["-L", "swap", swap.path().to_str().unwrap()], "");
    let disks: [Arc<dyn Disk>; 2] = [
        Arc::new(MemoryDisk::new(machine.build().bytes)),
        Arc::new(MemoryDisk::new(std::fs::read(swap.path()).unwrap())),
    ];
    let both = inspect(&disks, BIOS, Limits::default());
    assert_eq!(both.readiness, Readiness::Ready, "{both:#?}");
    assert!(codes(&both, Verdict::Warn).is_empty(), "{both:#?}");
    let without = inspect(&disks[..1], BIOS, Limits::default());
    assert_eq!(
        codes(&without, Verdict::Warn),
        BTreeSet::from([CheckCode::Fstab]),
        "{without:#?}"
    );
}

/// Puts something else where the root file system is.
fn with_root(make: impl FnOnce(&str), size: u64) -> Image {
    let mut image = Machine::good(Layout::Mbr).build();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    make(file.path().to_str().unwrap());
    let root = std::fs::read(file.path()).unwrap();
    image.bytes.truncate(image.root);
    image.bytes.extend(root);
    let sectors = u32::try_from(size / 512).unwrap();
    image.bytes[446 + 12..446 + 16].copy_from_slice(&sectors.to_le_bytes());
    image
}

#[test]
fn what_is_not_read_is_called_unknown() {
    let xfs = with_root(
        |path| drop(testing::run("mkfs.xfs", &["-q", "-f", path], "")),
        320 << 20,
    );
    let report = xfs.inspect(BIOS);
    assert_eq!(report.readiness, Readiness::Unknown, "{report:#?}");
    let unknown = codes(&report, Verdict::Unknown);
    assert!(unknown.contains(&CheckCode::RootFileSystem), "{report:#?}");

    let luks = with_root(
        |path| {
            std::fs::write(
                path,
                [b"LUKS\xba\xbe\0\x02".to_vec(), vec![0; 1 << 20]].concat(),
            )
            .unwrap()
        },
        1 << 20,
    );
    let report = luks.inspect(BIOS);
    assert_eq!(report.readiness, Readiness::Unknown, "{report:#?}");

    let ntfs = with_root(
        |path| {
            std::fs::write(
                path,
                [b"\xeb\x52\x90NTFS    ".to_vec(), vec![0; 1 << 20]].concat(),
            )
            .unwrap()
        },
        1 << 20,
    );
    let report = ntfs.inspect(BIOS);
    assert_eq!(report.readiness, Readiness::Unknown, "{report:#?}");
    assert_eq!(
        codes(&report, Verdict::Unknown),
        BTreeSet::from([CheckCode::Windows])
    );
}

struct FileDisk(File);

impl Disk for FileDisk {
    fn size_bytes(&self) -> u64 {
        self.0.metadata().map_or(0, |metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

/// The disk that the drills boot. `make` has built it; otherwise this takes a minute or two.
#[test]
fn the_debian_of_the_drills_is_ready() {
    let tree = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let recipe = tree.join("../../tests/demo-disk/build.sh");
    let output = Command::new("bash").arg(recipe).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = String::from_utf8(output.stdout).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(FileDisk(File::open(path.trim()).unwrap()));
    let report = inspect(&[Arc::clone(&disk)], BIOS, Limits::default());
    assert_eq!(report.readiness, Readiness::Ready, "{report:#?}");
    // It has no network manager, and that is said.
    assert_eq!(
        codes(&report, Verdict::Warn),
        BTreeSet::from([CheckCode::NetworkConfiguration]),
        "{report:#?}"
    );

    // Its kernel has no driver for SATA disks: a drill of it fails after 41 seconds.
    let mut sata = BIOS;
    sata.disk_bus = crate::DiskBus::Ahci;
    let report = inspect(&[disk], sata, Limits::default());
    assert_eq!(
        codes(&report, Verdict::Fail),
        BTreeSet::from([CheckCode::DiskDriver]),
        "{report:#?}"
    );
}
