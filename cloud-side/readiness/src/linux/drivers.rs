//! Whether the drivers that the target needs are there when they are needed.

use super::{
    initrd::{Contents, module_names},
    root::Root,
};
use crate::{
    report::{CheckCode, Findings},
    survey::Survey,
    target::TargetMachine,
};
use std::collections::BTreeSet;

const LIST_BYTES_MAX: u64 = 4 << 20;

/// Checks the drivers. `release` is the kernel's, `initrd` what is in its initial RAM disk.
pub(crate) fn check(
    survey: &Survey,
    root: &Root,
    release: Option<&str>,
    initrd: Option<&Contents>,
    target: TargetMachine,
    findings: &mut Findings,
) {
    let list = |file: &str| {
        let release = release.filter(|release| !release.contains('/'))?;
        let path = format!("/lib/modules/{release}/{file}");
        let text = root.tree.text_of(&path, LIST_BYTES_MAX).ok()?;
        Some(module_names(&text))
    };
    let built_in = list("modules.builtin");
    let installed = list("modules.dep").unwrap_or_default();
    let early = Early {
        initrd,
        built_in: built_in.as_ref(),
        release,
    };
    let bus = target.disk_bus;
    early.check(
        CheckCode::DiskDriver,
        bus.modules(),
        "the target's disks",
        findings,
    );
    let format = survey.volumes[root.volume]
        .holds
        .as_ref()
        .map_or("", |holds| holds.format.name());
    // One driver serves all three.
    let driver = if format.starts_with("ext") {
        "ext4"
    } else {
        format
    };
    early.check(
        CheckCode::FileSystemDriver,
        &[driver],
        "the root file system",
        findings,
    );
    if target.network_cards > 0 {
        let late = early.has("virtio_net") == Some(true) || installed.contains("virtio_net");
        let release = release.unwrap_or("unknown");
        network(late, release, built_in.is_some(), findings);
    }
}

fn network(found: bool, release: &str, known: bool, findings: &mut Findings) {
    let code = CheckCode::NetworkDriver;
    if found {
        findings.pass(code, format!("virtio_net is there for kernel {release}"));
    } else if known {
        findings.warn(
            code,
            format!("kernel {release} has no driver for the target's network cards (virtio_net)"),
            "install the package with the kernel's other modules at the source (linux-modules-extra, kernel-modules), or a kernel that has virtio_net",
        );
    } else {
        findings.unknown(
            code,
            format!("the root has no list of the modules of kernel {release}"),
        );
    }
}

/// What is there before the root file system is.
struct Early<'a> {
    initrd: Option<&'a Contents>,
    built_in: Option<&'a BTreeSet<String>>,
    /// The release of the kernel that starts, if it is known.
    release: Option<&'a str>,
}

impl Early<'_> {
    /// None when that cannot be said: modules are good only for the kernel that they are made for.
    fn has(&self, module: &str) -> Option<bool> {
        let release = self.release?;
        let initrd = self.initrd.map(|initrd| initrd.of(release));
        let own = initrd.flatten();
        let built_in = self.built_in.is_some_and(|list| list.contains(module))
            || own.is_some_and(|own| own.built_in.contains(module));
        if built_in {
            return Some(true);
        }
        let initrd = self.initrd?;
        // What nothing is started from loads no modules either.
        if initrd.starts() && own.is_some_and(|own| own.modules.contains(module)) {
            return Some(true);
        }
        // Without a list of what is built in, absence of the module proves nothing.
        let listed = own.is_some_and(|own| !own.built_in.is_empty());
        (self.built_in.is_some() || listed).then_some(false)
    }

    fn check(&self, code: CheckCode, modules: &[&str], what: &str, findings: &mut Findings) {
        let missing: Vec<_> = modules
            .iter()
            .filter(|module| self.has(module) == Some(false))
            .copied()
            .collect();
        let release = self.release.unwrap_or("of an unknown release");
        if !missing.is_empty() {
            let missing = missing.join(", ");
            findings.fail(
                code,
                format!("{missing}, needed for {what}, is neither in the initial RAM disk nor built into kernel {release}"),
                format!("put it in at the source: add {missing} to /etc/initramfs-tools/modules and run update-initramfs -u -k all; or dracut --force --add-drivers '{missing}'"),
            );
        } else if modules.iter().all(|module| self.has(module) == Some(true)) {
            findings.pass(
                code,
                format!(
                    "{} for {what}: in the initial RAM disk or built into kernel {release}",
                    modules.join(", ")
                ),
            );
        } else {
            findings.unknown(
                code,
                format!("what is in the initial RAM disk or built into kernel {release} is not known, so nobody can say whether {what} will be seen"),
            );
        }
    }
}
