//! One lineage's store: log, state and index, kept in step.
//!
//! Owns the order of things: a batch is judged, appended, synced with its group, taken into the
//! index, and only then told to anyone. It runs on one thread; [`LineageReader`] is what others
//! share. Opening replays the log's tail from the index's checkpoint, so whatever was acknowledged
//! is there after any crash, whether or not the index had it.
//!
//! An error of [`LineageStore::commit`] ends the store's life: what was not acknowledged is sent
//! again after it was opened anew.

mod reader;
mod recovery;
mod removal;

pub use reader::LineageReader;
pub use recovery::Recovery;
pub use removal::remove_files;

use super::{
    log::{Damage, Entry, EntryPlace, LogError, LogOptions, LogReader, LogWriter, Ticket},
    run::{Beneath, RunError, RunStore, RunStoreParts, head_bytes},
    space::{SpaceFloor, SpaceFloorReached},
};
use crate::{
    catalog::lineages::IndexUpdate,
    catalog::{BatchPlace, BatchRow, Catalog, CatalogError, Checkpoint, Commit, MarkerRow},
    receive::{Applied, BatchNumber, Decision, Lineage, LineageState, Outcome, Refusal},
};
use bcdr_disk::{DiskError, Storage};
use bcdr_format::{DataKeyId, Generation, Timestamp, batch::BatchLayout, continuity::Held};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};
use thiserror::Error;

/// How a lineage is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// How long a log segment grows, in bytes.
    pub segment_bytes: u64,
    /// The index is made durable after this many commits of the log.
    pub checkpoint_commits: u32,
    /// The index is made durable after this long, in microseconds of receipt time.
    pub checkpoint_microseconds: i64,
    /// What stays free on the file system.
    pub space_floor: SpaceFloor,
    /// Memory for run pages and batch tables, in bytes.
    pub run_cache_bytes: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            segment_bytes: super::log::SEGMENT_BYTES_DEFAULT,
            checkpoint_commits: 256,
            checkpoint_microseconds: 2_000_000,
            space_floor: SpaceFloor::default(),
            run_cache_bytes: 32 << 20,
        }
    }
}

/// Why the store failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The index failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The batch is not acceptable; [`LineageStore::offer`] says so beforehand.
    #[error(transparent)]
    Refused(Refusal),
    /// A wrapped key is longer than any.
    #[error("a wrapped key of {length} bytes is longer than any this release knows")]
    KeyTooLong {
        /// Its length.
        length: usize,
    },
}

/// What a commit made durable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// The last durable position: acknowledge it as L3.
    pub held: Option<Held>,
    /// What each batch since the last commit did, in order.
    pub outcomes: Vec<Outcome>,
}

#[derive(Debug)]
struct Pending {
    ticket: Ticket,
    layout: BatchLayout,
    outcome: Outcome,
    bytes: u32,
    members: Option<Vec<bcdr_format::record::Member>>,
    unknown: Option<Vec<crate::receive::UnknownRange>>,
}

/// The writing side of one lineage's store; one thread owns it.
#[derive(Debug)]
pub struct LineageStore {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    options: StoreOptions,
    catalog: Arc<Catalog>,
    state: LineageState,
    durable: LineageState,
    writer: LogWriter,
    reader: Arc<LineageReader>,
    pending: Vec<Pending>,
    new_keys: Vec<(DataKeyId, Vec<u8>)>,
    damage: Option<Damage>,
    space: Result<(), SpaceFloorReached>,
    failed: bool,
    commits_since_checkpoint: u32,
    checkpoint_at: Timestamp,
}

impl LineageStore {
    /// Opens a lineage in `directory`, or begins it. `since` is when its group was made.
    ///
    /// Damage to acknowledged bytes is no error: it is told in the recovery, what lies before it
    /// stays readable, and the store takes no new data.
    pub fn open(
        storage: Arc<dyn Storage>,
        directory: PathBuf,
        lineage: Lineage,
        catalog: Arc<Catalog>,
        options: StoreOptions,
        since: Timestamp,
    ) -> Result<(Self, Recovery), StoreError> {
        let beneath = Beneath::Zeroes;
        Self::open_above(
            beneath, storage, directory, lineage, catalog, options, since,
        )
    }

