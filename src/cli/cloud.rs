//! `bcdr cloud`: the cloud side's role, and making what it needs. The latter work on its state
//! directory, not through the API.

use super::{
    Failure, arguments::ConfigArguments, document::Document, global::GlobalArguments, table,
};
use anyhow::Context as _;
use bcdr_cloud::init::{self, InitOptions, IssueOptions};
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the cloud role
    #[command(after_help = "Example:\n  bcdr cloud run --config /etc/bcdr/cloud.toml")]
    Run(ConfigArguments),
    /// Make an installation: authority, keys, an administrator's token and a setup secret (shown once)
    #[command(
        after_help = "Example:\n  bcdr cloud init --state-directory /var/lib/bcdr --name dr.example.com"
    )]
    Init {
        /// The directory that will hold it; made if it is missing
        #[arg(long, value_name = "DIR")]
        state_directory: PathBuf,
        /// A host name or address under which the API is reached; may be given several times
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
    },
    /// Issue a certificate for a role
    #[command(
        after_help = "Example:\n  bcdr cloud issue --state-directory /var/lib/bcdr --role gateway \
        --name rack-1 --out ./rack-1 --alternative-name gw.example.com"
    )]
    Issue {
        /// The installation's directory
        #[arg(long, value_name = "DIR")]
        state_directory: PathBuf,
        /// What the holder is
        #[arg(long, value_enum)]
        role: CertificateRole,
        /// The holder's name: letters, digits, - _ and .
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Where the certificate, its key and the authority's certificate are written
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// A host name or address under which the holder is reached; may be given several times
        #[arg(long = "alternative-name", value_name = "NAME")]
        alternative_names: Vec<String>,
    },
    /// Make a token when there is none to make one with (shown once); the cloud role must be stopped
    #[command(
        after_help = "Example:\n  bcdr cloud token --state-directory /var/lib/bcdr --name monitoring \
        --role viewer -o json | jq -r .token > token"
    )]
    Token {
        /// The installation's directory
        #[arg(long, value_name = "DIR")]
        state_directory: PathBuf,
        /// Who or what it is for; shown in logs
        #[arg(long, value_name = "NAME")]
        name: String,
        /// viewer, operator, drill_operator, approver, admin or auditor
        #[arg(long, value_name = "ROLE")]
        role: bcdr_http::Role,
    },
}

/// Whose certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CertificateRole {
    /// A receiver
    Cloud,
    /// A gateway
    Gateway,
    /// A capture
    Capture,
    /// A client of block devices over TCP
    NbdClient,
    /// A server of the API
    ApiServer,
}

impl From<CertificateRole> for bcdr_wire::identity::Role {
    fn from(role: CertificateRole) -> Self {
        match role {
            CertificateRole::Cloud => Self::Cloud,
            CertificateRole::Gateway => Self::Gateway,
            CertificateRole::Capture => Self::Capture,
            CertificateRole::NbdClient => Self::NbdClient,
            CertificateRole::ApiServer => Self::ApiServer,
        }
    }
}

impl Command {
    /// Whether this becomes the cloud role.
    pub(super) fn is_role(&self) -> bool {
        matches!(self, Self::Run(_))
    }

    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let made = match self {
            Self::Run(arguments) => return crate::role::cloud(&arguments.config),
            Self::Init {
                state_directory,
                names,
            } => initialise(state_directory, names)?,
            Self::Issue {
                state_directory,
                role,
                name,
                out,
                alternative_names,
            } => {
                let options = IssueOptions {
                    role: role.into(),
                    name,
                    alternative_names,
                    directory: out,
                };
                issue(&state_directory, &options)?
            }
            Self::Token {
                state_directory,
                name,
                role,
            } => {
                let token = init::create_token(&state_directory, &name, role)
                    .context("cannot make a token")?;
                json!({ "name": name, "role": role, "token": token.expose() })
            }
        };
        global
            .output()
            .show(&Document::of(&made)?, table::cloud::made)
    }
}

fn initialise(state_directory: PathBuf, names: Vec<String>) -> Result<serde_json::Value, Failure> {
    let options = InitOptions {
        state_directory,
        api_names: names,
    };
    let made = init::initialise(&options).context("cannot make an installation")?;
    Ok(json!({
        "installation": made.installation,
        "state_directory": options.state_directory,
        "ca": made.ca_certificate,
        "token": made.token.expose(),
        "setup_secret": made.setup_secret.expose(),
    }))
}

fn issue(state_directory: &Path, options: &IssueOptions) -> Result<serde_json::Value, Failure> {
    let paths = init::issue(state_directory, options).context("cannot issue a certificate")?;
    Ok(json!({
        "role": options.role,
        "name": options.name,
        "ca": paths.ca,
        "certificate": paths.certificate,
        "key": paths.key,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_are_those_of_certificates() {
        let offered: Vec<String> = CertificateRole::value_variants()
            .iter()
            .filter_map(|role| role.to_possible_value())
            .map(|value| value.get_name().to_owned())
            .collect();
        let known: Vec<_> = bcdr_wire::identity::Role::ALL
            .iter()
            .map(|role| role.as_str())
            .collect();
        assert_eq!(offered, known);
        for role in CertificateRole::value_variants() {
            let name = role.to_possible_value().unwrap();
            assert_eq!(
                bcdr_wire::identity::Role::from(*role).as_str(),
                name.get_name()
            );
        }
    }
}
