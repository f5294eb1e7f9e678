//! The capture's configuration file. Unknown fields are refused by name.
//!
//! Owns the fields and the checks that need no disk or network. Every message names the field and
//! says what to put there.

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use bcdr_format::{GroupId, RECORD_LENGTH_MAX, StreamId, VolumeId};
use bcdr_wire::identity::IdentityPaths;
use serde::{Deserialize, Serialize};

use crate::{journal::JournalSettings, ring::Engine};

/// Volumes one group may have: as many as have a number, and descriptors enough.
pub const VOLUMES_MAX: usize = 1024;
/// The longest name of a group or volume, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Room in a segment beyond its longest record, in bytes.
const SEGMENT_OVERHEAD_BYTES: u64 = 1 << 20;

/// The capture's configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureConfig {
    /// Where the capture keeps its state: locks, intents, and the journals unless they are
    /// elsewhere.
    pub state_directory: PathBuf,
    /// Who it is.
    pub identity: IdentityPaths,
    /// The gateways' UDP addresses, tried in turn.
    pub gateways: Vec<SocketAddr>,
    /// The socket of its local API: status, health, metrics. None: no local API.
    #[serde(default)]
    pub local_api_socket: Option<PathBuf>,
    /// The TCP address of the NBD server with TLS and client certificates. None: only the Unix
    /// sockets of the volumes.
    #[serde(default)]
    pub nbd_tcp_listen: Option<SocketAddr>,
    /// How backing I/O is done.
    #[serde(default)]
    pub engine: Engine,
    /// What production may be made to wait for.
    #[serde(default)]
    pub budget: BudgetConfig,
    /// The protection groups that have volumes here.
    pub groups: Vec<GroupConfig>,
}

/// The longest production waits for the journal before it is left behind.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// The longest a write waits for the journal, in milliseconds.
    pub write_milliseconds: u64,
    /// The longest a flush waits for the journal, in milliseconds.
    pub flush_milliseconds: u64,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            write_milliseconds: 1000,
            flush_milliseconds: 10_000,
        }
    }
}

/// One protection group's part on this host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// The group, as it was created cloud-side.
    pub id: GroupId,
    /// The stream of this capture for it, as it was created cloud-side.
    pub stream: StreamId,
    /// Its name, for people.
    pub name: String,
    /// The size and place of its journal.
    #[serde(default)]
    pub journal: JournalConfig,
    /// Its volumes on this host.
    pub volumes: Vec<VolumeConfig>,
}

/// The size and place of a group's journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Where the segments are. None: in the state directory.
    pub directory: Option<PathBuf>,
    /// Bytes of one segment.
    pub segment_bytes: u64,
    /// The most segments; with the size of one it is the capacity.
    pub segments: u32,
}

impl Default for JournalConfig {
    fn default() -> Self {
        let settings = JournalSettings::default();
        Self {
            directory: None,
            segment_bytes: settings.segment_bytes,
            segments: settings.segments_max,
        }
    }
}

