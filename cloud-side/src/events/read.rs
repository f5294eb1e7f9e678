//! From a document that was written to what is told of it. Pure.
//!
//! What is not here is not told of: sessions, keys of requests, parts of objects that have documents
//! of their own.

use super::{EventKind, EventObject, News};
use crate::{
    access::{UserRecord, token_id},
    alerts::MUTES_COLLECTION,
    branch::BranchRecord,
    catalog::{ChangedDocument, Document, TokenRecord, ViewRecord},
    drills::DrillRecord,
    jobs::JobRecord,
    plans::{PlanRecord, PlanRunRecord},
    readiness::NewestInspection,
    recovery::{FailbackRecord, FailoverRecord, Placement, Progress, RestoreRecord},
    reports::ReportRecord,
    schedules::Schedule,
};
use bcdr_alert::{Alert, ObjectKind};
use bcdr_format::GroupId;
use serde::Serialize;
use serde_json::Value;

/// An object as a document shows it.
struct Shown {
    object: EventObject,
    id: String,
    group: Option<GroupId>,
    summary: String,
    /// It was removed, although its document stays.
    is_gone: bool,
}

impl Shown {
    fn new(
        object: EventObject,
        id: impl ToString,
        group: Option<GroupId>,
        summary: String,
    ) -> Self {
        Self {
            object,
            id: id.to_string(),
            group,
            summary,
            is_gone: false,
        }
    }
}

/// What is told of a document, if anything is.
pub(super) fn news(document: &ChangedDocument<'_>) -> Option<News> {
    let shown = shown(document)?;
    let is_gone = document.is_removed || shown.is_gone;
    Some(News {
        kind: if is_gone {
            EventKind::Removed
        } else {
            EventKind::Changed
        },
        object: shown.object,
        object_id: shown.id,
        group: shown.group,
        summary: if is_gone {
            "it is there no more".to_owned()
        } else {
            shown.summary
        },
    })
}

fn shown(document: &ChangedDocument<'_>) -> Option<Shown> {
    match document.collection() {
        JobRecord::COLLECTION => document.read().map(job),
        DrillRecord::COLLECTION => document.read().map(drill),
        Schedule::COLLECTION => document.read().map(schedule),
        Placement::COLLECTION => document.read().map(placement),
        FailoverRecord::COLLECTION => document.read().map(failover),
        FailbackRecord::COLLECTION => document.read().map(failback),
        RestoreRecord::COLLECTION => document.read().map(restore),
        PlanRecord::COLLECTION => document.read().map(plan),
        PlanRunRecord::COLLECTION => document.read().map(plan_run),
        BranchRecord::COLLECTION => document.read().map(branch),
        ViewRecord::COLLECTION => document.read().map(view),
        NewestInspection::COLLECTION => document.read().map(readiness),
        ReportRecord::COLLECTION => document.read().map(report),
        Alert::COLLECTION => document.read().map(alert),
        MUTES_COLLECTION => Some(Shown::new(
            EventObject::AlertMutes,
            "all",
            None,
            "what of the alerts is not told has changed".to_owned(),
        )),
        UserRecord::COLLECTION => document.read().map(user),
        TokenRecord::COLLECTION => document.read().map(token),
        _ => None,
    }
}

/// The name that a value has in the API, as words.
fn words(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name.replace('_', " "),
        _ => "otherwise than before".to_owned(),
    }
}

fn job(job: JobRecord) -> Shown {
    let mut summary = format!(
        "{} job is {}",
        job.kind.name().replace('_', " "),
        job.state.name()
    );
    if let Some(phase) = &job.phase {
        summary.push_str(": ");
        summary.push_str(&phase.replace('_', " "));
    }
    Shown::new(EventObject::Job, job.id, Some(job.group), summary)
}

fn drill(drill: DrillRecord) -> Shown {
    let mut summary = format!("drill is {}", words(&drill.state));
    if let Some(reason) = &drill.reason {
        summary.push_str(": ");
        summary.push_str(reason);
    }
    Shown::new(EventObject::Drill, drill.id, Some(drill.group), summary)
}

