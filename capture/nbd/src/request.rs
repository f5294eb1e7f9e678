//! Requests of the transmission phase: parsing the header and deciding what may happen.
//!
//! The decision is a pure function of the header, the export and what was negotiated. A request
//! that it lets through is in bounds, aligned, permitted and known.

use crate::constants::{REQUEST_LENGTH, REQUEST_MAGIC, command_code, command_flag};
use crate::error::NbdError;
use crate::export::ExportInfo;

/// The kinds of command that get a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandKind {
    /// Read data.
    Read,
    /// Write data.
    Write,
    /// Make everything replied to durable.
    Flush,
    /// Data is no longer needed.
    Trim,
    /// Write zeroes without a payload.
    WriteZeroes,
    /// Data will be read soon.
    Cache,
    /// Ask for the allocation map.
    BlockStatus,
    /// A command we do not know; only ever answered with an error.
    Unknown,
}

/// The right to answer one request. It is consumed by the reply, so that a request cannot be
/// answered twice; dropping it leaves the client without an answer.
#[must_use = "every request needs a reply"]
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) cookie: u64,
    pub(crate) kind: CommandKind,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) flags: u16,
}

impl Ticket {
    /// The client's own name for the request, for logs.
    #[must_use]
    pub const fn cookie(&self) -> u64 {
        self.cookie
    }

    /// What was asked.
    #[must_use]
    pub const fn kind(&self) -> CommandKind {
        self.kind
    }

    /// First byte of the range that was asked for.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Length of the range in bytes.
    #[must_use]
    pub const fn length(&self) -> u32 {
        self.length
    }

    pub(crate) const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// A valid request. `W` is the buffer that holds the payload of a write.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<W> {
    /// Hand this back with the reply.
    pub ticket: Ticket,
    /// What to do.
    pub command: Command<W>,
}

/// What a valid request asks for. Offsets and lengths are in bytes, inside the export, multiples of
/// the minimum block size, and lengths are not zero.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<W> {
    /// Read a range; at most the export's maximum payload.
    Read {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u32,
    },
    /// Write a range; at most the export's maximum payload.
    Write {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u32,
        /// The data must be durable before the reply.
        fua: bool,
        /// The data: the first `length` bytes of this buffer.
        payload: W,
    },
    /// Everything replied to before this request must be durable before the reply.
    Flush,
    /// The range is no longer needed; it may be deallocated, wholly or in part.
    Trim {
        /// First byte.
        offset: u64,
        /// Number of bytes; may be longer than the maximum payload.
        length: u32,
        /// The effect must be durable before the reply.
        fua: bool,
    },
    /// The range must read as zeroes.
    WriteZeroes {
        /// First byte.
        offset: u64,
        /// Number of bytes; may be longer than the maximum payload.
        length: u32,
        /// The effect must be durable before the reply.
        fua: bool,
        /// The range must stay allocated.
        no_hole: bool,
        /// Answer [`NbdError::NotSupported`] at once, contents unchanged, unless this is faster
        /// than writing zeroes. Without this flag that error is forbidden.
        fast_zero: bool,
    },
    /// The range will be read soon. Only seen if the export's features name it.
    Cache {
        /// First byte.
        offset: u64,
        /// Number of bytes; may be longer than the maximum payload.
        length: u32,
    },
    /// Tell the allocation states from `offset` on.
    BlockStatus {
        /// First byte.
        offset: u64,
        /// Number of bytes; may be longer than the maximum payload.
        length: u32,
        /// One extent is enough.
        request_one: bool,
    },
}

/// What was negotiated, as far as requests are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) structured: bool,
    pub(crate) allocation_context: bool,
}

/// A request header whose magic was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    flags: u16,
    code: u16,
    cookie: u64,
    offset: u64,
    length: u32,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Give it to the shell; for a write, after its payload has arrived.
    Serve,
    /// Answer success without troubling the shell.
    Succeed,
    /// Answer this error; for a write, after its payload has been thrown away.
    Refuse(NbdError),
    /// The client says goodbye.
    Disconnect,
}

impl RequestHeader {
    /// Parses a header; the wrong magic is returned as an error, since nothing after it can be
    /// trusted.
    pub(crate) fn parse(bytes: &[u8; REQUEST_LENGTH]) -> Result<Self, u32> {
        let [m0, m1, m2, m3, f0, f1, t0, t1, rest @ ..] = *bytes;
        let magic = u32::from_be_bytes([m0, m1, m2, m3]);
        if magic != REQUEST_MAGIC {
            return Err(magic);
        }
        let [
            c0,
            c1,
            c2,
            c3,
            c4,
            c5,
            c6,
            c7,
            o0,
            o1,
            o2,
            o3,
            o4,
            o5,
            o6,
            o7,
            l0,
            l1,
            l2,
            l3,
        ] = rest;
        Ok(Self {
            flags: u16::from_be_bytes([f0, f1]),
            code: u16::from_be_bytes([t0, t1]),
            cookie: u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7]),
            offset: u64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }

    /// Bytes of payload that follow the header, whatever else is wrong with it.
    pub(crate) const fn payload_length(&self) -> u32 {
        if self.code == command_code::WRITE {
            self.length
        } else {
            0
        }
    }

    pub(crate) const fn ticket(&self) -> Ticket {
        Ticket {
            cookie: self.cookie,
            kind: self.kind(),
            offset: self.offset,
            length: self.length,
            flags: self.flags,
        }
    }

