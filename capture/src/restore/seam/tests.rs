//! What is kept of where the stream goes on, and what a start makes of it.

use super::*;
use crate::{
    intent::{BackingActivity, BackingEvidence},
    restore::tests::world::{SIZE, World, point, volume_id},
};
use bcdr_format::{Generation, IncarnationId, IncarnationOrdinal, Position, Sequence, Timestamp};
use bcdr_wire::restore::{Refusal, RefusalKind};

/// Changes one volume's stamp and seam.
type Edit<'a> = &'a dyn Fn(&mut Stamp, &mut Seam);

fn head(volumes: u32) -> SeamHead {
    SeamHead {
        stream: point(3).stream,
        held: Held {
            position: Position::new(IncarnationOrdinal(1), Sequence(30)),
            id: IncarnationId::from_u128(8),
        },
        volumes,
    }
}

fn two_volumes(seed: u64) -> World {
    let mut world = World::with(seed, bcdr_disk::FaultPlan::none(), 2);
    world.source.end = Ok(head(2));
    world
}

fn found(world: &World, number: u16) -> FoundDisk {
    let outside = &world.devices[usize::from(number)];
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    FoundDisk {
        number: VolumeNumber(number),
        id: volume_id(u128::from(number)),
        size_bytes: SIZE,
        look: Look {
            evidence: BackingEvidence {
                identity: outside.identity.load(relaxed),
                change: outside.change.load(relaxed),
            },
            activity: BackingActivity {
                changed_at: Timestamp(0),
                sectors_written: 0,
                boot_at: Timestamp(0),
                own_clock: true,
                counted: true,
            },
        },
    }
}

fn joined_now(world: &World) -> Result<Joined, NoSeam> {
    let disks = [found(world, 0), found(world, 1)];
    joined(&world.stamps(), head(2).stream, &disks)
}

#[test]
fn what_differs_from_the_historys_end_is_kept_and_nothing_much_else() {
    for seed in 0..8 {
        println!("seed {seed}");
        let mut world = two_volumes(seed);
        world.restore(1).unwrap();
        let joined = joined_now(&world).unwrap();
        assert_eq!(joined.held, head(2).held);
        for number in 0..2_u16 {
            let (end, here) = (
                world.point(3, u128::from(number)).to_vec(),
                world.contents(u128::from(number)),
            );
            let mut patched = end.clone();
            let of_volume = joined.ranges.iter().filter(|it| it.volume.0 == number);
            for range in of_volume.clone() {
                let range = range.offset as usize..range.end() as usize;
                patched[range.clone()].copy_from_slice(&here[range]);
            }
            assert!(patched == here, "seed {seed}");
            let differing: u64 = end
                .chunks(GRAIN_BYTES as usize)
                .zip(here.chunks(GRAIN_BYTES as usize))
                .filter(|(one, other)| one != other)
                .map(|(one, _)| one.len() as u64)
                .sum();
            let named: u64 = of_volume.map(|range| u64::from(range.length)).sum();
            assert_eq!(named, differing);
        }
    }
}

#[test]
fn disks_that_hold_the_historys_end_differ_in_nothing() {
    let mut world = two_volumes(20);
    world.restore(3).unwrap();
    assert_eq!(joined_now(&world).unwrap().ranges, Vec::new());
}

#[test]
fn without_an_answer_the_disks_are_put_back_all_the_same() {
    let other = |kind| {
        Err(Answer::Refused(Refusal {
            kind,
            reason: "kind 0x8 is no request of this version".to_owned(),
        }))
    };
    let unknown = Err(Answer::Unknown {
        reason: "its history ends inside a sync interval".to_owned(),
    });
    for answer in [unknown, other(RefusalKind::Version), Err(Answer::Settled)] {
        let mut world = two_volumes(21);
        world.source.end = answer;
        world.restore(2).unwrap();
        assert!(world.contents(1) == world.point(2, 1));
        let why = joined_now(&world).unwrap_err();
        assert!(matches!(why, NoSeam::Absent(_)), "{why}");
    }
}

