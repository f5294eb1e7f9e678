//! A clock that is wrong does not take the log for old.

use super::*;

const DAY: i64 = 24 * 60 * 60 * 1_000_000;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A log of 200 days, of which 30 are kept, and its owner.
fn of_200_days() -> (World, Owner) {
    let mut world = World::new(31);
    let (mut log, _) = world.open().unwrap();
    // The owner writes with the clock, so the log ends now.
    let now = clock::wall();
    for number in 0..200 {
        let entry = draft("operator", Outcome::Allowed);
        let at = Timestamp(now.0 - (199 - number) * DAY);
        log.append(vec![entry], at).unwrap();
    }
    world.config.retention_days = 30;
    let owner = Owner::new(world.parts(), Arc::new(Shared::new(World::metrics())));
    (world, owner)
}

fn segments(world: &World) -> usize {
    files::numbers(&world.disk, DIRECTORY.as_ref())
        .unwrap()
        .len()
}

#[test]
fn nothing_is_removed_in_the_first_hour() {
    let (world, mut owner) = of_200_days();
    let (before, now) = (segments(&world), Instant::now());
    owner.retain_if_due(clock::wall(), now);
    assert_eq!(segments(&world), before);
    owner.retain_if_due(clock::wall(), now + HOUR);
    assert!(segments(&world) < before);
}

#[test]
fn a_clock_that_leapt_removes_nothing_and_that_is_an_entry() {
    let (world, mut owner) = of_200_days();
    let (before, now) = (segments(&world), Instant::now());
    let leapt = Timestamp(clock::wall().0 + 8 * DAY);
    for hours in 1..4 {
        owner.retain_if_due(leapt, now + hours * HOUR);
    }
    assert_eq!(segments(&world), before);
    let text = world.text(&world.newest_segment());
    assert_eq!(text.matches("audit_retention_held").count(), 1, "{text}");
    // It was set right.
    owner.retain_if_due(clock::wall(), now + 5 * HOUR);
    assert!(segments(&world) < before);
    let verdict = world.verify(None);
    assert!(verdict.is_valid(), "{:?}", verdict.findings);
}
