//! The cloud side's configuration file. Unknown fields are refused by name.

pub use crate::outside::{DestinationsConfig, HeaderSecretConfig, OutsideConfig};
use crate::{
    alerts::config::AlertsConfig,
    replica::{SpaceFloor, StoreOptions},
    target::qemu::ToolPaths,
};

use bcdr_http::Rate;
use bcdr_report::{Attested, Language};
use bcdr_wire::identity::IdentityPaths;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, num::NonZeroU16, path::PathBuf, time::Duration};

/// The cloud side's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudConfig {
    /// Where the cloud side keeps its state; made by `bcdr cloud init`.
    pub state_directory: PathBuf,
    /// The UDP address on which gateways reach it.
    pub listen_ship: SocketAddr,
    /// The TCP address of its REST API.
    pub listen_api: SocketAddr,
    /// Where sockets of views and throw-away files of drills go. The path must be short: a socket's
    /// whole path has at most 107 bytes.
    pub runtime_directory: PathBuf,
    /// Where drills keep their evidence; `evidence` in the state directory by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_directory: Option<PathBuf>,
    /// More host names and addresses for the API's own certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_names: Vec<String>,
    /// How many machines of drills run at once, over all groups; 2 by default. Others wait in the
    /// order in which they were asked for.
    #[serde(default = "drills_at_once")]
    pub drills_at_once: NonZeroU16,
    /// How many drills of one group run or wait at once; 10 by default. More are refused.
    #[serde(default = "drills_per_group")]
    pub drills_per_group: NonZeroU16,
    /// The identity shown to gateways; by default one that the role issues and renews itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityPaths>,
    /// The certificate of the API; by default one that the role issues and renews itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_certificate: Option<CertificatePaths>,
    /// Hours after which the newest point of each group is inspected again for whether it would boot;
    /// 24 by default, 0 for only when asked.
    #[serde(default = "readiness_every_hours")]
    pub readiness_every_hours: u32,
    /// The replica store's limits.
    #[serde(default)]
    pub store: StoreConfig,
    /// The programs of the qemu target.
    #[serde(default)]
    pub qemu: QemuConfig,
    /// What reports say besides what was measured.
    #[serde(default)]
    pub reports: ReportsConfig,
    /// How alerts are raised, and who is told.
    #[serde(default)]
    pub alerts: AlertsConfig,
    /// What steps of plans may use that act on the world outside; nothing by default.
    #[serde(default, skip_serializing_if = "OutsideConfig::is_empty")]
    pub outside: OutsideConfig,
    /// The audit log.
    #[serde(default)]
    pub audit: AuditConfig,
    /// What clients of the REST API may ask for at most.
    #[serde(default)]
    pub api: ApiConfig,
}

/// What clients of the REST API may ask for at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Clients that follow the events at once, 1 to 128; 64 by default. One user or token has half of
    /// them at most. Each holds one of the API's 256 connections.
    #[serde(deserialize_with = "event_streams")]
    pub event_streams: u16,
    /// Requests in a second, in the long run, of one user or token, and before anybody is known of one
    /// address; 200 by default, 0 for no limit. What brings production back is never counted.
    pub requests_per_second: u32,
    /// How many of them may come at once; 2000 by default.
    pub request_burst: u32,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            event_streams: 64,
            requests_per_second: 200,
            request_burst: 2000,
        }
    }
}

impl ApiConfig {
    pub(crate) fn rate(&self) -> Rate {
        Rate {
            per_second: self.requests_per_second,
            burst: self.request_burst,
        }
    }
}

fn event_streams<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let streams = u16::deserialize(deserializer)?;
    if (1..=128).contains(&streams) {
        return Ok(streams);
    }
    let wrong = format!("api.event_streams is {streams}, not 1 to 128");
    Err(serde::de::Error::custom(wrong))
}

