//! Tests of the session: a client made of bytes against the real state machine.

mod options;
mod replies;
mod requests;
mod splits;

use std::sync::Arc;

use bytes::Buf;

use super::*;
use crate::constants::{OPTION_MAGIC, OPTION_REPLY_MAGIC, REQUEST_MAGIC, option_code};
use crate::export::{BlockSizes, Extent, Features};
use crate::reply::ReadPart;
use crate::request::Ticket;

const EVERYTHING: Features = Features {
    read_only: false,
    flush: true,
    fua: true,
    rotational: false,
    trim: true,
    write_zeroes: true,
    fast_zero: true,
    multi_connection: true,
    cache: false,
    block_status: true,
};

const SIZE: u64 = 1 << 20;

/// What the tests give to a session: counts every allocation and can run out.
#[derive(Default)]
struct Pool {
    allocated: Vec<usize>,
    exhausted: bool,
}

impl Payloads for Pool {
    type Write = Vec<u8>;
    type Read = Vec<u8>;

    fn allocate(&mut self, length: usize) -> Option<Vec<u8>> {
        if self.exhausted {
            return None;
        }
        self.allocated.push(length);
        // Longer than asked for, as a pool of aligned buffers would give.
        Some(vec![0xee; length.next_multiple_of(4096)])
    }
}

fn export(name: &str, features: Features, minimum: u32) -> ExportInfo {
    ExportInfo {
        name: name.to_owned(),
        description: format!("about {name}"),
        size: SIZE,
        block_sizes: BlockSizes::new(minimum, 4096, 64 * 1024).unwrap(),
        features,
    }
}

fn directory() -> Arc<dyn ExportDirectory> {
    Arc::new(vec![
        export("disk", EVERYTHING, 1),
        export("aligned", EVERYTHING, 512),
        export("view", Features::READ_ONLY_VIEW, 1),
        export("plain", Features::default(), 1),
    ])
}

struct Peer {
    session: ServerSession<Pool>,
    pool: Pool,
}

impl Peer {
    /// A client that has read the greeting and answered it.
    fn new(tls: TlsMode) -> Self {
        Self::with_flags(tls, 3)
    }

    fn with_flags(tls: TlsMode, flags: u32) -> Self {
        let mut peer = Self::silent(tls);
        assert_eq!(peer.send(&flags.to_be_bytes()), Ok(vec![]));
        peer.output();
        peer
    }

    fn silent(tls: TlsMode) -> Self {
        Self {
            session: ServerSession::new(directory(), tls),
            pool: Pool::default(),
        }
    }

    /// A client in the transmission phase.
    fn transmitting(name: &str, structured: bool) -> Self {
        let mut peer = Self::new(TlsMode::NotOffered);
        if structured {
            peer.option(option_code::STRUCTURED_REPLY, &[]);
            peer.option(
                option_code::SET_META_CONTEXT,
                &contexts(name, &["base:allocation"]),
            );
        }
        let events = peer
            .send(&option(option_code::GO, &query(name, &[])))
            .unwrap();
        assert!(matches!(&events[..], [Event::ExportSelected(info)] if info.name == name));
        peer.output();
        peer
    }

    fn send(&mut self, bytes: &[u8]) -> Result<Vec<Event<Vec<u8>>>, SessionEnd> {
        let mut input = bytes;
        let mut events = Vec::new();
        while let Some(event) = self.session.receive(&mut input, &mut self.pool)? {
            events.push(event);
        }
        assert!(input.is_empty() || matches!(self.session.wanted(), Wanted::Memory));
        Ok(events)
    }

    /// Sends one option; the replies as (type, data).
    fn option(&mut self, code: u32, data: &[u8]) -> Vec<(u32, Vec<u8>)> {
        assert_eq!(self.send(&option(code, data)), Ok(vec![]));
        self.option_replies(code)
    }

    fn option_replies(&mut self, code: u32) -> Vec<(u32, Vec<u8>)> {
        option_replies(&self.output(), code)
    }

