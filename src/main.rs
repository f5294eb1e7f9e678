//! `bcdr`: one binary, a role per subcommand, and the operator's command line.
//!
//! Standard output carries data, standard error everything else. Exit codes are in
//! [`cli::exit`].

mod cli;
mod lab;
mod role;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Both TLS users in this process pass their provider explicitly; the default is for libraries
    // that ask for one.
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let command = cli::Cli::parse();
    init_logging(command.is_role());
    match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            error.code().into()
        }
    }
}

/// Roles say what they do; commands of the operator only what goes wrong. `BCDR_LOG` overrides.
fn init_logging(is_role: bool) {
    let default = if is_role { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("BCDR_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
