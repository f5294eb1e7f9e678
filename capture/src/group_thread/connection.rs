//! One client of a group: its socket, its session, and what it may have in flight.
//!
//! Only state and socket calls; who is served when is decided in `serving.rs`. A client may have
//! [`REQUESTS_MAX`] requests and [`BYTES_MAX`] bytes in flight, unsent replies included; beyond
//! that nothing more is read from it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::OwnedFd,
    sync::Arc,
    time::Duration,
};

use bcdr_disk::AlignedBuffer;
use bcdr_format::VolumeNumber;
use bcdr_nbd::{Payloads, ReplyBatch, ServerSession, Stage, Ticket, Wanted};
use bytes::Buf as _;
use rustix::io::Errno;

use crate::{Payload, ring::WatchKey};

/// Requests a client may have in flight.
pub(super) const REQUESTS_MAX: usize = 128;
/// Bytes of payload a client may have in flight, in both directions together, unless one request
/// alone is larger.
pub(super) const BYTES_MAX: usize = 32 << 20;
/// What is received at a time.
const INPUT_BYTES: usize = 128 * 1024;
/// A payload with at least this much still to come is received where it belongs, not copied.
const DIRECT_BYTES: usize = 32 * 1024;
/// Parts of one gathered write.
const PARTS_MAX: usize = 256;

/// Where the payloads of a tap's clients live.
#[derive(Debug, Clone, Copy, Default)]
pub struct TapPayloads;

impl Payloads for TapPayloads {
    type Write = AlignedBuffer;
    type Read = Payload;

    fn allocate(&mut self, length: usize) -> Option<AlignedBuffer> {
        Some(AlignedBuffer::zeroed(length))
    }
}

/// A session of a tap's client.
pub type TapSession = ServerSession<TapPayloads>;

/// Names a client; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// A request the tap has not answered.
pub(super) struct Outstanding {
    pub(super) connection: ConnectionId,
    pub(super) ticket: Ticket,
    pub(super) bytes: usize,
    pub(super) begun: Duration,
}

/// What came of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// Bytes came; whether there may be more at once.
    Bytes { more: bool },
    /// Nothing is there now.
    Nothing,
    /// The client will send nothing more.
    End,
}

/// A client. See the module's description.
pub(super) struct Connection {
    pub(super) socket: Arc<OwnedFd>,
    pub(super) session: TapSession,
    pub(super) volume: VolumeNumber,
    input: Box<[u8]>,
    begin: usize,
    end: usize,
    batch: Option<ReplyBatch<Payload>>,
    pub(super) requests: usize,
    pub(super) bytes: usize,
    pub(super) receive_watch: Option<WatchKey>,
    pub(super) send_watch: Option<WatchKey>,
    /// Already in the list of connections to look after.
    pub(super) marked: bool,
    /// Nothing more is read; what was begun is finished.
    pub(super) closing: bool,
    /// When patience ends: for negotiating, or for taking the last replies.
    pub(super) deadline: Option<Duration>,
}

impl Connection {
    pub(super) fn new(
        socket: OwnedFd,
        session: TapSession,
        volume: VolumeNumber,
        input: &[u8],
        deadline: Duration,
    ) -> Self {
        let mut buffer = vec![0; INPUT_BYTES.max(input.len())].into_boxed_slice();
        buffer[..input.len()].copy_from_slice(input);
        Self {
            socket: Arc::new(socket),
            session,
            volume,
            input: buffer,
            begin: 0,
            end: input.len(),
            batch: None,
            requests: 0,
            bytes: 0,
            receive_watch: None,
            send_watch: None,
            marked: false,
            closing: false,
            deadline: Some(deadline),
        }
    }

    /// Whether another request may begin. What the client has not taken counts.
    pub(super) fn has_room(&self) -> bool {
        let unsent =
            self.batch.as_ref().map_or(0, |batch| batch.remaining()) + self.session.queued_bytes();
        self.requests < REQUESTS_MAX && self.bytes + unsent < BYTES_MAX
    }

    /// Whether bytes wait to be parsed.
    pub(super) const fn has_input(&self) -> bool {
        self.begin < self.end
    }

    /// Gives received bytes to the session up to its next event. `None`: all are used up.
    pub(super) fn next_event(
        &mut self,
    ) -> Option<Result<bcdr_nbd::Event<AlignedBuffer>, bcdr_nbd::SessionEnd>> {
        while self.has_input() {
            let mut bytes = &self.input[self.begin..self.end];
            let outcome = self.session.receive(&mut bytes, &mut TapPayloads);
            self.begin = self.end - bytes.len();
            match outcome {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(end) => return Some(Err(end)),
            }
        }
        None
    }

    /// Receives what is there; a payload that is being waited for goes straight to its place.
    /// Call only when no input is left. Gives the event that a payload's end makes.
    pub(super) fn receive(
        &mut self,
    ) -> io::Result<(Received, Option<bcdr_nbd::Event<AlignedBuffer>>)> {
        self.begin = 0;
        self.end = 0;
        let mut direct = 0;
        let count = match self.session.wanted() {
            Wanted::Payload(room) if room.len() >= DIRECT_BYTES => {
                direct = room.len();
                let mut parts = [IoSliceMut::new(room), IoSliceMut::new(&mut self.input)];
                rustix::io::readv(&self.socket, &mut parts)
            }
            _ => rustix::io::read(&self.socket, &mut *self.input),
        };
        let count = match count {
            Ok(0) => return Ok((Received::End, None)),
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok((Received::Nothing, None)),
            Err(error) => return Err(error.into()),
        };
        self.end = count.saturating_sub(direct);
        let event = if direct > 0 {
            self.session.payload_received(count.min(direct))
        } else {
            None
        };
        // The kernel gives everything it has, so less than there was room for means no more.
        Ok((
            Received::Bytes {
                more: count == direct + self.input.len(),
            },
            event,
        ))
    }

    /// Sends what is queued, as far as the socket takes it. `false`: it takes no more now.
    pub(super) fn send(&mut self) -> io::Result<bool> {
        loop {
            let Some(batch) = &mut self.batch else {
                self.batch = self.session.take_replies();
                if self.batch.is_none() {
                    return Ok(true);
                }
                continue;
            };
            while batch.has_remaining() {
                let mut parts = [IoSlice::new(&[]); PARTS_MAX];
                let filled = batch.chunks_vectored(&mut parts);
                match rustix::io::writev(&self.socket, &parts[..filled]) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => batch.advance(count),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(batch) = self.batch.take() {
                self.session.recycle(batch);
            }
        }
    }

    /// Whether everything begun is answered and sent.
    pub(super) fn is_finished(&self) -> bool {
        self.requests == 0 && self.batch.is_none() && self.session.queued_bytes() == 0
    }

    /// Whether the client is still negotiating.
    pub(super) fn is_negotiating(&self) -> bool {
        matches!(
            self.session.stage(),
            Stage::Negotiation | Stage::AwaitingTls
        )
    }
}
