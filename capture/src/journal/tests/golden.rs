//! A segment that an earlier release wrote. It is added, never edited: what can be read today must
//! be readable for ever.
//!
//! A file that is missing is written when `BCDR_ADD_GOLDEN` is set, and only then.

use super::*;
use bcdr_disk::{Access, CreateOptions};

#[test]
fn a_segment_of_version_2_reads_back_and_is_written_the_same() {
    let settings = JournalSettings {
        segment_bytes: 32 << 10,
        ..settings()
    };
    let open = |disk: &Arc<SimulatedDisk>| {
        let storage: Arc<dyn Storage> = disk.clone();
        Journal::recover(storage, Path::new(DIRECTORY), identity(), settings).unwrap()
    };
    let disk = disk();
    let (mut journal, _) = open(&disk);
    journal.set_members(members());
    let mut first = start(3, Some(position(2, 20)), 21);
    first.sync = Some(SyncStart {
        sync: SyncId::from_u128(5),
        reason: SyncReason::Killed,
        heals: Heals::Through {
            opening: IncarnationOrdinal(3),
            through: position(2, 20),
        },
    });
    journal.open(first).unwrap();
    let zero = StreamBody::Zero {
        range: range(22, 8192),
        unmap: true,
    };
    let records = [data(21, 4096), record(22, zero)];
    journal
        .append(&records, Some(position(3, 21)), first.sync)
        .unwrap();
    journal.sync().unwrap();
    let path = journal.snapshot().segments[0].path.clone();
    drop(journal);
    let mut written = vec![0; 32 << 10];
    let file = disk.open(&path, Access::read()).unwrap();
    file.read_exact_at(&mut written, 0).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/journal-v2.segment");
    if !golden.exists() && std::env::var_os("BCDR_ADD_GOLDEN").is_some() {
        std::fs::write(&golden, &written).unwrap();
    }
    let golden = std::fs::read(&golden).unwrap();
    assert!(written == golden, "this release writes other bytes");
    let copy = Arc::new(SimulatedDisk::new(2, FaultPlan::none()));
    copy.create_directory_all(Path::new(DIRECTORY)).unwrap();
    copy.create(&path, CreateOptions::default())
        .unwrap()
        .write_all_at(&golden, 0)
        .unwrap();
    let (journal, recovered) = open(&copy);
    assert_eq!(recovered.newest, Some(first));
    assert_eq!(recovered.settled, Some(position(3, 21)));
    assert_eq!(recovered.last_sequence, Sequence(22));
    assert_eq!(recovered.members, members());
    let from = FeedStart::Opening(IncarnationOrdinal(3));
    let read = read_all(&copy, journal.snapshot(), from, position(3, 22)).unwrap();
    let found: Vec<_> = read
        .into_iter()
        .filter_map(|item| match item {
            FeedItem::Record { record, .. } => Some(record),
            FeedItem::Opening(_) => None,
        })
        .collect();
    assert_eq!(found, records);
}
