use crate::{
    receive::{
        BatchNumber,
        sample::{Change, Kind, VOLUME_SECTORS},
    },
    replica::{
        StoreOptions, ViewError,
        run::{EntryCursor, FileCursor, RunFile, RunId},
        store::rig::{DIRECTORY, History, Rig, options},
    },
};
use bcdr_disk::{
    Access, CreateOptions, DiskError, FaultPlan, File, Mapping, SimulatedDisk, Space, Storage,
};
use bcdr_format::VolumeNumber;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const VOLUME: VolumeNumber = VolumeNumber(0);

fn write(sector: u64, stamp: u64) -> Vec<Change> {
    vec![Change {
        volume: 0,
        sector: sector % VOLUME_SECTORS,
        sectors: 1,
        kind: Kind::Data(stamp),
    }]
}

/// Counts what is read through it.
#[derive(Debug, Clone)]
struct Counting {
    disk: SimulatedDisk,
    bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn File>,
    bytes: Arc<AtomicU64>,
}

impl Counting {
    fn wrap(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(CountingFile {
            file,
            bytes: Arc::clone(&self.bytes),
        })
    }
}

impl Storage for Counting {
    fn create(&self, path: &Path, options: CreateOptions) -> Result<Arc<dyn File>, DiskError> {
        Ok(self.wrap(self.disk.create(path, options)?))
    }
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>, DiskError> {
        Ok(self.wrap(self.disk.open(path, access)?))
    }
    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.disk.exists(path)
    }
    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.disk.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.disk.rename(from, to)
    }
    fn list(&self, directory: &Path) -> Result<Vec<String>, DiskError> {
        self.disk.list(directory)
    }
    fn create_directory_all(&self, directory: &Path) -> Result<(), DiskError> {
        self.disk.create_directory_all(directory)
    }
    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        self.disk.sync_directory(directory)
    }
    fn space(&self, directory: &Path) -> Result<Space, DiskError> {
        self.disk.space(directory)
    }
    fn map(&self, path: &Path, length: u64) -> Result<Box<dyn Mapping>, DiskError> {
        self.disk.map(path, length)
    }
}

impl File for CountingFile {
    fn path(&self) -> &Path {
        self.file.path()
    }
    fn length(&self) -> Result<u64, DiskError> {
        self.file.length()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let count = self.file.read_at(buffer, offset)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, offset)
    }
    fn set_length(&self, length: u64) -> Result<(), DiskError> {
        self.file.set_length(length)
    }
    fn punch_hole(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.file.punch_hole(offset, length)
    }
    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data()
    }
    fn sync_all(&self) -> Result<(), DiskError> {
        self.file.sync_all()
    }
}

#[test]
fn opening_a_view_does_not_read_the_history() {
    const BATCHES: u64 = 10_240;
    let disk = SimulatedDisk::new(1, FaultPlan::none());
    let storage = Counting {
        disk,
        bytes: Arc::new(AtomicU64::new(0)),
    };
    let mut history = History::new();
    let options = StoreOptions {
        segment_bytes: 1 << 20,
        checkpoint_commits: 50,
        ..options()
    };
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let open =
        |history: &History| Rig::open_with(Arc::clone(&shared), &history.source, options).unwrap();
    let mut rig = open(&history);
    let mut samples = Vec::new();
    let mut written = 0;
    for stamp in 0..BATCHES {
        let batch = history.batch(&write(stamp * 7, stamp));
        written += batch.len() as u64;
        rig.append(&batch).unwrap();
        if stamp % 64 == 63 {
            rig.store.commit().unwrap();
        }
        let image = history.images.pop().unwrap();
        // Keep only the images that are looked at; the first stays as a mark that it was sent.
        if [0, 63, 4095, 7_777, BATCHES - 1].contains(&stamp) {
            samples.push((stamp, image.clone()));
        }
        if history.images.is_empty() {
            history.images.push(image);
        }
    }
    rig.build_all();
    drop(rig);
    for (number, image) in &samples {
        // Opened anew, so that every cache is cold.
        let rig = open(&history);
        let before = storage.bytes.load(Ordering::Relaxed);
        let view = rig.view(*number).unwrap();
        let opened = storage.bytes.load(Ordering::Relaxed) - before;
        assert!(view.layer_count() <= 7 * 5, "{} layers", view.layer_count());
        // A few hundred bytes per layer, and the index pages that the lookup touches.
        assert!(
            opened < 128 << 10,
            "opening batch {number} read {opened} of {written} bytes"
        );
        view.read(VOLUME, 0, 4096).unwrap();
        let read = storage.bytes.load(Ordering::Relaxed) - before;
        assert!(
            read < 1 << 20,
            "opening and reading batch {number} read {read} bytes"
        );
        rig.assert_view(*number, image, "many batches");
    }
    assert!(
        written > 8 << 20,
        "the history is too short to prove anything: {written}"
    );
}

