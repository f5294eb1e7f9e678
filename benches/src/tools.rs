//! The programs a run needs, looked for before anything is made.

use anyhow::bail;
use bcdr_tests::end_to_end::tool;
use std::process::{Command, Stdio};

const PROGRAMS: [&str; 2] = ["fio", "qemu-nbd"];

/// Checks that every program is there.
///
/// # Errors
/// Names those that are not, and the remedy.
pub(crate) fn check() -> anyhow::Result<()> {
    let missing: Vec<_> = PROGRAMS
        .into_iter()
        .filter(|program| !runs(program))
        .collect();
    if !missing.is_empty() {
        bail!(
            "{} missing: install what is needed with make setup",
            missing.join(" and ")
        );
    }
    let engines = tool::run("fio", ["--enghelp"])?;
    if !engines.lines().any(|line| line.trim() == "nbd") {
        bail!("this fio has no nbd engine: install Debian's fio package, 3.30 or newer");
    }
    tool::bcdr()?;
    if cfg!(debug_assertions) {
        eprintln!("bench: this is no release build; its figures mean nothing. Use make bench");
    }
    Ok(())
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
