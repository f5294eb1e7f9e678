//! One client's session with a server, without any I/O.
//!
//! Owns the parsing of the client's bytes, every validity check and the encoding of replies. Bytes
//! go in through [`ServerSession::receive`] (or straight into a payload, see
//! [`ServerSession::wanted`]), events come out; replies go in through the `reply_*` methods, bytes
//! come out of [`ServerSession::take_replies`]. How the bytes are cut never matters. The session
//! keeps no clock: deadlines, and limits on requests in flight, are the shell's.

mod answer;
mod end;

use std::sync::Arc;

use crate::constants::{OPTION_HEADER_LENGTH, OPTION_MAGIC, REQUEST_LENGTH};
use crate::error::NbdError;
use crate::export::{ExportDirectory, ExportInfo};
use crate::handshake::{Negotiation, Outcome};
use crate::reply::{Replies, ReplyBatch};
use crate::request::{Command, Negotiated, Request, RequestHeader, Verdict};
pub use end::SessionEnd;

/// Where the payloads of a shell live.
pub trait Payloads {
    /// Holds the payload of one write. Moving it must not move its bytes.
    type Write: AsMut<[u8]>;
    /// Holds the data of one read reply. Moving it must not move its bytes.
    type Read: AsRef<[u8]>;

    /// A buffer of at least `length` bytes, of which the session fills the first `length`; `length`
    /// is never more than the export's maximum payload. `None` if there is no memory now: the
    /// session then stops reading until [`ServerSession::receive`] is called again.
    fn allocate(&mut self, length: usize) -> Option<Self::Write>;
}

/// Whether a connection uses TLS. Fixed for the whole connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS: for local sockets only.
    NotOffered,
    /// Nothing but `STARTTLS` and `ABORT` is served before TLS is up.
    Forced,
}

/// What happened in a session.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<W> {
    /// Send what is queued, then start TLS as the server, then call
    /// [`ServerSession::tls_established`]. Bytes that were received before the end of the TLS
    /// handshake must not be given to the session.
    StartTls,
    /// The client entered the transmission phase of this export.
    ExportSelected(ExportInfo),
    /// A valid request; answer it with its ticket, in any order.
    Request(Request<W>),
    /// The client says goodbye. Finish what is outstanding and close. No reply is expected.
    Disconnect,
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Options are being haggled over. Shells put a deadline on this.
    Negotiation,
    /// Waiting for [`ServerSession::tls_established`].
    AwaitingTls,
    /// Requests are served.
    Transmission,
    /// Nothing more will be read.
    Ended,
}

/// What a session wants next.
#[derive(Debug)]
pub enum Wanted<'a> {
    /// Bytes through [`ServerSession::receive`].
    Bytes,
    /// The rest of a payload. The shell may read from its socket straight into this slice and then
    /// call [`ServerSession::payload_received`]; best together with its ordinary receive buffer in
    /// one scattered read, so that the next header comes along. [`ServerSession::receive`] works
    /// too and copies. The slice does not move while the session is not used.
    Payload(&'a mut [u8]),
    /// [`Payloads::allocate`] gave nothing: call [`ServerSession::receive`] again, with the same
    /// unconsumed bytes, when memory is free.
    Memory,
    /// Nothing: the session has ended, or waits for TLS.
    Nothing,
}

enum Input<W> {
    ClientFlags,
    OptionHeader,
    OptionData {
        code: u32,
        length: usize,
    },
    AwaitingTls,
    RequestHeader,
    Memory {
        header: RequestHeader,
    },
    Payload {
        header: RequestHeader,
        buffer: W,
        filled: usize,
    },
    Discard {
        header: RequestHeader,
        error: NbdError,
        left: u32,
    },
    Ended,
}

enum Step<W> {
    Event(Event<W>),
    Again,
    Blocked,
}

