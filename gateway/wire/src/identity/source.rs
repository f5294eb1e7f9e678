//! Where a role has its identity from, for as long as it runs.
//!
//! Certificates last 30 days, and roles run longer: whoever issues them puts new ones in the place
//! of the old, and the files are read again. Invariant: an identity that was handed out was checked
//! whole, for the same role of the same installation; what cannot be used, such as a renewal that is
//! half written, never takes the place of what can.

use super::{Identity, IdentityError, IdentityPaths};
use bcdr_format::Timestamp;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How often a server looks for a renewed identity; a client looks each time it dials.
pub const READ_AGAIN_EVERY: Duration = Duration::from_secs(60);

/// A role's identity, read again from its files when asked for. Clones share what was read last.
#[derive(Debug, Clone)]
pub struct IdentitySource {
    /// None: it was not made from files and never changes.
    paths: Option<IdentityPaths>,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Debug)]
struct Shown {
    identity: Identity,
    /// What was wrong with the files last; told once.
    complaint: Option<String>,
}

impl From<Identity> for IdentitySource {
    /// An identity that stays as it is.
    fn from(identity: Identity) -> Self {
        Self::new(None, identity)
    }
}

impl IdentitySource {
    /// Reads and checks the identity in these files.
    ///
    /// # Errors
    /// As [`Identity::load_from`].
    pub fn load_from(paths: IdentityPaths, now: Timestamp) -> Result<Self, IdentityError> {
        let identity = Identity::load_from(&paths, now)?;
        Ok(Self::new(Some(paths), identity))
    }

    fn new(paths: Option<IdentityPaths>, identity: Identity) -> Self {
        let shown = Shown {
            identity,
            complaint: None,
        };
        Self {
            paths,
            shown: Arc::new(Mutex::new(shown)),
        }
    }

    /// The identity that was read last.
    pub fn current(&self) -> Identity {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.identity.clone()
    }

    /// Reads the files again, away from the threads that serve everyone. If they cannot be used,
    /// that is logged and the identity stays. Needs a tokio runtime.
    pub async fn renewed(&self, now: Timestamp) -> Identity {
        let source = self.clone();
        let read = tokio::task::spawn_blocking(move || source.read_again(now));
        // It is not run any more when the runtime ends.
        read.await.unwrap_or_else(|_| self.current())
    }

    fn read_again(&self, now: Timestamp) -> Identity {
        let Some(paths) = &self.paths else {
            return self.current();
        };
        let read = Identity::load_from(paths, now);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match read.and_then(|found| same_holder(&shown.identity, found, paths)) {
            Ok(found) => {
                if found.certificates() != shown.identity.certificates() {
                    let until = super::readable(found.peer().not_after);
                    tracing::info!(identity = %found.peer(), %until, "the certificate was renewed");
                }
                shown.identity = found;
                shown.complaint = None;
            }
            Err(error) => {
                let complaint = Some(error.to_string());
                if shown.complaint != complaint {
                    tracing::warn!(%error, "the identity's files cannot be used; the last good ones are");
                    shown.complaint = complaint;
                }
            }
        }
        shown.identity.clone()
    }
}

/// The identity found, if a running role can take it for its own.
fn same_holder(
    shown: &Identity,
    found: Identity,
    paths: &IdentityPaths,
) -> Result<Identity, IdentityError> {
    let holder = |identity: &Identity| (identity.peer().installation, identity.peer().role);
    if holder(shown) == holder(&found) {
        return Ok(found);
    }
    Err(IdentityError::Certificate {
        what: paths.certificate.display().to_string(),
        reason: format!(
            "it names {}, and this process runs as {}; put its own certificate back, or start it anew",
            found.peer(),
            shown.peer()
        ),
    })
}
