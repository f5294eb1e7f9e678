//! The journal's thread: takes commands in order, any number at once, and reports after a while.

use super::{CaptureHost, Life, note_record};
use crate::simulation::{
    context::Context,
    stamp::{self, Cell, SECTOR},
    world::Event,
};
use bcdr_capture::journal::{JournalCommand, JournalEvent, StopReason};
use bcdr_format::{Position, record::RecordBody};

impl CaptureHost {
    pub(super) fn queue_journal(&mut self, cx: &mut Context, life: Life, command: JournalCommand) {
        match &command {
            JournalCommand::Append { record, .. } => {
                note_record(cx, &record.body);
                self.note_place(cx, life, &record.body, record.sequence);
            }
            // Its peer cannot use the journal, and everything is read again: that covers a flush.
            JournalCommand::Discard => self.flushed = None,
            JournalCommand::Open { start, after_stop } => {
                cx.trace(|| format!("life {start:?} (after a stop: {after_stop})"));
                self.note_opening(cx, life);
            }
            _ => {}
        }
        if let Some(process) = self.process(life) {
            process.queue.push_back(command);
        }
        self.schedule_journal(cx, life);
    }

    /// Remembers which record an operation became, by its stamp or by who asked for zeroes.
    fn note_place<P: AsRef<[u8]>>(
        &mut self,
        cx: &mut Context,
        life: Life,
        body: &RecordBody<P>,
        sequence: bcdr_format::Sequence,
    ) {
        let (range, payload) = match body {
            RecordBody::Data { range, payload } => (*range, Some(payload)),
            RecordBody::Zero { range, .. } => (*range, None),
            _ => return,
        };
        let (volume, first) = (
            super::index(range.volume),
            (range.offset / SECTOR as u64) as u32,
        );
        let operation = match payload {
            Some(payload) => match stamp::cell(&payload.as_ref()[..SECTOR], volume, first) {
                Cell::Stamp(number) => Some(crate::simulation::oracle::OpId(number)),
                _ => None,
            },
            None => cx.oracle.zeroing(volume, first),
        };
        let Some(process) = self.process(life) else {
            return;
        };
        let position = Position::new(process.tap.start().opening.ordinal, sequence);
        if let Some(operation) = operation {
            process.records.insert(operation, position);
        }
    }

    fn schedule_journal(&mut self, cx: &mut Context, life: Life) {
        let slow = self.journal_slow.max(1);
        let Some(process) = self.process(life) else {
            return;
        };
        let work = !process.queue.is_empty() || process.trim.is_some();
        if work && !process.journal_busy && !process.queue_scheduled {
            process.queue_scheduled = true;
            let delay = cx.delay(5, 200) * slow;
            cx.schedule.after(delay, Event::JournalRun { life });
        }
    }

    /// The thread looks into its queue.
    pub(crate) fn journal_run(&mut self, cx: &mut Context, life: Life) {
        let (slow, power_cuts) = (self.journal_slow.max(1), self.state.faults().power_cuts);
        let Some(process) = self.process(life) else {
            return;
        };
        process.queue_scheduled = false;
        if process.journal_busy {
            return;
        }
        let all = process.queue.len();
        let some = if cx.random.coin() {
            all
        } else {
            cx.random.below(all as u64 + 1) as usize
        };
        let commands: Vec<JournalCommand> = process.queue.drain(..some.max(all.min(1))).collect();
        let mut events = process.journal.execute(&commands);
        for command in &commands {
            if let JournalCommand::Append { record, .. } = command {
                self.appended = record.sequence;
                self.appended_bytes += record.encoded_length() as u64;
            }
        }
        let capacity =
            u64::from(self.settings.journal.segments_max) * self.settings.journal.segment_bytes;
        if self.appended_bytes > capacity {
            // More than all files hold together went in: one of them serves again.
            self.appended_bytes -= capacity;
            cx.counters.note("journal: segment used again");
        }
        let Some(process) = self.process(life) else {
            return;
        };
        if let Some(through) = process.trim.take() {
            events.push(process.journal.trim(through));
        } else if commands.is_empty() {
            // As the real thread does when it is idle; it tries again by itself.
            let _full_or_failing = process.journal.prepare_spare();
        }
        process.journal_busy = true;
        if self.state.faults().power_cuts > power_cuts {
            // The power went in the middle of it.
            self.state.power_on();
            self.power_went(cx);
            return;
        }
        note_events(cx, &events);
        let delay = cx.delay(5, 300) * slow;
        cx.schedule
            .after(delay, Event::JournalReport { life, events });
    }

    /// The tap hears what the thread did.
    pub(crate) fn journal_report(
        &mut self,
        cx: &mut Context,
        life: Life,
        events: Vec<JournalEvent>,
    ) {
        let Some(process) = self.process(life) else {
            return;
        };
        process.journal_busy = false;
        if events
            .iter()
            .any(|event| matches!(event, JournalEvent::Stopped(_)))
        {
            // What was queued is covered by the full compare that is due now, not by records.
            process.answered.fill(None);
            process.records.clear();
        }
        for event in events {
            self.journal_event(cx, life, event);
        }
        self.schedule_journal(cx, life);
    }

    /// The far side holds everything up to here.
    pub(super) fn trim(&mut self, cx: &mut Context, life: Life, through: Position) {
        if let Some(process) = self.process(life) {
            process.trim = process.trim.max(Some(through));
        }
        self.schedule_journal(cx, life);
    }

    fn power_went(&mut self, cx: &mut Context) {
        cx.counters.note("capture power cut");
        self.die(cx, super::Death::PowerCut);
        let again = cx.delay(2_000, 80_000);
        cx.schedule.after(again, Event::CaptureStart);
    }
}

fn note_events(cx: &mut Context, events: &[JournalEvent]) {
    for event in events {
        if let JournalEvent::Stopped(reason) = event {
            cx.trace(|| format!("the journal stops: {reason:?}"));
            cx.counters.note("untracked");
            cx.counters.note(match reason {
                StopReason::Full => "journal: full",
                StopReason::Failed(_) => "journal: device failed",
            });
        }
    }
}
