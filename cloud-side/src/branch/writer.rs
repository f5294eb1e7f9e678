//! An open branch: reads and writes from any thread, and the thread that makes batches.
//!
//! Callers and the thread meet in one lock over the layers in memory; nothing under it waits for a
//! disk. The thread takes the head, makes it durable, and only then tells whoever waits for it; what
//! is written meanwhile goes to the next head. It also opens newer views, so that memory stays
//! bounded, away from whoever reads.

use super::{
    BATCH_BYTES_MAX, BranchError, BranchId, BranchLimits, BranchRecord, BranchSettings,
    OpenBranchError, WRITE_BYTES_MAX, ZERO_BYTES_MAX,
    extents::{Fill, Piece},
    head::{Due, Head, HeadLimits, Taken},
    layers::{Found, Layers},
    store::BranchStore,
};
use crate::{
    clock,
    receive::{BatchNumber, PublishedPoint},
    replica::{
        ChunkCache, ChunkOpener, LineageReader, SpaceFloorReached, Status, StatusKind, ViewError,
        ViewReader, push_status,
    },
};
use bcdr_format::{SECTOR_BYTES, VolumeNumber, record::Member};
use bytes::Bytes;
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How often the free space is looked at while the branch is written to.
const SPACE_EVERY: Duration = Duration::from_secs(1);
/// A view that cannot be renewed fails the branch when memory reaches this many times its bound.
const UNRENEWED_MAX: u64 = 4;

/// How a branch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchStatus {
    /// Its newest durable point.
    pub point: PublishedPoint,
    /// Memory of writes that are answered and not durable yet, in bytes.
    pub undurable_bytes: u64,
    /// Why it takes no writes any more, if so.
    pub failure: Option<Arc<str>>,
    /// Why it takes no writes for now, if so.
    pub no_space: Option<SpaceFloorReached>,
}

/// An open branch. Its calls block and may come from many threads.
#[derive(Debug)]
pub struct Branch {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    record: BranchRecord,
    members: Vec<Member>,
    limits: BranchLimits,
    reader: Arc<LineageReader>,
    base: Arc<ViewReader>,
    opener: Arc<dyn ChunkOpener>,
    cache: Arc<ChunkCache>,
    state: Mutex<State>,
    /// The thread has something to do.
    work: Condvar,
    /// Something became durable, found room, failed or ended.
    told: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("branch", &self.record.id)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    layers: Layers,
    /// How many writes since the branch was opened are durable.
    durable: u64,
    point: PublishedPoint,
    failure: Option<Arc<str>>,
    no_space: Option<SpaceFloorReached>,
    /// No new writes: the thread commits what there is and ends.
    stopping: bool,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_told<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.told
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn open_view(&self, number: BatchNumber) -> Result<Arc<ViewReader>, ViewError> {
        let (opener, cache) = (Arc::clone(&self.opener), Arc::clone(&self.cache));
        let base = Arc::clone(&self.base);
        let view = self.reader.open_view_above(base, number, opener, cache)?;
        Ok(Arc::new(view))
    }

    /// Whether anything may be asked of the branch still.
    fn check_usable(&self, state: &State) -> Result<(), BranchError> {
        let branch = self.record.id;
        match &state.failure {
            Some(reason) => Err(BranchError::Failed {
                branch,
                reason: Arc::clone(reason),
            }),
            None if state.ended => Err(BranchError::Closed { branch }),
            None => Ok(()),
        }
    }

    fn check_writable(&self, state: &State) -> Result<(), BranchError> {
        self.check_usable(state)?;
        if state.stopping {
            let branch = self.record.id;
            return Err(BranchError::Closed { branch });
        }
        state.no_space.map_or(Ok(()), |reached| Err(reached.into()))
    }
}

