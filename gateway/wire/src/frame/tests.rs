//! Frames: round trips in any pieces, limits, damage, and what ends of streams mean.

use super::*;
use crate::{
    feed::{FEED_VERSION, ToCapture},
    order::{Duty, OrderNumber, SourceOrder},
    seal::InstallationKeyBytes,
    ship::FromGateway,
};
use bcdr_format::{Timestamp, batch::BATCH_BYTES_MAX, position::Generation};
use proptest::prelude::*;
use std::{future::Future, pin::pin, task::Context};
use tokio::io::AsyncWriteExt;

fn encode(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = encode_header(kind, &[payload]).unwrap().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

fn decode(mut bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    while let Some(frame) = decoder.push(&mut bytes)? {
        frames.push(frame);
    }
    match decoder.finish() {
        FrameError::Closed => Ok(frames),
        error => Err(error),
    }
}

fn welcome() -> ToCapture {
    ToCapture::Welcome {
        version: FEED_VERSION,
        held: None,
        fork: None,
        order: SourceOrder {
            generation: Generation(7),
            number: OrderNumber::ASSUMED,
            duty: Duty::StandBy,
        },
        now: Timestamp(1_700_000_000_000_000),
    }
}

#[test]
fn the_bytes_are_those_of_the_drawing() {
    assert_eq!(
        encode(FrameKind::Records, b"abc"),
        [
            0x62, 0x46, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xdb, 0xa9, 0x67, 0xfa, b'a', b'b', b'c'
        ]
    );
}

#[test]
fn a_header_covers_all_its_parts() {
    let whole = encode_header(FrameKind::Batch, &[b"one two"]).unwrap();
    let parts = encode_header(FrameKind::Batch, &[b"one", b"", b" two"]).unwrap();
    assert_eq!(whole, parts);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = encode(FrameKind::Batch, b"some batch");
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bytes).is_err(), "bit {bit} was not noticed");
    }
    assert_eq!(decode(&good).unwrap().len(), 1);
}

#[test]
fn a_claimed_length_takes_no_memory() {
    for kind in [
        FrameKind::Control,
        FrameKind::Records,
        FrameKind::Batch,
        FrameKind::Restore,
    ] {
        let mut header = encode_header(kind, &[]).unwrap();
        header[8..12].copy_from_slice(&(kind.payload_max() as u32).to_le_bytes());
        let mut decoder = FrameDecoder::new();
        let arrived = [&header[..], &[0; 100]].concat();
        assert!(decoder.push(&mut &arrived[..]).unwrap().is_none());
        assert!(
            decoder.held_bytes() <= 64 << 10,
            "{} held",
            decoder.held_bytes()
        );

        header[8..12].copy_from_slice(&(kind.payload_max() as u32 + 1).to_le_bytes());
        let mut decoder = FrameDecoder::new();
        let refused = decoder.push(&mut &header[..]);
        assert!(
            matches!(refused, Err(FrameError::Refused(Refused::TooLong { .. }))),
            "{refused:?}"
        );
        assert_eq!(decoder.held_bytes(), 0);
    }
}

#[test]
fn payloads_over_the_limit_are_not_sent() {
    let payload = vec![0; CONTROL_PAYLOAD_MAX + 1];
    assert!(encode_header(FrameKind::Control, &[&payload]).is_err());
    assert!(encode_header(FrameKind::Control, &[&payload[1..]]).is_ok());
    const { assert!(RECORDS_PAYLOAD_MAX > bcdr_format::RECORD_LENGTH_MAX as usize + 64) };
    assert_eq!(FrameKind::Batch.payload_max(), BATCH_BYTES_MAX);
}

#[test]
fn unknown_versions_kinds_and_streams_are_named() {
    let good = encode(FrameKind::Control, b"x");
    let say = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        decode(&bytes).unwrap_err().to_string()
    };
    assert!(say(0, b'H').contains("magic"));
    assert!(say(2, 9).contains("version 9"));
    assert!(say(4, 77).contains("kind 77"));
    assert!(say(6, 1).contains("reserved"));
}

#[test]
fn control_messages_round_trip_and_nothing_may_follow() {
    let mut payload = postcard::to_stdvec(&welcome()).unwrap();
    let frame = |kind, payload: &[u8]| Frame {
        kind,
        payload: payload.to_vec().into(),
    };
    let decoded: ToCapture = decode_control(&frame(FrameKind::Control, &payload)).unwrap();
    assert_eq!(decoded, welcome());

    let other = decode_control::<ToCapture>(&frame(FrameKind::Records, &payload));
    assert!(matches!(
        other,
        Err(FrameError::Refused(Refused::NotControl { .. }))
    ));
    let short = decode_control::<ToCapture>(&frame(FrameKind::Control, &payload[..3]));
    assert!(matches!(
        short,
        Err(FrameError::Refused(Refused::Message { .. }))
    ));
    payload.push(0);
    let long = decode_control::<ToCapture>(&frame(FrameKind::Control, &payload));
    assert!(long.unwrap_err().to_string().contains("1 bytes follow"));
}

