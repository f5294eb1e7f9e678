//! The gateway: the product's acceptance, batcher, packer, window, spool and sealer under a shell of
//! the simulator's that repeats the decisions of the real stream owner.

mod forks;
mod intake;
mod shipping;
mod spooling;

pub(crate) use spooling::{SpoolDone, SpoolWork};

use super::{
    capture::Life,
    context::{Context, FeedUp, Host},
    link::SessionId,
    schedule::Micros,
    settings::Settings,
    world::{Event, Ids},
};
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk, Storage};
use bcdr_format::{
    DataKeyId, Position,
    batch::{BatchLayout, MAC_BYTES, SealedChunk},
    continuity::{Arriving, Verdict, judge},
    position::Generation,
};
use bcdr_gateway::{
    intake::acceptance::Taken,
    reduce::{
        batcher::{Batcher, ClosedBatch},
        pack::{SealChunk, pack},
    },
    ship::window::{ShipAction, ShipmentId, Window},
    spool::{Contents, Spool, SpoolLocation},
};
use bcdr_wire::{
    feed::{Acknowledged, Refusal, ToCapture},
    seal::{ChunkSealer, DataKey, SealError},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
};

const SPOOL: &str = "/gateway/spool";
const TICK: Micros = 3_000;

/// The product's sealer behind the product's packing trait.
struct Sealer(ChunkSealer);

impl SealChunk for Sealer {
    type Error = SealError;

    fn seal(&mut self, plain: &[u8]) -> Result<SealedChunk, SealError> {
        self.0.seal(plain)
    }
}

/// One batch's bytes, in memory, in the spool, or both.
#[derive(Debug)]
struct Kept {
    bytes: Option<Bytes>,
    location: Option<SpoolLocation>,
    keys: Vec<DataKeyId>,
}

#[derive(Debug)]
struct Packed {
    arriving: Arriving,
    bytes: Bytes,
    keys: Vec<DataKeyId>,
}

/// The host the gateway runs on.
#[derive(Debug)]
pub(crate) struct GatewayHost {
    settings: Settings,
    ids: Ids,
    disk: SimulatedDisk,
    /// The highest generation met: what the real one keeps in its state file.
    generation: Option<Generation>,
    life: Life,
    process: Option<Process>,
    pub(crate) held_down: bool,
    /// How much slower than usual the spool's disk is.
    pub(crate) spool_slow: Micros,
}

