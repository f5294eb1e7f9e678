//! A store on a disk for tests, with the images it should show.

use crate::{
    catalog::Catalog,
    receive::{
        Applied, BatchNumber, Decision, Outcome,
        sample::{self, Change, Extra, Image, KEY, SECTOR, SampleOpener, Source, VOLUME_SECTORS},
    },
    replica::{
        ChunkCache, Committed, LineageStore, Recovery, StatusKind, StoreError, StoreOptions,
        ViewError, ViewReader, space::SpaceFloor,
    },
};
use bcdr_disk::Storage;
use bcdr_format::{Timestamp, VolumeNumber};
use bytes::Bytes;
use std::{path::Path, sync::Arc};

pub(crate) const DIRECTORY: &str = "/store/lineage";
pub(crate) const CATALOG: &str = "/store/catalog.redb";

pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        segment_bytes: 20_000,
        checkpoint_commits: 5,
        checkpoint_microseconds: i64::MAX,
        space_floor: SpaceFloor {
            percent: 0,
            bytes: 0,
        },
        run_cache_bytes: 1 << 20,
    }
}

/// An open store with its catalog.
pub(crate) struct Rig {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) store: LineageStore,
    pub(crate) recovery: Recovery,
}

impl Rig {
    pub(crate) fn open(storage: Arc<dyn Storage>, source: &Source) -> Result<Self, StoreError> {
        Self::open_with(storage, source, options())
    }

    pub(crate) fn open_with(
        storage: Arc<dyn Storage>,
        source: &Source,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        storage.create_directory_all(Path::new("/store"))?;
        let catalog = Arc::new(Catalog::open_or_create(
            &*storage,
            Path::new(CATALOG),
            1 << 20,
        )?);
        let (mut store, recovery) = LineageStore::open(
            storage,
            DIRECTORY.into(),
            source.lineage,
            Arc::clone(&catalog),
            options,
            Timestamp(7),
        )?;
        store.add_key(KEY, b"wrapped")?;
        Ok(Self {
            catalog,
            store,
            recovery,
        })
    }

    /// Appends a batch, which must be accepted, without a commit.
    pub(crate) fn append(&mut self, bytes: &Bytes) -> Result<(), StoreError> {
        let layout = sample::parse(bytes);
        match self.store.offer(&layout) {
            Decision::Append { .. } => {
                self.store
                    .append(bytes.clone(), layout, Timestamp(i64::MAX))
            }
            Decision::Duplicate => Ok(()),
            Decision::Refuse(refusal) => Err(StoreError::Refused(refusal)),
        }
    }

    /// Appends and commits one batch.
    pub(crate) fn take(&mut self, bytes: &Bytes) -> Outcome {
        self.append(bytes).unwrap();
        let Committed { mut outcomes, .. } = self.store.commit().unwrap();
        outcomes.pop().expect("a batch was committed")
    }

    pub(crate) fn view(&self, number: u64) -> Result<ViewReader, ViewError> {
        self.store.reader().open_view(
            BatchNumber(number),
            Arc::new(SampleOpener),
            Arc::new(ChunkCache::new(1 << 16)),
        )
    }

    pub(crate) fn build_all(&self) {
        while self.store.reader().build_pending(16).unwrap() == 16 {}
    }

    /// Compares the view at a batch end with the image it should be.
    pub(crate) fn assert_view(&self, number: u64, image: &Image, context: &str) {
        let view = self.view(number).unwrap();
        for (volume, sectors) in image {
            assert_volume(&view, VolumeNumber(*volume), sectors, context);
        }
    }
}

fn assert_volume(
    view: &ViewReader,
    volume: VolumeNumber,
    sectors: &[Option<[u8; SECTOR]>],
    context: &str,
) {
    let at = |sector: usize| (sector * SECTOR) as u64;
    let batch = view.batch().number;
    if sectors.iter().all(Option::is_some) {
        let whole: Vec<u8> = sectors.iter().flatten().flatten().copied().collect();
        let length = VOLUME_SECTORS as usize * SECTOR;
        assert!(
            view.read(volume, 0, length).unwrap() == whole,
            "{context}: batch {batch}"
        );
    }
    let mut status = view
        .block_status(volume, 0, at(sectors.len()))
        .unwrap()
        .into_iter()
        .flat_map(|part| vec![part.kind; part.length as usize / SECTOR]);
    for (place, expected) in sectors.iter().enumerate() {
        let context = format!("{context}: batch {batch}, volume {volume}, sector {place}");
        let kind = status.next().expect("the status covers the volume");
        match (view.read(volume, at(place), SECTOR), expected) {
            (Ok(found), Some(expected)) => {
                assert!(found == expected, "{context}");
                let zero = expected.iter().all(|byte| *byte == 0);
                assert_eq!(kind == StatusKind::Data, !zero, "{context}");
            }
            (Err(ViewError::Unknown { .. }), None) => {
                assert_eq!(kind, StatusKind::Unknown, "{context}");
            }
            (found, _) => panic!("{context}: {found:?}"),
        }
    }
}

/// A source with the images its batches leave.
pub(crate) struct History {
    pub(crate) source: Source,
    pub(crate) image: Image,
    /// The image at each numbered batch's end.
    pub(crate) images: Vec<Image>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            source: Source::new(),
            image: sample::empty_image(),
            images: Vec::new(),
        }
    }

    /// The next batch; the first one holds a whole initial sync.
    pub(crate) fn batch(&mut self, changes: &[Change]) -> Bytes {
        let extra = if self.images.is_empty() {
            sample::initial_sync()
        } else {
            Extra::default()
        };
        self.batch_with(changes, &extra)
    }

    pub(crate) fn batch_with(&mut self, changes: &[Change], extra: &Extra) -> Bytes {
        let bytes = self.source.batch(changes, extra);
        sample::change_image(&mut self.image, changes);
        if !sample::parse(&bytes).is_heartbeat() {
            self.images.push(self.image.clone());
        }
        bytes
    }
}

pub(crate) fn number_of(outcome: &Outcome) -> u64 {
    match outcome.applied {
        Applied::Batch(number) => number.0,
        Applied::Heartbeat { .. } => panic!("a heartbeat has no number"),
    }
}
