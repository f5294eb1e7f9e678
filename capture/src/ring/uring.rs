//! The io_uring twin: one ring, used by the thread that made it.
//!
//! Every operation in flight owns a slot in a table, and with it the memory and the descriptors the
//! kernel works on; the slot's number is the operation's user data. A slot is freed by its
//! completion and by nothing else, so the kernel never touches freed memory. The number of
//! operations in flight is bounded by [`IN_FLIGHT_MAX`], below the completion queue's length; the
//! rest wait in a queue of our own.
#![allow(unsafe_code)]

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use bcdr_disk::AlignedBuffer;
use io_uring::{
    IoUring, opcode, squeue,
    types::{Fd, Fixed, SubmitArgs, Timespec},
};
use rustix::event::PollFlags;

use super::{
    BackingSlot, Backings, Completion, Interest, Operation, Ring, Token, Waker, WatchKey, Watches,
    backing::Backing, cut_short, is_transient, took_nothing,
};
use crate::Payload;

const SUBMISSION_ENTRIES: u32 = 512;
const COMPLETION_ENTRIES: u32 = 4096;
/// Operations on backings that the kernel has at a time. Watches come on top; there are at most a
/// few for each connection.
const IN_FLIGHT_MAX: usize = 2048;
/// Backings whose descriptors are registered; more are used by their number.
const REGISTERED_FILES: u32 = 64;
/// How long a ring that is dropped waits for the kernel to let go of its memory.
const DROP_PATIENCE: Duration = Duration::from_secs(30);

/// What the kernel works on.
enum Work {
    Read {
        token: Token,
        backing: BackingSlot,
        offset: u64,
        buffer: AlignedBuffer,
        done: usize,
    },
    Write {
        token: Token,
        backing: BackingSlot,
        offset: u64,
        payload: Payload,
        done: usize,
    },
    Zero {
        token: Token,
        backing: BackingSlot,
        offset: u64,
        length: u64,
        unmap: bool,
    },
    Sync {
        token: Token,
        backing: BackingSlot,
    },
    Watch {
        key: WatchKey,
        socket: Arc<OwnedFd>,
        interest: Interest,
    },
    /// Reads the waker's counter.
    Wake {
        counter: Box<[u8; 8]>,
    },
    /// Ends the watch of that user data.
    Cancel {
        watch: u64,
    },
}

impl Work {
    const fn is_operation(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::Write { .. } | Self::Zero { .. } | Self::Sync { .. }
        )
    }
}

/// A place for work. The serial tells its users apart, so that a late cancel meets nobody else.
#[derive(Default)]
struct Slot {
    serial: u32,
    work: Option<Work>,
}

/// The io_uring twin. See the module's description.
pub struct UringRing {
    ring: IoUring,
    waker: Waker,
    backings: Backings,
    /// Whether the kernel takes registered files.
    registrable: bool,
    /// How many of the backings, the first ones, are registered with the kernel.
    registered: u32,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Slots to be given to the kernel, in order.
    pending: VecDeque<usize>,
    /// Operations not yet given a slot.
    backlog: VecDeque<Work>,
    /// Operations in slots.
    operations: usize,
    watches: Watches<usize>,
    /// Completions that needed no kernel.
    ready: Vec<Completion>,
}

