//! `bcdr failback`: production of a group back home.

use super::{
    Failure, arguments,
    client::{Client, Path},
    confirm::confirmation,
    global::{GlobalArguments, Session},
    settle::{WaitArgument, failed, follow},
    table::{self, failback::Failback},
    watch::WatchArgument,
};
use clap::{Args, Subcommand, ValueEnum};
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prepare the way home: look at the disks there, and copy what changed once they are confirmed
    #[command(
        long_about = "Prepare the way home: look at the disks there, and copy what changed once they are \
            confirmed.\n\nNothing at home is overwritten before its disks were confirmed by their \
            serials. What the original disk was written after the fork is kept first, as a branch. \
            Production goes on here until the cutover.",
        after_help = "Example:\n  bcdr failback start shop --seed original-disk --wait\n  \
            bcdr failback confirm fbk-01hv3c9wn2m5k8r7e6t4x0y1za --disk root=SERIAL --wait"
    )]
    Start {
        /// The group's name or id
        group: String,
        /// What is at home to begin with
        #[arg(long, value_enum)]
        seed: Seed,
        /// Time between two rounds of copying; a minute when none is given
        #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
        round_every: Option<Duration>,
        /// Commit by itself so long after the cutover
        #[arg(long, value_name = "TIME", value_parser = arguments::duration, conflicts_with = "auto_rollback")]
        auto_commit: Option<Duration>,
        /// Roll back by itself so long after the cutover, unless it is committed
        #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
        auto_rollback: Option<Duration>,
        #[command(flatten)]
        wait: WaitArgument,
    },
    /// Confirm the disks at home that may be overwritten, one per volume
    #[command(
        after_help = "Example:\n  bcdr failback confirm fbk-01hv3c9wn2m5k8r7e6t4x0y1za --disk root=SERIAL --wait"
    )]
    Confirm {
        /// The failback's id
        id: String,
        /// The disk for a volume, by the serial that `bcdr failback show` prints
        #[arg(long = "disk", value_name = "VOLUME=SERIAL", required = true, value_parser = disk)]
        disks: Vec<(String, String)>,
        #[command(flatten)]
        wait: WaitArgument,
    },
    /// Bring production home now: shut down the machine here, send the rest, compare, serve at home
    #[command(
        after_help = "Example:\n  bcdr failback cutover fbk-01hv3c9wn2m5k8r7e6t4x0y1za --confirm shop --wait"
    )]
    Cutover(DecisionArguments),
    /// Make it final: production belongs to home from then on
    #[command(
        after_help = "Example:\n  bcdr failback commit fbk-01hv3c9wn2m5k8r7e6t4x0y1za --confirm shop --wait"
    )]
    Commit(DecisionArguments),
    /// Undo the cutover: home stops, and the machine here is started again
    #[command(
        after_help = "Example:\n  bcdr failback rollback fbk-01hv3c9wn2m5k8r7e6t4x0y1za --confirm shop --wait"
    )]
    Rollback(DecisionArguments),
    /// Give it up before the cutover
    #[command(after_help = "Example:\n  bcdr failback cancel fbk-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Cancel {
        /// The failback's id
        id: String,
    },
    /// Try the step again in which it is blocked
    #[command(after_help = "Example:\n  bcdr failback retry fbk-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Retry {
        /// The failback's id
        id: String,
    },
    /// List failbacks, the newest first
    #[command(after_help = "Example:\n  bcdr failback list --group shop")]
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
    /// Show one failback: disks, steps with their times, bytes, what may be done now
    #[command(after_help = "Example:\n  bcdr failback show fbk-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Show {
        /// The failback's id
        id: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Seed {
    /// The disk that production ran on
    OriginalDisk,
    /// A new disk
    BlankDisk,
    /// A disk restored from an image that nothing was written to since
    UnmodifiedImage,
}

