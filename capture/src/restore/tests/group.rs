//! Real files, and a group that is served before and after.

use std::{fs, ops::ControlFlow, sync::Arc, time::Duration};

use bcdr_disk::RealStorage;
use bcdr_format::{
    IncarnationId, IncarnationOrdinal, Position, Sequence, continuity::Held, sync::Heals,
};
use bcdr_wire::restore::{BLOCK_BYTES, SeamHead};
use bytes::Bytes;

use super::world::{RESTORE, small_steps};
use crate::{
    clock::Clock,
    config::VolumeConfig,
    group::{self, GroupContext, GroupError},
    metrics::CaptureMetrics,
    restore::{
        ConfirmedOverwrite, FenceError, FencedVolume, Judgement, Method, Restore, StampBook,
        StampFound, Why, tests::world::World,
    },
    ring::Engine,
    test_site::{Site, VOLUME_BYTES, close, is_continuous, until},
    volume::VolumeError,
};

fn try_take(config: &VolumeConfig) -> Result<FencedVolume, FenceError> {
    FencedVolume::take(config, Duration::ZERO, &RealStorage::new())
}

/// A ring that has ended may hold its descriptors for a moment.
fn take(config: &VolumeConfig) -> FencedVolume {
    FencedVolume::take(config, Duration::from_secs(60), &RealStorage::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_served_volume_is_not_fenced_and_a_half_restored_one_not_served() {
    let site = Site::new(Engine::Auto, 1);
    let config = site.config.groups[0].volumes[0].clone();
    let directory = site.config.group_directory(&site.config.groups[0]);
    let storage = Arc::new(RealStorage::new());
    let stamps = StampBook::of_group(storage, &directory);

    let mut group = site.start();
    let client = site.client(0).await;
    client
        .write(4096, Bytes::from(vec![7; 8192]), true)
        .await
        .unwrap();
    client.disconnect().await.unwrap();
    until(&mut group, is_continuous).await;
    let served = try_take(&config);
    assert!(matches!(
        served,
        Err(FenceError::Volume(VolumeError::Locked { .. }))
    ));
    assert!(close(group).await.clean);

    // Points of this volume's size and id.
    let mut source = World::new(50).source;
    source.points.clear();
    let mut wanted = vec![0; VOLUME_BYTES as usize];
    wanted[1 << 20..3 << 20].fill(0x55);
    source.points.insert((1, config.id), wanted.clone());
    let mut run = |stop: bool| {
        source.begin(1);
        let fenced = take(&config);
        let typed =
            ConfirmedOverwrite::typed(&fenced, &config.id.to_string(), &fenced.identity()).unwrap();
        // While it is fenced nobody else gets it.
        assert!(try_take(&config).is_err());
        let volumes = vec![(fenced, typed)];
        let restore =
            Restore::begin(stamps.clone(), RESTORE, volumes, &mut source, small_steps()).unwrap();
        restore.run(&mut source, &mut |progress| {
            if stop && progress.written_bytes > 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    };
    assert!(run(true).is_err());
    let metrics = bcdr_http::Metrics::new(prometheus::Registry::new(), "capture", "test").unwrap();
    let context = GroupContext {
        storage: Arc::new(RealStorage::new()),
        clock: Clock::start(),
        metrics: CaptureMetrics::new(&metrics).unwrap(),
        lock_patience: group::LOCK_PATIENCE,
    };
    let refused = group::start(&site.config, &site.config.groups[0], &context);
    let Err(error @ GroupError::Restore { .. }) = refused.map(|_| ()) else {
        panic!("a half-restored volume was served");
    };
    assert!(
        error.to_string().contains("run the restore again"),
        "{error}"
    );
    assert!(!site.socket(0).exists());

    let restored = run(false).unwrap();
    assert_eq!(restored[0].why, Why::Continued);
    assert!(site.contents(0) == wanted);
    // With the stamp, the same file needs no comparison.
    let again = run(false).unwrap();
    assert_eq!((again[0].compared, again[0].written_bytes), (false, 0));

    // What the journal knew does not count any more, and from now on neither does the stamp.
    let mut group = site.start();
    assert_eq!(stamps.read(config.id).unwrap(), StampFound::None);
    until(&mut group, |status| status.start.sync.is_some()).await;
    let start = group.status.borrow().as_ref().unwrap().start;
    assert!(start.reads_everything());
    // Nothing that was overwritten is fed: the life continues nothing that the journal holds.
    assert_eq!(start.opening.continues, None);
    until(&mut group, is_continuous).await;
    assert!(close(group).await.clean);
    assert!(site.contents(0) == wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_was_put_back_goes_on_and_reads_only_what_differs() {
    let site = Site::new(Engine::Auto, 1);
    let group_config = &site.config.groups[0];
    let config = group_config.volumes[0].clone();
    let directory = site.config.group_directory(group_config);
    let stamps = StampBook::of_group(Arc::new(RealStorage::new()), &directory);
    // A life of this host that nobody heard of gives away ordinals and sequences.
    let mut group = site.start();
    until(&mut group, is_continuous).await;
    let before = group.status.borrow().as_ref().unwrap().tap.clone();
    assert!(before.sync_read_bytes >= VOLUME_BYTES);
    assert!(close(group).await.clean);

    let mut source = World::new(60).source;
    source.points.clear();
    let mut end = vec![0; VOLUME_BYTES as usize];
    end[2 << 20..4 << 20].fill(0x33);
    let mut wanted = end.clone();
    wanted[3 << 20..(3 << 20) + 4096].fill(0x55);
    wanted[(6 << 20) + 512..(6 << 20) + 1024].fill(0x77);
    source.points.insert((1, config.id), wanted.clone());
    source.points.insert((3, config.id), end);
    let held = Held {
        position: Position::new(IncarnationOrdinal(1), Sequence(2)),
        id: IncarnationId::from_u128(8),
    };
    source.end = Ok(SeamHead {
        stream: group_config.stream,
        held,
        volumes: 1,
    });
    let mut put_back = || {
        source.begin(1);
        let fenced = take(&config);
        let typed =
            ConfirmedOverwrite::typed(&fenced, &config.id.to_string(), &fenced.identity()).unwrap();
        let volumes = vec![(fenced, typed)];
        let restore =
            Restore::begin(stamps.clone(), RESTORE, volumes, &mut source, small_steps()).unwrap();
        restore
            .run(&mut source, &mut |_| ControlFlow::Continue(()))
            .unwrap();
        assert!(site.contents(0) == wanted);
    };

    put_back();
    let mut group = site.start();
    until(&mut group, is_continuous).await;
    let status = group.status.borrow().as_ref().unwrap().clone();
    let opening = status.start.opening;
    assert_eq!(opening.continues, Some(held.position));
    assert!(opening.ordinal > before.ordinal);
    assert!(opening.first > before.sequenced);
    let sync = status.start.sync.unwrap();
    assert_eq!(sync.heals, Heals::Nothing);
    assert_eq!(status.tap.sync_read_bytes, 2 * u64::from(BLOCK_BYTES));
    assert_eq!(stamps.read(config.id).unwrap(), StampFound::None);
    assert!(close(group).await.clean);

    // What somebody else wrote meanwhile is found by reading all of it.
    put_back();
    let changed = fs::metadata(&config.path).unwrap().modified().unwrap();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&config.path)
        .unwrap();
    // Time stamps of files move in ticks, so write until one has passed.
    while fs::metadata(&config.path).unwrap().modified().unwrap() == changed {
        std::os::unix::fs::FileExt::write_all_at(&file, &[9; 512], 5 << 20).unwrap();
    }
    drop(file);
    let mut group = site.start();
    until(&mut group, is_continuous).await;
    let status = group.status.borrow().as_ref().unwrap().clone();
    assert!(status.start.reads_everything());
    assert_eq!(status.start.opening.continues, None);
    assert_eq!(status.tap.sync_read_bytes, VOLUME_BYTES);
    assert!(close(group).await.clean);
}

#[test]
fn a_killed_lifes_intents_do_not_count_after_a_restore() {
    // The order in which a start forgets: a kill after the stamps are gone must find no intents.
    let site = Site::new(Engine::Auto, 1);
    let directory = site.config.group_directory(&site.config.groups[0]);
    fs::create_dir_all(&directory).unwrap();
    let storage: Arc<dyn bcdr_disk::Storage> = Arc::new(RealStorage::new());
    let boot = crate::evidence::boot_id().unwrap();
    let open = || {
        crate::intent::IntentRing::open(&*storage, &directory.join("intents"), 64, boot).unwrap()
    };
    let (mut ring, _) = open();
    ring.begin(
        boot,
        IncarnationOrdinal(1),
        IncarnationId::from_u128(1),
        crate::intent::BackingEvidence {
            identity: 1,
            change: 1,
        },
    );
    drop(ring);
    let (mut ring, found) = open();
    assert!(matches!(found, crate::intent::IntentsFound::Proven(_)));
    ring.distrust();
    drop(ring);
    let (_, found) = open();
    assert!(matches!(found, crate::intent::IntentsFound::Unproven(_)));
}

#[test]
fn a_files_tail_and_holes_are_restored_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::new(51);
    let mut volume = VolumeConfig {
        id: super::world::volume_id(0),
        name: "data".to_owned(),
        path: directory.path().join("disk.img"),
        nbd_socket: directory.path().join("sock"),
    };
    let size = super::world::SIZE;
    fs::File::create(&volume.path)
        .unwrap()
        .set_len(size)
        .unwrap();
    let stamps = StampBook::of_group(Arc::new(RealStorage::new()), directory.path());
    for (sequence, compared) in [(1, true), (3, false), (2, false)] {
        let fenced = take(&volume);
        let typed =
            ConfirmedOverwrite::typed(&fenced, &volume.id.to_string(), &fenced.identity()).unwrap();
        world.source.begin(sequence);
        let restore = Restore::begin(
            stamps.clone(),
            RESTORE,
            vec![(fenced, typed)],
            &mut world.source,
            small_steps(),
        )
        .unwrap();
        let restored = restore
            .run(&mut world.source, &mut |_| ControlFlow::Continue(()))
            .unwrap();
        assert_eq!(restored[0].compared, compared, "{}", restored[0].why);
        assert!(fs::read(&volume.path).unwrap() == world.point(sequence, 0));
    }
    // A copy of the file is another device.
    let copy = directory.path().join("copy.img");
    fs::copy(&volume.path, &copy).unwrap();
    volume.path = copy;
    let fenced = take(&volume);
    let judgement = crate::restore::proof::judge(
        &stamps.read(volume.id).unwrap(),
        fenced.evidence().unwrap(),
        size,
        super::point(1),
    );
    assert_eq!(
        judgement,
        Judgement {
            method: Method::Compare,
            from: 0,
            why: Why::OtherDevice
        }
    );
}
