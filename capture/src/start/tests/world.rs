//! A whole capture with its disk, its journal, its ring and a far side, in one seeded thread.

mod put_back;

use super::{
    ACTIVITY, EVIDENCE,
    oracle::{BLANK, Oracle},
    receiver::{Receiver, stamp_of},
    sometimes::Sometimes,
};
use crate::{
    Moment, Payload,
    feed::{FeedSession, FeedStep, Handshake},
    intent::{BackingActivity, BackingEvidence, BootId, IntentRing, IntentsFound, Sighting},
    journal::{
        Journal, JournalCommand, JournalEvent, JournalIdentity, JournalReader, JournalSettings,
    },
    start::{Rejoin, StartInput, plan_start},
    tap::{
        Action, BackingAction, BackingError, BackingOperation, Request, RequestId, TapCore,
        TapSettings, TapState, Volume,
    },
};
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk, Storage as _};
use bcdr_format::{
    GroupId, IncarnationId, IncarnationOrdinal, Position, StreamId, SyncId, Timestamp, VolumeId,
    VolumeNumber,
    record::Member,
    sync::{Heals, SyncReason},
};
use put_back::{PutBack, remove_journal};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

const SECTORS: usize = 256;
const SIZE: u64 = SECTORS as u64 * 512;
const VOLUME: VolumeNumber = VolumeNumber(1);
const SLOTS: u64 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Clean,
    Kill,
    PowerCut,
}

struct Operation {
    operation: BackingOperation,
    /// What a read would have seen when it began.
    seen: Option<Payload>,
}

pub(super) struct World {
    random: SeededRandom,
    disk: Arc<SimulatedDisk>,
    now: Moment,
    boot: u128,
    tap: TapCore,
    journal: Journal,
    /// `None` only while no capture runs.
    ring: Option<IntentRing>,
    queue: Vec<JournalCommand>,
    operations: Vec<Operation>,
    image: Vec<u8>,
    changed_at: Timestamp,
    durable_image: Vec<u8>,
    session: FeedSession,
    receiver: Receiver,
    old_receiver: Receiver,
    connected: bool,
    oracle: Oracle,
    /// The oracles of the runs before.
    old_oracles: Vec<Oracle>,
    /// The run that began each life: an ordinal that a power cut took back is given again.
    runs: BTreeMap<IncarnationId, usize>,
    /// Images that were published.
    points: Vec<Vec<u64>>,
    stamps: BTreeMap<RequestId, (u64, std::ops::Range<usize>)>,
    /// Sectors that writes of this run reached.
    landed: BTreeSet<(u64, usize)>,
    next: u64,
    was_untracked: bool,
    error: Option<String>,
    pub(super) faults: bool,
    pub(super) sometimes: Sometimes,
}

fn settings() -> TapSettings {
    TapSettings {
        record_bytes_max: 16 << 10,
        window_records: SLOTS,
        journal_queue_bytes: 64 << 10,
        scan_chunk_bytes: 8 << 10,
        resume_delay: Duration::from_millis(200),
        resume_delay_max: Duration::from_millis(400),
        ..TapSettings::default()
    }
}

fn members() -> Vec<Member> {
    let (group, id) = (GroupId::from_u128(1), VolumeId::from_u128(1));
    vec![Member {
        group,
        number: VOLUME,
        id,
        size_bytes: SIZE,
    }]
}

fn evidence(image: &[u8]) -> BackingEvidence {
    BackingEvidence {
        change: u64::from(crc32fast::hash(image)),
        ..EVIDENCE
    }
}

fn sighting(image: &[u8], now: Moment, writing: bool) -> Sighting {
    if !writing {
        let change = evidence(image).change;
        return Sighting::Quiet { change };
    }
    Sighting::Writing {
        alive_at: now.wall,
        boot_at: ACTIVITY.boot_at,
        sectors_at_most: 0,
    }
}

fn is_write(operation: &BackingOperation) -> bool {
    matches!(
        operation.action,
        BackingAction::Write { .. } | BackingAction::Zero { .. }
    )
}

fn stamps(image: &[u8]) -> Vec<u64> {
    image.chunks_exact(512).map(stamp_of).collect()
}

