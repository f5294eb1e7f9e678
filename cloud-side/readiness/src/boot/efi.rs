//! What UEFI firmware starts when it remembers nothing: one program at one path.

use super::{ConfigurationFile, efi_configuration, efi_program};
use crate::{
    file_system::{Tree, TreeError},
    report::{CheckCode, Findings},
    survey::Survey,
};

const FALLBACK: &str = "/EFI/BOOT/BOOTX64.EFI";
const VENDORS_MAX: usize = 32;
const REMEDY: &str = "firmware of another machine does not know the source's boot entries; install the loader at the fallback path too: grub-install --target=x86_64-efi --removable, or dpkg-reconfigure grub-efi-amd64 with force_efi_extra_removable";

/// Checks the EFI system partition, the program that is started from it, and what that reads. Says
/// which configuration it is, where it could be told.
pub(crate) fn check(survey: &Survey, findings: &mut Findings) -> Option<ConfigurationFile> {
    let Some(index) = survey.efi_system() else {
        findings.fail(
            CheckCode::EfiSystemPartition,
            "no disk has an EFI system partition",
            "launch the target with BIOS firmware, as the source starts; or move the source to UEFI",
        );
        return None;
    };
    let volume = &survey.volumes[index];
    let Some(tree) = volume.tree.as_ref().filter(|_| {
        volume
            .holds
            .as_ref()
            .is_some_and(|holds| holds.fat.is_some())
    }) else {
        findings.fail(
            CheckCode::EfiSystemPartition,
            format!(
                "{}: the EFI system partition does not hold a FAT file system",
                volume.name()
            ),
            "make one at the source (mkfs.vfat -F 32), mount it at /boot/efi and install the boot loader again",
        );
        return None;
    };
    findings.pass(
        CheckCode::EfiSystemPartition,
        format!("{}: the EFI system partition can be read", volume.name()),
    );
    match efi_program::read(&**tree, FALLBACK) {
        Ok(program) => {
            findings.pass(
                CheckCode::EfiLoader,
                format!(
                    "{}: {FALLBACK} is a whole x86-64 program of {} bytes",
                    volume.name(),
                    program.size
                ),
            );
            return efi_configuration::check(survey, index, FALLBACK, &program.kind, findings);
        }
        Err(TreeError::NotFound) => {
            let others = loaders(&**tree);
            let others = if others.is_empty() {
                "there is no other loader either".to_owned()
            } else {
                format!("the source starts {}", others.join(", "))
            };
            findings.fail(
                CheckCode::EfiLoader,
                format!("{}: {FALLBACK} does not exist; {others}", volume.name()),
                REMEDY,
            );
        }
        Err(error) if error.is_unknown() => findings.unknown(
            CheckCode::EfiLoader,
            format!("{}: {FALLBACK}: {error}", volume.name()),
        ),
        Err(error) => findings.fail(
            CheckCode::EfiLoader,
            format!("{}: {FALLBACK}: {error}", volume.name()),
            REMEDY,
        ),
    }
    None
}

fn loaders(tree: &dyn Tree) -> Vec<String> {
    let mut found = Vec::new();
    let vendors = tree.list("/EFI").unwrap_or_default();
    let vendors = vendors.iter().filter(|entry| entry.is_directory);
    for vendor in vendors.take(VENDORS_MAX) {
        let directory = format!("/EFI/{}", vendor.name);
        for file in tree.list(&directory).unwrap_or_default() {
            let name = file.name.to_ascii_lowercase();
            if name.ends_with(".efi") && (name.starts_with("shim") || name.starts_with("grub")) {
                found.push(format!("{directory}/{}", file.name));
            }
        }
    }
    found.truncate(8);
    found
}
