//! The owner's side towards the receiver: sessions, what is sent, what is acknowledged.

use super::{Owner, RELAY_EVERY, prepare::STATE_FILE};
use crate::{
    intake::acceptance::Taken,
    ship::{
        session::{ShipCommand, ShipEvent},
        window::ShipmentId,
    },
    spool::thread::SpoolWork,
    stream::Remembered,
};
use bcdr_disk::{DiskError, replace_atomically};
use bcdr_format::continuity::{Fork, Held};
use bcdr_wire::{
    feed::{Refusal, ToCapture},
    order::SourceOrder,
    ship::{FromGateway, ToGateway},
};
use bytes::Bytes;
use std::{
    sync::{Arc, Weak},
    time::Instant,
};

impl Owner {
    pub(super) async fn ship_event(&mut self, event: ShipEvent) {
        match event {
            ShipEvent::Up { welcome, commands } => {
                if let ToGateway::Welcome {
                    order, held, fork, ..
                } = welcome
                {
                    self.ship = Some(commands);
                    self.ship_up(order, held, fork).await;
                }
            }
            ShipEvent::Message(ToGateway::Order(order)) => self.ordered(order).await,
            ShipEvent::Message(message) => self.receiver_says(message),
            ShipEvent::Down { reason, refusal } => self.ship_down(reason, refusal),
        }
    }

    async fn ship_up(&mut self, order: SourceOrder, held: Option<Held>, fork: Option<Fork>) {
        if let Some(reason) = self.fenced_off(&order) {
            return self.end_ship(reason);
        }
        self.receiver_refusal = None;
        self.unknown_to = 0;
        self.status.receiver_reason = None;
        if self.forks.told(fork)
            && let Some(fork) = self.forks.open()
        {
            self.tell_capture(ToCapture::Fork(fork));
        }
        let is_known = self.order.as_ref() == Some(&order);
        self.met_order(order).await;
        if is_known {
            self.confirm_order();
        }
        self.connect(held);
        self.receiver_known = true;
        self.relay_due = Instant::now();
    }

    /// The receiver gives another order while a session is up.
    async fn ordered(&mut self, order: SourceOrder) {
        match self.fenced_off(&order) {
            Some(reason) => self.end_ship(reason),
            None => {
                if self.met_order(order).await {
                    // What is under way to the receiver is not to arrive, and where that leaves it
                    // only its next welcome tells.
                    self.end_ship("the source has another order".to_owned());
                }
            }
        }
    }

    fn fenced_off(&self, order: &SourceOrder) -> Option<String> {
        let generation = order.generation;
        let known = self.order.as_ref()?.generation;
        (known > generation).then(|| {
            format!(
                "the receiver is at generation {generation}, which generation {known} has fenced off: it may have been restored from a backup"
            )
        })
    }

    /// Persists the order, and with it the highest generation met, before acting on it. Returns
    /// whether what was queued was let go of.
    async fn met_order(&mut self, order: SourceOrder) -> bool {
        let known = self.order.as_ref();
        if known == Some(&order) && self.order_kept {
            return false;
        }
        let changed = known != Some(&order);
        let newer = known.is_some_and(|known| order.generation > known.generation);
        let written = self.remember(&order, self.bound_to.clone()).await;
        self.order_kept = written.is_ok();
        if let Err(error) = written {
            // Without it a restart might ship under an older generation; the receiver refuses
            // that, so going on is safe, and the next welcome tries again.
            tracing::error!(stream = %self.stream, %error, "the order could not be kept");
        }
        let took = self.takes_records();
        self.order = Some(order.clone());
        if !changed {
            return false;
        }
        let (generation, takes) = (order.generation, order.takes_records());
        tracing::info!(stream = %self.stream, ?order, "the source's order changed");
        // Before the session ends, if it does: the capture may be slow to come back.
        self.tell_capture(ToCapture::Order(order));
        if newer {
            // What is queued was sealed under the old one, which is refused for ever.
            let reason = format!("generation {generation} began");
            self.let_go(Refusal::Discontinuous { reason });
        } else if took && !takes {
            // It would not be taken. The capture has all of it, and stays connected.
            self.drop_queue();
        }
        newer || (took && !takes)
    }

    /// Puts the stream's state on disk.
    pub(super) async fn remember(
        &self,
        order: &SourceOrder,
        capture: Option<String>,
    ) -> Result<(), DiskError> {
        let state = Remembered {
            group: self.group,
            stream: self.stream,
            generation: order.generation,
            number: order.number,
            duty: order.duty.clone(),
            capture,
        };
        let (storage, directory) = (self.settings.storage.clone(), self.directory.clone());
        tokio::task::spawn_blocking(move || {
            let bytes = serde_json::to_vec_pretty(&state).expect("the state has no odd keys");
            storage.create_directory_all(&directory)?;
            replace_atomically(storage.as_ref(), &directory.join(STATE_FILE), &bytes)
        })
        .await
        .expect("writing a small file does not panic")
    }

    /// Whether every receiver has said that it does not know the stream, and nothing waits for one
    /// that does.
    pub(super) fn is_unknown(&self) -> bool {
        self.unknown_to >= self.settings.receivers.len()
            && self.window.waiting_bytes() == 0
            && self.status.spool_bytes == 0
            && self.feed.is_none()
    }

