//! `bcdr restore`: the source's own disks back to an earlier point, in place.

use super::{
    Failure, arguments,
    client::{Client, Path},
    confirm::confirmation,
    document::Document,
    global::{GlobalArguments, Session},
    settle::{WaitArgument, failed, follow},
    table::{
        self,
        restore::{Preview, Restore},
    },
    watch::WatchArgument,
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a restore would put back, and whether it can be started; changes nothing
    #[command(after_help = "Example:\n  bcdr restore preview shop --at before-upgrade")]
    Preview {
        /// The group's name or id
        group: String,
        /// The point: its id, its label, or an RFC 3339 time (the newest point not after it)
        #[arg(long, value_name = "POINT|TIME|LABEL", value_parser = arguments::instant)]
        at: String,
    },
    /// Put all volumes of a group back to a point, on the source itself
    #[command(
        long_about = "Put all volumes of a group back to a point, on the source itself.\n\n\
            Shut down what uses the volumes first: they take no writes from the start on, and are not \
            served at all while their disks are worked on. Everything that the source holds is \
            bookmarked before anything is written, so the restore can be undone.",
        after_help = "Example:\n  bcdr restore start shop --at before-upgrade --confirm shop --wait"
    )]
    Start(StartArguments),
    /// Undo one that is over: put the volumes back to the bookmark taken at its start
    #[command(
        after_help = "Example:\n  bcdr restore undo rst-01hv3c9wn2m5k8r7e6t4x0y1za --confirm shop --wait"
    )]
    Undo(UndoArguments),
    /// Give up one that does not serve yet; what was written is put back to the bookmark
    #[command(after_help = "Example:\n  bcdr restore cancel rst-01hv3c9wn2m5k8r7e6t4x0y1za --wait")]
    Cancel(DecisionArguments),
    /// Try the step again in which it is blocked
    #[command(after_help = "Example:\n  bcdr restore retry rst-01hv3c9wn2m5k8r7e6t4x0y1za --wait")]
    Retry {
        #[command(flatten)]
        decision: DecisionArguments,
        /// A disk that took the place of another while the restore was on its way: all it holds is
        /// overwritten. May be given more than once
        #[arg(long = "disk", value_name = "VOLUME=IDENTITY", value_parser = super::failback::disk)]
        disks: Vec<(String, String)>,
    },
    /// List restores, the newest first
    #[command(after_help = "Example:\n  bcdr restore list --group shop")]
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
    /// Show one restore: steps with their times, bytes, its bookmark, what may be done now
    #[command(after_help = "Example:\n  bcdr restore show rst-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Show {
        /// The restore's id
        id: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
}

#[derive(Debug, Args)]
pub(super) struct StartArguments {
    /// The group's name or id
    group: String,
    /// The point: its id, its label, or an RFC 3339 time (the newest point not after it)
    #[arg(long, value_name = "POINT|TIME|LABEL", value_parser = arguments::instant)]
    at: String,
    /// The group's name, typed: this overwrites the volumes at the source
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    wait: WaitArgument,
}

#[derive(Debug, Args)]
pub(super) struct UndoArguments {
    /// The id of the restore to be undone
    id: String,
    /// The group's name, typed: this overwrites the volumes at the source
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    wait: WaitArgument,
}

#[derive(Debug, Args)]
pub(super) struct DecisionArguments {
    /// The restore's id
    id: String,
    #[command(flatten)]
    wait: WaitArgument,
}

fn path_of(id: &str) -> Path {
    Path::new("restores").item(id)
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::Preview { group, at } => {
                let preview = preview(&session, &group, &at)?;
                session.output.show(&preview, table::restore::preview)
            }
            Self::Start(arguments) => arguments.run(&session),
            Self::Undo(arguments) => arguments.run(&session),
            Self::Cancel(arguments) => {
                arguments.run(&session, "cancel", &["cancelled", "put_back"])
            }
            Self::Retry { decision, disks } => {
                let there = ["restored", "put_back", "cancelled"];
                if disks.is_empty() {
                    return decision.run(&session, "retry", &there);
                }
                let disks: Vec<_> = disks
                    .into_iter()
                    .map(|(volume, serial)| serde_json::json!({ "volume": volume, "serial": serial }))
                    .collect();
                let body = serde_json::json!({ "disks": disks });
                decision.post(&session, "confirm_disks", &body, &there)
            }
            Self::List {
                group,
                limit,
                watch,
            } => {
                let path = Path::new("restores").query_if("group", group.as_deref());
                let look = move |client: &Client| client.list(&path, Some(limit));
                watch.show(&session, look, table::restore::list)
            }
            Self::Show { id, watch } => {
                let look = move |client: &Client| client.get(&path_of(&id));
                watch.show(&session, look, table::restore::show)
            }
        }
    }
}

fn preview(session: &Session, group: &str, at: &str) -> Result<Document, Failure> {
    let path = Path::new("groups")
        .item(group)
        .item("restore-preview")
        .query("at", at);
    session.client.get(&path)
}

/// Waits, if that was asked for, until the restore is over or blocked.
fn settle(
    session: &Session,
    document: Document,
    wait: &WaitArgument,
    there: &[&str],
) -> Result<(), Failure> {
    let Some(patience) = wait.patience() else {
        return session.output.show(&document, table::restore::show);
    };
    let id = document.read::<Restore>()?.course.id;
    let settled = follow(session, &path_of(&id), patience, |restore: &Restore| {
        restore.course.is_over_or_blocked()
    })?;
    let restore: Restore = settled.read()?;
    session.output.show(&settled, table::restore::show)?;
    match restore.course.end.as_deref() {
        Some(end) if there.contains(&end) => Ok(()),
        _ => Err(failed(&restore)),
    }
}

impl StartArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let shown: Preview = preview(session, &self.group, &self.at)?.read()?;
        let consequence = format!(
            "The volumes of {} stop taking writes and are put back to point {}; {}. All they hold \
             now is bookmarked first.",
            self.group,
            shown.point.line(),
            shown.summary
        );
        session.progress.event(&table::line(&consequence));
        let confirm = confirmation(self.confirm, &self.group, &consequence)?;
        let body = serde_json::json!({
            "group": self.group,
            "confirm": confirm,
            // What was shown, also if a time means another point by now.
            "at": shown.point.id,
        });
        let path = Path::new("restores");
        let document = session.client.post_repeatably(&path, &body)?;
        settle(session, document, &self.wait, &["restored"])
    }
}

impl UndoArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let restore: Restore = session.client.get(&path_of(&self.id))?.read()?;
        let group = restore.course.group_name.unwrap_or_default();
        let consequence = "The volumes stop taking writes and are put back to what they held before \
                           that restore. All they hold now is bookmarked first.";
        let confirm = confirmation(self.confirm, &group, consequence)?;
        let path = path_of(&self.id).item("actions").item("undo");
        let body = serde_json::json!({ "confirm": confirm });
        let document = session.client.post_repeatably(&path, &body)?;
        settle(session, document, &self.wait, &["restored"])
    }
}

impl DecisionArguments {
    fn run(self, session: &Session, verb: &str, there: &[&str]) -> Result<(), Failure> {
        self.post(session, verb, &serde_json::json!({}), there)
    }

    fn post(
        self,
        session: &Session,
        verb: &str,
        body: &serde_json::Value,
        there: &[&str],
    ) -> Result<(), Failure> {
        let path = path_of(&self.id).item("actions").item(verb);
        let document = session.client.post(&path, body)?;
        settle(session, document, &self.wait, there)
    }
}