fn merged(disk: &SimulatedDisk, batches: u64) -> (Rig, History) {
    let mut history = History::new();
    let mut rig = Rig::open(Arc::new(disk.clone()), &history.source).unwrap();
    for stamp in 0..batches {
        rig.take(&history.batch(&write(stamp * 5, stamp)));
    }
    rig.build_all();
    (rig, history)
}

#[test]
fn a_damaged_or_missing_run_is_built_again() {
    let disk = SimulatedDisk::new(1, FaultPlan::none());
    let (rig, mut history) = merged(&disk, 80);
    let runs = rig.store.reader();
    assert_eq!(runs.runs().built()[1..], [10, 1]);
    let top = runs.runs().path(RunId { level: 2, index: 0 });
    let leaf = runs.runs().path(RunId { level: 1, index: 3 });
    let length = disk.open(&top, Access::read()).unwrap().length().unwrap();
    drop((rig, runs));
    let image = history.images.remove(70);
    // A header, a page of entries, a page of fences, the footer; and a child that is gone as well.
    for offset in [9, 128 + 40, 128 + 4096 + 30, length - 30, length - 9] {
        let disk = disk.fork(offset);
        disk.flip_bit(&top, offset).unwrap();
        disk.remove(&leaf).unwrap();
        let rig = Rig::open(Arc::new(disk.clone()), &history.source).unwrap();
        rig.assert_view(70, &image, &format!("byte {offset}"));
        drop(rig);
        let rig = Rig::open(Arc::new(disk.clone()), &history.source).unwrap();
        rig.build_all();
        rig.assert_view(70, &image, "again");
        assert!(disk.exists(&leaf).unwrap());
    }
    disk.truncate(&top, 300).unwrap();
    let rig = Rig::open(Arc::new(disk.clone()), &history.source).unwrap();
    rig.assert_view(70, &image, "cut");
    let whole = disk.open(&top, Access::read()).unwrap().length().unwrap();
    assert_eq!(whole, length, "what is built again is the same");
}

#[test]
fn a_run_that_has_its_name_is_whole_after_a_power_cut() {
    let mut whole = 0;
    for seed in 0..30 {
        let disk = SimulatedDisk::new(seed, FaultPlan::none());
        let (rig, history) = merged(&disk, 24);
        let paths: Vec<_> = (0..3)
            .map(|index| RunId { level: 1, index })
            .map(|run| (run, rig.store.reader().runs().path(run)))
            .collect();
        drop(rig);
        disk.power_cut();
        for (run, path) in paths {
            let file = Arc::new(RunFile::open(&disk, &path, history.source.lineage, run).unwrap());
            let mut cursor = FileCursor::new(file);
            while cursor.next().unwrap().is_some() {}
            whole += 1;
        }
    }
    assert_eq!(whole, 90);
}

