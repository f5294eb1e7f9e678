//! `bcdr view`: a point's volumes, readable through NBD.

use super::{
    Failure, arguments,
    client::{Client, Path},
    global::{GlobalArguments, Session},
    table,
    watch::WatchArgument,
};
use clap::Subcommand;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open a point read-only and print an NBD URI per volume
    #[command(
        after_help = "Examples:\n  bcdr view open lab --at before-upgrade --lease 2h\n  \
        qemu-img convert -O qcow2 \"$(bcdr view open lab -o json | jq -r '.volumes[0].nbd')\" root.qcow2"
    )]
    Open {
        /// The group's name or id
        group: String,
        #[command(flatten)]
        at: arguments::AtArgument,
        /// A branch of the group: an instant of its own history, and not of the group's
        #[arg(long, value_name = "BRANCH")]
        branch: Option<String>,
        /// Close it by itself after this time; the cloud side's default is a day
        #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
        lease: Option<Duration>,
    },
    /// List open views
    #[command(after_help = "Example:\n  bcdr view list")]
    List {
        /// Only those of this group (name or id)
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Show one view
    #[command(after_help = "Example:\n  bcdr view show viw-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Show {
        /// The view's id
        id: String,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Close a view; who reads it is cut off
    #[command(after_help = "Example:\n  bcdr view close viw-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Close {
        /// The view's id
        id: String,
    },
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        match self {
            Self::Open {
                group,
                at,
                branch,
                lease,
            } => open(&session, &group, &at.at, branch, lease),
            Self::List { group, watch } => {
                let path = Path::new("views").query_if("group", group.as_deref());
                let look = move |client: &Client| client.list(&path, None);
                watch.show(&session, look, table::view::list)
            }
            Self::Show { id, watch } => {
                let path = Path::new("views").item(&id);
                let look = move |client: &Client| client.get(&path);
                watch.show(&session, look, table::view::show)
            }
            Self::Close { id } => {
                session.client.delete(&Path::new("views").item(&id))?;
                session
                    .progress
                    .event(&table::line(&format!("view {id} is closed")));
                Ok(())
            }
        }
    }
}

fn open(
    session: &Session,
    group: &str,
    at: &str,
    branch: Option<String>,
    lease: Option<Duration>,
) -> Result<(), Failure> {
    let mut body = serde_json::json!({ "group": group, "at": at, "branch": branch });
    if let Some(lease) = lease {
        body["lease_seconds"] = whole_seconds(lease).into();
    }
    let view = session.client.post(&Path::new("views"), &body)?;
    session.output.show(&view, table::view::show)
}

/// The API counts in whole seconds; what was asked for is never cut short.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
