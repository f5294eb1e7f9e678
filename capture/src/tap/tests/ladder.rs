//! Leaving the journal behind and coming back.

use super::rig::{FIRST, Rig, continuous, initial, settings};
use crate::{
    StreamBody,
    feed::FeedItem,
    journal::{JournalCommand, StopReason},
    start::IncarnationStart,
    tap::{BackingAction, BackingError, MarkerError, TapSettings, TapState, UntrackedReason},
};
use bcdr_format::{
    MarkerId, Position, Sequence,
    incarnation::IncarnationOrdinal,
    record::{Marker, MarkerKind},
    sync::{Heals, SyncEvent, SyncReason},
};

fn last_opening(rig: &Rig) -> IncarnationStart {
    rig.fed
        .iter()
        .rev()
        .find_map(|item| match item {
            FeedItem::Opening(start) => Some(*start),
            FeedItem::Record { .. } => None,
        })
        .unwrap()
}

fn marker() -> Marker {
    Marker {
        id: MarkerId::from_u128(1),
        kind: MarkerKind::Bookmark,
        label: String::new(),
    }
}

#[test]
fn a_full_journal_lets_production_go_on_and_says_so() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 4096, 1);
    rig.journal();
    rig.write(8192, 4096, 2);
    let waiting = rig.write(0, 512, 3);
    let flush = rig.flush();
    rig.stop_journal(StopReason::Full);
    let state = rig.tap.status(rig.now).state;
    let since = rig.now.wall;
    assert_eq!(
        state,
        TapState::Untracked {
            since,
            reason: UntrackedReason::JournalFull
        }
    );
    assert!(matches!(
        rig.tap.place_marker(rig.now, marker()),
        Err(MarkerError::Untracked { .. })
    ));
    assert!(
        !rig.trusted,
        "a kill now must not find a ring that seems to prove anything"
    );
    let untracked = rig.write(16384, 4096, 4);
    rig.settle();
    assert!(rig.is_done(waiting) && rig.is_done(untracked) && rig.is_done(flush));
    // What is journaled still ships; nothing else got a sequence.
    assert_eq!(rig.fed_sequences(), [1, FIRST]);
    assert_eq!(rig.tap.status(rig.now).sequenced, Sequence(FIRST + 1));
    assert_eq!(rig.disk[16384], 4);
}

