//! Opaque bearer tokens: 32 random bytes that mean nothing by themselves.
//!
//! Invariant: only the hash of a token is ever stored or compared; the secret is shown once, when it
//! is made, and neither `Debug` nor a log shows it. SHA-256 without salt or stretching is enough
//! because the input has 256 bits of randomness; passwords are not tokens and are not handled here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a token starts with, so that scanners for leaked secrets can know it.
const PREFIX: &str = "bcdr_";
/// Random bytes in a token.
const SECRET_BYTES: usize = 32;
/// Characters of a token: the prefix and the bytes in hexadecimal.
const TOKEN_CHARACTERS: usize = PREFIX.len() + 2 * SECRET_BYTES;

/// A bearer token in clear.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Makes a token from the operating system's random numbers.
    ///
    /// # Errors
    /// When the operating system has none to give; then no token must be made.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        Ok(Self(format!("{PREFIX}{}", Hex(&secret))))
    }

    /// Takes what a client sent. `None` when it cannot be a token, whatever is stored.
    pub fn parse(text: &str) -> Option<Self> {
        let secret = text.strip_prefix(PREFIX)?;
        let plausible = text.len() == TOKEN_CHARACTERS
            && secret
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        plausible.then(|| Self(text.to_owned()))
    }

    /// The secret itself: for the one moment it is shown to its owner, or sent by a client.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored instead of the token.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(redacted)")
    }
}

/// The SHA-256 of a token. Equality takes the same time whatever differs. Text form: 64
/// hexadecimal digits.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// A hash as it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for TokenHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(formatter)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenHash({self})")
    }
}

/// A text that is no token hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token hash has 64 hexadecimal digits; copy it again from where the token was made")]
pub struct TokenHashError;

impl FromStr for TokenHash {
    type Err = TokenHashError;

    fn from_str(text: &str) -> Result<Self, TokenHashError> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(TokenHashError);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16).ok_or(TokenHashError);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).map_err(|_| TokenHashError)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for TokenHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes shown as lower-case hexadecimal.
pub(crate) struct Hex<'bytes>(pub(crate) &'bytes [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_have_the_prefix_and_read_back() {
        let (one, two) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.expose(), two.expose());
        assert!(one.expose().starts_with("bcdr_"));
        assert_eq!(one.expose().len(), 5 + 64);
        assert_eq!(Token::parse(one.expose()).unwrap().hash(), one.hash());
        assert_ne!(one.hash(), two.hash());
    }

    #[test]
    fn the_hash_is_sha_256_of_the_whole_token() {
        let token = Token::parse(&format!("bcdr_{}", "0".repeat(64))).unwrap();
        let expected = Sha256::digest(format!("bcdr_{}", "0".repeat(64)));
        assert_eq!(token.hash().as_bytes().as_slice(), expected.as_slice());
        assert_eq!(token.hash().to_string().parse(), Ok(token.hash()));
    }

    #[test]
    fn what_cannot_be_a_token_or_a_hash_is_refused() {
        let zeros = "0".repeat(64);
        for text in [
            String::new(),
            "bcdr_".to_owned(),
            zeros.clone(),
            format!("bcdr_{zeros}0"),
            format!("bcdr_{}", "A".repeat(64)),
            format!("BCDR_{zeros}"),
        ] {
            assert!(Token::parse(&text).is_none(), "{text}");
        }
        assert_eq!("".parse::<TokenHash>(), Err(TokenHashError));
        assert_eq!("+f".repeat(32).parse::<TokenHash>(), Err(TokenHashError));
        assert_eq!("é".repeat(32).parse::<TokenHash>(), Err(TokenHashError));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let token = Token::generate().unwrap();
        assert!(!format!("{token:?}").contains(&token.expose()[5..]));
    }
}
