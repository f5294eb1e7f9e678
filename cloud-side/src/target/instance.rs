//! Instances: what is asked for, what is recorded, what is observed.
//!
//! Owns the durable [`InstanceRecord`]. It is plain data; the targets give it meaning.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{DiskSource, LaunchSettings, NetworkCard, qemu::QemuInstance};

/// The longest instance id, in bytes: it is part of file names and of a command line.
const INSTANCE_ID_BYTES_MAX: usize = 64;

/// Names one instance; unique for ever, since clean-up after a crash searches by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

/// Why a text is no instance id.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is no instance id: 1 to {INSTANCE_ID_BYTES_MAX} letters, digits, '-' or '_' are allowed"
)]
pub struct InstanceIdError {
    text: String,
}

impl InstanceId {
    /// Takes a text as an instance id.
    ///
    /// # Errors
    /// When it is empty, too long, or has characters other than ASCII letters, digits, `-` and `_`.
    pub fn new(text: impl Into<String>) -> Result<Self, InstanceIdError> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > INSTANCE_ID_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(InstanceIdError { text });
        }
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for InstanceId {
    type Error = InstanceIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

impl std::fmt::Display for InstanceId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What an instance is for; it decides where its writes go, what its cards are connected to, and
/// whether it outlives the process that started it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstancePurpose {
    /// A drill: throw-away disks over read-only sources, no network, gone with its process.
    #[default]
    Drill,
    /// Production on the recovered side: it writes to its sources, has its networks, and goes on when the process that started it ends.
    Failover,
}

/// Everything a target needs to launch an instance.
#[derive(Clone, Debug)]
pub struct LaunchRequest {
    /// The instance's id.
    pub instance: InstanceId,
    /// What it is for.
    pub purpose: InstancePurpose,
    /// How the machine looks.
    pub settings: LaunchSettings,
    /// The machine's network cards. In a drill they are isolated whatever they say.
    pub networks: Vec<NetworkCard>,
    /// The machine's disks; [`LaunchSettings::disk_order`] may rearrange them.
    pub disks: Vec<DiskSource>,
    /// Where throw-away files go; it may have any length.
    pub runtime_directory: PathBuf,
    /// Where the target leaves console output and other evidence. It must exist.
    pub evidence_directory: PathBuf,
}

/// What a target created, or was about to create, for one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceRecord {
    /// The instance's id.
    pub instance: InstanceId,
    /// What only the target understands.
    pub detail: InstanceDetail,
}

/// The part of a record that depends on the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "target", rename_all = "snake_case")]
#[non_exhaustive]
pub enum InstanceDetail {
    /// A QEMU process on this host.
    Qemu(QemuInstance),
}

/// Whether an instance executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// It executes.
    Running,
    /// It exists but will not execute any further; the text says why.
    Stopped(String),
    /// It exists no more; the text says why.
    Gone(String),
}

/// One look at an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Whether it executes.
    pub state: InstanceState,
    /// Bytes its throw-away disks occupy.
    pub overlay_bytes: u64,
    /// Bytes of console output so far.
    pub console_bytes: u64,
}

/// A position in an instance's console output, in bytes from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsoleOffset(pub u64);

/// A piece of console output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleChunk {
    /// The output; empty when there is nothing new.
    pub bytes: Vec<u8>,
    /// Where to go on.
    pub next: ConsoleOffset,
}

/// A text to keep as evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceText {
    /// File name, without a directory.
    pub name: &'static str,
    /// Content.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_cannot_leave_its_directory_or_its_argument() {
        for text in ["", "..", "a/b", "a b", "a,b", "a\0b", &"x".repeat(65)] {
            assert!(InstanceId::new(text).is_err(), "{text:?} was accepted");
        }
        assert_eq!(
            InstanceId::new("drill_01-Z").unwrap().as_str(),
            "drill_01-Z"
        );
        assert!(serde_json::from_str::<InstanceId>("\"a/b\"").is_err());
    }
}
