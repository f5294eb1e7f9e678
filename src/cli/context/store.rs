//! The file that holds the contexts of several installations.
//!
//! Owns its form and its place: `bcdr/contexts.json` below the user's directory of configurations.
//! Invariants: it is replaced as a whole, so it is the old one or the new one whatever happens; one
//! that is cut off, of another version, or writable by others is refused by name and left as it is;
//! two commands that change it at the same time do so one after the other. It holds no secret.

use super::Context;
use crate::cli::Failure;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    env, fs,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const FILE_NAME: &str = "contexts.json";
const VERSION: u64 = 1;
/// Longest name of a context, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Bits of a mode that let others than the owner write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The contexts, by their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Contexts {
    version: u64,
    /// The one that is meant when nobody says which.
    pub(in crate::cli) current: Option<String>,
    pub(in crate::cli) contexts: BTreeMap<String, Context>,
}

impl Default for Contexts {
    fn default() -> Self {
        Self {
            version: VERSION,
            current: None,
            contexts: BTreeMap::new(),
        }
    }
}

/// What has to be known before the rest can be read.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Whether a text can be the name of a context: never that of a path with directories.
pub(in crate::cli) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(fits)
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// Where the file is.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Store {
    directory: PathBuf,
}

impl Store {
    /// That of who runs this process.
    ///
    /// # Errors
    /// When the environment does not say where configurations are.
    pub(in crate::cli) fn of_user() -> Result<Self, Failure> {
        let path = |name| env::var_os(name).map(PathBuf::from);
        Self::below(path("XDG_CONFIG_HOME"), path("HOME")).ok_or_else(|| {
            Failure::usage("nothing says where this user's contexts are kept")
                .cause("neither XDG_CONFIG_HOME nor HOME is an absolute path")
                .remedy("set one of them, or name a context file with --context PATH")
        })
    }

    /// The specification of the directories says that paths which are not absolute do not count.
    fn below(configurations: Option<PathBuf>, home: Option<PathBuf>) -> Option<Self> {
        let absolute = |path: &PathBuf| path.is_absolute();
        let home = home.filter(absolute).map(|home| home.join(".config"));
        let directory = configurations.filter(absolute).or(home)?.join("bcdr");
        Some(Self { directory })
    }

    /// One in this directory.
    #[cfg(test)]
    pub(in crate::cli) fn at(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.join(FILE_NAME)
    }

    /// Reads the contexts; there are none where there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, or must not be trusted.
    pub(in crate::cli) fn read(&self) -> Result<Contexts, Failure> {
        let file = self.file();
        let name = file.display();
        let cannot = |error: io::Error| {
            Failure::usage(format!("cannot read the contexts in {name}"))
                .cause(error)
                .remedy("make it readable for you, or name a context file with --context PATH")
        };
        let metadata = match fs::metadata(&file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contexts::default()),
            Err(error) => return Err(cannot(error)),
        };
        let owner = metadata.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            let cause = "it is somebody else's, who chooses where your token is sent";
            return Err(
                Failure::usage(format!("the contexts in {name} are not used"))
                    .cause(cause)
                    .remedy("make your own with bcdr context add, or name a context file with --context PATH"),
            );
        }
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            let cause = "others may write to it, and so choose where your token is sent";
            return Err(
                Failure::usage(format!("the contexts in {name} are not used"))
                    .cause(cause)
                    .remedy(format!("look at what it holds, then chmod 600 {name}")),
            );
        }
        let text = fs::read_to_string(&file).map_err(cannot)?;
        let mut contexts = parse(&text).map_err(|wrong| wrong.failure(&file))?;
        for context in contexts.contexts.values_mut() {
            context.resolve(&self.directory);
        }
        Ok(contexts)
    }

    /// Changes the contexts; nothing is changed when `change` fails.
    ///
    /// # Errors
    /// When it fails, or the file cannot be read or replaced.
    pub(in crate::cli) fn change<T>(
        &self,
        change: impl FnOnce(&mut Contexts) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let cannot = |error: io::Error| {
            Failure::error(format!("cannot write {}", self.file().display()))
                .cause(error)
                .remedy("see that its directory is yours and has room")
        };
        let mut directory = DirBuilder::new();
        directory.recursive(true).mode(0o700);
        directory.create(&self.directory).map_err(cannot)?;
        // Held until the end of this function.
        let lock = File::create(self.directory.join("contexts.lock")).map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        let mut contexts = self.read()?;
        let done = change(&mut contexts)?;
        self.write(&contexts).map_err(cannot)?;
        Ok(done)
    }

    fn write(&self, contexts: &Contexts) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(contexts)?;
        text.push('\n');
        // What a command left that was killed is overwritten: nobody else writes under the lock.
        let part = self.directory.join("contexts.json.part");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, self.file())?;
        File::open(&self.directory)?.sync_all()
    }
}

