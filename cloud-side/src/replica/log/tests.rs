use super::*;
use crate::receive::Lineage;
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk, Storage};
use bcdr_format::{DataKeyId, Generation, GroupId, StreamId, Timestamp};
use bytes::Bytes;
use std::{path::Path, sync::Arc};

const DIRECTORY: &str = "/log";
const KEY: DataKeyId = DataKeyId::from_u128(9);

fn lineage() -> Lineage {
    Lineage {
        group: GroupId::from_u128(1),
        stream: StreamId::from_u128(2),
    }
}

fn disk(seed: u64, plan: FaultPlan) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed, plan);
    disk.arm(false);
    disk.create_directory_all(Path::new(DIRECTORY)).unwrap();
    disk
}

fn reader(disk: &SimulatedDisk) -> LogReader {
    LogReader::new(Arc::new(disk.clone()), DIRECTORY.into(), lineage())
}

fn writer(disk: &SimulatedDisk, segment_bytes: u64, end: &ScanEnd) -> LogWriter {
    let mut writer = LogWriter::new(
        Arc::new(disk.clone()),
        DIRECTORY.into(),
        lineage(),
        LogOptions { segment_bytes },
        LogStart {
            last_segment: end.last_segment,
            last_end: end.end.offset,
            since: Timestamp(0),
        },
    );
    writer.know_key(KEY, Bytes::from_static(b"wrapped"));
    writer
}

/// All entries, as numbers, and how the scan ended. Keys are left out.
fn read(disk: &SimulatedDisk) -> (Vec<u64>, ScanEnd) {
    let mut found = Vec::new();
    let end = scan(&reader(disk), None, |scanned| {
        match scanned.entry {
            Entry::Batch { bytes, .. } => found.push(number_in(&bytes)),
            Entry::Generation(generation) => found.push(generation.0),
            Entry::WrappedKey { key, wrapped } => {
                assert_eq!((key, &wrapped[..]), (KEY, &b"wrapped"[..]));
            }
            Entry::Fork { .. } => {}
        }
        Ok(())
    })
    .unwrap();
    (found, end)
}

fn entry(number: u64, length: usize) -> Entry {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(length.max(8), number as u8);
    Entry::Batch {
        receipt: Timestamp(number as i64),
        bytes: bytes.into(),
    }
}

