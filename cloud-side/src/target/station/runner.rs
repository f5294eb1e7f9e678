//! The task of a station: moves frames between QEMU's socket and the stack, and bytes between the
//! stack's connections and those who opened them.
//!
//! Frames travel as QEMU writes them: a length of four bytes, big-endian, and the frame. The task ends
//! with its handle or with QEMU's end of the socket, and everything it holds ends with it.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use smoltcp::{iface::SocketHandle, socket::tcp::State, wire::EthernetAddress};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    CardAddress, GuestNetwork,
    stack::{CONNECTIONS_MAX, FRAME_BYTES_MAX, Stack},
};

/// Longest frame that is taken, in bytes: one with a tag, and some room for what a card may add.
const TAKEN_BYTES_MAX: usize = FRAME_BYTES_MAX + 64;
/// Bytes before each frame.
const LENGTH_BYTES: usize = 4;
/// Bytes read in one step.
const READ_BYTES: usize = 32 * 1024;
/// Bytes of a connection that wait for their reader.
const PIPE_BYTES: usize = 64 * 1024;
/// How long a machine may take to answer the first packet of a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a machine may go on after whoever opened the connection has nothing more to say.
const LINGER_LIMIT: Duration = Duration::from_secs(60);
/// Most wishes for connections that wait.
const WISHES_WAITING: usize = 16;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The machine has shown no address.
    #[error("the machine has no address yet")]
    NoAddress,
    /// Nobody listens there.
    #[error("the machine refused the connection")]
    Refused,
    /// It is silent.
    #[error("the machine did not answer within {} s", CONNECT_LIMIT.as_secs())]
    Silent,
    /// There are enough.
    #[error("{CONNECTIONS_MAX} connections to the machine are open")]
    TooMany,
    /// The station is gone.
    #[error("the machine's network has ended")]
    Ended,
}

/// A connection on its way.
pub(crate) type ConnectFuture =
    Pin<Box<dyn Future<Output = Result<DuplexStream, ConnectError>> + Send>>;

struct Wish {
    port: u16,
    answer: oneshot::Sender<Result<DuplexStream, ConnectError>>,
}

/// Holds a station; it ends when the last of them is dropped.
#[derive(Clone, Debug)]
pub(crate) struct StationHandle {
    wishes: mpsc::Sender<Wish>,
    machine: watch::Receiver<Option<CardAddress>>,
}

impl StationHandle {
    /// What is known of the machine.
    pub(crate) fn machine(&self) -> Option<CardAddress> {
        *self.machine.borrow()
    }

    /// Opens a connection to a port of the machine.
    pub(crate) fn connect(&self, port: u16) -> ConnectFuture {
        let wishes = self.wishes.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let wish = Wish { port, answer };
            wishes.send(wish).await.map_err(|_| ConnectError::Ended)?;
            answered.await.map_err(|_| ConnectError::Ended)?
        })
    }
}

/// Starts a station on its end of the socket.
pub(crate) fn start(
    stream: UnixStream,
    card: [u8; 6],
    network: Option<GuestNetwork>,
    seed: u64,
) -> StationHandle {
    let card = EthernetAddress(card);
    let (wishes, wished) = mpsc::channel(WISHES_WAITING);
    let (tell, machine) = watch::channel(None);
    let runner = Runner {
        stack: Stack::new(card, own_address(card), network, seed),
        began: Instant::now(),
        incoming: Vec::new(),
        outgoing: VecDeque::new(),
        connections: Vec::new(),
        wished,
        tell,
        timer: Box::pin(sleep_until(Instant::now())),
    };
    tokio::spawn(runner.run(stream));
    StationHandle { wishes, machine }
}

/// A locally administered address that is not the card's.
pub(super) fn own_address(card: EthernetAddress) -> EthernetAddress {
    let mut own = card.0;
    own[0] = 0x02;
    own[5] ^= 0x80;
    EthernetAddress(own)
}

struct Connection {
    handle: SocketHandle,
    /// Who waits for it, until it stands.
    answer: Option<oneshot::Sender<Result<DuplexStream, ConnectError>>>,
    began: Instant,
    pipe: Option<DuplexStream>,
    /// Whether the machine's last byte was passed on.
    is_written: bool,
    /// When the last byte for the machine was taken.
    read_until: Option<Instant>,
}