#[test]
fn a_damaged_chunk_is_told_with_point_volume_and_range_and_the_rest_is_read() {
    let disk = SimulatedDisk::new(1, FaultPlan::none());
    let (rig, history) = merged(&disk, 20);
    let row = rig
        .catalog
        .batch(history.source.lineage, BatchNumber(12))
        .unwrap()
        .unwrap();
    let path = Path::new(DIRECTORY).join(format!("log/{:010}.segment", row.place.segment));
    let chunk = row.place.offset + u64::from(row.place.head_bytes);
    disk.flip_bit(&path, chunk + 600).unwrap();
    let view = rig.view(19).unwrap();
    let sector = 12 * 5 % VOLUME_SECTORS;
    let error = view.read(VOLUME, sector * 512, 512).unwrap_err();
    let ViewError::Chunk {
        point,
        offset,
        length,
        segment,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (*point, *offset, *length),
        (view.point(), sector * 512, 512)
    );
    assert_eq!(*segment, row.place.segment);
    for other in (0..VOLUME_SECTORS).filter(|other| *other != sector) {
        let found = view.read(VOLUME, other * 512, 512).unwrap();
        let expected = history.images[19][&0][other as usize].unwrap();
        assert!(found == expected, "sector {other}");
    }
}

#[test]
fn ranges_outside_a_volume_and_unknown_ranges_are_errors() {
    let disk = SimulatedDisk::new(1, FaultPlan::none());
    let mut history = History::new();
    let mut rig = Rig::open(Arc::new(disk), &history.source).unwrap();
    let change = |kind| Change {
        volume: 0,
        sector: 4,
        sectors: 2,
        kind,
    };
    rig.take(&history.batch(&[change(Kind::Unknown)]));
    rig.take(&history.batch(&[change(Kind::Zero)]));
    let lineage = history.source.lineage;
    let listed = rig.catalog.unknown_at(lineage, BatchNumber(0)).unwrap();
    assert_eq!((listed[0].offset, listed[0].length), (2048, 1024));
    assert_eq!(rig.catalog.unknown_at(lineage, BatchNumber(1)).unwrap(), []);
    let view = rig.view(0).unwrap();
    assert!(matches!(
        view.read(VOLUME, 0, 4096),
        Err(ViewError::Unknown {
            offset: 2048,
            length: 1024,
            ..
        })
    ));
    assert_eq!(view.read(VOLUME, 0, 2048).unwrap(), vec![0; 2048]);
    let size = VOLUME_SECTORS * 512;
    assert!(matches!(
        view.read(VOLUME, size - 512, 1024),
        Err(ViewError::OutsideVolume { .. })
    ));
    assert!(matches!(
        view.block_status(VolumeNumber(9), 0, 512),
        Err(ViewError::NoVolume { .. })
    ));
    assert!(matches!(rig.view(2), Err(ViewError::NoBatch { .. })));
    assert_eq!(
        rig.view(1).unwrap().read(VOLUME, 0, 4096).unwrap(),
        vec![0; 4096]
    );
}

#[test]
fn the_cache_of_opened_chunks_stays_within_its_bound() {
    let disk = SimulatedDisk::new(1, FaultPlan::none());
    let (rig, history) = merged(&disk, 40);
    let cache = Arc::new(super::ChunkCache::new(5_000));
    let opener = Arc::new(crate::receive::sample::SampleOpener);
    let view = rig
        .store
        .reader()
        .open_view(BatchNumber(39), opener, Arc::clone(&cache))
        .unwrap();
    let whole = view
        .read(VOLUME, 0, (VOLUME_SECTORS * 512) as usize)
        .unwrap();
    let expected: Vec<u8> = history.images[39][&0]
        .iter()
        .flatten()
        .flatten()
        .copied()
        .collect();
    assert!(whole == expected);
    assert!(
        cache.bytes() > 0 && cache.bytes() <= 5_000,
        "{} bytes",
        cache.bytes()
    );
}
