//! The messages by which a host learns where its stream goes on.

use super::*;
use bcdr_format::{IncarnationId, VolumeNumber, continuity::Held};

fn request() -> Request {
    Request::Seam {
        volume: volume(),
        from: 1 << 20,
        limit: RANGES_MAX,
    }
}

fn answer(ranges: Vec<ByteRange>, next: Option<u64>) -> Answer {
    Answer::Seam {
        head: SeamHead {
            stream: StreamId::from_u128(0x22),
            held: Held {
                position: point(70).position,
                id: IncarnationId::from_u128(0x44),
            },
            volumes: 2,
        },
        number: VolumeNumber(1),
        ranges,
        next,
    }
}

fn range(offset: u64, length: u64) -> ByteRange {
    ByteRange { offset, length }
}

fn answers() -> Vec<Answer> {
    vec![
        answer(vec![range(512, 512), range(4096, 8 << 30)], Some(1 << 40)),
        answer(Vec::new(), None),
    ]
}

#[test]
fn golden_messages_are_read_and_written_again() {
    let mut encoded = framed(&request().encode().unwrap());
    for answer in answers() {
        encoded.extend(framed(&answer.encode().unwrap()));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/restore-seam-v1.bin");
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
    let asked = Request::from_frame(&frames[0]).unwrap();
    assert_eq!(asked, request());
    let mut again = framed(&asked.encode().unwrap());
    for (frame, expected) in frames[1..].iter().zip(answers()) {
        let answer = Answer::from_frame(frame).unwrap();
        assert_eq!(answer, expected);
        again.extend(framed(&answer.encode().unwrap()));
    }
    assert_eq!(again, golden);
}

#[test]
fn damage_is_refused_or_says_just_that() {
    let asked = request().encode().unwrap();
    for length in 0..asked.len() {
        assert!(read_request(&asked[..length]).is_err(), "{length}");
    }
    for answer in answers() {
        let good = answer.encode().unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let bytes = Bytes::from(bytes);
            if let Ok(read) = Answer::decode(&bytes) {
                assert_eq!(read.encode().unwrap(), bytes);
            }
        }
        for length in 0..good.len() {
            let cut = Bytes::copy_from_slice(&good[..length]);
            assert!(Answer::decode(&cut).is_err(), "{length}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_not_sent() {
    for limit in [0, RANGES_MAX + 1] {
        let asked = Request::Seam {
            volume: volume(),
            from: 0,
            limit,
        };
        assert!(asked.encode().is_err(), "{limit}");
    }
    let overlapping = vec![range(0, 1024), range(512, 512)];
    assert!(answer(overlapping, None).encode().is_err());
    let behind = vec![range(0, 1024)];
    assert!(answer(behind, Some(512)).encode().is_err());
    for volumes in [0, VOLUMES_MAX + 1] {
        let Answer::Seam { head, number, .. } = answer(Vec::new(), None) else {
            panic!("it is a seam");
        };
        let answer = Answer::Seam {
            head: SeamHead { volumes, ..head },
            number,
            ranges: Vec::new(),
            next: None,
        };
        assert!(answer.encode().is_err(), "{volumes}");
    }
}
