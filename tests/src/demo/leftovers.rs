//! The proof that the demo leaves nothing: no process, no mount, no file.

use anyhow::{Context, ensure};
use std::{fs, path::Path};

/// Removes the work directory and looks for anything that still refers to it.
pub(super) fn remove_and_prove(work: &Path) -> anyhow::Result<()> {
    let name = work
        .to_str()
        .context("temporary directories have UTF-8 names")?;
    let processes = processes_naming(name)?;
    ensure!(
        processes.is_empty(),
        "processes are left: {}",
        processes.join(", ")
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(!mounts.contains(name), "a mount below {name} is left");
    fs::remove_dir_all(work).with_context(|| format!("cannot remove {name}"))?;
    ensure!(!work.exists(), "{name} is left");
    Ok(())
}

/// Processes other than this one whose command line names the work directory.
fn processes_naming(name: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_string_lossy().into_owned();
        let is_process = pid.bytes().all(|byte| byte.is_ascii_digit());
        if !is_process || pid == std::process::id().to_string() {
            continue;
        }
        // It may end while we look.
        let Ok(line) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(name) {
            found.push(format!("{pid} ({})", line.trim()));
        }
    }
    Ok(found)
}
