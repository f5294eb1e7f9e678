//! Who goes first, and what is fed when.

use super::rig::{FIRST, Rig, SIZE, VOLUME, continuous, settings};
use crate::{
    Payload, StreamBody,
    tap::{BackingAction, ReplyError, ReplyValue, Request, TapSettings},
};
use bcdr_disk::SeededRandom;
use bcdr_format::{
    MarkerId, Position, Sequence,
    incarnation::IncarnationOrdinal,
    record::{Marker, MarkerKind},
};
use proptest::prelude::*;

#[test]
fn an_overlapping_write_waits_and_lands_after_in_disk_and_feed() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 8192, 1);
    let second = rig.write(4096, 8192, 2);
    let elsewhere = rig.write(16384, 4096, 3);
    assert_eq!(rig.writes_in_flight(), [0, 16384]);
    // The one that waits has no sequence yet, so the later one comes before it.
    let sequences: Vec<u64> = rig.intents.iter().map(|intent| intent.sequence.0).collect();
    assert_eq!(sequences, [FIRST, FIRST + 1]);
    rig.complete(0);
    assert!(!rig.is_done(second));
    assert_eq!(rig.writes_in_flight(), [16384, 4096]);
    rig.settle();
    assert!(rig.is_done(second) && rig.is_done(elsewhere));
    assert_eq!(&rig.replica()[4096..12288], &rig.disk[4096..12288]);
    assert_eq!(rig.disk[4096..12288], [2; 8192]);
}

#[test]
fn two_sectors_of_one_block_are_never_in_flight_together() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 512, 1);
    rig.write(512, 512, 2);
    rig.write(4096, 512, 3);
    assert_eq!(rig.writes_in_flight(), [0, 4096]);
    rig.complete(0);
    assert_eq!(rig.writes_in_flight(), [4096, 512]);
}

#[test]
fn only_the_contiguous_settled_and_journaled_prefix_is_fed() {
    let mut rig = Rig::new(continuous());
    for block in 0..4 {
        rig.write(block * 4096, 4096, block as u8);
    }
    rig.complete(3);
    rig.complete(1);
    rig.journal();
    assert_eq!(rig.fed_sequences(), [1], "the first write has not landed");
    rig.complete(0);
    assert_eq!(rig.fed_sequences(), [1, FIRST, FIRST + 1]);
    rig.complete(0);
    assert_eq!(
        rig.fed_sequences(),
        [1, FIRST, FIRST + 1, FIRST + 2, FIRST + 3]
    );
    rig.write(0, 4096, 9);
    rig.complete(0);
    assert_eq!(
        rig.fed_sequences().len(),
        5,
        "the record is not in the journal yet"
    );
    rig.journal();
    assert_eq!(rig.fed_sequences().len(), 6);
}

#[test]
fn a_reply_comes_when_the_backing_is_done_and_the_record_queued() {
    let mut rig = Rig::new(continuous());
    let write = rig.write(0, 4096, 1);
    assert_eq!(rig.reply_of(write), None);
    assert!(!rig.queue.is_empty());
    rig.complete(0);
    assert!(rig.is_done(write));
}

#[test]
fn a_marker_takes_its_place_now_and_is_effective_when_all_before_it_is_settled() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 4096, 1);
    let marker = Marker {
        id: MarkerId::from_u128(1),
        kind: MarkerKind::Bookmark,
        label: "l".to_owned(),
    };
    let position = rig.tap.place_marker(rig.now, marker.clone()).unwrap();
    assert_eq!(
        position,
        Position::new(IncarnationOrdinal(2), Sequence(FIRST + 1))
    );
    rig.write(8192, 4096, 2);
    rig.complete(1);
    rig.journal();
    assert_eq!(rig.fed_sequences(), [1]);
    rig.complete(0);
    assert_eq!(rig.fed_sequences(), [1, FIRST, FIRST + 1, FIRST + 2]);
    assert_eq!(rig.fed_body(FIRST + 1), Some(StreamBody::Marker(marker)));
}

