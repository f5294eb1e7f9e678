use super::rig::{CATALOG, DIRECTORY, History, Rig, number_of, options};
use super::*;
use crate::{
    catalog::{PageOrder, PointPage},
    receive::{
        PointId,
        sample::{self, Change, Extra, Kind, VOLUME_SECTORS},
    },
    replica::ViewError,
};
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk};
use bcdr_format::sync::{Heals, SyncReason};
use proptest::prelude::*;
use std::path::Path;

fn disk(seed: u64, plan: FaultPlan) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed, plan);
    disk.arm(false);
    disk
}

fn rig(disk: &SimulatedDisk, history: &History) -> Rig {
    Rig::open(Arc::new(disk.clone()), &history.source).unwrap()
}

fn write(sector: u64, stamp: u64) -> Vec<Change> {
    vec![Change {
        volume: 0,
        sector,
        sectors: 3,
        kind: Kind::Data(stamp),
    }]
}

fn random_changes(random: &mut SeededRandom, stamp: u64) -> Vec<Change> {
    (0..random.between(1, 5))
        .map(|step| Change {
            volume: random.below(2) as u16,
            sector: random.below(VOLUME_SECTORS),
            sectors: random.between(1, 12),
            kind: match random.below(8) {
                0 | 1 => Kind::Zero,
                2 => Kind::Unknown,
                _ => Kind::Data(stamp * 10 + step),
            },
        })
        .collect()
}

