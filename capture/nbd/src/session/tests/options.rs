//! The negotiation phase, after the conformance checklist.

use super::*;
use crate::constants::{
    MAXIMUM_OPTION_LENGTH, MAXIMUM_OPTIONS, info_type, option_code as code, option_reply as reply,
};

#[test]
fn greeting_offers_fixed_newstyle_without_zeroes() {
    let mut peer = Peer::silent(TlsMode::NotOffered);
    assert_eq!(peer.output(), b"NBDMAGICIHAVEOPT\0\x03");
    assert_eq!(peer.session.stage(), Stage::Negotiation);
}

#[test]
fn unknown_client_flags_end_the_session() {
    for flags in [4_u32, 1 << 31, 0xffff_ffff] {
        let mut peer = Peer::silent(TlsMode::NotOffered);
        let end = peer.send(&flags.to_be_bytes());
        assert_eq!(end, Err(SessionEnd::UnknownClientFlags(flags)));
        assert_eq!(peer.session.stage(), Stage::Ended);
    }
}

#[test]
fn unknown_options_are_consumed_and_the_next_is_parsed() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    let input = [
        option(4711, &[7; 300]),
        option(4, b"x"),
        option(code::LIST, &[]),
    ]
    .concat();
    assert_eq!(peer.send(&input), Ok(vec![]));
    let output = peer.output();
    let (unknown, rest) = split_reply(&output);
    assert_eq!(unknown, (4711, reply::ERR_UNSUP));
    let (withdrawn, rest) = split_reply(rest);
    assert_eq!(withdrawn, (4, reply::ERR_UNSUP));
    let listed = option_replies(rest, code::LIST);
    let names: Vec<_> = listed[..4].iter().map(|(_, data)| data.clone()).collect();
    assert_eq!(names, ["disk", "aligned", "view", "plain"].map(sized));
    assert_eq!(listed[4], (reply::ACK, vec![]));
}

fn split_reply(bytes: &[u8]) -> ((u32, u32), &[u8]) {
    let mut head = &bytes[8..];
    let (option, kind, length) = (head.get_u32(), head.get_u32(), head.get_u32() as usize);
    ((option, kind), &head[length..])
}

#[test]
fn extended_headers_are_declined() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    assert_eq!(peer.option_kinds(11, &[]), [reply::ERR_UNSUP]);
}

#[test]
fn options_without_data_refuse_data() {
    for code in [code::LIST, code::STRUCTURED_REPLY] {
        let mut peer = Peer::new(TlsMode::NotOffered);
        assert_eq!(peer.option_kinds(code, b"x"), [reply::ERR_INVALID]);
    }
    let mut peer = Peer::new(TlsMode::Forced);
    assert_eq!(
        peer.option_kinds(code::STARTTLS, b"x"),
        [reply::ERR_INVALID]
    );
}

#[test]
fn abort_is_acknowledged_whatever_it_carries() {
    for data in [&b""[..], b"noise"] {
        for tls in [TlsMode::NotOffered, TlsMode::Forced] {
            let mut peer = Peer::new(tls);
            assert_eq!(
                peer.send(&option(code::ABORT, data)),
                Err(SessionEnd::Aborted)
            );
            assert_eq!(peer.option_replies(code::ABORT), [(reply::ACK, vec![])]);
            assert_eq!(
                peer.send(b"anything"),
                Ok(vec![]),
                "later bytes are swallowed"
            );
        }
    }
}

#[test]
fn export_name_pads_unless_agreed_otherwise() {
    for (flags, padding) in [(1_u32, 124), (3, 0)] {
        let mut peer = Peer::with_flags(TlsMode::NotOffered, flags);
        let events = peer.send(&option(code::EXPORT_NAME, b"view")).unwrap();
        assert!(matches!(&events[..], [Event::ExportSelected(info)] if info.name == "view"));
        let mut expected = SIZE.to_be_bytes().to_vec();
        // HAS_FLAGS, READ_ONLY, CAN_MULTI_CONN; no DF without structured replies.
        expected.extend_from_slice(&0x0103_u16.to_be_bytes());
        expected.resize(10 + padding, 0);
        assert_eq!(peer.output(), expected);
        assert_eq!(peer.session.stage(), Stage::Transmission);
    }
}

