//! The journal on the simulated disk: power cuts, recycled tails, damage, and feeding from disk.

use super::*;
use crate::{
    Payload, StreamBody, StreamRecord,
    feed::{FeedItem, FeedStart},
    start::{IncarnationStart, SyncStart},
};
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk, Storage};
use bcdr_format::{
    IncarnationId, Opening, Position, Sequence, SyncId, Timestamp, VolumeId, VolumeNumber,
    incarnation::IncarnationOrdinal,
    record::{Member, VolumeRange},
    sync::{Heals, SyncEvent, SyncReason},
};
use proptest::prelude::*;
use std::{path::Path, sync::Arc};

mod damage;
mod golden;
mod power_cut;

const DIRECTORY: &str = "/journal";

fn settings() -> JournalSettings {
    JournalSettings {
        segment_bytes: 64 << 10,
        segments_max: 8,
        direct: true,
        append_bytes_max: 24 << 10,
    }
}

fn identity() -> JournalIdentity {
    JournalIdentity {
        group: GroupId::from_u128(1),
        stream: StreamId::from_u128(2),
    }
}

fn members() -> Vec<Member> {
    vec![Member {
        group: identity().group,
        number: VolumeNumber(1),
        id: VolumeId::from_u128(3),
        size_bytes: 1 << 20,
    }]
}

fn disk() -> Arc<SimulatedDisk> {
    Arc::new(SimulatedDisk::new(1, FaultPlan::none()))
}

fn recover(disk: &Arc<SimulatedDisk>) -> (Journal, Recovered) {
    try_recover(disk).unwrap()
}

fn try_recover(disk: &Arc<SimulatedDisk>) -> Result<(Journal, Recovered), RecoverError> {
    let storage: Arc<dyn Storage> = disk.clone();
    let (mut journal, recovered) =
        Journal::recover(storage, Path::new(DIRECTORY), identity(), settings())?;
    journal.set_members(members());
    Ok((journal, recovered))
}

fn position(ordinal: u32, sequence: u64) -> Position {
    Position::new(IncarnationOrdinal(ordinal), Sequence(sequence))
}

fn start(ordinal: u32, continues: Option<Position>, first: u64) -> IncarnationStart {
    let opening = Opening {
        ordinal: IncarnationOrdinal(ordinal),
        id: IncarnationId::from_u128(u128::from(ordinal)),
        continues,
        first: Sequence(first),
    };
    IncarnationStart {
        opening,
        sync: None,
    }
}

fn range(sequence: u64, length: u32) -> VolumeRange {
    VolumeRange {
        volume: VolumeNumber(1),
        offset: sequence % 100 * 4096,
        length,
    }
}

fn body(sequence: u64, length: u32, fill: u8) -> StreamBody {
    let payload = Payload::copied_from(&vec![fill; length as usize]);
    StreamBody::Data {
        range: range(sequence, length),
        payload,
    }
}

fn record(sequence: u64, body: StreamBody) -> Arc<StreamRecord> {
    let captured_at = Timestamp(sequence as i64);
    Arc::new(StreamRecord {
        sequence: Sequence(sequence),
        captured_at,
        body,
    })
}

fn data(sequence: u64, length: u32) -> Arc<StreamRecord> {
    record(sequence, body(sequence, length, sequence as u8))
}

/// Appends one record each, the settled prefix right behind.
fn fill(journal: &mut Journal, ordinal: u32, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        let settled = Some(position(ordinal, sequence));
        journal
            .append(&[data(sequence, 4096)], settled, None)
            .unwrap();
    }
}

fn read_all(
    disk: &Arc<SimulatedDisk>,
    snapshot: JournalSnapshot,
    from: FeedStart,
    through: Position,
) -> Result<Vec<FeedItem>, ReadError> {
    let reader = JournalReader::new(disk.clone(), snapshot, true);
    let (mut items, mut from) = (Vec::new(), from);
    loop {
        let more = reader.read(from, through, 10_000)?;
        let Some(last) = more.last() else {
            return Ok(items);
        };
        from = FeedStart::after(last);
        items.extend(more);
    }
}

fn sequences(items: &[FeedItem]) -> Vec<u64> {
    items
        .iter()
        .filter_map(|item| item.position())
        .map(|position| position.sequence.0)
        .collect()
}

