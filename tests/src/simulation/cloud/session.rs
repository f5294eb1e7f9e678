//! The receiver's sessions: what arrives is judged, appended, made durable together, then told.

use super::{CloudHost, Process};
use crate::simulation::{
    context::{Context, ShipUp},
    link::SessionId,
    world::Event,
};
use bcdr_cloud::{
    receive::{Decision, Refusal as Refused},
    replica::Committed,
};
use bcdr_format::batch::BatchLayout;
use bcdr_wire::{
    feed::{Acknowledged, Refusal},
    order::{Duty, OrderNumber, SourceOrder},
    seal::verify_batch_mac,
    ship::{FromGateway, SHIP_VERSION, ToGateway},
};
use bytes::Bytes;

/// Batches kept for a peer that repeats itself.
const REPLAY_MAX: usize = 6;

/// A session with a gateway.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
}

impl CloudHost {
    /// Something arrives from a gateway.
    pub(crate) fn hear(&mut self, cx: &mut Context, session: SessionId, message: ShipUp) {
        let life = self.life;
        if self.process.is_none() {
            return cx.ship.sever(&mut cx.schedule, session);
        }
        match message {
            ShipUp::Control(FromGateway::Hello { .. }) => self.begin(cx, session),
            ShipUp::Control(FromGateway::DataKey { id, wrapped }) => {
                if let Some(process) = self.current(session)
                    && let Err(error) = process.store.add_key(id, &wrapped)
                {
                    self.refuse(
                        cx,
                        Refusal::NotReady {
                            reason: error.to_string(),
                        },
                    );
                }
            }
            ShipUp::Control(_) => {}
            ShipUp::Batch(bytes) => {
                if self.current(session).is_some() {
                    self.take_batch(cx, bytes);
                }
            }
        }
        let slow = self.disk_slow.max(1);
        if let Some(process) = self.process(life)
            && !process.commit_scheduled
        {
            process.commit_scheduled = true;
            let delay = cx.delay(50, 2_500) * slow;
            cx.schedule.after(delay, Event::CloudCommit { life });
        }
    }

    fn current(&mut self, session: SessionId) -> Option<&mut Process> {
        let process = self.process.as_mut()?;
        let current = process
            .session
            .as_ref()
            .is_some_and(|one| one.id == session);
        current.then_some(process)
    }

    /// A session is over.
    pub(crate) fn gateway_gone(&mut self, session: SessionId) {
        if let Some(process) = self.current(session) {
            process.session = None;
        }
    }

    /// Everything queued by earlier sessions is settled first.
    fn begin(&mut self, cx: &mut Context, session: SessionId) {
        let life = self.life;
        self.commit(cx, life);
        let Some(process) = self.process(life) else {
            return cx.ship.sever(&mut cx.schedule, session);
        };
        if let Some(old) = process.session.take() {
            let refused = ToGateway::Refused(Refusal::Replaced);
            cx.ship.send_down(&mut cx.schedule, old.id, refused);
            cx.ship.close_from_server(&mut cx.schedule, old.id);
        }
        let state = process.store.durable();
        let welcome = ToGateway::Welcome {
            version: SHIP_VERSION,
            order: SourceOrder {
                generation: state.generation(),
                number: OrderNumber::ASSUMED,
                duty: Duty::Serve,
            },
            held: state.held(),
            fork: state.open_forks().last().copied(),
            chain: state.chain(),
            installation_key_missing: false,
            now: cx.wall(crate::simulation::context::Host::Cloud),
        };
        process.session = Some(Session { id: session });
        cx.ship.send_down(&mut cx.schedule, session, welcome);
        self.note_told(cx);
    }

