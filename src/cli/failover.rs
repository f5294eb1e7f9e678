//! `bcdr failover`: production of a group to the target, and back before it is final.

use super::{
    Failure, arguments,
    client::{Client, Path},
    confirm::confirmation,
    document::Document,
    drill::launch_settings,
    exit,
    global::{GlobalArguments, Session},
    screen,
    settle::{failed, follow},
    table::{
        self,
        failover::{Failover, Preview},
    },
    watch::WatchArgument,
};
use bcdr_cloud::target::NetworkCard;
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use std::{fs, path::PathBuf, time::Duration};

/// How long `--wait` waits when no time is given.
const WAIT: Duration = Duration::from_secs(3600);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a failover would boot and lose; changes nothing
    #[command(after_help = "Example:\n  bcdr failover preview lab --at 2026-11-03T10:00:00Z")]
    Preview {
        /// The group's name or id
        group: String,
        #[command(flatten)]
        at: arguments::AtArgument,
        /// When production stopped (RFC 3339), if it is known
        #[arg(long, value_name = "TIME")]
        interrupted_at: Option<String>,
    },
    /// Fence the source, boot a point of it here, and wait for a decision
    #[command(
        long_about = "Fence the source, boot a point of it here, and wait for a decision.\n\n\
            A planned failover stops the source's writes first and loses nothing. An emergency one \
            does not ask the source. Until it is committed it can be rolled back: the source is the \
            authority again, and what the machine wrote here is kept as a branch. With --wait the exit \
            code is 6 when its machine did not pass the verification ladder; it runs on all the same.",
        after_help = "Examples:\n  bcdr failover start shop --mode planned --confirm shop --wait\n  \
            bcdr failover start shop --mode emergency --at 2026-11-03T09:59:00Z --interrupted-at 2026-11-03T10:02:00Z"
    )]
    Start(StartArguments),
    /// List failovers, the newest first
    #[command(after_help = "Example:\n  bcdr failover list --group shop")]
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
    /// Show one failover: steps with their times, rungs, what may be done now
    #[command(after_help = "Example:\n  bcdr failover show fov-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Show {
        /// The failover's id
        id: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Save a picture of the machine's screen as it is now
    #[command(
        after_help = "Example:\n  bcdr failover screen fov-01hv3c9wn2m5k8r7e6t4x0y1za --output screen.png"
    )]
    Screen(screen::Arguments),
    /// Make it final: production belongs here from then on
    #[command(
        after_help = "Example:\n  bcdr failover commit fov-01hv3c9wn2m5k8r7e6t4x0y1za --confirm shop"
    )]
    Commit(DecisionArguments),
    /// Undo it: the machine here ends, the source is the authority again
    #[command(
        after_help = "Example:\n  bcdr failover rollback fov-01hv3c9wn2m5k8r7e6t4x0y1za --confirm shop --wait"
    )]
    Rollback(DecisionArguments),
    /// Give it up before authority has moved
    #[command(after_help = "Example:\n  bcdr failover cancel fov-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Cancel {
        /// The failover's id
        id: String,
    },
    /// Try the step again in which it is blocked
    #[command(after_help = "Example:\n  bcdr failover retry fov-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Retry {
        /// The failover's id
        id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// Stop the source's writes first; nothing is lost
    Planned,
    /// Do not ask the source
    Emergency,
}

#[derive(Debug, Args)]
pub(super) struct StartArguments {
    /// The group's name or id
    group: String,
    /// Whether the source is stopped in order first
    #[arg(long, value_enum)]
    mode: Mode,
    #[command(flatten)]
    at: arguments::AtArgument,
    /// The group's name, typed: this changes where production runs
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// When production stopped (RFC 3339): reports count from it
    #[arg(long, value_name = "TIME")]
    interrupted_at: Option<String>,
    /// Vouch that the source is cut off, although it is seen serving
    #[arg(long)]
    isolation_confirmed: bool,
    /// Commit by itself after this time, if every rung was passed
    #[arg(long, value_name = "TIME", value_parser = arguments::duration, conflicts_with = "auto_rollback")]
    auto_commit: Option<Duration>,
    /// Roll back by itself after this time, unless it is committed
    #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
    auto_rollback: Option<Duration>,
    /// Launch settings (TOML). By default those of the context
    #[arg(long, value_name = "FILE")]
    launch: Option<PathBuf>,
    /// Network cards (TOML, `[[card]]`); one behind this host's addresses by default
    #[arg(long, value_name = "FILE")]
    networks: Option<PathBuf>,
    /// Return when a decision is awaited; wait at most TIME (an hour when none is given)
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = arguments::duration
    )]
    wait: Option<Option<Duration>>,
}

