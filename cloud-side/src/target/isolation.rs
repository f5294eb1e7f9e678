//! The isolation verdict: what was observed about an instance's way to any network.
//!
//! It is plain data; each target observes in its own way. "Unknown" is a verdict of its own and
//! never counts as isolated.

use serde::{Deserialize, Serialize};

/// Whether an instance can reach a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IsolationVerdict {
    /// Everything that could carry a packet was looked at, and nothing can.
    Isolated,
    /// Something that can carry a packet was seen.
    NotIsolated,
    /// It could not be observed, or something seen could not be explained.
    Unknown,
}

/// One observation of an instance's isolation, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IsolationSample {
    /// The verdict.
    pub verdict: IsolationVerdict,
    /// Why, in a sentence.
    pub reason: String,
    /// Every socket and network device the instance's process had open.
    pub sockets: Vec<SocketEvidence>,
    /// The instance's own network configuration as its hypervisor reports it.
    pub network: Option<String>,
}

/// One open socket or network device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SocketEvidence {
    /// File descriptor number.
    pub descriptor: u32,
    /// Kind, such as `unix` or `tcp`; `unknown` when no table of the kernel lists it.
    pub kind: String,
    /// The kernel's line about it, or the device's path.
    pub detail: String,
}
