//! Changes of who may use the API, each whole or not at all.
//!
//! Owns the one way in which documents and table change together. Invariants: one change is made at a
//! time, from its decision to the table; once it is being written it comes to its end, also when
//! whoever asked has left meanwhile. Otherwise a token could be gone from the catalog and be let
//! through by the table until the next start.

use super::{Access, SessionRecord, UserRecord, lock, session_key, setup::setup_key, table::Table};
use crate::{
    catalog::{CatalogError, DocumentKey, DocumentRow, TokenRecord},
    offload::offload,
    record_id::UserId,
};
use bcdr_http::TokenHash;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// The right to decide and make one change.
pub(super) type Turn = OwnedMutexGuard<()>;

/// A part of a change.
#[derive(Debug)]
pub(super) enum Edit {
    /// A user is there, in place of the former record.
    User(UserRecord),
    /// A user is gone.
    NoUser(UserId),
    /// A token is there.
    Token(TokenHash, TokenRecord),
    /// A token is gone; the record is the one that was there.
    NoToken(TokenHash, TokenRecord),
    /// A session has begun.
    Session(SessionRecord),
    /// A session was used, as its record says.
    Used(SessionRecord),
    /// A session is over.
    NoSession(TokenHash),
    /// There is an administrator: the setup secret is of no use any more.
    SetUp,
}

impl Edit {
    /// What of it is durable.
    fn write(&self, put: &mut Vec<DocumentRow>, removed: &mut Vec<DocumentKey>) {
        match self {
            Self::User(user) => put.push(DocumentRow::of(user)),
            Self::NoUser(id) => removed.push(DocumentKey::of::<UserRecord>(&id.to_string())),
            Self::Token(_, record) => put.push(DocumentRow::of(record)),
            Self::NoToken(_, record) => removed.push(DocumentKey::of::<TokenRecord>(&record.hash)),
            Self::Session(record) | Self::Used(record) => put.push(DocumentRow::of(record)),
            Self::NoSession(hash) => removed.push(session_key(*hash)),
            Self::SetUp => removed.push(setup_key()),
        }
    }

    fn take_in(self, table: &mut Table) {
        match self {
            Self::User(user) => {
                table.users.insert(user.id, user);
            }
            Self::NoUser(id) => {
                table.users.remove(&id);
            }
            Self::Token(hash, record) => {
                table.tokens.insert(hash, record);
            }
            Self::NoToken(hash, _) => {
                table.tokens.remove(&hash);
            }
            Self::Session(record) => table.insert_session(record),
            Self::Used(record) => table.note_kept(&record),
            Self::NoSession(hash) => {
                table.sessions.remove(&hash);
            }
            Self::SetUp => {}
        }
    }
}

impl Access {
    /// Waits until no other change is being made.
    pub(super) async fn turn(&self) -> Turn {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// Makes a change, its parts in this order; durable and in the table on return.
    ///
    /// # Errors
    /// When the catalog cannot be written; then nothing changed.
    pub(super) async fn make(&self, turn: Turn, edits: Vec<Edit>) -> Result<(), CatalogError> {
        let (catalog, table) = (Arc::clone(&self.catalog), Arc::clone(&self.table));
        // Everything from here on is on a thread that nobody's leaving ends.
        offload(move || {
            let (mut put, mut removed) = (Vec::new(), Vec::new());
            for edit in &edits {
                edit.write(&mut put, &mut removed);
            }
            catalog.exchange_documents(&put, &removed)?;
            let mut table = lock(&table);
            for edit in edits {
                edit.take_in(&mut table);
            }
            drop(turn);
            Ok(())
        })
        .await
    }
}
