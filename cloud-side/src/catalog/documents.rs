//! Documents: rows that only the catalog holds and that are read one at a time, such as views,
//! drills, jobs and tokens. Each kind is a type of its own; this module stores any of them.

use super::{Catalog, CatalogError, ChangedDocument, Commit, tables};
use crate::receive::{BatchNumber, Lineage, PointId};
use bcdr_format::{GroupId, Timestamp, VolumeId};
use redb::WriteTransaction;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

/// A kind of document.
pub trait Document: Serialize + DeserializeOwned {
    /// The name of its collection; lower case, without a slash.
    const COLLECTION: &'static str;

    /// Its key, unique in the collection. Lists are sorted by it.
    fn key(&self) -> String;
}

/// An open view of a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRecord {
    /// Its id, by which its socket is named, so that it reopens at the same address.
    pub id: String,
    /// The history it reads.
    pub lineage: Lineage,
    /// The batch it shows the end of.
    pub batch: BatchNumber,
    /// The point it shows.
    pub point: PointId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When its lease ends; none for a view that stays until it is closed.
    pub lease_until: Option<Timestamp>,
    /// The volumes it exports.
    pub volumes: Vec<VolumeId>,
}

impl Document for ViewRecord {
    const COLLECTION: &'static str = "views";

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// A token for the API, stored as its hash only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The hash of the token, as hexadecimal text.
    pub hash: String,
    /// What it is for.
    pub name: String,
    /// What its bearer may do.
    pub role: bcdr_http::Role,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends; none for one that is revoked by hand.
    pub expires_at: Option<Timestamp>,
    /// The groups that it is for; none for one that is for the whole installation.
    #[serde(default)]
    pub groups: Option<BTreeSet<GroupId>>,
}

impl Document for TokenRecord {
    const COLLECTION: &'static str = "tokens";

    fn key(&self) -> String {
        self.hash.clone()
    }
}

/// A document ready to be written together with other rows, all of them or none.
#[derive(Debug, Clone)]
pub struct DocumentRow {
    key: Vec<u8>,
    row: Vec<u8>,
}

impl DocumentRow {
    /// The row of a document.
    pub fn of<Kind: Document>(document: &Kind) -> Self {
        Self {
            key: full_key::<Kind>(&document.key()),
            row: tables::to_json(document),
        }
    }

    pub(super) fn put(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        tables::put(transaction, tables::DOCUMENTS, &self.key, &self.row)
    }

    pub(super) fn changed(&self) -> ChangedDocument<'_> {
        ChangedDocument::written(&self.key, &self.row)
    }
}

/// The key of a document that is to be removed together with other changes.
#[derive(Debug, Clone)]
pub struct DocumentKey(Vec<u8>);

impl DocumentKey {
    /// The key of the document of this kind that has it.
    pub fn of<Kind: Document>(key: &str) -> Self {
        Self(full_key::<Kind>(key))
    }
}

impl Catalog {
    /// Writes and removes documents in one transaction; durable on return. One that is to be removed
    /// need not be there.
    pub fn exchange_documents(
        &self,
        rows: &[DocumentRow],
        removed: &[DocumentKey],
    ) -> Result<(), CatalogError> {
        let news = self.write("exchange documents", Commit::Durable, |transaction| {
            let mut gone = Vec::new();
            for key in removed {
                let row = tables::take(transaction, tables::DOCUMENTS, &key.0)?;
                gone.extend(row.map(|row| (&key.0, row)));
            }
            rows.iter().try_for_each(|row| row.put(transaction))?;
            let gone = gone.iter();
            let gone = gone.map(|(key, row)| ChangedDocument::removed(key, row));
            Ok(self.news(gone.chain(rows.iter().map(DocumentRow::changed))))
        })?;
        self.tell(news);
        Ok(())
    }

    /// Writes documents in one transaction, replacing those with their keys; durable on return.
    pub fn put_documents(&self, rows: &[DocumentRow]) -> Result<(), CatalogError> {
        #[cfg(test)]
        self.refuse(rows)?;
        let news = self.news(rows.iter().map(DocumentRow::changed));
        self.write("write documents", Commit::Durable, |transaction| {
            rows.iter().try_for_each(|row| row.put(transaction))
        })?;
        self.tell(news);
        Ok(())
    }

    /// Refuses documents that say this, so many times, as a full disk would.
    #[cfg(test)]
    pub(crate) fn refuse_what_says(&self, text: &str, times: u32) {
        *self.refused.lock().unwrap() = (text.to_owned(), times);
    }

    #[cfg(test)]
    fn refuse(&self, rows: &[DocumentRow]) -> Result<(), CatalogError> {
        let mut refused = self.refused.lock().unwrap();
        let (text, times) = &mut *refused;
        let says = |row: &DocumentRow| String::from_utf8_lossy(&row.row).contains(text.as_str());
        if *times == 0 || !rows.iter().any(says) {
            return Ok(());
        }
        *times -= 1;
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(super::failed("write documents", redb::Error::Io(full)))
    }

    /// Writes a document, replacing the one with its key; durable on return.
    pub fn put_document<Kind: Document>(&self, document: &Kind) -> Result<(), CatalogError> {
        self.put_documents(&[DocumentRow::of(document)])
    }

    /// One document.
    pub fn document<Kind: Document>(&self, key: &str) -> Result<Option<Kind>, CatalogError> {
        let key = full_key::<Kind>(key);
        let row = self.read("read a document", |transaction| {
            tables::get(transaction, tables::DOCUMENTS, &key)
        })?;
        row.map(|row| tables::from_json(Kind::COLLECTION, &key, &row))
            .transpose()
    }

    /// Removes a document; durable on return. Says whether it was there.
    pub fn remove_document<Kind: Document>(&self, key: &str) -> Result<bool, CatalogError> {
        let key = full_key::<Kind>(key);
        let (was_there, news) =
            self.write("remove a document", Commit::Durable, |transaction| {
                let gone = tables::take(transaction, tables::DOCUMENTS, &key)?;
                let changes = gone.iter();
                let changes = changes.map(|row| ChangedDocument::removed(&key, row));
                Ok((gone.is_some(), self.news(changes)))
            })?;
        self.tell(news);
        Ok(was_there)
    }

    /// At most `limit` documents of a kind whose key is greater than `after`, sorted by key.
    pub fn documents<Kind: Document>(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Kind>, CatalogError> {
        let mut first = full_key::<Kind>(after.unwrap_or(""));
        if after.is_some() {
            first.push(0);
        }
        // The character after the slash ends the collection.
        let last = format!("{}0", Kind::COLLECTION).into_bytes();
        let rows = self.read("list documents", |transaction| {
            tables::some_in(transaction, tables::DOCUMENTS, first..=last, false, limit)
        })?;
        rows.iter()
            .map(|(key, row)| tables::from_json(Kind::COLLECTION, key, row))
            .collect()
    }
}

pub(super) fn full_key<Kind: Document>(key: &str) -> Vec<u8> {
    format!("{}/{key}", Kind::COLLECTION).into_bytes()
}