fn change() -> impl Strategy<Value = Change> {
    let kind = prop_oneof![
        4 => any::<u32>().prop_map(|stamp| Kind::Data(u64::from(stamp))),
        2 => Just(Kind::Zero),
        1 => Just(Kind::Unknown),
    ];
    (0_u16..2, 0..VOLUME_SECTORS, 1_u64..16, kind).prop_map(|(volume, sector, sectors, kind)| {
        Change {
            volume,
            sector,
            sectors,
            kind,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_at_every_batch_end_equals_the_model(
        batches in prop::collection::vec(prop::collection::vec(change(), 1..5), 1..90),
        build_every in 1_usize..40,
    ) {
        let disk = disk(0, FaultPlan::none());
        let mut history = History::new();
        let mut rig = rig(&disk, &history);
        for (place, changes) in batches.iter().enumerate() {
            rig.take(&history.batch(changes));
            if place % build_every == 0 {
                rig.store.reader().build_pending(3).unwrap();
            }
        }
        for (number, image) in (0..).zip(&history.images) {
            rig.assert_view(number, image, "partly merged");
        }
        rig.build_all();
        for (number, image) in (0..).zip(&history.images) {
            rig.assert_view(number, image, "merged");
        }
    }

    #[test]
    fn an_overlapping_batch_applied_again_changes_nothing(
        first in prop::collection::vec(change(), 1..5),
        second in prop::collection::vec(change(), 1..5),
        third in prop::collection::vec(change(), 1..5),
    ) {
        let disk = disk(0, FaultPlan::none());
        let mut history = History::new();
        let mut rig = rig(&disk, &history);
        for changes in [&[][..], &first, &second] {
            rig.take(&history.batch(changes));
        }
        // After a restart the gateway has only one batch that spans what is held and what is not.
        let all: Vec<Change> = [first, second, third].concat();
        let spanning = history.batch_with(&all, &Extra { repeats: 2, ..Extra::default() });
        rig.take(&spanning);
        rig.build_all();
        for (number, image) in (0..).zip(&history.images) {
            rig.assert_view(number, image, "overlap");
        }
    }
}

#[test]
fn power_cuts_lose_nothing_acknowledged_and_views_stay_exact() {
    let (mut replays, mut torn, mut rebuilt) = (0, 0, 0);
    for seed in 0..60 {
        let disk = disk(seed, FaultPlan::none());
        let mut random = SeededRandom::new(seed);
        let mut history = History::new();
        let mut batches: Vec<Bytes> = Vec::new();
        let mut acknowledged = 0;
        for _ in 0..4 {
            disk.cut_power_at(random.between(5, 260));
            if let Ok(mut rig) = Rig::open(Arc::new(disk.clone()), &history.source) {
                replays += rig.recovery.replayed;
                torn += u64::from(rig.recovery.torn_bytes > 0);
                assert_eq!(rig.recovery.damage, None, "seed {seed}");
                let held = rig.store.durable().next_batch().0;
                assert!(
                    held >= acknowledged,
                    "seed {seed}: {acknowledged} lost, {held} left"
                );
                run_until_the_cut(
                    &mut rig,
                    &mut random,
                    &mut history,
                    &mut batches,
                    &mut acknowledged,
                );
            }
            disk.power_cut();
        }
        let rig = rig(&disk, &history);
        let held = rig.store.durable().next_batch().0;
        assert!(held >= acknowledged, "seed {seed}");
        rig.build_all();
        rebuilt += rig
            .store
            .reader()
            .runs()
            .built()
            .get(1)
            .copied()
            .unwrap_or(0);
        for (number, image) in (0..held).zip(&history.images) {
            rig.assert_view(number, image, &format!("seed {seed}"));
        }
    }
    assert!(
        replays > 100 && torn > 10 && rebuilt > 60,
        "{replays} {torn} {rebuilt}"
    );
}

/// Sends what is not held and then new batches, as a gateway does, until the power goes.
fn run_until_the_cut(
    rig: &mut Rig,
    random: &mut SeededRandom,
    history: &mut History,
    batches: &mut Vec<Bytes>,
    acknowledged: &mut u64,
) {
    let mut next = rig.store.durable().next_batch().0 as usize;
    for _ in 0..40 {
        if next == batches.len() {
            let changes = random_changes(random, next as u64);
            let batch = history.batch(&changes);
            batches.push(batch);
        }
        if rig.append(&batches[next]).is_err() {
            return;
        }
        next += 1;
        if random.below(3) == 0 {
            let Ok(committed) = rig.store.commit() else {
                return;
            };
            assert!(committed.held.is_some());
            *acknowledged = next as u64;
        }
        if random.below(4) == 0 && rig.store.reader().build_pending(2).is_err() {
            return;
        }
    }
}

#[test]
fn nothing_is_acknowledged_before_its_sync() {
    let disk = disk(
        3,
        FaultPlan {
            sync_error_per_mille: 1000,
            ..FaultPlan::none()
        },
    );
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    let first = history.batch(&write(0, 1));
    rig.append(&first).unwrap();
    assert_eq!(rig.store.durable().held(), None);
    assert!(rig.store.received().held().is_some());
    assert_eq!(rig.catalog.batch_count(history.source.lineage).unwrap(), 0);
    disk.arm(true);
    assert!(rig.store.commit().is_err(), "every sync fails");
    assert_eq!(rig.store.durable().held(), None);
    assert_eq!(
        rig.catalog.latest_point(history.source.lineage).unwrap(),
        None
    );
    let refused = rig.store.offer(&sample::parse(&first));
    assert_eq!(refused, Decision::Refuse(Refusal::Failed));
}

#[test]
fn one_failed_sync_is_survived_with_the_same_answers() {
    let mut survived = 0;
    for seed in 0..60 {
        let disk = disk(
            seed,
            FaultPlan {
                sync_error_per_mille: 60,
                ..FaultPlan::none()
            },
        );
        let mut history = History::new();
        let mut rig = rig(&disk, &history);
        let mut acknowledged = 0;
        disk.arm(true);
        for stamp in 0..12 {
            if rig.append(&history.batch(&write(stamp, stamp))).is_err() {
                break;
            }
            match rig.store.commit() {
                Ok(_) => acknowledged = stamp + 1,
                Err(_) => break,
            }
        }
        survived += rig.store.failed_syncs().min(acknowledged);
        disk.arm(false);
        drop(rig);
        disk.power_cut();
        let rig = self::rig(&disk, &history);
        assert!(
            rig.store.durable().next_batch().0 >= acknowledged,
            "seed {seed}"
        );
        for number in 0..rig.store.durable().next_batch().0 {
            rig.assert_view(
                number,
                &history.images[number as usize],
                &format!("seed {seed}"),
            );
        }
    }
    assert!(survived > 10, "only {survived}: the test proves little");
}

#[test]
fn a_lost_index_is_given_again_by_the_log() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    for stamp in 0..30 {
        rig.take(&history.batch(&write(stamp, stamp)));
        if stamp % 3 == 0 {
            let beat = Extra {
                beat: Some(stamp),
                ..Extra::default()
            };
            rig.take(&history.batch_with(&[], &beat));
        }
    }
    let label = Extra {
        label: Some("named".into()),
        ..Extra::default()
    };
    rig.take(&history.batch_with(&[], &label));
    let lineage = history.source.lineage;
    let rows = |rig: &Rig| -> Vec<BatchRow> {
        (0..31)
            .map(|n| rig.catalog.batch(lineage, BatchNumber(n)).unwrap().unwrap())
            .collect()
    };
    let (before, state) = (rows(&rig), rig.store.durable().clone());
    drop(rig);
    disk.remove(Path::new(CATALOG)).unwrap();
    let rig = self::rig(&disk, &history);
    assert_eq!(rig.recovery.replayed, 41);
    assert_eq!(rows(&rig), before);
    assert_eq!(*rig.store.durable(), state);
    let named = rig
        .catalog
        .point_by_label(lineage.group, "named")
        .unwrap()
        .unwrap();
    assert_eq!(named.number, BatchNumber(30));
    assert_eq!(
        rig.catalog.wrapped_key(sample::KEY).unwrap().as_deref(),
        Some(&b"wrapped"[..])
    );
    // What the index holds durably is not read again.
    drop(rig);
    assert_eq!(self::rig(&disk, &history).recovery.replayed, 0);
}

#[test]
fn points_are_found_by_time_position_label_and_in_pages() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    let lineage = history.source.lineage;
    for stamp in 0..10 {
        let extra = match stamp {
            0 => sample::initial_sync(),
            4 | 7 => Extra {
                label: Some(format!("label {stamp}")),
                ..Extra::default()
            },
            _ => Extra::default(),
        };
        rig.take(&history.batch_with(&write(stamp, stamp), &extra));
    }
    let row = |number| {
        rig.catalog
            .batch(lineage, BatchNumber(number))
            .unwrap()
            .unwrap()
    };
    let at = |time| rig.catalog.point_at(lineage, Timestamp(time)).unwrap();
    assert_eq!(at(row(0).time.0 - 1), None);
    assert_eq!(at(row(6).time.0), Some(row(6)));
    assert_eq!(at(row(6).time.0 + 1), Some(row(6)));
    assert_eq!(at(i64::MAX), Some(row(9)));
    assert_eq!(rig.catalog.latest_point(lineage).unwrap(), Some(row(9)));
    let by_id = |id| rig.catalog.point_by_id(lineage, id).unwrap();
    assert_eq!(by_id(row(3).point_id()), Some(row(3)));
    assert_eq!(by_id("9-9".parse::<PointId>().unwrap()), None);
    let by_label = |label| rig.catalog.point_by_label(lineage.group, label).unwrap();
    assert_eq!(by_label("label 4"), Some(row(4)));
    assert_eq!(by_label("label 5"), None);
    assert!(!rig.catalog.label_is_free(lineage.group, "label 4").unwrap());
    let page = |order, after: Option<u64>, named_only| -> Vec<u64> {
        let page = PointPage {
            order,
            after: after.map(BatchNumber),
            limit: 3,
            named_only,
        };
        let rows = rig.catalog.points(lineage, &page).unwrap();
        rows.iter().map(|row| row.number.0).collect()
    };
    assert_eq!(page(PageOrder::NewestFirst, None, false), [9, 8, 7]);
    assert_eq!(page(PageOrder::NewestFirst, Some(7), false), [6, 5, 4]);
    assert_eq!(page(PageOrder::NewestFirst, Some(0), false), [0; 0]);
    assert_eq!(page(PageOrder::OldestFirst, None, false), [0, 1, 2]);
    assert_eq!(page(PageOrder::OldestFirst, Some(8), false), [9]);
    assert_eq!(page(PageOrder::NewestFirst, None, true), [7, 4]);
    assert_eq!(rig.catalog.point_count(lineage).unwrap(), 10);
}

#[test]
fn no_point_is_listed_inside_an_interval_and_its_label_is_free_again() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    let lineage = history.source.lineage;
    rig.take(&history.batch(&write(0, 0)));
    let marker = sample::marker_id("mark");
    rig.catalog
        .reserve_label(lineage.group, "mark", marker)
        .unwrap();
    let opened = Extra {
        events: vec![sample::begin(9, SyncReason::Killed)],
        ..Extra::default()
    };
    rig.take(&history.batch_with(&write(1, 1), &opened));
    let label = Extra {
        label: Some("mark".into()),
        ..Extra::default()
    };
    let outcome = rig.take(&history.batch_with(&write(2, 2), &label));
    assert_eq!(outcome.marker.unwrap().point, None);
    assert_eq!(
        rig.catalog.point_by_label(lineage.group, "mark").unwrap(),
        None
    );
    assert!(rig.catalog.label_is_free(lineage.group, "mark").unwrap());
    assert_eq!(rig.catalog.point_count(lineage).unwrap(), 1);
    let closed = Extra {
        events: vec![sample::end(9, Heals::Nothing)],
        ..Extra::default()
    };
    let outcome = rig.take(&history.batch_with(&write(3, 3), &closed));
    assert!(outcome.published.is_some());
    let latest = rig.catalog.latest_point(lineage).unwrap().unwrap();
    assert_eq!(latest.number.0, number_of(&outcome));
    assert_eq!(rig.catalog.point_count(lineage).unwrap(), 2);
}