impl Seed {
    fn word(self) -> &'static str {
        match self {
            Self::OriginalDisk => "original_disk",
            Self::BlankDisk => "blank_disk",
            Self::UnmodifiedImage => "unmodified_image",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct DecisionArguments {
    /// The failback's id
    id: String,
    /// The group's name, typed: this changes where production runs
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    wait: WaitArgument,
}

/// Reads `VOLUME=SERIAL`.
pub(super) fn disk(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((volume, serial)) if !volume.is_empty() && !serial.is_empty() => {
            Ok((volume.to_owned(), serial.to_owned()))
        }
        _ => Err("write VOLUME=SERIAL, as they were shown".to_owned()),
    }
}

fn path_of(id: &str) -> Path {
    Path::new("failbacks").item(id)
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::Start {
                group,
                seed,
                round_every,
                auto_commit,
                auto_rollback,
                wait,
            } => {
                let mut body = serde_json::json!({ "group": group, "seed": seed.word() });
                if let Some(every) = round_every {
                    body["round_every_seconds"] = every.as_secs().into();
                }
                let policy =
                    |after: Duration| serde_json::json!({ "after_seconds": after.as_secs() });
                if let Some(after) = auto_commit {
                    body["commit_policy"] = serde_json::json!({ "auto_commit": policy(after) });
                }
                if let Some(after) = auto_rollback {
                    body["commit_policy"] = serde_json::json!({ "auto_rollback": policy(after) });
                }
                let path = Path::new("failbacks");
                let document = session.client.post_repeatably(&path, &body)?;
                let id = document.read::<Failback>()?.course.id;
                settle(&session, &id, document, &wait, |failback| {
                    failback.course.waits_in("await_seed")
                })
            }
            Self::Confirm { id, disks, wait } => {
                let disks: Vec<_> = disks
                    .into_iter()
                    .map(|(volume, serial)| serde_json::json!({ "volume": volume, "serial": serial }))
                    .collect();
                let path = path_of(&id).item("actions").item("confirm_disks");
                let body = serde_json::json!({ "disks": disks });
                let document = session.client.post(&path, &body)?;
                settle(&session, &id, document, &wait, |failback| {
                    failback.seeded && failback.course.waits_in("between_rounds")
                })
            }
            Self::Cutover(arguments) => arguments.run(
                &session,
                "cutover",
                "The machine here is shut down, the last changes are sent, and home serves its disks.",
                |failback| failback.course.waits_in("await_commit"),
            ),
            Self::Commit(arguments) => arguments.run(
                &session,
                "commit",
                "The failback becomes final: production belongs to home, and the machine here is removed.",
                |failback| failback.course.end.as_deref() == Some("committed"),
            ),
            Self::Rollback(arguments) => arguments.run(
                &session,
                "rollback",
                "Home stops serving, and the machine here is started again. What home wrote is kept \
                 as a branch.",
                |failback| failback.course.end.as_deref() == Some("rolled_back"),
            ),
            Self::Cancel { id } => act(&session, &id, "cancel"),
            Self::Retry { id } => act(&session, &id, "retry"),
            Self::List {
                group,
                limit,
                watch,
            } => {
                let path = Path::new("failbacks").query_if("group", group.as_deref());
                let look = move |client: &Client| client.list(&path, Some(limit));
                watch.show(&session, look, table::failback::list)
            }
            Self::Show { id, watch } => {
                let look = move |client: &Client| client.get(&path_of(&id));
                watch.show(&session, look, table::failback::show)
            }
        }
    }
}

fn act(session: &Session, id: &str, verb: &str) -> Result<(), Failure> {
    let path = path_of(id).item("actions").item(verb);
    let failback = session.client.post(&path, &serde_json::json!({}))?;
    session.output.show(&failback, table::failback::show)
}

/// Waits, if that was asked for, until the failback is where it was to get.
fn settle(
    session: &Session,
    id: &str,
    document: super::document::Document,
    wait: &WaitArgument,
    is_there: impl Fn(&Failback) -> bool,
) -> Result<(), Failure> {
    let Some(patience) = wait.patience() else {
        return session.output.show(&document, table::failback::show);
    };
    // A round that failed is tried again by itself; what went back from a cutover is not.
    let goes_back = |failback: &Failback| {
        failback.course.failure.is_some()
            && failback.course.waits_in("between_rounds")
            && failback.seeded
    };
    let document = follow(session, &path_of(id), patience, |failback: &Failback| {
        is_there(failback) || failback.course.is_over_or_blocked() || goes_back(failback)
    })?;
    let failback: Failback = document.read()?;
    session.output.show(&document, table::failback::show)?;
    if is_there(&failback) {
        return Ok(());
    }
    Err(failed(&failback))
}

impl DecisionArguments {
    fn run(
        self,
        session: &Session,
        verb: &str,
        consequence: &str,
        is_there: impl Fn(&Failback) -> bool,
    ) -> Result<(), Failure> {
        let failback: Failback = session.client.get(&path_of(&self.id))?.read()?;
        let group = failback.course.group_name.unwrap_or_default();
        let confirm = confirmation(self.confirm, &group, consequence)?;
        let path = path_of(&self.id).item("actions").item(verb);
        let body = serde_json::json!({ "confirm": confirm });
        let document = session.client.post(&path, &body)?;
        settle(session, &self.id, document, &self.wait, is_there)
    }
}
