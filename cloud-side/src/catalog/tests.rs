use super::*;
use crate::receive::{BatchNumber, Lineage, PointId, ReceiverRun};
use bcdr_disk::{FaultPlan, RealStorage, SeededRandom, SimulatedDisk};
use bcdr_format::{Generation, GroupId, MarkerId, ReceiverRunId, Timestamp};
use std::path::PathBuf;

const CACHE_BYTES: usize = 1 << 20;

fn disk(seed: u64) -> (SimulatedDisk, PathBuf) {
    let disk = SimulatedDisk::new(seed, FaultPlan::none());
    disk.create_directory_all(Path::new("/catalog")).unwrap();
    (disk, PathBuf::from("/catalog/catalog.redb"))
}

fn open(disk: &SimulatedDisk, path: &Path) -> Catalog {
    Catalog::open_or_create(disk, path, CACHE_BYTES).unwrap()
}

fn volumes(names: &[&str]) -> Vec<NewVolume> {
    names
        .iter()
        .map(|name| NewVolume {
            name: (*name).to_owned(),
            size_bytes: None,
        })
        .collect()
}

fn create(catalog: &Catalog, name: &str, random: &mut SeededRandom) -> GroupRecord {
    let mut fresh = || u128::from(random.next_u64());
    catalog
        .create_group(
            name,
            &volumes(&["root", "data"]),
            Timestamp(5_000_000),
            &mut fresh,
        )
        .unwrap()
}

#[test]
fn groups_get_fresh_ids_and_unique_names() {
    let (disk, path) = disk(1);
    let catalog = open(&disk, &path);
    let mut random = SeededRandom::new(1);
    let group = create(&catalog, "lab", &mut random);
    assert_ne!(group.volumes[0].id, group.volumes[1].id);
    assert_eq!(catalog.group(group.id).unwrap().unwrap(), group);
    assert_eq!(catalog.group_by_name("lab").unwrap().unwrap(), group);
    assert_eq!(catalog.generation(group.id).unwrap(), Generation::FIRST);
    let again = |name: &str, names: &[&str]| {
        catalog.create_group(name, &volumes(names), Timestamp(0), &mut || 7)
    };
    assert!(matches!(
        again("lab", &["a"]),
        Err(CreateGroupError::NameTaken { .. })
    ));
    assert!(matches!(
        again("../x", &["a"]),
        Err(CreateGroupError::InvalidName { .. })
    ));
    assert!(matches!(
        again("other", &["a", "a"]),
        Err(CreateGroupError::Volumes)
    ));
    assert!(matches!(
        again("other", &[]),
        Err(CreateGroupError::Volumes)
    ));
    catalog
        .set_volume_size(group.id, group.volumes[1].id, 4096)
        .unwrap();
    let known = catalog.group(group.id).unwrap().unwrap();
    assert_eq!(known.volumes[1].size_bytes, Some(4096));
    assert_eq!(catalog.groups().unwrap().len(), 1);
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let (disk, path) = disk(2);
    let catalog = open(&disk, &path);
    catalog
        .write("pretend", Commit::Durable, |transaction| {
            tables::set_schema(transaction, 2)
        })
        .unwrap();
    drop(catalog);
    let error = Catalog::open(&disk, &path, CACHE_BYTES).unwrap_err();
    assert!(matches!(
        error,
        CatalogError::NewerSchema {
            found: 2,
            supported: 1
        }
    ));
}

