//! The protected host: its disks, and the capture process that serves and taps them.
//!
//! The process is the product's own cores (tap, journal, intent ring, start plan, feed session)
//! under a shell of the simulator's, which executes their actions in order as the real one does,
//! but takes its time about each and may die between any two.

mod backing;
mod ending;
mod feed;
mod journal;
mod requests;
mod starting;

pub(crate) use backing::{BackingFaults, IoId};
pub(crate) use requests::{ClientId, Wanted};

use super::{
    context::{Context, Host},
    oracle::Step,
    schedule::Micros,
    settings::Settings,
    stamp::{self, Cell, SECTOR},
    world::{Event, Ids},
};
use backing::Io;
use bcdr_capture::{
    feed::FeedSession,
    intent::{BackingActivity, BackingEvidence, BootId, IntentRing, Sighting},
    journal::{Journal, JournalCommand, JournalEvent},
    tap::{Action, TapCore, TapState, Volume},
};
use bcdr_disk::{Access, CreateOptions, FaultPlan, File, SeededRandom, SimulatedDisk, Storage};
use bcdr_format::{
    IncarnationOrdinal, Position, Sequence, Timestamp, VolumeNumber,
    record::{Member, RecordBody},
};
use requests::Pending;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

const JOURNAL: &str = "/capture/journal";
const INTENTS: &str = "/capture/intents";
const TICK: Micros = 20_000;

/// Names one run of a process; events for an earlier one are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life(pub(crate) u64);

/// How a process ends that nobody asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// SIGKILL: what it wrote stays.
    Killed,
    /// The host loses power.
    PowerCut,
    /// The host is put back to its snapshot.
    Reverted,
}

/// A snapshot of the whole host.
#[derive(Debug)]
pub(crate) struct Snapshot {
    backing: SimulatedDisk,
    state: SimulatedDisk,
    change: u64,
}

/// The protected host.
#[derive(Debug)]
pub(crate) struct CaptureHost {
    settings: Settings,
    ids: Ids,
    backing: SimulatedDisk,
    state: SimulatedDisk,
    boot: BootId,
    /// Counts changes of the backings: what an outside observer sees of them.
    change: u64,
    /// The wall clock at the last change.
    changed_at: Timestamp,
    /// Sectors that cannot be read until they are written.
    pub(crate) bad: BTreeSet<(usize, u32)>,
    pub(crate) faults: BackingFaults,
    /// How much slower than usual the journal's device is.
    pub(crate) journal_slow: Micros,
    pub(crate) snapshot: Option<Snapshot>,
    life: Life,
    process: Option<Process>,
    /// When each life of the stream was opened, by ordinal.
    openings: BTreeMap<IncarnationOrdinal, Step>,
    /// The furthest record that a flush was answered for, since the last power cut.
    flushed: Option<Position>,
    /// What the far side is known to hold, which the journal may let go of.
    acknowledged: Option<Position>,
    /// The last record that was given to the journal, and bytes given to it in all.
    appended: Sequence,
    appended_bytes: u64,
    /// Where a marker was placed, on the oracle's clock.
    pub(crate) markers: BTreeMap<bcdr_format::MarkerId, Step>,
    /// Nothing is started while it is set.
    pub(crate) held_down: bool,
    disks_made: u64,
}