/// The running gateway.
struct Process {
    taken: Taken,
    batcher: Batcher,
    sealer: Sealer,
    wrapped: BTreeMap<DataKeyId, Vec<u8>>,
    window: Window,
    kept: BTreeMap<ShipmentId, Kept>,
    /// Closed batches being packed, oldest first.
    packing: VecDeque<ClosedBatch>,
    packing_scheduled: bool,
    /// Counts how often what was being packed was given up.
    packing_era: u64,
    to_send: VecDeque<ShipmentId>,
    reading: Option<ShipmentId>,
    spool: Spool,
    spool_work: VecDeque<SpoolWork>,
    spool_busy: bool,
    feed: Option<SessionId>,
    inbox: VecDeque<FeedUp>,
    ship: Option<shipping::Session>,
    forks: forks::Forks,
    /// Whether a receiver, asked in this process's life, said what it holds.
    receiver_known: bool,
    published: Option<Position>,
    told: Acknowledged,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Process")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// The data keys of a batch's chunks, each once.
fn keys_of(layout: &BatchLayout) -> Vec<DataKeyId> {
    layout
        .chunks
        .iter()
        .map(|chunk| chunk.id.key)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

impl GatewayHost {
    pub(crate) fn new(settings: &Settings, ids: Ids, random: &mut SeededRandom) -> Self {
        let mut host = Self {
            settings: settings.clone(),
            ids,
            disk: SimulatedDisk::new(0, FaultPlan::none()),
            generation: None,
            life: Life(0),
            process: None,
            held_down: false,
            spool_slow: 1,
        };
        host.new_disk(random);
        host
    }

    fn new_disk(&mut self, random: &mut SeededRandom) {
        let plan = FaultPlan {
            write_error_per_mille: 80,
            sync_error_per_mille: 80,
            read_error_per_mille: 30,
        };
        self.disk = SimulatedDisk::new(random.next_u64(), plan);
        self.disk.arm(false);
    }

    /// The spool's disk, for faults.
    pub(crate) fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }

    /// Whether nothing waits here for the cloud side.
    pub(crate) fn is_drained(&self) -> bool {
        self.process.as_ref().is_some_and(|process| {
            process.window.waiting_bytes() == 0
                && process.packing.is_empty()
                && process.batcher.due().is_none()
                && process.inbox.is_empty()
        })
    }

    fn process(&mut self, life: Life) -> Option<&mut Process> {
        if life != self.life {
            return None;
        }
        self.process.as_mut()
    }

    pub(crate) fn start(&mut self, cx: &mut Context) {
        if self.process.is_some() || self.held_down {
            return;
        }
        self.life.0 += 1;
        let life = self.life;
        let storage: Arc<dyn Storage> = Arc::new(self.disk.clone());
        match Spool::open(storage, Path::new(SPOOL), self.settings.spool) {
            Ok((spool, contents)) => {
                let mut process = self.fresh(cx, spool);
                process.restore(cx, contents);
                self.process = Some(process);
                cx.schedule.after(TICK, Event::GatewayTick { life });
                let call = cx.delay(0, 20_000);
                cx.schedule.after(call, Event::ShipCall { life });
                self.everything_due(cx, life);
            }
            Err(error) => {
                cx.trace(|| format!("gateway {} cannot start: {error}", life.0));
                self.disk.power_on();
                self.disk.kill();
                let again = cx.delay(5_000, 50_000);
                cx.schedule.after(again, Event::GatewayStart);
            }
        }
    }

    /// A process with a data key of its own.
    fn fresh(&self, cx: &mut Context, mut spool: Spool) -> Process {
        let id = DataKeyId::from_u128(cx.random_u128());
        let mut secret = [0; 32];
        cx.random.fill(&mut secret);
        let key = DataKey::from_random(self.ids.installation, id, secret);
        let wrapped = key
            .wrap(&self.ids.installation_key)
            .expect("a key can be wrapped");
        spool.learn_key(id, wrapped.clone());
        Process {
            taken: Taken::default(),
            batcher: Batcher::new(self.ids.group, self.ids.stream, self.settings.batch),
            sealer: Sealer(ChunkSealer::new(key).expect("a sealer can be made")),
            wrapped: BTreeMap::from([(id, wrapped)]),
            window: Window::new(self.settings.window),
            kept: BTreeMap::new(),
            packing: VecDeque::new(),
            packing_scheduled: false,
            packing_era: 0,
            to_send: VecDeque::new(),
            reading: None,
            spool,
            spool_work: VecDeque::new(),
            spool_busy: false,
            feed: None,
            inbox: VecDeque::new(),
            ship: None,
            forks: forks::Forks::default(),
            receiver_known: false,
            published: None,
            told: Acknowledged::default(),
        }
    }

    /// Ends the process: a kill, a power cut, or the loss of everything the host had.
    pub(crate) fn die(&mut self, cx: &mut Context, power_cut: bool, disk_lost: bool) {
        cx.trace(|| {
            format!(
                "gateway {}: dies, power {power_cut}, disk {disk_lost}",
                self.life.0
            )
        });
        let process = self.process.take();
        self.disk.power_on();
        if power_cut {
            self.disk.power_cut();
        } else {
            self.disk.kill();
        }
        if let Some(process) = &process {
            if let Some(session) = process.feed {
                cx.feed.sever(&mut cx.schedule, session);
            }
            if let Some(session) = &process.ship {
                cx.ship.sever(&mut cx.schedule, session.id);
            }
        }
        drop(process);
        if disk_lost {
            let mut random = cx.random.fork();
            self.new_disk(&mut random);
            self.generation = None;
        }
        self.life.0 += 1;
    }

    pub(crate) fn tick(&mut self, cx: &mut Context, life: Life) {
        if self.process(life).is_none() {
            return;
        }
        self.everything_due(cx, life);
        cx.schedule.after(TICK, Event::GatewayTick { life });
    }

    /// Does everything that is due, as the real owner does after each event.
    fn everything_due(&mut self, cx: &mut Context, life: Life) {
        self.take_inbox(cx, life);
        let now = cx.instant();
        let Some(process) = self.process(life) else {
            return;
        };
        if let Some(closed) = process.batcher.poll(now) {
            process.pack(cx, life, [closed]);
        }
        match process.window.poll(now) {
            Ok(actions) => process.perform(cx, actions),
            Err(discontinuity) => {
                let verdict = discontinuity.verdict;
                process.begin_again(cx, format!("the receiver would answer {verdict:?}"));
            }
        }
        process.send_queued(cx);
        process.acknowledge(cx);
        self.schedule_spool(cx, life);
    }
}

impl Process {
    /// Puts what the spool holds in the window, as far as it is contiguous.
    fn restore(&mut self, cx: &mut Context, contents: Contents) {
        for remark in &contents.remarks {
            cx.trace(|| format!("spool: {remark}"));
            cx.counters.note("spool: torn tail passed over");
        }
        self.wrapped
            .extend(contents.keys.into_iter().map(|key| (key.id, key.wrapped)));
        let mut broken = false;
        for found in contents.batches {
            let verdict = self.window.held().map_or(Verdict::Continues, |held| {
                judge(Some(&held), &found.arriving)
            });
            let continues = matches!(verdict, Verdict::Continues | Verdict::Forks(_));
            let opens = found.keys.iter().all(|key| self.wrapped.contains_key(key));
            if broken || !continues || !opens {
                broken |= verdict != Verdict::Duplicate;
                self.spool_work.push_back(SpoolWork::Forget(found.location));
                continue;
            }
            self.forks.passed(found.sync_events);
            let bytes = u64::from(found.location.length());
            let id = self.window.restore(found.arriving, bytes, cx.instant());
            let kept = Kept {
                bytes: None,
                location: Some(found.location),
                keys: found.keys,
            };
            self.kept.insert(id, kept);
        }
        cx.trace(|| format!("gateway starts with {:?}", self.window.held()));
    }