#[test]
fn a_disk_that_somebody_wrote_to_or_that_nobody_watches_joins_nothing() {
    let mut world = two_volumes(22);
    world.restore(1).unwrap();
    let stamps = world.stamps();
    let stream = head(2).stream;
    let with = |change: &dyn Fn(&mut FoundDisk)| {
        let mut disks = [found(&world, 0), found(&world, 1)];
        change(&mut disks[1]);
        joined(&stamps, stream, &disks)
    };
    assert!(with(&|_| {}).is_ok());
    let touched = |result| matches!(result, Err(NoSeam::Touched(id)) if id == volume_id(1));
    assert!(touched(with(&|disk| disk.look.evidence.change += 1)));
    assert!(touched(with(&|disk| disk.look.evidence.identity += 1)));
    assert!(touched(with(&|disk| disk.size_bytes += 512)));
    let unprovable = |result| matches!(result, Err(NoSeam::Unprovable(_)));
    assert!(unprovable(with(&|disk| disk.look.activity.counted = false)));
    assert!(unprovable(with(
        &|disk| disk.look.activity.own_clock = false
    )));
    let apart = |result| matches!(result, Err(NoSeam::NotTogether));
    assert!(apart(with(&|disk| disk.number = VolumeNumber(4))));
    assert!(apart(joined(&stamps, stream, &[found(&world, 0)])));
    let other = StreamId::from_u128(7);
    assert!(apart(joined(
        &stamps,
        other,
        &[found(&world, 0), found(&world, 1)]
    )));
    world.stray_write(1, 8192, &[7; 512], true);
    assert!(touched(joined_now(&world)));
}

#[test]
fn a_write_of_somebody_else_while_the_disk_is_read_back_is_seen() {
    let mut world = two_volumes(23);
    let outside = std::sync::Arc::clone(&world.devices[0]);
    let mut seen = false;
    world
        .restore_watched(1, &mut |progress| {
            // Behind what was read back already, as far as anybody can tell.
            if progress.stage == crate::restore::Stage::Verifying && !seen {
                seen = true;
                outside
                    .change
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert!(seen);
    let why = joined_now(&world).unwrap_err();
    assert!(
        matches!(why, NoSeam::Touched(id) if id == volume_id(0)),
        "{why}"
    );
}

#[test]
fn volumes_that_were_put_back_apart_are_not_joined() {
    let mut world = two_volumes(24);
    world.restore(1).unwrap();
    let stamps = world.stamps();
    let change = |edit: Edit<'_>| {
        let StampFound::Stamp(mut stamp) = stamps.read(volume_id(1)).unwrap() else {
            panic!("no stamp");
        };
        let before = stamp.clone();
        let StampState::Clean {
            seam: Some(told), ..
        } = &stamp.state
        else {
            panic!("no seam");
        };
        let mut told = told.clone();
        edit(&mut stamp, &mut told);
        if let StampState::Clean { seam, .. } = &mut stamp.state {
            *seam = Some(told);
        }
        stamps.put(&stamp).unwrap();
        let result = joined_now(&world);
        stamps.put(&before).unwrap();
        result
    };
    assert!(change(&|_, _| {}).is_ok());
    let edits: [Edit<'_>; 4] = [
        &|stamp, _| stamp.generation = Generation(stamp.generation.0 + 1),
        &|_, seam| seam.head.held.position.sequence = Sequence(31),
        &|_, seam| seam.head.held.id = IncarnationId::from_u128(9),
        &|stamp, _| {
            if let StampState::Clean { point: held, .. } = &mut stamp.state {
                *held = point(2);
            }
        },
    ];
    for (index, edit) in edits.iter().enumerate() {
        let result = change(edit);
        assert!(matches!(result, Err(NoSeam::NotTogether)), "{index}");
    }
}

#[test]
fn ranges_are_never_too_many_and_cover_all() {
    let size = (RANGES_KEPT as u64 * 4 + 3) * GRAIN_BYTES * 2 + 512;
    let mut map = RangeMap::new(size);
    let told: Vec<ByteRange> = (0..size)
        .step_by(2 * GRAIN_BYTES as usize)
        .map(|offset| ByteRange {
            offset,
            length: 512,
        })
        .collect();
    told.iter().for_each(|range| map.add(*range));
    assert!(map.ranges.len() <= RANGES_KEPT);
    assert!(is_map(&map.ranges, size));
    let mut kept = map.ranges.iter().peekable();
    for range in told {
        while kept.next_if(|it| it.end() <= range.offset).is_some() {}
        let around = kept.peek().unwrap();
        assert!(around.offset <= range.offset && range.end() <= around.end());
    }
}

#[test]
fn long_ranges_are_named_in_pieces() {
    let whole = ByteRange {
        offset: 512,
        length: 5 * PIECE_BYTES + 1024,
    };
    let pieces: Vec<VolumeRange> = pieces(VolumeNumber(3), &[whole]).collect();
    assert_eq!(pieces.len(), 6);
    let mut at = whole.offset;
    for piece in pieces {
        assert_eq!((piece.volume, piece.offset), (VolumeNumber(3), at));
        at = piece.end();
    }
    assert_eq!(at, whole.end());
}