#[test]
fn a_label_is_promised_once() {
    let (disk, path) = disk(3);
    let catalog = open(&disk, &path);
    let group = GroupId::from_u128(1);
    let (one, other) = (MarkerId::from_u128(1), MarkerId::from_u128(2));
    catalog.reserve_label(group, "before upgrade", one).unwrap();
    catalog.reserve_label(group, "before upgrade", one).unwrap();
    let taken = catalog.reserve_label(group, "before upgrade", other);
    assert!(matches!(taken, Err(ReserveLabelError::Taken { .. })));
    catalog
        .reserve_label(GroupId::from_u128(2), "before upgrade", other)
        .unwrap();
    catalog
        .release_label(group, "before upgrade", other)
        .unwrap();
    assert!(!catalog.label_is_free(group, "before upgrade").unwrap());
    catalog.release_label(group, "before upgrade", one).unwrap();
    assert!(catalog.label_is_free(group, "before upgrade").unwrap());
    for label in ["", "latest", "2-17", "2026-01-02T03:04:05Z", " x", "a\nb"] {
        let refused = catalog.reserve_label(group, label, one);
        assert!(
            matches!(refused, Err(ReserveLabelError::Invalid { .. })),
            "{label:?}"
        );
    }
}

fn view(id: u32) -> ViewRecord {
    ViewRecord {
        id: format!("view-{id:04}"),
        lineage: Lineage {
            group: GroupId::from_u128(1),
            stream: bcdr_format::StreamId::from_u128(2),
        },
        batch: BatchNumber(u64::from(id)),
        point: PointId("2-17".parse().unwrap()),
        opened_at: Timestamp(1),
        lease_until: None,
        volumes: Vec::new(),
    }
}

#[test]
fn documents_are_listed_in_pages_and_kinds_do_not_mix() {
    let (disk, path) = disk(4);
    let catalog = open(&disk, &path);
    for id in 0..5 {
        catalog.put_document(&view(id)).unwrap();
    }
    let token = TokenRecord {
        hash: "ff".into(),
        name: "lab".into(),
        role: bcdr_http::Role::Admin,
        created_at: Timestamp(0),
        expires_at: None,
        groups: None,
    };
    catalog.put_document(&token).unwrap();
    let page: Vec<ViewRecord> = catalog.documents(Some("view-0001"), 2).unwrap();
    assert_eq!(page, [view(2), view(3)]);
    assert_eq!(catalog.documents::<TokenRecord>(None, 9).unwrap(), [token]);
    assert!(catalog.remove_document::<ViewRecord>("view-0002").unwrap());
    assert!(!catalog.remove_document::<ViewRecord>("view-0002").unwrap());
    assert_eq!(catalog.document::<ViewRecord>("view-0002").unwrap(), None);
    assert_eq!(catalog.documents::<ViewRecord>(None, 9).unwrap().len(), 4);
}

#[test]
fn durable_writes_survive_power_cuts_anywhere() {
    for seed in 0..40 {
        let (disk, path) = disk(seed);
        let mut random = SeededRandom::new(seed);
        let mut known: Vec<GroupRecord> = Vec::new();
        let mut runs = Vec::new();
        for round in 0..4 {
            disk.cut_power_at(1 + random.below(120));
            let opened = Catalog::open_or_create(&disk, &path, CACHE_BYTES);
            if let Ok(catalog) = opened {
                check(&catalog, &known, &runs, seed);
                write_until_the_cut(&catalog, &mut random, round, &mut known, &mut runs);
            }
            disk.power_cut();
        }
        check(&open(&disk, &path), &known, &runs, seed);
    }
}

fn write_until_the_cut(
    catalog: &Catalog,
    random: &mut SeededRandom,
    round: u32,
    known: &mut Vec<GroupRecord>,
    runs: &mut Vec<ReceiverRun>,
) {
    for step in 0..6 {
        let name = format!("group-{round}-{step}");
        let mut fresh = || u128::from(random.next_u64());
        let created = catalog.create_group(&name, &volumes(&["root"]), Timestamp(0), &mut fresh);
        let Ok(group) = created else { return };
        known.push(group);
        let run = ReceiverRun {
            id: ReceiverRunId::from_u128(u128::from(random.next_u64())),
            started_monotonic_nanoseconds: 3,
            started_wall: Timestamp(4),
            last_monotonic_nanoseconds: 3,
        };
        if catalog.begin_receiver_run(&run).is_err() {
            return;
        }
        runs.push(run);
    }
}

