//! Starting a QEMU process, or finding one, and holding on to it.
//!
//! A process belongs to one task, which waits for its end and kills it on request; everyone else
//! asks that task or the control socket. When nobody holds on to it any more, the machine of a drill
//! is killed; that of a failover is production, and goes on.

use std::{fs, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use bcdr_disk::Storage;
use serde_json::{Value, json};
use tokio::{
    process::Child,
    sync::{Mutex, MutexGuard, mpsc, watch},
    time::Instant,
};

use super::{
    CONTROL_DEADLINE, QemuInstance, QmpClient, QmpError, QmpEvent, command, files, isolation,
    process::ProcessIdentity,
    stations::{self, LiveStation, Ways},
    tools,
};
use crate::target::{InstancePurpose, InstanceState, TargetError, WaysIn};

/// Longest wait until a new process answers on its control socket.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Pause between two attempts to reach the control socket.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);
/// Pause between two presses of the power button.
const BUTTON_PAUSE: Duration = Duration::from_secs(5);
/// Pause between two looks at a process that is not our child.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Why a machine stopped that was shut down from inside.
const SHUT_DOWN: &str = "the machine shut down or reset itself";
/// How much of QEMU's own output goes into an error message, in bytes.
const QUOTED_BYTES: u64 = 2048;

/// A QEMU process that this process started or found.
pub(super) struct LiveInstance {
    control: Mutex<QmpClient>,
    kill: mpsc::Sender<()>,
    exited: watch::Receiver<Option<String>>,
    stations: Vec<LiveStation>,
    agent: Option<PathBuf>,
    /// The directory of its sockets.
    sockets: PathBuf,
    /// Held by whoever takes a picture of its screen among its files.
    picture: Mutex<()>,
}

impl LiveInstance {
    /// Our ends of its network.
    pub(super) fn stations(&self) -> Vec<stations::StationEnd> {
        self.stations.iter().map(LiveStation::end).collect()
    }

    /// Waits until the emulator knows that it is connected to its stations; it hears of it a moment
    /// after they do.
    async fn connected(&self) -> Result<(), TargetError> {
        let deadline = Instant::now() + START_DEADLINE;
        while !self.stations.is_empty() {
            let network = self.monitor("info network").await?;
            if !network.contains(isolation::CONNECTING) {
                break;
            }
            if Instant::now() >= deadline {
                return Err(TargetError::Deadline {
                    what: "the emulator's connection to its network".to_owned(),
                    limit: START_DEADLINE,
                });
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
        Ok(())
    }

    /// The ways into it.
    pub(super) fn ways_in(&self) -> Option<Arc<dyn WaysIn>> {
        let (agent, sockets) = (self.agent.clone(), self.sockets.clone());
        Some(Arc::new(Ways::new(&self.stations, agent, sockets)?))
    }

    /// Waits until nobody else takes a picture of its screen, and keeps others from it.
    pub(super) async fn taking(&self) -> MutexGuard<'_, ()> {
        self.picture.lock().await
    }

    /// How the process ended; `None` while it lives.
    pub(super) fn exited(&self) -> Option<String> {
        self.exited.borrow().clone()
    }

    /// Runs a control command.
    pub(super) async fn control(
        &self,
        command: &str,
        arguments: Option<Value>,
        limit: Duration,
    ) -> Result<Value, TargetError> {
        Ok(self
            .control
            .lock()
            .await
            .execute(command, arguments, limit)
            .await?)
    }

    /// Runs a command of the human monitor and returns its text.
    pub(super) async fn monitor(&self, line: &str) -> Result<String, TargetError> {
        let arguments = json!({ "command-line": line });
        let answer = self
            .control("human-monitor-command", Some(arguments), CONTROL_DEADLINE)
            .await?;
        let text = answer.as_str().ok_or(QmpError::Malformed {
            what: "no monitor text",
        })?;
        Ok(text.to_owned())
    }

    /// The events since the last call.
    pub(super) async fn events(&self) -> Vec<QmpEvent> {
        self.control.lock().await.take_events()
    }

    /// Whether the machine executes.
    pub(super) async fn run_state(&self) -> Result<InstanceState, TargetError> {
        let answer = match self.control("query-status", None, CONTROL_DEADLINE).await {
            Err(TargetError::Control(QmpError::Closed)) => {
                let reason = self
                    .exited()
                    .unwrap_or_else(|| "QEMU closed its control".to_owned());
                return Ok(InstanceState::Gone(reason));
            }
            other => other?,
        };
        let status = answer
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or("unnamed");
        Ok(match status {
            "running" => InstanceState::Running,
            "shutdown" => InstanceState::Stopped(SHUT_DOWN.to_owned()),
            "guest-panicked" => InstanceState::Stopped("the machine reported a panic".to_owned()),
            "io-error" => InstanceState::Stopped("a disk of the machine failed".to_owned()),
            "internal-error" => InstanceState::Stopped("the emulation failed".to_owned()),
            other => InstanceState::Stopped(format!("the machine is in state {other}")),
        })
    }

    /// Asks the machine to shut itself down and waits until it did, or until `limit` has passed.
    pub(super) async fn shut_down(&self, limit: Duration) -> Result<bool, TargetError> {
        let deadline = Instant::now() + limit;
        let mut asked: Option<Instant> = None;
        loop {
            match self.run_state().await? {
                InstanceState::Running => {}
                InstanceState::Gone(_) => return Ok(true),
                // One whose disk failed or that panicked did not write out what it had.
                InstanceState::Stopped(reason) => return Ok(reason == SHUT_DOWN),
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            // A machine that is still booting does not hear the button; it is pressed again.
            if asked.is_none_or(|at| now - at >= BUTTON_PAUSE) {
                self.control("system_powerdown", None, CONTROL_DEADLINE)
                    .await?;
                asked = Some(now);
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Kills the process and waits until it is reaped.
    pub(super) async fn end(&self, limit: Duration) -> Result<(), TargetError> {
        // A full queue holds the same wish already; a closed one means that the process ended.
        let _already_wished = self.kill.try_send(());
        let mut exited = self.exited.clone();
        let what = || "the end of the killed QEMU process".to_owned();
        match tokio::time::timeout(limit, exited.wait_for(Option::is_some)).await {
            // An error means that the task ended, which it does only after the process.
            Ok(_) => Ok(()),
            Err(_) => Err(TargetError::Deadline {
                what: what(),
                limit,
            }),
        }
    }
}

/// Starts the emulator, paused before the machine's first instruction.
pub(super) async fn start(
    tools: &tools::ToolPaths,
    storage: &Arc<dyn Storage>,
    instance: &QemuInstance,
) -> Result<(LiveInstance, QemuInstance), TargetError> {
    if instance.purpose == InstancePurpose::Drill {
        command::only_isolated(&instance.arguments, &instance.stations)
            .map_err(|reason| TargetError::NotIsolated { reason })?;
    }
    let mut instance = instance.clone();
    if tools::probe_emulator(tools).await?.sandbox {
        instance.arguments.extend(command::sandbox_arguments());
    }
    files::create_private(&**storage, &instance.error_log)?;
    // The emulator connects to them when it starts.
    let listeners = stations::listen(&instance.stations)?;
    let child = spawn(tools, &instance)?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    instance.process = pid.and_then(ProcessIdentity::of);
    let (kill, kill_wishes) = mpsc::channel(1);
    let (exit_sender, exited) = watch::channel(None);
    let supervised = supervise(child, instance.clone(), kill_wishes, exit_sender);
    tokio::spawn(supervised);
    let connected = async {
        let control = connect(&instance, exited.clone()).await?;
        let process = instance.process.as_ref();
        let stations = stations::accept(listeners, process, exited.clone()).await?;
        let control = Mutex::new(control);
        let live = LiveInstance {
            control,
            kill: kill.clone(),
            exited: exited.clone(),
            stations,
            agent: instance.agent_socket.clone(),
            sockets: instance.sockets().to_owned(),
            picture: Mutex::default(),
        };
        live.connected().await?;
        Ok(live)
    };
    match connected.await {
        Ok(live) => Ok((live, instance)),
        Err(error) => {
            // A machine that nobody can control is not wanted; the clean-up proves its end.
            let _already_wished = kill.try_send(());
            Err(error)
        }
    }
}

/// Takes charge of a process that an earlier one started. `None` if it is gone.
pub(super) async fn adopt(instance: &QemuInstance) -> Result<Option<LiveInstance>, TargetError> {
    let Some(process) = instance.process.clone().filter(ProcessIdentity::lives) else {
        return Ok(None);
    };
    let (kill, kill_wishes) = mpsc::channel(1);
    let (exit_sender, exited) = watch::channel(None);
    tokio::spawn(watch_over(
        process,
        instance.clone(),
        kill_wishes,
        exit_sender,
    ));
    let control = Mutex::new(connect(instance, exited.clone()).await?);
    Ok(Some(LiveInstance {
        control,
        kill,
        exited,
        // Only machines of a drill have any, and those do not outlive their process.
        stations: Vec::new(),
        agent: None,
        sockets: instance.sockets().to_owned(),
        picture: Mutex::default(),
    }))
}

fn spawn(tools: &tools::ToolPaths, instance: &QemuInstance) -> Result<Child, TargetError> {
    let open_log = || {
        fs::OpenOptions::new()
            .append(true)
            .open(&instance.error_log)
    };
    let wrap = TargetError::files("open the emulator's log", &instance.error_log);
    let (output, errors) = open_log()
        .and_then(|log| Ok((log.try_clone()?, log)))
        .map_err(wrap)?;
    tools::confined(&tools.system_emulator)
        .kill_on_drop(instance.purpose == InstancePurpose::Drill)
        .args(&instance.arguments)
        .current_dir(&instance.directory)
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(errors))
        // A group of its own: a signal for this process's group must not reach the machine.
        .process_group(0)
        .spawn()
        .map_err(|error| tools::unusable(&tools.system_emulator, &error))
}

/// Owns the child: reaps it when it ends and kills it when asked; in a drill also when nobody holds
/// it any more.
async fn supervise(
    mut child: Child,
    instance: QemuInstance,
    mut kill_wishes: mpsc::Receiver<()>,
    exited: watch::Sender<Option<String>>,
) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = wish(&mut kill_wishes, instance.purpose) => match child.start_kill() {
            Ok(()) => child.wait().await,
            Err(error) => Err(error),
        },
    };
    let status = match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("it could not be waited for: {error}"),
    };
    tell_end(&instance, &exited, status);
}

/// Looks after a process that is not our child.
async fn watch_over(
    process: ProcessIdentity,
    instance: QemuInstance,
    mut kill_wishes: mpsc::Receiver<()>,
    exited: watch::Sender<Option<String>>,
) {
    let mut wished = false;
    while process.lives() {
        tokio::select! {
            () = tokio::time::sleep(LOOK_PAUSE) => {}
            () = wish(&mut kill_wishes, instance.purpose), if !wished => {
                wished = true;
                if let Err(error) = super::process::kill(&process, &instance.marker) {
                    tracing::error!(marker = instance.marker, %error, "a machine cannot be ended");
                }
            }
        }
    }
    tell_end(&instance, &exited, "the process is gone".to_owned());
}

/// Returns when the process is to be killed.
async fn wish(wishes: &mut mpsc::Receiver<()>, purpose: InstancePurpose) {
    if wishes.recv().await.is_none() && purpose == InstancePurpose::Failover {
        std::future::pending::<()>().await;
    }
}

fn tell_end(instance: &QemuInstance, exited: &watch::Sender<Option<String>>, status: String) {
    let said = files::last_lines(&instance.error_log, QUOTED_BYTES);
    let reason = if said.is_empty() {
        status
    } else {
        format!("{status}; QEMU said: {said}")
    };
    exited.send_replace(Some(reason));
}

/// Reaches the control socket, unless the process ends first.
async fn connect(
    instance: &QemuInstance,
    mut exited: watch::Receiver<Option<String>>,
) -> Result<QmpClient, TargetError> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let error = match QmpClient::connect(&instance.control_socket, CONTROL_DEADLINE).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(error.into());
        }
        // The end of the process cuts the pause short.
        let ended = tokio::time::timeout(CONNECT_PAUSE, exited.wait_for(Option::is_some));
        if let Ok(Ok(reason)) = ended.await.map(|end| end.map(|reason| reason.clone())) {
            let reason = reason.unwrap_or_default();
            return Err(TargetError::Ended {
                during: "starting",
                reason,
            });
        }
    }
}
