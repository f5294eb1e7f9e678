//! What a digest is: BLAKE3 of a block, and of a volume over its blocks.
//!
//! Invariant: both sides compute them here, so equal digests mean equal bytes and sizes. A volume's
//! digest is made of its blocks' digests in order, so who has those needs no byte of the volume.

use std::{fmt, sync::OnceLock};

use super::BLOCK_BYTES;

/// Bytes of a digest.
pub const DIGEST_BYTES: usize = 32;

const VOLUME_CONTEXT: &str = "bcdr 2026-11 restore volume digest v1";

/// A BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; DIGEST_BYTES]);

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The digest of one block's bytes.
#[must_use]
pub fn block_digest(bytes: &[u8]) -> Digest {
    static ZEROS: OnceLock<Digest> = OnceLock::new();
    let hash = |bytes: &[u8]| Digest(*blake3::hash(bytes).as_bytes());
    // Most of a fresh disk is zero, and looking is cheaper than hashing.
    if bytes.len() == BLOCK_BYTES as usize && is_zero(bytes) {
        return *ZEROS.get_or_init(|| hash(&[0; BLOCK_BYTES as usize]));
    }
    hash(bytes)
}

/// Whether every byte is zero.
fn is_zero(bytes: &[u8]) -> bool {
    let mut words = bytes.chunks_exact(16);
    words.by_ref().all(|word| word == [0; 16]) && words.remainder().iter().all(|byte| *byte == 0)
}

/// Makes a volume's digest from those of its blocks.
#[derive(Clone)]
pub struct VolumeHasher(blake3::Hasher);

impl VolumeHasher {
    /// Begins a volume of this size in bytes.
    #[must_use]
    pub fn new(size_bytes: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(VOLUME_CONTEXT);
        hasher.update(&size_bytes.to_le_bytes());
        Self(hasher)
    }

    /// Adds the next block.
    pub fn push(&mut self, block: Digest) {
        self.0.update(&block.0);
    }

    /// The volume's digest, after its last block.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl fmt::Debug for VolumeHasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VolumeHasher")
            .finish_non_exhaustive()
    }
}
