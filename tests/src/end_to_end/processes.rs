//! Processes that a test starts, and those that must not be left.

use anyhow::Context;
use std::{
    ffi::OsStr,
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A program in the background; it is killed when dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    name: String,
}

impl Background {
    /// Starts a program. What it says on standard error is shown with a failure.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<S: AsRef<OsStr>>(
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<Self> {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("cannot run {program}: install what the tests need with make setup")
            })?;
        Ok(Self {
            child,
            name: program.to_owned(),
        })
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails when it has ended, with what it said.
    ///
    /// # Errors
    /// When it has ended.
    pub fn require_running(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.ended()? else {
            return Ok(());
        };
        let mut said = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut said)?;
        }
        anyhow::bail!("{} ended with {status}: {said}", self.name)
    }

    /// Ends it now.
    pub fn end(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
    }
}

/// Processes other than this one whose command line holds `text`, as `pid (command line)`.
///
/// # Errors
/// When the processes cannot be listed.
pub fn naming(text: &str) -> anyhow::Result<Vec<String>> {
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
        if line.contains(text) {
            found.push(format!("{pid} ({})", line.trim()));
        }
    }
    Ok(found)
}

/// The names of what lies in a directory, sorted.
///
/// # Errors
/// When it cannot be listed.
pub fn listing(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = fs::read_dir(directory)
        .with_context(|| directory.display().to_string())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
