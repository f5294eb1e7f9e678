//! Who may use the API: users, tokens and sessions.
//!
//! Owns the table that every request is looked up in, and the documents behind it. Invariants: a change
//! is in the catalog before it is in the table, and in the table before it is answered, so that it
//! holds at once and over a restart; one change is made at a time; there is always an enabled
//! administrator once there was one. Secrets are kept as hashes only. Which permission an operation
//! needs, and what cookies look like, is not decided here.

mod change;
mod error;
mod expiry;
mod password;
mod records;
mod setup;
mod sign_in;
mod table;
mod tokens;
mod users;

pub use error::AccessError;
pub(crate) use password::{PASSWORD_CHARACTERS, PasswordText};
pub(crate) use records::{SessionRecord, UserRecord};
pub(crate) use setup::new_setup;
pub(crate) use sign_in::SignedIn;
pub(crate) use tokens::{
    NAME_CHARACTERS_MAX as TOKEN_NAME_CHARACTERS_MAX, NewToken, issue, token_id,
};
pub(crate) use users::{NAME_BYTES_MAX as USER_NAME_BYTES_MAX, NewUser, UserChange};

use crate::{
    catalog::{Catalog, CatalogError, Document, DocumentKey, TokenRecord},
    clock,
};
use bcdr_format::Timestamp;
use bcdr_http::{Authenticator, LookupError, Principal, TokenHash};
use change::Edit;
use password::Passwords;
use sign_in::Attempts;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use table::Table;
use tokio_util::sync::CancellationToken;

const PAGE: usize = 256;
/// How often the last use of sessions is made durable, and ended ones are removed.
const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// Users, tokens and sessions, and the only way to change them.
#[derive(Debug)]
pub(crate) struct Access {
    catalog: Arc<Catalog>,
    table: Arc<Mutex<Table>>,
    /// Held while a change is decided, made durable and taken into the table.
    changing: Arc<tokio::sync::Mutex<()>>,
    passwords: Passwords,
    attempts: Mutex<Attempts>,
}

impl Access {
    /// Reads what is kept. Blocks.
    ///
    /// # Errors
    /// When the catalog cannot be read, or the system gives no randomness.
    pub(crate) fn load(catalog: Arc<Catalog>) -> Result<Self, AccessError> {
        let mut table = Table::default();
        each(&catalog, |user: UserRecord| {
            table.users.insert(user.id, user);
            Ok(())
        })?;
        each(&catalog, |token: TokenRecord| table.insert_token(token))?;
        each(&catalog, |session: SessionRecord| {
            table.insert_session(session);
            Ok(())
        })?;
        Ok(Self {
            catalog,
            table: Arc::new(Mutex::new(table)),
            changing: Arc::default(),
            passwords: Passwords::new()?,
            attempts: Mutex::default(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a principal would be let through now as it was: its token was not revoked, its session
    /// has not ended. For what goes on after its request was let through; it is no use of the session.
    pub(crate) fn still_is(&self, principal: &Principal, session: Option<&TokenHash>) -> bool {
        self.table().still_is(principal, session, clock::wall())
    }

    /// Keeps the documents of sessions up with the table, until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let ending = tokio::select! {
                () = shutdown.cancelled() => true,
                () = tokio::time::sleep(SETTLE_EVERY) => false,
            };
            if let Err(error) = self.settle(clock::wall()).await {
                tracing::error!(%error, "sessions are not kept up to date; it is tried again");
            }
            if ending {
                return;
            }
        }
    }

    /// Removes sessions that have ended, and makes the last use of the others durable.
    async fn settle(&self, now: Timestamp) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        let edits: Vec<_> = {
            let table = self.table();
            let used = table.used_sessions().into_iter().map(Edit::Used);
            let ended = table.ended_sessions(now).into_iter();
            used.chain(ended.map(Edit::NoSession)).collect()
        };
        if edits.is_empty() {
            return Ok(());
        }
        self.make(turn, edits).await
    }
}

impl Authenticator for Access {
    fn principal(&self, token: &TokenHash) -> Result<Option<Principal>, LookupError> {
        Ok(self.table().of_token(token))
    }

    fn session(&self, session: &TokenHash) -> Result<Option<Principal>, LookupError> {
        Ok(self.table().use_session(session, clock::wall()))
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    // Each change of the table is one step that leaves it whole.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn session_key(hash: TokenHash) -> DocumentKey {
    DocumentKey::of::<SessionRecord>(&hash.to_string())
}

/// Reads all documents of a kind, page by page. Blocks.
fn each<Kind: Document>(
    catalog: &Catalog,
    mut take: impl FnMut(Kind) -> Result<(), AccessError>,
) -> Result<(), AccessError> {
    let mut after: Option<String> = None;
    loop {
        let page: Vec<Kind> = catalog.documents(after.as_deref(), PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.key());
        for document in page {
            take(document)?;
        }
    }
}

#[cfg(test)]
mod tests;
