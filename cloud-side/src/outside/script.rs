//! Scripts: programs of one directory that this host's operator filled.

use super::{Outside, files, not_configured, note, stopped};
use crate::{
    plans::{Errand, LeftBehind},
    target::qemu::ProcessIdentity,
};
use bcdr_plan::{Failure, ScriptStep};
use bcdr_reach::script::{Command, End, Script, ScriptError, ScriptResult, run};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a script that was killed may take to be gone.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks whether it is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is kept of an attempt while its script runs, and what is read of that in another process.
#[derive(Serialize, Deserialize)]
struct Begun {
    /// The script, which leads its process group.
    process: Option<ProcessIdentity>,
    /// How it ended; what is kept then replaces all of this.
    #[serde(default, skip_serializing)]
    end: Option<End>,
}

/// Bytes that are kept of each output.
const KEEP_BYTES: usize = 64 * 1024;

impl Outside {
    /// What a step runs, without the facts of a run.
    pub(super) fn script(&self, step: &ScriptStep) -> Result<Script, Failure> {
        let directory = self.programs.as_ref().ok_or_else(|| {
            not_configured(
                "no program may be run by plans here".to_owned(),
                "set outside.programs_directory in the cloud side's configuration",
            )
        })?;
        // A look at a directory of this host; it is asked again whenever the program is run.
        let program = files::program(directory, &step.program).map_err(|wrong| Failure {
            code: "no_program".to_owned(),
            cause: wrong.cause,
            remedy: wrong.remedy,
        })?;
        let mut environment = step.environment.clone();
        for (name, secret) in &step.secrets {
            let value = self.script_secrets.get(secret).ok_or_else(|| {
                not_configured(
                    format!("there is no secret {secret:?} for scripts here"),
                    "name its file under [outside.script_secrets] in the cloud side's configuration",
                )
            })?;
            environment.insert(name.clone(), value.as_str().to_owned());
        }
        let program = program.to_string_lossy().into_owned();
        let argv = [program].into_iter().chain(step.arguments.iter().cloned());
        Ok(Script {
            command: Command::Argv(argv.collect()),
            directory: None,
            inherit: Vec::new(),
            environment,
            timeout: Duration::from_secs(step.timeout_seconds.into()),
            keep_bytes: KEEP_BYTES,
        })
    }

    /// Ends a script that outlived the process that had begun it.
    pub(super) async fn end_left_script(&self, errand: &Errand) -> LeftBehind {
        let process = match self.evidence.read::<Begun>(&errand.facts).await {
            // It ended before that process did.
            Some(Begun { end: Some(_), .. }) => return LeftBehind::Gone,
            Some(Begun {
                process: Some(process),
                ..
            }) => process,
            _ => return LeftBehind::Unknown,
        };
        match process.kill_group() {
            Ok(false) => return LeftBehind::Orphaned,
            Ok(true) => {}
            Err(error) => {
                tracing::error!(errand = errand.name, pid = process.pid, %error, "a script that outlived the cloud side cannot be ended");
                return LeftBehind::Unknown;
            }
        }
        tracing::warn!(
            errand = errand.name,
            pid = process.pid,
            "a script that outlived the cloud side was ended"
        );
        let gone = async {
            while process.lives() {
                sleep(LOOK_AGAIN).await;
            }
        };
        match timeout(END_PATIENCE, gone).await {
            Ok(()) => LeftBehind::Ended,
            Err(_) => LeftBehind::Unknown,
        }
    }

    pub(super) fn look_at_script(&self, step: &ScriptStep) -> Result<String, Failure> {
        let script = self.script(step)?;
        let Command::Argv(argv) = script.command else {
            return Ok(String::new());
        };
        Ok(format!("{} may be run", argv[0]))
    }

    pub(super) async fn run_script(
        &self,
        step: &ScriptStep,
        errand: &Errand,
        stop: &CancellationToken,
    ) -> Result<String, Failure> {
        let mut script = self.script(step)?;
        script.environment.extend(errand.facts.named(&errand.name));
        let (tell, told) = oneshot::channel();
        // Asked for at once: later its number may be somebody else's.
        let began = |pid| drop(tell.send(ProcessIdentity::of(pid)));
        let noting = async {
            if let Ok(Some(process)) = told.await {
                let process = Some(process);
                let begun = Begun { process, end: None };
                self.evidence.keep(&errand.facts, &begun).await;
            }
        };
        let (result, ()) = tokio::join!(run(&script, stop, began), noting);
        let result = result.map_err(|error| match error {
            ScriptError::Cancelled => {
                stopped("the run was cancelled before the script was started")
            }
            error => note::failure("script_not_run", &error.to_string()),
        })?;
        let kept = self.evidence.keep(&errand.facts, &result).await;
        let said = said(&result);
        let remedy = "look at what it did; then retry the step, or skip it";
        let failed = |code: &str, what: String| Failure {
            code: code.to_owned(),
            cause: format!("{what}{said}"),
            remedy: format!("{remedy}{kept}"),
        };
        match result.end {
            End::Exited(0) => {
                let took = note::seconds(result.took_ms);
                Ok(format!("ended with status 0 after {took}{said}{kept}"))
            }
            End::Exited(status) => Err(failed(
                "script_failed",
                format!("it ended with status {status}"),
            )),
            End::Signalled(signal) => Err(failed(
                "script_failed",
                format!("it was ended by signal {signal}"),
            )),
            End::TimedOut => {
                let what = format!(
                    "it ran longer than {} s, and was ended",
                    step.timeout_seconds
                );
                Err(failed("script_timed_out", what))
            }
            End::Cancelled => Err(stopped(
                "the run was cancelled while the script ran, and it was ended",
            )),
        }
    }
}

/// What it said last: as errors, if it said any.
fn said(result: &ScriptResult) -> String {
    let mut said = String::new();
    for (name, kept) in [("said", &result.stdout), ("errors", &result.stderr)] {
        let lines = note::last_lines(kept);
        if !lines.is_empty() {
            said.push_str(&format!("; {name}: {lines}"));
        }
    }
    said
}
