//! A lab of real processes, driven only through the command line that users have.

use super::tool::{self, Ended};
use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// How long anything that must happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A running lab. It is taken down when dropped. A test that did not get as far as taking it down
/// itself has failed: then its logs are printed.
#[derive(Debug)]
pub struct Lab {
    directory: PathBuf,
    report: Value,
    ended: AtomicBool,
}

impl Lab {
    /// Brings a lab up in `directory` for these volumes.
    ///
    /// # Errors
    /// Whatever `bcdr lab up` says.
    pub fn up(directory: &Path, volumes: &[(&str, &Path)]) -> anyhow::Result<Self> {
        Self::up_with(directory, volumes, &[])
    }

    /// As [`Self::up`], with more arguments.
    ///
    /// # Errors
    /// Whatever `bcdr lab up` says.
    pub fn up_with(
        directory: &Path,
        volumes: &[(&str, &Path)],
        more: &[&str],
    ) -> anyhow::Result<Self> {
        // A lab that failed half-way up is taken down as well.
        let mut lab = Self {
            directory: directory.to_owned(),
            report: Value::Null,
            ended: AtomicBool::new(false),
        };
        let printed = tool::run(tool::bcdr()?, up_arguments(directory, volumes, more))?;
        lab.report = serde_json::from_str(&printed).context("lab up printed no JSON")?;
        Ok(lab)
    }

