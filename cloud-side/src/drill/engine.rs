//! The drill engine: leads a target through the phases and writes the report.
//!
//! Invariant: whatever happens on the way, the last phases run: evidence is kept, the instance is
//! destroyed, the clean-up is proven, the report is written. The record of what the target creates is
//! durable before the target creates it, so a killed process leaves nothing that nobody knows of.

use std::{collections::BTreeMap, future::Future, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    CompiledPatterns, DrillContext, DrillProgress, DrillReport, DrillRequest, DrillResult, Ladder,
    Phase, PhaseOutcome, PhaseReport, RecoveryTimes, ReplicaReport, RungResult, Scripts,
    cleanup::{self, DrillRecord},
    evidence::{Evidence, RECORD_NAME, REPORT_NAME, SCREENSHOT_NAME},
    probe,
    report::{CleanupReport, IsolationLog, IsolationReport, REPORT_VERSION},
    rung::seconds,
    script,
};
use crate::target::{
    InstancePurpose, InstanceRecord, IsolationVerdict, LaunchRequest, NetworkCard, PrecheckReport,
    Proof, Target,
};

/// Why a drill does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// Somebody asked for it.
    Stopped,
    /// Something failed.
    Failed(String),
}

impl Halt {
    pub(super) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A drill on its way.
pub(super) struct Drill<'a> {
    pub(super) request: &'a DrillRequest,
    pub(super) target: &'a dyn Target,
    pub(super) context: &'a DrillContext,
    evidence: Evidence,
    started: Instant,
    phases: Vec<PhaseReport>,
    phase: Option<(Phase, Duration)>,
    precheck: Option<PrecheckReport>,
    pub(super) record: Option<InstanceRecord>,
    pub(super) launched: bool,
    pub(super) ladder: Option<Ladder>,
    pub(super) isolation: IsolationLog,
    pub(super) overlay_bytes: u64,
    digest_before: Option<String>,
    replica: Option<ReplicaReport>,
    pub(super) scripts: Scripts,
}

/// Runs a drill from its request to its report.
///
/// It always returns a report, also when the drill failed, was stopped, or could not write to its
/// evidence directory. Dropping the future instead of stopping the drill leaves the clean-up to
/// [`super::clean_up_leftover`].
pub async fn run_drill(
    request: &DrillRequest,
    target: &dyn Target,
    context: &DrillContext,
) -> DrillReport {
    let mut drill = Drill::new(request, target, context);
    let mut halt = drill.forward().await.err();
    drill.leave_phase(halt.as_ref());
    if drill.launched {
        drill.keep_evidence().await;
    }
    let cleanup = drill.clean_up(&mut halt).await;
    drill.report(halt, cleanup).await
}

impl<'a> Drill<'a> {
    fn new(request: &'a DrillRequest, target: &'a dyn Target, context: &'a DrillContext) -> Self {
        let evidence = Evidence::new(context.storage.clone(), request.evidence_directory.clone());
        let scripts = Scripts::new(
            context.scripts.clone(),
            facts(request),
            context.storage.clone(),
            request.evidence_directory.clone(),
        );
        Self {
            request,
            target,
            context,
            evidence,
            started: Instant::now(),
            phases: Vec::new(),
            phase: None,
            precheck: None,
            record: None,
            launched: false,
            ladder: None,
            isolation: IsolationLog::default(),
            overlay_bytes: 0,
            digest_before: None,
            replica: None,
            scripts,
        }
    }

    /// Time since the drill was requested.
    pub(super) fn now(&self) -> Duration {
        self.request.waited + self.started.elapsed()
    }

