//! The programs and firmware files the qemu target needs on this host.
//!
//! Owns finding them and running the short ones with a deadline. A missing one is an error that
//! names the remedy.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use crate::target::TargetError;

/// Longest run of a helper program such as `qemu-img create`.
const TOOL_DEADLINE: Duration = Duration::from_secs(30);
/// What to do when QEMU is missing.
const INSTALL_REMEDY: &str =
    "install QEMU (on Debian and Ubuntu: packages qemu-system-x86 and qemu-utils)";
/// Where distributions put OVMF: code and variables.
const UEFI_PLACES: [(&str, &str); 5] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/qemu/edk2-x86_64-code.fd",
        "/usr/share/qemu/edk2-i386-vars.fd",
    ),
];

/// Where the programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPaths {
    /// `qemu-system-x86_64`.
    pub system_emulator: PathBuf,
    /// `qemu-img`.
    pub image_tool: PathBuf,
}

impl Default for ToolPaths {
    /// Found by name through `PATH`.
    fn default() -> Self {
        Self {
            system_emulator: "qemu-system-x86_64".into(),
            image_tool: "qemu-img".into(),
        }
    }
}

/// What this host's emulator can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Emulator {
    /// The first line of `-version`.
    pub(super) version: String,
    /// Whether it was built with `-sandbox`.
    pub(super) sandbox: bool,
}

/// The two files of a UEFI firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UefiFiles {
    /// The firmware itself, never written.
    pub(super) code: PathBuf,
    /// Empty variables, to be copied per instance.
    pub(super) variables: PathBuf,
}

/// Finds an OVMF firmware.
pub(super) fn find_uefi() -> Option<UefiFiles> {
    UEFI_PLACES
        .iter()
        .map(|(code, variables)| UefiFiles {
            code: code.into(),
            variables: variables.into(),
        })
        .find(|files| files.code.is_file() && files.variables.is_file())
}

/// The error for a host without OVMF.
pub(super) fn uefi_missing() -> TargetError {
    TargetError::Tool {
        tool: "UEFI firmware".to_owned(),
        reason: "no OVMF files were found".to_owned(),
        remedy: "install OVMF (on Debian and Ubuntu: package ovmf), or set firmware = \"bios\""
            .to_owned(),
    }
}

/// Asks the emulator what it can do.
pub(super) async fn probe_emulator(tools: &ToolPaths) -> Result<Emulator, TargetError> {
    let version = run(&tools.system_emulator, &["-version"]).await?;
    let help = run(&tools.system_emulator, &["-help"]).await?;
    Ok(Emulator {
        version: version.lines().next().unwrap_or_default().to_owned(),
        sandbox: help.contains("-sandbox on"),
    })
}

/// Runs a short program and returns what it printed.
pub(super) async fn run(program: &Path, arguments: &[&str]) -> Result<String, TargetError> {
    let mut command = confined(program);
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let name = || program.display().to_string();
    let child = command.spawn().map_err(|error| unusable(program, &error))?;
    let output = tokio::time::timeout(TOOL_DEADLINE, child.wait_with_output())
        .await
        .map_err(|_| TargetError::Deadline {
            what: name(),
            limit: TOOL_DEADLINE,
        })?
        .map_err(|error| unusable(program, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(TargetError::Tool {
            tool: name(),
            reason: format!("{}: {said}", output.status),
            remedy: "see its message".to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command that inherits nothing but the search path, and dies with its handle.
pub(super) fn confined(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// The error for a program that does not start.
pub(super) fn unusable(program: &Path, error: &std::io::Error) -> TargetError {
    TargetError::Tool {
        tool: program.display().to_string(),
        reason: error.to_string(),
        remedy: INSTALL_REMEDY.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_program_is_named_with_the_remedy() {
        let error = run(Path::new("/nonexistent/qemu-img"), &["--version"])
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/nonexistent/qemu-img") && text.contains("install QEMU"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_failing_program_is_quoted() {
        let error = run(Path::new("/bin/sh"), &["-c", "echo sorry >&2; exit 3"])
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sorry") && text.contains('3'), "{text}");
    }
}
