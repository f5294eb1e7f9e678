//! PostgreSQL's programs, wherever this release of Debian or Ubuntu has them, run as the user that its
//! packages make: the server refuses to run as root.

use crate::end_to_end::tool::Ended;
use anyhow::{Context, ensure};
use std::{
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Where Debian and Ubuntu put each major version, in a directory of its own.
const VERSIONS: &str = "/usr/lib/postgresql";
const USER: &str = "postgres";

/// The newest installed PostgreSQL.
#[derive(Debug, Clone)]
pub struct Programs {
    directory: PathBuf,
    user: u32,
    group: u32,
}

impl Programs {
    /// Finds it.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn find() -> anyhow::Result<Self> {
        let remedy = "install what the tests need with make setup";
        let versions = fs::read_dir(VERSIONS).with_context(|| format!("{VERSIONS}: {remedy}"))?;
        let newest = versions
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.parse().ok())
            .filter(|version: &u32| directory_of(*version).join("postgres").is_file())
            .max();
        let version = newest.with_context(|| format!("no server in {VERSIONS}: {remedy}"))?;
        let users = fs::read_to_string("/etc/passwd")?;
        let fields = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields[0] == USER)
            .with_context(|| format!("there is no user {USER}: {remedy}"))?;
        ensure!(fields.len() > 3, "the entry of user {USER} is torn");
        Ok(Self {
            directory: directory_of(version),
            user: fields[2].parse()?,
            group: fields[3].parse()?,
        })
    }

    /// One of the programs, to be run as PostgreSQL's user.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.directory.join(program));
        // Not in a directory that the user may not look into.
        command.uid(self.user).gid(self.group).current_dir("/");
        command
    }

    /// Runs one of the programs to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn try_run<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<Ended> {
        let output = self.command(program).args(arguments).output();
        let output = output.with_context(|| format!("cannot run {program}"))?;
        Ok(Ended {
            code: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs one of the programs, which must succeed.
    ///
    /// # Errors
    /// When it fails, with what it printed.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<()> {
        let ended = self.try_run(program, arguments)?;
        let Ended {
            code,
            output,
            error,
        } = &ended;
        ensure!(*code == 0, "{program} ended with {code}:\n{output}{error}");
        Ok(())
    }

    /// Makes a directory that belongs to PostgreSQL's user alone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn own_directory(&self, path: &Path) -> anyhow::Result<()> {
        fs::create_dir(path).with_context(|| path.display().to_string())?;
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))?;
        Ok(())
    }
}

fn directory_of(version: u32) -> PathBuf {
    Path::new(VERSIONS).join(version.to_string()).join("bin")
}
