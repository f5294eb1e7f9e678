//! A scripted receiver. Its state outlives its process, as a disk would; each batch it takes is
//! checked against the rules and applied to an image.

use crate::{
    image::Image,
    site::{Site, in_time},
};
use bcdr_format::{
    Position,
    batch::{BatchHeader, BatchLayout, MAC_BYTES},
    chunk::{CHUNK_HEADER_BYTES, ChunkHeader},
    continuity::{Fork, Held, Verdict, judge},
    extent::Content,
    position::Generation,
    record::VolumeRange,
    sync::SyncEvent,
};
use bcdr_wire::{
    feed::{Acknowledged, CaptureReport, Refusal},
    frame::{Frame, FrameKind, FrameReader, decode_control, send_control, write_frame},
    identity::{PeerIdentity, Role},
    order::{Duty, OrderNumber, SourceOrder},
    restore::ReturnHello,
    seal::{ChunkOpener, InstallationKey, KeyRing, verify_batch_mac},
    ship::{FromGateway, SHIP_VERSION, ToGateway},
    transport::{CloseCode, Protocol, ResetKey, accept, close, server_endpoint},
};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// What a receiver knows and how it behaves.
pub(crate) struct State {
    pub(crate) held: Option<Held>,
    pub(crate) generation: Generation,
    pub(crate) duty: Duty,
    pub(crate) fork: Option<Fork>,
    pub(crate) image: Image,
    /// The headers of the batches taken, in order.
    pub(crate) batches: Vec<BatchHeader>,
    pub(crate) forks_found: Vec<Fork>,
    /// What broke the rules; empty in every test.
    pub(crate) violations: Vec<String>,
    /// Sessions that got as far as their hello.
    pub(crate) hellos: usize,
    /// Who was let in, in order.
    pub(crate) callers: Vec<PeerIdentity>,
    pub(crate) reports: Vec<Option<Box<CaptureReport>>>,
    /// Answers the next hello so.
    pub(crate) refuse_hellos: Option<Refusal>,
    /// Answers the next batch so, once, instead of taking it.
    pub(crate) refuse_batch: Option<Refusal>,
    /// Takes batches without saying so.
    pub(crate) mute: bool,
    /// Does not read what is relayed; else gives each frame of it back.
    pub(crate) ignore_relayed: bool,
    /// The hellos of relayed streams.
    pub(crate) relayed: Vec<ReturnHello>,
    chain: [u8; MAC_BYTES],
    keys: KeyRing,
    installation_key: Option<InstallationKey>,
    session: Option<mpsc::UnboundedSender<ToGateway>>,
}

impl State {
    pub(crate) fn durable(&self) -> Option<Position> {
        self.held.map(|held| held.position)
    }

    /// As if the disk had been lost.
    pub(crate) fn lose_everything(&mut self) {
        (self.held, self.fork, self.chain) = (None, None, [0; MAC_BYTES]);
        self.image = Image::default();
        self.batches.clear();
    }

    fn order(&self) -> SourceOrder {
        SourceOrder {
            generation: self.generation,
            number: OrderNumber::ASSUMED,
            duty: self.duty.clone(),
        }
    }

    /// Gives another order, in the session that is up and in those to come.
    pub(crate) fn command(&mut self, generation: u64, duty: Duty) {
        self.generation = Generation(generation);
        self.duty = duty;
        self.say(ToGateway::Order(self.order()));
    }

    fn welcome(&self) -> ToGateway {
        ToGateway::Welcome {
            version: SHIP_VERSION,
            order: self.order(),
            held: self.held,
            fork: self.fork,
            chain: self.chain,
            installation_key_missing: self.installation_key.is_none(),
            now: bcdr_gateway::clock::wall(),
        }
    }

