//! What UEFI firmware starts when it remembers nothing: one program at one path.

use crate::{
    disk::field,
    file_system::{Tree, TreeError},
    report::{CheckCode, Findings},
    survey::Survey,
};
use std::io::Read;

const FALLBACK: &str = "/EFI/BOOT/BOOTX64.EFI";
/// The machine type of x86-64 programs.
const X86_64: u16 = 0x8664;
const VENDORS_MAX: usize = 32;
const REMEDY: &str = "firmware of another machine does not know the source's boot entries; install the loader at the fallback path too: grub-install --target=x86_64-efi --removable, or dpkg-reconfigure grub-efi-amd64 with force_efi_extra_removable";

/// Checks the EFI system partition.
pub(crate) fn check(survey: &Survey, findings: &mut Findings) {
    let Some(volume) = survey.efi_system() else {
        findings.fail(
            CheckCode::EfiSystemPartition,
            "no disk has an EFI system partition",
            "launch the target with BIOS firmware, as the source starts; or move the source to UEFI",
        );
        return;
    };
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
        return;
    };
    findings.pass(
        CheckCode::EfiSystemPartition,
        format!("{}: the EFI system partition can be read", volume.name()),
    );
    match program(&**tree, FALLBACK) {
        Ok(size) => findings.pass(
            CheckCode::EfiLoader,
            format!(
                "{}: {FALLBACK} is an x86-64 program of {size} bytes",
                volume.name()
            ),
        ),
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
        Err(error) => findings.fail(
            CheckCode::EfiLoader,
            format!("{}: {FALLBACK}: {error}", volume.name()),
            REMEDY,
        ),
    }
}

/// The size of a program that firmware of x86-64 machines accepts.
fn program(tree: &dyn Tree, path: &str) -> Result<u64, TreeError> {
    let (size, mut reader) = tree.open(path)?;
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(4096)
        .read_to_end(&mut head)
        .map_err(|error| TreeError::Unreadable(error.to_string()))?;
    let at = field::le32(&head, 0x3c) as usize;
    let signature = head.get(at..at.saturating_add(6)).unwrap_or_default();
    if !head.starts_with(b"MZ") || !signature.starts_with(b"PE\0\0") {
        return Err(TreeError::Unreadable("it is not an EFI program".to_owned()));
    }
    if field::le16(signature, 4) != X86_64 {
        return Err(TreeError::Unreadable(
            "it is a program for another kind of processor".to_owned(),
        ));
    }
    Ok(size)
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
