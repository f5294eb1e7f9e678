//! The options that every command has, and what commands that speak the API make of them.

use super::{
    Failure,
    client::Client,
    context::{self, Context},
    output::{Form, Output},
    progress::Progress,
    table,
};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArguments {
    /// How data is printed: table and wide for people, json, jsonl and yaml as the API gives it
    #[arg(short, long, global = true, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Which installation: a name that `bcdr context add` keeps; or a TOML file with the API's `url`,
    /// `token_file` and `ca`, or the directory that holds it as context.toml (a lab's, for example). By
    /// default the one that `bcdr context use` chose
    #[arg(long, global = true, value_name = "NAME|PATH", env = "BCDR_CONTEXT")]
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

    /// The context that this call or its environment names.
    pub(super) fn context(&self) -> Option<&Path> {
        self.context.as_deref()
    }

    /// Says what was done.
    pub(super) fn tell(&self, line: &str) {
        self.progress().event(&table::line(line));
    }

    fn progress(&self) -> Progress {
        Progress::new(!self.no_progress)
    }

    /// Everything a command needs to speak the API.
    pub(super) fn session(&self) -> Result<Session, Failure> {
        let context = context::choose(self.context(), context::Store::of_user)?.context;
        let client = Client::open(&context)?;
        let progress = self.progress();
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
