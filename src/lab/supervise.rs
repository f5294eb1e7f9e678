//! The lab's supervisor: one process that starts the roles and starts them again when they end.
//!
//! It starts a role as soon as its configuration file is there, so `lab up` can bring the roles up
//! one after the other, and has their certificates issued anew before they end. Roles are no children in spirit: when the supervisor is killed they go on,
//! because production's disk runs through one of them, and the next supervisor adopts them.

use super::{
    identity,
    layout::Layout,
    process::Process,
    state::{RoleState, load_roles, store_roles},
};
use anyhow::Context;
use bcdr_disk::{DirectoryLock, RealStorage, replace_atomically};
use rustix::process::Signal;
use std::{
    fs::{self, OpenOptions},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};

/// The roles in the order in which they start; they stop in the reverse order, so that what a
/// capture still has goes out.
pub(crate) const ROLES: [&str; 3] = ["cloud", "gateway", "capture"];

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often certificates that are due are issued anew; they are due for many days.
const RENEW_EVERY: Duration = Duration::from_secs(60 * 60);
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LONGEST: Duration = Duration::from_secs(5);
/// A role that ran this long is taken for sound: its next end is followed by a start at once.
const SOUND_AFTER: Duration = Duration::from_secs(10);
/// How long a role may take to stop when told to.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(30);

enum Running {
    Child(Child, Process),
    Adopted(Process),
}

impl Running {
    fn process(&self) -> Process {
        match self {
            Self::Child(_, process) | Self::Adopted(process) => *process,
        }
    }

    /// How it ended, if it did.
    fn ended(&mut self) -> Option<String> {
        match self {
            Self::Child(child, _) => match child.try_wait() {
                Ok(Some(status)) => Some(status.to_string()),
                Ok(None) => None,
                Err(error) => Some(format!("it cannot be waited for: {error}")),
            },
            Self::Adopted(process) => (!process.is_alive()).then(|| "ended".to_owned()),
        }
    }
}

struct Supervised {
    name: &'static str,
    running: Option<Running>,
    since: Instant,
    next_start: Instant,
    backoff: Duration,
    restarts: u64,
    starts: u64,
    last_exit: Option<String>,
}

/// Whether a supervisor runs for this lab.
pub(crate) fn is_running(layout: &Layout) -> bool {
    process(layout).is_some()
}

/// The supervisor's process, if one runs. Looking takes no lock: a look must not keep a supervisor
/// from starting.
pub(crate) fn process(layout: &Layout) -> Option<Process> {
    let bytes = fs::read(layout.supervisor_file()).ok()?;
    let process: Process = serde_json::from_slice(&bytes).ok()?;
    process.is_alive().then_some(process)
}

/// The processes that run a role of this lab, by their arguments. A supervisor that was killed may
/// have started one that no file tells of.
pub(crate) fn role_processes(layout: &Layout, role: &str) -> anyhow::Result<Vec<Process>> {
    let configuration = layout.role_configuration(role);
    let found = Process::find(|arguments| {
        let runs_role = arguments.get(1) == Some(&role.as_bytes());
        let ours = [b"--config", configuration.as_os_str().as_bytes()];
        (runs_role && arguments.windows(2).any(|pair| pair == ours)).then_some(())
    });
    let found = found.context("cannot look for the lab's processes in /proc")?;
    Ok(found.into_iter().map(|(process, ())| process).collect())
}

/// The supervisors of this lab by their arguments: one that has not announced itself yet, or is
/// just becoming a role.
pub(crate) fn supervisors(layout: &Layout) -> anyhow::Result<Vec<Process>> {
    let directory = layout.directory.as_os_str().as_bytes();
    let ours: [&[u8]; 4] = [b"lab", b"supervise", b"--dir", directory];
    let found = Process::find(|arguments| arguments.get(1..)?.starts_with(&ours).then_some(()));
    let found = found.context("cannot look for the lab's processes in /proc")?;
    Ok(found.into_iter().map(|(process, ())| process).collect())
}

/// Runs the supervisor until SIGTERM; then stops the roles.
pub(crate) fn run(layout: &Layout) -> anyhow::Result<()> {
    fs::create_dir_all(layout.supervisor_directory())
        .with_context(|| format!("cannot create {}", layout.supervisor_directory().display()))?;
    let _lock = DirectoryLock::acquire(&layout.supervisor_directory())
        .context("another supervisor may be running for this lab")?;
    // Asked for once: an upgrade replaces the file, and roles are then started from the new one.
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut roles = adopt(layout)?;
        let mut told = states(&roles);
        // What an earlier supervisor told is over before anybody sees that there is a new one.
        store_roles(layout, &told)?;
        announce(layout)?;
        let mut next_renewal = Instant::now();
        loop {
            // Before a role starts: one whose certificate has ended would not.
            if Instant::now() >= next_renewal {
                identity::renew(layout, identity::wall());
                next_renewal = Instant::now() + RENEW_EVERY;
            }
            for role in &mut roles {
                look_after(layout, &program, role);
            }
            tell(layout, &roles, &mut told)?;
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        stop(&mut roles);
        tell(layout, &roles, &mut told)
    })
}

/// Says which process the supervisor is.
fn announce(layout: &Layout) -> anyhow::Result<()> {
    let process =
        Process::alive(std::process::id()).context("cannot find this process in /proc")?;
    let bytes = serde_json::to_vec(&process)?;
    Ok(replace_atomically(
        &RealStorage::new(),
        &layout.supervisor_file(),
        &bytes,
    )?)
}