    fn memory_bytes(&self) -> u64 {
        let packing: u64 = self
            .packing
            .iter()
            .map(|closed| closed.retained_bytes)
            .sum();
        self.batcher.retained_bytes() + packing + self.window.memory_bytes()
    }

    fn pack(
        &mut self,
        cx: &mut Context,
        life: Life,
        closed: impl IntoIterator<Item = ClosedBatch>,
    ) {
        for batch in closed {
            self.forks.passed(batch.header.sync_events.iter().copied());
            self.packing.push_back(batch);
        }
        self.schedule_packing(cx, life);
    }

    fn schedule_packing(&mut self, cx: &mut Context, life: Life) {
        if !self.packing.is_empty() && !self.packing_scheduled {
            self.packing_scheduled = true;
            let era = self.packing_era;
            let delay = cx.delay(50, 3_000);
            cx.schedule.after(delay, Event::GatewayPack { life, era });
        }
    }

    fn abandon_packing(&mut self) {
        self.packing.clear();
        self.packing_scheduled = false;
        self.packing_era += 1;
    }

    fn pack_one(&mut self, closed: ClosedBatch, generation: Generation) -> Result<Packed, String> {
        let bytes =
            pack(closed, generation, &mut self.sealer).map_err(|error| error.to_string())?;
        let layout = BatchLayout::parse_head(&bytes).map_err(|error| error.to_string())?;
        Ok(Packed {
            arriving: layout.header.arriving(),
            keys: keys_of(&layout),
            bytes: Bytes::from(bytes),
        })
    }

    fn perform(&mut self, cx: &Context, actions: Vec<ShipAction>) {
        let mut late = Vec::new();
        for action in actions {
            match action {
                ShipAction::Send(id) => self.to_send.push_back(id),
                ShipAction::Spool(id) => match self.kept.get(&id) {
                    Some(Kept {
                        bytes: Some(bytes),
                        keys,
                        ..
                    }) => {
                        late.push((id, bytes.clone(), keys.clone()));
                    }
                    _ => self.window.not_spooled(id, cx.instant()),
                },
                ShipAction::Forget(id) => {
                    if let Some(location) = self.kept.remove(&id).and_then(|kept| kept.location) {
                        self.spool_work.push_back(SpoolWork::Forget(location));
                    }
                }
            }
        }
        if !late.is_empty() {
            self.spool_work.push_back(SpoolWork::Append(late));
        }
    }

