//! `bcdr user`: who signs in.

use super::{
    Failure,
    client::{Client, Path},
    global::GlobalArguments,
    password, table,
    watch::WatchArgument,
};
use bcdr_http::Role;
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List users
    #[command(after_help = "Example:\n  bcdr user list")]
    List(WatchArgument),
    /// Make a user; the password is typed, or the first line of standard input
    #[command(after_help = "Examples:\n  bcdr user create ada --role operator\n  \
        bcdr user create wall --role viewer < password-file")]
    Create {
        /// The name to sign in with: lower-case letters, digits, and . _ - @
        name: String,
        /// viewer, operator, drill_operator, approver, admin or auditor
        #[arg(long, value_name = "ROLE")]
        role: Role,
    },
    /// Give a user another role; the user's sessions end
    #[command(after_help = "Example:\n  bcdr user role ada --role drill_operator")]
    Role {
        /// The user's name or id
        user: String,
        /// viewer, operator, drill_operator, approver, admin or auditor
        #[arg(long, value_name = "ROLE")]
        role: Role,
    },
    /// Refuse a user to sign in; the user's sessions end
    #[command(after_help = "Example:\n  bcdr user disable ada")]
    Disable {
        /// The user's name or id
        user: String,
    },
    /// Let a user sign in again
    #[command(after_help = "Example:\n  bcdr user enable ada")]
    Enable {
        /// The user's name or id
        user: String,
    },
    /// Set a user's password, typed or from standard input; the user's sessions end
    #[command(after_help = "Examples:\n  bcdr user password ada\n  \
        bcdr user password ada < password-file")]
    Password {
        /// The user's name or id
        user: String,
    },
    /// Remove a user for good
    #[command(after_help = "Example:\n  bcdr user remove ada")]
    Remove {
        /// The user's name or id
        user: String,
    },
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        let users = || Path::new("users");
        let shown = match self {
            Self::List(watch) => {
                let look = |client: &Client| client.list(&Path::new("users"), None);
                return watch.show(&session, look, table::user::list);
            }
            Self::Create { name, role } => {
                let password = password::read_new(&name)?;
                let body = json!({ "name": name, "role": role, "password": password });
                session.client.post(&users(), &body)?
            }
            Self::Role { user, role } => {
                let body = json!({ "role": role });
                session.client.patch(&users().item(&user), &body)?
            }
            Self::Disable { user } => {
                let body = json!({ "disabled": true });
                session.client.patch(&users().item(&user), &body)?
            }
            Self::Enable { user } => {
                let body = json!({ "disabled": false });
                session.client.patch(&users().item(&user), &body)?
            }
            Self::Password { user } => {
                let path = users().item(&user).item("password");
                let body = json!({ "password": password::read_new(&user)? });
                session.client.put(&path, &body)?
            }
            Self::Remove { user } => return session.client.delete(&users().item(&user)),
        };
        session.output.show(&shown, table::user::show)
    }
}