/// The running capture.
struct Process {
    tap: TapCore,
    journal: Journal,
    ring: IntentRing,
    ring_begun: bool,
    files: Vec<Arc<dyn File>>,
    io: BTreeMap<IoId, Io>,
    requests: BTreeMap<u64, Pending>,
    /// The furthest answered record of each volume.
    answered: Vec<Option<Position>>,
    /// The record of each operation.
    records: BTreeMap<super::oracle::OpId, Position>,
    last_request: u64,
    queue: VecDeque<JournalCommand>,
    queue_scheduled: bool,
    journal_busy: bool,
    trim: Option<Position>,
    feed: FeedSession,
    link: feed::FeedLink,
    closing: bool,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Process")
            .field("queued", &self.queue.len())
            .field("journal_busy", &self.journal_busy)
            .field("trim", &self.trim)
            .field("io", &self.io.len())
            .field("requests", &self.requests.len())
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

fn backing_path(volume: usize) -> PathBuf {
    PathBuf::from(format!("/volume-{volume}"))
}

fn number(volume: usize) -> VolumeNumber {
    VolumeNumber(volume as u16 + 1)
}

/// When the capture's host would have been started by its wall clock.
fn boot_at(cx: &Context) -> Timestamp {
    let now = cx.moment(Host::Capture);
    let up = i64::try_from(now.monotonic.as_micros()).unwrap_or(i64::MAX);
    now.wall.shifted(-up)
}

fn index(number: VolumeNumber) -> usize {
    usize::from(number.0) - 1
}

impl CaptureHost {
    /// A host whose disks hold zeroes.
    pub(crate) fn new(settings: &Settings, ids: Ids, random: &mut SeededRandom) -> Self {
        let backing = SimulatedDisk::new(random.next_u64(), FaultPlan::none());
        let plan = FaultPlan {
            write_error_per_mille: 60,
            sync_error_per_mille: 60,
            read_error_per_mille: 0,
        };
        let state = SimulatedDisk::new(random.next_u64(), plan);
        state.arm(false);
        for (volume, shape) in settings.volumes.iter().enumerate() {
            let options =
                CreateOptions::default().prewritten(u64::from(shape.sectors) * SECTOR as u64);
            backing
                .create(&backing_path(volume), options)
                .expect("an unarmed disk makes files");
        }
        state
            .create_directory_all(Path::new(JOURNAL))
            .expect("an unarmed disk makes directories");
        for disk in [&backing, &state] {
            disk.sync_directory(Path::new("/"))
                .expect("an unarmed disk syncs");
        }
        state
            .sync_directory(Path::new("/capture"))
            .expect("an unarmed disk syncs");
        Self {
            settings: settings.clone(),
            ids,
            backing,
            state,
            boot: BootId(1),
            change: 0,
            changed_at: Timestamp(0),
            bad: BTreeSet::new(),
            faults: BackingFaults::default(),
            journal_slow: 1,
            snapshot: None,
            life: Life(0),
            process: None,
            openings: BTreeMap::new(),
            flushed: None,
            acknowledged: None,
            appended: Sequence::default(),
            appended_bytes: 0,
            markers: BTreeMap::new(),
            held_down: false,
            disks_made: 0,
        }
    }

    /// Whether the process runs.
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Whether clients are served.
    pub(crate) fn serves(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| !process.closing)
    }

    /// The journal's disk, for faults.
    pub(crate) fn state_disk(&self) -> &SimulatedDisk {
        &self.state
    }

    /// When the life with this ordinal was opened.
    pub(crate) fn opened_at(&self, ordinal: IncarnationOrdinal) -> Option<Step> {
        self.openings.get(&ordinal).copied()
    }

    /// The tap's state.
    pub(crate) fn state(&self, cx: &Context) -> Option<TapState> {
        let process = self.process.as_ref()?;
        Some(process.tap.status(cx.moment(Host::Capture)).state)
    }

    /// Everything the process says of itself.
    pub(crate) fn status(&self, cx: &Context) -> String {
        let Some(process) = &self.process else {
            return "does not run".to_owned();
        };
        format!(
            "{process:?}, {:?}",
            process.tap.status(cx.moment(Host::Capture))
        )
    }

    /// The last position fed, and whether everything given was fed.
    pub(crate) fn fed(&self, cx: &Context) -> (Option<Position>, bool) {
        let Some(process) = &self.process else {
            return (None, false);
        };
        let status = process.tap.status(cx.moment(Host::Capture));
        let all = status
            .fed
            .is_some_and(|fed| fed.sequence == status.sequenced);
        (status.fed, all)
    }

