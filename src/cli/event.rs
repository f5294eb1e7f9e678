//! `bcdr event`: what changed, as a list and as it happens.

mod follow;
mod sse;

use super::{
    Failure,
    client::{Client, Path},
    global::GlobalArguments,
    table,
    watch::WatchArgument,
};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what changed, the newest first
    #[command(
        long_about = "List what changed, the newest first.\n\n\
            The cloud side keeps the newest 10,000 events since it was started. A `reset` stands for \
            those that are not known.",
        after_help = "Examples:\n  bcdr event list --group shop --limit 20\n  \
            bcdr event list --object drill --oldest-first -o jsonl"
    )]
    List(ListArguments),
    /// Tell what changes as it happens, until Ctrl-C
    #[command(
        long_about = "Tell what changes as it happens, until Ctrl-C.\n\n\
            When the connection breaks, it is made again and goes on after the last event; where it \
            is not known what came between, a `reset` says so. Ends by itself when the token is \
            refused, or whatever reads the output has ended.",
        after_help = "Examples:\n  bcdr event follow --group shop\n  \
            bcdr event follow --object alert -o jsonl | while read -r event; do page-somebody \"$event\"; done"
    )]
    Follow(FollowArguments),
}

/// Which events.
#[derive(Debug, Args)]
struct Wanted {
    /// Only those of this group (name or id)
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Only those about this kind of object, such as group, drill, failover or alert
    #[arg(long, value_name = "OBJECT")]
    object: Option<String>,
    /// Only those of this kind; a reset is always told
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Option<Kind>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// It was made, or is not as it was
    Changed,
    /// It is there no more
    Removed,
    /// What came before is not known
    Reset,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    wanted: Wanted,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    #[command(flatten)]
    watch: WatchArgument,
}

#[derive(Debug, Args)]
pub(super) struct FollowArguments {
    #[command(flatten)]
    wanted: Wanted,
    /// Begin after this event, instead of with what happens from now on
    #[arg(long, value_name = "EVENT")]
    after: Option<String>,
}

impl Wanted {
    /// Asks for those only.
    fn of(&self, path: Path) -> Path {
        let kind = self.kind.and_then(|kind| kind.to_possible_value());
        let kind = kind.as_ref().map(clap::builder::PossibleValue::get_name);
        path.query_if("group", self.group.as_deref())
            .query_if("object", self.object.as_deref())
            .query_if("kind", kind)
    }
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::List(arguments) => {
                let order = arguments.oldest_first.then_some("oldest_first");
                let path = arguments.wanted.of(Path::new("events"));
                let path = path.query_if("order", order);
                let look = move |client: &Client| client.list(&path, Some(arguments.limit));
                arguments.watch.show(&session, look, table::event::list)
            }
            Self::Follow(arguments) => {
                let path = Path::new("events").item("stream");
                let path = arguments.wanted.of(path);
                follow::follow(&session, path, arguments.after)
            }
        }
    }
}
