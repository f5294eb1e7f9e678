//! A cloud side's store with a history of two volumes, made by hand, and branches above it.

use bcdr_cloud::{
    branch::{
        Branch, BranchKeySource, BranchKeys, BranchLimits, BranchReason, BranchSettings, KeysError,
    },
    branches::{BaseImage, Branches},
    catalog::Catalog,
    receive::{BatchNumber, Lineage},
    replica::{
        ChunkCache, ChunkOpener, LineageReader, LineageStore, OpenChunkError, SpaceFloor,
        StoreOptions, ViewReader,
    },
    returns::Histories,
};
use bcdr_disk::{RealStorage, SeededRandom, Storage};
use bcdr_format::{
    Generation, GroupId, IncarnationId, IncarnationOrdinal, InstallationId, Opening, Position,
    Sequence, StreamId, SyncId, Timestamp, VolumeId, VolumeNumber,
    batch::{BatchHeader, BatchLayout, BatchPrefix, encode},
    chunk::ChunkHeader,
    extent::{Content, Extent},
    record::Member,
    sync::{Heals, SyncEvent, SyncReason},
};
use bcdr_wire::{
    restore::PointName,
    seal::{self, ChunkSealer, DataKey, InstallationKey, KeyRing, batch_mac},
};
use std::{
    path::Path,
    sync::{Arc, Mutex, mpsc},
};

pub(crate) const INSTALLATION: InstallationId = InstallationId::from_u128(77);
pub(crate) const GROUP: GroupId = GroupId::from_u128(1);
pub(crate) const STREAM: StreamId = StreamId::from_u128(2);
/// Not whole blocks, but whole sectors.
pub(crate) const SIZE: u64 = 24 * 65_536 + 3 * 4096 + 512;
const LINEAGE: Lineage = Lineage {
    group: GROUP,
    stream: STREAM,
};
const CHUNK: usize = 65_536;

/// What the two volumes hold.
pub(crate) type Images = [Vec<u8>; 2];

pub(crate) fn members() -> Vec<Member> {
    (0..2)
        .map(|number| Member {
            group: GROUP,
            number: VolumeNumber(number),
            id: VolumeId::from_u128(0x100 + u128::from(number)),
            size_bytes: SIZE,
        })
        .collect()
}

/// One write, or zeroes.
pub(crate) struct Change {
    pub(crate) volume: u16,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Change {
    pub(crate) fn random(random: &mut SeededRandom) -> Self {
        let sectors = SIZE / 512;
        let start = random.below(sectors);
        let longest = if random.coin() { 16 } else { 400 };
        let length = 1 + random.below(longest);
        let mut bytes = vec![0; (length.min(sectors - start) * 512) as usize];
        if random.below(4) > 0 {
            random.fill(&mut bytes);
        }
        Self {
            volume: random.below(2) as u16,
            offset: start * 512,
            bytes,
        }
    }

    pub(crate) fn apply(&self, images: &mut Images) {
        let start = self.offset as usize;
        images[usize::from(self.volume)][start..start + self.bytes.len()]
            .copy_from_slice(&self.bytes);
    }
}

/// The store, and what each batch end holds.
pub(crate) struct Store {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) branches: Arc<Branches>,
    pub(crate) images: Vec<Images>,
    /// Where each batch ends.
    ends: Vec<Position>,
    lineage: Mutex<LineageStore>,
    reader: Arc<LineageReader>,
    opener: Arc<dyn ChunkOpener>,
}

impl Store {
    /// A history of so many batches of one change each; runs are merged up to the middle of it.
    pub(crate) fn new(directory: &Path, seed: u64, batches: usize) -> Self {
        let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
        let catalog_path = directory.join("catalog.redb");
        let catalog = Arc::new(Catalog::open_or_create(&*storage, &catalog_path, 1 << 20).unwrap());
        let options = StoreOptions {
            space_floor: SpaceFloor {
                percent: 0,
                bytes: 0,
            },
            ..StoreOptions::default()
        };
        let (mut lineage, _) = LineageStore::open(
            Arc::clone(&storage),
            directory.join("lineage"),
            LINEAGE,
            Arc::clone(&catalog),
            options,
            Timestamp(7),
        )
        .unwrap();
        let key = Arc::new(InstallationKey::generate().unwrap());
        let data_key = DataKey::generate(INSTALLATION, Timestamp(1)).unwrap();
        let wrapped = data_key.wrap(&key).unwrap();
        lineage.add_key(data_key.id(), &wrapped).unwrap();
        let opener: Arc<dyn ChunkOpener> = Arc::new(Opener {
            catalog: Arc::clone(&catalog),
            key: Arc::clone(&key),
        });
        let mut author = Author {
            sealer: ChunkSealer::new(Arc::clone(&data_key)).unwrap(),
            key: Arc::clone(&key),
            chain: [0; _],
            next: Sequence::FIRST,
        };
        let mut random = SeededRandom::new(seed);
        let mut image: Images = [vec![0; SIZE as usize], vec![0; SIZE as usize]];
        let (mut images, mut ends) = (Vec::new(), Vec::new());
        for number in 0..batches {
            let change = Change::random(&mut random);
            change.apply(&mut image);
            images.push(image.clone());
            let (bytes, layout) = author.batch(&change);
            ends.push(layout.header.end());
            lineage
                .append(bytes.into(), layout, Timestamp(i64::MAX))
                .unwrap();
            lineage.commit().unwrap();
            if number == batches / 2 {
                while lineage.reader().build_pending(16).unwrap() == 16 {}
            }
        }
        let (committed, _due) = mpsc::channel();
        let branch_keys = BranchKeys {
            installation_key: key,
            wrapped: wrapped.into(),
            data_key: DataKey::generate(INSTALLATION, Timestamp(2)).unwrap(),
        };
        let branch_keys = BranchKeys {
            wrapped: branch_keys
                .data_key
                .wrap(&branch_keys.installation_key)
                .unwrap()
                .into(),
            ..branch_keys
        };
        let branches = Branches::new(BranchSettings {
            storage,
            replicas: directory.join("branches"),
            catalog: Arc::clone(&catalog),
            store: options,
            keys: Arc::new(Keys(branch_keys)),
            opener: Arc::clone(&opener),
            cache: Arc::new(ChunkCache::new(1 << 20)),
            limits: BranchLimits::default(),
            committed,
        });
        Self {
            catalog,
            branches: Arc::new(branches),
            images,
            ends,
            reader: lineage.reader(),
            lineage: Mutex::new(lineage),
            opener,
        }
    }

