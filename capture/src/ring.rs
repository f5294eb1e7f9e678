//! The ring: backing I/O and readiness of sockets, for one thread that owns them all.
//!
//! [`Ring`] takes operations on registered backing files, holds their buffers until they are done,
//! and returns completions in whatever order they happen. Two twins keep the same contract:
//! [`uring`] over io_uring and [`syscall`] over plain calls on worker threads, which also serves
//! where a sandbox forbids io_uring. Invariants: an operation completes exactly once, wholly or
//! with an error, never short; its buffer is not touched after its completion; no number of
//! submitted operations overruns the kernel's queues.
//!
//! It decides no order: overlapping operations in flight have no order between them, and a sync
//! covers the writes that had completed when it was submitted. Ranges are whole units of the backing
//! ([`backing::Backing::unit`]); [`crate::backing_queue`] sees to that.

pub mod backing;
pub mod syscall;
pub mod uring;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bcdr_disk::AlignedBuffer;
use rustix::event::EventfdFlags;
use serde::{Deserialize, Serialize};

use crate::Payload;
use backing::Backing;

/// Names an operation; chosen by the submitter, unique among those in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// Names a watch; chosen by the watcher, never used twice in the life of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WatchKey(pub u64);

/// Names a registered backing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackingSlot(pub u32);

/// An operation on a backing. Offsets and lengths are bytes, in whole units of the backing; memory
/// is page aligned.
#[derive(Debug)]
pub enum Operation {
    /// Fill the buffer from `offset`.
    Read {
        /// Where to read.
        backing: BackingSlot,
        /// First byte.
        offset: u64,
        /// What to fill, and so how much to read.
        buffer: AlignedBuffer,
    },
    /// Write all the bytes at `offset`.
    Write {
        /// Where to write.
        backing: BackingSlot,
        /// First byte.
        offset: u64,
        /// What to write.
        payload: Payload,
    },
    /// Make a range read as zeroes.
    Zero {
        /// Where.
        backing: BackingSlot,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// Give the space back; otherwise it stays allocated.
        unmap: bool,
    },
    /// Make durable what was completed before. After one failure it fails for ever.
    Sync {
        /// What to sync.
        backing: BackingSlot,
    },
}

impl Operation {
    /// The backing it is for.
    #[must_use]
    pub const fn backing(&self) -> BackingSlot {
        match self {
            Self::Read { backing, .. }
            | Self::Write { backing, .. }
            | Self::Zero { backing, .. }
            | Self::Sync { backing } => *backing,
        }
    }
}

/// What to wait for on a socket. A hang-up or an error always counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something can be received or accepted.
    Readable,
    /// Something can be sent.
    Writable,
}

/// Something that happened.
#[derive(Debug)]
pub enum Completion {
    /// An operation is over; `Ok` carries the buffer of a read.
    Operation {
        /// Its name.
        token: Token,
        /// What came of it.
        result: io::Result<Option<AlignedBuffer>>,
    },
    /// A watched socket is ready. The watch is over.
    Ready(WatchKey),
    /// Somebody used the [`Waker`].
    Woken,
}

/// Backing I/O and readiness for one thread.
pub trait Ring {
    /// Adds a backing file for operations. It stays open as long as the ring.
    ///
    /// # Errors
    /// If the kernel refuses another file.
    fn register(&mut self, backing: Arc<Backing>) -> io::Result<BackingSlot>;

    /// Takes an operation. It begins at the latest in the next [`Ring::wait`], and waits its turn
    /// when too much is in flight.
    fn submit(&mut self, token: Token, operation: Operation);

    /// Reports once when a socket is ready, and keeps it open until then.
    fn watch(&mut self, key: WatchKey, socket: Arc<OwnedFd>, interest: Interest);

    /// Ends a watch; [`Completion::Ready`] for it never comes after this returned, unless it is
    /// already in the list of completions of the last wait.
    fn unwatch(&mut self, key: WatchKey);

