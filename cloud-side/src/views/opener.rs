//! Opening chunks with the installation's keys.

use crate::{
    catalog::{Catalog, CatalogError},
    keys::{Keys, KeysError},
    replica::{ChunkOpener, OpenChunkError},
};
use bcdr_format::{DataKeyId, chunk::ChunkHeader};
use bcdr_wire::seal::{self, OpenError};
use std::sync::{Arc, Mutex, PoisonError};

/// Openers kept for reuse; each has a decompressor.
const IDLE_MAX: usize = 32;

/// Why the key of a chunk is not to be had.
#[derive(Debug, thiserror::Error)]
enum MissingKey {
    #[error("its data key {key} is not in the catalog")]
    Unknown { key: DataKeyId },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// Opens the chunks of all lineages; a data key is read from the catalog when it is first needed.
pub(crate) struct KeyedOpener {
    keys: Arc<Keys>,
    catalog: Arc<Catalog>,
    idle: Mutex<Vec<seal::ChunkOpener>>,
}

impl KeyedOpener {
    pub(crate) fn new(keys: Arc<Keys>, catalog: Arc<Catalog>) -> Self {
        Self {
            keys,
            catalog,
            idle: Mutex::new(Vec::new()),
        }
    }

    fn learn(&self, key: DataKeyId) -> Result<(), MissingKey> {
        let wrapped = self
            .catalog
            .wrapped_key(key)?
            .ok_or(MissingKey::Unknown { key })?;
        Ok(self.keys.learn_data_key(key, &wrapped)?)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<seal::ChunkOpener>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChunkOpener for KeyedOpener {
    fn open(&self, header: &ChunkHeader, sealed: &[u8]) -> Result<Vec<u8>, OpenChunkError> {
        let ready = self.idle().pop();
        let mut opener = match ready {
            Some(opener) => opener,
            None => seal::ChunkOpener::new(self.keys.ring())?,
        };
        let opened = match opener.open(header, sealed) {
            Err(OpenError::MissingKey { key }) => {
                self.learn(key)?;
                opener.open(header, sealed)
            }
            other => other,
        };
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(opener);
        }
        Ok(opened?)
    }
}
