//! Restore messages: their bytes, their limits, and what damage does.

use std::path::Path;

use bcdr_format::{
    Generation, IncarnationOrdinal, Position, RestoreId, Sequence, StreamId, VolumeId,
};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::frame::{FrameDecoder, FrameKind, encode_header};

mod seam;
mod sent;

fn volume() -> VolumeId {
    VolumeId::from_u128(0x33)
}

fn point(sequence: u64) -> PointName {
    PointName {
        stream: StreamId::from_u128(0x22),
        position: Position::new(IncarnationOrdinal(3), Sequence(sequence)),
    }
}

fn requests() -> Vec<Request> {
    vec![
        Request::Describe {
            restore: RestoreId::from_u128(0x11),
        },
        Request::Changed {
            volume: volume(),
            since: point(7),
            from: 1 << 20,
            limit: RANGES_MAX,
        },
        Request::Digests {
            volume: volume(),
            offset: 1 << 40,
            length: 3 * u64::from(BLOCK_BYTES) + 512,
            grain: BLOCK_BYTES,
        },
        Request::Read {
            volume: volume(),
            offset: 4096,
            length: READ_BYTES_MAX,
        },
        Request::Done {
            volume: volume(),
            digest: block_digest(b"device"),
        },
    ]
}

fn answers() -> Vec<Answer> {
    let ranges = vec![
        ByteRange {
            offset: 512,
            length: 512,
        },
        ByteRange {
            offset: 1024,
            length: 8 << 30,
        },
    ];
    let data = |content| Answer::Data {
        offset: 4096,
        content,
    };
    vec![
        Answer::Description(Description {
            point: point(9),
            generation: Generation(4),
            volumes: vec![
                VolumeDescription {
                    id: volume(),
                    size_bytes: 1 << 30,
                },
                VolumeDescription {
                    id: VolumeId::from_u128(0x34),
                    size_bytes: 512,
                },
            ],
        }),
        Answer::Ranges {
            ranges: ranges.clone(),
            next: Some(1 << 40),
        },
        Answer::Ranges { ranges, next: None },
        Answer::Unknown {
            reason: "the base point was thinned 已清理".to_owned(),
        },
        Answer::Digests {
            offset: 0,
            digests: vec![block_digest(b"a"), block_digest(b"b")],
        },
        data(Content::Zero { length: 65_536 }),
        data(Content::Stored(pattern(1024).into())),
        data(Content::pack(&vec![7; 8192])),
        Answer::Done {
            digest: block_digest(b"point"),
        },
        Answer::Refused(Refusal {
            kind: RefusalKind::Unreadable,
            reason: "no one knows".to_owned(),
        }),
    ]
}

fn read_request(bytes: &[u8]) -> Result<Request, bcdr_format::DecodeError> {
    Request::decode(&Bytes::copy_from_slice(bytes))
}

fn pattern(length: u32) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = encode_header(FrameKind::Restore, &[message])
        .unwrap()
        .to_vec();
    out.extend_from_slice(message);
    out
}

#[test]
fn golden_messages_are_read_and_written_again() {
    let mut encoded: Vec<u8> = Vec::new();
    for request in requests() {
        encoded.extend(framed(&request.encode().unwrap()));
    }
    for answer in answers() {
        encoded.extend(framed(&answer.encode().unwrap()));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/restore-v1.bin");
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
    assert_eq!(frames.len(), requests().len() + answers().len());
    let (asked, answered) = frames.split_at(requests().len());
    let mut again = Vec::new();
    for (frame, expected) in asked.iter().zip(requests()) {
        let request = Request::from_frame(frame).unwrap();
        assert_eq!(request, expected);
        again.extend(framed(&request.encode().unwrap()));
    }
    for (frame, expected) in answered.iter().zip(answers()) {
        let answer = Answer::from_frame(frame).unwrap();
        again.extend(framed(&answer.encode().unwrap()));
        match (&answer, &expected) {
            // Another release of zstd may pack otherwise; what comes out is the same.
            (
                Answer::Data {
                    content: content @ Content::Zstd { .. },
                    ..
                },
                _,
            ) => {
                let mut unpacked = vec![0; content.length() as usize];
                content.unpack(&mut unpacked).unwrap();
                assert_eq!(unpacked, vec![7; 8192]);
            }
            _ => assert_eq!(answer, expected),
        }
    }
    assert_eq!(again, golden);
}

#[test]
fn digests_are_those_of_the_drawing() {
    let hex = |digest: Digest| digest.to_string();
    assert_eq!(
        hex(block_digest(b"")),
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );
    let zeros = vec![0; BLOCK_BYTES as usize];
    assert_eq!(block_digest(&zeros).0, *blake3::hash(&zeros).as_bytes());
    let volume = |size: u64, blocks: &[&[u8]]| {
        let mut hasher = VolumeHasher::new(size);
        blocks
            .iter()
            .for_each(|block| hasher.push(block_digest(block)));
        hasher.finish()
    };
    let mut by_hand = blake3::Hasher::new_derive_key("bcdr 2026-11 restore volume digest v1");
    by_hand.update(&512_u64.to_le_bytes());
    by_hand.update(blake3::hash(&[7; 512]).as_bytes());
    assert_eq!(volume(512, &[&[7; 512]]).0, *by_hand.finalize().as_bytes());
    assert_ne!(volume(512, &[&[7; 512]]), volume(1024, &[&[7; 512]]));
    assert_ne!(
        volume(1024, &[&[7; 512], &[8; 512]]),
        volume(1024, &[&[8; 512], &[7; 512]])
    );
}

#[test]
fn every_flipped_bit_of_a_framed_message_is_noticed() {
    for message in requests()
        .iter()
        .map(|request| request.encode().unwrap())
        .chain(answers().iter().map(|answer| answer.encode().unwrap()))
    {
        let good = framed(&message);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut rest = &bytes[..];
            let noticed = !matches!(FrameDecoder::new().push(&mut rest), Ok(Some(_)));
            assert!(noticed, "bit {bit} was not noticed");
        }
    }
}

