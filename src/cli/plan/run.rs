//! `bcdr plan start`, `bcdr plan run`: plans as they are run.

use super::{Mode, StepsArguments, TimeArgument, WaitArgument};
use crate::cli::{
    Failure,
    client::{Client, Path},
    confirm,
    document::Document,
    exit,
    failure::Delivery,
    global::Session,
    progress::Activity,
    table::{self, plan::Run},
    watch::WatchArgument,
};
use clap::{Args, Subcommand};
use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

/// How long `--wait` waits when no time is given.
const WAIT: Duration = Duration::from_secs(3600);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Show a run: its steps, the groups' points, what may be done now
    #[command(
        after_help = "Examples:\n  bcdr plan run show prn-01hv3c9wn2m5k8r7e6t4x0y1za\n  \
            bcdr plan run show prn-01hv3c9wn2m5k8r7e6t4x0y1za --watch",
        mut_arg("watch", |watch| watch.conflicts_with("wait"))
    )]
    Show {
        /// The run's id
        id: String,
        #[command(flatten)]
        wait: WaitArgument,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// List runs, the newest first
    #[command(after_help = "Example:\n  bcdr plan run list --plan shop")]
    List {
        /// Only those of this plan
        #[arg(long, value_name = "PLAN")]
        plan: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        #[command(flatten)]
        watch: WatchArgument,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct StartArguments {
    /// The plan's name
    plan: String,
    /// What is done with the groups
    #[arg(long, value_enum)]
    mode: Mode,
    #[command(flatten)]
    at: TimeArgument,
    #[command(flatten)]
    steps: StepsArguments,
    /// The plan's name, typed: every mode but drill changes where production runs
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// When production stopped (RFC 3339): reports count from it
    #[arg(long, value_name = "TIME")]
    interrupted_at: Option<String>,
    /// Vouch that all sources are cut off, although they are seen serving
    #[arg(long)]
    isolation_confirmed: bool,
    /// With --only or --priority: leave out also the approvals before what is run. Only for who could give
    /// each of them
    #[arg(long)]
    without_approvals: bool,
    #[command(flatten)]
    wait: WaitArgument,
}

pub(super) fn path_of(run: &str) -> Path {
    Path::new("plan-runs").item(run)
}

impl Command {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Show { id, wait, watch } => match wait.wait {
                None => {
                    let look = move |client: &Client| client.get(&path_of(&id));
                    watch.show(session, look, table::plan::run)
                }
                Some(patience) => follow_and_show(session, &id, patience),
            },
            Self::List { plan, limit, watch } => {
                let path = Path::new("plan-runs").query_if("plan", plan.as_deref());
                let look = move |client: &Client| client.list(&path, Some(limit));
                watch.show(session, look, table::plan::runs)
            }
        }
    }
}

impl StartArguments {
    /// Tells what each group would lose, before anybody confirms that. It asks nobody outside, and a start
    /// goes on without what cannot be told within a request's deadline.
    fn preview(&self, session: &Session) {
        let looked = session.client.get(&self.preview_path());
        let check = looked.and_then(|document| document.read::<table::plan::Check>());
        match check {
            Ok(check) => {
                for line in table::plan::losses(&check) {
                    session.progress.event(&line);
                }
            }
            Err(failure) => session.progress.event(&table::line(&format!(
                "what would be lost is unknown: {failure}"
            ))),
        }
    }

    fn preview_path(&self) -> Path {
        let path = Path::new("plans")
            .item(&self.plan)
            .item("check")
            .query("mode", self.mode.name())
            .query("at", &self.at.at)
            .query("outside", "false")
            .query_if("interrupted_at", self.interrupted_at.as_deref());
        self.steps.of(path)
    }

    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut body = serde_json::json!({
            "plan": self.plan,
            "mode": self.mode.name(),
            "at": self.at.at,
            "only": self.steps.only,
            "isolation_confirmed": self.isolation_confirmed,
            "without_approvals": self.without_approvals,
        });
        if let Some(priority) = self.steps.priority {
            body["priority"] = priority.into();
        }
        if let Some(time) = &self.interrupted_at {
            body["interrupted_at"] = time.as_str().into();
        }
        if matches!(self.mode, Mode::Emergency) {
            self.preview(session);
        }
        let consequence = match self.mode {
            Mode::Drill => None,
            Mode::Planned => Some(
                "The sources of the plan's groups stop their writes, and production moves here.",
            ),
            Mode::Emergency => Some(
                "The sources of the plan's groups are fenced, and production runs on here from the \
                 chosen points; what is newer is lost to it.",
            ),
        };
        if let Some(consequence) = consequence {
            let confirmed = confirm::typed(self.confirm, "plan", &self.plan, consequence)?;
            body["confirm"] = confirmed.into();
        }
        let started = session
            .client
            .post_repeatably(&Path::new("plan-runs"), &body)?;
        let Some(patience) = self.wait.wait else {
            return session.output.show(&started, table::plan::run);
        };
        let run: Run = started.read()?;
        follow_and_show(session, &run.id, patience)
    }
}

