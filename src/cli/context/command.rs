//! `bcdr context`: the installations that this user works with.

use super::{
    Chosen, Context, choose,
    store::{Contexts, Store, is_name},
};
use crate::cli::{
    Failure, client::Client, document::Document, drill::launch_settings, exit,
    global::GlobalArguments, table,
};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List the contexts
    #[command(after_help = "Example:\n  bcdr context list")]
    List,
    /// Keep an installation's address, authority and token file under a name
    #[command(
        long_about = "Keep an installation's address, authority and token file under a name.\n\n\
            The token itself stays in its file. The first context becomes the current one. Nothing \
            is sent: whether the installation answers shows with bcdr status.",
        after_help = "Examples:\n  \
            bcdr context add prod --url https://dr.example.com:7440 --ca ca.pem --token-file token\n  \
            bcdr context add lab --from ./lab --use"
    )]
    Add(AddArguments),
    /// Make a context the current one, which is meant when nothing else says which
    #[command(after_help = "Example:\n  bcdr context use prod")]
    Use {
        /// The context's name
        name: String,
    },
    /// Forget a context; its token file and authority stay
    #[command(after_help = "Example:\n  bcdr context remove lab")]
    Remove {
        /// The context's name
        name: String,
    },
    /// Show a context, or the one that commands use here and now
    #[command(after_help = "Examples:\n  bcdr context show\n  bcdr context show prod -o json")]
    Show {
        /// The context's name; by default the one that is used
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AddArguments {
    /// The context's name: letters, digits, - _ and .
    name: String,
    /// The API's address, such as https://dr.example.com:7440
    #[arg(long, value_name = "URL", required_unless_present = "from")]
    url: Option<String>,
    /// The certificate of the installation's authority (PEM)
    #[arg(long, value_name = "FILE", required_unless_present = "from")]
    ca: Option<PathBuf>,
    /// The file that holds the token
    #[arg(long, value_name = "FILE", required_unless_present = "from")]
    token_file: Option<PathBuf>,
    /// Launch settings (TOML) that are sent with every drill and failover
    #[arg(long, value_name = "FILE")]
    launch: Option<PathBuf>,
    /// Take what is not given from this context file, or from a lab's directory
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// Make it the current one
    #[arg(long = "use")]
    is_used: bool,
    /// Take the place of a context of that name
    #[arg(long)]
    replace: bool,
}

/// A context as it is printed.
#[derive(Serialize)]
struct Row<'a> {
    name: Option<&'a str>,
    current: bool,
    #[serde(flatten)]
    context: &'a Context,
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen_by: Option<&'static str>,
}

#[derive(Serialize)]
struct List<'a> {
    items: Vec<Row<'a>>,
    next_cursor: Option<String>,
}

impl Command {
    pub(in crate::cli) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        match self {
            Self::List => list(&Store::of_user()?.read()?, global),
            Self::Show { name: Some(name) } => {
                let contexts = Store::of_user()?.read()?;
                let context = known(&contexts, &name)?;
                let current = contexts.current.as_ref() == Some(&name);
                show(Some(&name), current, context, None, global)
            }
            Self::Show { name: None } => {
                let chosen = choose(global.context(), Store::of_user)?;
                let Chosen { name, context, by } = &chosen;
                // Only one that is kept can be the current one.
                let current = match name {
                    Some(name) => Store::of_user()?.read()?.current.as_ref() == Some(name),
                    None => false,
                };
                show(name.as_deref(), current, context, Some(by.words()), global)
            }
            Self::Add(arguments) => arguments.run(global),
            Self::Use { name } => {
                Store::of_user()?.change(|contexts| {
                    known(contexts, &name)?;
                    contexts.current = Some(name.clone());
                    Ok(())
                })?;
                global.tell(&format!("context {name} is the current one"));
                Ok(())
            }
            Self::Remove { name } => {
                let was_current = Store::of_user()?.change(|contexts| remove(contexts, &name))?;
                global.tell(&format!("context {name} is forgotten"));
                if was_current {
                    global.tell("no context is the current one now: choose with bcdr context use");
                }
                Ok(())
            }
        }
    }
}

fn list(contexts: &Contexts, global: &GlobalArguments) -> Result<(), Failure> {
    let row = |(name, context)| Row {
        name: Some(name),
        current: contexts.current.as_deref() == Some(name),
        context,
        chosen_by: None,
    };
    let named = contexts.contexts.iter();
    let list = List {
        items: named
            .map(|(name, context)| row((name.as_str(), context)))
            .collect(),
        next_cursor: None,
    };
    let list = Document::of(&list)?;
    global.output().show(&list, table::context::list)
}

fn show(
    name: Option<&str>,
    current: bool,
    context: &Context,
    chosen_by: Option<&'static str>,
    global: &GlobalArguments,
) -> Result<(), Failure> {
    let row = Row {
        name,
        current,
        context,
        chosen_by,
    };
    global
        .output()
        .show(&Document::of(&row)?, table::context::show)
}

fn known<'a>(contexts: &'a Contexts, name: &str) -> Result<&'a Context, Failure> {
    contexts.contexts.get(name).ok_or_else(|| {
        Failure::new(exit::NOT_FOUND, format!("there is no context {name:?}"))
            .remedy("list them with bcdr context list, or make it with bcdr context add")
    })
}