#[test]
fn an_empty_directory_is_an_empty_journal() {
    let disk = disk();
    let (journal, recovered) = recover(&disk);
    assert!(recovered.newest.is_none() && recovered.settled.is_none() && !recovered.clean);
    assert_eq!(journal.usage().used_bytes, 0);
    assert_eq!(journal.usage().capacity_bytes, 8 * (64 << 10));
}

#[test]
fn records_survive_a_kill_and_read_back_as_the_feed() {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    let records: Vec<_> = vec![
        data(1, 512),
        data(2, 4096),
        record(
            3,
            StreamBody::Zero {
                range: range(3, 8192),
                unmap: true,
            },
        ),
        data(4, 12288),
    ];
    journal
        .append(&records, Some(position(1, 3)), None)
        .unwrap();
    disk.kill();
    let (journal, recovered) = recover(&disk);
    assert_eq!(recovered.newest, Some(start(1, None, 1)));
    assert_eq!(recovered.settled, Some(position(1, 3)));
    assert_eq!(recovered.last_sequence, Sequence(4));
    assert_eq!(recovered.unsettled, [range(4, 12288)]);
    assert_eq!(recovered.members, members());
    assert!(!recovered.clean);
    let from = FeedStart::Opening(IncarnationOrdinal(1));
    let items = read_all(&disk, journal.snapshot(), from, position(1, 3)).unwrap();
    assert_eq!(items[0], FeedItem::Opening(start(1, None, 1)));
    for (item, record) in items[1..].iter().zip(&records) {
        assert_eq!(
            item,
            &FeedItem::Record {
                ordinal: IncarnationOrdinal(1),
                record: record.clone()
            }
        );
    }
    assert_eq!(items.len(), 4, "record 4 is not settled");
}

#[test]
fn a_clean_end_is_known_and_a_later_life_hides_it() {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    fill(&mut journal, 1, 1..=3);
    journal.close_clean(Some(position(1, 3))).unwrap();
    disk.power_cut();
    disk.power_on();
    let (mut journal, recovered) = recover(&disk);
    assert!(recovered.clean);
    assert_eq!(recovered.settled, Some(position(1, 3)));
    journal.open(start(2, Some(position(1, 3)), 4)).unwrap();
    disk.kill();
    let (_, recovered) = recover(&disk);
    assert!(!recovered.clean);
    assert_eq!(recovered.settled, Some(position(1, 3)));
    assert_eq!(
        recovered.newest.unwrap().opening.ordinal,
        IncarnationOrdinal(2)
    );
}

#[test]
fn a_full_journal_stops_and_goes_on_only_with_a_life_opened_after_the_stop() {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    let append = |sequence| JournalCommand::Append {
        record: data(sequence, 4096),
        settled: Some(position(1, sequence)),
        open_sync: None,
    };
    let opened = journal.execute(&[JournalCommand::Open {
        start: start(1, None, 1),
        after_stop: false,
    }]);
    assert_eq!(opened[0], JournalEvent::Opened(IncarnationOrdinal(1)));
    let commands: Vec<_> = (1..=300).map(append).collect();
    let events = journal.execute(&commands);
    let written = events.iter().find_map(|event| match event {
        JournalEvent::Written(through) => Some(through.0),
        _ => None,
    });
    let written = written.unwrap();
    assert!((60..120).contains(&written), "{written}");
    assert!(events.contains(&JournalEvent::Stopped(StopReason::Full)));
    let JournalEvent::Usage(usage) = events.last().unwrap() else {
        panic!("usage comes last")
    };
    assert!(usage.over_half());
    let ignored = journal.execute(&[append(400), JournalCommand::Sync]);
    assert_eq!(ignored, [JournalEvent::Usage(*usage)]);
    let again = start(2, Some(position(1, written)), 401);
    let refused = journal.execute(&[JournalCommand::Open {
        start: again,
        after_stop: false,
    }]);
    assert_eq!(refused, [JournalEvent::Usage(*usage)]);
    let JournalEvent::Usage(usage) = journal.trim(position(1, written)) else {
        panic!()
    };
    assert!(!usage.over_half());
    let events = journal.execute(&[
        JournalCommand::Open {
            start: again,
            after_stop: true,
        },
        JournalCommand::Append {
            record: data(401, 512),
            settled: None,
            open_sync: None,
        },
        JournalCommand::Sync,
    ]);
    assert_eq!(
        events[..events.len() - 1],
        [
            JournalEvent::Opened(IncarnationOrdinal(2)),
            JournalEvent::Written(Sequence(400)),
            JournalEvent::Durable(Sequence(400)),
            JournalEvent::Written(Sequence(401)),
            JournalEvent::Durable(Sequence(401)),
        ]
    );
}

