//! The gateway's configuration file. Unknown fields are refused by name.

use bcdr_wire::identity::IdentityPaths;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// The gateway's configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where the gateway keeps its state: the installation key, generations, the spool.
    pub state_directory: PathBuf,
    /// Who it is.
    pub identity: IdentityPaths,
    /// The UDP address on which captures reach it.
    pub listen: SocketAddr,
    /// The receivers' UDP addresses, tried in turn.
    pub receivers: Vec<SocketAddr>,
    /// The socket of its local API: status, health, metrics. None: no local API.
    pub local_api_socket: Option<PathBuf>,
    /// The spool's limits.
    #[serde(default)]
    pub spool: SpoolConfig,
    /// How batches are made.
    #[serde(default)]
    pub batch: BatchConfig,
}

/// Limits of each stream's spool.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Bytes each stream's spool may hold.
    pub capacity_bytes: u64,
    /// Bytes that stay free on its file system.
    pub free_floor_bytes: u64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        let limits = crate::spool::SpoolLimits::default();
        Self {
            capacity_bytes: limits.capacity_bytes,
            free_floor_bytes: limits.free_floor_bytes,
        }
    }
}

/// How batches are made.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// A batch closes this many milliseconds after its first record.
    pub age_milliseconds: u64,
    /// A batch not durable cloud-side after this many milliseconds goes to the spool.
    pub spool_after_milliseconds: u64,
    /// Bytes of records and batches that one stream keeps in memory before it stops reading from
    /// its capture, whose journal then keeps them.
    pub memory_bytes: u64,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            age_milliseconds: 250,
            spool_after_milliseconds: 500,
            memory_bytes: 64 << 20,
        }
    }
}

impl GatewayConfig {
    /// Reads a configuration from TOML text.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}
