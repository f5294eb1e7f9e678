//! `bcdr volume`: protected volumes.

use super::{Failure, client::Path, global::GlobalArguments, table};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List all volumes
    #[command(after_help = "Example:\n  bcdr volume list --group lab")]
    List {
        /// Only those of this group (name or id)
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
    },
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        let Self::List { group } = self;
        let path = Path::new("volumes").query_if("group", group.as_deref());
        let volumes = session.client.list(&path, None)?;
        session.output.show(&volumes, table::volume::list)
    }
}
