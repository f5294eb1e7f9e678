//! Sealing and opening chunks.
//!
//! Compress, then seal, with the header's fields and the installation authenticated; open, then
//! decompress into exactly the length the authenticated header names. A chunk is bound to its id,
//! never to a place in a volume: places are the batch MAC's business.

use super::{
    SealError,
    data_key::{DataKey, KeyRing},
};
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use bcdr_format::{
    DataKeyId, InstallationId,
    batch::SealedChunk,
    chunk::{CHUNK_MAGIC, CHUNK_PLAIN_BYTES_MAX, ChunkHeader, ChunkId, Codec, TAG_BYTES},
};
use std::{fmt, sync::Arc};
use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};

const ZSTD_LEVEL: i32 = 1;
const PLAIN_MAX: usize = CHUNK_PLAIN_BYTES_MAX as usize;
const TAG: usize = TAG_BYTES as usize;
const AAD_BYTES: usize = 52;
/// Compression that saves less than one part in this many is not worth a decompression per read.
const GAIN_PARTS: usize = 32;

/// Why a chunk could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data key is not known here.
    #[error(
        "data key {key} is not known here: its wrapped form must come before the chunks sealed under it; ask the gateway to send it again, or import the installation key it is wrapped under"
    )]
    MissingKey {
        /// The key.
        key: DataKeyId,
    },
    /// The header's lengths cannot be those of the bytes at hand.
    #[error("chunk {id:?} is not valid: {reason}")]
    Invalid {
        /// The chunk.
        id: ChunkId,
        /// What does not fit.
        reason: String,
    },
    /// The bytes are not what was sealed under this id.
    #[error("chunk {id:?} does not authenticate: its header or its bytes were changed")]
    Authentication {
        /// The chunk.
        id: ChunkId,
    },
    /// The decompressor could not be set up.
    #[error("the decompressor cannot be set up: {source}")]
    Decompressor {
        /// The cause.
        source: std::io::Error,
    },
}

fn authenticated(
    installation: InstallationId,
    id: ChunkId,
    codec: Codec,
    plain_length: u32,
) -> Aad<[u8; AAD_BYTES]> {
    let mut aad = [0; AAD_BYTES];
    aad[0..4].copy_from_slice(&CHUNK_MAGIC.to_le_bytes());
    aad[4..20].copy_from_slice(&installation.to_u128().to_le_bytes());
    aad[20..36].copy_from_slice(&id.key.to_u128().to_le_bytes());
    aad[36..44].copy_from_slice(&id.counter.to_le_bytes());
    aad[44..48].copy_from_slice(&(codec as u32).to_le_bytes());
    aad[48..52].copy_from_slice(&plain_length.to_le_bytes());
    Aad::from(aad)
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Compresses and seals chunks; one per worker, any number under one data key.
pub struct ChunkSealer {
    key: Arc<DataKey>,
    compressor: Compressor<'static>,
    scratch: Vec<u8>,
}

impl ChunkSealer {
    /// A sealer under this key.
    pub fn new(key: Arc<DataKey>) -> Result<Self, SealError> {
        Ok(Self {
            key,
            compressor: Compressor::new(ZSTD_LEVEL)
                .map_err(|source| SealError::Compressor { source })?,
            scratch: vec![0; zstd::zstd_safe::compress_bound(PLAIN_MAX)],
        })
    }

    /// The data key it seals under.
    pub fn key(&self) -> &Arc<DataKey> {
        &self.key
    }

    /// Seals `plaintext`, 1 byte to [`CHUNK_PLAIN_BYTES_MAX`], under a counter of its own.
    pub fn seal(&mut self, plaintext: &[u8]) -> Result<SealedChunk, SealError> {
        if plaintext.is_empty() || plaintext.len() > PLAIN_MAX {
            return Err(SealError::PlainLength {
                length: plaintext.len(),
                limit: PLAIN_MAX,
            });
        }
        let counter = self.key.take_counter()?;
        let plain_length = plaintext.len() as u32;
        // One attempt decides: on bytes that do not shrink zstd skips ahead and is cheap, and data
        // that it cannot take is stored as it is.
        let compressed = self
            .compressor
            .compress_to_buffer(plaintext, &mut self.scratch[..])
            .ok()
            .filter(|length| length + plaintext.len() / GAIN_PARTS < plaintext.len());
        let (codec, body) = match compressed {
            Some(length) => (Codec::Zstd, &self.scratch[..length]),
            None => (Codec::Stored, plaintext),
        };
        let id = ChunkId {
            key: self.key.id(),
            counter,
        };
        let mut sealed = Vec::with_capacity(body.len() + TAG);
        sealed.extend_from_slice(body);
        self.key
            .cipher
            .seal_in_place_append_tag(
                nonce(counter),
                authenticated(self.key.installation(), id, codec, plain_length),
                &mut sealed,
            )
            .map_err(|_| SealError::Cipher { what: "a chunk" })?;
        Ok(SealedChunk {
            header: ChunkHeader {
                id,
                codec,
                plain_length,
                sealed_length: sealed.len() as u32,
            },
            sealed,
        })
    }
}

impl fmt::Debug for ChunkSealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ChunkSealer({:?})", self.key)
    }
}

