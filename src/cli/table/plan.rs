//! Plans and their runs.

use super::{
    Fields, Grid, NONE, UNKNOWN, line, or_none,
    recovery::{Action, allowed},
};
use crate::cli::{client::Items, units};
use bcdr_plan::{Kind, Plan as PlanDocument};
use serde::Deserialize;

/// A plan.
#[derive(Debug, Deserialize)]
pub(crate) struct Plan {
    name: String,
    version: u32,
    applied_at: String,
    applied_by: String,
    groups: Vec<String>,
    document: PlanDocument,
}

/// `bcdr plan list`
pub(crate) fn list(plans: &Items<Plan>) -> Grid {
    let headers = ["PLAN", "VERSION", "STEPS", "GROUPS", "APPLIED", "BY"];
    let mut grid = Grid::new(&headers, &[1, 2]);
    for plan in &plans.items {
        grid.row([
            plan.name.clone(),
            plan.version.to_string(),
            plan.document.steps.len().to_string(),
            line(&plan.groups.join(", ")),
            plan.applied_at.clone(),
            plan.applied_by.clone(),
        ]);
    }
    grid.and_more(plans.next_cursor.as_ref())
}

/// One plan.
pub(crate) fn show(plan: &Plan) -> String {
    let mut fields = Fields::new();
    fields.field("plan", &plan.name);
    fields.field("version", plan.version.to_string());
    fields.field(
        "applied",
        format!("{} by {}", plan.applied_at, plan.applied_by),
    );
    let about = Some(plan.document.description.as_str()).filter(|text| !text.is_empty());
    fields.field_if("about", about.map(line));
    fields.field("at once", plan.document.at_once.to_string());
    let mut grid = Grid::new(
        &["STEP", "KIND", "WHAT", "AFTER", "CRITICAL", "PRIORITY"],
        &[5],
    );
    for step in &plan.document.steps {
        let what = match &step.kind {
            Kind::Group(group) => group.name.clone(),
            Kind::Wait(wait) => units::seconds(wait.seconds.into()),
            Kind::Approval(approval) => line(&approval.message),
            other => line(other.subject()),
        };
        let after: Vec<_> = step.after.iter().map(|id| id.0.as_str()).collect();
        grid.row([
            step.id.0.clone(),
            step.kind.name().to_owned(),
            what,
            names(&after),
            if step.critical { "yes" } else { "no" }.to_owned(),
            step.priority
                .map_or_else(|| NONE.to_owned(), |priority| priority.to_string()),
        ]);
    }
    format!("{fields}\n{grid}")
}

fn names(names: &[&str]) -> String {
    if names.is_empty() {
        return NONE.to_owned();
    }
    names.join(", ")
}

/// What a look at a plan showed.
#[derive(Debug, Deserialize)]
pub(crate) struct Check {
    plan: String,
    version: u32,
    mode: String,
    verdict: String,
    points: Vec<Point>,
    skew_seconds: Option<f64>,
    #[serde(default)]
    losses: Vec<Loss>,
    items: Vec<CheckItem>,
}

/// What an emergency would lose of a group.
#[derive(Debug, Deserialize)]
struct Loss {
    step: String,
    group_name: String,
    summary: String,
}

#[derive(Debug, Deserialize)]
struct CheckItem {
    step: Option<String>,
    check: String,
    verdict: String,
    detail: String,
    remedy: Option<String>,
}

/// The point of a group.
#[derive(Debug, Deserialize)]
struct Point {
    step: String,
    group_name: String,
    point: String,
    time: String,
}

impl Check {
    /// Whether a run would fail.
    pub(crate) fn failed(&self) -> bool {
        self.verdict == "failed"
    }
}

/// What an emergency would lose, a line for each group, and how far the points are apart.
pub(crate) fn losses(check: &Check) -> Vec<String> {
    let loss = |loss: &Loss| {
        line(&format!(
            "{} ({}): {}",
            loss.step, loss.group_name, loss.summary
        ))
    };
    let mut lines: Vec<_> = check.losses.iter().map(loss).collect();
    if let Some(skew) = check.skew_seconds {
        lines.push(format!("the groups' points are {skew:.3} s apart"));
    }
    lines
}