#[test]
fn a_fork_found_late_keeps_its_interval_over_a_restart() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    rig.take(&history.batch(&write(0, 0)));
    let continued = history.source.end();
    rig.take(&history.batch(&write(1, 1)));
    let peer = history.source.end();
    history.source.open(Some(continued));
    let outcome = rig.take(&history.batch(&write(2, 2)));
    assert_eq!(outcome.forked.unwrap().peer, Some(peer));
    drop(rig);
    disk.power_cut();
    let mut rig = self::rig(&disk, &history);
    assert_eq!(rig.store.durable().open_forks().len(), 1);
    assert_eq!(rig.take(&history.batch(&write(3, 3))).published, None);
    let opening = history.source.ordinal;
    let heal = Extra {
        events: vec![
            sample::begin(4, SyncReason::Fork),
            sample::end(
                4,
                Heals::Through {
                    opening,
                    through: peer,
                },
            ),
        ],
        ..Extra::default()
    };
    let outcome = rig.take(&history.batch_with(&write(1, 9), &heal));
    assert!(outcome.published.is_some());
    rig.assert_view(number_of(&outcome), &history.image, "healed");
}

#[test]
fn a_fence_outlives_a_power_cut_and_the_index() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    rig.append(&history.batch(&write(0, 0))).unwrap();
    let committed = rig.store.fence(Generation(6)).unwrap();
    assert_eq!(
        committed.outcomes.len(),
        1,
        "what came before the fence is durable with it"
    );
    drop(rig);
    disk.power_cut();
    let late = history
        .source
        .clone()
        .batch(&write(1, 1), &Extra::default());
    let fenced = |rig: &Rig| match rig.store.offer(&sample::parse(&late)) {
        Decision::Refuse(Refusal::Fenced { held, .. }) => held,
        other => panic!("{other:?}"),
    };
    assert_eq!(fenced(&self::rig(&disk, &history)), Generation(6));
    disk.remove(Path::new(CATALOG)).unwrap();
    assert_eq!(fenced(&self::rig(&disk, &history)), Generation(6));
}

