//! The table that requests are looked up in. No I/O.

use super::{AccessError, SessionRecord, UserRecord, expiry, sign_in::principal_of, token_id};
use crate::{catalog::TokenRecord, record_id::UserId};
use bcdr_format::Timestamp;
use bcdr_http::{Principal, PrincipalKind, Role, TokenHash};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A session, and the last use that its document knows of.
#[derive(Debug)]
pub(super) struct HeldSession {
    pub(super) record: SessionRecord,
    kept_used_at: Timestamp,
}

/// Users, tokens and sessions.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) users: BTreeMap<UserId, UserRecord>,
    pub(super) tokens: HashMap<TokenHash, TokenRecord>,
    pub(super) sessions: HashMap<TokenHash, HeldSession>,
}

impl Table {
    pub(super) fn insert_token(&mut self, record: TokenRecord) -> Result<(), AccessError> {
        let hash = record.hash.parse().map_err(|source| AccessError::Stored {
            name: record.name.clone(),
            source,
        })?;
        self.tokens.insert(hash, record);
        Ok(())
    }

    pub(super) fn insert_session(&mut self, record: SessionRecord) {
        let held = HeldSession {
            kept_used_at: record.used_at,
            record,
        };
        self.sessions.insert(held.record.hash, held);
    }

    /// The user with this name.
    pub(super) fn named(&self, name: &str) -> Option<&UserRecord> {
        self.users.values().find(|user| user.name == name)
    }

    /// The user with this id or name.
    pub(super) fn user(&self, id_or_name: &str) -> Option<&UserRecord> {
        match id_or_name.parse() {
            Ok(id) => self.users.get(&id),
            Err(_) => self.named(&id_or_name.to_lowercase()),
        }
    }

    /// Whether nobody but this user could administer.
    pub(super) fn is_last_admin(&self, user: UserId) -> bool {
        let administers = |one: &UserRecord| one.role == Role::Admin && !one.disabled;
        self.users.get(&user).is_some_and(administers)
            && !self
                .users
                .values()
                .any(|one| one.id != user && administers(one))
    }

    pub(super) fn of_token(&self, hash: &TokenHash) -> Option<Principal> {
        let record = self.tokens.get(hash)?;
        Some(Principal {
            kind: PrincipalKind::Token,
            id: token_id(record).to_string(),
            name: record.name.clone(),
            role: record.role,
            expires: record.expires_at.map(instant),
            bounds: record
                .groups
                .as_ref()
                .map(|groups| Arc::new(groups.iter().map(ToString::to_string).collect())),
        })
    }

    /// The principal of a session that has not ended, which is used now.
    pub(super) fn use_session(&mut self, hash: &TokenHash, now: Timestamp) -> Option<Principal> {
        let held = self.sessions.get_mut(hash)?;
        let record = &mut held.record;
        let user = self.users.get(&record.user)?;
        if user.disabled || expiry::has_ended(record.created_at, record.used_at, now) {
            return None;
        }
        record.used_at = record.used_at.max(now);
        Some(principal_of(user, expiry::ends_at(record.created_at)))
    }

    /// Whether a principal would be let through now as it was; asking is no use of its session.
    pub(super) fn still_is(
        &self,
        principal: &Principal,
        session: Option<&TokenHash>,
        now: Timestamp,
    ) -> bool {
        match session {
            Some(hash) => self.sessions.get(hash).is_some_and(|held| {
                let record = &held.record;
                let user = self.users.get(&record.user);
                user.is_some_and(|user| !user.disabled && user.role == principal.role)
                    && !expiry::has_ended(record.created_at, record.used_at, now)
            }),
            None => self.tokens.values().any(|record| {
                record.role == principal.role
                    && record.expires_at.is_none_or(|ends| ends > now)
                    && token_id(record).to_string() == principal.id
            }),
        }
    }

    pub(super) fn owner_of(&self, hash: &TokenHash) -> Option<UserRecord> {
        let held = self.sessions.get(hash)?;
        self.users.get(&held.record.user).cloned()
    }

    /// The sessions that make room, so that at most `left` of a user stay: those used longest ago.
    pub(super) fn oldest_sessions_beyond(&self, user: UserId, left: usize) -> Vec<TokenHash> {
        let of_user = self.sessions.values().map(|held| &held.record);
        let mut of_user: Vec<_> = of_user.filter(|record| record.user == user).collect();
        of_user.sort_by_key(|record| record.used_at);
        let beyond = of_user.len().saturating_sub(left);
        of_user[..beyond].iter().map(|record| record.hash).collect()
    }

    /// The sessions that have ended by now, or whose user is gone.
    pub(super) fn ended_sessions(&self, now: Timestamp) -> Vec<TokenHash> {
        let ended = |record: &&SessionRecord| {
            !self.users.contains_key(&record.user)
                || expiry::has_ended(record.created_at, record.used_at, now)
        };
        let records = self.sessions.values().map(|held| &held.record);
        records.filter(ended).map(|record| record.hash).collect()
    }

    /// The sessions that were used since that was made durable.
    pub(super) fn used_sessions(&self) -> Vec<SessionRecord> {
        let used = |held: &&HeldSession| held.record.used_at > held.kept_used_at;
        let held = self.sessions.values().filter(used);
        held.map(|held| held.record.clone()).collect()
    }

    /// Notes what was made durable of one of [`Self::used_sessions`].
    pub(super) fn note_kept(&mut self, kept: &SessionRecord) {
        if let Some(held) = self.sessions.get_mut(&kept.hash) {
            held.kept_used_at = kept.used_at;
        }
    }
}

pub(super) fn instant(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at.0).unwrap_or(0))
}
