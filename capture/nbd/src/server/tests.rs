//! The shell over real sockets, driven by our own client and by raw bytes.

mod writable;

use std::collections::BTreeMap;
use std::future::pending;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::client::{Client, ClientError, ClientOptions, NegotiationError};
use crate::export::Allocation;

const SIZE: u64 = 1 << 20;

fn content(offset: u64, length: u32) -> Vec<u8> {
    (offset..offset + u64::from(length))
        .map(|place| (place * 7 / 3) as u8)
        .collect()
}

/// Readable everywhere but in its last block, which fails; its second quarter is a hole.
struct Pattern {
    unit: u32,
    busy: AtomicUsize,
    busiest: AtomicUsize,
}

impl Pattern {
    fn new(unit: u32) -> Self {
        Self {
            unit,
            busy: AtomicUsize::new(0),
            busiest: AtomicUsize::new(0),
        }
    }
}

impl ReadExport for Pattern {
    fn size(&self) -> u64 {
        SIZE
    }

    fn description(&self) -> String {
        "a pattern".to_owned()
    }

    fn unit(&self) -> u32 {
        self.unit
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes, NbdError> {
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.busiest.fetch_max(busy, Ordering::SeqCst);
        assert!(offset.is_multiple_of(u64::from(self.unit)), "not widened");
        assert!(length.is_multiple_of(self.unit), "not widened");
        let result = if offset + u64::from(length) > SIZE - 4096 {
            Err(NbdError::Io)
        } else {
            Ok(content(offset, length).into())
        };
        self.busy.fetch_sub(1, Ordering::SeqCst);
        result
    }

    fn block_status(&self, offset: u64, _: u32, limit: usize) -> Result<Vec<Extent>, NbdError> {
        let quarter = SIZE / 4;
        let mut extents = Vec::new();
        let mut begin = offset;
        while begin < SIZE && extents.len() < limit {
            let end = (begin / quarter + 1) * quarter;
            let hole = begin / quarter == 1;
            let allocation = if hole {
                Allocation::HOLE
            } else {
                Allocation::DATA
            };
            extents.push(Extent {
                length: end - begin,
                allocation,
            });
            begin = end;
        }
        Ok(extents)
    }
}

/// Waits in every read until it is let go.
#[derive(Default)]
struct Gate {
    waiting: AtomicUsize,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl ReadExport for Gate {
    fn size(&self) -> u64 {
        SIZE
    }

    fn read(&self, _: u64, length: u32) -> Result<Bytes, NbdError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.open.lock().unwrap();
        drop(self.opened.wait_while(guard, |open| !*open).unwrap());
        Ok(vec![1; length as usize].into())
    }

    fn block_status(&self, _: u64, _: u32, _: usize) -> Result<Vec<Extent>, NbdError> {
        panic!("this export is broken");
    }
}

type Exports = BTreeMap<String, ServedExport>;

impl ViewExports for Exports {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<(String, ServedExport)> {
        let (name, export) = if name.is_empty() {
            self.first_key_value()
        } else {
            self.get_key_value(name)
        }?;
        Some((name.clone(), export.clone()))
    }
}

struct Server {
    _directory: TempDir,
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start(exports: Exports, limits: Limits) -> Self {
        Self::with(Arc::new(exports), limits)
    }

    fn with(exports: Arc<dyn ViewExports>, limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("views.sock");
        let socket = PrivateSocket::bind(&path).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(socket, exports, limits, async {
            if stopped.await.is_err() {
                pending::<()>().await;
            }
        }));
        Self {
            _directory: directory,
            path,
            stop: Some(stop),
            task,
        }
    }

    fn one(export: Arc<dyn ReadExport>, limits: Limits) -> Self {
        let export = ServedExport::ReadOnly(export);
        Self::start(Exports::from([("view".to_owned(), export)]), limits)
    }