impl Branch {
    /// Opens a branch above `base`, or begins it. Blocks.
    ///
    /// A damaged log is no error while a point of it can be read: the branch then takes no writes.
    ///
    /// # Errors
    /// When it cannot be read at all, or not be begun.
    pub fn open(
        settings: &BranchSettings,
        record: BranchRecord,
        base: Arc<ViewReader>,
    ) -> Result<Self, OpenBranchError> {
        let branch = record.id;
        let mut store = BranchStore::open(settings, &record, base.volumes(), clock::wall())?;
        let damage = store.damage();
        let point = store.point().ok_or_else(|| OpenBranchError::NoPoint {
            branch,
            reason: damage
                .clone()
                .unwrap_or_else(|| "its log is empty".to_owned()),
        })?;
        let no_space = store
            .measure_space()
            .map_err(|source| OpenBranchError::Store { branch, source })?
            .err();
        let reader = store.reader();
        let (opener, cache) = (Arc::clone(&settings.opener), Arc::clone(&settings.cache));
        let view = reader.open_view_above(Arc::clone(&base), point.batch, opener, cache)?;
        let limits = settings.limits;
        let head = Head::new(HeadLimits {
            bytes: limits.batch_bytes.min(BATCH_BYTES_MAX),
            age: limits.batch_age,
        });
        let shared = Arc::new(Shared {
            members: store.members().to_vec(),
            record,
            limits,
            reader,
            base,
            opener: Arc::clone(&settings.opener),
            cache: Arc::clone(&settings.cache),
            state: Mutex::new(State {
                layers: Layers::new(head, Arc::new(view)),
                durable: 0,
                point,
                failure: damage.map(Arc::from),
                no_space,
                stopping: false,
                ended: false,
            }),
            work: Condvar::new(),
            told: Condvar::new(),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            store,
            committed: settings.committed.clone(),
            measured: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("branch".to_owned())
            .spawn(move || {
                let ending = Ending(Arc::clone(&writer.shared));
                writer.run();
                drop(ending);
            })
            .map_err(|source| OpenBranchError::Thread { branch, source })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Its id.
    pub fn id(&self) -> BranchId {
        self.shared.record.id
    }

    /// Its record as of when it was opened.
    pub fn record(&self) -> &BranchRecord {
        &self.shared.record
    }

    /// Its volumes: those of its base.
    pub fn volumes(&self) -> &[Member] {
        &self.shared.members
    }

    /// The image it began as.
    pub fn base(&self) -> &Arc<ViewReader> {
        &self.shared.base
    }

    /// The reading side of its lineage, for what lies above it.
    pub fn reader(&self) -> &Arc<LineageReader> {
        &self.shared.reader
    }

    /// How it stands.
    pub fn status(&self) -> BranchStatus {
        let state = self.shared.state();
        BranchStatus {
            point: state.point,
            undurable_bytes: state.layers.undurable_bytes(),
            failure: state.failure.clone(),
            no_space: state.no_space,
        }
    }

    /// Its newest durable point. Right after a flush that is everything answered before the flush,
    /// and perhaps more.
    pub fn head_point(&self) -> PublishedPoint {
        self.shared.state().point
    }

    /// The read-only image at the end of one of its batches.
    ///
    /// # Errors
    /// When there is no such batch or it cannot be read.
    pub fn view(&self, number: BatchNumber) -> Result<Arc<ViewReader>, ViewError> {
        self.shared.open_view(number)
    }

    /// Writes whole sectors. Returns when the write is in the branch's memory; it is durable after
    /// the next flush. Waits while the memory is full.
    ///
    /// # Errors
    /// When nothing of it was taken in, unless the store failed in between: then any part was.
    pub fn write(&self, volume: VolumeNumber, offset: u64, data: Bytes) -> Result<(), BranchError> {
        let length = data.len() as u64;
        self.check_write(volume, offset, length)?;
        let mut at = 0;
        while at < length {
            let end = length.min(at + WRITE_BYTES_MAX);
            self.put(Piece {
                volume,
                offset: offset + at,
                length: end - at,
                fill: Fill::Data(data.slice(at as usize..end as usize)),
            })?;
            at = end;
        }
        Ok(())
    }

    /// Makes whole sectors read as zeroes, whatever the base holds there. As [`Self::write`].
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_zeroes(
        &self,
        volume: VolumeNumber,
        offset: u64,
        length: u64,
    ) -> Result<(), BranchError> {
        self.check_write(volume, offset, length)?;
        let mut at = 0;
        while at < length {
            let end = length.min(at + ZERO_BYTES_MAX);
            self.put(Piece {
                volume,
                offset: offset + at,
                length: end - at,
                fill: Fill::Zero,
            })?;
            at = end;
        }
        Ok(())
    }

    fn put(&self, piece: Piece) -> Result<(), BranchError> {
        let mut state = self.shared.state();
        loop {
            self.shared.check_writable(&state)?;
            if state.layers.head.has_room(piece.length, &piece.fill) {
                break;
            }
            state.layers.head.ask();
            self.shared.work.notify_one();
            state = self.shared.wait_told(state);
        }
        let head = &mut state.layers.head;
        let was_empty = head.is_empty();
        head.write(piece, Instant::now(), clock::wall());
        if was_empty || head.is_full() {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Returns when everything answered before the call is durable.
    ///
    /// # Errors
    /// When the store failed, now or earlier; the branch then takes no writes any more.
    pub fn flush(&self) -> Result<(), BranchError> {
        let mut state = self.shared.state();
        self.shared.check_usable(&state)?;
        let wanted = state.layers.head.answered();
        while state.durable < wanted {
            self.shared.check_usable(&state)?;
            // What is being committed already needs no asking, and what came later can wait.
            if state.layers.head.taken() < wanted {
                state.layers.head.ask();
                self.shared.work.notify_one();
            }
            state = self.shared.wait_told(state);
        }
        Ok(())
    }

    /// Reads a range of a volume, as the writes answered so far left it. After a failure of the
    /// store, as it is durable.
    ///
    /// # Errors
    /// When the range is not in the volume or cannot be read.
    pub fn read(
        &self,
        volume: VolumeNumber,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, BranchError> {
        let Found { pieces, gaps, view } = self.find(volume, offset, length as u64)?;
        let mut out = vec![0; length];
        let place = |from: u64| (from - offset) as usize;
        for (from, until) in gaps {
            view.read_into(volume, from, &mut out[place(from)..place(until)])?;
        }
        for piece in pieces {
            if let Fill::Data(bytes) = piece.fill {
                out[place(piece.offset)..][..bytes.len()].copy_from_slice(&bytes);
            }
        }
        Ok(out)
    }

    /// What a range of a volume is, in order; neighbours differ in kind.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn block_status(
        &self,
        volume: VolumeNumber,
        offset: u64,
        length: u64,
    ) -> Result<Vec<Status>, BranchError> {
        let Found {
            mut pieces,
            gaps,
            view,
        } = self.find(volume, offset, length)?;
        pieces.sort_unstable_by_key(|piece| piece.offset);
        let mut pieces = pieces.into_iter().peekable();
        let mut found = Vec::new();
        let mut held = |found: &mut Vec<Status>, before: u64| {
            while let Some(piece) = pieces.next_if(|piece| piece.offset < before) {
                let kind = match piece.fill {
                    Fill::Data(_) => StatusKind::Data,
                    Fill::Zero => StatusKind::Zero,
                };
                push_status(found, piece.length, kind);
            }
        };
        for (from, until) in gaps {
            held(&mut found, from);
            for status in view.block_status(volume, from, until - from)? {
                push_status(&mut found, status.length, status.kind);
            }
        }
        held(&mut found, u64::MAX);
        Ok(found)
    }

    fn find(&self, volume: VolumeNumber, offset: u64, length: u64) -> Result<Found, BranchError> {
        let end = self.check_range(volume, offset, length)?;
        Ok(self.shared.state().layers.find(volume, offset, end))
    }

    fn check_write(
        &self,
        volume: VolumeNumber,
        offset: u64,
        length: u64,
    ) -> Result<(), BranchError> {
        self.check_range(volume, offset, length)?;
        if !offset.is_multiple_of(SECTOR_BYTES) || !length.is_multiple_of(SECTOR_BYTES) {
            return Err(BranchError::Unaligned { offset, length });
        }
        Ok(())
    }

    /// Where the range ends, if it lies in its volume.
    fn check_range(
        &self,
        volume: VolumeNumber,
        offset: u64,
        length: u64,
    ) -> Result<u64, BranchError> {
        let branch = self.id();
        let member = self
            .volumes()
            .iter()
            .find(|member| member.number == volume)
            .ok_or(BranchError::NoVolume { branch, volume })?;
        let size = member.size_bytes;
        let end = offset.checked_add(length).filter(|end| *end <= size);
        end.ok_or(BranchError::OutsideVolume {
            branch,
            volume,
            offset,
            length,
            size,
        })
    }

    /// Makes everything answered durable, if the store works, and ends the thread. Reads go on.
    pub fn close(&self) {
        self.shared.state().stopping = true;
        self.shared.work.notify_one();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!(branch = %self.id(), "the thread of a branch broke");
        }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the branch's thread owns.
struct Writer {
    shared: Arc<Shared>,
    store: BranchStore,
    committed: mpsc::Sender<Arc<LineageReader>>,
    measured: Instant,
}

/// Tells whoever waits that the thread has ended, also when it broke.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended = true;
        if std::thread::panicking() {
            state.failure = Some("its thread broke".into());
            state.layers.give_up();
        }
        drop(state);
        self.0.told.notify_all();
    }
}

enum Step {
    Commit(Arc<Taken>),
    Measure,
    End,
}

impl Writer {
    fn run(mut self) {
        // Runs that were due when the last process ended. Without a builder the process is stopping.
        let _stopping = self.committed.send(self.store.reader());
        loop {
            match self.next_step() {
                Step::Commit(taken) => {
                    if !self.commit(&taken) {
                        break;
                    }
                    self.renew_view();
                    if self.measured.elapsed() >= SPACE_EVERY {
                        self.measure();
                    }
                }
                Step::Measure => self.measure(),
                Step::End => {
                    if let Err(error) = self.store.checkpoint() {
                        // The next start replays the log instead.
                        tracing::warn!(branch = %self.shared.record.id, %error, "no checkpoint at the end");
                    }
                    break;
                }
            }
        }
    }

    /// Waits until there is something to do.
    fn next_step(&self) -> Step {
        let mut state = self.shared.state();
        loop {
            let now = Instant::now();
            let due = state.layers.head.due(now);
            let wait = match due {
                Due::Never if state.stopping || state.failure.is_some() => return Step::End,
                Due::At(_) if state.stopping => Some(Duration::ZERO),
                Due::Now => Some(Duration::ZERO),
                Due::At(instant) => Some(instant.saturating_duration_since(now)),
                Due::Never => None,
            };
            if wait == Some(Duration::ZERO) {
                let taken = state.layers.take();
                drop(state);
                // The next head has room.
                self.shared.told.notify_all();
                return Step::Commit(taken);
            }
            let measure_in = state
                .no_space
                .map(|_| SPACE_EVERY.saturating_sub(self.measured.elapsed()));
            if measure_in == Some(Duration::ZERO) {
                return Step::Measure;
            }
            state = match wait.into_iter().chain(measure_in).min() {
                Some(wait) => {
                    let woken = self.shared.work.wait_timeout(state, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.shared.work.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Makes a head durable and tells. Says whether the branch goes on.
    fn commit(&mut self, taken: &Taken) -> bool {
        if let Err(error) = self.store.commit(taken, clock::wall()) {
            self.fail(&error.to_string());
            return false;
        }
        let mut state = self.shared.state();
        state.layers.committed();
        state.durable = taken.through;
        state.point = self.store.point().unwrap_or(state.point);
        drop(state);
        self.shared.told.notify_all();
        // Without a builder the process is stopping; runs are built after the next start.
        let _stopping = self.committed.send(self.store.reader());
        true
    }

    fn fail(&self, reason: &str) {
        tracing::error!(branch = %self.shared.record.id, reason, "a branch's store failed");
        let mut state = self.shared.state();
        state.failure = Some(reason.into());
        state.layers.give_up();
    }

    /// Opens a view that shows everything committed, if memory holds enough of it.
    fn renew_view(&mut self) {
        let limits = self.shared.limits;
        let (number, (bytes, batches)) = {
            let state = self.shared.state();
            (state.point.batch, state.layers.since())
        };
        if bytes < limits.view_bytes && batches < limits.view_batches {
            return;
        }
        match self.shared.open_view(number) {
            Ok(view) => self.shared.state().layers.renew(view),
            Err(error) if bytes < limits.view_bytes.saturating_mul(UNRENEWED_MAX) => {
                tracing::warn!(branch = %self.shared.record.id, %error, "a newer view cannot be opened; memory grows");
            }
            Err(error) => self.fail(&format!("what it wrote cannot be read back: {error}")),
        }
    }

    fn measure(&mut self) {
        self.measured = Instant::now();
        match self.store.measure_space() {
            Ok(admission) => {
                let mut state = self.shared.state();
                state.no_space = admission.err();
            }
            Err(error) => {
                tracing::warn!(branch = %self.shared.record.id, %error, "cannot measure free space");
            }
        }
        // Whoever waits for room hears of it.
        self.shared.told.notify_all();
    }
}
