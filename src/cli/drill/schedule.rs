//! `bcdr drill schedule`: drills by a calendar.

use super::launch_settings;
use crate::cli::{
    Failure, arguments,
    client::{Client, Path},
    global::Session,
    table,
    view::whole_seconds,
    watch::WatchArgument,
};
use clap::{Args, Subcommand};
use std::{path::PathBuf, str::FromStr, time::Duration};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Drill a group again and again, in place of the schedule it had
    #[command(
        after_help = "Examples:\n  bcdr drill schedule set lab --every 7d --at 02:00 --zone Asia/Shanghai\n  \
            bcdr drill schedule set lab --every 1d --point 24h --launch uefi.toml"
    )]
    Set(SetArguments),
    /// Show when a group is drilled, and whether that is overdue
    #[command(after_help = "Example:\n  bcdr drill schedule show lab")]
    Show {
        /// The group's name or id
        group: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Start no more drills by themselves
    #[command(after_help = "Example:\n  bcdr drill schedule remove lab")]
    Remove {
        /// The group's name or id
        group: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SetArguments {
    /// The group's name or id
    group: String,
    /// From one drill to the next: an hour to 731 days
    #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
    every: Duration,
    /// The time of the day; goes with whole days
    #[arg(long, value_name = "HH:MM")]
    at: Option<String>,
    /// The time zone of that, such as Asia/Shanghai; UTC when none is given
    #[arg(long, value_name = "ZONE", requires = "at")]
    zone: Option<String>,
    /// The point: `latest`, or an age such as 24h for the newest that is at least so old
    #[arg(long, value_name = "latest|AGE", default_value = "latest")]
    point: PointArgument,
    /// Leave the machine running for so long after the last rung
    #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
    hold: Option<Duration>,
    /// Launch settings (TOML). By default those of the context
    #[arg(long, value_name = "FILE")]
    launch: Option<PathBuf>,
}

/// Which point a scheduled drill boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum PointArgument {
    Latest,
    Age(Duration),
}

impl FromStr for PointArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self::Latest),
            age => arguments::duration(age).map(Self::Age),
        }
    }
}

impl Command {
    pub(in crate::cli) fn run(self, session: &Session) -> Result<(), Failure> {
        let of = |group: &str| Path::new("groups").item(group).item("drill-schedule");
        match self {
            Self::Set(arguments) => {
                let path = of(&arguments.group);
                let body = arguments.body(session)?;
                let schedule = session.client.put(&path, &body)?;
                session.output.show(&schedule, table::schedule::show)
            }
            Self::Show { group, watch } => {
                let path = of(&group);
                let look = move |client: &Client| client.get(&path);
                watch.show(session, look, table::schedule::show)
            }
            Self::Remove { group } => {
                session.client.delete(&of(&group))?;
                let told = format!("group {group} is not drilled by a calendar any more");
                session.progress.event(&table::line(&told));
                Ok(())
            }
        }
    }
}

impl SetArguments {
    fn body(&self, session: &Session) -> Result<serde_json::Value, Failure> {
        let point = match self.point {
            PointArgument::Latest => serde_json::json!("latest"),
            PointArgument::Age(age) => {
                serde_json::json!({ "age": { "seconds": whole_seconds(age) } })
            }
        };
        let mut body = serde_json::json!({
            "every_seconds": whole_seconds(self.every),
            "point": point,
        });
        if let Some(at) = &self.at {
            body["at"] = at.as_str().into();
        }
        if let Some(zone) = &self.zone {
            body["zone"] = zone.as_str().into();
        }
        if let Some(hold) = self.hold {
            body["hold_seconds"] = whole_seconds(hold).into();
        }
        if let Some(launch) = self.launch.as_ref().or(session.context.launch.as_ref()) {
            body["launch_settings"] = launch_settings(launch)?;
        }
        Ok(body)
    }
}
