//! The record of one QEMU instance: every name it will ever use, decided before anything exists.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{command, process::ProcessIdentity, tools::find_uefi};
use crate::target::{
    DiskSource, Firmware, InstancePurpose, LaunchRequest, NetworkCard, StationPlan, TargetError,
    disk_source::SOCKET_PATH_BYTES_MAX, network,
};

/// Name of the control socket in its directory.
const CONTROL_SOCKET: &str = "control.sock";
/// Name of the guest agent's socket beside it.
const AGENT_SOCKET: &str = "agent.sock";
/// The longest name of a socket beside it.
const LONGEST_SOCKET: &str = "control.sock";
/// Where QEMU's own hardware addresses begin.
const FIRST_CARD: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
/// Random bytes in the name of a short socket directory, enough that nobody guesses it.
const SHORT_NAME_BYTES: usize = 8;

/// Everything a QEMU instance consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QemuInstance {
    /// What it is for.
    #[serde(default)]
    pub purpose: InstancePurpose,
    /// The value of `-name`, by which the process is found when its id is not known.
    pub marker: String,
    /// Directory of the throw-away files; removed with all its files.
    pub directory: PathBuf,
    /// Directory of the control socket when `directory` is too deep for a socket address.
    pub short_directory: Option<PathBuf>,
    /// The control socket.
    pub control_socket: PathBuf,
    /// The probe stations of its network, one for each card; none without probes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stations: Vec<StationPlan>,
    /// The socket of the guest agent's channel, when a probe asks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_socket: Option<PathBuf>,
    /// One overlay per disk, in the machine's order; none when it writes to its sources.
    pub overlays: Vec<Overlay>,
    /// Copy of the UEFI variables, when the firmware is UEFI.
    pub uefi_variables: Option<PathBuf>,
    /// The console log, among the evidence.
    pub console_log: PathBuf,
    /// What QEMU itself printed, among the evidence.
    pub error_log: PathBuf,
    /// The arguments of the emulator.
    pub arguments: Vec<String>,
    /// The process, once it was started.
    pub process: Option<ProcessIdentity>,
}

impl QemuInstance {
    /// The directory of its sockets.
    pub(super) fn sockets(&self) -> &Path {
        self.short_directory.as_deref().unwrap_or(&self.directory)
    }
}

/// A throw-away disk over a read-only export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The protected volume's name.
    pub volume: String,
    /// The overlay file.
    pub path: PathBuf,
}

/// Names everything and creates nothing.
pub(super) fn plan(request: &LaunchRequest) -> Result<QemuInstance, TargetError> {
    request.settings.check()?;
    network::check(&request.networks)?;
    let disks = request
        .settings
        .arrange(&request.disks, |disk: &DiskSource| &disk.volume)?;
    for path in [&request.runtime_directory, &request.evidence_directory] {
        if path.to_str().is_none() {
            return Err(TargetError::Tool {
                tool: format!("directory {}", path.display()),
                reason: "its name is not UTF-8, and QEMU's control protocol takes nothing else"
                    .to_owned(),
                remedy: "use another directory".to_owned(),
            });
        }
    }
    let directory = request
        .runtime_directory
        .join(format!("instance-{}", request.instance));
    let (short_directory, control_socket) = socket_place(&directory)?;
    let thrown_away = match request.purpose {
        InstancePurpose::Drill => disks.as_slice(),
        InstancePurpose::Failover => &[],
    };
    let overlays: Vec<Overlay> = thrown_away
        .iter()
        .enumerate()
        .map(|(index, disk)| Overlay {
            volume: disk.volume.clone(),
            path: directory.join(format!("disk-{index}.qcow2")),
        })
        .collect();
    let uefi = match request.settings.firmware {
        Firmware::Bios => None,
        Firmware::Uefi => Some(find_uefi().ok_or_else(super::tools::uefi_missing)?),
    };
    let mut instance = QemuInstance {
        purpose: request.purpose,
        marker: format!("bcdr-instance-{}", request.instance),
        uefi_variables: uefi.is_some().then(|| directory.join("uefi-variables.fd")),
        directory,
        short_directory,
        stations: stations(request, &control_socket),
        agent_socket: (request.purpose == InstancePurpose::Drill
            && request.settings.probes.guest_agent)
            .then(|| control_socket.with_file_name(AGENT_SOCKET)),
        control_socket,
        overlays,
        console_log: request.evidence_directory.join("serial.log"),
        error_log: request.evidence_directory.join("qemu.log"),
        arguments: Vec::new(),
        process: None,
    };
    let code = uefi.map(|uefi| uefi.code);
    instance.arguments = command::arguments(request, &disks, &instance, code.as_deref())?;
    Ok(instance)
}

