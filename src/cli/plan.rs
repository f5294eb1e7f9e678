//! `bcdr plan`: several groups recovered together, in order.

mod document;
mod run;

use super::{
    Failure, arguments,
    client::{Client, Path},
    exit,
    global::{GlobalArguments, Session},
    table::{self, plan::Check},
    watch::WatchArgument,
};
use clap::{Args, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Keep a plan (TOML, or JSON in a .json file) as its next version
    #[command(
        long_about = "Keep a plan (TOML, or JSON in a .json file) as its next version.\n\n\
            What is wrong with it is told at once, by step, cause and remedy. The same plan again \
            changes nothing.",
        after_help = "Example:\n  bcdr plan apply shop.toml"
    )]
    Apply {
        /// The plan
        file: PathBuf,
    },
    /// List plans
    #[command(after_help = "Example:\n  bcdr plan list")]
    List {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Show a plan's steps; with -o json the whole document
    #[command(after_help = "Example:\n  bcdr plan show shop --version 2")]
    Show {
        /// The plan's name
        plan: String,
        /// The version; the newest when none is given
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Remove a plan; its runs and versions stay
    #[command(after_help = "Example:\n  bcdr plan remove shop")]
    Remove {
        /// The plan's name
        plan: String,
    },
    /// Say whether a plan could be run now, and what stands in the way; exit code 8 if something does
    #[command(after_help = "Example:\n  bcdr plan check shop --mode emergency")]
    Check {
        /// The plan's name
        plan: String,
        /// For which run
        #[arg(long, value_enum, default_value_t = Mode::Drill)]
        mode: Mode,
        #[command(flatten)]
        at: TimeArgument,
        #[command(flatten)]
        steps: StepsArguments,
    },
    /// Say how long a run would take, from what earlier runs took
    #[command(after_help = "Example:\n  bcdr plan forecast shop --mode planned")]
    Forecast {
        /// The plan's name
        plan: String,
        /// For which run
        #[arg(long, value_enum, default_value_t = Mode::Drill)]
        mode: Mode,
        #[command(flatten)]
        steps: StepsArguments,
    },
    /// Run a plan: drill all of its groups, or fail them over
    #[command(
        long_about = "Run a plan: drill all of its groups, or fail them over.\n\n\
            Each group is recovered from its greatest point that is not after the one time given \
            with --at. A drill changes nothing and removes everything it made. The other modes bring \
            production here; every failover in them awaits its own commit or rollback.",
        after_help = "Examples:\n  bcdr plan start shop --mode drill --wait\n  \
            bcdr plan start shop --mode emergency --at 2026-11-03T09:59:00Z --priority 2 --confirm shop --wait"
    )]
    Start(run::StartArguments),
    /// Look at runs of plans
    #[command(subcommand)]
    Run(run::Command),
    /// Release a step that awaits approval
    #[command(
        after_help = "Example:\n  bcdr plan approve prn-01hv3c9wn2m5k8r7e6t4x0y1za go --reason \"the network is switched\""
    )]
    Approve {
        /// The run's id
        run: String,
        /// The step
        step: String,
        /// What is said about it
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Begin a failed step again that holds the run up
    #[command(after_help = "Example:\n  bcdr plan retry prn-01hv3c9wn2m5k8r7e6t4x0y1za web")]
    Retry {
        /// The run's id
        run: String,
        /// The step
        step: String,
    },
    /// Go on without a step that failed, or cut a wait short
    #[command(
        after_help = "Example:\n  bcdr plan skip prn-01hv3c9wn2m5k8r7e6t4x0y1za web --reason \"it was brought up by hand\""
    )]
    Skip {
        /// The run's id
        run: String,
        /// The step
        step: String,
        /// Why the run goes on without it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Give a run up: nothing more begins, and drills are stopped and cleaned up
    #[command(after_help = "Example:\n  bcdr plan cancel prn-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Cancel {
        /// The run's id
        run: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Boot the groups in isolation, and remove everything again
    Drill,
    /// Stop the sources' writes first; nothing is lost
    Planned,
    /// Do not ask the sources
    Emergency,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Planned => "planned",
            Self::Emergency => "emergency",
        }
    }
}

