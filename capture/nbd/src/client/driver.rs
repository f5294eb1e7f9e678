//! The two tasks behind a client: one writes requests, one reads replies.
//!
//! The reading task owns everything in flight. The writing task announces a request to it before
//! the first byte is sent, so a reply never comes for an unknown cookie unless the server is wrong.
//! Any breach of the protocol ends the connection: afterwards nothing on it can be trusted.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf,
};
use tokio::sync::{mpsc, oneshot};

use super::RemoteExport;
use super::read_reply::{ReadReply, read_error_chunk, read_extents};
use crate::constants::{
    REQUEST_MAGIC, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC, chunk, command_code,
};
use crate::error::NbdError;
use crate::export::Extent;

/// Size of the buffers on both sides; larger payloads pass them by.
const BUFFER: usize = 64 * 1024;

/// What a request is to be answered with.
#[derive(Debug)]
pub(super) enum Expected {
    Nothing,
    Data { offset: u64, length: u32 },
    Extents,
    Goodbye,
}

/// What a request was answered with.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Data(Bytes),
    Extents(Vec<Extent>),
}

type AnswerSender = oneshot::Sender<Result<Answer, NbdError>>;

/// A request on its way to the writing task.
#[derive(Debug)]
pub(super) struct Submission {
    code: u16,
    flags: u16,
    offset: u64,
    length: u32,
    payload: Bytes,
    expected: Expected,
    answer: AnswerSender,
}

impl Submission {
    /// A request, and where its answer will arrive.
    pub(super) fn new(
        code: u16,
        flags: u16,
        offset: u64,
        length: u32,
        payload: Bytes,
        expected: Expected,
    ) -> (Self, oneshot::Receiver<Result<Answer, NbdError>>) {
        let (answer, reply) = oneshot::channel();
        (
            Self {
                code,
                flags,
                offset,
                length,
                payload,
                expected,
                answer,
            },
            reply,
        )
    }

    fn header(&self, cookie: u64) -> [u8; 28] {
        let mut header = [0; 28];
        header[0..4].copy_from_slice(&REQUEST_MAGIC.to_be_bytes());
        header[4..6].copy_from_slice(&self.flags.to_be_bytes());
        header[6..8].copy_from_slice(&self.code.to_be_bytes());
        header[8..16].copy_from_slice(&cookie.to_be_bytes());
        header[16..24].copy_from_slice(&self.offset.to_be_bytes());
        header[24..28].copy_from_slice(&self.length.to_be_bytes());
        header
    }
}

/// A request in flight.
struct Pending {
    state: State,
    error: Option<NbdError>,
    answer: AnswerSender,
}

enum State {
    Nothing,
    Data(ReadReply),
    Extents(Option<Vec<Extent>>),
    Goodbye,
}

/// Starts both tasks. They end when all handles are gone, after a goodbye, or with the connection.
pub(super) fn start<S>(
    stream: S,
    submissions: mpsc::Receiver<Submission>,
    export: Arc<RemoteExport>,
    failure: Arc<OnceLock<String>>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (reading, writing) = tokio::io::split(stream);
    // Not bounded by itself: the server takes only so many requests before it stops reading, and
    // then the writing task waits.
    let (announce, announced) = mpsc::unbounded_channel();
    tokio::spawn(write_requests(
        writing,
        submissions,
        announce,
        Arc::clone(&failure),
    ));
    tokio::spawn(async move {
        let mut reader = Reader {
            stream: BufReader::with_capacity(BUFFER, reading),
            export,
            announced,
            pending: HashMap::new(),
        };
        let end = reader.run().await;
        // Later submissions fail at once; the reason must be there before the answers are dropped.
        let _ = failure.set(match end {
            Ok(()) => "the server closed it".to_owned(),
            Err(error) => error.to_string(),
        });
        reader.finish();
    });
}

type Announcement = (u64, Pending);

async fn write_requests<S>(
    stream: WriteHalf<S>,
    submissions: mpsc::Receiver<Submission>,
    announce: mpsc::UnboundedSender<Announcement>,
    failure: Arc<OnceLock<String>>,
) where
    S: AsyncWrite,
{
    let mut stream = BufWriter::with_capacity(BUFFER, stream);
    let reader = announce.clone();
    let written = tokio::select! {
        written = write_all_requests(&mut stream, submissions, announce) => written,
        // Nobody would read a reply, and a server that broke the protocol may not read either.
        () = reader.closed() => return,
    };
    if let Err(error) = written {
        let _ = failure.set(format!("cannot send: {error}"));
    }
    // The reading task sees the end of the stream when the server has closed its side too.
    let _ = stream.shutdown().await;
}

