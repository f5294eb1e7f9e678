//! Which session feeds a stream: at most one, the newest.

use super::writer::Outlet;
use bcdr_wire::feed::Refusal;
use std::sync::{Mutex, PoisonError};

/// The number of a session of one stream; later ones have greater numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct SessionNumber(u64);

#[derive(Debug, Default)]
struct Inner {
    last: SessionNumber,
    current: Option<(SessionNumber, Outlet)>,
}

/// The place of the one session that feeds a stream.
#[derive(Debug, Default)]
pub(crate) struct SessionSlot(Mutex<Inner>);

impl SessionSlot {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place; the session that had it is told so and ends.
    pub(crate) fn take(&self, outlet: Outlet) -> SessionNumber {
        let mut inner = self.inner();
        let number = SessionNumber(inner.last.0 + 1);
        inner.last = number;
        if let Some((_, old)) = inner.current.replace((number, outlet)) {
            old.refuse(Refusal::Replaced);
        }
        number
    }

    /// Gives the place back. Says whether the session still had it.
    pub(crate) fn leave(&self, number: SessionNumber) -> bool {
        let mut inner = self.inner();
        let had = inner
            .current
            .as_ref()
            .is_some_and(|(held, _)| *held == number);
        if had {
            inner.current = None;
        }
        had
    }

    /// Whether this session still has the place.
    pub(crate) fn is_current(&self, number: SessionNumber) -> bool {
        let inner = self.inner();
        inner
            .current
            .as_ref()
            .is_some_and(|(held, _)| *held == number)
    }

    /// The way to the session that feeds the stream now.
    pub(crate) fn outlet(&self) -> Option<Outlet> {
        self.inner()
            .current
            .as_ref()
            .map(|(_, outlet)| outlet.clone())
    }
}
