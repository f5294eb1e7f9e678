//! What must not be lost with the log's files, kept apart from them.
//!
//! The files alone cannot show that their end is missing, and a disk that takes no entries takes no
//! entry about that either. The catalog remembers the newest head and the entries that are missing,
//! so a start finds both. Its pages are allocated, so it can often be written on a full disk.

use super::gap::KeptGap;
use crate::catalog::{Catalog, CatalogError, Document};
use bcdr_audit::SignedHead;
use serde::{Deserialize, Serialize};
use std::{fmt::Debug, sync::Arc};

/// Where it is kept.
pub(crate) trait Anchor: Debug + Send + Sync {
    /// The head that was kept last. Blocks.
    ///
    /// # Errors
    /// Says why it cannot be read.
    fn newest(&self) -> Result<Option<SignedHead>, String>;

    /// Keeps a newer one; durable on return. Blocks.
    ///
    /// # Errors
    /// Says why not.
    fn keep(&self, head: &SignedHead) -> Result<(), String>;

    /// The entries that are missing and that the log does not tell of yet. Blocks.
    ///
    /// # Errors
    /// Says why it cannot be read.
    fn gap(&self) -> Result<Option<KeptGap>, String>;

    /// Keeps them, or that there are none; durable on return. Blocks.
    ///
    /// # Errors
    /// Says why not.
    fn keep_gap(&self, gap: Option<&KeptGap>) -> Result<(), String>;
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

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GapRecord {
    gap: KeptGap,
}

const GAP_KEY: &str = "open";

impl Document for GapRecord {
    const COLLECTION: &'static str = "audit_gap";

    fn key(&self) -> String {
        GAP_KEY.to_owned()
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

    fn gap(&self) -> Result<Option<KeptGap>, String> {
        let kept: Result<Option<GapRecord>, CatalogError> = self.0.document(GAP_KEY);
        kept.map(|kept| kept.map(|kept| kept.gap))
            .map_err(|error| error.to_string())
    }

    fn keep_gap(&self, gap: Option<&KeptGap>) -> Result<(), String> {
        let kept = match gap {
            Some(gap) => self.0.put_document(&GapRecord { gap: gap.clone() }),
            None => self.0.remove_document::<GapRecord>(GAP_KEY).map(drop),
        };
        kept.map_err(|error| error.to_string())
    }
}
