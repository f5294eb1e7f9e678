//! A point is given back to the disks it came from: a home's tasks, through a gateway's relay, from a
//! cloud side's store; all of it real, over QUIC.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

#[path = "returns/site.rs"]
mod site;
#[path = "returns/store.rs"]
mod store;

use bcdr_capture::restore::{StampBook, StampFound, StampState, seam::Seam};
use bcdr_cloud::{
    branch::BranchReason,
    branches::BaseImage,
    receive::BatchNumber,
    returns::{
        Offer,
        seam::{End, EndNow},
    },
};
use bcdr_disk::{RealStorage, SeededRandom};
use bcdr_format::{Generation, IncarnationId, VolumeNumber, continuity::Held};
use bcdr_wire::{
    order::{HomeWork, TaskOutcome, TaskState},
    restore::PointName,
};
use bytes::Bytes;
use site::{Site, TASK, end_of};
use std::sync::{Arc, atomic::Ordering};
use store::{Change, GROUP, Images, Store, members};

/// Units of 4 KiB that differ, in bytes.
fn differing(one: &Images, other: &Images) -> u64 {
    let units = |(one, other): (&Vec<u8>, &Vec<u8>)| {
        one.chunks(4096)
            .zip(other.chunks(4096))
            .filter(|(one, other)| one != other)
            .map(|(one, _)| one.len() as u64)
            .sum::<u64>()
    };
    one.iter().zip(other).map(units).sum()
}

#[track_caller]
fn restored(state: &TaskState) -> (u64, u64) {
    match state {
        TaskState::Done(TaskOutcome::Restored {
            fetched_bytes,
            written_bytes,
        }) => (*fetched_bytes, *written_bytes),
        other => panic!("it is not restored: {other:?}"),
    }
}

