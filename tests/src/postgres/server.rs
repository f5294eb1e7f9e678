//! A PostgreSQL server as a process of the test: made, started, killed with all its children, stopped.
//!
//! Invariant: dropping it leaves none of its processes and nothing of its shared memory.

use super::{
    client::{Client, NAME},
    programs::Programs,
};
use crate::end_to_end::{lab::PATIENCE, tool};
use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// Durability as users have it. Little memory and little WAL, so that pages are evicted, checkpoints
/// fall into the middle of everything, and segments are recycled with old records in them.
const SETTINGS: [&str; 13] = [
    "listen_addresses=",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "shared_buffers=4MB",
    "max_connections=20",
    "min_wal_size=2MB",
    "max_wal_size=8MB",
    "checkpoint_timeout=30s",
    "autovacuum_naptime=1s",
    // A recovery syncs the file system at once, and not file by file.
    "recovery_init_sync_method=syncfs",
    // In the data directory: that of /dev/shm would outlive a killed server.
    "dynamic_shared_memory_type=mmap",
    "log_line_prefix=%m [%p] ",
];

/// A running server.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    postmaster: Child,
    data: PathBuf,
    sockets: PathBuf,
    log: PathBuf,
}

/// Makes a cluster in `data` with checksums, and with small WAL segments.
///
/// # Errors
/// When initdb fails.
pub fn make_cluster(programs: &Programs, data: &Path) -> anyhow::Result<()> {
    programs.own_directory(data)?;
    let directory = data.to_str().context("test paths are UTF-8")?;
    let options = [
        "--data-checksums",
        "--wal-segsize=1",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
    ];
    let which = ["--username", NAME, "--pgdata", directory];
    programs.run("initdb", options.into_iter().chain(which))
}

impl Server {
    /// Starts the server on `data` and waits until it takes queries, after whatever recovery it needs.
    /// Its sockets and its log are in `beside`, which PostgreSQL's user must be able to enter.
    ///
    /// # Errors
    /// When it ends instead, with the end of its log.
    pub fn start(programs: &Programs, data: &Path, beside: &Path) -> anyhow::Result<Self> {
        let sockets = beside.join("sockets");
        if !sockets.exists() {
            programs.own_directory(&sockets)?;
        }
        let log = beside.join("postgres.log");
        let said = File::options().create(true).append(true).open(&log)?;
        let mut command = programs.command("postgres");
        command.arg("-D").arg(data).arg("-k").arg(&sockets);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let postmaster = command
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .context("cannot run postgres: install what the tests need with make setup")?;
        let mut server = Self {
            programs: programs.clone(),
            postmaster,
            data: data.to_owned(),
            sockets,
            log,
        };
        server.wait_ready()?;
        Ok(server)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(error) = Client::connect(&self.sockets) else {
                return Ok(());
            };
            if let Some(status) = self.postmaster.try_wait()? {
                bail!("postgres ended with {status}; its log: {}", self.log_end());
            }
            if Instant::now() >= deadline {
                bail!("postgres takes no queries: {error}; {}", self.log_end());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The directory of its sockets.
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// The directory of its data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The programs it is one of.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Kills it with SIGKILL, with all its children, and waits until none is left.
    ///
    /// # Errors
    /// When one is left.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        // The postmaster goes first: it must not see a child die, and recover.
        self.postmaster.kill()?;
        self.postmaster.wait()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let children = self.processes()?;
            if children.is_empty() {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "processes of a killed postgres stay: {children:?}"
            );
            for child in children {
                // It may have ended meanwhile.
                let _gone = kill_process(child, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.remove_shared_memory()
    }

    /// Stops it in order: a checkpoint, and everything is down.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.postmaster_pid()?;
        // Does not wait for clients.
        kill_process(pid, Signal::INT)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.postmaster.try_wait()? {
                ensure!(
                    status.success(),
                    "postgres ended with {status}; its log: {}",
                    self.log_end()
                );
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "postgres does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn postmaster_pid(&self) -> anyhow::Result<Pid> {
        let pid = i32::try_from(self.postmaster.id())?;
        Pid::from_raw(pid).context("a process number")
    }

    /// Its processes: they all work in its data directory, and each is its own process group.
    fn processes(&self) -> anyhow::Result<Vec<Pid>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            // It may end while we look.
            let works_there =
                || fs::read_link(entry.path().join("cwd")).ok() == Some(self.data.clone());
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw)
                && works_there()
            {
                found.push(pid);
            }
        }
        Ok(found)
    }

    /// A killed postmaster leaves a small segment, by which a successor sees whether children live.
    /// None does, and a successor may never come.
    fn remove_shared_memory(&self) -> anyhow::Result<()> {
        let creator = self.postmaster.id().to_string();
        for line in fs::read_to_string("/proc/sysvipc/shm")?.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if fields.get(4) == Some(&creator.as_str()) {
                tool::run("ipcrm", ["--shmem-id", fields[1]])?;
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.postmaster.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Err(error) = self.kill() {
            eprintln!("a PostgreSQL server could not be ended: {error:#}");
        }
    }
}
