//! `bcdr alert`: what is wrong, who takes it on, and whether people hear of it.

use super::{
    Failure, arguments,
    client::{Client, Path},
    exit,
    global::{GlobalArguments, Session},
    table::{self, alert::Tested},
    watch::WatchArgument,
};
use clap::{Args, Subcommand, ValueEnum};
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List alerts that are not cleared, the newest first
    #[command(after_help = "Example:\n  bcdr alert list --severity critical")]
    List(ListArguments),
    /// Show one alert: what it means, what to do, its history and its messages
    #[command(after_help = "Example:\n  bcdr alert show alr-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Show {
        /// The alert's id
        id: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Take an alert on, so that nobody is reminded of it
    #[command(
        after_help = "Example:\n  bcdr alert acknowledge alr-01hv3c9wn2m5k8r7e6t4x0y1za --note \"the provider works on it\""
    )]
    Acknowledge {
        /// The alert's id
        id: String,
        /// What is said about it
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Keep what an alert is about quiet for a while
    #[command(
        long_about = "Keep what an alert is about quiet for a while.\n\n\
            It is shown all the same. What people do not know by then is told when the mute ends.",
        after_help = "Example:\n  bcdr alert mute alr-01hv3c9wn2m5k8r7e6t4x0y1za --for 2h --reason \"the rack is being moved\" --scope object"
    )]
    Mute(MuteArguments),
    /// End all mutes that cover an alert
    #[command(after_help = "Example:\n  bcdr alert unmute alr-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Unmute {
        /// The alert's id
        id: String,
    },
    /// Show the channels, and whether what is told by them arrives
    #[command(after_help = "Example:\n  bcdr alert channels")]
    Channels(WatchArgument),
    /// Send a test message by a channel now; exit code 1 if it was not taken
    #[command(after_help = "Example:\n  bcdr alert test ops")]
    Test {
        /// The channel's name
        channel: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Those that stand so
    #[arg(long, value_enum, default_value_t = State::Active)]
    state: State,
    /// Only those of this code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Only those about this object (name or id)
    #[arg(long, value_name = "OBJECT")]
    object: Option<String>,
    /// Only those that are this bad
    #[arg(long, value_enum)]
    severity: Option<Severity>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    #[command(flatten)]
    watch: WatchArgument,
}

#[derive(Debug, Args)]
pub(super) struct MuteArguments {
    /// The alert's id
    id: String,
    /// For how long
    #[arg(long = "for", value_name = "TIME", value_parser = arguments::duration)]
    length: Duration,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// What is kept quiet
    #[arg(long, value_enum, default_value_t = Scope::Alert)]
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// Not cleared
    Active,
    /// Nobody took it on
    Raised,
    /// Somebody did
    Acknowledged,
    /// Over
    Cleared,
    /// However they stand
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Severity {
    /// Protection is weaker than it should be
    Warning,
    /// New writes are not protected, or somebody has to decide
    Critical,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// This condition of this object
    Alert,
    /// This condition, of whatever object
    Code,
    /// Every condition of this object
    Object,
}

/// The name of a value, as it is typed and as the API has it.
fn name(value: impl ValueEnum) -> String {
    let known = value.to_possible_value();
    known.map_or_else(String::new, |known| known.get_name().to_owned())
}

fn path_of(id: &str) -> Path {
    Path::new("alerts").item(id)
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::List(arguments) => arguments.run(&session),
            Self::Show { id, watch } => {
                let look = move |client: &Client| client.get(&path_of(&id));
                watch.show(&session, look, table::alert::show)
            }
            Self::Acknowledge { id, note } => act(
                &session,
                &id,
                "acknowledge",
                &serde_json::json!({ "note": note }),
            ),
            Self::Mute(arguments) => arguments.run(&session),
            Self::Unmute { id } => act(&session, &id, "unmute", &serde_json::json!({})),
            Self::Channels(watch) => {
                let look = |client: &Client| client.get(&Path::new("alert-channels"));
                watch.show(&session, look, table::alert::channels)
            }
            Self::Test { channel } => test(&session, &channel),
        }
    }
}

impl ListArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let state = Some(self.state).filter(|state| *state != State::All);
        let path = Path::new("alerts")
            .query_if("state", state.map(name).as_deref())
            .query_if("code", self.code.as_deref())
            .query_if("object", self.object.as_deref())
            .query_if("severity", self.severity.map(name).as_deref());
        let look = move |client: &Client| client.list(&path, Some(self.limit));
        self.watch.show(session, look, table::alert::list)
    }
}

impl MuteArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let length = jiff::SignedDuration::try_from(self.length);
        let until = length
            .ok()
            .and_then(|length| jiff::Timestamp::now().checked_add(length).ok())
            .ok_or_else(|| {
                Failure::new(exit::USAGE, "the mute is too long").remedy("mute for 90 days at most")
            })?;
        let body = serde_json::json!({
            "until": until.to_string(),
            "reason": self.reason,
            "scope": name(self.scope),
        });
        act(session, &self.id, "mute", &body)
    }
}

fn act(session: &Session, id: &str, verb: &str, body: &serde_json::Value) -> Result<(), Failure> {
    let path = path_of(id).item("actions").item(verb);
    let alert = session.client.post(&path, body)?;
    session.output.show(&alert, table::alert::show)
}

fn test(session: &Session, channel: &str) -> Result<(), Failure> {
    let path = Path::new("alert-channels").item(channel);
    let path = path.item("actions").item("test");
    let document = session.client.post(&path, &serde_json::json!({}))?;
    let tested: Tested = document.read()?;
    session.output.show(&document, table::alert::tested)?;
    match tested.error {
        None => Ok(()),
        Some(error) => Err(Failure::error(format!(
            "channel {channel} did not take the test message"
        ))
        .cause(error)),
    }
}
