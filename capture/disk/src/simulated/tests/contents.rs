//! Contents under power cuts, checked with a model of all values each sector may have.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SECTORS: usize = 24;

/// One value per sector; 0 stands for zeros.
#[derive(Debug, Clone)]
enum Action {
    Write {
        first: usize,
        count: usize,
        value: u8,
    },
    SetLength(usize),
    PunchHole {
        first: usize,
        count: usize,
    },
    Sync,
    Kill,
}

fn action() -> impl Strategy<Value = Action> {
    let range = || (0..SECTORS, 1..10_usize);
    prop_oneof![
        6 => (range(), 1..200_u8)
            .prop_map(|((first, count), value)| Action::Write { first, count, value }),
        1 => (0..SECTORS).prop_map(Action::SetLength),
        1 => range().prop_map(|(first, count)| Action::PunchHole { first, count }),
        2 => Just(Action::Sync),
        1 => Just(Action::Kill),
    ]
}

/// What a power cut may leave.
struct Model {
    now: [u8; SECTORS],
    length: usize,
    possible: [BTreeSet<u8>; SECTORS],
    lengths: BTreeSet<usize>,
}

impl Model {
    fn new() -> Self {
        Self {
            now: [0; SECTORS],
            length: 0,
            possible: std::array::from_fn(|_| BTreeSet::from([0])),
            lengths: BTreeSet::from([0]),
        }
    }

    fn set(&mut self, first: usize, end: usize, value: u8) {
        for sector in first..end.min(SECTORS) {
            self.now[sector] = value;
            self.possible[sector].insert(value);
        }
    }

    fn set_length(&mut self, length: usize) {
        if length < self.length {
            self.set(length, self.length, 0);
        }
        self.length = length;
        self.lengths.insert(length);
    }

    fn sync(&mut self) {
        self.possible = self.now.map(|value| BTreeSet::from([value]));
        self.lengths = BTreeSet::from([self.length]);
    }
}

fn at(sector: usize) -> u64 {
    (sector * SECTOR_BYTES) as u64
}

fn run(disk: &SimulatedDisk, actions: &[Action]) -> Model {
    let mut handle = file(disk);
    let mut model = Model::new();
    for action in actions {
        match *action {
            Action::Write {
                first,
                count,
                value,
            } => {
                let end = (first + count).min(SECTORS);
                let bytes = vec![value; (end - first) * SECTOR_BYTES];
                handle.write_all_at(&bytes, at(first)).unwrap();
                model.set(first, end, value);
                if end > model.length {
                    model.set_length(end);
                }
            }
            Action::SetLength(length) => {
                handle.set_length(at(length)).unwrap();
                model.set_length(length);
            }
            Action::PunchHole { first, count } => {
                handle.punch_hole(at(first), at(count)).unwrap();
                model.set(first, (first + count).min(model.length), 0);
            }
            Action::Sync => {
                handle.sync_data().unwrap();
                model.sync();
            }
            Action::Kill => {
                disk.kill();
                assert_eq!(
                    handle.length().unwrap_err().kind(),
                    crate::DiskErrorKind::Io
                );
                handle = file(disk);
            }
        }
    }
    model
}

fn sectors(disk: &SimulatedDisk) -> Vec<u8> {
    let bytes = contents(disk, "/d/f");
    let whole = |sector: &[u8]| {
        assert!(
            sector.iter().all(|byte| *byte == sector[0]),
            "a sector is torn"
        );
        sector[0]
    };
    assert_eq!(bytes.len() % SECTOR_BYTES, 0);
    bytes.chunks(SECTOR_BYTES).map(whole).collect()
}

proptest! {
    #[test]
    fn readers_see_the_latest_and_cuts_leave_only_what_was_possible(
        actions in proptest::collection::vec(action(), 1..40),
        seed: u64,
    ) {
        let disk = disk(seed);
        let model = run(&disk, &actions);
        prop_assert_eq!(&sectors(&disk)[..], &model.now[..model.length]);
        for fork in 0..8 {
            let disk = disk.fork(seed ^ fork);
            disk.power_cut();
            let found = sectors(&disk);
            prop_assert!(model.lengths.contains(&found.len()));
            for (sector, value) in found.iter().enumerate() {
                prop_assert!(model.possible[sector].contains(value), "sector {}", sector);
            }
            // What one cut left is durable for the next.
            disk.power_cut();
            prop_assert_eq!(sectors(&disk), found);
        }
    }
}

