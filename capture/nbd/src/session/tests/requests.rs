//! The transmission phase: which requests a shell gets, and what all others are answered.

use super::*;
use crate::constants::{command_code as code, command_flag as flag};

const PERM: u32 = 1;
const INVALID: u32 = 22;
const NO_SPACE: u32 = 28;
const SHUTDOWN: u32 = 108;

/// The bad-input table: (what, flags, command, offset, length, expected error; 0 is success).
const BAD_INPUT: [(&str, u16, u16, u64, u32, u32); 31] = [
    ("read past the end", 0, code::READ, SIZE - 1, 2, INVALID),
    ("read far past the end", 0, code::READ, SIZE * 2, 1, INVALID),
    ("read with offset wrap", 0, code::READ, u64::MAX, 2, INVALID),
    ("write past the end", 0, code::WRITE, SIZE - 1, 2, NO_SPACE),
    (
        "write with offset wrap",
        0,
        code::WRITE,
        u64::MAX - 1,
        4,
        NO_SPACE,
    ),
    (
        "zeroes past the end",
        0,
        code::WRITE_ZEROES,
        SIZE,
        1,
        NO_SPACE,
    ),
    (
        "trim past the end",
        0,
        code::TRIM,
        SIZE - 512,
        1024,
        INVALID,
    ),
    ("cache past the end", 0, code::CACHE, SIZE, 1, INVALID),
    ("zero-length read", 0, code::READ, 0, 0, 0),
    ("zero-length write", 0, code::WRITE, 0, 0, 0),
    ("zero-length write at the end", 0, code::WRITE, SIZE, 0, 0),
    (
        "zero-length read past the end",
        0,
        code::READ,
        SIZE + 1,
        0,
        INVALID,
    ),
    ("zero-length trim", 0, code::TRIM, 0, 0, 0),
    ("zero-length zeroes", 0, code::WRITE_ZEROES, 0, 0, 0),
    ("cache, which is not advertised", 0, code::CACHE, 0, 4096, 0),
    ("resize", 0, 8, 0, 0, INVALID),
    ("unknown command", 0, 4711, 0, 0, INVALID),
    ("unknown flag on read", 1 << 9, code::READ, 0, 512, INVALID),
    (
        "unknown flag on write",
        1 << 15,
        code::WRITE,
        0,
        512,
        INVALID,
    ),
    (
        "payload length flag on write",
        1 << 5,
        code::WRITE,
        0,
        512,
        INVALID,
    ),
    (
        "no-hole flag on read",
        flag::NO_HOLE,
        code::READ,
        0,
        512,
        INVALID,
    ),
    (
        "fast flag on write",
        flag::FAST_ZERO,
        code::WRITE,
        0,
        512,
        INVALID,
    ),
    (
        "one-extent flag on read",
        flag::REQ_ONE,
        code::READ,
        0,
        512,
        INVALID,
    ),
    (
        "don't fragment without structured replies",
        flag::DF,
        code::READ,
        0,
        512,
        INVALID,
    ),
    (
        "block status without context",
        0,
        code::BLOCK_STATUS,
        0,
        512,
        INVALID,
    ),
    ("flush with offset", 0, code::FLUSH, 512, 0, INVALID),
    ("flush with length", 0, code::FLUSH, 0, 512, INVALID),
    (
        "read longer than the maximum payload",
        0,
        code::READ,
        0,
        64 * 1024 + 1,
        INVALID,
    ),
    (
        "write longer than the maximum payload",
        0,
        code::WRITE,
        0,
        64 * 1024 + 1,
        INVALID,
    ),
    (
        "huge read past the end",
        0,
        code::READ,
        0,
        (64 << 20) + 1,
        INVALID,
    ),
    (
        "huge trim past the end",
        0,
        code::TRIM,
        0,
        u32::MAX,
        INVALID,
    ),
];

#[test]
fn bad_input_is_answered_and_the_session_lives() {
    let mut peer = Peer::transmitting("disk", false);
    for (what, flags, command, offset, length, error) in BAD_INPUT {
        let mut bytes = request(flags, command, 77, offset, length);
        if command == code::WRITE {
            // The payload is consumed before the reply, whatever is wrong with the header.
            assert_eq!(
                peer.refused(&bytes),
                if length == 0 {
                    simple_reply(77, 0)
                } else {
                    vec![]
                }
            );
            if length == 0 {
                continue;
            }
            bytes = vec![0xaa; length as usize];
        }
        assert_eq!(peer.refused(&bytes), simple_reply(77, error), "{what}");
    }
    assert_eq!(
        peer.pool.allocated,
        Vec::<usize>::new(),
        "no memory for refused writes"
    );
    let alive = peer.served(&request(0, code::READ, 1, 0, 512));
    assert_eq!(
        alive.command,
        Command::Read {
            offset: 0,
            length: 512
        }
    );
}

