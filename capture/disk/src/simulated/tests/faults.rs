//! Errors, full disks and corruption.

use std::collections::BTreeSet;

use super::*;
use crate::DiskErrorKind;

fn always(plan: FaultPlan) -> SimulatedDisk {
    let disk = with_plan(1, plan);
    disk.arm(false);
    let handle = file(&disk);
    handle.write_all_at(&[1; 2 * SECTOR_BYTES], 0).unwrap();
    handle.sync_all().unwrap();
    disk
}

#[test]
fn a_failed_sync_poisons_the_file_and_loses_part_of_it_for_good() {
    let base = always(FaultPlan {
        sync_error_per_mille: 1000,
        ..FaultPlan::none()
    });
    let mut outcomes = BTreeSet::new();
    for seed in 0..300 {
        let disk = base.fork(seed);
        let handle = file(&disk);
        handle.write_all_at(&[2; 2 * SECTOR_BYTES], 0).unwrap();
        disk.arm(true);
        assert_eq!(handle.sync_data().unwrap_err().kind(), DiskErrorKind::Io);
        disk.arm(false);
        assert_eq!(
            handle.sync_data().unwrap_err().kind(),
            DiskErrorKind::Poisoned
        );
        assert_eq!(
            handle.write_all_at(b"x", 0).unwrap_err().kind(),
            DiskErrorKind::Poisoned
        );
        // Another handle on the same file is no way around it.
        assert_eq!(
            file(&disk).sync_all().unwrap_err().kind(),
            DiskErrorKind::Poisoned
        );
        // Readers still see it all, and the next program's sync succeeds and saves nothing.
        disk.kill();
        assert_eq!(contents(&disk, "/d/f"), [2; 2 * SECTOR_BYTES]);
        file(&disk).sync_data().unwrap();
        disk.power_cut();
        let bytes = contents(&disk, "/d/f");
        outcomes.insert((bytes[0], bytes[SECTOR_BYTES]));
        assert_eq!(disk.faults().sync_errors, 1);
    }
    assert_eq!(outcomes, BTreeSet::from([(1, 1), (1, 2), (2, 1), (2, 2)]));
}

#[test]
fn writing_again_after_a_failed_sync_saves_the_bytes() {
    let base = always(FaultPlan {
        sync_error_per_mille: 1000,
        ..FaultPlan::none()
    });
    for seed in 0..100 {
        let disk = base.fork(seed);
        let handle = file(&disk);
        handle.write_all_at(&[2; 2 * SECTOR_BYTES], 0).unwrap();
        disk.arm(true);
        handle.sync_data().unwrap_err();
        disk.arm(false);
        disk.kill();
        let handle = file(&disk);
        handle.write_all_at(&[2; 2 * SECTOR_BYTES], 0).unwrap();
        handle.sync_data().unwrap();
        disk.power_cut();
        assert_eq!(
            contents(&disk, "/d/f"),
            [2; 2 * SECTOR_BYTES],
            "seed {seed}"
        );
    }
}

#[test]
fn failed_writes_and_reads_are_counted_and_end_with_disarming() {
    let plan = FaultPlan {
        write_error_per_mille: 1000,
        read_error_per_mille: 1000,
        ..FaultPlan::none()
    };
    let disk = always(plan);
    let handle = file(&disk);
    disk.arm(true);
    let mut buffer = [0; 4];
    assert_eq!(
        handle.write_all_at(&[3; 2000], 0).unwrap_err().kind(),
        DiskErrorKind::Io
    );
    assert_eq!(
        handle.read_at(&mut buffer, 0).unwrap_err().kind(),
        DiskErrorKind::Io
    );
    disk.arm(false);
    handle.write_all_at(&[3; 2000], 0).unwrap();
    handle.sync_data().unwrap();
    let counts = disk.faults();
    assert_eq!(
        (counts.write_errors, counts.read_errors, counts.sync_errors),
        (1, 1, 0)
    );
}

