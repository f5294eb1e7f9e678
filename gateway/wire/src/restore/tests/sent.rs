//! The messages by which a disk's differences are sent, and the hello.

use super::*;
use bcdr_format::GroupId;

fn requests() -> Vec<Request> {
    let keep = |offset, content| Request::Keep {
        volume: volume(),
        offset,
        content,
    };
    vec![
        keep(0, Content::Zero { length: 65_536 }),
        keep(512, Content::Stored(pattern(1024).into())),
        keep(1 << 40, Content::pack(&vec![7; 8192])),
        Request::Settle,
    ]
}

fn answers() -> Vec<Answer> {
    vec![Answer::Kept { offset: 1 << 40 }, Answer::Settled]
}

fn hello() -> ReturnHello {
    ReturnHello {
        group: GroupId::from_u128(5),
        stream: StreamId::from_u128(6),
    }
}

#[test]
fn golden_messages_are_read_and_written_again() {
    let mut encoded = framed(&hello().encode());
    for request in requests() {
        encoded.extend(framed(&request.encode().unwrap()));
    }
    for answer in answers() {
        encoded.extend(framed(&answer.encode().unwrap()));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/restore-sent-v1.bin");
    if !path.exists() && std::env::var_os("BCDR_ADD_GOLDEN").is_some() {
        std::fs::write(&path, &encoded).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    let mut decoder = FrameDecoder::new();
    let mut rest = &golden[..];
    let mut frames = Vec::new();
    while let Some(frame) = decoder.push(&mut rest).unwrap() {
        frames.push(frame);
    }
    let mut again = framed(&ReturnHello::from_frame(&frames[0]).unwrap().encode());
    assert_eq!(ReturnHello::from_frame(&frames[0]).unwrap(), hello());
    for (frame, expected) in frames[1..].iter().zip(requests()) {
        let request = Request::from_frame(frame).unwrap();
        // Another release of zstd may pack otherwise; what comes out is the same.
        if let Request::Keep { content, .. } = &request
            && let Request::Keep { content: other, .. } = &expected
        {
            let unpack = |content: &Content| {
                let mut room = vec![1; content.length() as usize];
                content.unpack(&mut room).unwrap();
                room
            };
            assert_eq!(unpack(content), unpack(other));
        } else {
            assert_eq!(request, expected);
        }
        again.extend(framed(&request.encode().unwrap()));
    }
    for (frame, expected) in frames[1 + requests().len()..].iter().zip(answers()) {
        let answer = Answer::from_frame(frame).unwrap();
        assert_eq!(answer, expected);
        again.extend(framed(&answer.encode().unwrap()));
    }
    assert_eq!(again, golden);
}

#[test]
fn damage_is_refused_or_says_just_that() {
    for request in requests() {
        let good = request.encode().unwrap();
        for bit in 0..good.len().min(200) * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = read_request(&bytes) {
                assert_eq!(read.encode().unwrap(), bytes);
            }
        }
        // Compressed data has no length of its own; the frame around it tells a cut.
        let head = good.len().min(36);
        for length in 0..head {
            assert!(read_request(&good[..length]).is_err(), "{length}");
        }
    }
    let good = hello().encode();
    for length in 0..good.len() {
        assert!(ReturnHello::decode(&good[..length]).is_err(), "{length}");
    }
    assert!(ReturnHello::decode(&[&good[..], &[0]].concat()).is_err());
}

#[test]
fn a_hello_is_no_request_and_a_request_no_hello() {
    assert!(read_request(&hello().encode()).is_err());
    for request in requests() {
        assert!(ReturnHello::decode(&request.encode().unwrap()).is_err());
    }
}

#[test]
fn more_than_one_message_may_hold_is_not_sent() {
    let too_much = |content| Request::Keep {
        volume: volume(),
        offset: 0,
        content,
    };
    assert!(
        too_much(Content::Zero {
            length: READ_BYTES_MAX + 512
        })
        .encode()
        .is_err()
    );
    assert!(
        too_much(Content::Stored(pattern(513).into()))
            .encode()
            .is_err()
    );
    let most = too_much(Content::Stored(vec![1; READ_BYTES_MAX as usize].into()));
    let bytes = most.encode().unwrap();
    encode_header(FrameKind::Restore, &[&bytes]).unwrap();
}
