//! Checks reports offline: signature, form, evidence, and that several are one chain.
//!
//! Everything that is wrong is found and named, not only the first thing. It opens no file: who
//! calls it gives the bytes.

use crate::{
    Digest, PublicKey, REPORT_VERSION, Report,
    canonical::Canonical,
    chain::{ALGORITHM, ChainHead, SignatureFields},
    signing::Signature,
};

/// Reads a file that a report vouches for, by its name, or says why that cannot be done.
pub type ReadEvidence<'a> = dyn FnMut(&Report, &str) -> Result<Vec<u8>, String> + 'a;

/// A file that was given.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its name, for what is said about it.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// A file that is a report of a known form with a signature that fits.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The file's name.
    pub name: String,
    /// The report.
    pub report: Report,
    /// Its digest, and its number.
    pub head: ChainHead,
    /// Whose signature it bears.
    pub key: PublicKey,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// It is no sealed report.
    #[error("{file}: this is no sealed report: {reason}; it was cut, edited, or is another file")]
    NotAReport {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// It was written by a newer release.
    #[error(
        "{file}: it has report_version {found}, this release knows {REPORT_VERSION}: verify it with a newer release"
    )]
    UnknownVersion {
        /// The file.
        file: String,
        /// The version found.
        found: String,
    },
    /// The signature does not fit.
    #[error(
        "{file}: the signature does not fit what the report says: it was edited after it was signed"
    )]
    Signature {
        /// The file.
        file: String,
    },
    /// Another key signed.
    #[error("{file}: it is signed with key {found}, not with the installation's key {expected}")]
    OtherKey {
        /// The file.
        file: String,
        /// The key that signed.
        found: PublicKey,
        /// The key that was expected.
        expected: PublicKey,
    },
    /// It is of another installation than the one before it.
    #[error("{file}: it is of installation {found}, the one before it of {expected}")]
    OtherInstallation {
        /// The file.
        file: String,
        /// Its installation.
        found: String,
        /// That of the one before it.
        expected: String,
    },
    /// The reports are not in the chain's order.
    #[error(
        "{file}: report {number} stands after report {before}: the order was changed, or one is given twice"
    )]
    Order {
        /// The file.
        file: String,
        /// Its number.
        number: u64,
        /// The number of the one before it.
        before: u64,
    },
    /// Reports are missing.
    #[error("{file}: report {number} stands after report {before}: those between are missing")]
    Missing {
        /// The file.
        file: String,
        /// Its number.
        number: u64,
        /// The number of the one before it.
        before: u64,
    },
    /// It continues another report than the one before it.
    #[error("{file}: it continues another report than {before}: one of the two was replaced")]
    Broken {
        /// The file.
        file: String,
        /// The file before it.
        before: String,
    },
    /// A first report names one before it, or a later one names none.
    #[error("{file}: report {number} cannot say that the report before it is {previous}")]
    Beginning {
        /// The file.
        file: String,
        /// Its number.
        number: u64,
        /// What it says.
        previous: String,
    },
    /// The chain does not end where it should.
    #[error(
        "{file}: the last report given is number {number} with digest {found}; the chain's newest is {expected}: the newest reports are missing or were replaced"
    )]
    End {
        /// The file.
        file: String,
        /// Its number.
        number: u64,
        /// Its digest.
        found: Digest,
        /// The digest that was expected.
        expected: Digest,
    },
    /// A file that the report vouches for cannot be read.
    #[error("{file}: evidence {name} cannot be read: {reason}")]
    EvidenceMissing {
        /// The report's file.
        file: String,
        /// The evidence.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file that the report vouches for has another length.
    #[error("{file}: evidence {name} has {found} bytes, the report says {expected}")]
    EvidenceLength {
        /// The report's file.
        file: String,
        /// The evidence.
        name: String,
        /// Its length.
        found: u64,
        /// What the report says.
        expected: u64,
    },
    /// A file that the report vouches for was changed.
    #[error(
        "{file}: evidence {name} was changed: its digest is {found}, the report says {expected}"
    )]
    EvidenceChanged {
        /// The report's file.
        file: String,
        /// The evidence.
        name: String,
        /// Its digest.
        found: Digest,
        /// What the report says.
        expected: Digest,
    },
}

