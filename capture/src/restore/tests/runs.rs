//! Uninterrupted restores: what is compared, what is written, what is noticed.

use std::{ops::ControlFlow, sync::atomic::Ordering};

use bcdr_disk::SeededRandom;
use bcdr_wire::restore::Request;

use super::{
    World, point,
    world::{Lie, SIZE, differing_units, scribble, volume_id},
};
use crate::restore::{Stage, Stamp, StampFound, StampState, Why};

#[test]
fn forwards_and_backwards_and_only_what_differs_is_written() {
    let mut world = World::new(1);
    let mut held = vec![0; SIZE as usize];
    for (round, sequence) in [2, 3, 1, 3, 2, 1].into_iter().enumerate() {
        let differing = differing_units(&held, world.point(sequence, 0));
        let restored = world.restored(sequence);
        // The blank device is compared; from then on the stamp proves what it holds.
        assert_eq!(restored.compared, round == 0);
        assert_eq!(world.source.asked_for_digests(), round == 0);
        assert_eq!(
            restored.why,
            if round == 0 {
                Why::NoStamp
            } else {
                Why::Proven
            }
        );
        assert!(!restored.repaired && differing > 0);
        assert_eq!(world.units_written(0), differing, "to point {sequence}");
        assert!(world.source.most_waiting <= world.settings.limits.requests);
        held = world.contents(0);
    }
}

#[test]
fn an_unmodified_image_is_proven_without_a_write() {
    let mut world = World::new(2);
    world.put_device(0, world.point(2, 0));
    let restored = world.restored(2);
    assert!(restored.compared);
    assert_eq!(restored.fetched_bytes, 0);
    assert_eq!(world.units_written(0), 0);
    // And with a stamp nothing is compared either, but the device is read back all the same.
    let restored = world.restored(2);
    assert_eq!((restored.compared, restored.why), (false, Why::Proven));
    assert_eq!(world.units_written(0), 0);
}

#[test]
fn an_old_disk_with_stray_writes_is_put_right() {
    let mut random = SeededRandom::new(3);
    let mut world = World::new(3);
    let mut old = world.point(1, 0).to_vec();
    (0..20).for_each(|_| scribble(&mut old, &mut random));
    world.put_device(0, &old);
    let differing = differing_units(&old, world.point(3, 0));
    assert!(world.restored(3).compared);
    assert_eq!(world.units_written(0), differing);
}

#[test]
fn holes_stay_holes_and_zeros_are_made_holes() {
    let mut world = World::new(4);
    let blank = vec![0; SIZE as usize];
    for sequence in 1..=3 {
        world
            .source
            .points
            .insert((sequence, volume_id(0)), blank.clone());
    }
    world.put_device(0, &vec![7; SIZE as usize]);
    let used = || {
        let space = bcdr_disk::Storage::space(&world.disk, std::path::Path::new("/devices"));
        let space = space.unwrap();
        space.total_bytes - space.available_bytes
    };
    let full = used();
    assert!(full >= SIZE);
    let restored = world.restored(1);
    assert_eq!(restored.zeroed_bytes, SIZE);
    assert_eq!(restored.written_bytes, 0);
    let space = bcdr_disk::Storage::space(&world.disk, std::path::Path::new("/devices")).unwrap();
    assert!(space.total_bytes - space.available_bytes < 64 << 10);
}

#[test]
fn a_device_that_was_written_since_its_stamp_is_compared() {
    let mut world = World::new(5);
    world.restored(1);
    world.stray_write(0, 512, &[9; 512], true);
    let restored = world.restored(2);
    assert_eq!(restored.why, Why::ChangedSince(point(1)));
    assert!(restored.compared && !restored.repaired);
    // A write that leaves no trace is found by the digest.
    let unchanged = (0..SIZE / 512)
        .map(|sector| sector * 512)
        .find(|offset| {
            let at = *offset as usize..*offset as usize + 512;
            world.point(2, 0)[at.clone()] == world.point(3, 0)[at]
        })
        .unwrap();
    world.stray_write(0, unchanged, &[0xa9; 512], false);
    let restored = world.restored(3);
    assert_eq!(restored.why, Why::Proven);
    assert!(restored.repaired);
}

#[test]
fn a_base_that_was_thinned_leads_to_a_full_comparison() {
    let mut world = World::new(6);
    world.restored(1);
    world.units_written(0);
    world.source.thinned.insert(1);
    let differing = differing_units(world.point(1, 0), world.point(3, 0));
    let restored = world.restored(3);
    assert_eq!(restored.why, Why::Proven);
    assert!(restored.compared && !restored.repaired);
    assert_eq!(world.units_written(0), differing);
}

#[test]
fn a_source_that_keeps_silent_about_a_change_is_found_out_by_the_digest() {
    let mut world = World::new(7);
    world.restored(1);
    world.source.lie = Some(Lie::NoRanges);
    assert!(world.restored(3).repaired);
}

#[test]
fn another_device_under_the_same_volume_is_compared() {
    let mut world = World::new(8);
    world.restored(1);
    world.devices[0].identity.store(99, Ordering::Relaxed);
    world.put_device(0, &vec![1; SIZE as usize]);
    let restored = world.restored(2);
    assert_eq!(restored.why, Why::OtherDevice);
    assert!(restored.compared);
}

#[test]
fn a_damaged_or_newer_stamp_proves_nothing_and_says_why() {
    for (offset, said) in [(4, "version"), (60, "checksum")] {
        let mut world = World::new(9);
        world.restored(1);
        world
            .disk
            .flip_bit(&world.stamps().path(volume_id(0)), offset)
            .unwrap();
        let restored = world.restored(2);
        assert!(restored.why.to_string().contains(said), "{}", restored.why);
        assert!(restored.compared);
    }
}

#[test]
fn progress_ends_at_the_volumes_size_and_stages_follow_each_other() {
    let mut world = World::new(10);
    let mut seen = Vec::new();
    world
        .restore_watched(1, &mut |progress| {
            seen.push(*progress);
            ControlFlow::Continue(())
        })
        .unwrap();
    for stage in [Stage::Applying, Stage::Verifying] {
        let of_stage: Vec<_> = seen.iter().filter(|one| one.stage == stage).collect();
        assert!(of_stage.is_sorted_by_key(|one| one.done_bytes));
        assert_eq!(of_stage.last().unwrap().done_bytes, SIZE);
    }
    assert!(seen.is_sorted_by_key(|one| one.stage == Stage::Verifying));
    let last = seen.last().unwrap();
    assert_eq!(last.total_bytes, SIZE);
    assert!(last.fetched_bytes >= last.written_bytes && last.written_bytes > 0);
}

#[test]
fn the_clean_stamp_holds_what_was_read_back() {
    let mut world = World::new(11);
    let restored = world.restored(3);
    // Where the stream goes on is asked for behind everything else.
    let [.., Request::Done { digest, .. }, Request::Seam { .. }] = &world.source.asked[..] else {
        panic!("the last requests are not the digest's and the seam's");
    };
    assert_eq!(restored.digest, *digest);
    let found = world.stamps().read(volume_id(0)).unwrap();
    let expected = Stamp {
        volume: volume_id(0),
        size_bytes: SIZE,
        identity: 0,
        generation: world.source.generation,
        state: StampState::Clean {
            point: point(3),
            digest: restored.digest,
            change: world.devices[0].change.load(Ordering::Relaxed),
            seam: None,
        },
    };
    assert_eq!(found, StampFound::Stamp(expected));
}