/// Starts a capture on what is on the disk.
fn start(
    disk: &Arc<SimulatedDisk>,
    boot: u128,
    (image, changed_at): (&[u8], Timestamp),
    now: Moment,
    random: &mut SeededRandom,
    sometimes: &mut Sometimes,
    put_back: Option<PutBack>,
) -> (TapCore, Journal, IntentRing, FeedSession) {
    let identity = JournalIdentity {
        group: GroupId::from_u128(1),
        stream: StreamId::from_u128(1),
    };
    let journal_settings = JournalSettings {
        segment_bytes: 64 << 10,
        segments_max: 8,
        direct: true,
        append_bytes_max: 32 << 10,
    };
    let recover = || {
        Journal::recover(
            disk.clone(),
            Path::new("/journal"),
            identity,
            journal_settings,
        )
        .unwrap()
    };
    let (mut journal, mut recovered) = recover();
    let (mut ring, mut found) =
        IntentRing::open(&**disk, Path::new("/intents"), SLOTS, BootId(boot)).unwrap();
    let newest = recovered
        .newest
        .map_or(IncarnationOrdinal(0), |newest| newest.opening.ordinal);
    let known = Position::new(newest, recovered.last_sequence);
    let was_put_back = put_back.is_some();
    let joined = put_back.and_then(|back| back.joined);
    if was_put_back {
        drop(journal);
        remove_journal(disk);
        (journal, recovered) = recover();
        ring.distrust();
        found = IntentsFound::Unproven(crate::intent::Unproven::Untracked);
    }
    let mut lives = recovered.lives.clone();
    let rejoin = joined.map(|joined| {
        lives.goes_on_from(joined.held);
        Rejoin {
            after: joined.held.position,
            known,
            ranges: joined.ranges,
        }
    });
    let plan = plan_start(&StartInput {
        recovered: &recovered,
        intents: &found,
        evidence: evidence(image),
        activity: BackingActivity {
            changed_at,
            ..ACTIVITY
        },
        members: &members(),
        incarnation: IncarnationId::from_u128(u128::from(random.next_u64())),
        sync: SyncId::from_u128(u128::from(random.next_u64())),
        rejoin: rejoin.as_ref(),
    });
    match plan.start.sync.map(|sync| sync.reason) {
        None => sometimes.clean_starts += 1,
        Some(SyncReason::Killed) => {
            sometimes.killed_starts += 1;
            let empty = plan.scope == crate::start::SyncScope::Ranges(Vec::new());
            sometimes.killed_with_ranges += u64::from(!empty);
        }
        Some(SyncReason::PowerLoss) => sometimes.power_loss_starts += 1,
        Some(_) => {}
    }
    if matches!(found, IntentsFound::Unproven(_)) {
        assert!(plan.start.reads_everything() || rejoin.is_some());
    }
    journal.set_members(members());
    let volume = Volume {
        number: VOLUME,
        id: VolumeId::from_u128(1),
        size_bytes: SIZE,
        io_unit_bytes: 4096,
        trim_zeroes: true,
    };
    let mut source = random.fork();
    let source = Box::new(move || u128::from(source.next_u64()));
    let opening = plan.start.opening;
    let group = GroupId::from_u128(1);
    let tap = TapCore::new(settings(), group, vec![volume], plan, source, now);
    ring.begin(BootId(boot), opening.ordinal, opening.id, evidence(image));
    (tap, journal, ring, FeedSession::new(lives, 20_000))
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let plan = FaultPlan {
            write_error_per_mille: 10,
            sync_error_per_mille: 20,
            ..FaultPlan::none()
        };
        let disk = Arc::new(SimulatedDisk::new(random.next_u64(), plan));
        disk.arm(false);
        let now = Moment {
            monotonic: Duration::from_secs(1),
            wall: Timestamp(1),
        };
        let image = vec![0; SIZE as usize];
        let mut sometimes = Sometimes::default();
        let (tap, journal, ring, session) = start(
            &disk,
            1,
            (&image, now.wall),
            now,
            &mut random,
            &mut sometimes,
            None,
        );
        let oracle = Oracle::new(&stamps(&image));
        let receiver = Receiver::new(SECTORS);
        Self {
            random,
            disk,
            now,
            boot: 1,
            tap,
            journal,
            ring: Some(ring),
            queue: Vec::new(),
            operations: Vec::new(),
            durable_image: image.clone(),
            image,
            changed_at: now.wall,
            session,
            old_receiver: receiver.clone(),
            receiver,
            connected: false,
            oracle,
            old_oracles: Vec::new(),
            runs: BTreeMap::new(),
            points: Vec::new(),
            stamps: BTreeMap::new(),
            landed: BTreeSet::new(),
            next: 0,
            was_untracked: false,
            error: None,
            faults: false,
            sometimes,
        }
    }

    pub(super) fn run(&mut self, steps: u64) {
        if self.random.coin() {
            self.converge();
        }
        self.disk.arm(self.faults && self.random.below(3) == 0);
        for _ in 0..steps {
            self.step();
        }
        self.disk.arm(false);
    }

    fn step(&mut self) {
        match self.random.below(12) {
            0..=3 => self.write(),
            4..=6 if !self.operations.is_empty() => {
                let index = self.random.index(self.operations.len());
                let fails = self.faults && self.random.below(40) == 0;
                self.complete(index, fails);
            }
            7 | 8 => {
                let count = 1 + self.random.below(20) as usize;
                self.run_journal(count);
            }
            9 => self.feed(),
            10 => self.pass(10 + self.random.clone().below(80)),
            _ if self.random.below(10) == 0 => {
                self.request(Request::Flush { volume: VOLUME });
            }
            _ => {}
        }
    }

    fn request(&mut self, request: Request) -> RequestId {
        self.next += 1;
        let id = RequestId(self.next);
        self.tap.request(self.now, id, request);
        self.drain();
        id
    }

    fn write(&mut self) {
        if self.stamps.len() > 24 {
            return;
        }
        let first = self.random.index(SECTORS);
        let count = 1 + self.random.index(40.min(SECTORS - first));
        let stamp = self.next + 1;
        let payload = Payload::copied_from(&stamp.to_le_bytes().repeat(count * 64));
        let fua = self.random.below(10) == 0;
        self.oracle.asked(stamp, first..first + count);
        self.stamps
            .insert(RequestId(stamp), (stamp, first..first + count));
        let offset = first as u64 * 512;
        self.request(Request::Write {
            volume: VOLUME,
            offset,
            payload,
            fua,
        });
    }

    fn drain(&mut self) {
        while let Some(action) = self.tap.poll_action() {
            match action {
                Action::Intend(intent) => self.ring.as_mut().unwrap().write(&intent),
                Action::DistrustIntents => self.ring.as_mut().unwrap().distrust(),
                Action::TrustIntents {
                    ordinal,
                    incarnation,
                } => {
                    self.ring.as_mut().unwrap().trust(ordinal, incarnation);
                }
                Action::Submit(operation) => {
                    if is_write(&operation) {
                        let writing = sighting(&self.image, self.now, true);
                        self.ring.as_mut().unwrap().sight(writing);
                    }
                    let seen = self.bytes_of(&operation);
                    self.operations.push(Operation { operation, seen });
                }
                Action::Journal(command) => {
                    if let JournalCommand::Open { start, .. } = &command {
                        self.runs.insert(start.opening.id, self.old_oracles.len());
                    }
                    self.queue.push(command);
                }
                Action::Reply(reply) => {
                    if let Some((stamp, _)) = self.stamps.remove(&reply.request)
                        && reply.result.is_ok()
                    {
                        self.oracle.answered(stamp);
                    }
                }
                Action::Feed(item) => self.session.push(item),
            }
        }
        let untracked = matches!(self.tap.status(self.now).state, TapState::Untracked { .. });
        self.sometimes.untracked += u64::from(untracked && !self.was_untracked);
        self.sometimes.resumed += u64::from(!untracked && self.was_untracked);
        self.was_untracked = untracked;
    }

    fn bytes_of(&self, operation: &BackingOperation) -> Option<Payload> {
        let BackingAction::Read { offset, length } = operation.action else {
            return None;
        };
        let start = offset as usize;
        Some(Payload::copied_from(
            &self.image[start..start + length as usize],
        ))
    }

    /// Ends an I/O. A failing write reaches some of its sectors.
    fn complete(&mut self, index: usize, fails: bool) {
        let Operation { operation, seen } = self.operations.remove(index);
        let result = match &operation.action {
            BackingAction::Read { .. } => {
                let late = self.bytes_of(&operation);
                Ok(if self.random.coin() { seen } else { late })
            }
            BackingAction::Write { offset, payload } => {
                self.land(*offset, payload, fails);
                Ok(None)
            }
            BackingAction::Zero { .. } => Err(BackingError::NotSupported),
            BackingAction::Sync => {
                self.durable_image = self.image.clone();
                Ok(None)
            }
        };
        self.sometimes.failed_writes += u64::from(fails);
        let result = if fails { Err(BackingError::Io) } else { result };
        self.tap.backing_done(self.now, operation.id, result);
        self.drain();
    }

    fn land(&mut self, offset: u64, payload: &Payload, partly: bool) {
        self.changed_at = self.now.wall;
        for (index, sector) in payload.chunks_exact(512).enumerate() {
            let at = offset as usize / 512 + index;
            if partly && self.random.coin() {
                self.oracle.lost(stamp_of(sector), at);
            } else {
                self.image[at * 512..at * 512 + 512].copy_from_slice(sector);
                self.landed.insert((stamp_of(sector), at));
            }
        }
    }

    fn run_journal(&mut self, count: usize) {
        let count = count.min(self.queue.len());
        let commands: Vec<_> = self.queue.drain(..count).collect();
        for event in self.journal.execute(&commands) {
            self.journal_event(event);
        }
        self.drain();
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now.monotonic += Duration::from_millis(milliseconds);
        self.now.wall = self.now.wall.shifted(milliseconds as i64 * 1000);
        self.tap.tick(self.now);
        self.drain();
        let writing = self.operations.iter().any(|one| is_write(&one.operation));
        let seen = sighting(&self.image, self.now, writing);
        self.ring.as_mut().unwrap().sight(seen);
    }

    /// One exchange with the far side.
    fn feed(&mut self) {
        if !self.connected {
            match self.session.connected(&self.receiver.standing()) {
                Handshake::ResumeFrom(_) => self.connected = true,
                Handshake::OpenAbove { above, .. } => {
                    self.sometimes.opened_above += 1;
                    self.tap.open_above(self.now, above);
                    self.drain();
                }
                Handshake::NotYet => {}
            }
            return self.acknowledge();
        }
        let bytes = 1 + self.random.below(40_000) as usize;
        match self.session.next(bytes) {
            FeedStep::Items(items) => {
                for item in items {
                    if let Err(error) = self.receiver.take(&item) {
                        self.error.get_or_insert(error);
                    }
                    self.check_published();
                }
            }
            FeedStep::ReadJournal {
                from,
                through,
                bytes_max,
            } => {
                self.sometimes.journal_reads += 1;
                let reader = JournalReader::new(self.disk.clone(), self.journal.snapshot(), true);
                match reader.read(from, through, bytes_max) {
                    Ok(items) => self.session.supply(items),
                    Err(_) => {
                        self.connected = false;
                        if let Handshake::OpenAbove { above, .. } = self.session.cannot_read() {
                            self.tap.open_above(self.now, above);
                            self.drain();
                        }
                    }
                }
            }
            FeedStep::Idle => {}
        }
        if self.random.coin() {
            self.acknowledge();
        }
    }

    fn acknowledge(&mut self) {
        if let Some(held) = self.receiver.held
            && let Some(position) = self.session.acknowledged(held.position)
        {
            self.old_receiver = self.receiver.clone();
            let event = self.journal.trim(position);
            self.journal_event(event);
            self.drain();
        }
    }

    fn journal_event(&mut self, event: JournalEvent) {
        if let JournalEvent::Usage(usage) = &event
            && let Some(trimmed) = usage.trimmed
        {
            self.session.trimmed(trimmed);
        }
        self.tap.journal_event(self.now, event);
    }

    fn check_published(&mut self) {
        if !self.receiver.publishes() || self.error.is_some() {
            return;
        }
        self.sometimes.published += 1;
        let start = self.tap.start();
        let joined = start.sync.is_some_and(|sync| sync.heals == Heals::Nothing);
        let of_now = self
            .receiver
            .held
            .is_some_and(|held| held.id == start.opening.id);
        self.sometimes.seams_healed += u64::from(joined && of_now);
        let run = self.runs[&self.receiver.held.unwrap().id];
        let oracle = self.old_oracles.get(run).unwrap_or(&self.oracle);
        if let Err(error) = oracle.check(&self.receiver.image) {
            let held = self.receiver.held.unwrap().position;
            self.error = Some(format!("published at {held}: {error}"));
        }
        self.keep_point();
    }

    pub(super) fn end_somehow(&mut self) {
        match self.random.below(13) {
            10..=12 => self.put_back(),
            0..=4 => self.end(End::Kill),
            5 | 6 => self.end(End::PowerCut),
            7 | 8 => self.end(End::Clean),
            _ => {
                // The far side is restored from an earlier state of itself.
                self.receiver = self.old_receiver.clone();
                self.connected = false;
                self.session.disconnected();
            }
        }
    }

    /// Ends this run of the capture and begins the next.
    pub(super) fn end(&mut self, end: End) {
        self.stop(end);
        let written_to = end == End::Kill && self.random.below(5) == 0;
        if written_to {
            self.somebody_else_writes();
        }
        self.begin(None);
        if written_to {
            assert!(
                self.tap.start().reads_everything(),
                "a foreign write unseen"
            );
        }
    }

    fn stop(&mut self, end: End) {
        if end == End::Clean {
            self.stop_in_order();
        }
        self.sometimes.forks = self.receiver.forks_met.max(self.sometimes.forks);
        self.land_what_is_in_flight();
        self.old_oracles.push(self.oracle.clone());
        if end == End::PowerCut {
            self.disk.power_cut();
            self.lose_unsynced();
            self.boot += 1;
        } else {
            self.disk.kill();
        }
        // The dead process's memory goes before the next one maps the file.
        self.ring = None;
        self.disk.power_on();
    }

    fn begin(&mut self, put_back: Option<PutBack>) {
        let ring;
        (self.tap, self.journal, ring, self.session) = start(
            &self.disk,
            self.boot,
            (&self.image, self.changed_at),
            self.now,
            &mut self.random,
            &mut self.sometimes,
            put_back,
        );
        self.ring = Some(ring);
        self.queue.clear();
        self.connected = false;
        self.was_untracked = false;
        self.drain();
    }

    fn stop_in_order(&mut self) {
        self.tap.begin_close(self.now);
        for _ in 0..200 {
            if self.tap.is_idle() {
                break;
            }
            while !self.operations.is_empty() {
                self.complete(0, false);
            }
            self.run_journal(usize::MAX);
            self.pass(50);
        }
        self.durable_image = self.image.clone();
        // A journal that is full to the last page cannot say so; the next start then looks.
        if let Some(position) = self.tap.clean_position()
            && self.journal.close_clean(Some(position)).is_ok()
        {
            let opening = self.tap.start().opening;
            let evidence = evidence(&self.image);
            let ring = self.ring.as_mut().unwrap();
            ring.close_clean(opening.ordinal, opening.id, evidence)
                .unwrap();
        }
    }

    /// I/O that was submitted ends before the next run begins; it may have had any effect.
    fn land_what_is_in_flight(&mut self) {
        for Operation { operation, .. } in std::mem::take(&mut self.operations) {
            if let BackingAction::Write { offset, payload } = operation.action {
                self.land(offset, &payload, true);
            }
        }
        let landed = std::mem::take(&mut self.landed);
        for (stamp, sectors) in std::mem::take(&mut self.stamps).into_values() {
            for sector in sectors.filter(|sector| !landed.contains(&(stamp, *sector))) {
                self.oracle.lost(stamp, sector);
            }
        }
    }

    /// While no capture runs, an operator puts something else on the disk.
    fn somebody_else_writes(&mut self) {
        self.now.monotonic += Duration::from_secs(2);
        self.now.wall = self.now.wall.shifted(2_000_000);
        self.changed_at = self.now.wall;
        let first = self.random.index(SECTORS);
        self.next += 1;
        let stamp = self.next.to_le_bytes().repeat(64);
        self.image[first * 512..first * 512 + 512].copy_from_slice(&stamp);
        self.durable_image = self.image.clone();
        self.oracle = Oracle::new(&stamps(&self.image));
        self.sometimes.foreign_writes += 1;
    }

    /// A power cut takes back any of the sectors not synced, and with them the history.
    fn lose_unsynced(&mut self) {
        for sector in 0..SECTORS {
            if self.random.coin() {
                let range = sector * 512..sector * 512 + 512;
                self.image[range.clone()].copy_from_slice(&self.durable_image[range]);
            }
        }
        self.durable_image = self.image.clone();
        self.oracle = Oracle::new(&stamps(&self.image));
    }

    /// Without faults, everything arrives.
    pub(super) fn converge(&mut self) {
        self.disk.arm(false);
        for _ in 0..3_000 {
            while !self.operations.is_empty() {
                self.complete(0, false);
            }
            self.run_journal(usize::MAX);
            self.feed();
            self.pass(50);
            let caught_up = self.receiver.held.map(|held| held.position) == self.tap.fed();
            let continuous = self.tap.status(self.now).state == TapState::Continuous;
            if caught_up && continuous && self.tap.is_idle() && self.receiver.publishes() {
                self.sometimes.intervals_ended += 1;
                return;
            }
        }
    }

    pub(super) fn check_end(&self) -> Result<(), String> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if !self.receiver.publishes() {
            let state = self.tap.status(self.now);
            return Err(format!(
                "nothing can be published: {:?} {state:?}",
                self.receiver.held
            ));
        }
        let differs = stamps(&self.image)
            .into_iter()
            .zip(&self.receiver.image)
            .position(|(disk, replica)| disk != *replica && *replica != super::oracle::UNKNOWN);
        differs.map_or(Ok(()), |sector| Err(format!("sector {sector} differs")))
    }
}
