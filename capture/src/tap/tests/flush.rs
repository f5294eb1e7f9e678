//! Honest flushes.

use super::rig::{Rig, VOLUME, continuous};
use crate::{
    Payload,
    journal::JournalEvent,
    tap::{BackingAction, BackingError, ReplyError, Request},
};
use bcdr_format::Sequence;

fn sync_index(rig: &Rig) -> Option<usize> {
    rig.submitted
        .iter()
        .position(|one| one.action == BackingAction::Sync)
}

#[test]
fn a_flush_waits_for_the_journal_even_if_the_backing_is_durable() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 4096, 1);
    rig.complete(0);
    let flush = rig.flush();
    rig.complete(sync_index(&rig).unwrap());
    assert_eq!(
        rig.reply_of(flush),
        None,
        "the record is not durable in the journal"
    );
    rig.journal();
    assert!(rig.is_done(flush));
}

#[test]
fn a_flush_waits_for_the_backing_even_if_the_journal_is_durable() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 4096, 1);
    rig.complete(0);
    let flush = rig.flush();
    rig.journal();
    assert_eq!(rig.reply_of(flush), None);
    rig.complete(sync_index(&rig).unwrap());
    assert!(rig.is_done(flush));
}

#[test]
fn a_backing_sync_begun_before_the_flush_does_not_count() {
    let mut rig = Rig::new(continuous());
    let early = rig.flush();
    rig.write(0, 4096, 1);
    rig.complete(1);
    let late = rig.flush();
    rig.journal();
    rig.complete(sync_index(&rig).unwrap());
    assert!(rig.is_done(early));
    assert_eq!(rig.reply_of(late), None);
    let again = rig.flush();
    assert_eq!(rig.submitted.len(), 1, "at most one sync at a time");
    rig.complete(0);
    assert!(rig.is_done(late));
    rig.complete(0);
    assert!(rig.is_done(again));
}

#[test]
fn fua_waits_for_its_own_record() {
    let mut rig = Rig::new(continuous());
    let payload = Payload::copied_from(&[1; 512]);
    let write = rig.request(Request::Write {
        volume: VOLUME,
        offset: 0,
        payload,
        fua: true,
    });
    rig.complete(0);
    rig.complete(sync_index(&rig).unwrap());
    assert_eq!(rig.reply_of(write), None);
    rig.event(JournalEvent::Written(Sequence(2)));
    rig.event(JournalEvent::Durable(Sequence(1)));
    assert_eq!(rig.reply_of(write), None);
    rig.event(JournalEvent::Durable(Sequence(2)));
    assert!(rig.is_done(write));
}

#[test]
fn a_hung_write_does_not_hold_a_flush() {
    let mut rig = Rig::new(continuous());
    rig.write(0, 4096, 1);
    rig.write(8192, 4096, 2);
    rig.complete(1);
    let flush = rig.flush();
    rig.journal();
    rig.complete(sync_index(&rig).unwrap());
    assert!(rig.is_done(flush));
    assert_eq!(rig.writes_in_flight(), [0]);
}

#[test]
fn a_failed_backing_sync_is_told() {
    let mut rig = Rig::new(continuous());
    let flush = rig.flush();
    rig.fail(0, BackingError::Io);
    assert_eq!(rig.reply_of(flush), Some(Err(ReplyError::Io)));
}

#[test]
fn the_journal_is_synced_now_and_then_without_a_flush() {
    let mut rig = Rig::new(continuous());
    rig.settle();
    rig.pass(1000);
    rig.journal();
    assert_eq!(rig.tap.status(rig.now).durable, Sequence(1));
    rig.write(0, 4096, 1);
    rig.complete(0);
    rig.journal();
    rig.pass(100);
    rig.journal();
    assert_eq!(rig.tap.status(rig.now).durable, Sequence(1));
    rig.pass(100);
    rig.journal();
    assert_eq!(rig.tap.status(rig.now).durable, Sequence(2));
}
