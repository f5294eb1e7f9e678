//! An EFI program: whether firmware would load it, and what kind of boot loader it is.
//!
//! Invariant: a program is one only when every byte that its headers speak of is in its file and could
//! be read. Signatures are not checked.

use crate::{
    disk::field,
    file_system::{Tree, TreeError},
};
use std::io::Read;

/// The machine type of x86-64 programs.
const X86_64: u16 = 0x8664;
/// The optional header of programs for machines of 64 bits.
const PE32_PLUS: u16 = 0x20b;
/// The subsystem of programs that firmware starts and that may load a system.
const EFI_APPLICATION: u16 = 10;
const SECTIONS_MAX: usize = 96;
const SECTION_HEADER: usize = 40;
/// Where the optional header has the place of the program's signatures.
const CERTIFICATES: usize = 144;
/// Boot loaders have a few MiB; a unified kernel image has a kernel and an initial RAM disk in it.
const PROGRAM_BYTES_MAX: u64 = 64 << 20;

/// What a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Starts another program beside it that its vendor signed.
    Shim,
    /// GRUB, with what it was built to do.
    Grub(Grub),
    SystemdBoot,
    /// A kernel with its command line and initial RAM disk.
    UnifiedKernel,
    Other,
}

/// What GRUB was built with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Grub {
    /// Where it looks for its files.
    pub(super) prefix: Option<String>,
    /// Commands that it runs first.
    pub(super) commands: Option<String>,
    /// It brings a file system of its own.
    pub(super) has_files: bool,
}

/// A whole program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) size: u64,
    pub(super) kind: Kind,
}

/// A part of the file that becomes a part of the program.
#[derive(Debug)]
struct Section {
    name: String,
    /// Where it lies in memory, and how long it is there.
    address: u64,
    length: u64,
    /// Where it lies in the file.
    from: u64,
    bytes: u64,
}

/// Reads a program and judges it.
pub(super) fn read(tree: &dyn Tree, path: &str) -> Result<Program, TreeError> {
    let (size, reader) = tree.open(path)?;
    if size > PROGRAM_BYTES_MAX {
        let reason =
            format!("{path} has {size} bytes, more than the {PROGRAM_BYTES_MAX} that are read");
        return Err(tree.budget().hit(reason).into());
    }
    tree.budget().keep(size)?;
    let mut file = Vec::new();
    reader
        .take(size)
        .read_to_end(&mut file)
        .map_err(|error| TreeError::Unreadable(error.to_string()))?;
    let sections = judge(&file).map_err(TreeError::Unreadable)?;
    Ok(Program {
        size,
        kind: kind(&file, &sections),
    })
}

/// Checks the headers against the file. Says why firmware would not start it.
fn judge(file: &[u8]) -> Result<Vec<Section>, String> {
    let at = field::le32(file, 0x3c) as usize;
    let header = file.get(at..at.saturating_add(24)).unwrap_or_default();
    if !file.starts_with(b"MZ") || !header.starts_with(b"PE\0\0") {
        return Err("it is not an EFI program".to_owned());
    }
    let machine = field::le16(header, 4);
    if machine != X86_64 {
        return Err(format!(
            "it is a program for another kind of processor ({machine:#06x})"
        ));
    }
    let count = usize::from(field::le16(header, 6));
    let optional_bytes = usize::from(field::le16(header, 20));
    let optional_at = at + 24;
    let cut = |what: &str, needed: u64| {
        let found = file.len();
        Err(format!(
            "it has {found} bytes of the {needed} that its {what} needs: it is not whole"
        ))
    };
    let headers_end = optional_at + optional_bytes + count * SECTION_HEADER;
    let Some(headers) = file.get(optional_at..headers_end) else {
        return cut("headers", headers_end as u64);
    };
    let (optional, table) = headers.split_at(optional_bytes);
    if optional_bytes < 112 || field::le16(optional, 0) != PE32_PLUS {
        return Err("it is no program for machines of 64 bits".to_owned());
    }
    let subsystem = field::le16(optional, 68);
    if subsystem != EFI_APPLICATION {
        return Err(format!(
            "it is no EFI application (subsystem {subsystem}): firmware does not boot from it"
        ));
    }
    if count == 0 || count > SECTIONS_MAX {
        return Err(format!("it says that it has {count} sections"));
    }
    let declared = u64::from(field::le32(optional, 60));
    if declared > file.len() as u64 {
        return cut("headers", declared);
    }
    let sections: Vec<Section> = table.chunks_exact(SECTION_HEADER).map(section).collect();
    for section in &sections {
        let end = section.from + section.bytes;
        if end > file.len() as u64 {
            return cut(&format!("section {}", section.name), end);
        }
    }
    let memory = u64::from(field::le32(optional, 56));
    if let Some(beyond) = sections
        .iter()
        .find(|section| section.address + section.length > memory)
    {
        return Err(format!(
            "its section {} lies beyond the {memory} bytes that it says it needs",
            beyond.name
        ));
    }
    let entry = u64::from(field::le32(optional, 16));
    check_entry(file, &sections, entry)?;
    // The place of signatures is one in the file, unlike all others.
    if field::le32(optional, 108) > 4 && optional_bytes >= CERTIFICATES + 8 {
        let from = u64::from(field::le32(optional, CERTIFICATES));
        let end = from + u64::from(field::le32(optional, CERTIFICATES + 4));
        if end > file.len() as u64 {
            return cut("signature", end);
        }
    }
    Ok(sections)
}

