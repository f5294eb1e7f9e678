//! Clients: from bytes to requests of the tap, and from the tap's replies to bytes.

use std::{os::fd::OwnedFd, time::Duration};

use bcdr_disk::AlignedBuffer;
use bcdr_format::VolumeNumber;
use bcdr_nbd::{Command, Event, NbdError, Request as NbdRequest};

use super::{
    GroupThread, Watched,
    connection::{Connection, ConnectionId, Outstanding, Received, TapSession},
    quiescing::modifies,
};
use crate::{
    Payload,
    ring::Interest,
    tap::{Reply, ReplyError, ReplyValue, Request, RequestId},
};

/// How long a client may negotiate.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client that leaves may take to receive its last replies.
const DRAIN: Duration = Duration::from_secs(10);
/// Receives for one client in one turn, so that a busy one leaves room for the others.
const RECEIVES_PER_TURN: usize = 4;

impl GroupThread {
    /// Begins to serve a client.
    pub(super) fn add_connection(
        &mut self,
        socket: OwnedFd,
        session: TapSession,
        volume: VolumeNumber,
        input: &[u8],
    ) {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        // Only the throughput depends on it.
        if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(&socket, 1 << 20) {
            tracing::debug!(%error, "cannot enlarge a socket's buffer");
        }
        let deadline = self.clock.monotonic() + HANDSHAKE;
        let connection = Connection::new(socket, session, volume, input, deadline);
        self.connections.insert(id, connection);
        self.mark(id);
    }

    /// Notes that a connection needs looking after before the next wait.
    pub(super) fn mark(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.marked
        {
            connection.marked = true;
            self.dirty.push_back(id);
        }
    }

    /// A socket is readable: receives and begins what was asked for.
    pub(super) fn receive(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.receive_watch = None;
        }
        self.mark(id);
        for _ in 0..RECEIVES_PER_TURN {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            if connection.closing || connection.has_input() || !connection.has_room() {
                return;
            }
            match connection.receive() {
                Ok((received, event)) => {
                    if let Some(event) = event {
                        self.handle(id, event);
                    }
                    self.parse(id);
                    match received {
                        Received::Bytes { more: true } => {}
                        Received::Bytes { more: false } | Received::Nothing => return,
                        Received::End => return self.begin_leaving(id),
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a client's connection broke");
                    return self.remove(id);
                }
            }
        }
    }

    /// Gives received bytes to the session as long as there is room for requests.
    fn parse(&mut self, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(&id)
            && !connection.closing
            && connection.has_room()
        {
            match connection.next_event() {
                Some(Ok(event)) => self.handle(id, event),
                Some(Err(end)) => {
                    tracing::info!(reason = %end, "an NBD session is over");
                    self.begin_leaving(id);
                }
                None => return,
            }
        }
    }

    fn handle(&mut self, id: ConnectionId, event: Event<AlignedBuffer>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match event {
            Event::ExportSelected(info) => {
                // An idle client may stay as long as it likes.
                connection.deadline = None;
                tracing::info!(volume = info.name, "a client entered");
            }
            Event::Request(request) => self.request(id, request),
            // TLS is never offered here.
            Event::Disconnect | Event::StartTls => self.begin_leaving(id),
        }
    }

