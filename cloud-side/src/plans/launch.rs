//! How a group's machine looks in a plan: read from the document, judged by the target's own rules.

use crate::target::{LaunchSettings, NetworkCard, check_networks};
use bcdr_plan::{Fault, GroupStep, StepId};
use serde::{Serialize, de::DeserializeOwned};

/// What a group's step says about its machine.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    pub(super) settings: LaunchSettings,
    pub(super) networks: Vec<NetworkCard>,
}

/// Reads it; what is not said has its default.
pub(super) fn read(step: &StepId, group: &GroupStep) -> Result<Launch, Fault> {
    let fault = |member: &str, cause: String| Fault {
        step: Some(step.clone()),
        code: "launch_settings",
        cause: format!("{member}: {cause}"),
        remedy: "write them as for `bcdr failover start`".to_owned(),
    };
    let settings = match &group.launch_settings {
        Some(settings) => {
            given(settings).map_err(|error| fault("launch_settings", error.to_string()))?
        }
        None => LaunchSettings::default(),
    };
    settings
        .check()
        .map_err(|error| fault("launch_settings", error.to_string()))?;
    let networks = match &group.networks {
        Some(networks) => given(networks).map_err(|error| fault("networks", error.to_string()))?,
        None => vec![NetworkCard::default()],
    };
    check_networks(&networks).map_err(|error| fault("networks", error.to_string()))?;
    Ok(Launch { settings, networks })
}

fn given<Wanted: DeserializeOwned>(value: &impl Serialize) -> Result<Wanted, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(value)?)
}
