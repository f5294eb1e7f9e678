//! The inspection: which questions are asked, in which order.

use crate::{
    boot::{self, ConfigurationFile},
    disk::{Budget, Disk, Limits},
    fix_up, linux,
    report::{CheckCode, Findings, ReadinessReport},
    survey::Survey,
    target::{Firmware, TargetMachine},
    windows,
};
use std::sync::Arc;

/// Inspects the disks of one machine, in boot order. Blocks for as long as reading takes: some tens
/// of megabytes usually, and never more than the limits. Where a limit or another bound was hit, the
/// answer is unknown with that reason, and never ready.
#[must_use]
pub fn inspect(disks: &[Arc<dyn Disk>], target: TargetMachine, limits: Limits) -> ReadinessReport {
    let budget = Budget::new(limits);
    let mut findings = Findings::within(&budget);
    let survey = Survey::take(disks, &budget, &mut findings);
    let configured = firmware(&survey, target, &mut findings);
    let (system, fix_ups) = if only_windows(&survey) {
        windows::check(&survey, &mut findings);
        (None, Vec::new())
    } else {
        linux_system(&survey, target, configured, &mut findings)
    };
    findings.bounds(&budget);
    ReadinessReport {
        readiness: findings.readiness(),
        target,
        operating_system: system,
        checks: findings.into_checks(),
        fix_ups,
    }
}

/// Checks what the firmware starts. Says which configuration that reads, where it could be told.
fn firmware(
    survey: &Survey,
    target: TargetMachine,
    findings: &mut Findings,
) -> Option<ConfigurationFile> {
    match (target.firmware, survey.disks.first()) {
        (_, None) => findings.fail(
            CheckCode::PartitionTable,
            "the machine has no disk",
            "add the source's volumes to its group",
        ),
        (Firmware::Bios, Some((disk, table))) => boot::check_bios(disk, table, findings),
        (Firmware::Uefi, Some(_)) => return boot::check_efi(survey, findings),
    }
    None
}

/// Whether there is a Windows and nothing of a Linux.
fn only_windows(survey: &Survey) -> bool {
    let linux = survey.volumes.iter().any(|volume| {
        volume.holds.as_ref().is_some_and(|holds| {
            holds.ext.is_some() || holds.format.hides_volumes() || holds.format.is_linux()
        })
    });
    !linux && windows::check(survey, &mut Findings::default())
}

fn linux_system(
    survey: &Survey,
    target: TargetMachine,
    configured: Option<ConfigurationFile>,
    findings: &mut Findings,
) -> (Option<String>, Vec<crate::report::FixUp>) {
    let configuration = boot::find_configuration(survey, configured, findings);
    let root = linux::find_root(survey, configuration.as_ref(), findings);
    let entry = configuration.as_ref().map(|found| &found.entry);
    let (mut release, mut initrd) = (None, None);
    if let Some(entry) = entry {
        release = linux::check_kernel(survey, entry, findings);
        initrd = linux::check_initrd(survey, entry, release.as_deref(), findings);
        let started = initrd.as_ref().is_none_or(linux::InitrdContents::starts);
        linux::check_root(survey, entry, started, root.as_ref(), target, findings);
        linux::check_console(entry, findings);
    }
    let Some(root) = root else {
        return (None, Vec::new());
    };
    if entry.is_some() {
        linux::check_drivers(
            survey,
            &root,
            release.as_deref(),
            initrd.as_ref(),
            target,
            findings,
        );
    }
    let fstab = linux::check_fstab(survey, &root, target, findings);
    linux::check_network(&root, entry, target.network_cards, findings);
    let fix_ups = fix_up::plan(
        survey,
        &root,
        configuration.as_ref(),
        fstab.as_ref(),
        target,
        findings,
    );
    (root.system, fix_ups)
}
