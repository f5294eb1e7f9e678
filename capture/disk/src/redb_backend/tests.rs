use std::path::Path;

use redb::{Database, ReadableDatabase as _, TableDefinition};

use super::*;
use crate::{CreateOptions, FaultPlan, RealStorage, SeededRandom, SimulatedDisk, Storage};
use crate::{DiskErrorKind, open_or_create};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const ROWS: u64 = 40;

fn open(storage: &dyn Storage, path: &Path) -> Result<Database, RedbOpenError> {
    let mut builder = Database::builder();
    builder.set_cache_size(1 << 20);
    if storage.exists(path)? {
        open_redb(storage, path, &builder)
    } else {
        create_redb(storage, path, &builder)
    }
}

/// Writes a few rows that all carry the number of the transaction.
fn commit(database: &Database, number: u64, random: &mut SeededRandom) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        table.insert(0, number.to_le_bytes().as_slice())?;
        for _ in 0..random.below(8) {
            let mut value = vec![0; random.between(8, 3000) as usize];
            random.fill(&mut value);
            value[..8].copy_from_slice(&number.to_le_bytes());
            table.insert(random.between(1, ROWS), value.as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Every row with the transaction that wrote it; the row 0 is the newest transaction.
fn rows(database: &Database) -> Vec<(u64, u64)> {
    let Ok(table) = database.begin_read().unwrap().open_table(TABLE) else {
        return Vec::new();
    };
    let number = |value: &[u8]| u64::from_le_bytes(value[..8].try_into().unwrap());
    table
        .range(0..ROWS)
        .unwrap()
        .map(|row| {
            row.map(|(key, value)| (key.value(), number(value.value())))
                .unwrap()
        })
        .collect()
}

#[test]
fn only_creating_creates() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.redb");
    let storage = RealStorage::new();
    let builder = Database::builder();
    let missing = open_redb(&storage, &path, &builder).unwrap_err();
    assert!(
        matches!(missing, RedbOpenError::Missing { .. }),
        "{missing}"
    );
    assert!(!path.exists());
    std::fs::write(&path, b"").unwrap();
    let empty = open_redb(&storage, &path, &builder).unwrap_err();
    assert!(matches!(empty, RedbOpenError::Empty { .. }), "{empty}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    let taken = create_redb(&storage, &path, &builder).unwrap_err();
    assert!(matches!(taken, RedbOpenError::Exists { .. }), "{taken}");
    std::fs::remove_file(&path).unwrap();
    create_redb(&storage, &path, &builder).unwrap();
    open_redb(&storage, &path, &builder).unwrap();
}

#[test]
fn keeps_rows_on_a_real_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.redb");
    let database = open(&RealStorage::new(), &path).unwrap();
    commit(&database, 1, &mut SeededRandom::new(1)).unwrap();
    let before = rows(&database);
    drop(database);
    assert_eq!(rows(&open(&RealStorage::new(), &path).unwrap()), before);
    assert_eq!(before[0], (0, 1));
}

fn survives_power_cuts(plan: FaultPlan, seeds: std::ops::Range<u64>) -> crate::FaultCounts {
    let path = Path::new("/state/catalog.redb");
    let mut last = crate::FaultCounts::default();
    for seed in seeds {
        let mut random = SeededRandom::new(seed);
        let disk = SimulatedDisk::new(seed, plan);
        disk.create_directory_all(Path::new("/state")).unwrap();
        // What the database holds after transaction n, as far as it was committed.
        let mut committed: Vec<(u64, u64)> = Vec::new();
        let mut number = 0;
        for _ in 0..4 {
            disk.arm(true);
            disk.cut_power_at(random.between(1, 150));
            let mut attempted = None;
            if let Ok(database) = open(&disk, path) {
                for _ in 0..25 {
                    number += 1;
                    let mut replay = random.clone();
                    if commit(&database, number, &mut random).is_err() {
                        attempted = Some((number, expected(&committed, number, &mut replay)));
                        // Nothing is acknowledged after a failure.
                        assert!(
                            commit(&database, number, &mut random).is_err(),
                            "seed {seed}"
                        );
                        break;
                    }
                    committed = expected(&committed, number, &mut replay);
                    assert_eq!(rows(&database), committed, "seed {seed}");
                }
            }
            disk.arm(false);
            disk.power_on();
            disk.power_cut();
            let found =
                rows(&open(&disk, path).unwrap_or_else(|error| panic!("seed {seed}: {error}")));
            let uncertain = attempted.is_some_and(|(_, rows)| rows == found);
            assert!(
                found == committed || uncertain,
                "seed {seed}: {found:?} not {committed:?}"
            );
            committed = found;
        }
        let counts = disk.faults();
        last.sync_errors += counts.sync_errors;
        last.lost_sectors += counts.lost_sectors;
    }
    last
}

/// What `commit` makes of these rows, from the same randomness.
fn expected(rows: &[(u64, u64)], number: u64, random: &mut SeededRandom) -> Vec<(u64, u64)> {
    let mut map: std::collections::BTreeMap<u64, u64> = rows.iter().copied().collect();
    map.insert(0, number);
    for _ in 0..random.below(8) {
        let mut value = vec![0; random.between(8, 3000) as usize];
        random.fill(&mut value);
        map.insert(random.between(1, ROWS), number);
    }
    map.into_iter().collect()
}

#[test]
fn committed_rows_survive_random_power_cuts() {
    let counts = survives_power_cuts(FaultPlan::none(), 0..60);
    assert!(counts.lost_sectors > 100, "{counts:?}");
}

#[test]
fn committed_rows_survive_failed_syncs() {
    let plan = FaultPlan {
        sync_error_per_mille: 30,
        ..FaultPlan::none()
    };
    let counts = survives_power_cuts(plan, 100..140);
    assert!(counts.sync_errors > 10, "{counts:?}");
}

#[test]
fn a_failed_sync_stays_final() {
    let disk = SimulatedDisk::new(
        5,
        FaultPlan {
            sync_error_per_mille: 1000,
            ..FaultPlan::none()
        },
    );
    disk.arm(false);
    disk.create_directory_all(Path::new("/state")).unwrap();
    let file = open_or_create(&disk, Path::new("/state/c"), CreateOptions::default()).unwrap();
    let backend = RedbBackend::new(Arc::clone(&file));
    backend.write(0, b"x").unwrap();
    disk.arm(true);
    backend.sync_data().unwrap_err();
    disk.arm(false);
    backend.sync_data().unwrap_err();
    backend.write(0, b"x").unwrap_err();
    assert_eq!(
        file.sync_data().unwrap_err().kind(),
        DiskErrorKind::Poisoned
    );
}
