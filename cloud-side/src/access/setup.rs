//! The first administrator, made with a secret that is used once.
//!
//! Invariant: the secret goes in the same transaction that brings an administrator, whoever made one,
//! so it never stands beside one.

use super::{Access, AccessError, PasswordText, UserRecord, change::Edit, records::SetupRecord};
use crate::{
    catalog::{Catalog, DocumentKey},
    clock,
    offload::offload,
};
use bcdr_http::{Role, Token};
use std::{net::IpAddr, sync::Arc};

/// Makes the secret of a new installation; its hash is durable on return. Blocks.
///
/// # Errors
/// When the catalog cannot be written.
pub(crate) fn new_setup(catalog: &Catalog) -> Result<Token, AccessError> {
    let secret = Token::generate()?;
    catalog.put_document(&SetupRecord {
        hash: secret.hash(),
    })?;
    Ok(secret)
}

/// The key of what goes when there is an administrator.
pub(super) fn setup_key() -> DocumentKey {
    DocumentKey::of::<SetupRecord>(SetupRecord::KEY)
}

impl Access {
    /// Whether the first administrator is still to be made with the secret.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub(crate) async fn awaits_setup(&self) -> Result<bool, AccessError> {
        let catalog = Arc::clone(&self.catalog);
        let kept: Option<SetupRecord> = offload(move || catalog.document(SetupRecord::KEY)).await?;
        Ok(kept.is_some())
    }

    /// Makes the first administrator.
    ///
    /// # Errors
    /// When the secret is not the one that is waited for, or the user cannot be made.
    pub(crate) async fn set_up(
        &self,
        secret: &str,
        name: &str,
        password: PasswordText,
        address: Option<IpAddr>,
    ) -> Result<UserRecord, AccessError> {
        self.attempts().begin_at(address)?;
        let name = super::users::name(name)?;
        password.check(&name)?;
        let turn = self.turn().await;
        let catalog = Arc::clone(&self.catalog);
        let kept: Option<SetupRecord> = offload(move || catalog.document(SetupRecord::KEY)).await?;
        let kept = kept.ok_or(AccessError::SetUp)?;
        let given = Token::parse(secret.trim()).ok_or(AccessError::WrongSecret)?;
        if given.hash() != kept.hash {
            return Err(AccessError::WrongSecret);
        }
        self.free_name(&name)?;
        let password = self.passwords.hash(password).await?;
        let user = UserRecord::new(name, Role::Admin, password, clock::wall())?;
        let edits = vec![Edit::User(user.clone()), Edit::SetUp];
        self.make(turn, edits).await?;
        self.attempts().forgive_at(address);
        tracing::info!(user = user.name, "the first administrator was made");
        Ok(user)
    }
}
