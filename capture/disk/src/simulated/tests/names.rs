//! Names under power cuts, checked against all orders-preserving subsets of the unsynced changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Action {
    Create(usize),
    Remove(usize),
    Rename(usize, usize),
    SyncDirectory,
}

const PATHS: [&str; 3] = ["/d/a", "/d/b", "/d/c"];

fn action() -> impl Strategy<Value = Action> {
    let path = || 0..PATHS.len();
    prop_oneof![
        4 => path().prop_map(Action::Create),
        2 => path().prop_map(Action::Remove),
        3 => (path(), path()).prop_map(|(from, to)| Action::Rename(from, to)),
        1 => Just(Action::SyncDirectory),
    ]
}

type Listing = BTreeMap<usize, u8>;
type Effects = Vec<(usize, Option<u8>)>;

fn apply(listing: &mut Listing, effects: &Effects) {
    for (path, file) in effects {
        match file {
            Some(file) => listing.insert(*path, *file),
            None => listing.remove(path),
        };
    }
}

/// All listings a power cut may leave: any subset in which a change comes with every earlier one
/// that shares a name with it.
fn possible(durable: &Listing, pending: &[Effects]) -> BTreeSet<Listing> {
    let share = |one: &Effects, two: &Effects| {
        one.iter()
            .any(|(path, _)| two.iter().any(|(other, _)| path == other))
    };
    let mut listings = BTreeSet::new();
    for subset in 0..1_u32 << pending.len() {
        let kept = |index: usize| subset >> index & 1 == 1;
        let ordered = (0..pending.len()).all(|later| {
            !kept(later)
                || (0..later)
                    .all(|earlier| kept(earlier) || !share(&pending[earlier], &pending[later]))
        });
        if ordered {
            let mut listing = durable.clone();
            for (index, effects) in pending.iter().enumerate() {
                if kept(index) {
                    apply(&mut listing, effects);
                }
            }
            listings.insert(listing);
        }
    }
    listings
}

fn found(disk: &SimulatedDisk) -> Listing {
    let listed = disk.list(Path::new("/d")).unwrap();
    PATHS
        .iter()
        .enumerate()
        .filter(|(_, path)| listed.iter().any(|name| path.ends_with(name.as_str())))
        .map(|(index, path)| (index, contents(disk, path)[0]))
        .collect()
}

proptest! {
    #[test]
    fn cuts_leave_subsets_in_the_order_of_each_name(
        actions in proptest::collection::vec(action(), 1..14),
        seed: u64,
    ) {
        let disk = disk(seed);
        let (mut current, mut durable) = (Listing::new(), Listing::new());
        let mut pending: Vec<Effects> = Vec::new();
        for (number, action) in actions.iter().enumerate() {
            let effects: Effects = match *action {
                Action::Create(path) if !current.contains_key(&path) => {
                    let created = disk.create(Path::new(PATHS[path]), CreateOptions::default());
                    let created = created.unwrap();
                    created.write_all_at(&[number as u8], 0).unwrap();
                    created.sync_all().unwrap();
                    vec![(path, Some(number as u8))]
                }
                Action::Remove(path) if current.contains_key(&path) => {
                    disk.remove(Path::new(PATHS[path])).unwrap();
                    vec![(path, None)]
                }
                Action::Rename(from, to) if current.contains_key(&from) => {
                    disk.rename(Path::new(PATHS[from]), Path::new(PATHS[to])).unwrap();
                    vec![(from, None), (to, Some(current[&from]))]
                }
                Action::SyncDirectory => {
                    disk.sync_directory(Path::new("/d")).unwrap();
                    durable = current.clone();
                    pending.clear();
                    continue;
                }
                _ => continue,
            };
            apply(&mut current, &effects);
            pending.push(effects);
        }
        prop_assert_eq!(&found(&disk), &current);
        let allowed = possible(&durable, &pending);
        for fork in 0..8 {
            let disk = disk.fork(seed ^ fork);
            disk.power_cut();
            let left = found(&disk);
            prop_assert!(allowed.contains(&left), "{:?} not in {:?}", left, allowed);
            disk.power_cut();
            prop_assert_eq!(found(&disk), left);
        }
    }
}

#[test]
fn every_allowed_outcome_occurs() {
    let base = disk(0);
    let create = |path: &str, value: u8| {
        let created = base
            .create(Path::new(path), CreateOptions::default())
            .unwrap();
        created.write_all_at(&[value], 0).unwrap();
        created.sync_all().unwrap();
    };
    create("/d/a", 1);
    base.sync_directory(Path::new("/d")).unwrap();
    create("/d/b", 2);
    base.rename(Path::new("/d/b"), Path::new("/d/a")).unwrap();
    create("/d/c", 3);
    let pending = [
        vec![(1, Some(2))],
        vec![(1, None), (0, Some(2))],
        vec![(2, Some(3))],
    ];
    let allowed = possible(&BTreeMap::from([(0, 1)]), &pending);
    assert_eq!(allowed.len(), 6);
    let outcomes: BTreeSet<Listing> = (0..500)
        .map(|seed| {
            let disk = base.fork(seed);
            disk.power_cut();
            found(&disk)
        })
        .collect();
    assert_eq!(outcomes, allowed);
}

#[test]
fn a_rename_between_directories_needs_both_synced() {
    let base = disk(0);
    base.create_directory_all(Path::new("/e")).unwrap();
    drop(file(&base));
    base.rename(Path::new("/d/f"), Path::new("/e/g")).unwrap();
    base.sync_directory(Path::new("/e")).unwrap();
    let places = |disk: SimulatedDisk| {
        disk.power_cut();
        let names = [Path::new("/d/f"), Path::new("/e/g")];
        names.map(|path| disk.exists(path).unwrap())
    };
    let outcomes: BTreeSet<[bool; 2]> = (0..100).map(|seed| places(base.fork(seed))).collect();
    assert_eq!(outcomes, BTreeSet::from([[true, false], [false, true]]));
    base.sync_directory(Path::new("/d")).unwrap();
    assert!((0..100).all(|seed| places(base.fork(seed)) == [false, true]));
}

#[test]
fn a_removal_that_is_undone_brings_the_bytes_back() {
    let base = disk(0);
    let handle = file(&base);
    handle.write_all_at(b"bytes", 0).unwrap();
    handle.sync_all().unwrap();
    drop(handle);
    base.remove(Path::new("/d/f")).unwrap();
    let mut undone = 0;
    for seed in 0..100 {
        let disk = base.fork(seed);
        disk.power_cut();
        if disk.exists(Path::new("/d/f")).unwrap() {
            assert_eq!(contents(&disk, "/d/f"), b"bytes");
            undone += 1;
        }
    }
    assert!((10..90).contains(&undone), "{undone}");
}
