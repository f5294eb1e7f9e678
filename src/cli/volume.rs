//! `bcdr volume`: protected volumes.

use super::{
    Failure,
    client::{Client, Path},
    global::GlobalArguments,
    table,
    watch::WatchArgument,
};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List all volumes
    #[command(after_help = "Example:\n  bcdr volume list --group lab")]
    List {
        /// Only those of this group (name or id)
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        #[command(flatten)]
        watch: WatchArgument,
    },
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        let Self::List { group, watch } = self;
        let path = Path::new("volumes").query_if("group", group.as_deref());
        let look = move |client: &Client| client.list(&path, None);
        watch.show(&session, look, table::volume::list)
    }
}