    /// The process running now, if `life` is it.
    fn process(&mut self, life: Life) -> Option<&mut Process> {
        if life != self.life {
            return None;
        }
        self.process.as_mut()
    }

    fn members(&self) -> Vec<Member> {
        let member = |(volume, shape): (usize, &super::settings::VolumeSettings)| Member {
            group: self.ids.group,
            number: number(volume),
            id: self.ids.volumes[volume],
            size_bytes: u64::from(shape.sectors) * SECTOR as u64,
        };
        self.settings
            .volumes
            .iter()
            .enumerate()
            .map(member)
            .collect()
    }

    fn volumes(&self) -> Vec<Volume> {
        let volume = |(volume, shape): (usize, &super::settings::VolumeSettings)| Volume {
            number: number(volume),
            id: self.ids.volumes[volume],
            size_bytes: u64::from(shape.sectors) * SECTOR as u64,
            io_unit_bytes: shape.io_unit,
            trim_zeroes: shape.trims,
        };
        self.settings
            .volumes
            .iter()
            .enumerate()
            .map(volume)
            .collect()
    }

    fn evidence(&self) -> BackingEvidence {
        BackingEvidence {
            identity: 7,
            change: self.change,
        }
    }

    fn activity(&self, cx: &Context) -> BackingActivity {
        BackingActivity {
            changed_at: self.changed_at,
            sectors_written: 0,
            boot_at: boot_at(cx),
            own_clock: true,
            counted: true,
        }
    }

    /// A write is about to be submitted, or time has passed.
    fn sight(&mut self, cx: &Context, life: Life, submitting: bool) {
        let change = self.change;
        let Some(process) = self.process(life) else {
            return;
        };
        let writing = submitting || process.io.values().any(Io::writes);
        process.ring.sight(if writing {
            Sighting::Writing {
                alive_at: cx.wall(Host::Capture),
                boot_at: boot_at(cx),
                sectors_at_most: 0,
            }
        } else {
            Sighting::Quiet { change }
        });
    }

    /// What the disks hold.
    fn contents(&self) -> Vec<Vec<Cell>> {
        let read = |volume: usize| {
            let file = self.backing.open(&backing_path(volume), Access::read());
            let file = file.expect("the backing exists");
            let sectors = self.settings.volumes[volume].sectors as usize;
            let mut bytes = vec![0; sectors * SECTOR];
            file.read_exact_at(&mut bytes, 0)
                .expect("the backing can be read");
            stamp::cells(&bytes, volume, 0)
        };
        (0..self.settings.volumes.len()).map(read).collect()
    }

    /// Asks the process to end in order; it does once everything in flight is over.
    pub(crate) fn stop(&mut self, cx: &mut Context) {
        let life = self.life;
        let Some(process) = &mut self.process else {
            return;
        };
        if !process.closing {
            cx.trace(|| "capture asked to stop".to_owned());
            process.closing = true;
            process.tap.begin_close(cx.moment(Host::Capture));
            self.drain(cx, life);
        }
    }

    pub(crate) fn tick(&mut self, cx: &mut Context, life: Life) {
        let now = cx.moment(Host::Capture);
        let Some(process) = self.process(life) else {
            return;
        };
        process.tap.feed_backlog(process.feed.backlog_bytes());
        process.tap.tick(now);
        self.drain(cx, life);
        self.sight(cx, life, false);
        cx.schedule.after(TICK, Event::CaptureTick { life });
        self.try_close(cx, life);
    }

