//! A branch's side of its lineage's store: what a batch of it says, and committing one.
//!
//! Synchronous; the branch's thread owns it. Invariants: the first batch ever says that the lineage
//! is complete as it stands, since its base is inherited; each process opens an incarnation that
//! continues exactly the position held, so the lineage never forks.

use super::{
    BranchRecord, BranchSettings, OpenBranchError, PackError, extents::Extents, head::Taken,
    pack::Packer,
};
use crate::{
    receive::PublishedPoint,
    record_id::random,
    replica::{Beneath, LineageReader, LineageStore, SpaceFloor, SpaceFloorReached, StoreError},
};
use bcdr_disk::Storage;
use bcdr_format::{
    IncarnationId, IncarnationOrdinal, Opening, Position, Sequence, SyncId, Timestamp,
    batch::BatchHeader,
    record::Member,
    sync::{Heals, SyncEvent, SyncReason},
};
use std::{path::PathBuf, sync::Arc};
use thiserror::Error;

/// Why writes could not be made durable.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// They could not be made a batch.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The writing side of one branch.
#[derive(Debug)]
pub(super) struct BranchStore {
    store: LineageStore,
    packer: Packer,
    members: Vec<Member>,
    opening: Opening,
    /// Whether a batch of this incarnation is held.
    opened: bool,
    next: Sequence,
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    space_floor: SpaceFloor,
}

impl BranchStore {
    /// Opens the branch's lineage, or begins it as an image of `base_members`. `now` is the time.
    pub(super) fn open(
        settings: &BranchSettings,
        record: &BranchRecord,
        base_members: &[Member],
        now: Timestamp,
    ) -> Result<Self, OpenBranchError> {
        let branch = record.id;
        let keys = settings.keys.keys()?;
        let directory = settings.replicas.join(record.lineage.stream.to_string());
        let failed = |source| OpenBranchError::Store { branch, source };
        let (mut store, recovery) = LineageStore::open_above(
            Beneath::Base,
            Arc::clone(&settings.storage),
            directory.clone(),
            record.lineage,
            Arc::clone(&settings.catalog),
            settings.store,
            record.created_at,
        )
        .map_err(failed)?;
        tracing::info!(
            %branch, lineage = %record.lineage, replayed = recovery.replayed,
            torn_bytes = recovery.torn_bytes, "branch opened"
        );
        store
            .add_key(keys.data_key.id(), &keys.wrapped)
            .map_err(failed)?;
        let opening = next_opening(&store, now)?;
        let held: Vec<Member> = store.durable().members().copied().collect();
        let begun = !held.is_empty();
        let mut branch_store = Self {
            members: if begun { held } else { base_members.to_vec() },
            packer: Packer::new(keys)?,
            next: opening.first,
            opening,
            opened: false,
            storage: Arc::clone(&settings.storage),
            directory,
            space_floor: settings.store.space_floor,
            store,
        };
        if !begun && branch_store.damage().is_none() {
            let begin = branch_store.begin(now)?;
            branch_store
                .append(&begin, &Extents::default(), now)
                .map_err(|source| OpenBranchError::Begin { branch, source })?;
        }
        Ok(branch_store)
    }

    /// The first batch: the volumes, and a first copy that is complete because it is inherited.
    fn begin(&self, now: Timestamp) -> Result<BatchHeader, getrandom::Error> {
        let sync = SyncId::from_parts(milliseconds(now), random()?);
        let heals = Heals::Nothing;
        let reason = SyncReason::Initial;
        let sync_events = vec![
            SyncEvent::Begin { sync, reason },
            SyncEvent::End { sync, heals },
        ];
        // The member records, and the two of the interval.
        let records = self.members.len() as u64 + 2;
        Ok(BatchHeader {
            sync_events,
            ..self.header(records, now, 0)
        })
    }

    fn header(&self, records: u64, captured_at: Timestamp, written_bytes: u64) -> BatchHeader {
        let lineage = self.store.received().lineage();
        let opens = !self.opened;
        BatchHeader {
            group: lineage.group,
            stream: lineage.stream,
            generation: self.store.received().generation(),
            ordinal: self.opening.ordinal,
            incarnation: self.opening.id,
            opening: opens.then_some(self.opening),
            first: self.next,
            last: Sequence(self.next.0 + records - 1),
            captured_at,
            written_bytes,
            members: if opens {
                self.members.clone()
            } else {
                Vec::new()
            },
            sync_events: Vec::new(),
            marker: None,
            beat: None,
        }
    }

    /// Makes what a head held one batch, durable on return.
    ///
    /// An error is final: whether the batch is held is known only after the lineage was opened anew.
    pub(super) fn commit(&mut self, taken: &Taken, now: Timestamp) -> Result<(), CommitError> {
        let header = self.header(taken.writes, taken.answered_at, taken.written_bytes);
        self.append(&header, &taken.extents, now)
    }

    fn append(
        &mut self,
        header: &BatchHeader,
        extents: &Extents,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let chain = self.store.received().chain();
        let (bytes, layout) = self.packer.pack(header, extents, &chain)?;
        self.store.append(bytes, layout, now)?;
        self.store.commit()?;
        self.opened = true;
        self.next = header.last.next();
        Ok(())
    }

    /// The newest point: the end of the last durable batch.
    pub(super) fn point(&self) -> Option<PublishedPoint> {
        self.store.durable().published()
    }

    /// The volumes.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn reader(&self) -> Arc<LineageReader> {
        self.store.reader()
    }

    /// Damage found when it was opened: it takes no writes.
    pub(super) fn damage(&self) -> Option<String> {
        self.store.damage().map(ToString::to_string)
    }

    /// Looks at the free space. What was answered is committed even below the floor, from the space
    /// that it keeps free; new writes are not to be answered there.
    pub(super) fn measure_space(&mut self) -> Result<Result<(), SpaceFloorReached>, StoreError> {
        let space = self.storage.space(&self.directory)?;
        let admission = self.space_floor.admission(space);
        // The store refuses batches by what it saw last, which must not be the floor while any
        // write is answered.
        if admission.is_ok() && self.store.admission().is_err() {
            self.store.refresh_space()?;
            return Ok(self.store.admission());
        }
        Ok(admission)
    }

    /// Makes the index durable, so that the next start replays nothing.
    pub(super) fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.store.checkpoint().map(drop)
    }
}

fn milliseconds(now: Timestamp) -> u64 {
    u64::try_from(now.0 / 1000).unwrap_or(0)
}

/// A new life of the branch, which continues exactly what is held.
fn next_opening(store: &LineageStore, now: Timestamp) -> Result<Opening, getrandom::Error> {
    let continues: Option<Position> = store.durable().held().map(|held| held.position);
    Ok(Opening {
        ordinal: continues.map_or(IncarnationOrdinal::FIRST, |held| held.ordinal.next()),
        id: IncarnationId::from_parts(milliseconds(now), random()?),
        continues,
        first: continues.map_or(Sequence::FIRST, |held| held.sequence.next()),
    })
}
