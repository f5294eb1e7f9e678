//! `bcdr placement`: which site a group's production belongs to.

use super::{
    Failure,
    client::{Client, Path},
    confirm::confirmation,
    global::{GlobalArguments, Session},
    table,
    watch::WatchArgument,
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show where production of a group runs, and what may be done
    #[command(after_help = "Example:\n  bcdr placement show shop")]
    Show {
        /// The group's name or id
        group: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Two sites may take writes: keep the source's data and end the target
    #[command(after_help = "Example:\n  bcdr placement keep-source shop --confirm shop")]
    KeepSource(KeepArguments),
    /// Two sites may take writes: keep the target's data and cut the source
    #[command(after_help = "Example:\n  bcdr placement keep-target shop --confirm shop")]
    KeepTarget(KeepArguments),
    /// Try again the step of such a decision, or of a failover or failback, that failed
    #[command(after_help = "Example:\n  bcdr placement retry shop")]
    Retry {
        /// The group's name or id
        group: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct KeepArguments {
    /// The group's name or id
    group: String,
    /// The group's name, typed: the other site's writes are not part of production any more
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::Show { group, watch } => {
                let look = move |client: &Client| client.get(&path_of(&group));
                watch.show(&session, look, table::placement::show)
            }
            Self::Retry { group } => {
                let path = path_of(&group).item("actions").item("retry");
                let placement = session.client.post(&path, &serde_json::json!({}))?;
                session.output.show(&placement, table::placement::show)
            }
            Self::KeepSource(arguments) => arguments.run(
                &session,
                "keep_source",
                "The machine at the target ends; what it wrote since the fork is kept as a branch, \
                 and is not production any more.",
            ),
            Self::KeepTarget(arguments) => arguments.run(
                &session,
                "keep_target",
                "The source is told to take no more writes; what it wrote since the fork is not \
                 production any more.",
            ),
        }
    }
}

fn path_of(group: &str) -> Path {
    Path::new("groups").item(group).item("placement")
}

impl KeepArguments {
    fn run(self, session: &Session, verb: &str, consequence: &str) -> Result<(), Failure> {
        let confirm = confirmation(self.confirm, &self.group, consequence)?;
        let path = path_of(&self.group).item("actions").item(verb);
        let body = serde_json::json!({ "confirm": confirm });
        let placement = session.client.post(&path, &body)?;
        session.output.show(&placement, table::placement::show)
    }
}
