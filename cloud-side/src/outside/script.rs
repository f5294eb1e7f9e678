//! Scripts: programs of directories that this host's operator filled, one for plans and one for rungs.

use super::{Outside, files, not_configured, note, stopped};
use crate::{
    drill::{RungScripts, ScriptFuture, ScriptRun, ScriptTrouble},
    plans::{Errand, LeftBehind},
    target::{
        ScriptProbe,
        qemu::{GroupEnd, ProcessIdentity},
    },
};
use bcdr_plan::{Failure, ScriptStep};
use bcdr_reach::script::{Command, End, Script, ScriptError, ScriptResult, run};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

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
        self.script_of(directory, step)
    }

    /// What a rung runs, without the facts of a drill.
    fn rung_script(&self, probe: &ScriptProbe) -> Result<Script, Failure> {
        let directory = self.rung_programs.as_ref().ok_or_else(|| {
            not_configured(
                "no program may be run by rungs here".to_owned(),
                "set outside.rung_programs_directory in the cloud side's configuration",
            )
        })?;
        self.script_of(directory, &probe.step())
    }

    fn script_of(&self, directory: &Path, step: &ScriptStep) -> Result<Script, Failure> {
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
        let ended = match process.end_group().await {
            Ok(GroupEnd::WasGone | GroupEnd::Orphaned) => return LeftBehind::Orphaned,
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(errand = errand.name, pid = process.pid, %error, "a script that outlived the cloud side cannot be ended");
                return LeftBehind::Unknown;
            }
        };
        tracing::warn!(
            errand = errand.name,
            pid = process.pid,
            "a script that outlived the cloud side was ended"
        );
        match ended {
            GroupEnd::LivesOn => LeftBehind::Unknown,
            _ => LeftBehind::Ended,
        }
    }

    pub(super) fn look_at_script(&self, step: &ScriptStep) -> Result<String, Failure> {
        Ok(may_be_run(&self.script(step)?))
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
        if result.end == End::Cancelled {
            return Err(stopped(
                "the run was cancelled while the script ran, and it was ended",
            ));
        }
        let remedy = "look at what it did; then retry the step, or skip it";
        match judged(&result, step.timeout_seconds) {
            Ok(observed) => Ok(format!("{observed}{kept}")),
            Err((code, cause)) => Err(Failure {
                code: code.to_owned(),
                cause,
                remedy: format!("{remedy}{kept}"),
            }),
        }
    }
}

impl RungScripts for Outside {
    fn look(&self, probe: &ScriptProbe) -> Result<String, ScriptTrouble> {
        let script = self.rung_script(probe).map_err(trouble)?;
        Ok(may_be_run(&script))
    }

    fn run<'a>(
        &'a self,
        probe: &'a ScriptProbe,
        environment: BTreeMap<String, String>,
        began: Box<dyn FnOnce(i32) + Send + 'a>,
    ) -> ScriptFuture<'a> {
        Box::pin(async move {
            let mut script = self.rung_script(probe).map_err(trouble)?;
            script.environment.extend(environment);
            // Whoever does not want it any more drops the future, which ends it.
            let result = run(&script, &CancellationToken::new(), began).await;
            let result = result
                .map_err(|error| trouble(note::failure("script_not_run", &error.to_string())))?;
            let judged = judged(&result, probe.timeout_seconds);
            Ok(ScriptRun {
                verdict: judged.map_err(|(_, cause)| cause),
                result,
            })
        })
    }
}

fn trouble(failure: Failure) -> ScriptTrouble {
    ScriptTrouble {
        cause: failure.cause,
        remedy: failure.remedy,
    }
}

fn may_be_run(script: &Script) -> String {
    match &script.command {
        Command::Argv(argv) => format!("{} may be run", argv[0]),
        Command::Shell(_) => String::new(),
    }
}

/// What the end of a script says, or why it is none that succeeded.
fn judged(result: &ScriptResult, timeout_seconds: u32) -> Result<String, (&'static str, String)> {
    let said = said(result);
    let (code, what) = match result.end {
        End::Exited(0) => {
            let took = note::seconds(result.took_ms);
            return Ok(format!("ended with status 0 after {took}{said}"));
        }
        End::Exited(status) => ("script_failed", format!("it ended with status {status}")),
        End::Signalled(signal) => ("script_failed", format!("it was ended by signal {signal}")),
        End::TimedOut => (
            "script_timed_out",
            format!("it ran longer than {timeout_seconds} s, and was ended"),
        ),
        End::Cancelled => ("stopped", "it was stopped, and ended".to_owned()),
    };
    Err((code, format!("{what}{said}")))
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