/// Why a text is not used.
enum Wrong {
    CutOff,
    Version(u64),
    Form(serde_json::Error),
}

fn parse(text: &str) -> Result<Contexts, Wrong> {
    let form = |error: serde_json::Error| match error.is_eof() {
        true => Wrong::CutOff,
        false => Wrong::Form(error),
    };
    let Versioned { version } = serde_json::from_str(text).map_err(form)?;
    if version != VERSION {
        return Err(Wrong::Version(version));
    }
    serde_json::from_str(text).map_err(form)
}

impl Wrong {
    fn failure(self, file: &Path) -> Failure {
        let name = file.display();
        let failure = Failure::usage(format!("cannot use the contexts in {name}"));
        match self {
            Self::CutOff => failure
                .cause("it is empty or cut off: not everything that was written is there")
                .remedy("remove it, and make the contexts again with bcdr context add"),
            Self::Version(version) => failure
                .cause(format!(
                    "it has version {version}, and this release knows version {VERSION}"
                ))
                .remedy("use the release of bcdr that wrote it, or name a context file with --context PATH"),
            Self::Form(error) => failure
                .cause(error)
                .remedy("repair it, or remove it and make the contexts again with bcdr context add"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit;

    fn context(url: &str) -> Context {
        Context {
            url: url.to_owned(),
            token_file: "/t".into(),
            ca: "/c".into(),
            launch: None,
        }
    }

    fn add(store: &Store, name: &str) {
        store
            .change(|contexts| {
                contexts
                    .contexts
                    .insert(name.to_owned(), context("https://a:1"));
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn contexts_are_kept_for_their_owner_only_and_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(&directory.path().join("deep/bcdr"));
        assert_eq!(store.read().unwrap(), Contexts::default());
        add(&store, "prod");
        // What a killed command left is in nobody's way, whatever its mode.
        let part = store.directory.join("contexts.json.part");
        fs::write(&part, "{\"version\":1,\"cur").unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(store.read().unwrap().contexts.len(), 1);
        add(&store, "lab");
        assert!(!part.exists());
        let names: Vec<_> = store.read().unwrap().contexts.into_keys().collect();
        assert_eq!(names, ["lab", "prod"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&store.file()), 0o600);
        assert_eq!(mode(&store.directory), 0o700);
        // A change that fails leaves everything as it was.
        let before = fs::read(store.file()).unwrap();
        let refused: Result<(), _> = store.change(|contexts| {
            contexts.contexts.clear();
            Err(Failure::usage("no"))
        });
        assert!(refused.is_err());
        assert_eq!(fs::read(store.file()).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_found_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        add(&store, "prod");
        let whole = fs::read_to_string(store.file()).unwrap();
        for end in 0..whole.trim_end().len() {
            fs::write(store.file(), &whole[..end]).unwrap();
            let failure = store.read().unwrap_err();
            assert_eq!(failure.code(), exit::USAGE);
            assert!(failure.to_string().contains("cut off"), "{end}: {failure}");
            assert!(store.change(|_| Ok(())).is_err());
            assert_eq!(fs::read_to_string(store.file()).unwrap(), whole[..end]);
        }
    }

    #[test]
    fn another_version_other_members_and_other_writers_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        add(&store, "prod");
        let refused = |text: &str| {
            fs::write(store.file(), text).unwrap();
            store.read().unwrap_err().to_string()
        };
        let later = refused(r#"{"version":7,"something":"new"}"#);
        assert!(
            later.contains("version 7") && later.contains("version 1"),
            "{later}"
        );
        let more = refused(r#"{"version":1,"current":null,"contexts":{},"token":"x"}"#);
        assert!(more.contains("unknown field `token`"), "{more}");
        fs::write(
            store.file(),
            r#"{"version":1,"current":null,"contexts":{}}"#,
        )
        .unwrap();
        fs::set_permissions(store.file(), fs::Permissions::from_mode(0o620)).unwrap();
        let shared = store.read().unwrap_err().to_string();
        assert!(shared.contains("chmod 600"), "{shared}");
    }

    #[test]
    fn the_place_follows_the_environment_and_names_are_no_paths() {
        let below = |configurations: Option<&str>, home: Option<&str>| {
            let store = Store::below(configurations.map(PathBuf::from), home.map(PathBuf::from));
            store.map(|store| store.file().display().to_string())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(below(Some("/x"), Some("/h")), some("/x/bcdr/contexts.json"));
        let home = some("/h/.config/bcdr/contexts.json");
        assert_eq!(below(None, Some("/h")), home);
        assert_eq!(below(Some("x"), Some("/h")), home);
        assert_eq!(below(Some(""), Some("")), None);
        for name in ["prod", "dr.example.com", "a_b-2"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for other in ["", ".", "..", "./a", "a/b", "-a", "a b", "é", &long] {
            assert!(!is_name(other), "{other}");
        }
    }
}
