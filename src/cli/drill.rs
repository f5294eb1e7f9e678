//! `bcdr drill`: boots in isolation.

mod probes;
mod schedule;

use super::{
    Failure, arguments,
    client::{Client, Path},
    document::Document,
    exit,
    failure::Delivery,
    global::{GlobalArguments, Session},
    progress::Activity,
    screen,
    table::{self, drill::Drill},
    view::whole_seconds,
    wait::{self, Patience},
    watch::WatchArgument,
};
use bcdr_cloud::target::LaunchSettings;
use clap::{Args, Subcommand};
use std::{collections::HashSet, fs, path::PathBuf, time::Duration};

/// How long `--wait` waits when no time is given, besides the time the machine is held.
const WAIT: Duration = Duration::from_secs(3600);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Boot a point without any network, climb the verification rungs, clean up
    #[command(
        long_about = "Boot a point without any network, climb the verification rungs, clean up.\n\n\
            Production and replication go on undisturbed. Prints the drill; with --wait, tells rung \
            by rung what is seen and returns when the drill has ended: exit code 6 unless it passed.",
        after_help = "Examples:\n  bcdr drill start lab --at latest --wait\n  \
            bcdr drill start lab --at before-upgrade --hold 15m --launch uefi.toml\n  \
            bcdr drill start lab --at latest --probe port:22=SSH --probe http:80/health --wait\n  \
            bcdr drill start lab --at latest --script check-shop:5432 --wait"
    )]
    Start(StartArguments),
    /// List drills, the newest first
    #[command(after_help = "Example:\n  bcdr drill list --group lab")]
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
    /// Show one drill: rungs, recovery times, isolation, canary, evidence, clean-up
    #[command(after_help = "Example:\n  bcdr drill show drl-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Show {
        /// The drill's id
        id: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Save a picture of the machine's screen as it is now
    #[command(
        after_help = "Example:\n  bcdr drill screen drl-01hv3c9wn2m5k8r7e6t4x0y1za --output screen.png"
    )]
    Screen(screen::Arguments),
    /// Drill groups by a calendar
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// End a drill now and clean up
    #[command(after_help = "Example:\n  bcdr drill stop drl-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Stop {
        /// The drill's id
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct StartArguments {
    /// The group's name or id
    group: String,
    #[command(flatten)]
    at: arguments::AtArgument,
    /// Leave the machine running for so long after the last rung, to look at it
    #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
    hold: Option<Duration>,
    /// Launch settings (TOML): memory, firmware, disk order, what a good boot says. By default
    /// those of the context
    #[arg(long, value_name = "FILE")]
    launch: Option<PathBuf>,
    /// Ask the machine something after its login, besides what the launch settings ask: address,
    /// port:PORT[=TEXT], http:PORT[/PATH], https:PORT[/PATH], agent. TEXT is what the server must
    /// say first. May be given several times
    #[arg(long = "probe", value_name = "PROBE", value_parser = probes::read)]
    probes: Vec<probes::Asked>,
    /// Have a program of the cloud side's host judge the machine, after everything else: its name among
    /// those that its operator allows to rungs, and the ports of the machine that it is to reach. May be
    /// given several times
    #[arg(long = "script", value_name = "NAME[:PORT,...]", value_parser = probes::script)]
    scripts: Vec<probes::Asked>,
    /// Return when the drill has ended; wait at most TIME (an hour and the hold when none is given)
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
            Self::Start(arguments) => arguments.run(&session),
            Self::Screen(arguments) => arguments.run(&session, "drills"),
            Self::Schedule(command) => command.run(&session),
            Self::List {
                group,
                limit,
                watch,
            } => {
                let path = Path::new("drills").query_if("group", group.as_deref());
                let look = move |client: &Client| client.list(&path, Some(limit));
                watch.show(&session, look, table::drill::list)
            }
            Self::Show { id, watch } => {
                let look = move |client: &Client| client.get(&Path::new("drills").item(&id));
                watch.show(&session, look, table::drill::show)
            }
            Self::Stop { id } => {
                let path = Path::new("drills").item(&id).item("actions").item("stop");
                let drill = session.client.post(&path, &serde_json::json!({}))?;
                session.output.show(&drill, table::drill::show)
            }
        }
    }
}

impl StartArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let mut body = serde_json::json!({ "group": self.group, "at": self.at.at });
        if let Some(hold) = self.hold {
            body["hold_seconds"] = whole_seconds(hold).into();
        }
        if let Some(launch) = self.launch.or_else(|| session.context.launch.clone()) {
            body["launch_settings"] = launch_settings(&launch)?;
        }
        let asked = self.probes.into_iter().chain(self.scripts);
        probes::add(&mut body["launch_settings"], asked);
        let hold = self.hold.unwrap_or_default();
        let patience = self
            .wait
            .map(|time| Patience::new(time.unwrap_or(WAIT.saturating_add(hold))));
        let document = session
            .client
            .post_repeatably(&Path::new("drills"), &body)?;
        let Some(patience) = patience else {
            return session.output.show(&document, table::drill::show);
        };
        let drill: Drill = document.read()?;
        let activity = session.progress.spinner(&format!("drill {}", drill.id));
        activity.event(&table::line(&format!("drill {}", drill.id)));
        let (document, drill) = climb(&session.client, &drill, patience, &activity)?;
        drop(activity);
        session.output.show(&document, table::drill::show)?;
        verdict(&drill)
    }
}