#[track_caller]
fn failed(state: &TaskState, wanted: &str) {
    match state {
        TaskState::Failed { code, remedy, .. } => {
            assert_eq!(code, wanted, "{state:?}");
            assert!(!remedy.is_empty());
        }
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_are_put_back_forwards_and_backwards_and_only_what_differs_is_written() {
    let site = Site::start(301).await;
    // Whatever they hold: compared block by block, because nothing is known of them.
    let mut before = site.store.images[17].clone();
    before[1][5000..9000].fill(0xaa);
    site.put_disks(&before);
    for (batch, compares) in [(9, true), (30, false), (31, false), (3, false), (39, false)] {
        let before = site.disks();
        let state = site.restore(site.offer(batch)).await;
        let (_, written) = restored(&state);
        let wanted = &site.store.images[batch];
        assert!(site.disks() == *wanted, "batch {batch}");
        assert_eq!(written, differing(&before, wanted), "batch {batch}");
        let progress = site.returns.progress(TASK).unwrap();
        assert_eq!(progress.compared_bytes > 0, compares, "batch {batch}");
        assert_eq!(progress.equal.len(), 2);
        site.until_unused().await;
    }
    site.end().await;
}

/// A branch's newest point.
fn offer_branch(site: &Site, branch: &bcdr_cloud::branch::Branch) -> Offer {
    let point = branch.head_point();
    Offer {
        point: PointName {
            stream: branch.record().lineage.stream,
            position: point.id.0,
        },
        image: branch.view(point.batch).unwrap(),
        ..site.offer(0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_across_a_fork_is_known_both_ways() {
    let site = Site::start(302).await;
    restored(&site.restore(site.offer(39)).await);
    let branch = site.store.branch(20, BranchReason::Failover);
    let mut image = site.store.images[20].clone();
    let mut random = SeededRandom::new(7);
    for _ in 0..12 {
        let change = Change::random(&mut random);
        change.apply(&mut image);
        let volume = VolumeNumber(change.volume);
        let bytes = Bytes::from(change.bytes);
        branch.write(volume, change.offset, bytes).unwrap();
        branch.flush().unwrap();
    }
    // From what home wrote after the fork to what was written elsewhere, and back again.
    let before = site.disks();
    let (_, written) = restored(&site.restore(offer_branch(&site, &branch)).await);
    assert!(site.disks() == image);
    assert_eq!(written, differing(&before, &image));
    assert_eq!(site.returns.progress(TASK).unwrap().compared_bytes, 0);
    let (_, written) = restored(&site.restore(site.offer(35)).await);
    assert!(site.disks() == site.store.images[35]);
    assert_eq!(written, differing(&image, &site.store.images[35]));
    assert_eq!(site.returns.progress(TASK).unwrap().compared_bytes, 0);
    drop(branch);
    site.end().await;
}

/// The history ends with its last batch, in the life that wrote all of it.
fn end(site: &Site) -> End {
    End {
        held: Held {
            position: site.store.point(39).position,
            id: IncarnationId::from_u128(9),
        },
        batch: BatchNumber(39),
        members: members(),
    }
}

/// What is kept of where the disks' stream goes on.
fn seams(site: &Site) -> Vec<Option<Seam>> {
    let stamps = StampBook::of_group(Arc::new(RealStorage::new()), &site.state());
    let seam = |member: &bcdr_format::record::Member| {
        let StampFound::Stamp(stamp) = stamps.read(member.id).unwrap() else {
            panic!("no stamp");
        };
        match stamp.state {
            StampState::Clean { seam, .. } => seam,
            StampState::Writing { .. } => panic!("not clean"),
        }
    };
    members().iter().map(seam).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_that_were_put_back_know_what_differs_from_the_historys_end() {
    let site = Site::start(311).await;
    let end = end(&site);
    let told = end.clone();
    let joins = EndNow::new(move || Ok(told.clone()));
    // A branch with writes of its own, and points of the group's history.
    let branch = site.store.branch(20, BranchReason::Failover);
    let mut random = SeededRandom::new(17);
    for _ in 0..6 {
        let change = Change::random(&mut random);
        let volume = VolumeNumber(change.volume);
        let bytes = Bytes::from(change.bytes);
        branch.write(volume, change.offset, bytes).unwrap();
        branch.flush().unwrap();
    }
    let offers = [offer_branch(&site, &branch), site.offer(39), site.offer(4)];
    for offer in offers {
        let offer = Offer {
            end: Some(joins.clone()),
            ..offer
        };
        let point = offer.point;
        restored(&site.restore(offer).await);
        let disks = site.disks();
        for (number, seam) in seams(&site).into_iter().enumerate() {
            let seam = seam.unwrap();
            assert_eq!((seam.head.held, seam.head.volumes), (end.held, 2));
            assert_eq!(usize::from(seam.number.0), number);
            let mut patched = site.store.images[39][number].clone();
            for range in seam.ranges {
                let range = range.offset as usize..range.end() as usize;
                patched[range.clone()].copy_from_slice(&disks[number][range]);
            }
            assert!(patched == disks[number], "{point}, volume {number}");
        }
    }
    // The end of the history itself differs in nothing.
    let offer = Offer {
        end: Some(joins.clone()),
        ..site.offer(39)
    };
    restored(&site.restore(offer).await);
    let nothing = |seam: &Option<Seam>| seam.as_ref().is_some_and(|it| it.ranges.is_empty());
    assert!(seams(&site).iter().all(nothing));
    // One that nothing can join at is not told, and the disks are put back all the same.
    let open = EndNow::new(|| Err("it ends inside a sync interval".to_owned()));
    let offer = Offer {
        end: Some(open),
        ..site.offer(7)
    };
    restored(&site.restore(offer).await);
    assert!(site.disks() == site.store.images[7]);
    assert!(seams(&site).iter().all(Option::is_none));
    drop(branch);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_goes_on_between_two_volumes_is_not_joined() {
    let site = Site::start(312).await;
    let ends = [38, 39].map(|batch| End {
        held: Held {
            position: site.store.point(batch).position,
            id: IncarnationId::from_u128(9),
        },
        batch: BatchNumber(batch as u64),
        members: members(),
    });
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let moving = EndNow::new(move || {
        let index = asked.fetch_add(1, Ordering::Relaxed);
        Ok(ends[index.min(1)].clone())
    });
    let offer = Offer {
        end: Some(moving),
        ..site.offer(12)
    };
    restored(&site.restore(offer).await);
    assert!(site.disks() == site.store.images[12]);
    assert!(seams(&site).iter().all(Option::is_none));
    site.end().await;
}

#[test]
fn every_range_that_differs_between_two_points_is_named_whichever_comes_first() {
    let seed = 310;
    println!("seed {seed}");
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(directory.path(), seed, 40);
    let mut random = SeededRandom::new(seed);
    let mut points: Vec<(PointName, Images)> = (0..40)
        .map(|batch| (store.point(batch), store.images[batch].clone()))
        .collect();
    // Two branches, and one above the first of them.
    let mut grow = |branch: &bcdr_cloud::branch::Branch, image: &mut Images| {
        for _ in 0..4 {
            let change = Change::random(&mut random);
            change.apply(image);
            let bytes = Bytes::from(change.bytes);
            let volume = VolumeNumber(change.volume);
            branch.write(volume, change.offset, bytes).unwrap();
            branch.flush().unwrap();
            let point = PointName {
                stream: branch.record().lineage.stream,
                position: branch.head_point().id.0,
            };
            points.push((point, image.clone()));
        }
    };
    let one = store.branch(11, BranchReason::Failover);
    let mut image = store.images[11].clone();
    grow(&one, &mut image);
    let base = BaseImage::Branch(one.id());
    let above = store
        .branches
        .create(base, one.head_point().batch, BranchReason::Copy)
        .unwrap();
    grow(&one, &mut image.clone());
    grow(&above, &mut image);
    let other = store.branch(30, BranchReason::Copy);
    grow(&other, &mut store.images[30].clone());

    let histories = store.histories();
    for (one, before) in &points {
        for (other, after) in &points {
            for member in members() {
                let number = usize::from(member.number.0);
                let between = histories.between(*one, *other, member.id).unwrap();
                let (mut ranges, mut from) = (Vec::new(), Some(0));
                while let Some(at) = from {
                    let changed = between.changed(at, 2).unwrap();
                    assert!(changed.ranges.len() <= 2);
                    ranges.extend(changed.ranges);
                    from = changed.next;
                }
                let mut patched = before[number].clone();
                for range in ranges {
                    let range = range.offset as usize..range.end() as usize;
                    patched[range.clone()].copy_from_slice(&after[number][range]);
                }
                assert!(patched == after[number], "{one} to {other}");
                if one == other {
                    assert!(between.changed(0, 1).unwrap().ranges.is_empty());
                }
            }
        }
    }
    let unknown = PointName {
        stream: bcdr_format::StreamId::from_u128(99),
        ..points[0].0
    };
    let volume = members()[0].id;
    assert!(histories.between(unknown, points[3].0, volume).is_err());
    assert!(histories.between(points[3].0, unknown, volume).is_err());
    let nothing = bcdr_format::VolumeId::from_u128(1);
    assert!(
        histories
            .between(points[3].0, points[4].0, nothing)
            .is_err()
    );
    store.branches.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_whose_connection_breaks_goes_on_at_its_cursor() {
    let site = Site::start(303).await;
    let mut random = SeededRandom::new(11);
    let mut noise = site.disks();
    noise.iter_mut().for_each(|disk| random.fill(disk));
    site.put_disks(&noise);
    site.cut_after.store(200 << 10, Ordering::Relaxed);
    let state = site.restore(site.offer(25)).await;
    let (_, written) = restored(&state);
    assert!(site.disks() == site.store.images[25]);
    assert_eq!(site.cuts.load(Ordering::Relaxed), 1);
    assert_eq!(written, differing(&noise, &site.store.images[25]));
    // What was compared before the break is not compared again, but for what was under way.
    let all = 2 * store::SIZE;
    let compared = site.returns.progress(TASK).unwrap().compared_bytes;
    assert!(
        compared > all && compared < all + all / 2,
        "{compared} of {all}"
    );
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_under_a_generation_that_has_passed() {
    let site = Site::start(304).await;
    let before = site.disks();
    let task = site.task(HomeWork::Restore);
    site.returns.offer(TASK, GROUP, site.offer(12)).unwrap();
    site.store.fence(Generation(2));
    failed(&site.run(task).await, "fenced");
    assert!(site.disks() == before);
    assert!(!site.state().join("restore").exists(), "a stamp was made");
    // Under the new one it goes.
    let offer = Offer {
        generation: Generation(2),
        ..site.offer(12)
    };
    restored(&site.restore(offer).await);
    assert!(site.disks() == site.store.images[12]);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_that_was_not_confirmed_for_this_very_disk() {
    let site = Site::start(305).await;
    let before = site.disks();
    site.returns.offer(TASK, GROUP, site.offer(12)).unwrap();
    let task = site.task(HomeWork::Restore);
    let mut wrong = task.clone();
    wrong.confirmed[1].identity = wrong.confirmed[0].identity.clone();
    let mut half = task.clone();
    half.confirmed.pop();
    let mut twice = task.clone();
    twice.confirmed[1] = twice.confirmed[0].clone();
    for (task, code) in [
        (wrong, "wrong_disk"),
        (half, "not_confirmed"),
        (twice, "not_confirmed"),
    ] {
        failed(&site.run(task).await, code);
        assert!(site.disks() == before);
        assert!(!site.state().join("restore").exists(), "a stamp was made");
    }
    restored(&site.run(task).await);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_disks_hold_instead_of_a_point_lands_in_a_branch() {
    let site = Site::start(306).await;
    let mut stray = site.store.images[28].clone();
    let mut random = SeededRandom::new(13);
    (0..15).for_each(|_| Change::random(&mut random).apply(&mut stray));
    stray[0][131_072..196_608].fill(0);
    site.put_disks(&stray);
    let branch = site.store.branch(20, BranchReason::LeftBehind);
    let offer = Offer {
        sink: Some(Arc::clone(&branch)),
        ..site.offer(20)
    };
    site.returns.offer(TASK, GROUP, offer).unwrap();
    // The way breaks while the disks are compared.
    site.cut_after.store(1200, Ordering::Relaxed);
    let state = site.run(site.task(HomeWork::SendDifferences)).await;
    let TaskState::Done(TaskOutcome::Sent { bytes }) = state else {
        panic!("{state:?}");
    };
    assert_eq!(site.cuts.load(Ordering::Relaxed), 1);
    assert!(site.disks() == stray, "the disks are only read");
    let view = branch.view(branch.head_point().batch).unwrap();
    for (member, disk) in members().iter().zip(&stray) {
        let kept = view.read(member.number, 0, disk.len()).unwrap();
        assert!(kept == *disk, "{}", member.id);
    }
    let blocks = |(one, other): (&Vec<u8>, &Vec<u8>)| -> u64 {
        let pairs = one.chunks(65_536).zip(other.chunks(65_536));
        let differ = pairs.filter(|(one, other)| one != other);
        differ.map(|(one, _)| one.len() as u64).sum()
    };
    let point = &site.store.images[20];
    assert_eq!(bytes, stray.iter().zip(point).map(blocks).sum::<u64>());
    // Again finds nothing to send.
    let state = site.run(site.task(HomeWork::SendDifferences)).await;
    assert_eq!(state, TaskState::Done(TaskOutcome::Sent { bytes: 0 }));
    // A point that is given back takes nothing.
    site.returns.withdraw(TASK);
    site.returns.offer(TASK, GROUP, site.offer(20)).unwrap();
    failed(
        &site.run(site.task(HomeWork::SendDifferences)).await,
        "not_allowed",
    );
    drop(branch);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_are_compared_with_a_point_by_digest() {
    let site = Site::start(307).await;
    site.put_disks(&site.store.images[22]);
    site.returns.offer(TASK, GROUP, site.offer(22)).unwrap();
    let compared = |state: TaskState| match state {
        TaskState::Done(TaskOutcome::Compared { equal, detail }) => (equal, detail),
        other => panic!("{other:?}"),
    };
    let (equal, _) = compared(site.run(site.task(HomeWork::Compare)).await);
    assert!(equal);
    let mut stray = site.store.images[22].clone();
    let last = stray[1].len() - 1;
    stray[1][last] ^= 1;
    site.put_disks(&stray);
    let (equal, detail) = compared(site.run(site.task(HomeWork::Compare)).await);
    assert!(!equal);
    assert!(
        detail.contains("volume1") && !detail.contains("volume0"),
        "{detail}"
    );
    assert!(site.disks() == stray, "the disks are only read");
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_captures_certificate_is_turned_away() {
    let site = Site::start(308).await;
    site.returns.offer(TASK, GROUP, site.offer(12)).unwrap();
    let before = site.disks();
    let running = site.begin_as(site.task(HomeWork::Restore), "clone");
    failed(&end_of(running).await, "not_allowed");
    assert!(site.disks() == before);
    site.until_unused().await;
    restored(&site.run(site.task(HomeWork::Restore)).await);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_waits_for_its_offer_and_ends_when_it_is_cancelled() {
    let site = Site::start(309).await;
    let task = site.task(HomeWork::Restore);
    let waiting = site.begin(task.clone());
    // An offer of another group is none.
    let other = bcdr_format::GroupId::from_u128(99);
    site.returns.offer(TASK, other, site.offer(9)).unwrap();
    let cancelled = site.begin(task.clone());
    cancelled.cancel();
    let state = end_of(cancelled).await;
    assert!(matches!(state, TaskState::Working { .. }), "{state:?}");
    assert!(matches!(
        *waiting.state().borrow(),
        TaskState::Working { .. }
    ));
    site.returns.offer(TASK, GROUP, site.offer(9)).unwrap();
    restored(&end_of(waiting).await);
    assert!(site.disks() == site.store.images[9]);
    site.end().await;
}