fn follow_and_show(session: &Session, id: &str, patience: Option<Duration>) -> Result<(), Failure> {
    let document = follow(session, id, patience.unwrap_or(WAIT))?;
    let run: Run = document.read()?;
    session.output.show(&document, table::plan::run)?;
    verdict(&run)
}

/// Follows a run until it has ended or awaits somebody, also through a cloud side that restarts.
fn follow(session: &Session, id: &str, patience: Duration) -> Result<Document, Failure> {
    let activity = session.progress.spinner("plan run");
    activity.event(&table::line(&format!("run {id}")));
    let begun = Instant::now();
    let mut told = HashSet::new();
    loop {
        let looked = session.client.get(&path_of(id)).and_then(|document| {
            let run: Run = document.read()?;
            Ok((document, run))
        });
        match looked {
            Ok((document, run)) => {
                tell(&run, &mut told, &activity);
                if run.awaits_somebody() {
                    return Ok(document);
                }
            }
            Err(failure) if failure.delivery() == Delivery::Answered => return Err(failure),
            Err(failure) => activity.doing(table::line(&format!("{failure}; still waiting"))),
        }
        if begun.elapsed() >= patience {
            let whole = humantime::format_duration(patience);
            return Err(Failure::new(
                exit::WAIT_TIMED_OUT,
                format!("run {id} has not got there after {whole}"),
            )
            .remedy("it goes on without us: look at it with bcdr plan run show"));
        }
        thread::sleep(PAUSE);
    }
}

fn tell(run: &Run, told: &mut HashSet<(String, u32, String)>, activity: &Activity) {
    for step in &run.steps {
        if step.is_news() && told.insert((step.id.clone(), step.attempts, step.state.clone())) {
            activity.event(&step.line());
        }
    }
    activity.doing(table::line(&format!("run {}: {}", run.id, run.state())));
}

/// A run that awaits an approval is where it should be; one that is held up or was given up is not.
fn verdict(run: &Run) -> Result<(), Failure> {
    match run.state.as_str() {
        "succeeded" | "succeeded_in_part" | "awaiting_approval" => Ok(()),
        _ => {
            let failure = Failure::new(
                exit::JOB_FAILED,
                format!("run {} is {}", run.id, run.state()),
            );
            Err(match run.holding_up() {
                Some((step, cause)) => failure
                    .cause(table::plain(&format!("step {step}: {cause}")))
                    .remedy(format!(
                        "see what may be done with bcdr plan run show {}",
                        run.id
                    )),
                None => failure,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{
        client::{Client, tests::Site},
        output::{Form, Output},
        progress::Progress,
    };
    use axum::{
        Router,
        extract::RawQuery,
        routing::{get, post},
    };
    use bcdr_http::Problem;
    use bcdr_wire::identity::AlternativeName;
    use clap::Parser;
    use std::{
        net::Ipv4Addr,
        sync::{Arc, Mutex},
    };
    use table::plan::tests::RUN;

    #[derive(Parser)]
    struct Start {
        #[command(flatten)]
        arguments: StartArguments,
    }

    #[test]
    fn an_emergency_starts_whatever_keeps_its_loss_from_being_told() {
        let asked: Arc<Mutex<Option<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let check = move |RawQuery(query): RawQuery| async move {
            *seen.lock().unwrap() = query;
            Problem::unavailable("stopping", "not now")
        };
        let routes = Router::new()
            .route("/api/v1/plans/shop/check", get(check))
            .route("/api/v1/plan-runs", post(|| async { RUN }));
        let local = AlternativeName::Address(Ipv4Addr::LOCALHOST.into());
        let site = Site::new(routes, local);
        let session = Session {
            client: Client::open(&site.context).unwrap(),
            context: site.context.clone(),
            output: Output::new(Form::Json),
            progress: Progress::new(false),
        };
        let line = "start shop --mode emergency --only db --only web --priority 2 --confirm shop";
        let start = Start::try_parse_from(line.split(' ')).unwrap();
        start.arguments.run(&session).unwrap();
        // Nobody outside is asked, and only what is started counts.
        let asked = asked.lock().unwrap().take();
        assert_eq!(
            asked.as_deref(),
            Some("mode=emergency&at=latest&outside=false&priority=2&only=db%2Cweb")
        );
    }

    #[test]
    fn a_run_that_is_held_up_is_no_success_and_names_the_step() {
        let held: Run = serde_json::from_str(RUN).unwrap();
        let failure = verdict(&held).unwrap_err();
        assert_eq!(failure.code(), exit::JOB_FAILED);
        assert!(
            failure.to_string().contains("step web: no memory"),
            "{failure}"
        );
        let waiting: Run =
            serde_json::from_str(&RUN.replace("\"paused\"", "\"awaiting_approval\"")).unwrap();
        assert!(verdict(&waiting).is_ok() && waiting.awaits_somebody());
    }
}
