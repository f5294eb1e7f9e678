//! Signing in and out.
//!
//! Invariant: an attempt is counted as a failure before its password is looked at, so that attempts
//! at the same time are no more than attempts one after the other. Accounts are counted whether they
//! exist or not.

use super::{Access, AccessError, PasswordText, SessionRecord, UserRecord, change::Edit, expiry};
use crate::clock;
use bcdr_format::Timestamp;
use bcdr_http::{AddressBlock, FailureThrottle, Principal, Token, TokenHash};
use std::{net::IpAddr, time::Instant};

/// Sessions of one user at a time; the one that was used longest ago makes room.
const SESSIONS_PER_USER: usize = 10;

/// Failed attempts, by where they came from and by whom they claimed to be.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    addresses: FailureThrottle<AddressBlock>,
    /// By a digest of the name, so that long names take no more memory than short ones.
    accounts: FailureThrottle<[u8; 32]>,
}

impl Attempts {
    /// Counts an attempt from an address, or says how long it has to wait.
    pub(super) fn begin_at(&mut self, address: Option<IpAddr>) -> Result<(), AccessError> {
        self.begin(address, None, Instant::now())
    }

    /// Counts an attempt, or says how long it has to wait. One that has to wait counts nowhere: an
    /// address is not slowed down for an account that others guess at.
    fn begin(
        &mut self,
        address: Option<IpAddr>,
        account: Option<&[u8; 32]>,
        now: Instant,
    ) -> Result<(), AccessError> {
        let block = address.map(AddressBlock::from);
        let of_address = block.and_then(|block| self.addresses.wait(&block, now));
        let of_account = account.and_then(|account| self.accounts.wait(account, now));
        if let Some(wait) = of_address.max(of_account) {
            return Err(AccessError::Wait(wait));
        }
        if let Some(block) = block {
            self.addresses.failed(&block, now);
        }
        if let Some(account) = account {
            self.accounts.failed(account, now);
        }
        Ok(())
    }

    /// Takes an attempt back that was none at guessing. What others failed from there stays counted.
    pub(super) fn forgive_at(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.addresses.forgive(&address.into());
        }
    }

    fn succeeded(&mut self, account: &[u8; 32], address: Option<IpAddr>) {
        self.accounts.succeeded(account);
        self.forgive_at(address);
    }
}

/// A session that has just begun.
#[derive(Debug)]
pub(crate) struct SignedIn {
    /// Its id, for the browser only.
    pub(crate) session: Token,
    /// Whose it is.
    pub(crate) user: UserRecord,
}

impl Access {
    /// Checks a name and a password.
    async fn prove(
        &self,
        name: &str,
        password: PasswordText,
        address: Option<IpAddr>,
    ) -> Result<UserRecord, AccessError> {
        let name = name.to_lowercase();
        let account = *blake3::hash(name.as_bytes()).as_bytes();
        self.attempts()
            .begin(address, Some(&account), Instant::now())?;
        let user = self.table().named(&name).cloned();
        let stored = user.as_ref().map(|user| user.password.as_str());
        let same = match self.passwords.matches(stored, password).await {
            Ok(same) => same,
            Err(error) => {
                // Nothing was learned about the password.
                self.attempts().forgive_at(address);
                self.attempts().accounts.forgive(&account);
                return Err(error);
            }
        };
        let proven = user.filter(|user| same && !user.disabled);
        let Some(proven) = proven else {
            tracing::warn!(?address, "a sign-in failed");
            return Err(AccessError::WrongPassword);
        };
        self.attempts().succeeded(&account, address);
        Ok(proven)
    }

