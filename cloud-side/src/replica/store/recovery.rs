//! Opening a lineage: the log's tail is replayed from the index's checkpoint.

use super::{StoreError, take_outcome};
use crate::{
    catalog::{BatchPlace, Catalog, Checkpoint, Commit, LogPosition, lineages::IndexUpdate},
    receive::{Applied, Decision, Lineage, LineageState},
    replica::{
        log::{Damage, Entry, LogReader, LogStart, Scanned, first_since, scan},
        run::head_bytes,
    },
};
use bcdr_format::{Timestamp, batch::BatchLayout};

/// The index is written after this many replayed batches, to bound memory.
const REPLAY_STEP: usize = 1024;

/// What opening a lineage found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Batches (heartbeats included) that the index did not have and the log gave again.
    pub replayed: u64,
    /// Bytes of the last segment that a crash left behind, never acknowledged.
    pub torn_bytes: u64,
    /// Damage to acknowledged bytes.
    pub damage: Option<Damage>,
}

pub(super) struct Recovered {
    pub(super) state: LineageState,
    pub(super) start: LogStart,
    pub(super) report: Recovery,
}

struct Replay<'a> {
    catalog: &'a Catalog,
    state: LineageState,
    update: IndexUpdate,
    replayed: u64,
    position: Option<LogPosition>,
    failure: Option<StoreError>,
}

pub(super) fn recover(
    log: &LogReader,
    catalog: &Catalog,
    lineage: Lineage,
    since: Timestamp,
) -> Result<Recovered, StoreError> {
    let generation = catalog.generation(lineage.group)?;
    let (from, mut state) = match catalog.checkpoint(lineage)? {
        Some(checkpoint) => (Some(checkpoint.position), checkpoint.state),
        None => {
            let begun = first_since(log)?.unwrap_or(since);
            // The log's own fences raise it while they are replayed; the catalog's, which may be
            // newer, counts only from the log's end on.
            (
                None,
                LineageState::new(lineage, bcdr_format::Generation(0), begun),
            )
        }
    };
    if from.is_some() {
        state.fenced(generation);
    }
    let mut replay = Replay {
        catalog,
        state,
        update: IndexUpdate::default(),
        replayed: 0,
        position: None,
        failure: None,
    };
    let end = scan(log, from, |scanned| replay.take(scanned))?;
    if let Some(failure) = replay.failure {
        return Err(failure);
    }
    replay.state.fenced(generation);
    let mut damage = end.damage;
    if let Some(damage) = &mut damage {
        damage.batch = damage.batch.or(Some(replay.state.next_batch()));
        tracing::error!(%lineage, %damage, "the log is damaged");
    }
    if damage.is_none() && replay.position.is_some() {
        replay.position = Some(end.end);
    }
    replay.flush(Commit::Durable)?;
    Ok(Recovered {
        start: LogStart {
            last_segment: end.last_segment,
            last_end: end.end.offset,
            since: replay.state.since(),
        },
        report: Recovery {
            replayed: replay.replayed,
            torn_bytes: end.torn_bytes,
            damage,
        },
        state: replay.state,
    })
}

impl Replay<'_> {
    fn take(&mut self, scanned: Scanned) -> Result<(), String> {
        let next = scanned.next;
        match &scanned.entry {
            Entry::Batch { .. } => self.take_batch(&scanned)?,
            Entry::WrappedKey { key, wrapped } => self.update.keys.push((*key, wrapped.to_vec())),
            Entry::Generation(generation) => self.state.fenced(*generation),
            // The state follows from the batches; the entry is a record for people and tools.
            Entry::Fork { .. } => {}
        }
        self.position = Some(next);
        if self.update.batches.len() >= REPLAY_STEP
            && let Err(failure) = self.flush(Commit::Lazy)
        {
            self.failure.get_or_insert(failure);
        }
        Ok(())
    }

    fn take_batch(&mut self, scanned: &Scanned) -> Result<(), String> {
        let Entry::Batch { receipt, bytes } = &scanned.entry else {
            return Ok(());
        };
        let layout = BatchLayout::parse(bytes).map_err(|error| error.to_string())?;
        // A batch in the log was accepted under the generation of its time.
        self.state.fenced(layout.header.generation);
        match self.state.offer_again(&layout) {
            Decision::Append { .. } => {}
            Decision::Duplicate => return Ok(()),
            Decision::Refuse(refusal) => {
                return Err(format!(
                    "its batch does not follow the one before it: {refusal}"
                ));
            }
        }
        let mac = layout.prefix.mac_of(bytes);
        let outcome = self.state.applied(&layout, mac, *receipt);
        let place = BatchPlace {
            segment: scanned.place.segment,
            offset: scanned.place.body_offset,
            head_bytes: head_bytes(&layout.prefix),
            total_bytes: scanned.place.body_bytes,
        };
        take_outcome(&mut self.update, &layout, &outcome, place);
        if let Applied::Batch(number) = outcome.applied {
            if outcome.members_changed {
                let members = self.state.members().copied().collect();
                self.update.members.push((number, members));
            }
            if outcome.unknown_changed {
                let unknown = self.state.unknown().iter().collect();
                self.update.unknown.push((number, unknown));
            }
        }
        self.replayed += 1;
        Ok(())
    }

    fn flush(&mut self, commit: Commit) -> Result<(), StoreError> {
        let Some(position) = self.position else {
            return Ok(());
        };
        let checkpoint = Checkpoint {
            position,
            state: self.state.clone(),
        };
        let update = std::mem::take(&mut self.update);
        Ok(self.catalog.follow_log(&checkpoint, &update, commit)?)
    }
}