#[test]
fn a_message_with_a_flipped_bit_is_refused_or_says_just_that() {
    for request in requests() {
        let good = request.encode().unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = read_request(&bytes) {
                assert_eq!(read.encode().unwrap(), bytes);
            }
        }
    }
    for answer in answers() {
        let good = answer.encode().unwrap();
        for bit in 0..good.len().min(200) * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let bytes = Bytes::from(bytes);
            if let Ok(read) = Answer::decode(&bytes) {
                assert_eq!(read.encode().unwrap(), bytes);
            }
        }
    }
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    for request in requests() {
        let good = request.encode().unwrap();
        for length in 0..good.len() {
            assert!(
                read_request(&good[..length]).is_err(),
                "{request:?} {length}"
            );
        }
        let longer = [&good[..], &[0]].concat();
        assert!(read_request(&longer).is_err());
    }
    for answer in answers() {
        let good = Bytes::from(answer.encode().unwrap());
        let packed = matches!(
            answer,
            Answer::Data {
                content: Content::Zstd { .. },
                ..
            }
        );
        for length in 0..good.len() {
            match Answer::decode(&good.slice(..length)) {
                // A frame cut short is found when it is unpacked.
                Ok(Answer::Data { content, .. }) if packed => {
                    let mut room = vec![0; content.length() as usize];
                    assert!(content.unpack(&mut room).is_err());
                }
                other => assert!(other.is_err(), "{answer:?} {length}"),
            }
        }
    }
}

#[test]
fn unknown_versions_and_kinds_are_refused_by_name() {
    let good = requests()[0].encode().unwrap();
    let newer = [&2_u16.to_le_bytes(), &good[2..]].concat();
    let said = read_request(&newer).unwrap_err().to_string();
    assert!(said.contains("restore message has version 2"), "{said}");
    let said = Answer::decode(&Bytes::from(newer)).unwrap_err().to_string();
    assert!(said.contains("version 2"), "{said}");
    let answer = Bytes::from(answers()[0].encode().unwrap());
    assert!(
        read_request(&answer)
            .unwrap_err()
            .to_string()
            .contains("no request")
    );
    let said = Answer::decode(&Bytes::from(good)).unwrap_err().to_string();
    assert!(said.contains("no answer"), "{said}");
    let mut refusal = answers().pop().unwrap().encode().unwrap();
    refusal[4] = 99;
    let said = Answer::decode(&refusal.into()).unwrap_err().to_string();
    assert!(said.contains("unknown kind 99"), "{said}");
    let frame = crate::frame::Frame {
        kind: FrameKind::Batch,
        payload: answer,
    };
    assert!(
        Answer::from_frame(&frame)
            .unwrap_err()
            .to_string()
            .contains("restore frame")
    );
}

