//! The owner's side towards the spool's thread.

use super::Owner;
use crate::{
    ship::window::{ShipAction, ShipmentId},
    spool::{
        SpoolError,
        thread::{SpoolDone, SpoolWork},
    },
};
use std::time::{Duration, Instant};

/// How long after a refusal the spool is tried again.
const SPOOL_RETRY: Duration = Duration::from_secs(2);

impl Owner {
    pub(super) fn perform(&mut self, actions: Vec<ShipAction>) {
        let mut late = Vec::new();
        for action in actions {
            match action {
                ShipAction::Send(id) => self.to_send.push_back(id),
                ShipAction::Spool(id) => match self.kept.get(id).map(|kept| (&kept.bytes, kept)) {
                    Some((Some(bytes), kept)) => {
                        late.push((id, bytes.clone(), kept.keys.clone()));
                    }
                    _ => self.window.not_spooled(id, Instant::now() + SPOOL_RETRY),
                },
                ShipAction::Forget(id) => {
                    if let Some(location) = self.kept.forget(id) {
                        self.spool_work(SpoolWork::Forget(location));
                    }
                }
            }
        }
        if !late.is_empty() {
            self.spool_work(SpoolWork::Append(late));
        }
    }

    pub(super) fn spool_work(&self, work: SpoolWork) {
        if let Some(spool) = &self.spool {
            // Were the thread gone, its end of the other channel would end this owner.
            let _gone = spool.send(work);
        }
    }

    pub(super) fn spool_done(&mut self, done: SpoolDone) {
        match done {
            SpoolDone::Appended(batches) => {
                self.status.spool_refuses = None;
                for (id, location) in batches {
                    self.window.spooled(id);
                    if let Some(location) = self.kept.spooled(id, location) {
                        self.spool_work(SpoolWork::Forget(location));
                    }
                }
            }
            SpoolDone::NotAppended(ids, error) => {
                if self.status.spool_refuses.is_none() {
                    tracing::warn!(stream = %self.stream, %error, "spool");
                }
                self.status.spool_refuses = Some(error.to_string());
                let retry_at = Instant::now() + SPOOL_RETRY;
                for id in ids {
                    self.window.not_spooled(id, retry_at);
                }
            }
            SpoolDone::Uses(bytes) => self.status.spool_bytes = bytes,
            SpoolDone::Read(id, bytes) => {
                if self.read_back(id) {
                    self.to_send.pop_front();
                    self.ship_batch(id, bytes);
                }
            }
            SpoolDone::NotRead(id, error) => self.not_read(id, &error),
        }
    }

    /// Whether the batch that was read is still the one to send next.
    fn read_back(&mut self, id: ShipmentId) -> bool {
        let was_read = self.reading.take() == Some(id);
        was_read && self.to_send.front() == Some(&id) && self.kept.get(id).is_some()
    }

    fn not_read(&mut self, id: ShipmentId, error: &SpoolError) {
        tracing::error!(stream = %self.stream, %error, "spool");
        if self.read_back(id) {
            self.begin_again(format!("a spooled batch cannot be read back: {error}"));
        }
    }
}