    /// Tries to bring a lab up, for tests that expect a refusal. Whatever it started is the
    /// caller's to look for.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub fn try_up(
        directory: &Path,
        volumes: &[(&str, &Path)],
        more: &[&str],
    ) -> anyhow::Result<Ended> {
        tool::try_run(tool::bcdr()?, up_arguments(directory, volumes, more))
    }

    /// Tries to bring this lab up again after it was down, for tests that expect it may refuse.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub fn try_up_again(&self) -> anyhow::Result<Ended> {
        // Even a refused lab has a supervisor that keeps trying.
        self.ended.store(false, Ordering::Relaxed);
        Self::try_up(&self.directory, &[], &[])
    }

    /// Brings a lab that exists up again, whether it is down or not; returns what was printed.
    ///
    /// # Errors
    /// Whatever `bcdr lab up` says.
    pub fn up_again(&mut self) -> anyhow::Result<Value> {
        self.ended.store(false, Ordering::Relaxed);
        let printed = tool::run(tool::bcdr()?, up_arguments(&self.directory, &[], &[]))?;
        self.report = serde_json::from_str(&printed).context("lab up printed no JSON")?;
        Ok(self.report.clone())
    }

    /// What `lab up` printed.
    pub fn report(&self) -> &Value {
        &self.report
    }

    /// The lab's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs a command of the operator with `-o json` in this lab's context; returns its JSON.
    ///
    /// # Errors
    /// When the command fails.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let printed = tool::run(tool::bcdr()?, self.arguments(arguments))?;
        serde_json::from_str(&printed).with_context(|| format!("{arguments:?} printed no JSON"))
    }

    /// As [`Self::json`], whatever the exit status.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub fn try_command(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        tool::try_run(tool::bcdr()?, self.arguments(arguments))
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<OsString> {
        let mut all: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        all.extend(["-o".into(), "json".into(), "--context".into()]);
        all.push(self.directory.join("context.toml").into());
        all
    }

    /// The path of the socket that serves a volume.
    ///
    /// # Errors
    /// When the lab has no such volume.
    pub fn socket(&self, volume: &str) -> anyhow::Result<PathBuf> {
        let uri = self.uri(volume)?;
        let (_, socket) = uri
            .split_once("?socket=")
            .context("an NBD URI without a socket")?;
        Ok(PathBuf::from(socket))
    }

    /// The NBD URI of a volume.
    ///
    /// # Errors
    /// When the lab has no such volume.
    pub fn uri(&self, volume: &str) -> anyhow::Result<String> {
        let volumes = self.report["volumes"]
            .as_array()
            .context("no volumes in the report")?;
        volumes
            .iter()
            .find(|entry| entry["name"] == volume)
            .and_then(|entry| entry["nbd"].as_str())
            .map(str::to_owned)
            .with_context(|| format!("the lab has no volume {volume}"))
    }

    /// The process of a role now.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self, role: &str) -> anyhow::Result<i32> {
        let status = self.lab_command("status")?;
        let roles = status["roles"]
            .as_array()
            .context("no roles in the status")?;
        roles
            .iter()
            .find(|entry| entry["name"] == role && entry["state"] == "running")
            .and_then(|entry| entry["pid"].as_i64())
            .and_then(|pid| i32::try_from(pid).ok())
            .with_context(|| format!("the {role} role does not run: {status}"))
    }

    /// Kills a role with SIGKILL and waits until the supervisor has started it anew.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn kill(&self, role: &str) -> anyhow::Result<()> {
        let old = self.pid(role)?;
        self.signal(role, Signal::KILL)?;
        wait_for(&format!("{role} to be started anew"), || {
            Ok(self.pid(role).is_ok_and(|pid| pid != old))
        })
    }

    /// Sends a signal to a role.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, role: &str, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.pid(role)?).context("a process number")?;
        Ok(kill_process(pid, signal)?)
    }

    /// The group, as the API shows it.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn group(&self) -> anyhow::Result<Value> {
        self.json(&["group", "show", "lab"])
    }

    /// Waits until the group is protected continuously and a point is published.
    ///
    /// # Errors
    /// When it does not get there.
    pub fn wait_continuous(&self) -> anyhow::Result<()> {
        self.wait_group("continuous replication", |group| {
            group["replication"]["state"] == "continuous" && group["latest_point"].is_object()
        })?;
        Ok(())
    }

    /// Places a bookmark and waits until it is published: everything written before is in it.
    ///
    /// # Errors
    /// When it is not published.
    pub fn bookmark(&self, label: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let arguments = ["point", "create", "lab", "--label", label, "--wait"];
            let tried = self.try_command(&arguments)?;
            if tried.code == 0 {
                return Ok(serde_json::from_str(&tried.output)?);
            }
            // While a role comes back there is no way to the capture; that is said, not hidden.
            if Instant::now() >= deadline {
                bail!(
                    "bookmark {label} was not published ({}): {}",
                    tried.code,
                    tried.error
                );
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Exports a volume at an instant into `file`.
    ///
    /// # Errors
    /// When the export fails.
    pub fn export(&self, volume: &str, at: &str, file: &Path) -> anyhow::Result<()> {
        let path = file.to_str().context("test paths are UTF-8")?;
        self.json(&[
            "point", "export", "lab", "--volume", volume, "--at", at, "--to", path, "--format",
            "raw",
        ])?;
        Ok(())
    }

    /// All published points, oldest first, as their ids.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn points(&self) -> anyhow::Result<Vec<String>> {
        let listed = self.json(&["point", "list", "lab", "--limit", "100000"])?;
        let items = listed["items"]
            .as_array()
            .or(listed.as_array())
            .context("no list of points")?;
        let mut ids: Vec<_> = items
            .iter()
            .filter_map(|point| point["id"].as_str().map(str::to_owned))
            .collect();
        ids.reverse();
        Ok(ids)
    }

    /// Takes the lab down and checks that nothing of it is left running.
    ///
    /// # Errors
    /// When something is.
    pub fn down(&self) -> anyhow::Result<()> {
        let report = self.lab_command("down")?;
        let roles = report["roles"]
            .as_array()
            .context("no roles in the report")?;
        ensure!(
            roles.iter().all(|role| role["state"] == "stopped"),
            "roles are left running: {report}"
        );
        self.ended.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What `lab status` says.
    ///
    /// # Errors
    /// When the command fails.
    pub fn status(&self) -> anyhow::Result<Value> {
        self.lab_command("status")
    }

    fn lab_command(&self, verb: &str) -> anyhow::Result<Value> {
        let mut arguments: Vec<OsString> = ["lab", verb, "-o", "json", "--dir"]
            .iter()
            .map(OsString::from)
            .collect();
        arguments.push(self.directory.clone().into());
        Ok(serde_json::from_str(&tool::run(tool::bcdr()?, arguments)?)?)
    }

    /// The configuration file of a role.
    pub fn configuration(&self, role: &str) -> PathBuf {
        self.directory.join("config").join(format!("{role}.toml"))
    }

    /// Changes a role's configuration and starts the role anew with it.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn reconfigure(
        &self,
        role: &str,
        change: impl FnOnce(String) -> String,
    ) -> anyhow::Result<()> {
        let path = self.configuration(role);
        fs::write(&path, change(fs::read_to_string(&path)?))?;
        self.kill(role)
    }

    /// Kills a role and keeps it down: the supervisor starts no role without a configuration.
    ///
    /// # Errors
    /// When it does not end.
    pub fn hold_down(&self, role: &str) -> anyhow::Result<()> {
        let path = self.configuration(role);
        fs::rename(&path, path.with_extension("held"))?;
        self.signal(role, Signal::KILL)?;
        wait_for(&format!("{role} to be down"), || {
            Ok(self.pid(role).is_err())
        })
    }

    /// Lets the supervisor start a role that was held down.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn let_up(&self, role: &str) -> anyhow::Result<()> {
        self.release(role)?;
        wait_for(&format!("{role} to be up"), || Ok(self.pid(role).is_ok()))
    }

    /// Gives a role that was held down its configuration back, for a lab that is down.
    ///
    /// # Errors
    /// When it was not held down.
    pub fn release(&self, role: &str) -> anyhow::Result<()> {
        let path = self.configuration(role);
        fs::rename(path.with_extension("held"), &path)
            .with_context(|| format!("{role} was not held down"))
    }

    /// The sum of a metric over its labels, as the capture shows it now.
    ///
    /// # Errors
    /// When the capture does not answer, or has no such metric.
    pub fn capture_metric(&self, name: &str) -> anyhow::Result<f64> {
        let configuration = fs::read_to_string(self.configuration("capture"))?;
        let socket = configuration
            .lines()
            .find_map(|line| line.strip_prefix("local_api_socket = "))
            .context("the capture has no local API")?;
        let mut stream = UnixStream::connect(socket.trim_matches('"'))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: capture\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let values: Vec<f64> = answer
            .lines()
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        ensure!(!values.is_empty(), "the capture has no metric {name}");
        Ok(values.iter().sum())
    }

    /// What a role has logged.
    ///
    /// # Errors
    /// When it has no log.
    pub fn log(&self, role: &str) -> anyhow::Result<String> {
        let path = self.directory.join("log").join(format!("{role}.log"));
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Waits until the group is as `wanted`; says how it was instead when it does not get there.
    ///
    /// # Errors
    /// When the deadline passes.
    pub fn wait_group(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // The API may be away while its role comes back.
            if let Ok(group) = self.group() {
                if wanted(&group) {
                    return Ok(group);
                }
                last = group;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("waited too long for {what}; the group is {last}")
    }
}

fn up_arguments(directory: &Path, volumes: &[(&str, &Path)], more: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["lab", "up", "-o", "json", "--dir"]
        .iter()
        .map(OsString::from)
        .collect();
    arguments.push(directory.into());
    for (name, path) in volumes {
        let mut volume = OsString::from(format!("{name}="));
        volume.push(path);
        arguments.extend(["--volume".into(), volume]);
    }
    arguments.extend(more.iter().map(OsString::from));
    arguments
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        self.print_logs();
        if let Err(error) = self.down() {
            eprintln!("the lab could not be taken down: {error:#}");
        }
    }
}

impl Lab {
    fn print_logs(&self) {
        for role in ["supervisor", "capture", "gateway", "cloud"] {
            let path = self.directory.join("log").join(format!("{role}.log"));
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let lines: Vec<_> = text.lines().collect();
            eprintln!("--- {role} (last lines)");
            lines[lines.len().saturating_sub(40)..]
                .iter()
                .for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Waits for a condition, with a deadline that only a hang reaches.
///
/// # Errors
/// When the deadline passes, or the condition fails.
pub fn wait_for(what: &str, done: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !done()? {
        ensure!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