/// The audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// For how many days entries are kept at least; 400 by default, 0 for ever.
    pub retention_days: u32,
    /// Bytes after which a file of the log is closed, 64 KiB to 64 MiB; 4 MiB by default.
    #[serde(deserialize_with = "audit_segment_bytes")]
    pub segment_bytes: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            retention_days: 400,
            segment_bytes: 4 << 20,
        }
    }
}

impl AuditConfig {
    /// For how many microseconds entries are kept at least; none for ever.
    pub(crate) fn kept(&self) -> Option<i64> {
        let days = i64::from(self.retention_days);
        (days > 0).then_some(days * 24 * 60 * 60 * 1_000_000)
    }
}

fn audit_segment_bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let bytes = u64::deserialize(deserializer)?;
    if (64 << 10..=64 << 20).contains(&bytes) {
        return Ok(bytes);
    }
    let wrong = format!("audit.segment_bytes is {bytes}, not 65536 to 67108864");
    Err(serde::de::Error::custom(wrong))
}

fn drills_at_once() -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(1)
}

fn drills_per_group() -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(9)
}

/// What reports say besides what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportsConfig {
    /// The language of the pages in the evidence directories; `en` or `zh`.
    pub language: Language,
    /// Over how many days a report looks at the age of the points; 30 by default.
    pub rpo_days: NonZeroU16,
    /// Whom to call: printed in runbooks as it stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<String>,
    /// What operators state about elements of GB/T 20988 that cannot be measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attested: Vec<Attested>,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self {
            language: Language::En,
            rpo_days: NonZeroU16::MIN.saturating_add(29),
            contacts: None,
            attested: Vec::new(),
        }
    }
}

const fn readiness_every_hours() -> u32 {
    24
}

/// Where a certificate and its key lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePaths {
    /// The certificate, followed by those between it and its authority, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// Limits of the replica store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Bytes that stay free on the state directory's file system, or the share of it below if that
    /// is more; data that would go below is refused.
    pub space_floor_bytes: u64,
    /// The share of the file system that stays free, in per cent.
    pub space_floor_percent: u8,
    /// Bytes after which a log segment is closed.
    pub segment_bytes: u64,
}

impl StoreConfig {
    pub(crate) fn space_floor(&self) -> SpaceFloor {
        SpaceFloor {
            percent: self.space_floor_percent,
            bytes: self.space_floor_bytes,
        }
    }

    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions {
            segment_bytes: self.segment_bytes,
            space_floor: self.space_floor(),
            ..StoreOptions::default()
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        let floor = SpaceFloor::default();
        Self {
            space_floor_bytes: floor.bytes,
            space_floor_percent: floor.percent,
            segment_bytes: StoreOptions::default().segment_bytes,
        }
    }
}

/// The programs of the qemu target, as names in `PATH` or as paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QemuConfig {
    /// The emulator.
    pub system_emulator: PathBuf,
    /// The image tool.
    pub image_tool: PathBuf,
}

impl Default for QemuConfig {
    fn default() -> Self {
        let tools = ToolPaths::default();
        Self {
            system_emulator: tools.system_emulator,
            image_tool: tools.image_tool,
        }
    }
}

impl CloudConfig {
    /// A configuration with defaults for all that can have one.
    pub fn new(
        state_directory: PathBuf,
        runtime_directory: PathBuf,
        listen_ship: SocketAddr,
        listen_api: SocketAddr,
    ) -> Self {
        Self {
            state_directory,
            listen_ship,
            listen_api,
            runtime_directory,
            evidence_directory: None,
            api_names: Vec::new(),
            identity: None,
            api_certificate: None,
            store: StoreConfig::default(),
            qemu: QemuConfig::default(),
            readiness_every_hours: readiness_every_hours(),
            drills_at_once: drills_at_once(),
            drills_per_group: drills_per_group(),
            reports: ReportsConfig::default(),
            outside: OutsideConfig::default(),
            audit: AuditConfig::default(),
            api: ApiConfig::default(),
            alerts: AlertsConfig::default(),
        }
    }

