//! The newest head, kept apart from the log's files.
//!
//! The files alone cannot show that their end is missing. The catalog remembers the newest head, so a
//! start finds it.

use crate::catalog::{Catalog, CatalogError, Document};
use bcdr_audit::SignedHead;
use serde::{Deserialize, Serialize};
use std::{fmt::Debug, sync::Arc};

/// Where the newest head is kept.
pub(crate) trait Anchor: Debug + Send + Sync {
    /// The one that was kept last. Blocks.
    ///
    /// # Errors
    /// Says why it cannot be read.
    fn newest(&self) -> Result<Option<SignedHead>, String>;

    /// Keeps a newer one; durable on return. Blocks.
    ///
    /// # Errors
    /// Says why not.
    fn keep(&self, head: &SignedHead) -> Result<(), String>;
}

/// The catalog as such a place.
#[derive(Debug)]
pub(crate) struct CatalogAnchor(pub(crate) Arc<Catalog>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct AnchorRecord {
    head: SignedHead,
}

const KEY: &str = "newest";

impl Document for AnchorRecord {
    const COLLECTION: &'static str = "audit_head";

    fn key(&self) -> String {
        KEY.to_owned()
    }
}

/// Whether a head was ever signed: its key must not be replaced by another.
pub(crate) fn has_head(catalog: &Catalog) -> Result<bool, CatalogError> {
    Ok(catalog.document::<AnchorRecord>(KEY)?.is_some())
}

impl Anchor for CatalogAnchor {
    fn newest(&self) -> Result<Option<SignedHead>, String> {
        let kept: Result<Option<AnchorRecord>, CatalogError> = self.0.document(KEY);
        kept.map(|kept| kept.map(|kept| kept.head))
            .map_err(|error| error.to_string())
    }

    fn keep(&self, head: &SignedHead) -> Result<(), String> {
        let record = AnchorRecord { head: head.clone() };
        self.0
            .put_document(&record)
            .map_err(|error| error.to_string())
    }
}
