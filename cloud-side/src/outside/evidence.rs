//! What was observed outside, in full: a file for each attempt of a step, beside the evidence of drills.

use crate::{offload::offload, plans::Facts};
use bcdr_disk::{DiskError, Storage, replace_atomically};
use serde::Serialize;
use std::{path::PathBuf, sync::Arc};

/// Where it is kept.
pub(super) struct Evidence {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) directory: PathBuf,
}

impl Evidence {
    /// Keeps what an attempt observed, durable on return; what it observed before is replaced. Gives what
    /// a note says of it. That it cannot be kept does not undo what was done, so that is only told.
    pub(super) async fn keep(&self, facts: &Facts, observed: &impl Serialize) -> String {
        let name = format!("{}-{}.json", facts.step, facts.attempt);
        let directory = self.directory.join(&facts.run);
        let told = format!("{}/{name}", facts.run);
        let bytes = match serde_json::to_vec_pretty(observed) {
            Ok(bytes) => bytes,
            Err(error) => return format!("; what was observed cannot be kept: {error}"),
        };
        let storage = Arc::clone(&self.storage);
        let kept = offload(move || {
            storage.create_directory_all(&directory)?;
            replace_atomically(&*storage, &directory.join(name), &bytes)?;
            Ok::<_, DiskError>(())
        });
        match kept.await {
            Ok(()) => format!("; kept as {told}"),
            Err(error) => {
                tracing::error!(evidence = told, %error, "what was observed outside cannot be kept");
                format!("; what was observed cannot be kept: {error}")
            }
        }
    }
}
