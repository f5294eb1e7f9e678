//! What the report of a failover or a failback says: its durable record, and what its steps saw, in
//! the words of [`bcdr_report`].
//!
//! Pure. Times count from the interruption that an operator entered, and from the request. A report at
//! the end of a ladder says only what was so then, also when it is made later.

use super::{ReportStage, point_proof::PointProof};
use crate::{
    clock,
    drill::{Rung as DrillRung, RungVerdict},
    placements::{ClimbedLadder, ComparedHome},
    recovery::{
        FailbackEnd, FailbackRecord, FailoverEnd, FailoverMode, FailoverRecord, Loss, Progress,
        Step, StepOutcome, StepRecord,
    },
    reports::of_drill::milliseconds,
};
use bcdr_format::Timestamp;
use bcdr_report::{
    Attested, Check, Content, Event, GenerationChange, Group, Image, Indicators, Interruption,
    Moved, Outcome, Phase, RecoveryPoint, RecoveryTime, RpoPeriod, Rules, Rung, Subject,
    SubjectKind, Verdict,
};

/// The rung to which the recovery time of a failover counts.
const USABLE: DrillRung = DrillRung::Login;

/// What the records do not hold.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    pub(crate) group_name: String,
    pub(crate) proof: PointProof,
    pub(crate) period: Option<RpoPeriod>,
    /// The digest of the image that matters; none where it was not computed.
    pub(crate) image: Option<String>,
    /// The target's name.
    pub(crate) target: String,
    /// Whether the group's drill is overdue.
    pub(crate) overdue: bool,
    pub(crate) rules: &'a Rules,
    pub(crate) attested: &'a [Attested],
}

/// The report of a failover: at the end of its ladder, or of all of it. None while that is not over.
pub(crate) fn failover(
    record: &FailoverRecord,
    stage: ReportStage,
    climbed: Option<&ClimbedLadder>,
    around: Around<'_>,
) -> Option<Content> {
    let until = match stage {
        ReportStage::Interim => step(&record.progress, Step::ClimbRungs)?.ended_at?,
        ReportStage::Final => record.finished_at?,
    };
    let requested_at = clock::readable(record.requested_at);
    let interruption = record.request.interrupted_at.map(|at| Interruption {
        at: clock::readable(at),
        by: record.request.operator.clone(),
        note: None,
    });
    let (result, reason) = match stage {
        ReportStage::Interim => of_ladder(record),
        ReportStage::Final => of_end(record)?,
    };
    let point = around.proof.point(
        record
            .point
            .map_or_else(|| "unknown".to_owned(), |point| point.to_string()),
    );
    let reached = climbed.and_then(|climbed| {
        let usable = climbed.rungs.iter().find(|rung| rung.rung == USABLE)?;
        let at = usable
            .at_seconds
            .filter(|_| usable.verdict == RungVerdict::Passed)?;
        after(climbed.launched_at, at)
    });
    let recovery_time =
        RecoveryTime::until(USABLE.name(), interruption.as_ref(), requested_at, reached);
    let recovery_point =
        RecoveryPoint::of(&point, interruption.as_ref(), requested_at, around.period);
    let panel = around.rules.judge(&Indicators {
        rto_ms: recovery_time.total_ms(),
        rpo_ms: recovery_point.period.as_ref().map(|period| period.worst_ms),
        passed: result == Outcome::Passed,
        overdue: around.overdue,
        attested: around.attested,
    });
    let mut timeline = timeline(&record.progress, record.requested_at, until);
    timeline.extend(interruption.iter().map(|one| event(one.at, "interrupted")));
    timeline.extend(rung_events(climbed));
    if stage == ReportStage::Final {
        timeline.push(event(clock::readable(until), "finished"));
    }
    timeline.sort_by_key(|event| event.at);
    Some(Content {
        subject: Subject {
            kind: SubjectKind::Failover,
            id: record.id.to_string(),
            target: Some(around.target),
        },
        group: Group {
            id: record.group.to_string(),
            name: around.group_name,
        },
        point,
        result,
        reason,
        interruption,
        requested_at,
        finished_at: clock::readable(until),
        timeline,
        phases: phases(&record.progress, record.requested_at, until),
        recovery_time,
        recovery_point,
        rungs: rungs(record, climbed),
        canary: None,
        checks: failover_checks(record, around.image.is_some()),
        generations: failover_generations(record, climbed, until),
        moved: None,
        images: images(around.image),
        evidence: climbed.map_or_else(Vec::new, |climbed| climbed.evidence.clone()),
        screenshot: climbed.and_then(|climbed| climbed.screenshot.clone()),
        serial: climbed.and_then(|climbed| climbed.console.clone()),
        panel: Some(panel),
    })
}

