//! One key sealed under another, as bytes. Drawn in `docs/format/wrapped_key.md`.
//!
//! AES-256-GCM-SIV under a random nonce that stands beside the sealed key. What the key is for,
//! whose it is and its id are authenticated, so a wrapped key opens in its own place only.

use super::{
    SealError,
    key::{KEY_BYTES, Secret},
    random,
};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bcdr_format::{
    DecodeError, InstallationId,
    chunk::TAG_BYTES,
    codec::{Reader, Write},
};
use zeroize::Zeroize;

const WHAT: &str = "wrapped key";
/// `WKY1` in little-endian order.
const WRAPPED_KEY_MAGIC: u32 = 0x3159_4b57;
const WRAPPED_KEY_VERSION: u16 = 1;
const PREFIX_BYTES: usize = 8;
/// Bytes of a wrapped key.
pub const WRAPPED_KEY_BYTES: usize = PREFIX_BYTES + NONCE_LEN + KEY_BYTES + TAG_BYTES as usize;

/// What is authenticated with a key: its purpose, its installation and its id, where it has one.
pub(super) fn context(purpose: &str, installation: InstallationId, id: u128) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.put_u128(installation.to_u128());
    out.put_u128(id);
    out.extend_from_slice(purpose.as_bytes());
    out
}

/// The cipher under these key bytes.
pub(super) fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM_SIV, key).expect("the key has the cipher's key length"),
    )
}

fn authenticated(prefix: &[u8], context: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([prefix, context].concat())
}

/// The wrapped form of `secret`.
pub(super) fn wrap(
    wrapper: &[u8; KEY_BYTES],
    context: &[u8],
    secret: &Secret,
) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::with_capacity(WRAPPED_KEY_BYTES);
    out.put_u32(WRAPPED_KEY_MAGIC);
    out.put_u16(WRAPPED_KEY_VERSION);
    out.put_u16(0);
    let aad = authenticated(&out, context);
    let nonce = random::<NONCE_LEN>()?;
    out.extend_from_slice(&nonce);
    let sealed_at = out.len();
    out.extend_from_slice(secret.expose());
    let tag = cipher(wrapper).seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(nonce),
        aad,
        &mut out[sealed_at..],
    );
    let Ok(tag) = tag else {
        out.zeroize();
        return Err(SealError::Cipher { what: "a key" });
    };
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

/// The secret in `wrapped`. `None`: it does not open under this key and context.
pub(super) fn unwrap(
    wrapper: &[u8; KEY_BYTES],
    context: &[u8],
    wrapped: &[u8],
) -> Result<Option<Secret>, SealError> {
    let mut reader = Reader::new(WHAT, wrapped);
    reader.magic(WRAPPED_KEY_MAGIC)?;
    reader.version(WRAPPED_KEY_VERSION)?;
    if wrapped.len() != WRAPPED_KEY_BYTES {
        let reason = format!("{} bytes where {WRAPPED_KEY_BYTES} are due", wrapped.len());
        return Err(DecodeError::invalid(WHAT, reason).into());
    }
    let (prefix, rest) = wrapped.split_at(PREFIX_BYTES);
    let (nonce, sealed) = rest.split_at(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).expect("it was split off at that length");
    let mut sealed = sealed.to_vec();
    let opened = cipher(wrapper).open_in_place(nonce, authenticated(prefix, context), &mut sealed);
    let secret = opened.ok().map(|plain| {
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(plain);
        let secret = Secret::new(bytes);
        bytes.zeroize();
        secret
    });
    sealed.zeroize();
    Ok(secret)
}
