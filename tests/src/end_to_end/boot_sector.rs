//! The smallest machine: one sector that leaves a mark on its disk at each boot, for tests that need
//! a machine that wrote and not the hundreds of megabytes of one that people use.

use super::tool;
use anyhow::{Context, ensure};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

const SOURCE: &str = include_str!("boot_sector.s");
const SECTOR_BYTES: u64 = 512;
/// Where the BIOS puts it.
const LOADED_AT: &str = "0x7c00";
/// Where the machine counts its boots.
const COUNT_AT: u64 = SECTOR_BYTES;

/// What the ladder is to expect of it: nothing between the firmware and the login. It does not hear
/// the power button.
pub const LAUNCH: &str = r#"
memory_mib = 64
shut_down_seconds = 1
power_off = true

[rungs]
kernel = ""
root_mounted = ""
"#;

/// Makes `disk` boot this machine.
///
/// # Errors
/// When the assembler or the linker is missing, or the disk cannot be written.
pub fn install(disk: &Path) -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let [source, object, sector] = ["s", "o", "bin"].map(|kind| work.path().join(kind));
    fs::write(&source, SOURCE)?;
    let assemble = ["--32".as_ref(), "-o".as_ref(), object.as_os_str()];
    tool::run("as", assemble.into_iter().chain([source.as_os_str()]))?;
    let link = ["-m", "elf_i386", "--oformat", "binary", "-Ttext", LOADED_AT].map(AsRef::as_ref);
    let files = ["-o".as_ref(), sector.as_os_str(), object.as_os_str()];
    tool::run("ld", link.into_iter().chain(files))?;
    let code = fs::read(&sector)?;
    ensure!(
        code.len() as u64 == SECTOR_BYTES && code.ends_with(&[0x55, 0xaa]),
        "the boot sector has {} bytes",
        code.len()
    );
    let disk = File::options().write(true).open(disk)?;
    Ok(disk.write_all_at(&code, 0)?)
}

/// How often the machine on this disk booted, and whether the marks of these boots are there.
///
/// # Errors
/// When a mark is missing.
pub fn boots(disk: &Path) -> anyhow::Result<u8> {
    let file = File::open(disk).with_context(|| disk.display().to_string())?;
    let mut count = [0];
    file.read_exact_at(&mut count, COUNT_AT)?;
    for boot in 1..=count[0] {
        let mut mark = [0; 63 * SECTOR_BYTES as usize];
        let at = (2048 + 64 * u64::from(boot)) * SECTOR_BYTES;
        file.read_exact_at(&mut mark, at)?;
        ensure!(
            mark.iter().all(|byte| *byte == boot),
            "the mark of boot {boot} is not on {}",
            disk.display()
        );
    }
    Ok(count[0])
}
