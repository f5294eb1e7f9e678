//! A disk with a replica and branches above it, and processes that come and go on it.

use crate::{
    branch::{
        Branch, BranchKeySource, BranchKeys, BranchLimits, BranchReason, BranchSettings, KeysError,
    },
    branches::{BaseImage, Branches},
    catalog::Catalog,
    receive::{
        BatchNumber, Lineage,
        sample::{Change, Image, KEY, Kind, SECTOR, SampleOpener, VOLUME_SECTORS},
    },
    replica::{
        ChunkCache, ChunkOpener, LineageReader, OpenChunkError, StoreOptions, ViewReader,
        store::rig::{History, Rig, options},
    },
};
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk, Storage};
use bcdr_format::{InstallationId, Timestamp, VolumeNumber, chunk::ChunkHeader};
use bcdr_wire::seal::{self, DataKey, InstallationKey, KeyRing};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

pub(super) const SIZE: u64 = VOLUME_SECTORS * SECTOR as u64;
const INSTALLATION: InstallationId = InstallationId::from_u128(4);
/// Records of a branch's first batch: two members, and the two of the sync interval.
pub(super) const FIRST_RECORDS: u64 = 4;

/// What the two sample volumes hold.
pub(super) type Contents = Vec<Vec<u8>>;

pub(super) fn contents(image: &Image) -> Contents {
    image
        .values()
        .map(|sectors| {
            let known = sectors.iter().map(|sector| sector.expect("it is known"));
            known.flatten().collect()
        })
        .collect()
}

pub(super) fn contents_of(view: &ViewReader) -> Contents {
    let read = |volume| view.read(VolumeNumber(volume), 0, SIZE as usize).unwrap();
    vec![read(0), read(1)]
}

pub(super) fn contents_of_branch(branch: &Branch) -> Contents {
    let read = |volume| branch.read(VolumeNumber(volume), 0, SIZE as usize).unwrap();
    vec![read(0), read(1)]
}

/// What outlives processes.
pub(super) struct World {
    pub(super) disk: SimulatedDisk,
    pub(super) history: History,
    pub(super) options: StoreOptions,
    pub(super) limits: BranchLimits,
    key: Arc<InstallationKey>,
}

/// A process: the replica's store and the branches.
pub(super) struct Process {
    // Branches close before what they use.
    pub(super) branches: Branches,
    pub(super) catalog: Arc<Catalog>,
    pub(super) replica: Rig,
    due: mpsc::Receiver<Arc<LineageReader>>,
}

impl World {
    /// A replica of `batches` batches, all of them data and zeroes.
    pub(super) fn new(seed: u64, batches: u64) -> Self {
        Self::with_faults(seed, batches, FaultPlan::none())
    }

    /// The same on a disk that errs while it is armed.
    pub(super) fn with_faults(seed: u64, batches: u64, plan: FaultPlan) -> Self {
        let disk = SimulatedDisk::new(seed, plan);
        disk.arm(false);
        let mut random = SeededRandom::new(seed ^ 0x5eed);
        let mut history = History::new();
        let mut rig = Rig::open(Arc::new(disk.clone()), &history.source).unwrap();
        for stamp in 0..batches {
            let change = Change {
                volume: random.below(2) as u16,
                sector: random.below(VOLUME_SECTORS),
                sectors: random.between(4, 24),
                kind: if random.below(6) == 0 {
                    Kind::Zero
                } else {
                    Kind::Data(1000 + stamp)
                },
            };
            rig.take(&history.batch(&[change]));
        }
        rig.store.checkpoint().unwrap();
        Self {
            disk,
            history,
            options: options(),
            limits: BranchLimits {
                batch_bytes: 8 << 10,
                batch_age: Duration::from_millis(250),
                view_bytes: 12 << 10,
                view_batches: 6,
            },
            key: Arc::new(InstallationKey::generate().unwrap()),
        }
    }