/// One protected volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeConfig {
    /// The volume, as it was created cloud-side.
    pub id: VolumeId,
    /// Its name, which is also the name of its NBD export.
    pub name: String,
    /// The backing: a file or block device that exists.
    pub path: PathBuf,
    /// The Unix socket on which it is served; its directory exists.
    pub nbd_socket: PathBuf,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not a configuration.
    #[error("the configuration is not valid TOML for a capture: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A list is empty where something must be in it.
    #[error("{field} is empty; {remedy}")]
    Empty {
        /// The field.
        field: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Two things share what only one can have.
    #[error("{what} {value:?} is used twice; give each its own")]
    Duplicate {
        /// The field.
        what: &'static str,
        /// The shared value.
        value: String,
    },
    /// A name cannot be used.
    #[error(
        "{what} {name:?} cannot be used; take 1 to {NAME_BYTES_MAX} letters, digits, dots, dashes \
         or underscores"
    )]
    Name {
        /// The field.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A number is outside its bounds.
    #[error("{field} is {value}, which is {problem}")]
    Number {
        /// The field.
        field: String,
        /// Its value.
        value: u64,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl CaptureConfig {
    /// Reads and checks a configuration from TOML text.
    ///
    /// # Errors
    /// If the text is not a configuration or the configuration makes no sense.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what can be checked without looking at disks or the network.
    ///
    /// # Errors
    /// Names the first field that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.groups.is_empty() {
            let remedy = "name at least one protection group";
            return Err(ConfigError::Empty {
                field: "groups".to_owned(),
                remedy,
            });
        }
        if self.gateways.is_empty() {
            let remedy = "name at least one gateway as address:port";
            return Err(ConfigError::Empty {
                field: "gateways".to_owned(),
                remedy,
            });
        }
        unique("group id", self.groups.iter().map(|group| group.id))?;
        unique("stream id", self.groups.iter().map(|group| group.stream))?;
        unique(
            "group name",
            self.groups.iter().map(|group| group.name.clone()),
        )?;
        let volumes = || self.groups.iter().flat_map(|group| &group.volumes);
        unique("volume id", volumes().map(|volume| volume.id))?;
        unique("volume path", volumes().map(|volume| volume.path.display()))?;
        unique(
            "nbd_socket",
            volumes().map(|volume| volume.nbd_socket.display()),
        )?;
        if self.nbd_tcp_listen.is_some() {
            // One listener serves all groups, so only the export's name tells volumes apart.
            unique("volume name", volumes().map(|volume| volume.name.clone()))?;
        }
        self.budget.check()?;
        self.groups.iter().try_for_each(GroupConfig::check)
    }

    /// Where a group keeps its intents and, unless it is elsewhere, its journal.
    #[must_use]
    pub fn group_directory(&self, group: &GroupConfig) -> PathBuf {
        self.state_directory.join(group.id.to_string())
    }

    /// Where a group keeps its journal.
    #[must_use]
    pub fn journal_directory(&self, group: &GroupConfig) -> PathBuf {
        let default = || self.group_directory(group).join("journal");
        // Two groups may share a configured directory, so each gets its own below it.
        group
            .journal
            .directory
            .as_deref()
            .map_or_else(default, |directory| {
                let directory: &Path = directory;
                directory.join(group.id.to_string())
            })
    }
}

impl BudgetConfig {
    /// The longest a write waits for the journal.
    #[must_use]
    pub const fn write(&self) -> Duration {
        Duration::from_millis(self.write_milliseconds)
    }

    /// The longest a flush waits for the journal.
    #[must_use]
    pub const fn flush(&self) -> Duration {
        Duration::from_millis(self.flush_milliseconds)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let fields = [
            ("budget.write_milliseconds", self.write_milliseconds),
            ("budget.flush_milliseconds", self.flush_milliseconds),
        ];
        for (field, value) in fields {
            // Below that, the journal would be left behind by the noise of any disk.
            if !(50..=600_000).contains(&value) {
                let problem = "out of bounds; take 50 to 600000".to_owned();
                return Err(ConfigError::Number {
                    field: field.to_owned(),
                    value,
                    problem,
                });
            }
        }
        Ok(())
    }
}

impl GroupConfig {
    fn check(&self) -> Result<(), ConfigError> {
        check_name("group name", &self.name)?;
        if self.volumes.is_empty() {
            let field = format!("volumes of group {}", self.name);
            return Err(ConfigError::Empty {
                field,
                remedy: "name at least one volume",
            });
        }
        if self.volumes.len() > VOLUMES_MAX {
            return Err(ConfigError::Number {
                field: format!("number of volumes of group {}", self.name),
                value: self.volumes.len() as u64,
                problem: format!("too many; split the group, {VOLUMES_MAX} is the most"),
            });
        }
        unique(
            "volume name",
            self.volumes.iter().map(|volume| volume.name.clone()),
        )?;
        self.volumes
            .iter()
            .try_for_each(|volume| check_name("volume name", &volume.name))?;
        self.journal.check(&self.name)
    }
}

impl JournalConfig {
    fn check(&self, group: &str) -> Result<(), ConfigError> {
        let smallest = u64::from(RECORD_LENGTH_MAX) + SEGMENT_OVERHEAD_BYTES;
        let bytes = self.segment_bytes;
        if bytes < smallest || bytes > 4 << 30 || !bytes.is_multiple_of(4096) {
            return Err(ConfigError::Number {
                field: format!("journal.segment_bytes of group {group}"),
                value: bytes,
                problem: format!("no good; take a multiple of 4096 from {smallest} to 4294967296"),
            });
        }
        if !(3..=65_536).contains(&self.segments) {
            return Err(ConfigError::Number {
                field: format!("journal.segments of group {group}"),
                value: u64::from(self.segments),
                problem: "out of bounds; take 3 to 65536".to_owned(),
            });
        }
        Ok(())
    }
}

