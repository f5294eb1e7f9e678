//! Data keys: the one that a process seals with, and those that a receiver opens with.
//!
//! Invariant: a [`DataKey`] can be made from fresh randomness only, is not `Clone`, and owns its
//! counter; what comes out of wrapped bytes goes into a [`KeyRing`], which cannot seal. So no
//! counter is used twice under one key, however many sealers share it.

use super::{
    SealError,
    key::{InstallationKey, KEY_BYTES, Secret},
    wrap,
};
use aws_lc_rs::aead::LessSafeKey;
use bcdr_format::{DataKeyId, InstallationId, Timestamp};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// No counter at or above this one is given out; the next process start has a fresh key.
pub const COUNTER_LIMIT: u64 = 1 << 48;

const DATA_KEY_PURPOSE: &str = "data key";

/// The key a process seals its chunks with.
pub struct DataKey {
    installation: InstallationId,
    id: DataKeyId,
    secret: Secret,
    pub(super) cipher: LessSafeKey,
    next_counter: AtomicU64,
}

impl DataKey {
    /// A fresh key with a fresh id; one at each process start.
    pub fn generate(installation: InstallationId, now: Timestamp) -> Result<Arc<Self>, SealError> {
        let milliseconds = u64::try_from(now.0 / 1000).unwrap_or(0);
        let id = DataKeyId::from_parts(milliseconds, u128::from_le_bytes(super::random()?));
        Ok(Self::from_random(installation, id, super::random()?))
    }

    /// The key with these bytes, for callers with a randomness of their own. The same bytes must
    /// never be given twice: the counter begins anew.
    pub fn from_random(
        installation: InstallationId,
        id: DataKeyId,
        random: [u8; KEY_BYTES],
    ) -> Arc<Self> {
        let secret = Secret::new(random);
        Arc::new(Self {
            installation,
            id,
            cipher: wrap::cipher(secret.expose()),
            secret,
            next_counter: AtomicU64::new(1),
        })
    }

    /// Its id.
    pub const fn id(&self) -> DataKeyId {
        self.id
    }

    /// The installation it seals for.
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }

    /// The key as it may be sent and stored: a receiver needs it before the first chunk.
    pub fn wrap(&self, key: &InstallationKey) -> Result<Vec<u8>, SealError> {
        wrap::wrap(
            &key.data_key_wrapper(),
            &wrap::context(DATA_KEY_PURPOSE, self.installation, self.id.to_u128()),
            &self.secret,
        )
    }

    /// A counter that was never given out before.
    pub(super) fn take_counter(&self) -> Result<u64, SealError> {
        // Only uniqueness matters, which a single atomic gives under any ordering.
        self.next_counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counter| {
                (counter < COUNTER_LIMIT).then_some(counter + 1)
            })
            .map_err(|_| SealError::Exhausted { key: self.id })
    }

    #[cfg(test)]
    pub(super) fn skip_to(&self, counter: u64) {
        self.next_counter.store(counter, Ordering::Relaxed);
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DataKey({})", self.id)
    }
}

/// The data keys of an installation that are known here, for opening chunks. Clones share one ring,
/// which only grows.
#[derive(Clone)]
pub struct KeyRing {
    installation: InstallationId,
    keys: Arc<RwLock<HashMap<DataKeyId, Arc<LessSafeKey>>>>,
}

impl KeyRing {
    /// A ring without keys.
    pub fn new(installation: InstallationId) -> Self {
        Self {
            installation,
            keys: Arc::default(),
        }
    }

    /// The installation whose keys these are.
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }

    /// Opens a wrapped data key and keeps it.
    pub fn insert_wrapped(
        &self,
        id: DataKeyId,
        wrapped: &[u8],
        key: &InstallationKey,
    ) -> Result<(), SealError> {
        let context = wrap::context(DATA_KEY_PURPOSE, self.installation, id.to_u128());
        let secret =
            wrap::unwrap(&key.data_key_wrapper(), &context, wrapped)?.ok_or_else(|| {
                SealError::WrongKey {
                    what: format!("data key {id}"),
                }
            })?;
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Arc::new(wrap::cipher(secret.expose())));
        Ok(())
    }

    /// Whether this key is known.
    pub fn contains(&self, id: DataKeyId) -> bool {
        self.cipher(id).is_some()
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn cipher(&self, id: DataKeyId) -> Option<Arc<LessSafeKey>> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "KeyRing({}, {} keys)",
            self.installation,
            self.len()
        )
    }
}
