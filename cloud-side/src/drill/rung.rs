//! The rungs of the verification ladder and their results. Plain data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::target::ProbeKind;

/// One rung; the order of the variants is the order of the climb.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The target executes the instance.
    InstanceRunning,
    /// The firmware or boot loader spoke.
    Firmware,
    /// The kernel printed its banner.
    Kernel,
    /// The root file system was mounted.
    RootMounted,
    /// The machine asked for a login.
    Login,
    /// The machine showed the last canary on its disk.
    Canary,
    /// The machine showed an address in its isolated network and answered at it.
    NetworkAddress,
    /// The ports that were asked for took connections.
    Ports,
    /// The pages that were asked for were given out.
    Http,
    /// The guest agent answered.
    GuestAgent,
    /// The operator's scripts were content with the machine.
    Script,
    /// The instance was observed to reach no network.
    Isolation,
}

impl Rung {
    /// All rungs, lowest first.
    pub const ALL: [Self; 12] = [
        Self::InstanceRunning,
        Self::Firmware,
        Self::Kernel,
        Self::RootMounted,
        Self::Login,
        Self::Canary,
        Self::NetworkAddress,
        Self::Ports,
        Self::Http,
        Self::GuestAgent,
        Self::Script,
        Self::Isolation,
    ];

    /// The rung's name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::InstanceRunning => "instance_running",
            Self::Firmware => "firmware",
            Self::Kernel => "kernel",
            Self::RootMounted => "root_mounted",
            Self::Login => "login",
            Self::Canary => "canary",
            Self::NetworkAddress => "network_address",
            Self::Ports => "ports",
            Self::Http => "http",
            Self::GuestAgent => "guest_agent",
            Self::Script => "script",
            Self::Isolation => "isolation",
        }
    }

    /// The rung that a probe belongs to.
    pub(super) fn of(probe: &ProbeKind) -> Self {
        match probe {
            ProbeKind::NetworkAddress => Self::NetworkAddress,
            ProbeKind::Port(_) => Self::Ports,
            ProbeKind::Page(_) => Self::Http,
            ProbeKind::GuestAgent => Self::GuestAgent,
            ProbeKind::Script(_) => Self::Script,
        }
    }

    /// Whether it is climbed by probes.
    pub(crate) fn is_probed(self) -> bool {
        matches!(
            self,
            Self::NetworkAddress | Self::Ports | Self::Http | Self::GuestAgent | Self::Script
        )
    }

    /// The next higher rung.
    pub(super) fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }
}

/// What came out of a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RungVerdict {
    /// It was observed.
    Passed,
    /// It was awaited and did not come, or something showed that it cannot come.
    Failed,
    /// It was not awaited.
    NotRun,
}

/// A rung with its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RungResult {
    /// The rung.
    pub rung: Rung,
    /// What came out.
    pub verdict: RungVerdict,
    /// When it was decided, in seconds since the drill was requested.
    pub at_seconds: Option<f64>,
    /// Why it failed or did not run.
    pub reason: Option<String>,
    /// The console line or the observation that decided.
    pub observed: Option<String>,
    /// The probes that it consists of, in the order in which they are made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeResult>,
}

/// A probe of the machine with its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProbeResult {
    /// The probe, such as `port:22`.
    pub name: String,
    /// What came out.
    pub verdict: RungVerdict,
    /// When it was decided, in seconds since the drill was requested.
    pub at_seconds: Option<f64>,
    /// How long it was tried for, in seconds.
    pub took_seconds: Option<f64>,
    /// Why it failed or did not run.
    pub reason: Option<String>,
    /// What was seen.
    pub observed: Option<String>,
}

/// A duration as seconds, rounded to milliseconds.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json_form_and_the_order_is_total() {
        for rung in Rung::ALL {
            assert_eq!(serde_json::to_value(rung).unwrap(), rung.name());
        }
        let mut climbed = vec![Rung::InstanceRunning];
        while let Some(next) = climbed[climbed.len() - 1].next() {
            climbed.push(next);
        }
        assert_eq!(climbed, Rung::ALL);
    }
}
