//! What can be put right on a branch is right afterwards, and nothing else was touched.

use crate::{
    ApplyError, Disk, FixUp, FixUpCode, Limits, Readiness, ReadinessReport, WriteDisk, apply,
    inspect,
    testing::{BIOS, Layout, Machine, MemoryDisk, ROOT_UUID, run},
};
use std::sync::Arc;

struct Bench {
    disk: Arc<MemoryDisk>,
    root: usize,
}

impl Bench {
    fn new(machine: &Machine) -> Self {
        let image = machine.build();
        Self {
            disk: Arc::new(MemoryDisk::new(image.bytes)),
            root: image.root,
        }
    }

    fn inspect(&self) -> ReadinessReport {
        let disk: Arc<dyn Disk> = self.disk.clone();
        inspect(&[disk], BIOS, Limits::default())
    }

    fn apply(&self, fix_up: &FixUp) -> Result<(), ApplyError> {
        apply(&[&*self.disk as &dyn WriteDisk], fix_up)
    }

    /// Asks the file system's own tools.
    fn file(&self, path: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = self.disk.0.lock().unwrap();
        std::fs::write(file.path(), &bytes[self.root..bytes.len() - (1 << 20)]).unwrap();
        let image = file.path().to_str().unwrap();
        run("e2fsck", &["-f", "-n", image], "");
        run("debugfs", &["-R", &format!("cat {path}"), image], "")
    }
}

/// Applies the only fix-up, and returns the file as it then is.
fn fixed(machine: &Machine, code: FixUpCode, path: &str) -> (ReadinessReport, String) {
    let bench = Bench::new(machine);
    let report = bench.inspect();
    let [fix_up] = &report.fix_ups[..] else {
        panic!("{report:#?}");
    };
    assert_eq!(fix_up.code, code);
    let before = bench.file(path);
    bench.apply(fix_up).unwrap();
    let after = bench.file(path);
    assert_ne!(after, before);
    assert_eq!(after.len(), before.len());
    (bench.inspect(), after)
}

#[test]
fn a_root_by_device_name_is_named_by_uuid() {
    let mut machine = Machine::good(Layout::Mbr);
    machine.command_line("root=/dev/sda1 ro");
    let (report, text) = fixed(&machine, FixUpCode::KernelRoot, "/boot/grub/grub.cfg");
    assert_eq!(report.readiness, Readiness::Ready, "{report:#?}");
    assert!(
        text.contains(&format!(" root=UUID={ROOT_UUID} ro\n")),
        "{text}"
    );
}

#[test]
fn mounts_by_device_name_are_named_by_uuid_and_absent_ones_left_out() {
    let mut machine = Machine::good(Layout::Mbr);
    machine.file(
        "etc/fstab",
        "# /etc/fstab: what is mounted where, one line for each of the file systems.\n/dev/sda1  /  ext4 errors=remount-ro 0 1\nUUID=ffffffff-7a51-4c1c-9d0e-3f6a4f1d2c3b /data ext4 defaults 0 2\n",
    );
    let (report, text) = fixed(&machine, FixUpCode::Fstab, "/etc/fstab");
    assert_eq!(report.readiness, Readiness::Ready, "{report:#?}");
    assert!(
        text.contains(&format!("UUID={ROOT_UUID}  /  ext4")),
        "{text}"
    );
    assert!(text.contains("\n#UID=ffffffff"), "{text}");
}

#[test]
fn names_bound_to_the_sources_cards_are_left_out() {
    let path = "etc/udev/rules.d/70-persistent-net.rules";
    let mut machine = Machine::good(Layout::Mbr);
    machine.file(path, "# written by the system\nSUBSYSTEM==\"net\", ATTR{address}==\"00:11:22:33:44:55\", NAME=\"eth0\"\n");
    let (report, text) = fixed(&machine, FixUpCode::PersistentNetNames, &format!("/{path}"));
    assert!(report.fix_ups.is_empty(), "{report:#?}");
    assert!(text.contains("\n#UBSYSTEM"), "{text}");
}

#[test]
fn nothing_is_planned_where_an_edit_might_not_hold() {
    let mut machine = Machine::good(Layout::Mbr);
    machine.file("etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n");
    // The name does not fit into the line.
    assert!(Bench::new(&machine).inspect().fix_ups.is_empty());
    machine.command_line("root=/dev/sda1 ro");
    assert_eq!(Bench::new(&machine).inspect().fix_ups.len(), 1);
    // The journal is to be replayed.
    let mut image = machine.build();
    image.with_root("debugfs", &["-w", "-R", "feature +needs_recovery"]);
    let report = image.inspect(BIOS);
    // Its journal has no checksums, so what it would change cannot be told, and nor can the rest.
    assert_eq!(report.readiness, Readiness::Unknown);
    assert!(report.fix_ups.is_empty(), "{report:#?}");
}

#[test]
fn a_disk_that_changed_is_not_written_to() {
    let mut machine = Machine::good(Layout::Mbr);
    machine.command_line("root=/dev/sda1 ro");
    let bench = Bench::new(&machine);
    let fix_up = bench.inspect().fix_ups.remove(0);
    let last = fix_up.edits.last().unwrap();
    let at = usize::try_from(last.offset).unwrap() + last.before.len() - 1;
    bench.disk.0.lock().unwrap()[at] ^= 1;
    let before = bench.disk.0.lock().unwrap().clone();
    assert!(matches!(
        bench.apply(&fix_up),
        Err(ApplyError::Changed { .. })
    ));
    assert!(
        *bench.disk.0.lock().unwrap() == before,
        "something was written"
    );
    let missing = apply(&[], &fix_up);
    assert!(matches!(
        missing,
        Err(ApplyError::Disk { disk: 0, disks: 0 })
    ));
}
