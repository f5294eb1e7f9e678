//! Whether a group has a past on this host, or its state directory only looks as if it had none.
//!
//! A restore in place marks a half-written device in the state directory, outside of the device. Where
//! that directory has a file system of its own and this is not mounted after a restart, it looks like
//! one that was never used, and the mark is missed. So a group without anything in its state directory
//! is served only after it was told to: by an order of the cloud side, which knows of a restore that is
//! on its way, or by the operator, who prepares the directory once. Invariant: a directory of the group
//! is made by those two only, and by a group that serves. What an earlier release left counts as a past.
//!
//! A state directory that fails when it is asked is another matter: it keeps no volume from its clients.

use std::path::PathBuf;

use bcdr_disk::{DiskError, Storage};

use crate::config::{CaptureConfig, GroupConfig};

/// A group that was never served from this state directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is nothing of it in {}: if the file system of the state directory is not mounted, mount it \
     and start again, because a restore that was interrupted would be missed; the first time, the order \
     to serve comes from the cloud side through a gateway, or run `bcdr capture init` with this \
     capture's configuration", directory.display()
)]
pub struct NoPast {
    directory: PathBuf,
}

/// Whether nothing says that this group was served here before, or may be.
#[must_use]
pub fn no_past(
    storage: &dyn Storage,
    config: &CaptureConfig,
    group: &GroupConfig,
) -> Option<NoPast> {
    let directory = config.group_directory(group);
    match storage.exists(&directory) {
        Ok(true) => None,
        Ok(false) => Some(NoPast { directory }),
        Err(error) => {
            tracing::error!(group = group.name, %error, "whether the group has a past cannot be asked");
            None
        }
    }
}

/// Prepares the state directory, so that all groups are served also before a gateway was heard. Durable
/// on return. Says which groups had no past.
///
/// # Errors
/// If the storage fails.
pub fn prepare<'a>(
    storage: &dyn Storage,
    config: &'a CaptureConfig,
) -> Result<Vec<&'a GroupConfig>, DiskError> {
    let mut prepared = Vec::new();
    for group in &config.groups {
        if no_past(storage, config, group).is_some() {
            storage.create_directory_all(&config.group_directory(group))?;
            prepared.push(group);
        }
    }
    if !prepared.is_empty() {
        storage.sync_directory(&config.state_directory)?;
    }
    Ok(prepared)
}