    /// Operations taken and not completed.
    fn in_flight(&self) -> usize;

    /// Waits until something happens or the time is over, and adds what happened to `completions`.
    ///
    /// # Errors
    /// If the kernel fails in a way from which there is no going on.
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<()>;
}

/// Which twin to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// io_uring where it works, else plain calls with a warning.
    #[default]
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// Plain calls on worker threads.
    Syscall,
}

/// A ring could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// io_uring was asked for and is not to be had.
    #[error(
        "cannot set up io_uring: {source}; allow it (sysctl kernel.io_uring_disabled, seccomp, \
         locked memory) or set engine = \"syscall\""
    )]
    Uring {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The worker threads could not be started.
    #[error("cannot start the I/O threads: {source}; check the limits on threads and memory")]
    Threads {
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Makes a ring for the calling thread, which must be the one that uses it. `waker` wakes it.
///
/// # Errors
/// If the chosen twin cannot be had.
pub fn open(engine: Engine, waker: &Waker) -> Result<Box<dyn Ring>, RingError> {
    let plain = || match syscall::SyscallRing::new(waker.clone()) {
        Ok(ring) => Ok(Box::new(ring) as Box<dyn Ring>),
        Err(source) => Err(RingError::Threads { source }),
    };
    if engine == Engine::Syscall {
        return plain();
    }
    match uring::UringRing::new(waker.clone()) {
        Ok(ring) => Ok(Box::new(ring)),
        Err(source) if engine == Engine::Auto => {
            tracing::warn!(%source, "io_uring cannot be had; using plain system calls");
            plain()
        }
        Err(source) => Err(RingError::Uring { source }),
    }
}

/// Wakes a ring's thread from any other. Several wakes before the ring looks count as one.
#[derive(Clone)]
pub struct Waker {
    shared: Arc<WakerShared>,
}

struct WakerShared {
    event: OwnedFd,
    pending: AtomicBool,
}

impl fmt::Debug for Waker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Waker").finish_non_exhaustive()
    }
}

impl Waker {
    /// A waker that belongs to no ring yet.
    ///
    /// # Errors
    /// If the system is out of descriptors.
    pub fn new() -> io::Result<Self> {
        // Blocking, because io_uring would answer a read of a non-blocking one at once.
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Self {
            shared: Arc::new(WakerShared {
                event,
                pending: AtomicBool::new(false),
            }),
        })
    }

    /// Makes the ring report [`Completion::Woken`]. Whatever was put into a queue before this call
    /// is seen by who looks after that report.
    pub fn wake(&self) {
        if !self.shared.pending.swap(true, Ordering::AcqRel)
            && let Err(error) = rustix::io::write(&self.shared.event, &1_u64.to_ne_bytes())
        {
            tracing::error!(%error, "cannot wake the ring");
        }
    }

    /// Forgets the wakes so far. Called before the queues are looked at.
    fn clear(&self) {
        self.shared.pending.store(false, Ordering::Release);
    }

    fn event(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

/// The backings of a ring, by slot.
#[derive(Debug, Default)]
struct Backings {
    list: Vec<Arc<Backing>>,
}

impl Backings {
    fn add(&mut self, backing: Arc<Backing>) -> BackingSlot {
        let slot = u32::try_from(self.list.len()).expect("a group has few volumes");
        self.list.push(backing);
        BackingSlot(slot)
    }

    fn get(&self, slot: BackingSlot) -> &Arc<Backing> {
        &self.list[slot.0 as usize]
    }
}

/// Watches that are armed, by key.
type Watches<T> = HashMap<WatchKey, T>;

/// Whether an error only means "try the same again".
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

/// A read that met the end of its backing: the file was cut while in use.
fn cut_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the backing ends inside the range",
    )
}

/// A write of which the kernel took nothing.
fn took_nothing() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "the backing took no bytes")
}
