use super::*;
use bcdr_disk::{FaultPlan, SimulatedDisk};
use bcdr_format::{
    GroupId, IncarnationId, IncarnationOrdinal, Sequence, StreamId, Timestamp,
    batch::{self, BatchHeader},
    position::Generation,
};

fn batch_bytes(sequence: u64) -> Vec<u8> {
    let header = BatchHeader {
        group: GroupId::from_u128(1),
        stream: StreamId::from_u128(2),
        generation: Generation(1),
        ordinal: IncarnationOrdinal(1),
        incarnation: IncarnationId::from_u128(3),
        opening: None,
        first: Sequence(sequence),
        last: Sequence(sequence),
        captured_at: Timestamp(0),
        written_bytes: 0,
        members: vec![],
        sync_events: vec![],
        marker: None,
        beat: None,
    };
    batch::encode(&header, &[], &[]).unwrap()
}

fn sequences(contents: &Contents) -> Vec<u64> {
    contents
        .batches
        .iter()
        .map(|found| found.arriving.last.0)
        .collect()
}

fn append(spool: &mut Spool, bytes: &[u8], keys: &[DataKeyId]) -> SpoolLocation {
    let (locations, refused) = spool.append(&[(bytes, keys)]);
    assert!(refused.is_none(), "{refused:?}");
    locations[0]
}

fn directory() -> PathBuf {
    PathBuf::from("/spool")
}

fn open(disk: &SimulatedDisk, limits: SpoolLimits) -> (Spool, Contents) {
    Spool::open(Arc::new(disk.clone()), &directory(), limits).unwrap()
}

fn small() -> SpoolLimits {
    SpoolLimits {
        segment_bytes: 600,
        free_floor_bytes: 0,
        ..SpoolLimits::default()
    }
}

#[test]
fn what_was_appended_survives_any_power_cut_in_order_with_its_key() {
    for seed in 0..50 {
        let disk = SimulatedDisk::new(seed, FaultPlan::default());
        let key = DataKeyId::from_u128(7);
        let (mut spool, _) = open(&disk, small());
        spool.learn_key(key, vec![1, 2, 3]);
        for sequence in 1..=10 {
            let bytes = batch_bytes(sequence);
            let location = append(&mut spool, &bytes, &[key]);
            assert_eq!(spool.read(location).unwrap(), bytes);
        }
        disk.power_cut();
        let (spool, contents) = open(&disk, small());
        assert_eq!(
            sequences(&contents),
            (1..=10).collect::<Vec<_>>(),
            "seed {seed}"
        );
        assert!(contents.keys.iter().all(|found| found.wrapped == [1, 2, 3]));
        assert!(!contents.keys.is_empty());
        let last = contents.batches.last().unwrap();
        assert_eq!(spool.read(last.location).unwrap(), batch_bytes(10));
    }
}

/// Puts a batch behind the first segment's last one, as far as the page cache.
fn write_unsynced(disk: &SimulatedDisk, sequence: u64) {
    let body = batch_bytes(sequence);
    let file = disk
        .open(&directory().join(name(0)), Access::write())
        .unwrap();
    let header = entry::entry_header(entry::EntryKind::Batch, &body);
    let end = file.length().unwrap();
    file.write_vectored_all_at(&[&header, &body], end).unwrap();
}

#[test]
fn what_a_killed_process_left_in_the_page_cache_is_durable_once_it_is_listed() {
    for seed in 0..50 {
        let disk = SimulatedDisk::new(seed, FaultPlan::default());
        let (mut spool, _) = open(&disk, SpoolLimits::default());
        append(&mut spool, &batch_bytes(1), &[]);
        write_unsynced(&disk, 2);
        drop(spool);
        let (_, contents) = open(&disk, SpoolLimits::default());
        assert_eq!(sequences(&contents), vec![1, 2]);
        disk.power_cut();
        let (_, contents) = open(&disk, SpoolLimits::default());
        assert_eq!(sequences(&contents), vec![1, 2], "seed {seed}");
    }
}

#[test]
fn segments_go_with_their_last_batch() {
    let disk = SimulatedDisk::new(1, FaultPlan::default());
    let (mut spool, _) = open(&disk, small());
    let locations: Vec<_> = (1..=6)
        .map(|sequence| append(&mut spool, &batch_bytes(sequence), &[]))
        .collect();
    let before = disk.list(&directory()).unwrap().len();
    assert!(before > 1);
    for location in locations {
        spool.forget(location).unwrap();
    }
    assert_eq!(disk.list(&directory()).unwrap(), Vec::<String>::new());
    assert_eq!(spool.used_bytes(), 0);
    append(&mut spool, &batch_bytes(7), &[]);
}

#[test]
fn a_flipped_bit_ends_its_segment_and_is_remarked() {
    let disk = SimulatedDisk::new(1, FaultPlan::default());
    let (mut spool, _) = open(
        &disk,
        SpoolLimits {
            free_floor_bytes: 0,
            ..SpoolLimits::default()
        },
    );
    let locations: Vec<_> = (1..=3)
        .map(|sequence| append(&mut spool, &batch_bytes(sequence), &[]))
        .collect();
    let path = directory().join(name(0));
    disk.flip_bit(&path, locations[1].offset + 40).unwrap();
    assert!(matches!(
        spool.read(locations[1]),
        Err(SpoolError::Damaged { .. })
    ));
    drop(spool);
    let (_, contents) = open(&disk, SpoolLimits::default());
    assert_eq!(sequences(&contents), vec![1]);
    assert_eq!(contents.remarks.len(), 1);
}

