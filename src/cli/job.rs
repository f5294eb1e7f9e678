//! `bcdr job`: work that outlasts its request.

use super::{
    Failure, arguments,
    client::{Client, Path},
    global::GlobalArguments,
    table,
    wait::{self, Patience},
    watch::WatchArgument,
};
use clap::Subcommand;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List jobs, the newest first
    #[command(after_help = "Example:\n  bcdr job list --group lab --limit 5")]
    List {
        /// Only those of this group (name or id)
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Show one job
    #[command(after_help = "Example:\n  bcdr job show job-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Show {
        /// The job's id
        id: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Wait until a job has ended; exit code 6 if it did not succeed
    #[command(
        after_help = "Example:\n  bcdr job watch job-01hv3c9wn2m5k8r7e6t4x0y1za --timeout 10m"
    )]
    Watch {
        /// The job's id
        id: String,
        /// Wait at most so long; then exit code 7
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = arguments::duration)]
        timeout: Duration,
    },
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::List {
                group,
                limit,
                watch,
            } => {
                let path = Path::new("jobs").query_if("group", group.as_deref());
                let look = move |client: &Client| client.list(&path, Some(limit));
                watch.show(&session, look, table::job::list)
            }
            Self::Show { id, watch } => {
                let path = Path::new("jobs").item(&id);
                let look = move |client: &Client| client.get(&path);
                watch.show(&session, look, table::job::show)
            }
            Self::Watch { id, timeout } => {
                let activity = session.progress.spinner(&format!("waiting for {id}"));
                let patience = Patience::new(timeout);
                let mut told = None;
                let each = |job: &wait::Job| {
                    if job.phase.is_some() && job.phase != told {
                        told.clone_from(&job.phase);
                        let phase = told.as_deref().unwrap_or_default();
                        activity.event(&table::line(&format!("phase {phase}")));
                    }
                    Ok(())
                };
                let (document, job) =
                    wait::for_job(&session.client, &id, patience, &activity, each)?;
                drop(activity);
                session.output.show(&document, table::job::show)?;
                job.verdict()
            }
        }
    }
}
