//! Recycled segments, torn heads, and damage.

use super::{super::segment::seed_of, *};
use bcdr_disk::Access;

/// Writes enough that segments are recycled, then leaves the newest with a few records before the
/// records of an earlier use of the same file.
fn recycled() -> (Arc<SimulatedDisk>, u64) {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    let mut sequence = 0;
    let mut last_use = 0;
    while last_use < 6 {
        sequence += 1;
        fill(&mut journal, 1, sequence..=sequence);
        journal.trim(position(1, sequence));
        last_use = journal.snapshot().segments.last().unwrap().use_number;
    }
    fill(&mut journal, 1, sequence + 1..=sequence + 2);
    journal.sync().unwrap();
    (disk, sequence + 2)
}

#[test]
fn the_valid_tail_of_an_earlier_use_is_never_replayed() {
    let (disk, last) = recycled();
    let (journal, recovered) = recover(&disk);
    assert_eq!(recovered.last_sequence, Sequence(last));
    // There is an old tail to be taken for a new one: right behind the newest append lies an append
    // that is whole under the seed of the use it belongs to.
    let newest = journal.snapshot().segments.last().unwrap().clone();
    let file = disk.open(&newest.path, Access::read()).unwrap();
    let mut window = window::SegmentWindow::exact(&*file);
    let old_use = (1..newest.use_number)
        .find(|old| {
            append::read_append(&mut window, newest.end, settings().segment_bytes, *old).is_ok()
        })
        .expect("the file holds appends of an earlier use");
    assert_ne!(seed_of(old_use), seed_of(newest.use_number));
    let same = append::read_append(
        &mut window,
        newest.end,
        settings().segment_bytes,
        newest.use_number,
    );
    assert!(same.is_err(), "the seed does not depend on the use");
}

#[test]
fn a_half_written_head_leaves_the_segment_free_and_the_history_whole() {
    let (disk, last) = recycled();
    let (journal, _) = recover(&disk);
    // The oldest file is the next to be used again: a power cut tore its new head.
    let path = journal.snapshot().segments[0].path.clone();
    assert!(journal.snapshot().segments.len() > 1);
    drop(journal);
    for offset in [8, 60, 200] {
        disk.flip_bit(&path, offset).unwrap();
    }
    let (mut journal, recovered) = recover(&disk);
    assert_eq!(recovered.last_sequence, Sequence(last));
    journal
        .open(start(2, Some(position(1, last)), last + 1))
        .unwrap();
    fill(&mut journal, 2, last + 1..=last + 40);
}

#[test]
fn damage_in_an_older_segment_is_named() {
    for settled in [false, true] {
        let disk = disk();
        let (mut journal, _) = recover(&disk);
        journal.open(start(1, None, 1)).unwrap();
        for sequence in 1..=20 {
            let settled = settled.then_some(position(1, sequence));
            journal
                .append(&[data(sequence, 4096)], settled, None)
                .unwrap();
        }
        journal.sync().unwrap();
        let snapshot = journal.snapshot();
        let first = snapshot.segments[0].clone();
        let offset = first.offset_for(Sequence(1)) + 8192;
        drop(journal);
        let flip = |offset: u64| {
            let file = disk.open(&first.path, Access::write()).unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset).unwrap();
            file.write_all_at(&[byte[0] ^ 4], offset).unwrap();
        };
        if !settled {
            flip(offset + 70);
            // What may be unsettled is read at the start.
            let error = try_recover(&disk).unwrap_err();
            let text = error.to_string();
            let RecoverError::Damaged {
                path,
                offset: found,
                ..
            } = error
            else {
                panic!("{text}")
            };
            assert_eq!((path, found), (first.path.clone(), offset));
            let remedy = "move the journal's directory aside";
            assert!(text.contains(remedy), "{text}");
            flip(offset + 70);
        }
        // Everything else is found when it is read.
        for at in [offset + 70, offset + 5000] {
            flip(at);
            if settled || at != offset + 70 {
                let (journal, _) = recover(&disk);
                let from = FeedStart::Opening(IncarnationOrdinal(1));
                let error = read_all(&disk, journal.snapshot(), from, position(1, 20)).unwrap_err();
                assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
            }
            flip(at);
        }
    }
}

/// Production waits for the start: what is settled must not be read again, however much it is.
#[test]
fn a_start_reads_no_settled_segment() {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    fill(&mut journal, 1, 1..=30);
    let newest = journal.snapshot().segments.last().unwrap().clone();
    let before = journal.snapshot();
    drop(journal);
    for segment in before.segments.iter().filter(|one| one.path != newest.path) {
        // Behind its head nothing is left: whoever reads it fails.
        let file = disk.open(&segment.path, Access::write()).unwrap();
        file.write_all_at(&vec![0xff; 60 << 10], 4096).unwrap();
    }
    let (journal, recovered) = recover(&disk);
    assert_eq!(recovered.settled, Some(position(1, 30)));
    assert_eq!(recovered.last_sequence, Sequence(30));
    assert_eq!(recovered.records, 30);
    let found = journal.snapshot();
    for (found, before) in found.segments.iter().zip(&before.segments) {
        assert_eq!((found.first, found.last), (before.first, before.last));
        assert_eq!((found.end, &found.marks), (before.end, &before.marks));
    }
}

