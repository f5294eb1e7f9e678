//! Real files, and a group that is served before and after.

use std::{fs, ops::ControlFlow, sync::Arc, time::Duration};

use bcdr_disk::RealStorage;
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
        bcdr_format::IncarnationOrdinal(1),
        bcdr_format::IncarnationId::from_u128(1),
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
