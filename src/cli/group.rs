//! `bcdr group`: protection groups.

use super::{Failure, client::Path, global::GlobalArguments, table};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List all groups
    #[command(after_help = "Example:\n  bcdr group list -o json | jq '.items[].name'")]
    List,
    /// Show one group: replication, health, RPO, positions, volumes
    #[command(after_help = "Example:\n  bcdr group show lab")]
    Show {
        /// The group's name or id
        group: String,
    },
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::List => {
                let groups = session.client.list(&Path::new("groups"), None)?;
                session.output.show(&groups, table::group::page)
            }
            Self::Show { group } => {
                let group = session.client.get(&Path::new("groups").item(&group))?;
                session.output.show(&group, table::group::show)
            }
        }
    }
}