    async fn forward(&mut self) -> Result<(), Halt> {
        self.enter(Phase::Precheck).await?;
        let patterns = self.check_before().await?;
        self.enter(Phase::PinPoint).await?;
        self.digest_before = self.replica_digest().await?;
        self.enter(Phase::CreateOverlays).await?;
        let launch = self.launch_request();
        let record = self.target.plan(&launch).map_err(Halt::failed)?;
        self.keep_record(&record).await?;
        self.target
            .prepare_disks(&record, &launch)
            .await
            .map_err(Halt::failed)?;
        self.enter(Phase::IsolatedNetwork).await?;
        let network = self.target.prepare_network(&record, &launch).await;
        self.note(network.map_err(Halt::failed)?);
        self.enter(Phase::Boot).await?;
        let timeout = Duration::from_secs(self.request.settings.boot_timeout_seconds.into());
        let probes = self.request.settings.probes.asked();
        self.ladder = Some(Ladder::new(patterns, self.now(), timeout).with_probes(probes));
        let record = self
            .target
            .launch(&record, &launch)
            .await
            .map_err(Halt::failed)?;
        self.launched = true;
        self.keep_record(&record).await?;
        probe::release(self, &record).await?;
        self.enter(Phase::Probe).await?;
        let schedule = probe::climb(self).await?;
        if self.request.hold_seconds > 0 {
            self.enter(Phase::Hold).await?;
            let ended = probe::hold(self, schedule).await?;
            self.note(ended);
        }
        Ok(())
    }

    async fn check_before(&mut self) -> Result<CompiledPatterns, Halt> {
        self.evidence.create().await.map_err(Halt::failed)?;
        let settings = &self.request.settings;
        settings.check().map_err(Halt::failed)?;
        let patterns = CompiledPatterns::compile(&settings.rungs).map_err(Halt::failed)?;
        self.evidence
            .keep_json("launch-settings.json", settings)
            .await
            .map_err(Halt::failed)?;
        let precheck = self.target.precheck(settings, &self.request.disks);
        let mut report = self.unless_stopped(precheck).await?.map_err(Halt::failed)?;
        script::precheck(&*self.context.scripts, &settings.probes, &mut report);
        let obstacles = report.obstacles();
        self.evidence
            .keep_json("precheck.json", &report)
            .await
            .map_err(Halt::failed)?;
        self.precheck = Some(report);
        match obstacles {
            Some(obstacles) => Err(Halt::Failed(format!("the precheck found: {obstacles}"))),
            None => Ok(patterns),
        }
    }

    fn launch_request(&self) -> LaunchRequest {
        LaunchRequest {
            instance: self.request.drill.clone(),
            purpose: InstancePurpose::Drill,
            settings: self.request.settings.clone(),
            networks: vec![NetworkCard::default()],
            disks: self.request.disks.clone(),
            runtime_directory: self.request.runtime_directory.clone(),
            evidence_directory: self.request.evidence_directory.clone(),
        }
    }

    async fn keep_record(&mut self, record: &InstanceRecord) -> Result<(), Halt> {
        self.record = Some(record.clone());
        let kept = DrillRecord {
            drill: self.request.drill.to_string(),
            group: self.request.group.clone(),
            point: self.request.point.clone(),
            requested_at: self.request.requested_at,
            instance: record.clone(),
        };
        self.evidence
            .keep_json(RECORD_NAME, &kept)
            .await
            .map_err(Halt::failed)
    }

    async fn replica_digest(&self) -> Result<Option<String>, Halt> {
        let Some(digest) = &self.context.replica_digest else {
            return Ok(None);
        };
        let digest = self.unless_stopped(digest()).await?;
        digest
            .map(Some)
            .map_err(|reason| Halt::Failed(format!("no replica digest: {reason}")))
    }

