//! The owner's side towards the capture: sessions, records, what the capture is told.

use super::{Owner, prepare::STATE_FILE};
use crate::{
    clock,
    intake::acceptance::{Acceptance, Discontinuous, Taken},
    reduce::batcher::ClosedBatch,
    stream::{Attach, FeedEvent, FeedSession, pack::PackedBatch},
};
use bcdr_format::{GroupId, record::Record};
use bcdr_wire::{
    feed::{Acknowledged, FEED_VERSION, Refusal, ToCapture},
    identity::PeerIdentity,
};
use bytes::Bytes;
use std::time::Instant;

impl Owner {
    pub(super) async fn attach(&mut self, attach: Attach) {
        let Attach {
            group,
            session,
            verdict,
        } = attach;
        let answer = match self.judge_session(group, &session) {
            Ok(()) => self.bind(&session.peer.name).await,
            refused => refused,
        };
        let accepted = answer.is_ok();
        if verdict.send(answer).is_err() || !accepted {
            return;
        }
        if let Some(old) = self.feed.take() {
            tracing::warn!(stream = %self.stream, old = %old.peer, new = %session.peer, "a new session replaces an old one");
            let _gone = old.outbox.try_send(ToCapture::Refused(Refusal::Replaced));
        }
        let now = clock::wall();
        self.taken.begin_session();
        self.batcher
            .set_clock_offset(session.clock_offset_microseconds);
        tracing::info!(stream = %self.stream, capture = %session.peer, clock_offset_microseconds = session.clock_offset_microseconds, "capture connected");
        self.feed = Some(session);
        self.feed_changed();
        self.tell_capture(ToCapture::Welcome {
            version: FEED_VERSION,
            held: self.taken.held(),
            fork: self.forks.open(),
            order: self
                .order
                .clone()
                .expect("sessions begin once an order is known"),
            now,
        });
        self.confirm_order();
        self.tell_capture(ToCapture::Acknowledged(self.acknowledged));
    }

    /// Tells the capture that its order is no memory: the receiver gave it in the session that is up.
    pub(super) fn confirm_order(&mut self) {
        if let (Some(order), Some(_)) = (&self.order, &self.ship) {
            self.tell_capture(ToCapture::Order(order.clone()));
        }
    }

    /// A session is taken once a receiver has said, in this process's life, what it holds. Before
    /// that the end of the spool may lie behind what is held cloud-side and was freed at the
    /// capture, which would then compare everything for nothing.
    fn judge_session(&self, group: GroupId, session: &FeedSession) -> Result<(), Refusal> {
        self.judge_peer(&session.peer)?;
        if group != self.group {
            return Err(self.of_another_group(group));
        }
        if !self.receiver_known {
            if let Some(refusal @ Refusal::UnknownStream { .. }) = &self.receiver_refusal {
                return Err(refusal.clone());
            }
            let why = self.status.receiver_reason.clone();
            let reason = why.unwrap_or_else(|| "no receiver has been reached yet".to_owned());
            return Err(Refusal::NotReady { reason });
        }
        if let (Some(held), Some(opening)) = (self.taken.held(), session.opening)
            && self.takes_records()
        {
            let highest = held.position.ordinal;
            let foreign = opening.ordinal == highest && opening.id != held.id;
            if opening.ordinal < highest || foreign {
                return Err(Refusal::Superseded { highest });
            }
        }
        Ok(())
    }

    /// A stream is its first capture's: any other certificate of the installation could replace the
    /// session and have its bytes become the group's points.
    fn judge_peer(&self, peer: &PeerIdentity) -> Result<(), Refusal> {
        let Some(bound) = self.bound_to.as_ref().filter(|bound| **bound != peer.name) else {
            return Ok(());
        };
        let (stream, name) = (self.stream, &peer.name);
        let refusal = Refusal::NotAllowed {
            peer: peer.to_string(),
            reason: format!(
                "stream {stream} is fed by the capture {bound:?}; if {name:?} is to feed it from now on, stop the gateway, write that name at \"capture\" in streams/{stream}/{STATE_FILE} of its state directory, and start it again"
            ),
        };
        tracing::warn!(%stream, capture = %peer, %refusal, "capture refused");
        Err(refusal)
    }

    /// While no receiver has confirmed the stream, the group it was first asked for may be wrong.
    fn of_another_group(&self, group: GroupId) -> Refusal {
        let stream = self.stream;
        if self.order.is_none() {
            let reason = "another group was asked for with this stream, and the receiver has yet to say whose it is".to_owned();
            return Refusal::NotReady { reason };
        }
        Refusal::UnknownStream { group, stream }
    }