/// Checks files in the order of the chain. `key` is the installation's key where it is known; `end`
/// the digest that the last file must have. `evidence` reads a file that a report vouches for; none
/// leaves the evidence unchecked.
///
/// What has no finding is as it was sealed. Without `key` that says only that whoever holds the key
/// in the files sealed them.
pub fn verify(
    files: &[Given],
    key: Option<&PublicKey>,
    end: Option<&Digest>,
    mut evidence: Option<&mut ReadEvidence<'_>>,
) -> (Vec<Verified>, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut verified: Vec<Verified> = Vec::new();
    for file in files {
        match open(file, key) {
            Ok(opened) => {
                let expected = key.or(verified.last().map(|before| &before.key));
                if let Some(expected) = expected.filter(|expected| **expected != opened.key) {
                    findings.push(Finding::OtherKey {
                        file: file.name.clone(),
                        found: opened.key,
                        expected: *expected,
                    });
                }
                follow(verified.last(), &opened, &mut findings);
                if let Some(read) = evidence.as_mut() {
                    check_evidence(&opened, read, &mut findings);
                }
                verified.push(opened);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if let (Some(expected), Some(last)) = (end, verified.last())
        && last.head.digest != *expected
    {
        findings.push(Finding::End {
            file: last.name.clone(),
            number: last.head.number,
            found: last.head.digest,
            expected: *expected,
        });
    }
    (verified, findings)
}

/// Reads a file and checks its signature: by the key that the file names, which the caller compares.
fn open(file: &Given, known: Option<&PublicKey>) -> Result<Verified, Finding> {
    let stranger = |reason: String| Finding::NotAReport {
        file: file.name.clone(),
        reason,
    };
    let whole = Canonical::parse(&file.bytes).map_err(|error| stranger(error.to_string()))?;
    let part = |name: &str| {
        let missing = || stranger(format!("there is no {name:?} in it"));
        whole.get(name).ok_or_else(missing)
    };
    let body = part("report")?;
    let signature = part("signature")?;
    if !matches!(&whole, Canonical::Object(fields) if fields.len() == 2) {
        return Err(stranger(
            "there is more in it than report and signature".to_owned(),
        ));
    }
    match body.get("report_version") {
        Some(Canonical::Whole(version)) if *version == REPORT_VERSION.into() => {}
        Some(Canonical::Whole(version)) => {
            return Err(Finding::UnknownVersion {
                file: file.name.clone(),
                found: version.to_string(),
            });
        }
        _ => return Err(stranger("it has no report_version".to_owned())),
    }
    let fields: SignatureFields = typed(signature).map_err(&stranger)?;
    if fields.algorithm != ALGORITHM {
        return Err(stranger(format!(
            "its signature is {:?}, where only {ALGORITHM} is known",
            fields.algorithm
        )));
    }
    let value = Signature::read(&fields.value)
        .ok_or_else(|| stranger("its signature has not 128 hexadecimal digits".to_owned()))?;
    let bytes = body.to_bytes();
    // A file that another key signed is told as such; one that the known key does not fit although
    // it names it was edited.
    let fits = fields.key.verifies(&bytes, &value)
        || known.is_some_and(|known| known.verifies(&bytes, &value));
    if !fits {
        return Err(Finding::Signature {
            file: file.name.clone(),
        });
    }
    let report: Report = typed(body).map_err(&stranger)?;
    let head = ChainHead {
        number: report.number,
        digest: Digest::of(&whole.to_bytes()),
    };
    Ok(Verified {
        name: file.name.clone(),
        report,
        head,
        key: fields.key,
    })
}

fn typed<T: serde::de::DeserializeOwned>(value: &Canonical) -> Result<T, String> {
    serde_json::from_slice(&value.to_bytes()).map_err(|error| error.to_string())
}

/// Compares a report with the one before it.
fn follow(before: Option<&Verified>, this: &Verified, findings: &mut Vec<Finding>) {
    let file = this.name.clone();
    let number = this.report.number;
    if (number == 1) != this.report.previous.is_none() || number == 0 {
        let previous = this.report.previous;
        findings.push(Finding::Beginning {
            file: file.clone(),
            number,
            previous: previous.map_or("none".to_owned(), |digest| digest.to_string()),
        });
    }
    let Some(before) = before else { return };
    if before.report.installation != this.report.installation {
        findings.push(Finding::OtherInstallation {
            file,
            found: this.report.installation.clone(),
            expected: before.report.installation.clone(),
        });
        return;
    }
    let last = before.report.number;
    if number <= last {
        findings.push(Finding::Order {
            file,
            number,
            before: last,
        });
    } else if number > last.saturating_add(1) {
        findings.push(Finding::Missing {
            file,
            number,
            before: last,
        });
    } else if this.report.previous != Some(before.head.digest) {
        findings.push(Finding::Broken {
            file,
            before: before.name.clone(),
        });
    }
}

fn check_evidence(this: &Verified, read: &mut ReadEvidence<'_>, findings: &mut Vec<Finding>) {
    for kept in &this.report.content.evidence {
        let (file, name) = (this.name.clone(), kept.name.clone());
        let bytes = match read(&this.report, &kept.name) {
            Ok(bytes) => bytes,
            Err(reason) => {
                findings.push(Finding::EvidenceMissing { file, name, reason });
                continue;
            }
        };
        let (length, digest) = (bytes.len() as u64, Digest::of(&bytes));
        if length != kept.bytes {
            findings.push(Finding::EvidenceLength {
                file,
                name,
                found: length,
                expected: kept.bytes,
            });
        } else if digest != kept.blake3 {
            findings.push(Finding::EvidenceChanged {
                file,
                name,
                found: digest,
                expected: kept.blake3,
            });
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