    /// Types of the replies to one option.
    fn option_kinds(&mut self, code: u32, data: &[u8]) -> Vec<u32> {
        self.option(code, data)
            .into_iter()
            .map(|(kind, _)| kind)
            .collect()
    }

    fn output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(mut batch) = self.session.take_replies() {
            bytes.extend_from_slice(&batch.copy_to_bytes(batch.remaining()));
            self.session.recycle(batch);
        }
        bytes
    }

    /// Sends one request, with payload, that the session must answer by itself; its reply.
    fn refused(&mut self, request: &[u8]) -> Vec<u8> {
        assert_eq!(
            self.send(request),
            Ok(vec![]),
            "the shell must not see this request"
        );
        self.output()
    }

    /// Sends one request that the shell gets.
    fn served(&mut self, request: &[u8]) -> Request<Vec<u8>> {
        let mut events = self.send(request).unwrap();
        assert_eq!(events.len(), 1);
        match events.pop() {
            Some(Event::Request(request)) => request,
            other => panic!("not a request: {other:?}"),
        }
    }
}

fn option_replies(mut bytes: &[u8], code: u32) -> Vec<(u32, Vec<u8>)> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes.get_u64(), OPTION_REPLY_MAGIC);
        assert_eq!(bytes.get_u32(), code);
        let kind = bytes.get_u32();
        let length = bytes.get_u32() as usize;
        replies.push((kind, bytes[..length].to_vec()));
        bytes.advance(length);
    }
    replies
}

fn option(code: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    [
        &OPTION_MAGIC.to_be_bytes()[..],
        &code.to_be_bytes(),
        &length.to_be_bytes(),
        data,
    ]
    .concat()
}

fn sized(text: &str) -> Vec<u8> {
    [
        &u32::try_from(text.len()).unwrap().to_be_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

fn query(name: &str, wanted: &[u16]) -> Vec<u8> {
    let mut data = sized(name);
    data.extend_from_slice(&u16::try_from(wanted.len()).unwrap().to_be_bytes());
    wanted
        .iter()
        .for_each(|info| data.extend_from_slice(&info.to_be_bytes()));
    data
}

fn contexts(name: &str, queries: &[&str]) -> Vec<u8> {
    let mut data = sized(name);
    data.extend_from_slice(&u32::try_from(queries.len()).unwrap().to_be_bytes());
    queries
        .iter()
        .for_each(|query| data.extend_from_slice(&sized(query)));
    data
}

fn request(flags: u16, code: u16, cookie: u64, offset: u64, length: u32) -> Vec<u8> {
    [
        &REQUEST_MAGIC.to_be_bytes()[..],
        &flags.to_be_bytes(),
        &code.to_be_bytes(),
        &cookie.to_be_bytes(),
        &offset.to_be_bytes(),
        &length.to_be_bytes(),
    ]
    .concat()
}

fn simple_reply(cookie: u64, error: u32) -> Vec<u8> {
    [
        &0x6744_6698_u32.to_be_bytes()[..],
        &error.to_be_bytes(),
        &cookie.to_be_bytes(),
    ]
    .concat()
}

/// One structured reply chunk as (done, type, cookie, payload); the rest of the bytes.
fn take_chunk(mut bytes: &[u8]) -> ((bool, u16, u64, Vec<u8>), &[u8]) {
    assert_eq!(bytes.get_u32(), 0x668e_33ef);
    let flags = bytes.get_u16();
    let kind = bytes.get_u16();
    let cookie = bytes.get_u64();
    let length = bytes.get_u32() as usize;
    (
        (flags & 1 != 0, kind, cookie, bytes[..length].to_vec()),
        &bytes[length..],
    )
}

fn chunks(mut bytes: &[u8]) -> Vec<(bool, u16, u64, Vec<u8>)> {
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let (chunk, rest) = take_chunk(bytes);
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}
