//! A whole group on temporary files, with real sockets and a real client.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use bcdr_disk::SeededRandom;
use bytes::Bytes;

use super::*;
use crate::{
    feed::FeedItem,
    ring::Engine,
    test_site::{RawSession, Site, VOLUME_BYTES, close, is_continuous, until},
};

/// What the feed's data records, applied in order, make of empty volumes.
fn replay(
    items: &mut tokio::sync::mpsc::UnboundedReceiver<Vec<FeedItem>>,
    replica: &mut [Vec<u8>],
) {
    use bcdr_format::record::RecordBody;
    while let Ok(batch) = items.try_recv() {
        for item in batch {
            let FeedItem::Record { record, .. } = item else {
                continue;
            };
            let Some(range) = record.body.range() else {
                continue;
            };
            let volume = &mut replica[usize::from(range.volume.0)];
            let target = &mut volume[range.offset as usize..range.end() as usize];
            match &record.body {
                RecordBody::Zero { .. } | RecordBody::SyncZero { .. } => target.fill(0),
                body => target.copy_from_slice(body.payload().unwrap()),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_write_is_on_the_disk_and_in_the_feed() {
    for engine in [Engine::Syscall, Engine::IoUring] {
        let seed = 0x5eed_0003;
        println!("{engine:?}, seed {seed:#x}");
        let site = Site::new(engine, 2);
        let mut group = site.start();
        let mut model = vec![vec![0_u8; VOLUME_BYTES as usize]; 2];
        let mut random = SeededRandom::new(seed);
        for round in 0..20 {
            let volume = random.index(2);
            let client = site.client(volume).await;
            assert_eq!(client.export().size, VOLUME_BYTES);
            let mut writes = tokio::task::JoinSet::new();
            // Distinct areas, because the client does not say which of two overlapping writes won.
            for area in 0..40_u64 {
                let offset = area * 200 * 1024 + random.below(16) * 512;
                let length = (1 + random.below(300)) * 512;
                let data = vec![random.below(255) as u8 + 1; length as usize];
                model[volume][offset as usize..][..length as usize].copy_from_slice(&data);
                let (client, fua) = (client.clone(), random.below(8) == 0);
                writes.spawn(async move { client.write(offset, Bytes::from(data), fua).await });
            }
            while let Some(written) = writes.join_next().await {
                written.unwrap().unwrap();
            }
            if round % 3 == 0 {
                client.flush().await.unwrap();
            }
            let read = client.read(0, 4 << 20).await.unwrap();
            assert!(read[..] == model[volume][..4 << 20]);
            client.disconnect().await.unwrap();
        }
        until(&mut group, is_continuous).await;
        until(&mut group, |status| {
            status.tap.settled == status.tap.sequenced
        })
        .await;
        let mut items = group.feed.take().unwrap().items;
        assert_eq!(close(group).await, Closed { clean: true });
        let mut replica = vec![vec![0; VOLUME_BYTES as usize]; 2];
        replay(&mut items, &mut replica);
        for volume in 0..2 {
            assert!(
                site.contents(volume) == model[volume],
                "{engine:?} disk {volume}"
            );
            assert!(
                replica[volume] == model[volume],
                "{engine:?} replica {volume}"
            );
            assert!(!site.socket(volume).exists());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_leaves_nothing_to_read_again_and_a_foreign_write_does() {
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let client = site.client(0).await;
    client
        .write(0, Bytes::from(vec![7; 4096]), false)
        .await
        .unwrap();
    until(&mut group, is_continuous).await;
    assert!(close(group).await.clean);
    let mut group = site.start();
    until(&mut group, is_continuous).await;
    assert_eq!(group.status.borrow().as_ref().unwrap().start.sync, None);
    assert!(close(group).await.clean);
    // Until the time stamp of the file has moved on.
    let path = &site.config.groups[0].volumes[0].path;
    let stamp = || std::fs::metadata(path).unwrap().modified().unwrap();
    let before = stamp();
    while stamp() == before {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .write_all_at(&[9; 512], 512)
            .unwrap();
    }
    let group = site.start();
    let start = group.status.borrow().as_ref().unwrap().start;
    assert!(start.reads_everything(), "{start:?}");
    close(group).await;
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_our_own_writes_are_no_doubt_and_a_foreign_one_is() {
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    until(&mut group, is_continuous).await;
    let client = site.client(0).await;
    client
        .write(0, Bytes::from(vec![7; 4096]), true)
        .await
        .unwrap();
    // The status is shown after the look at the backings, in each tick.
    for _ in 0..3 {
        group.status.borrow_and_update();
        group.status.changed().await.unwrap();
    }
    // What a kill now would leave is put back after the orderly end.
    let killed = site.directory.path().join("killed");
    copy_directory(&site.config.state_directory, &killed);
    close(group).await;
    let put_back = || {
        std::fs::remove_dir_all(&site.config.state_directory).unwrap();
        copy_directory(&killed, &site.config.state_directory);
    };
    put_back();
    let group = site.start();
    let start = group.status.borrow().as_ref().unwrap().start;
    let reason = start.sync.unwrap().reason;
    assert_eq!(reason, bcdr_format::sync::SyncReason::Killed);
    assert!(!start.reads_everything(), "{start:?}");
    close(group).await;
    put_back();
    let path = &site.config.groups[0].volumes[0].path;
    let stamp = || std::fs::metadata(path).unwrap().modified().unwrap();
    let before = stamp();
    while stamp() == before {
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(&[9; 512], 512).unwrap();
    }
    let group = site.start();
    let start = group.status.borrow().as_ref().unwrap().start;
    assert!(start.reads_everything(), "{start:?}");
    close(group).await;
}

/// A life whose records fill more than a segment, as if it was killed before any of them was
/// settled: the next start has to read them all.
fn leave_unsettled_segments(site: &Site, directory: &Path) {
    use crate::{
        Payload, StreamBody, StreamRecord,
        journal::{Journal, JournalIdentity, JournalSettings},
        start::IncarnationStart,
    };
    use bcdr_format::{IncarnationId, Opening, Sequence, Timestamp, VolumeNumber};
    let group = &site.config.groups[0];
    let identity = JournalIdentity {
        group: group.id,
        stream: group.stream,
    };
    let settings = JournalSettings {
        segment_bytes: group.journal.segment_bytes,
        segments_max: group.journal.segments,
        ..JournalSettings::default()
    };
    let storage = Arc::new(bcdr_disk::RealStorage::new());
    let (mut journal, recovered) =
        Journal::recover(storage, directory, identity, settings).unwrap();
    let first = recovered.last_sequence.next();
    let opening = Opening {
        ordinal: recovered.newest.unwrap().opening.ordinal.next(),
        id: IncarnationId::from_u128(77),
        continues: recovered.settled,
        first,
    };
    let start = IncarnationStart {
        opening,
        sync: None,
    };
    journal.open(start).unwrap();
    for index in 0..40 {
        let range = bcdr_format::record::VolumeRange {
            volume: VolumeNumber(0),
            offset: 0,
            length: 1 << 20,
        };
        let payload = Payload::zeroed(1 << 20);
        let record = StreamRecord {
            sequence: Sequence(first.0 + index),
            captured_at: Timestamp(1),
            body: StreamBody::Data { range, payload },
        };
        let record = Arc::new(record);
        journal.append(&[record], None, None).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_put_aside_and_everything_compared() {
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let client = site.client(0).await;
    client
        .write(0, Bytes::from(vec![7; 4096]), false)
        .await
        .unwrap();
    until(&mut group, is_continuous).await;
    assert!(close(group).await.clean);
    let directory = site.config.journal_directory(&site.config.groups[0]);
    leave_unsettled_segments(&site, &directory);
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(&[0xff; 4096], 4096).unwrap();
    }
    let mut group = site.start();
    let start = group.status.borrow().as_ref().unwrap().start;
    assert!(start.reads_everything(), "{start:?}");
    assert!(directory.with_extension("damaged").exists());
    let client = site.client(0).await;
    assert_eq!(client.read(0, 4096).await.unwrap()[..], [7; 4096]);
    until(&mut group, is_continuous).await;
    close(group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_see_each_other_and_a_dead_one_leaks_nothing() {
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let (first, second) = (site.client(0).await, site.client(0).await);
    assert!(first.export().can_multi_connection());
    first
        .write(0, Bytes::from(vec![1; 4096]), false)
        .await
        .unwrap();
    assert_eq!(second.read(0, 4096).await.unwrap()[..], [1; 4096]);
    second.flush().await.unwrap();
    until(&mut group, |status| status.clients == 2).await;
    // Requests under way when their client dies are carried out all the same.
    let dying = (0..64).map(|index| {
        let first = first.clone();
        tokio::spawn(async move {
            first
                .write(index * 65536, Bytes::from(vec![2; 65536]), false)
                .await
        })
    });
    dying
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|task| task.abort());
    drop(first);
    until(&mut group, |status| {
        status.clients == 1 && status.requests == 0
    })
    .await;
    second.disconnect().await.unwrap();
    until(&mut group, |status| status.clients == 0).await;
    close(group).await;
}

/// A client that asks for much and takes nothing is not heard further, and others do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_held_back() {
    use std::io::Write as _;
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let greedy = site.client(0).await;
    let mut raw = bcdr_nbd::connect_unix(site.socket(0)).unwrap();
    // Client flags, then EXPORT_NAME of the default export, then reads without end.
    raw.write_all(&3_u32.to_be_bytes()).unwrap();
    raw.write_all(&0x4948_4156_454f_5054_u64.to_be_bytes())
        .unwrap();
    raw.write_all(&[0, 0, 0, 1, 0, 0, 0, 0]).unwrap();
    raw.set_nonblocking(true).unwrap();
    let mut read = Vec::new();
    read.extend_from_slice(&0x2560_9513_u32.to_be_bytes());
    read.extend_from_slice(&[0; 4 + 8 + 8]);
    read.extend_from_slice(&(1_u32 << 20).to_be_bytes());
    let mut accepted = 0;
    loop {
        match raw.write(&read) {
            Ok(count) => accepted += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let held = group.status.borrow().as_ref().unwrap().requests;
                assert!(held <= connection::REQUESTS_MAX, "{held}");
                // Nothing more is taken although nothing is being worked on: it is held back.
                if held == 0 && accepted > 100 * read.len() {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
        until(&mut group, |_| true).await;
        assert!(accepted < 64 << 20, "everything is taken");
    }
    greedy
        .write(0, Bytes::from(vec![3; 512]), true)
        .await
        .unwrap();
    drop(raw);
    until(&mut group, |status| status.clients == 1).await;
    close(group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeroes_trims_and_bad_requests_over_a_raw_session() {
    let site = Site::new(Engine::Auto, 1);
    let mut group = site.start();
    let client = site.client(0).await;
    client
        .write(0, Bytes::from(vec![5; 1 << 20]), false)
        .await
        .unwrap();
    let mut raw = RawSession::enter(site.socket(0));
    // WRITE_ZEROES, TRIM, an unaligned read, a write past the end, an unknown command.
    assert_eq!(raw.ask(6, 4096, 8192, &[]), 0);
    assert_eq!(raw.ask(4, 65536, 65536, &[]), 0);
    assert_eq!(raw.ask(0, 100, 512, &[]), 22);
    assert_eq!(raw.ask(1, VOLUME_BYTES, 512, &[0; 512]), 28);
    assert_eq!(raw.ask(77, 0, 0, &[]), 22);
    assert_eq!(raw.ask(3, 0, 0, &[]), 0);
    let read = client.read(0, 1 << 20).await.unwrap();
    assert!(read[..4096].iter().all(|byte| *byte == 5));
    assert!(read[4096..12288].iter().all(|byte| *byte == 0));
    let trimmed = &read[65536..131_072];
    assert!(trimmed.iter().all(|byte| *byte == 0) || trimmed.iter().all(|byte| *byte == 5));
    until(&mut group, is_continuous).await;
    let mut items = group.feed.take().unwrap().items;
    close(group).await;
    let mut replica = vec![vec![0; VOLUME_BYTES as usize]];
    replay(&mut items, &mut replica);
    assert!(site.contents(0) == replica[0]);
    assert!(site.directory.path().exists());
}