fn of_ladder(record: &FailoverRecord) -> (Outcome, Option<String>) {
    match &record.ladder {
        Some(ladder) if ladder.passed => (Outcome::Passed, None),
        Some(ladder) => (Outcome::Failed, Some(ladder.detail.clone())),
        None => (Outcome::Failed, None),
    }
}

fn of_end(record: &FailoverRecord) -> Option<(Outcome, Option<String>)> {
    let failure = standing_failure(&record.progress);
    Some(match record.end? {
        FailoverEnd::Committed => match of_ladder(record) {
            (Outcome::Passed, _) => (Outcome::Passed, None),
            (outcome, detail) => {
                let detail = detail.unwrap_or_default();
                let reason = format!("committed although its ladder was not passed: {detail}");
                (outcome, Some(reason))
            }
        },
        FailoverEnd::RolledBack => (Outcome::RolledBack, failure),
        FailoverEnd::SourceKept => (
            Outcome::RolledBack,
            Some("two sites may have served, and an operator kept the source".to_owned()),
        ),
        FailoverEnd::Failed => (Outcome::Failed, failure),
        FailoverEnd::Cancelled => (Outcome::Cancelled, failure),
    })
}

/// What went wrong and was not put right: a step that was done after it failed is no reason.
fn standing_failure(progress: &Progress) -> Option<String> {
    let failure = progress.failure.as_ref()?;
    let is_overcome =
        step(progress, failure.step).is_some_and(|step| step.outcome == Some(StepOutcome::Done));
    (!is_overcome).then(|| format!("{}: {}", failure.step.name(), failure.cause))
}

fn failover_checks(record: &FailoverRecord, hashed: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    if record.request.mode == FailoverMode::Planned {
        let whole = record.drained.zip(record.point).map(|(drained, point)| {
            let text = format!("the source ended at {drained}, the point is {point}");
            (point.0 >= drained, text)
        });
        checks.push(Check {
            name: "nothing_lost".to_owned(),
            verdict: match whole {
                Some((true, _)) => Verdict::Passed,
                Some((false, _)) => Verdict::Failed,
                None => Verdict::NotRun,
            },
            detail: whole.map(|(_, text)| text),
        });
    }
    let preview = record.request.preview;
    checks.push(loss("loss_seconds", preview.map(|preview| preview.seconds)));
    checks.push(loss("loss_bytes", preview.map(|preview| preview.bytes)));
    checks.push(image_hashed(hashed));
    checks
}

fn image_hashed(hashed: bool) -> Check {
    Check {
        name: "image_hashed".to_owned(),
        verdict: if hashed {
            Verdict::Passed
        } else {
            Verdict::NotRun
        },
        detail: None,
    }
}

/// A figure of the loss that was shown before the request.
fn loss(name: &str, figure: Option<Loss>) -> Check {
    let (verdict, detail) = match figure {
        Some(Loss::Exactly(value)) => (Verdict::Passed, Some(value.to_string())),
        Some(Loss::AtLeast(value)) => (Verdict::Unknown, Some(format!("at least {value}"))),
        Some(Loss::Unknown(why)) => (Verdict::Unknown, Some(why.detail().to_owned())),
        None => (Verdict::NotRun, None),
    };
    Check {
        name: name.to_owned(),
        verdict,
        detail,
    }
}

fn failover_generations(
    record: &FailoverRecord,
    climbed: Option<&ClimbedLadder>,
    until: Timestamp,
) -> Vec<GenerationChange> {
    let turned_back = record.turned_back.is_some();
    let forwards = match climbed {
        Some(climbed) => climbed.generation,
        None => record.generation.filter(|_| !turned_back),
    };
    let backwards = record.generation.filter(|_| turned_back);
    let changes = [
        (Step::Fence, forwards, "target"),
        (Step::FenceBack, backwards, "source"),
    ];
    let cause = record.id.to_string();
    generations(&record.progress, &changes, until, &cause)
}

/// Changes of authority whose step is done: the step, its generation, and who has authority then.
fn generations(
    progress: &Progress,
    changes: &[(Step, Option<bcdr_format::Generation>, &str)],
    until: Timestamp,
    cause: &str,
) -> Vec<GenerationChange> {
    let mut found: Vec<GenerationChange> = changes
        .iter()
        .filter_map(|(wanted, generation, authority)| {
            let step = step(progress, *wanted)?;
            let done = step.outcome == Some(StepOutcome::Done);
            Some(GenerationChange {
                generation: generation.filter(|_| done)?.0,
                at: clock::readable(step.ended_at.filter(|at| *at <= until)?),
                authority: (*authority).to_owned(),
                cause: cause.to_owned(),
            })
        })
        .collect();
    found.sort_by_key(|change| change.generation);
    found
}

