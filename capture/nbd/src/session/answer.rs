//! How a shell answers requests.
//!
//! Every method consumes the ticket of one request and queues exactly one reply. A reply that does
//! not fit its request never reaches the client.

use super::{Payloads, ServerSession};
use crate::constants::command_flag;
use crate::error::NbdError;
use crate::export::Extent;
use crate::reply::{self, ReadPart};
use crate::request::{CommandKind, Ticket};

impl<P: Payloads> ServerSession<P> {
    /// Answers a request that returns no data. For a read or block status only an error makes
    /// sense; success is turned into an input/output error.
    pub fn reply(&mut self, ticket: Ticket, result: Result<(), NbdError>) {
        self.outstanding = self.outstanding.saturating_sub(1);
        let needs_data = matches!(ticket.kind, CommandKind::Read | CommandKind::BlockStatus);
        match result {
            Ok(()) if needs_data => self.refuse_own_reply(&ticket),
            Ok(()) => self
                .replies
                .put_success(&ticket, self.negotiated.structured),
            Err(error) => {
                let error = sendable(&ticket, error);
                self.replies
                    .put_error(&ticket, self.negotiated.structured, error);
            }
        }
    }

    /// Answers a read with the first bytes of a buffer, as many as were asked for.
    pub fn reply_read(&mut self, ticket: Ticket, buffer: P::Read) {
        self.outstanding = self.outstanding.saturating_sub(1);
        let enough = buffer.as_ref().len() >= ticket.length as usize;
        if ticket.kind == CommandKind::Read && enough {
            self.replies
                .put_data(&ticket, self.negotiated.structured, buffer);
        } else {
            self.refuse_own_reply(&ticket);
        }
    }

    /// Answers a read with data and holes, which together are exactly what was asked for.
    pub fn reply_read_parts(&mut self, ticket: Ticket, parts: Vec<ReadPart<P::Read>>) {
        self.outstanding = self.outstanding.saturating_sub(1);
        if ticket.kind == CommandKind::Read && reply::parts_fit(&ticket, &parts) {
            self.replies
                .put_read(&ticket, self.negotiated.structured, parts);
        } else {
            self.refuse_own_reply(&ticket);
        }
    }

    /// Answers a block status request. The first extent begins at the offset of the request; the
    /// rest may be longer or shorter than the request. No extents is an input/output error.
    pub fn reply_block_status(&mut self, ticket: Ticket, extents: &[Extent]) {
        self.outstanding = self.outstanding.saturating_sub(1);
        let descriptors = reply::descriptors(&ticket, extents);
        if ticket.kind == CommandKind::BlockStatus && !descriptors.is_empty() {
            self.replies.put_block_status(&ticket, &descriptors);
        } else {
            self.refuse_own_reply(&ticket);
        }
    }

    /// The shell's reply does not fit the request. The client must not see it: it would lose its
    /// place in the stream or take wrong bytes for data.
    fn refuse_own_reply(&mut self, ticket: &Ticket) {
        tracing::error!(
            kind = ?ticket.kind, offset = ticket.offset, length = ticket.length,
            "reply does not fit its request, sending an input/output error instead"
        );
        self.replies
            .put_error(ticket, self.negotiated.structured, NbdError::Io);
    }
}

/// The error as the protocol allows it in reply to this request: "not supported" is only for fast
/// zeroes, and "no memory" for nobody.
fn sendable(ticket: &Ticket, error: NbdError) -> NbdError {
    let fast = ticket.kind == CommandKind::WriteZeroes && ticket.has(command_flag::FAST_ZERO);
    match error {
        NbdError::NotSupported if !fast => NbdError::Io,
        NbdError::NoMemory => NbdError::Io,
        error => error,
    }
}
