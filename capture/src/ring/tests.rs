//! Both twins through the same tests.

use std::{
    collections::HashMap,
    fs::File,
    os::{
        fd::OwnedFd,
        unix::{fs::FileExt as _, net::UnixStream},
    },
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bcdr_disk::{AlignedBuffer, SeededRandom};

use super::*;

const TWINS: [Engine; 2] = [Engine::Syscall, Engine::IoUring];
const UNIT: u64 = 4096;

struct Site {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn site(bytes: u64) -> Site {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    File::create(&path).unwrap().set_len(bytes).unwrap();
    Site {
        _directory: directory,
        path,
    }
}

fn wait_for(
    ring: &mut dyn Ring,
    count: usize,
) -> HashMap<Token, io::Result<Option<AlignedBuffer>>> {
    let mut results = HashMap::new();
    let mut completions = Vec::new();
    while results.len() < count {
        ring.wait(None, &mut completions).unwrap();
        for completion in completions.drain(..) {
            if let Completion::Operation { token, result } = completion {
                assert!(
                    results.insert(token, result).is_none(),
                    "{token:?} completed twice"
                );
            }
        }
    }
    results
}

/// Batches of operations on distinct blocks, then a comparison with a model.
#[test]
fn random_operations_match_a_model() {
    for engine in TWINS {
        let seed = 0x5eed_0001;
        println!("{engine:?}, seed {seed:#x}");
        let mut random = SeededRandom::new(seed);
        let blocks = 256_u64;
        let site = site(blocks * UNIT);
        let waker = Waker::new().unwrap();
        let mut ring = open(engine, &waker).unwrap();
        let backing = Arc::new(Backing::open(&site.path).unwrap());
        let slot = ring.register(Arc::clone(&backing)).unwrap();
        let mut model = vec![0_u8; (blocks * UNIT) as usize];
        let mut serial = 0_u64;
        for _ in 0..60 {
            let mut expected: HashMap<Token, Option<std::ops::Range<usize>>> = HashMap::new();
            let mut block = 0;
            while block < blocks {
                let count = 1 + random.below(8).min(blocks - block - 1);
                let (offset, length) = (block * UNIT, (count * UNIT) as usize);
                let range = offset as usize..offset as usize + length;
                block += count;
                let token = Token(serial);
                serial += 1;
                match random.below(10) {
                    0..4 => {
                        let mut buffer = AlignedBuffer::zeroed(length);
                        buffer.fill(1 + random.below(255) as u8);
                        model[range].copy_from_slice(&buffer);
                        let payload = Payload::from_buffer(buffer);
                        ring.submit(
                            token,
                            Operation::Write {
                                backing: slot,
                                offset,
                                payload,
                            },
                        );
                        expected.insert(token, None);
                    }
                    4..7 => {
                        let buffer = AlignedBuffer::zeroed(length);
                        ring.submit(
                            token,
                            Operation::Read {
                                backing: slot,
                                offset,
                                buffer,
                            },
                        );
                        expected.insert(token, Some(range));
                    }
                    7 if backing.trims() => {
                        model[range].fill(0);
                        let (length, unmap) = (length as u64, true);
                        ring.submit(
                            token,
                            Operation::Zero {
                                backing: slot,
                                offset,
                                length,
                                unmap,
                            },
                        );
                        expected.insert(token, None);
                    }
                    8 => {
                        ring.submit(token, Operation::Sync { backing: slot });
                        expected.insert(token, None);
                    }
                    _ => {}
                }
            }
            assert_eq!(ring.in_flight(), expected.len());
            for (token, result) in wait_for(&mut *ring, expected.len()) {
                let buffer = result.unwrap();
                if let Some(range) = &expected[&token] {
                    assert!(
                        *buffer.unwrap() == model[range.clone()],
                        "{engine:?} {range:?}"
                    );
                }
            }
            assert_eq!(ring.in_flight(), 0);
        }
        drop(ring);
        let mut contents = vec![0; model.len()];
        File::open(&site.path)
            .unwrap()
            .read_exact_at(&mut contents, 0)
            .unwrap();
        assert!(contents == model, "{engine:?}");
    }
}

#[test]
fn more_than_the_kernel_takes_is_queued() {
    for engine in TWINS {
        let site = site(64 * UNIT);
        let waker = Waker::new().unwrap();
        let mut ring = open(engine, &waker).unwrap();
        let backing = ring
            .register(Arc::new(Backing::open(&site.path).unwrap()))
            .unwrap();
        for number in 0..6000 {
            let buffer = AlignedBuffer::zeroed(UNIT as usize);
            let offset = number % 64 * UNIT;
            ring.submit(
                Token(number),
                Operation::Read {
                    backing,
                    offset,
                    buffer,
                },
            );
        }
        let results = wait_for(&mut *ring, 6000);
        assert!(
            results.into_values().all(|result| result.is_ok()),
            "{engine:?}"
        );
    }
}

#[test]
fn a_range_beyond_the_end_is_an_error_not_a_short_read() {
    for engine in TWINS {
        let site = site(4 * UNIT);
        let waker = Waker::new().unwrap();
        let mut ring = open(engine, &waker).unwrap();
        let backing = ring
            .register(Arc::new(Backing::open(&site.path).unwrap()))
            .unwrap();
        let buffer = AlignedBuffer::zeroed(4 * UNIT as usize);
        ring.submit(
            Token(1),
            Operation::Read {
                backing,
                offset: 2 * UNIT,
                buffer,
            },
        );
        let result = wait_for(&mut *ring, 1).remove(&Token(1)).unwrap();
        assert_eq!(
            result.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof,
            "{engine:?}"
        );
    }
}

#[test]
fn sockets_wakes_and_time_are_reported() {
    for engine in TWINS {
        let waker = Waker::new().unwrap();
        let mut ring = open(engine, &waker).unwrap();
        let mut completions = Vec::new();
        ring.wait(Some(Duration::from_millis(1)), &mut completions)
            .unwrap();
        assert!(completions.is_empty(), "{engine:?}");

        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = Arc::new(OwnedFd::from(ours));
        ring.watch(WatchKey(1), Arc::clone(&socket), Interest::Readable);
        ring.watch(WatchKey(2), Arc::clone(&socket), Interest::Writable);
        ring.wait(None, &mut completions).unwrap();
        assert!(
            matches!(completions[..], [Completion::Ready(WatchKey(2))]),
            "{completions:?}"
        );
        completions.clear();
        io::Write::write_all(&mut &theirs, b"x").unwrap();
        ring.wait(None, &mut completions).unwrap();
        assert!(
            matches!(completions[..], [Completion::Ready(WatchKey(1))]),
            "{completions:?}"
        );
        completions.clear();

        // A watch that was taken back says nothing, and lets go of its socket.
        rustix::io::read(&socket, &mut [0_u8; 1]).unwrap();
        ring.watch(WatchKey(3), Arc::clone(&socket), Interest::Readable);
        ring.wait(Some(Duration::ZERO), &mut completions).unwrap();
        ring.unwatch(WatchKey(3));
        drop(theirs);
        for _ in 0..10 {
            ring.wait(Some(Duration::from_millis(1)), &mut completions)
                .unwrap();
        }
        assert!(completions.is_empty(), "{completions:?}");
        assert_eq!(Arc::strong_count(&socket), 1, "{engine:?}");

        // A hang-up counts as readable.
        ring.watch(WatchKey(4), socket, Interest::Readable);
        ring.wait(None, &mut completions).unwrap();
        assert!(
            matches!(completions[..], [Completion::Ready(WatchKey(4))]),
            "{completions:?}"
        );
        completions.clear();

        let thread = std::thread::spawn({
            let waker = waker.clone();
            move || (0..1000).for_each(|_| waker.wake())
        });
        while completions.is_empty() {
            ring.wait(None, &mut completions).unwrap();
        }
        thread.join().unwrap();
        assert!(
            completions
                .iter()
                .all(|one| matches!(one, Completion::Woken)),
            "{completions:?}"
        );
    }
}

#[test]
fn no_wake_is_lost() {
    for engine in TWINS {
        let waker = Waker::new().unwrap();
        let mut ring = open(engine, &waker).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let waker = waker.clone();
            move || {
                for number in 0..20_000 {
                    sender.send(number).unwrap();
                    waker.wake();
                }
            }
        });
        let mut heard = 0;
        let mut completions = Vec::new();
        while heard < 20_000 {
            ring.wait(None, &mut completions).unwrap();
            if completions
                .drain(..)
                .any(|one| matches!(one, Completion::Woken))
            {
                while receiver.try_recv().is_ok() {
                    heard += 1;
                }
            }
        }
        thread.join().unwrap();
    }
}

#[test]
fn a_ring_that_is_dropped_ends_its_io_and_unlocks() {
    for engine in TWINS {
        let site = site(256 * UNIT);
        let waker = Waker::new().unwrap();
        let mut ring = open(engine, &waker).unwrap();
        let backing = crate::volume::open("v", &site.path, Duration::ZERO).unwrap();
        let slot = ring.register(backing).unwrap();
        for number in 0..200 {
            let payload = Payload::zeroed(UNIT as usize);
            let offset = number * UNIT;
            ring.submit(
                Token(number),
                Operation::Write {
                    backing: slot,
                    offset,
                    payload,
                },
            );
        }
        ring.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
        drop(ring);
        // The kernel lets go of registered files shortly after the ring is closed.
        crate::volume::open("v", &site.path, Duration::from_secs(30)).unwrap();
    }
}
