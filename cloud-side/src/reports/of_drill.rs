//! What a drill's report says: the drill's own record in the words of [`bcdr_report`].
//!
//! Pure. All times count from the request, the wait for a free place included: whoever asked waited.

use super::point_proof::PointProof;
use crate::{
    clock,
    drill::{DrillReport, PhaseOutcome, Rung as DrillRung, RungVerdict},
    drills::{DrillRecord, DrillState},
    target::{IsolationVerdict, PrecheckVerdict},
};
use bcdr_format::Timestamp;
use bcdr_report::{
    Attested, Canary, Check, Content, Digest, Event, Evidence, Group, Image, Indicators, Outcome,
    Phase, RecoveryPoint, RecoveryTime, RpoPeriod, Rules, Rung, Serial, Subject, SubjectKind,
    Verdict,
};

/// The rung to which the recovery time counts.
const USABLE: DrillRung = DrillRung::Login;
/// The picture of the screen among the evidence.
const SCREENSHOT: &str = "screenshot.png";

/// What a drill's record does not hold.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) group_name: String,
    /// What is known of the point.
    pub(crate) proof: PointProof,
    pub(crate) period: Option<RpoPeriod>,
    /// Whether the group has a schedule, and since when a drill that passed is missing.
    pub(crate) scheduled: bool,
    pub(crate) overdue_since: Option<Timestamp>,
    pub(crate) serial: Option<Serial>,
    /// Files that are not in the drill's own list.
    pub(crate) more_evidence: Vec<Evidence>,
    pub(crate) rules: &'a Rules,
    pub(crate) attested: &'a [Attested],
}

/// The report of a drill that has ended; none while it has not.
pub(crate) fn content(record: &DrillRecord, around: Surroundings<'_>) -> Option<Content> {
    let result = outcome(record.state)?;
    let report = record.report.as_ref();
    let requested_at = clock::readable(record.requested_at);
    let finished_at = match (report, record.finished_at) {
        (Some(report), _) => report.finished_at,
        (None, Some(at)) => clock::readable(at),
        (None, None) => requested_at,
    };
    let point = around.proof.point(record.point.to_string());
    let reached = report.and_then(|report| {
        let usable = report.rungs.iter().find(|rung| rung.rung == USABLE)?;
        let at = usable
            .at_seconds
            .filter(|_| usable.verdict == RungVerdict::Passed)?;
        later(requested_at, at)
    });
    let recovery_time = RecoveryTime::until(USABLE.name(), None, requested_at, reached);
    let recovery_point = RecoveryPoint::of(&point, None, requested_at, around.period);
    let panel = around.rules.judge(&Indicators {
        rto_ms: recovery_time.total_ms(),
        rpo_ms: recovery_point.period.as_ref().map(|period| period.worst_ms),
        passed: result == Outcome::Passed,
        overdue: around.overdue_since.is_some(),
        attested: around.attested,
    });
    let mut checks = report.map(checks).unwrap_or_default();
    checks.push(on_time(around.scheduled, around.overdue_since));
    let mut evidence = report.map(evidence).unwrap_or_default();
    evidence.extend(around.more_evidence);
    let pictured = evidence.iter().any(|file| file.name == SCREENSHOT);
    Some(Content {
        subject: Subject {
            kind: SubjectKind::Drill,
            id: record.id.to_string(),
            target: report.map(|report| report.target.clone()),
        },
        group: Group {
            id: record.group.to_string(),
            name: around.group_name,
        },
        point,
        result,
        reason: record.reason.clone(),
        interruption: None,
        requested_at,
        finished_at,
        timeline: timeline(requested_at, finished_at, report),
        phases: report.map(phases).unwrap_or_default(),
        recovery_time,
        recovery_point,
        rungs: report.map(rungs).unwrap_or_default(),
        canary: report.and_then(canary),
        checks,
        generations: Vec::new(),
        moved: None,
        images: report.map(images).unwrap_or_default(),
        evidence,
        screenshot: pictured.then(|| SCREENSHOT.to_owned()),
        serial: around.serial,
        panel: Some(panel),
    })
}

pub(crate) fn outcome(state: DrillState) -> Option<Outcome> {
    match state {
        DrillState::Passed => Some(Outcome::Passed),
        DrillState::Failed => Some(Outcome::Failed),
        DrillState::Cancelled => Some(Outcome::Cancelled),
        DrillState::CleanupFailed => Some(Outcome::CleanupFailed),
        DrillState::Queued | DrillState::Preparing | DrillState::Running | DrillState::Cleaning => {
            None
        }
    }
}

/// Seconds as whole milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> u64 {
    // A cast from a float stops at the limits.
    (seconds * 1000.0).round() as u64
}

fn later(from: jiff::Timestamp, seconds: f64) -> Option<jiff::Timestamp> {
    let after = i64::try_from(milliseconds(seconds)).ok()?;
    jiff::Timestamp::from_millisecond(from.as_millisecond().checked_add(after)?).ok()
}

fn event(at: jiff::Timestamp, what: impl Into<String>, detail: Option<String>) -> Event {
    Event {
        at,
        what: what.into(),
        detail,
    }
}

