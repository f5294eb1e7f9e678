//! The oracle must refuse what it is there to refuse.

use super::*;

fn write(oracle: &mut Oracle, sectors: std::ops::Range<u32>) -> OpId {
    let id = oracle.issue(Effect::Stamp, 0, sectors.start, sectors.len() as u32, true);
    for sector in sectors {
        oracle.landed(id, 0, sector);
    }
    id
}

fn done(oracle: &mut Oracle, sectors: std::ops::Range<u32>) -> OpId {
    let id = write(oracle, sectors);
    oracle.ended(id, End::Done);
    id
}

fn image(cells: &[Option<OpId>]) -> Image {
    let cell = |id: &Option<OpId>| id.map_or(Cell::Zero, |id| Cell::Stamp(id.0));
    Image(vec![cells.iter().map(cell).collect()])
}

fn holds(oracle: &Oracle, cells: &[Option<OpId>]) -> bool {
    oracle.check_image(&image(cells), Bounds::default()).is_ok()
}

#[test]
fn a_later_write_without_an_earlier_one_is_no_prefix() {
    let mut oracle = Oracle::new(&[3]);
    let a = done(&mut oracle, 0..1);
    let b = done(&mut oracle, 1..2);
    assert!(holds(&oracle, &[None, None, None]));
    assert!(holds(&oracle, &[Some(a), None, None]));
    assert!(holds(&oracle, &[Some(a), Some(b), None]));
    assert!(!holds(&oracle, &[None, Some(b), None]));
    assert!(!holds(&oracle, &[Some(b), None, None]), "never held there");
}

#[test]
fn concurrent_writes_may_be_in_either_order_unless_they_overlap() {
    let mut oracle = Oracle::new(&[3]);
    let a = oracle.issue(Effect::Stamp, 0, 0, 2, true);
    let b = oracle.issue(Effect::Stamp, 0, 1, 2, true);
    for (id, sector) in [(a, 0), (a, 1), (b, 1), (b, 2)] {
        oracle.landed(id, 0, sector);
    }
    oracle.ended(b, End::Done);
    oracle.ended(a, End::Done);
    assert!(holds(&oracle, &[Some(a), Some(b), Some(b)]));
    assert!(holds(&oracle, &[Some(a), Some(a), None]));
    assert!(
        !holds(&oracle, &[Some(a), Some(a), Some(b)]),
        "torn and swapped"
    );
    assert!(!holds(&oracle, &[None, Some(b), Some(b)]), "a came first");
}

#[test]
fn a_write_is_in_an_image_whole() {
    let mut oracle = Oracle::new(&[2]);
    let a = write(&mut oracle, 0..2);
    assert!(holds(&oracle, &[Some(a), Some(a)]));
    assert!(!holds(&oracle, &[Some(a), None]));
}

#[test]
fn zeroes_are_matched_to_the_instant_that_fits() {
    let mut oracle = Oracle::new(&[2]);
    let a = done(&mut oracle, 0..1);
    let z = oracle.issue(Effect::Zero, 0, 0, 1, true);
    oracle.landed(z, 0, 0);
    oracle.ended(z, End::Done);
    let b = done(&mut oracle, 1..2);
    assert!(holds(&oracle, &[None, Some(b)]));
    assert!(
        !holds(&oracle, &[Some(a), Some(b)]),
        "the zero write was skipped"
    );
    let c = done(&mut oracle, 0..1);
    assert!(holds(&oracle, &[Some(c), Some(b)]));
    assert!(holds(&oracle, &[None, None]));
}

#[test]
fn a_power_cut_may_undo_what_was_not_flushed_and_nothing_else() {
    let mut oracle = Oracle::new(&[2]);
    let a = done(&mut oracle, 0..1);
    let promise = oracle.flush_issued(0);
    let b = done(&mut oracle, 1..2);
    oracle.flush_done(&promise);
    let survived = vec![vec![Cell::Stamp(a.0), Cell::Zero]];
    assert!(oracle.host_ended(&survived, true).is_ok());
    let c = done(&mut oracle, 0..1);
    assert!(
        !holds(&oracle, &[Some(c), Some(b)]),
        "the crash undid b before c was issued"
    );
    assert!(
        holds(&oracle, &[Some(a), Some(b)]),
        "before the crash it was there"
    );
    assert!(holds(&oracle, &[Some(c), None]));
    let promise = oracle.flush_issued(0);
    oracle.flush_done(&promise);
    assert!(oracle.host_ended(&survived, true).is_err(), "c was flushed");
}

#[test]
fn bounds_hold_an_image_to_its_instant() {
    let mut oracle = Oracle::new(&[2]);
    let a = done(&mut oracle, 0..1);
    let instant = oracle.now();
    let b = done(&mut oracle, 1..2);
    let after = Bounds {
        after: instant,
        before: None,
    };
    assert!(oracle.check_image(&image(&[None, None]), after).is_err());
    assert!(oracle.check_image(&image(&[Some(a), None]), after).is_ok());
    let before = Bounds {
        after: Step(0),
        before: Some(instant),
    };
    assert!(oracle.check_image(&image(&[Some(a), None]), before).is_ok());
    assert!(
        oracle
            .check_image(&image(&[Some(a), Some(b)]), before)
            .is_err()
    );
}

#[test]
fn a_write_that_is_half_on_the_disk_must_not_be_seen() {
    let mut oracle = Oracle::new(&[2]);
    let a = oracle.issue(Effect::Stamp, 0, 0, 2, true);
    oracle.landed(a, 0, 0);
    assert!(!holds(&oracle, &[Some(a), None]));
    assert!(!holds(&oracle, &[Some(a), Some(a)]));
}

#[test]
fn unknown_sectors_need_a_write_that_failed_unreadably() {
    let mut oracle = Oracle::new(&[1]);
    let unknown = Image(vec![vec![Cell::Unknown]]);
    assert!(oracle.check_image(&unknown, Bounds::default()).is_err());
    let a = oracle.issue(Effect::Stamp, 0, 0, 1, true);
    oracle.unreadable(a);
    oracle.ended(a, End::Failed);
    assert!(oracle.check_image(&unknown, Bounds::default()).is_ok());
}