    /// The same for a lineage that lies above a base, if `beneath` says so. The same lineage must
    /// be opened with the same answer always: its merged runs depend on it.
    pub fn open_above(
        beneath: Beneath,
        storage: Arc<dyn Storage>,
        directory: PathBuf,
        lineage: Lineage,
        catalog: Arc<Catalog>,
        options: StoreOptions,
        since: Timestamp,
    ) -> Result<(Self, Recovery), StoreError> {
        let log_directory = directory.join("log");
        let runs_directory = directory.join("runs");
        storage.create_directory_all(&log_directory)?;
        storage.create_directory_all(&runs_directory)?;
        let log = Arc::new(LogReader::new(
            Arc::clone(&storage),
            log_directory.clone(),
            lineage,
        ));
        let recovered = recovery::recover(&log, &catalog, lineage, since)?;
        let runs = RunStore::open(RunStoreParts {
            storage: Arc::clone(&storage),
            directory: runs_directory,
            log: Arc::clone(&log),
            catalog: Arc::clone(&catalog),
            cache_bytes: options.run_cache_bytes,
            beneath,
        })?;
        let writer = LogWriter::new(
            Arc::clone(&storage),
            log_directory,
            lineage,
            LogOptions {
                segment_bytes: options.segment_bytes,
            },
            recovered.start,
        );
        let mut store = Self {
            reader: Arc::new(LineageReader::new(
                Arc::clone(&catalog),
                log,
                Arc::new(runs),
            )),
            storage,
            directory,
            options,
            catalog,
            durable: recovered.state.clone(),
            state: recovered.state,
            writer,
            pending: Vec::new(),
            new_keys: Vec::new(),
            damage: recovered.report.damage.clone(),
            space: Ok(()),
            failed: false,
            commits_since_checkpoint: 0,
            checkpoint_at: Timestamp(i64::MIN),
        };
        store.refresh_space()?;
        Ok((store, recovered.report))
    }

    /// The shared reading side: views and the run builder.
    pub fn reader(&self) -> Arc<LineageReader> {
        Arc::clone(&self.reader)
    }

    /// What is durable: what may be told to anyone.
    pub fn durable(&self) -> &LineageState {
        &self.durable
    }

    /// What is appended, durable or not: what the next batch is judged by. Its chain value is what
    /// the next batch's MAC must be chained to.
    pub fn received(&self) -> &LineageState {
        &self.state
    }

    /// Damage that was found when the store was opened.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// How many syncs of the log failed since it was opened.
    pub fn failed_syncs(&self) -> u64 {
        self.writer.failed_syncs()
    }

    /// Bytes appended and not committed.
    pub fn uncommitted_bytes(&self) -> u64 {
        self.writer.uncommitted_bytes()
    }

    /// Looks at the free space again; call it every second or so.
    pub fn refresh_space(&mut self) -> Result<(), StoreError> {
        let space = self.storage.space(&self.directory)?;
        self.space = self.options.space_floor.admission(space);
        Ok(())
    }

    /// Whether the space floor lets new data in.
    pub fn admission(&self) -> Result<(), SpaceFloorReached> {
        self.space
    }

    /// Decides on a batch whose bytes were parsed whole. Check its MAC, chained to
    /// [`Self::received`], between this and [`Self::append`].
    pub fn offer(&self, layout: &BatchLayout) -> Decision {
        if self.failed {
            return Decision::Refuse(Refusal::Failed);
        }
        if let Some(damage) = &self.damage {
            return Decision::Refuse(Refusal::Damaged(damage.to_string()));
        }
        let decision = self.state.offer(layout);
        if !matches!(decision, Decision::Append { .. }) {
            return decision;
        }
        if let Err(reached) = self.space {
            return Decision::Refuse(reached.into());
        }
        match keys_of(layout).find(|key| !self.knows_key(*key)) {
            Some(key) => Decision::Refuse(Refusal::KeyMissing { key }),
            None => decision,
        }
    }

