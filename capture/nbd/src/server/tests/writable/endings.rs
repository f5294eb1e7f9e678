//! Writable exports under load and at the end of things: many at once, little memory, clients and
//! servers that go away.

use super::*;

/// Repeatable noise.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One client's work on every fourth piece of the export; what it must have left there.
async fn work(client: Client, place: u64, mut noise: Noise) -> Vec<(u64, Vec<u8>)> {
    let piece = 10_007;
    let mut left = Vec::new();
    for index in (place..SIZE / piece).step_by(4) {
        let begin = index * piece;
        let mut model = content(begin, piece as u32);
        for _ in 0..6 {
            let skip = noise.below(piece - 1);
            let length = 1 + noise.below(piece - skip);
            let range = &mut model[skip as usize..][..length as usize];
            let (offset, fua) = (begin + skip, noise.below(4) == 0);
            range.fill(0);
            match noise.below(4) {
                0 => client.trim(offset, length as u32, fua).await,
                1 => {
                    let may_unmap = noise.below(2) == 0;
                    client
                        .write_zeroes(offset, length as u32, may_unmap, fua)
                        .await
                }
                _ => {
                    range.fill(noise.below(256) as u8);
                    let data = Bytes::copy_from_slice(range);
                    client.write(offset, data, fua).await
                }
            }
            .unwrap();
            let read = client.read(begin, piece as u32).await.unwrap();
            assert!(read == model, "own writes are seen");
        }
        left.push((begin, model));
    }
    left
}

#[tokio::test]
async fn many_clients_write_at_once_in_little_room() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let disk = Disk::new(SIZE);
    let limits = Limits {
        bytes: 12_000,
        requests: 3,
        ..Limits::default()
    };
    let server = Server::writable(&disk, limits);
    let (first, second) = (server.client().await, server.client().await);
    let mut workers = JoinSet::new();
    for place in 0..4 {
        // Two on each connection.
        let client = if place % 2 == 0 { &first } else { &second };
        workers.spawn(work(client.clone(), place, Noise(seed + place)));
    }
    let mut model = content(0, SIZE as u32);
    while let Some(left) = workers.join_next().await {
        for (begin, bytes) in left.unwrap() {
            model[begin as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
    }
    second.flush().await.unwrap();
    assert!(disk.state().durable == model);
}

#[tokio::test]
async fn writes_under_way_are_bounded_but_one_always_fits() {
    for (bytes, length, most) in [(10_000, 3000, 9000), (1000, 200_000, 200_000)] {
        let disk = Disk::new(SIZE);
        let limits = Limits {
            bytes,
            ..Limits::default()
        };
        let server = Server::writable(&disk, limits);
        let (client, other) = (server.client().await, server.client().await);
        let held = disk.hold();
        let mut writes = JoinSet::new();
        for index in 0..5 {
            let client = client.clone();
            let data = letters(1 + index, length);
            let offset = u64::from(index) * length as u64;
            writes.spawn(async move { client.write(offset, data, false).await });
        }
        while disk.state().busy < most {
            tokio::task::yield_now().await;
        }
        // Time for more to come, if it were let in.
        for _ in 0..50 {
            other.read(0, 4096).await.unwrap();
        }
        drop(held);
        while let Some(write) = writes.join_next().await {
            write.unwrap().unwrap();
        }
        let state = disk.state();
        assert_eq!(state.busiest, most);
        for (index, written) in (1..=5).zip(state.bytes.chunks(length)) {
            assert!(written.iter().all(|byte| *byte == index));
        }
    }
}

#[tokio::test]
async fn a_shutdown_finishes_writes_that_were_begun() {
    let disk = Disk::new(SIZE);
    let mut server = Server::writable(&disk, Limits::default());
    let client = server.client().await;
    let held = disk.hold();
    let writer = client.clone();
    let write = tokio::spawn(async move { writer.write(0, letters(1, 10), true).await });
    disk.until_busy().await;
    server.stop();
    while server.path.exists() {
        tokio::task::yield_now().await;
    }
    drop(held);
    write.await.unwrap().unwrap();
    server.task.await.unwrap().unwrap();
    assert_eq!(disk.state().durable[..10], [1; 10]);
    let late = client.write(0, letters(2, 10), false).await;
    assert!(matches!(late, Err(ClientError::Lost(_))), "{late:?}");
}

#[tokio::test]
async fn a_write_that_is_slower_than_a_shutdown_is_still_waited_for() {
    let disk = Disk::new(SIZE);
    let limits = Limits {
        drain: Duration::from_millis(5),
        ..Limits::default()
    };
    let mut server = Server::writable(&disk, limits);
    let client = server.client().await;
    let held = disk.hold();
    let write = tokio::spawn(async move { client.write(0, letters(1, 10), true).await });
    disk.until_busy().await;
    server.stop();
    // The connection is given up, so its client gets no answer.
    let lost = write.await.unwrap();
    assert!(matches!(lost, Err(ClientError::Lost(_))), "{lost:?}");
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(
        !server.task.is_finished(),
        "the owner would take the export for quiet"
    );
    drop(held);
    server.task.await.unwrap().unwrap();
    let state = disk.state();
    assert_eq!(state.durable[..10], [1; 10], "carried out to its end");
}

#[tokio::test]
async fn requests_of_a_client_that_vanishes_are_done_or_not_done() {
    let disk = Disk::new(SIZE);
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let server = Server::writable(&disk, limits);
    let mut half = negotiate_by_hand(&server.path).await;
    let mut whole = negotiate_by_hand(&server.path).await;
    let held = disk.hold();
    let mut request = raw(command_code::WRITE, 1, 0, 1000);
    request.resize(request.len() + 1000, b'w');
    whole.write_all(&request).await.unwrap();
    let mut request = raw(command_code::WRITE, 1, 5000, 100_000);
    request.resize(request.len() + 60_000, b'h');
    half.write_all(&request).await.unwrap();
    disk.until_busy().await;
    drop((half, whole));
    drop(held);
    // Both places are free as soon as both connections have come to their ends.
    let connect = || Client::connect(&server.path, "view", ClientOptions::default());
    while let (Err(_), _) | (_, Err(_)) = tokio::join!(connect(), connect()) {
        tokio::task::yield_now().await;
    }
    let state = disk.state();
    let (offset, length) = (0, 1000);
    assert_eq!(state.calls, [Write { offset, length }]);
    assert_eq!(state.bytes[..1000], [b'w'; 1000]);
    assert!(state.bytes[1000..] == content(1000, SIZE as u32 - 1000));
}
