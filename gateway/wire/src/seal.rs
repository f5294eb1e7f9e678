//! Keys, sealed chunks and batch MACs.
//!
//! Owns the order of keys: a receiver's key-encryption key wraps the installation key, which wraps
//! data keys, which seal chunks. Invariants: a data key that seals exists once in one process and
//! gives each counter out once; nothing sealed is opened before its lengths were checked; no secret
//! is printed by `Debug`, and each is wiped when dropped. Does not store keys: their files are the
//! roles' business.

mod chunk;
mod data_key;
mod key;
mod mac;
mod wrap;

pub use bcdr_format::batch::SealedChunk;
pub use chunk::{ChunkOpener, ChunkSealer, OpenError};
pub use data_key::{COUNTER_LIMIT, DataKey, KeyRing};
pub use key::{InstallationKey, InstallationKeyBytes, KEY_BYTES, KeyEncryptionKey, KeyFingerprint};
pub use mac::{BatchMacMismatch, batch_mac, verify_batch_mac};
pub use wrap::WRAPPED_KEY_BYTES;

use bcdr_format::{DataKeyId, DecodeError};
use thiserror::Error;

/// Why something could not be sealed, or a wrapped key not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The kernel gave no random bytes.
    #[error("no random bytes from the kernel: {source}")]
    Random {
        /// The cause.
        source: getrandom::Error,
    },
    /// A chunk's plaintext is empty or too long.
    #[error("a chunk of {length} bytes: it holds 1 to {limit}")]
    PlainLength {
        /// Bytes offered.
        length: usize,
        /// The most a chunk holds.
        limit: usize,
    },
    /// Every counter of the data key was given out.
    #[error(
        "data key {key} has sealed all the chunks it may: restart the process to get a fresh one"
    )]
    Exhausted {
        /// The key.
        key: DataKeyId,
    },
    /// The compressor failed.
    #[error("the compressor cannot be set up: {source}")]
    Compressor {
        /// The cause.
        source: std::io::Error,
    },
    /// The bytes are not a wrapped key.
    #[error(transparent)]
    WrappedFormat(#[from] DecodeError),
    /// The bytes do not open under this key.
    #[error(
        "{what} does not open under this key: it was wrapped under another, for another installation, or was changed; find the key it was wrapped under"
    )]
    WrongKey {
        /// What was wrapped.
        what: String,
    },
    /// The cipher refused to work.
    #[error("the cipher failed to seal {what}")]
    Cipher {
        /// What was to be sealed.
        what: &'static str,
    },
}

/// Fresh random bytes from the kernel.
fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], SealError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|source| SealError::Random { source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