#[test]
fn journaling_resumes_in_a_new_life_with_a_full_compare() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 4096, 1);
    rig.journal();
    rig.complete(0);
    rig.write(8192, 4096, 2);
    rig.stop_journal(StopReason::Full);
    rig.usage(90);
    rig.pass(5_000);
    assert!(rig.queue.is_empty(), "there is no space yet");
    rig.usage(40);
    rig.pass(50);
    let JournalCommand::Open {
        start,
        after_stop: true,
    } = rig.queue[0].clone()
    else {
        panic!("a life is opened first: {:?}", rig.queue)
    };
    let opening = start.opening;
    assert_eq!(opening.ordinal, IncarnationOrdinal(3));
    assert_eq!(
        opening.continues,
        Some(Position::new(IncarnationOrdinal(2), Sequence(FIRST)))
    );
    assert_eq!(opening.first, Sequence(FIRST + 2));
    assert!(!rig.trusted, "the journal has not taken the new life yet");
    rig.journal();
    assert!(rig.trusted);
    assert!(
        !rig.submitted
            .iter()
            .any(|one| matches!(one.action, BackingAction::Read { .. })),
        "the scan must not begin while a write of the old life is in flight"
    );
    // The write of the old life fails after the new one began: no amendment, the compare covers it.
    rig.disk[8192..12288].fill(9);
    rig.fail(0, BackingError::Io);
    rig.settle();
    assert_eq!(rig.tap.status(rig.now).state, TapState::Continuous);
    assert_eq!(last_opening(&rig).opening, opening);
    assert_eq!(rig.replica(), rig.disk);
    let ends = rig.fed.iter().filter_map(|item| match item {
        FeedItem::Record { record, .. } => match record.body {
            StreamBody::Sync(SyncEvent::End { heals, .. }) => Some(heals),
            _ => None,
        },
        FeedItem::Opening(_) => None,
    });
    let expected = Heals::Everything {
        opening: IncarnationOrdinal(3),
    };
    assert_eq!(ends.collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_slow_journal_is_left_behind_after_its_budget_and_no_write_is_lost() {
    let settings = TapSettings {
        journal_queue_bytes: 8192,
        ..settings()
    };
    let mut rig = Rig::with(settings, continuous(), true);
    let ids: Vec<_> = (0..6)
        .map(|block| rig.write(block * 4096, 4096, block as u8 + 1))
        .collect();
    while !rig.submitted.is_empty() {
        rig.complete(0);
    }
    assert!(!rig.is_done(ids[5]), "it waits for the journal");
    rig.pass(10);
    rig.pass(900);
    assert!(!rig.is_done(ids[5]));
    rig.pass(200);
    while !rig.submitted.is_empty() {
        rig.complete(0);
    }
    assert!(ids.iter().all(|id| rig.is_done(*id)));
    let TapState::Untracked { reason, .. } = rig.tap.status(rig.now).state else {
        panic!()
    };
    assert_eq!(reason, UntrackedReason::JournalSlow);
    // It recovers by itself: what was queued is written, then everything is compared.
    rig.journal();
    rig.pass(2_000);
    rig.settle();
    assert_eq!(rig.tap.status(rig.now).state, TapState::Continuous);
    assert_eq!(rig.replica(), rig.disk);
}

#[test]
fn a_hung_write_does_not_stop_production() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 512, 1);
    for _ in 0..200 {
        rig.write(8192, 512, 2);
        rig.journal();
        if rig.submitted.len() > 1 {
            rig.complete(1);
        }
    }
    rig.pass(10);
    rig.pass(9_900);
    assert_eq!(rig.tap.status(rig.now).state, TapState::Continuous);
    rig.pass(200);
    let TapState::Untracked { reason, .. } = rig.tap.status(rig.now).state else {
        panic!()
    };
    assert_eq!(reason, UntrackedReason::BackingHangs);
    while rig.submitted.len() > 1 {
        rig.complete(1);
    }
    assert_eq!(rig.tap.status(rig.now).waiting_writes, 0);
}

#[test]
fn a_stuck_flush_is_released_visibly() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 4096, 1);
    rig.complete(0);
    let flush = rig.flush();
    rig.complete(0);
    rig.pass(9_900);
    assert_eq!(rig.reply_of(flush), None);
    rig.pass(200);
    assert!(rig.is_done(flush));
    assert!(matches!(
        rig.tap.status(rig.now).state,
        TapState::Untracked { .. }
    ));
}

#[test]
fn an_interrupted_first_copy_stays_the_same_interval() {
    let mut rig = Rig::new(initial());
    rig.stop_journal(StopReason::Failed("no luck".to_owned()));
    rig.pass(2_000);
    rig.settle();
    let sync = last_opening(&rig).sync.unwrap();
    assert_eq!((sync.sync.to_u128(), sync.reason), (5, SyncReason::Initial));
    assert_eq!(rig.tap.status(rig.now).state, TapState::Continuous);
    assert_eq!(rig.replica(), rig.disk);
}

#[test]
fn a_peer_that_knows_more_makes_a_life_above_it() {
    let mut rig = Rig::new(continuous());
    rig.settle();
    rig.write(0, 4096, 1);
    rig.tap.open_above(rig.now, IncarnationOrdinal(9));
    rig.pass(0);
    rig.journal();
    rig.write(4096, 4096, 2);
    rig.settle();
    let start = last_opening(&rig);
    assert_eq!(start.opening.ordinal, IncarnationOrdinal(10));
    assert_eq!(start.sync.unwrap().reason, SyncReason::Fork);
    assert_eq!(rig.replica(), rig.disk);
}