#[derive(Debug, Args)]
pub(super) struct DecisionArguments {
    /// The failover's id
    id: String,
    /// The group's name, typed: this changes where production runs
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Return when it has ended; wait at most TIME (an hour when none is given)
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = arguments::duration
    )]
    wait: Option<Option<Duration>>,
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::Preview {
                group,
                at,
                interrupted_at,
            } => {
                let preview = preview(&session, &group, &at.at, interrupted_at.as_deref())?;
                session.output.show(&preview, table::failover::preview)
            }
            Self::Start(arguments) => arguments.run(&session),
            Self::List {
                group,
                limit,
                watch,
            } => {
                let path = Path::new("failovers").query_if("group", group.as_deref());
                let look = move |client: &Client| client.list(&path, Some(limit));
                watch.show(&session, look, table::failover::list)
            }
            Self::Show { id, watch } => {
                let look = move |client: &Client| client.get(&path_of(&id));
                watch.show(&session, look, table::failover::show)
            }
            Self::Screen(arguments) => arguments.run(&session, "failovers"),
            Self::Commit(arguments) => arguments.run(&session, "commit"),
            Self::Rollback(arguments) => arguments.run(&session, "rollback"),
            Self::Cancel { id } => act(&session, &id, "cancel"),
            Self::Retry { id } => act(&session, &id, "retry"),
        }
    }
}

fn path_of(id: &str) -> Path {
    Path::new("failovers").item(id)
}

fn act(session: &Session, id: &str, verb: &str) -> Result<(), Failure> {
    let path = path_of(id).item("actions").item(verb);
    let failover = session.client.post(&path, &serde_json::json!({}))?;
    session.output.show(&failover, table::failover::show)
}

fn preview(
    session: &Session,
    group: &str,
    at: &str,
    interrupted_at: Option<&str>,
) -> Result<Document, Failure> {
    let path = Path::new("groups")
        .item(group)
        .item("failover-preview")
        .query("at", at)
        .query_if("interrupted_at", interrupted_at);
    session.client.get(&path)
}

impl StartArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let at = &self.at.at;
        let shown: Preview =
            preview(session, &self.group, at, self.interrupted_at.as_deref())?.read()?;
        let consequence = match self.mode {
            Mode::Planned => "A planned failover stops the source's writes, receives all of them, \
                 and boots the newest point here."
                .to_owned(),
            Mode::Emergency => format!(
                "An emergency failover fences the source and boots point {} here; {}.",
                shown.point.line(),
                shown.summary
            ),
        };
        session.progress.event(&table::line(&consequence));
        let confirm = confirmation(self.confirm, &self.group, &consequence)?;
        let mut body = serde_json::json!({
            "group": self.group,
            "confirm": confirm,
            "mode": match self.mode { Mode::Planned => "planned", Mode::Emergency => "emergency" },
            "at": at,
            "isolation_confirmed": self.isolation_confirmed,
        });
        if let Some(time) = self.interrupted_at {
            body["interrupted_at"] = time.into();
        }
        let policy = |after: Duration| serde_json::json!({ "after_seconds": after.as_secs() });
        if let Some(after) = self.auto_commit {
            body["commit_policy"] = serde_json::json!({ "auto_commit": policy(after) });
        }
        if let Some(after) = self.auto_rollback {
            body["commit_policy"] = serde_json::json!({ "auto_rollback": policy(after) });
        }
        if let Some(launch) = self.launch.or_else(|| session.context.launch.clone()) {
            body["launch_settings"] = launch_settings(&launch)?;
        }
        if let Some(networks) = self.networks {
            body["networks"] = cards(&networks)?;
        }
        let document = session
            .client
            .post_repeatably(&Path::new("failovers"), &body)?;
        let Some(wait) = self.wait else {
            return session.output.show(&document, table::failover::show);
        };
        let failover: Failover = document.read()?;
        let patience = wait.unwrap_or(WAIT);
        let settled = follow(
            session,
            &path_of(&failover.course.id),
            patience,
            Failover::awaits_somebody,
        )?;
        let failover: Failover = settled.read()?;
        session.output.show(&settled, table::failover::show)?;
        // One that commits itself may have done so between two looks.
        let is_committed = failover.course.end.as_deref() == Some("committed");
        if !is_committed && !failover.awaits_decision() {
            return Err(failed(&failover));
        }
        ladder_passed(&failover)
    }
}