/// The one time of all groups.
#[derive(Debug, Args)]
pub(super) struct TimeArgument {
    /// The one time of all groups (RFC 3339), or `latest` for the newest point of each
    #[arg(long, value_name = "TIME|latest", default_value = "latest")]
    at: String,
}

/// A part of a plan.
#[derive(Debug, Args)]
pub(super) struct StepsArguments {
    /// Only steps at least as urgent: of this priority or a lesser one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=99))]
    priority: Option<u8>,
    /// Only this step; several times for several. What they come after counts as settled
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
}

impl StepsArguments {
    /// Asks for that part.
    fn of(&self, path: Path) -> Path {
        let priority = self.priority.map(|priority| priority.to_string());
        let only = self.only.join(",");
        path.query_if("priority", priority.as_deref())
            .query_if("only", Some(only.as_str()).filter(|only| !only.is_empty()))
    }
}

/// How long is waited.
#[derive(Debug, Args)]
pub(super) struct WaitArgument {
    /// Return when it has ended or awaits somebody; wait at most TIME (an hour when none is given)
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
            Self::Apply { file } => apply(&session, &file),
            Self::List { limit, watch } => {
                let look = move |client: &Client| client.list(&Path::new("plans"), Some(limit));
                watch.show(&session, look, table::plan::list)
            }
            Self::Show {
                plan,
                version,
                watch,
            } => {
                let version = version.map(|version| version.to_string());
                let path = path_of(&plan).query_if("version", version.as_deref());
                let look = move |client: &Client| client.get(&path);
                watch.show(&session, look, table::plan::show)
            }
            Self::Remove { plan } => session.client.delete(&path_of(&plan)),
            Self::Check {
                plan,
                mode,
                at,
                steps,
            } => check(&session, &plan, mode, &at.at, &steps),
            Self::Forecast { plan, mode, steps } => {
                let path = path_of(&plan).item("forecast").query("mode", mode.name());
                let forecast = session.client.get(&steps.of(path))?;
                session.output.show(&forecast, table::plan::forecast)
            }
            Self::Start(arguments) => arguments.run(&session),
            Self::Run(command) => command.run(&session),
            Self::Approve { run, step, reason } => {
                let body = serde_json::json!({ "step": step, "reason": reason });
                act(&session, &run, "approve", &body)
            }
            Self::Retry { run, step } => {
                let body = serde_json::json!({ "step": step });
                act(&session, &run, "retry-step", &body)
            }
            Self::Skip { run, step, reason } => {
                let body = serde_json::json!({ "step": step, "reason": reason });
                act(&session, &run, "skip-step", &body)
            }
            Self::Cancel { run, reason } => {
                let body = serde_json::json!({ "reason": reason });
                act(&session, &run, "cancel", &body)
            }
        }
    }
}

fn path_of(plan: &str) -> Path {
    Path::new("plans").item(plan)
}

fn apply(session: &Session, file: &std::path::Path) -> Result<(), Failure> {
    let plan = document::read(file)?;
    let applied = session.client.put(&path_of(&plan.name), &plan)?;
    session.output.show(&applied, table::plan::show)
}

fn check(
    session: &Session,
    plan: &str,
    mode: Mode,
    at: &str,
    steps: &StepsArguments,
) -> Result<(), Failure> {
    let path = path_of(plan)
        .item("check")
        .query("mode", mode.name())
        .query("at", at);
    let document = session.client.get(&steps.of(path))?;
    let check: Check = document.read()?;
    session.output.show(&document, table::plan::check)?;
    if !check.failed() {
        return Ok(());
    }
    Err(
        Failure::new(exit::DEGRADED, format!("plan {plan} could not be run now"))
            .remedy("do what stands behind each FAILED"),
    )
}

fn act(session: &Session, run: &str, verb: &str, body: &serde_json::Value) -> Result<(), Failure> {
    let path = run::path_of(run).item("actions").item(verb);
    let run = session.client.post(&path, body)?;
    session.output.show(&run, table::plan::run)
}
