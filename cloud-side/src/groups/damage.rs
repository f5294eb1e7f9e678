//! What of a group's replica cannot be read, remembered over restarts.
//!
//! Owns the list of damaged chunks. Invariant: a chunk that was found damaged stays on the list, and
//! the group unhealthy, until that very chunk was opened again; a restart forgets none. What else
//! could not be read is remembered only as long as the process lives.

use crate::{
    catalog::{Catalog, CatalogError, Document},
    receive::{Lineage, PointId},
    replica::ViewError,
};
use bcdr_format::{StreamId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Damaged chunks of one lineage that are remembered one by one.
const CHUNKS_MAX: usize = 64;

/// A chunk that could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DamagedChunk {
    /// The point that was read when it was found.
    pub(crate) point: PointId,
    /// The log segment that holds it.
    pub(crate) segment: u32,
    /// Where it begins in the segment.
    pub(crate) chunk_offset: u32,
    /// What was said of it.
    pub(crate) reason: String,
    /// When it was found.
    pub(crate) found_at: Timestamp,
}

impl DamagedChunk {
    fn is_at(&self, other: &Self) -> bool {
        (self.segment, self.chunk_offset) == (other.segment, other.chunk_offset)
    }
}

/// The damaged chunks of a lineage, as the catalog keeps them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct DamageRecord {
    stream: StreamId,
    chunks: Vec<DamagedChunk>,
}

impl Document for DamageRecord {
    const COLLECTION: &'static str = "damage";

    fn key(&self) -> String {
        self.stream.to_string()
    }
}

#[derive(Debug, Default)]
struct Known {
    chunks: Vec<DamagedChunk>,
    other: Option<String>,
}

/// What is known to be damaged of one lineage.
#[derive(Debug)]
pub(crate) struct Damage {
    catalog: Arc<Catalog>,
    stream: StreamId,
    known: Mutex<Known>,
    /// Held while the list is changed and written, so that an older one never replaces a newer.
    writing: Mutex<()>,
}

impl Damage {
    /// What earlier processes found. Blocks.
    pub(crate) fn load(catalog: Arc<Catalog>, lineage: Lineage) -> Self {
        let stream = lineage.stream;
        let mut known = Known::default();
        match catalog.document::<DamageRecord>(&stream.to_string()) {
            Ok(record) => known.chunks = record.map(|record| record.chunks).unwrap_or_default(),
            // Not to know is no health.
            Err(error) => {
                known.other = Some(format!("what is damaged cannot be looked up: {error}"));
            }
        }
        Self {
            catalog,
            stream,
            known: Mutex::new(known),
            writing: Mutex::new(()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is shown: the first thing found that is damaged still.
    pub(crate) fn shown(&self) -> Option<String> {
        let known = self.known();
        let chunk = known.chunks.first().map(|chunk| chunk.reason.clone());
        chunk.or_else(|| known.other.clone())
    }

    /// The chunks to be looked at again.
    pub(crate) fn chunks(&self) -> Vec<DamagedChunk> {
        self.known().chunks.clone()
    }

    /// Something could not be read. A chunk is durably remembered on return. Blocks.
    pub(crate) fn note(&self, error: &ViewError, now: Timestamp) {
        let reason = error.to_string();
        let ViewError::Chunk {
            point,
            segment,
            chunk_offset,
            ..
        } = error
        else {
            self.known().other.get_or_insert(reason);
            return;
        };
        let chunk = DamagedChunk {
            point: *point,
            segment: *segment,
            chunk_offset: *chunk_offset,
            reason,
            found_at: now,
        };
        self.change(|chunks| {
            let fresh = !chunks.iter().any(|known| known.is_at(&chunk));
            let taken = fresh && chunks.len() < CHUNKS_MAX;
            if taken {
                chunks.push(chunk);
            }
            taken
        });
    }

    /// This chunk was opened again. Blocks.
    pub(crate) fn readable_again(&self, chunk: &DamagedChunk) {
        self.change(|chunks| {
            let before = chunks.len();
            chunks.retain(|known| !known.is_at(chunk));
            chunks.len() != before
        });
    }

    fn change(&self, change: impl FnOnce(&mut Vec<DamagedChunk>) -> bool) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let chunks = {
            let mut known = self.known();
            if !change(&mut known.chunks) {
                return;
            }
            known.chunks.clone()
        };
        if let Err(error) = self.write(chunks) {
            tracing::error!(stream = %self.stream, %error, "the list of damaged chunks is not kept: a restart forgets its last change");
        }
    }

    fn write(&self, chunks: Vec<DamagedChunk>) -> Result<(), CatalogError> {
        if chunks.is_empty() {
            let key = self.stream.to_string();
            return self.catalog.remove_document::<DamageRecord>(&key).map(drop);
        }
        let stream = self.stream;
        self.catalog.put_document(&DamageRecord { stream, chunks })
    }
}
