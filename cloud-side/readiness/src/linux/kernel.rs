//! The kernel that the boot loader would start.

use crate::{
    boot::BootEntry,
    disk::field,
    file_system::{Tree, TreeError},
    report::{CheckCode, Findings},
    survey::Survey,
};
use std::io::Read;

/// The bytes in which an x86 kernel describes itself, with the text of its version.
const HEAD_BYTES: u64 = 64 * 1024;
const REMEDY: &str = "install the kernel's package again at the source, so that the file is written anew, and then update-grub (grub2-mkconfig)";

/// Checks the kernel, and says its release when it can be known.
pub(crate) fn check(survey: &Survey, entry: &BootEntry, findings: &mut Findings) -> Option<String> {
    let code = CheckCode::Kernel;
    let volume = &survey.volumes[entry.volume];
    let name = format!("{}: {}", volume.name(), entry.kernel);
    let from_name = entry
        .kernel
        .rsplit('/')
        .next()
        .and_then(|file| file.strip_prefix("vmlinuz-"))
        .map(str::to_owned);
    let Some(tree) = &volume.tree else {
        findings.unknown(code, format!("{name}: the volume cannot be read"));
        return from_name;
    };
    match head(&**tree, &entry.kernel) {
        Err(TreeError::NotFound) => {
            findings.fail(code, format!("{name} does not exist"), REMEDY);
        }
        Err(error) if error.is_unknown() => findings.unknown(code, format!("{name}: {error}")),
        Err(error) => findings.fail(code, format!("{name}: {error}"), REMEDY),
        Ok((0, _)) => findings.fail(code, format!("{name} is empty"), REMEDY),
        Ok((size, head)) => match judge(size, &head) {
            Judged::Whole(release) => {
                let known = release.as_deref().unwrap_or("without a release's name");
                findings.pass(
                    code,
                    format!("{name}: an x86 kernel of {size} bytes, {known}"),
                );
                return release.or(from_name);
            }
            Judged::Cut(needed) => findings.fail(
                code,
                format!("{name} has {size} bytes of the {needed} that it says it has"),
                REMEDY,
            ),
            Judged::Empty => findings.fail(
                code,
                format!("{name} has {size} bytes and begins with nothing but zeros"),
                REMEDY,
            ),
            Judged::Strange => findings.unknown(
                code,
                format!("{name}: {size} bytes that are no x86 kernel with a known header"),
            ),
        },
    }
    from_name
}

fn head(tree: &dyn Tree, path: &str) -> Result<(u64, Vec<u8>), TreeError> {
    let (size, reader) = tree.open(path)?;
    let mut head = Vec::new();
    reader
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(|error| TreeError::Unreadable(error.to_string()))?;
    Ok((size, head))
}

enum Judged {
    Whole(Option<String>),
    Cut(u64),
    Empty,
    Strange,
}

/// Reads the header of the x86 boot protocol.
fn judge(size: u64, head: &[u8]) -> Judged {
    if head.iter().all(|byte| *byte == 0) {
        return Judged::Empty;
    }
    if head.get(0x202..0x206) != Some(b"HdrS") {
        return Judged::Strange;
    }
    // Zero is four, for the oldest kernels' sake; the size of the rest is in units of 16 bytes.
    let setup = match head[0x1f1] {
        0 => 4,
        sectors => u64::from(sectors),
    };
    let needed = (setup + 1) * 512 + u64::from(field::le32(head, 0x1f4)) * 16;
    if size < needed {
        return Judged::Cut(needed);
    }
    let version = usize::from(field::le16(head, 0x20e));
    let text = head
        .get(version + 0x200..)
        .filter(|_| version != 0)
        .map(|rest| field::text(&rest[..rest.len().min(128)]));
    let release = text.and_then(|text| text.split_whitespace().next().map(str::to_owned));
    Judged::Whole(release)
}