#[test]
fn a_failed_sync_is_final_for_its_segment() {
    let plan = FaultPlan {
        sync_error_per_mille: 1000,
        ..FaultPlan::none()
    };
    let disk = Arc::new(SimulatedDisk::new(3, plan));
    disk.arm(false);
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    fill(&mut journal, 1, 1..=3);
    journal.sync().unwrap();
    fill(&mut journal, 1, 4..=6);
    disk.arm(true);
    let events = journal.execute(&[JournalCommand::Sync]);
    assert!(
        matches!(events[1], JournalEvent::Stopped(StopReason::Failed(_))),
        "{events:?}"
    );
    assert_eq!(
        events[0],
        JournalEvent::Durable(Sequence(3)),
        "nothing after the last sync counts"
    );
    disk.arm(false);
    let next = start(2, Some(position(1, 6)), 7);
    let events = journal.execute(&[JournalCommand::Open {
        start: next,
        after_stop: true,
    }]);
    assert_eq!(events[0], JournalEvent::Opened(IncarnationOrdinal(2)));
    fill(&mut journal, 2, 7..=8);
    journal.sync().unwrap();
    disk.power_cut();
    disk.power_on();
    // The abandoned segment may be damaged behind record 3; that is no corruption of the journal.
    let (journal, recovered) = recover(&disk);
    assert_eq!(recovered.settled, Some(position(2, 8)));
    let from = FeedStart::Opening(IncarnationOrdinal(1));
    match read_all(&disk, journal.snapshot(), from, position(2, 8)) {
        Ok(items) => assert_eq!(sequences(&items), [1, 2, 3, 4, 5, 6, 7, 8]),
        Err(error) => assert!(
            matches!(error, ReadError::Missing { .. } | ReadError::Damaged { .. }),
            "{error}"
        ),
    }
    let from = FeedStart::Opening(IncarnationOrdinal(2));
    let items = read_all(&disk, journal.snapshot(), from, position(2, 8)).unwrap();
    assert_eq!(sequences(&items), [7, 8]);
}

#[test]
fn amendments_and_voids_stand_in_when_fed_from_disk() {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    fill(&mut journal, 1, 1..=30);
    let really = Payload::copied_from(&[0xaa; 4096]);
    let amendment = StreamBody::Amendment {
        amends: Sequence(2),
        range: range(2, 4096),
        payload: really.clone(),
    };
    let void = StreamBody::Void {
        voids: Sequence(3),
        range: range(3, 4096),
    };
    let records = [
        record(31, amendment),
        record(32, void.clone()),
        data(33, 4096),
    ];
    journal
        .append(&records, Some(position(1, 33)), None)
        .unwrap();
    let written = |sequence: u64| body(sequence, 4096, sequence as u8);
    let check = |journal: &Journal| {
        let from = FeedStart::Opening(IncarnationOrdinal(1));
        let items = read_all(&disk, journal.snapshot(), from, position(1, 33)).unwrap();
        let body = |sequence: usize| match &items[sequence] {
            FeedItem::Record { record, .. } => record.body.clone(),
            FeedItem::Opening(_) => panic!("the opening comes first"),
        };
        assert_eq!(body(1), written(1));
        assert_eq!(
            body(2),
            StreamBody::Data {
                range: range(2, 4096),
                payload: really.clone()
            }
        );
        assert_eq!(body(3), void);
        assert_eq!(body(33), written(33));
        assert!(matches!(body(31), StreamBody::Amendment { .. }));
    };
    check(&journal);
    disk.kill();
    check(&recover(&disk).0);
}

