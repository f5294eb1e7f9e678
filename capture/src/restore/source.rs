//! Where the contents of a point come from.
//!
//! Invariant: answers come in the order of the requests. A source does not judge what it is asked
//! for, and the asker believes no answer before it has checked it.

use bcdr_wire::restore::{Answer, Refusal, Request};

/// The side that has the point. Calls block.
pub trait PointSource {
    /// Sends a request. Several may be under way; the asker bounds how many.
    ///
    /// # Errors
    /// If the source is out of reach.
    fn ask(&mut self, request: &Request) -> Result<(), SourceError>;

    /// Waits for the answer to the oldest request that has none yet. A refusal is an answer.
    ///
    /// # Errors
    /// If the source is out of reach, or what came is no answer.
    fn answer(&mut self) -> Result<Answer, SourceError>;
}

/// Why a source gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The way to it broke. What was restored so far stays, and the next run goes on there.
    #[error(
        "the source of the point cannot be reached: {reason}; run the restore again when it can, \
         it goes on where it was"
    )]
    Lost {
        /// What broke.
        reason: String,
    },
    /// It refuses.
    #[error("the source of the point: {0}")]
    Refused(#[from] Refusal),
    /// It answered what it was not asked, or what cannot be.
    #[error(
        "the source of the point answered out of order ({reason}): the two sides may run releases \
         that do not fit, upgrade the older one"
    )]
    Nonsense {
        /// What did not fit.
        reason: String,
    },
}

impl SourceError {
    pub(crate) fn nonsense(reason: impl Into<String>) -> Self {
        Self::Nonsense {
            reason: reason.into(),
        }
    }
}
