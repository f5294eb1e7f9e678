//! The signature of a delivery. The secret is never shown and is overwritten when let go.

use super::Delivery;
use aws_lc_rs::hmac;
use std::{fmt, fmt::Write};
use zeroize::Zeroizing;

/// The scheme's version: first in what is signed and in the header.
const SCHEME: &str = "v1";
/// Fewest bytes of a secret.
const SECRET_MIN: usize = 16;

/// What we share with a receiver.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// A secret that is too short to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the webhook's secret has only {0} bytes; give at least 16 that nobody can guess, such as what \
     `openssl rand -hex 32` prints"
)]
pub struct SecretError(pub usize);

impl Secret {
    /// A secret, as it is: it is not decoded.
    ///
    /// # Errors
    /// When it has fewer than 16 bytes.
    pub fn new(secret: &[u8]) -> Result<Self, SecretError> {
        if secret.len() < SECRET_MIN {
            return Err(SecretError(secret.len()));
        }
        Ok(Self(Zeroizing::new(secret.to_vec())))
    }

    /// The header's value for a delivery at a time, in seconds since 1970.
    pub(super) fn sign(&self, seconds: u64, delivery: &Delivery) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        // No part but the last can contain a dot in a place where it would be read as another part:
        // a timestamp has none, and a body begins with no letter of an id.
        context.update(format!("{SCHEME}.{seconds}.{}.", delivery.id).as_bytes());
        context.update(delivery.body.as_bytes());
        let mut text = format!("{SCHEME}=");
        for byte in context.sign().as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_documented_one() {
        // printf 'v1.1800000000.dlv-1.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let delivery = Delivery {
            id: "dlv-1".into(),
            body: r#"{"a":1}"#.into(),
        };
        let secret = Secret::new(b"0123456789abcdef").unwrap();
        assert_eq!(secret.sign(1_800_000_000, &delivery), EXPECTED);
        assert_ne!(secret.sign(1_800_000_001, &delivery), EXPECTED);
    }

    const EXPECTED: &str = "v1=7b139fa802d3eddb245351951b6c8aea4621fe81647e5b4da6e6b446e2552c01";

    #[test]
    fn a_short_secret_is_refused_and_none_is_shown() {
        assert_eq!(Secret::new(b"short").unwrap_err(), SecretError(5));
        let secret = Secret::new(b"0123456789abcdef").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
