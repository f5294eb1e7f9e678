//! What `lab up` and `lab status` print: the JSON that scripts depend on.

use super::{
    identity,
    layout::Layout,
    state::{LabState, load_roles},
};
use bcdr_format::{GroupId, VolumeId};
use serde::Serialize;
use std::{fs, path::PathBuf};

/// The API and how to reach it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ApiReport {
    /// Its base address.
    pub(crate) url: String,
    /// The administrator's token.
    pub(crate) token: String,
    /// The authority that its certificate was issued by.
    pub(crate) ca: PathBuf,
}

/// The group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupReport {
    /// Its id; absent until the cloud side made it.
    pub(crate) id: Option<GroupId>,
    /// Its name.
    pub(crate) name: String,
}

/// A volume and where it is served.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VolumeReport {
    /// Its id; absent until the cloud side minted it.
    pub(crate) id: Option<VolumeId>,
    /// Its name.
    pub(crate) name: String,
    /// The URI of its NBD export.
    pub(crate) nbd: String,
}

/// A role's process.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RoleReport {
    /// `cloud`, `gateway` or `capture`.
    pub(crate) name: String,
    /// Its process, while it runs.
    pub(crate) pid: Option<u32>,
    /// `running`, `restarting` or `stopped`.
    pub(crate) state: String,
    /// Until when its certificate is valid; absent if none can be read.
    pub(crate) certificate_expires_at: Option<jiff::Timestamp>,
}

/// A lab.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LabReport {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// Its context file, for `--context` or `BCDR_CONTEXT`.
    pub(crate) context: PathBuf,
    /// The API.
    pub(crate) api: ApiReport,
    /// The web console's address.
    pub(crate) console: String,
    /// The secret with which the first user is made there, once; absent in a lab that had none.
    pub(crate) setup_secret: Option<String>,
    /// The group.
    pub(crate) group: GroupReport,
    /// The volumes.
    pub(crate) volumes: Vec<VolumeReport>,
    /// The roles.
    pub(crate) roles: Vec<RoleReport>,
    /// What somebody should look after, in words.
    pub(crate) warnings: Vec<String>,
}

impl LabReport {
    /// The report of a lab with this state.
    pub(crate) fn new(layout: &Layout, state: &LabState) -> anyhow::Result<Self> {
        let token = fs::read_to_string(layout.token_file()).unwrap_or_default();
        let supervised = super::supervise::is_running(layout);
        let now = identity::wall();
        let mut warnings = Vec::new();
        let roles = load_roles(layout)?
            .into_iter()
            .map(|role| {
                let until = identity::valid_until(layout, &role.name);
                warnings.extend(
                    until.and_then(|until| identity::warning(&role.name, until, now, supervised)),
                );
                let alive = role
                    .process()
                    .is_some_and(super::process::Process::is_alive);
                let state = match (alive, supervised) {
                    (true, _) => "running",
                    (false, true) => "restarting",
                    (false, false) => "stopped",
                };
                let pid = role.pid.filter(|_| alive);
                RoleReport {
                    name: role.name,
                    pid,
                    state: state.to_owned(),
                    certificate_expires_at: until
                        .and_then(|until| jiff::Timestamp::from_microsecond(until.0).ok()),
                }
            })
            .collect();
        let volumes = state
            .volumes
            .iter()
            .map(|volume| VolumeReport {
                id: volume.id,
                name: volume.name.clone(),
                nbd: nbd_uri(layout, &volume.name),
            })
            .collect();
        Ok(Self {
            dir: layout.directory.clone(),
            context: layout.context_file(),
            console: format!("https://{}/", state.api),
            setup_secret: fs::read_to_string(layout.setup_secret_file()).ok(),
            api: ApiReport {
                url: format!("https://{}", state.api),
                token: token.trim().to_owned(),
                ca: bcdr_cloud::init::ca_certificate(&layout.role_state("cloud")),
            },
            group: GroupReport {
                id: state.group.map(|group| group.id),
                name: state.group_name.clone(),
            },
            volumes,
            roles,
            warnings,
        })
    }
}

/// The URI under which a volume is served; clients pick the export by the volume's name.
fn nbd_uri(layout: &Layout, volume: &str) -> String {
    let socket = layout.volume_socket(volume);
    let escaped: String = socket
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("nbd+unix:///{volume}?socket={escaped}")
}