    fn take_batch(&mut self, cx: &mut Context, bytes: Bytes) {
        let layout = match BatchLayout::parse(&bytes) {
            Ok(layout) => layout,
            Err(error) => return cx.violated(format!("a batch cannot be parsed: {error}")),
        };
        let key = std::sync::Arc::clone(&self.ids.installation_key);
        let receipt = Self::receipt(cx);
        let Some(process) = &mut self.process else {
            return;
        };
        match process.store.offer(&layout) {
            Decision::Append { .. } => {
                let chain = process.store.received().chain();
                let mac = layout.prefix.mac_of(&bytes);
                if verify_batch_mac(&key, &chain, layout.prefix.authenticated(&bytes), &mac)
                    .is_err()
                {
                    let reason = "the batch's MAC is not chained to the one before it".to_owned();
                    return self.refuse(cx, Refusal::Discontinuous { reason });
                }
                cx.trace(|| {
                    let header = &layout.header;
                    format!(
                        "batch {}-{}..{} arrives",
                        header.ordinal, header.first, header.last
                    )
                });
                self.replay.push(bytes.clone());
                if self.replay.len() > REPLAY_MAX {
                    self.replay.remove(0);
                }
                process.answer_due = true;
                if let Err(error) = process.store.append(bytes, layout, receipt) {
                    self.restart(cx, &error.to_string());
                }
            }
            Decision::Duplicate => process.answer_due = true,
            Decision::Refuse(refused) => {
                let refusal = on_the_wire(&refused);
                self.refuse(cx, refusal);
            }
        }
    }

    fn refuse(&mut self, cx: &mut Context, refusal: Refusal) {
        let life = self.life;
        // What was appended before it counts: it is told before the refusal.
        self.commit(cx, life);
        let Some(session) = self
            .process
            .as_mut()
            .and_then(|process| process.session.take())
        else {
            return;
        };
        cx.trace(|| format!("cloud refuses: {refusal}"));
        cx.ship
            .send_down(&mut cx.schedule, session.id, ToGateway::Refused(refusal));
        cx.ship.close_from_server(&mut cx.schedule, session.id);
    }

    pub(super) fn acknowledge(&mut self, cx: &mut Context, committed: &Committed) {
        let Some(process) = &mut self.process else {
            return;
        };
        process.answer_due = false;
        let Some(session) = process.session.as_ref().map(|session| session.id) else {
            return;
        };
        let published = process.store.durable().published().map(|point| point.id.0);
        let acknowledged = Acknowledged {
            gateway: None,
            durable: committed.held.map(|held| held.position),
            published,
        };
        let message = ToGateway::Acknowledged(acknowledged);
        cx.ship.send_down(&mut cx.schedule, session, message);
        for fork in committed
            .outcomes
            .iter()
            .filter_map(|outcome| outcome.forked)
        {
            cx.ship
                .send_down(&mut cx.schedule, session, ToGateway::Fork(fork));
        }
    }

    /// A peer repeats old batches and leaves some out: nothing of it may be taken.
    pub(crate) fn replay_old_batches(&mut self, cx: &mut Context) {
        let Some(process) = &mut self.process else {
            return;
        };
        let held = process.store.received().held();
        for bytes in &self.replay {
            let layout = BatchLayout::parse(bytes).expect("it was parsed before");
            let older = layout.header.generation < process.store.received().generation();
            let decision = process.store.offer(&layout);
            let fine = match &decision {
                Decision::Duplicate => {
                    cx.counters.note("duplicate batch");
                    true
                }
                Decision::Refuse(Refused::Fenced { .. }) if older => {
                    cx.counters.note("older generation refused");
                    true
                }
                // An earlier life of the stream, or one whose tail was lost with the cloud's power.
                Decision::Refuse(_) => true,
                Decision::Append { .. } => {
                    let end = Some(layout.header.end());
                    end > held.map(|held| held.position) && !older
                }
            };
            if !fine {
                cx.violated(format!("an old batch is taken again: {decision:?}"));
            }
            // The same batch, as if those before it had never come.
            let mut later = layout;
            later.header.opening = None;
            later.header.first.0 += 1_000_000;
            later.header.last.0 += 1_000_000;
            match process.store.offer(&later) {
                Decision::Refuse(Refused::Gap { .. }) => cx.counters.note("gap refused"),
                Decision::Refuse(_) => {}
                other => cx.violated(format!("a batch behind a gap is not refused: {other:?}")),
            }
        }
    }
}

fn on_the_wire(refused: &Refused) -> Refusal {
    match refused {
        Refused::Superseded { highest } => Refusal::Superseded { highest: *highest },
        Refused::Fenced { held, found } => Refusal::Fenced {
            offered: *found,
            current: *held,
        },
        other => Refusal::Discontinuous {
            reason: other.to_string(),
        },
    }
}
