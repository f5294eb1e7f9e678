//! The thread that owns the log: gathers what is to be written, writes it in one go, answers.
//!
//! Invariants: an answer is given after the entry is durable, or after it is counted as missing; a log
//! that cannot be opened is tried again, and until then everything is missing.

use super::{
    AuditError, AuditParts, Shared,
    gap::Gap,
    log::Log,
    open::{OpenedLog, Trust},
    retention::Held,
    system,
};
use crate::clock;
use bcdr_audit::{Draft, Outcome, SignedHead};
use bcdr_format::Timestamp;
use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Entries that are written in one go at most.
const GO_MAX: usize = 64;
/// How often it is looked what is due.
const TICK: Duration = Duration::from_secs(1);
/// After so many entries a head is signed.
const HEAD_ENTRIES: u64 = 256;
/// How often it is looked how large the log is.
const WEIGH_EVERY: Duration = Duration::from_secs(60);
/// After so long one is signed, if there is an entry that none covers.
const HEAD_EVERY: Duration = Duration::from_secs(60);
/// What is asked of the owner.
pub(super) enum Ask {
    /// To write an entry.
    Entry {
        draft: Box<Draft>,
        /// Whether it may be counted with others instead.
        may_condense: bool,
        reply: Option<oneshot::Sender<Result<u64, AuditError>>>,
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
    parts: AuditParts,
    /// None while it cannot be opened.
    log: Option<Log>,
    /// Why it could not be opened, and since when.
    closed: Option<(AuditError, jiff::Timestamp)>,
    open_due: Instant,
    shared: Arc<Shared>,
    gap: Gap,
    /// What a start has to say and could not yet.
    unsaid: Vec<Draft>,
    head_due: Option<Instant>,
    retention: Held,
    weigh_due: Instant,
}

impl Owner {
    /// Opens the log and says in it what an earlier process left, as far as that can be done. Blocks.
    pub(super) fn new(parts: AuditParts, shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        let mut gap = Gap::default();
        match parts.anchor.gap() {
            Ok(Some(kept)) => gap.take_up(kept),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error, "whether entries are missing cannot be read");
            }
        }
        let mut owner = Self {
            parts,
            log: None,
            closed: None,
            open_due: now,
            shared,
            gap,
            unsaid: Vec::new(),
            head_due: None,
            retention: Held::new(now),
            weigh_due: now,
        };
        owner.open(Trust::Synced);
        owner
    }

    fn open(&mut self, trust: Trust) {
        let now = clock::wall();
        match Log::open(self.parts.clone(), now, trust) {
            Ok((log, opened)) => self.opened(log, opened, now),
            Err(error) => {
                self.open_due = Instant::now() + TICK;
                self.shared.trouble(Some(&error));
                let since = self
                    .closed
                    .take()
                    .map_or_else(|| clock::readable(now), |(_, since)| since);
                if self.shared.damage().is_empty() {
                    self.shared.add_damage(vec![format!(
                        "the log could not be opened when this process started: {error}"
                    )]);
                }
                self.closed = Some((AuditError::NotOpened(error.to_string()), since));
            }
        }
    }

    fn opened(&mut self, log: Log, opened: OpenedLog, now: Timestamp) {
        if let Some(kept) = self.gap.kept()
            && log.tells_of(kept)
        {
            self.gap_is_said();
        }
        self.retention.goes_on_after(opened.earlier);
        self.shared.add_damage(opened.damage);
        self.unsaid = opened.drafts;
        if let Some((error, since)) = self.closed.take() {
            let mut draft = Draft::new(system("audit log"), "audit_opened_late", Outcome::Failed);
            let now = clock::readable(now);
            draft.detail = Some(format!("from {since} to {now}: {error}"));
            self.unsaid.push(draft);
        }
        self.log = Some(log);
        self.publish();
        self.say();
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
            if self.log.is_none() && Instant::now() >= self.open_due {
                self.open(Trust::Nothing);
            }
            let (mut drafts, mut heads, mut stop) = (Vec::new(), Vec::new(), false);
            let mut next = first;
            while let Some(ask) = next.take() {
                match ask {
                    Ask::Entry {
                        draft,
                        may_condense,
                        reply,
                    } => {
                        let is_counted =
                            may_condense && self.shared.refusals().takes(&draft, Instant::now());
                        if is_counted {
                            answer(reply, Ok(0));
                        } else {
                            drafts.push((*draft, reply));
                        }
                    }
                    Ask::Head { reply } => heads.push(reply),
                    Ask::Stop => stop = true,
                }
                if drafts.len() < GO_MAX && !stop {
                    next = inbox.try_recv().ok();
                }
            }
            let counted = self.shared.refusals().due(Instant::now(), stop);
            drafts.extend(counted.into_iter().map(|draft| (draft, None)));
            self.write(drafts);
            self.note_gap(stop);
            let now = Instant::now();
            let unsigned = self.log.as_ref().map_or(0, Log::unsigned);
            let is_due = self.head_due.is_some_and(|due| now >= due);
            if is_due || stop || !heads.is_empty() || unsigned >= HEAD_ENTRIES {
                self.sign();
            }
            for reply in heads {
                // Whoever asked may be gone.
                let _gone = reply.send(self.signed_head());
            }
            self.retain_if_due(clock::wall(), now);
            if now >= self.weigh_due {
                self.weigh_due = now + WEIGH_EVERY;
                self.weigh();
            }
            if stop {
                break;
            }
        }
    }

    /// Writes entries, behind the one about those that could not be written before.
    fn write(&mut self, asked: Vec<(Draft, Reply)>) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        let at = clock::readable(clock::wall());
        self.missing(lost, &AuditError::Busy.to_string(), at);
        self.say();
        let (drafts, replies): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let count = drafts.iter().map(|draft: &Draft| draft.count.max(1)).sum();
        match self.write_behind_the_gap(drafts) {
            Ok(first) => {
                for (number, reply) in (first..).zip(replies) {
                    answer(reply, Ok(number));
                }
            }
            Err(error) => {
                self.missing(count, &error.to_string(), at);
                for reply in replies {
                    answer(reply, Err(error.clone()));
                }
            }
        }
    }

    /// Writes what the start has to say, as far as that can be done.
    fn say(&mut self) {
        while !self.unsaid.is_empty() {
            let part = self.unsaid.len().min(GO_MAX);
            if self
                .write_behind_the_gap(self.unsaid[..part].to_vec())
                .is_err()
            {
                return;
            }
            self.unsaid.drain(..part);
        }
    }

    /// Writes entries in one go, and before them the one about those that are missing. Gives the number
    /// of the first of them.
    fn write_behind_the_gap(&mut self, mut drafts: Vec<Draft>) -> Result<u64, AuditError> {
        let now = clock::wall();
        let gap = self.gap.draft(clock::readable(now));
        let has_gap = u64::from(gap.is_some());
        drafts.splice(..0, gap);
        if drafts.is_empty() {
            return Ok(0);
        }
        let outcomes: Vec<Outcome> = drafts.iter().map(|draft| draft.outcome).collect();
        let first = self.append(drafts, now).inspect_err(|error| {
            self.shared.trouble(Some(error));
        })?;
        self.publish();
        if has_gap > 0 {
            self.gap_is_said();
        }
        self.shared.trouble(None);
        for outcome in outcomes {
            let entries = &self.shared.metrics.entries;
            entries.with_label_values(&[outcome.name()]).inc();
        }
        if self.head_due.is_none() {
            self.head_due = Some(Instant::now() + HEAD_EVERY);
        }
        Ok(first + has_gap)
    }

    fn append(&mut self, drafts: Vec<Draft>, now: Timestamp) -> Result<u64, AuditError> {
        #[cfg(test)]
        if self.shared.broken.load(Ordering::Relaxed) {
            return Err(AuditError::Busy);
        }
        match (&mut self.log, &self.closed) {
            (Some(log), _) => log.append(drafts, now),
            (None, Some((error, _))) => Err(error.clone()),
            (None, None) => Err(AuditError::Closed),
        }
    }

    fn missing(&mut self, count: u64, cause: &str, now: jiff::Timestamp) {
        let is_first = !self.gap.is_open();
        let newest = self.log.as_ref().map(|log| log.newest.sequence);
        self.gap.add(count, cause, now, newest);
        self.shared.metrics.unrecorded.inc_by(count);
        self.note_gap(is_first);
    }

    /// Tells the catalog of what is missing.
    fn note_gap(&mut self, at_once: bool) {
        let now = Instant::now();
        let Some(gap) = self.gap.to_note(now, at_once) else {
            return;
        };
        let noted = self.parts.anchor.keep_gap(Some(gap));
        if let Err(error) = &noted {
            tracing::error!(error, "the catalog does not keep what the audit log lacks");
        }
        self.gap.noted(now, noted.is_ok());
    }

    fn gap_is_said(&mut self) {
        if self.gap.close()
            && let Err(error) = self.parts.anchor.keep_gap(None)
        {
            // The next start finds the entry that tells of it.
            tracing::error!(error, "the catalog keeps what the audit log has said");
        }
    }

    fn sign(&mut self) {
        let Some(log) = &mut self.log else { return };
        let had_unsigned = log.unsigned() > 0;
        match log.head(clock::wall()) {
            Ok(head) => {
                self.head_due = None;
                // A head that could not be written was the trouble.
                if had_unsigned && head.is_some() && !self.gap.is_open() {
                    self.shared.trouble(None);
                }
                self.publish();
            }
            Err(error) => {
                self.head_due = Some(Instant::now() + TICK);
                self.shared.trouble(Some(&error));
            }
        }
    }

    /// How far the log reaches; while it is not open, how far the catalog says that it did.
    fn signed_head(&self) -> Option<SignedHead> {
        match &self.log {
            Some(log) => log.signed_head(clock::wall()),
            None => self.parts.anchor.newest().ok().flatten(),
        }
    }

    /// Removes what is older than is kept, where the clock can be trusted with that.
    pub(super) fn retain_if_due(&mut self, wall: Timestamp, now: Instant) {
        if !self.retention.comes_due(now) {
            return;
        }
        let too_old = self.log.as_ref().and_then(|log| log.too_old(wall));
        // What is missing is said first: its entry is the next one.
        if too_old.is_none() || self.gap.is_open() {
            return;
        }
        if let Some(leap) = self.retention.leap(wall, now) {
            let draft = self.retention.say(leap);
            self.write(draft.into_iter().map(|draft| (draft, None)).collect());
            return;
        }
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.retain(wall) {
            tracing::error!(%error, "old entries of the audit log stay");
        }
        // What it says of itself is signed too.
        self.head_due.get_or_insert(now + HEAD_EVERY);
        self.publish();
    }

    /// Compares the log with the space that is kept free: it is what it takes its room from once all the
    /// rest is taken, and whoever may change something can make it grow.
    pub(super) fn weigh(&self) {
        let Some(log) = &self.log else { return };
        let bytes = log.bytes();
        let space = self.parts.storage.space(&self.parts.directory);
        let floor = space.map_or(0, |space| self.parts.floor.floor_bytes(space.total_bytes));
        let warning = (floor > 0 && bytes > floor / 2).then(|| {
            format!(
                "it has {bytes} bytes, more than half of the {floor} that are kept free on its disk: see in it who writes so much, keep entries for fewer days (audit.retention_days), or enlarge the disk"
            )
        });
        self.shared.weighed(bytes, warning);
    }

    fn publish(&self) {
        if let Some(log) = &self.log {
            self.shared.publish(log.snapshot());
        }
    }
}

fn answer(reply: Reply, recorded: Result<u64, AuditError>) {
    if let Some(reply) = reply {
        // Whoever asked may be gone.
        let _gone = reply.send(recorded);
    }
}
