//! Clients that commit transactions as long as they may, survive the server, and keep the history.
//!
//! A client whose connection broke while a commit was under way asks the recovered server what became
//! of it before it begins another transaction.

use super::{
    client::{Client, QueryError},
    history::{Fate, History, wall},
    ledger,
};
use crate::end_to_end::{lab::PATIENCE, stamped::Dice};
use anyhow::{bail, ensure};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// One transaction in so many is rolled back by its client.
const ROLLED_BACK: u64 = 12;

/// The running clients. They end when it is dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    sockets: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    history: History,
    /// Transactions that may be begun in all.
    allowed: usize,
    begun: usize,
    /// Clients that are in a transaction or find out what became of one.
    busy: usize,
    stopping: bool,
    /// Why a client gave up.
    failure: Option<String>,
}

impl Load {
    /// Starts so many clients of the server that listens in `sockets`. They wait until they may begin.
    pub fn start(sockets: &Path, clients: usize, dice: &mut Dice) -> Self {
        let shared = Arc::new(Shared {
            sockets: sockets.to_owned(),
            state: Mutex::new(State {
                history: History::new(clients),
                allowed: 0,
                begun: 0,
                busy: 0,
                stopping: false,
                failure: None,
            }),
            changed: Condvar::new(),
        });
        let start = |client: usize| {
            let (shared, dice) = (Arc::clone(&shared), Dice::new(dice.below(u64::MAX)));
            std::thread::spawn(move || shared.run(client, dice))
        };
        let clients = (0..clients).map(start).collect();
        Self { shared, clients }
    }

    /// Lets the clients begin so many more transactions.
    pub fn allow(&self, transactions: usize) {
        self.shared.lock().allowed += transactions;
        self.shared.changed.notify_all();
    }

    /// Waits until so many transactions in all were begun.
    ///
    /// # Errors
    /// When a client gave up.
    pub fn wait_begun(&self, transactions: usize) -> anyhow::Result<()> {
        self.wait("transactions to begin", |state| state.begun >= transactions)
    }

    /// Waits until all that were allowed have ended and none of them is in doubt.
    ///
    /// # Errors
    /// When a client gave up.
    pub fn wait_idle(&self) -> anyhow::Result<()> {
        self.wait("transactions to end", |state| {
            state.begun == state.allowed && state.busy == 0
        })
    }

    /// How many transactions were begun.
    pub fn begun(&self) -> usize {
        self.shared.lock().begun
    }

    /// What is known now.
    pub fn history(&self) -> History {
        self.shared.lock().history.clone()
    }

    fn wait(&self, what: &str, done: impl Fn(&State) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        loop {
            if let Some(failure) = &state.failure {
                bail!("a client gave up: {failure}");
            }
            if done(&state) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "waited too long for {what}");
            let woken = self.shared.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        for client in self.clients.drain(..) {
            // A panic of it was told when it happened.
            let _ended = client.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    fn run(&self, client: usize, mut dice: Dice) {
        let mut connection = None;
        while let Some(number) = self.next(client) {
            let ended = self.see_through(&mut connection, &mut dice, client, number);
            self.change(|state| {
                state.busy -= 1;
                if let Err(error) = ended {
                    state.failure = Some(format!("client {client}: {error:#}"));
                }
            });
        }
    }

    /// The number of the client's next transaction, once it may begin; none when it is to end.
    fn next(&self, client: usize) -> Option<usize> {
        let mut state = self.lock();
        while state.begun >= state.allowed && !state.stopping {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopping || state.failure.is_some() {
            return None;
        }
        state.begun += 1;
        state.busy += 1;
        let number = state.history.begin(client);
        drop(state);
        self.changed.notify_all();
        Some(number)
    }

    /// Does one transaction and finds out what became of it, whatever happens to the server.
    fn see_through(
        &self,
        connection: &mut Option<Client>,
        dice: &mut Dice,
        client: usize,
        number: usize,
    ) -> anyhow::Result<()> {
        if connection.is_none() {
            *connection = self.connect()?;
        }
        let Some(open) = connection else {
            return Ok(());
        };
        let mut tried = self.transact(open, dice, client, number);
        while let Err(QueryError::Lost(_)) = tried {
            let Some(open) = self.connect()? else {
                return Ok(());
            };
            tried = self.settle(connection.insert(open), client);
        }
        Ok(tried?)
    }

    fn transact(
        &self,
        connection: &mut Client,
        dice: &mut Dice,
        client: usize,
        number: usize,
    ) -> Result<(), QueryError> {
        ledger::transfer(connection, dice, client, number)?;
        if dice.below(ROLLED_BACK) == 0 {
            connection.query("ROLLBACK")?;
            return Ok(());
        }
        let sent = wall();
        self.ends(client, number, Fate::InDoubt { sent });
        let answer = connection.query("COMMIT")?;
        let at = wall();
        if answer.done != "COMMIT" {
            let said = format!("a COMMIT was answered with {}", answer.done);
            return Err(QueryError::Refused(said));
        }
        self.ends(client, number, Fate::Acknowledged { sent, at });
        Ok(())
    }

    /// Asks a recovered server for the transaction that is in doubt. One that it shows is durable: the
    /// server syncs everything it finds before it recovers.
    fn settle(&self, connection: &mut Client, client: usize) -> Result<(), QueryError> {
        let Some((number, sent)) = self.lock().history.in_doubt(client) else {
            return Ok(());
        };
        let fate = match ledger::has(connection, client, number)? {
            true => Fate::Acknowledged { sent, at: wall() },
            false => Fate::Lost,
        };
        self.ends(client, number, fate);
        Ok(())
    }

    fn ends(&self, client: usize, number: usize, fate: Fate) {
        self.lock().history.ends(client, number, fate);
    }

    /// A connection, as soon as the server takes one; none when the client is to end.
    fn connect(&self) -> anyhow::Result<Option<Client>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let error = match Client::connect(&self.sockets) {
                Ok(connection) => return Ok(Some(connection)),
                Err(error) => error,
            };
            if self.lock().stopping {
                return Ok(None);
            }
            ensure!(Instant::now() < deadline, "{error}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