    fn connect(&mut self, held: Option<Held>) {
        match self.window.connect(held) {
            Ok(forgotten) => self.perform(forgotten),
            Err(discontinuity) => {
                let reason = format!("the receiver says {:?}", discontinuity.verdict);
                self.let_go(Refusal::Discontinuous { reason });
                let reconnected = self.window.connect(held);
                debug_assert!(reconnected.is_ok(), "an empty queue continues anything");
            }
        }
        let expected = self.window.held();
        if self.batcher.is_empty() && self.packers.is_idle() && self.taken.held() != expected {
            if self.feed.is_some() {
                let reason = format!("the receiver holds {held:?}");
                self.end_feed(Refusal::Discontinuous { reason });
            }
            self.taken = Taken::new(expected);
        }
    }

    fn ship_down(&mut self, reason: String, refusal: Option<Refusal>) {
        let reason = self.given_up.take().unwrap_or(reason);
        tracing::info!(stream = %self.stream, reason, "no session with the receiver");
        self.ship = None;
        self.to_send.clear();
        self.window.disconnect();
        self.status.receiver_reason = Some(reason);
        self.receiver_refusal.clone_from(&refusal);
        if let Some(unknown @ Refusal::UnknownStream { .. }) = &refusal {
            self.unknown_to = self.unknown_to.saturating_add(1);
            if self.unknown_to >= self.settings.receivers.len() {
                self.receiver_known = false;
                self.end_feed(unknown.clone());
            }
        } else {
            self.unknown_to = 0;
        }
        let Some(refusal) = refusal else { return };
        let of_the_queue = matches!(
            refusal,
            Refusal::Superseded { .. } | Refusal::Fenced { .. } | Refusal::Discontinuous { .. }
        );
        // What is queued will never be taken: the capture is told, and feeds again from what the
        // receiver says next.
        if of_the_queue {
            self.let_go(refusal);
            self.receiver_known = false;
        }
    }

    /// Ends the session with the receiver; the next one begins by itself.
    fn end_ship(&mut self, reason: String) {
        self.given_up = self.ship.take().map(|_| reason);
        self.to_send.clear();
        self.window.disconnect();
    }

    /// Lets go of everything on its way and asks the receiver anew what it holds.
    pub(super) fn begin_again(&mut self, reason: String) {
        tracing::warn!(stream = %self.stream, reason, "what is on its way is fed again");
        self.end_ship(reason.clone());
        self.let_go(Refusal::Discontinuous { reason });
        self.receiver_known = false;
    }

    fn receiver_says(&mut self, message: ToGateway) {
        match message {
            ToGateway::Acknowledged(acknowledged) => {
                if let Some(durable) = acknowledged.durable {
                    let forgotten = self.window.acknowledged(durable);
                    self.perform(forgotten);
                }
                self.published = acknowledged.published;
            }
            ToGateway::PlaceMarker(marker) => self.tell_capture(ToCapture::PlaceMarker(marker)),
            // A beat that nobody takes back would only fill the capture's journal.
            ToGateway::Beat(_) if !self.takes_records() => {}
            ToGateway::Beat(beat) => self.tell_capture(ToCapture::Beat(beat)),
            ToGateway::Fork(fork) => {
                self.forks.told(Some(fork));
                self.tell_capture(ToCapture::Fork(fork));
            }
            ToGateway::Welcome { .. } | ToGateway::Order(_) | ToGateway::Refused(_) => {}
        }
    }

    pub(super) fn send_queued(&mut self) {
        while self.reading.is_none()
            && let Some(id) = self.to_send.front().copied()
        {
            let Some(kept) = self.kept.get(id) else {
                self.to_send.pop_front();
                continue;
            };
            match (&kept.bytes, kept.location) {
                (Some(bytes), _) => {
                    let bytes = bytes.clone();
                    self.to_send.pop_front();
                    self.ship_batch(id, bytes);
                }
                (None, Some(location)) => {
                    self.reading = Some(id);
                    self.spool_work(SpoolWork::Read(id, location));
                }
                (None, None) => unreachable!("a kept batch is in memory or in the spool"),
            }
        }
    }

    pub(super) fn ship_batch(&mut self, id: ShipmentId, bytes: Bytes) {
        let (Some(ship), Some(kept)) = (&self.ship, self.kept.get(id)) else {
            return;
        };
        let key = |id| Some((id, self.keys.get(&id)?.clone()));
        let Some(keys) = kept.keys.iter().copied().map(key).collect() else {
            return self.begin_again("the data key of a queued batch is not known".to_owned());
        };
        let _gone = ship.send(ShipCommand::Batch { bytes, keys });
    }

    /// Tells the receiver how the capture is, unless the last such message still waits.
    pub(super) fn relay(&mut self, now: Instant) {
        if now < self.relay_due {
            return;
        }
        self.relay_due = now + RELAY_EVERY;
        if let Some(ship) = &self.ship
            && self.relayed.upgrade().is_none()
        {
            let message = FromGateway::Capture {
                report: self.report.clone(),
                since: self.capture_since,
                spooled_bytes: self.window.waiting_bytes(),
            };
            let waiting = Arc::new(());
            self.relayed = Arc::downgrade(&waiting);
            let _gone = ship.send(ShipCommand::Message { message, waiting });
        } else if self.ship.is_none() {
            self.relayed = Weak::new();
        }
    }
}