/// The report of a failback that ended. `changed_bytes` is what was written at the target.
pub(crate) fn failback(
    record: &FailbackRecord,
    compared: Option<&ComparedHome>,
    changed_bytes: Option<u64>,
    around: Around<'_>,
) -> Option<Content> {
    let until = record.finished_at?;
    let (result, reason) = failback_outcome(record)?;
    let requested_at = clock::readable(record.requested_at);
    // Production is interrupted by the cutover alone: the copying before it does not stop it.
    let interruption = step(&record.progress, Step::QuiesceTarget).map(|quiesce| Interruption {
        at: clock::readable(begun(quiesce)),
        by: record.request.operator.clone(),
        note: Some("cutover".to_owned()),
    });
    let serves = step(&record.progress, Step::BootHome)
        .filter(|step| step.outcome == Some(StepOutcome::Done))
        .and_then(|step| step.ended_at)
        .map(clock::readable);
    let name = Step::BootHome.name();
    let recovery_time = RecoveryTime::until(&name, interruption.as_ref(), requested_at, serves);
    let mut timeline = timeline(&record.progress, record.requested_at, until);
    timeline.extend(interruption.iter().map(|one| event(one.at, "interrupted")));
    timeline.push(event(clock::readable(until), "finished"));
    timeline.sort_by_key(|event| event.at);
    let turned_back = record.progress.begun(Step::FenceBack);
    let changes = [
        (
            Step::FenceHome,
            record.generation.filter(|_| !turned_back),
            "source",
        ),
        (
            Step::FenceBack,
            record.generation.filter(|_| turned_back),
            "target",
        ),
    ];
    let cause = record.id.to_string();
    Some(Content {
        subject: Subject {
            kind: SubjectKind::Failback,
            id: record.id.to_string(),
            target: Some(around.target),
        },
        group: Group {
            id: record.group.to_string(),
            name: around.group_name,
        },
        point: around.proof.point(record.fork.to_string()),
        result,
        reason,
        generations: generations(&record.progress, &changes, until, &cause),
        interruption,
        requested_at,
        finished_at: clock::readable(until),
        timeline,
        phases: phases(&record.progress, record.requested_at, until),
        recovery_time,
        recovery_point: RecoveryPoint {
            // Home is equal to what ran at the target, byte by byte, or nothing is claimed.
            this_point_ms: record.proven_equal.then_some(0),
            period: around.period,
        },
        rungs: Vec::new(),
        canary: None,
        checks: failback_checks(record, compared, around.image.is_some()),
        moved: changed_bytes.map(|changed_bytes| Moved {
            sent_bytes: record.sent_bytes,
            changed_bytes,
        }),
        images: images(around.image),
        evidence: Vec::new(),
        screenshot: None,
        serial: None,
        panel: None,
    })
}

fn failback_outcome(record: &FailbackRecord) -> Option<(Outcome, Option<String>)> {
    let failure = standing_failure(&record.progress);
    Some(match record.end? {
        FailbackEnd::Committed => (Outcome::Passed, None),
        FailbackEnd::RolledBack => (Outcome::RolledBack, failure),
        FailbackEnd::Failed => (Outcome::Failed, failure),
        FailbackEnd::Cancelled => (Outcome::Cancelled, failure),
        FailbackEnd::SourceKept => (
            Outcome::Failed,
            Some("two sites may have served, and an operator kept the source".to_owned()),
        ),
    })
}

fn failback_checks(
    record: &FailbackRecord,
    compared: Option<&ComparedHome>,
    hashed: bool,
) -> Vec<Check> {
    let digests = Check {
        name: "digests_equal".to_owned(),
        verdict: match compared {
            Some(compared) if compared.equal => Verdict::Passed,
            Some(_) => Verdict::Failed,
            None => Verdict::NotRun,
        },
        detail: compared.map(|compared| compared.detail.clone()),
    };
    let forward = step(&record.progress, Step::ResumeForward);
    let protected = Check {
        name: "forward_protection".to_owned(),
        verdict: match forward.map(|step| step.outcome) {
            Some(Some(StepOutcome::Done)) => Verdict::Passed,
            Some(_) => Verdict::Failed,
            None => Verdict::NotRun,
        },
        detail: forward
            .and_then(|step| Some((step.ended_at?.0 - begun(step).0) / 1000))
            .map(|milliseconds| format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000)),
    };
    let branch = |name: &str, kept: Step, branch: Option<&crate::recovery::BranchName>| Check {
        name: name.to_owned(),
        verdict: match step(&record.progress, kept).map(|step| step.outcome) {
            Some(Some(StepOutcome::Done)) => Verdict::Passed,
            Some(_) => Verdict::Failed,
            None => Verdict::NotRun,
        },
        detail: branch.map(|branch| branch.0.clone()),
    };
    vec![
        digests,
        protected,
        branch(
            "left_behind",
            Step::KeepLeftBehind,
            record.left_behind.as_ref(),
        ),
        branch(
            "home_writes",
            Step::KeepHomeWrites,
            record.home_writes.as_ref(),
        ),
        image_hashed(hashed),
    ]
}