fn number_in(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

#[test]
fn entries_come_back_in_order_over_several_segments_with_their_keys() {
    let disk = disk(1, FaultPlan::none());
    let (_, end) = read(&disk);
    let mut writer = writer(&disk, 4096, &end);
    let mut places = Vec::new();
    for number in 1..=20 {
        let ticket = writer.append(entry(number, 900), vec![KEY]).unwrap();
        let committed = writer.commit().unwrap();
        places.push((number, committed[&ticket]));
    }
    let (found, end) = read(&disk);
    assert_eq!(found, (1..=20).collect::<Vec<_>>());
    assert_eq!(end.damage, None);
    assert!(end.last_segment.unwrap() > 3);
    let reader = reader(&disk);
    for (number, place) in places {
        let bytes = reader.read(place.segment, place.body_offset, 8).unwrap();
        assert_eq!(number_in(&bytes), number);
    }
    // Every segment that holds a batch of the key holds the key, before it.
    for segment in 1..=end.last_segment.unwrap() {
        let from = LogPosition {
            segment,
            offset: 128,
        };
        let mut first = None;
        scan(&reader, Some(from), |scanned| {
            first.get_or_insert(matches!(scanned.entry, Entry::WrappedKey { .. }));
            Ok(())
        })
        .unwrap();
        assert_eq!(first, Some(true), "segment {segment}");
    }
}

#[test]
fn a_batch_whose_key_is_unknown_is_refused() {
    let disk = disk(1, FaultPlan::none());
    let (_, end) = read(&disk);
    let mut writer = writer(&disk, 4096, &end);
    let stranger = DataKeyId::from_u128(10);
    let refused = writer.append(entry(1, 10), vec![stranger]);
    assert!(matches!(refused, Err(LogError::KeyMissing(key)) if key == stranger));
}

#[test]
fn power_cuts_lose_nothing_that_was_committed() {
    let mut torn = 0;
    for seed in 0..150 {
        let disk = disk(seed, FaultPlan::none());
        let mut random = SeededRandom::new(seed);
        let mut committed = Vec::new();
        let mut appended = Vec::new();
        for _ in 0..4 {
            let (found, end) = read(&disk);
            assert_eq!(end.damage, None, "seed {seed}");
            assert!(
                found.starts_with(&committed),
                "seed {seed}: {committed:?} in {found:?}"
            );
            assert!(
                appended.starts_with(&found),
                "seed {seed}: {found:?} in {appended:?}"
            );
            committed.clone_from(&found);
            appended = found;
            torn += u32::from(end.torn_bytes > 0);
            disk.cut_power_at(1 + random.below(40));
            let mut writer = writer(&disk, 3000, &end);
            write_until_the_cut(&mut writer, &mut random, &mut appended, &mut committed);
            disk.power_cut();
        }
    }
    assert!(torn > 20, "only {torn} torn tails: the test proves little");
}

fn write_until_the_cut(
    writer: &mut LogWriter,
    random: &mut SeededRandom,
    appended: &mut Vec<u64>,
    committed: &mut Vec<u64>,
) {
    for _ in 0..30 {
        let number = appended.len() as u64 + 1;
        appended.push(number);
        let length = 8 + random.below(1500) as usize;
        if writer.append(entry(number, length), vec![KEY]).is_err() {
            return;
        }
        if random.below(3) == 0 {
            if writer.commit().is_err() {
                return;
            }
            committed.clone_from(appended);
        }
    }
}

#[test]
fn a_failed_sync_leaves_its_segment_behind_and_loses_nothing() {
    let mut failed = 0;
    for seed in 0..60 {
        let plan = FaultPlan {
            sync_error_per_mille: 150,
            ..FaultPlan::none()
        };
        let disk = disk(seed, plan);
        let (_, end) = read(&disk);
        let mut writer = writer(&disk, 1 << 20, &end);
        let mut committed = Vec::new();
        let mut appended = Vec::new();
        disk.arm(true);
        for number in 1..=30 {
            appended.push(number);
            if writer.append(entry(number, 700), vec![KEY]).is_err() {
                break;
            }
            match writer.commit() {
                Ok(places) => {
                    assert_eq!(places.len(), 1);
                    committed.clone_from(&appended);
                }
                Err(_) => {
                    let later = writer.append(entry(99, 8), vec![]);
                    assert!(matches!(later, Err(LogError::Failed { .. })));
                    break;
                }
            }
        }
        failed += writer.failed_syncs();
        disk.arm(false);
        disk.power_cut();
        let (found, end) = read(&disk);
        assert_eq!(end.damage, None, "seed {seed}");
        assert!(
            found.starts_with(&committed),
            "seed {seed}: {committed:?} in {found:?}"
        );
        assert!(
            appended.starts_with(&found),
            "seed {seed}: {found:?} in {appended:?}"
        );
    }
    assert!(
        failed > 20,
        "only {failed} failed syncs: the test proves little"
    );
}

#[test]
fn what_a_restart_reads_it_has_made_durable() {
    for seed in 0..40 {
        let disk = disk(seed, FaultPlan::none());
        let (_, end) = read(&disk);
        let mut writer = writer(&disk, 1 << 20, &end);
        for number in 1..=6 {
            writer.append(entry(number, 700), vec![]).unwrap();
            if number == 3 {
                writer.commit().unwrap();
            }
        }
        disk.kill();
        let (found, _) = read(&disk);
        assert_eq!(found, [1, 2, 3, 4, 5, 6], "a kill loses nothing");
        disk.power_cut();
        assert_eq!(
            read(&disk).0,
            found,
            "seed {seed}: it was reported, so it must stay"
        );
    }
}

#[test]
fn damage_to_acknowledged_bytes_is_located() {
    let disk = disk(1, FaultPlan::none());
    let (_, end) = read(&disk);
    let mut writer = writer(&disk, 1 << 20, &end);
    let mut places = Vec::new();
    for number in 1..=5 {
        let ticket = writer.append(entry(number, 700), vec![]).unwrap();
        places.push(writer.commit().unwrap()[&ticket]);
    }
    let path = reader(&disk).segment_path(1);
    for (place, hit) in places.iter().take(4).zip(1_u64..) {
        for offset in [place.body_offset + 100, place.body_offset - 40] {
            let copy = disk.fork(offset);
            copy.flip_bit(&path, offset).unwrap();
            let (found, end) = read(&copy);
            assert_eq!(found, (1..hit).collect::<Vec<_>>());
            let damage = end.damage.expect("it was committed and is damaged");
            assert_eq!(damage.position.segment, 1);
            assert_eq!(damage.position.offset, place.body_offset - 48);
        }
    }
    // A segment that is followed by another one has no torn tail at all.
    let end = read(&disk).1;
    let mut next = self::writer(&disk, 1 << 20, &end);
    next.append(entry(6, 100), vec![]).unwrap();
    next.commit().unwrap();
    disk.flip_bit(&path, places[4].body_offset + 1).unwrap();
    let (found, end) = read(&disk);
    assert_eq!(found, [1, 2, 3, 4]);
    assert!(end.damage.is_some());
}

#[test]
fn a_segment_whose_beginning_failed_to_sync_is_made_durable_by_the_restart() {
    let plan = FaultPlan {
        sync_error_per_mille: 1000,
        ..FaultPlan::none()
    };
    for seed in 0..40 {
        let disk = disk(seed, plan);
        let (_, end) = read(&disk);
        let mut writer = writer(&disk, 600, &end);
        writer.append(entry(1, 700), vec![]).unwrap();
        writer.commit().unwrap();
        disk.arm(true);
        assert!(writer.append(entry(2, 700), vec![]).is_err());
        disk.arm(false);
        disk.kill();
        let (found, end) = read(&disk);
        assert_eq!(found, [1]);
        disk.power_cut();
        let again = scan(&reader(&disk), Some(end.end), |_| Ok(())).unwrap();
        assert_eq!(
            again.damage, None,
            "seed {seed}: the position was given out, so its segment must stay"
        );
    }
}

#[test]
fn a_lost_segment_or_a_log_shorter_than_its_checkpoint_is_damage() {
    let disk = disk(1, FaultPlan::none());
    let (_, end) = read(&disk);
    let mut writer = writer(&disk, 2000, &end);
    for number in 1..=12 {
        writer.append(entry(number, 700), vec![]).unwrap();
        writer.commit().unwrap();
    }
    let checkpoint = writer.end();
    assert!(checkpoint.segment > 2);
    let short = disk.fork(1);
    let last = reader(&short).segment_path(checkpoint.segment);
    short.truncate(&last, 200).unwrap();
    let end = scan(&reader(&short), Some(checkpoint), |_| Ok(())).unwrap();
    assert!(end.damage.is_some());
    let lost = disk.fork(2);
    lost.remove(&reader(&lost).segment_path(2)).unwrap();
    let damage = read(&lost).1.damage.unwrap();
    assert_eq!(damage.position.segment, 2);
    let headless = disk.fork(3);
    headless
        .flip_bit(&reader(&headless).segment_path(checkpoint.segment), 20)
        .unwrap();
    assert!(
        read(&headless).1.damage.is_some(),
        "entries follow the header, so it was durable"
    );
}

#[test]
fn a_generation_entry_comes_back() {
    let disk = disk(1, FaultPlan::none());
    let (_, end) = read(&disk);
    let mut writer = writer(&disk, 4096, &end);
    writer
        .append(Entry::Generation(Generation(41)), vec![])
        .unwrap();
    writer.commit().unwrap();
    assert_eq!(read(&disk).0, [41]);
}
