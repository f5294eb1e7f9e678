//! The fork that is open cloud-side, as far as this gateway can tell.
//!
//! A receiver tells of a fork when it finds one, and never that it is closed: a sync-end on its way
//! through this gateway closes it. A capture that says hello after that must not be told of the
//! fork again, or it would compare everything once more for nothing.

use bcdr_format::{
    continuity::Fork,
    sync::{Heals, SyncEvent},
};
use std::collections::VecDeque;

/// More sync-ends than this are never between a fork and the receiver's word of it.
const HEALS_KEPT: usize = 64;

/// The last fork that was told, and the sync-ends that passed.
#[derive(Debug, Default)]
pub(super) struct Forks {
    told: Option<Fork>,
    heals: VecDeque<Heals>,
}

impl Forks {
    /// The receiver says which fork is open. Returns whether that is news.
    pub(super) fn told(&mut self, fork: Option<Fork>) -> bool {
        std::mem::replace(&mut self.told, fork) != fork
    }

    /// These events are on their way to the receiver.
    pub(super) fn passed(&mut self, events: impl IntoIterator<Item = SyncEvent>) {
        for event in events {
            if let SyncEvent::End { heals, .. } = event
                && heals != Heals::Nothing
            {
                self.heals.push_back(heals);
                if self.heals.len() > HEALS_KEPT {
                    self.heals.pop_front();
                }
            }
        }
    }

    /// What was on its way was let go of, and will be fed again.
    pub(super) fn let_go(&mut self) {
        self.heals.clear();
    }

    /// The fork that nothing on its way closes.
    pub(super) fn open(&self) -> Option<Fork> {
        self.told
            .filter(|fork| !self.heals.iter().any(|heals| fork.closed_by(heals)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{IncarnationOrdinal, SyncId};

    fn fork(opening: u32) -> Fork {
        Fork {
            opening: IncarnationOrdinal(opening),
            continues: None,
            peer: None,
        }
    }

    fn end(opening: u32) -> SyncEvent {
        SyncEvent::End {
            sync: SyncId::from_u128(1),
            heals: Heals::Everything {
                opening: IncarnationOrdinal(opening),
            },
        }
    }

    #[test]
    fn a_fork_is_open_until_a_sync_end_that_closes_it_passes() {
        let mut forks = Forks::default();
        assert!(forks.told(Some(fork(3))));
        assert!(!forks.told(Some(fork(3))));
        forks.passed([end(2)]);
        assert_eq!(forks.open(), Some(fork(3)));
        forks.passed([end(3)]);
        assert_eq!(forks.open(), None);
        forks.let_go();
        assert_eq!(forks.open(), Some(fork(3)));
    }

    #[test]
    fn a_sync_end_that_passed_before_the_fork_was_told_closes_it_too() {
        let mut forks = Forks::default();
        forks.passed([end(3)]);
        forks.told(Some(fork(3)));
        assert_eq!(forks.open(), None);
        forks.told(Some(fork(4)));
        assert_eq!(forks.open(), Some(fork(4)));
    }
}
