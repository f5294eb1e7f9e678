//! The MAC that chains each batch to the one before it.
//!
//! Keyed BLAKE3 under a key derived for this alone. The previous MAC has a fixed length and stands
//! first, so no two different pairs give the same input.

use super::key::InstallationKey;
use bcdr_format::batch::MAC_BYTES;
use thiserror::Error;

/// A batch's MAC is not the one its bytes and its predecessor give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the batch's MAC does not match: it was changed, does not follow the batch before it, or was made under another installation key"
)]
pub struct BatchMacMismatch;

/// The MAC of a batch: over `previous`, its predecessor's MAC (zeroes before the first), and
/// `authenticated`, the part of it that `BatchPrefix::authenticated` gives.
pub fn batch_mac(
    key: &InstallationKey,
    previous: &[u8; MAC_BYTES],
    authenticated: &[u8],
) -> [u8; MAC_BYTES] {
    *keyed(key, previous, authenticated).as_bytes()
}

/// Checks a batch's MAC, in a time that does not tell where it differs.
pub fn verify_batch_mac(
    key: &InstallationKey,
    previous: &[u8; MAC_BYTES],
    authenticated: &[u8],
    mac: &[u8; MAC_BYTES],
) -> Result<(), BatchMacMismatch> {
    // `blake3::Hash` compares in constant time.
    if keyed(key, previous, authenticated) == *mac {
        Ok(())
    } else {
        Err(BatchMacMismatch)
    }
}

fn keyed(key: &InstallationKey, previous: &[u8; MAC_BYTES], authenticated: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(&key.batch_authenticator());
    hasher.update(previous);
    hasher.update(authenticated);
    hasher.finalize()
}