    /// Ends in order once nothing is left to do.
    fn try_close(&mut self, cx: &mut Context, life: Life) {
        let evidence = self.evidence();
        let Some(process) = self.process(life) else {
            return;
        };
        let at_rest = process.io.is_empty()
            && process.requests.is_empty()
            && process.queue.is_empty()
            && !process.journal_busy
            && process.tap.is_idle();
        if !process.closing || !at_rest {
            return;
        }
        process.ring.sight(Sighting::Quiet {
            change: evidence.change,
        });
        let clean = process.tap.clean_position().is_some_and(|position| {
            let synced = process.files.iter().all(|file| file.sync_data().is_ok());
            let opening = process.tap.start().opening;
            synced
                && process.journal.close_clean(Some(position)).is_ok()
                && process
                    .ring
                    .close_clean(opening.ordinal, opening.id, evidence)
                    .is_ok()
        });
        cx.trace(|| format!("capture ends in order, clean {clean}"));
        cx.counters.note("capture stopped in order");
        self.die(cx, Death::Killed);
    }

    /// Executes what the tap wants, in order, until it wants nothing.
    fn drain(&mut self, cx: &mut Context, life: Life) {
        while let Some(action) = self
            .process(life)
            .and_then(|process| process.tap.poll_action())
        {
            match action {
                Action::Intend(intent) => {
                    self.begin_ring(life);
                    if let Some(process) = self.process(life) {
                        process.ring.write(&intent);
                    }
                }
                Action::DistrustIntents => {
                    if let Some(process) = self.process(life) {
                        process.ring.distrust();
                    }
                }
                Action::TrustIntents {
                    ordinal,
                    incarnation,
                } => {
                    if let Some(process) = self.process(life) {
                        process.ring.trust(ordinal, incarnation);
                    }
                }
                Action::Submit(operation) => self.submit(cx, life, operation),
                Action::Journal(command) => self.queue_journal(cx, life, command),
                Action::Reply(reply) => self.reply(cx, life, reply),
                Action::Feed(item) => {
                    if let Some(process) = self.process(life) {
                        process.take_feed_item(cx, item);
                    }
                }
            }
        }
        self.pump_feed(cx, life);
    }

    fn begin_ring(&mut self, life: Life) {
        let (boot, evidence) = (self.boot, self.evidence());
        let Some(process) = self.process(life).filter(|process| !process.ring_begun) else {
            return;
        };
        process.ring_begun = true;
        let opening = process.tap.start().opening;
        process
            .ring
            .begin(boot, opening.ordinal, opening.id, evidence);
    }

    fn journal_event(&mut self, cx: &mut Context, life: Life, event: JournalEvent) {
        if matches!(event, JournalEvent::Opened(_)) {
            self.begin_ring(life);
        }
        let now = cx.moment(Host::Capture);
        let Some(process) = self.process(life) else {
            return;
        };
        if let JournalEvent::Usage(usage) = &event
            && let Some(trimmed) = usage.trimmed
        {
            process.feed.trimmed(trimmed);
        }
        process.tap.journal_event(now, event);
        self.drain(cx, life);
    }

    /// Notes the life that begins, so that a point of it can be held to everything before it.
    fn note_opening(&mut self, cx: &mut Context, life: Life) {
        let Some(ordinal) = self
            .process(life)
            .map(|process| process.tap.start().opening.ordinal)
        else {
            return;
        };
        cx.newest_life = ordinal.0;
        let now = cx.oracle.now();
        // Two lives with one ordinal (a reverted host): whatever the first could promise.
        self.openings.entry(ordinal).or_insert(now);
    }
}

/// Counts what a record says happened.
fn note_record<P>(cx: &mut Context, body: &RecordBody<P>) {
    match body {
        RecordBody::Amendment { .. } => cx.counters.note("failed write amended"),
        RecordBody::Void { .. } => cx.counters.note("void"),
        RecordBody::Sync(bcdr_format::sync::SyncEvent::Begin { .. }) => {
            cx.counters.note("sync interval entered");
        }
        _ => {}
    }
}

fn short(intents: &bcdr_capture::intent::IntentsFound) -> String {
    let text = format!("{intents:?}");
    text.chars().take(160).collect()
}
