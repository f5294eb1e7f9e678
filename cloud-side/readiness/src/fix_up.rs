//! Edits that let a machine boot that would not: planned here, applied by who has a branch.
//!
//! A plan consists of nothing but texts of equal length in blocks that a file already has, so no
//! metadata changes; ext4 has no checksum over file data. Where one of that is in doubt, there is no
//! plan. Invariant: [`apply`] writes nothing unless every edit finds what it expects.

mod locate;
mod rewrite;

use crate::{
    boot::Configuration,
    disk::WriteDisk,
    linux::{Fstab, PERSISTENT_NAMES, Root},
    report::{CheckCode, Findings, FixUp, FixUpCode},
    survey::{Survey, VolumeName},
    target::TargetMachine,
};
use locate::Located;
use std::io;

/// Why fix-ups cannot be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The plan is of a machine with more disks.
    #[error(
        "the fix-up edits disk {disk}, and there are only {disks}; inspect this machine's disks anew"
    )]
    Disk {
        /// The disk that the plan names.
        disk: usize,
        /// How many there are.
        disks: usize,
    },
    /// What is on the disk is not what was inspected.
    #[error(
        "disk {disk} does not hold at byte {offset} what it held when it was inspected; inspect it anew"
    )]
    Changed {
        /// The disk.
        disk: usize,
        /// The first byte of the edit.
        offset: u64,
    },
    /// The disk failed.
    #[error(
        "disk {disk} failed at byte {offset}: {source}; the branch may hold a part of the edits, make a new one"
    )]
    Io {
        /// The disk.
        disk: usize,
        /// The first byte of the edit.
        offset: u64,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Applies a fix-up to the disks of a branch, in the order in which they were inspected.
///
/// # Errors
///
/// When an edit does not find what it expects, before anything is written; when a disk fails.
pub fn apply(disks: &[&dyn WriteDisk], fix_up: &FixUp) -> Result<(), ApplyError> {
    for write in [false, true] {
        for edit in &fix_up.edits {
            let disk = disks.get(edit.disk).ok_or(ApplyError::Disk {
                disk: edit.disk,
                disks: disks.len(),
            })?;
            let failed = |source| ApplyError::Io {
                disk: edit.disk,
                offset: edit.offset,
                source,
            };
            if write {
                disk.write_at(edit.offset, edit.after.as_bytes())
                    .map_err(failed)?;
                continue;
            }
            let mut found = vec![0; edit.before.len()];
            let inside = edit
                .offset
                .checked_add(found.len() as u64)
                .is_some_and(|end| end <= disk.size_bytes());
            if inside {
                disk.read_at(edit.offset, &mut found).map_err(failed)?;
            }
            let same_length = edit.before.len() == edit.after.len();
            if !inside || !same_length || found != edit.before.as_bytes() {
                return Err(ApplyError::Changed {
                    disk: edit.disk,
                    offset: edit.offset,
                });
            }
        }
    }
    Ok(())
}

/// Plans what can be put right of what failed.
pub(crate) fn plan(
    survey: &Survey,
    root: &Root,
    configuration: Option<&Configuration>,
    fstab: Option<&Fstab>,
    target: TargetMachine,
    findings: &Findings,
) -> Vec<FixUp> {
    let mut fix_ups = Vec::new();
    if let Some(fstab) = fstab.filter(|fstab| !fstab.failed.is_empty()) {
        fix_ups.extend(mounts(survey, root, fstab));
    }
    if let Some(configuration) = configuration
        && findings.troubled(CheckCode::KernelRoot)
    {
        fix_ups.extend(kernel_root(survey, root, configuration));
    }
    if target.network_cards > 0 {
        fix_ups.extend(network_names(survey, root));
    }
    fix_ups
}

/// The file as it lies on the disk, when edits are safe there.
fn locate(survey: &Survey, volume: usize, path: &str) -> Option<Located> {
    let volume = &survey.volumes[volume];
    let state = volume.holds.as_ref()?.ext.as_ref()?;
    locate::locate(&volume.window, volume.disk, state, path)
}

fn mounts(survey: &Survey, root: &Root, fstab: &Fstab) -> Option<FixUp> {
    let located = locate(survey, root.volume, fstab.path)?;
    // The lines are those of the text that was judged.
    if located.text() != fstab.text {
        return None;
    }
    let mut changes = Vec::new();
    let mut lines: Vec<String> = fstab.text.lines().map(str::to_owned).collect();
    for failed in &fstab.failed {
        let line = lines.get_mut(failed.number)?;
        if let Some(lasting) = &failed.lasting {
            *line = line.replacen(&failed.device, lasting, 1);
            changes.push(format!("{} becomes {lasting}", failed.device));
        } else if is_needed(line) {
            return None;
        } else {
            // In the place of its first character, so that the line is no longer than before.
            let start = line.len() - line.trim_start().len();
            line.replace_range(start..=start, "#");
            changes.push(format!("the entry of {} is left out", failed.device));
        }
    }
    Some(FixUp {
        code: FixUpCode::Fstab,
        description: format!("{}: {}", fstab.path, changes.join("; ")),
        edits: located.edits(&rewrite::fit(&lines, fstab.text.len())?)?,
    })
}

/// Entries without which there is no system.
fn is_needed(line: &str) -> bool {
    let place = line.split_whitespace().nth(1);
    matches!(place, Some("/" | "/usr" | "/var" | "/etc"))
}

fn kernel_root(survey: &Survey, root: &Root, configuration: &Configuration) -> Option<FixUp> {
    let named = configuration.entry.argument("root")?;
    let by_device = matches!(VolumeName::read(named)?, VolumeName::Device { .. });
    if !by_device || configuration.entry.initrds.is_empty() {
        return None;
    }
    let located = locate(survey, configuration.volume, &configuration.path)?;
    let wanted = format!("root=UUID={}", survey.volumes[root.volume].uuid()?);
    let before = format!("root={named}");
    let text = located.text();
    let lines: Vec<String> = text
        .lines()
        .map(|line| rewrite::replace_word(line, &before, &wanted))
        .collect();
    Some(FixUp {
        code: FixUpCode::KernelRoot,
        description: format!("{}: {before} becomes {wanted}", configuration.path),
        edits: located.edits(&rewrite::fit(&lines, text.len())?)?,
    })
}

fn network_names(survey: &Survey, root: &Root) -> Option<FixUp> {
    let located = locate(survey, root.volume, PERSISTENT_NAMES)?;
    let lines: Vec<String> = located.text().lines().map(rewrite::comment_out).collect();
    let edits = located.edits(&rewrite::fit(&lines, located.text().len())?)?;
    Some(FixUp {
        code: FixUpCode::PersistentNetNames,
        description: format!("{PERSISTENT_NAMES}: its rules are left out"),
        edits,
    })
}
