//! The Ed25519 key that an installation signs its reports with.
//!
//! Invariant: what is signed begins with the name of its kind, so that a signature under a report can
//! never be one under anything else. The secret is never shown.

use crate::digest::{hex, unhex};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The kind of statement that a report is.
const REPORT: &str = "report v1";
const PUBLIC_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// What stands before the key's bytes in a SubjectPublicKeyInfo of Ed25519 (RFC 8410).
const PUBLIC_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const PUBLIC_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PUBLIC_END: &str = "-----END PUBLIC KEY-----";

/// Why a key cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system gave no key.
    #[error("cannot make a signing key: the system gives no randomness")]
    Generate,
    /// The stored secret is none.
    #[error(
        "the signing key's file does not hold an Ed25519 key in PKCS #8 form: restore it from a backup of the state directory"
    )]
    Secret,
    /// The text is no public key.
    #[error("this is no Ed25519 public key in PEM form, as `bcdr report key` prints it")]
    Public,
}

/// The secret half.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public())
    }
}

impl SigningKey {
    /// A new key, and the bytes to keep it in.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<(Self, Vec<u8>), KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
        let kept = pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        Ok((Self(pair), kept.as_ref().to_vec()))
    }

    /// The key that was kept in these bytes.
    ///
    /// # Errors
    /// When they are no key.
    pub fn read(kept: &[u8]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_pkcs8(kept)
            .map(Self)
            .map_err(|_| KeyError::Secret)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_BYTES];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        self.sign_as(REPORT, message)
    }

    /// Signs a statement of another kind than a report: `kind` is its name with its version, and one
    /// kind's signature never fits another's statement.
    pub fn sign_as(&self, kind: &str, statement: &[u8]) -> Signature {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.copy_from_slice(self.0.sign(&signed(kind, statement)).as_ref());
        Signature(bytes)
    }
}

fn signed(kind: &str, statement: &[u8]) -> Vec<u8> {
    [b"bcdr ", kind.as_bytes(), b"\n", statement].concat()
}

/// The public half; as text 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_BYTES]);

impl PublicKey {
    /// The key as PEM, which other programs read as well.
    pub fn to_pem(&self) -> String {
        let der = [&PUBLIC_PREFIX[..], &self.0].concat();
        format!("{PUBLIC_BEGIN}\n{}\n{PUBLIC_END}\n", STANDARD.encode(der))
    }

    /// Reads a key from PEM.
    ///
    /// # Errors
    /// When it holds none, or one of another kind.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (_, rest) = text.split_once(PUBLIC_BEGIN).ok_or(KeyError::Public)?;
        let (body, _) = rest.split_once(PUBLIC_END).ok_or(KeyError::Public)?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| KeyError::Public)?;
        let bytes = der.strip_prefix(&PUBLIC_PREFIX).ok_or(KeyError::Public)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Public)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        self.verifies_as(REPORT, message, signature)
    }

    /// Whether this key signed this statement of this kind.
    pub fn verifies_as(&self, kind: &str, statement: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(&signed(kind, statement), &signature.0)
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        unhex(text).map(Self).ok_or(KeyError::Public)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A signature; as text 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    pub(crate) fn read(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| {
            serde::de::Error::custom("a signature has 128 hexadecimal digits in lower case")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_signs_as_before_and_others_do_not_verify() {
        let (key, kept) = SigningKey::generate().unwrap();
        let again = SigningKey::read(&kept).unwrap();
        assert_eq!(key.public(), again.public());
        let signature = again.sign(b"message");
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        assert!(!key.public().verifies_as("head v1", b"message", &signature));
        let (other, _) = SigningKey::generate().unwrap();
        assert!(!other.public().verifies(b"message", &signature));
        assert!(SigningKey::read(&kept[1..]).is_err());
    }

    #[test]
    fn public_keys_survive_pem_and_other_kinds_are_refused() {
        let public = SigningKey::generate().unwrap().0.public();
        let pem = public.to_pem();
        assert_eq!(PublicKey::from_pem(&pem).unwrap(), public);
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        for wrong in [
            "",
            &pem.replace("MCow", "MCox"),
            &pem.replace("END", "END OF"),
        ] {
            assert!(PublicKey::from_pem(wrong).is_err(), "{wrong}");
        }
        let secret = format!("{:?}", SigningKey::generate().unwrap().0);
        assert_eq!(secret.len(), "SigningKey()".len() + 64);
    }
}
