//! The chain: what binds an entry to all before it.

use crate::Entry;
use bcdr_report::Digest;
use serde::{Deserialize, Serialize};

/// A place of the chain: an entry's number and the hash over it and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The entry's number; 0 before the first.
    pub sequence: u64,
    /// The hash.
    pub hash: Digest,
}

impl Mark {
    /// The place before the first entry of an installation.
    pub fn beginning(installation: &str) -> Self {
        Self {
            sequence: 0,
            hash: Digest::of(format!("bcdr audit chain v1\n{installation}\n").as_bytes()),
        }
    }
}

/// An entry with its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chained {
    /// The entry.
    pub body: Entry,
    /// The hash over it and all before it.
    pub hash: Digest,
}

impl Chained {
    /// Binds an entry to the one before it, whose number it must follow.
    pub fn after(before: &Mark, body: Entry) -> Self {
        let hash = hash(&before.hash, &body);
        Self { body, hash }
    }

    /// Whether its hash is that of its text behind this one.
    pub fn fits(&self, before: &Digest) -> bool {
        self.hash == hash(before, &self.body)
    }

    /// Its place.
    pub fn mark(&self) -> Mark {
        Mark {
            sequence: self.body.sequence,
            hash: self.hash,
        }
    }
}

fn hash(before: &Digest, body: &Entry) -> Digest {
    let text = serde_json::to_string(body).expect("an entry always encodes into memory");
    Digest::of(format!("bcdr audit entry v1\n{before}\n{text}").as_bytes())
}
