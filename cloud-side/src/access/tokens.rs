//! Tokens for programs.

use super::{Access, AccessError, change::Edit, each};
use crate::{
    catalog::{Catalog, TokenRecord},
    clock,
    record_id::TokenId,
};
use bcdr_format::{GroupId, Timestamp};
use bcdr_http::{Role, Token};
use std::collections::BTreeSet;

const TOKENS_MAX: usize = 1000;
pub(crate) const NAME_CHARACTERS_MAX: usize = 128;

/// A token to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewToken {
    /// What it is for.
    pub(crate) name: String,
    /// What it allows.
    pub(crate) role: Role,
    /// When it ends; none for one that is revoked by hand.
    pub(crate) expires_at: Option<Timestamp>,
    /// The groups that it is for; none for one that is for the whole installation.
    pub(crate) groups: Option<BTreeSet<GroupId>>,
}

/// The id of a token: it follows from what is stored of it, so tokens of older catalogs have one too,
/// and says nothing of use about the secret, which has 256 random bits.
pub(crate) fn token_id(record: &TokenRecord) -> TokenId {
    let digits = record.hash.get(..32).unwrap_or_default();
    let bits = u128::from_str_radix(digits, 16).unwrap_or(0);
    TokenId::of(record.created_at, bits)
}

/// Makes a token and stores its hash; durable on return. The token itself is nowhere kept. Blocks.
/// For who has the catalog to itself: a running cloud side is asked through [`Access`].
///
/// # Errors
/// When the catalog cannot be written.
pub(crate) fn issue(
    catalog: &Catalog,
    name: &str,
    role: Role,
    now: Timestamp,
) -> Result<Token, AccessError> {
    let wanted = NewToken {
        name: name.to_owned(),
        role,
        expires_at: None,
        groups: None,
    };
    let mut count = 0;
    each(catalog, |_: TokenRecord| {
        count += 1;
        Ok(())
    })?;
    let (token, record) = make(wanted, count, now)?;
    catalog.put_document(&record)?;
    Ok(token)
}

fn make(
    wanted: NewToken,
    count: usize,
    now: Timestamp,
) -> Result<(Token, TokenRecord), AccessError> {
    let name = wanted.name.trim();
    let length = name.chars().count();
    if !(1..=NAME_CHARACTERS_MAX).contains(&length) || name.chars().any(char::is_control) {
        return Err(AccessError::TokenName);
    }
    if wanted.expires_at.is_some_and(|ends| ends <= now) {
        return Err(AccessError::EndsBefore);
    }
    if wanted.groups.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err(AccessError::ForNoGroup);
    }
    if count >= TOKENS_MAX {
        return Err(AccessError::TooMany(TOKENS_MAX, "tokens"));
    }
    let token = Token::generate()?;
    let record = TokenRecord {
        hash: token.hash().to_string(),
        name: name.to_owned(),
        role: wanted.role,
        created_at: now,
        expires_at: wanted.expires_at,
        groups: wanted.groups,
    };
    Ok((token, record))
}

impl Access {
    /// All tokens, oldest first.
    pub(crate) fn tokens(&self) -> Vec<TokenRecord> {
        let mut all: Vec<_> = self.table().tokens.values().cloned().collect();
        all.sort_by_key(token_id);
        all
    }

    /// Makes a token; it is known when this returns, and durable.
    ///
    /// # Errors
    /// When name or end cannot be used, or the catalog cannot be written.
    pub(crate) async fn create_token(
        &self,
        wanted: NewToken,
    ) -> Result<(Token, TokenRecord), AccessError> {
        let turn = self.turn().await;
        let count = self.table().tokens.len();
        let (token, record) = make(wanted, count, clock::wall())?;
        let made = Edit::Token(token.hash(), record.clone());
        self.make(turn, vec![made]).await?;
        Ok((token, record))
    }

    /// Revokes a token; no request with it is let through once this returns.
    ///
    /// # Errors
    /// When there is none, or the catalog cannot be written.
    pub(crate) async fn revoke_token(&self, id: &str) -> Result<(), AccessError> {
        let turn = self.turn().await;
        let found = {
            let table = self.table();
            let mut tokens = table.tokens.iter();
            tokens
                .find(|(_, record)| token_id(record).to_string() == id)
                .map(|(hash, record)| Edit::NoToken(*hash, record.clone()))
        };
        let gone = found.ok_or_else(|| AccessError::NoToken(id.to_owned()))?;
        Ok(self.make(turn, vec![gone]).await?)
    }
}
