//! Views of a store with a history: opening one, and reading through it, keys and caches included.

#[path = "sample/batches.rs"]
mod batches;

use batches::{Batches, Sealer};
use bcdr_cloud::{
    catalog::{Catalog, NewVolume},
    receive::{BatchNumber, Decision},
    replica::{ChunkCache, ChunkOpener, LineageReader, LineageStore, OpenChunkError, StoreOptions},
};
use bcdr_disk::{RealStorage, Storage};
use bcdr_format::{
    InstallationId, SyncId, Timestamp, VolumeNumber,
    batch::BatchLayout,
    chunk::ChunkHeader,
    position::Generation,
    record::{Member, RecordBody, VolumeRange},
    sync::{Heals, SyncEvent, SyncReason},
};
use bcdr_gateway::reduce::{batcher::ClosedBatch, pack::pack};
use bcdr_tests::end_to_end::stamped::Dice;
use bcdr_wire::seal::{self, ChunkSealer, DataKey, InstallationKey, KeyRing};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::sync::{Arc, Mutex, PoisonError};

const VOLUME_BYTES: u64 = 1 << 30;
const BATCHES: usize = 300;
const WRITES_IN_A_BATCH: usize = 64;
const BLOCK: usize = 4096;

struct Opener(Mutex<seal::ChunkOpener>);

impl ChunkOpener for Opener {
    fn open(&self, header: &ChunkHeader, sealed: &[u8]) -> Result<Vec<u8>, OpenChunkError> {
        let mut opener = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(opener.open(header, sealed)?)
    }
}

/// A store on disk with [`BATCHES`] batches of scattered writes.
struct Store {
    reader: Arc<LineageReader>,
    opener: Arc<dyn ChunkOpener>,
    newest: BatchNumber,
    _store: LineageStore,
    _directory: tempfile::TempDir,
}

fn write(dice: &mut Dice) -> RecordBody<Bytes> {
    let mut payload = vec![0x5a; BLOCK];
    payload[..BLOCK / 3].fill_with(|| dice.below(256) as u8);
    let range = VolumeRange {
        volume: VolumeNumber(0),
        offset: dice.below(VOLUME_BYTES / BLOCK as u64) * BLOCK as u64,
        length: BLOCK as u32,
    };
    RecordBody::Data {
        range,
        payload: Bytes::from(payload),
    }
}

fn make() -> anyhow::Result<Store> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    let catalog = Arc::new(Catalog::open_or_create(
        &*storage,
        &directory.path().join("catalog.redb"),
        8 << 20,
    )?);
    let volumes = [NewVolume {
        name: "disk".to_owned(),
        size_bytes: Some(VOLUME_BYTES),
    }];
    let mut ids = 0;
    let group = catalog.create_group("bench", &volumes, Timestamp(1), &mut || {
        ids += 1;
        ids
    })?;
    let installation = InstallationId::from_u128(1);
    let installation_key = InstallationKey::generate()?;
    let key = DataKey::generate(installation, Timestamp(0))?;
    let wrapped = key.wrap(&installation_key)?;
    let ring = KeyRing::new(installation);
    ring.insert_wrapped(key.id(), &wrapped, &installation_key)?;
    let lineage = group.lineage();
    let (mut store, _) = LineageStore::open(
        storage,
        directory.path().join("lineage"),
        lineage,
        Arc::clone(&catalog),
        StoreOptions::default(),
        Timestamp(1),
    )?;
    store.add_key(key.id(), &wrapped)?;
    let mut sealer = Sealer(ChunkSealer::new(key)?);
    let mut batches = Batches::new(lineage.group, lineage.stream);
    let generation = store.received().generation();
    let sync = SyncId::from_u128(9);
    let member = Member {
        group: lineage.group,
        number: VolumeNumber(0),
        id: group.volumes[0].id,
        size_bytes: VOLUME_BYTES,
    };
    let head = batches.close([
        RecordBody::Sync(SyncEvent::Begin {
            sync,
            reason: SyncReason::Initial,
        }),
        RecordBody::Member(member),
        RecordBody::Sync(SyncEvent::End {
            sync,
            heals: Heals::Nothing,
        }),
    ]);
    take(&mut store, head, generation, &mut sealer)?;
    let mut dice = Dice::new(1);
    let mut newest = None;
    for _ in 0..BATCHES {
        let closed = batches.close((0..WRITES_IN_A_BATCH).map(|_| write(&mut dice)));
        newest = take(&mut store, closed, generation, &mut sealer)?;
    }
    let reader = store.reader();
    while reader.build_pending(8)? == 8 {}
    Ok(Store {
        reader,
        opener: Arc::new(Opener(Mutex::new(seal::ChunkOpener::new(ring)?))),
        newest: newest.ok_or_else(|| anyhow::anyhow!("no batch was numbered"))?,
        _store: store,
        _directory: directory,
    })
}

fn take(
    store: &mut LineageStore,
    closed: ClosedBatch,
    generation: Generation,
    sealer: &mut Sealer,
) -> anyhow::Result<Option<BatchNumber>> {
    let bytes = Bytes::from(pack(closed, generation, sealer)?);
    let layout = BatchLayout::parse(&bytes)?;
    let decision = store.offer(&layout);
    anyhow::ensure!(
        matches!(decision, Decision::Append { .. }),
        "not taken: {decision:?}"
    );
    store.append(bytes, layout, Timestamp(i64::MAX))?;
    let committed = store.commit()?;
    Ok(committed
        .outcomes
        .iter()
        .rev()
        .find_map(|outcome| match outcome.applied {
            bcdr_cloud::receive::Applied::Batch(number) => Some(number),
            bcdr_cloud::receive::Applied::Heartbeat { .. } => None,
        }))
}

fn view(criterion: &mut Criterion) {
    let store = make().expect("a store can be made in the target directory");
    let open = |cache: &Arc<ChunkCache>| {
        let opened =
            store
                .reader
                .open_view(store.newest, Arc::clone(&store.opener), Arc::clone(cache));
        opened.expect("the newest batch can be opened")
    };
    let cache = Arc::new(ChunkCache::new(16 << 20));
    let mut group = criterion.benchmark_group("view");
    group.bench_function("open", |bencher| {
        bencher.iter(|| open(&cache).layer_count())
    });
    let view = open(&cache);
    let mut dice = Dice::new(2);
    group.throughput(Throughput::Bytes(BLOCK as u64));
    group.bench_function("read 4 KiB at random", |bencher| {
        bencher.iter(|| {
            let offset = dice.below(VOLUME_BYTES / BLOCK as u64) * BLOCK as u64;
            view.read(VolumeNumber(0), offset, BLOCK)
                .expect("it is inside the volume")[0]
        });
    });
    let mut offset = 0;
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("read 1 MiB in order", |bencher| {
        bencher.iter(|| {
            offset = (offset + (1 << 20)) % VOLUME_BYTES;
            view.read(VolumeNumber(0), offset, 1 << 20)
                .expect("it is inside the volume")[0]
        });
    });
    group.finish();
}

criterion_group!(benches, view);
criterion_main!(benches);
