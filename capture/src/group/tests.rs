//! Starts on state that cannot be used: volumes are served whatever it is.

use super::*;
use crate::{
    tap::TapState,
    test_site::{Site, close, is_continuous, until},
};
use bytes::Bytes;
use std::{fs, os::unix::fs::FileExt as _};

fn untracked_reason(group: &RunningGroup) -> Option<String> {
    let shown = group.status.borrow();
    match &shown.as_ref()?.tap.state {
        TapState::Untracked { reason, .. } => Some(reason.to_string()),
        _ => None,
    }
}

async fn serves(site: &Site, byte: u8) {
    let client = site.client(0).await;
    let data = Bytes::from(vec![byte; 4096]);
    client.write(0, data.clone(), true).await.unwrap();
    assert_eq!(client.read(0, 4096).await.unwrap(), data);
    client.disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_state_directory_volumes_are_served_and_journaled_once_it_is_back() {
    let site = Site::new(Engine::Auto, 1);
    // In its place there is a file, so nothing can be made in it.
    fs::write(&site.config.state_directory, "in the way").unwrap();
    let mut group = site.start();
    until(&mut group, |status| {
        matches!(status.tap.state, TapState::Untracked { .. })
    })
    .await;
    let reason = untracked_reason(&group).unwrap();
    assert!(reason.contains("state"), "{reason}");
    serves(&site, 3).await;
    fs::remove_file(&site.config.state_directory).unwrap();
    until(&mut group, is_continuous).await;
    serves(&site, 4).await;
    close(group).await;
    // What was in memory only is no proof.
    let mut group = site.start();
    let start = group.status.borrow().as_ref().unwrap().start;
    assert!(start.reads_everything(), "{start:?}");
    until(&mut group, is_continuous).await;
    close(group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_that_cannot_be_opened_is_gone_before_anything_is_journaled() {
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    until(&mut group, is_continuous).await;
    assert!(close(group).await.clean);
    let directory = site.config.group_directory(&site.config.groups[0]);
    let ring = directory.join("intents");
    let kept = directory.join("kept");
    fs::rename(&ring, &kept).unwrap();
    fs::create_dir(&ring).unwrap();
    let mut group = site.start();
    until(&mut group, |status| {
        matches!(status.tap.state, TapState::Untracked { .. })
    })
    .await;
    serves(&site, 5).await;
    // The device is well again, with the old ring on it.
    fs::remove_dir(&ring).unwrap();
    fs::rename(&kept, &ring).unwrap();
    until(&mut group, is_continuous).await;
    assert!(!ring.exists());
    close(group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_a_later_release_is_left_alone_and_volumes_are_served() {
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    until(&mut group, is_continuous).await;
    assert!(close(group).await.clean);
    let journal = site.config.journal_directory(&site.config.groups[0]);
    let segment = fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| fs::read(path).unwrap().starts_with(b"JSG1"))
        .unwrap();
    let file = fs::File::options().write(true).open(&segment).unwrap();
    file.write_all_at(&[99], 4).unwrap();
    let mut group = site.start();
    until(&mut group, |status| {
        matches!(status.tap.state, TapState::Untracked { .. })
    })
    .await;
    let reason = untracked_reason(&group).unwrap();
    assert!(reason.contains("version 99"), "{reason}");
    serves(&site, 6).await;
    close(group).await;
    assert!(segment.exists());
}

/// A stamp that is there and cannot be read may say that the device holds a mixture.
#[test]
fn a_volume_whose_stamp_cannot_be_read_is_not_served_and_keeps_it() {
    let site = Site::new(Engine::Auto, 1);
    let config = &site.config.groups[0];
    let directory = site.config.group_directory(config);
    let metrics = bcdr_http::Metrics::new(prometheus::Registry::new(), "capture", "test").unwrap();
    let context = GroupContext {
        storage: Arc::new(bcdr_disk::RealStorage::new()),
        clock: Clock::start(),
        metrics: CaptureMetrics::new(&metrics).unwrap(),
        lock_patience: LOCK_PATIENCE,
    };
    let stamps = StampBook::of_group(Arc::clone(&context.storage), &directory);
    let stamp = stamps.path(config.volumes[0].id);
    // A socket in its place: it is there, and opening it fails, whoever asks.
    let socket = site.directory.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    fs::create_dir_all(stamp.parent().unwrap()).unwrap();
    fs::rename(&socket, &stamp).unwrap();
    let Err(error) = start(&site.config, config, &context) else {
        panic!("a volume that may hold a mixture was served")
    };
    assert!(matches!(error, GroupError::Restore { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&stamp.display().to_string()), "{text}");
    assert!(stamp.exists() && !site.socket(0).exists());
}
