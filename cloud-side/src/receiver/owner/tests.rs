//! The owner on a disk that loses power.

use super::*;
use crate::{
    catalog::NewVolume,
    receiver::writer,
    replica::{LineageStore, SpaceFloor},
    state_files::StateFiles,
    testing::source::{Source, VOLUME_BYTES},
};
use bcdr_disk::{DiskError, FaultPlan, SeededRandom, SimulatedDisk, replace_atomically};
use bcdr_format::{InstallationId, Position};
use std::path::Path;

const INSTALLATION: InstallationId = InstallationId::from_u128(3);

struct Rig {
    disk: SimulatedDisk,
    files: StateFiles,
    options: StoreOptions,
}

impl Rig {
    fn new(seed: u64) -> Result<Self, DiskError> {
        let rig = Self {
            disk: SimulatedDisk::new(seed, FaultPlan::none()),
            files: StateFiles::new(Path::new("/cloud")),
            options: StoreOptions {
                segment_bytes: 20_000,
                space_floor: SpaceFloor {
                    percent: 0,
                    bytes: 0,
                },
                ..StoreOptions::default()
            },
        };
        rig.disk.create_directory_all(&rig.files.replicas())?;
        replace_atomically(&rig.disk, &rig.files.key_encryption_key(), &[1; 32])?;
        Ok(rig)
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.disk.clone())
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::new(Catalog::open_or_create(&self.disk, &self.files.catalog(), 1 << 20).unwrap())
    }

    fn group(&self, catalog: &Catalog) -> GroupRecord {
        let volume = NewVolume {
            name: "root".to_owned(),
            size_bytes: Some(VOLUME_BYTES),
        };
        let mut number = 0;
        let mut random = || {
            number += 1;
            number
        };
        catalog
            .create_group("lab", &[volume], Timestamp(5), &mut random)
            .unwrap()
    }

    fn settings(&self, catalog: &Arc<Catalog>) -> OwnerSettings {
        let keys = Keys::load(self.storage(), &self.files, INSTALLATION).unwrap();
        OwnerSettings {
            storage: self.storage(),
            replicas: self.files.replicas(),
            catalog: Arc::clone(catalog),
            options: self.options,
            keys: Arc::new(keys),
            clock: RunClock::start().unwrap(),
            committed: mpsc::channel().0,
            give_up: watch::Sender::new(None),
        }
    }

    /// What a new process finds.
    fn held(&self, record: &GroupRecord) -> Option<Position> {
        let (store, _) = LineageStore::open(
            self.storage(),
            self.files.replicas().join(record.stream.to_string()),
            record.lineage(),
            self.catalog(),
            self.options,
            record.created_at,
        )
        .unwrap();
        store.durable().held().map(|held| held.position)
    }
}

/// Ships batches until the power goes; says what was acknowledged and what is found afterwards.
async fn ship_until_dark(seed: u64, operations: u64) -> (Option<Position>, Option<Position>) {
    let rig = Rig::new(seed).unwrap();
    let catalog = rig.catalog();
    let record = rig.group(&catalog);
    let settings = rig.settings(&catalog);
    let mut source = Source::new(INSTALLATION, record.id, record.stream, record.volumes[0].id);
    settings.keys.accept(&source.key.to_bytes()).unwrap();
    let group = start(settings, record.clone()).unwrap();
    let (outlet, _outbox) = writer::outlet();
    let told = outlet.told();
    let number = group.slot.take(outlet.clone());
    let begun = group
        .owner
        .begin(number, outlet, "gateway".to_owned())
        .await;
    assert_eq!(begun.unwrap().unwrap().held, None);
    let wrapped = source.data_key.wrap(&source.key).unwrap();
    group
        .owner
        .key(number, source.data_key.id(), wrapped)
        .unwrap();
    rig.disk.cut_power_at(operations);
    let outlet = group.slot.outlet().unwrap();
    for block in 0..30 {
        let bytes = source.batch(block % 7, block as u8);
        let layout = BatchLayout::parse(&bytes).unwrap();
        let room = group.owner.room(bytes.len()).await.unwrap();
        let offer = Offer {
            session: number,
            outlet: outlet.clone(),
            bytes,
            layout,
            receipt: Timestamp(i64::MAX),
            room,
        };
        group.owner.offer(offer).unwrap();
    }
    group.owner.stop().await;
    let acknowledged = told.borrow().durable;
    drop((group, catalog));
    rig.disk.power_on();
    (acknowledged, rig.held(&record))
}

#[tokio::test]
async fn what_is_acknowledged_survives_a_power_cut() {
    let seed = SeededRandom::new(0xacc0).next_u64();
    println!("seed {seed}");
    let mut acknowledged_before_the_cut = 0;
    for operations in 1..60 {
        let (acknowledged, found) = ship_until_dark(seed + operations, operations).await;
        assert!(
            acknowledged <= found,
            "operation {operations}: {acknowledged:?} was acknowledged, {found:?} is there"
        );
        acknowledged_before_the_cut += u32::from(acknowledged.is_some());
    }
    assert!(
        acknowledged_before_the_cut > 0,
        "nothing was ever acknowledged"
    );
}

#[tokio::test]
async fn an_overtaken_session_neither_takes_the_place_nor_waits_for_ever() {
    let rig = Rig::new(1).unwrap();
    let catalog = rig.catalog();
    let record = rig.group(&catalog);
    let settings = rig.settings(&catalog);
    let mut source = Source::new(INSTALLATION, record.id, record.stream, record.volumes[0].id);
    settings.keys.accept(&source.key.to_bytes()).unwrap();
    let group = start(settings, record.clone()).unwrap();
    let (old, mut old_outbox) = writer::outlet();
    let (new, mut new_outbox) = writer::outlet();
    let old_number = group.slot.take(old.clone());
    let new_number = group.slot.take(new.clone());
    // The slot told the old one; that is not what is looked at here.
    let (old, mut behind) = {
        drop(old);
        assert_eq!(Outlet::refused(&mut old_outbox), Some(Refusal::Replaced));
        writer::outlet()
    };
    // The newer one is the first to arrive at the owner.
    let begin = |number, outlet: &Outlet| group.owner.begin(number, outlet.clone(), "gw".into());
    begin(new_number, &new).await.unwrap().unwrap();
    let overtaken = begin(old_number, &old).await.unwrap();
    assert_eq!(overtaken.unwrap_err(), Refusal::Replaced);
    let wrapped = source.data_key.wrap(&source.key).unwrap();
    let key = source.data_key.id();
    group.owner.key(new_number, key, wrapped).unwrap();
    let mut told = new.told();
    let bytes = source.batch(0, 1);
    let offer = async |session, outlet: &Outlet| Offer {
        session,
        outlet: outlet.clone(),
        bytes: bytes.clone(),
        layout: BatchLayout::parse(&bytes).unwrap(),
        receipt: Timestamp(i64::MAX),
        room: group.owner.room(bytes.len()).await.unwrap(),
    };
    let late = offer(old_number, &old).await;
    group.owner.offer(late).unwrap();
    let current = offer(new_number, &new).await;
    group.owner.offer(current).unwrap();
    let end = Some(source.end());
    told.wait_for(|told| told.durable == end).await.unwrap();
    assert_eq!(Outlet::refused(&mut behind), Some(Refusal::Replaced));
    assert_eq!(Outlet::refused(&mut new_outbox), None);
    group.owner.stop().await;
}