fn schedule(schedule: Schedule) -> Shown {
    let group = schedule.group;
    let summary = format!("a drill every {} s", schedule.cadence.every_seconds());
    Shown::new(EventObject::DrillSchedule, group, Some(group), summary)
}

fn placement(placement: Placement) -> Shown {
    let group = placement.group();
    let summary = format!("production is {}", words(&placement.state()));
    Shown::new(EventObject::Placement, group, Some(group), summary)
}

/// How a job that changes a placement stands.
fn standing(progress: &Progress, end: Option<&impl Serialize>) -> String {
    match end {
        Some(end) => format!("it ended: {}", words(end)),
        None => {
            let (step, stage) = (words(&progress.step), words(&progress.stage));
            format!("it is at {step}, {stage}")
        }
    }
}

fn failover(job: FailoverRecord) -> Shown {
    let summary = standing(&job.progress, job.end.as_ref());
    Shown::new(EventObject::Failover, job.id, Some(job.group), summary)
}

fn failback(job: FailbackRecord) -> Shown {
    let summary = standing(&job.progress, job.end.as_ref());
    Shown::new(EventObject::Failback, job.id, Some(job.group), summary)
}

fn restore(job: RestoreRecord) -> Shown {
    let summary = standing(&job.progress, job.end.as_ref());
    Shown::new(EventObject::Restore, job.id, Some(job.group), summary)
}

fn plan(record: PlanRecord) -> Shown {
    let summary = format!("version {} was applied", record.version);
    Shown {
        is_gone: record.removed_at.is_some(),
        ..Shown::new(EventObject::Plan, record.plan.name, None, summary)
    }
}

fn plan_run(record: PlanRunRecord) -> Shown {
    let run = &record.run;
    let (plan, mode, state) = (&run.plan.name, run.mode.name(), words(&run.state()));
    let summary = format!("run of plan {plan} as {mode} is {state}");
    Shown::new(EventObject::PlanRun, record.id, None, summary)
}

fn branch(branch: BranchRecord) -> Shown {
    let summary = format!("branch is {}", words(&branch.state));
    Shown::new(
        EventObject::Branch,
        branch.id,
        Some(branch.group()),
        summary,
    )
}

fn view(view: ViewRecord) -> Shown {
    let summary = format!("view of point {} is open", view.point);
    Shown::new(
        EventObject::View,
        view.id,
        Some(view.lineage.group),
        summary,
    )
}

fn readiness(inspection: NewestInspection) -> Shown {
    let group = inspection.group;
    let (point, readiness) = (inspection.point, words(&inspection.readiness));
    let summary = format!("point {point} was inspected: {readiness}");
    Shown::new(EventObject::Readiness, group, Some(group), summary)
}

fn report(report: ReportRecord) -> Shown {
    let (number, kind, subject) = (report.number, words(&report.kind), &report.subject);
    let summary = format!("report {number} on {kind} {subject}");
    Shown::new(EventObject::Report, report.id, Some(report.group), summary)
}

fn alert(alert: Alert) -> Shown {
    let of_group = alert.object.kind == ObjectKind::Group;
    let group = alert.object.id.parse().ok().filter(|_| of_group);
    let (code, state) = (alert.code.name(), alert.state().name());
    let summary = format!(
        "{code} of {} is {state}: {}",
        alert.object.name, alert.detail
    );
    Shown::new(EventObject::Alert, alert.id, group, summary)
}

fn user(user: UserRecord) -> Shown {
    let disabled = if user.disabled { ", disabled" } else { "" };
    let summary = format!("user {} is {}{disabled}", user.name, user.role);
    Shown::new(EventObject::User, user.id, None, summary)
}

fn token(token: TokenRecord) -> Shown {
    let summary = format!("token {:?} is {}", token.name, token.role);
    Shown::new(EventObject::Token, token_id(&token), None, summary)
}
