//! The script rung: programs of this host's operator judge the machine.
//!
//! Who runs them is behind [`RungScripts`]; this tells a script what it has to know, opens its ways to
//! the machine, and keeps what came of it. Invariants: the evidence names a script's process as soon as it
//! has one and for as long as it may run, so that a later process can end what this one left; a script
//! runs once, and its ways end with it.

use std::{
    collections::BTreeMap,
    future::Future,
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
};

use bcdr_disk::Storage;
use bcdr_reach::script::ScriptResult;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{evidence::Evidence, passage::Passages};
use crate::target::{
    PrecheckReport, Probes, Proof, ScriptProbe, WaysIn,
    qemu::{GroupEnd, ProcessIdentity},
};

/// A script on its way.
pub type ScriptFuture<'a> =
    Pin<Box<dyn Future<Output = Result<ScriptRun, ScriptTrouble>> + Send + 'a>>;

/// Why a script cannot be run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}; {remedy}")]
pub struct ScriptTrouble {
    /// The cause.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// A script that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptRun {
    /// What it says of the machine, or why the rung is not passed.
    pub verdict: Result<String, String>,
    /// All that is kept of it.
    pub result: ScriptResult,
}

/// Who runs scripts of rungs on this host.
pub trait RungScripts: Send + Sync {
    /// Whether it could be run now. Nothing is run.
    ///
    /// # Errors
    /// Says what stands in its way.
    fn look(&self, script: &ScriptProbe) -> Result<String, ScriptTrouble>;

    /// Runs a script to its end, at most as long as it may; dropping the future ends it. `began` is told
    /// its process id, which is that of its process group too.
    ///
    /// # Errors
    /// When nothing of it ran.
    fn run<'a>(
        &'a self,
        script: &'a ScriptProbe,
        environment: BTreeMap<String, String>,
        began: Box<dyn FnOnce(i32) + Send + 'a>,
    ) -> ScriptFuture<'a>;
}

/// The scripts of one ladder: who runs them, what they are told, where their evidence is.
#[derive(Clone)]
pub(crate) struct Scripts {
    hands: Arc<dyn RungScripts>,
    /// Names and values that each of them sees.
    facts: BTreeMap<String, String>,
    evidence: Evidence,
}

/// What is kept of a script.
#[derive(Debug, Serialize, Deserialize)]
struct KeptScript {
    program: String,
    arguments: Vec<String>,
    /// What it saw in its environment besides the search path.
    environment: BTreeMap<String, String>,
    /// The leader of its process group, while it may run.
    process: Option<ProcessIdentity>,
    /// What came of it; none while it runs, and of one that was cut short.
    result: Option<ScriptResult>,
}

/// Where what is kept of a script lies, in the directory of evidence.
fn name_of(program: &str) -> String {
    format!("script-{program}.json")
}

/// The files of evidence that scripts leave.
pub(crate) fn files_of(probes: &Probes) -> Vec<String> {
    probes
        .scripts
        .iter()
        .map(|script| name_of(&script.program))
        .collect()
}

/// Enters into a precheck whether the scripts could be run.
pub(crate) fn precheck(hands: &dyn RungScripts, probes: &Probes, report: &mut PrecheckReport) {
    for script in &probes.scripts {
        let name = format!("script {}", script.program);
        match hands.look(script) {
            Ok(seen) => report.pass(name, seen),
            Err(trouble) => report.fail(name, trouble.cause, trouble.remedy),
        }
    }
}

impl Scripts {
    pub(crate) fn new(
        hands: Arc<dyn RungScripts>,
        facts: BTreeMap<String, String>,
        storage: Arc<dyn Storage>,
        evidence_directory: PathBuf,
    ) -> Self {
        Self {
            hands,
            facts,
            evidence: Evidence::new(storage, evidence_directory),
        }
    }

