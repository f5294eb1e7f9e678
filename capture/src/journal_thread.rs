//! The journal's own thread: takes the tap's commands in order, and everything that blocks on the
//! journal's device.
//!
//! Owns the [`Journal`], or tries to have one: a journal that could not be had at the start counts
//! as stopped, and each life that is opened after that tries again. Everything that waits in the queue when it looks is executed together,
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
    journal::{Journal, JournalCommand, JournalError, JournalEvent, JournalSnapshot, StopReason},
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

/// What the thread begins with.
pub enum JournalSupply {
    /// A journal.
    Ready(Box<Journal>),
    /// None could be had.
    Wanting(WantedJournal),
}

/// A journal that could not be had so far.
pub struct WantedJournal {
    /// Why.
    pub reason: String,
    /// Tries again; gives one that holds no lives, or why not. It may block.
    pub attempt: Box<dyn FnMut() -> Result<Journal, String> + Send>,
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
    journal: JournalSupply,
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

impl JournalSupply {
    fn snapshot(&self) -> JournalSnapshot {
        match self {
            Self::Ready(journal) => journal.snapshot(),
            Self::Wanting(_) => JournalSnapshot::default(),
        }
    }

    /// Executes commands of the tap in order, in the journal or as a stopped one.
    fn execute(&mut self, commands: &[JournalCommand]) -> Vec<JournalEvent> {
        let wanted = match self {
            Self::Ready(journal) => return journal.execute(commands),
            Self::Wanting(wanted) => wanted,
        };
        let mut events = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            let JournalCommand::Open { after_stop, .. } = command else {
                continue;
            };
            if *after_stop {
                match (wanted.attempt)() {
                    Ok(mut journal) => {
                        events.extend(journal.execute(&commands[index..]));
                        *self = Self::Ready(Box::new(journal));
                        return events;
                    }
                    Err(reason) => wanted.reason = reason,
                }
            }
            let reason = wanted.reason.clone();
            tracing::error!(reason, "there is no journal");
            events.push(JournalEvent::Stopped(StopReason::Failed(reason)));
        }
        events
    }
}

struct JournalThread {
    journal: JournalSupply,
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
                Err(RecvTimeoutError::Timeout) => match self.prepare_spare() {
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
                    if let JournalSupply::Ready(journal) = &mut self.journal {
                        let event = journal.trim(through);
                        self.report(vec![event]);
                    }
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

    fn prepare_spare(&mut self) -> Result<(), JournalError> {
        match &mut self.journal {
            JournalSupply::Ready(journal) => journal.prepare_spare(),
            JournalSupply::Wanting(_) => Ok(()),
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
        let result = match &mut self.journal {
            JournalSupply::Ready(journal) => journal.close_clean(settled),
            JournalSupply::Wanting(_) => Err(JournalError::NotOpen),
        };
        if let Err(error) = &result {
            tracing::warn!(%error, "the journal could not be closed in order");
        }
        self.publish();
        if done.send(result.is_ok()).is_err() {
            tracing::warn!("the journal was closed after its group had stopped waiting");
        }
    }
}
