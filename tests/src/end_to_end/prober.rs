//! A raw NBD client that says what no library lets a client say, and reports the answer.
//!
//! It shares no code with the product: everything is written byte by byte from the protocol's
//! document, and is run against other servers too, so that a wrong prober is noticed.

use anyhow::{Context, bail, ensure};
use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

const NBD_MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;

/// A server that says nothing for so long hangs.
const HANG: Duration = Duration::from_secs(20);

/// Options.
pub mod option {
    /// Ends the negotiation.
    pub const ABORT: u32 = 2;
    /// Lists exports.
    pub const LIST: u32 = 3;
    /// Withdrawn from the protocol.
    pub const PEEK_EXPORT: u32 = 4;
    /// Starts TLS.
    pub const STARTTLS: u32 = 5;
    /// Enters an export.
    pub const GO: u32 = 7;
    /// Asks for structured replies.
    pub const STRUCTURED_REPLY: u32 = 8;
    /// Selects contexts.
    pub const SET_META_CONTEXT: u32 = 10;
}

/// Replies to options.
pub mod reply {
    /// Done.
    pub const ACK: u32 = 1;
    /// An export, in a list.
    pub const SERVER: u32 = 2;
    /// The server does not know the option.
    pub const UNSUPPORTED: u32 = 0x8000_0001;
    /// The server may not.
    pub const POLICY: u32 = 0x8000_0002;
    /// The option makes no sense.
    pub const INVALID: u32 = 0x8000_0003;
    /// There is no such export.
    pub const UNKNOWN: u32 = 0x8000_0006;
    /// The option is too long.
    pub const TOO_BIG: u32 = 0x8000_0009;
}

/// Commands.
pub mod command {
    /// Reads.
    pub const READ: u16 = 0;
    /// Writes.
    pub const WRITE: u16 = 1;
    /// Makes durable.
    pub const FLUSH: u16 = 3;
    /// Gives space back.
    pub const TRIM: u16 = 4;
    /// Writes zeroes.
    pub const WRITE_ZEROES: u16 = 6;
    /// Asks for the state of a range.
    pub const BLOCK_STATUS: u16 = 7;
}

/// Command flags.
pub mod flag {
    /// Durable when answered.
    pub const FUA: u16 = 1;
    /// One piece only.
    pub const DF: u16 = 4;
    /// One that no document names.
    pub const UNKNOWN: u16 = 1 << 12;
}

/// What a server did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It answered an option with this reply.
    Reply(u32),
    /// It answered a request with this error; 0 is success.
    Error(u32),
    /// It ended the connection.
    Closed,
}

/// A request of which every field can be wrong.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What every request begins with.
    pub magic: u32,
    /// Command flags.
    pub flags: u16,
    /// The command.
    pub command: u16,
    /// Where, in bytes.
    pub offset: u64,
    /// How many bytes.
    pub length: u32,
    /// What follows the request.
    pub payload: &'a [u8],
}

impl Request<'_> {
    /// A request without payload.
    pub fn new(command: u16, offset: u64, length: u32) -> Self {
        Self {
            magic: REQUEST_MAGIC,
            flags: 0,
            command,
            offset,
            length,
            payload: &[],
        }
    }

    /// With these flags.
    #[must_use]
    pub fn flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Prober {
    stream: UnixStream,
    cookie: u64,
}

impl Prober {
    /// Connects and says nothing beyond the client's flags.
    ///
    /// # Errors
    /// When the server is not there, or does not greet as a fixed-newstyle server.
    pub fn connect(socket: &Path) -> anyhow::Result<Self> {
        let mut prober = Self::greeted(socket)?;
        prober.client_flags(0b11)?;
        Ok(prober)
    }

    /// Connects and reads the server's greeting.
    ///
    /// # Errors
    /// When the server is not there, or does not greet as a fixed-newstyle server.
    pub fn greeted(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        let mut prober = Self { stream, cookie: 0 };
        let greeting = prober
            .read(18)?
            .context("the server closed instead of greeting")?;
        ensure!(
            number(&greeting[..8]) == NBD_MAGIC,
            "the server's greeting has another magic"
        );
        ensure!(
            number(&greeting[8..16]) == OPTION_MAGIC,
            "the server is not newstyle"
        );
        ensure!(greeting[17] & 1 == 1, "the server is not fixed-newstyle");
        Ok(prober)
    }

    /// Sends the client's flags.
    ///
    /// # Errors
    /// When they cannot be sent.
    pub fn client_flags(&mut self, flags: u32) -> anyhow::Result<()> {
        Ok(self.stream.write_all(&flags.to_be_bytes())?)
    }

