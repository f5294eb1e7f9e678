//! However a client's bytes are cut, the same happens; and no bytes do harm.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::constants::{MAXIMUM_OPTION_LENGTH, MAXIMUM_OPTIONS, option_code};

/// Everything observable of a session.
#[derive(Debug, PartialEq, Default)]
struct Trace {
    events: Vec<String>,
    output: Vec<u8>,
    end: Option<SessionEnd>,
}

impl Trace {
    /// Notes an event and answers it, so that replies are compared too.
    fn handle(&mut self, peer: &mut Peer, event: Event<Vec<u8>>) {
        self.events.push(format!("{event:?}"));
        match event {
            Event::StartTls => peer.session.tls_established(),
            Event::Request(Request { ticket, command }) => match command {
                Command::Read { length, .. } => {
                    peer.session.reply_read(ticket, vec![7; length as usize]);
                }
                Command::BlockStatus { length, .. } => {
                    let extent = Extent {
                        length: length.into(),
                        allocation: crate::Allocation::HOLE,
                    };
                    peer.session.reply_block_status(ticket, &[extent]);
                }
                _ => peer.session.reply(ticket, Ok(())),
            },
            Event::ExportSelected(_) | Event::Disconnect => {}
        }
    }

    fn receive(&mut self, peer: &mut Peer, mut bytes: &[u8]) {
        loop {
            match peer.session.receive(&mut bytes, &mut peer.pool) {
                Ok(Some(event)) => self.handle(peer, event),
                Ok(None) => break,
                Err(end) => {
                    self.end = Some(end);
                    break;
                }
            }
        }
        self.output.extend(peer.output());
    }

    /// Gives bytes the other way: as much as fits straight into a wanted payload.
    fn receive_in_place(&mut self, peer: &mut Peer, mut bytes: &[u8]) {
        if let Wanted::Payload(room) = peer.session.wanted() {
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if let Some(event) = peer.session.payload_received(count) {
                self.handle(peer, event);
            }
        }
        self.receive(peer, bytes);
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "disk", "aligned", "view", "plain", "nothing"])
}

fn any_option() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(option(option_code::LIST, &[])),
        Just(option(option_code::STRUCTURED_REPLY, &[])),
        (name(), vec(0_u16..5, 0..4))
            .prop_map(|(name, wanted)| option(option_code::INFO, &query(name, &wanted))),
        name().prop_map(|name| option(
            option_code::SET_META_CONTEXT,
            &contexts(name, &["base:allocation"])
        )),
        name().prop_map(|name| option(option_code::LIST_META_CONTEXT, &contexts(name, &[]))),
        (0_u32..14, vec(any::<u8>(), 0..40)).prop_map(|(code, data)| option(code, &data)),
    ]
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let flags = prop_oneof![4 => Just(0_u16), 1 => 0_u16..64];
    let code = prop_oneof![3 => Just(1_u16), 5 => 0_u16..10];
    let offset = prop_oneof![4 => 0..SIZE, 1 => any::<u64>()];
    let length = prop_oneof![6 => 0_u32..3000, 1 => Just(64 * 1024), 1 => Just(64 * 1024 + 1)];
    (flags, code, any::<u64>(), offset, length).prop_map(|(flags, code, cookie, offset, length)| {
        let mut bytes = request(flags, code, cookie, offset, length);
        if code == 1 {
            bytes.resize(28 + length as usize, cookie as u8);
        }
        bytes
    })
}

fn any_conversation() -> impl Strategy<Value = Vec<u8>> {
    let go = name().prop_map(|name| option(option_code::GO, &query(name, &[3])));
    (vec(any_option(), 0..6), go, vec(any_request(), 0..12)).prop_map(|(options, go, requests)| {
        let mut bytes = 3_u32.to_be_bytes().to_vec();
        options
            .iter()
            .chain([&go])
            .chain(&requests)
            .for_each(|part| bytes.extend(part));
        bytes
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        bytes in any_conversation(),
        cuts in vec(any::<prop::sample::Index>(), 0..40),
        in_place: bool,
    ) {
        let mut whole = Trace::default();
        let mut peer = Peer::silent(TlsMode::NotOffered);
        whole.receive(&mut peer, &bytes);

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut pieces = Trace::default();
        let mut peer = Peer::silent(TlsMode::NotOffered);
        for window in cuts.windows(2) {
            let piece = &bytes[window[0]..window[1]];
            if pieces.end.is_some() {
                break;
            }
            if in_place {
                pieces.receive_in_place(&mut peer, piece);
            } else {
                pieces.receive(&mut peer, piece);
            }
        }
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn byte_by_byte_gives_the_same(bytes in any_conversation()) {
        let mut whole = Trace::default();
        whole.receive(&mut Peer::silent(TlsMode::NotOffered), &bytes);
        let mut single = Trace::default();
        let mut peer = Peer::silent(TlsMode::NotOffered);
        for byte in &bytes {
            if single.end.is_some() {
                break;
            }
            single.receive(&mut peer, std::slice::from_ref(byte));
        }
        prop_assert_eq!(whole, single);
    }

    /// Noise after a valid beginning: no panic, no memory beyond the limits.
    #[test]
    fn noise_does_no_harm(
        bytes in any_conversation(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        tls in prop::sample::select(vec![TlsMode::NotOffered, TlsMode::Forced]),
    ) {
        let mut bytes = bytes;
        for (place, value) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= value;
        }
        let mut peer = Peer::silent(tls);
        let mut trace = Trace::default();
        for piece in bytes.chunks(997) {
            if trace.end.is_none() {
                trace.receive(&mut peer, piece);
            }
            prop_assert!(peer.session.partial.capacity() <= 2 * MAXIMUM_OPTION_LENGTH);
        }
        prop_assert!(peer.pool.allocated.iter().all(|&length| length <= 64 * 1024));
        prop_assert!(trace.events.len() <= MAXIMUM_OPTIONS as usize + bytes.len() / 28);
    }
}