#[test]
fn a_full_disk_refuses_growth_only() {
    let disk = disk(1);
    disk.set_capacity(3 * 4096);
    let handle = file(&disk);
    handle.write_all_at(&[1; 8192], 0).unwrap();
    assert_eq!(disk.space(Path::new("/d")).unwrap().available_bytes, 4096);
    assert_eq!(
        handle.write_all_at(&[1; 8192], 8192).unwrap_err().kind(),
        DiskErrorKind::NoSpace
    );
    handle.write_all_at(&[2; 8192], 0).unwrap();
    let options = CreateOptions::default().prewritten(8192);
    let refused = disk.create(Path::new("/d/g"), options);
    assert_eq!(refused.unwrap_err().kind(), DiskErrorKind::NoSpace);
    assert_eq!(disk.list(Path::new("/d")).unwrap(), ["f"]);
    handle.punch_hole(0, 8192).unwrap();
    disk.create(Path::new("/d/g"), options).unwrap();
    disk.remove(Path::new("/d/g")).unwrap();
    assert_eq!(
        disk.space(Path::new("/d")).unwrap().available_bytes,
        3 * 4096
    );
    assert_eq!(disk.faults().no_space, 2);
}

#[test]
fn corruption_reaches_disk_and_readers() {
    let disk = always(FaultPlan::none());
    let path = Path::new("/d/f");
    disk.flip_bit(path, 700).unwrap();
    disk.truncate(path, 1000).unwrap();
    let seen = contents(&disk, "/d/f");
    assert_eq!(seen.len(), 1000);
    let wrong: Vec<usize> = (0..1000).filter(|index| seen[*index] != 1).collect();
    assert_eq!(wrong, [700]);
    assert_eq!((seen[700] ^ 1).count_ones(), 1);
    disk.power_cut();
    assert_eq!(contents(&disk, "/d/f"), seen);
    assert_eq!(
        disk.flip_bit(path, 1000).unwrap_err().kind(),
        DiskErrorKind::ShortRead
    );
    assert_eq!(disk.faults().corruptions, 2);
}

#[test]
fn a_cut_during_an_operation_ends_everything_until_power_is_back() {
    let base = always(FaultPlan::none());
    let mut outcomes = BTreeSet::new();
    for seed in 0..100 {
        let disk = base.fork(seed);
        let handle = file(&disk);
        disk.cut_power_at(2);
        handle.write_all_at(&[2; SECTOR_BYTES], 0).unwrap();
        let error = handle.sync_data().unwrap_err();
        assert!(error.to_string().contains("power was cut"), "{error}");
        assert!(disk.exists(Path::new("/d/f")).is_err());
        assert!(disk.open(Path::new("/d/f"), Access::read()).is_err());
        disk.power_on();
        outcomes.insert(contents(&disk, "/d/f")[0]);
        file(&disk).sync_data().unwrap();
    }
    // The interrupted sync promised nothing.
    assert_eq!(outcomes, BTreeSet::from([1, 2]));
}

#[test]
fn writing_the_end_again_brings_back_a_length_that_a_failed_sync_lost() {
    let base = always(FaultPlan {
        sync_error_per_mille: 1000,
        ..FaultPlan::none()
    });
    let mut lengths = BTreeSet::new();
    for (seed, rewrite) in (0..100).flat_map(|seed| [(seed, false), (seed, true)]) {
        let disk = base.fork(seed);
        let handle = file(&disk);
        handle
            .write_all_at(&[2; SECTOR_BYTES], 2 * SECTOR_BYTES as u64)
            .unwrap();
        disk.arm(true);
        handle.sync_data().unwrap_err();
        disk.arm(false);
        disk.kill();
        if rewrite {
            let tail = [2; SECTOR_BYTES];
            file(&disk)
                .write_all_at(&tail, 2 * SECTOR_BYTES as u64)
                .unwrap();
        }
        file(&disk).sync_data().unwrap();
        disk.power_cut();
        lengths.insert((rewrite, contents(&disk, "/d/f").len() / SECTOR_BYTES));
    }
    assert_eq!(lengths, BTreeSet::from([(false, 2), (false, 3), (true, 3)]));
}

#[test]
fn unreadable_bytes_fail_every_read_that_touches_them() {
    let disk = SimulatedDisk::new(1, FaultPlan::none());
    disk.create_directory_all(Path::new("/d")).unwrap();
    let handle = disk
        .create(Path::new("/d/f"), CreateOptions::default())
        .unwrap();
    handle.write_all_at(&[1; 3 * SECTOR_BYTES], 0).unwrap();
    disk.make_unreadable(Path::new("/d/f"), 600..700).unwrap();
    let read = |offset| handle.read_exact_at(&mut [0; SECTOR_BYTES], offset);
    assert!(read(0).is_ok());
    assert!(read(512).is_err());
    assert!(read(1024).is_ok());
}
