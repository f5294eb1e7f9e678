//! The key that we share with a name server. Its secret is never shown and is overwritten when let go.

use super::{DnsError, records};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use hickory_proto::rr::{Name, rdata::tsig};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// How a message is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TsigAlgorithm {
    /// `hmac-sha256`
    #[default]
    HmacSha256,
    /// `hmac-sha384`
    HmacSha384,
    /// `hmac-sha512`
    HmacSha512,
}

impl TsigAlgorithm {
    const ALL: [Self; 3] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    pub(super) fn on_wire(self) -> tsig::TsigAlgorithm {
        match self {
            Self::HmacSha256 => tsig::TsigAlgorithm::HmacSha256,
            Self::HmacSha384 => tsig::TsigAlgorithm::HmacSha384,
            Self::HmacSha512 => tsig::TsigAlgorithm::HmacSha512,
        }
    }
}

impl FromStr for TsigAlgorithm {
    type Err = DnsError;

    fn from_str(text: &str) -> Result<Self, DnsError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| DnsError::Invalid {
                what: "algorithm",
                given: text.to_owned(),
                cause: "it must be hmac-sha256, hmac-sha384 or hmac-sha512".to_owned(),
            })
    }
}

/// A key with its name, as the name server knows both.
#[derive(Clone)]
pub struct TsigKey {
    name: Name,
    algorithm: TsigAlgorithm,
    secret: Zeroizing<Vec<u8>>,
}

impl TsigKey {
    /// A key whose secret is given in base64, as name servers keep it.
    ///
    /// # Errors
    /// When the name is none, or the secret is no base64 or empty.
    pub fn new(name: &str, algorithm: TsigAlgorithm, secret: &str) -> Result<Self, DnsError> {
        let name = records::name("key name", name)?;
        let wrong = |cause: &str| DnsError::Invalid {
            what: "the secret of key",
            given: name.to_ascii(),
            cause: format!("{cause}; it is written in base64, as tsig-keygen prints it"),
        };
        let secret = STANDARD
            .decode(secret.trim())
            .map_err(|_| wrong("it is no base64"))?;
        if secret.is_empty() {
            return Err(wrong("it is empty"));
        }
        Ok(Self {
            name,
            algorithm,
            secret: Zeroizing::new(secret),
        })
    }

    /// Reads a key as `tsig-keygen` writes it and `named` includes it:
    /// `key "NAME" { algorithm hmac-sha256; secret "…"; };`.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn from_key_file(text: &str) -> Result<Self, DnsError> {
        let spaced = Zeroizing::new(text.replace(['{', '}', ';', '"'], " "));
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let ["key", name, "algorithm", algorithm, "secret", secret] = words[..] else {
            return Err(DnsError::Invalid {
                what: "the key file",
                given: String::new(),
                cause: "it must be one key as tsig-keygen prints it: key \"NAME\" { algorithm …; \
                        secret \"…\"; };"
                    .to_owned(),
            });
        };
        Self::new(name, algorithm.parse()?, secret)
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn algorithm(&self) -> TsigAlgorithm {
        self.algorithm
    }

    pub(super) fn mac(&self) -> hmac::Key {
        let algorithm = match self.algorithm {
            TsigAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
            TsigAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
            TsigAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, &self.secret)
    }
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "TsigKey({}, {})",
            self.name,
            self.algorithm.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "key \"dr.example\" {\n\talgorithm hmac-sha512;\n\tsecret \"c2VjcmV0\";\n};\n";

    #[test]
    fn a_key_file_is_read_and_its_secret_never_shown() {
        let key = TsigKey::from_key_file(FILE).unwrap();
        assert_eq!(key.algorithm(), TsigAlgorithm::HmacSha512);
        assert_eq!(key.secret.as_slice(), b"secret");
        assert_eq!(format!("{key:?}"), "TsigKey(dr.example., hmac-sha512)");
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for wrong in [
            "",
            "key dr { algorithm hmac-md5; secret \"c2VjcmV0\"; };",
            "key dr { algorithm hmac-sha256; secret \"not base64!\"; };",
            "key dr { algorithm hmac-sha256; secret \"c2VjcmV0*\"; };",
            "key dr { secret \"c2VjcmV0\"; algorithm hmac-sha256; };",
        ] {
            let error = TsigKey::from_key_file(wrong).unwrap_err().to_string();
            assert!(!error.contains("c2Vj"), "{error}");
        }
    }
}
