//! `bcdr group`: protection groups.

use super::{
    Failure, arguments,
    client::{Client, Path},
    global::{GlobalArguments, Session},
    table,
    view::whole_seconds,
    watch::WatchArgument,
};
use clap::{Args, Subcommand};
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List all groups
    #[command(after_help = "Example:\n  bcdr group list -o json | jq '.items[].name'")]
    List(WatchArgument),
    /// Show one group: replication, health, RPO, positions, volumes
    #[command(after_help = "Examples:\n  bcdr group show lab\n  bcdr group show lab --watch")]
    Show {
        /// The group's name or id
        group: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Show how old a group's newest point was, over time
    #[command(
        long_about = "Show how old a group's newest point was, over time.\n\n\
            The worst age of each step, and the one that was not exceeded in 95 % of it. Blind is time in \
            which nobody measured although there was a point, such as while the cloud side was stopped.",
        after_help = "Examples:\n  bcdr group samples lab\n  \
            bcdr group samples lab --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --step 24h"
    )]
    Samples(SamplesArguments),
}

#[derive(Debug, Args)]
pub(super) struct SamplesArguments {
    /// The group's name or id
    group: String,
    /// When the first sample begins (RFC 3339); 24 hours before the end by default
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// When the last sample ends (RFC 3339); now by default
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Length of each sample: whole hours, an hour by default
    #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
    step: Option<Duration>,
    #[command(flatten)]
    watch: WatchArgument,
}

impl SamplesArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let step = self.step.map(|step| whole_seconds(step).to_string());
        let path = Path::new("groups")
            .item(&self.group)
            .item("samples")
            .query_if("from", self.from.as_deref())
            .query_if("to", self.to.as_deref())
            .query_if("step", step.as_deref());
        let look = move |client: &Client| client.get(&path);
        self.watch.show(session, look, table::sample::list)
    }
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::List(watch) => {
                let look = |client: &Client| client.list(&Path::new("groups"), None);
                watch.show(&session, look, table::group::page)
            }
            Self::Show { group, watch } => {
                let path = Path::new("groups").item(&group);
                let look = move |client: &Client| client.get(&path);
                watch.show(&session, look, table::group::show)
            }
            Self::Samples(arguments) => arguments.run(&session),
        }
    }
}
