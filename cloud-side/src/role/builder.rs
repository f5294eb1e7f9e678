//! The thread that builds runs in the background, for all lineages in turn.

use crate::{receive::Lineage, replica::LineageReader};
use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
};

/// Runs built for one lineage before the next has its turn.
const STEPS: usize = 4;

/// Builds until every sender is gone.
pub(super) fn run(committed: &mpsc::Receiver<Arc<LineageReader>>) {
    let mut due: BTreeMap<Lineage, Arc<LineageReader>> = BTreeMap::new();
    loop {
        if due.is_empty() {
            let Ok(reader) = committed.recv() else { return };
            due.insert(reader.lineage(), reader);
        }
        loop {
            match committed.try_recv() {
                // The newest reader counts: a store that was opened again has another one.
                Ok(reader) => drop(due.insert(reader.lineage(), reader)),
                Err(mpsc::TryRecvError::Empty) => break,
                // Stopping: what is due is built after the next start.
                Err(mpsc::TryRecvError::Disconnected) => return,
            }
        }
        due.retain(|lineage, reader| match reader.build_pending(STEPS) {
            Ok(built) => built == STEPS,
            Err(error) => {
                // Reads work without these runs, only slower; the next commit tries again.
                tracing::error!(%lineage, %error, "a run could not be built");
                false
            }
        });
    }
}