    fn acknowledged(&self) -> ToGateway {
        ToGateway::Acknowledged(Acknowledged {
            gateway: None,
            durable: self.durable(),
            published: self.durable(),
        })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let layout = BatchLayout::parse(bytes).map_err(|error| error.to_string())?;
        let prefix = &layout.prefix;
        let key = self
            .installation_key
            .as_ref()
            .ok_or("no installation key")?;
        let mac = prefix.mac_of(bytes);
        verify_batch_mac(key, &self.chain, prefix.authenticated(bytes), &mac)
            .map_err(|error| error.to_string())?;
        let header = &layout.header;
        if !self.order().takes_records() {
            return Err(format!("a batch under {:?}", self.duty));
        }
        if header.generation != self.generation {
            return Err(format!("a batch of generation {}", header.generation));
        }
        match judge(self.held.as_ref(), &header.arriving()) {
            Verdict::Continues => {}
            Verdict::Forks(fork) => {
                self.fork = Some(fork);
                self.forks_found.push(fork);
                self.say(ToGateway::Fork(fork));
            }
            verdict => return Err(format!("{verdict:?} for {}..{}", header.first, header.last)),
        }
        self.apply(bytes, &layout)?;
        for event in &layout.header.sync_events {
            if let SyncEvent::End { heals, .. } = event
                && self.fork.is_some_and(|fork| fork.closed_by(heals))
            {
                self.fork = None;
            }
        }
        self.chain = mac;
        self.held = Some(Held {
            position: layout.header.end(),
            id: layout.header.incarnation,
        });
        self.batches.push(layout.header);
        Ok(())
    }

    fn apply(&mut self, bytes: &[u8], layout: &BatchLayout) -> Result<(), String> {
        let mut opener = ChunkOpener::new(self.keys.clone()).map_err(|error| error.to_string())?;
        let region = &bytes[layout.prefix.chunk_region()..];
        let mut plain = Vec::new();
        for entry in &layout.chunks {
            let chunk = &region[entry.offset as usize..][..entry.stored_length as usize];
            let header = ChunkHeader::decode(chunk).map_err(|error| error.to_string())?;
            let opened = opener.open(&header, &chunk[CHUNK_HEADER_BYTES..]);
            plain.push(opened.map_err(|error| error.to_string())?);
        }
        for extent in &layout.extents {
            let range = VolumeRange {
                volume: extent.volume,
                offset: extent.offset,
                length: extent.length,
            };
            match extent.content {
                Content::Zero => self.image.zero(range),
                Content::Unknown => self.image.forget(range),
                Content::Chunk { index, offset } => {
                    let bytes = &plain[index as usize][offset as usize..][..range.length as usize];
                    self.image.write(range.volume, range.offset, bytes);
                }
            }
        }
        Ok(())
    }

    /// Says this in the current session, if there is one.
    pub(crate) fn say(&self, message: ToGateway) {
        if let Some(session) = &self.session {
            let _gone = session.send(message);
        }
    }
}

/// What a receiver's process works on.
pub(crate) struct Store {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// Whether batches are read; a slow receiver does not.
    reading: watch::Sender<bool>,
}

impl Store {
    pub(crate) fn new(site: &Site) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                held: None,
                generation: Generation::FIRST,
                duty: Duty::Serve,
                fork: None,
                image: Image::default(),
                batches: vec![],
                forks_found: vec![],
                violations: vec![],
                hellos: 0,
                callers: vec![],
                reports: vec![],
                refuse_hellos: None,
                refuse_batch: None,
                mute: false,
                ignore_relayed: false,
                relayed: vec![],
                chain: [0; MAC_BYTES],
                keys: KeyRing::new(site.installation),
                installation_key: None,
                session: None,
            }),
            changed: watch::Sender::new(()),
            reading: watch::Sender::new(true),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state());
        self.changed.send_replace(());
        done
    }

    pub(crate) fn read_batches(&self, reading: bool) {
        self.reading.send_replace(reading);
    }

    /// Waits until the state is as it should be.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        let waiting = changed.wait_for(|()| {
            let state = self.state();
            assert_eq!(state.violations, Vec::<String>::new());
            holds(&state)
        });
        in_time(what, waiting).await.unwrap();
    }
}

/// A running receiver.
pub(crate) struct Receiver {
    endpoint: quinn::Endpoint,
    pub(crate) store: Arc<Store>,
}

impl Receiver {
    pub(crate) async fn start(site: &Site, store: &Arc<Store>) -> Self {
        let identity = site.identity(Role::Cloud);
        let address = site.receiver_address;
        let (roles, reset) = ([Role::Gateway], ResetKey::of(b"the receiver's secret"));
        // The one before it may still be letting go of the port.
        let binding = async {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            loop {
                tick.tick().await;
                let bound = server_endpoint(address, &identity, &roles, Protocol::Ship, &reset);
                if let Ok(endpoint) = bound {
                    return endpoint;
                }
            }
        };
        let endpoint = in_time("the receiver's port", binding).await;
        let (serving, store) = (endpoint.clone(), Arc::clone(store));
        let of_task = Arc::clone(&store);
        tokio::spawn(async move {
            while let Some(incoming) = serving.accept().await {
                let store = Arc::clone(&of_task);
                tokio::spawn(async move {
                    let Ok((connection, caller)) = accept(incoming).await else {
                        return;
                    };
                    store.change(|state| state.callers.push(caller));
                    let _ended = serve(&connection, &store).await;
                    close(&connection, CloseCode::Done, "over");
                });
            }
        });
        Self { endpoint, store }
    }

