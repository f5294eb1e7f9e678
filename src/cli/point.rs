//! `bcdr point`: recovery points.

use super::{
    Failure, arguments,
    client::{Client, Path},
    document::Document,
    export,
    global::{GlobalArguments, Session},
    readiness, table,
    wait::{self, Patience},
    watch::WatchArgument,
};
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a labelled point of this very moment
    #[command(
        long_about = "Make a labelled point of this very moment.\n\n\
            Prints the job that publishes it; with --wait, returns when the point is published and \
            prints the point.",
        after_help = "Examples:\n  bcdr point create lab --label before-upgrade --wait\n  \
            bcdr point create lab --label nightly --wait=10m -o json | jq -r .id"
    )]
    Create(CreateArguments),
    /// List points, the newest first
    #[command(after_help = "Example:\n  bcdr point list lab --kind bookmark --limit 10")]
    List(ListArguments),
    /// Show one point
    #[command(after_help = "Example:\n  bcdr point show lab --at 2026-11-03T10:00:00Z")]
    Show {
        /// The group's name or id
        group: String,
        #[command(flatten)]
        at: arguments::AtArgument,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Write a volume as it was at a point to a file
    #[command(
        long_about = "Write a volume as it was at a point to a file.\n\n\
            The file appears under its name only when it is whole and on disk. Areas of zeros take \
            no space. Runs where the cloud side runs, because views are read through its sockets.",
        after_help = "Examples:\n  \
            bcdr point export lab --volume root --at before-upgrade --to root.raw\n  \
            bcdr point export lab --volume root --to root.qcow2 --format qcow2"
    )]
    Export(export::Arguments),
    /// Say whether a point would boot, from its disks, without booting it
    #[command(
        long_about = "Say whether a point would boot, from its disks, without booting it.\n\n\
            The cloud side inspects the newest point of each group after its first copy and then \
            every day; --now inspects any point, and waits. What does not pass comes with a remedy \
            for the source.",
        after_help = "Examples:\n  bcdr point readiness lab --now\n  \
            bcdr point readiness lab --at before-upgrade --now --firmware uefi --check"
    )]
    Readiness(readiness::Arguments),
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// The group's name or id
    group: String,
    /// The point's label; no other point of the group may have it
    #[arg(long, value_name = "LABEL")]
    label: String,
    /// Return when the point is published; wait at most TIME (5m when none is given)
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "5m",
        value_parser = arguments::duration
    )]
    wait: Option<Duration>,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// The group's name or id
    group: String,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Only points of this kind
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Option<Kind>,
    #[command(flatten)]
    watch: WatchArgument,
}

/// A kind of point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    /// Made by itself at a batch's end
    CrashConsistent,
    /// Made while the applications had put everything in order
    ApplicationConsistent,
    /// Made and labelled by somebody
    Bookmark,
}

/// What making a point leads to.
#[derive(Deserialize)]
struct Finished {
    result: Option<Made>,
}

#[derive(Deserialize)]
struct Made {
    point: Option<Document>,
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::Create(arguments) => arguments.run(&session),
            Self::List(arguments) => arguments.run(&session),
            Self::Show { group, at, watch } => {
                let path = Path::new("groups").item(&group).item("points").item(&at.at);
                let look = move |client: &Client| client.get(&path);
                watch.show(&session, look, table::point::show)
            }
            Self::Export(arguments) => arguments.run(&session),
            Self::Readiness(arguments) => arguments.run(&session),
        }
    }
}

impl CreateArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let path = Path::new("groups").item(&self.group).item("points");
        let body = serde_json::json!({ "label": self.label });
        let patience = self.wait.map(Patience::new);
        let document = session.client.post_repeatably(&path, &body)?;
        let Some(patience) = patience else {
            return session.output.show(&document, table::job::show);
        };
        let job: wait::Job = document.read()?;
        let doing = format!("waiting until point {:?} is published", self.label);
        let activity = session.progress.spinner(&doing);
        let (document, job) =
            wait::for_job(&session.client, &job.id, patience, &activity, |_| Ok(()))?;
        drop(activity);
        job.verdict()?;
        let finished: Finished = document.read()?;
        match finished.result.and_then(|made| made.point) {
            Some(point) => session.output.show(&point, table::point::show),
            None => Err(Failure::error(format!(
                "job {} succeeded without naming its point",
                job.id
            ))
            .remedy(format!("look for it with bcdr point list {}", self.group))),
        }
    }
}

impl ListArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let kind = self.kind.and_then(|kind| kind.to_possible_value());
        let path = Path::new("groups")
            .item(&self.group)
            .item("points")
            .query_if(
                "kind",
                kind.as_ref().map(clap::builder::PossibleValue::get_name),
            );
        let look = move |client: &Client| client.list(&path, Some(self.limit));
        self.watch.show(session, look, table::point::list)
    }
}