/// Takes over what an earlier supervisor left running, also what it had no time to tell of.
fn adopt(layout: &Layout) -> anyhow::Result<Vec<Supervised>> {
    let earlier = load_roles(layout)?;
    let now = Instant::now();
    ROLES
        .into_iter()
        .map(|name| {
            let before = earlier.iter().find(|role| role.name == name);
            let told = before
                .and_then(RoleState::process)
                .filter(|process| process.is_alive());
            let process = match told {
                Some(process) => Some(process),
                None => role_processes(layout, name)?.pop(),
            };
            Ok(Supervised {
                name,
                running: process.map(Running::Adopted),
                since: now,
                next_start: now,
                backoff: BACKOFF_FIRST,
                restarts: 0,
                starts: 0,
                last_exit: None,
            })
        })
        .collect()
}

fn look_after(layout: &Layout, program: &Path, role: &mut Supervised) {
    let now = Instant::now();
    if let Some(running) = &mut role.running {
        let Some(exit) = running.ended() else { return };
        let sound = now.duration_since(role.since) >= SOUND_AFTER;
        role.backoff = if sound {
            BACKOFF_FIRST
        } else {
            (role.backoff * 2).min(BACKOFF_LONGEST)
        };
        role.next_start = now + if sound { Duration::ZERO } else { role.backoff };
        role.restarts += 1;
        tracing::warn!(role = role.name, exit, "a role ended and is started again");
        role.last_exit = Some(exit);
        role.running = None;
    }
    if now < role.next_start || !layout.role_configuration(role.name).exists() {
        return;
    }
    match take_over_or_start(layout, program, role.name) {
        Ok(running) => {
            role.since = now;
            role.starts += u64::from(matches!(running, Running::Child(..)));
            role.running = Some(running);
        }
        Err(error) => {
            role.backoff = (role.backoff * 2).min(BACKOFF_LONGEST);
            role.next_start = now + role.backoff;
            role.last_exit = Some(format!("{error:#}"));
        }
    }
}

/// Takes over the role if it runs after all: a child of a killed supervisor has the arguments by
/// which it is found only a moment after that supervisor's end. A second one could not have the
/// role's state directory.
fn take_over_or_start(layout: &Layout, program: &Path, role: &str) -> anyhow::Result<Running> {
    match role_processes(layout, role)?.pop() {
        Some(process) => Ok(Running::Adopted(process)),
        None => start(layout, program, role),
    }
}

fn start(layout: &Layout, program: &Path, role: &str) -> anyhow::Result<Running> {
    let log_path = layout.logs().join(format!("{role}.log"));
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .with_context(|| format!("cannot write the log {}", log_path.display()))?;
    let mut command = Command::new(program);
    command.arg(role);
    if role == "cloud" {
        command.arg("run");
    }
    command
        .arg("--config")
        .arg(layout.role_configuration(role))
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        .process_group(0);
    let child = command
        .spawn()
        .with_context(|| format!("cannot start the {role} role"))?;
    let pid = child.id();
    // A child that ended at once is a zombie until it is waited for; its end is seen there.
    let process = Process::alive(pid).unwrap_or(Process {
        pid,
        started_ticks: 0,
    });
    Ok(Running::Child(child, process))
}

/// Tells how the roles are, when that changed.
fn tell(layout: &Layout, roles: &[Supervised], told: &mut Vec<RoleState>) -> anyhow::Result<()> {
    let states = states(roles);
    if states != *told {
        store_roles(layout, &states)?;
        *told = states;
    }
    Ok(())
}

/// How the roles are that were ever started.
fn states(roles: &[Supervised]) -> Vec<RoleState> {
    roles
        .iter()
        .filter(|role| role.running.is_some() || role.starts > 0 || role.last_exit.is_some())
        .map(|role| {
            let process = role.running.as_ref().map(Running::process);
            let state = if process.is_some() {
                "running"
            } else {
                "restarting"
            };
            RoleState {
                name: role.name.to_owned(),
                pid: process.map(|process| process.pid),
                started_ticks: process.map(|process| process.started_ticks),
                state: state.to_owned(),
                restarts: role.restarts,
                last_exit: role.last_exit.clone(),
            }
        })
        .collect()
}

fn stop(roles: &mut [Supervised]) {
    for role in roles.iter_mut().rev() {
        let Some(running) = role.running.take() else {
            continue;
        };
        let process = running.process();
        process.signal(Signal::TERM);
        role.last_exit = Some(wait_for_end(running, process, role.name));
    }
}

fn wait_for_end(mut running: Running, process: Process, name: &str) -> String {
    let deadline = Instant::now() + STOP_DEADLINE;
    loop {
        if let Some(exit) = running.ended() {
            return exit;
        }
        if Instant::now() >= deadline {
            tracing::warn!(role = name, "a role did not stop in time and is killed");
            process.signal(Signal::KILL);
            process.wait_gone(Instant::now() + Duration::from_secs(5));
            return running.ended().unwrap_or_else(|| "killed".to_owned());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::process::tests::Posing, *};

    #[test]
    fn a_role_that_no_file_tells_of_is_taken_over_and_one_of_another_lab_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(&directory.path().join("lab")).unwrap();
        let other = Layout::create(&directory.path().join("lab2")).unwrap();
        let role = Posing::as_role(&layout, "capture");
        let _foreign = Posing::as_role(&other, "gateway");
        let adopted = adopt(&layout).unwrap();
        let running: Vec<_> = adopted
            .iter()
            .map(|role| role.running.as_ref().map(Running::process))
            .collect();
        assert_eq!(running, [None, None, Some(role.process())]);
        // The same when it shows itself only once the supervisor is at work.
        let nothing = Path::new("/nonexistent");
        let running = take_over_or_start(&layout, nothing, "capture").unwrap();
        assert_eq!(running.process(), role.process());
        assert!(take_over_or_start(&layout, nothing, "gateway").is_err());
    }
}