#[test]
fn another_stream_and_a_later_version_are_refused_and_a_gap_hides_what_is_before_it() {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    fill(&mut journal, 1, 1..=30);
    let snapshot = journal.snapshot();
    assert!(snapshot.segments.len() >= 3);
    drop(journal);
    let other = JournalIdentity {
        stream: StreamId::from_u128(77),
        ..identity()
    };
    let error =
        Journal::recover(disk.clone(), Path::new(DIRECTORY), other, settings()).unwrap_err();
    assert!(matches!(error, RecoverError::Foreign { .. }), "{error}");
    // The version is the fifth byte.
    let file = disk
        .open(&snapshot.segments[1].path, Access::write())
        .unwrap();
    let mut page = vec![0; 4096];
    file.read_exact_at(&mut page, 0).unwrap();
    let kept = page.clone();
    page[4] = 9;
    file.write_all_at(&page, 0).unwrap();
    let error = try_recover(&disk).unwrap_err();
    assert!(matches!(error, RecoverError::Version { .. }), "{error}");
    file.write_all_at(&kept, 0).unwrap();
    drop(file);
    disk.remove(&snapshot.segments[1].path).unwrap();
    // What lies before a segment that is gone cannot be offered to anyone.
    let (journal, recovered) = recover(&disk);
    let first = snapshot.segments[2].first;
    assert_eq!(recovered.lives.lives()[0].available_from, first);
    assert_eq!(recovered.settled, Some(position(1, 30)));
    assert_eq!(journal.snapshot().segments[0].first, first);
}

#[test]
fn a_read_error_ends_the_newest_segment_and_is_damage_in_an_older_one() {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    for sequence in 1..=20 {
        journal.append(&[data(sequence, 4096)], None, None).unwrap();
    }
    journal.sync().unwrap();
    let snapshot = journal.snapshot();
    let (oldest, newest) = (&snapshot.segments[0], snapshot.segments.last().unwrap());
    let (first, last) = (newest.first, newest.last);
    assert!(first < last && oldest.path != newest.path);
    drop(journal);
    let read_error = |path: &Path, from| {
        let fork = Arc::new(disk.fork(1));
        fork.make_unreadable(path, from..u64::MAX).unwrap();
        fork
    };
    let spoilt = read_error(&newest.path, newest.end - 4096);
    let (_, recovered) = recover(&spoilt);
    assert!(
        (first..last).contains(&recovered.last_sequence),
        "{recovered:?}"
    );
    assert!(!recovered.clean);
    for from in [0, oldest.offset_for(oldest.first)] {
        let error = try_recover(&read_error(&oldest.path, from)).unwrap_err();
        assert!(matches!(error, RecoverError::Unreadable { .. }), "{error}");
        assert!(error.is_lasting());
    }
}

/// A journal of a few segments, and what its oldest one is called.
fn with_history() -> (Arc<SimulatedDisk>, std::path::PathBuf, usize) {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    fill(&mut journal, 1, 1..=30);
    let oldest = journal.snapshot().segments[0].path.clone();
    let files = disk.list(Path::new(DIRECTORY)).unwrap().len();
    (disk, oldest, files)
}

#[test]
fn segments_of_another_size_are_refused_and_stay_where_they_are() {
    let (disk, _, files) = with_history();
    let settings = JournalSettings {
        segment_bytes: 128 << 10,
        ..settings()
    };
    let storage: Arc<dyn Storage> = disk.clone();
    let error = Journal::recover(storage, Path::new(DIRECTORY), identity(), settings).unwrap_err();
    assert!(matches!(error, RecoverError::OtherSize { .. }), "{error}");
    assert!(error.is_lasting());
    assert_eq!(disk.list(Path::new(DIRECTORY)).unwrap().len(), files);
    assert_eq!(recover(&disk).1.last_sequence, Sequence(30));
}

#[test]
fn a_head_that_says_what_nobody_writes_is_damage_and_its_segment_stays() {
    let (disk, oldest, files) = with_history();
    let file = disk.open(&oldest, Access::write()).unwrap();
    let mut page = vec![0; 4096];
    file.read_exact_at(&mut page, 0).unwrap();
    // Flags of a newer release, under a checksum that is right.
    page[6] = 2;
    let length = u32::from_le_bytes(page[8..12].try_into().unwrap()) as usize;
    let mut head = page[..length - 4].to_vec();
    bcdr_format::codec::seal_checksum(&mut head, 0);
    file.write_all_at(&head, 0).unwrap();
    let error = try_recover(&disk).unwrap_err();
    assert!(
        matches!(&error, RecoverError::Damaged { offset: 0, .. }),
        "{error}"
    );
    assert!(error.is_lasting());
    assert_eq!(disk.list(Path::new(DIRECTORY)).unwrap().len(), files);
}