    fn request(&mut self, connection_id: ConnectionId, request: NbdRequest<AlignedBuffer>) {
        let NbdRequest { ticket, command } = request;
        let Some(connection) = self.connections.get_mut(&connection_id) else {
            return;
        };
        if self.quiesced && modifies(&command) {
            return connection.session.reply(ticket, Err(NbdError::Shutdown));
        }
        let Some((request, bytes)) = translate(connection.volume, command) else {
            return connection.session.reply(ticket, Err(NbdError::Invalid));
        };
        connection.requests += 1;
        connection.bytes += bytes;
        let counters = self.counters.entry(connection.volume).or_default();
        match &request {
            Request::Read { .. } => counters.reads += 1,
            Request::Flush { .. } => counters.flushes += 1,
            Request::Write { .. } | Request::WriteZeroes { .. } | Request::Trim { .. } => {
                counters.writes += 1;
            }
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let now = self.clock.now();
        let begun = now.monotonic;
        self.requests.insert(
            id,
            Outstanding {
                connection: connection_id,
                ticket,
                bytes,
                begun,
            },
        );
        self.tap.request(now, id, request);
        self.act();
    }

    /// Gives the tap's answer to its client, if that is still there.
    pub(super) fn answer(&mut self, reply: Reply) {
        let Some(outstanding) = self.requests.remove(&reply.request) else {
            return;
        };
        let Outstanding {
            connection: id,
            ticket,
            bytes,
            begun,
        } = outstanding;
        self.metrics
            .observe(ticket.kind(), self.clock.monotonic().saturating_sub(begun));
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.requests -= 1;
        connection.bytes -= bytes;
        match reply.result {
            Ok(ReplyValue::Data(payload)) => connection.session.reply_read(ticket, payload),
            Ok(ReplyValue::Done) => connection.session.reply(ticket, Ok(())),
            Err(error) => {
                let error = match error {
                    ReplyError::Io => NbdError::Io,
                    ReplyError::NoSpace => NbdError::NoSpace,
                    ReplyError::Invalid => NbdError::Invalid,
                };
                connection.session.reply(ticket, Err(error));
            }
        }
        self.mark(id);
    }

    /// Sends replies, parses what had to wait, and sees that the client is heard again.
    pub(super) fn look_after(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.marked = false;
        let sent = match connection.send() {
            Ok(sent) => sent,
            Err(error) => {
                tracing::debug!(%error, "a client's connection broke");
                return self.remove(id);
            }
        };
        self.parse(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.closing {
            if connection.is_finished() {
                return self.remove(id);
            }
        } else if !connection.has_input()
            && connection.has_room()
            && connection.receive_watch.is_none()
        {
            let socket = connection.socket.clone();
            let key = self.watch(socket, Interest::Readable, Watched::Receive(id));
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.receive_watch = Some(key);
            }
        }
        self.await_room(id, sent);
    }

    /// Watches for room in a socket that took no more.
    fn await_room(&mut self, id: ConnectionId, sent: bool) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !sent && connection.send_watch.is_none() {
            let socket = connection.socket.clone();
            let key = self.watch(socket, Interest::Writable, Watched::Send(id));
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.send_watch = Some(key);
            }
        }
    }

    /// Reads nothing more from a client; what it began is finished and answered.
    pub(super) fn begin_leaving(&mut self, id: ConnectionId) {
        let deadline = self.clock.monotonic() + DRAIN;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.closing {
            connection.closing = true;
            connection.deadline = Some(deadline);
            let watch = connection.receive_watch.take();
            self.unwatch(watch);
            self.mark(id);
        }
    }

    /// Forgets a client. What it began goes on; the answers are dropped.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.unwatch(connection.receive_watch);
        self.unwatch(connection.send_watch);
        // A cancelled watch may keep the descriptor for a moment; the client shall know at once.
        if let Err(error) = rustix::net::shutdown(&connection.socket, rustix::net::Shutdown::Both) {
            tracing::trace!(%error, "the socket was closed already");
        }
        self.listen();
    }

    /// Drops clients whose patience is over.
    pub(super) fn drop_late_clients(&mut self, now: Duration) {
        let late: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, connection)| {
                let waiting = connection.closing || connection.is_negotiating();
                waiting && connection.deadline.is_some_and(|deadline| now >= deadline)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            tracing::info!("a client was too slow and is dropped");
            self.remove(id);
        }
    }
}

/// A client's command as a request of the tap, and the bytes it takes in memory.
fn translate(volume: VolumeNumber, command: Command<AlignedBuffer>) -> Option<(Request, usize)> {
    Some(match command {
        Command::Read { offset, length } => (
            Request::Read {
                volume,
                offset,
                length,
            },
            length as usize,
        ),
        Command::Write {
            offset,
            fua,
            payload,
            length,
        } => {
            let payload = Payload::from_buffer(payload).slice(0..length as usize);
            (
                Request::Write {
                    volume,
                    offset,
                    payload,
                    fua,
                },
                length as usize,
            )
        }
        Command::Flush => (Request::Flush { volume }, 0),
        Command::Trim {
            offset,
            length,
            fua,
        } => (
            Request::Trim {
                volume,
                offset,
                length: u64::from(length),
                fua,
            },
            0,
        ),
        Command::WriteZeroes {
            offset,
            length,
            fua,
            no_hole,
            ..
        } => {
            let (length, may_unmap) = (u64::from(length), !no_hole);
            (
                Request::WriteZeroes {
                    volume,
                    offset,
                    length,
                    may_unmap,
                    fua,
                },
                0,
            )
        }
        // Neither is advertised, so the session refuses them.
        Command::Cache { .. } | Command::BlockStatus { .. } => return None,
    })
}
