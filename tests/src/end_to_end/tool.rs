//! Running real programs. A missing one fails the test and says how to get it.

use anyhow::{Context, ensure};
use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Output},
};

/// The `bcdr` program: the one named by `BCDR_PROGRAM`, or that of this build.
///
/// # Errors
/// When it was not built: `make test` builds the workspace first.
pub fn bcdr() -> anyhow::Result<PathBuf> {
    if let Some(program) = std::env::var_os("BCDR_PROGRAM") {
        return Ok(program.into());
    }
    let this = std::env::current_exe()?;
    // Tests are one directory below the programs; programs are beside each other.
    let mut candidates = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("bcdr"));
    candidates
        .find(|program| program.is_file())
        .with_context(|| {
            format!(
                "bcdr is not beside {}: build it with cargo build --workspace",
                this.display()
            )
        })
}

/// Runs a program to its end and gives its output back, whatever its exit status.
///
/// # Errors
/// When it cannot be started.
pub fn output<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> anyhow::Result<Output> {
    let program = program.as_ref();
    Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| {
            format!(
                "cannot run {}: install what the tests need with make setup",
                program.display()
            )
        })
}

/// What a program ended with.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub error: String,
}

/// Runs a program to its end, for tests that look at how it ended.
///
/// # Errors
/// When it cannot be started.
pub fn try_run<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> anyhow::Result<Ended> {
    let output = output(program, arguments)?;
    Ok(Ended {
        code: output.status.code().unwrap_or(-1),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a program that must succeed; returns its standard output.
///
/// # Errors
/// When it cannot be started or fails, with what it printed.
pub fn run<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> anyhow::Result<String> {
    let program = program.as_ref();
    let arguments: Vec<_> = arguments
        .into_iter()
        .map(|a| a.as_ref().to_owned())
        .collect();
    let output = output(program, &arguments)?;
    ensure!(
        output.status.success(),
        "{} {arguments:?} failed with {}:\n{}{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs qemu-io commands on a raw volume in one client; a failed verification is a failure of it.
///
/// # Errors
/// When qemu-io cannot be started, or a command of it fails.
pub fn qemu_io(uri: &str, commands: &[&str]) -> anyhow::Result<()> {
    let mut arguments = vec!["-f", "raw"];
    commands
        .iter()
        .for_each(|command| arguments.extend(["-c", command]));
    arguments.push(uri);
    let printed = run("qemu-io", arguments)?;
    ensure!(!printed.contains("failed"), "qemu-io said {printed}");
    Ok(())
}
