//! The scan among writes.

use super::rig::{Rig, SIZE, initial};
use crate::{
    StreamBody,
    feed::FeedItem,
    tap::{BackingAction, BackingError, TapState},
};
use bcdr_disk::SeededRandom;
use proptest::prelude::*;

fn scan_index(rig: &Rig) -> Option<usize> {
    rig.submitted
        .iter()
        .position(|one| matches!(one.action, BackingAction::Read { .. }))
}

#[test]
fn a_write_during_the_read_is_left_out_and_never_overtaken() {
    let mut rig = Rig::new(initial());
    rig.disk.fill(1);
    let reading = scan_index(&rig).unwrap();
    let operation = rig.submitted[reading].clone();
    // The scan reads the old contents, then a write of one sector is granted and lands.
    let old = crate::Payload::copied_from(&rig.disk[..8192]);
    rig.write(1024, 512, 9);
    rig.complete(1);
    rig.submitted.remove(reading);
    rig.tap.backing_done(rig.now, operation.id, Ok(Some(old)));
    rig.pass(0);
    rig.settle();
    assert_eq!(rig.disk[1024..1536], [9; 512]);
    assert_eq!(rig.replica(), rig.disk);
    let scanned: Vec<(u64, u32)> = rig
        .fed
        .iter()
        .filter_map(|item| match item {
            FeedItem::Record { record, .. } => match &record.body {
                StreamBody::SyncData { range, .. } => Some((range.offset, range.length)),
                _ => None,
            },
            FeedItem::Opening(_) => None,
        })
        .take(2)
        .collect();
    assert_eq!(scanned, [(0, 1024), (1536, 6656)]);
}

#[test]
fn a_write_in_flight_when_the_read_began_is_left_out_too() {
    let mut rig = Rig::new(initial());
    rig.disk.fill(1);
    // In flight over the second chunk while the first is read.
    rig.write(8192, 8192, 9);
    rig.complete(0);
    let second = scan_index(&rig).unwrap();
    let operation = rig.submitted[second].clone();
    assert!(matches!(
        operation.action,
        BackingAction::Read { offset: 8192, .. }
    ));
    let old = crate::Payload::copied_from(&rig.disk[8192..16384]);
    rig.complete(0);
    let second = scan_index(&rig).unwrap();
    rig.submitted.remove(second);
    rig.tap.backing_done(rig.now, operation.id, Ok(Some(old)));
    rig.pass(0);
    rig.settle();
    assert_eq!(rig.disk[8192], 9);
    assert_eq!(rig.replica(), rig.disk);
}

#[test]
fn zeroes_and_holes_are_told_and_the_end_comes_last() {
    let mut rig = Rig::new(initial());
    let index = scan_index(&rig).unwrap();
    let operation = rig.submitted.remove(index);
    rig.tap.backing_done(rig.now, operation.id, Ok(None));
    rig.pass(0);
    rig.settle();
    assert_eq!(
        rig.replica(),
        rig.disk,
        "zeroes replace whatever the replica held"
    );
    assert!(!rig.replica().contains(&0xee));
    let FeedItem::Record { record, .. } = rig.fed.last().unwrap() else {
        panic!()
    };
    assert!(matches!(record.body, StreamBody::Sync(_)));
    assert_eq!(rig.tap.status(rig.now).state, TapState::Continuous);
}

#[test]
fn an_unreadable_block_keeps_the_interval_open_until_it_can_be_read() {
    let mut rig = Rig::new(initial());
    rig.disk.fill(3);
    let bad = 12288_u64;
    for _ in 0..100 {
        rig.journal();
        let Some(index) = scan_index(&rig) else { break };
        let BackingAction::Read { offset, length } = rig.submitted[index].action else {
            panic!()
        };
        if offset <= bad && bad < offset + u64::from(length) {
            rig.fail(index, BackingError::Io);
        } else {
            rig.complete(index);
        }
    }
    let TapState::Syncing { progress, .. } = rig.tap.status(rig.now).state else {
        panic!("the interval is open")
    };
    assert_eq!(
        (progress.unreadable_bytes, progress.done_bytes),
        (4096, SIZE - 4096)
    );
    rig.pass(2_000);
    rig.settle();
    assert_eq!(rig.tap.status(rig.now).state, TapState::Continuous);
    assert_eq!(rig.replica(), rig.disk);
}

#[test]
fn the_scan_waits_while_the_journal_is_more_than_half_full_or_the_feed_is_behind() {
    let mut rig = Rig::new(initial());
    rig.usage(51);
    rig.complete(0);
    rig.journal();
    assert_eq!(scan_index(&rig), None);
    rig.tap.feed_backlog(u64::MAX);
    rig.usage(50);
    assert_eq!(scan_index(&rig), None);
    rig.tap.feed_backlog(0);
    rig.pass(0);
    assert!(scan_index(&rig).is_some());
}

proptest! {
    #[test]
    fn whatever_is_written_meanwhile_the_replica_equals_the_disk_at_the_end(seed in any::<u64>()) {
        let mut random = SeededRandom::new(seed);
        let mut rig = Rig::new(initial());
        let mut image = vec![0; SIZE as usize];
        random.fill(&mut image);
        image[16384..32768].fill(0);
        rig.disk = image;
        // Reads see the disk at any moment between their beginning and their end.
        let mut seen: Vec<(crate::tap::BackingId, crate::Payload)> = Vec::new();
        for number in 0..120_u64 {
            for operation in &rig.submitted {
                if let BackingAction::Read { offset, length } = operation.action
                    && random.coin()
                    && !seen.iter().any(|(id, _)| *id == operation.id)
                {
                    let bytes = &rig.disk[offset as usize..offset as usize + length as usize];
                    seen.push((operation.id, crate::Payload::copied_from(bytes)));
                }
            }
            match random.below(3) {
                0 => {
                    let offset = random.below(100) * 512;
                    let length = (1 + random.below(20)) as usize * 512;
                    rig.write(offset, length, number as u8);
                }
                1 if !rig.submitted.is_empty() => {
                    let index = random.index(rig.submitted.len());
                    let id = rig.submitted[index].id;
                    let early = seen.iter().find(|(seen, _)| *seen == id);
                    match (early, random.below(10)) {
                        (_, 0) => rig.fail(index, BackingError::Io),
                        (Some((_, bytes)), _) => {
                            rig.submitted.remove(index);
                            rig.tap.backing_done(rig.now, id, Ok(Some(bytes.clone())));
                            rig.pass(0);
                        }
                        (None, _) => rig.complete(index),
                    }
                }
                _ => rig.journal(),
            }
        }
        rig.pass(100_000);
        rig.settle();
        rig.pass(100_000);
        rig.settle();
        prop_assert_eq!(rig.tap.status(rig.now).state, TapState::Continuous, "seed {}", seed);
        let replica = rig.replica();
        for (at, byte) in replica.iter().enumerate() {
            prop_assert!(*byte == rig.disk[at] || *byte == 0xdd, "seed {seed}, byte {at}");
        }
    }
}
