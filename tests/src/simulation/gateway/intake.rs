//! The gateway's side of captures' sessions.

use super::{GatewayHost, Process};
use crate::simulation::{
    capture::Life,
    context::{Context, FeedUp},
    link::SessionId,
};
use bcdr_format::{Opening, Timestamp};
use bcdr_gateway::intake::{
    acceptance::{Acceptance, Discontinuous},
    records,
};
use bcdr_wire::{
    feed::{FEED_VERSION, FromCapture, Refusal, ToCapture},
    order::{Duty, OrderNumber, SourceOrder},
};

impl GatewayHost {
    /// Something arrives from a capture. While memory is short it waits.
    pub(crate) fn hear_capture(&mut self, cx: &mut Context, session: SessionId, message: FeedUp) {
        let life = self.life;
        if self.process.is_none() {
            // Nobody listens: the session dies.
            return cx.feed.sever(&mut cx.schedule, session);
        }
        if let FeedUp::Control(control) = &message
            && let FromCapture::Hello { opening, now, .. } = control.as_ref()
        {
            let opening = opening.expect("a source that serves tells its life");
            self.attach(cx, session, opening, *now);
        } else if let Some(process) = self.process(life)
            && process.feed == Some(session)
        {
            process.inbox.push_back(message);
        }
        self.everything_due(cx, life);
    }

    /// A session with a capture is over.
    pub(crate) fn capture_gone(&mut self, cx: &mut Context, session: SessionId) {
        if let Some(process) = &mut self.process
            && process.feed == Some(session)
        {
            cx.trace(|| format!("gateway: session {} with its capture ended", session.0));
            process.feed = None;
            process.inbox.clear();
        }
    }

    fn attach(
        &mut self,
        cx: &mut Context,
        session: SessionId,
        opening: Opening,
        capture_now: Timestamp,
    ) {
        let (generation, wall) = (self.generation, Self::wall(cx));
        let Some(process) = &mut self.process else {
            return;
        };
        let refusal = if !process.receiver_known {
            Some(Refusal::NotReady {
                reason: "no receiver has been reached yet".to_owned(),
            })
        } else {
            process.judge_session(&opening)
        };
        if let Some(refusal) = refusal {
            cx.feed
                .send_down(&mut cx.schedule, session, ToCapture::Refused(refusal));
            return cx.feed.close_from_server(&mut cx.schedule, session);
        }
        if process.feed.is_some() {
            process.end_feed(cx, Refusal::Replaced);
        }
        process.taken.begin_session();
        process
            .batcher
            .set_clock_offset(wall.0.saturating_sub(capture_now.0));
        process.feed = Some(session);
        process.inbox.clear();
        let welcome = ToCapture::Welcome {
            version: FEED_VERSION,
            held: process.taken.held(),
            fork: process.forks.open(),
            order: SourceOrder {
                generation: generation.unwrap_or_default(),
                number: OrderNumber::ASSUMED,
                duty: Duty::Serve,
            },
            now: wall,
        };
        process.tell_capture(cx, welcome);
        let told = process.told;
        process.tell_capture(cx, ToCapture::Acknowledged(told));
    }

    /// Takes what waits from the capture, as far as memory allows.
    pub(super) fn take_inbox(&mut self, cx: &mut Context, life: Life) {
        let limit = self.settings.gateway_memory;
        while let Some(process) = self.process(life)
            && process.memory_bytes() < limit
            && let Some(message) = process.inbox.pop_front()
        {
            process.take_message(cx, life, message);
        }
    }

    /// Frames that wait to be taken.
    pub(crate) fn waiting_frames(&self) -> usize {
        self.process
            .as_ref()
            .map_or(0, |process| process.inbox.len())
    }
}

impl Process {
    fn judge_session(&self, opening: &Opening) -> Option<Refusal> {
        let held = self.taken.held()?;
        let highest = held.position.ordinal;
        let foreign = opening.ordinal == highest && opening.id != held.id;
        (opening.ordinal < highest || foreign).then_some(Refusal::Superseded { highest })
    }

    fn take_message(&mut self, cx: &mut Context, life: Life, message: FeedUp) {
        let outcome = match message {
            FeedUp::Control(control) => match *control {
                FromCapture::Incarnation(opening) => self.taken.incarnation(opening).map(|()| {
                    let closed = self.batcher.incarnation(opening);
                    self.pack(cx, life, closed);
                }),
                _ => Ok(()),
            },
            FeedUp::Records(frame) => self.take_records(cx, life, frame),
        };
        let Err(discontinuous) = outcome else { return };
        let refusal = match discontinuous {
            Discontinuous::Superseded { highest } => Refusal::Superseded { highest },
            other => Refusal::Discontinuous {
                reason: other.to_string(),
            },
        };
        self.end_feed(cx, refusal);
    }

    fn take_records(
        &mut self,
        cx: &mut Context,
        life: Life,
        frame: bytes::Bytes,
    ) -> Result<(), Discontinuous> {
        let records = match records::decode(frame) {
            Ok(records) => records,
            Err(error) => {
                cx.violated(format!("a frame of records cannot be read: {error}"));
                return Ok(());
            }
        };
        let now = cx.instant();
        self.batcher.set_received_at(GatewayHost::wall(cx));
        for record in records {
            if self.taken.record(record.sequence)? == Acceptance::Take {
                let closed = self.batcher.push(record, now);
                self.pack(cx, life, closed);
            }
        }
        Ok(())
    }
}
