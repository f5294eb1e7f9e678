//! Lives of the stream: beginning one, leaving the journal behind, and coming back to it.
//!
//! When journaling stops, records that are written and settled are still fed; the rest of that
//! life is not fed, ever. When it resumes, a new life begins that continues exactly the last
//! position that was fed and opens with an interval that reads everything. Whatever happened in
//! between, in flight at the stop, untracked, failed without an amendment, is thereby covered: the
//! interval's reads begin only after every write without a record in the new life has ended.

use super::{action::Action, core::TapCore, ladder::UntrackedReason, prefix::Prefix};
use crate::{
    Moment, StreamBody,
    journal::JournalCommand,
    start::{IncarnationStart, StartPlan, SyncScope, SyncStart},
};
use bcdr_format::{
    IncarnationId, Opening, Sequence, SyncId,
    incarnation::IncarnationOrdinal,
    record::Member,
    sync::{Heals, SyncEvent, SyncReason},
};

impl TapCore {
    /// Begins a life: its segment, its interval's beginning, its members.
    pub(super) fn begin_life(&mut self, now: Moment, plan: StartPlan, after_stop: bool) {
        let start = plan.start;
        self.start = start;
        self.opened = false;
        self.next = start.opening.first;
        self.prefix = Prefix::new(start.opening.first);
        self.journal.noted = start.opening.continues;
        self.actions
            .push_back(Action::Journal(JournalCommand::Open { start, after_stop }));
        // The beginning comes first of all, so that nothing of this life can be a point before it.
        if let Some(sync) = start.sync {
            self.open_sync = Some(sync);
            let event = SyncEvent::Begin {
                sync: sync.sync,
                reason: sync.reason,
            };
            self.append(now, StreamBody::Sync(event), true);
            self.prepare_scan(&plan.scope);
        }
        let members: Vec<Member> = self
            .volumes
            .values()
            .map(|state| Member {
                group: self.group,
                number: state.volume.number,
                id: state.volume.id,
                size_bytes: state.volume.size_bytes,
            })
            .collect();
        for member in members {
            self.append(now, StreamBody::Member(member), true);
        }
    }

    /// A peer knows lives up to `above`, or lacks history that is gone: begin a life above it that
    /// reads everything. While untracked it is remembered for when journaling resumes; a journal
    /// that is full of what this peer cannot use is emptied for it, or it would stay full for ever.
    pub fn open_above(&mut self, now: Moment, above: IncarnationOrdinal) {
        self.above = self.above.max(above);
        if self.ladder.journaling() && !self.closing {
            self.begin_full_compare(now, SyncReason::Fork, false);
        } else if self.journal.usage.over_half() {
            self.actions
                .push_back(Action::Journal(JournalCommand::Discard));
        }
        self.advance(now);
    }

    /// Writes go to the backing only from here on.
    pub(super) fn leave_journal(&mut self, now: Moment, reason: UntrackedReason) {
        self.ladder.leave(now, &self.settings, reason);
        // In memory before the first write that has neither intent nor record: a kill must not find
        // a ring that seems to name everything in flight.
        if !self.distrusted {
            self.distrusted = true;
            self.actions.push_back(Action::DistrustIntents);
        }
        self.scan = None;
        self.commits.without_journal();
        for state in self.volumes.values_mut() {
            state.replied_through = Sequence::default();
        }
    }

    /// The journal holds the opening of a life that reads everything: should the capture be killed
    /// now, that alone makes the next one read everything, until the interval's end is settled.
    pub(super) fn trust_intents(&mut self) {
        // A life whose opening is taken only after the journal was left behind proves nothing.
        if self.distrusted && self.ladder.journaling() {
            self.distrusted = false;
            let opening = self.start.opening;
            let (ordinal, incarnation) = (opening.ordinal, opening.id);
            self.actions.push_back(Action::TrustIntents {
                ordinal,
                incarnation,
            });
        }
    }

    /// Tries the journal again once it has room and has finished everything that was queued to it.
    pub(super) fn resume_if_possible(&mut self, now: Moment) {
        let journal = &self.journal;
        let at_rest = journal.queued.is_empty() && journal.syncing.is_none();
        if self.ladder.may_resume(now) && at_rest && !journal.usage.over_half() && !self.closing {
            self.ladder.resume(now);
            self.begin_full_compare(now, SyncReason::Untracked, true);
        }
    }

    fn begin_full_compare(&mut self, now: Moment, reason: SyncReason, after_stop: bool) {
        let ordinal = self.start.opening.ordinal.max(self.above).next();
        let milliseconds = u64::try_from(now.wall.0 / 1000).unwrap_or_default();
        let opening = Opening {
            ordinal,
            id: IncarnationId::from_parts(milliseconds, (self.random)()),
            continues: self.fed,
            first: self.next,
        };
        // An interval that is open stays the same one: its end closes it wherever it began. A first
        // copy that never finished is still the first copy.
        let (sync, reason) = match self.open_sync {
            Some(open) if open.reason == SyncReason::Initial => (open.sync, SyncReason::Initial),
            Some(open) => (open.sync, reason),
            None => (SyncId::from_parts(milliseconds, (self.random)()), reason),
        };
        let sync = SyncStart {
            sync,
            reason,
            heals: Heals::Everything { opening: ordinal },
        };
        let plan = StartPlan {
            start: IncarnationStart {
                opening,
                sync: Some(sync),
            },
            scope: SyncScope::Everything,
        };
        self.begin_life(now, plan, after_stop);
    }
}
