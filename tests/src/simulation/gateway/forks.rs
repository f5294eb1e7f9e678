//! Which fork the capture still has to hear of: the one that the receiver told and that no sync-end
//! on its way closes. The real gateway's rule.

use bcdr_format::{
    continuity::Fork,
    sync::{Heals, SyncEvent},
};

/// The last fork told, and the sync-ends that passed.
#[derive(Debug, Default)]
pub(super) struct Forks {
    told: Option<Fork>,
    heals: Vec<Heals>,
}

impl Forks {
    /// The receiver says which fork is open; whether that is news.
    pub(super) fn told(&mut self, fork: Option<Fork>) -> bool {
        std::mem::replace(&mut self.told, fork) != fork
    }

    /// These events are on their way.
    pub(super) fn passed(&mut self, events: impl IntoIterator<Item = SyncEvent>) {
        self.heals
            .extend(events.into_iter().filter_map(|event| match event {
                SyncEvent::End { heals, .. } if heals != Heals::Nothing => Some(heals),
                _ => None,
            }));
    }

    /// What was on its way was let go of.
    pub(super) fn let_go(&mut self) {
        self.heals.clear();
    }

    /// The fork that nothing on its way closes.
    pub(super) fn open(&self) -> Option<Fork> {
        self.told
            .filter(|fork| !self.heals.iter().any(|heals| fork.closed_by(heals)))
    }
}
