//! Replies as bytes: a queue of headers and payloads that leaves in gathered writes.
//!
//! Headers are copied together into one vector, payloads stay where they are. The queue never
//! touches a socket: a shell takes everything queued as one [`ReplyBatch`], which it owns until it
//! is written.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Buf;

use crate::constants::{
    BASE_ALLOCATION_ID, MAXIMUM_BLOCK_STATUS_EXTENTS, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC,
    chunk, command_flag,
};
use crate::error::NbdError;
use crate::export::Extent;
use crate::request::Ticket;

/// What zeroes are sent from.
static ZEROES: [u8; 64 * 1024] = [0; 64 * 1024];

/// A piece of the answer to a read. Pieces are consecutive and together as long as the request.
#[derive(Debug)]
pub enum ReadPart<R> {
    /// The first `length` bytes of a buffer.
    Data {
        /// Holds the data.
        buffer: R,
        /// Number of bytes, not zero.
        length: u32,
    },
    /// Zeroes; sent as a hole to clients that understand it.
    Hole {
        /// Number of bytes, not zero.
        length: u32,
    },
}

impl<R> ReadPart<R> {
    const fn length(&self) -> u32 {
        match self {
            Self::Data { length, .. } | Self::Hole { length } => *length,
        }
    }
}

#[derive(Debug)]
enum Part<R> {
    /// A range of the header bytes.
    Headers(Range<usize>),
    /// The first bytes of a payload.
    Payload(R, usize),
    /// That many zeroes.
    Zeroes(usize),
}

impl<R> Part<R> {
    const fn length(&self) -> usize {
        match self {
            Self::Headers(range) => range.end - range.start,
            Self::Payload(_, length) | Self::Zeroes(length) => *length,
        }
    }
}

/// Replies on their way out, in order. Implements [`Buf`], so that `write_vectored` of any kind can
/// send it: fill slices with [`Buf::chunks_vectored`], then [`Buf::advance`] by what was written.
///
/// As long as the batch lives and is not advanced, the bytes do not move, even if the batch itself
/// does; this requires that moving an `R` does not move its bytes. An I/O ring may therefore work
/// on the slices of a batch that its owner keeps.
#[derive(Debug)]
pub struct ReplyBatch<R> {
    headers: Vec<u8>,
    parts: VecDeque<Part<R>>,
    /// Bytes of the first part that are already sent.
    sent_of_first: usize,
    remaining: usize,
}

impl<R> Default for ReplyBatch<R> {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            parts: VecDeque::new(),
            sent_of_first: 0,
            remaining: 0,
        }
    }
}

impl<R: AsRef<[u8]>> ReplyBatch<R> {
    /// The unsent bytes of a part, of which the first `skip` are sent; for zeroes perhaps not all.
    fn bytes<'a>(&'a self, part: &'a Part<R>, skip: usize) -> &'a [u8] {
        match part {
            Part::Headers(range) => &self.headers[range.start + skip..range.end],
            Part::Payload(buffer, length) => &buffer.as_ref()[skip..*length],
            Part::Zeroes(length) => &ZEROES[..(length - skip).min(ZEROES.len())],
        }
    }
}

impl<R: AsRef<[u8]>> Buf for ReplyBatch<R> {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.parts
            .front()
            .map_or(&[], |part| self.bytes(part, self.sent_of_first))
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut skip = self.sent_of_first;
        for part in &self.parts {
            while skip < part.length() {
                let Some(slice) = slices.get_mut(filled) else {
                    return filled;
                };
                let bytes = self.bytes(part, skip);
                *slice = IoSlice::new(bytes);
                skip += bytes.len();
                filled += 1;
            }
            skip = 0;
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining, "more was sent than there was");
        self.remaining -= count;
        self.sent_of_first += count;
        // A payload is given up as soon as its last byte is sent.
        while let Some(part) = self.parts.front() {
            if self.sent_of_first < part.length() {
                break;
            }
            self.sent_of_first -= part.length();
            self.parts.pop_front();
        }
    }
}

/// The replies that are queued and not yet taken by the shell.
pub(crate) struct Replies<R> {
    queued: ReplyBatch<R>,
    spare: ReplyBatch<R>,
}

