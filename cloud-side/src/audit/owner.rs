//! The thread that owns the log: gathers what is to be written, writes it in one go, answers.
//!
//! Invariant: an answer is given after the entry is durable, or after it is counted as missing.

use super::{AuditError, Shared, condense::Condenser, gap::Gap, log::Log};
use crate::clock;
use bcdr_audit::{Draft, Outcome, SignedHead};
use bcdr_format::Timestamp;
use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, atomic::Ordering, mpsc},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Entries that are written in one go at most.
const GO_MAX: usize = 64;
/// How often it is looked what is due.
const TICK: Duration = Duration::from_secs(1);
/// After so many entries a head is signed.
const HEAD_ENTRIES: u64 = 256;
/// After so long one is signed, if there is an entry that none covers.
const HEAD_EVERY: Duration = Duration::from_secs(60);
/// How often old segments are looked for.
const RETAIN_EVERY: Duration = Duration::from_secs(60 * 60);

/// What is asked of the owner.
pub(super) enum Ask {
    /// To write an entry.
    Entry {
        draft: Box<Draft>,
        /// Whether it may be counted with others instead.
        may_condense: bool,
        reply: Option<oneshot::Sender<Result<u64, AuditError>>>,
    },
    /// To count a refusal.
    Stranger {
        address: Option<IpAddr>,
        code: String,
    },
    /// To sign how far the log reaches.
    Head {
        reply: oneshot::Sender<Option<SignedHead>>,
    },
    /// To end.
    Stop,
}

type Reply = Option<oneshot::Sender<Result<u64, AuditError>>>;

/// The log's owner.
pub(super) struct Owner {
    log: Log,
    shared: Arc<Shared>,
    gap: Gap,
    condenser: Condenser,
    head_due: Option<Instant>,
    retain_due: Instant,
}

impl Owner {
    pub(super) fn new(log: Log, shared: Arc<Shared>) -> Self {
        Self {
            log,
            shared,
            gap: Gap::default(),
            condenser: Condenser::default(),
            head_due: None,
            retain_due: Instant::now(),
        }
    }

    /// Writes what the start has to say.
    pub(super) fn say(&mut self, drafts: Vec<Draft>) {
        for part in drafts.chunks(GO_MAX) {
            self.write(part.iter().map(|draft| (draft.clone(), None)).collect());
        }
        self.sign();
    }

    /// Runs until it is told to stop, or nobody can ask any more.
    pub(super) fn run(mut self, inbox: &mpsc::Receiver<Ask>) {
        loop {
            let first = match inbox.recv_timeout(TICK) {
                Ok(ask) => Some(ask),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            };
            let (mut drafts, mut heads, mut stop) = (Vec::new(), Vec::new(), false);
            let mut next = first;
            while let Some(ask) = next.take() {
                match ask {
                    Ask::Entry {
                        draft,
                        may_condense,
                        reply,
                    } => {
                        if may_condense && self.condenser.takes(&draft, Instant::now()) {
                            answer(reply, Ok(0));
                        } else {
                            drafts.push((*draft, reply));
                        }
                    }
                    Ask::Stranger { address, code } => {
                        self.condenser.stranger(address, &code, Instant::now());
                    }
                    Ask::Head { reply } => heads.push(reply),
                    Ask::Stop => stop = true,
                }
                if drafts.len() < GO_MAX && !stop {
                    next = inbox.try_recv().ok();
                }
            }
            let counted = self.condenser.due(Instant::now(), stop);
            drafts.extend(counted.into_iter().map(|draft| (draft, None)));
            self.write(drafts);
            let now = Instant::now();
            let is_due = self.head_due.is_some_and(|due| now >= due);
            if is_due || stop || !heads.is_empty() || self.log.unsigned() >= HEAD_ENTRIES {
                self.sign();
            }
            for reply in heads {
                // Whoever asked may be gone.
                let _gone = reply.send(self.log.signed_head(clock::wall()));
            }
            if now >= self.retain_due {
                self.retain_due = now + RETAIN_EVERY;
                self.retain();
            }
            if stop {
                break;
            }
        }
    }

    /// Writes entries, behind the one about those that could not be written before.
    fn write(&mut self, asked: Vec<(Draft, Reply)>) {
        let now = clock::wall();
        let at = clock::readable(now);
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        self.missing(lost, &AuditError::Busy.to_string(), at);
        let gap = self.gap.draft(at);
        if asked.is_empty() && gap.is_none() {
            return;
        }
        let has_gap = u64::from(gap.is_some());
        let (asked, replies): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let drafts: Vec<Draft> = gap.into_iter().chain(asked).collect();
        let outcomes: Vec<Outcome> = drafts.iter().map(|draft| draft.outcome).collect();
        let count = drafts.iter().skip(has_gap as usize);
        let count = count.map(|draft| draft.count.max(1)).sum();
        match self.append(drafts, now) {
            Ok(first) => {
                self.publish();
                self.gap.close();
                self.trouble(None);
                for outcome in outcomes {
                    let entries = &self.shared.metrics.entries;
                    entries.with_label_values(&[outcome.name()]).inc();
                }
                for (number, reply) in (first + has_gap..).zip(replies) {
                    answer(reply, Ok(number));
                }
                if self.head_due.is_none() {
                    self.head_due = Some(Instant::now() + HEAD_EVERY);
                }
            }
            Err(error) => {
                let cause = error.to_string();
                self.missing(count, &cause, at);
                self.trouble(Some(&cause));
                for reply in replies {
                    answer(reply, Err(error.clone()));
                }
            }
        }
    }

    fn append(&mut self, drafts: Vec<Draft>, now: Timestamp) -> Result<u64, AuditError> {
        #[cfg(test)]
        if self.shared.broken.load(Ordering::Relaxed) {
            return Err(AuditError::Busy);
        }
        self.log.append(drafts, now)
    }

    fn missing(&mut self, count: u64, cause: &str, now: jiff::Timestamp) {
        self.gap.add(count, cause, now);
        self.shared.metrics.unrecorded.inc_by(count);
    }

    fn sign(&mut self) {
        match self.log.head(clock::wall()) {
            Ok(_) => {
                self.head_due = None;
                self.publish();
            }
            Err(error) => {
                self.head_due = Some(Instant::now() + TICK);
                self.trouble(Some(&error.to_string()));
            }
        }
    }

    fn retain(&mut self) {
        if let Err(error) = self.log.retain(clock::wall()) {
            tracing::error!(%error, "old entries of the audit log stay");
        }
        self.publish();
    }

    fn publish(&self) {
        let snapshot = self.log.snapshot();
        *self
            .shared
            .snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    fn trouble(&self, cause: Option<&str>) {
        let metrics = &self.shared.metrics;
        metrics.writable.set(f64::from(u8::from(cause.is_none())));
        let mut trouble = self
            .shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match cause {
            Some(cause) => {
                metrics.failures.inc();
                if trouble.is_none() {
                    tracing::error!(cause, "the audit log cannot be written");
                }
            }
            None if trouble.is_some() => tracing::info!("the audit log can be written again"),
            None => {}
        }
        *trouble = cause.map(str::to_owned);
    }
}

fn answer(reply: Reply, recorded: Result<u64, AuditError>) {
    if let Some(reply) = reply {
        // Whoever asked may be gone.
        let _gone = reply.send(recorded);
    }
}
