//! The API's tokens: kept in the catalog as hashes, looked up from memory.

use crate::catalog::{Catalog, CatalogError, TokenRecord};
use bcdr_format::Timestamp;
use bcdr_http::{Authenticator, LookupError, Principal, Role, Token, TokenHash, TokenHashError};
use std::{
    collections::HashMap,
    time::{Duration, UNIX_EPOCH},
};

const PAGE: usize = 256;

/// Why tokens cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("cannot make a token: the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// A stored hash is no hash.
    #[error("the token {name:?} is stored in a form that cannot be read: {source}; issue another")]
    Stored {
        /// What the token is for.
        name: String,
        /// The cause.
        #[source]
        source: TokenHashError,
    },
}

/// The tokens of a catalog, as they were when it was opened.
#[derive(Debug)]
pub(crate) struct Tokens(HashMap<TokenHash, Principal>);

impl Tokens {
    /// Reads all tokens. Blocks.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub(crate) fn load(catalog: &Catalog) -> Result<Self, TokensError> {
        let mut tokens = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page: Vec<TokenRecord> = catalog.documents(after.as_deref(), PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.hash.clone());
            for record in page {
                let hash = record.hash.parse().map_err(|source| TokensError::Stored {
                    name: record.name.clone(),
                    source,
                })?;
                tokens.insert(hash, principal(record));
            }
        }
        Ok(Self(tokens))
    }
}

fn principal(record: TokenRecord) -> Principal {
    let instant =
        |at: Timestamp| UNIX_EPOCH + Duration::from_micros(u64::try_from(at.0).unwrap_or(0));
    Principal {
        name: record.name,
        role: record.role,
        expires: record.expires_at.map(instant),
    }
}

impl Authenticator for Tokens {
    fn principal(&self, token: &TokenHash) -> Result<Option<Principal>, LookupError> {
        Ok(self.0.get(token).cloned())
    }
}

/// Makes a token and stores its hash; durable on return. The token itself is nowhere kept. Blocks.
///
/// # Errors
/// When the catalog cannot be written.
pub(crate) fn issue(
    catalog: &Catalog,
    name: &str,
    role: Role,
    now: Timestamp,
) -> Result<Token, TokensError> {
    let token = Token::generate()?;
    catalog.put_document(&TokenRecord {
        hash: token.hash().to_string(),
        name: name.to_owned(),
        role,
        created_at: now,
        expires_at: None,
    })?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_disk::RealStorage;
    use std::time::SystemTime;

    #[test]
    fn an_issued_token_is_found_by_its_hash_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.redb");
        let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
        let token = issue(&catalog, "first", Role::Viewer, Timestamp(5)).unwrap();
        let tokens = Tokens::load(&catalog).unwrap();
        let principal = tokens.principal(&token.hash()).unwrap().unwrap();
        assert_eq!(
            (principal.name.as_str(), principal.role),
            ("first", Role::Viewer)
        );
        assert!(!principal.is_expired(SystemTime::now()));
        let other = Token::generate().unwrap();
        assert!(tokens.principal(&other.hash()).unwrap().is_none());
        let stored: Vec<TokenRecord> = catalog.documents(None, 10).unwrap();
        assert!(!format!("{stored:?}").contains(token.expose()));
    }
}
