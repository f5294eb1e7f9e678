//! Opens chunks with the keys that the catalog keeps in their wrapped form.

use bcdr_cloud::{
    catalog::Catalog,
    replica::{ChunkOpener, OpenChunkError},
};
use bcdr_format::chunk::ChunkHeader;
use bcdr_wire::seal::{self, InstallationKey, KeyRing};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module's description.
pub(super) struct Opener {
    catalog: Arc<Catalog>,
    key: Arc<InstallationKey>,
    opener: Mutex<seal::ChunkOpener>,
}

impl Opener {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        key: Arc<InstallationKey>,
        installation: bcdr_format::InstallationId,
    ) -> Self {
        let opener =
            seal::ChunkOpener::new(KeyRing::new(installation)).expect("a decompressor can be made");
        Self {
            catalog,
            key,
            opener: Mutex::new(opener),
        }
    }
}

impl ChunkOpener for Opener {
    fn open(&self, header: &ChunkHeader, sealed: &[u8]) -> Result<Vec<u8>, OpenChunkError> {
        let mut opener = self.opener.lock().unwrap_or_else(PoisonError::into_inner);
        let id = header.id.key;
        if !opener.keys().contains(id) {
            let wrapped = self
                .catalog
                .wrapped_key(id)?
                .ok_or_else(|| format!("no key {id}"))?;
            opener.keys().insert_wrapped(id, &wrapped, &self.key)?;
        }
        Ok(opener.open(header, sealed)?)
    }
}
