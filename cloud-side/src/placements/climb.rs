//! The step that climbs the verification ladder of a failover's instance.
//!
//! The ladder decides; this looks at the instance. Unlike in a drill there is no isolation to be
//! observed, and a rung that fails ends nothing: what was found is told, and an operator decides.

use super::{
    RecoveredInstance,
    hands::{Hands, StepError},
};
use crate::{
    clock,
    drill::{CompiledPatterns, Ladder, LadderState, Prober, RungResult, RungVerdict, Scripts},
    recovery::{FailoverMode, FailoverRecord, InstanceName, StepResult},
    target::{ConsoleOffset, InstanceState, NetworkCard},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Pause between two looks at the console: the precision of the rungs' times.
const CONSOLE_PAUSE: Duration = Duration::from_millis(100);
/// Pause between two looks at the instance's state.
const STATE_PAUSE: Duration = Duration::from_secs(1);
/// Looks that may fail in a row before the instance counts as lost.
const FAILED_LOOKS_MAX: u32 = 3;
/// The picture of the screen after the climb.
const SCREENSHOT_NAME: &str = "screenshot.png";

impl Hands {
    pub(super) async fn climb(&self, name: &InstanceName) -> Result<StepResult, StepError> {
        let instance = self.instance().await?;
        let mut instance = instance.filter(|one| one.name == *name).ok_or_else(|| {
            StepError::new(
                "instance_unknown",
                format!("there is no instance {}", name.0),
                "roll back",
            )
        })?;
        let patterns = CompiledPatterns::compile(&instance.settings.rungs).map_err(|error| {
            StepError::new("launch_settings_wrong", error.to_string(), "correct them")
        })?;
        // Rungs are timed from the launch, also when another process had begun the climb.
        let behind = instance
            .launched_at
            .map_or(0, |at| clock::wall().0.saturating_sub(at.0).max(0));
        let behind = Duration::from_micros(u64::try_from(behind).unwrap_or(0));
        let timeout = Duration::from_secs(instance.settings.boot_timeout_seconds.into());
        // Of a climb that a process before this one had begun.
        self.end_scripts(&instance).await;
        let ladder = Ladder::of_connected(patterns, Duration::ZERO, timeout)
            .with_probes(instance.settings.probes.scripts_asked());
        let rungs = self.look_until_decided(&instance, ladder, behind).await?;
        let picture = self
            .parts
            .evidence_directory
            .join(&instance.name.0)
            .join(SCREENSHOT_NAME);
        let target = &self.parts.target;
        if let Err(error) = target.screenshot(&instance.record, &picture).await {
            tracing::warn!(instance = name.0, %error, "no picture of the screen");
        }
        let passed = !rungs.iter().any(|rung| rung.verdict == RungVerdict::Failed);
        let detail = sentence(&rungs);
        instance.rungs = rungs;
        self.keep_instance(&instance).await?;
        self.keep_climb(&instance, SCREENSHOT_NAME).await?;
        Ok(StepResult::Climbed { passed, detail })
    }

    async fn look_until_decided(
        &self,
        instance: &RecoveredInstance,
        mut ladder: Ladder,
        behind: Duration,
    ) -> Result<Vec<RungResult>, StepError> {
        let target = &self.parts.target;
        let record = &instance.record;
        let scripts = self.scripts(instance)?;
        let mut prober = Prober::default();
        let began = Instant::now();
        let mut console = ConsoleOffset::default();
        let mut state_due = Duration::ZERO;
        let mut failed_looks = 0;
        loop {
            let now = behind + began.elapsed();
            if now >= state_due {
                state_due = now + STATE_PAUSE;
                match target.observe(record).await.map(|seen| seen.state) {
                    Ok(InstanceState::Running) => {
                        failed_looks = 0;
                        ladder.handle_instance_running(now);
                    }
                    Ok(InstanceState::Stopped(reason) | InstanceState::Gone(reason)) => {
                        ladder.handle_obstacle(&format!("the instance ended: {reason}"), now);
                    }
                    Err(error) => {
                        failed_looks += 1;
                        if failed_looks == FAILED_LOOKS_MAX {
                            let why = format!("the instance cannot be observed: {error}");
                            ladder.handle_obstacle(&why, now);
                        }
                    }
                }
            }
            while let Ok(chunk) = target.console(record, console).await {
                if chunk.bytes.is_empty() {
                    break;
                }
                console = chunk.next;
                ladder.handle_console(&chunk.bytes, now);
            }
            // A script has a time of its own; nothing else is asked of a machine in production.
            let timeout = Duration::ZERO;
            prober
                .go_on(&mut ladder, || None, &scripts, timeout, now)
                .await;
            ladder.handle_time(now);
            if !matches!(ladder.state(), LadderState::Climbing(_)) {
                return Ok(ladder.results().to_vec());
            }
            tokio::select! {
                () = tokio::time::sleep(CONSOLE_PAUSE) => {}
                () = self.stop.cancelled() => return Err(StepError::stopped()),
            }
        }
    }
}

impl Hands {
    /// The scripts that judge the instance.
    fn scripts(&self, instance: &RecoveredInstance) -> Result<Scripts, StepError> {
        Ok(Scripts::new(
            Arc::clone(&self.parts.scripts),
            facts(self.failover()?, &self.group.record().name, instance),
            Arc::clone(&self.parts.storage),
            self.parts.evidence_directory.join(&instance.name.0),
        ))
    }
}

/// What scripts are told of a failover.
fn facts(
    job: &FailoverRecord,
    group: &str,
    instance: &RecoveredInstance,
) -> BTreeMap<String, String> {
    let mode = match job.request.mode {
        FailoverMode::Planned => "planned",
        FailoverMode::Emergency => "emergency",
    };
    let mut facts = BTreeMap::from([
        ("BCDR_MODE".to_owned(), mode.to_owned()),
        ("BCDR_FAILOVER".to_owned(), job.id.to_string()),
        ("BCDR_GROUP".to_owned(), group.to_owned()),
    ]);
    if let Some(point) = job.point {
        facts.insert("BCDR_POINT".to_owned(), point.to_string());
    }
    if let Some(time) = job.point_time {
        let time = clock::readable(time).to_string();
        facts.insert("BCDR_POINT_TIME".to_owned(), time);
    }
    for forward in instance.networks.iter().flat_map(NetworkCard::forwards) {
        let name = format!("BCDR_GUEST_PORT_{}", forward.machine_port);
        let address = format!("{}:{}", forward.host_address, forward.host_port);
        facts.entry(name).or_insert(address);
    }
    facts
}

/// The climb in a sentence.
fn sentence(rungs: &[RungResult]) -> String {
    let failed = rungs
        .iter()
        .find(|rung| rung.verdict == RungVerdict::Failed);
    if let Some(rung) = failed {
        let reason = rung.reason.as_deref().unwrap_or("no reason is known");
        return format!("rung {} failed: {reason}", rung.rung.name());
    }
    let passed = rungs
        .iter()
        .filter(|rung| rung.verdict == RungVerdict::Passed);
    let last = passed.clone().next_back();
    last.map_or_else(
        || "no rung was awaited".to_owned(),
        |rung| {
            format!(
                "{} rungs passed, {} last after {:.1} s",
                passed.count(),
                rung.rung.name(),
                rung.at_seconds.unwrap_or_default()
            )
        },
    )
}
