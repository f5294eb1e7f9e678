//! One connection of the tokio shell.
//!
//! A single task owns session, socket and requests in flight. It always has something to wait for:
//! bytes, a finished read, room in the socket, a deadline, or the shutdown.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::{Directory, Limits, ReadExport, ViewExports};
use crate::constants::MAXIMUM_BLOCK_STATUS_EXTENTS;
use crate::error::NbdError;
use crate::export::Extent;
use crate::reply::{ReadPart, ReplyBatch};
use crate::request::{Command, Request, Ticket};
use crate::session::{Event, Payloads, ServerSession, Stage, TlsMode};

/// What is received at a time.
const RECEIVE_BYTES: usize = 16 * 1024;

/// Far enough away to mean never, near enough for every clock.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Read-only exports take no payloads; the replies are shared bytes.
struct ViewPayloads;

impl Payloads for ViewPayloads {
    type Write = Vec<u8>;
    type Read = Bytes;

    fn allocate(&mut self, length: usize) -> Option<Vec<u8>> {
        Some(vec![0; length])
    }
}

enum Answer {
    Read(Vec<ReadPart<Bytes>>),
    Status(Vec<Extent>),
}

struct Finished {
    ticket: Ticket,
    answer: Result<Answer, NbdError>,
}

struct Connection {
    session: ServerSession<ViewPayloads>,
    exports: Arc<dyn ViewExports>,
    export: Option<Arc<dyn ReadExport>>,
    limits: Limits,
    input: BytesMut,
    batch: Option<ReplyBatch<Bytes>>,
    jobs: JoinSet<Finished>,
    job_bytes: usize,
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
    let connection = Connection {
        session: ServerSession::new(directory, TlsMode::NotOffered),
        exports,
        export: None,
        limits,
        input: BytesMut::new(),
        batch: None,
        jobs: JoinSet::new(),
        job_bytes: 0,
        closing: false,
        deadline: Instant::now() + limits.handshake,
    };
    if let Err(error) = connection.serve(stream, stop).await {
        tracing::debug!(%error, "NBD connection failed");
    }
}

impl Connection {
    async fn serve(
        mut self,
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
            let reading = !self.closing && self.input.is_empty() && self.has_room();
            if reading {
                self.input.reserve(RECEIVE_BYTES);
            }
            let mut nothing = ReplyBatch::default();
            let sending = self.batch.is_some();
            tokio::select! {
                received = reader.read_buf(&mut self.input), if reading => {
                    if received? == 0 {
                        self.close();
                    }
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

    fn close(&mut self) {
        if !self.closing {
            self.closing = true;
            self.deadline = Instant::now() + self.limits.drain;
        }
    }

    /// Whether another request may be begun. Replies that the client has not taken count.
    fn has_room(&self) -> bool {
        let unsent = self.batch.as_ref().map_or(0, Buf::remaining) + self.session.queued_bytes();
        self.jobs.len() < self.limits.requests && self.job_bytes + unsent < self.limits.bytes
    }

    /// Gives received bytes to the session as long as there is room for requests.
    fn parse(&mut self) {
        while !self.closing && !self.input.is_empty() && self.has_room() {
            let mut bytes: &[u8] = &self.input;
            let outcome = self.session.receive(&mut bytes, &mut ViewPayloads);
            let consumed = self.input.len() - bytes.len();
            self.input.advance(consumed);
            match outcome {
                Ok(Some(event)) => self.handle(event),
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
        match command {
            Command::Read { offset, length } => {
                self.job_bytes += length as usize;
                self.jobs.spawn_blocking(move || Finished {
                    ticket,
                    answer: read(&*export, offset, length).map(Answer::Read),
                });
            }
            Command::BlockStatus {
                offset,
                length,
                request_one,
            } => {
                let limit = if request_one {
                    1
                } else {
                    MAXIMUM_BLOCK_STATUS_EXTENTS
                };
                self.jobs.spawn_blocking(move || Finished {
                    ticket,
                    answer: block_status(&*export, offset, length, limit).map(Answer::Status),
                });
            }
            Command::Cache { .. } | Command::Flush => self.session.reply(ticket, Ok(())),
            Command::Write { .. } | Command::Trim { .. } | Command::WriteZeroes { .. } => {
                self.session.reply(ticket, Err(NbdError::Perm));
            }
        }
    }

    /// A job that panicked has lost its ticket: its client would wait for ever, so the connection
    /// ends.
    fn finish(&mut self, job: Result<Finished, JoinError>) -> io::Result<()> {
        let Finished { ticket, answer } = job.map_err(io::Error::other)?;
        if ticket.kind() == crate::request::CommandKind::Read {
            self.job_bytes -= ticket.length() as usize;
        }
        match answer {
            Ok(Answer::Read(parts)) => self.session.reply_read_parts(ticket, parts),
            Ok(Answer::Status(extents)) => self.session.reply_block_status(ticket, &extents),
            Err(error) => self.session.reply(ticket, Err(error)),
        }
        Ok(())
    }
}

/// The range rounded out to the export's unit: its begin and length. Inside the export.
fn widen(export: &dyn ReadExport, offset: u64, length: u32) -> Option<(u64, u32)> {
    let unit = u64::from(export.unit().max(1));
    let begin = offset - offset % unit;
    let end = (offset + u64::from(length))
        .next_multiple_of(unit)
        .min(export.size());
    Some((begin, u32::try_from(end - begin).ok()?))
}

fn read(
    export: &dyn ReadExport,
    offset: u64,
    length: u32,
) -> Result<Vec<ReadPart<Bytes>>, NbdError> {
    let (begin, wide) = widen(export, offset, length).ok_or(NbdError::Overflow)?;
    if (begin, wide) == (offset, length) {
        return export.read_parts(offset, length);
    }
    let data = export.read(begin, wide)?;
    let skip = usize::try_from(offset - begin).map_err(|_| NbdError::Io)?;
    if data.len() < skip + length as usize {
        return Err(NbdError::Io);
    }
    Ok(vec![ReadPart::Data {
        buffer: data.slice(skip..skip + length as usize),
        length,
    }])
}

fn block_status(
    export: &dyn ReadExport,
    offset: u64,
    length: u32,
    limit: usize,
) -> Result<Vec<Extent>, NbdError> {
    // A range of nearly 4 GiB may have no room to be widened; it needs no answer to its very end.
    let (begin, wide) = widen(export, offset, length).unwrap_or_else(|| {
        let unit = u64::from(export.unit().max(1));
        let begin = offset - offset % unit;
        (begin, u32::MAX - (u32::MAX % export.unit().max(1)))
    });
    let mut extents = export.block_status(begin, wide, limit)?;
    // Cut off what lies before the range that was asked for.
    let mut skip = offset - begin;
    for extent in &mut extents {
        let cut = skip.min(extent.length);
        extent.length -= cut;
        skip -= cut;
    }
    extents.retain(|extent| extent.length > 0);
    Ok(extents)
}