#[test]
fn every_subset_of_unsynced_sectors_and_every_earlier_value_occurs() {
    let base = disk(1);
    let handle = file(&base);
    handle.write_all_at(&[1; 3 * SECTOR_BYTES], 0).unwrap();
    handle.sync_data().unwrap();
    for value in [2, 3] {
        handle.write_all_at(&[value; 3 * SECTOR_BYTES], 0).unwrap();
    }
    let outcomes: BTreeSet<Vec<u8>> = (0..3000)
        .map(|seed| {
            let disk = base.fork(seed);
            disk.power_cut();
            sectors(&disk)
        })
        .collect();
    assert_eq!(outcomes.len(), 27, "{outcomes:?}");
}

#[test]
fn unsynced_growth_may_vanish_keep_its_length_or_its_bytes() {
    let base = disk(1);
    let handle = file(&base);
    handle.sync_all().unwrap();
    handle.write_all_at(&[4; SECTOR_BYTES], 0).unwrap();
    let outcomes: BTreeSet<Vec<u8>> = (0..200)
        .map(|seed| {
            let disk = base.fork(seed);
            disk.power_cut();
            sectors(&disk)
        })
        .collect();
    assert_eq!(outcomes, BTreeSet::from([vec![], vec![0], vec![4]]));
}

#[test]
fn a_dead_handle_does_not_touch_the_disk() {
    let disk = disk(3);
    let handle = file(&disk);
    handle.write_all_at(b"kept", 0).unwrap();
    disk.kill();
    for result in [
        handle.write_all_at(b"late", 0),
        handle.sync_data(),
        handle.set_length(0),
    ] {
        assert!(
            result
                .unwrap_err()
                .to_string()
                .contains("the process was killed")
        );
    }
    assert_eq!(contents(&disk, "/d/f"), b"kept");
    let handle = file(&disk);
    handle.sync_data().unwrap();
    disk.power_cut();
    let mut buffer = [0; 4];
    let error = handle.read_exact_at(&mut buffer, 0).unwrap_err();
    assert!(error.to_string().contains("power was cut"), "{error}");
    assert_eq!(contents(&disk, "/d/f"), b"kept");
}

#[test]
fn mappings_survive_kills_and_lose_whole_pages_to_power_cuts() {
    let path = Path::new("/d/ring");
    let mut outcomes = BTreeSet::new();
    for seed in 0..100 {
        let disk = disk(seed);
        let mut mapping = disk.map(path, 8192).unwrap();
        disk.sync_directory(Path::new("/d")).unwrap();
        mapping.bytes_mut().fill(1);
        mapping.sync().unwrap();
        mapping.bytes_mut().fill(2);
        disk.kill();
        // The killed program is not there any more to do this.
        mapping.bytes_mut().fill(9);
        drop(mapping);
        let mut mapping = disk.map(path, 8192).unwrap();
        assert_eq!(mapping.bytes(), [2; 8192]);
        mapping.sync().unwrap();
        mapping.bytes_mut().fill(3);
        disk.power_cut();
        assert!(mapping.sync().is_err());
        drop(mapping);
        let mapping = disk.map(path, 8192).unwrap();
        for page in mapping.bytes().chunks(4096) {
            assert!(page.iter().all(|byte| *byte == page[0]), "seed {seed}");
        }
        outcomes.insert((mapping.bytes()[0], mapping.bytes()[4096]));
    }
    assert_eq!(outcomes, BTreeSet::from([(2, 2), (2, 3), (3, 2), (3, 3)]));
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let outcome = |seed| {
        let disk = with_plan(
            seed,
            FaultPlan {
                write_error_per_mille: 300,
                ..FaultPlan::none()
            },
        );
        let handle = file(&disk);
        let mut results = Vec::new();
        for step in 0..50_u64 {
            let bytes = [step as u8 + 1; 700];
            results.push(handle.write_all_at(&bytes, step * 350).is_ok());
        }
        disk.power_cut();
        (results, contents(&disk, "/d/f"), disk.faults())
    };
    assert_eq!(outcome(11), outcome(11));
    assert_ne!(outcome(11), outcome(12));
}
