//! `bcdr capture`: its role, and preparing its state directory. The latter works on the directory, not
//! through the API.

use super::{
    Failure, arguments::ConfigArguments, document::Document, global::GlobalArguments, table,
};
use crate::role;
use anyhow::Context as _;
use bcdr_capture::initial;
use bcdr_disk::RealStorage;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The role's configuration file (TOML)
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prepare the state directory before the first start, so that volumes are served also while no
    /// gateway is reached. Not for a state directory that may hold an interrupted restore and is not
    /// mounted
    #[command(after_help = "Example:\n  bcdr capture init --config /etc/bcdr/capture.toml")]
    Init(ConfigArguments),
}

impl Arguments {
    /// Whether this process becomes the role.
    pub(super) fn is_role(&self) -> bool {
        self.command.is_none()
    }

    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        match (self.command, self.config) {
            (Some(Command::Init(arguments)), _) => init(&arguments.config, global),
            (None, Some(config)) => role::capture(&config),
            (None, None) => {
                Err(anyhow::anyhow!("name the configuration file: --config FILE").into())
            }
        }
    }
}

fn init(config: &Path, global: &GlobalArguments) -> Result<(), Failure> {
    let config = role::capture_configuration(config)?;
    config.check().context("the configuration has a fault")?;
    let prepared = initial::prepare(&RealStorage::new(), &config)
        .context("cannot prepare the state directory")?;
    let names: Vec<_> = prepared.iter().map(|group| &group.name).collect();
    let made = json!({
        "state_directory": config.state_directory,
        "prepared": names,
    });
    global
        .output()
        .show(&Document::of(&made)?, table::cloud::made)
}
