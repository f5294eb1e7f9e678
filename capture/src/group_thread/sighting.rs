//! Keeps the intent ring's sighting of the backings up to date: see [`Sighting`].
//!
//! Invariant: before a write is submitted, the ring says that writes are in flight and allows for
//! this one; it says that all is quiet only when it is, with what the backings then look like.

use std::collections::HashSet;

use crate::{
    clock, evidence,
    intent::Sighting,
    tap::{BackingAction, BackingId, BackingOperation},
};

use super::GroupThread;

/// What the ring was told last, and what makes it untrue.
#[derive(Default)]
pub(super) struct Sightings {
    writing: HashSet<BackingId>,
    /// Whether the ring holds what the backings look like without a write in flight.
    quiet: bool,
    /// The most sectors that block devices can have been given.
    sectors_at_most: u64,
}

impl Sightings {
    /// Before the first write of the process.
    pub(super) fn new(sectors_written: u64) -> Self {
        Self {
            writing: HashSet::new(),
            quiet: true,
            sectors_at_most: sectors_written,
        }
    }

    pub(super) fn ended(&mut self, id: BackingId) {
        self.writing.remove(&id);
    }
}

impl GroupThread {
    /// An operation is about to be submitted.
    pub(super) fn sight_submission(&mut self, operation: &BackingOperation) {
        let (offset, length) = match &operation.action {
            BackingAction::Write { offset, payload } => (*offset, payload.len() as u64),
            BackingAction::Zero { offset, length, .. } => (*offset, u64::from(*length)),
            BackingAction::Read { .. } | BackingAction::Sync => return,
        };
        // Whole units are written. Twice at most: what cannot be trimmed is filled with zeroes.
        let unit = self
            .backings
            .iter()
            .find(|(number, _)| *number == operation.volume)
            .map_or(1, |(_, backing)| u64::from(backing.unit()));
        let bytes = (offset + length).next_multiple_of(unit) - offset / unit * unit;
        self.sightings.sectors_at_most += bytes / bcdr_format::SECTOR_BYTES;
        self.sightings.writing.insert(operation.id);
        self.sightings.quiet = false;
        self.sight_writing();
    }

    /// Time has passed.
    pub(super) fn sight_tick(&mut self) {
        if !self.sightings.writing.is_empty() {
            return self.sight_writing();
        }
        if self.sightings.quiet {
            return;
        }
        let backings = self.backings.iter().map(|(_, backing)| &**backing);
        match evidence::gather(backings, self.boot) {
            Ok(look) => {
                self.sightings.quiet = true;
                self.sightings.sectors_at_most = look.activity.sectors_written;
                let change = look.evidence.change;
                self.intents.sight(Sighting::Quiet { change });
            }
            // The bound noted last still holds.
            Err(error) => tracing::debug!(%error, "cannot look at the volumes"),
        }
    }

    fn sight_writing(&mut self) {
        self.intents.sight(Sighting::Writing {
            alive_at: clock::wall(),
            boot_at: clock::boot_at(),
            sectors_at_most: self.sightings.sectors_at_most,
        });
    }
}