    /// Begins a session; the one that the browser had before, of whomever, ends.
    ///
    /// # Errors
    /// When name or password are wrong, or too many attempts failed.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: PasswordText,
        address: Option<IpAddr>,
        former: Option<TokenHash>,
    ) -> Result<SignedIn, AccessError> {
        let proven = self.prove(name, password, address).await?;
        let turn = self.turn().await;
        // It may have been changed while the password was looked at.
        let user = self.table().users.get(&proven.id).cloned();
        let user = user
            .filter(|user| !user.disabled && user.password == proven.password)
            .ok_or(AccessError::WrongPassword)?;
        let (session, edits) = self.begin(&user, former)?;
        self.make(turn, edits).await?;
        tracing::info!(user = user.name, "signed in");
        Ok(SignedIn { session, user })
    }

    /// A new session of a user, and what it takes. The caller has the turn.
    fn begin(
        &self,
        user: &UserRecord,
        former: Option<TokenHash>,
    ) -> Result<(Token, Vec<Edit>), AccessError> {
        let session = Token::generate()?;
        let now = clock::wall();
        let record = SessionRecord {
            hash: session.hash(),
            user: user.id,
            created_at: now,
            used_at: now,
        };
        let table = self.table();
        let mut ended = table.oldest_sessions_beyond(user.id, SESSIONS_PER_USER - 1);
        ended.extend(former);
        let mut edits: Vec<_> = ended.into_iter().map(Edit::NoSession).collect();
        edits.push(Edit::Session(record));
        Ok((session, edits))
    }

    /// Ends a session; durable on return.
    ///
    /// # Errors
    /// When the catalog cannot be written; then it has not ended.
    pub(crate) async fn sign_out(&self, session: TokenHash) -> Result<(), AccessError> {
        let turn = self.turn().await;
        Ok(self.make(turn, vec![Edit::NoSession(session)]).await?)
    }

    /// Sets the own password. All sessions of the user end, and the one that asked goes on as a new
    /// one.
    ///
    /// # Errors
    /// When the current password is wrong or the new one cannot be used.
    pub(crate) async fn change_own_password(
        &self,
        session: TokenHash,
        current: PasswordText,
        wanted: PasswordText,
        address: Option<IpAddr>,
    ) -> Result<SignedIn, AccessError> {
        let owner = self.table().owner_of(&session);
        let owner = owner.ok_or(AccessError::WrongPassword)?;
        wanted.check(&owner.name)?;
        let proven = self.prove(&owner.name, current, address).await?;
        let hashed = self.passwords.hash(wanted).await?;
        let turn = self.turn().await;
        // An administrator may have set another one while the passwords were looked at.
        let still = self.table().owner_of(&session);
        still
            .filter(|user| user.id == proven.id && !user.disabled)
            .filter(|user| user.password == proven.password)
            .ok_or(AccessError::WrongPassword)?;
        let (user, mut edits) = self.with_password(owner.id, hashed, clock::wall())?;
        let (session, begun) = self.begin(&user, None)?;
        edits.extend(begun);
        self.make(turn, edits).await?;
        Ok(SignedIn { session, user })
    }

    /// When a session ends at the latest, and when if it is not used again.
    pub(crate) fn session_ends(&self, session: &TokenHash) -> Option<(Timestamp, Timestamp)> {
        let table = self.table();
        let held = &table.sessions.get(session)?.record;
        Some((
            expiry::ends_at(held.created_at),
            expiry::idle_until(held.created_at, held.used_at),
        ))
    }
}

/// The principal of a user.
pub(super) fn principal_of(user: &UserRecord, ends: Timestamp) -> Principal {
    Principal {
        kind: bcdr_http::PrincipalKind::User,
        id: user.id.to_string(),
        name: user.name.clone(),
        role: user.role,
        expires: Some(super::table::instant(ends)),
        bounds: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_does_not_pay_for_an_account_that_has_to_wait() {
        let mut attempts = Attempts::default();
        let now = Instant::now();
        let (guessed, other) = ([1; 32], [2; 32]);
        let from = |host: u8| Some(IpAddr::from([192, 0, 2, host]));
        for host in 1..=6 {
            attempts.begin(from(host), Some(&guessed), now).unwrap();
        }
        for _ in 0..20 {
            let refused = attempts.begin(from(7), Some(&guessed), now);
            assert!(matches!(refused, Err(AccessError::Wait(_))));
        }
        attempts.begin(from(7), Some(&other), now).unwrap();
        // Nor does an account for an address.
        for _ in 0..4 {
            attempts.begin(from(7), Some(&[3; 32]), now).unwrap();
        }
        attempts.begin(from(7), None, now).unwrap();
        for _ in 0..20 {
            let refused = attempts.begin(from(7), Some(&other), now);
            assert!(matches!(refused, Err(AccessError::Wait(_))));
        }
        attempts.begin(from(8), Some(&other), now).unwrap();
    }
}
