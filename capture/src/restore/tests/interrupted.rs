//! Restores that are killed, cut off and failed at random, until they are complete.

use std::{ops::ControlFlow, sync::atomic::Ordering};

use bcdr_disk::{FaultPlan, SeededRandom};

use super::{
    World, point,
    world::{RESTORE, SIZE, scribble, volume_id},
};
use crate::restore::{Restore, RestoreError, ServeError, SourceError, StampFound, StampState, Why};

/// What happened, so that a run in which nothing did is noticed.
#[derive(Debug, Default)]
struct Sometimes {
    cut: u32,
    killed: u32,
    stopped: u32,
    lost: u32,
    failed_sync: u32,
    device_failed: u32,
    continued: u32,
    rewritten: u32,
    other_target: u32,
    repaired: u32,
}

/// One attempt under a random misfortune; whatever comes of it, nothing is open afterwards.
fn attempt(world: &mut World, sequence: u64, random: &mut SeededRandom, seen: &mut Sometimes) {
    let kill_at = match random.below(5) {
        0 => {
            world.disk.cut_power_at(1 + random.below(60));
            None
        }
        1 => Some((random.below(60), true)),
        2 => Some((random.below(60), false)),
        3 => {
            world.source.lost_after = Some(random.below(40));
            None
        }
        _ => None,
    };
    let disk = world.disk.clone();
    let mut looks = 0;
    let failed_before = world.devices[0].failed_syncs.load(Ordering::Relaxed);
    let cuts_before = disk.faults().power_cuts;
    disk.arm(true);
    let result = world.restore_watched(sequence, &mut |_| {
        looks += 1;
        match kill_at {
            Some((at, true)) if looks > at => disk.kill(),
            Some((at, false)) if looks > at => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    disk.arm(false);
    disk.power_on();
    let failed_sync = world.devices[0].failed_syncs.load(Ordering::Relaxed) > failed_before
        && disk.faults().power_cuts == cuts_before;
    match &result {
        Ok(restored) => {
            seen.repaired += u32::from(restored[0].repaired);
            seen.continued += u32::from(restored[0].why == Why::Continued);
            seen.rewritten += u32::from(restored[0].why == Why::DeviceFailed);
            seen.other_target += u32::from(matches!(restored[0].why, Why::OtherTarget(_)));
        }
        Err(RestoreError::Stopped { .. }) => seen.stopped += 1,
        Err(RestoreError::Source {
            source: SourceError::Lost { .. },
            ..
        }) => seen.lost += 1,
        Err(RestoreError::Device { .. }) => seen.device_failed += 1,
        Err(RestoreError::Stamp { .. } | RestoreError::Describe(_)) => {}
        Err(other) => panic!("{other}"),
    }
    seen.cut += u32::from(disk.faults().power_cuts > cuts_before);
    seen.killed += u32::from(matches!(kill_at, Some((at, true)) if looks > at));
    seen.failed_sync += u32::from(failed_sync);
    if failed_sync && matches!(result, Err(RestoreError::Stamp { .. })) {
        // Device and state failed together, and nobody could note it: the operator replaces the
        // device.
        world.devices[0].identity.fetch_add(1, Ordering::Relaxed);
        let mut junk = vec![0; SIZE as usize];
        scribble(&mut junk, random);
        world.put_device(0, &junk);
    }
    if result.is_ok() {
        // What it called complete is complete, whatever comes.
        disk.power_cut();
        assert!(world.contents(0) == world.point(sequence, 0));
        assert!(world.stamps().restored(&[volume_id(0)]).unwrap());
    } else {
        disk.kill();
    }
}

fn is_complete(world: &World, sequence: u64) -> bool {
    matches!(
        world.stamps().read(volume_id(0)).unwrap(),
        StampFound::Stamp(stamp)
            if matches!(stamp.state, StampState::Clean { point: held, .. } if held == point(sequence))
    )
}

#[test]
fn after_any_interruptions_the_device_holds_the_point() {
    let mut seen = Sometimes::default();
    for seed in 0..60 {
        println!("seed {seed}");
        let plan = FaultPlan {
            write_error_per_mille: 4,
            sync_error_per_mille: 10,
            read_error_per_mille: 2,
        };
        let mut world = World::with(seed, plan, 1);
        let mut random = SeededRandom::new(seed.wrapping_mul(0x9e37_79b9) + 1);
        let mut old = world.point(1 + random.below(3), 0).to_vec();
        (0..random.below(6)).for_each(|_| scribble(&mut old, &mut random));
        world.put_device(0, &old);
        for _ in 0..4 {
            let mut sequence = 1 + random.below(3);
            let mut attempts = 0;
            while {
                attempt(&mut world, sequence, &mut random, &mut seen);
                !is_complete(&world, sequence)
            } {
                attempts += 1;
                assert!(attempts < 300, "it never completes");
                if random.below(12) == 0 {
                    sequence = 1 + random.below(3);
                }
                if random.below(20) == 0 {
                    let at = random.below(SIZE / 512) * 512;
                    world.stray_write(0, at, &[0x77; 512], random.coin());
                }
            }
        }
    }
    println!("{seen:?}");
    let Sometimes {
        cut,
        killed,
        stopped,
        lost,
        failed_sync,
        device_failed,
        continued,
        rewritten,
        other_target,
        repaired,
    } = seen;
    for count in [
        cut,
        killed,
        stopped,
        lost,
        failed_sync,
        device_failed,
        continued,
        rewritten,
        other_target,
        repaired,
    ] {
        assert!(count > 0, "something never happened");
    }
}

#[test]
fn at_every_instant_a_changed_device_has_a_stamp_that_says_so() {
    // The device holds point 1 by its stamp, so that a stale stamp would be believed.
    let mut first = World::new(40);
    first.restored(1);
    let held = first.contents(0);
    let mut changed = 0;
    for cut in 1.. {
        let mut world = World::new(40);
        world.restored(1);
        world.disk.cut_power_at(cut);
        let result = world.restore(3);
        let complete = result.is_ok();
        world.disk.power_on();
        let stamp = match world.stamps().read(volume_id(0)).unwrap() {
            StampFound::Stamp(stamp) => stamp,
            other => panic!("cut {cut}: {other:?}"),
        };
        match stamp.state {
            StampState::Clean { point: named, .. } if named == point(1) => {
                assert!(world.contents(0) == held, "cut {cut}: a stale stamp");
            }
            StampState::Clean { point: named, .. } => {
                assert_eq!(named, point(3));
                assert!(world.contents(0) == world.point(3, 0), "cut {cut}");
            }
            StampState::Writing { cursor, .. } => {
                changed += u32::from(world.contents(0) != held);
                let done = cursor as usize;
                let target = &world.point(3, 0)[..done];
                assert!(
                    world.contents(0)[..done] == *target,
                    "cut {cut}: cursor {cursor}"
                );
                let served = world.stamps().restored(&[volume_id(0)]);
                assert!(matches!(served, Err(ServeError::Unfinished { .. })));
            }
        }
        world.restored(3);
        if complete {
            break;
        }
    }
    assert!(changed > 5);
}

#[test]
fn a_run_goes_on_where_it_was_and_not_from_the_start() {
    let mut world = World::new(41);
    let mut kept = 0;
    let stopped = world.restore_watched(2, &mut |progress| {
        kept = progress.done_bytes;
        if progress.done_bytes > SIZE / 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(stopped, Err(RestoreError::Stopped { .. })));
    let StampFound::Stamp(stamp) = world.stamps().read(volume_id(0)).unwrap() else {
        panic!("no stamp");
    };
    let StampState::Writing { cursor, .. } = stamp.state else {
        panic!("{stamp:?}");
    };
    assert!(cursor > SIZE / 4 && cursor <= kept);
    let restored = world.restored(2);
    assert_eq!(restored.why, Why::Continued);
    assert!(!restored.repaired);
    let lowest = world
        .source
        .asked
        .iter()
        .filter_map(|request| match request {
            bcdr_wire::restore::Request::Digests { offset, .. }
            | bcdr_wire::restore::Request::Read { offset, .. } => Some(*offset),
            _ => None,
        });
    assert_eq!(lowest.min(), Some(cursor));
}

#[test]
fn after_a_failed_sync_nothing_the_device_gives_back_is_believed() {
    let mut rewritten = 0;
    for seed in 0..20 {
        println!("seed {seed}");
        let plan = FaultPlan {
            sync_error_per_mille: 150,
            ..FaultPlan::none()
        };
        let mut world = World::with(seed, plan, 1);
        world.disk.arm(true);
        let result = world.restore(3);
        world.disk.arm(false);
        world.disk.kill();
        let failed = world.devices[0].failed_syncs.load(Ordering::Relaxed) > 0;
        if !(failed && matches!(result, Err(RestoreError::Device { .. }))) {
            continue;
        }
        let restored = world.restored(3);
        assert_eq!(restored.why, Why::DeviceFailed);
        rewritten += 1;
        world.disk.power_cut();
        assert!(world.contents(0) == world.point(3, 0));
    }
    assert!(rewritten > 0);
}

#[test]
fn a_group_is_served_only_when_all_its_volumes_hold_the_point() {
    let ids = [volume_id(0), volume_id(1)];
    let mut world = World::with(42, FaultPlan::none(), 2);
    let begun = {
        let volumes = vec![world.confirmed(0), world.confirmed(1)];
        world.source.begin(2);
        let stamps = world.stamps();
        Restore::begin(stamps, RESTORE, volumes, &mut world.source, world.settings).unwrap()
    };
    assert_eq!(begun.judgements().count(), 2);
    drop(begun);
    // Nothing is written yet, and already neither volume may be served.
    for id in ids {
        assert!(world.stamps().restored(&[id]).is_err());
    }
    let stopped = world.restore_watched(2, &mut |progress| {
        if progress.volume == volume_id(1) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(stopped, Err(RestoreError::Stopped { volume }) if volume == volume_id(1)));
    assert!(world.stamps().restored(&[volume_id(0)]).unwrap());
    assert!(world.stamps().restored(&ids).is_err());
    assert_eq!(world.restore(2).unwrap().len(), 2);
    assert!(world.contents(0) == world.point(2, 0) && world.contents(1) == world.point(2, 1));
    assert!(world.stamps().restored(&ids).unwrap());
    world.stamps().clear(&ids).unwrap();
    world.disk.power_cut();
    assert!(!world.stamps().restored(&ids).unwrap());
    assert_eq!(world.restore(2).unwrap()[0].why, Why::NoStamp);
}