#[test]
fn a_long_request_is_split_and_answered_after_its_last_piece() {
    let settings = TapSettings {
        record_bytes_max: 16384,
        ..settings()
    };
    let mut rig = Rig::with(settings, continuous(), true);
    let zero = rig.request(Request::WriteZeroes {
        volume: VOLUME,
        offset: 4096,
        length: 40960,
        may_unmap: false,
        fua: false,
    });
    assert_eq!(rig.submitted.len(), 3);
    rig.complete(2);
    rig.complete(0);
    assert_eq!(rig.reply_of(zero), None);
    rig.complete(0);
    assert!(rig.is_done(zero));
    let total: u64 = rig
        .intents
        .iter()
        .map(|intent| u64::from(intent.range.length))
        .sum();
    assert_eq!((rig.intents.len(), total), (3, 40960));
}

#[test]
fn reads_pass_by_and_bad_ranges_are_refused() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 4096, 5);
    rig.complete(0);
    rig.write(0, 4096, 6);
    let read = rig.request(Request::Read {
        volume: VOLUME,
        offset: 0,
        length: 512,
    });
    let index = rig
        .submitted
        .iter()
        .position(|one| matches!(one.action, BackingAction::Read { .. }))
        .unwrap();
    rig.complete(index);
    let expected = ReplyValue::Data(Payload::copied_from(&[5; 512]));
    assert_eq!(rig.reply_of(read), Some(Ok(expected)));
    for (offset, length) in [(SIZE, 512), (100, 512), (0, 100), (SIZE - 512, 1024)] {
        let bad = rig.request(Request::Read {
            volume: VOLUME,
            offset,
            length,
        });
        assert_eq!(rig.reply_of(bad), Some(Err(ReplyError::Invalid)));
    }
}

#[test]
fn no_more_is_in_flight_than_the_intent_ring_can_name() {
    let mut rig = Rig::new(continuous());
    let slots = settings().window_records;
    rig.journal();
    // The first write never ends; the prefix stands still.
    rig.write(0, 512, 1);
    for _ in 0..3 * slots {
        rig.write(8192, 512, 2);
        rig.journal();
        if rig.submitted.len() > 1 {
            rig.complete(1);
        }
    }
    let fed = rig.tap.fed().unwrap().sequence.0;
    let highest = rig
        .intents
        .iter()
        .map(|intent| intent.sequence.0)
        .max()
        .unwrap();
    assert_eq!(highest, fed + slots);
    assert!(rig.tap.status(rig.now).waiting_writes > 0);
    rig.settle();
    assert_eq!(rig.tap.status(rig.now).waiting_writes, 0);
    assert_eq!(rig.replica()[..512], [1; 512]);
}

proptest! {
    #[test]
    fn disk_and_feed_agree_and_overlaps_keep_their_order(seed in any::<u64>()) {
        let mut random = SeededRandom::new(seed);
        let mut rig = Rig::new(continuous());
        // Every write in the order it was asked for: overlapping ones may not end in another.
        let mut expected = rig.disk.clone();
        for number in 0..150_u64 {
            match random.below(4) {
                0 | 1 => {
                    let offset = random.below(16) * 512;
                    let length = (1 + random.below(12)) as usize * 512;
                    rig.write(offset, length, number as u8);
                    expected[offset as usize..offset as usize + length].fill(number as u8);
                }
                2 if !rig.submitted.is_empty() => {
                    let index = random.index(rig.submitted.len());
                    rig.complete(index);
                }
                _ => rig.journal(),
            }
        }
        rig.settle();
        prop_assert!(rig.disk == expected, "seed {}", seed);
        let sequences = rig.fed_sequences();
        let contiguous: Vec<u64> = (1..=sequences.len() as u64).collect();
        prop_assert_eq!(sequences, contiguous, "seed {}", seed);
        for (at, byte) in rig.replica().iter().enumerate() {
            // Bytes that were never written are not in the feed.
            prop_assert!(*byte == 0xee || *byte == rig.disk[at], "seed {seed}, byte {at}");
        }
        prop_assert!(rig.tap.is_idle());
    }
}
