//! Users and their changes.

use super::{
    Access, AccessError, PasswordText, UserRecord, session_key, setup::setup_key,
    sign_in::sessions_of,
};
use crate::{
    catalog::{DocumentKey, DocumentRow},
    clock,
    record_id::UserId,
};
use bcdr_format::Timestamp;
use bcdr_http::{Role, TokenHash};

const USERS_MAX: usize = 1000;
const NAME_BYTES_MAX: usize = 64;

/// A user to be made.
#[derive(Debug)]
pub(crate) struct NewUser {
    /// The name.
    pub(crate) name: String,
    /// What the user may do.
    pub(crate) role: Role,
    /// The password.
    pub(crate) password: PasswordText,
}

/// What is to be changed of a user.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct UserChange {
    /// Another role.
    pub(crate) role: Option<Role>,
    /// Whether signing in is refused.
    pub(crate) disabled: Option<bool>,
}

impl UserRecord {
    pub(super) fn new(
        name: String,
        role: Role,
        password: String,
        now: Timestamp,
    ) -> Result<Self, AccessError> {
        Ok(Self {
            id: UserId::generate(now)?,
            name,
            role,
            password,
            disabled: false,
            created_at: now,
            password_set_at: now,
        })
    }
}

/// A name as it is kept: names that differ only in case would be mistaken for each other.
pub(super) fn name(text: &str) -> Result<String, AccessError> {
    let name = text.trim().to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let good = name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(plain)
        && name
            .bytes()
            .all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-' | b'@'))
        // An id would never be found as a name.
        && name.parse::<UserId>().is_err();
    good.then_some(name)
        .ok_or_else(|| AccessError::Name(text.chars().take(NAME_BYTES_MAX).collect()))
}

impl Access {
    /// All users, by name.
    pub(crate) fn users(&self) -> Vec<UserRecord> {
        let mut all: Vec<_> = self.table().users.values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The user with this id or name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn user(&self, id_or_name: &str) -> Result<UserRecord, AccessError> {
        let found = self.table().user(id_or_name).cloned();
        found.ok_or_else(|| AccessError::NoUser(id_or_name.to_owned()))
    }

    /// The same, if it is as whoever wants to change it expects.
    fn user_as(
        &self,
        id_or_name: &str,
        expected: impl Fn(&UserRecord) -> bool,
    ) -> Result<UserRecord, AccessError> {
        let user = self.user(id_or_name)?;
        if expected(&user) {
            Ok(user)
        } else {
            Err(AccessError::ChangedMeanwhile(user.name))
        }
    }

    pub(super) fn free_name(&self, name: &str) -> Result<(), AccessError> {
        let table = self.table();
        if table.users.len() >= USERS_MAX {
            return Err(AccessError::TooMany(USERS_MAX, "users"));
        }
        match table.named(name) {
            Some(_) => Err(AccessError::NameTaken(name.to_owned())),
            None => Ok(()),
        }
    }

    /// Makes a user.
    ///
    /// # Errors
    /// When name or password cannot be used, or the catalog cannot be written.
    pub(crate) async fn create_user(&self, wanted: NewUser) -> Result<UserRecord, AccessError> {
        let name = name(&wanted.name)?;
        wanted.password.check(&name)?;
        let _one = self.changing.lock().await;
        self.free_name(&name)?;
        let password = self.passwords.hash(wanted.password).await?;
        let user = UserRecord::new(name, wanted.role, password, clock::wall())?;
        let used_up = match user.role {
            Role::Admin => vec![setup_key()],
            _ => Vec::new(),
        };
        self.keep(vec![DocumentRow::of(&user)], used_up).await?;
        self.table().users.insert(user.id, user.clone());
        Ok(user)
    }

    /// Changes a user. Another role, and being disabled, end the user's sessions.
    ///
    /// # Errors
    /// When there is no such user, the user is not as expected, or nobody could administer any more.
    pub(crate) async fn change_user(
        &self,
        id_or_name: &str,
        change: UserChange,
        expected: impl Fn(&UserRecord) -> bool + Send,
    ) -> Result<UserRecord, AccessError> {
        let _one = self.changing.lock().await;
        let before = self.user_as(id_or_name, expected)?;
        let mut user = before.clone();
        user.role = change.role.unwrap_or(user.role);
        user.disabled = change.disabled.unwrap_or(user.disabled);
        if user == before {
            return Ok(user);
        }
        let administers = user.role == Role::Admin && !user.disabled;
        if !administers && self.table().is_last_admin(user.id) {
            return Err(AccessError::LastAdmin(user.name));
        }
        let mut removed = Vec::new();
        if administers {
            removed.push(setup_key());
        }
        let ended = sessions_of(self, user.id);
        self.replace(&user, ended, removed).await?;
        Ok(user)
    }

    /// Sets a user's password; the user's sessions end.
    ///
    /// # Errors
    /// When there is no such user, or the password cannot be used.
    pub(crate) async fn set_password(
        &self,
        id_or_name: &str,
        password: PasswordText,
        expected: impl Fn(&UserRecord) -> bool + Send,
    ) -> Result<UserRecord, AccessError> {
        let user = self.user_as(id_or_name, &expected)?;
        password.check(&user.name)?;
        let hashed = self.passwords.hash(password).await?;
        let _one = self.changing.lock().await;
        // The user may have been changed while the password was hashed.
        let user = self.user_as(&user.id.to_string(), expected)?;
        self.store_password(user.id, hashed, clock::wall()).await
    }

    /// The caller holds `changing`.
    pub(super) async fn store_password(
        &self,
        id: UserId,
        hashed: String,
        now: Timestamp,
    ) -> Result<UserRecord, AccessError> {
        let mut user = self.user(&id.to_string())?;
        user.password = hashed;
        user.password_set_at = now;
        let ended = sessions_of(self, id);
        self.replace(&user, ended, Vec::new()).await?;
        Ok(user)
    }

    /// Removes a user for good.
    ///
    /// # Errors
    /// When there is no such user, or nobody could administer any more.
    pub(crate) async fn remove_user(
        &self,
        id_or_name: &str,
        expected: impl Fn(&UserRecord) -> bool + Send,
    ) -> Result<(), AccessError> {
        let _one = self.changing.lock().await;
        let user = self.user_as(id_or_name, expected)?;
        if self.table().is_last_admin(user.id) {
            return Err(AccessError::LastAdmin(user.name));
        }
        let ended = sessions_of(self, user.id);
        let mut removed: Vec<_> = ended.iter().map(|hash| session_key(*hash)).collect();
        removed.push(DocumentKey::of::<UserRecord>(&user.id.to_string()));
        self.keep(Vec::new(), removed).await?;
        let mut table = self.table();
        table.users.remove(&user.id);
        for hash in ended {
            table.sessions.remove(&hash);
        }
        Ok(())
    }

    /// Puts a user's record in the place of the former one and ends sessions, all in one transaction.
    async fn replace(
        &self,
        user: &UserRecord,
        ended: Vec<TokenHash>,
        mut removed: Vec<DocumentKey>,
    ) -> Result<(), AccessError> {
        removed.extend(ended.iter().map(|hash| session_key(*hash)));
        self.keep(vec![DocumentRow::of(user)], removed).await?;
        let mut table = self.table();
        table.users.insert(user.id, user.clone());
        for hash in ended {
            table.sessions.remove(&hash);
        }
        Ok(())
    }
}