/// `bcdr plan check`
pub(crate) fn check(check: &Check) -> String {
    let mut fields = Fields::new();
    fields.field("plan", format!("{}, version {}", check.plan, check.version));
    fields.field("mode", &check.mode);
    fields.field("verdict", verdict(&check.verdict));
    fields.field("skew", seconds_or_none(check.skew_seconds));
    let mut grid = Grid::new(&["STEP", "CHECK", "VERDICT", "SEEN", "REMEDY"], &[]);
    for item in &check.items {
        grid.row([
            or_none(item.step.as_deref()),
            item.check.clone(),
            verdict(&item.verdict),
            line(&item.detail),
            item.remedy.as_deref().map_or_else(|| NONE.to_owned(), line),
        ]);
    }
    format!("{fields}\n{}\n{grid}", points(&check.points))
}

fn verdict(verdict: &str) -> String {
    match verdict {
        "failed" => "FAILED".to_owned(),
        other => other.to_owned(),
    }
}

fn points(points: &[Point]) -> Grid {
    let mut grid = Grid::new(&["STEP", "GROUP", "POINT", "TIME"], &[]);
    for point in points {
        grid.row([
            point.step.clone(),
            point.group_name.clone(),
            point.point.clone(),
            point.time.clone(),
        ]);
    }
    grid
}

fn seconds_or_none(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| NONE.to_owned(), units::seconds)
}

/// How long a run would take.
#[derive(Debug, Deserialize)]
pub(crate) struct Forecast {
    plan: String,
    version: u32,
    mode: String,
    at_least_seconds: f64,
    is_complete: bool,
    steps: Vec<ForecastStep>,
}

#[derive(Debug, Deserialize)]
struct ForecastStep {
    step: String,
    begins_after_seconds: Option<f64>,
    seconds: Option<f64>,
    basis: String,
}

/// `bcdr plan forecast`
pub(crate) fn forecast(forecast: &Forecast) -> String {
    let mut fields = Fields::new();
    let Forecast { plan, version, .. } = forecast;
    fields.field("plan", format!("{plan}, version {version}"));
    fields.field("mode", &forecast.mode);
    let takes = units::seconds(forecast.at_least_seconds);
    let takes = match forecast.is_complete {
        true => takes,
        false => format!("at least {takes}; some steps are unknown"),
    };
    fields.field("takes", takes);
    let mut grid = Grid::new(&["STEP", "BEGINS AFTER", "TAKES", "FROM"], &[1, 2]);
    for step in &forecast.steps {
        let is_run = step.begins_after_seconds.is_some();
        let unknown = if is_run { UNKNOWN } else { NONE };
        grid.row([
            step.step.clone(),
            seconds_or_none(step.begins_after_seconds),
            step.seconds
                .map_or_else(|| unknown.to_owned(), units::seconds),
            line(&step.basis),
        ]);
    }
    format!("{fields}\n{grid}")
}

/// A run of a plan.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    plan: String,
    version: u32,
    mode: String,
    pub(crate) state: String,
    operator: String,
    began_at: String,
    ended_at: Option<String>,
    at: Option<String>,
    points: Vec<Point>,
    skew_seconds: Option<f64>,
    taken_skew_seconds: Option<f64>,
    cancelled: Option<Decision>,
    pub(crate) steps: Vec<Step>,
    allowed_actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct Decision {
    by: String,
    reason: Option<String>,
}

impl Decision {
    fn line(&self) -> String {
        let reason = self.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        line(&format!("by {}{reason}", self.by))
    }
}

/// A step of a run.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) id: String,
    kind: String,
    about: String,
    critical: bool,
    pub(crate) state: String,
    reason: Option<String>,
    pub(crate) attempts: u32,
    seconds: Option<f64>,
    remaining_seconds: Option<f64>,
    reference: Option<String>,
    note: Option<String>,
    failure: Option<Failure>,
    decided: Option<Decision>,
    allowed_actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    code: String,
    cause: String,
    remedy: String,
}