fn timeline(
    requested_at: jiff::Timestamp,
    finished_at: jiff::Timestamp,
    report: Option<&DrillReport>,
) -> Vec<Event> {
    let mut events = vec![event(requested_at, "requested", None)];
    if let Some(report) = report {
        for phase in &report.phases {
            if let Some(at) = later(requested_at, phase.began_seconds) {
                let name = json_name(&phase.phase);
                events.push(event(at, format!("phase:{name}"), None));
            }
        }
        for rung in report
            .rungs
            .iter()
            .filter(|rung| rung.verdict != RungVerdict::NotRun)
        {
            if let Some(at) = rung.at_seconds.and_then(|at| later(requested_at, at)) {
                let verdict = json_name(&rung.verdict);
                let what = format!("rung:{}", rung.rung.name());
                let detail = Some(verdict).filter(|_| rung.verdict == RungVerdict::Failed);
                events.push(event(at, what, detail));
            }
        }
    }
    events.push(event(finished_at, "finished", None));
    events.sort_by_key(|event| event.at);
    events
}

/// The name of a plain variant, as in JSON.
fn json_name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

fn phases(report: &DrillReport) -> Vec<Phase> {
    let phase = |phase: &crate::drill::PhaseReport| Phase {
        name: json_name(&phase.phase),
        outcome: match phase.outcome {
            PhaseOutcome::Done => "done",
            PhaseOutcome::Failed => "failed",
            PhaseOutcome::Stopped => "stopped",
        }
        .to_owned(),
        began_ms: milliseconds(phase.began_seconds),
        duration_ms: milliseconds(phase.duration_seconds),
        detail: Some(phase.detail.clone()).filter(|detail| !detail.is_empty()),
    };
    report.phases.iter().map(phase).collect()
}

fn rungs(report: &DrillReport) -> Vec<Rung> {
    let verdict = |verdict: RungVerdict| match verdict {
        RungVerdict::Passed => Verdict::Passed,
        RungVerdict::Failed => Verdict::Failed,
        RungVerdict::NotRun => Verdict::NotRun,
    };
    let mut rungs = Vec::new();
    for rung in &report.rungs {
        let name = rung.rung.name();
        rungs.push(Rung {
            name: name.to_owned(),
            verdict: verdict(rung.verdict),
            at_ms: rung.at_seconds.map(milliseconds),
            reason: rung.reason.clone(),
            observed: rung.observed.clone(),
        });
        // A rung that is one probe says all of it already.
        let probes = rung.probes.iter().filter(|probe| probe.name != name);
        rungs.extend(probes.map(|probe| Rung {
            name: probe.name.clone(),
            verdict: verdict(probe.verdict),
            at_ms: probe.at_seconds.map(milliseconds),
            reason: probe.reason.clone(),
            observed: probe.observed.clone(),
        }));
    }
    rungs
}

fn canary(report: &DrillReport) -> Option<Canary> {
    let canary = report.canary.as_ref()?;
    Some(Canary {
        time: canary.time,
        sequence: canary.sequence,
        line: canary.line.clone(),
        behind_point_ms: canary
            .behind_point_seconds
            .map(|seconds| (seconds * 1000.0).round() as i64),
    })
}

fn checks(report: &DrillReport) -> Vec<Check> {
    let mut checks = Vec::new();
    for item in report.precheck.iter().flat_map(|precheck| &precheck.items) {
        let remedy = item.remedy.iter().map(|remedy| format!("; {remedy}"));
        checks.push(Check {
            name: format!("precheck:{}", item.name),
            verdict: match item.verdict {
                PrecheckVerdict::Passed => Verdict::Passed,
                PrecheckVerdict::Failed => Verdict::Failed,
                PrecheckVerdict::Unknown => Verdict::Unknown,
            },
            detail: Some(format!("{}{}", item.detail, remedy.collect::<String>())),
        });
    }
    checks.push(Check {
        name: "isolation".to_owned(),
        verdict: match report.isolation.verdict {
            IsolationVerdict::Isolated => Verdict::Passed,
            IsolationVerdict::NotIsolated => Verdict::Failed,
            IsolationVerdict::Unknown if report.isolation.observations == 0 => Verdict::NotRun,
            IsolationVerdict::Unknown => Verdict::Unknown,
        },
        detail: report
            .isolation
            .decisive
            .as_ref()
            .map(|sample| sample.reason.clone()),
    });
    checks.extend(report.cleanup.items.iter().map(|item| Check {
        name: format!("cleanup:{}", item.what),
        verdict: if item.proven {
            Verdict::Passed
        } else {
            Verdict::Failed
        },
        detail: Some(item.detail.clone()).filter(|detail| !detail.is_empty()),
    }));
    checks.push(Check {
        name: "replica_unchanged".to_owned(),
        verdict: match &report.replica {
            Some(replica) if replica.unchanged => Verdict::Passed,
            Some(_) => Verdict::Failed,
            None => Verdict::NotRun,
        },
        detail: None,
    });
    checks
}

fn on_time(scheduled: bool, overdue_since: Option<Timestamp>) -> Check {
    Check {
        name: "drill_on_time".to_owned(),
        verdict: match (scheduled, overdue_since) {
            (_, Some(_)) => Verdict::Failed,
            (true, None) => Verdict::Passed,
            (false, None) => Verdict::NotRun,
        },
        detail: overdue_since.map(|since| format!("overdue since {}", clock::readable(since))),
    }
}

fn images(report: &DrillReport) -> Vec<Image> {
    let image = |replica: &crate::drill::ReplicaReport| Image {
        volume: "all".to_owned(),
        digest: replica.digest_before.clone(),
    };
    report.replica.iter().map(image).collect()
}

fn evidence(report: &DrillReport) -> Vec<Evidence> {
    let file = |file: &crate::drill::EvidenceFile| {
        Some(Evidence {
            name: file.name.clone(),
            bytes: file.bytes,
            blake3: file.blake3.parse::<Digest>().ok()?,
        })
    };
    report.evidence.iter().filter_map(file).collect()
}