/// Says whether it was the current one.
fn remove(contexts: &mut Contexts, name: &str) -> Result<bool, Failure> {
    known(contexts, name)?;
    contexts.contexts.remove(name);
    let was_current = contexts.current.as_deref() == Some(name);
    if was_current {
        contexts.current = None;
    }
    Ok(was_current)
}

impl AddArguments {
    fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let name = self.name.clone();
        if !is_name(&name) {
            return Err(
                Failure::usage(format!("{name:?} cannot be a context's name"))
                    .remedy("take at most 64 letters, digits, - _ and ., a letter or digit first"),
            );
        }
        let context = self.context()?;
        // What could never work is refused now; nothing is sent.
        Client::open(&context)?;
        if let Some(launch) = &context.launch {
            launch_settings(launch)?;
        }
        let is_current =
            Store::of_user()?.change(|contexts| add(contexts, &name, context, &self))?;
        let said = if is_current {
            " and is the current one"
        } else {
            ""
        };
        global.tell(&format!("context {name} is kept{said}"));
        Ok(())
    }

    /// What is to be kept, with paths that are true from everywhere.
    fn context(&self) -> Result<Context, Failure> {
        let from = self.from.as_deref().map(Context::load).transpose()?;
        let from = from.as_ref();
        let missing = || Failure::usage("a context needs --url, --ca and --token-file, or --from");
        let path = |given: &Option<PathBuf>, from: Option<&PathBuf>| {
            given
                .as_ref()
                .or(from)
                .map(|path| absolute(path))
                .transpose()
        };
        Ok(Context {
            url: self
                .url
                .clone()
                .or(from.map(|from| from.url.clone()))
                .ok_or_else(missing)?,
            ca: path(&self.ca, from.map(|from| &from.ca))?.ok_or_else(missing)?,
            token_file: path(&self.token_file, from.map(|from| &from.token_file))?
                .ok_or_else(missing)?,
            launch: path(&self.launch, from.and_then(|from| from.launch.as_ref()))?,
        })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::usage(format!("cannot use the path {}", path.display())).cause(error)
    })
}

/// Says whether it is the current one then.
fn add(
    contexts: &mut Contexts,
    name: &str,
    context: Context,
    arguments: &AddArguments,
) -> Result<bool, Failure> {
    if contexts.contexts.contains_key(name) && !arguments.replace {
        return Err(Failure::new(
            exit::CONFLICT,
            format!("there is a context {name:?} already"),
        )
        .remedy("take another name, or give --replace"));
    }
    if arguments.is_used || contexts.contexts.is_empty() {
        contexts.current = Some(name.to_owned());
    }
    contexts.contexts.insert(name.to_owned(), context);
    Ok(contexts.current.as_deref() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Add {
        #[command(flatten)]
        arguments: AddArguments,
    }

    fn arguments(line: &str) -> AddArguments {
        let line = format!("add {line}");
        Add::try_parse_from(line.split(' ')).unwrap().arguments
    }

    const GIVEN: &str = "--url https://a:1 --ca /c --token-file /t";

    #[test]
    fn the_first_context_is_the_current_one_and_none_takes_its_place_unasked() {
        let mut contexts = Contexts::default();
        let mut added = |line: &str| {
            let arguments = arguments(&format!("{line} {GIVEN}"));
            let context = arguments.context().unwrap();
            add(&mut contexts, &arguments.name, context, &arguments)
        };
        assert!(added("prod").unwrap());
        assert!(!added("lab").unwrap());
        let taken = added("prod").unwrap_err();
        assert_eq!(taken.code(), exit::CONFLICT);
        assert!(added("prod --replace --launch /l").unwrap());
        assert!(added("home --use").unwrap());
        assert_eq!(contexts.contexts["prod"].launch, Some("/l".into()));
        assert_eq!(contexts.current.as_deref(), Some("home"));
        assert!(!remove(&mut contexts, "lab").unwrap());
        assert!(remove(&mut contexts, "home").unwrap());
        assert_eq!(contexts.current, None);
        let gone = remove(&mut contexts, "home").unwrap_err();
        assert_eq!(gone.code(), exit::NOT_FOUND);
    }

    #[test]
    fn what_is_given_wins_over_the_file_it_is_taken_from_and_paths_become_absolute() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("context.toml");
        std::fs::write(
            &file,
            "url = \"https://b:2\"\ntoken_file = \"token\"\nca = \"ca.pem\"\n",
        )
        .unwrap();
        let from = format!("lab --from {}", directory.path().display());
        let taken = arguments(&from).context().unwrap();
        assert_eq!(taken, Context::load(&file).unwrap());
        let changed = arguments(&format!("{from} --url https://c:3 --ca mine.pem"));
        let changed = changed.context().unwrap();
        assert_eq!(changed.url, "https://c:3");
        assert!(changed.ca.is_absolute() && changed.ca.ends_with("mine.pem"));
        assert_eq!(changed.token_file, taken.token_file);
        assert!(Add::try_parse_from(["add", "lab", "--url", "https://a:1"]).is_err());
    }
}