#[test]
fn with_structured_replies_errors_come_as_chunks() {
    let mut peer = Peer::transmitting("disk", true);
    for (what, flags, command, offset, length, error) in BAD_INPUT {
        if flags == flag::DF || command == code::BLOCK_STATUS || command == code::WRITE {
            continue;
        }
        let output = peer.refused(&request(flags, command, 77, offset, length));
        if error == 0 && command != code::READ {
            assert_eq!(output, simple_reply(77, 0), "{what}");
            continue;
        }
        let chunks = chunks(&output);
        let [(true, kind, 77, payload)] = &chunks[..] else {
            panic!("{what}: {chunks:?}")
        };
        if error == 0 {
            assert_eq!((*kind, payload.len()), (0, 0), "{what}");
        } else {
            assert_eq!(*kind, 0x8001, "{what}");
            assert_eq!(payload[..4], error.to_be_bytes(), "{what}");
            let message = usize::from(u16::from_be_bytes([payload[4], payload[5]]));
            assert_eq!(payload.len(), 6 + message, "{what}");
        }
    }
}

#[test]
fn unfragmented_reads_that_are_too_long_overflow() {
    let mut peer = Peer::transmitting("disk", true);
    let output = peer.refused(&request(flag::DF, code::READ, 1, 0, 64 * 1024 + 1));
    assert_eq!(chunks(&output)[0].3[..4], 75_u32.to_be_bytes());
    peer.served(&request(flag::DF, code::READ, 1, 0, 64 * 1024));
}

#[test]
fn zero_length_block_status_is_refused() {
    let mut peer = Peer::transmitting("disk", true);
    let output = peer.refused(&request(0, code::BLOCK_STATUS, 1, 0, 0));
    assert_eq!(chunks(&output)[0].3[..4], INVALID.to_be_bytes());
}

#[test]
fn a_read_only_export_refuses_every_change() {
    let mut peer = Peer::transmitting("view", false);
    for command in [code::TRIM, code::WRITE_ZEROES] {
        let output = peer.refused(&request(0, command, 5, 0, 512));
        assert_eq!(output, simple_reply(5, PERM));
    }
    let write = [request(0, code::WRITE, 6, 0, 3), b"abc".to_vec()].concat();
    assert_eq!(peer.refused(&write), simple_reply(6, PERM));
    assert_eq!(peer.pool.allocated, Vec::<usize>::new());
}

#[test]
fn what_is_not_advertised_is_not_served() {
    let mut peer = Peer::transmitting("plain", false);
    for (flags, command) in [
        (0, code::FLUSH),
        (0, code::TRIM),
        (0, code::WRITE_ZEROES),
        (flag::FUA, code::READ),
    ] {
        let length = if command == code::FLUSH { 0 } else { 512 };
        let output = peer.refused(&request(flags, command, 5, 0, length));
        assert_eq!(output, simple_reply(5, INVALID), "command {command}");
    }
}

#[test]
fn unaligned_requests_are_refused() {
    let mut peer = Peer::transmitting("aligned", false);
    for (command, offset, length) in [
        (code::READ, 1, 512),
        (code::READ, 512, 100),
        (code::TRIM, 511, 512),
        (code::WRITE_ZEROES, 0, 513),
    ] {
        let output = peer.refused(&request(0, command, 5, offset, length));
        assert_eq!(output, simple_reply(5, INVALID), "command {command}");
    }
    peer.served(&request(0, code::READ, 5, 512, 1024));
}

#[test]
fn every_command_reaches_the_shell_as_it_was_meant() {
    let mut peer = Peer::transmitting("disk", true);
    let zeroes = flag::FUA | flag::NO_HOLE | flag::FAST_ZERO;
    let cases = [
        (
            request(0, code::READ, 1, 3, 5),
            Command::Read {
                offset: 3,
                length: 5,
            },
        ),
        (
            request(flag::FUA, code::READ, 1, 3, 5),
            Command::Read {
                offset: 3,
                length: 5,
            },
        ),
        (request(0, code::FLUSH, 1, 0, 0), Command::Flush),
        (request(flag::FUA, code::FLUSH, 1, 0, 0), Command::Flush),
        (
            request(flag::FUA, code::TRIM, 1, 0, 1 << 20),
            Command::Trim {
                offset: 0,
                length: 1 << 20,
                fua: true,
            },
        ),
        (
            request(zeroes, code::WRITE_ZEROES, 1, 8, 1 << 19),
            Command::WriteZeroes {
                offset: 8,
                length: 1 << 19,
                fua: true,
                no_hole: true,
                fast_zero: true,
            },
        ),
        (
            request(flag::REQ_ONE, code::BLOCK_STATUS, 1, 0, 1 << 20),
            Command::BlockStatus {
                offset: 0,
                length: 1 << 20,
                request_one: true,
            },
        ),
    ];
    for (bytes, command) in cases {
        let request = peer.served(&bytes);
        assert_eq!(request.command, command);
        assert_eq!(request.ticket.cookie(), 1);
    }
    assert_eq!(peer.session.outstanding(), 7);
}

