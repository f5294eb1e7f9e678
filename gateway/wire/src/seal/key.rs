//! The installation key and the key-encryption key.
//!
//! Neither is ever used directly: each use derives its own key with its own context string, so that
//! no two uses can be played against each other.

use super::{SealError, random, wrap};
use bcdr_format::InstallationId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of every secret key here.
pub const KEY_BYTES: usize = 32;

const FINGERPRINT_CONTEXT: &str = "bcdr 2026-11 installation key fingerprint v1";
const WRAP_DATA_KEY_CONTEXT: &str = "bcdr 2026-11 installation key wraps data keys v1";
const BATCH_MAC_CONTEXT: &str = "bcdr 2026-11 installation key authenticates batches v1";
const WRAP_INSTALLATION_KEY_CONTEXT: &str = "bcdr 2026-11 KEK wraps installation key v1";
const INSTALLATION_KEY_PURPOSE: &str = "installation key";

/// Key bytes in one place on the heap: moving the owner leaves no copy behind, dropping it wipes
/// them.
pub(super) struct Secret(Box<[u8; KEY_BYTES]>);

impl Secret {
    pub(super) fn new(mut bytes: [u8; KEY_BYTES]) -> Self {
        let secret = Self(Box::new(bytes));
        bytes.zeroize();
        secret
    }

    pub(super) fn generate() -> Result<Self, SealError> {
        random().map(Self::new)
    }

    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// A key for one use of this one.
    pub(super) fn derive(&self, context: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(blake3::derive_key(context, self.expose()))
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What an installation's data keys are wrapped under and its batches authenticated with. The first
/// gateway makes it.
#[derive(Clone)]
pub struct InstallationKey(Secret);

impl InstallationKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, SealError> {
        Secret::generate().map(Self)
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: &InstallationKeyBytes) -> Self {
        Self(bytes.0.clone())
    }

    /// Its bytes, to be sent or stored.
    pub fn to_bytes(&self) -> InstallationKeyBytes {
        InstallationKeyBytes(self.0.clone())
    }

    /// What names the key to people and in logs; says nothing about its bytes.
    pub fn fingerprint(&self) -> KeyFingerprint {
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&self.0.derive(FINGERPRINT_CONTEXT)[..8]);
        KeyFingerprint(fingerprint)
    }

    pub(super) fn data_key_wrapper(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.0.derive(WRAP_DATA_KEY_CONTEXT)
    }

    pub(super) fn batch_authenticator(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.0.derive(BATCH_MAC_CONTEXT)
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InstallationKey({})", self.fingerprint())
    }
}

/// Names an installation key without telling it: 64 bits of a one-way function of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyFingerprint([u8; 8]);

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// An installation key's bytes on their way to a receiver or a file.
#[derive(Clone)]
pub struct InstallationKeyBytes(Secret);

impl InstallationKeyBytes {
    /// Takes these bytes as a key.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        self.0.expose()
    }
}

impl fmt::Debug for InstallationKeyBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InstallationKeyBytes(hidden)")
    }
}

impl PartialEq for InstallationKeyBytes {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.expose(), other.expose()).is_ok()
    }
}

impl Eq for InstallationKeyBytes {}

impl Serialize for InstallationKeyBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.expose().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InstallationKeyBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; KEY_BYTES]>::deserialize(deserializer).map(Self::new)
    }
}

/// A receiver's own key, under which it stores the installation key.
#[derive(Clone)]
pub struct KeyEncryptionKey(Secret);

impl KeyEncryptionKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, SealError> {
        Secret::generate().map(Self)
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes themselves, to be stored.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        self.0.expose()
    }

    /// The installation key as it may be stored.
    pub fn wrap(
        &self,
        installation: InstallationId,
        key: &InstallationKey,
    ) -> Result<Vec<u8>, SealError> {
        wrap::wrap(
            &self.0.derive(WRAP_INSTALLATION_KEY_CONTEXT),
            &wrap::context(INSTALLATION_KEY_PURPOSE, installation, 0),
            &key.0,
        )
    }

    /// The installation key out of what [`Self::wrap`] made for this installation.
    pub fn unwrap(
        &self,
        installation: InstallationId,
        wrapped: &[u8],
    ) -> Result<InstallationKey, SealError> {
        wrap::unwrap(
            &self.0.derive(WRAP_INSTALLATION_KEY_CONTEXT),
            &wrap::context(INSTALLATION_KEY_PURPOSE, installation, 0),
            wrapped,
        )?
        .map(InstallationKey)
        .ok_or_else(|| SealError::WrongKey {
            what: format!("the installation key of {installation}"),
        })
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyEncryptionKey(hidden)")
    }
}
