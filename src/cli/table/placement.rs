//! Placements.

use super::{
    Fields, line,
    recovery::{Action, Standing, StepFailure, allowed, source},
};
use serde::Deserialize;

/// Where a group's production is.
#[derive(Debug, Deserialize)]
pub(crate) struct Placement {
    group: String,
    state: String,
    authority: String,
    generation: u64,
    job: Option<Job>,
    target: Option<Target>,
    split_brain: Option<SplitBrain>,
    source_order: Order,
    source: Option<Standing>,
    allowed_actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct Job {
    kind: String,
    id: String,
    step: String,
    stage: String,
    failure: Option<StepFailure>,
}

#[derive(Debug, Deserialize)]
struct Target {
    branch: String,
    instance: String,
    point: String,
}

#[derive(Debug, Deserialize)]
struct SplitBrain {
    reason: String,
    source_generation: u64,
    since: String,
    keeping: Option<Keeping>,
}

#[derive(Debug, Deserialize)]
struct Keeping {
    site: String,
    step: String,
    stage: String,
    failure: Option<StepFailure>,
}

#[derive(Debug, Deserialize)]
struct Order {
    generation: u64,
    duty: String,
}

/// `bcdr placement show`
pub(crate) fn show(placement: &Placement) -> String {
    let mut fields = Fields::new();
    fields.field("group", &placement.group);
    fields.field("state", placement.state.replace('_', " "));
    fields.field("authority", &placement.authority);
    fields.field("generation", placement.generation.to_string());
    if let Some(split) = &placement.split_brain {
        let keeping = match &split.keeping {
            Some(keeping) => format!(
                "the {} is being kept: {}, {}",
                keeping.site, keeping.step, keeping.stage
            ),
            None => "say which site is kept".to_owned(),
        };
        fields.field(
            "split brain",
            format!(
                "suspected since {}: {}; the source knows generation {}; {keeping}",
                split.since,
                split.reason.replace('_', " "),
                split.source_generation
            ),
        );
        let failure = split.keeping.as_ref();
        if let Some(failure) = failure.and_then(|keeping| keeping.failure.as_ref()) {
            fields.field("failed", line(&failure.cause));
            fields.field("remedy", line(&failure.remedy));
        }
    }
    if let Some(job) = &placement.job {
        fields.field(
            "job",
            format!("{} {}: {}, {}", job.kind, job.id, job.step, job.stage),
        );
        if let Some(failure) = &job.failure {
            fields.field("failed", line(&failure.cause));
            fields.field("remedy", line(&failure.remedy));
        }
    }
    if let Some(target) = &placement.target {
        fields.field(
            "runs here",
            format!(
                "instance {} on branch {}, forked at point {}",
                target.instance, target.branch, target.point
            ),
        );
    }
    fields.field("source", source(placement.source.as_ref()));
    fields.field(
        "its order",
        format!(
            "{} under generation {}",
            placement.source_order.duty.replace('_', " "),
            placement.source_order.generation
        ),
    );
    fields.field("may be done", allowed(&placement.allowed_actions));
    fields.to_string()
}
