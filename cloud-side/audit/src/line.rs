//! The lines that the log is made of, in files of the store and in exports.
//!
//! Invariant: each value has one text. A line that says the same in other bytes is refused, so that
//! no change of a line goes unseen and no two readers can disagree about one.

use crate::{AUDIT_VERSION, Chained, LINE_BYTES_MAX, Mark, SignedCut, SignedHead};
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "lines are read one at a time, and nearly all are entries"
)]
pub enum Line {
    /// The first of a file.
    Opening(Opening),
    /// An entry.
    Entry(Chained),
    /// How far the chain reaches.
    Head(SignedHead),
    /// What was removed in order.
    Cut(SignedCut),
}

/// What a file begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The version of this form.
    pub audit_version: u32,
    /// The installation.
    pub installation: String,
    /// The number of a file of the store; none for an export, which is one file.
    pub segment: Option<u64>,
    /// The place of the chain that its first entry follows.
    pub after: Mark,
}

/// Why a text is no line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It does not end.
    #[error("it has no end: the file was cut inside of it")]
    Unended,
    /// It is too long.
    #[error("it has more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It is another JSON, or none.
    #[error("it is none of the lines that are known: {0}")]
    Form(String),
    /// A newer release wrote it.
    #[error("it has audit_version {0}, this release knows {AUDIT_VERSION}: use a newer release")]
    Version(u32),
    /// It says what it says in other bytes than were written.
    #[error("its bytes are not those that were written")]
    Rewritten,
}

impl Line {
    /// The line, with its end.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("a line always encodes into memory");
        text.push('\n');
        text
    }

    /// Reads a line, with its end.
    ///
    /// # Errors
    /// Says why it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, LineError> {
        if bytes.len() > LINE_BYTES_MAX {
            return Err(LineError::TooLong);
        }
        let Some(text) = bytes.strip_suffix(b"\n") else {
            return Err(LineError::Unended);
        };
        let line: Self =
            serde_json::from_slice(text).map_err(|error| LineError::Form(error.to_string()))?;
        if let Self::Opening(opening) = &line
            && opening.audit_version != AUDIT_VERSION
        {
            return Err(LineError::Version(opening.audit_version));
        }
        if line.to_text().as_bytes() != bytes {
            return Err(LineError::Rewritten);
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening() -> Opening {
        Opening {
            audit_version: AUDIT_VERSION,
            installation: "ins-1".to_owned(),
            segment: Some(3),
            after: Mark::beginning("ins-1"),
        }
    }

    #[test]
    fn a_line_has_one_text() {
        let text = Line::Opening(opening()).to_text();
        assert_eq!(Line::parse(text.as_bytes()), Ok(Line::Opening(opening())));
        for (other, wanted) in [
            (text.replace(':', ": "), LineError::Rewritten),
            (text.trim_end().to_owned(), LineError::Unended),
            (" ".repeat(LINE_BYTES_MAX + 1), LineError::TooLong),
            (
                text.replace("\"audit_version\":1", "\"audit_version\":2"),
                LineError::Version(2),
            ),
        ] {
            assert_eq!(Line::parse(other.as_bytes()), Err(wanted), "{other}");
        }
        for other in [
            text.replace("segment", "part"),
            text.replacen("{\"audit", "{\"x\":1,\"audit", 1),
            "{}\n".to_owned(),
            "\n".to_owned(),
        ] {
            let refused = Line::parse(other.as_bytes());
            assert!(matches!(refused, Err(LineError::Form(_))), "{other}");
        }
    }
}