fn unique<T: ToString>(
    what: &'static str,
    values: impl Iterator<Item = T>,
) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    for value in values {
        let value = value.to_string();
        if !seen.insert(value.clone()) {
            return Err(ConfigError::Duplicate { what, value });
        }
    }
    Ok(())
}

fn check_name(what: &'static str, name: &str) -> Result<(), ConfigError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(fine) {
        return Err(ConfigError::Name {
            what,
            name: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> CaptureConfig {
        let volume = |number: u128, name: &str| VolumeConfig {
            id: VolumeId::from_u128(number),
            name: name.to_owned(),
            path: PathBuf::from(format!("/disks/{name}.img")),
            nbd_socket: PathBuf::from(format!("/run/{name}.sock")),
        };
        CaptureConfig {
            state_directory: "/state".into(),
            identity: IdentityPaths {
                ca: "/pki/ca.pem".into(),
                certificate: "/pki/capture.pem".into(),
                key: "/pki/capture.key".into(),
            },
            gateways: vec!["127.0.0.1:7001".parse().unwrap()],
            local_api_socket: Some("/run/capture.sock".into()),
            nbd_tcp_listen: None,
            engine: Engine::Auto,
            budget: BudgetConfig::default(),
            groups: vec![GroupConfig {
                id: GroupId::from_u128(1),
                stream: StreamId::from_u128(2),
                name: "lab".to_owned(),
                journal: JournalConfig::default(),
                volumes: vec![volume(3, "boot"), volume(4, "data")],
            }],
        }
    }

    fn refusal(change: impl FnOnce(&mut CaptureConfig)) -> String {
        let mut config = sample();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = toml::to_string(&sample()).unwrap();
        let read = CaptureConfig::from_toml(&text).unwrap();
        assert_eq!(toml::to_string(&read).unwrap(), text);
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        let text = toml::to_string(&sample()).unwrap();
        let error = CaptureConfig::from_toml(&format!("jornal = 1\n{text}")).unwrap_err();
        assert!(error.to_string().contains("jornal"), "{error}");
    }

    #[test]
    fn nonsense_is_refused_by_field() {
        assert!(refusal(|config| config.groups.clear()).starts_with("groups is empty"));
        assert!(refusal(|config| config.gateways.clear()).starts_with("gateways is empty"));
        let volumes = refusal(|config| config.groups[0].volumes.clear());
        assert!(
            volumes.starts_with("volumes of group lab is empty"),
            "{volumes}"
        );
        let twice = refusal(|config| config.groups[0].volumes[1].name = "boot".to_owned());
        assert!(
            twice.contains("volume name \"boot\" is used twice"),
            "{twice}"
        );
        let name = refusal(|config| config.groups[0].volumes[0].name = "a/b".to_owned());
        assert!(name.contains("\"a/b\" cannot be used"), "{name}");
        let small = refusal(|config| config.groups[0].journal.segment_bytes = 1 << 20);
        assert!(
            small.contains("journal.segment_bytes of group lab"),
            "{small}"
        );
        let few = refusal(|config| config.groups[0].journal.segments = 2);
        assert!(few.contains("journal.segments of group lab"), "{few}");
        let budget = refusal(|config| config.budget.write_milliseconds = 1);
        assert!(budget.contains("budget.write_milliseconds"), "{budget}");
    }

    #[test]
    fn names_must_be_unique_across_groups_only_for_tcp() {
        let mut config = sample();
        let mut other = config.groups[0].clone();
        other.id = GroupId::from_u128(11);
        other.stream = StreamId::from_u128(12);
        other.name = "second".to_owned();
        for (number, volume) in other.volumes.iter_mut().enumerate() {
            volume.id = VolumeId::from_u128(13 + number as u128);
            volume.path = format!("/other/{number}").into();
            volume.nbd_socket = format!("/other/{number}.sock").into();
        }
        config.groups.push(other);
        config.check().unwrap();
        config.nbd_tcp_listen = Some("127.0.0.1:10809".parse().unwrap());
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .contains("volume name")
        );
    }
}
