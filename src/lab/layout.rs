//! Where everything of a lab is.
//!
//! Sockets have paths of at most 107 bytes, so a lab whose directory is long keeps them in a short
//! directory of its own below the system's temporary directory, named after a hash of the lab's.

use anyhow::{Context, bail};
use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

/// The longest path of a lab's directory below which sockets fit: what the longest socket name adds
/// (`/run/` with a volume name, or a view's or drill's sockets) stays below 107 bytes.
const SHORT_BYTES_MAX: usize = 40;

/// The paths of a lab.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The lab's directory, absolute.
    pub(crate) directory: PathBuf,
    /// Where its sockets are.
    pub(crate) runtime: PathBuf,
}

impl Layout {
    /// The layout of the lab in `directory`, which is created if it is not there.
    pub(crate) fn create(directory: &Path) -> anyhow::Result<Self> {
        private_directory(directory)?;
        Self::existing(directory)
    }

    /// The layout of the lab in `directory`, which must be there.
    pub(crate) fn existing(directory: &Path) -> anyhow::Result<Self> {
        let directory = directory.canonicalize().with_context(|| {
            format!(
                "cannot find the lab directory {}: is it the one given to lab up?",
                directory.display()
            )
        })?;
        let runtime = runtime_directory(&directory);
        Ok(Self { directory, runtime })
    }

    /// Makes the directories below, each private.
    pub(crate) fn create_directories(&self) -> anyhow::Result<()> {
        for directory in [
            &self.runtime,
            &self.logs(),
            &self.configuration(),
            &self.identities(),
        ] {
            private_directory(directory)?;
        }
        Ok(())
    }

    /// Removes the directory of sockets when it is one in the temporary directory and nobody uses it: of what
    /// processes that are gone left, sockets are removed; anything else keeps it.
    pub(crate) fn remove_idle_runtime(&self) -> anyhow::Result<()> {
        if self.runtime.starts_with(&self.directory) {
            return Ok(());
        }
        remove_if_idle(&self.runtime).with_context(|| {
            format!(
                "cannot remove the directory of sockets {}: remove it by hand",
                self.runtime.display()
            )
        })
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.directory.join("lab.json")
    }
    pub(crate) fn context_file(&self) -> PathBuf {
        self.directory.join("context.toml")
    }
    pub(crate) fn setup_secret_file(&self) -> PathBuf {
        self.directory.join("setup-secret")
    }
    pub(crate) fn token_file(&self) -> PathBuf {
        self.directory.join("token")
    }
    pub(crate) fn launch_file(&self) -> PathBuf {
        self.directory.join("launch.toml")
    }
    pub(crate) fn logs(&self) -> PathBuf {
        self.directory.join("log")
    }
    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.join("config")
    }
    pub(crate) fn identities(&self) -> PathBuf {
        self.directory.join("identity")
    }
    /// The configuration file of a role.
    pub(crate) fn role_configuration(&self, role: &str) -> PathBuf {
        self.configuration().join(format!("{role}.toml"))
    }
    /// The state directory of a role.
    pub(crate) fn role_state(&self, role: &str) -> PathBuf {
        self.directory.join(role)
    }
    /// What the supervisor says of the roles.
    pub(crate) fn roles_file(&self) -> PathBuf {
        self.directory.join("roles.json")
    }
    /// The directory whose lock the supervisor holds.
    pub(crate) fn supervisor_directory(&self) -> PathBuf {
        self.directory.join("supervisor")
    }
    /// Which process the supervisor is.
    pub(crate) fn supervisor_file(&self) -> PathBuf {
        self.supervisor_directory().join("process.json")
    }
    /// The NBD socket of a volume.
    pub(crate) fn volume_socket(&self, volume: &str) -> PathBuf {
        self.runtime.join(format!("{volume}.sock"))
    }
}

fn runtime_directory(directory: &Path) -> PathBuf {
    let text = directory.as_os_str().as_encoded_bytes();
    if text.len() <= SHORT_BYTES_MAX {
        return directory.join("run");
    }
    let hash = blake3::hash(text).to_hex();
    std::env::temp_dir().join(format!("bcdr-{}", &hash[..12]))
}

/// Removes a directory of ours with the sockets in it, unless something else is in it or a socket is
/// answered; one that is not there is fine.
fn remove_if_idle(directory: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    // The temporary directory is everyone's, and the name alone does not say whose it is.
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let mut sockets = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_type()?.is_socket() || is_answered(&entry.path()) {
            return Ok(());
        }
        sockets.push(entry.path());
    }
    for socket in sockets {
        fs::remove_file(socket)?;
    }
    fs::remove_dir(directory)
}

/// Whether somebody may listen there; only a refusal says that nobody does.
fn is_answered(socket: &Path) -> bool {
    let tried = UnixStream::connect(socket);
    !tried.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Creates a directory that only we can enter, or checks that an existing one is ours: the
/// temporary directory is everyone's.
fn private_directory(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the directory {}", path.display()))?;
    let metadata = fs::symlink_metadata(path)
        .with_context(|| format!("cannot examine the directory {}", path.display()))?;
    let ours = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || metadata.uid() != ours {
        bail!(
            "{} is not a directory of ours: remove it or use another",
            path.display()
        );
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot make the directory {} private", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn sockets_of_a_long_directory_are_short() {
        let long = PathBuf::from(format!("/{}", "d".repeat(200)));
        let runtime = runtime_directory(&long);
        assert!(
            runtime.as_os_str().len() <= SHORT_BYTES_MAX + 4,
            "{}",
            runtime.display()
        );
        assert_ne!(runtime, runtime_directory(&long.join("other")));
        assert_eq!(
            runtime_directory(Path::new("/lab")),
            PathBuf::from("/lab/run")
        );
    }

    #[test]
    fn a_directory_of_sockets_goes_when_nobody_answers_and_nothing_else_is_in_it() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("sockets");
        remove_if_idle(&directory).unwrap();
        fs::create_dir(&directory).unwrap();
        let listening = UnixListener::bind(directory.join("living.sock")).unwrap();
        drop(UnixListener::bind(directory.join("dead.sock")).unwrap());
        remove_if_idle(&directory).unwrap();
        assert!(directory.join("living.sock").exists(), "somebody listens");
        assert!(directory.join("dead.sock").exists());
        drop(listening);
        fs::write(directory.join("kept"), "somebody's").unwrap();
        remove_if_idle(&directory).unwrap();
        assert!(directory.join("kept").exists(), "a file is no socket");
        fs::remove_file(directory.join("kept")).unwrap();
        remove_if_idle(&directory).unwrap();
        assert!(!directory.exists(), "nobody uses it");
    }

    #[test]
    fn a_lab_keeps_the_sockets_directory_that_is_its_own_anyway() {
        let place = tempfile::tempdir_in("/tmp").unwrap();
        let layout = Layout::create(&place.path().join("lab")).unwrap();
        layout.create_directories().unwrap();
        assert!(layout.runtime.starts_with(&layout.directory));
        layout.remove_idle_runtime().unwrap();
        assert!(layout.runtime.exists());
    }
}
