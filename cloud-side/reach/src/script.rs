//! Scripts: a command of the operator's, run with limits, and what came of it.
//!
//! Invariants: a script runs in a process group of its own, which is ended as a whole when the script
//! itself has ended, when its time is over, when it is cancelled, and when the future is dropped; the
//! script is always reaped. It sees only the environment that was listed for it, reads nothing on its
//! standard input, and of what it prints only a bounded part is kept. A process that leaves the group
//! on purpose (`setsid`) is out of reach.

mod group;
mod kept;

use group::Group;
use kept::Keeper;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

pub use kept::Kept;

/// Most bytes kept of each output, whatever a script asks for (1 MiB).
pub const KEEP_BYTES_MAX: usize = 1 << 20;

/// Where programs are looked for when the script's environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a script that was asked to end (SIGTERM) has before it is ended (SIGKILL).
const GRACE: Duration = Duration::from_secs(2);

/// How long outputs are awaited after everything in the group was ended.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = ScriptCommand)]
pub enum Command {
    /// A program and its arguments. No shell reads them.
    Argv(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

/// A command and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What is run.
    pub command: Command,
    /// Its working directory; `None` for `/`.
    pub directory: Option<PathBuf>,
    /// Names of this process's environment that the script sees. No other name is passed on.
    pub inherit: Vec<String>,
    /// Names and values that the script sees besides.
    pub environment: BTreeMap<String, String>,
    /// How long it may run.
    pub timeout: Duration,
    /// Bytes kept of each output, half from its beginning and half from its end; at most
    /// [`KEEP_BYTES_MAX`].
    pub keep_bytes: usize,
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScriptEnd)]
pub enum End {
    /// By itself, with this status; 0 is success.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// It ran longer than it may, and was ended.
    TimedOut,
    /// It was cancelled, and ended.
    Cancelled,
}

/// What came of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ScriptResult)]
pub struct ScriptResult {
    /// How it ended.
    pub end: End,
    /// From its start to its end, in milliseconds.
    pub took_ms: u64,
    /// What it printed.
    pub stdout: Kept,
    /// What it printed as errors.
    pub stderr: Kept,
}

impl ScriptResult {
    /// Whether it ended by itself with status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.end == End::Exited(0)
    }
}

/// Why a script could not be run or watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// It was cancelled before it was started: nothing of it ran.
    #[error("the script was cancelled before it was started; start it again if it is wanted")]
    Cancelled,
    /// There is no program to run.
    #[error("the script names no program; give it as the first element of argv")]
    Empty,
    /// It could not be started.
    #[error(
        "cannot start script {program:?}: {source}; check that the program exists where the cloud side \
         runs and may be executed"
    )]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It runs, and nobody can see when it ends.
    #[error(
        "cannot watch script {program:?}, which was ended: {source}; the system is short of descriptors \
         or threads"
    )]
    Watch {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Script {
    fn program(&self) -> &str {
        match &self.command {
            Command::Argv(argv) => argv.first().map_or("", String::as_str),
            Command::Shell(_) => "/bin/sh",
        }
    }

    fn prepare(&self) -> Result<std::process::Command, ScriptError> {
        let mut command = match &self.command {
            Command::Argv(argv) => {
                let (program, arguments) = argv.split_first().ok_or(ScriptError::Empty)?;
                if program.is_empty() {
                    return Err(ScriptError::Empty);
                }
                let mut command = std::process::Command::new(program);
                command.args(arguments);
                command
            }
            Command::Shell(line) => {
                let mut command = std::process::Command::new("/bin/sh");
                command.arg("-c").arg(line);
                command
            }
        };
        command.env_clear().env("PATH", DEFAULT_PATH);
        for name in &self.inherit {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .envs(&self.environment)
            .current_dir(self.directory.as_deref().unwrap_or("/".as_ref()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }
}

/// Runs a script to its end. A status other than 0 is a result, no error. `began` is told its process
/// id, which is that of its process group too, before the process can be reaped.
///
/// # Errors
/// When it cannot be started or watched, and when it is cancelled already.
pub async fn run(
    script: &Script,
    cancel: &CancellationToken,
    began: impl FnOnce(i32),
) -> Result<ScriptResult, ScriptError> {
    let program = script.program();
    let start = |source| ScriptError::Start {
        program: program.to_owned(),
        source,
    };
    let watch = |source| ScriptError::Watch {
        program: program.to_owned(),
        source,
    };
    let mut command = script.prepare()?;
    if cancel.is_cancelled() {
        return Err(ScriptError::Cancelled);
    }
    let started = Instant::now();
    let mut group = Group::start(&mut command).map_err(start)?;
    began(group.id());
    let (stdout, stderr) = group.outputs().map_err(watch)?;
    let keep = script.keep_bytes.min(KEEP_BYTES_MAX);
    let mut stdout = Reader::new(stdout, keep);
    let mut stderr = Reader::new(stderr, keep);

    let cut_short = {
        let ended = group.ended();
        tokio::pin!(ended);
        tokio::select! {
            () = &mut ended => None,
            never = both(&mut stdout, &mut stderr) => match never {},
            () = tokio::time::sleep(script.timeout) => Some(End::TimedOut),
            () = cancel.cancelled() => Some(End::Cancelled),
        }
    };
    if cut_short.is_some() {
        group.ask_to_end();
        tokio::select! {
            _ = timeout(GRACE, group.ended()) => {}
            never = both(&mut stdout, &mut stderr) => match never {},
        }
    }
    let status = group.finish().map_err(watch)?;
    let took_ms = milliseconds(started.elapsed());
    // What left the group may hold the outputs open for ever.
    let _ = timeout(OUTPUT_GRACE, async {
        tokio::join!(stdout.drain(), stderr.drain());
    })
    .await;
    Ok(ScriptResult {
        end: cut_short.unwrap_or(status),
        took_ms,
        stdout: stdout.keeper.finish(),
        stderr: stderr.keeper.finish(),
    })
}

/// Reads both outputs, and does not end before it is dropped.
async fn both<A: AsyncRead + Unpin, B: AsyncRead + Unpin>(
    a: &mut Reader<A>,
    b: &mut Reader<B>,
) -> Infallible {
    tokio::join!(a.drain(), b.drain());
    std::future::pending().await
}

/// An output and what is kept of it. Reading can be dropped between any two reads without a loss.
struct Reader<R> {
    output: Option<R>,
    keeper: Keeper,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    fn new(output: R, keep_bytes: usize) -> Self {
        Self {
            output: Some(output),
            keeper: Keeper::new(keep_bytes),
        }
    }

    /// Reads until the output ends or fails.
    async fn drain(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(output) = &mut self.output {
            match output.read(&mut buffer).await {
                Ok(0) | Err(_) => self.output = None,
                Ok(length) => self.keeper.push(&buffer[..length]),
            }
        }
    }
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