async fn write_all_requests<S>(
    stream: &mut BufWriter<WriteHalf<S>>,
    mut submissions: mpsc::Receiver<Submission>,
    announce: mpsc::UnboundedSender<Announcement>,
) -> io::Result<()>
where
    S: AsyncWrite,
{
    let mut cookie = 0;
    loop {
        let submission = match submissions.try_recv() {
            Ok(submission) => submission,
            Err(mpsc::error::TryRecvError::Empty) => {
                stream.flush().await?;
                match submissions.recv().await {
                    Some(submission) => submission,
                    None => break,
                }
            }
            Err(mpsc::error::TryRecvError::Disconnected) => break,
        };
        let header = submission.header(cookie);
        let goodbye = matches!(submission.expected, Expected::Goodbye);
        let state = match submission.expected {
            Expected::Nothing => State::Nothing,
            Expected::Data { offset, length } => State::Data(ReadReply::new(offset, length)),
            Expected::Extents => State::Extents(None),
            Expected::Goodbye => State::Goodbye,
        };
        let pending = Pending {
            state,
            error: None,
            answer: submission.answer,
        };
        if announce.send((cookie, pending)).is_err() {
            return Ok(());
        }
        stream.write_all(&header).await?;
        stream.write_all(&submission.payload).await?;
        cookie += 1;
        if goodbye {
            return stream.flush().await;
        }
    }
    // Every handle is gone: say goodbye on their behalf.
    let (goodbye, _) =
        Submission::new(command_code::DISC, 0, 0, 0, Bytes::new(), Expected::Goodbye);
    stream.write_all(&goodbye.header(cookie)).await?;
    stream.flush().await
}

/// How a connection can end badly.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
}

struct Reader<S> {
    stream: BufReader<ReadHalf<S>>,
    export: Arc<RemoteExport>,
    announced: mpsc::UnboundedReceiver<Announcement>,
    pending: HashMap<u64, Pending>,
}

impl<S: AsyncRead> Reader<S> {
    async fn run(&mut self) -> Result<(), ReadError> {
        loop {
            let mut magic = [0; 4];
            if self.stream.read(&mut magic[..1]).await? == 0 {
                return Ok(());
            }
            self.stream.read_exact(&mut magic[1..]).await?;
            match u32::from_be_bytes(magic) {
                SIMPLE_REPLY_MAGIC => self.simple().await?,
                STRUCTURED_REPLY_MAGIC if self.export.structured => self.structured().await?,
                _ => return Err(ReadError::Protocol("reply with the wrong magic")),
            }
        }
    }

    /// The connection is over. Who said goodbye is satisfied; everyone else learns it by losing
    /// the channel.
    fn finish(mut self) {
        self.announced.close();
        self.collect();
        for (_, pending) in self.pending.drain() {
            if matches!(pending.state, State::Goodbye) {
                let _ = pending.answer.send(Ok(Answer::Done));
            }
        }
    }

    fn collect(&mut self) {
        while let Ok((cookie, pending)) = self.announced.try_recv() {
            self.pending.insert(cookie, pending);
        }
    }

    fn take(&mut self, cookie: u64) -> Result<Pending, ReadError> {
        self.collect();
        match self.pending.remove(&cookie) {
            Some(Pending {
                state: State::Goodbye,
                ..
            })
            | None => Err(ReadError::Protocol("reply to a request that was not made")),
            Some(pending) => Ok(pending),
        }
    }

    async fn simple(&mut self) -> Result<(), ReadError> {
        let error = self.stream.read_u32().await?;
        let cookie = self.stream.read_u64().await?;
        let mut pending = self.take(cookie)?;
        if self.export.structured && matches!(pending.state, State::Data(_)) {
            return Err(ReadError::Protocol("simple reply to a read"));
        }
        if error != 0 {
            pending.error = Some(NbdError::from_wire(error));
        } else if let State::Data(reply) = &mut pending.state {
            reply.read_all(&mut self.stream).await?;
        }
        pending.complete()
    }

    async fn structured(&mut self) -> Result<(), ReadError> {
        let flags = self.stream.read_u16().await?;
        let kind = self.stream.read_u16().await?;
        let cookie = self.stream.read_u64().await?;
        let length = self.stream.read_u32().await?;
        let done = flags & chunk::FLAG_DONE != 0;
        let mut pending = self.take(cookie)?;
        let stream = &mut self.stream;
        match (kind, &mut pending.state) {
            (chunk::NONE, _) if length == 0 && done => {}
            (chunk::OFFSET_DATA, State::Data(reply)) => reply.data_chunk(stream, length).await?,
            (chunk::OFFSET_HOLE, State::Data(reply)) => reply.hole_chunk(stream, length).await?,
            (chunk::BLOCK_STATUS, State::Extents(extents)) => {
                let read = read_extents(stream, length, self.export.allocation_context).await?;
                if extents.replace(read).is_some() {
                    return Err(ReadError::Protocol("two maps of one context"));
                }
            }
            (kind, _) if kind & chunk::ERROR_BIT != 0 => {
                let error = read_error_chunk(stream, kind, length).await?;
                pending.error.get_or_insert(error);
            }
            _ => return Err(ReadError::Protocol("chunk that does not fit the request")),
        }
        if done {
            return pending.complete();
        }
        self.pending.insert(cookie, pending);
        Ok(())
    }
}

impl Pending {
    /// The last of the reply has arrived. A caller that no longer waits is no problem.
    fn complete(self) -> Result<(), ReadError> {
        let answer = match (self.error, self.state) {
            (Some(error), _) => Err(error),
            (None, State::Nothing) => Ok(Answer::Done),
            (None, State::Data(reply)) => Ok(Answer::Data(reply.finish()?)),
            (None, State::Extents(Some(extents))) => Ok(Answer::Extents(extents)),
            (None, State::Extents(None)) => return Err(ReadError::Protocol("map without content")),
            (None, State::Goodbye) => return Err(ReadError::Protocol("reply to a goodbye")),
        };
        let _ = self.answer.send(answer);
        Ok(())
    }
}