struct Runner {
    stack: Stack,
    began: Instant,
    incoming: Vec<u8>,
    outgoing: VecDeque<u8>,
    connections: Vec<Connection>,
    wished: mpsc::Receiver<Wish>,
    tell: watch::Sender<Option<CardAddress>>,
    timer: Pin<Box<Sleep>>,
}

impl Runner {
    async fn run(mut self, mut stream: UnixStream) {
        let ended = poll_fn(|context| self.poll(&mut stream, context)).await;
        tracing::debug!(reason = %ended, "the station of a drill's network ended");
    }

    /// Does everything that can be done now; ready with the reason of the end.
    fn poll(&mut self, stream: &mut UnixStream, context: &mut Context<'_>) -> Poll<String> {
        loop {
            let mut is_busy = false;
            match self.wished.poll_recv(context) {
                Poll::Ready(Some(wish)) => {
                    self.begin(wish);
                    is_busy = true;
                }
                Poll::Ready(None) => return Poll::Ready("nobody needs it any more".to_owned()),
                Poll::Pending => {}
            }
            if !self.stack.is_congested() {
                match self.read(stream, context) {
                    Poll::Ready(Ok(())) => is_busy = true,
                    Poll::Ready(Err(error)) => return Poll::Ready(error.to_string()),
                    Poll::Pending => {}
                }
            }
            let now = self.began.elapsed();
            self.stack.poll(now);
            is_busy |= self.serve(context);
            self.stack.poll(now);
            self.announce();
            match self.write(stream, context) {
                Poll::Ready(Ok(wrote)) => is_busy |= wrote,
                Poll::Ready(Err(error)) => return Poll::Ready(error.to_string()),
                Poll::Pending => {}
            }
            if is_busy {
                continue;
            }
            let delay = self.stack.delay(now).max(Duration::from_millis(1));
            self.timer.as_mut().reset(Instant::now() + delay);
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn announce(&mut self) {
        let machine = self.stack.machine();
        self.tell.send_if_modified(|told| {
            let is_news = *told != machine;
            *told = machine;
            is_news
        });
    }

    /// Reads what came, and gives whole frames to the stack.
    fn read(&mut self, stream: &mut UnixStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) => {}
            other => return other,
        }
        if buffer.filled().is_empty() {
            let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "QEMU closed its end");
            return Poll::Ready(Err(closed));
        }
        self.incoming.extend_from_slice(buffer.filled());
        Poll::Ready(self.take_frames())
    }

    fn take_frames(&mut self) -> io::Result<()> {
        let mut at = 0;
        while let Some(length) = self.incoming[at..].first_chunk::<LENGTH_BYTES>() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > TAKEN_BYTES_MAX {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a frame of {length} bytes was announced"),
                ));
            }
            let begin = at + LENGTH_BYTES;
            let Some(frame) = self.incoming.get(begin..begin + length) else {
                break;
            };
            self.stack.take(frame.to_vec());
            at = begin + length;
        }
        self.incoming.drain(..at);
        Ok(())
    }

    /// Writes frames until the socket takes no more. Says whether there was anything.
    fn write(
        &mut self,
        stream: &mut UnixStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let mut wrote = false;
        loop {
            if self.outgoing.is_empty() {
                let Some(frame) = self.stack.next_frame() else {
                    return Poll::Ready(Ok(wrote));
                };
                let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
                self.outgoing.extend(length.to_be_bytes());
                self.outgoing.extend(frame);
            }
            let (bytes, _) = self.outgoing.as_slices();
            match Pin::new(&mut *stream).poll_write(context, bytes) {
                Poll::Ready(Ok(count)) => {
                    self.outgoing.drain(..count);
                    wrote = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn begin(&mut self, wish: Wish) {
        let begun = if self.connections.len() >= CONNECTIONS_MAX {
            Err(ConnectError::TooMany)
        } else {
            let begun = self.stack.connect(wish.port);
            begun.ok_or(ConnectError::NoAddress)
        };
        match begun {
            Ok(handle) => self.connections.push(Connection {
                handle,
                answer: Some(wish.answer),
                began: Instant::now(),
                pipe: None,
                is_written: false,
                read_until: None,
            }),
            // Whoever does not wait any more needs no answer.
            Err(error) => drop(wish.answer.send(Err(error))),
        }
    }

    /// Moves the bytes of all connections. Says whether any moved.
    fn serve(&mut self, context: &mut Context<'_>) -> bool {
        let mut is_busy = false;
        let mut index = 0;
        while let Some(connection) = self.connections.get_mut(index) {
            let step = if connection.answer.is_some() {
                connection.stand(&mut self.stack, context)
            } else {
                connection.carry(&mut self.stack, context)
            };
            is_busy |= step != Step::Idle;
            if step == Step::Ended {
                let ended = self.connections.swap_remove(index);
                self.stack.drop_socket(ended.handle, self.began.elapsed());
            } else {
                index += 1;
            }
        }
        is_busy
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    Moved,
    Ended,
}

impl Connection {
    /// Waits until the connection stands, is refused, or takes too long.
    fn stand(&mut self, stack: &mut Stack, context: &mut Context<'_>) -> Step {
        let socket = stack.socket(self.handle);
        let failed = match socket.state() {
            State::Closed => Some(ConnectError::Refused),
            State::SynSent if self.began.elapsed() >= CONNECT_LIMIT => Some(ConnectError::Silent),
            State::SynSent => {
                let gone = self
                    .answer
                    .as_mut()
                    .map(|answer| answer.poll_closed(context));
                return match gone {
                    Some(Poll::Ready(())) => Step::Ended,
                    _ => Step::Idle,
                };
            }
            _ => None,
        };
        let Some(answer) = self.answer.take() else {
            return Step::Idle;
        };
        if let Some(error) = failed {
            drop(answer.send(Err(error)));
            return Step::Ended;
        }
        let (ours, theirs) = duplex(PIPE_BYTES);
        self.pipe = Some(ours);
        match answer.send(Ok(theirs)) {
            Ok(()) => Step::Moved,
            Err(_) => Step::Ended,
        }
    }

    fn carry(&mut self, stack: &mut Stack, context: &mut Context<'_>) -> Step {
        let Some(pipe) = &mut self.pipe else {
            return Step::Ended;
        };
        let socket = stack.socket(self.handle);
        let mut step = Step::Idle;
        while socket.can_recv() {
            let given =
                socket.recv(
                    |bytes| match Pin::new(&mut *pipe).poll_write(context, bytes) {
                        Poll::Ready(Ok(count)) => (count, Ok(count)),
                        Poll::Ready(Err(_)) => (0, Err(())),
                        Poll::Pending => (0, Ok(0)),
                    },
                );
            match given {
                Ok(Ok(0)) => break,
                Ok(Ok(_)) => step = Step::Moved,
                // Nobody reads any more.
                Ok(Err(())) | Err(_) => return Step::Ended,
            }
        }
        if !self.is_written && !socket.may_recv() && socket.recv_queue() == 0 {
            self.is_written = true;
            step = Step::Moved;
            if Pin::new(&mut *pipe).poll_shutdown(context).is_pending() {
                return Step::Ended;
            }
        }
        while self.read_until.is_none() && socket.can_send() {
            let taken = socket.send(|space| {
                let mut buffer = ReadBuf::new(space);
                match Pin::new(&mut *pipe).poll_read(context, &mut buffer) {
                    Poll::Ready(Ok(())) => {
                        let count = buffer.filled().len();
                        (count, Some(count))
                    }
                    Poll::Ready(Err(_)) => (0, Some(0)),
                    Poll::Pending => (0, None),
                }
            });
            match taken {
                Ok(Some(0)) => {
                    self.read_until = Some(Instant::now());
                    socket.close();
                    step = Step::Moved;
                }
                Ok(Some(_)) => step = Step::Moved,
                Ok(None) => break,
                Err(_) => return Step::Ended,
            }
        }
        let is_late = self
            .read_until
            .is_some_and(|at| at.elapsed() >= LINGER_LIMIT);
        match socket.state() {
            State::Closed | State::TimeWait if self.is_written => Step::Ended,
            _ if is_late => Step::Ended,
            _ => step,
        }
    }
}