    const fn kind(&self) -> CommandKind {
        match self.code {
            command_code::READ => CommandKind::Read,
            command_code::WRITE => CommandKind::Write,
            command_code::FLUSH => CommandKind::Flush,
            command_code::TRIM => CommandKind::Trim,
            command_code::CACHE => CommandKind::Cache,
            command_code::WRITE_ZEROES => CommandKind::WriteZeroes,
            command_code::BLOCK_STATUS => CommandKind::BlockStatus,
            _ => CommandKind::Unknown,
        }
    }

    /// Decides what happens to the request.
    pub(crate) fn judge(&self, export: &ExportInfo, negotiated: Negotiated) -> Verdict {
        if self.code == command_code::DISC {
            // A goodbye with nonsense in it is still a goodbye.
            return Verdict::Disconnect;
        }
        match self.check(export, negotiated) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::Refuse(error),
        }
    }

    fn check(&self, export: &ExportInfo, negotiated: Negotiated) -> Result<Verdict, NbdError> {
        let kind = self.kind();
        let features = export.features;
        if features.read_only && kind.modifies() {
            return Err(NbdError::Perm);
        }
        if !kind.is_served(export, negotiated) {
            return Err(NbdError::Invalid);
        }
        if self.flags & !kind.known_flags(export, negotiated) != 0 {
            return Err(NbdError::Invalid);
        }
        if kind == CommandKind::Flush {
            // A flush has no range. Accepting one would hide a client's mistake.
            let bare = self.offset == 0 && self.length == 0;
            return if bare {
                Ok(Verdict::Serve)
            } else {
                Err(NbdError::Invalid)
            };
        }
        self.check_range(kind, export)?;
        if self.length == 0 {
            // Block status must make progress, and nothing can be said about no bytes.
            return match kind {
                CommandKind::BlockStatus => Err(NbdError::Invalid),
                _ => Ok(Verdict::Succeed),
            };
        }
        if kind == CommandKind::Cache && !features.cache {
            return Ok(Verdict::Succeed);
        }
        Ok(Verdict::Serve)
    }

    fn check_range(&self, kind: CommandKind, export: &ExportInfo) -> Result<(), NbdError> {
        let end = self.offset.checked_add(u64::from(self.length));
        if end.is_none_or(|end| end > export.size) {
            return Err(match kind {
                CommandKind::Write | CommandKind::WriteZeroes => NbdError::NoSpace,
                _ => NbdError::Invalid,
            });
        }
        let minimum = export.block_sizes.minimum();
        let aligned =
            self.offset.is_multiple_of(u64::from(minimum)) && self.length.is_multiple_of(minimum);
        if !aligned {
            return Err(NbdError::Invalid);
        }
        let too_long = self.length > export.block_sizes.maximum_payload();
        match kind {
            // "Too long for one piece" is reserved for reads that forbid fragments.
            CommandKind::Read if too_long && self.flags & command_flag::DF != 0 => {
                Err(NbdError::Overflow)
            }
            CommandKind::Read | CommandKind::Write if too_long => Err(NbdError::Invalid),
            _ => Ok(()),
        }
    }

    /// The command for the shell, for a request that was judged [`Verdict::Serve`]. The payload is
    /// asked for only if the command has one.
    pub(crate) fn into_command<W>(self, payload: Option<W>) -> Option<Command<W>> {
        let Self {
            flags,
            offset,
            length,
            ..
        } = self;
        let fua = flags & command_flag::FUA != 0;
        Some(match self.kind() {
            CommandKind::Read => Command::Read { offset, length },
            CommandKind::Write => Command::Write {
                offset,
                length,
                fua,
                payload: payload?,
            },
            CommandKind::Flush => Command::Flush,
            CommandKind::Trim => Command::Trim {
                offset,
                length,
                fua,
            },
            CommandKind::WriteZeroes => Command::WriteZeroes {
                offset,
                length,
                fua,
                no_hole: flags & command_flag::NO_HOLE != 0,
                fast_zero: flags & command_flag::FAST_ZERO != 0,
            },
            CommandKind::Cache => Command::Cache { offset, length },
            CommandKind::BlockStatus => Command::BlockStatus {
                offset,
                length,
                request_one: flags & command_flag::REQ_ONE != 0,
            },
            CommandKind::Unknown => return None,
        })
    }
}

impl CommandKind {
    const fn modifies(self) -> bool {
        matches!(self, Self::Write | Self::Trim | Self::WriteZeroes)
    }

    const fn is_served(self, export: &ExportInfo, negotiated: Negotiated) -> bool {
        match self {
            // Clients may send CACHE unasked: it has no effect on the contents.
            Self::Read | Self::Write | Self::Cache => true,
            Self::Flush => export.features.flush,
            Self::Trim => export.features.trim,
            Self::WriteZeroes => export.features.write_zeroes,
            Self::BlockStatus => negotiated.allocation_context,
            Self::Unknown => false,
        }
    }

    /// The flags this command may carry. FUA is legal on every command once it was advertised.
    const fn known_flags(self, export: &ExportInfo, negotiated: Negotiated) -> u16 {
        let fua = if export.features.fua {
            command_flag::FUA
        } else {
            0
        };
        let own = match self {
            Self::Read if negotiated.structured => command_flag::DF,
            Self::WriteZeroes if export.features.fast_zero => {
                command_flag::NO_HOLE | command_flag::FAST_ZERO
            }
            Self::WriteZeroes => command_flag::NO_HOLE,
            Self::BlockStatus => command_flag::REQ_ONE,
            _ => 0,
        };
        fua | own
    }
}