    /// Waits for something that may be dropped half-way, unless a stop is asked for.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            biased;
            () = self.context.stop.cancelled() => Err(Halt::Stopped),
            output = work => Ok(output),
        }
    }

    /// Begins a phase on the way forward, unless a stop was asked for.
    async fn enter(&mut self, phase: Phase) -> Result<(), Halt> {
        if self.context.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        self.begin(phase).await;
        Ok(())
    }

    /// Begins a phase, ending the one before it well.
    async fn begin(&mut self, phase: Phase) {
        self.leave_phase(None);
        self.phase = Some((phase, self.now()));
        self.announce().await;
    }

    fn leave_phase(&mut self, halt: Option<&Halt>) {
        let Some((phase, began)) = self.phase.take() else {
            return;
        };
        let (outcome, detail) = match halt {
            None => (PhaseOutcome::Done, String::new()),
            Some(Halt::Stopped) => (PhaseOutcome::Stopped, "a stop was asked for".to_owned()),
            Some(Halt::Failed(reason)) => (PhaseOutcome::Failed, reason.clone()),
        };
        self.phases.push(PhaseReport {
            phase,
            outcome,
            began_seconds: seconds(began),
            duration_seconds: seconds(self.now().saturating_sub(began)),
            detail,
        });
    }

    /// Ends the phase well, with a sentence about it.
    fn note(&mut self, detail: String) {
        self.leave_phase(None);
        if let Some(last) = self.phases.last_mut() {
            last.detail = detail;
        }
    }

    /// Tells whoever follows the drill where it is.
    pub(super) async fn announce(&self) {
        let (Some(progress), Some((phase, _))) = (&self.context.progress, &self.phase) else {
            return;
        };
        let step = DrillProgress {
            drill: self.request.drill.to_string(),
            phase: *phase,
            rungs: self.rungs(),
            at: Timestamp::now(),
        };
        if progress.send(step).await.is_err() {
            tracing::debug!(drill = %self.request.drill, "nobody follows the drill any more");
        }
    }

    pub(super) fn rungs(&self) -> Vec<RungResult> {
        self.ladder
            .as_ref()
            .map(|ladder| ladder.results().to_vec())
            .unwrap_or_default()
    }

    /// Keeps what shows how the instance was; a missing picture is noted and fails nothing.
    async fn keep_evidence(&mut self) {
        self.begin(Phase::Evidence).await;
        let Some(record) = self.record.clone() else {
            return;
        };
        probe::observe_isolation(self, &record).await;
        let mut missing = Vec::new();
        let picture = self.evidence.path(SCREENSHOT_NAME);
        if let Err(error) = self.target.screenshot(&record, &picture).await {
            missing.push(format!("no screenshot: {error}"));
        }
        match self.target.describe(&record).await {
            Ok(texts) => {
                for text in texts {
                    if let Err(error) = self.evidence.keep_text(text.name, text.text).await {
                        missing.push(format!("no {}: {error}", text.name));
                    }
                }
            }
            Err(error) => missing.push(format!("no description: {error}")),
        }
        if let Err(error) = self
            .evidence
            .keep_json("isolation.json", &self.isolation)
            .await
        {
            missing.push(format!("no isolation.json: {error}"));
        }
        self.note(missing.join(" · "));
    }

    /// Destroys the instance and looks for leftovers. Nothing can stop this.
    async fn clean_up(&mut self, halt: &mut Option<Halt>) -> Proof {
        self.begin(Phase::Destroy).await;
        let destroyed = match self.record.clone() {
            Some(record) => cleanup::destroy(self.target, &record)
                .await
                .map_err(Halt::failed),
            None => Ok(()),
        };
        self.leave_phase(destroyed.as_ref().err());
        self.begin(Phase::VerifyDestroyed).await;
        let mut proof = cleanup::prove(self.target, self.record.as_ref()).await;
        if !self.request.settings.probes.scripts.is_empty() {
            script::end_all_left(&self.evidence, &mut proof).await;
        }
        if let Err(reason) = self.compare_replica().await
            && halt.is_none()
        {
            *halt = Some(Halt::Failed(reason));
        }
        let gaps = proof.gaps().map(Halt::Failed);
        self.leave_phase(gaps.as_ref());
        proof
    }

    async fn compare_replica(&mut self) -> Result<(), String> {
        let (Some(digest), Some(before)) = (&self.context.replica_digest, &self.digest_before)
        else {
            return Ok(());
        };
        let after = digest()
            .await
            .map_err(|reason| format!("no replica digest: {reason}"))?;
        let unchanged = after == *before;
        let digest_before = before.clone();
        self.replica = Some(ReplicaReport {
            digest_before,
            digest_after: after,
            unchanged,
        });
        if unchanged {
            Ok(())
        } else {
            Err("the replica changed during the drill".to_owned())
        }
    }

    async fn report(mut self, halt: Option<Halt>, mut proof: Proof) -> DrillReport {
        self.begin(Phase::Report).await;
        let sealed = self.evidence.seal().await;
        let (evidence, trouble) = match sealed {
            Ok(files) => (files, None),
            Err(error) => (
                Vec::new(),
                Some(format!("the evidence was not kept: {error}")),
            ),
        };
        if trouble.is_none() {
            proof.note(
                "evidence",
                true,
                format!("{} files are kept", evidence.len()),
            );
        }
        let halt = halt.or(trouble.map(Halt::Failed));
        let isolation = IsolationReport::from_log(&self.isolation);
        let (result, reason) = judge(halt.as_ref(), &isolation, &proof);
        self.leave_phase(None);
        let mut report = DrillReport {
            report_version: REPORT_VERSION,
            drill: self.request.drill.to_string(),
            group: self.request.group.clone(),
            point: self.request.point.clone(),
            target: self.target.name().to_owned(),
            result,
            reason,
            requested_at: self.request.requested_at,
            finished_at: Timestamp::now(),
            launch_settings: Some(self.request.settings.clone()),
            precheck: self.precheck.take(),
            recovery_times: RecoveryTimes::from_rungs(&self.rungs()),
            rungs: self.rungs(),
            canary: self
                .ladder
                .as_ref()
                .and_then(Ladder::canary)
                .map(|canary| canary.report(self.request.point.time)),
            isolation,
            overlay_bytes: self.overlay_bytes,
            evidence,
            cleanup: CleanupReport::from(proof),
            replica: self.replica.take(),
            phases: std::mem::take(&mut self.phases),
        };
        if let Err(error) = self.evidence.keep_json(REPORT_NAME, &report).await {
            cleanup::note_unkept_report(&mut report, &error);
        }
        report
    }
}

