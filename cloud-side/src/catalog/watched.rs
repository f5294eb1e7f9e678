//! Telling somebody which documents changed.
//!
//! Invariant: a change is told after the transaction that made it, so whoever is told and reads again
//! finds it; what is never written is never told. Changes of one document are told in their order, as
//! long as whoever writes it waits for one write before the next.

use super::{Catalog, Document, documents::full_key};
use crate::events::News;

/// Who is told. Called by whoever writes, so it must not wait for anything.
pub(crate) trait DocumentWatch: std::fmt::Debug + Send + Sync {
    /// What there will be to tell of a document that is being written or removed. It is read before the
    /// transaction ends, so that nothing lies between its end and what whoever writes does next.
    fn news(&self, document: &ChangedDocument<'_>) -> Option<News>;

    /// It was written, or removed.
    fn tell(&self, news: News);
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

    /// What there is to tell once these are written.
    pub(super) fn news<'a>(&self, changes: impl Iterator<Item = ChangedDocument<'a>>) -> Vec<News> {
        let watch = self.watch.get();
        let news = watch.map(|watch| changes.filter_map(|change| watch.news(&change)).collect());
        news.unwrap_or_default()
    }

    /// Tells it.
    pub(super) fn tell(&self, news: Vec<News>) {
        if let Some(watch) = self.watch.get() {
            news.into_iter().for_each(|news| watch.tell(news));
        }
    }
}
