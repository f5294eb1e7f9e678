//! Users and their changes.

use super::{Access, AccessError, PasswordText, UserRecord, change::Edit};
use crate::{clock, record_id::UserId};
use bcdr_format::Timestamp;
use bcdr_http::Role;

const USERS_MAX: usize = 1000;
pub(crate) const NAME_BYTES_MAX: usize = 64;

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
        let turn = self.turn().await;
        self.free_name(&name)?;
        let password = self.passwords.hash(wanted.password).await?;
        let user = UserRecord::new(name, wanted.role, password, clock::wall())?;
        let mut edits = vec![Edit::User(user.clone())];
        if user.role == Role::Admin {
            edits.push(Edit::SetUp);
        }
        self.make(turn, edits).await?;
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
        let turn = self.turn().await;
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
        let mut edits = self.ended_sessions_of(user.id);
        edits.push(Edit::User(user.clone()));
        if administers {
            edits.push(Edit::SetUp);
        }
        self.make(turn, edits).await?;
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
        let turn = self.turn().await;
        // The user may have been changed while the password was hashed.
        let user = self.user_as(&user.id.to_string(), expected)?;
        let (user, edits) = self.with_password(user.id, hashed, clock::wall())?;
        self.make(turn, edits).await?;
        Ok(user)
    }

    /// The user with another password, and what follows from it. The caller has the turn.
    pub(super) fn with_password(
        &self,
        id: UserId,
        hashed: String,
        now: Timestamp,
    ) -> Result<(UserRecord, Vec<Edit>), AccessError> {
        let mut user = self.user(&id.to_string())?;
        user.password = hashed;
        user.password_set_at = now;
        let mut edits = self.ended_sessions_of(id);
        edits.push(Edit::User(user.clone()));
        Ok((user, edits))
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
        let turn = self.turn().await;
        let user = self.user_as(id_or_name, expected)?;
        if self.table().is_last_admin(user.id) {
            return Err(AccessError::LastAdmin(user.name));
        }
        let mut edits = self.ended_sessions_of(user.id);
        edits.push(Edit::NoUser(user.id));
        Ok(self.make(turn, edits).await?)
    }

    /// The end of all sessions of a user.
    fn ended_sessions_of(&self, user: UserId) -> Vec<Edit> {
        let table = self.table();
        let records = table.sessions.values().map(|held| &held.record);
        let of_user = records.filter(|record| record.user == user);
        of_user.map(|record| Edit::NoSession(record.hash)).collect()
    }
}