    pub(crate) fn point(&self, batch: usize) -> PointName {
        PointName {
            stream: STREAM,
            position: self.ends[batch],
        }
    }

    pub(crate) fn view(&self, batch: usize) -> Arc<ViewReader> {
        let cache = Arc::new(ChunkCache::new(1 << 20));
        let number = BatchNumber(batch as u64);
        let view = self
            .reader
            .open_view(number, Arc::clone(&self.opener), cache);
        Arc::new(view.unwrap())
    }

    pub(crate) fn histories(&self) -> Histories {
        Histories::new(Arc::clone(&self.reader), Arc::clone(&self.branches))
    }

    pub(crate) fn branch(&self, batch: usize, reason: BranchReason) -> Arc<Branch> {
        let base = BaseImage::Replica(Arc::clone(&self.reader));
        let number = BatchNumber(batch as u64);
        self.branches.create(base, number, reason).unwrap()
    }

    pub(crate) fn fence(&self, generation: Generation) {
        self.lineage.lock().unwrap().fence(generation).unwrap();
    }
}

/// Writes the history.
struct Author {
    sealer: ChunkSealer,
    key: Arc<InstallationKey>,
    chain: [u8; bcdr_format::batch::MAC_BYTES],
    next: Sequence,
}

impl Author {
    fn batch(&mut self, change: &Change) -> (Vec<u8>, BatchLayout) {
        let incarnation = IncarnationId::from_u128(9);
        let ordinal = IncarnationOrdinal::FIRST;
        let first = self.next;
        self.next = Sequence(first.0 + 5);
        let begins = first == Sequence::FIRST;
        let sync = SyncId::from_u128(3);
        let header = BatchHeader {
            group: GROUP,
            stream: STREAM,
            generation: Generation::FIRST,
            ordinal,
            incarnation,
            opening: begins.then_some(Opening {
                ordinal,
                id: incarnation,
                continues: None,
                first,
            }),
            first,
            last: self.next.previous(),
            captured_at: Timestamp(1_000_000 * first.0 as i64),
            written_bytes: change.bytes.len() as u64,
            members: if begins { members() } else { Vec::new() },
            sync_events: if begins {
                let (reason, heals) = (SyncReason::Initial, Heals::Nothing);
                let begin = SyncEvent::Begin { sync, reason };
                vec![begin, SyncEvent::End { sync, heals }]
            } else {
                Vec::new()
            },
            marker: None,
            beat: None,
        };
        let zero = change.bytes.iter().all(|byte| *byte == 0);
        let (mut extents, mut chunks) = (Vec::new(), Vec::new());
        for (index, bytes) in change.bytes.chunks(CHUNK).enumerate() {
            let content = if zero {
                Content::Zero
            } else {
                // Chunks are whole units of plaintext.
                let mut plain = bytes.to_vec();
                plain.resize(bytes.len().next_multiple_of(4096), 0);
                chunks.push(self.sealer.seal(&plain).unwrap());
                let index = index as u32;
                Content::Chunk { index, offset: 0 }
            };
            extents.push(Extent {
                volume: VolumeNumber(change.volume),
                offset: change.offset + (index * CHUNK) as u64,
                length: bytes.len() as u32,
                content,
            });
        }
        let mut encoded = encode(&header, &extents, &chunks).unwrap();
        let prefix = BatchPrefix::decode(&encoded).unwrap();
        self.chain = batch_mac(&self.key, &self.chain, prefix.authenticated(&encoded));
        prefix.set_mac(&mut encoded, &self.chain);
        let layout = BatchLayout::parse(&encoded).unwrap();
        (encoded, layout)
    }
}

struct Keys(BranchKeys);

impl BranchKeySource for Keys {
    fn keys(&self) -> Result<BranchKeys, KeysError> {
        Ok(self.0.clone())
    }
}

struct Opener {
    catalog: Arc<Catalog>,
    key: Arc<InstallationKey>,
}

impl ChunkOpener for Opener {
    fn open(&self, header: &ChunkHeader, sealed: &[u8]) -> Result<Vec<u8>, OpenChunkError> {
        let id = header.id.key;
        let wrapped = self.catalog.wrapped_key(id)?.ok_or("no wrapped key")?;
        let ring = KeyRing::new(INSTALLATION);
        ring.insert_wrapped(id, &wrapped, &self.key)?;
        Ok(seal::ChunkOpener::new(ring)?.open(header, sealed)?)
    }
}