#[test]
fn a_key_message_round_trips_and_does_not_print_the_key() {
    let message = FromGateway::InstallationKey(InstallationKeyBytes::new([0xa7; 32]));
    let payload = postcard::to_stdvec(&message).unwrap();
    let decoded: FromGateway = postcard::from_bytes(&payload).unwrap();
    assert_eq!(decoded, message);
    assert_ne!(
        decoded,
        FromGateway::InstallationKey(InstallationKeyBytes::new([0xa6; 32]))
    );
    let printed = format!("{message:?}");
    assert!(
        !printed.contains("a7") && !printed.contains("167"),
        "{printed}"
    );
}

#[tokio::test]
async fn frames_cross_a_narrow_stream() {
    let batch: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let (mut near, far) = tokio::io::duplex(1000);
    let (head, tail) = batch.split_at(77);
    let writer = async {
        send_control(&mut near, &welcome()).await.unwrap();
        write_frame(&mut near, FrameKind::Batch, &[head, tail])
            .await
            .unwrap();
        write_frame(&mut near, FrameKind::Records, &[])
            .await
            .unwrap();
        drop(near);
    };
    let reader = async {
        let mut reader = FrameReader::new(far);
        let control = reader.read_frame().await.unwrap();
        assert_eq!(decode_control::<ToCapture>(&control).unwrap(), welcome());
        let frame = reader.read_frame().await.unwrap();
        assert_eq!(frame.kind, FrameKind::Batch);
        assert_eq!(&frame.payload[..], &batch[..]);
        assert!(reader.read_frame().await.unwrap().payload.is_empty());
        assert!(matches!(reader.read_frame().await, Err(FrameError::Closed)));
    };
    tokio::join!(writer, reader);
}

#[tokio::test]
async fn a_read_that_is_dropped_anywhere_loses_nothing() {
    let bytes = encode(FrameKind::Records, b"a few records");
    let (mut near, far) = tokio::io::duplex(64);
    let mut reader = FrameReader::new(far);
    for byte in &bytes {
        {
            let mut dropped = pin!(reader.read_frame());
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(dropped.as_mut().poll(&mut context).is_pending());
        }
        near.write_all(&[*byte]).await.unwrap();
    }
    let frame = reader.read_frame().await.unwrap();
    assert_eq!(&frame.payload[..], b"a few records");
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_frame_is_truncated() {
    let bytes = encode(FrameKind::Records, b"a few records");
    for length in 1..bytes.len() {
        let mut reader = FrameReader::new(&bytes[..length]);
        match reader.read_frame().await {
            Err(FrameError::Truncated { missing }) => assert!(missing > 0),
            other => panic!("{length} bytes gave {other:?}"),
        }
    }
    let mut reader = FrameReader::new(&bytes[..0]);
    assert!(matches!(reader.read_frame().await, Err(FrameError::Closed)));
}

fn kind() -> impl Strategy<Value = FrameKind> {
    prop_oneof![
        Just(FrameKind::Control),
        Just(FrameKind::Records),
        Just(FrameKind::Batch),
        Just(FrameKind::Restore)
    ]
}

proptest! {
    #[test]
    fn frames_survive_any_cut(
        frames in prop::collection::vec((kind(), prop::collection::vec(any::<u8>(), 0..200)), 0..6),
        pieces in prop::collection::vec(1_usize..40, 1..60),
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|(kind, payload)| encode(*kind, payload)).collect();
        let mut decoder = FrameDecoder::new();
        let mut decoded = Vec::new();
        let mut rest = &bytes[..];
        let mut sizes = pieces.iter().cycle();
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            rest = after;
            while let Some(frame) = decoder.push(&mut piece).unwrap() {
                decoded.push((frame.kind, frame.payload.to_vec()));
            }
        }
        prop_assert_eq!(decoded, frames);
        prop_assert!(matches!(decoder.finish(), FrameError::Closed));
    }

    #[test]
    fn any_bytes_neither_panic_nor_take_memory(
        header in any::<Option<(u16, u32)>>(),
        bytes in prop::collection::vec(any::<u8>(), 0..5000),
    ) {
        // Half of the cases begin with a header that gets past the first checks.
        let mut input = Vec::new();
        if let Some((kind, length)) = header {
            input.extend_from_slice(&FRAME_MAGIC.to_le_bytes());
            input.extend_from_slice(&FRAME_VERSION.to_le_bytes());
            input.extend_from_slice(&(kind % 5).to_le_bytes());
            input.extend_from_slice(&[0, 0]);
            input.extend_from_slice(&(length >> (kind % 32)).to_le_bytes());
        }
        input.extend_from_slice(&bytes);
        let mut rest = &input[..];
        let mut decoder = FrameDecoder::new();
        while let Ok(Some(frame)) = decoder.push(&mut rest) {
            let _ = decode_control::<ToCapture>(&frame);
        }
        prop_assert!(decoder.held_bytes() <= 2 * input.len() + (64 << 10));
    }

    #[test]
    fn any_control_payload_is_decoded_or_refused(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let frame = Frame { kind: FrameKind::Control, payload: payload.into() };
        let _ = decode_control::<ToCapture>(&frame);
        let _ = decode_control::<FromGateway>(&frame);
    }
}
