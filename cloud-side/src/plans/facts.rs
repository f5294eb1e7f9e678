//! What a step that acts outside is told of its run: as names and values, and as a document.
//!
//! Owns what is told; the names are those of [`bcdr_plan::facts`]. Nothing of it is secret.

use super::{launch, record::PlanRunRecord};
use crate::clock;
use bcdr_plan::{Kind, Mode, Step, StepId, StepRun, StepState, facts::of_group};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is known of a run when a step of it begins.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Facts {
    pub(crate) plan: String,
    plan_version: u32,
    pub(crate) run: String,
    mode: &'static str,
    pub(crate) step: String,
    /// Not in the document: what is told again has to be the same.
    #[serde(skip)]
    pub(crate) attempt: u32,
    began_at: jiff::Timestamp,
    /// The one time of all groups; null for the newest point of each.
    at: Option<jiff::Timestamp>,
    groups: Vec<GroupFacts>,
}

/// What is known of a group of the plan.
#[derive(Debug, Clone, Serialize)]
struct GroupFacts {
    name: String,
    state: &'static str,
    /// The drill or failover.
    job: Option<String>,
    /// The point that was taken.
    point: Option<String>,
    point_time: Option<jiff::Timestamp>,
    /// Where ports of its machine are reached in a failover.
    ports: BTreeMap<u16, String>,
}

impl Facts {
    pub(crate) fn of(record: &PlanRunRecord, step: &StepId, attempt: u32) -> Self {
        let run = &record.run;
        let groups = run.steps().filter_map(|(step, state)| {
            let Kind::Group(_) = &step.kind else {
                return None;
            };
            Some(GroupFacts::of(step, state, run.mode))
        });
        Self {
            plan: run.plan.name.clone(),
            plan_version: run.version,
            run: record.id.to_string(),
            mode: run.mode.name(),
            step: step.0.clone(),
            attempt,
            began_at: clock::readable(run.began_at),
            at: record.at.map(clock::readable),
            groups: groups.collect(),
        }
    }

    /// As names and values; `errand` is the same for every attempt of the step.
    pub(crate) fn named(&self, errand: &str) -> BTreeMap<String, String> {
        let mut named = BTreeMap::new();
        let mut tell = |name: &str, value: String| {
            named.insert(name.to_owned(), value);
        };
        tell("BCDR_PLAN", self.plan.clone());
        tell("BCDR_PLAN_VERSION", self.plan_version.to_string());
        tell("BCDR_RUN", self.run.clone());
        tell("BCDR_MODE", self.mode.to_owned());
        tell("BCDR_STEP", self.step.clone());
        tell("BCDR_ATTEMPT", self.attempt.to_string());
        tell("BCDR_ERRAND", errand.to_owned());
        if let Some(at) = self.at {
            tell("BCDR_AT", at.to_string());
        }
        let names: Vec<_> = self
            .groups
            .iter()
            .map(|group| group.name.as_str())
            .collect();
        tell("BCDR_GROUPS", names.join(" "));
        for group in &self.groups {
            let begin = of_group(&group.name);
            tell(&format!("{begin}_STATE"), group.state.to_owned());
            for (name, value) in [
                ("JOB", group.job.clone()),
                ("POINT", group.point.clone()),
                ("POINT_TIME", group.point_time.map(|time| time.to_string())),
            ] {
                if let Some(value) = value {
                    tell(&format!("{begin}_{name}"), value);
                }
            }
            for (port, address) in &group.ports {
                tell(&format!("{begin}_PORT_{port}"), address.clone());
            }
        }
        named
    }
}

impl GroupFacts {
    fn of(step: &Step, run: &StepRun, mode: Mode) -> Self {
        let point = run.point.as_ref();
        Self {
            name: step.kind.subject().to_owned(),
            state: match run.state {
                StepState::Waiting => "waiting",
                StepState::Running => "running",
                StepState::AwaitingApproval => "awaiting_approval",
                StepState::Done => "done",
                StepState::Failed => "failed",
                StepState::Skipped => "skipped",
                StepState::NotRun(_) => "not_run",
            },
            job: run.reference.clone(),
            point: point.map(|point| point.id.clone()),
            point_time: point.map(|point| clock::readable(point.time)),
            ports: ports(step, mode),
        }
    }
}

/// Where the ports of a group's machine are reached, by its port. A drill's are not.
fn ports(step: &Step, mode: Mode) -> BTreeMap<u16, String> {
    let mut ports = BTreeMap::new();
    let Kind::Group(group) = &step.kind else {
        return ports;
    };
    // What cannot be read fails the group's own step.
    let Ok(launch) = launch::read(&step.id, group) else {
        return ports;
    };
    if mode == Mode::Drill {
        return ports;
    }
    for card in launch.networks {
        for one in card.forwards() {
            let address = format!("{}:{}", one.host_address, one.host_port);
            ports.entry(one.machine_port).or_insert(address);
        }
    }
    ports
}
