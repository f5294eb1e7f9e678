//! `bcdr token`: what programs identify themselves with.

use super::{
    Failure, arguments,
    client::{Client, Path},
    global::GlobalArguments,
    table,
    watch::WatchArgument,
};
use bcdr_http::Role;
use clap::Subcommand;
use serde_json::json;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List tokens, without their secrets
    #[command(after_help = "Example:\n  bcdr token list")]
    List(WatchArgument),
    /// Make a token (shown once)
    #[command(
        after_help = "Example:\n  bcdr token create --name monitoring --role viewer --expires-in 90d -o json | jq -r .token > token\n  bcdr token create --name weekly-drill --role drill_operator --group billing"
    )]
    Create {
        /// Who or what it is for; shown in logs
        #[arg(long, value_name = "NAME")]
        name: String,
        /// viewer, operator, drill_operator, approver, admin or auditor
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// How long it lasts, such as 90d; without this until it is revoked
        #[arg(long, value_name = "TIME", value_parser = arguments::duration)]
        expires_in: Option<Duration>,
        /// A group that it is for, by id or name, and nothing else then; may be given several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// Revoke a token: the next request with it is refused
    #[command(after_help = "Example:\n  bcdr token revoke tok-01hv3c9wn2m5k8r7e6t4x0y1za")]
    Revoke {
        /// The token's id
        id: String,
    },
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        let tokens = Path::new("tokens");
        match self {
            Self::List(watch) => {
                let look = move |client: &Client| client.list(&tokens, None);
                watch.show(&session, look, table::token::list)
            }
            Self::Create {
                name,
                role,
                expires_in,
                groups,
            } => {
                let ends = expires_in.map(ending).transpose()?;
                let body = json!({ "name": name, "role": role, "expires_at": ends,
                    "groups": (!groups.is_empty()).then_some(groups) });
                let made = session.client.post(&tokens, &body)?;
                session.output.show(&made, table::token::made)
            }
            Self::Revoke { id } => session.client.delete(&tokens.item(&id)),
        }
    }
}

fn ending(after: Duration) -> Result<jiff::Timestamp, Failure> {
    let too_long = |error| {
        Failure::usage("a token cannot last that long")
            .cause(error)
            .remedy("name a shorter time")
    };
    jiff::Timestamp::now().checked_add(after).map_err(too_long)
}
