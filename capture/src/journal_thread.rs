//! The journal's own thread: takes the tap's commands in order, and everything that blocks on the
//! journal's device.
//!
//! Owns the [`Journal`]. Everything that waits in the queue when it looks is executed together,
//! which is what makes one sync serve many. Events go back in order through the ring's waker. The
//! thread ends when it is told to close, or when nobody is left to tell it anything.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use bcdr_format::Position;

use crate::{
    journal::{Journal, JournalCommand, JournalEvent, JournalSnapshot},
    ring::Waker,
};

/// A journal without work for this long prepares its next segment.
const IDLE: Duration = Duration::from_millis(20);
/// Between two attempts to prepare a segment that failed.
const SPARE_RETRY: Duration = Duration::from_secs(5);

enum Message {
    /// From the tap.
    Commands(Vec<JournalCommand>),
    /// The receiver holds everything up to here.
    Trim(Position),
    /// The group ends in order; answer whether the journal is closed.
    Close {
        settled: Option<Position>,
        done: mpsc::Sender<bool>,
    },
}

/// The sending side: cheap to clone, never blocks.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    queue: mpsc::Sender<Message>,
    snapshot: Arc<Mutex<JournalSnapshot>>,
}

impl JournalHandle {
    /// Queues commands of the tap. They are lost if the thread has died, whose end the tap hears
    /// of as of a journal that does not answer.
    pub fn execute(&self, commands: Vec<JournalCommand>) {
        if !commands.is_empty() {
            self.send(Message::Commands(commands));
        }
    }

    /// Lets the journal free what the receiver holds.
    pub fn trim(&self, through: Position) {
        self.send(Message::Trim(through));
    }

    /// What readers may see now.
    #[must_use]
    pub fn snapshot(&self) -> JournalSnapshot {
        self.snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Closes the journal in order and ends the thread. Blocks until that is done; `false` if it
    /// did not work within `patience`.
    #[must_use]
    pub fn close(&self, settled: Option<Position>, patience: Duration) -> bool {
        let (done, closed) = mpsc::channel();
        self.send(Message::Close { settled, done });
        closed.recv_timeout(patience).unwrap_or(false)
    }

    fn send(&self, message: Message) {
        if self.queue.send(message).is_err() {
            tracing::debug!("the journal thread is gone");
        }
    }
}

/// Starts the thread. Events come out of the receiver; the waker tells of them.
///
/// # Errors
/// If the system refuses a thread.
pub fn spawn(
    name: &str,
    journal: Journal,
    waker: Waker,
) -> io::Result<(JournalHandle, mpsc::Receiver<JournalEvent>, JoinHandle<()>)> {
    let (queue, messages) = mpsc::channel();
    let (events, received) = mpsc::channel();
    let snapshot = Arc::new(Mutex::new(journal.snapshot()));
    let handle = JournalHandle {
        queue,
        snapshot: Arc::clone(&snapshot),
    };
    let thread = thread::Builder::new()
        .name(format!("bcdr-journal-{name}"))
        .spawn(move || {
            JournalThread {
                journal,
                messages,
                events,
                waker,
                snapshot,
            }
            .run()
        })?;
    Ok((handle, received, thread))
}

struct JournalThread {
    journal: Journal,
    messages: mpsc::Receiver<Message>,
    events: mpsc::Sender<JournalEvent>,
    waker: Waker,
    snapshot: Arc<Mutex<JournalSnapshot>>,
}

impl JournalThread {
    fn run(mut self) {
        // After work there may be a segment to prepare, once.
        let mut prepared = false;
        let mut pause = IDLE;
        loop {
            let message = if prepared {
                self.messages
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.messages.recv_timeout(pause)
            };
            match message {
                Ok(message) => {
                    prepared = false;
                    pause = IDLE;
                    if !self.work(message) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => match self.journal.prepare_spare() {
                    Ok(()) => {
                        prepared = true;
                        self.publish();
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot prepare the next journal segment");
                        pause = SPARE_RETRY;
                    }
                },
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Handles a message and everything queued behind it; `false` when closed.
    fn work(&mut self, first: Message) -> bool {
        let mut commands = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Commands(more) if commands.is_empty() => commands = more,
                Message::Commands(more) => commands.extend(more),
                Message::Trim(through) => {
                    self.execute(&mut commands);
                    let event = self.journal.trim(through);
                    self.report(vec![event]);
                }
                Message::Close { settled, done } => {
                    self.execute(&mut commands);
                    self.close(settled, &done);
                    return false;
                }
            }
            next = self.messages.try_recv().ok();
        }
        self.execute(&mut commands);
        true
    }

    fn execute(&mut self, commands: &mut Vec<JournalCommand>) {
        if !commands.is_empty() {
            let events = self.journal.execute(commands);
            commands.clear();
            self.report(events);
        }
    }

    /// Readers first: what the tap hands to the feed on hearing an event must be readable.
    fn report(&self, events: Vec<JournalEvent>) {
        self.publish();
        for event in events {
            if self.events.send(event).is_err() {
                tracing::debug!("nobody listens to the journal any more");
            }
        }
        self.waker.wake();
    }

    fn publish(&self) {
        let snapshot = self.journal.snapshot();
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    fn close(&mut self, settled: Option<Position>, done: &mpsc::Sender<bool>) {
        let result = self.journal.close_clean(settled);
        if let Err(error) = &result {
            tracing::warn!(%error, "the journal could not be closed in order");
        }
        self.publish();
        if done.send(result.is_ok()).is_err() {
            tracing::warn!("the journal was closed after its group had stopped waiting");
        }
    }
}
