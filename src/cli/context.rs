//! The context: which installation is meant, and how to get in.
//!
//! Owns its form, and the order in which one is chosen: `--context`, then `BCDR_CONTEXT`, then the one
//! that `bcdr context use` made the current one. A context has a file of its own (a lab's, for example)
//! or a name among those that are kept for the user ([`store`]). The token is not in it: it only says
//! where the token is, so that a context can be shown and copied.

pub(super) mod command;
mod store;

use super::Failure;
use anyhow::Context as _;
use bcdr_http::Token;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};
pub(super) use store::Store;
use store::is_name;

/// The context's name in a directory.
const FILE_NAME: &str = "context.toml";

/// Which installation, and how to get in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The API's base address, such as `https://dr.example.com:7440`.
    pub(crate) url: String,
    /// The file that holds the token.
    pub(crate) token_file: PathBuf,
    /// The certificate of the installation's authority (PEM).
    pub(crate) ca: PathBuf,
    /// Launch settings (TOML) that are sent with every drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) launch: Option<PathBuf>,
}

impl Context {
    /// Reads a context from its file, or from the directory that holds it. Relative paths in it are
    /// taken from its directory.
    ///
    /// # Errors
    /// When there is none, or it is wrong.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let file = if path.is_dir() {
            path.join(FILE_NAME)
        } else {
            path.to_owned()
        };
        let text = fs::read_to_string(&file).map_err(|error| {
            Failure::usage(format!("cannot read the context {}", file.display()))
                .cause(error)
                .remedy("name a context file, or the directory of a lab, with --context")
        })?;
        let mut context: Self = toml::from_str(&text).map_err(|error| {
            Failure::usage(format!("cannot use the context {}", file.display()))
                .cause(error.to_string().trim_end())
                .remedy("it needs url, token_file and ca, and may have launch")
        })?;
        context.resolve(file.parent().unwrap_or(Path::new(".")));
        Ok(context)
    }

    /// Takes relative paths from this directory.
    fn resolve(&mut self, directory: &Path) {
        for path in [&mut self.token_file, &mut self.ca]
            .into_iter()
            .chain(&mut self.launch)
        {
            *path = directory.join(&*path);
        }
    }

    /// Reads the token.
    pub(super) fn token(&self) -> Result<Token, Failure> {
        let text = fs::read_to_string(&self.token_file)
            .with_context(|| format!("cannot read the token in {}", self.token_file.display()))?;
        // What the file holds is not shown: it may be a token with a typing error.
        Token::parse(text.trim()).ok_or_else(|| {
            Failure::new(
                super::exit::AUTHENTICATION,
                format!("{} does not hold a token", self.token_file.display()),
            )
            .remedy("put the token there as it was printed: bcdr_ and 64 hexadecimal digits")
        })
    }
}

/// How a context came to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// It was named in this call or its environment.
    Named,
    /// It is the current one.
    Current,
}

impl By {
    fn words(self) -> &'static str {
        match self {
            Self::Named => "--context or BCDR_CONTEXT",
            Self::Current => "bcdr context use",
        }
    }
}

/// The context that is used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Its name, if it has one.
    pub(super) name: Option<String>,
    pub(super) context: Context,
    pub(super) by: By,
}

/// Chooses the context: `given` is what `--context` says, or `BCDR_CONTEXT` without it. A kept name is
/// meant before a file or directory that happens to be called so here.
///
/// # Errors
/// When there is none, or it cannot be used.
pub(super) fn choose(
    given: Option<&Path>,
    store: impl FnOnce() -> Result<Store, Failure>,
) -> Result<Chosen, Failure> {
    let chosen = |name: Option<&str>, context, by| Chosen {
        name: name.map(str::to_owned),
        context,
        by,
    };
    let Some(path) = given else {
        return current(store);
    };
    let Some(name) = path.to_str().filter(|text| is_name(text)) else {
        return Ok(chosen(None, Context::load(path)?, By::Named));
    };
    let kept = store().and_then(|store| store.read());
    if let Ok(contexts) = &kept
        && let Some(context) = contexts.contexts.get(name)
    {
        return Ok(chosen(Some(name), context.clone(), By::Named));
    }
    // Contexts that cannot be read might have the name: a file here is not taken for it.
    kept?;
    if path.exists() {
        return Ok(chosen(None, Context::load(path)?, By::Named));
    }
    Err(Failure::usage(format!(
        "there is no context {name:?}, and no file or directory of that name here"
    ))
    .remedy("list contexts with bcdr context list, make one with bcdr context add, or name a context file"))
}