impl Step {
    /// Whether there is something to tell about it.
    pub(crate) fn is_news(&self) -> bool {
        !matches!(self.state.as_str(), "waiting")
    }

    /// How it stands, in one line.
    pub(crate) fn line(&self) -> String {
        line(&format!(
            "{:>9}  {:<16}  {}  {}",
            seconds_or_none(self.seconds),
            self.id,
            self.state.replace('_', " "),
            self.what()
        ))
    }

    fn what(&self) -> String {
        match self.state.as_str() {
            "failed" => self.failure.as_ref().map(|failure| failure.cause.clone()),
            "skipped" | "not_run" => self.reason.clone(),
            "awaiting_approval" => Some(self.about.clone()),
            "running" => match self.remaining_seconds {
                Some(left) => Some(format!("{} left", units::seconds(left))),
                None => self.reference.clone(),
            },
            "done" => {
                let released = self.decided.as_ref().map(Decision::line);
                self.note.clone().or(released)
            }
            _ => None,
        }
        .unwrap_or_default()
    }
}

impl Run {
    /// Whether nothing goes on by itself.
    pub(crate) fn awaits_somebody(&self) -> bool {
        // What runs beside a failed step is awaited first.
        let is_busy = self.steps.iter().any(|step| step.state == "running");
        match self.state.as_str() {
            "running" | "cancelling" => false,
            "paused" => !is_busy,
            _ => true,
        }
    }

    /// How it stands, for people.
    pub(crate) fn state(&self) -> String {
        self.state.replace('_', " ")
    }

    /// The step that holds it up, and why.
    pub(crate) fn holding_up(&self) -> Option<(&str, &str)> {
        let step = self
            .steps
            .iter()
            .find(|step| step.critical && step.state == "failed")?;
        Some((&step.id, &step.failure.as_ref()?.cause))
    }
}

/// `bcdr plan run list`
pub(crate) fn runs(runs: &Items<Run>) -> Grid {
    let headers = ["ID", "PLAN", "VERSION", "MODE", "STATE", "BEGAN", "BY"];
    let mut grid = Grid::new(&headers, &[2]).wide(&["ENDED", "AT", "HELD UP BY"]);
    for run in &runs.items {
        let row = [
            run.id.clone(),
            run.plan.clone(),
            run.version.to_string(),
            run.mode.clone(),
            run.state(),
            run.began_at.clone(),
            run.operator.clone(),
        ];
        let behind = [
            or_none(run.ended_at.as_deref()),
            or_none(run.at.as_deref()),
            or_none(run.holding_up().map(|(step, _)| step)),
        ];
        grid.row_wide(row, behind);
    }
    grid.and_more(runs.next_cursor.as_ref())
}

