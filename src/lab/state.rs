//! What a lab remembers: its group, volumes and addresses. Written once each step of `lab up` is
//! done, so that an interrupted `up` is taken up where it stopped.

use super::layout::Layout;
use anyhow::{Context, bail};
use bcdr_disk::{RealStorage, replace_atomically};
use bcdr_format::{GroupId, StreamId, VolumeId};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// A volume of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabVolume {
    /// Its name.
    pub(crate) name: String,
    /// The raw image or block device, absolute.
    pub(crate) path: PathBuf,
    /// Its size in bytes when it was adopted.
    pub(crate) size_bytes: u64,
    /// Its id, once the cloud side minted it.
    pub(crate) id: Option<VolumeId>,
}

/// The group as the cloud side made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabGroup {
    /// Its id.
    pub(crate) id: GroupId,
    /// Its stream.
    pub(crate) stream: StreamId,
}

/// A lab's state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabState {
    /// The version of this file.
    pub(crate) version: u32,
    /// The group's name.
    pub(crate) group_name: String,
    /// The group, once the cloud side made it.
    pub(crate) group: Option<LabGroup>,
    /// The volumes, in order.
    pub(crate) volumes: Vec<LabVolume>,
    /// The API's address.
    pub(crate) api: SocketAddr,
    /// The receiver's address.
    pub(crate) ship: SocketAddr,
    /// The gateway's address.
    pub(crate) feed: SocketAddr,
}

const VERSION: u32 = 1;

impl LabState {
    /// The state of a lab that is being made.
    pub(crate) fn new(
        group_name: &str,
        volumes: Vec<LabVolume>,
        [api, ship, feed]: [SocketAddr; 3],
    ) -> Self {
        Self {
            version: VERSION,
            group_name: group_name.to_owned(),
            group: None,
            volumes,
            api,
            ship,
            feed,
        }
    }

    /// The state of the lab, if there is one.
    pub(crate) fn load(layout: &Layout) -> anyhow::Result<Option<Self>> {
        let path = layout.state_file();
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(None);
        };
        let state: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("cannot read the lab's state {}", path.display()))?;
        if state.version != VERSION {
            bail!(
                "the lab in {} has state version {}, this program reads version {VERSION}: use the release that made it",
                layout.directory.display(),
                state.version
            );
        }
        Ok(Some(state))
    }

    /// Keeps the state durably.
    pub(crate) fn store(&self, layout: &Layout) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        Ok(replace_atomically(
            &RealStorage::new(),
            &layout.state_file(),
            &bytes,
        )?)
    }
}

/// A role as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoleState {
    /// `cloud`, `gateway` or `capture`.
    pub(crate) name: String,
    /// Its process, while it runs.
    pub(crate) pid: Option<u32>,
    /// When that process started, in the kernel's clock ticks: tells it from a later one with the
    /// same number.
    pub(crate) started_ticks: Option<u64>,
    /// `running`, `restarting` or `stopped`.
    pub(crate) state: String,
    /// How often it was started again.
    pub(crate) restarts: u64,
    /// How it ended last.
    pub(crate) last_exit: Option<String>,
}

/// What the supervisor said of the roles last.
pub(crate) fn load_roles(layout: &Layout) -> anyhow::Result<Vec<RoleState>> {
    let path = layout.roles_file();
    let Some(bytes) = read_if_there(&path)? else {
        return Ok(Vec::new());
    };
    serde_json::from_slice(&bytes).with_context(|| format!("cannot read {}", path.display()))
}

/// Says how the roles are.
pub(crate) fn store_roles(layout: &Layout, roles: &[RoleState]) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec_pretty(roles)?;
    Ok(replace_atomically(
        &RealStorage::new(),
        &layout.roles_file(),
        &bytes,
    )?)
}

fn read_if_there(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

impl RoleState {
    /// Its process, as far as it was known.
    pub(crate) fn process(&self) -> Option<super::process::Process> {
        Some(super::process::Process {
            pid: self.pid?,
            started_ticks: self.started_ticks?,
        })
    }
}