/// Opens chunks with the keys of a ring; one per worker.
pub struct ChunkOpener {
    keys: KeyRing,
    decompressor: Decompressor<'static>,
}

impl ChunkOpener {
    /// An opener with the keys of this ring, those that join it later included.
    pub fn new(keys: KeyRing) -> Result<Self, OpenError> {
        Ok(Self {
            keys,
            decompressor: Decompressor::new()
                .map_err(|source| OpenError::Decompressor { source })?,
        })
    }

    /// The ring it takes keys from.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The plaintext of a chunk, as long as its header says.
    pub fn open(&mut self, header: &ChunkHeader, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        check_lengths(header, sealed.len())?;
        let cipher = self
            .keys
            .cipher(header.id.key)
            .ok_or(OpenError::MissingKey { key: header.id.key })?;
        let body = self.authenticate(&cipher, header, sealed)?;
        match header.codec {
            Codec::Stored => Ok(body),
            Codec::Zstd => self.decompress(header, &body),
        }
    }

    fn authenticate(
        &self,
        cipher: &LessSafeKey,
        header: &ChunkHeader,
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let mut body = sealed.to_vec();
        let length = cipher
            .open_in_place(
                nonce(header.id.counter),
                authenticated(
                    self.keys.installation(),
                    header.id,
                    header.codec,
                    header.plain_length,
                ),
                &mut body,
            )
            .map_err(|_| OpenError::Authentication { id: header.id })?
            .len();
        body.truncate(length);
        Ok(body)
    }

    fn decompress(&mut self, header: &ChunkHeader, body: &[u8]) -> Result<Vec<u8>, OpenError> {
        // The output is a slice of the authenticated length, so no frame can unpack to more.
        let mut plain = vec![0; header.plain_length as usize];
        let written = self
            .decompressor
            .decompress_to_buffer(body, &mut plain[..])
            .map_err(|error| invalid(header, format!("it does not decompress: {error}")))?;
        if written != plain.len() {
            let reason = format!("it decompresses to {written} bytes, not {}", plain.len());
            return Err(invalid(header, reason));
        }
        Ok(plain)
    }
}

impl fmt::Debug for ChunkOpener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ChunkOpener({:?})", self.keys)
    }
}

fn invalid(header: &ChunkHeader, reason: String) -> OpenError {
    OpenError::Invalid {
        id: header.id,
        reason,
    }
}

fn check_lengths(header: &ChunkHeader, sealed: usize) -> Result<(), OpenError> {
    let plain = header.plain_length as usize;
    if sealed != header.sealed_length as usize {
        let reason = format!(
            "{sealed} sealed bytes where {} are due",
            header.sealed_length
        );
        return Err(invalid(header, reason));
    }
    let plausible = plain > 0
        && plain <= PLAIN_MAX
        && match header.codec {
            Codec::Stored => sealed == plain + TAG,
            Codec::Zstd => sealed > TAG && sealed < plain + TAG,
        };
    if !plausible {
        let reason = format!("{plain} bytes of plaintext in {sealed} sealed bytes");
        return Err(invalid(header, reason));
    }
    Ok(())
}

/// Seals any body under any header, for tests of what a hostile sealer could do.
#[cfg(test)]
pub(super) fn forge(
    installation: InstallationId,
    key: &[u8; super::KEY_BYTES],
    header: &ChunkHeader,
    body: &[u8],
) -> Vec<u8> {
    let mut sealed = body.to_vec();
    let aad = authenticated(installation, header.id, header.codec, header.plain_length);
    super::wrap::cipher(key)
        .seal_in_place_append_tag(nonce(header.id.counter), aad, &mut sealed)
        .expect("sealing works");
    sealed
}