#[test]
fn new_data_is_refused_below_the_space_floor_and_views_stay() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut options = options();
    options.space_floor = SpaceFloor {
        percent: 5,
        bytes: 1 << 20,
    };
    let mut rig = Rig::open_with(Arc::new(disk.clone()), &history.source, options).unwrap();
    rig.take(&history.batch(&write(0, 0)));
    disk.set_capacity(5 << 20);
    rig.store.refresh_space().unwrap();
    let batch = history
        .source
        .clone()
        .batch(&write(1, 1), &Extra::default());
    let offered = rig.store.offer(&sample::parse(&batch));
    let used = (5 << 20) - disk.space(Path::new("/store")).unwrap().available_bytes;
    assert!(used > 1 << 20 || matches!(offered, Decision::Append { .. }));
    disk.set_capacity(used + (1 << 20) - 1);
    rig.store.refresh_space().unwrap();
    let offered = rig.store.offer(&sample::parse(&batch));
    assert!(
        matches!(offered, Decision::Refuse(Refusal::SpaceFloor(_))),
        "{offered:?}"
    );
    assert!(rig.store.admission().is_err());
    rig.assert_view(0, &history.images[0], "full");
}

#[test]
fn a_damaged_log_is_told_takes_no_data_and_keeps_its_older_points() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    for stamp in 0..12 {
        rig.take(&history.batch(&write(stamp, stamp)));
    }
    let place = rig
        .catalog
        .batch(history.source.lineage, BatchNumber(8))
        .unwrap()
        .unwrap()
        .place;
    drop(rig);
    // Without its index the store reads the whole log.
    disk.remove(Path::new(CATALOG)).unwrap();
    let path = Path::new(DIRECTORY).join(format!("log/{:010}.segment", place.segment));
    disk.flip_bit(&path, place.offset + 5).unwrap();
    let rig = self::rig(&disk, &history);
    let damage = rig.recovery.damage.clone().unwrap();
    assert_eq!(damage.batch, Some(BatchNumber(8)));
    assert_eq!(
        (damage.path, damage.position.segment),
        (path, place.segment)
    );
    let next = history
        .source
        .clone()
        .batch(&write(1, 1), &Extra::default());
    let offered = rig.store.offer(&sample::parse(&next));
    assert!(matches!(offered, Decision::Refuse(Refusal::Damaged(_))));
    for number in 0..8 {
        rig.assert_view(
            number,
            &history.images[number as usize],
            "before the damage",
        );
    }
    assert!(matches!(rig.view(8), Err(ViewError::NoBatch { .. })));
    drop(rig);
    assert!(
        self::rig(&disk, &history).recovery.damage.is_some(),
        "it is told every time"
    );
}

