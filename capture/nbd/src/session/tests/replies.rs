//! What a shell's replies look like on the wire.

use super::*;
use crate::constants::{command_code as code, command_flag as flag};
use crate::export::Allocation;
use std::io::IoSlice;

fn read(peer: &mut Peer, flags: u16, offset: u64, length: u32) -> Ticket {
    peer.served(&request(flags, code::READ, 7, offset, length))
        .ticket
}

fn data(bytes: &[u8]) -> ReadPart<Vec<u8>> {
    // The buffer is longer than the data: only the data may be sent.
    let length = u32::try_from(bytes.len()).unwrap();
    ReadPart::Data {
        buffer: [bytes, b"secret"].concat(),
        length,
    }
}

#[test]
fn simple_read() {
    let mut peer = Peer::transmitting("disk", false);
    let ticket = read(&mut peer, 0, 0, 3);
    peer.session.reply_read(ticket, b"abcSECRET".to_vec());
    assert_eq!(peer.output(), [&simple_reply(7, 0)[..], b"abc"].concat());
    let ticket = read(&mut peer, 0, 0, 3);
    peer.session.reply(ticket, Err(NbdError::Io));
    assert_eq!(peer.output(), simple_reply(7, 5));
}

#[test]
fn simple_read_spells_holes_out() {
    let mut peer = Peer::transmitting("disk", false);
    let ticket = read(&mut peer, 0, 0, 8);
    let parts = vec![data(b"ab"), ReadPart::Hole { length: 3 }, data(b"cde")];
    peer.session.reply_read_parts(ticket, parts);
    assert_eq!(
        peer.output(),
        [&simple_reply(7, 0)[..], b"ab\0\0\0cde"].concat()
    );
}

#[test]
fn structured_read_is_one_chunk() {
    let mut peer = Peer::transmitting("disk", true);
    let ticket = read(&mut peer, 0, 1000, 3);
    peer.session.reply_read(ticket, b"abc".to_vec());
    let payload = [&1000_u64.to_be_bytes()[..], b"abc"].concat();
    assert_eq!(chunks(&peer.output()), [(true, 1, 7, payload)]);
}

#[test]
fn structured_read_with_holes() {
    let mut peer = Peer::transmitting("disk", true);
    let parts = || {
        vec![
            data(b"a"),
            data(b"b"),
            ReadPart::Hole { length: 300_000 },
            data(b"c"),
        ]
    };
    let ticket = peer.served(&request(0, code::READ, 7, 10, 3)).ticket;
    // Made to fit the long hole: the test export's maximum payload is smaller.
    let ticket = Ticket {
        length: 300_003,
        ..ticket
    };
    peer.session.reply_read_parts(ticket, parts());
    let hole = [&12_u64.to_be_bytes()[..], &300_000_u32.to_be_bytes()].concat();
    assert_eq!(
        chunks(&peer.output()),
        [
            (false, 1, 7, [&10_u64.to_be_bytes()[..], b"ab"].concat()),
            (false, 2, 7, hole),
            (true, 1, 7, [&300_012_u64.to_be_bytes()[..], b"c"].concat()),
        ]
    );
    // The same without fragments is a single chunk of data.
    let ticket = peer.served(&request(flag::DF, code::READ, 7, 10, 3)).ticket;
    let ticket = Ticket {
        length: 300_003,
        ..ticket
    };
    peer.session.reply_read_parts(ticket, parts());
    let mut payload = [&10_u64.to_be_bytes()[..], b"ab"].concat();
    payload.resize(300_010, 0);
    payload.push(b'c');
    assert_eq!(chunks(&peer.output()), [(true, 1, 7, payload)]);
}

#[test]
fn a_hole_alone_stays_a_hole_without_fragments() {
    let mut peer = Peer::transmitting("disk", true);
    let ticket = read(&mut peer, flag::DF, 0, 512);
    peer.session
        .reply_read_parts(ticket, vec![ReadPart::Hole { length: 512 }]);
    let hole = [&0_u64.to_be_bytes()[..], &512_u32.to_be_bytes()].concat();
    assert_eq!(chunks(&peer.output()), [(true, 2, 7, hole)]);
}

#[test]
fn a_reply_that_does_not_fit_becomes_an_error() {
    let mut peer = Peer::transmitting("disk", false);
    for parts in [
        vec![data(b"ab")],
        vec![data(b"abcd")],
        vec![ReadPart::Data {
            buffer: b"a".to_vec(),
            length: 3,
        }],
        vec![data(b"abc"), ReadPart::Hole { length: 0 }],
        vec![],
    ] {
        let ticket = read(&mut peer, 0, 0, 3);
        peer.session.reply_read_parts(ticket, parts);
        assert_eq!(peer.output(), simple_reply(7, 5));
    }
    let ticket = read(&mut peer, 0, 0, 3);
    peer.session.reply(ticket, Ok(()));
    assert_eq!(peer.output(), simple_reply(7, 5), "success without data");
    let flush = peer.served(&request(0, code::FLUSH, 7, 0, 0)).ticket;
    peer.session.reply_read(flush, vec![]);
    assert_eq!(peer.output(), simple_reply(7, 5), "data for a flush");
    assert_eq!(peer.session.outstanding(), 0);
}

