//! The cloud side: the product's replica store, catalog and views under a shell of the simulator's
//! that repeats the decisions of the real receiver.
//!
//! It also judges what the product publishes. Everything that is told to anybody is remembered, and
//! must be there after every crash; every image looked at goes to the oracle.

mod judge;
mod opener;
mod session;

pub(crate) use judge::Judged;

use super::{
    capture::Life,
    context::{Context, Host},
    schedule::Micros,
    settings::Settings,
    world::{Event, Ids},
};
use bcdr_cloud::{
    catalog::Catalog,
    receive::{Lineage, PointId},
    replica::{Committed, LineageReader, LineageStore},
};
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk, Storage};
use bcdr_format::{
    Generation, MarkerId, Position, ReceiverRunId, Timestamp,
    record::{Beat, Marker, MarkerKind},
};
use bcdr_wire::ship::ToGateway;
use judge::Told;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const CATALOG: &str = "/cloud/catalog";
const TICK: Micros = 40_000;

/// The host the cloud side runs on.
#[derive(Debug)]
pub(crate) struct CloudHost {
    settings: Settings,
    ids: Ids,
    disk: SimulatedDisk,
    life: Life,
    process: Option<Process>,
    told: Told,
    /// Batches as they arrived, for a peer that sends them again: the last few.
    replay: Vec<bytes::Bytes>,
    /// Markers asked for.
    markers: u64,
    pub(crate) held_down: bool,
    pub(crate) disk_slow: Micros,
    /// Power cuts of the disk that were noticed.
    power_cuts: u64,
}

/// The running cloud side.
struct Process {
    catalog: Arc<Catalog>,
    store: LineageStore,
    session: Option<session::Session>,
    commit_scheduled: bool,
    answer_due: bool,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Process")
            .field("store", &self.store.durable())
            .finish_non_exhaustive()
    }
}

impl CloudHost {
    pub(crate) fn new(settings: &Settings, ids: Ids, random: &mut SeededRandom) -> Self {
        let plan = FaultPlan {
            write_error_per_mille: 0,
            sync_error_per_mille: 120,
            read_error_per_mille: 0,
        };
        let disk = SimulatedDisk::new(random.next_u64(), plan);
        disk.arm(false);
        disk.create_directory_all(Path::new("/cloud"))
            .expect("an unarmed disk makes directories");
        disk.sync_directory(Path::new("/"))
            .expect("an unarmed disk syncs");
        Self {
            settings: settings.clone(),
            ids,
            disk,
            life: Life(0),
            process: None,
            told: Told::default(),
            replay: Vec::new(),
            markers: 0,
            held_down: false,
            disk_slow: 1,
            power_cuts: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Whether something was received that is not durable yet.
    #[cfg(test)]
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.store.uncommitted_bytes() > 0)
    }