#[test]
fn the_feed_follows_lives_and_leaves_out_what_never_settled() {
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    journal.open(start(1, None, 1)).unwrap();
    fill(&mut journal, 1, 1..=10);
    journal
        .append(&[data(11, 512), data(12, 512)], Some(position(1, 10)), None)
        .unwrap();
    journal.open(start(2, Some(position(1, 10)), 20)).unwrap();
    journal.open(start(3, Some(position(1, 10)), 21)).unwrap();
    fill(&mut journal, 3, 21..=22);
    let snapshot = journal.snapshot();
    let from = FeedStart::After(position(1, 8));
    let items = read_all(&disk, snapshot.clone(), from, position(3, 21)).unwrap();
    assert_eq!(sequences(&items), [9, 10, 21]);
    let openings: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            FeedItem::Opening(start) => Some(start.opening.ordinal.0),
            FeedItem::Record { .. } => None,
        })
        .collect();
    assert_eq!(
        openings,
        [3],
        "nothing of life 2 is ever fed, so its segment was freed"
    );
    let history = snapshot.history(Some(position(3, 22)));
    let fed: Vec<u64> = history
        .lives()
        .iter()
        .map(|life| life.fed_through.0)
        .collect();
    assert_eq!(fed, [10, 22]);
}

#[test]
fn an_interval_stays_open_until_its_settled_end() {
    let sync = SyncStart {
        sync: SyncId::from_u128(9),
        reason: SyncReason::Initial,
        heals: Heals::Everything {
            opening: IncarnationOrdinal(1),
        },
    };
    let begin = StreamBody::Sync(SyncEvent::Begin {
        sync: sync.sync,
        reason: sync.reason,
    });
    let end = StreamBody::Sync(SyncEvent::End {
        sync: sync.sync,
        heals: sync.heals,
    });
    for (settled, expected) in [(29, Some(sync)), (30, None)] {
        let disk = disk();
        let (mut journal, _) = recover(&disk);
        let life = IncarnationStart {
            sync: Some(sync),
            ..start(1, None, 1)
        };
        journal.open(life).unwrap();
        disk.kill();
        let (mut journal, recovered) = recover(&disk);
        assert_eq!(
            recovered.open_sync,
            Some(sync),
            "its beginning was never written"
        );
        let life = IncarnationStart {
            sync: Some(sync),
            ..start(2, None, 2)
        };
        journal.open(life).unwrap();
        journal
            .append(
                &[record(2, begin.clone())],
                Some(position(2, 2)),
                Some(sync),
            )
            .unwrap();
        for sequence in 3..30 {
            let record = data(sequence, 4096);
            journal
                .append(&[record], Some(position(2, sequence)), Some(sync))
                .unwrap();
        }
        // Its beginning goes with its segment; the heads of the others still know.
        journal.trim(position(2, 20));
        disk.kill();
        let (mut journal, recovered) = recover(&disk);
        assert_eq!(recovered.open_sync, Some(sync));
        let life = IncarnationStart {
            sync: Some(sync),
            ..start(3, Some(position(2, 29)), 30)
        };
        journal.trim(position(2, 29));
        journal.open(life).unwrap();
        journal
            .append(&[record(30, end.clone())], Some(position(3, settled)), None)
            .unwrap();
        disk.kill();
        assert_eq!(recover(&disk).1.open_sync, expected);
    }
}

/// The end of an interval, a full segment and more data may be handed over together.
#[test]
fn a_segment_that_begins_behind_the_end_of_an_interval_says_so() {
    let sync = SyncStart {
        sync: SyncId::from_u128(9),
        reason: SyncReason::Initial,
        heals: Heals::Everything {
            opening: IncarnationOrdinal(1),
        },
    };
    let end = StreamBody::Sync(SyncEvent::End {
        sync: sync.sync,
        heals: sync.heals,
    });
    let disk = disk();
    let (mut journal, _) = recover(&disk);
    let life = IncarnationStart {
        sync: Some(sync),
        ..start(1, None, 1)
    };
    journal.open(life).unwrap();
    let append = |record: Arc<StreamRecord>, open_sync| JournalCommand::Append {
        settled: Some(position(1, record.sequence.0)),
        record,
        open_sync,
    };
    let mut commands: Vec<_> = (1..=3).map(|n| append(data(n, 4096), Some(sync))).collect();
    commands.push(append(record(4, end), None));
    commands.extend((5..=20).map(|n| append(data(n, 4096), None)));
    journal.execute(&commands);
    let newest = journal.snapshot().segments.last().unwrap().clone();
    assert!(newest.first > Sequence(4), "{newest:?}");
    disk.kill();
    let (_, recovered) = recover(&disk);
    assert_eq!(recovered.last_sequence, Sequence(20));
    assert_eq!(recovered.open_sync, None);
}
