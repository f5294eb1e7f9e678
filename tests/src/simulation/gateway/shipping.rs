//! The gateway's session with the cloud side.

use super::{GatewayHost, Process, SpoolWork, with_mac};
use crate::simulation::{
    capture::Life,
    context::{Context, ShipUp},
    link::SessionId,
    world::Event,
};
use bcdr_format::{DataKeyId, batch::MAC_BYTES, continuity::Held, position::Generation};
use bcdr_gateway::{intake::acceptance::Taken, ship::window::ShipmentId};
use bcdr_wire::{
    feed::{Refusal, ToCapture},
    seal::InstallationKey,
    ship::{FromGateway, SHIP_VERSION, ToGateway},
};
use bytes::Bytes;
use std::{collections::BTreeSet, sync::Arc};

/// A session that was asked for, and is up once it has a chain.
pub(super) struct Session {
    pub(super) id: SessionId,
    chain: Option<[u8; MAC_BYTES]>,
    told: BTreeSet<DataKeyId>,
    key: Arc<InstallationKey>,
    refusal: Option<Refusal>,
}

impl GatewayHost {
    /// Calls the cloud side.
    pub(crate) fn call(&mut self, cx: &mut Context, life: Life) {
        let (installation, group, stream) =
            (self.ids.installation, self.ids.group, self.ids.stream);
        let key = Arc::clone(&self.ids.installation_key);
        let now = Self::wall(cx);
        let Some(process) = self.process(life).filter(|process| process.ship.is_none()) else {
            return;
        };
        let Some(id) = cx.ship.connect(&cx.schedule) else {
            let again = cx.delay(5_000, 25_000);
            return cx.schedule.after(again, Event::ShipCall { life });
        };
        process.ship = Some(Session {
            id,
            chain: None,
            told: BTreeSet::new(),
            key,
            refusal: None,
        });
        let hello = FromGateway::Hello {
            version: SHIP_VERSION,
            installation,
            group,
            stream,
            now,
        };
        cx.ship
            .send_up(&mut cx.schedule, id, ShipUp::Control(hello));
    }

    /// The session is over.
    pub(crate) fn cloud_gone(&mut self, cx: &mut Context, session: SessionId) {
        let life = self.life;
        let Some(process) = self.process(life) else {
            return;
        };
        if process.ship.as_ref().map(|one| one.id) != Some(session) {
            return;
        }
        let refusal = process.ship.take().and_then(|session| session.refusal);
        process.to_send.clear();
        process.window.disconnect();
        // What is queued will never be taken: the capture is told, and feeds again from what the
        // receiver says next.
        if let Some(
            refusal @ (Refusal::Superseded { .. }
            | Refusal::Fenced { .. }
            | Refusal::Discontinuous { .. }),
        ) = refusal
        {
            process.let_go(cx, refusal);
            process.receiver_known = false;
        }
        let again = cx.delay(2_000, 20_000);
        cx.schedule.after(again, Event::ShipCall { life });
        self.everything_due(cx, life);
    }

    /// The cloud side says something.
    pub(crate) fn hear_cloud(&mut self, cx: &mut Context, session: SessionId, message: ToGateway) {
        let life = self.life;
        let current =
            |process: &&mut Process| process.ship.as_ref().map(|one| one.id) == Some(session);
        if self.process(life).filter(current).is_none() {
            return;
        }
        match message {
            ToGateway::Welcome {
                order,
                held,
                fork,
                chain,
                ..
            } => {
                if let Some(process) = self.process(life) {
                    if let Some(session) = &mut process.ship {
                        session.chain = Some(chain);
                    }
                    if process.forks.told(fork)
                        && let Some(fork) = process.forks.open()
                    {
                        process.tell_capture(cx, ToCapture::Fork(fork));
                    }
                }
                self.met(cx, life, order.generation);
                if let Some(process) = self.process(life) {
                    process.connect(cx, held);
                    process.receiver_known = true;
                }
            }
            ToGateway::Order(order) => self.met(cx, life, order.generation),
            ToGateway::Refused(refusal) => {
                cx.trace(|| format!("the cloud side refuses: {refusal}"));
                if let Some(session) = self.process(life).and_then(|process| process.ship.as_mut())
                {
                    session.refusal = Some(refusal);
                }
            }
            ToGateway::Acknowledged(acknowledged) => {
                if let Some(process) = self.process(life) {
                    if let Some(durable) = acknowledged.durable {
                        let forgotten = process.window.acknowledged(durable);
                        process.perform(cx, forgotten);
                    }
                    process.published = acknowledged.published;
                }
            }
            ToGateway::PlaceMarker(marker) => {
                self.tell(cx, life, ToCapture::PlaceMarker(marker));
            }
            ToGateway::Beat(beat) => self.tell(cx, life, ToCapture::Beat(beat)),
            ToGateway::Fork(fork) => {
                if let Some(process) = self.process(life) {
                    process.forks.told(Some(fork));
                }
                self.tell(cx, life, ToCapture::Fork(fork));
            }
        }
        self.everything_due(cx, life);
    }