/// A station for each card of a drill that asks something over the network.
fn stations(request: &LaunchRequest, control_socket: &Path) -> Vec<StationPlan> {
    let probes = &request.settings.probes;
    if request.purpose == InstancePurpose::Failover || !probes.need_network() {
        return Vec::new();
    }
    let cards = hardware_addresses(&request.networks);
    let stations = cards
        .into_iter()
        .enumerate()
        .map(|(index, card)| StationPlan {
            socket: control_socket.with_file_name(format!("net-{index}.sock")),
            card,
            // The launch settings speak of the first card.
            network: probes.guest_address.filter(|_| index == 0),
        });
    stations.collect()
}

/// The cards' hardware addresses: theirs, or the next one that QEMU would give.
fn hardware_addresses(cards: &[NetworkCard]) -> Vec<String> {
    let written = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
    let mut free = (0..).map(|number: u8| {
        let mut bytes = FIRST_CARD;
        bytes[5] = bytes[5].wrapping_add(number);
        written(bytes)
    });
    let given: Vec<String> = cards
        .iter()
        .filter_map(|card| card.address.as_ref().map(|own| own.to_ascii_lowercase()))
        .collect();
    cards
        .iter()
        .map(|card| match &card.address {
            Some(own) => own.to_ascii_lowercase(),
            None => free
                .find(|one| !given.contains(one))
                .expect("there are more addresses than cards"),
        })
        .collect()
}

/// Where the control socket goes, and with it all others: beside the overlays, or in a short directory
/// of its own when an address would not fit.
fn socket_place(directory: &Path) -> Result<(Option<PathBuf>, PathBuf), TargetError> {
    let longest = |directory: &Path| directory.join(LONGEST_SOCKET).as_os_str().as_bytes().len();
    if longest(directory) <= SOCKET_PATH_BYTES_MAX {
        return Ok((None, directory.join(CONTROL_SOCKET)));
    }
    let mut random = [0_u8; SHORT_NAME_BYTES];
    getrandom::fill(&mut random).map_err(|source| TargetError::Tool {
        tool: "the system's random numbers".to_owned(),
        reason: source.to_string(),
        remedy: "check /dev/urandom".to_owned(),
    })?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let short = std::env::temp_dir().join(format!("bcdr-{name}"));
    let socket = short.join(CONTROL_SOCKET);
    let bytes = longest(&short);
    if bytes > SOCKET_PATH_BYTES_MAX {
        return Err(TargetError::Tool {
            tool: format!("directory {} for a control socket", short.display()),
            reason: format!("the path has {bytes} bytes, {SOCKET_PATH_BYTES_MAX} are allowed"),
            remedy: "set TMPDIR to a shorter directory".to_owned(),
        });
    }
    Ok((Some(short), socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_directory_gets_a_short_socket_directory() {
        let (short, socket) = socket_place(Path::new("/run/bcdr/instance-1")).unwrap();
        assert_eq!(short, None);
        assert_eq!(socket, Path::new("/run/bcdr/instance-1/control.sock"));
        let deep = PathBuf::from(format!("/{}", "d/".repeat(60)));
        let (short, socket) = socket_place(&deep).unwrap();
        let short = short.expect("a short directory");
        assert!(socket.starts_with(&short));
        assert!(socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
    }
}