impl<R: AsRef<[u8]>> Replies<R> {
    pub(crate) fn new() -> Self {
        Self {
            queued: ReplyBatch::default(),
            spare: ReplyBatch::default(),
        }
    }

    pub(crate) const fn queued_bytes(&self) -> usize {
        self.queued.remaining
    }

    pub(crate) fn take(&mut self) -> Option<ReplyBatch<R>> {
        if self.queued.remaining == 0 {
            return None;
        }
        Some(std::mem::replace(
            &mut self.queued,
            std::mem::take(&mut self.spare),
        ))
    }

    /// Takes back the memory of a batch that was written.
    pub(crate) fn recycle(&mut self, mut batch: ReplyBatch<R>) {
        batch.headers.clear();
        batch.parts.clear();
        batch.sent_of_first = 0;
        batch.remaining = 0;
        self.spare = batch;
    }

    /// Appends header bytes that `fill` writes.
    pub(crate) fn put_bytes<T>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let start = self.queued.headers.len();
        let result = fill(&mut self.queued.headers);
        let end = self.queued.headers.len();
        self.queued.remaining += end - start;
        match self.queued.parts.back_mut() {
            Some(Part::Headers(range)) => range.end = end,
            _ if start == end => {}
            _ => self.queued.parts.push_back(Part::Headers(start..end)),
        }
        result
    }

    fn put_part(&mut self, part: ReadPart<R>) {
        let part = match part {
            ReadPart::Data { buffer, length } => Part::Payload(buffer, length as usize),
            ReadPart::Hole { length } => Part::Zeroes(length as usize),
        };
        self.queued.remaining += part.length();
        self.queued.parts.push_back(part);
    }

    fn put_simple(&mut self, cookie: u64, error: u32) {
        self.put_bytes(|out| {
            out.extend_from_slice(&SIMPLE_REPLY_MAGIC.to_be_bytes());
            out.extend_from_slice(&error.to_be_bytes());
            out.extend_from_slice(&cookie.to_be_bytes());
        });
    }

    fn put_chunk(&mut self, cookie: u64, done: bool, kind: u16, length: u32, fixed: &[u8]) {
        self.put_bytes(|out| {
            let flags = if done { chunk::FLAG_DONE } else { 0 };
            out.extend_from_slice(&STRUCTURED_REPLY_MAGIC.to_be_bytes());
            out.extend_from_slice(&flags.to_be_bytes());
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&cookie.to_be_bytes());
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(fixed);
        });
    }

    /// Success without data. A read of no bytes is answered like this too.
    pub(crate) fn put_success(&mut self, ticket: &Ticket, structured: bool) {
        if structured && ticket.kind == crate::request::CommandKind::Read {
            self.put_chunk(ticket.cookie, true, chunk::NONE, 0, &[]);
        } else {
            self.put_simple(ticket.cookie, 0);
        }
    }

    /// An error, with words for people where the protocol has room for them.
    pub(crate) fn put_error(&mut self, ticket: &Ticket, structured: bool, error: NbdError) {
        if !structured {
            return self.put_simple(ticket.cookie, error.to_wire());
        }
        let message = error.to_string();
        let length = u16::try_from(message.len()).expect("messages of NbdError are short");
        let mut fixed = Vec::with_capacity(6 + message.len());
        fixed.extend_from_slice(&error.to_wire().to_be_bytes());
        fixed.extend_from_slice(&length.to_be_bytes());
        fixed.extend_from_slice(message.as_bytes());
        self.put_chunk(
            ticket.cookie,
            true,
            chunk::ERROR,
            u32::from(length) + 6,
            &fixed,
        );
    }

    /// The data of a read in one buffer, which was checked to be long enough.
    pub(crate) fn put_data(&mut self, ticket: &Ticket, structured: bool, buffer: R) {
        let length = ticket.length;
        if structured {
            let fixed = ticket.offset.to_be_bytes();
            self.put_chunk(ticket.cookie, true, chunk::OFFSET_DATA, length + 8, &fixed);
        } else {
            self.put_simple(ticket.cookie, 0);
        }
        self.put_part(ReadPart::Data { buffer, length });
    }

    /// The data of a read. The parts were checked to be exactly as long as the request.
    pub(crate) fn put_read(&mut self, ticket: &Ticket, structured: bool, parts: Vec<ReadPart<R>>) {
        if !structured {
            self.put_simple(ticket.cookie, 0);
            return parts.into_iter().for_each(|part| self.put_part(part));
        }
        let one_chunk = ticket.has(command_flag::DF) && parts.len() > 1;
        let mut offset = ticket.offset;
        let mut left = ticket.length;
        let mut parts = parts.into_iter().peekable();
        while let Some(first) = parts.next() {
            if !one_chunk && let ReadPart::Hole { length } = first {
                left -= length;
                self.put_hole_chunk(ticket, left == 0, offset, length);
                offset += u64::from(length);
                continue;
            }
            // One chunk for all data up to the next hole, or for everything.
            let mut run = vec![first];
            while let Some(next) =
                parts.next_if(|next| one_chunk || matches!(next, ReadPart::Data { .. }))
            {
                run.push(next);
            }
            let length: u32 = run.iter().map(ReadPart::length).sum();
            left -= length;
            let fixed = offset.to_be_bytes();
            self.put_chunk(
                ticket.cookie,
                left == 0,
                chunk::OFFSET_DATA,
                length + 8,
                &fixed,
            );
            run.into_iter().for_each(|part| self.put_part(part));
            offset += u64::from(length);
        }
    }

    fn put_hole_chunk(&mut self, ticket: &Ticket, done: bool, offset: u64, length: u32) {
        let mut fixed = [0; 12];
        let (first, second) = fixed.split_at_mut(8);
        first.copy_from_slice(&offset.to_be_bytes());
        second.copy_from_slice(&length.to_be_bytes());
        self.put_chunk(ticket.cookie, done, chunk::OFFSET_HOLE, 12, &fixed);
    }

    /// The allocation map of a range, in descriptors that were made by [`descriptors`].
    pub(crate) fn put_block_status(&mut self, ticket: &Ticket, descriptors: &[(u32, u32)]) {
        let mut fixed = Vec::with_capacity(4 + 8 * descriptors.len());
        fixed.extend_from_slice(&BASE_ALLOCATION_ID.to_be_bytes());
        for (length, flags) in descriptors {
            fixed.extend_from_slice(&length.to_be_bytes());
            fixed.extend_from_slice(&flags.to_be_bytes());
        }
        let length = u32::try_from(fixed.len()).expect("the number of descriptors is bounded");
        self.put_chunk(ticket.cookie, true, chunk::BLOCK_STATUS, length, &fixed);
    }
}