    async fn client(&self) -> Client {
        Client::connect(&self.path, "view", ClientOptions::default())
            .await
            .unwrap()
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

#[tokio::test]
async fn reads_are_exact_for_all_clients() {
    for unit in [1, 512, 4096] {
        let server = Server::one(Arc::new(Pattern::new(unit)), Limits::default());
        for structured in [true, false] {
            let options = ClientOptions {
                structured,
                ..ClientOptions::default()
            };
            let client = Client::connect(&server.path, "view", options)
                .await
                .unwrap();
            assert_eq!(client.export().size, SIZE);
            assert_eq!(client.export().is_structured(), structured);
            assert_eq!(client.export().has_block_status(), structured);
            assert!(client.export().is_read_only() && client.export().can_multi_connection());
            for (offset, length) in [(0, 4096), (1, 1), (4095, 2), (777, 300_000)] {
                let data = client.read(offset, length).await.unwrap();
                assert_eq!(data, content(offset, length));
            }
            assert_eq!(client.read(5, 0).await.unwrap(), Bytes::new());
            let refused = client.read(SIZE - 10, 10).await;
            let Err(ClientError::Refused {
                source: NbdError::Io,
                ..
            }) = refused
            else {
                panic!("{refused:?}");
            };
            client.disconnect().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_allocation_map_begins_where_it_was_asked() {
    let server = Server::one(Arc::new(Pattern::new(4096)), Limits::default());
    let client = server.client().await;
    let quarter = SIZE / 4;
    let all = client.block_status(0, SIZE as u32).await.unwrap();
    let expected = [
        Extent {
            length: quarter,
            allocation: Allocation::DATA,
        },
        Extent {
            length: quarter,
            allocation: Allocation::HOLE,
        },
        Extent {
            length: 2 * quarter,
            allocation: Allocation::DATA,
        },
    ];
    assert_eq!(all, expected);
    let odd = client.block_status(quarter + 1000, 5000).await.unwrap();
    assert_eq!(
        odd,
        [Extent {
            length: 5000,
            allocation: Allocation::HOLE
        }]
    );
}

#[tokio::test]
async fn many_reads_are_in_flight_but_not_too_many() {
    let export = Arc::new(Pattern::new(1));
    let limits = Limits {
        requests: 4,
        ..Limits::default()
    };
    let server = Server::one(Arc::<Pattern>::clone(&export), limits);
    let client = server.client().await;
    let ranges: Vec<_> = (0..300_u64).map(|index| (index * 3000, 2999)).collect();
    let data = client.read_many(&ranges).await.unwrap();
    for (data, (offset, length)) in data.iter().zip(ranges) {
        assert_eq!(*data, content(offset, length));
    }
    assert!(export.busiest.load(Ordering::SeqCst) <= 4);
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_but_one_request_always_fits() {
    let export = Arc::new(Pattern::new(1));
    let limits = Limits {
        bytes: 1000,
        ..Limits::default()
    };
    let server = Server::one(Arc::<Pattern>::clone(&export), limits);
    let client = server.client().await;
    let ranges = vec![(0, 100_000); 8];
    assert!(
        client
            .read_many(&ranges)
            .await
            .unwrap()
            .iter()
            .all(|data| data.len() == 100_000)
    );
    assert_eq!(export.busiest.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn impossible_requests_are_not_sent() {
    let server = Server::one(Arc::new(Pattern::new(1)), Limits::default());
    let client = server.client().await;
    for (offset, length) in [(SIZE, 1), (u64::MAX, 2), (0, (32 << 20) + 1)] {
        let result = client.read(offset, length).await;
        assert!(
            matches!(result, Err(ClientError::Impossible { .. })),
            "{result:?}"
        );
    }
    let write = client.write(0, Bytes::from_static(b"x"), false).await;
    assert!(
        matches!(write, Err(ClientError::Impossible { .. })),
        "{write:?}"
    );
    client.flush().await.unwrap();
}

#[tokio::test]
async fn unknown_exports_and_dead_sockets_have_clear_errors() {
    let server = Server::one(Arc::new(Pattern::new(1)), Limits::default());
    let options = ClientOptions::default();
    let error = Client::connect(&server.path, "nothing", options)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Negotiation {
                source: NegotiationError::Unknown,
                ..
            }
        ),
        "{error}"
    );
    let nowhere = server.path.with_file_name("nowhere");
    let error = Client::connect(&nowhere, "", options).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    // The default export is the first one.
    Client::connect(&server.path, "", options).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_finishes_what_was_begun() {
    let gate = Arc::new(Gate::default());
    let mut server = Server::one(Arc::<Gate>::clone(&gate), Limits::default());
    let client = server.client().await;
    let idle = server.client().await;
    let reader = client.clone();
    let read = tokio::spawn(async move { reader.read(0, 512).await });
    while gate.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.stop();
    // The socket goes first; this is also how we know that the shutdown has begun.
    while server.path.exists() {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(read.await.unwrap().unwrap(), vec![1; 512]);
    server.task.await.unwrap().unwrap();
    assert!(matches!(idle.read(0, 512).await, Err(ClientError::Lost(_))));
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_hold_a_shutdown() {
    let drain = Duration::from_millis(20);
    let mut server = Server::one(
        Arc::new(Pattern::new(1)),
        Limits {
            drain,
            ..Limits::default()
        },
    );
    let mut stream = negotiate_by_hand(&server.path).await;
    for cookie in 0..64_u64 {
        let mut request = 0x2560_9513_u32.to_be_bytes().to_vec();
        request.extend_from_slice(&[0; 4]);
        request.extend_from_slice(&cookie.to_be_bytes());
        request.extend_from_slice(&0_u64.to_be_bytes());
        request.extend_from_slice(&900_000_u32.to_be_bytes());
        stream.write_all(&request).await.unwrap();
    }
    server.stop();
    server.task.await.unwrap().unwrap();
}

/// Enters the default export by its old name; simple replies.
async fn negotiate_by_hand(path: &std::path::Path) -> UnixStream {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting).await.unwrap();
    stream.write_all(&[0, 0, 0, 3]).await.unwrap();
    stream
        .write_all(b"IHAVEOPT\0\0\0\x01\0\0\0\0")
        .await
        .unwrap();
    let mut export = [0; 10];
    stream.read_exact(&mut export).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_does_not_negotiate_is_closed() {
    let handshake = Duration::from_millis(20);
    let limits = Limits {
        handshake,
        ..Limits::default()
    };
    let server = Server::one(Arc::new(Pattern::new(1)), limits);
    let mut silent = UnixStream::connect(&server.path).await.unwrap();
    let mut received = Vec::new();
    silent.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), 18, "the greeting, then the end");
}

#[tokio::test]
async fn connections_are_bounded() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let server = Server::one(Arc::new(Pattern::new(1)), limits);
    let first = server.client().await;
    let second = server.client().await;
    let third = Client::connect(&server.path, "view", ClientOptions::default()).await;
    assert!(third.is_err());
    first.disconnect().await.unwrap();
    // The place is free as soon as the server has noticed.
    while Client::connect(&server.path, "view", ClientOptions::default())
        .await
        .is_err()
    {
        tokio::task::yield_now().await;
    }
    second.read(0, 1).await.unwrap();
}

#[tokio::test]
async fn a_panicking_export_ends_only_its_connection() {
    let gate = Arc::new(Gate::default());
    gate.open();
    let server = Server::one(gate, Limits::default());
    let victim = server.client().await;
    let other = server.client().await;
    let result = victim.block_status(0, 4096).await;
    assert!(matches!(result, Err(ClientError::Lost(_))), "{result:?}");
    assert!(matches!(victim.read(0, 1).await, Err(ClientError::Lost(_))));
    other.read(0, 1).await.unwrap();
}

#[tokio::test]
async fn noise_is_answered_by_the_end() {
    let server = Server::one(Arc::new(Pattern::new(1)), Limits::default());
    let mut stream = UnixStream::connect(&server.path).await.unwrap();
    stream.write_all(&[0xff; 4]).await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    server.client().await.read(0, 1).await.unwrap();
}