fn images(digest: Option<String>) -> Vec<Image> {
    let image = |digest| Image {
        volume: "all".to_owned(),
        digest,
    };
    digest.map(image).into_iter().collect()
}

fn step(progress: &Progress, wanted: Step) -> Option<&StepRecord> {
    progress.steps.iter().find(|record| record.step == wanted)
}

/// When the attempt began that its end belongs to.
fn begun(step: &StepRecord) -> Timestamp {
    step.last_began_at.unwrap_or(step.began_at)
}

fn event(at: jiff::Timestamp, what: impl Into<String>) -> Event {
    Event {
        at,
        what: what.into(),
        detail: None,
    }
}

fn after(from: Timestamp, seconds: f64) -> Option<jiff::Timestamp> {
    let microseconds = i64::try_from(milliseconds(seconds))
        .ok()?
        .checked_mul(1000)?;
    Some(clock::readable(Timestamp(
        from.0.checked_add(microseconds)?,
    )))
}

/// Whole milliseconds between two instants; zero when a clock was set back.
fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.0.saturating_sub(from.0) / 1000).unwrap_or(0)
}

/// The steps that had begun by then.
fn steps(progress: &Progress, until: Timestamp) -> impl Iterator<Item = &StepRecord> {
    progress
        .steps
        .iter()
        .filter(move |step| step.began_at <= until)
}

fn timeline(progress: &Progress, requested_at: Timestamp, until: Timestamp) -> Vec<Event> {
    let mut events = vec![event(clock::readable(requested_at), "requested")];
    events.extend(steps(progress, until).map(|step| {
        let at = clock::readable(step.began_at);
        event(at, format!("phase:{}", step.step.name()))
    }));
    events
}

fn phases(progress: &Progress, requested_at: Timestamp, until: Timestamp) -> Vec<Phase> {
    let phase = |step: &StepRecord| {
        let ended = step.ended_at.filter(|at| *at <= until).unwrap_or(until);
        let began = begun(step).min(ended);
        let mut detail = Vec::new();
        if step.attempts > 1 {
            detail.push(format!("attempt {}", step.attempts));
        }
        if step.outcome == Some(StepOutcome::Overridden) {
            detail.push("an operator went on without its proof".to_owned());
        }
        Phase {
            name: step.step.name(),
            outcome: match step.outcome {
                Some(StepOutcome::Done) => "done",
                Some(StepOutcome::Failed | StepOutcome::Overridden) => "failed",
                Some(StepOutcome::Abandoned) | None => "stopped",
            }
            .to_owned(),
            began_ms: between(requested_at, began),
            duration_ms: between(began, ended),
            detail: (!detail.is_empty()).then(|| detail.join("; ")),
        }
    };
    // Waiting for a decision at the end of a ladder has only begun.
    let over = |step: &&StepRecord| step.ended_at.is_some_and(|at| at <= until);
    steps(progress, until).filter(over).map(phase).collect()
}

fn rungs(record: &FailoverRecord, climbed: Option<&ClimbedLadder>) -> Vec<Rung> {
    let Some(climbed) = climbed else {
        return Vec::new();
    };
    let launched_ms = between(record.requested_at, climbed.launched_at);
    let rung = |rung: &crate::drill::RungResult| Rung {
        name: rung.rung.name().to_owned(),
        verdict: match rung.verdict {
            RungVerdict::Passed => Verdict::Passed,
            RungVerdict::Failed => Verdict::Failed,
            RungVerdict::NotRun => Verdict::NotRun,
        },
        at_ms: rung
            .at_seconds
            .map(|at| launched_ms.saturating_add(milliseconds(at))),
        reason: rung.reason.clone(),
        observed: rung.observed.clone(),
    };
    climbed.rungs.iter().map(rung).collect()
}

fn rung_events(climbed: Option<&ClimbedLadder>) -> Vec<Event> {
    let Some(climbed) = climbed else {
        return Vec::new();
    };
    let seen = |rung: &crate::drill::RungResult| {
        let at = after(climbed.launched_at, rung.at_seconds?)?;
        let mut event = event(at, format!("rung:{}", rung.rung.name()));
        event.detail = match rung.verdict {
            RungVerdict::Failed => Some("failed".to_owned()),
            RungVerdict::Passed => None,
            RungVerdict::NotRun => return None,
        };
        Some(event)
    };
    climbed.rungs.iter().filter_map(seen).collect()
}

#[cfg(test)]
mod tests;
