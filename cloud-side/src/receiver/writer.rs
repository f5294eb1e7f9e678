//! Everything a session says to its gateway, from one task, since a frame must never be cut short.
//!
//! Owns the stream's sending half. Acknowledgements are a state, of which only the newest counts;
//! markers, forks and the refusal that ends a session are messages, each of which is sent.

use crate::clock::RunClock;
use bcdr_format::{continuity::Fork, record::Marker};
use bcdr_wire::{
    feed::{Acknowledged, Refusal},
    frame::{FrameError, send_control},
    order::SourceOrder,
    ship::ToGateway,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

/// How often a beat goes out while batches with data arrive.
const BEAT_BUSY: Duration = Duration::from_millis(200);
/// How often a beat goes out otherwise.
const BEAT_IDLE: Duration = Duration::from_secs(1);
/// Messages that may wait; a gateway that does not read loses markers, not memory.
const MESSAGES_WAITING: usize = 64;
/// How long a refused gateway has to read why.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a gateway may take to read one message before its session is given up.
const STALLED: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum Message {
    Marker(Marker),
    Fork(Fork),
    Refuse(Refusal),
}

/// The way to a session's gateway.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    acknowledged: watch::Sender<Acknowledged>,
    messages: mpsc::Sender<Message>,
    data_arrived: Arc<AtomicBool>,
    refused: Arc<AtomicBool>,
    cut: CancellationToken,
}

/// What the writing task takes from.
#[derive(Debug)]
pub(super) struct Outbox {
    acknowledged: watch::Receiver<Acknowledged>,
    messages: mpsc::Receiver<Message>,
    data_arrived: Arc<AtomicBool>,
}

/// A new way to a gateway.
pub(super) fn outlet() -> (Outlet, Outbox) {
    let (acknowledged, told) = watch::channel(Acknowledged::default());
    let (messages, waiting) = mpsc::channel(MESSAGES_WAITING);
    let data_arrived = Arc::new(AtomicBool::new(false));
    let outbox = Outbox {
        acknowledged: told,
        messages: waiting,
        data_arrived: Arc::clone(&data_arrived),
    };
    let outlet = Outlet {
        acknowledged,
        messages,
        data_arrived,
        refused: Arc::default(),
        cut: CancellationToken::new(),
    };
    (outlet, outbox)
}

impl Outlet {
    /// The ladder stands here now.
    pub(crate) fn acknowledge(&self, acknowledged: Acknowledged) {
        self.acknowledged.send_replace(acknowledged);
    }

    /// What was acknowledged last.
    #[cfg(test)]
    pub(super) fn told(&self) -> watch::Receiver<Acknowledged> {
        self.acknowledged.subscribe()
    }

    /// Asks for a marker. Says whether it is on its way.
    pub(crate) fn place_marker(&self, marker: Marker) -> bool {
        self.messages.try_send(Message::Marker(marker)).is_ok()
    }

    pub(super) fn fork(&self, fork: Fork) {
        // A gateway that misses it hears of it in the next welcome.
        let _full = self.messages.try_send(Message::Fork(fork));
    }

    /// The refusal that waits to be told.
    #[cfg(test)]
    pub(super) fn refused(outbox: &mut Outbox) -> Option<Refusal> {
        while let Ok(message) = outbox.messages.try_recv() {
            if let Message::Refuse(refusal) = message {
                return Some(refusal);
            }
        }
        None
    }

    /// Ends the session, saying why. Only the first refusal is told.
    pub(super) fn refuse(&self, refusal: Refusal) {
        if self.refused.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.messages.try_send(Message::Refuse(refusal)).is_err() {
            // A full queue belongs to a gateway that does not read; its session ends without a word.
            self.cut.cancel();
        }
    }

    /// Ends when the session is to end without a word.
    pub(super) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// A batch with data arrived: beats are wanted more often.
    pub(super) fn data_arrived(&self) {
        self.data_arrived.store(true, Ordering::Relaxed);
    }
}

/// Sends until the session ends. Returns the refusal that ended it from this side, if one did.
///
/// `orders` shows the order that holds; the one seen last was told in the welcome.
pub(super) async fn run(
    stream: &mut quinn::SendStream,
    mut outbox: Outbox,
    mut orders: watch::Receiver<SourceOrder>,
    clock: RunClock,
) -> Result<Option<Refusal>, FrameError> {
    let mut tick = tokio::time::interval(BEAT_BUSY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_beat: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            message = outbox.messages.recv() => match message {
                Some(Message::Marker(marker)) => {
                    send(stream, &ToGateway::PlaceMarker(marker)).await?;
                }
                Some(Message::Fork(fork)) => send(stream, &ToGateway::Fork(fork)).await?,
                Some(Message::Refuse(refusal)) => {
                    refuse(stream, &refusal).await?;
                    return Ok(Some(refusal));
                }
                None => return Ok(None),
            },
            // What a source may do goes before what is known of its past.
            Ok(()) = orders.changed() => {
                let order = orders.borrow_and_update().clone();
                send(stream, &ToGateway::Order(order)).await?;
            }
            Ok(()) = outbox.acknowledged.changed() => {
                let acknowledged = *outbox.acknowledged.borrow_and_update();
                send(stream, &ToGateway::Acknowledged(acknowledged)).await?;
            }
            _ = tick.tick() => {
                let busy = outbox.data_arrived.swap(false, Ordering::Relaxed);
                if busy || last_beat.is_none_or(|last| last.elapsed() >= BEAT_IDLE) {
                    last_beat = Some(Instant::now());
                    send(stream, &ToGateway::Beat(clock.beat())).await?;
                }
            }
        }
    }
}

/// Sends one message, unless the gateway does not read.
pub(super) async fn send(
    stream: &mut quinn::SendStream,
    message: &ToGateway,
) -> Result<(), FrameError> {
    tokio::time::timeout(STALLED, send_control(stream, message))
        .await
        .unwrap_or_else(|_| Err(FrameError::Io(std::io::ErrorKind::TimedOut.into())))
}

/// Says why a session cannot go on and gives the gateway time to read it.
pub(super) async fn refuse(
    stream: &mut quinn::SendStream,
    refusal: &Refusal,
) -> Result<(), FrameError> {
    send(stream, &ToGateway::Refused(refusal.clone())).await?;
    // It may have been finished or reset already, which is as good.
    let _finished = stream.finish();
    let _read = tokio::time::timeout(LAST_WORDS, stream.stopped()).await;
    Ok(())
}