#[test]
fn export_name_cannot_fail_softly() {
    let cases = [
        (
            &b"nothing"[..],
            SessionEnd::UnknownExport {
                name: "nothing".to_owned(),
            },
        ),
        (b"a\0b", SessionEnd::BadExportName),
        (b"\xff", SessionEnd::BadExportName),
    ];
    for (name, end) in cases {
        let mut peer = Peer::new(TlsMode::NotOffered);
        assert_eq!(peer.send(&option(code::EXPORT_NAME, name)), Err(end));
        assert!(peer.output().is_empty());
    }
    let mut peer = Peer::new(TlsMode::Forced);
    let end = peer.send(&option(code::EXPORT_NAME, b"disk"));
    assert_eq!(end, Err(SessionEnd::TlsRequired));
    assert!(peer.output().is_empty());
}

#[test]
fn info_and_go_agree() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    peer.option(code::STRUCTURED_REPLY, &[]);
    let wanted = [
        info_type::NAME,
        info_type::DESCRIPTION,
        info_type::BLOCK_SIZE,
        4711,
    ];
    let info = peer.option(code::INFO, &query("disk", &wanted));
    assert_eq!(peer.session.stage(), Stage::Negotiation);
    let events = peer
        .send(&option(code::GO, &query("disk", &wanted)))
        .unwrap();
    assert_eq!(
        events,
        [Event::ExportSelected(export("disk", EVERYTHING, 1))]
    );
    let go = peer.option_replies(code::GO);
    assert_eq!(info, go);
    let kinds: Vec<_> = go.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            reply::INFO,
            reply::INFO,
            reply::INFO,
            reply::INFO,
            reply::ACK
        ]
    );
    let mut size_and_flags = [&[0, 0][..], &SIZE.to_be_bytes()].concat();
    // All but READ_ONLY, ROTATIONAL and CACHE.
    size_and_flags.extend_from_slice(&0b1001_1110_1101_u16.to_be_bytes());
    assert_eq!(go[0].1, size_and_flags);
    assert_eq!(go[1].1, b"\0\x01disk");
    assert_eq!(go[2].1, b"\0\x02about disk");
    assert_eq!(go[3].1, [0, 3, 0, 0, 0, 1, 0, 0, 0x10, 0, 0, 1, 0, 0]);
}

#[test]
fn empty_name_is_the_default_export() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    let replies = peer.option(code::INFO, &query("", &[info_type::NAME]));
    assert_eq!(replies[1].1, b"\0\x01disk", "the canonical name is told");
}

#[test]
fn restricting_block_sizes_are_told_unasked() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    let unasked = peer.option(code::INFO, &query("aligned", &[]));
    assert_eq!(unasked[1].1[..6], [0, 3, 0, 0, 2, 0]);
    assert_eq!(peer.option(code::INFO, &query("disk", &[])).len(), 2);
}

#[test]
fn a_failing_go_stays_in_negotiation() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    assert_eq!(
        peer.option_kinds(code::GO, &query("nothing", &[])),
        [reply::ERR_UNKNOWN]
    );
    let overrun = [0, 0, 0, 99, b'd', 0, 0];
    assert_eq!(peer.option_kinds(code::GO, &overrun), [reply::ERR_INVALID]);
    assert_eq!(peer.option_kinds(code::GO, &[]), [reply::ERR_INVALID]);
    assert_eq!(peer.session.stage(), Stage::Negotiation);
    let events = peer.send(&option(code::GO, &query("disk", &[]))).unwrap();
    assert!(matches!(events[..], [Event::ExportSelected(_)]));
}