    /// Runs one, and says what it says of the machine.
    pub(super) async fn run(
        &self,
        script: &ScriptProbe,
        ways: Option<Arc<dyn WaysIn>>,
    ) -> Result<String, String> {
        let name = name_of(&script.program);
        let mut environment = self.facts.clone();
        // Its own address is not told: from this host's network, the same address is production's.
        // Held until the script has ended.
        let passages = match ways {
            Some(ways) => Passages::open(&ways, &script.ports)
                .map_err(|error| format!("no way to the machine could be opened: {error}"))?,
            None => Passages::default(),
        };
        for (port, socket) in passages.sockets() {
            let socket = socket.display().to_string();
            environment.insert(format!("BCDR_GUEST_SOCKET_{port}"), socket);
        }
        // An earlier process may have been killed while it ran; two at once would be one too many.
        self.end_left(&script.program)
            .await
            .map_err(|reason| format!("what is left of an earlier run does not end: {reason}"))?;
        let mut kept = KeptScript {
            program: script.program.clone(),
            arguments: script.arguments.clone(),
            environment: environment.clone(),
            process: None,
            result: None,
        };
        let (tell, told) = oneshot::channel();
        // Asked for at once: later its number may be somebody else's.
        let began = Box::new(|pid| drop(tell.send(ProcessIdentity::of(pid))));
        let noting = async {
            match told.await {
                Ok(Some(process)) => {
                    kept.process = Some(process);
                    self.evidence.keep_json(&name, &kept).await
                }
                _ => Ok(()),
            }
        };
        let ran = {
            let (mut running, mut noting) =
                (self.hands.run(script, environment, began), pin!(noting));
            tokio::select! {
                ran = &mut running => {
                    // It has ended: whether it could be noted is no matter any more.
                    let _ = noting.await;
                    ran
                }
                noted = &mut noting => match noted {
                    Ok(()) => running.await,
                    // Nobody could end it after a kill. It ends with what runs it.
                    Err(error) => {
                        return Err(format!("it was ended, since its process cannot be noted: {error}"));
                    }
                },
            }
        };
        drop(passages);
        let ran = ran.map_err(|trouble| trouble.to_string())?;
        kept.process = None;
        kept.result = Some(ran.result);
        let told = self.keep(&name, &kept).await;
        match ran.verdict {
            Ok(seen) => Ok(format!("{seen}{told}")),
            Err(why) => Err(format!("{why}{told}")),
        }
    }

    /// Keeps what is known of a script, and says so. That it cannot be kept does not undo what it did.
    async fn keep(&self, name: &str, kept: &KeptScript) -> String {
        match self.evidence.keep_json(name, kept).await {
            Ok(()) => format!("; kept as {name}"),
            Err(error) => {
                tracing::error!(evidence = name, %error, "what a script did cannot be kept");
                format!("; what it did cannot be kept: {error}")
            }
        }
    }

    /// Ends what is left of a script whose end was not noted.
    async fn end_left(&self, program: &str) -> Result<(), String> {
        match left(&self.evidence, &name_of(program)).await? {
            Some(process) => end(&process).await.map(drop),
            None => Ok(()),
        }
    }
}

/// The process that the evidence names, if the script's end was not noted.
async fn left(evidence: &Evidence, name: &str) -> Result<Option<ProcessIdentity>, String> {
    let kept = evidence.read_json::<KeptScript>(name).await;
    let kept = kept.map_err(|error| format!("{name} cannot be read: {error}"))?;
    Ok(kept.and_then(|kept| kept.process))
}

async fn end(process: &ProcessIdentity) -> Result<&'static str, String> {
    match process.end_group().await {
        Ok(GroupEnd::WasGone) => Ok("it is gone"),
        Ok(GroupEnd::Killed) => Ok("it was ended"),
        Ok(GroupEnd::Orphaned) => Err(format!(
            "its leader is gone, and what it started still runs in the process group {}",
            process.pid
        )),
        Ok(GroupEnd::LivesOn) => Err(format!("process {} does not end", process.pid)),
        Err(error) => Err(format!("process {} cannot be ended: {error}", process.pid)),
    }
}

/// Ends all scripts that left evidence in a directory and no end, and proves it.
pub(super) async fn end_all_left(evidence: &Evidence, proof: &mut Proof) {
    let names = match evidence.names().await {
        Ok(names) => names,
        Err(error) => {
            let why = format!("the evidence cannot be listed: {error}");
            return proof.note("scripts", false, why);
        }
    };
    let are_scripts = |name: &&String| name.starts_with("script-") && name.ends_with(".json");
    for name in names.iter().filter(are_scripts) {
        let process = match left(evidence, name).await {
            Ok(Some(process)) => process,
            Ok(None) => continue,
            Err(why) => {
                proof.note(name.clone(), false, why);
                continue;
            }
        };
        let what = format!("process {} of {name}", process.pid);
        match end(&process).await {
            Ok(seen) => proof.note(what, true, seen),
            Err(why) => proof.note(what, false, why),
        }
    }
}

/// Ends all scripts that left evidence in a directory and no end, and says what was seen of them.
pub(crate) async fn end_left_in(storage: Arc<dyn Storage>, directory: PathBuf) -> Proof {
    let mut proof = Proof::default();
    end_all_left(&Evidence::new(storage, directory), &mut proof).await;
    if proof.items.is_empty() {
        proof.note("scripts", true, "none was left");
    }
    proof
}
