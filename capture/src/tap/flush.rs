//! Flush and FUA: what must be durable before they are answered, and how they share syncs.
//!
//! A [`SyncGate`] per volume lets one backing sync run while the next generation gathers; a
//! [`Commits`] holds the requests that wait. Invariant: a flush is released only by a backing sync
//! that was begun after the flush arrived and by a journal that is durable through every record
//! whose write was answered before it arrived. While untracked there are no such records.

use super::request::RequestId;
use bcdr_format::{Sequence, VolumeNumber};
use std::time::Duration;

/// Syncs of one volume's backing, numbered as they begin.
#[derive(Debug, Default)]
pub(super) struct SyncGate {
    begun: u64,
    running: bool,
    wanted: u64,
    finished: u64,
    failed: u64,
}

impl SyncGate {
    /// Joins the first sync that begins from now on; returns its number and whether the caller
    /// must begin it now.
    pub(super) fn join(&mut self) -> (u64, bool) {
        let generation = self.begun + 1;
        self.wanted = generation;
        (generation, self.begin())
    }

    /// The running sync ended; returns whether the caller must begin the next one now.
    pub(super) fn ended(&mut self, succeeded: bool) -> bool {
        self.running = false;
        self.finished = self.begun;
        if !succeeded {
            self.failed = self.begun;
        }
        self.begin()
    }

    fn begin(&mut self) -> bool {
        if self.running || self.wanted <= self.begun {
            return false;
        }
        self.begun += 1;
        self.running = true;
        true
    }

    fn outcome(&self, generation: u64) -> Option<bool> {
        (self.finished >= generation).then_some(self.failed != generation)
    }
}

/// A request that waits for durability.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) request: RequestId,
    pub(super) volume: VolumeNumber,
    /// The backing sync it waits for.
    pub(super) generation: u64,
    /// The record that must be durable in the journal.
    pub(super) durable: Option<Sequence>,
    /// When it arrived, on the monotonic clock.
    pub(super) since: Duration,
}

/// The requests that wait for durability.
#[derive(Debug, Default)]
pub(super) struct Commits {
    waiting: Vec<Commit>,
}

impl Commits {
    pub(super) fn push(&mut self, commit: Commit) {
        self.waiting.push(commit);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes out those that need wait no longer, each with whether its backing sync succeeded.
    pub(super) fn release<'a>(
        &mut self,
        durable: Sequence,
        gate: impl Fn(VolumeNumber) -> &'a SyncGate,
    ) -> Vec<(RequestId, bool)> {
        let mut released = Vec::new();
        self.waiting.retain(
            |commit| match gate(commit.volume).outcome(commit.generation) {
                Some(false) => {
                    released.push((commit.request, false));
                    false
                }
                Some(true) if commit.durable.is_none_or(|needed| needed <= durable) => {
                    released.push((commit.request, true));
                    false
                }
                _ => true,
            },
        );
        released
    }

    /// The journal was left behind: nobody waits for it any more.
    pub(super) fn without_journal(&mut self) {
        for commit in &mut self.waiting {
            commit.durable = None;
        }
    }

    /// The furthest record somebody waits for to become durable.
    pub(super) fn wanted_durable(&self) -> Option<Sequence> {
        self.waiting
            .iter()
            .filter_map(|commit| commit.durable)
            .max()
    }

    /// When the first of those that wait for the journal arrived.
    pub(super) fn journal_awaited_since(&self, durable: Sequence) -> Option<Duration> {
        self.waiting
            .iter()
            .filter(|commit| commit.durable.is_some_and(|needed| needed > durable))
            .map(|commit| commit.since)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(request: u64, generation: u64, durable: Option<u64>) -> Commit {
        Commit {
            request: RequestId(request),
            volume: VolumeNumber(1),
            generation,
            durable: durable.map(Sequence),
            since: Duration::ZERO,
        }
    }

    #[test]
    fn a_flush_never_joins_a_sync_that_began_before_it() {
        let mut gate = SyncGate::default();
        assert_eq!(gate.join(), (1, true));
        assert_eq!(gate.join(), (2, false));
        assert_eq!(
            gate.join(),
            (2, false),
            "one generation gathers all that wait"
        );
        assert!(gate.ended(true), "the second generation begins");
        assert_eq!(gate.outcome(2), None);
        assert_eq!(gate.join(), (3, false));
        assert!(gate.ended(false));
        assert_eq!(gate.outcome(2), Some(false));
        assert!(!gate.ended(true));
        assert_eq!(gate.outcome(3), Some(true));
    }

    #[test]
    fn a_flush_waits_for_backing_and_journal_both() {
        let mut gate = SyncGate::default();
        let mut commits = Commits::default();
        let (generation, _) = gate.join();
        commits.push(commit(1, generation, Some(10)));
        assert_eq!(
            commits.release(Sequence(10), |_| &gate),
            [],
            "the backing sync still runs"
        );
        gate.ended(true);
        assert_eq!(
            commits.release(Sequence(9), |_| &gate),
            [],
            "record 10 is not durable"
        );
        assert_eq!(commits.wanted_durable(), Some(Sequence(10)));
        assert_eq!(
            commits.release(Sequence(10), |_| &gate),
            [(RequestId(1), true)]
        );
    }

    #[test]
    fn without_a_journal_the_backing_alone_decides() {
        let mut gate = SyncGate::default();
        let mut commits = Commits::default();
        let (generation, _) = gate.join();
        commits.push(commit(1, generation, Some(10)));
        gate.ended(true);
        commits.without_journal();
        assert_eq!(
            commits.release(Sequence(0), |_| &gate),
            [(RequestId(1), true)]
        );
    }
}