    fn tell(&mut self, cx: &mut Context, life: Life, message: ToCapture) {
        if let Some(process) = self.process(life) {
            process.tell_capture(cx, message);
        }
    }

    /// A generation newer than any met before: what was packed under an older one is worth nothing.
    fn met(&mut self, cx: &mut Context, life: Life, generation: Generation) {
        if self.generation.is_some_and(|known| known >= generation) {
            return;
        }
        let fenced = self.generation.is_some();
        self.generation = Some(generation);
        if fenced && let Some(process) = self.process(life) {
            let reason = format!("generation {generation} began");
            process.let_go(cx, Refusal::Discontinuous { reason });
        }
    }
}

impl Process {
    fn connect(&mut self, cx: &mut Context, held: Option<Held>) {
        cx.trace(|| format!("the cloud side holds {held:?}"));
        match self.window.connect(held) {
            Ok(forgotten) => self.perform(cx, forgotten),
            Err(discontinuity) => {
                let reason = format!("the receiver says {:?}", discontinuity.verdict);
                self.let_go(cx, Refusal::Discontinuous { reason });
                if self.window.connect(held).is_err() {
                    cx.violated("an empty queue does not continue what the cloud side holds");
                }
            }
        }
        let expected = self.window.held();
        let idle = self.batcher.is_empty() && self.packing.is_empty();
        if idle && self.taken.held() != expected {
            if self.feed.is_some() {
                let reason = format!("the receiver holds {held:?}");
                self.end_feed(cx, Refusal::Discontinuous { reason });
            }
            self.taken = Taken::new(expected);
        }
    }

    pub(super) fn send_queued(&mut self, cx: &mut Context) {
        while self.reading.is_none()
            && let Some(id) = self.to_send.front().copied()
        {
            let Some(kept) = self.kept.get(&id) else {
                self.to_send.pop_front();
                continue;
            };
            match (&kept.bytes, kept.location) {
                (Some(bytes), _) => {
                    let bytes = bytes.clone();
                    self.to_send.pop_front();
                    self.ship_batch(cx, id, &bytes);
                }
                (None, Some(location)) => {
                    self.reading = Some(id);
                    self.spool_work.push_back(SpoolWork::Read(id, location));
                }
                (None, None) => {
                    cx.violated("a batch in the window is neither in memory nor in the spool");
                    return;
                }
            }
        }
    }

    pub(super) fn ship_batch(&mut self, cx: &mut Context, id: ShipmentId, bytes: &Bytes) {
        let (Some(session), Some(kept)) = (&mut self.ship, self.kept.get(&id)) else {
            return;
        };
        let Some(chain) = &mut session.chain else {
            return;
        };
        for key in &kept.keys {
            let Some(wrapped) = self.wrapped.get(key) else {
                let reason = "the data key of a queued batch is not known".to_owned();
                return self.begin_again(cx, reason);
            };
            if session.told.insert(*key) {
                let message = FromGateway::DataKey {
                    id: *key,
                    wrapped: wrapped.clone(),
                };
                cx.ship
                    .send_up(&mut cx.schedule, session.id, ShipUp::Control(message));
            }
        }
        let whole = with_mac(&session.key, chain, bytes);
        cx.ship
            .send_up(&mut cx.schedule, session.id, ShipUp::Batch(whole));
    }
}
