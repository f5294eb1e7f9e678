//! The file an export goes to.
//!
//! Invariant: under its name there is what was there before, or the whole export, synced; never a
//! part of it. What was begun and not finished is removed, and what a killed export left is removed by
//! the next one that goes to the same directory.

use super::{
    super::{exit, failure::Failure, units},
    leftovers::{self, Claim},
};
use anyhow::Context as _;
use bcdr_disk::{Access, CreateOptions, DiskError, File, Storage};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Space that is left for others.
const MARGIN_BYTES: u64 = 64 << 20;
/// How often an export is begun again whose file was taken for a leftover.
const ATTEMPTS: usize = 5;
/// Bytes of a sector, as file systems count them.
const STAT_BLOCK_BYTES: u64 = 512;

/// A file that may be written.
pub(super) struct Target {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    path: PathBuf,
    replace: bool,
}

/// A file that is being written under another name; gone again when this is dropped.
pub(super) struct Unfinished {
    target: Target,
    temporary: PathBuf,
    file: Arc<dyn File>,
    /// Held while it is written.
    _lock: Option<fs::File>,
    kept: bool,
}

/// A file that is whole.
#[derive(Debug)]
pub(super) struct Written {
    /// Where it is.
    pub(super) file: PathBuf,
    /// What it occupies, in bytes.
    pub(super) stored_bytes: u64,
    /// The digest of its content, if it was wanted.
    pub(super) blake3: Option<String>,
}

impl Target {
    /// Checks that `path` may be written: nothing is there, or a regular file that may be replaced.
    pub(super) fn choose(
        storage: Arc<dyn Storage>,
        path: &Path,
        replace: bool,
    ) -> Result<Self, Failure> {
        let shown = path.display();
        let Some(name) = path.file_name() else {
            return Err(Failure::usage(format!("{shown} does not name a file")));
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let directory = parent
            .canonicalize()
            .with_context(|| format!("cannot write into the directory {}", parent.display()))?;
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::error(format!("cannot look at {shown}")).cause(error));
            }
            Ok(metadata) if !metadata.is_file() => {
                return Err(
                    Failure::usage(format!("{shown} is {}", kind(metadata.file_type())))
                        .remedy("an export goes to a regular file: name one"),
                );
            }
            Ok(_) if !replace => return Err(taken(path)),
            Ok(_) => {}
        }
        let path = directory.join(name);
        remove_leftovers(&*storage, &directory);
        Ok(Self {
            storage,
            directory,
            path,
            replace,
        })
    }

    /// Refuses when so many bytes would not fit.
    pub(super) fn require_space(&self, bytes: u64) -> Result<(), Failure> {
        let space = self
            .storage
            .space(&self.directory)
            .context("cannot measure the free space")?;
        let needed = bytes.saturating_add(MARGIN_BYTES);
        if space.available_bytes >= needed {
            return Ok(());
        }
        let free = units::bytes(space.available_bytes);
        Err(Failure::error(format!(
            "{} does not fit into {}: it needs {} and {free} are free",
            self.path.display(),
            self.directory.display(),
            units::bytes(needed),
        ))
        .remedy("free space there, or choose another file system"))
    }

    /// Begins an empty file under another name, readable by its owner only.
    pub(super) fn create(self) -> Result<Unfinished, Failure> {
        for _ in 0..ATTEMPTS {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|error| {
                Failure::error(format!("the system gives no randomness: {error}"))
            })?;
            let name = leftovers::name(u64::from_be_bytes(random));
            let temporary = self.directory.join(name);
            let file = self
                .storage
                .create(&temporary, CreateOptions::default())
                .context("the export failed")?;
            match leftovers::claim(&temporary) {
                Ok(Claim::Ours(lock)) => {
                    return Ok(Unfinished {
                        target: self,
                        temporary,
                        file,
                        _lock: lock,
                        kept: false,
                    });
                }
                Ok(Claim::Lost) => {}
                Err(error) => {
                    // It is empty; the failure that follows says more than this one could.
                    let _stays = self.storage.remove(&temporary);
                    let shown = temporary.display();
                    return Err(Failure::error(format!("cannot lock {shown}")).cause(error));
                }
            }
        }
        Err(Failure::error(format!(
            "another program removes what is begun in {}",
            self.directory.display()
        ))
        .remedy("export to another directory"))
    }
}

impl Unfinished {
    /// The file, for writing.
    pub(super) fn file(&self) -> Arc<dyn File> {
        Arc::clone(&self.file)
    }

    /// Where it is until it is finished.
    pub(super) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Opens the file again, after another program has written it.
    pub(super) fn reopen(&mut self) -> Result<(), DiskError> {
        self.file = self.target.storage.open(&self.temporary, Access::write())?;
        Ok(())
    }

    /// Makes it durable and gives it its name. Blocks.
    pub(super) fn finish(mut self, blake3: Option<String>) -> Result<Written, Failure> {
        self.file
            .sync_all()
            .context("the export is not safely on disk")?;
        let Target {
            storage,
            directory,
            path,
            replace,
        } = &self.target;
        if !replace && storage.exists(path).context("the export failed")? {
            return Err(taken(path));
        }
        storage
            .rename(&self.temporary, path)
            .context("the export failed")?;
        self.kept = true;
        storage.sync_directory(directory).with_context(|| {
            format!(
                "{} is whole, but its name may be lost in a crash",
                path.display()
            )
        })?;
        let metadata = fs::metadata(path)
            .with_context(|| format!("cannot look at the export {}", path.display()))?;
        let stored_bytes = metadata.blocks() * STAT_BLOCK_BYTES;
        Ok(Written {
            file: path.clone(),
            stored_bytes,
            blake3,
        })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = self.target.storage.remove(&self.temporary)
        {
            tracing::warn!(%error, "cannot remove an unfinished export");
        }
    }
}

/// Removes what killed exports left. A directory where that fails can still be exported to.
fn remove_leftovers(storage: &dyn Storage, directory: &Path) {
    match leftovers::remove(directory) {
        Ok(removed) if removed.is_empty() => {}
        Ok(removed) => {
            for file in removed {
                tracing::warn!(file = %file.display(), "removed what an export that was killed left here");
            }
            if let Err(error) = storage.sync_directory(directory) {
                tracing::warn!(%error, "a removed export may come back after a power cut");
            }
        }
        Err(error) => {
            tracing::warn!(directory = %directory.display(), %error, "cannot look for what killed exports left");
        }
    }
}

fn taken(path: &Path) -> Failure {
    Failure::new(exit::CONFLICT, format!("{} exists already", path.display()))
        .remedy("name another file, or replace it with --force")
}

fn kind(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_dir() {
        "a directory"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_block_device() {
        "a block device"
    } else {
        "not a regular file"
    }
}