impl UringRing {
    /// A ring for the calling thread.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn new(waker: Waker) -> io::Result<Self> {
        let ring = build()?;
        if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the kernel is older than 5.11",
            ));
        }
        // Without registration every operation looks its file up anew; nothing else changes.
        let registrable = ring
            .submitter()
            .register_files_sparse(REGISTERED_FILES)
            .is_ok();
        let mut ring = Self {
            ring,
            waker,
            backings: Backings::default(),
            registrable,
            registered: 0,
            slots: Vec::new(),
            free: Vec::new(),
            pending: VecDeque::new(),
            backlog: VecDeque::new(),
            operations: 0,
            watches: Watches::new(),
            ready: Vec::new(),
        };
        ring.begin(Work::Wake {
            counter: Box::new([0; 8]),
        });
        Ok(ring)
    }

    /// Gives work a slot and queues it for the kernel.
    fn begin(&mut self, work: Work) -> usize {
        self.operations += usize::from(work.is_operation());
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.serial = slot.serial.wrapping_add(1);
        slot.work = Some(work);
        self.pending.push_back(index);
        index
    }

    /// How the kernel names the work in a slot.
    fn user_data(&self, index: usize) -> u64 {
        (u64::from(self.slots[index].serial) << 32) | index as u64
    }

    /// The work that a completion is about; its slot is free again.
    fn take(&mut self, user_data: u64) -> Option<Work> {
        let index = (user_data & u64::from(u32::MAX)) as usize;
        let slot = self.slots.get_mut(index)?;
        if u64::from(slot.serial) != user_data >> 32 {
            return None;
        }
        let work = slot.work.take()?;
        self.operations -= usize::from(work.is_operation());
        self.free.push(index);
        Some(work)
    }

    /// Moves operations from the backlog into slots, as many as may be in flight.
    fn admit(&mut self) {
        while self.operations < IN_FLIGHT_MAX
            && let Some(work) = self.backlog.pop_front()
        {
            if let Work::Sync { token, backing } = work
                && let Err(error) = self.backings.get(backing).may_sync()
            {
                self.ready.push(Completion::Operation {
                    token,
                    result: Err(error),
                });
                continue;
            }
            self.begin(work);
        }
    }

    /// Moves queued slots into the submission queue, making room in it as often as needed.
    fn push_pending(&mut self) -> io::Result<()> {
        while let Some(slot) = self.pending.pop_front() {
            let user_data = self.user_data(slot);
            let Some(work) = &mut self.slots[slot].work else {
                continue;
            };
            let files = Files {
                backings: &self.backings,
                registered: self.registered,
            };
            let entry = describe(work, &files, &self.waker).user_data(user_data);
            loop {
                // SAFETY: the entry points only into memory that the slot owns (a page
                // aligned buffer, a payload, a boxed counter: all on the heap, so moving the slot
                // does not move them) and names descriptors that it, `self.backings` or
                // `self.waker` keep open. The slot is emptied by the entry's completion only, and
                // a dropped ring waits for those or leaks the slots.
                let pushed = unsafe { self.ring.submission().push(&entry) };
                if pushed.is_ok() {
                    break;
                }
                if let Err(error) = self.ring.submit()
                    && !is_busy(&error)
                {
                    self.pending.push_front(slot);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Hands everything queued to the kernel and waits for a completion if there is none.
    fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.push_pending()?;
        let nothing_to_wait_for = !self.ready.is_empty() || !self.ring.completion().is_empty();
        let entered = if nothing_to_wait_for || timeout == Some(Duration::ZERO) {
            self.ring.submit()
        } else if let Some(timeout) = timeout {
            let timespec = Timespec::from(timeout);
            self.ring
                .submitter()
                .submit_with_args(1, &SubmitArgs::new().timespec(&timespec))
        } else {
            self.ring.submit_and_wait(1)
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) if is_busy(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn collect(&mut self, completions: &mut Vec<Completion>) {
        loop {
            let Some(entry) = self.ring.completion().next() else {
                break;
            };
            if let Some(work) = self.take(entry.user_data()) {
                self.finish(work, entry.result(), completions);
            }
        }
        completions.append(&mut self.ready);
    }

    /// What a completion means. Work that is not yet wholly done begins again.
    fn finish(&mut self, work: Work, result: i32, completions: &mut Vec<Completion>) {
        let result = match usize::try_from(result) {
            Ok(count) => Ok(count),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        };
        match work {
            Work::Watch {
                key,
                socket,
                interest,
            } => match result {
                Err(error) if is_transient(&error) => {
                    let slot = self.begin(Work::Watch {
                        key,
                        socket,
                        interest,
                    });
                    self.watches.insert(key, slot);
                }
                // An unwatched key is gone from the table: nobody wants to know.
                _ => {
                    if self.watches.remove(&key).is_some() {
                        completions.push(Completion::Ready(key));
                    }
                }
            },
            Work::Wake { counter } => {
                self.waker.clear();
                self.begin(Work::Wake { counter });
                completions.push(Completion::Woken);
            }
            Work::Cancel { .. } => {}
            operation => match result {
                Err(error) if is_transient(&error) => {
                    self.begin(operation);
                }
                result => self.finish_operation(operation, result, completions),
            },
        }
    }

    fn finish_operation(
        &mut self,
        operation: Work,
        result: io::Result<usize>,
        completions: &mut Vec<Completion>,
    ) {
        let (token, result) = match (operation, result) {
            (
                Work::Read {
                    token,
                    backing,
                    offset,
                    buffer,
                    done,
                },
                Ok(count),
            ) => {
                let done = done + count;
                if done < buffer.len() && count > 0 {
                    self.begin(Work::Read {
                        token,
                        backing,
                        offset,
                        buffer,
                        done,
                    });
                    return;
                }
                (
                    token,
                    if done < buffer.len() {
                        Err(cut_short())
                    } else {
                        Ok(Some(buffer))
                    },
                )
            }
            (
                Work::Write {
                    token,
                    backing,
                    offset,
                    payload,
                    done,
                },
                Ok(count),
            ) => {
                let done = done + count;
                if done < payload.len() && count > 0 {
                    self.begin(Work::Write {
                        token,
                        backing,
                        offset,
                        payload,
                        done,
                    });
                    return;
                }
                (
                    token,
                    if done < payload.len() {
                        Err(took_nothing())
                    } else {
                        Ok(None)
                    },
                )
            }
            (Work::Sync { token, backing }, Err(error)) => {
                self.backings.get(backing).note_failed_sync(&error);
                (token, Err(error))
            }
            (
                Work::Read { token, .. }
                | Work::Write { token, .. }
                | Work::Zero { token, .. }
                | Work::Sync { token, .. },
                result,
            ) => (token, result.map(|_| None)),
            // Only operations are handed in.
            (Work::Watch { .. } | Work::Wake { .. } | Work::Cancel { .. }, _) => return,
        };
        completions.push(Completion::Operation { token, result });
    }
}

impl Ring for UringRing {
    fn register(&mut self, backing: Arc<Backing>) -> io::Result<BackingSlot> {
        let slot = self.backings.add(Arc::clone(&backing));
        if self.registrable && slot.0 < REGISTERED_FILES {
            let descriptor = backing.file().as_raw_fd();
            self.ring
                .submitter()
                .register_files_update(slot.0, &[descriptor])?;
            self.registered += 1;
        }
        Ok(slot)
    }

    fn submit(&mut self, token: Token, operation: Operation) {
        self.backlog.push_back(match operation {
            Operation::Read {
                backing,
                offset,
                buffer,
            } => Work::Read {
                token,
                backing,
                offset,
                buffer,
                done: 0,
            },
            Operation::Write {
                backing,
                offset,
                payload,
            } => Work::Write {
                token,
                backing,
                offset,
                payload,
                done: 0,
            },
            Operation::Zero {
                backing,
                offset,
                length,
                unmap,
            } => Work::Zero {
                token,
                backing,
                offset,
                length,
                unmap,
            },
            Operation::Sync { backing } => Work::Sync { token, backing },
        });
    }

    fn watch(&mut self, key: WatchKey, socket: Arc<OwnedFd>, interest: Interest) {
        let slot = self.begin(Work::Watch {
            key,
            socket,
            interest,
        });
        self.watches.insert(key, slot);
    }

    fn unwatch(&mut self, key: WatchKey) {
        if let Some(slot) = self.watches.remove(&key) {
            let watch = self.user_data(slot);
            self.begin(Work::Cancel { watch });
        }
    }

    fn in_flight(&self) -> usize {
        self.operations + self.backlog.len()
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<()> {
        self.admit();
        self.enter(timeout)?;
        self.collect(completions);
        Ok(())
    }
}

impl Drop for UringRing {
    fn drop(&mut self) {
        self.backlog.clear();
        let keys: Vec<WatchKey> = self.watches.keys().copied().collect();
        for key in keys {
            self.unwatch(key);
        }
        // The waker's read ends by a wake; it begins again with every completion, so the last one
        // is for the kernel to cancel when the ring is closed, and its counter is leaked below.
        let begun = Instant::now();
        let mut completions = Vec::new();
        while (self.operations > 0 || self.watching()) && begun.elapsed() < DROP_PATIENCE {
            if let Err(error) = self.wait(Some(Duration::from_millis(100)), &mut completions) {
                tracing::error!(%error, "the ring failed while it was closed");
                break;
            }
            completions.clear();
        }
        // What the kernel still has is never freed: it may be written at any time.
        for slot in std::mem::take(&mut self.slots) {
            std::mem::forget(slot.work);
        }
    }
}

impl UringRing {
    fn watching(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot.work, Some(Work::Watch { .. })))
    }
}

/// The newest set-up the kernel takes.
fn build() -> io::Result<IoUring> {
    let best = IoUring::builder()
        .setup_cqsize(COMPLETION_ENTRIES)
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .build(SUBMISSION_ENTRIES);
    best.or_else(|_| {
        IoUring::builder()
            .setup_cqsize(COMPLETION_ENTRIES)
            .build(SUBMISSION_ENTRIES)
    })
}

/// Errors of entering the kernel after which one simply goes on.
fn is_busy(error: &io::Error) -> bool {
    const EINTR: i32 = 4;
    const EAGAIN: i32 = 11;
    const EBUSY: i32 = 16;
    const ETIME: i32 = 62;
    matches!(error.raw_os_error(), Some(EINTR | EAGAIN | EBUSY | ETIME))
}

fn describe(work: &mut Work, backings: &Files<'_>, waker: &Waker) -> squeue::Entry {
    match work {
        Work::Read {
            backing,
            offset,
            buffer,
            done,
            ..
        } => {
            let rest = &mut buffer[*done..];
            let length = rest.len().min(MAXIMUM_LENGTH) as u32;
            let (pointer, at) = (rest.as_mut_ptr(), *offset + *done as u64);
            match backings.target(*backing) {
                Target::Fixed(file) => opcode::Read::new(file, pointer, length).offset(at).build(),
                Target::Plain(file) => opcode::Read::new(file, pointer, length).offset(at).build(),
            }
        }
        Work::Write {
            backing,
            offset,
            payload,
            done,
            ..
        } => {
            let rest = &payload[*done..];
            let length = rest.len().min(MAXIMUM_LENGTH) as u32;
            let (pointer, at) = (rest.as_ptr(), *offset + *done as u64);
            match backings.target(*backing) {
                Target::Fixed(file) => opcode::Write::new(file, pointer, length).offset(at).build(),
                Target::Plain(file) => opcode::Write::new(file, pointer, length).offset(at).build(),
            }
        }
        Work::Zero {
            backing,
            offset,
            length,
            unmap,
            ..
        } => {
            let mode = Backing::zero_mode(*unmap).bits().cast_signed();
            match backings.target(*backing) {
                Target::Fixed(file) => opcode::Fallocate::new(file, *length)
                    .offset(*offset)
                    .mode(mode)
                    .build(),
                Target::Plain(file) => opcode::Fallocate::new(file, *length)
                    .offset(*offset)
                    .mode(mode)
                    .build(),
            }
        }
        Work::Sync { backing, .. } => {
            let flags = io_uring::types::FsyncFlags::DATASYNC;
            match backings.target(*backing) {
                Target::Fixed(file) => opcode::Fsync::new(file).flags(flags).build(),
                Target::Plain(file) => opcode::Fsync::new(file).flags(flags).build(),
            }
        }
        Work::Watch {
            socket, interest, ..
        } => {
            let flags = match interest {
                Interest::Readable => PollFlags::IN | PollFlags::RDHUP,
                Interest::Writable => PollFlags::OUT,
            };
            opcode::PollAdd::new(Fd(socket.as_raw_fd()), u32::from(flags.bits())).build()
        }
        Work::Wake { counter } => {
            opcode::Read::new(Fd(waker.event().as_raw_fd()), counter.as_mut_ptr(), 8).build()
        }
        Work::Cancel { watch } => opcode::AsyncCancel::new(*watch).build(),
    }
}

/// The longest single transfer; the kernel's own limit is just below 2 GiB.
const MAXIMUM_LENGTH: usize = 1 << 30;

enum Target {
    Fixed(Fixed),
    Plain(Fd),
}

/// Where operations on a backing go.
struct Files<'a> {
    backings: &'a Backings,
    registered: u32,
}

impl Files<'_> {
    fn target(&self, slot: BackingSlot) -> Target {
        if slot.0 < self.registered {
            Target::Fixed(Fixed(slot.0))
        } else {
            Target::Plain(Fd(self.backings.get(slot).file().as_raw_fd()))
        }
    }
}