    /// Sends bytes as they are. A server that has closed already is no error: its answer tells.
    ///
    /// # Errors
    /// When sending fails for another reason.
    pub fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self.stream.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) if is_end(error.kind()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends an option whose length field may be a lie.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn send_option(&mut self, option: u32, length: u32, data: &[u8]) -> anyhow::Result<()> {
        let mut bytes = OPTION_MAGIC.to_be_bytes().to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(data);
        self.send(&bytes)
    }

    /// Sends an option and reads its replies; the last one is the answer.
    ///
    /// # Errors
    /// When the server hangs or talks nonsense.
    pub fn option(&mut self, option: u32, data: &[u8]) -> anyhow::Result<Answer> {
        self.send_option(option, data.len() as u32, data)?;
        self.option_answer(option)
    }

    /// Reads the replies to an option; the last one is the answer.
    ///
    /// # Errors
    /// When the server hangs or talks nonsense.
    pub fn option_answer(&mut self, option: u32) -> anyhow::Result<Answer> {
        loop {
            let Some(head) = self.read(20)? else {
                return Ok(Answer::Closed);
            };
            ensure!(
                number(&head[..8]) == OPTION_REPLY_MAGIC,
                "an option reply has another magic"
            );
            let (about, kind) = (number(&head[8..12]) as u32, number(&head[12..16]) as u32);
            ensure!(
                about == option,
                "option {option} was answered with one about {about}"
            );
            let length = number(&head[16..20]) as usize;
            ensure!(length <= 1 << 20, "an option reply of {length} bytes");
            if self.read(length)?.is_none() {
                return Ok(Answer::Closed);
            }
            let is_last = kind == reply::ACK || kind & 0x8000_0000 != 0;
            if is_last {
                return Ok(Answer::Reply(kind));
            }
        }
    }

    /// Enters an export with GO.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn go(&mut self, export: &str) -> anyhow::Result<()> {
        let answer = self.option(option::GO, &go_data(export, export.len() as u32))?;
        ensure!(
            answer == Answer::Reply(reply::ACK),
            "GO was answered with {answer:?}"
        );
        Ok(())
    }

    /// Sends a request and reads its answer; what was read is dropped.
    ///
    /// # Errors
    /// When the server hangs or talks nonsense.
    pub fn request(&mut self, request: Request<'_>) -> anyhow::Result<Answer> {
        self.send_request(request)?;
        let answer = self.answer()?;
        if answer == Answer::Error(0) && request.command == command::READ {
            let data = self.read(request.length as usize)?;
            ensure!(data.is_some(), "a read was answered with too little data");
        }
        Ok(answer)
    }

    /// Reads the head of the answer to the last request.
    ///
    /// # Errors
    /// When the server hangs or talks nonsense.
    pub fn answer(&mut self) -> anyhow::Result<Answer> {
        let Some(head) = self.read(16)? else {
            return Ok(Answer::Closed);
        };
        ensure!(
            number(&head[..4]) == u64::from(SIMPLE_REPLY_MAGIC),
            "a reply has another magic: {head:02x?}"
        );
        ensure!(
            number(&head[8..16]) == self.cookie,
            "a reply has another request's cookie"
        );
        Ok(Answer::Error(number(&head[4..8]) as u32))
    }

    /// Sends a request and does not wait.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn send_request(&mut self, request: Request<'_>) -> anyhow::Result<()> {
        self.cookie += 1;
        let mut bytes = request.magic.to_be_bytes().to_vec();
        bytes.extend(request.flags.to_be_bytes());
        bytes.extend(request.command.to_be_bytes());
        bytes.extend(self.cookie.to_be_bytes());
        bytes.extend(request.offset.to_be_bytes());
        bytes.extend(request.length.to_be_bytes());
        bytes.extend(request.payload);
        self.send(&bytes)
    }

    /// Waits for the server to close.
    ///
    /// # Errors
    /// When it says something instead, or nothing.
    pub fn wait_closed(&mut self) -> anyhow::Result<Answer> {
        match self.read(1)? {
            None => Ok(Answer::Closed),
            Some(byte) => bail!("the server said {byte:02x?} instead of closing"),
        }
    }

    /// Reads so many bytes; none when the server closed.
    fn read(&mut self, count: usize) -> anyhow::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; count];
        match self.stream.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if is_end(error.kind()) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("the server neither answers nor closes")
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The data of GO, with a name length that may be a lie.
pub fn go_data(export: &str, name_length: u32) -> Vec<u8> {
    let mut data = name_length.to_be_bytes().to_vec();
    data.extend(export.as_bytes());
    data.extend([0, 0]);
    data
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}