/// One run.
pub(crate) fn run(run: &Run) -> String {
    let mut fields = Fields::new();
    fields.field("run", &run.id);
    fields.field("plan", format!("{}, version {}", run.plan, run.version));
    fields.field("mode", &run.mode);
    fields.field("state", run.state());
    fields.field("began", format!("{} by {}", run.began_at, run.operator));
    fields.field("ended", or_none(run.ended_at.as_deref()));
    fields.field("at", run.at.as_deref().unwrap_or("latest"));
    fields.field("skew", seconds_or_none(run.skew_seconds));
    let taken = run.taken_skew_seconds.map(units::seconds);
    fields.field_if("skew taken", taken);
    fields.field_if("cancelled", run.cancelled.as_ref().map(Decision::line));
    let may = run.steps.iter().filter_map(|step| {
        let may = allowed(&step.allowed_actions);
        (may != NONE).then(|| format!("{may} {}", step.id))
    });
    let of_run = Some(allowed(&run.allowed_actions)).filter(|may| may != NONE);
    let may: Vec<_> = may.chain(of_run).collect();
    let may: Vec<_> = may.iter().map(String::as_str).collect();
    fields.field("may be", names(&may));
    let mut grid = Grid::new(
        &["STEP", "KIND", "STATE", "TOOK", "ATTEMPTS", "WHAT"],
        &[3, 4],
    );
    for step in &run.steps {
        grid.row([
            step.id.clone(),
            step.kind.clone(),
            step.state.replace('_', " "),
            seconds_or_none(step.seconds),
            step.attempts.to_string(),
            line(&step.what()),
        ]);
    }
    let mut text = format!("{fields}\n{}\n{grid}", points(&run.points));
    for step in run.steps.iter().filter(|step| step.state == "failed") {
        if let Some(Failure {
            code,
            cause,
            remedy,
        }) = &step.failure
        {
            let mut fields = Fields::new();
            fields.field(
                "failed",
                super::plain(&format!("{}: {cause} ({code})", step.id)),
            );
            fields.field("remedy", super::plain(remedy));
            text.push_str(&format!("\n{fields}"));
        }
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const RUN: &str = r#"{"id":"prn-1","plan":"shop","version":3,"mode":"drill","state":"paused",
        "operator":"ops","began_at":"T1","ended_at":null,"at":null,"interrupted_at":null,"priority":null,"only":[],
        "points":[{"step":"db","group":"grp-1","group_name":"db","point":"1-6","time":"T0"}],
        "skew_seconds":3.0,"taken_skew_seconds":null,"cancelled":null,
        "steps":[
        {"id":"db","kind":"group","about":"db","after":[],"critical":true,"priority":1,"state":"done","reason":null,
        "attempts":1,"seconds":12.5,"remaining_seconds":null,"reference":"drl-1","note":"drill drl-1 passed",
        "failure":null,"point":"1-6","point_time":"T0","decided":null,"who":[],
        "allowed_actions":[{"name":"retry-step","allowed":false}]},
        {"id":"web","kind":"group","about":"web","after":["db"],"critical":true,"priority":1,"state":"failed","reason":null,
        "attempts":2,"seconds":1.5,"remaining_seconds":null,"reference":"drl-2","note":null,
        "failure":{"code":"drill_failed","cause":"no memory","remedy":"free some"},"point":null,"point_time":null,
        "decided":null,"who":[],"allowed_actions":[{"name":"retry-step","allowed":true},{"name":"skip-step","allowed":true}]}],
        "allowed_actions":[{"name":"cancel","allowed":true}]}"#;

    #[test]
    fn a_run_shows_its_steps_what_holds_it_up_and_what_may_be_done() {
        let held: Run = serde_json::from_str(RUN).unwrap();
        assert!(held.awaits_somebody());
        assert_eq!(
            run(&held),
            "run     prn-1\n\
             plan    shop, version 3\n\
             mode    drill\n\
             state   paused\n\
             began   T1 by ops\n\
             ended   -\n\
             at      latest\n\
             skew    3.00 s\n\
             may be  retry-step, skip-step web, cancel\n\
             \n\
             STEP  GROUP  POINT  TIME\n\
             db    db     1-6    T0\n\
             \n\
             STEP  KIND   STATE     TOOK  ATTEMPTS  WHAT\n\
             db    group  done    12.5 s         1  drill drl-1 passed\n\
             web   group  failed  1.50 s         2  no memory\n\
             \n\
             failed  web: no memory (drill_failed)\n\
             remedy  free some\n"
        );
    }

    #[test]
    fn a_step_beside_a_failed_one_is_awaited() {
        let text = RUN.replace("\"state\":\"done\"", "\"state\":\"running\"");
        let busy: Run = serde_json::from_str(&text).unwrap();
        assert!(!busy.awaits_somebody());
    }

    #[test]
    fn a_forecast_says_what_it_does_not_know() {
        let text = r#"{"plan":"shop","version":1,"mode":"drill","at_least_seconds":40.0,"is_complete":false,"steps":[
            {"step":"db","begins_after_seconds":0.0,"seconds":40.0,"runs":3,"basis":"the median of 3 earlier runs"},
            {"step":"web","begins_after_seconds":40.0,"seconds":null,"runs":null,"basis":"unknown: it was never run"}]}"#;
        let shown = forecast(&serde_json::from_str(text).unwrap());
        assert!(
            shown.contains("at least 40.0 s; some steps are unknown"),
            "{shown}"
        );
        assert!(
            shown.contains("unknown  unknown: it was never run"),
            "{shown}"
        );
    }
}
