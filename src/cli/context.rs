//! The context file: which installation is meant, and how to get in.
//!
//! Owns its form. The token is not in it: the file only says where the token is, so that a context
//! can be shown and copied.

use super::Failure;
use anyhow::Context as _;
use bcdr_http::Token;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

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
        let directory = file.parent().unwrap_or(Path::new("."));
        for path in [&mut context.token_file, &mut context.ca]
            .into_iter()
            .chain(&mut context.launch)
        {
            *path = directory.join(&*path);
        }
        Ok(context)
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

#[cfg(test)]
mod tests {
    use super::super::exit;
    use super::*;

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
