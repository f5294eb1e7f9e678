use super::{
    VOLUME,
    world::{SIZE, World, contents, contents_of_branch},
};
use crate::branch::exports::{ExportedVolume, serve_branch, socket_path};
use bcdr_format::VolumeNumber;
use bcdr_nbd::{
    Allocation,
    client::{Client, ClientOptions},
};
use bytes::Bytes;
use std::os::unix::fs::PermissionsExt;

fn volumes() -> Vec<ExportedVolume> {
    [(0, "root"), (1, "data")]
        .map(|(number, name)| ExportedVolume {
            number: VolumeNumber(number),
            name: name.to_owned(),
        })
        .to_vec()
}

async fn client(socket: &std::path::Path, name: &str) -> Client {
    Client::connect(socket, name, ClientOptions::default())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_write_any_bytes_and_what_they_wrote_outlives_the_process() {
    let world = World::new(21, 8);
    let process = world.start().unwrap();
    let branch = process.branch_at(7);
    let directory = tempfile::tempdir().unwrap();
    let socket = socket_path(directory.path(), branch.id());
    let served = serve_branch(&branch, &socket, &volumes()).unwrap();
    assert!(served.uri("data").starts_with("nbd+unix:///data?socket=/"));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut model = contents(&world.history.images[7]);
    let root = client(&socket, "root").await;
    assert_eq!(root.export().size, SIZE);
    assert!(!root.export().is_read_only());
    let writes: [(usize, usize); 6] = [
        (0, 4096),
        (700, 1000),
        (5000, 24),
        (511, 2),
        (9000, 512),
        (SIZE as usize - 3, 3),
    ];
    for (place, (offset, length)) in writes.into_iter().enumerate() {
        let bytes: Vec<u8> = (0..length).map(|n| (n + place) as u8 | 1).collect();
        model[0][offset..offset + length].copy_from_slice(&bytes);
        let written = root.write(offset as u64, Bytes::from(bytes), place == 3);
        written.await.unwrap();
    }
    let zeroes: [(usize, usize); 4] = [(1000, 20), (2000, 3000), (1536, 512), (8190, 515)];
    for (offset, length) in zeroes {
        model[0][offset..offset + length].fill(0);
        root.write_zeroes(offset as u64, length as u32, false, false)
            .await
            .unwrap();
    }
    model[0][16_384..24_576].fill(0);
    root.trim(16_384, 8192, false).await.unwrap();
    let found = root.read(0, SIZE as u32).await.unwrap();
    assert!(found == model[0]);
    let status = root.block_status(16_384, 8192).await.unwrap();
    assert_eq!(status[0].allocation, Allocation::HOLE);
    // The first volume is the default export, and connections see each other's writes.
    let other = client(&socket, "").await;
    assert!(other.read(0, SIZE as u32).await.unwrap() == model[0]);
    root.flush().await.unwrap();
    let data = client(&socket, "data").await;
    data.write(100, Bytes::from_static(b"not flushed"), false)
        .await
        .unwrap();
    model[1][100..111].copy_from_slice(b"not flushed");
    assert!(
        root.write(SIZE - 1, vec![1; 2].into(), false)
            .await
            .is_err()
    );

    let id = branch.id();
    served.stop().await.unwrap();
    assert!(!socket.exists());
    drop(branch);
    tokio::task::spawn_blocking(move || {
        world.power_cut(Some(process));
        let process = world.start().unwrap();
        let branch = process.branches.get(id).unwrap();
        assert!(contents_of_branch(&branch) == model);
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_to_parts_of_one_sector_do_not_lose_each_other() {
    let world = World::new(22, 8);
    let process = world.start().unwrap();
    let branch = process.branch_at(7);
    let directory = tempfile::tempdir().unwrap();
    let socket = socket_path(directory.path(), branch.id());
    let served = serve_branch(&branch, &socket, &volumes()).unwrap();
    let mut writers = Vec::new();
    for part in 0..8_u8 {
        let client = client(&socket, "root").await;
        writers.push(tokio::spawn(async move {
            for round in 0..40_u8 {
                let bytes = Bytes::from(vec![round.wrapping_mul(8) + part; 128]);
                client
                    .write(u64::from(part) * 128, bytes, false)
                    .await
                    .unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let found = branch.read(VOLUME, 0, 1024).unwrap();
    for (part, bytes) in found.chunks_exact(128).enumerate() {
        let last = 39_u8.wrapping_mul(8) + part as u8;
        assert!(bytes.iter().all(|byte| *byte == last), "part {part}");
    }
    served.stop().await.unwrap();
}