/// A ladder that failed ends nothing, and whoever waited must not take it for one that did not.
fn ladder_passed(failover: &Failover) -> Result<(), Failure> {
    let Some(why) = failover.failed_ladder() else {
        return Ok(());
    };
    let id = &failover.course.id;
    Err(Failure::new(
        exit::JOB_FAILED,
        format!("the machine of failover {id} did not pass its verification ladder"),
    )
    .cause(table::plain(why))
    .remedy(format!(
        "it runs all the same, and a decision is awaited: look at it with bcdr failover show {id}, then \
         commit it or roll it back"
    )))
}

impl DecisionArguments {
    fn run(self, session: &Session, verb: &str) -> Result<(), Failure> {
        let failover: Failover = session.client.get(&path_of(&self.id))?.read()?;
        let consequence = match verb {
            "commit" => "The failover becomes final: it cannot be rolled back any more.",
            _ => {
                "The machine here ends at once, and the source is the authority again. What the \
                 machine wrote is kept as a branch."
            }
        };
        let group = failover.course.group_name.clone().unwrap_or_default();
        let confirm = confirmation(self.confirm, &group, consequence)?;
        let path = path_of(&self.id).item("actions").item(verb);
        let body = serde_json::json!({ "confirm": confirm });
        let document = session.client.post(&path, &body)?;
        let Some(wait) = self.wait else {
            return session.output.show(&document, table::failover::show);
        };
        let patience = wait.unwrap_or(WAIT);
        let settled = follow(
            session,
            &path_of(&self.id),
            patience,
            |failover: &Failover| failover.course.is_over_or_blocked(),
        )?;
        let failover: Failover = settled.read()?;
        session.output.show(&settled, table::failover::show)?;
        match (verb, failover.course.end.as_deref()) {
            ("commit", Some("committed")) | ("rollback", Some("rolled_back")) => Ok(()),
            _ => Err(failed(&failover)),
        }
    }
}

/// Reads network cards as a failover takes them.
fn cards(path: &std::path::Path) -> Result<serde_json::Value, Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cards {
        card: Vec<NetworkCard>,
    }
    let wrong = |cause: String| {
        Failure::usage(format!("cannot use the network cards {}", path.display())).cause(cause)
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let cards: Cards =
        toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
    serde_json::to_value(cards.card).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use table::failover::tests::WAITING;

    #[test]
    fn a_ladder_that_failed_is_told_by_the_exit_code_and_one_that_passed_is_not() {
        let passed: Failover = serde_json::from_str(WAITING).unwrap();
        ladder_passed(&passed).unwrap();
        let text = WAITING
            .replace(r#""passed":true"#, r#""passed":false"#)
            .replace("5 rungs passed", "rung login failed: it gave up");
        let failed: Failover = serde_json::from_str(&text).unwrap();
        assert!(failed.awaits_decision());
        let failure = ladder_passed(&failed).unwrap_err();
        assert_eq!(failure.code(), exit::JOB_FAILED);
        let told = failure.to_string();
        assert!(told.contains("rung login failed: it gave up"), "{told}");
    }
}