#[test]
fn a_write_brings_its_payload() {
    let mut peer = Peer::transmitting("disk", false);
    let bytes = [
        request(flag::FUA, code::WRITE, 9, 100, 5),
        b"hello".to_vec(),
    ]
    .concat();
    let Request { ticket, command } = peer.served(&bytes);
    let Command::Write {
        offset: 100,
        length: 5,
        fua: true,
        payload,
    } = command
    else {
        panic!("not the write: {command:?}");
    };
    assert_eq!(payload[..5], *b"hello");
    assert_eq!(peer.pool.allocated, [5]);
    peer.session.reply(ticket, Ok(()));
    assert_eq!(peer.output(), simple_reply(9, 0));
    assert_eq!(peer.session.outstanding(), 0);
}

#[test]
fn a_payload_can_be_received_in_place() {
    let mut peer = Peer::transmitting("disk", false);
    assert!(matches!(peer.session.wanted(), Wanted::Bytes));
    let bytes = [request(0, code::WRITE, 9, 0, 5), b"he".to_vec()].concat();
    assert_eq!(peer.send(&bytes), Ok(vec![]));
    let Wanted::Payload(room) = peer.session.wanted() else {
        panic!("no payload wanted")
    };
    assert_eq!(room.len(), 3);
    room[..2].copy_from_slice(b"ll");
    assert_eq!(peer.session.payload_received(2), None);
    let Wanted::Payload(room) = peer.session.wanted() else {
        panic!("no payload wanted")
    };
    room.copy_from_slice(b"o");
    let event = peer.session.payload_received(1);
    let Some(Event::Request(Request {
        command: Command::Write { payload, .. },
        ..
    })) = event
    else {
        panic!("not the write: {event:?}");
    };
    assert_eq!(payload[..5], *b"hello");
    peer.served(&request(0, code::READ, 1, 0, 1));
}

#[test]
fn without_memory_the_session_waits() {
    let mut peer = Peer::transmitting("disk", false);
    peer.pool.exhausted = true;
    let write = [request(0, code::WRITE, 9, 0, 2), b"ab".to_vec()].concat();
    let bytes = [write, request(0, code::FLUSH, 10, 0, 0)].concat();
    let mut input = &bytes[..];
    assert_eq!(peer.session.receive(&mut input, &mut peer.pool), Ok(None));
    assert!(matches!(peer.session.wanted(), Wanted::Memory));
    assert_eq!(input.len(), 30, "only the header was consumed");
    peer.pool.exhausted = false;
    let event = peer.session.receive(&mut input, &mut peer.pool).unwrap();
    let Some(Event::Request(Request {
        command: Command::Write { payload, .. },
        ..
    })) = event
    else {
        panic!("not the write: {event:?}");
    };
    assert_eq!(payload[..2], *b"ab");
    let event = peer.session.receive(&mut input, &mut peer.pool).unwrap();
    assert!(matches!(
        event,
        Some(Event::Request(Request {
            command: Command::Flush,
            ..
        }))
    ));
}

#[test]
fn goodbye_ends_the_session() {
    let mut peer = Peer::transmitting("disk", false);
    let bytes = [
        request(0, code::DISC, 1, 0, 0),
        request(0, code::READ, 2, 0, 1),
    ]
    .concat();
    assert_eq!(peer.send(&bytes), Ok(vec![Event::Disconnect]));
    assert!(peer.output().is_empty(), "a goodbye has no reply");
    assert_eq!(peer.session.stage(), Stage::Ended);
}

#[test]
fn wrong_request_magic_ends_the_session() {
    let mut peer = Peer::transmitting("disk", false);
    assert_eq!(
        peer.send(&[0x22; 28]),
        Err(SessionEnd::BadRequestMagic(0x2222_2222))
    );
    assert_eq!(peer.send(&request(0, code::READ, 2, 0, 1)), Ok(vec![]));
}

#[test]
fn late_requests_hear_of_the_shutdown() {
    let mut peer = Peer::transmitting("disk", false);
    let early = peer.served(&request(0, code::FLUSH, 1, 0, 0));
    peer.session.begin_shutdown();
    let late = [request(0, code::WRITE, 2, 0, 2), b"ab".to_vec()].concat();
    assert_eq!(peer.refused(&late), simple_reply(2, SHUTDOWN));
    peer.session.reply(early.ticket, Ok(()));
    assert_eq!(
        peer.output(),
        simple_reply(1, 0),
        "what was begun is finished"
    );
    assert_eq!(
        peer.send(&request(0, code::DISC, 3, 0, 0)),
        Ok(vec![Event::Disconnect])
    );
}