    /// Dies: connections end, the state stays.
    pub(crate) async fn stop(self) {
        self.endpoint.close(0u32.into(), b"killed");
        in_time("the receiver to end", self.endpoint.wait_idle()).await;
        self.store.change(|state| state.session = None);
    }
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn serve(connection: &quinn::Connection, store: &Arc<Store>) -> Ended {
    let (mut to_gateway, from_gateway) = connection.accept_bi().await?;
    let mut frames = FrameReader::new(from_gateway);
    let hello = frames.read_frame().await?;
    if hello.kind == FrameKind::Restore {
        return give_back(&mut to_gateway, &mut frames, &hello, store).await;
    }
    let FromGateway::Hello { .. } = decode_control(&hello)? else {
        return Err("no hello".into());
    };
    let (say, mut said) = mpsc::unbounded_channel();
    let answer = store.change(|state| {
        state.hellos += 1;
        if let Some(refusal) = &state.refuse_hellos {
            return ToGateway::Refused(refusal.clone());
        }
        state.session = Some(say.clone());
        state.welcome()
    });
    send_control(&mut to_gateway, &answer).await?;
    if matches!(answer, ToGateway::Refused(_)) {
        to_gateway.finish()?;
        let _read = to_gateway.stopped().await;
        return Ok(());
    }
    let writer = async {
        while let Some(message) = said.recv().await {
            send_control(&mut to_gateway, &message).await?;
            if matches!(message, ToGateway::Refused(_)) {
                to_gateway.finish()?;
                let _read = to_gateway.stopped().await;
                break;
            }
        }
        Ended::Ok(())
    };
    tokio::select! {
        ended = writer => ended,
        ended = read(&mut frames, store, &say) => ended,
    }
}

async fn give_back(
    to_gateway: &mut quinn::SendStream,
    frames: &mut FrameReader<quinn::RecvStream>,
    hello: &Frame,
    store: &Arc<Store>,
) -> Ended {
    let hello = ReturnHello::from_frame(hello)?;
    let ignore = store.change(|state| {
        state.relayed.push(hello);
        state.ignore_relayed
    });
    if ignore {
        std::future::pending::<()>().await;
    }
    while let Ok(frame) = frames.read_frame().await {
        write_frame(to_gateway, frame.kind, &[&frame.payload]).await?;
    }
    to_gateway.finish()?;
    let _read = to_gateway.stopped().await;
    Ok(())
}

async fn read(
    frames: &mut FrameReader<quinn::RecvStream>,
    store: &Arc<Store>,
    say: &mpsc::UnboundedSender<ToGateway>,
) -> Ended {
    let mut reading = store.reading.subscribe();
    loop {
        reading.wait_for(|reading| *reading).await?;
        let frame = frames.read_frame().await?;
        if frame.kind == FrameKind::Batch {
            let refused = store.change(|state| {
                if let Some(refusal) = state.refuse_batch.take() {
                    return Some(refusal);
                }
                if let Err(violation) = state.take(&frame.payload) {
                    state.violations.push(violation);
                }
                None
            });
            let state = store.state();
            if let Some(refusal) = refused {
                let _gone = say.send(ToGateway::Refused(refusal));
                drop(state);
                return std::future::pending().await;
            }
            if !state.mute {
                let _gone = say.send(state.acknowledged());
            }
            continue;
        }
        store.change(|state| match decode_control(&frame)? {
            FromGateway::InstallationKey(key) => {
                state.installation_key = Some(InstallationKey::from_bytes(&key));
                Ended::Ok(())
            }
            FromGateway::DataKey { id, wrapped } => {
                let key = state
                    .installation_key
                    .as_ref()
                    .ok_or("no installation key")?;
                Ok(state.keys.insert_wrapped(id, &wrapped, key)?)
            }
            FromGateway::Capture { report, .. } => {
                state.reports.push(report);
                Ok(())
            }
            FromGateway::Hello { .. } => Err("a second hello".into()),
        })?;
    }
}