    fn knows_key(&self, key: DataKeyId) -> bool {
        self.writer.knows_key(key)
    }

    /// Takes in a data key in its wrapped form. It is written before the first batch that needs it,
    /// in every segment that does.
    pub fn add_key(&mut self, key: DataKeyId, wrapped: &[u8]) -> Result<(), StoreError> {
        if wrapped.len() > super::log::WRAPPED_KEY_BYTES_MAX {
            return Err(StoreError::KeyTooLong {
                length: wrapped.len(),
            });
        }
        if !self.writer.knows_key(key) {
            self.new_keys.push((key, wrapped.to_vec()));
            self.writer.know_key(key, Bytes::copy_from_slice(wrapped));
        }
        Ok(())
    }

    /// Appends a batch that [`Self::offer`] accepted; `receipt` is when it arrived. It counts after
    /// the next [`Self::commit`].
    pub fn append(
        &mut self,
        bytes: Bytes,
        layout: BatchLayout,
        receipt: Timestamp,
    ) -> Result<(), StoreError> {
        match self.offer(&layout) {
            Decision::Append { .. } => {}
            Decision::Duplicate => return Ok(()),
            Decision::Refuse(refusal) => return Err(StoreError::Refused(refusal)),
        }
        let mac = layout.prefix.mac_of(&bytes);
        let length = bytes.len() as u32;
        let keys: Vec<DataKeyId> = keys_of(&layout)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let outcome_of = |state: &mut LineageState| state.applied(&layout, mac, receipt);
        let ticket = self
            .writer
            .append(Entry::Batch { receipt, bytes }, keys)
            .inspect_err(|_| self.failed = true)?;
        let outcome = outcome_of(&mut self.state);
        self.append_forks(&outcome)?;
        self.pending.push(Pending {
            ticket,
            members: (outcome.members_changed).then(|| self.state.members().copied().collect()),
            unknown: (outcome.unknown_changed).then(|| self.state.unknown().iter().collect()),
            layout: without_tables(layout),
            outcome,
            bytes: length,
        });
        Ok(())
    }

    fn append_forks(&mut self, outcome: &Outcome) -> Result<(), StoreError> {
        let opened = outcome.forked.iter().map(|fork| (true, *fork));
        let closed = outcome.healed.iter().map(|fork| (false, *fork));
        for (opened, fork) in opened.chain(closed) {
            self.writer
                .append(Entry::Fork { opened, fork }, Vec::new())
                .inspect_err(|_| self.failed = true)?;
        }
        Ok(())
    }

    /// Raises the generation: batches of older ones are refused from here on, for ever. Durable on
    /// return, together with everything appended before it. An older generation changes nothing.
    pub fn fence(&mut self, generation: Generation) -> Result<Committed, StoreError> {
        self.catalog
            .raise_generation(self.state.lineage().group, generation)
            .inspect_err(|_| self.failed = true)?;
        if generation > self.state.generation() && self.damage.is_none() {
            self.writer
                .append(Entry::Generation(generation), Vec::new())
                .inspect_err(|_| self.failed = true)?;
        }
        self.state.fenced(generation);
        self.commit_as(Commit::Durable)
    }

    /// Makes everything appended durable and says what it did. Acknowledge only what this returned.
    pub fn commit(&mut self) -> Result<Committed, StoreError> {
        let newest = self.pending.last().map(|pending| pending.outcome.time);
        let due = newest.is_some_and(|time| {
            time.0.saturating_sub(self.checkpoint_at.0) >= self.options.checkpoint_microseconds
        }) || self.commits_since_checkpoint >= self.options.checkpoint_commits;
        let committed = self.commit_as(if due { Commit::Durable } else { Commit::Lazy })?;
        if due {
            self.commits_since_checkpoint = 0;
            self.checkpoint_at = newest.unwrap_or(self.checkpoint_at);
        } else {
            self.commits_since_checkpoint += 1;
        }
        Ok(committed)
    }