/// What scripts are told of a drill.
fn facts(request: &DrillRequest) -> BTreeMap<String, String> {
    let point_time = request.point.time.map(|time| time.to_string());
    let facts = [
        ("BCDR_MODE", Some("drill".to_owned())),
        ("BCDR_DRILL", Some(request.drill.to_string())),
        ("BCDR_GROUP", Some(request.group.clone())),
        ("BCDR_POINT", Some(request.point.id.clone())),
        ("BCDR_POINT_TIME", point_time),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// The result: an unproven clean-up outweighs everything, a leak all the rest, and nothing passes
/// whose isolation was not observed.
pub(super) fn judge(
    halt: Option<&Halt>,
    isolation: &IsolationReport,
    proof: &Proof,
) -> (DrillResult, Option<String>) {
    let (result, reason) = match (halt, isolation.verdict) {
        (_, IsolationVerdict::NotIsolated) => (
            DrillResult::Failed,
            Some(format!(
                "the machine was not isolated: {}{}",
                decided_by(isolation),
                match halt {
                    None => String::new(),
                    Some(Halt::Stopped) => "; and a stop was asked for".to_owned(),
                    Some(Halt::Failed(reason)) => format!("; and: {reason}"),
                }
            )),
        ),
        (None, IsolationVerdict::Isolated) => (DrillResult::Passed, None),
        (None, IsolationVerdict::Unknown) => (
            DrillResult::Failed,
            Some(format!(
                "whether the machine was isolated all the time is not known: {}; look at isolation.json",
                decided_by(isolation)
            )),
        ),
        (Some(Halt::Stopped), _) => (
            DrillResult::Cancelled,
            Some("a stop was asked for".to_owned()),
        ),
        (Some(Halt::Failed(reason)), _) => (DrillResult::Failed, Some(reason.clone())),
    };
    match proof.gaps() {
        None => (result, reason),
        Some(gaps) => {
            let before = reason.map(|reason| format!("; before that: {reason}"));
            let reason = format!(
                "the clean-up is not proven: {gaps}{}",
                before.unwrap_or_default()
            );
            (DrillResult::CleanupFailed, Some(reason))
        }
    }
}

fn decided_by(isolation: &IsolationReport) -> &str {
    let decisive = isolation.decisive.as_ref();
    decisive.map_or("it was never observed", |sample| &sample.reason)
}
