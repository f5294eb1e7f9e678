//! What other threads may ask of a group's ring thread. Asking never blocks either side.

use std::{
    os::fd::OwnedFd,
    sync::mpsc::{self, Receiver, Sender},
};

use bcdr_format::{
    VolumeNumber,
    continuity::Fork,
    incarnation::IncarnationOrdinal,
    record::{Beat, Marker},
};

use super::{GroupThread, connection::TapSession};
use crate::ring::Waker;

/// A client that was let in elsewhere: it has entered its export.
pub struct AdoptedClient {
    /// Carries the client's bytes in plain text; non-blocking, and known to nobody else.
    pub socket: OwnedFd,
    /// The session, in its transmission phase.
    pub session: TapSession,
    /// The volume it entered.
    pub volume: VolumeNumber,
    /// Bytes that were received and not given to the session.
    pub input: Vec<u8>,
}

/// Something for the ring thread to do.
pub enum GroupCommand {
    /// Serve this client.
    Adopt(Box<AdoptedClient>),
    /// Give a marker its place.
    PlaceMarker(Marker),
    /// Give a beat its place.
    PlaceBeat(Beat),
    /// A peer holds a life that is none of ours: begin one above it, and compare everything.
    OpenAbove(IncarnationOrdinal),
    /// The receiver found a fork; see that an interval closes it.
    ForkFound(Fork),
    /// Take no more writes. Those that were begun are finished; reads go on.
    Quiesce,
    /// Stop serving, finish what was begun, and end.
    Close,
}

/// The way to a group's ring thread.
#[derive(Clone)]
pub struct GroupHandle {
    commands: Sender<GroupCommand>,
    waker: Waker,
}

impl GroupHandle {
    /// A way to the thread that gets the other end.
    #[must_use]
    pub fn new(waker: Waker) -> (Self, Receiver<GroupCommand>) {
        let (commands, received) = mpsc::channel();
        (Self { commands, waker }, received)
    }

    /// Asks for something. `false`: the thread has ended.
    pub fn send(&self, command: GroupCommand) -> bool {
        let sent = self.commands.send(command).is_ok();
        self.waker.wake();
        sent
    }
}

/// How a group's thread ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Nothing will have to be read again at the next start.
    pub clean: bool,
}

impl GroupThread {
    pub(super) fn hear_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command);
            self.act();
        }
    }

    fn obey(&mut self, command: GroupCommand) {
        let now = self.clock.now();
        match command {
            GroupCommand::Adopt(client) => {
                let AdoptedClient {
                    socket,
                    session,
                    volume,
                    input,
                } = *client;
                if self.closing.is_none() {
                    self.add_connection(socket, session, volume, &input);
                }
            }
            GroupCommand::PlaceMarker(marker) => {
                let id = marker.id;
                match self.tap.place_marker(now, marker) {
                    Ok(position) => tracing::info!(marker = %id, %position, "marker placed"),
                    Err(error) => tracing::warn!(marker = %id, %error, "marker not placed"),
                }
            }
            // Each would be one more record to wait for.
            GroupCommand::PlaceBeat(_) if self.quiesced => {}
            GroupCommand::PlaceBeat(beat) => {
                if !self.tap.place_beat(now, beat) {
                    tracing::debug!("a beat was dropped; the measured lag grows");
                }
            }
            GroupCommand::OpenAbove(above) => self.tap.open_above(now, above),
            GroupCommand::ForkFound(fork) => self.close_fork(fork),
            GroupCommand::Quiesce => self.quiesce(),
            GroupCommand::Close => self.begin_close(),
        }
    }

    /// Opens a new life unless the interval of this one, open or past, closes the fork anyway: the
    /// receiver meets its end behind the opening at which it found the fork.
    fn close_fork(&mut self, fork: Fork) {
        let start = self.tap.start();
        let closes = start.sync.is_some_and(|sync| fork.closed_by(&sync.heals));
        if closes && start.opening.ordinal >= fork.opening {
            return;
        }
        tracing::warn!(?fork, "the receiver found a fork; everything is compared");
        let above = start.opening.ordinal.max(fork.opening);
        self.tap.open_above(self.clock.now(), above);
    }
}
