//! Writable exports: what the export is asked for, in which order, and what clients see of it.

mod endings;

use std::sync::{MutexGuard, PoisonError};

use super::*;
use crate::constants::command_code;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Write {
        offset: u64,
        length: usize,
    },
    Zeroes {
        offset: u64,
        length: u64,
        may_unmap: bool,
    },
    Flush,
}

use Call::{Flush, Write, Zeroes};

struct State {
    bytes: Vec<u8>,
    /// The bytes as they were at the last flush.
    durable: Vec<u8>,
    /// What was done, in the order of its ends.
    calls: Vec<Call>,
    /// Writes wait before they do anything.
    held: bool,
    /// Bytes of the writes that have begun and not ended.
    busy: usize,
    busiest: usize,
    refusal: Option<NbdError>,
    flush_refusal: Option<NbdError>,
}

/// A disk in memory that remembers what was asked of it.
struct Disk {
    state: Mutex<State>,
    let_go: Condvar,
}

impl Disk {
    fn new(size: u64) -> Arc<Self> {
        let state = State {
            bytes: content(0, size as u32),
            durable: content(0, size as u32),
            calls: Vec::new(),
            held: false,
            busy: 0,
            busiest: 0,
            refusal: None,
            flush_refusal: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            let_go: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Lets all writes wait, as long as the answer lives.
    fn hold(self: &Arc<Self>) -> Held {
        self.state().held = true;
        Held(Arc::clone(self))
    }

    async fn until_busy(&self) {
        while self.state().busy == 0 {
            tokio::task::yield_now().await;
        }
    }

    fn change(
        &self,
        offset: u64,
        length: usize,
        call: Call,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), NbdError> {
        let mut state = self.state();
        state.busy += length;
        state.busiest = state.busiest.max(state.busy);
        let mut state = self.let_go.wait_while(state, |state| state.held).unwrap();
        state.busy -= length;
        if let Some(error) = state.refusal {
            return Err(error);
        }
        fill(&mut state.bytes[offset as usize..][..length]);
        state.calls.push(call);
        Ok(())
    }
}

/// Writes wait. Dropped when a test fails, too: its runtime would wait for them for ever.
struct Held(Arc<Disk>);

impl Drop for Held {
    fn drop(&mut self) {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).held = false;
        self.0.let_go.notify_all();
    }
}

impl ReadExport for Disk {
    fn size(&self) -> u64 {
        self.state().bytes.len() as u64
    }

    /// Reads are widened; writes must not be.
    fn unit(&self) -> u32 {
        4096
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes, NbdError> {
        let range = offset as usize..offset as usize + length as usize;
        Ok(Bytes::copy_from_slice(&self.state().bytes[range]))
    }

    fn block_status(&self, offset: u64, _: u32, _: usize) -> Result<Vec<Extent>, NbdError> {
        Ok(vec![Extent {
            length: self.size() - offset,
            allocation: Allocation::DATA,
        }])
    }
}

impl WriteExport for Disk {
    fn write(&self, offset: u64, data: Bytes) -> Result<(), NbdError> {
        let length = data.len();
        self.change(offset, length, Write { offset, length }, |range| {
            range.copy_from_slice(&data);
        })
    }

    fn write_zeroes(&self, offset: u64, length: u64, may_unmap: bool) -> Result<(), NbdError> {
        let call = Zeroes {
            offset,
            length,
            may_unmap,
        };
        self.change(offset, length as usize, call, |range| range.fill(0))
    }

