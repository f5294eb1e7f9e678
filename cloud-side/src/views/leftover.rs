//! What killed processes left of views that nobody knows any more.
//!
//! The runtime directory holds other roles' sockets too, so nothing is touched that is not named as a
//! view's socket, and nothing that somebody listens on.

use crate::record_id::ViewId;
use bcdr_nbd::connect_unix;
use std::{os::unix::fs::FileTypeExt as _, path::Path};

/// Removes the leftovers in `directory` of views that are not open.
pub(super) fn remove_all(directory: &Path, is_open: impl Fn(ViewId) -> bool) {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(path = %directory.display(), %error, "leftover sockets are not looked for");
            return;
        }
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(leftover) = name.to_str().and_then(Leftover::read) else {
            continue;
        };
        if is_open(leftover.view) {
            continue;
        }
        let path = entry.path();
        match leftover.remove(&path) {
            Ok(true) => {
                tracing::info!(path = %path.display(), "a leftover of a view is removed");
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a leftover of a view stays");
            }
        }
    }
}

/// A name in the runtime directory that only a view's socket, or the making of one, has.
struct Leftover {
    view: ViewId,
    /// Whether it is the directory in which a socket is made.
    nursery: bool,
}

impl Leftover {
    fn read(name: &str) -> Option<Self> {
        let inner = name
            .strip_prefix('.')
            .and_then(|rest| rest.strip_suffix(".new"));
        let stem = inner.unwrap_or(name).strip_suffix(".sock")?;
        let view: ViewId = stem.parse().ok()?;
        // Another spelling is not ours.
        (view.to_string() == stem).then_some(Self {
            view,
            nursery: inner.is_some(),
        })
    }

    /// Removes it. Says whether it was what its name says and nobody uses it.
    fn remove(&self, path: &Path) -> std::io::Result<bool> {
        let kind = std::fs::symlink_metadata(path)?.file_type();
        if self.nursery {
            return match kind.is_dir() {
                true => std::fs::remove_dir_all(path).map(|()| true),
                false => Ok(false),
            };
        }
        if !kind.is_socket() || connect_unix(path).is_ok() {
            return Ok(false);
        }
        std::fs::remove_file(path).map(|()| true)
    }
}
