//! What the tap tells its shell to do, and how the backing answers.

use super::request::Reply;
use crate::{Payload, feed::FeedItem, intent::Intent, journal::JournalCommand};
use bcdr_format::{IncarnationId, VolumeNumber, incarnation::IncarnationOrdinal};

/// One step for the shell. Actions are executed in the order they come out; none waits for another
/// to finish, except that an intent is in memory before anything behind it is begun.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Note in the intent ring that a write is about to begin.
    Intend(Intent),
    /// Note in the intent ring that writes go untracked from here on ([`IntentRing::distrust`]).
    ///
    /// [`IntentRing::distrust`]: crate::intent::IntentRing::distrust
    DistrustIntents,
    /// Note in the intent ring that it counts again, for this life ([`IntentRing::trust`]).
    ///
    /// [`IntentRing::trust`]: crate::intent::IntentRing::trust
    TrustIntents {
        /// The life.
        ordinal: IncarnationOrdinal,
        /// Its identity.
        incarnation: IncarnationId,
    },
    /// Begin an I/O on a volume's backing and report it with `backing_done`.
    Submit(BackingOperation),
    /// Put a command into the journal's queue; the queue keeps order.
    Journal(JournalCommand),
    /// Answer a client.
    Reply(Reply),
    /// Hand the feed its next item.
    Feed(FeedItem),
}

/// Names an I/O on a backing; minted by the tap, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackingId(pub u64);

/// An I/O to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackingOperation {
    /// Its name.
    pub id: BackingId,
    /// The volume whose backing it is for.
    pub volume: VolumeNumber,
    /// What to do.
    pub action: BackingAction,
}

/// What to do to a backing. Ranges are whole sectors, not necessarily whole I/O units: the shell
/// rounds a read out and reads around a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackingAction {
    /// Read `length` bytes at `offset`.
    Read {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u32,
    },
    /// Write the bytes at `offset`.
    Write {
        /// First byte.
        offset: u64,
        /// The bytes.
        payload: Payload,
    },
    /// Make the range read as zeroes, giving the space back if `unmap`. A backing that has no such
    /// operation answers [`BackingError::NotSupported`] and leaves the range as it was.
    Zero {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u32,
        /// Give the space back.
        unmap: bool,
    },
    /// Make every write that has been reported done durable.
    Sync,
}

/// What came of an I/O. A read that succeeds brings the bytes, or nothing if the whole range is a
/// hole that reads as zeroes; everything else brings nothing.
pub type BackingResult = Result<Option<Payload>, BackingError>;

/// Why an I/O on the backing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackingError {
    /// The backing lacks this operation and did nothing.
    NotSupported,
    /// No space is left.
    NoSpace,
    /// Anything else: what the range holds now is not known.
    Io,
}