fn check(catalog: &Catalog, known: &[GroupRecord], runs: &[ReceiverRun], seed: u64) {
    for group in known {
        let found = catalog.group_by_name(&group.name).unwrap();
        assert_eq!(found.as_ref(), Some(group), "seed {seed}");
    }
    for run in runs {
        assert_eq!(
            catalog.receiver_run(run.id).unwrap().as_ref(),
            Some(run),
            "seed {seed}"
        );
    }
}

#[test]
fn a_generation_never_goes_down() {
    let (disk, path) = disk(5);
    let catalog = open(&disk, &path);
    let group = GroupId::from_u128(1);
    assert_eq!(
        catalog.raise_generation(group, Generation(4)).unwrap(),
        Generation(4)
    );
    assert_eq!(
        catalog.raise_generation(group, Generation(2)).unwrap(),
        Generation(4)
    );
    drop(catalog);
    disk.power_cut();
    assert_eq!(open(&disk, &path).generation(group).unwrap(), Generation(4));
}

#[test]
fn a_lost_catalog_is_refused_and_its_file_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.redb");
    let storage = RealStorage::new();
    let refused = || {
        let error = Catalog::open(&storage, &path, CACHE_BYTES).unwrap_err();
        let told = error.to_string();
        for words in [
            "catalog.redb",
            "keep",
            "from a backup",
            "catches up from the logs",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("rebuilt"), "{told}");
        error
    };
    assert!(matches!(
        refused(),
        CatalogError::Open {
            source: RedbOpenError::Missing { .. }
        }
    ));
    assert!(!path.exists());
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(
        refused(),
        CatalogError::Open {
            source: RedbOpenError::Empty { .. }
        }
    ));
    std::fs::write(&path, vec![7; 1 << 20]).unwrap();
    assert!(matches!(
        refused(),
        CatalogError::Open {
            source: RedbOpenError::Database { .. }
        }
    ));
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 1 << 20]);
    std::fs::remove_file(&path).unwrap();
    drop(create_redb(&storage, &path, &builder(CACHE_BYTES)).unwrap());
    assert!(matches!(refused(), CatalogError::NotACatalog { .. }));
}

#[test]
fn a_label_and_what_goes_with_it_are_reserved_together_or_not_at_all() {
    let group = GroupId::from_u128(1);
    let token = TokenRecord {
        hash: "hash".into(),
        name: "goes with it".into(),
        role: bcdr_http::Role::Admin,
        created_at: Timestamp(0),
        expires_at: None,
        groups: None,
    };
    let rows = [
        DocumentRow::of(&token),
        DocumentRow::of(&TokenRecord {
            hash: "other".into(),
            ..token
        }),
    ];
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..60 {
        let (disk, path) = disk(seed);
        drop(open(&disk, &path));
        let catalog = open(&disk, &path);
        disk.cut_power_at(1 + seed % 20);
        let reserved = catalog.reserve_label_with(group, "label", MarkerId::from_u128(1), &rows);
        drop(catalog);
        disk.power_cut();
        let catalog = open(&disk, &path);
        let is_there = !catalog.label_is_free(group, "label").unwrap();
        assert!(is_there || reserved.is_err(), "seed {seed}");
        let documents = catalog.documents::<TokenRecord>(None, 9).unwrap().len();
        assert_eq!(documents, if is_there { 2 } else { 0 }, "seed {seed}");
        kept += u32::from(is_there);
        lost += u32::from(!is_there);
        let other = MarkerId::from_u128(2);
        if is_there {
            let refused = catalog.reserve_label_with(group, "label", other, &rows[..0]);
            assert!(matches!(refused, Err(ReserveLabelError::Taken { .. })));
        }
    }
    assert!(kept > 0 && lost > 0, "{kept} kept, {lost} lost");
}