#[test]
fn a_key_must_come_before_the_chunks_it_seals() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    history.source.key = DataKeyId::from_u128(123);
    let batch = history.batch(&write(0, 0));
    let offered = rig.store.offer(&sample::parse(&batch));
    assert!(matches!(
        offered,
        Decision::Refuse(Refusal::KeyMissing { .. })
    ));
    rig.store.add_key(history.source.key, b"other").unwrap();
    rig.take(&batch);
    let known = rig.catalog.wrapped_key(history.source.key).unwrap();
    assert_eq!(known.as_deref(), Some(&b"other"[..]));
    let huge = rig.store.add_key(DataKeyId::from_u128(5), &[0; 5000]);
    assert!(matches!(huge, Err(StoreError::KeyTooLong { length: 5000 })));
}

#[test]
fn heartbeats_extend_the_row_of_the_batch_before_them() {
    let disk = disk(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = rig(&disk, &history);
    let lineage = history.source.lineage;
    rig.take(&history.batch(&write(0, 0)));
    let row = |rig: &Rig| rig.catalog.batch(lineage, BatchNumber(0)).unwrap().unwrap();
    let before = row(&rig);
    let beat = Extra {
        beat: Some(3),
        ..Extra::default()
    };
    rig.take(&history.batch_with(&[], &beat));
    let after = row(&rig);
    assert!(after.covers_until > before.covers_until);
    assert_eq!((after.time, after.end), (before.time, before.end));
    assert_eq!(rig.catalog.batch_count(lineage).unwrap(), 1);
    assert_eq!(
        rig.store.durable().held().unwrap().position,
        history.source.end()
    );
}
