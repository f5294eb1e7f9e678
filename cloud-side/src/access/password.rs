//! Passwords: argon2id, off the runtime's threads, a few at a time.
//!
//! Invariant: a password is never logged, shown or stored; checking one takes the same work whether
//! the user exists or not. 19 MiB of memory, 2 passes and 1 lane are the parameters that OWASP names
//! first for argon2id; they are part of each stored hash, so they can be raised later.

use super::AccessError;
use crate::offload::offload;
use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::SaltString,
};
use serde::Deserialize;
use std::{fmt, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

/// Memory for one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes computed at once: so much memory and so many processors at most.
const AT_ONCE: usize = 2;
/// Hashes that wait for their turn at most; further sign-ins are told to come back.
const WAITING_MAX: usize = 32;
const CHARACTERS_MAX: usize = 256;
/// How many characters a password has.
pub(crate) const PASSWORD_CHARACTERS: std::ops::RangeInclusive<usize> = 12..=CHARACTERS_MAX;

/// A password in clear, on its way to be hashed.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub(crate) struct PasswordText(Zeroizing<String>);

impl From<String> for PasswordText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for PasswordText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordText(redacted)")
    }
}

impl PasswordText {
    /// The text itself, where it is no password but another secret.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it may become a user's password.
    pub(super) fn check(&self, name: &str) -> Result<(), AccessError> {
        let characters = self.0.chars().count();
        if !PASSWORD_CHARACTERS.contains(&characters) {
            return Err(AccessError::PasswordLength);
        }
        if self.0.eq_ignore_ascii_case(name) {
            return Err(AccessError::PasswordIsName);
        }
        Ok(())
    }

    /// Whether it is so long that it can be nobody's, and is not worth the work.
    fn is_absurd(&self) -> bool {
        self.0.len() > 4 * CHARACTERS_MAX
    }
}

#[cfg(test)]
impl From<&str> for PasswordText {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What the passwords of users are compared with who do not exist.
    nobody: String,
}

impl Passwords {
    /// Blocks for one hash.
    pub(super) fn new() -> Result<Self, AccessError> {
        let mut unknown = [0; 32];
        getrandom::fill(&mut unknown)?;
        Ok(Self {
            working: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            nobody: hash(&unknown)?,
        })
    }

    /// The hash to store.
    pub(super) async fn hash(&self, password: PasswordText) -> Result<String, AccessError> {
        let turn = self.turn().await?;
        offload(move || {
            // Until it is done, also when whoever asked has left: the limit is one of work.
            let _turn = turn;
            hash(password.0.as_bytes())
        })
        .await
    }

    /// Whether a password is that of a stored hash; `None` for a user who does not exist or has
    /// none, which takes as long and is never right.
    pub(super) async fn matches(
        &self,
        stored: Option<&str>,
        password: PasswordText,
    ) -> Result<bool, AccessError> {
        if password.is_absurd() {
            return Ok(false);
        }
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.nobody).to_owned();
        let turn = self.turn().await?;
        let same = offload(move || {
            let _turn = turn;
            let stored = PasswordHash::new(&stored).map_err(AccessError::Hash)?;
            Ok::<_, AccessError>(
                hasher()?
                    .verify_password(password.0.as_bytes(), &stored)
                    .is_ok(),
            )
        })
        .await?;
        Ok(same && known)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, AccessError> {
        let place = Arc::clone(&self.waiting).try_acquire_owned();
        let _place = place.map_err(|_| AccessError::Busy)?;
        let turn = Arc::clone(&self.working).acquire_owned().await;
        Ok(turn.expect("it is never closed"))
    }
}

fn hasher() -> Result<Argon2<'static>, AccessError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| AccessError::Hash(error.into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Blocks for some tens of milliseconds.
fn hash(password: &[u8]) -> Result<String, AccessError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let salt = SaltString::encode_b64(&salt).map_err(AccessError::Hash)?;
    let hashed = hasher()?
        .hash_password(password, &salt)
        .map_err(AccessError::Hash)?;
    Ok(hashed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::leaving::{leave, one_after_the_other};

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only_and_nobody_has_one() {
        let passwords = Passwords::new().unwrap();
        let text = PasswordText::from("correct horse battery");
        let hashed = passwords.hash(text.clone()).await.unwrap();
        assert!(
            hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hashed}"
        );
        assert_ne!(passwords.hash(text.clone()).await.unwrap(), hashed);
        assert!(
            passwords
                .matches(Some(&hashed), text.clone())
                .await
                .unwrap()
        );
        let other = PasswordText::from("correct horse batterz");
        assert!(!passwords.matches(Some(&hashed), other).await.unwrap());
        assert!(!passwords.matches(None, text.clone()).await.unwrap());
        let broken = passwords.matches(Some("plain"), text.clone()).await;
        assert!(matches!(broken, Err(AccessError::Hash(_))));
        assert!(!format!("{text:?}").contains("horse"));
    }

    #[test]
    fn a_password_that_is_being_checked_counts_also_when_nobody_waits_for_it_any_more() {
        one_after_the_other(async {
            let passwords = Passwords::new().unwrap();
            let free = || passwords.working.available_permits();
            let text = || PasswordText::from("correct horse battery");
            let busy = || assert_eq!(free(), AT_ONCE - 1);
            leave(passwords.matches(None, text()), busy).await;
            assert_eq!(free(), AT_ONCE);
            leave(passwords.hash(text()), busy).await;
            assert_eq!(free(), AT_ONCE);
        });
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let passwords = Passwords::new().unwrap();
        let _all = passwords.waiting.clone().acquire_many_owned(32).await;
        let refused = passwords.hash(PasswordText::from("correct horse")).await;
        assert!(matches!(refused, Err(AccessError::Busy)));
    }

    #[test]
    fn short_long_and_obvious_passwords_are_refused() {
        let check = |text: &str| PasswordText::from(text).check("administrator");
        assert!(check("twelve chars").is_ok());
        assert!(matches!(
            check("eleven char"),
            Err(AccessError::PasswordLength)
        ));
        assert!(matches!(
            check(&"x".repeat(257)),
            Err(AccessError::PasswordLength)
        ));
        assert!(matches!(
            check("Administrator"),
            Err(AccessError::PasswordIsName)
        ));
        assert!(check("十二个汉字作为密码足够长了").is_ok());
    }
}