    /// The store's disk, for faults.
    pub(crate) fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }

    fn lineage(&self) -> Lineage {
        Lineage {
            group: self.ids.group,
            stream: self.ids.stream,
        }
    }

    fn process(&mut self, life: Life) -> Option<&mut Process> {
        if life != self.life {
            return None;
        }
        self.process.as_mut()
    }

    /// What is durable and what is published, if it runs.
    pub(crate) fn standing(&self) -> Option<(Option<Position>, Option<PointId>)> {
        let state = self.process.as_ref()?.store.durable();
        Some((
            state.held().map(|held| held.position),
            state.published().map(|point| point.id),
        ))
    }

    /// Whether no interval of any kind is open at what is held.
    pub(crate) fn is_publishable(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.store.durable().is_publishable())
    }

    fn reader(&self) -> Option<(Arc<LineageReader>, Arc<Catalog>)> {
        let process = self.process.as_ref()?;
        Some((process.store.reader(), Arc::clone(&process.catalog)))
    }

    pub(crate) fn start(&mut self, cx: &mut Context) {
        if self.process.is_some() || self.held_down {
            return;
        }
        self.life.0 += 1;
        let life = self.life;
        match self.open(cx) {
            Ok(process) => {
                self.process = Some(process);
                self.check_kept(cx);
                cx.schedule.after(TICK, Event::CloudTick { life });
                self.build_runs(cx, 64);
            }
            Err(reason) => {
                cx.trace(|| format!("cloud {} cannot start: {reason}", life.0));
                if !self.disk_is_faulty() {
                    cx.violated(format!("the cloud side does not start again: {reason}"));
                }
                self.disk.power_on();
                self.disk.kill();
                self.power_cuts = self.disk.faults().power_cuts;
                let again = cx.delay(5_000, 50_000);
                cx.schedule.after(again, Event::CloudStart);
            }
        }
    }

    /// Whether the disk may be to blame for an error.
    fn disk_is_faulty(&self) -> bool {
        self.told.disk_armed || self.disk.faults().power_cuts > self.power_cuts
    }

    /// If the power went in the middle of something, the host is gone.
    pub(crate) fn notice_power_cut(&mut self, cx: &mut Context) {
        if self.disk.faults().power_cuts > self.power_cuts {
            self.disk.power_on();
            cx.counters.note("cloud power cut");
            self.die(cx, true);
            let again = cx.delay(2_000, 60_000);
            cx.schedule.after(again, Event::CloudStart);
        }
    }

    /// Arms or disarms the disk's faults.
    pub(crate) fn arm(&mut self, armed: bool) {
        self.told.disk_armed = armed;
        self.disk.arm(armed);
    }

    fn open(&mut self, cx: &mut Context) -> Result<Process, String> {
        let storage: Arc<dyn Storage> = Arc::new(self.disk.clone());
        let catalog = Catalog::open_or_create(&*storage, Path::new(CATALOG), 1 << 20)
            .map_err(|error| error.to_string())?;
        let catalog = Arc::new(catalog);
        let (store, recovery) = LineageStore::open(
            storage,
            PathBuf::from("/cloud/lineage"),
            self.lineage(),
            Arc::clone(&catalog),
            self.settings.store,
            cx.wall(Host::Cloud),
        )
        .map_err(|error| error.to_string())?;
        cx.trace(|| {
            format!(
                "cloud {} starts: {recovery:?}, held {:?}, published {:?}",
                self.life.0,
                store.durable().held(),
                store.durable().published()
            )
        });
        if let Some(damage) = &recovery.damage {
            cx.violated(format!("a crash damaged what was acknowledged: {damage}"));
        }
        if recovery.torn_bytes > 0 {
            cx.counters.note("log: torn tail cut off");
        }
        if recovery.replayed > 0 {
            cx.counters.note("log: batches replayed");
        }
        Ok(Process {
            catalog,
            store,
            session: None,
            commit_scheduled: false,
            answer_due: false,
        })
    }

    /// Ends the process.
    pub(crate) fn die(&mut self, cx: &mut Context, power_cut: bool) {
        cx.trace(|| format!("cloud {}: dies, power {power_cut}", self.life.0));
        let process = self.process.take();
        self.disk.power_on();
        if power_cut {
            self.disk.power_cut();
        } else {
            self.disk.kill();
        }
        self.power_cuts = self.disk.faults().power_cuts;
        if let Some(session) = process
            .as_ref()
            .and_then(|process| process.session.as_ref())
        {
            cx.ship.sever(&mut cx.schedule, session.id);
        }
        drop(process);
        self.life.0 += 1;
    }

    /// The store failed: the process is started again.
    fn restart(&mut self, cx: &mut Context, reason: &str) {
        cx.trace(|| format!("cloud {} restarts: {reason}", self.life.0));
        self.die(cx, false);
        let again = cx.delay(5_000, 40_000);
        cx.schedule.after(again, Event::CloudStart);
    }

    pub(crate) fn tick(&mut self, cx: &mut Context, life: Life) {
        let nanoseconds = cx.schedule.now() * 1000;
        let run = ReceiverRunId::from_u128(u128::from(self.life.0));
        let Some(process) = self.process(life) else {
            return;
        };
        if let Some(session) = &process.session {
            let beat = Beat {
                run,
                receiver_nanoseconds: nanoseconds,
            };
            cx.ship
                .send_down(&mut cx.schedule, session.id, ToGateway::Beat(beat));
        }
        cx.schedule.after(TICK, Event::CloudTick { life });
    }

    /// An operator asks for a bookmark.
    pub(crate) fn ask_for_marker(&mut self, cx: &mut Context) -> Option<MarkerId> {
        self.markers += 1;
        let id = MarkerId::from_u128(u128::from(self.markers));
        let label = format!("bookmark-{}", self.markers);
        let process = self.process.as_mut()?;
        let session = process.session.as_ref()?;
        let reserved = process.catalog.reserve_label(self.ids.group, &label, id);
        if let Err(error) = reserved {
            cx.trace(|| format!("no label: {error}"));
            return None;
        }
        let marker = Marker {
            id,
            kind: MarkerKind::Bookmark,
            label,
        };
        cx.ship
            .send_down(&mut cx.schedule, session.id, ToGateway::PlaceMarker(marker));
        Some(id)
    }

    /// A newer generation takes over; what was appended before it counts, what comes after under an
    /// older one never does.
    pub(crate) fn fence(&mut self, cx: &mut Context) {
        let life = self.life;
        let Some(process) = self.process(life) else {
            return;
        };
        let next = Generation(process.store.received().generation().0 + 1);
        match process.store.fence(next) {
            Ok(committed) => {
                cx.trace(|| format!("generation {next} takes over"));
                self.committed(cx, &committed);
                self.told.generation = Some(next);
                self.replay_old_batches(cx);
                if let Some(session) = self
                    .process
                    .as_mut()
                    .and_then(|process| process.session.take())
                {
                    cx.ship.close_from_server(&mut cx.schedule, session.id);
                }
            }
            Err(error) => self.restart(cx, &error.to_string()),
        }
    }

    /// Makes durable what was appended, and tells of it.
    pub(crate) fn commit(&mut self, cx: &mut Context, life: Life) {
        let Some(process) = self.process(life) else {
            return;
        };
        process.commit_scheduled = false;
        if process.store.uncommitted_bytes() == 0 && !process.answer_due {
            return;
        }
        let failed_syncs = process.store.failed_syncs();
        match process.store.commit() {
            Ok(committed) => {
                if process.store.failed_syncs() > failed_syncs {
                    cx.counters.note("log: failed sync survived");
                }
                self.committed(cx, &committed);
                let steps = cx.random.below(3) as usize;
                self.build_runs(cx, steps);
            }
            Err(error) => self.restart(cx, &error.to_string()),
        }
    }

    fn build_runs(&mut self, cx: &mut Context, steps: usize) {
        let Some((reader, _)) = self.reader() else {
            return;
        };
        match reader.build_pending(steps) {
            Ok(built) => cx.counters.add("run merged", built as u64),
            Err(error) if self.disk_is_faulty() => {
                cx.trace(|| format!("a run was not built: {error}"));
            }
            Err(error) => cx.violated(format!("a run cannot be built: {error}")),
        }
    }

    fn committed(&mut self, cx: &mut Context, committed: &Committed) {
        for outcome in &committed.outcomes {
            self.note_outcome(cx, outcome);
        }
        self.note_told(cx);
        self.acknowledge(cx, committed);
    }

    /// A wall clock reading for receipts.
    fn receipt(cx: &Context) -> Timestamp {
        cx.wall(Host::Cloud)
    }

    /// Damages a run file, which the log can give again.
    pub(crate) fn damage_a_run(&mut self, cx: &mut Context) {
        let Some((reader, _)) = self.reader() else {
            return;
        };
        let built = reader.runs().built().get(1).copied().unwrap_or_default();
        if built == 0 {
            return;
        }
        let index = cx.random.below(built);
        let path = reader
            .runs()
            .path(bcdr_cloud::replica::run::RunId { level: 1, index });
        let offset = cx.random.below(64);
        if self.disk.flip_bit(&path, offset).is_ok() {
            cx.trace(|| format!("run {} is damaged", path.display()));
            self.told.runs_damaged = true;
        }
    }
}
