//! One connection of the tokio shell.
//!
//! A single task owns session, socket and requests in flight. It always has something to wait for:
//! bytes, a finished request, room in the socket, a deadline, or the shutdown. A request that was
//! not received to its last byte is not begun; one that was begun is carried out to its end,
//! whatever becomes of the connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::ReadHalf;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::request::{Answer, carry_out};
use super::room::Room;
use super::{Directory, Limits, ServedExport, ViewExports};
use crate::error::NbdError;
use crate::reply::ReplyBatch;
use crate::request::{Command, CommandKind, Request, Ticket};
use crate::session::{Event, ServerSession, Stage, TlsMode, Wanted};

/// What is received at a time, besides the data of writes.
const RECEIVE_BYTES: usize = 16 * 1024;

/// Far enough away to mean never, near enough for every clock.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

struct Finished {
    ticket: Ticket,
    answer: Result<Answer, NbdError>,
}

struct Connection {
    session: ServerSession<Room>,
    exports: Arc<dyn ViewExports>,
    export: Option<ServedExport>,
    limits: Limits,
    room: Room,
    input: BytesMut,
    batch: Option<ReplyBatch<Bytes>>,
    jobs: JoinSet<Finished>,
    /// No more is read; the connection ends when everything begun is sent.
    closing: bool,
    deadline: Instant,
}

/// Serves one client to its end.
pub(super) async fn run(
    stream: UnixStream,
    exports: Arc<dyn ViewExports>,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let directory = Arc::new(Directory(Arc::clone(&exports)));
    let mut connection = Connection {
        session: ServerSession::new(directory, TlsMode::NotOffered),
        exports,
        export: None,
        limits,
        room: Room::new(limits.bytes),
        input: BytesMut::new(),
        batch: None,
        jobs: JoinSet::new(),
        closing: false,
        deadline: Instant::now() + limits.handshake,
    };
    if let Err(error) = connection.serve(stream, stop).await {
        tracing::debug!(%error, "NBD connection failed");
    }
    connection.settle().await;
}

