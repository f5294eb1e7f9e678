//! What was observed outside, in full: a file for each attempt of a step, beside the evidence of drills.

use crate::{offload::offload, plans::Facts};
use bcdr_disk::{DiskError, Storage, read_whole, replace_atomically};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::PathBuf, sync::Arc};

/// More than is kept of any attempt.
const READ_MAX: u64 = 4 << 20;

fn name_of(facts: &Facts) -> String {
    format!("{}-{}.json", facts.step, facts.attempt)
}

/// Where it is kept.
pub(super) struct Evidence {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) directory: PathBuf,
}

impl Evidence {
    /// What was kept of an attempt last; none if nothing was, or nothing that can be read.
    pub(super) async fn read<Observed: DeserializeOwned + Send + 'static>(
        &self,
        facts: &Facts,
    ) -> Option<Observed> {
        let path = self.directory.join(&facts.run).join(name_of(facts));
        let storage = Arc::clone(&self.storage);
        offload(move || {
            let bytes = read_whole(&*storage, &path, READ_MAX).ok()?;
            serde_json::from_slice(&bytes).ok()
        })
        .await
    }

    /// Keeps what an attempt observed, durable on return; what it observed before is replaced. Gives what
    /// a note says of it. That it cannot be kept does not undo what was done, so that is only told.
    pub(super) async fn keep(&self, facts: &Facts, observed: &impl Serialize) -> String {
        let name = name_of(facts);
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