    /// Starts a process and opens all branches. An error is the disk's.
    pub(super) fn start(&self) -> Result<Process, Box<dyn std::error::Error>> {
        let storage: Arc<dyn Storage> = Arc::new(self.disk.clone());
        let replica = Rig::open(Arc::clone(&storage), &self.history.source)?;
        let catalog = Arc::clone(&replica.catalog);
        let (committed, due) = mpsc::channel();
        let branches = Branches::new(BranchSettings {
            storage,
            replicas: "/store".into(),
            catalog: Arc::clone(&catalog),
            store: self.options,
            keys: Arc::new(FixedKeys::new(&self.key)),
            opener: Arc::new(AnyOpener {
                catalog: Arc::clone(&catalog),
                key: Arc::clone(&self.key),
            }),
            cache: Arc::new(ChunkCache::new(64 << 10)),
            limits: self.limits,
            committed,
        });
        let reader = replica.store.reader();
        branches.open_all(|lineage| (lineage == reader.lineage()).then(|| Arc::clone(&reader)))?;
        Ok(Process {
            branches,
            catalog,
            replica,
            due,
        })
    }

    /// The power goes, whatever the process does; nothing of it acts afterwards.
    pub(super) fn power_cut(&self, process: Option<Process>) {
        self.disk.cut_power_at(1);
        drop(process);
        self.disk.power_cut();
    }

    /// The files below a directory.
    pub(super) fn files(&self, directory: &Path) -> Vec<PathBuf> {
        let Ok(names) = self.disk.list(directory) else {
            return Vec::new();
        };
        let mut files = Vec::new();
        for name in names {
            let path = directory.join(name);
            if self.disk.list(&path).is_ok() {
                files.extend(self.files(&path));
            } else {
                files.push(path);
            }
        }
        files
    }

    /// The files and rows that a lineage has.
    pub(super) fn traces(&self, catalog: &Catalog, lineage: Lineage) -> Vec<String> {
        let mut traces: Vec<String> = self
            .files(&Path::new("/store").join(lineage.stream.to_string()))
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        if catalog.batch_count(lineage).unwrap() > 0 {
            traces.push("batches".to_owned());
        }
        if catalog.point_count(lineage).unwrap() > 0 {
            traces.push("points".to_owned());
        }
        if catalog
            .point_at(lineage, Timestamp(i64::MAX))
            .unwrap()
            .is_some()
        {
            traces.push("points by time".to_owned());
        }
        if catalog.checkpoint(lineage).unwrap().is_some() {
            traces.push("a checkpoint".to_owned());
        }
        if !catalog
            .members_at(lineage, BatchNumber(u64::MAX))
            .unwrap()
            .is_empty()
        {
            traces.push("members".to_owned());
        }
        traces
    }
}

impl Process {
    /// Makes a branch of a batch end of the replica.
    pub(super) fn branch_at(&self, batch: u64) -> Arc<Branch> {
        let base = BaseImage::Replica(self.replica.store.reader());
        self.branches
            .create(base, BatchNumber(batch), BranchReason::Copy)
            .unwrap()
    }

    /// Does the run builder's work for what was committed so far. Says whether the disk let it.
    pub(super) fn build_runs(&self) -> bool {
        let mut last = None;
        while let Ok(reader) = self.due.try_recv() {
            last = Some(reader);
        }
        last.is_none_or(|reader| reader.build_pending(usize::MAX).is_ok())
    }
}

/// Keys with a data key of this process.
struct FixedKeys(BranchKeys);

impl FixedKeys {
    fn new(key: &Arc<InstallationKey>) -> Self {
        let data_key = DataKey::generate(INSTALLATION, Timestamp(1)).unwrap();
        Self(BranchKeys {
            wrapped: data_key.wrap(key).unwrap().into(),
            installation_key: Arc::clone(key),
            data_key,
        })
    }
}

impl BranchKeySource for FixedKeys {
    fn keys(&self) -> Result<BranchKeys, KeysError> {
        Ok(self.0.clone())
    }
}

/// Opens the sample source's chunks, and those of branches by the keys in the catalog.
struct AnyOpener {
    catalog: Arc<Catalog>,
    key: Arc<InstallationKey>,
}

impl ChunkOpener for AnyOpener {
    fn open(&self, header: &ChunkHeader, sealed: &[u8]) -> Result<Vec<u8>, OpenChunkError> {
        if header.id.key == KEY {
            return SampleOpener.open(header, sealed);
        }
        let wrapped = self
            .catalog
            .wrapped_key(header.id.key)?
            .ok_or("its wrapped key is not in the catalog")?;
        let ring = KeyRing::new(INSTALLATION);
        ring.insert_wrapped(header.id.key, &wrapped, &self.key)?;
        Ok(seal::ChunkOpener::new(ring)?.open(header, sealed)?)
    }
}
