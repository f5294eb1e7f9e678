//! The plain twin: worker threads for backing I/O, `poll` for sockets.
//!
//! Nothing here is clever, which is its use: it finds the ordering mistakes that a fast ring hides,
//! lets tests inject errors into system calls, and serves where io_uring is forbidden. Workers take
//! jobs from one queue in no promised order.

use std::{
    collections::VecDeque,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt as _,
    },
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use bcdr_disk::AlignedBuffer;
use rustix::event::{PollFd, PollFlags, Timespec};

use super::{
    BackingSlot, Backings, Completion, Interest, Operation, Ring, Token, Waker, WatchKey, Watches,
    backing::Backing, cut_short, is_transient,
};

/// Threads that do I/O; each has one operation in flight.
const WORKERS: usize = 8;

struct Job {
    token: Token,
    backing: Arc<Backing>,
    operation: Operation,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    done: Mutex<Vec<Completion>>,
}

/// The plain twin. See the module's description.
pub struct SyscallRing {
    waker: Waker,
    /// Workers report through a waker of their own, so that the other one keeps its meaning.
    finished: Waker,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    backings: Backings,
    in_flight: usize,
    watches: Watches<(Arc<OwnedFd>, Interest)>,
}

impl SyscallRing {
    /// A ring with its threads.
    ///
    /// # Errors
    /// If the system refuses threads or descriptors.
    pub fn new(waker: Waker) -> io::Result<Self> {
        let mut ring = Self {
            waker,
            finished: Waker::new()?,
            shared: Arc::default(),
            workers: Vec::new(),
            backings: Backings::default(),
            in_flight: 0,
            watches: Watches::new(),
        };
        for number in 0..WORKERS {
            let (shared, finished) = (Arc::clone(&ring.shared), ring.finished.clone());
            let worker = thread::Builder::new()
                .name(format!("bcdr-io-{number}"))
                .spawn(move || work(&shared, &finished))?;
            ring.workers.push(worker);
        }
        Ok(ring)
    }

    /// Waits for descriptors; gives the keys that are ready.
    fn poll(
        &mut self,
        timeout: Option<Duration>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<()> {
        let keys: Vec<WatchKey> = self.watches.keys().copied().collect();
        let mut descriptors = vec![
            PollFd::from_borrowed_fd(self.waker.event(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.finished.event(), PollFlags::IN),
        ];
        descriptors.extend(keys.iter().map(|key| {
            let (socket, interest) = &self.watches[key];
            let flags = match interest {
                Interest::Readable => PollFlags::IN | PollFlags::RDHUP,
                Interest::Writable => PollFlags::OUT,
            };
            PollFd::from_borrowed_fd(socket.as_fd(), flags)
        }));
        let timespec = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match rustix::event::poll(&mut descriptors, timespec.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = descriptors
            .iter()
            .map(|descriptor| !descriptor.revents().is_empty())
            .collect();
        if ready[0] {
            reset(&self.waker)?;
            completions.push(Completion::Woken);
        }
        if ready[1] {
            reset(&self.finished)?;
        }
        for (key, ready) in keys.into_iter().zip(&ready[2..]) {
            if *ready {
                self.watches.remove(&key);
                completions.push(Completion::Ready(key));
            }
        }
        Ok(())
    }

    fn collect(&mut self, completions: &mut Vec<Completion>) {
        let mut done = self
            .shared
            .done
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.in_flight -= done.len();
        completions.append(&mut done);
    }
}

/// Empties an event counter that is known to be readable, then lets new wakes in.
fn reset(waker: &Waker) -> io::Result<()> {
    rustix::io::read(waker.event(), &mut [0_u8; 8])?;
    waker.clear();
    Ok(())
}

impl Ring for SyscallRing {
    fn register(&mut self, backing: Arc<Backing>) -> io::Result<BackingSlot> {
        Ok(self.backings.add(backing))
    }

    fn submit(&mut self, token: Token, operation: Operation) {
        let backing = Arc::clone(self.backings.get(operation.backing()));
        self.in_flight += 1;
        let mut queue = self
            .shared
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        queue.jobs.push_back(Job {
            token,
            backing,
            operation,
        });
        drop(queue);
        self.shared.changed.notify_one();
    }

    fn watch(&mut self, key: WatchKey, socket: Arc<OwnedFd>, interest: Interest) {
        self.watches.insert(key, (socket, interest));
    }

    fn unwatch(&mut self, key: WatchKey) {
        self.watches.remove(&key);
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<()> {
        let before = completions.len();
        self.collect(completions);
        let timeout = if completions.len() > before {
            Some(Duration::ZERO)
        } else {
            timeout
        };
        self.poll(timeout, completions)?;
        self.collect(completions);
        Ok(())
    }
}

impl Drop for SyscallRing {
    fn drop(&mut self) {
        let mut queue = self
            .shared
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.changed.notify_all();
        // A worker holds its backing's descriptor, and with it the lock on it, until its call
        // returns; a ring that is gone must mean that its I/O has ended.
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("an I/O thread panicked");
            }
        }
    }
}

fn work(shared: &Shared, finished: &Waker) {
    loop {
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let job = loop {
            if queue.closed {
                return;
            }
            if let Some(job) = queue.jobs.pop_front() {
                break job;
            }
            queue = shared
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(queue);
        let result = perform(&job.backing, job.operation);
        let completion = Completion::Operation {
            token: job.token,
            result,
        };
        shared
            .done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(completion);
        finished.wake();
    }
}

fn perform(backing: &Backing, operation: Operation) -> io::Result<Option<AlignedBuffer>> {
    let file = backing.file();
    match operation {
        Operation::Read {
            offset, mut buffer, ..
        } => {
            read_exact(backing, &mut buffer, offset)?;
            Ok(Some(buffer))
        }
        // The standard library goes on after short writes and interruptions.
        Operation::Write {
            offset, payload, ..
        } => file.write_all_at(&payload, offset).map(|()| None),
        Operation::Zero {
            offset,
            length,
            unmap,
            ..
        } => loop {
            match rustix::fs::fallocate(file, Backing::zero_mode(unmap), offset, length) {
                Ok(()) => return Ok(None),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        },
        Operation::Sync { .. } => {
            backing.may_sync()?;
            loop {
                match rustix::fs::fdatasync(file) {
                    Ok(()) => return Ok(None),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => {
                        let error = error.into();
                        backing.note_failed_sync(&error);
                        return Err(error);
                    }
                }
            }
        }
    }
}

fn read_exact(backing: &Backing, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match backing
            .file()
            .read_at(&mut buffer[done..], offset + done as u64)
        {
            Ok(0) => return Err(cut_short()),
            Ok(count) => done += count,
            Err(error) if is_transient(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