/// The descriptors of a status reply to a request of 4096 bytes.
fn status(flags: u16, extents: &[(u64, Allocation)]) -> Vec<(u32, u32)> {
    let mut peer = Peer::transmitting("disk", true);
    let ticket = peer
        .served(&request(flags, code::BLOCK_STATUS, 7, 0, 4096))
        .ticket;
    let extents: Vec<_> = extents
        .iter()
        .map(|&(length, allocation)| Extent { length, allocation })
        .collect();
    peer.session.reply_block_status(ticket, &extents);
    let chunks = chunks(&peer.output());
    let [(true, 5, 7, payload)] = &chunks[..] else {
        panic!("no status: {chunks:?}")
    };
    let mut payload = &payload[..];
    assert_eq!(payload.get_u32(), 1, "the id that was given at selection");
    std::iter::from_fn(|| {
        payload
            .has_remaining()
            .then(|| (payload.get_u32(), payload.get_u32()))
    })
    .collect()
}

#[test]
fn block_status_is_clean() {
    let (data, hole) = (Allocation::DATA, Allocation::HOLE);
    let extents = [
        (1000, data),
        (0, hole),
        (24, data),
        (1024, hole),
        (1 << 40, Allocation::ZERO),
    ];
    assert_eq!(status(0, &extents), [(1024, 0), (1024, 3), (2048, 2)]);
    assert_eq!(status(flag::REQ_ONE, &extents), [(1024, 0)]);
    assert_eq!(status(flag::REQ_ONE, &[(1 << 33, hole)]), [(4096, 3)]);
    assert_eq!(
        status(0, &[(512, hole)]),
        [(512, 3)],
        "a short answer is progress too"
    );
}

#[test]
fn block_status_without_extents_is_an_error() {
    let mut peer = Peer::transmitting("disk", true);
    let ticket = peer
        .served(&request(0, code::BLOCK_STATUS, 7, 0, 4096))
        .ticket;
    peer.session.reply_block_status(ticket, &[]);
    assert_eq!(chunks(&peer.output())[0].3[..4], 5_u32.to_be_bytes());
}

#[test]
fn batches_leave_in_gathered_writes_of_any_size() {
    let mut expected = Vec::new();
    let mut peer = Peer::transmitting("disk", false);
    for round in 0..5_u8 {
        let ticket = read(&mut peer, 0, 0, 1000);
        let parts = vec![data(&[round; 400]), ReadPart::Hole { length: 600 }];
        peer.session.reply_read_parts(ticket, parts);
        let flush = peer.served(&request(0, code::FLUSH, 8, 0, 0)).ticket;
        peer.session.reply(flush, Ok(()));
        expected.extend_from_slice(&simple_reply(7, 0));
        expected.extend_from_slice(&[round; 400]);
        expected.extend_from_slice(&[0; 600]);
        expected.extend_from_slice(&simple_reply(8, 0));
    }
    assert_eq!(peer.session.queued_bytes(), expected.len());
    let mut batch = peer.session.take_replies().unwrap();
    assert!(peer.session.take_replies().is_none());
    let mut sent = Vec::new();
    let mut limit = 1;
    while batch.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 3];
        let filled = batch.chunks_vectored(&mut slices);
        let available: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        assert!(available.starts_with(batch.chunk()));
        let count = available.len().min(limit);
        sent.extend_from_slice(&available[..count]);
        batch.advance(count);
        limit += 13;
    }
    assert_eq!(sent, expected);
}

#[test]
fn only_a_fast_zero_may_be_unsupported() {
    let mut peer = Peer::transmitting("disk", false);
    for (flags, command, error, sent) in [
        (
            flag::FAST_ZERO,
            code::WRITE_ZEROES,
            NbdError::NotSupported,
            95,
        ),
        (0, code::WRITE_ZEROES, NbdError::NotSupported, 5),
        (0, code::TRIM, NbdError::NotSupported, 5),
        (0, code::TRIM, NbdError::NoMemory, 5),
        (0, code::TRIM, NbdError::NoSpace, 28),
    ] {
        let ticket = peer.served(&request(flags, command, 7, 0, 512)).ticket;
        peer.session.reply(ticket, Err(error));
        assert_eq!(peer.output(), simple_reply(7, sent), "{command} {error:?}");
    }
}

#[test]
fn a_short_buffer_never_reaches_the_client() {
    let mut peer = Peer::transmitting("disk", false);
    let ticket = read(&mut peer, 0, 0, 3);
    peer.session.reply_read(ticket, b"ab".to_vec());
    assert_eq!(peer.output(), simple_reply(7, 5));
}
