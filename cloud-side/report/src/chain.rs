//! The chain of an installation's reports, and the signature under each.
//!
//! A sealed report is `{"report": …, "signature": …}`. The signature covers the report's canonical
//! form; the next report holds the digest of the canonical form of the whole. Numbers begin at 1
//! and have no gaps.

use crate::{
    Content, Digest, Finding, Given, PublicKey, REPORT_VERSION, SigningKey, canonical::Canonical,
    verify,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the signature's algorithm.
pub(crate) const ALGORITHM: &str = "ed25519";

/// A report in its place of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The version of this form.
    pub report_version: u32,
    /// Its id.
    pub id: String,
    /// The installation.
    pub installation: String,
    /// Its number in the installation's chain; the first is 1.
    pub number: u64,
    /// The digest of the report before it; absent in the first.
    pub previous: Option<Digest>,
    /// When it was made.
    pub made_at: Timestamp,
    /// What it says.
    pub content: Content,
}

/// The newest report of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// Its number.
    pub number: u64,
    /// Its digest.
    pub digest: Digest,
}

/// A signed report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The report.
    pub report: Report,
    /// It with its signature, as JSON in canonical form and a line end.
    pub json: String,
    /// Its digest: the head of the chain now.
    pub head: ChainHead,
}

impl Sealed {
    /// Reads a sealed report back and checks its signature, which must be of `key`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(name: &str, json: String, key: &PublicKey) -> Result<Self, Finding> {
        let given = Given {
            name: name.to_owned(),
            bytes: json.into_bytes(),
        };
        let (mut verified, mut findings) =
            verify(std::slice::from_ref(&given), Some(key), None, None);
        match (verified.pop(), findings.pop()) {
            (Some(verified), None) => Ok(Self {
                report: verified.report,
                json: String::from_utf8(given.bytes).expect("it was text"),
                head: verified.head,
            }),
            (_, Some(finding)) => Err(finding),
            (None, None) => Err(Finding::Signature {
                file: name.to_owned(),
            }),
        }
    }
}

/// Why a report cannot be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It has no canonical form.
    #[error("the report cannot be written as JSON: {0}")]
    Form(#[from] serde_json::Error),
    /// The chain has no more numbers.
    #[error("the chain of reports is full")]
    Full,
}

/// Puts content behind the newest report of its installation and signs it.
///
/// # Errors
/// When it has no canonical form.
pub fn seal(
    id: &str,
    installation: &str,
    after: Option<ChainHead>,
    made_at: Timestamp,
    content: Content,
    key: &SigningKey,
) -> Result<Sealed, SealError> {
    let number = match after {
        Some(head) => head.number.checked_add(1).ok_or(SealError::Full)?,
        None => 1,
    };
    let report = Report {
        report_version: REPORT_VERSION,
        id: id.to_owned(),
        installation: installation.to_owned(),
        number,
        previous: after.map(|head| head.digest),
        made_at,
        content,
    };
    let body = Canonical::of(&report)?;
    let signature = key.sign(&body.to_bytes());
    let text = |text: String| Canonical::Text(text);
    let signature = BTreeMap::from([
        ("algorithm".to_owned(), text(ALGORITHM.to_owned())),
        ("key".to_owned(), text(key.public().to_string())),
        ("value".to_owned(), text(signature.to_string())),
    ]);
    let whole = Canonical::Object(BTreeMap::from([
        ("report".to_owned(), body),
        ("signature".to_owned(), Canonical::Object(signature)),
    ]));
    let bytes = whole.to_bytes();
    let head = ChainHead {
        number,
        digest: Digest::of(&bytes),
    };
    let mut json = String::from_utf8(bytes).expect("JSON that was written from text is text");
    json.push('\n');
    Ok(Sealed { report, json, head })
}

/// Who signed, as the file itself says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureFields {
    pub(crate) algorithm: String,
    pub(crate) key: PublicKey,
    pub(crate) value: String,
}
