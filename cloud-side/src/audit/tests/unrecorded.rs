//! What is missing is remembered, and strangers take no room from those who are known.

use super::*;

#[tokio::test]
async fn entries_that_are_missing_are_told_of_by_the_next_process() {
    let world = World::new(21);
    let audit = world.start();
    audit
        .record(draft("before", Outcome::Allowed))
        .await
        .unwrap();
    world.disk.set_capacity(1);
    let mut refused = 0;
    while audit.record(draft("fill", Outcome::Allowed)).await.is_ok() {}
    refused += 1;
    // A kill now loses nothing of it.
    assert_eq!(world.anchor.gap().unwrap().unwrap().count, refused);
    for _ in 0..5 {
        let missing = audit.record(draft("during", Outcome::Allowed)).await;
        refused += u64::from(missing.is_err());
    }
    audit.close();
    drop(audit);
    world.disk.kill();
    let kept = world.anchor.gap().unwrap();
    world.disk.set_capacity(1 << 30);
    let audit = world.start();
    let gaps = of_action(&audit, "audit_gap").await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].said.count, refused);
    assert_eq!(world.anchor.gap().unwrap(), None);
    audit.close();
    // Killed before the catalog was told that it was said.
    world.anchor.keep_gap(kept.as_ref()).unwrap();
    let audit = world.start();
    assert_eq!(of_action(&audit, "audit_gap").await.len(), 1);
    assert_eq!(world.anchor.gap().unwrap(), None);
    audit.close();
}

#[test]
fn a_flood_of_strangers_takes_no_place_in_the_queue() {
    let shared = Arc::new(Shared::new(World::metrics()));
    // Nobody takes anything out, as during a slow sync.
    let (asks, _inbox) = mpsc::sync_channel(WAITING_MAX);
    let audit = Audit {
        asks,
        shared: Arc::clone(&shared),
        storage: World::new(22).parts().storage,
        thread: Mutex::new(None),
    };
    let flood = 4 * WAITING_MAX;
    for _ in 0..flood {
        audit.refused_stranger(&Stranger {
            address: None,
            action: AUTHENTICATE,
            account: None,
            code: "token_invalid",
        });
    }
    audit.record_later(draft("known", Outcome::Allowed));
    assert_eq!(shared.lost.load(Ordering::Relaxed), 0);
    let due = shared.refusals().due(Instant::now(), true);
    assert_eq!(due[0].count, flood as u64);
}

#[test]
fn a_log_that_takes_much_of_what_is_kept_free_is_warned_of() {
    let mut world = World::new(23);
    let shared = Arc::new(Shared::new(World::metrics()));
    let (mut log, _) = world.open().unwrap();
    for number in 0..100 {
        let entry = draft("operator", Outcome::Allowed);
        log.append(vec![entry], Timestamp(number)).unwrap();
    }
    drop(log);
    let written = {
        let owner = Owner::new(world.parts(), Arc::clone(&shared));
        owner.weigh();
        shared.health().bytes
    };
    assert_eq!(shared.health().warning, None, "nothing is kept free here");
    for (floor, is_warned) in [(written * 3, false), (written, true)] {
        world.floor = floor;
        Owner::new(world.parts(), Arc::clone(&shared)).weigh();
        let warning = shared.health().warning;
        assert_eq!(warning.is_some(), is_warned, "{floor}: {warning:?}");
    }
}