/// Turns extents into the descriptors of a block status reply: neighbours with equal state become
/// one, nothing is empty, nothing goes past the request, and there are not too many.
pub(crate) fn descriptors(ticket: &Ticket, extents: &[Extent]) -> Vec<(u32, u32)> {
    let limit = if ticket.has(command_flag::REQ_ONE) {
        1
    } else {
        MAXIMUM_BLOCK_STATUS_EXTENTS
    };
    let mut left = ticket.length;
    let mut descriptors: Vec<(u32, u32)> = Vec::new();
    for extent in extents {
        let length = u32::try_from(extent.length).map_or(left, |length| length.min(left));
        if length == 0 {
            continue;
        }
        let flags = extent.allocation.to_wire();
        let count = descriptors.len();
        match descriptors.last_mut() {
            Some(last) if last.1 == flags => last.0 += length,
            _ if count == limit => break,
            _ => descriptors.push((length, flags)),
        }
        left -= length;
    }
    descriptors
}

/// Whether the parts of a read are what was asked for: together as long as the request, none empty,
/// every buffer long enough.
pub(crate) fn parts_fit<R: AsRef<[u8]>>(ticket: &Ticket, parts: &[ReadPart<R>]) -> bool {
    let total: u64 = parts.iter().map(|part| u64::from(part.length())).sum();
    let sound = parts.iter().all(|part| match part {
        ReadPart::Data { buffer, length } => {
            *length > 0 && buffer.as_ref().len() >= *length as usize
        }
        ReadPart::Hole { length } => *length > 0,
    });
    sound && total == u64::from(ticket.length)
}