#[test]
fn contexts_are_listed_by_query() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    peer.option(code::STRUCTURED_REPLY, &[]);
    let entry = (
        reply::META_CONTEXT,
        [&[0; 4][..], b"base:allocation"].concat(),
    );
    let end = (reply::ACK, vec![]);
    for (queries, found) in [
        (&[][..], true),
        (&["base:"][..], true),
        (&["x:y", "base:allocation"][..], true),
        (&["base:other"][..], false),
        (&["qemu:"][..], false),
    ] {
        let replies = peer.option(code::LIST_META_CONTEXT, &contexts("disk", queries));
        let expected = if found {
            vec![entry.clone(), end.clone()]
        } else {
            vec![end.clone()]
        };
        assert_eq!(replies, expected, "{queries:?}");
    }
    let plain = peer.option_kinds(code::LIST_META_CONTEXT, &contexts("plain", &[]));
    assert_eq!(
        plain,
        [reply::ACK],
        "an export without a map has no contexts"
    );
    let unknown = peer.option_kinds(code::LIST_META_CONTEXT, &contexts("nothing", &[]));
    assert_eq!(unknown, [reply::ERR_UNKNOWN]);
}

#[test]
fn contexts_are_set_only_by_their_exact_name() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    let set = |peer: &mut Peer, queries: &[&str]| {
        peer.option_kinds(code::SET_META_CONTEXT, &contexts("disk", queries))
    };
    assert_eq!(
        set(&mut peer, &["base:allocation"]),
        [reply::ERR_INVALID],
        "before structured"
    );
    peer.option(code::STRUCTURED_REPLY, &[]);
    assert_eq!(
        set(&mut peer, &[]),
        [reply::ACK],
        "zero queries select nothing"
    );
    assert_eq!(
        set(&mut peer, &["base:"]),
        [reply::ACK],
        "no wildcard for SET"
    );
    let twice = ["base:allocation", "base:allocation", "nonsense"];
    assert_eq!(set(&mut peer, &twice), [reply::META_CONTEXT, reply::ACK]);
    let mut inconsistent = contexts("disk", &["base:allocation"]);
    inconsistent.pop();
    let kinds = peer.option_kinds(code::SET_META_CONTEXT, &inconsistent);
    assert_eq!(kinds, [reply::ERR_INVALID]);
}

/// Whether block status is served after these options and a GO for "disk".
fn has_status(prepare: impl FnOnce(&mut Peer)) -> bool {
    let mut peer = Peer::new(TlsMode::NotOffered);
    peer.option(code::STRUCTURED_REPLY, &[]);
    peer.option(
        code::SET_META_CONTEXT,
        &contexts("disk", &["base:allocation"]),
    );
    prepare(&mut peer);
    peer.send(&option(code::GO, &query("disk", &[]))).unwrap();
    !peer.send(&request(0, 7, 1, 0, 4096)).unwrap().is_empty()
}

#[test]
fn every_set_replaces_the_selection() {
    assert!(has_status(|_| {}));
    assert!(has_status(|peer| {
        // Listing changes nothing.
        peer.option(code::LIST_META_CONTEXT, &contexts("view", &[]));
    }));
    for (name, queries) in [
        ("disk", &[][..]),
        ("nothing", &["base:allocation"]),
        ("view", &["base:allocation"]),
    ] {
        assert!(
            !has_status(|peer| {
                peer.option(code::SET_META_CONTEXT, &contexts(name, queries));
            }),
            "{name} {queries:?}"
        );
    }
    assert!(!has_status(|peer| {
        peer.option(code::SET_META_CONTEXT, &[0]);
    }));
}

#[test]
fn without_tls_nothing_is_revealed() {
    let mut peer = Peer::new(TlsMode::Forced);
    for (code, data) in [
        (code::LIST, vec![]),
        (code::INFO, query("disk", &[])),
        (code::GO, query("disk", &[])),
        (code::GO, query("nothing", &[])),
        (code::STRUCTURED_REPLY, vec![]),
        (code::LIST_META_CONTEXT, contexts("disk", &[])),
        (code::SET_META_CONTEXT, contexts("disk", &[])),
        (4711, vec![]),
    ] {
        assert_eq!(
            peer.option_kinds(code, &data),
            [reply::ERR_TLS_REQD],
            "option {code}"
        );
    }
}