    /// Makes the index durable up to the log's end, so that the next start replays nothing.
    pub fn checkpoint(&mut self) -> Result<Committed, StoreError> {
        self.commit_as(Commit::Durable)
    }

    fn commit_as(&mut self, commit: Commit) -> Result<Committed, StoreError> {
        if self.failed {
            return Err(StoreError::Refused(Refusal::Failed));
        }
        let result = self.try_commit(commit);
        self.failed = result.is_err();
        result
    }

    fn try_commit(&mut self, commit: Commit) -> Result<Committed, StoreError> {
        let places = self.writer.commit()?;
        let pending = std::mem::take(&mut self.pending);
        let mut update = IndexUpdate {
            keys: std::mem::take(&mut self.new_keys),
            ..IndexUpdate::default()
        };
        for entry in &pending {
            note(&mut update, entry, &places);
        }
        let idle = pending.is_empty() && update.keys.is_empty() && commit == Commit::Lazy;
        if !idle && self.damage.is_none() {
            let checkpoint = Checkpoint {
                position: self.writer.end(),
                state: self.state.clone(),
            };
            self.catalog.follow_log(&checkpoint, &update, commit)?;
        }
        self.durable = self.state.clone();
        Ok(Committed {
            held: self.durable.held(),
            outcomes: pending.into_iter().map(|entry| entry.outcome).collect(),
        })
    }
}

fn keys_of(layout: &BatchLayout) -> impl Iterator<Item = DataKeyId> {
    layout.chunks.iter().map(|chunk| chunk.id.key)
}

/// The index needs a batch's header only; its tables may be megabytes.
fn without_tables(layout: BatchLayout) -> BatchLayout {
    BatchLayout {
        extents: Vec::new(),
        chunks: Vec::new(),
        ..layout
    }
}

fn note(update: &mut IndexUpdate, pending: &Pending, places: &HashMap<Ticket, EntryPlace>) {
    let Some(place) = places.get(&pending.ticket) else {
        return;
    };
    take_outcome(
        update,
        &pending.layout,
        &pending.outcome,
        BatchPlace {
            segment: place.segment,
            offset: place.body_offset,
            head_bytes: head_bytes(&pending.layout.prefix),
            total_bytes: pending.bytes,
        },
    );
    if let Applied::Batch(number) = pending.outcome.applied {
        if let Some(members) = &pending.members {
            update.members.push((number, members.clone()));
        }
        if let Some(unknown) = &pending.unknown {
            update.unknown.push((number, unknown.clone()));
        }
    }
}

/// Adds what a batch did to an index update; the same for a live batch and a replayed one.
fn take_outcome(
    update: &mut IndexUpdate,
    layout: &BatchLayout,
    outcome: &Outcome,
    place: BatchPlace,
) {
    match outcome.applied {
        Applied::Batch(number) => update.batches.push(BatchRow {
            number,
            end: outcome.end,
            time: outcome.time,
            covers_until: outcome.covers_until,
            published: outcome.published.is_some(),
            place,
            marker: layout.header.marker.as_ref().map(|marker| MarkerRow {
                id: marker.id,
                kind: marker.kind,
                label: marker.label.clone(),
            }),
            written_bytes: layout.header.written_bytes,
        }),
        Applied::Heartbeat { extends } => extend(update, extends, outcome.covers_until),
    }
}

fn extend(update: &mut IndexUpdate, extends: BatchNumber, covers_until: Timestamp) {
    match update.batches.last_mut() {
        Some(last) if last.number == extends => last.covers_until = covers_until,
        _ => update.extended = Some((extends, covers_until)),
    }
}

#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;
