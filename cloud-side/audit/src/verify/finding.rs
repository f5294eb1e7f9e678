//! What can be wrong with a log.

use bcdr_report::PublicKey;
use std::fmt;

/// A line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line's number; the first is 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// A line is none.
    #[error("{place}: this line was edited or damaged: {reason}")]
    NotALine {
        /// Where.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer release wrote it.
    #[error("{place}: the log has audit_version {version}: verify it with a newer release")]
    UnknownVersion {
        /// Where.
        place: Place,
        /// The version found.
        version: u32,
    },
    /// A file does not begin as it should.
    #[error("{place}: the file's first line is missing: its beginning was cut off")]
    Unopened {
        /// Where.
        place: Place,
    },
    /// Nothing of a log was given.
    #[error("{place}: there is no audit log in what was given: it was cut off, or is another file")]
    Nothing {
        /// The last place that was read.
        place: Place,
    },
    /// An entry was changed.
    #[error(
        "{place}: entry {sequence} is not what was written: it was edited, or the one before it was exchanged"
    )]
    Edited {
        /// Where.
        place: Place,
        /// The entry.
        sequence: u64,
    },
    /// Entries are missing.
    #[error("{place}: entries {from} to {to} are missing: they were deleted")]
    Missing {
        /// Where the next one is.
        place: Place,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Entries stand in another order.
    #[error(
        "{place}: entry {sequence} stands after entry {before}: the order was changed, or one is given twice"
    )]
    Order {
        /// Where.
        place: Place,
        /// The entry.
        sequence: u64,
        /// The one before it.
        before: u64,
    },
    /// The log is another one than was signed or noted.
    #[error(
        "{place}: the log up to entry {sequence} is not the one that was signed or noted: entries were exchanged and all that follow written anew"
    )]
    Replaced {
        /// Where.
        place: Place,
        /// The entry.
        sequence: u64,
    },
    /// A signature does not fit.
    #[error("{place}: the signature does not fit what is said: it was edited after it was signed")]
    Signature {
        /// Where.
        place: Place,
    },
    /// Another key signed.
    #[error("{place}: it is signed with key {found}, not with the installation's key {expected}")]
    OtherKey {
        /// Where.
        place: Place,
        /// The key that signed.
        found: PublicKey,
        /// The key that was expected.
        expected: PublicKey,
    },
    /// It is of another installation than what is before it.
    #[error("{place}: it is of installation {found}, what is before it of {expected}")]
    OtherInstallation {
        /// Where.
        place: Place,
        /// Its installation.
        found: String,
        /// That of what is before it.
        expected: String,
    },
    /// The files are not those of one store in their order.
    #[error("{place}: this is file {}, where file {} belongs: files are missing, or in another order", number(*found), number(*expected))]
    OtherFile {
        /// Where.
        place: Place,
        /// Its number.
        found: Option<u64>,
        /// The number that belongs there.
        expected: Option<u64>,
    },
    /// What is before the first entry was not removed in order.
    #[error(
        "{place}: the log begins with entry {first}, and nothing signed says that those before it were removed in order (if this is an export of a period, say --partial)"
    )]
    Beginning {
        /// Where.
        place: Place,
        /// The first entry.
        first: u64,
    },
    /// The newest entries are covered by no signature.
    #[error(
        "{place}: no signed head covers what follows entry {after}, up to entry {newest}: the end was cut off or written anew"
    )]
    Unsigned {
        /// The end.
        place: Place,
        /// The newest entry that is covered.
        after: u64,
        /// The newest entry.
        newest: u64,
    },
    /// The log ends before a place that is known.
    #[error(
        "{place}: the log ends with entry {newest}, and entry {known} is known: the newest entries were cut off, or this is an older copy"
    )]
    Truncated {
        /// The end.
        place: Place,
        /// The newest entry.
        newest: u64,
        /// The entry that is known.
        known: u64,
    },
    /// The place that is known lies before what was given.
    #[error(
        "{place}: entry {known}, which is known, cannot be compared: the log given begins with entry {begins}"
    )]
    NotCovered {
        /// The end.
        place: Place,
        /// The entry that is known.
        known: u64,
        /// The first entry given.
        begins: u64,
    },
}

fn number(number: Option<u64>) -> String {
    number.map_or_else(|| "of no store".to_owned(), |number| number.to_string())
}