/// One client's session. See the module's description.
pub struct ServerSession<P: Payloads> {
    negotiation: Negotiation,
    input: Input<P::Write>,
    /// The beginning of something whose end has not arrived; never longer than one option.
    partial: Vec<u8>,
    export: Option<ExportInfo>,
    negotiated: Negotiated,
    replies: Replies<P::Read>,
    outstanding: usize,
    shutting_down: bool,
}

impl<P: Payloads> ServerSession<P> {
    /// A session with a client that has just connected. The greeting is queued at once.
    #[must_use]
    pub fn new(exports: Arc<dyn ExportDirectory>, tls: TlsMode) -> Self {
        let mut replies = Replies::new();
        replies.put_bytes(Negotiation::greet);
        Self {
            negotiation: Negotiation::new(exports, tls),
            input: Input::ClientFlags,
            partial: Vec::new(),
            export: None,
            negotiated: Negotiated {
                structured: false,
                allocation_context: false,
            },
            replies,
            outstanding: 0,
            shutting_down: false,
        }
    }

    /// Where the session is in its life.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self.input {
            Input::ClientFlags | Input::OptionHeader | Input::OptionData { .. } => {
                Stage::Negotiation
            }
            Input::AwaitingTls => Stage::AwaitingTls,
            Input::RequestHeader
            | Input::Memory { .. }
            | Input::Payload { .. }
            | Input::Discard { .. } => Stage::Transmission,
            Input::Ended => Stage::Ended,
        }
    }

    /// The export the client entered.
    #[must_use]
    pub const fn export(&self) -> Option<&ExportInfo> {
        self.export.as_ref()
    }

    /// Number of requests given to the shell and not yet answered.
    #[must_use]
    pub const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// What the session wants next.
    pub fn wanted(&mut self) -> Wanted<'_> {
        match &mut self.input {
            Input::Payload {
                header,
                buffer,
                filled,
            } => {
                let length = header.payload_length() as usize;
                Wanted::Payload(&mut buffer.as_mut()[*filled..length])
            }
            Input::Memory { .. } => Wanted::Memory,
            Input::AwaitingTls | Input::Ended => Wanted::Nothing,
            _ => Wanted::Bytes,
        }
    }

    /// Takes bytes from the front of `input` up to and including the next event. `None` means that
    /// all of `input` was consumed and more is needed, or that memory is (see [`Wanted::Memory`]);
    /// call again until then. A shell that has enough requests in flight simply does not call.
    ///
    /// # Errors
    /// If the session is over. Later bytes are swallowed.
    pub fn receive(
        &mut self,
        input: &mut &[u8],
        payloads: &mut P,
    ) -> Result<Option<Event<P::Write>>, SessionEnd> {
        loop {
            match self.step(input, payloads) {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::Again) => {}
                Ok(Step::Blocked) => return Ok(None),
                Err(end) => {
                    self.input = Input::Ended;
                    *input = &[];
                    return Err(end);
                }
            }
        }
    }

    /// Tells that `count` bytes were put into the slice of [`Wanted::Payload`].
    ///
    /// # Panics
    /// If no payload was wanted, or fewer bytes.
    pub fn payload_received(&mut self, count: usize) -> Option<Event<P::Write>> {
        let Input::Payload { header, filled, .. } = &mut self.input else {
            assert_eq!(count, 0, "no payload was wanted");
            return None;
        };
        *filled += count;
        let length = header.payload_length() as usize;
        assert!(
            *filled <= length,
            "more than the wanted payload was received"
        );
        if *filled < length {
            return None;
        }
        match std::mem::replace(&mut self.input, Input::RequestHeader) {
            Input::Payload { header, buffer, .. } => self.serve(header, Some(buffer)),
            other => {
                self.input = other;
                None
            }
        }
    }

    /// Tells that TLS is up. What was negotiated before is forgotten.
    pub fn tls_established(&mut self) {
        if matches!(self.input, Input::AwaitingTls) {
            self.negotiation.tls_established();
            self.input = Input::OptionHeader;
        }
    }

    /// From now on new requests and options are answered with "shutting down". Requests that the
    /// shell already has are answered as usual.
    pub fn begin_shutdown(&mut self) {
        self.shutting_down = true;
        self.negotiation.begin_shutdown();
    }

    /// Bytes of replies that are queued and not yet taken.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.replies.queued_bytes()
    }

    /// Everything queued, to be written in order before any later batch. `None` if nothing is.
    pub fn take_replies(&mut self) -> Option<ReplyBatch<P::Read>> {
        self.replies.take()
    }

    /// Gives back a batch that was written, so that its memory is used again.
    pub fn recycle(&mut self, batch: ReplyBatch<P::Read>) {
        self.replies.recycle(batch);
    }

    fn step(&mut self, input: &mut &[u8], payloads: &mut P) -> Result<Step<P::Write>, SessionEnd> {
        match &mut self.input {
            Input::ClientFlags => {
                let Some(flags) = take(&mut self.partial, input) else {
                    return Ok(Step::Blocked);
                };
                self.negotiation.client_flags(u32::from_be_bytes(flags))?;
                self.input = Input::OptionHeader;
                Ok(Step::Again)
            }
            Input::OptionHeader => self.option_header(input),
            Input::OptionData { code, length } => {
                let (code, length) = (*code, *length);
                self.option_data(code, length, input)
            }
            Input::AwaitingTls if input.is_empty() => Ok(Step::Blocked),
            Input::AwaitingTls => Err(SessionEnd::PlaintextAfterStartTls),
            Input::RequestHeader => {
                let Some(bytes) = take::<REQUEST_LENGTH>(&mut self.partial, input) else {
                    return Ok(Step::Blocked);
                };
                let header = RequestHeader::parse(&bytes).map_err(SessionEnd::BadRequestMagic)?;
                Ok(self.request_header(header, payloads))
            }
            Input::Memory { header } => {
                let header = *header;
                Ok(self.await_payload(header, payloads))
            }
            Input::Payload {
                header,
                buffer,
                filled,
            } => {
                let length = header.payload_length() as usize;
                let room = &mut buffer.as_mut()[*filled..length];
                let count = room.len().min(input.len());
                let (now, later) = input.split_at(count);
                room[..count].copy_from_slice(now);
                *input = later;
                Ok(match self.payload_received(count) {
                    Some(event) => Step::Event(event),
                    None => Step::Blocked,
                })
            }
            Input::Discard {
                header,
                error,
                left,
            } => {
                let count = input.len().min(*left as usize);
                *input = &input[count..];
                *left -= u32::try_from(count).expect("count is at most a u32");
                if *left > 0 {
                    return Ok(Step::Blocked);
                }
                let (ticket, error) = (header.ticket(), *error);
                self.replies
                    .put_error(&ticket, self.negotiated.structured, error);
                self.input = Input::RequestHeader;
                Ok(Step::Again)
            }
            Input::Ended => {
                *input = &[];
                Ok(Step::Blocked)
            }
        }
    }

    fn option_header(&mut self, input: &mut &[u8]) -> Result<Step<P::Write>, SessionEnd> {
        let Some(bytes) = take::<OPTION_HEADER_LENGTH>(&mut self.partial, input) else {
            return Ok(Step::Blocked);
        };
        let [
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            m6,
            m7,
            c0,
            c1,
            c2,
            c3,
            l0,
            l1,
            l2,
            l3,
        ] = bytes;
        let magic = u64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
        if magic != OPTION_MAGIC {
            return Err(SessionEnd::BadOptionMagic(magic));
        }
        let code = u32::from_be_bytes([c0, c1, c2, c3]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        self.replies
            .put_bytes(|out| self.negotiation.admit(code, length, out))?;
        self.input = Input::OptionData {
            code,
            length: length as usize,
        };
        Ok(Step::Again)
    }

    fn option_data(
        &mut self,
        code: u32,
        length: usize,
        input: &mut &[u8],
    ) -> Result<Step<P::Write>, SessionEnd> {
        if !fill(&mut self.partial, length, input) {
            return Ok(Step::Blocked);
        }
        let data = std::mem::take(&mut self.partial);
        let (outcome, negotiated) = self
            .replies
            .put_bytes(|out| self.negotiation.option(code, &data, out))?;
        Ok(match outcome {
            Outcome::Continue => {
                self.input = Input::OptionHeader;
                Step::Again
            }
            Outcome::StartTls => {
                // Nothing may lie between this option and the TLS handshake: it would be taken for
                // something that came under TLS.
                if !input.is_empty() {
                    return Err(SessionEnd::PlaintextAfterStartTls);
                }
                self.input = Input::AwaitingTls;
                Step::Event(Event::StartTls)
            }
            Outcome::Selected(export) => {
                self.negotiated = negotiated;
                self.export = Some(export.clone());
                self.input = Input::RequestHeader;
                Step::Event(Event::ExportSelected(export))
            }
        })
    }

    fn request_header(&mut self, header: RequestHeader, payloads: &mut P) -> Step<P::Write> {
        let Some(export) = &self.export else {
            // Requests are only parsed after an export was entered.
            self.input = Input::Ended;
            return Step::Blocked;
        };
        let verdict = match header.judge(export, self.negotiated) {
            Verdict::Serve | Verdict::Succeed if self.shutting_down => {
                Verdict::Refuse(NbdError::Shutdown)
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Disconnect => {
                self.input = Input::Ended;
                Step::Event(Event::Disconnect)
            }
            Verdict::Refuse(error) => {
                let left = header.payload_length();
                self.input = Input::Discard {
                    header,
                    error,
                    left,
                };
                Step::Again
            }
            Verdict::Succeed => {
                self.replies
                    .put_success(&header.ticket(), self.negotiated.structured);
                Step::Again
            }
            Verdict::Serve if header.payload_length() > 0 => self.await_payload(header, payloads),
            Verdict::Serve => match self.serve(header, None) {
                Some(event) => Step::Event(event),
                None => Step::Again,
            },
        }
    }

    fn await_payload(&mut self, header: RequestHeader, payloads: &mut P) -> Step<P::Write> {
        match payloads.allocate(header.payload_length() as usize) {
            Some(buffer) => {
                self.input = Input::Payload {
                    header,
                    buffer,
                    filled: 0,
                };
                Step::Again
            }
            None => {
                self.input = Input::Memory { header };
                Step::Blocked
            }
        }
    }

    fn serve(
        &mut self,
        header: RequestHeader,
        payload: Option<P::Write>,
    ) -> Option<Event<P::Write>> {
        let command: Command<P::Write> = header.into_command(payload)?;
        self.outstanding += 1;
        Some(Event::Request(Request {
            ticket: header.ticket(),
            command,
        }))
    }
}

/// Takes exactly `N` bytes, across as many calls as it needs.
fn take<const N: usize>(partial: &mut Vec<u8>, input: &mut &[u8]) -> Option<[u8; N]> {
    if partial.is_empty()
        && let Some((bytes, rest)) = input.split_first_chunk()
    {
        *input = rest;
        return Some(*bytes);
    }
    if !fill(partial, N, input) {
        return None;
    }
    let bytes = partial.first_chunk().copied();
    partial.clear();
    bytes
}

/// Moves bytes until `partial` has `length`; tells whether it has.
fn fill(partial: &mut Vec<u8>, length: usize, input: &mut &[u8]) -> bool {
    let count = (length - partial.len()).min(input.len());
    let (now, later) = input.split_at(count);
    partial.extend_from_slice(now);
    *input = later;
    partial.len() == length
}

#[cfg(test)]
mod tests;
