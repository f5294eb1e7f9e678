//! Writes that fail.

use super::rig::{FIRST, Rig, VOLUME, continuous, settings};
use crate::{
    Payload, StreamBody,
    feed::FeedItem,
    tap::{BackingAction, BackingError, ReplyError, ReplyValue, Request},
};
use bcdr_format::{Sequence, record::VolumeRange};

fn range(offset: u64, length: u32) -> VolumeRange {
    VolumeRange {
        volume: VOLUME,
        offset,
        length,
    }
}

#[test]
fn a_failed_write_is_fed_as_what_the_disk_really_holds() {
    let mut rig = Rig::new(continuous());
    rig.disk[..4096].fill(7);
    let failed = rig.write(0, 4096, 1);
    let behind = rig.write(0, 512, 2);
    rig.journal();
    // Half of it reached the disk.
    rig.disk[..512].fill(1);
    rig.fail(0, BackingError::Io);
    assert_eq!(rig.reply_of(failed), None, "its range is read back first");
    assert_eq!(rig.submitted.len(), 1, "the overlapping write still waits");
    rig.complete(0);
    assert_eq!(rig.reply_of(failed), Some(Err(ReplyError::Io)));
    assert_eq!(
        rig.fed_sequences(),
        [1],
        "the amendment is not in the journal yet"
    );
    rig.journal();
    assert_eq!(rig.fed_sequences(), [1, FIRST, FIRST + 1]);
    let really = Payload::copied_from(&rig.disk[..4096]);
    let data = StreamBody::Data {
        range: range(0, 4096),
        payload: really.clone(),
    };
    assert_eq!(rig.fed_body(FIRST), Some(data));
    let amendment = StreamBody::Amendment {
        amends: Sequence(FIRST),
        range: range(0, 4096),
        payload: really,
    };
    assert_eq!(rig.fed_body(FIRST + 1), Some(amendment));
    rig.settle();
    assert!(rig.is_done(behind));
    assert_eq!(rig.replica()[..4096], rig.disk[..4096]);
}

#[test]
fn an_unreadable_range_is_fed_as_unknown() {
    let mut rig = Rig::new(continuous());
    let failed = rig.write(4096, 4096, 1);
    rig.fail(0, BackingError::Io);
    rig.fail(0, BackingError::Io);
    rig.journal();
    assert_eq!(rig.reply_of(failed), Some(Err(ReplyError::Io)));
    let void = StreamBody::Void {
        voids: Sequence(FIRST),
        range: range(4096, 4096),
    };
    assert_eq!(rig.fed_body(FIRST), Some(void.clone()));
    assert_eq!(rig.fed_body(FIRST + 1), Some(void));
}

#[test]
fn a_full_disk_is_told_as_such() {
    let mut rig = Rig::new(continuous());
    let failed = rig.write(0, 4096, 1);
    rig.fail(0, BackingError::NoSpace);
    rig.settle();
    assert_eq!(rig.reply_of(failed), Some(Err(ReplyError::NoSpace)));
}

#[test]
fn a_trim_that_the_backing_refuses_changes_nothing_and_is_not_tried_again() {
    let mut rig = Rig::new(continuous());
    rig.disk.fill(7);
    let trim = Request::Trim {
        volume: VOLUME,
        offset: 0,
        length: 4096,
        fua: false,
    };
    let first = rig.request(trim.clone());
    rig.fail(0, BackingError::NotSupported);
    rig.settle();
    assert!(rig.is_done(first));
    let payload = Payload::copied_from(&[7; 4096]);
    assert_eq!(
        rig.fed_body(FIRST),
        Some(StreamBody::Data {
            range: range(0, 4096),
            payload
        })
    );
    let second = rig.request(trim);
    assert!(rig.is_done(second) && rig.submitted.is_empty() && rig.queue.is_empty());
    assert!(!rig.tap.status(rig.now).volumes[0].trims);
}

#[test]
fn a_trim_that_would_not_read_as_zeroes_is_neither_done_nor_recorded() {
    let mut rig = Rig::with(settings(), continuous(), false);
    let trim = rig.request(Request::Trim {
        volume: VOLUME,
        offset: 0,
        length: 4096,
        fua: true,
    });
    assert!(rig.is_done(trim));
    assert!(rig.submitted.is_empty() && rig.queue.is_empty());
}

#[test]
fn zeroing_falls_back_to_writing_zeroes() {
    let settings = crate::tap::TapSettings {
        zero_fill_bytes: 4096,
        ..settings()
    };
    let mut rig = Rig::with(settings, continuous(), true);
    rig.disk.fill(7);
    let zero = Request::WriteZeroes {
        volume: VOLUME,
        offset: 4096,
        length: 10240,
        may_unmap: true,
        fua: false,
    };
    let first = rig.request(zero.clone());
    rig.fail(0, BackingError::NotSupported);
    for length in [4096, 4096, 2048] {
        assert_eq!(rig.reply_of(first), None);
        let BackingAction::Write { payload, .. } = &rig.submitted[0].action else {
            panic!("zeroes are written")
        };
        assert_eq!(payload.len(), length);
        rig.complete(0);
    }
    assert_eq!(rig.reply_of(first), Some(Ok(ReplyValue::Done)));
    assert_eq!(rig.disk[4096..14336], [0; 10240]);
    assert_eq!(rig.disk[14336], 7);
    rig.request(zero);
    assert!(
        matches!(rig.submitted[0].action, BackingAction::Write { .. }),
        "it remembers"
    );
    rig.settle();
    let records = rig
        .fed
        .iter()
        .filter(|item| matches!(item, FeedItem::Record { .. }))
        .count();
    assert_eq!(records, 3, "one zero record for each request");
}
