//! `bcdr branch`: what was written beside a group's own history.

use super::{
    Failure,
    client::{Client, Path},
    confirm::confirmation,
    global::{GlobalArguments, Session},
    table,
    watch::WatchArgument,
};
use clap::Subcommand;
use serde::Deserialize;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List branches
    #[command(after_help = "Example:\n  bcdr branch list --group shop")]
    List {
        /// Only those of this group (name or id)
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Show one branch
    #[command(
        after_help = "Examples:\n  bcdr branch show brn-01hv3c9wn2m5k8r7e6t4x0y1za\n  \
        bcdr view open shop --branch brn-01hv3c9wn2m5k8r7e6t4x0y1za\n  \
        bcdr point export shop --branch brn-01hv3c9wn2m5k8r7e6t4x0y1za --to left-behind.raw"
    )]
    Show {
        /// The branch's id
        id: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Remove a branch with its history, for good
    #[command(
        after_help = "Example:\n  bcdr branch remove brn-01hv3c9wn2m5k8r7e6t4x0y1za --confirm shop"
    )]
    Remove {
        /// The branch's id
        id: String,
        /// The name of its group, typed: nothing can bring the branch back
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
}

#[derive(Deserialize)]
struct OfGroup {
    group_name: String,
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::List { group, watch } => {
                let path = Path::new("branches").query_if("group", group.as_deref());
                let look = move |client: &Client| client.list(&path, None);
                watch.show(&session, look, table::branch::list)
            }
            Self::Show { id, watch } => {
                let look = move |client: &Client| client.get(&path_of(&id));
                watch.show(&session, look, table::branch::show)
            }
            Self::Remove { id, confirm } => remove(&session, &id, confirm),
        }
    }
}

fn path_of(id: &str) -> Path {
    Path::new("branches").item(id)
}

fn remove(session: &Session, id: &str, confirm: Option<String>) -> Result<(), Failure> {
    let of: OfGroup = session.client.get(&path_of(id))?.read()?;
    let consequence = format!("Branch {id} is removed with everything written to it, for good.");
    let confirm = confirmation(confirm, &of.group_name, &consequence)?;
    let path = path_of(id).item("actions").item("remove");
    session
        .client
        .post_unanswered(&path, &serde_json::json!({ "confirm": confirm }))?;
    let said = table::line(&format!("branch {id} is removed"));
    session.progress.event(&said);
    Ok(())
}