    fn flush(&self) -> Result<(), NbdError> {
        let mut state = self.state();
        if let Some(error) = state.flush_refusal {
            return Err(error);
        }
        state.durable = state.bytes.clone();
        state.calls.push(Flush);
        Ok(())
    }
}

impl Server {
    fn writable(disk: &Arc<Disk>, limits: Limits) -> Self {
        let export = ServedExport::Writable(Arc::<Disk>::clone(disk));
        Self::start(Exports::from([("view".to_owned(), export)]), limits)
    }
}

fn letters(letter: u8, length: usize) -> Bytes {
    vec![letter; length].into()
}

/// One request as bytes; the payload comes after it.
fn raw(code: u16, cookie: u64, offset: u64, length: u32) -> Vec<u8> {
    let mut request = 0x2560_9513_u32.to_be_bytes().to_vec();
    request.extend_from_slice(&[0; 2]);
    request.extend_from_slice(&code.to_be_bytes());
    request.extend_from_slice(&cookie.to_be_bytes());
    request.extend_from_slice(&offset.to_be_bytes());
    request.extend_from_slice(&length.to_be_bytes());
    request
}

/// Sends a request with its payload and takes the number of the answer.
async fn answer(stream: &mut UnixStream, code: u16, offset: u64, length: u32) -> u32 {
    let mut request = raw(code, 77, offset, length);
    if code == command_code::WRITE {
        request.resize(request.len() + length as usize, b'x');
    }
    stream.write_all(&request).await.unwrap();
    assert_eq!(stream.read_u32().await.unwrap(), 0x6744_6698);
    let error = stream.read_u32().await.unwrap();
    assert_eq!(stream.read_u64().await.unwrap(), 77);
    error
}

#[tokio::test]
async fn what_is_written_is_read_by_all_clients_and_nothing_else_changes() {
    let disk = Disk::new(SIZE);
    let server = Server::writable(&disk, Limits::default());
    let other = server.client().await;
    let mut model = content(0, SIZE as u32);
    for structured in [true, false] {
        let options = ClientOptions {
            structured,
            ..ClientOptions::default()
        };
        let client = Client::connect(&server.path, "view", options)
            .await
            .unwrap();
        let export = client.export();
        assert!(!export.is_read_only() && export.can_multi_connection());
        assert!(export.can_flush() && export.can_fua());
        assert!(export.can_trim() && export.can_write_zeroes());
        for (letter, (offset, length)) in
            (b'a'..).zip([(0, 1), (4095, 2), (777, 300_000), (SIZE - 5, 5)])
        {
            let data = letters(letter + u8::from(structured) * 8, length);
            model[offset as usize..][..length].copy_from_slice(&data);
            client.write(offset, data, false).await.unwrap();
            let read = other.read(0, SIZE as u32).await.unwrap();
            assert!(read == model, "after a write of {length} at {offset}");
        }
        client.write(5, Bytes::new(), true).await.unwrap();
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn zeroes_and_trims_read_as_zeroes_whatever_their_length() {
    let size = 40 << 20;
    let disk = Disk::new(size);
    let server = Server::writable(&disk, Limits::default());
    let client = server.client().await;
    let long = 33 << 20;
    client.write_zeroes(3, long, true, false).await.unwrap();
    client
        .write_zeroes(34 << 20, 1000, false, false)
        .await
        .unwrap();
    client.trim((35 << 20) + 1, 8191, false).await.unwrap();
    let mut model = content(0, size as u32);
    for (offset, length) in [(3, long), (34 << 20, 1000), ((35 << 20) + 1, 8191)] {
        model[offset as usize..][..length as usize].fill(0);
    }
    let state = disk.state();
    assert!(state.bytes == model);
    let zeroes = |offset, length, may_unmap| Zeroes {
        offset,
        length,
        may_unmap,
    };
    let expected = [
        zeroes(3, long.into(), true),
        zeroes(34 << 20, 1000, false),
        zeroes((35 << 20) + 1, 8191, true),
    ];
    assert_eq!(state.calls, expected);
}

#[tokio::test]
async fn force_unit_access_is_the_work_and_then_a_flush() {
    let disk = Disk::new(SIZE);
    let server = Server::writable(&disk, Limits::default());
    let client = server.client().await;
    for fua in [false, true] {
        for number in 0..3 {
            disk.state().calls.clear();
            let offset = 100 * number;
            match number {
                0 => client.write(offset, letters(1, 10), fua).await,
                1 => client.write_zeroes(offset, 10, true, fua).await,
                _ => client.trim(offset, 10, fua).await,
            }
            .unwrap();
            let state = disk.state();
            assert_ne!(state.calls[0], Flush);
            assert_eq!(state.calls[1..], [Flush; 1][..usize::from(fua)]);
            assert_eq!(state.durable == state.bytes, fua, "request {number}");
        }
    }
}

#[tokio::test]
async fn a_flush_is_good_for_what_was_answered_on_any_connection() {
    let disk = Disk::new(SIZE);
    let server = Server::writable(&disk, Limits::default());
    let (first, second) = (server.client().await, server.client().await);
    first.write(0, letters(1, 10), false).await.unwrap();
    second.write(10, letters(2, 10), false).await.unwrap();
    second.flush().await.unwrap();
    let state = disk.state();
    assert_eq!(state.durable[..20], [[1; 10], [2; 10]].concat());
    assert_eq!(state.calls.last(), Some(&Flush));
}

#[tokio::test]
async fn a_flush_does_not_wait_for_what_is_not_answered() {
    let disk = Disk::new(SIZE);
    let server = Server::writable(&disk, Limits::default());
    let client = server.client().await;
    let held = disk.hold();
    let writer = client.clone();
    let write = tokio::spawn(async move { writer.write(0, letters(1, 10), true).await });
    disk.until_busy().await;
    client.flush().await.unwrap();
    assert_eq!(disk.state().calls, [Flush]);
    drop(held);
    write.await.unwrap().unwrap();
    let (offset, length) = (0, 10);
    let state = disk.state();
    assert_eq!(state.calls, [Flush, Write { offset, length }, Flush]);
}

#[tokio::test]
async fn errors_of_the_export_reach_the_client() {
    let disk = Disk::new(SIZE);
    let server = Server::writable(&disk, Limits::default());
    let client = server.client().await;
    let refused = |result: Result<(), ClientError>| match result {
        Err(ClientError::Refused { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    disk.state().refusal = Some(NbdError::NoSpace);
    let full = client.write(0, letters(1, 10), true).await;
    assert_eq!(refused(full), NbdError::NoSpace);
    assert_eq!(disk.state().calls, [], "a failed write was flushed");
    disk.state().refusal = Some(NbdError::NotSupported);
    let zeroes = client.write_zeroes(0, 10, true, false).await;
    assert_eq!(refused(zeroes), NbdError::Io, "only for fast zeroes");
    disk.state().refusal = None;
    disk.state().flush_refusal = Some(NbdError::Io);
    let forced = client.write(0, letters(1, 10), true).await;
    assert_eq!(refused(forced), NbdError::Io, "it is not durable");
    assert_eq!(refused(client.flush().await), NbdError::Io);
    client.write(0, letters(1, 10), false).await.unwrap();
}

#[tokio::test]
async fn writes_outside_have_no_space_and_the_connection_goes_on() {
    let disk = Disk::new(SIZE);
    let server = Server::writable(&disk, Limits::default());
    let mut stream = negotiate_by_hand(&server.path).await;
    for (offset, length) in [(SIZE - 10, 11), (SIZE, 1), (u64::MAX - 3, 50_000)] {
        let codes = [
            (command_code::WRITE, 28),
            (command_code::WRITE_ZEROES, 28),
            (command_code::TRIM, 22),
        ];
        for (code, expected) in codes {
            let error = answer(&mut stream, code, offset, length).await;
            assert_eq!(error, expected, "command {code} of {length} at {offset}");
        }
    }
    assert_eq!(disk.state().calls, []);
    let error = answer(&mut stream, command_code::WRITE, SIZE - 10, 10).await;
    assert_eq!(error, 0);
    assert_eq!(disk.state().bytes[SIZE as usize - 10..], [b'x'; 10]);
}

/// An export that can be written when it is looked at and only read when it is entered.
struct Closing(Arc<Disk>, AtomicUsize);

impl ViewExports for Closing {
    fn names(&self) -> Vec<String> {
        vec!["view".to_owned()]
    }

    fn find(&self, _: &str) -> Option<(String, ServedExport)> {
        let disk = Arc::clone(&self.0);
        let export = if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
            ServedExport::Writable(disk)
        } else {
            ServedExport::ReadOnly(disk)
        };
        Some(("view".to_owned(), export))
    }
}

#[tokio::test]
async fn read_only_exports_permit_no_change() {
    let disk = Disk::new(SIZE);
    let read_only = Server::one(Arc::<Disk>::clone(&disk), Limits::default());
    let closing = Closing(Arc::clone(&disk), AtomicUsize::new(0));
    let closing = Server::with(Arc::new(closing), Limits::default());
    for server in [read_only, closing] {
        let mut stream = negotiate_by_hand(&server.path).await;
        for code in [
            command_code::WRITE,
            command_code::WRITE_ZEROES,
            command_code::TRIM,
        ] {
            assert_eq!(answer(&mut stream, code, 0, 20_000).await, 1);
        }
    }
    assert_eq!(disk.state().calls, []);
}