    /// Binds the stream to the first capture that is let in, on disk before it is let in. A receiver
    /// has confirmed the stream by then.
    async fn bind(&mut self, name: &str) -> Result<(), Refusal> {
        if self.bound_to.is_some() {
            return Ok(());
        }
        let order = self.order.clone();
        let order = order.expect("sessions begin once an order is known");
        match self.remember(&order, Some(name.to_owned())).await {
            Ok(()) => {
                tracing::info!(stream = %self.stream, capture = name, "the stream is bound to its first capture");
                self.bound_to = Some(name.to_owned());
                Ok(())
            }
            Err(error) => Err(Refusal::NotReady {
                reason: format!("which capture feeds the stream cannot be kept: {error}"),
            }),
        }
    }

    pub(super) fn feed_event(&mut self, event: FeedEvent) {
        let outcome = match event {
            FeedEvent::Report(report) => {
                self.report = Some(report);
                self.relay_due = Instant::now();
                Ok(())
            }
            // What is on its way while nothing is taken stays with the capture: its journal keeps
            // what is not durable cloud-side, and another session begins when records are taken.
            FeedEvent::Incarnation(_) | FeedEvent::Records(_) if !self.takes_records() => Ok(()),
            FeedEvent::Incarnation(opening) => self.taken.incarnation(opening).map(|()| {
                let closed = self.batcher.incarnation(opening);
                self.pack(closed);
            }),
            FeedEvent::Records(records) => self.take(records),
        };
        let Err(discontinuous) = outcome else { return };
        let refusal = match discontinuous {
            Discontinuous::Superseded { highest } => Refusal::Superseded { highest },
            other => Refusal::Discontinuous {
                reason: other.to_string(),
            },
        };
        self.end_feed(refusal);
    }

    fn take(&mut self, records: Vec<Record<Bytes>>) -> Result<(), Discontinuous> {
        let now = Instant::now();
        self.batcher.set_received_at(clock::wall());
        for record in records {
            if self.taken.record(record.sequence)? == Acceptance::Take {
                let closed = self.batcher.push(record, now);
                self.pack(closed);
            }
        }
        Ok(())
    }

    pub(super) fn pack(&mut self, closed: impl IntoIterator<Item = ClosedBatch>) {
        for batch in closed {
            let order = self.order.as_ref();
            let generation = order
                .expect("sessions begin once an order is known")
                .generation;
            self.forks.passed(batch.header.sync_events.iter().copied());
            self.packers.start(batch, generation);
        }
    }

    pub(super) fn packed(&mut self, packed: Result<PackedBatch, String>) {
        match packed {
            Ok(PackedBatch {
                arriving,
                bytes,
                keys,
                written_bytes,
                ..
            }) => {
                self.status.written_bytes += written_bytes;
                self.status.encoded_bytes += bytes.len() as u64;
                let id = self
                    .window
                    .push(arriving, bytes.len() as u64, Instant::now());
                self.kept.in_memory(id, bytes, keys);
            }
            Err(reason) => {
                tracing::error!(stream = %self.stream, reason, "a batch could not be packed");
                let reason = format!("a batch could not be packed: {reason}");
                self.feed_again(reason);
            }
        }
    }

    /// Has the capture feed again what is neither in the window nor at the receiver. What was being
    /// filled and packed is lost to this process only.
    pub(super) fn feed_again(&mut self, reason: String) {
        self.batcher.abandon();
        self.packers.abandon();
        self.taken = Taken::new(self.window.held());
        self.end_feed(Refusal::Discontinuous { reason });
    }

    /// Ends the capture's session and tells it why.
    pub(super) fn end_feed(&mut self, refusal: Refusal) {
        if let Some(session) = self.feed.take() {
            tracing::warn!(stream = %self.stream, capture = %session.peer, %refusal, "capture session refused");
            let _gone_or_not_reading = session.outbox.try_send(ToCapture::Refused(refusal));
            self.feed_changed();
        }
    }

    pub(super) fn feed_ended(&mut self, reason: &str) {
        if let Some(session) = self.feed.take() {
            tracing::info!(stream = %self.stream, capture = %session.peer, reason, "capture disconnected");
            self.feed_changed();
        }
    }

    fn feed_changed(&mut self) {
        self.report = None;
        self.capture_since = clock::wall();
        self.relay_due = Instant::now();
    }

    pub(super) fn tell_capture(&mut self, message: ToCapture) {
        if let Some(session) = &self.feed
            && session.outbox.try_send(message).is_err()
        {
            self.feed_ended("it is gone, or does not read what it is told");
        }
    }

    pub(super) fn acknowledge(&mut self) {
        let acknowledged = Acknowledged {
            gateway: self.window.gateway_durable(),
            durable: self.window.durable(),
            published: self.published,
        };
        if acknowledged != self.acknowledged {
            self.acknowledged = acknowledged;
            self.tell_capture(ToCapture::Acknowledged(acknowledged));
        }
    }
}