    /// Reads a configuration from TOML text.
    ///
    /// # Errors
    /// Names the line and the field that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Writes the configuration as TOML text.
    ///
    /// # Errors
    /// When a path is not UTF-8.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Where drills keep their evidence.
    pub fn evidence_directory(&self) -> PathBuf {
        self.evidence_directory
            .clone()
            .unwrap_or_else(|| self.state_directory.join("evidence"))
    }

    /// How often points are inspected by themselves; none for never.
    pub(crate) fn readiness_every(&self) -> Option<Duration> {
        let hours = u64::from(self.readiness_every_hours);
        (hours > 0).then(|| Duration::from_secs(hours * 60 * 60))
    }

    pub(crate) fn tools(&self) -> ToolPaths {
        ToolPaths {
            system_emulator: self.qemu.system_emulator.clone(),
            image_tool: self.qemu.image_tool.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: &str = r#"
        state_directory = "/var/lib/bcdr"
        listen_ship = "0.0.0.0:7441"
        listen_api = "127.0.0.1:7440"
        runtime_directory = "/run/bcdr"
    "#;

    #[test]
    fn the_shortest_configuration_has_defaults_and_survives_writing() {
        let config = CloudConfig::from_toml(SHORTEST).unwrap();
        assert_eq!(config.store, StoreConfig::default());
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(config.readiness_every(), Some(day));
        assert_eq!(
            config.evidence_directory(),
            PathBuf::from("/var/lib/bcdr/evidence")
        );
        let written = config.to_toml().unwrap();
        assert_eq!(CloudConfig::from_toml(&written).unwrap(), config);
    }

    #[test]
    fn a_full_configuration_survives_writing() {
        let mut config = CloudConfig::from_toml(SHORTEST).unwrap();
        config.api_names = vec!["dr.example.com".to_owned(), "10.0.0.5".to_owned()];
        config.identity = Some(IdentityPaths {
            ca: "/etc/bcdr/ca.pem".into(),
            certificate: "/etc/bcdr/cloud.pem".into(),
            key: "/etc/bcdr/cloud.key".into(),
        });
        config.api_certificate = Some(CertificatePaths {
            certificate: "/etc/bcdr/api.pem".into(),
            key: "/etc/bcdr/api.key".into(),
        });
        config.store.segment_bytes = 1 << 20;
        config.readiness_every_hours = 0;
        assert_eq!(config.readiness_every(), None);
        config.reports.contacts = Some("Duty: 555 0100\nManager: 555 0101".to_owned());
        config.reports.attested = vec![Attested {
            element: "recovery_plan".to_owned(),
            level: 5,
            by: "A. Auditor".to_owned(),
            on: "2026-10-01".to_owned(),
        }];
        let written = config.to_toml().unwrap();
        assert_eq!(CloudConfig::from_toml(&written).unwrap(), config);
    }

    #[test]
    fn the_audit_log_has_bounds_and_may_be_kept_for_ever() {
        let read = |text: &str| CloudConfig::from_toml(&format!("{SHORTEST}\n[audit]\n{text}"));
        assert_eq!(read("retention_days = 0").unwrap().audit.kept(), None);
        let day = 24 * 60 * 60 * 1_000_000;
        assert_eq!(
            read("retention_days = 2").unwrap().audit.kept(),
            Some(2 * day)
        );
        assert!(read("segment_bytes = 65536").is_ok());
        for bytes in [0, 65_535, (64 << 20) + 1] {
            let refused = read(&format!("segment_bytes = {bytes}")).unwrap_err();
            assert!(refused.to_string().contains("65536"), "{refused}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        for extra in [
            "listen = 1",
            "[store]\nfloor = 1",
            "[qemu]\nqemu = \"x\"",
            "[reports]\nphone = \"1\"",
            "[audit]\nlength = 1",
        ] {
            let error = CloudConfig::from_toml(&format!("{SHORTEST}\n{extra}")).unwrap_err();
            assert!(error.to_string().contains("unknown field"), "{error}");
        }
    }
}
