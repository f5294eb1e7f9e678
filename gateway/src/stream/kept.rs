//! The bytes of batches that are not durable cloud-side: in memory, in the spool, or both.

use crate::{ship::window::ShipmentId, spool::SpoolLocation};
use bcdr_format::DataKeyId;
use bytes::Bytes;
use std::collections::HashMap;

/// One batch's bytes.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) bytes: Option<Bytes>,
    pub(super) location: Option<SpoolLocation>,
    /// The data keys of its chunks.
    pub(super) keys: Vec<DataKeyId>,
}

/// The bytes of all batches in the window, by shipment.
#[derive(Debug, Default)]
pub(super) struct KeptBatches {
    batches: HashMap<ShipmentId, Kept>,
}

impl KeptBatches {
    pub(super) fn in_memory(&mut self, id: ShipmentId, bytes: Bytes, keys: Vec<DataKeyId>) {
        self.batches.insert(
            id,
            Kept {
                bytes: Some(bytes),
                location: None,
                keys,
            },
        );
    }

    pub(super) fn in_spool(&mut self, id: ShipmentId, at: SpoolLocation, keys: Vec<DataKeyId>) {
        self.batches.insert(
            id,
            Kept {
                bytes: None,
                location: Some(at),
                keys,
            },
        );
    }

    pub(super) fn get(&self, id: ShipmentId) -> Option<&Kept> {
        self.batches.get(&id)
    }

    /// The spool holds the batch: its bytes in memory go. Returns the location back when the batch
    /// was let go meanwhile, so that the spool can let go of it too.
    pub(super) fn spooled(&mut self, id: ShipmentId, at: SpoolLocation) -> Option<SpoolLocation> {
        let Some(kept) = self.batches.get_mut(&id) else {
            return Some(at);
        };
        kept.location = Some(at);
        kept.bytes = None;
        None
    }

    /// Lets go of a batch; returns where the spool has it.
    pub(super) fn forget(&mut self, id: ShipmentId) -> Option<SpoolLocation> {
        self.batches.remove(&id)?.location
    }
}
