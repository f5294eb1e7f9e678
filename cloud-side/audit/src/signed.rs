//! What the installation signs: how far the chain reaches, and what was removed in order.

use crate::Mark;
use bcdr_report::{PublicKey, Signature, SigningKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The kind of statement that a head is.
const HEAD: &str = "audit head v1";
/// The kind of statement that a cut is.
const CUT: &str = "audit cut v1";

/// How far a chain reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The installation.
    pub installation: String,
    /// The newest entry.
    pub newest: Mark,
    /// How many entries are kept: all that were not removed in order.
    pub kept: u64,
    /// When this was said.
    pub at: Timestamp,
}

/// A head with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// What is said.
    pub body: Head,
    /// Whose signature it bears.
    pub key: PublicKey,
    /// The signature.
    pub signature: Signature,
}

/// The beginning of a chain that was removed in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// The installation.
    pub installation: String,
    /// The newest entry that was removed, with all before it.
    pub through: Mark,
    /// When this was said.
    pub at: Timestamp,
}

/// A cut with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCut {
    /// What is said.
    pub body: Cut,
    /// Whose signature it bears.
    pub key: PublicKey,
    /// The signature.
    pub signature: Signature,
}

fn text(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("a statement always encodes into memory")
}

impl SignedHead {
    /// Signs a head.
    pub fn sign(body: Head, key: &SigningKey) -> Self {
        let signature = key.sign_as(HEAD, &text(&body));
        Self {
            body,
            key: key.public(),
            signature,
        }
    }

    /// Whether the key that it names signed it.
    pub fn verifies(&self) -> bool {
        self.key
            .verifies_as(HEAD, &text(&self.body), &self.signature)
    }
}

impl SignedCut {
    /// Signs a cut.
    pub fn sign(body: Cut, key: &SigningKey) -> Self {
        let signature = key.sign_as(CUT, &text(&body));
        Self {
            body,
            key: key.public(),
            signature,
        }
    }

    /// Whether the key that it names signed it.
    pub fn verifies(&self) -> bool {
        self.key
            .verifies_as(CUT, &text(&self.body), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_its_own_statement_only() {
        let (key, _) = SigningKey::generate().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let newest = Mark::beginning("ins-1");
        let head = Head {
            installation: "ins-1".to_owned(),
            newest,
            kept: 0,
            at,
        };
        let signed = SignedHead::sign(head, &key);
        assert!(signed.verifies());
        let mut other = signed.clone();
        other.body.kept = 1;
        assert!(!other.verifies());
        let cut = Cut {
            installation: "ins-1".to_owned(),
            through: newest,
            at,
        };
        let mut cut = SignedCut::sign(cut, &key);
        assert!(cut.verifies());
        cut.signature = signed.signature;
        assert!(!cut.verifies());
    }
}