#[test]
fn what_is_over_a_limit_is_neither_sent_nor_read() {
    let read = |offset, length| Request::Read {
        volume: volume(),
        offset,
        length,
    };
    let digests = |offset, length, grain| Request::Digests {
        volume: volume(),
        offset,
        length,
        grain,
    };
    let block = u64::from(BLOCK_BYTES);
    for request in [
        read(0, 0),
        read(0, READ_BYTES_MAX + 512),
        read(1, 512),
        read(512, 100),
        read(u64::MAX - 511, 512),
        digests(512, block, BLOCK_BYTES),
        digests(0, 0, BLOCK_BYTES),
        digests(0, block, 4096),
        digests(0, block * u64::from(DIGESTS_MAX) + 512, BLOCK_BYTES),
        digests(u64::MAX / block * block, block, BLOCK_BYTES),
        Request::Changed {
            volume: volume(),
            since: point(1),
            from: 0,
            limit: 0,
        },
        Request::Changed {
            volume: volume(),
            since: point(1),
            from: 0,
            limit: RANGES_MAX + 1,
        },
    ] {
        assert!(request.encode().is_err(), "{request:?}");
    }
    let range = |offset, length| ByteRange { offset, length };
    let ranges = |ranges: &[ByteRange], next| Answer::Ranges {
        ranges: ranges.to_vec(),
        next,
    };
    let description = |volumes: &[(u128, u64)]| {
        let volume = |&(id, size_bytes): &(u128, u64)| VolumeDescription {
            id: VolumeId::from_u128(id),
            size_bytes,
        };
        Answer::Description(Description {
            point: point(1),
            generation: Generation(1),
            volumes: volumes.iter().map(volume).collect(),
        })
    };
    let data = |content| Answer::Data { offset: 0, content };
    for answer in [
        ranges(&[range(0, 1024), range(512, 512)], None),
        ranges(&[range(1024, 512), range(0, 512)], None),
        ranges(&[range(0, 0)], None),
        ranges(&[range(0, 1024)], Some(512)),
        ranges(&[range(u64::MAX - 511, 512)], None),
        ranges(&vec![range(0, 512); RANGES_MAX as usize + 1], None),
        description(&[]),
        description(&[(1, 0)]),
        description(&[(1, 513)]),
        description(&[(1, 512), (1, 512)]),
        Answer::Unknown {
            reason: "x".repeat(TEXT_BYTES_MAX + 1),
        },
        Answer::Digests {
            offset: 0,
            digests: vec![block_digest(b""); DIGESTS_MAX as usize + 1],
        },
        data(Content::Zero { length: 0 }),
        data(Content::Zero { length: 513 }),
        data(Content::Zero {
            length: READ_BYTES_MAX + 512,
        }),
        data(Content::Zstd {
            length: 512,
            packed: vec![0; 512].into(),
        }),
    ] {
        assert!(answer.encode().is_err(), "{answer:?}");
    }
}

#[test]
fn the_greatest_answers_fit_into_a_frame() {
    let greatest = [
        Answer::Data {
            offset: 0,
            content: Content::Stored(vec![1; READ_BYTES_MAX as usize].into()),
        },
        Answer::Digests {
            offset: 0,
            digests: vec![block_digest(b""); DIGESTS_MAX as usize],
        },
        Answer::Ranges {
            ranges: (0..u64::from(RANGES_MAX))
                .map(|index| ByteRange {
                    offset: index * 1024,
                    length: 512,
                })
                .collect(),
            next: Some(1 << 50),
        },
    ];
    for answer in greatest {
        let bytes = Bytes::from(answer.encode().unwrap());
        encode_header(FrameKind::Restore, &[&bytes]).unwrap();
        assert_eq!(Answer::decode(&bytes).unwrap(), answer);
    }
}

#[test]
fn a_count_takes_no_memory_without_its_bytes() {
    for answer in [&answers()[0], &answers()[1], &answers()[4]] {
        let good = answer.encode().unwrap();
        for at in 0..good.len() - 4 {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&[0xff; 4]);
            // Refused, or a value of no more items than there are bytes for.
            if let Ok(read) = Answer::decode(&bytes.clone().into()) {
                assert_eq!(read.encode().unwrap(), bytes);
            }
        }
    }
}

#[test]
fn packed_bytes_unpack_into_what_was_asked_for_and_nothing_more() {
    let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 1).unwrap();
    let content = Content::Zstd {
        length: 65_536,
        packed: bomb.into(),
    };
    let mut room = vec![0; 65_536];
    assert!(matches!(
        content.unpack(&mut room),
        Err(UnpackError::Damaged { .. })
    ));
    let short = Content::Zstd {
        length: 65_536,
        packed: zstd::bulk::compress(&[0; 1000], 1).unwrap().into(),
    };
    assert!(matches!(
        short.unpack(&mut room),
        Err(UnpackError::Length { .. })
    ));
    let other = Content::Zero { length: 512 };
    assert_eq!(
        other.unpack(&mut room),
        Err(UnpackError::Length {
            found: 512,
            wanted: 65_536
        })
    );
}

proptest! {
    #[test]
    fn data_survives_packing(
        bytes in prop::collection::vec(any::<u8>(), 512..2048),
        repeat in 1_usize..8,
    ) {
        let mut bytes = bytes.repeat(repeat);
        bytes.truncate(bytes.len() / 512 * 512);
        let content = Content::pack(&bytes);
        let answer = Answer::Data { offset: 512, content };
        let decoded = Answer::decode(&answer.encode().unwrap().into()).unwrap();
        prop_assert_eq!(&decoded, &answer);
        let Answer::Data { content, .. } = decoded else { unreachable!() };
        let mut unpacked = vec![0xee; bytes.len()];
        content.unpack(&mut unpacked).unwrap();
        prop_assert_eq!(unpacked, bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        kind in 0_u16..0x90,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut message = RESTORE_VERSION.to_le_bytes().to_vec();
        message.extend_from_slice(&kind.to_le_bytes());
        message.extend_from_slice(&bytes);
        if let Ok(request) = read_request(&message) {
            prop_assert_eq!(request.encode().unwrap(), message.clone());
        }
        if let Ok(answer) = Answer::decode(&Bytes::from(message.clone())) {
            prop_assert_eq!(answer.encode().unwrap(), message);
        }
    }
}