/// Reads launch settings and sends only what they set, so that defaults stay the cloud side's.
pub(super) fn launch_settings(path: &std::path::Path) -> Result<serde_json::Value, Failure> {
    let wrong = |cause: String| {
        Failure::usage(format!("cannot use the launch settings {}", path.display())).cause(cause)
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let settings: LaunchSettings =
        toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
    settings.check().map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// Follows a drill to its end and tells what is new at every look.
fn climb(
    client: &Client,
    drill: &Drill,
    patience: Patience,
    activity: &Activity,
) -> Result<(Document, Drill), Failure> {
    let path = Path::new("drills").item(&drill.id);
    let mut told = Told::default();
    let look = |_: &wait::Job| {
        let seen: Drill = client.get(&path)?.read()?;
        told.tell(&seen, activity);
        Ok(())
    };
    wait::for_job(client, &drill.job, patience, activity, look)?;
    let document = client.get(&path)?;
    let drill: Drill = document.read()?;
    if !drill.has_ended() {
        // Only an interrupted job ends before its drill.
        return Err(Failure::new(
            exit::JOB_FAILED,
            format!("drill {} was interrupted; it is {}", drill.id, drill.state),
        )
        .remedy(format!(
            "see what became of it with bcdr drill show {}",
            drill.id
        ))
        .delivered(Delivery::Answered));
    }
    told.tell(&drill, activity);
    Ok((document, drill))
}

/// What was told already.
#[derive(Default)]
struct Told {
    phase: Option<String>,
    rungs: HashSet<String>,
}

impl Told {
    fn tell(&mut self, drill: &Drill, activity: &Activity) {
        for line in self.news(drill) {
            activity.event(&line);
        }
        if let Some(phase) = &self.phase {
            activity.doing(table::line(&format!("drill {}: {phase}", drill.id)));
        }
    }

    /// The lines for what is new.
    fn news(&mut self, drill: &Drill) -> Vec<String> {
        let mut lines = Vec::new();
        let progress = drill.progress.as_ref();
        if let Some(progress) = progress
            && self.phase.as_ref() != Some(&progress.phase)
        {
            self.phase = Some(progress.phase.clone());
            lines.push(table::line(&format!("phase {}", progress.phase)));
        }
        let climbed = progress.map(|progress| &progress.rungs);
        let reported = drill.report.as_ref().map(|report| &report.rungs);
        for rung in climbed.into_iter().chain(reported).flatten() {
            if rung.verdict != "not_run" && self.rungs.insert(rung.rung.clone()) {
                lines.push(rung.line());
            }
        }
        lines
    }
}

fn verdict(drill: &Drill) -> Result<(), Failure> {
    if drill.state == "passed" {
        return Ok(());
    }
    let failure = Failure::new(
        exit::JOB_FAILED,
        format!("drill {} {}", drill.id, drill.state.replace('_', " ")),
    );
    Err(match drill.reason() {
        Some(reason) => failure.cause(table::plain(reason)),
        None => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use table::drill::tests::FAILED;

    #[test]
    fn every_rung_is_told_once_and_what_did_not_run_is_not() {
        let mut told = Told::default();
        let running = FAILED.replace(
            "\"progress\":null,\n        \"report\":{",
            r#""progress":{"drill":"drl-1","phase":"probe","rungs":[{"rung":"kernel","verdict":"passed","at_seconds":12.5}],"at":"T"},"unused":{"#,
        );
        let running: Drill = serde_json::from_str(&running).unwrap();
        assert!(running.report.is_none());
        assert_eq!(
            told.news(&running),
            ["phase probe", "    12.5 s  kernel            passed"]
        );
        assert_eq!(told.news(&running), Vec::<String>::new());
        let ended: Drill = serde_json::from_str(FAILED).unwrap();
        let news = told.news(&ended);
        assert_eq!(news.len(), 1, "{news:?}");
        assert!(
            news[0].contains("root_mounted") && news[0].contains("ALERT"),
            "{news:?}"
        );
    }

    #[test]
    fn a_drill_that_did_not_pass_ends_with_its_reason() {
        let drill: Drill = serde_json::from_str(FAILED).unwrap();
        let failure = verdict(&drill).unwrap_err();
        assert_eq!(failure.code(), exit::JOB_FAILED);
        assert_eq!(
            failure.to_string(),
            "drill drl-1 failed: rung root_mounted: it gave up"
        );
    }

    #[test]
    fn only_settings_that_were_set_are_sent_and_wrong_ones_are_refused_here() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("launch.toml");
        fs::write(&path, "memory_mib = 512\n[rungs]\nlogin = \"ready>\"\n").unwrap();
        assert_eq!(
            launch_settings(&path).unwrap(),
            serde_json::json!({ "memory_mib": 512, "rungs": { "login": "ready>" } })
        );
        fs::write(&path, "memory_mib = 1\n").unwrap();
        let failure = launch_settings(&path).unwrap_err();
        assert_eq!(failure.code(), exit::USAGE);
        assert!(failure.to_string().contains("memory_mib is 1"), "{failure}");
    }
}
