//! Sector-sized requests on a backing with larger units, on both twins.

use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

use bcdr_disk::SeededRandom;

use super::*;
use crate::ring::{self, Completion, Engine, Waker};

/// Runs one operation to its end.
fn run(queue: &mut BackingQueue, ring: &mut dyn Ring, action: BackingAction) -> BackingResult {
    let operation = BackingOperation {
        id: BackingId(7),
        volume: VolumeNumber(3),
        action,
    };
    if let Some((id, result)) = queue.begin(ring, operation) {
        assert_eq!(id, BackingId(7));
        return result;
    }
    loop {
        let mut completions = Vec::new();
        ring.wait(None, &mut completions).unwrap();
        for completion in completions {
            if let Completion::Operation { token, result } = completion
                && let Some((id, result)) = queue.complete(ring, token, result)
            {
                assert_eq!(id, BackingId(7));
                assert!(queue.is_idle());
                return result;
            }
        }
    }
}

#[test]
fn sectors_are_read_and_written_around_units() {
    for (engine, unit) in [
        (Engine::Syscall, 4096),
        (Engine::IoUring, 4096),
        (Engine::Syscall, 512),
    ] {
        let seed = 0x5eed_0002;
        println!("{engine:?}, unit {unit}, seed {seed:#x}");
        let mut random = SeededRandom::new(seed);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.img");
        let size = 128 * 4096_u64;
        let mut model: Vec<u8> = (0..size).map(|index| (index / 512) as u8).collect();
        let file = File::create(&path).unwrap();
        file.write_all_at(&model, 0).unwrap();
        let backing = Backing::open(&path).unwrap().with_unit(unit);
        let waker = Waker::new().unwrap();
        let mut ring = ring::open(engine, &waker).unwrap();
        let mut queue = BackingQueue::default();
        queue
            .add(&mut *ring, VolumeNumber(3), Arc::new(backing))
            .unwrap();
        for _ in 0..300 {
            let offset = random.below(size / 512) * 512;
            let length = ((1 + random.below(40)) * 512).min(size - offset);
            let range = offset as usize..(offset + length) as usize;
            if random.coin() {
                let fill = random.below(256) as u8;
                // Not at a page boundary, as a slice of a longer payload may be.
                let payload = Payload::copied_from(&vec![fill; length as usize + 512]);
                let payload = payload.slice(512..length as usize + 512);
                model[range].fill(fill);
                let result = run(
                    &mut queue,
                    &mut *ring,
                    BackingAction::Write { offset, payload },
                );
                assert_eq!(result, Ok(None));
            } else {
                let length = length as u32;
                let result = run(
                    &mut queue,
                    &mut *ring,
                    BackingAction::Read { offset, length },
                );
                assert!(
                    *result.unwrap().unwrap() == model[range],
                    "{offset} {length}"
                );
            }
        }
        drop(ring);
        let mut contents = vec![0; model.len()];
        File::open(&path)
            .unwrap()
            .read_exact_at(&mut contents, 0)
            .unwrap();
        assert!(contents == model);
    }
}

#[test]
fn holes_are_reported_without_reading() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(8 << 20).unwrap();
    file.write_all_at(&[7; 4096], 5 << 20).unwrap();
    let waker = Waker::new().unwrap();
    let mut ring = ring::open(Engine::Syscall, &waker).unwrap();
    let mut queue = BackingQueue::default();
    let backing = Arc::new(Backing::open(&path).unwrap());
    queue.add(&mut *ring, VolumeNumber(3), backing).unwrap();
    let length = 1 << 20;
    let hole = run(
        &mut queue,
        &mut *ring,
        BackingAction::Read {
            offset: 4 << 20,
            length,
        },
    );
    assert_eq!(hole, Ok(None));
    let data = run(
        &mut queue,
        &mut *ring,
        BackingAction::Read {
            offset: 5 << 20,
            length,
        },
    );
    assert_eq!(data.unwrap().unwrap()[..4096], [7; 4096]);
}

/// A file system of small sectors on a backing of large units trims what it likes; that says
/// nothing about what the backing can do.
#[test]
fn zeroes_that_are_not_whole_units_are_written_at_the_edges() {
    for (engine, unmap) in [(Engine::Syscall, true), (Engine::IoUring, false)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.img");
        let mut model = vec![7; 64 << 10];
        File::create(&path)
            .unwrap()
            .write_all_at(&model, 0)
            .unwrap();
        let waker = Waker::new().unwrap();
        let mut ring = ring::open(engine, &waker).unwrap();
        let mut queue = BackingQueue::default();
        let backing = Arc::new(Backing::open(&path).unwrap().with_unit(4096));
        queue.add(&mut *ring, VolumeNumber(3), backing).unwrap();
        // Inside one unit, up to its end, over two, whole ones with both edges, and with one.
        for (offset, length) in [
            (512, 512),
            (7680, 512),
            (11776, 1024),
            (17408, 15360),
            (40960, 9216),
        ] {
            let zero = BackingAction::Zero {
                offset,
                length,
                unmap,
            };
            assert_eq!(run(&mut queue, &mut *ring, zero), Ok(None));
            model[offset as usize..][..length as usize].fill(0);
            assert!(std::fs::read(&path).unwrap() == model, "{offset} {length}");
        }
    }
}

#[test]
fn what_cannot_be_done_is_said_so() {
    let waker = Waker::new().unwrap();
    let mut ring = ring::open(Engine::Syscall, &waker).unwrap();
    let mut queue = BackingQueue::default();
    let unknown = BackingOperation {
        id: BackingId(1),
        volume: VolumeNumber(9),
        action: BackingAction::Sync,
    };
    assert_eq!(
        queue.begin(&mut *ring, unknown),
        Some((BackingId(1), Err(BackingError::Io)))
    );
    let full = io::Error::from_raw_os_error(28);
    assert_eq!(
        classify(&Stage::Plain { edges: Vec::new() }, &full),
        BackingError::NoSpace
    );
}