#[test]
fn tls_begins_and_forgets_what_was_before() {
    let mut peer = Peer::new(TlsMode::Forced);
    assert_eq!(
        peer.send(&option(code::STARTTLS, &[])),
        Ok(vec![Event::StartTls])
    );
    assert_eq!(peer.option_replies(code::STARTTLS), [(reply::ACK, vec![])]);
    assert_eq!(peer.session.stage(), Stage::AwaitingTls);
    assert!(matches!(peer.session.wanted(), Wanted::Nothing));
    peer.session.tls_established();
    assert_eq!(
        peer.option_kinds(code::STARTTLS, &[]),
        [reply::ERR_INVALID],
        "a second time"
    );
    let set = contexts("disk", &["base:allocation"]);
    assert_eq!(
        peer.option_kinds(code::SET_META_CONTEXT, &set),
        [reply::ERR_INVALID]
    );
    let events = peer.send(&option(code::GO, &query("disk", &[]))).unwrap();
    assert!(matches!(events[..], [Event::ExportSelected(_)]));
}

#[test]
fn tls_is_declined_where_it_is_not_offered() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    assert_eq!(peer.option_kinds(code::STARTTLS, &[]), [reply::ERR_UNSUP]);
    assert_eq!(peer.session.stage(), Stage::Negotiation);
}

#[test]
fn plaintext_behind_starttls_kills_the_session() {
    let injected = [option(code::STARTTLS, &[]), option(code::LIST, &[])].concat();
    let mut peer = Peer::new(TlsMode::Forced);
    assert_eq!(
        peer.send(&injected),
        Err(SessionEnd::PlaintextAfterStartTls)
    );
    // The same in two pieces.
    let mut peer = Peer::new(TlsMode::Forced);
    assert_eq!(
        peer.send(&option(code::STARTTLS, &[])),
        Ok(vec![Event::StartTls])
    );
    assert_eq!(peer.send(&[0x49]), Err(SessionEnd::PlaintextAfterStartTls));
    peer.session.tls_established();
    assert_eq!(
        peer.session.stage(),
        Stage::Ended,
        "an ended session stays so"
    );
}

#[test]
fn wrong_option_magic_ends_the_session() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    let end = peer.send(&[0x11; 16]);
    assert_eq!(end, Err(SessionEnd::BadOptionMagic(0x1111_1111_1111_1111)));
}

#[test]
fn long_options_end_the_session_before_memory_is_taken() {
    let longest = vec![b'x'; MAXIMUM_OPTION_LENGTH];
    let mut peer = Peer::new(TlsMode::NotOffered);
    assert_eq!(peer.option_kinds(99, &longest), [reply::ERR_UNSUP]);
    let header = &option(99, &[])[..12];
    let length: u32 = 64 << 20;
    let end = peer.send(&[header, &length.to_be_bytes()].concat());
    assert_eq!(end, Err(SessionEnd::OptionTooLong { option: 99, length }));
    let replies = peer.option_replies(99);
    assert_eq!(replies[0].0, reply::ERR_TOO_BIG);
    assert!(peer.session.partial.capacity() < 1024);
}

#[test]
fn the_number_of_options_is_bounded() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    for _ in 0..MAXIMUM_OPTIONS {
        assert_eq!(peer.option_kinds(77, &[]), [reply::ERR_UNSUP]);
    }
    assert_eq!(peer.send(&option(77, &[])), Err(SessionEnd::TooManyOptions));
}

#[test]
fn late_options_hear_of_the_shutdown() {
    let mut peer = Peer::new(TlsMode::NotOffered);
    peer.session.begin_shutdown();
    assert_eq!(peer.option_kinds(code::LIST, &[]), [reply::ERR_SHUTDOWN]);
    assert_eq!(
        peer.option_kinds(code::GO, &query("disk", &[])),
        [reply::ERR_SHUTDOWN]
    );
    assert_eq!(
        peer.send(&option(code::EXPORT_NAME, b"disk")),
        Err(SessionEnd::ShuttingDown)
    );
}
