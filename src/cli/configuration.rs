//! `bcdr configuration`: everything that is set over the API, as one file.
//!
//! Invariants: a file that is exported has its name only when it is whole; nothing is changed that was
//! not shown before, and what is changed is what was shown: the cloud side refuses when the
//! configuration was changed in between.

use super::{
    Failure,
    client::Path as ApiPath,
    document::Document,
    exit,
    global::{GlobalArguments, Session},
    table::{
        self,
        configuration::{Applied, applied},
    },
};
use clap::{Args, Subcommand};
use serde::de::IgnoredAny;
use serde_yaml_ng::Value;
use std::{
    fs::{self, File},
    io::{self, BufRead, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print groups, drill schedules, plans and users as one document, or write it to a file
    #[command(
        long_about = "Print groups, drill schedules, plans and users as one document, or write it to a file.\n\n\
            It is YAML, or JSON with -o json or to a file whose name ends with .json. The same configuration \
            gives the same bytes. Secrets are not in it: neither tokens nor passwords.",
        after_help = "Examples:\n  bcdr configuration export > site.yaml\n  \
            bcdr configuration export --to site.json"
    )]
    Export {
        /// The file to write, in place of one that is there
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Make the configuration what a document says
    #[command(
        long_about = "Make the configuration what a document says.\n\n\
            What would be changed is shown first, and asked about on a terminal. Everything that is wrong \
            with the document is told at once, and then nothing is changed. The same document again changes \
            nothing. Groups and plans are made, users are not: a document has no passwords.",
        after_help = "Examples:\n  bcdr configuration apply site.yaml --dry-run\n  \
            bcdr configuration apply site.yaml --prune --yes"
    )]
    Apply(ApplyArguments),
}

#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    /// The document (YAML, or JSON in a .json file); - for standard input
    file: PathBuf,
    /// Show what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove drill schedules, plans and users that are not in their part of the document
    #[arg(long)]
    prune: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        match self {
            Self::Export { to } => export(&global.session()?, to.as_deref()),
            Self::Apply(arguments) => {
                let document = read(&arguments.file)?;
                arguments.run(&global.session()?, &document)
            }
        }
    }
}

fn export(session: &Session, to: Option<&Path>) -> Result<(), Failure> {
    let document = session.client.get(&ApiPath::new("configuration"))?;
    let Some(to) = to else {
        let yaml = document.yaml()?;
        return session.output.show(&document, |_: &IgnoredAny| yaml);
    };
    let text = match is_json(to) {
        true => document.json(),
        false => document.yaml()?,
    };
    let cannot = |error: io::Error| {
        Failure::error(format!("cannot write {}", to.display()))
            .cause(error)
            .remedy("name a file in a directory that you may write to and that has room")
    };
    write(to, &text).map_err(cannot)?;
    let told = format!("{} is written", to.display());
    session.progress.event(&table::line(&told));
    Ok(())
}

/// Writes a file whole; what is no file, such as a pipe, cannot be put in place of anything.
fn write(to: &Path, text: &str) -> io::Result<()> {
    let part = match to.metadata() {
        Ok(known) if !known.is_file() => to.to_owned(),
        _ => to.with_added_extension("part"),
    };
    let mut file = File::create(&part)?;
    file.write_all(text.as_bytes())?;
    if part == to {
        return file.flush();
    }
    file.sync_all()?;
    fs::rename(&part, to)?;
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(".".as_ref()))?.sync_all()
}

fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

/// Reads a document. What is in it is judged by the cloud side; only that nothing is said twice, of which
/// one would be lost on the way, is judged here, by the type of value.
fn read(path: &Path) -> Result<Value, Failure> {
    let wrong = |cause: String| {
        Failure::usage(format!("cannot use the configuration {}", path.display()))
            .cause(cause)
            .remedy("begin with what `bcdr configuration export` prints")
    };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        let read = io::stdin().lock().read_to_string(&mut text);
        read.map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| wrong(error.to_string()))?;
    if is_json(path) {
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
    } else {
        serde_yaml_ng::from_str(&text).map_err(|error| wrong(error.to_string()))
    }
}

impl ApplyArguments {
    fn run(&self, session: &Session, document: &Value) -> Result<(), Failure> {
        let path = ApiPath::new("configuration")
            .item("actions")
            .item("apply")
            .query_if("prune", self.prune.then_some("true"));
        let looked = path.clone().query("dry_run", "true");
        let looked = session.client.post(&looked, document)?;
        let planned: Applied = looked.read()?;
        if self.dry_run || !planned.changes_anything() {
            return session.output.show(&looked, applied);
        }
        if !self.yes {
            ask(&planned)?;
        }
        let done = session
            .client
            .post_if(&path, document, planned.etag.as_deref())?;
        self.told(session, &done)
    }

    fn told(&self, session: &Session, done: &Document) -> Result<(), Failure> {
        let outcome: Applied = done.read()?;
        session.output.show(done, applied)?;
        match outcome.failure() {
            None => Ok(()),
            Some(cause) => Err(Failure::new(
                exit::ERROR,
                "the configuration was applied in part",
            )
            .cause(cause)
            .remedy("see which changes were not applied, put right what the cause names, and apply the same document again: what was applied stays as it is")),
        }
    }
}

/// Shows what would be changed, and asks whether it is to be.
fn ask(planned: &Applied) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(
            Failure::usage("the configuration would be changed, and nobody was asked")
                .remedy("look at it with --dry-run, then give --yes"),
        );
    }
    eprint!("{}Apply these changes? [y/N] ", applied(planned));
    // A prompt that cannot be shown is answered all the same, or not at all.
    let _shown = io::stderr().flush();
    let mut typed = String::new();
    io::stdin()
        .lock()
        .read_line(&mut typed)
        .map_err(|error| Failure::error("cannot read the answer").cause(error))?;
    match typed.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::usage("nothing was changed").remedy("answer y to apply the changes")),
    }
}

#[cfg(test)]
mod tests;
