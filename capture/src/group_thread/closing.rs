//! The orderly end of a group: clients first, then the tap, the backings, the journal, the intents.
//!
//! Invariant: the end is called clean only when every step before it succeeded; whatever is cut
//! short is read again at the next start.

use std::time::Duration;

use super::{Closed, GroupThread};
use crate::{
    evidence,
    journal::JournalCommand,
    ring::{BackingSlot, Completion, Operation, Token},
};

/// How long clients and I/O in flight may take to finish.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the journal may take to close.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(30);

/// A close that was asked for.
pub(super) struct Closing {
    since: Duration,
}

impl GroupThread {
    /// Stops serving: sockets go away, clients get the answers to what they asked.
    pub(super) fn begin_close(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let now = self.clock.now();
        self.closing = Some(Closing {
            since: now.monotonic,
        });
        let watches: Vec<_> = self
            .listeners
            .iter()
            .map(|listener| listener.watch)
            .collect();
        self.listeners.clear();
        watches.into_iter().for_each(|watch| self.unwatch(watch));
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.session.begin_shutdown();
            }
            self.begin_leaving(id);
        }
        self.tap.begin_close(now);
    }

    /// Ends when everything is done, or when patience is over.
    pub(super) fn try_close(&mut self) -> Option<Closed> {
        let since = self.closing.as_ref()?.since;
        let idle = self.tap.is_idle() && self.queue.is_idle() && self.connections.is_empty();
        if idle {
            // Should it not be clean, what others write from here on still shows.
            self.sight_tick();
            let clean = self.close_clean();
            tracing::info!(clean, "the group is closed");
            return Some(Closed { clean });
        }
        if self.clock.monotonic() < since + PATIENCE {
            return None;
        }
        tracing::warn!(
            clients = self.connections.len(),
            "the group is closed with work unfinished; the next start reads it again"
        );
        self.journal.execute(vec![JournalCommand::Sync]);
        Some(Closed { clean: false })
    }

    /// Everything is answered and fed: leaves proof of it, if there is nothing to read again.
    fn close_clean(&mut self) -> bool {
        let Some(position) = self.tap.clean_position() else {
            self.journal.execute(vec![JournalCommand::Sync]);
            return false;
        };
        if !self.sync_backings() || !self.journal.close(Some(position), JOURNAL_PATIENCE) {
            return false;
        }
        let opening = self.tap.start().opening;
        let backings = self.backings.iter().map(|(_, backing)| &**backing);
        let evidence = match evidence::gather(backings, self.boot) {
            Ok(look) => look.evidence,
            Err(error) => {
                tracing::warn!(%error, "cannot look at the backings; the next start compares them");
                return false;
            }
        };
        match self
            .intents
            .close_clean(opening.ordinal, opening.id, evidence)
        {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "cannot note the orderly end");
                false
            }
        }
    }

    /// Makes durable what the tap's last syncs did not cover.
    fn sync_backings(&mut self) -> bool {
        // The tap is idle, so its tokens are not in use.
        for index in 0..self.backings.len() {
            let backing = BackingSlot(u32::try_from(index).expect("a group has few volumes"));
            self.ring
                .submit(Token(index as u64), Operation::Sync { backing });
        }
        let deadline = self.clock.monotonic() + PATIENCE;
        let mut left = self.backings.len();
        let mut fine = true;
        let mut completions = Vec::new();
        while left > 0 {
            let patience = deadline.saturating_sub(self.clock.monotonic());
            if patience.is_zero() {
                return false;
            }
            if let Err(error) = self.ring.wait(Some(patience), &mut completions) {
                tracing::warn!(%error, "the I/O ring failed while closing");
                return false;
            }
            for completion in completions.drain(..) {
                if let Completion::Operation { result, .. } = completion {
                    left -= 1;
                    fine &= result.is_ok();
                }
            }
        }
        fine
    }
}
