//! The document of a plan: what people write, in TOML or JSON.
//!
//! Owns names and defaults. Unknown members are refused while it is read; everything else is judged by
//! [`Plan::check`]. A further kind of step is one arm of [`Kind`].

use crate::{CallStep, DnsStep, Free, ProbeStep, ProbeTarget, ScriptStep, WebhookStep};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Most steps of a plan.
pub const STEPS_MAX: usize = 256;
/// Most steps that may be carried out at once.
pub const AT_ONCE_MAX: u8 = 32;
/// The least urgent priority; 1 is the most urgent.
pub const PRIORITY_MAX: u8 = 99;
/// How many steps are carried out at once when a plan does not say.
const AT_ONCE_DEFAULT: u8 = 4;

/// A recovery plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name: lower-case letters, digits and hyphens.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// How many steps are carried out at once, at most; waits and approvals do not count.
    #[serde(default = "at_once_default")]
    pub at_once: u8,
    /// What is done. The order counts only where nothing else decides.
    pub steps: Vec<Step>,
}

fn at_once_default() -> u8 {
    AT_ONCE_DEFAULT
}

/// The name of a step within its plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&str> for StepId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name: lower-case letters, digits and hyphens, unique in the plan.
    pub id: StepId,
    /// The steps that have to be settled before it begins.
    #[serde(default)]
    pub after: Vec<StepId>,
    /// Whether its failure holds the run up until an operator decides. The failure of a step that is
    /// not critical is noted, and the run goes on.
    #[serde(default = "yes")]
    pub critical: bool,
    /// How urgent it is, 1 to [`PRIORITY_MAX`]; a start may be limited to the most urgent steps. By
    /// default that of the least urgent step it comes after, or 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// What is done.
    #[serde(rename = "do")]
    pub kind: Kind,
}

fn yes() -> bool {
    true
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Fails a group over, or drills it.
    Group(GroupStep),
    /// Lets time pass.
    Wait(WaitStep),
    /// Waits until somebody says that it may go on.
    Approval(ApprovalStep),
    /// Runs a program of the cloud side's host.
    Script(ScriptStep),
    /// Waits until something answers.
    Probe(ProbeStep),
    /// Lets a name point elsewhere.
    Dns(DnsStep),
    /// Tells another system.
    Webhook(WebhookStep),
    /// Asks another system to do something, in that system's own words.
    Call(CallStep),
}

/// Fails a group over or drills it, whatever the run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupStep {
    /// The group's name.
    pub name: String,
    /// How its machine looks and how its boot is judged; every part has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_settings: Option<BTreeMap<String, Free>>,
    /// Its network cards in a failover; one behind the host's addresses by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<BTreeMap<String, Free>>>,
}

/// Lets time pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitStep {
    /// How much, in seconds.
    pub seconds: u32,
}

/// Waits until somebody says that it may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalStep {
    /// What is asked.
    pub message: String,
    /// The names of the tokens whose bearers may answer; empty for everybody who may change things.
    #[serde(default)]
    pub who: Vec<String>,
}

impl Kind {
    /// Its name, as in the document.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Group(_) => "group",
            Self::Wait(_) => "wait",
            Self::Approval(_) => "approval",
            Self::Script(_) => "script",
            Self::Probe(_) => "probe",
            Self::Dns(_) => "dns",
            Self::Webhook(_) => "webhook",
            Self::Call(_) => "call",
        }
    }

    /// What it acts on, if anything: times of earlier runs count only for the same.
    pub fn subject(&self) -> &str {
        match self {
            Self::Group(group) => &group.name,
            Self::Wait(_) | Self::Approval(_) => "",
            Self::Script(script) => &script.program,
            Self::Probe(probe) => match &probe.target {
                ProbeTarget::Tcp { host, .. } => host,
                ProbeTarget::Http { url, .. } => url,
            },
            Self::Dns(dns) => &dns.name,
            Self::Webhook(webhook) => without_query(&webhook.url),
            Self::Call(call) => without_query(&call.url),
        }
    }

    /// Whether somebody carries it out, so that it takes one of the places of those at once.
    pub fn is_work(&self) -> bool {
        match self {
            Self::Wait(_) | Self::Approval(_) => false,
            Self::Group(_)
            | Self::Script(_)
            | Self::Probe(_)
            | Self::Dns(_)
            | Self::Webhook(_)
            | Self::Call(_) => true,
        }
    }

    /// Whether it reaches out of what a drill isolates, and is left out of drills for that.
    pub fn is_left_out_of_drills(&self) -> bool {
        match self {
            Self::Group(_) | Self::Wait(_) | Self::Approval(_) => false,
            Self::Script(script) => !script.in_drill,
            Self::Probe(probe) => !probe.in_drill,
            Self::Dns(dns) => !dns.in_drill,
            Self::Webhook(webhook) => !webhook.in_drill,
            Self::Call(call) => !call.in_drill,
        }
    }
}

/// A URL as it may be shown: what follows may be a token.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

impl Plan {
    /// The step with this name.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// The groups it recovers, in the order of its steps.
    pub fn groups(&self) -> impl Iterator<Item = (&StepId, &GroupStep)> {
        self.steps.iter().filter_map(|step| match &step.kind {
            Kind::Group(group) => Some((&step.id, group)),
            _ => None,
        })
    }
}