fn section(header: &[u8]) -> Section {
    Section {
        name: field::text(&header[..8]),
        length: field::le32(header, 8).into(),
        address: field::le32(header, 12).into(),
        bytes: field::le32(header, 16).into(),
        from: field::le32(header, 20).into(),
    }
}

/// The instruction that it begins with must be one.
fn check_entry(file: &[u8], sections: &[Section], entry: u64) -> Result<(), String> {
    let inside =
        |section: &&Section| entry >= section.address && entry - section.address < section.bytes;
    let Some(section) = sections.iter().find(inside) else {
        return Err(format!(
            "nothing of its file is where it begins ({entry:#x})"
        ));
    };
    let at = usize::try_from(section.from + (entry - section.address)).unwrap_or(usize::MAX);
    let first = file.get(at..).unwrap_or_default();
    let first = &first[..first.len().min(16)];
    if first.iter().all(|byte| *byte == 0) {
        return Err("where it begins there is nothing but zeros".to_owned());
    }
    Ok(())
}

fn kind(file: &[u8], sections: &[Section]) -> Kind {
    let part = |name: &str| {
        let section = sections.iter().find(|section| section.name == name)?;
        let from = usize::try_from(section.from).ok()?;
        file.get(from..from + usize::try_from(section.bytes).ok()?)
    };
    let holds = |text: &[u8]| file.windows(text.len()).any(|bytes| bytes == text);
    if part(".linux").is_some() {
        Kind::UnifiedKernel
    } else if let Some(modules) = part("mods") {
        Kind::Grub(grub(modules))
    } else if holds(b"#### LoaderInfo: systemd-boot") {
        Kind::SystemdBoot
    } else if holds(b"UEFI SHIM") {
        Kind::Shim
    } else {
        Kind::Other
    }
}

/// Reads what `grub-mkimage` put behind GRUB's core: objects with a kind and a length each.
fn grub(modules: &[u8]) -> Grub {
    const MAGIC: &[u8] = b"mimg";
    const FILES: u32 = 1;
    const COMMANDS: u32 = 2;
    const PREFIX: u32 = 3;
    let mut found = Grub::default();
    if !modules.starts_with(MAGIC) {
        return found;
    }
    let length = |at| usize::try_from(field::le64(modules, at)).unwrap_or(usize::MAX);
    let (mut at, end) = (length(8), length(16).min(modules.len()));
    while let Some(head) = modules.get(at..at.saturating_add(8)) {
        let size = field::le32(head, 4) as usize;
        if size < 8 || at + size > end {
            break;
        }
        let text = || {
            let text = field_text(&modules[at + 8..at + size]);
            Some(text).filter(|text| !text.is_empty())
        };
        match field::le32(head, 0) {
            FILES => found.has_files = true,
            COMMANDS => found.commands = text(),
            PREFIX => found.prefix = text(),
            _ => {}
        }
        at += size;
    }
    found
}

/// Text up to the first NUL, with its line ends.
fn field_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{efi_grub, efi_image};

    fn why(file: &[u8]) -> String {
        judge(file).unwrap_err()
    }

    #[test]
    fn a_program_is_whole_or_none() {
        let whole = efi_grub("(,gpt2)/boot/grub", None);
        let sections = judge(&whole).unwrap();
        let Kind::Grub(grub) = kind(&whole, &sections) else {
            panic!("{sections:?}");
        };
        assert_eq!(grub.prefix.as_deref(), Some("(,gpt2)/boot/grub"));
        assert_eq!((grub.commands, grub.has_files), (None, false));
        for length in [0, 1, 0x40, 0x90, 0x100, 600, whole.len() - 1] {
            assert!(judge(&whole[..length]).is_err(), "{length}");
        }
        let changed = |at: usize, bytes: &[u8]| {
            let mut file = whole.clone();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            why(&file)
        };
        assert!(changed(0x84, &[0x64, 0xaa]).contains("processor"));
        assert!(changed(0x98 + 68, &[11]).contains("subsystem 11"));
        assert!(changed(0x98, &[0x0b, 0x01]).contains("64 bits"));
        assert!(changed(0x98 + 16, &[0xff, 0xff, 0xff]).contains("where it begins"));
        assert!(changed(0x200, &[0; 16]).contains("zeros"));
        assert!(changed(0x98 + CERTIFICATES, &[0xff; 8]).contains("signature"));
        assert!(changed(0x98 + 56, &[0; 4]).contains("beyond"));
    }

    #[test]
    fn loaders_are_told_apart() {
        let told = |name: &str, bytes: &[u8]| {
            let file = efi_image(&[(".text", &[0x90; 64]), (name, bytes)]);
            kind(&file, &judge(&file).unwrap())
        };
        assert_eq!(told(".linux", b"kernel"), Kind::UnifiedKernel);
        let systemd = b"#### LoaderInfo: systemd-boot 252 ####";
        assert_eq!(told(".sdmagic", systemd), Kind::SystemdBoot);
        assert_eq!(told(".data", b"UEFI SHIM\n$Version: 15.7 $"), Kind::Shim);
        assert_eq!(told(".data", b"something"), Kind::Other);
        let built = efi_grub("/EFI/debian", Some("search.fs_uuid X root\n"));
        let Kind::Grub(grub) = kind(&built, &judge(&built).unwrap()) else {
            panic!();
        };
        assert_eq!(grub.commands.as_deref(), Some("search.fs_uuid X root\n"));
        // Lengths that lead nowhere end the reading.
        let mut endless = b"mimg".to_vec();
        endless.extend([0; 60]);
        assert_eq!(super::grub(&endless), Grub::default());
    }
}
