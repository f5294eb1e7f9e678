//! The kernel's command line: the root it names, and where it talks.

use super::root::Root;
use crate::{
    boot::BootEntry,
    report::{CheckCode, Findings},
    survey::{Survey, VolumeName},
    target::TargetMachine,
};

const REMEDY: &str = "name the root by its UUID at the source: remove GRUB_DISABLE_LINUX_UUID from /etc/default/grub, check root= in GRUB_CMDLINE_LINUX, and run update-grub (grub2-mkconfig)";

/// Checks that `root=` leads to the root file system on the target. `initrd` says whether the kernel
/// starts something from an initial RAM disk, as far as is known.
pub(crate) fn check_root(
    survey: &Survey,
    entry: &BootEntry,
    initrd: bool,
    root: Option<&Root>,
    target: TargetMachine,
    findings: &mut Findings,
) {
    let code = CheckCode::KernelRoot;
    let Some(text) = entry.argument("root") else {
        findings.unknown(
            code,
            "the command line has no root=; an initial RAM disk may find it otherwise",
        );
        return;
    };
    let Some(name) = VolumeName::read(text) else {
        findings.unknown(
            code,
            format!("root={text} is not a name that is known here"),
        );
        return;
    };
    let found = survey.named(&name);
    match &name {
        VolumeName::Lasting { key, .. } => {
            // The kernel alone knows partitions only; file systems are found by an initial RAM disk.
            if !initrd && !key.starts_with("PART") {
                findings.fail(
                    code,
                    format!("root={text} needs an initial RAM disk, and the kernel starts none"),
                    "let the boot loader load one (update-initramfs -c -k all, update-grub), or name the root by PARTUUID",
                );
                return;
            }
            lasting(survey, text, &found, root, findings);
        }
        VolumeName::Device {
            family,
            disk,
            partition,
        } => {
            let expected = target.disk_bus.device(*disk);
            if expected.starts_with(family) && !found.is_empty() {
                findings.warn(
                    code,
                    format!("root={text} is right on this target as long as the disks keep their order"),
                    REMEDY,
                );
            } else {
                let number = partition.map(|number| number.to_string()).unwrap_or_default();
                findings.fail(
                    code,
                    format!("root={text} names a device of the source; on the target it would be /dev/{expected}{number}"),
                    REMEDY,
                );
            }
        }
        VolumeName::Built(_) => match survey.hidden() {
            Some(hidden) => findings.unknown(
                code,
                format!("root={text} is a volume built of others, which is not looked into here ({hidden})"),
            ),
            None => findings.fail(
                code,
                format!("root={text} is a volume built of others (LVM, RAID, encryption), and no disk holds a part of one"),
                "check that the disks with its parts are protected",
            ),
        },
        VolumeName::Hardware(_) => findings.fail(
            code,
            format!("root={text} is a name of the source's hardware"),
            REMEDY,
        ),
    }
}

fn lasting(
    survey: &Survey,
    text: &str,
    found: &[usize],
    root: Option<&Root>,
    findings: &mut Findings,
) {
    let code = CheckCode::KernelRoot;
    match found {
        [] => match survey.hidden() {
            Some(hidden) => findings.unknown(
                code,
                format!("root={text} is on none of the volumes that can be seen, and {hidden}"),
            ),
            None => findings.fail(
                code,
                format!("root={text} is on none of these disks"),
                "check that the disk with the root is protected; if the file system was made anew, run update-grub (grub2-mkconfig) at the source",
            ),
        },
        [one] if root.is_some_and(|root| root.volume != *one) => findings.fail(
            code,
            format!(
                "root={text} is {}, which holds no operating system",
                survey.volumes[*one].name()
            ),
            REMEDY,
        ),
        [one] => findings.pass(
            code,
            format!("root={text} is {}", survey.volumes[*one].name()),
        ),
        [first, second, ..] => findings.fail(
            code,
            format!(
                "root={text} is {} as well as {}; which is taken is left to chance",
                survey.volumes[*first].name(),
                survey.volumes[*second].name()
            ),
            "one is a copy of the other; give the copy another UUID at the source (tune2fs -U random, xfs_admin -U generate), or take its disk out of the group",
        ),
    }
}

/// Says whether a drill will see the system's messages.
pub(crate) fn check_console(entry: &BootEntry, findings: &mut Findings) {
    let serial = entry
        .arguments
        .iter()
        .find(|word| word.starts_with("console=ttyS"));
    let evidence = match serial {
        Some(word) => format!("the command line has {word}: a drill reads the start's messages"),
        None => "the command line has no console=ttyS0: a drill sees nothing between boot loader and network".to_owned(),
    };
    findings.pass(CheckCode::SerialConsole, evidence);
}