fn current(store: impl FnOnce() -> Result<Store, Failure>) -> Result<Chosen, Failure> {
    let contexts = store()?.read()?;
    let none = |what: String| {
        Failure::usage(what).remedy(
            "choose one with bcdr context use, give --context NAME|PATH, or set BCDR_CONTEXT, for \
             example to the directory of a lab",
        )
    };
    let Some(name) = contexts.current else {
        return Err(none(
            "no context says which installation is meant".to_owned(),
        ));
    };
    let Some(context) = contexts.contexts.get(&name) else {
        return Err(none(format!("the current context {name:?} is not there")));
    };
    Ok(Chosen {
        context: context.clone(),
        name: Some(name),
        by: By::Current,
    })
}

#[cfg(test)]
mod tests {
    use super::super::exit;
    use super::*;

    #[test]
    fn what_is_named_wins_over_the_current_one_and_a_kept_name_over_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let store = || Ok(Store::at(&directory.path().join("kept")));
        let context = |url: &str| Context {
            url: url.to_owned(),
            token_file: "/t".into(),
            ca: "/c".into(),
            launch: None,
        };
        let nobody = || choose(None, store).unwrap_err();
        assert_eq!(nobody().code(), exit::USAGE);
        assert!(nobody().to_string().contains("bcdr context use"));
        let kept = store().unwrap().change(|contexts| {
            contexts.current = Some("prod".to_owned());
            for (name, url) in [("prod", "https://prod"), ("src", "https://lab")] {
                contexts.contexts.insert(name.to_owned(), context(url));
            }
            Ok(())
        });
        kept.unwrap();
        let url = |given: Option<&Path>| choose(given, store).map(|chosen| chosen.context.url);
        assert_eq!(url(None).unwrap(), "https://prod");
        // There is a directory of that name where tests run.
        assert!(Path::new("src").is_dir());
        let named = choose(Some(Path::new("src")), store).unwrap();
        assert_eq!(
            (named.context.url.as_str(), named.by),
            ("https://lab", By::Named)
        );
        assert!(url(Some(Path::new("./src"))).is_err());
        let text = "url = \"https://file\"\ntoken_file = \"token\"\nca = \"ca.pem\"\n";
        write(directory.path(), text);
        assert_eq!(url(Some(directory.path())).unwrap(), "https://file");
        // Without a kept name, a path without directories is still one.
        let missing = url(Some(Path::new("Cargo.toml"))).unwrap_err().to_string();
        assert!(
            missing.contains("cannot use the context Cargo.toml"),
            "{missing}"
        );
        let missing = url(Some(Path::new("no-such"))).unwrap_err();
        assert_eq!(missing.code(), exit::USAGE);
        assert!(
            missing.to_string().contains("bcdr context list"),
            "{missing}"
        );
        // Unreadable contexts hide nothing.
        fs::write(directory.path().join("kept/contexts.json"), "{").unwrap();
        assert!(
            url(Some(Path::new("Cargo.toml")))
                .unwrap_err()
                .to_string()
                .contains("cut off")
        );
        assert_eq!(url(Some(directory.path())).unwrap(), "https://file");
    }

    fn write(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join(FILE_NAME);
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_context_is_found_by_file_or_directory_and_its_paths_are_relative_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let text = "url = \"https://a:1\"\ntoken_file = \"token\"\nca = \"/etc/ca.pem\"\n";
        let file = write(directory.path(), text);
        let context = Context::load(&file).unwrap();
        assert_eq!(context, Context::load(directory.path()).unwrap());
        assert_eq!(context.token_file, directory.path().join("token"));
        assert_eq!(context.ca, Path::new("/etc/ca.pem"));
        let written = toml::to_string(&context).unwrap();
        assert_eq!(toml::from_str::<Context>(&written).unwrap(), context);
    }

    #[test]
    fn a_wrong_context_is_a_usage_error_that_names_the_file_and_the_field() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Context::load(&directory.path().join("none")).unwrap_err();
        assert_eq!(missing.code(), exit::USAGE);
        assert!(missing.to_string().contains("none"), "{missing}");
        write(
            directory.path(),
            "url = \"https://a\"\ntoken_file = \"t\"\nca = \"c\"\ntoken = \"x\"\n",
        );
        let unknown = Context::load(directory.path()).unwrap_err();
        assert_eq!(unknown.code(), exit::USAGE);
        assert!(
            unknown.to_string().contains("unknown field `token`"),
            "{unknown}"
        );
    }

    #[test]
    fn what_a_token_file_holds_is_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        write(
            directory.path(),
            "url = \"https://a\"\ntoken_file = \"token\"\nca = \"c\"\n",
        );
        let context = Context::load(directory.path()).unwrap();
        fs::write(directory.path().join("token"), "bcdr_almost-a-secret").unwrap();
        let failure = context.token().unwrap_err();
        assert_eq!(failure.code(), exit::AUTHENTICATION);
        assert!(!failure.to_string().contains("almost"), "{failure}");
    }
}
