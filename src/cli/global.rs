//! The options that every command has, and what commands that speak the API make of them.

use super::{
    Failure,
    client::Client,
    context::Context,
    output::{Form, Output},
    progress::Progress,
};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArguments {
    /// How data is printed: table for people, json and yaml as the API gives it
    #[arg(short, long, global = true, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    output: Form,
    /// The context: a TOML file with the API's `url`, `token_file` and `ca`, or the directory that
    /// holds it as context.toml (a lab's, for example)
    #[arg(long, global = true, value_name = "PATH", env = "BCDR_CONTEXT")]
    context: Option<PathBuf>,
    /// Print nothing about progress on standard error
    #[arg(long, global = true)]
    no_progress: bool,
}

impl GlobalArguments {
    /// How to print.
    pub(super) fn output(&self) -> Output {
        Output::new(self.output)
    }

    /// Everything a command needs to speak the API.
    pub(super) fn session(&self) -> Result<Session, Failure> {
        let Some(path) = &self.context else {
            return Err(Failure::usage("no context says which installation is meant").remedy(
                "give --context PATH or set BCDR_CONTEXT, for example to the directory of a lab",
            ));
        };
        let context = Context::load(path)?;
        let client = Client::open(&context)?;
        let progress = Progress::new(!self.no_progress);
        Ok(Session {
            client,
            context,
            output: self.output(),
            progress,
        })
    }
}

/// A way to the API, and ways to print what it says.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) output: Output,
    pub(super) progress: Progress,
}
