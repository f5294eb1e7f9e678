//! What is refused by name, and that nothing is written then.

use bcdr_format::{Generation, RestoreId};
use bcdr_wire::restore::RefusalKind;

use super::{
    World, point,
    world::{Lie, RESTORE, SIZE, volume_id},
};
use crate::restore::{
    ConfirmedOverwrite, Restore, RestoreError, ServeError, SourceError, StampFound,
};

fn untouched(world: &World, before: &[u8]) {
    assert!(world.contents(0) == before);
    assert_eq!(world.units_written(0), 0);
}

#[test]
fn nothing_is_written_without_a_confirmation_of_that_device() {
    let mut world = World::with(20, bcdr_disk::FaultPlan::none(), 2);
    let fenced = world.fence(0).unwrap();
    let (id, identity) = (fenced.id().to_string(), fenced.identity());
    for (volume, device) in [
        ("", ""),
        ("yes", "yes"),
        (&*id, ""),
        (&*id, "00000000000000ff"),
        (&*volume_id(1).to_string(), &*identity),
    ] {
        let error = ConfirmedOverwrite::typed(&fenced, volume, device).unwrap_err();
        assert!(error.to_string().contains("not confirmed"), "{error}");
    }
    // That of one device is none for another, nor for the same volume on another device.
    let (_, of_other) = world.confirmed(1);
    world.devices[0]
        .identity
        .store(7, std::sync::atomic::Ordering::Relaxed);
    let (_, of_replaced) = world.confirmed(0);
    for confirmed in [of_other, of_replaced] {
        world.devices[0]
            .identity
            .store(0, std::sync::atomic::Ordering::Relaxed);
        let volumes = vec![(world.fence(0).unwrap(), confirmed)];
        world.source.begin(1);
        let stamps = world.stamps();
        let begun = Restore::begin(stamps, RESTORE, volumes, &mut world.source, world.settings);
        assert!(matches!(begun, Err(RestoreError::NotConfirmed { .. })));
        assert!(world.source.asked.is_empty());
    }
    untouched(&world, &vec![0; SIZE as usize]);
    assert_eq!(world.stamps().read(volume_id(0)).unwrap(), StampFound::None);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_stamped() {
    let mut world = World::new(21);
    let before = world.contents(0);
    let begin = |world: &mut World, restore, twice: bool| {
        let mut volumes = vec![world.confirmed(0)];
        if twice {
            volumes.push(world.confirmed(0));
        }
        world.source.begin(1);
        let stamps = world.stamps();
        let begun = Restore::begin(stamps, restore, volumes, &mut world.source, world.settings);
        begun.map(|_| ()).unwrap_err()
    };
    let error = begin(&mut world, RestoreId::from_u128(1), false);
    assert!(
        matches!(&error, RestoreError::Describe(SourceError::Refused(refusal))
        if refusal.kind == RefusalKind::UnknownRestore)
    );
    let error = begin(&mut world, RESTORE, true);
    assert!(matches!(error, RestoreError::Twice { .. }));

    let contents = world.source.points.remove(&(1, volume_id(0))).unwrap();
    let other = contents[..contents.len() - 512].to_vec();
    world.source.points.insert((1, volume_id(5)), other.clone());
    let error = begin(&mut world, RESTORE, false);
    assert!(matches!(error, RestoreError::UnknownVolume { .. }));
    world.source.points.insert((1, volume_id(0)), other);
    let error = begin(&mut world, RESTORE, false);
    assert!(
        matches!(error, RestoreError::Size { found: SIZE, .. }),
        "{error}"
    );
    untouched(&world, &before);
    assert_eq!(world.stamps().read(volume_id(0)).unwrap(), StampFound::None);
}

#[test]
fn a_restore_that_was_fenced_off_is_refused() {
    let mut world = World::new(22);
    world.restored(1);
    let held = world.contents(0);
    world.units_written(0);
    let stamp = world.stamps().read(volume_id(0)).unwrap();
    world.source.generation = Generation(4);
    let error = world.restore(2).unwrap_err();
    assert!(
        matches!(error, RestoreError::OldGeneration { .. }),
        "{error}"
    );
    untouched(&world, &held);
    assert_eq!(world.stamps().read(volume_id(0)).unwrap(), stamp);
}

#[test]
fn a_source_that_lies_is_a_failure_by_name_and_the_device_is_not_served() {
    // Each after the device was blank (compared by digest) and when its point was known.
    for (lie, known, contradicts) in [
        (Lie::Reads, false, true),
        (Lie::Reads, true, true),
        (Lie::OneRead, false, true),
        (Lie::VolumeDigest, false, true),
        (Lie::VolumeDigest, true, true),
        (Lie::Ranges, true, false),
        (Lie::Place, false, false),
    ] {
        let mut world = World::new(23);
        if known {
            world.restored(1);
        }
        world.source.lie = Some(lie);
        let error = world.restore(2).unwrap_err();
        let named = match &error {
            RestoreError::SourceContradicts { .. } => contradicts,
            RestoreError::Source {
                source: SourceError::Nonsense { .. },
                ..
            } => !contradicts,
            _ => false,
        };
        assert!(named, "{lie:?}: {error}");
        let served = world.stamps().restored(&[volume_id(0)]);
        assert!(
            matches!(served, Err(ServeError::Unfinished { target, .. }) if target == point(2)),
            "{lie:?}"
        );
        // An honest source completes it.
        world.source.lie = None;
        world.restored(2);
        assert!(world.stamps().restored(&[volume_id(0)]).unwrap());
    }
}

#[test]
fn a_single_wrong_read_of_a_known_change_is_repaired() {
    let mut world = World::new(24);
    world.restored(1);
    world.source.lie = Some(Lie::OneRead);
    assert!(world.restored(2).repaired);
}