    fn acknowledge(&mut self, cx: &mut Context) {
        let acknowledged = Acknowledged {
            gateway: self.window.gateway_durable(),
            durable: self.window.durable(),
            published: self.published,
        };
        if acknowledged != self.told {
            self.told = acknowledged;
            self.tell_capture(cx, ToCapture::Acknowledged(acknowledged));
        }
    }

    fn tell_capture(&self, cx: &mut Context, message: ToCapture) {
        if let Some(session) = self.feed {
            cx.feed.send_down(&mut cx.schedule, session, message);
        }
    }

    fn end_feed(&mut self, cx: &mut Context, refusal: Refusal) {
        if let Some(session) = self.feed.take() {
            cx.trace(|| format!("gateway refuses its capture: {refusal}"));
            cx.feed
                .send_down(&mut cx.schedule, session, ToCapture::Refused(refusal));
            cx.feed.close_from_server(&mut cx.schedule, session);
            self.inbox.clear();
        }
    }

    /// Lets go of everything between the capture and the receiver; the capture feeds it again.
    fn let_go(&mut self, cx: &mut Context, refusal: Refusal) {
        cx.trace(|| format!("gateway lets go of its queue: {refusal}"));
        cx.counters.note("queue given up");
        let forgotten = self.window.clear();
        self.perform(cx, forgotten);
        self.to_send.clear();
        self.batcher.abandon();
        self.abandon_packing();
        self.forks.let_go();
        self.taken = Taken::new(self.window.receiver_held());
        self.end_feed(cx, refusal);
    }

    /// Lets go of everything on its way and asks the receiver anew what it holds.
    fn begin_again(&mut self, cx: &mut Context, reason: String) {
        if let Some(session) = &self.ship {
            cx.ship.sever(&mut cx.schedule, session.id);
        }
        self.to_send.clear();
        self.window.disconnect();
        self.let_go(cx, Refusal::Discontinuous { reason });
        self.receiver_known = false;
    }
}

/// Packs the oldest closed batch.
impl GatewayHost {
    pub(crate) fn packed(&mut self, cx: &mut Context, life: Life, era: u64) {
        let generation = self.generation;
        let instant = cx.instant();
        let Some(process) = self.process(life) else {
            return;
        };
        if era != process.packing_era {
            return;
        }
        process.packing_scheduled = false;
        let Some(closed) = process.packing.pop_front() else {
            return;
        };
        let generation = generation.expect("sessions begin once a generation is known");
        match process.pack_one(closed, generation) {
            Ok(Packed {
                arriving,
                bytes,
                keys,
            }) => {
                cx.trace(|| {
                    format!(
                        "batch {}-{}..{} packed",
                        arriving.ordinal, arriving.first, arriving.last
                    )
                });
                let id = process.window.push(arriving, bytes.len() as u64, instant);
                process.kept.insert(
                    id,
                    Kept {
                        bytes: Some(bytes),
                        location: None,
                        keys,
                    },
                );
                cx.counters.note("batches");
            }
            Err(reason) => cx.violated(format!("a batch cannot be packed: {reason}")),
        }
        if let Some(process) = self.process(life) {
            process.schedule_packing(cx, life);
        }
        self.everything_due(cx, life);
    }

    /// The gateway's clock reading of a host, for the offset between the two.
    fn wall(cx: &Context) -> bcdr_format::Timestamp {
        cx.wall(Host::Gateway)
    }
}

/// The chain value of a session and the batch's bytes with their MAC put in.
fn with_mac(
    key: &bcdr_wire::seal::InstallationKey,
    chain: &mut [u8; MAC_BYTES],
    bytes: &Bytes,
) -> Bytes {
    let prefix = bcdr_format::batch::BatchPrefix::decode(bytes)
        .expect("batches here were made or checked here");
    let mut whole = bytes.to_vec();
    *chain = bcdr_wire::seal::batch_mac(key, chain, prefix.authenticated(bytes));
    prefix.set_mac(&mut whole, chain);
    Bytes::from(whole)
}