impl Connection {
    async fn serve(
        &mut self,
        mut stream: UnixStream,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let (mut reader, mut writer) = stream.split();
        loop {
            self.parse();
            if self.batch.is_none() {
                self.batch = self.session.take_replies();
            }
            if self.closing && self.jobs.is_empty() && self.batch.is_none() {
                return Ok(());
            }
            let (mut nothing, sending) = (ReplyBatch::default(), self.batch.is_some());
            let (idle, room) = (!self.closing && self.input.is_empty(), self.has_room());
            let wanted = self.session.wanted();
            let reading = idle
                && match wanted {
                    Wanted::Bytes => room,
                    // Its room is taken already.
                    Wanted::Payload(_) => true,
                    Wanted::Memory | Wanted::Nothing => false,
                };
            tokio::select! {
                received = receive(&mut reader, wanted, &mut self.input), if reading => {
                    self.received(received?);
                }
                Some(job) = self.jobs.join_next() => self.finish(job)?,
                sent = writer.write_buf(self.batch.as_mut().unwrap_or(&mut nothing)), if sending => {
                    if sent? == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    if let Some(batch) = self.batch.take_if(|batch| !batch.has_remaining()) {
                        self.session.recycle(batch);
                    }
                }
                () = tokio::time::sleep_until(self.deadline) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "client too slow"));
                }
                _ = stop.wait_for(|stop| *stop), if !self.closing => {
                    self.session.begin_shutdown();
                    // What has already arrived is still answered.
                    self.parse();
                    self.close();
                }
            }
        }
    }

    fn received(&mut self, received: Received) {
        match received {
            Received::Payload(0) | Received::Bytes(0) => self.close(),
            Received::Payload(count) => {
                if let Some(event) = self.session.payload_received(count) {
                    self.handle(event);
                }
            }
            Received::Bytes(_) => {}
        }
    }

    fn close(&mut self) {
        if !self.closing {
            self.closing = true;
            self.deadline = Instant::now() + self.limits.drain;
        }
    }

    /// Bytes of replies that the client has not taken.
    fn unsent(&self) -> usize {
        self.batch.as_ref().map_or(0, Buf::remaining) + self.session.queued_bytes()
    }

    /// Whether another request may be begun.
    fn has_room(&mut self) -> bool {
        self.room.set_unsent(self.unsent());
        self.jobs.len() < self.limits.requests && self.room.is_left()
    }

    /// Whether the session may go on with what was received.
    fn can_parse(&mut self) -> bool {
        let (any, room) = (!self.input.is_empty(), self.has_room());
        !self.closing
            && match self.session.wanted() {
                Wanted::Bytes => any && room,
                Wanted::Payload(_) => any,
                // It asks for memory again; all its bytes may be here already.
                Wanted::Memory => true,
                Wanted::Nothing => false,
            }
    }

    /// Gives received bytes to the session as long as there is room for requests.
    fn parse(&mut self) {
        while self.can_parse() {
            let mut bytes: &[u8] = &self.input;
            let outcome = self.session.receive(&mut bytes, &mut self.room);
            let consumed = self.input.len() - bytes.len();
            self.input.advance(consumed);
            match outcome {
                Ok(Some(event)) => self.handle(event),
                // Something must be answered first.
                Ok(None) if matches!(self.session.wanted(), Wanted::Memory) => return,
                Ok(None) => {}
                Err(end) => {
                    tracing::debug!(reason = %end, "NBD session over");
                    self.close();
                }
            }
        }
    }

    fn handle(&mut self, event: Event<Vec<u8>>) {
        match event {
            Event::ExportSelected(info) => match self.exports.find(&info.name) {
                Some((_, export)) => {
                    self.export = Some(export);
                    // An idle client may stay as long as it likes.
                    self.deadline = Instant::now() + NEVER;
                }
                None => self.close(),
            },
            Event::Request(request) => self.begin(request),
            Event::Disconnect | Event::StartTls => self.close(),
        }
        debug_assert_ne!(
            self.session.stage(),
            Stage::AwaitingTls,
            "TLS is not offered"
        );
    }

    fn begin(&mut self, request: Request<Vec<u8>>) {
        let Request { ticket, command } = request;
        let Some(export) = self.export.clone() else {
            return self.session.reply(ticket, Err(NbdError::Io));
        };
        if let Command::Read { length, .. } = command {
            self.room.begin_read(length);
        }
        self.jobs.spawn_blocking(move || Finished {
            ticket,
            answer: carry_out(&export, command),
        });
    }

    /// A job that panicked has lost its ticket: its client would wait for ever, so the connection
    /// ends.
    fn finish(&mut self, job: Result<Finished, JoinError>) -> io::Result<()> {
        let Finished { ticket, answer } = job.map_err(io::Error::other)?;
        if let CommandKind::Read | CommandKind::Write = ticket.kind() {
            self.room.finish(ticket.length());
        }
        match answer {
            Ok(Answer::Done) => self.session.reply(ticket, Ok(())),
            Ok(Answer::Read(parts)) => self.session.reply_read_parts(ticket, parts),
            Ok(Answer::Status(extents)) => self.session.reply_block_status(ticket, &extents),
            Err(error) => self.session.reply(ticket, Err(error)),
        }
        Ok(())
    }

    /// Leaves nothing behind that could still change a writable export. What no thread has taken up
    /// yet is dropped, what one has is waited for.
    async fn settle(mut self) {
        if let Some(ServedExport::Writable(_)) = self.export {
            self.jobs.shutdown().await;
        }
    }
}

/// What was received: bytes of the data of a write, or of anything.
enum Received {
    Payload(usize),
    Bytes(usize),
}

/// Receives something: the data of a write straight to its place, anything else into `input`. May
/// be dropped at any time without losing bytes.
async fn receive(
    reader: &mut ReadHalf<'_>,
    wanted: Wanted<'_>,
    input: &mut BytesMut,
) -> io::Result<Received> {
    if let Wanted::Payload(rest) = wanted {
        return reader.read(rest).await.map(Received::Payload);
    }
    input.reserve(RECEIVE_BYTES);
    reader.read_buf(input).await.map(Received::Bytes)
}
