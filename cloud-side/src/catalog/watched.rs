//! Telling somebody which documents changed.
//!
//! Invariant: a change is told after the transaction that made it, so whoever is told and reads again
//! finds it; what is never written is never told. Changes of one document are told in their order, as
//! long as whoever writes it waits for one write before the next.

use super::{Catalog, Document, documents::full_key};

/// Who is told. Called by whoever writes, so it must not wait for anything.
pub(crate) trait DocumentWatch: std::fmt::Debug + Send + Sync {
    /// A document was written, or removed.
    fn changed(&self, document: &ChangedDocument<'_>);
}

/// A document that was written or removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChangedDocument<'a> {
    key: &'a [u8],
    row: &'a [u8],
    /// Whether it is there no more; its row is the last it had.
    pub(crate) is_removed: bool,
}

impl<'a> ChangedDocument<'a> {
    pub(super) fn written(key: &'a [u8], row: &'a [u8]) -> Self {
        Self {
            key,
            row,
            is_removed: false,
        }
    }

    pub(super) fn removed(key: &'a [u8], row: &'a [u8]) -> Self {
        Self {
            key,
            row,
            is_removed: true,
        }
    }

    /// The name of its collection.
    pub(crate) fn collection(&self) -> &'a str {
        let end = self.key.iter().position(|byte| *byte == b'/');
        let name = self.key.get(..end.unwrap_or(0)).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// What it holds; none when it is of another kind.
    pub(crate) fn read<Kind: Document>(&self) -> Option<Kind> {
        if !self.key.starts_with(&full_key::<Kind>("")) {
            return None;
        }
        serde_json::from_slice(self.row)
            .inspect_err(|error| {
                let collection = Kind::COLLECTION;
                tracing::error!(collection, %error, "a document that was just written cannot be read");
            })
            .ok()
    }
}

impl Catalog {
    /// Has `watch` told of every change from now on. The first that is named stays.
    pub(crate) fn watch_documents(&self, watch: std::sync::Arc<dyn DocumentWatch>) {
        if self.watch.set(watch).is_err() {
            tracing::error!("somebody is told of changes of documents already");
        }
    }

    pub(super) fn tell<'a>(&self, changes: impl Iterator<Item = ChangedDocument<'a>>) {
        if let Some(watch) = self.watch.get() {
            changes.for_each(|change| watch.changed(&change));
        }
    }
}