#[test]
fn a_full_spool_refuses_and_keeps_what_it_has() {
    let disk = SimulatedDisk::new(1, FaultPlan::default());
    let limits = SpoolLimits {
        capacity_bytes: 500,
        free_floor_bytes: 0,
        ..SpoolLimits::default()
    };
    let (mut spool, _) = open(&disk, limits);
    append(&mut spool, &batch_bytes(1), &[]);
    let (second, third) = (batch_bytes(2), batch_bytes(3));
    let (locations, refused) = spool.append(&[(&second, &[]), (&third, &[])]);
    assert_eq!(locations.len(), 1, "the first of the two fits");
    assert!(matches!(refused, Some(SpoolError::Full { .. })));
    drop(spool);
    assert_eq!(sequences(&open(&disk, limits).1), vec![1, 2]);
}

#[test]
fn a_failing_disk_leaves_no_files_behind_and_spools_again_when_it_is_well() {
    let disk = SimulatedDisk::new(1, FaultPlan::default());
    let (mut spool, _) = open(&disk, small());
    disk.set_capacity(10);
    for _ in 0..5 {
        let (locations, refused) = spool.append(&[(&batch_bytes(1), &[])]);
        assert!(locations.is_empty() && refused.is_some());
    }
    assert_eq!(disk.list(&directory()).unwrap(), Vec::<String>::new());
    disk.set_capacity(1 << 20);
    append(&mut spool, &batch_bytes(1), &[]);
    drop(spool);
    assert_eq!(sequences(&open(&disk, small()).1), vec![1]);
}

#[test]
fn a_batch_whose_key_is_not_known_is_not_spooled() {
    let disk = SimulatedDisk::new(1, FaultPlan::default());
    let (mut spool, _) = open(&disk, small());
    let (locations, refused) = spool.append(&[(&batch_bytes(1), &[DataKeyId::from_u128(7)])]);
    assert!(locations.is_empty());
    assert!(matches!(refused, Some(SpoolError::KeyUnknown(_))));
}

#[test]
fn a_segment_of_a_newer_release_is_named_and_left_alone() {
    let disk = SimulatedDisk::new(1, FaultPlan::default());
    let (mut spool, _) = open(&disk, small());
    append(&mut spool, &batch_bytes(1), &[]);
    drop(spool);
    let path = directory().join(name(0));
    let file = disk.open(&path, Access::write()).unwrap();
    let mut header = vec![0; 16];
    file.read_exact_at(&mut header, 0).unwrap();
    header[4] = 2;
    bcdr_format::codec::seal_checksum(&mut header, 0);
    file.write_all_at(&header, 0).unwrap();
    let (_, contents) = open(&disk, small());
    assert!(contents.batches.is_empty());
    assert!(
        contents.remarks[0].contains("version 2"),
        "{:?}",
        contents.remarks
    );
    assert!(disk.exists(&path).unwrap());
}

#[test]
fn every_truncation_lists_a_prefix() {
    let disk = SimulatedDisk::new(1, FaultPlan::default());
    let limits = SpoolLimits {
        free_floor_bytes: 0,
        ..SpoolLimits::default()
    };
    let (mut spool, _) = open(&disk, limits);
    for sequence in 1..=3 {
        append(&mut spool, &batch_bytes(sequence), &[]);
    }
    let length = spool.used_bytes();
    drop(spool);
    for cut in (0..length).rev() {
        let copy = disk.fork(cut);
        copy.truncate(&directory().join(name(0)), cut).unwrap();
        let found = sequences(&open(&copy, limits).1);
        let expected: Vec<u64> = (1..=found.len() as u64).collect();
        assert_eq!(found, expected, "cut at {cut}");
        assert!(found.len() < 3);
    }
}

/// A file that an earlier release wrote. It is never edited; one that is missing is written when
/// `BCDR_ADD_GOLDEN` is set, and only then.
#[test]
fn a_segment_of_version_1_is_read_and_written_again_to_the_same_bytes() {
    let disk = SimulatedDisk::new(1, FaultPlan::default());
    let limits = SpoolLimits {
        free_floor_bytes: 0,
        ..SpoolLimits::default()
    };
    let (mut spool, _) = open(&disk, limits);
    let key = DataKeyId::from_u128(7);
    spool.learn_key(key, vec![1, 2, 3]);
    for sequence in 1..=2 {
        append(&mut spool, &batch_bytes(sequence), &[key]);
    }
    let file = disk
        .open(&directory().join(name(0)), Access::read())
        .unwrap();
    let mut written = vec![0; spool.used_bytes() as usize];
    file.read_exact_at(&mut written, 0).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/spool-v1.segment");
    if !path.exists() && std::env::var_os("BCDR_ADD_GOLDEN").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    assert_eq!(written, golden, "this release writes other bytes");

    let other = SimulatedDisk::new(2, FaultPlan::default());
    other.create_directory_all(&directory()).unwrap();
    let copy = other
        .create(&directory().join(name(0)), CreateOptions::default())
        .unwrap();
    copy.write_all_at(&golden, 0).unwrap();
    let (spool, contents) = open(&other, limits);
    assert_eq!(
        (sequences(&contents), contents.keys[0].id),
        (vec![1, 2], key)
    );
    assert_eq!(contents.keys[0].wrapped, vec![1, 2, 3]);
    assert_eq!(
        spool.read(contents.batches[1].location).unwrap(),
        batch_bytes(2)
    );
}
